//! `diskwright mount`: a disk as a file.
//!
//! Owns the command's options and the order of its beginning and of its end. Must not know how reads are answered.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use block::{Errno, WallClock};
use clap::Args;
use fuse_mount::{LoopDevice, Mounted, Place, Reading, Showing, Unmounted};
use serving::{Device, Exports, ImageOptions, OpenError, SimOptions};
use simulator::Access;

use super::Failure;
use super::attendance::{Attendance, AttendanceOptions, Event, Hangup};
use super::control::WatchOptions;
use super::disk::{self, DiskOptions, TimeOptions};
use super::disk_argument::{DiskArgument, RULE};
use super::output::Output;

/// Which disk, where, and how it is read there.
#[derive(Debug, Args)]
#[command(after_help = RULE, after_long_help = LONG)]
pub struct MountCommand {
    /// The disk
    pub disk: OsString,
    /// The file to show it over; made, and removed at the end, if it does not exist
    pub file: PathBuf,
    /// Only what this map calls finished can be read; for images
    #[arg(long, value_name = "MAP")]
    pub map: Option<PathBuf>,
    /// Bytes of a sector of an image
    #[arg(long, value_name = "BYTES", default_value = "512", value_parser = disk::sector)]
    pub sector_size: u32,
    /// How reads fail, however the file was opened: raw (as the drive says), direct, or buffered
    #[arg(long, value_name = "raw|direct|buffered", value_parser = access)]
    pub access: Option<Access>,
    /// What damage is called
    #[arg(long, value_name = "EIO|ENODATA", default_value = "EIO", value_parser = errno)]
    pub errno: Errno,
    /// Put a read-only loop device with direct I/O over it (as root), and say its name
    #[arg(long = "loop")]
    pub with_loop: bool,
    /// How its time passes
    #[command(flatten)]
    pub time: TimeOptions,
    /// Who watches
    #[command(flatten)]
    pub watch: WatchOptions,
    /// Until when
    #[command(flatten)]
    pub attendance: AttendanceOptions,
}

const LONG: &str = "\
A read of a file that was opened with O_DIRECT fails whole if a sector in it is bad. Without O_DIRECT it fails in pages of \
4096 bytes, with a read-ahead, and brings what lies before the page, as through the page cache. With --access=raw it brings \
what lies before the sector, and a disk that hangs is waited for for ever.

When everything is ready, one line is written: the name of what can be read (of the loop device, with --loop), a tab, and \
what it is. With --run nothing is written: the command finds the names in $file and $loop.

On SIGINT, SIGTERM or SIGHUP all reads that wait are answered with an error, the loop device is let go, and the mount is \
taken down, lazily if it is still in use. A second signal ends at once. Exit status: 0, or that of the command.";

fn access(text: &str) -> Result<Access, String> {
    match text {
        "raw" => Ok(Access::Raw),
        "direct" => Ok(Access::Direct),
        "buffered" => Ok(Access::Buffered),
        _ => Err("raw, direct or buffered".into()),
    }
}

fn errno(text: &str) -> Result<Errno, String> {
    match text {
        "EIO" => Ok(Errno::EIO),
        "ENODATA" => Ok(Errno::ENODATA),
        _ => Err("EIO or ENODATA".into()),
    }
}

/// Shows a disk until a signal comes, or the command ends; returns the exit status.
pub fn run(command: &MountCommand) -> Result<u8, Failure> {
    let options = DiskOptions {
        simulated: SimOptions { pace: command.time.pace, idle: command.time.idle, ..SimOptions::default() },
        image: ImageOptions { sector: command.sector_size, ..ImageOptions::default() },
        ..DiskOptions::default()
    };
    let argument = DiskArgument::read(&command.disk)?;
    let device = disk::open(
        &argument,
        command.map.as_deref(),
        options,
        Arc::new(WallClock::new()),
        command.watch.log()?,
    )?;
    // Signals are heard before anything is there that would have to be taken down.
    let mut attendance = Attendance::listen(Hangup::Ends)?;
    let place = Place::prepare(&command.file)?;
    refuse_itself(&argument, &place)?;
    let reading = match (command.access, &argument) {
        (Some(access), _) => Reading::Always(access),
        (None, DiskArgument::Simulated(address)) => address.access.map_or(Reading::AsOpened, Reading::Always),
        (None, DiskArgument::Path(_)) => Reading::AsOpened,
    };
    let orders = command.watch.take_orders(Arc::new(Only(device.clone())))?;
    for file in orders.iter().map(|file| file.path().to_owned()) {
        attendance.at_once(move || drop(std::fs::remove_file(file)));
    }
    let teller = attendance.teller();
    let ended = move || {
        let _ = teller.send(Event::Over);
    };
    let showing = Showing { reading, damage: command.errno };
    let mounted = Mounted::new(device.clone(), place, showing, ended)?;
    attendance.at_once(mounted.last_deed());
    let facts = device.facts();
    let over = match command.with_loop {
        true => Some(LoopDevice::over(mounted.path(), facts.logical_sector, mounted.descriptor())?),
        false => None,
    };
    tell(command, &mut attendance, &mounted, over.as_ref(), &*device)?;
    let status = stay(&mut attendance, &mounted);
    end(mounted, over);
    Ok(status)
}

/// The one disk that is there, for those who give orders.
struct Only(Arc<dyn Device>);

impl Exports for Only {
    fn list(&self) -> Vec<(String, String)> {
        vec![(String::new(), self.0.facts().description)]
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Device>, OpenError> {
        if name.is_empty() { Ok(self.0.clone()) } else { Err(OpenError::Unknown) }
    }
}

/// Refuses an image that would be hidden by what is read from it.
fn refuse_itself(disk: &DiskArgument, place: &Place) -> Result<(), Failure> {
    match disk {
        DiskArgument::Path(path) if path.canonicalize().is_ok_and(|path| path == place.path()) => {
            let text = "this is the image itself, which would be hidden; name another file to show it over";
            Err(Failure::Usage(format!("{}: {text}", path.display())))
        }
        _ => Ok(()),
    }
}

/// Says that everything is ready.
fn tell(
    command: &MountCommand,
    attendance: &mut Attendance,
    mounted: &Mounted,
    over: Option<&LoopDevice>,
    device: &dyn Device,
) -> Result<(), Failure> {
    let file = mounted.path();
    let mut variables = vec![("file", file.as_os_str())];
    variables.push(("loop", over.map_or(OsStr::new(""), |over| over.path().as_os_str())));
    if command.attendance.run.is_none() {
        let facts = device.facts();
        let name = over.map_or(file, LoopDevice::path).as_os_str().as_encoded_bytes();
        let text = format!("\t{} bytes: {}\n", facts.size, facts.description);
        Output::Stdout.write(&[name, text.as_bytes()].concat())?;
    }
    attendance.ready(&command.attendance, &variables)
}

/// Waits for the end; returns the exit status.
fn stay(attendance: &mut Attendance, mounted: &Mounted) -> u8 {
    match attendance.wait() {
        Event::Left => {}
        Event::Signal(_) => {
            // First of all: whoever waits for an answer cannot even die.
            mounted.give_up();
            attendance.end_command();
        }
        Event::Over => {
            mounted.give_up();
            warn(&format!("{}: somebody else has taken the mount down", mounted.path().display()));
        }
    }
    attendance.status()
}

/// Takes everything down, from the top.
fn end(mounted: Mounted, over: Option<LoopDevice>) {
    mounted.give_up();
    if let Some(over) = over {
        let name = over.path().display().to_string();
        if !over.detach() {
            warn(&format!("{name}: somebody still has it open; it goes when they close it"));
        }
    }
    let path = mounted.path().display().to_string();
    match mounted.unmount() {
        Unmounted::Clean => {}
        Unmounted::Lazy => warn(&format!("{path}: somebody still has it open, and gets errors from it now")),
        Unmounted::Stuck => warn(&format!("{path}: cannot take the mount down; try: umount -l {path}")),
    }
}

fn warn(text: &str) {
    // Nobody is left to be told when standard error is gone.
    let _ = writeln!(anstream::stderr(), "diskwright: {text}");
}
