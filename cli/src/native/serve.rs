//! `diskwright serve`: disks over the network block device protocol.
//!
//! Owns the options, and the server's life from its first socket to its last client. Must not know the protocol, nor what
//! is served.

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use block::{Errno, Nanos, WallClock};
use clap::{Args, ValueEnum};
use nbd_server::handshake::Manners;
use nbd_server::terms::{SmallestBlock, Terms};
use nbd_server::{Listener, Server, ServerOptions};
use serving::{DriveOptions, Exports as _, ImageOptions, SimOptions, WhenGone};
use signal_hook::consts::SIGHUP;

use super::attendance::{Attendance, AttendanceOptions, Event, Hangup};
use super::control::{self, WatchOptions};
use super::disk::{self, DiskOptions, TimeOptions};
use super::served::{Choice, Served, ServedOptions};
use super::{Failure, disk_argument};

mod notify;
mod place;

use place::Place;

/// Options of `diskwright serve`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP.as_str())]
pub struct ServeOptions {
    /// What to serve: scenarios, images, drives. The first one is what a client gets that names none
    #[arg(required_unless_present_any = ["all", "replay"], conflicts_with = "all", value_name = "DISK")]
    disks: Vec<OsString>,
    /// Serve every scenario of 'diskwright scenario list', and every small twin
    #[arg(long)]
    all: bool,
    /// Of the image, serve what this map calls finished; the rest is bad
    #[arg(long, conflicts_with = "all")]
    map: Option<PathBuf>,
    /// Bytes of a sector of an image
    #[arg(long, value_name = "BYTES", default_value = "512", value_parser = disk::sector)]
    sector_size: u32,
    /// Listen on this socket; - makes one for the time of --run
    #[arg(short = 'U', long, value_name = "SOCKET")]
    unix: Option<PathBuf>,
    /// Listen on this TCP port, on this machine's own addresses only; 0 is any that is free [default: 10809]
    #[arg(short, long)]
    port: Option<u16>,
    /// Listen on this address instead; may be given several times. Whoever reaches it can read all that is served
    #[arg(short, long, value_name = "ADDRESS")]
    ip: Vec<IpAddr>,
    /// Listen on this port for virtual machines, and for the host of this one
    #[arg(long, value_name = "PORT")]
    vsock: Option<u32>,
    /// Serve one client on standard input and output
    #[arg(short, long, conflicts_with_all = ["unix", "port", "ip", "vsock", "run", "fd"])]
    stdio: bool,
    /// Serve one client on this open descriptor, a connected socket
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["unix", "port", "ip", "vsock", "run"],
          value_parser = clap::value_parser!(i32).range(3..))]
    fd: Option<i32>,
    /// How its time passes
    #[command(flatten)]
    time: TimeOptions,
    /// What a read does at a bad sector: stop there, as drives do, or go on behind it
    #[arg(long, value_name = "STOP|CONTINUE", default_value = "stop")]
    on_error: OnError,
    /// What clients see of a simulated disk that has left: errors, the request to leave, a connection that breaks off
    /// once or for good, or nothing at all
    #[arg(long, value_name = "HOW", default_value = "eio")]
    when_gone: Gone,
    /// Tell clients what simulated disks know of their damage: context x-diskwright:health
    #[arg(long)]
    health: bool,
    /// How long a request to a real drive may take, in seconds, before it is answered with an error
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = clap::value_parser!(u32).range(1..))]
    deadline: u32,
    /// Who watches
    #[command(flatten)]
    watch: WatchOptions,
    /// Serve nothing, but repeat what was written down with --log, and say what comes out differently (exit status 1)
    #[arg(long, value_name = "LOG", exclusive = true)]
    replay: Option<PathBuf>,
    /// The smallest piece that clients may read: a sector of the disk, or a byte, for which its sector is read
    #[arg(long, value_name = "sector|byte", default_value = "sector", value_parser = smallest_block)]
    smallest_block: SmallestBlock,
    /// Connections at a time; others are closed at once
    #[arg(long, value_name = "NUMBER", default_value = "256", value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: u32,
    /// Until when; for --run, $uri is the address of the first disk
    #[command(flatten)]
    attendance: AttendanceOptions,
    /// Say on standard error who comes and why they leave
    #[arg(short, long)]
    verbose: bool,
}

static AFTER_HELP: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
    format!(
        "{}\n\nThe name of an export chooses the disk: as in DISK, and with @7 behind a scenario, its disk with seed 7. All \
         clients of a name meet the same disk.\n\nSIGTERM and SIGINT end the server, SIGHUP reads the scenarios again.",
        disk_argument::RULE
    )
});

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnError {
    Stop,
    Continue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Gone {
    Eio,
    Shutdown,
    Drop,
    Refuse,
    Mute,
}

impl From<Gone> for WhenGone {
    fn from(gone: Gone) -> WhenGone {
        match gone {
            Gone::Eio => WhenGone::Eio,
            Gone::Shutdown => WhenGone::Shutdown,
            Gone::Drop => WhenGone::Drop,
            Gone::Refuse => WhenGone::Refuse,
            Gone::Mute => WhenGone::Mute,
        }
    }
}

fn smallest_block(text: &str) -> Result<SmallestBlock, String> {
    match text {
        "sector" => Ok(SmallestBlock::Sector),
        "byte" => Ok(SmallestBlock::Byte),
        _ => Err("sector or byte".into()),
    }
}

/// Serves until it is told to end; returns the exit status.
pub fn run(options: &ServeOptions) -> Result<u8, Failure> {
    if let Some(log) = &options.replay {
        return control::replay(log);
    }
    // Before anything else is opened: these descriptors are not ours yet.
    let activated = Listener::activated().map_err(place::failure)?;
    nbd_server::server::raise_descriptor_limit();
    let mut attendance = Attendance::listen(Hangup::IsTold)?;
    let served = Served::open(options.choice(), options.served()?, Arc::new(WallClock::new()))?;
    check(&served)?;
    let served = Arc::new(served);
    let Place { listeners, only_client, announcement, folder } = Place::open(options, activated)?;
    for file in listeners.iter().filter_map(Listener::socket_file).map(Path::to_owned) {
        attendance.at_once(move || drop(std::fs::remove_file(file)));
    }
    let orders = options.watch.take_orders(served.clone())?;
    for file in orders.iter().map(|file| file.path().to_owned()) {
        attendance.at_once(move || drop(std::fs::remove_file(file)));
    }
    let server = Arc::new(Server::new(served.clone(), options.server(served.list().len()), options.tell()));
    server.listen(listeners).map_err(|error| system("start a thread", &error))?;
    if options.attendance.run.is_none() && !options.stdio {
        announcement.print()?;
    }
    attendance.ready(&options.attendance, &announcement.variables())?;
    notify::tell_manager();
    if let Some(stream) = only_client {
        let (server, teller) = (server.clone(), attendance.teller());
        // Its reader may wait for standard input, which nobody can take from it: it is not waited for.
        std::thread::spawn(move || {
            server.serve(stream);
            let _ = teller.send(Event::Over);
        });
    }
    wait(&mut attendance, &served);
    server.stop();
    drop((folder, orders));
    Ok(attendance.status())
}

/// Waits for a reason to end.
fn wait(attendance: &mut Attendance, served: &Served) {
    loop {
        match attendance.wait() {
            Event::Signal(SIGHUP) => {
                if let Err(failure) = served.reload() {
                    failure.tell();
                }
            }
            Event::Signal(_) => return attendance.end_command(),
            Event::Left | Event::Over => return,
        }
    }
}

/// Makes sure that the protocol can tell what is served.
fn check(served: &Served) -> Result<(), Failure> {
    for (name, device) in served.opened() {
        let wrong = |text| Failure::BadInput { path: name.into(), text: format!("cannot be served: {text}") };
        Terms::of(&device.facts(), true, SmallestBlock::Sector).map_err(wrong)?;
    }
    Ok(())
}

fn system(action: &'static str, error: &io::Error) -> Failure {
    Failure::System { action, path: "serve".into(), errno: Errno::of(error) }
}

impl ServeOptions {
    fn choice(&self) -> Choice {
        if self.all { Choice::All } else { Choice::Words(self.disks.clone()) }
    }

    fn served(&self) -> Result<ServedOptions, Failure> {
        let simulated = SimOptions {
            pace: self.time.pace,
            idle: self.time.idle,
            access: None,
            reads_on: self.on_error == OnError::Continue,
            when_gone: self.when_gone.into(),
            tells_health: self.health,
        };
        let image = ImageOptions { sector: self.sector_size, reads_on: simulated.reads_on };
        let drive = DriveOptions {
            reads_on: simulated.reads_on,
            deadline: Nanos::from_secs(u64::from(self.deadline)),
        };
        let disk = DiskOptions { simulated, image, drive };
        Ok(ServedOptions { disk, map: self.map.clone(), log: self.watch.log()? })
    }

    fn server(&self, export_count: usize) -> ServerOptions {
        let mut manners = Manners { smallest: self.smallest_block, ..Manners::default() };
        // Whoever lists all of them asks a few things about each.
        manners.limits.option_count_max += 8 * export_count as u32;
        let connection_count_max = self.max_connections as usize;
        ServerOptions { manners, connection_count_max, ..ServerOptions::default() }
    }

    fn tell(&self) -> Box<dyn Fn(&str) + Send + Sync> {
        match self.verbose {
            true => Box::new(|line| {
                // Nobody is left to be told when standard error is gone.
                let _ = writeln!(anstream::stderr(), "diskwright: {line}");
            }),
            false => Box::new(|_| {}),
        }
    }
}
