//! The damage of a disk at a moment, written for other tools.
//!
//! Owns the border between damage and formats, and the register of formats. A format is one file in `export/` and one
//! line in [`FORMATS`]. Must not know faults, files or terminals.
//!
//! All of them are written as damage is found, without keeping it: a disk of 20 TB with millions of bad areas needs no
//! memory for that. What a format cannot say is not left out in silence, but returned as notes.

use std::io::{self, BufWriter, Write};

use block::{ByteRange, Nanos, Offset};

use crate::media::Shape;
use crate::moment::{Detail, Moment, State};

mod badblocks;
mod blkdebug;
mod dm_delay;
mod dm_dust;
mod dm_error;
mod mapfile;
mod null_blk;
mod scsi_debug;
mod simulator_cfg;

/// A format.
#[derive(Debug)]
pub struct Format {
    /// What it is called.
    pub name: &'static str,
    /// What it is for, in some words.
    pub about: &'static str,
    /// What it lies over, if it lies over something.
    pub device: Option<Device>,
    /// Whether it is told in blocks of a size of one's choice.
    pub block: Block,
    write: fn(&mut Job<'_>, &mut dyn Write) -> io::Result<Vec<String>>,
}

/// What lies under the damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// What stands in its place if none is given.
    pub placeholder: &'static str,
}

/// Whether a format counts in blocks whose size can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// It is what it is.
    Fixed,
    /// It is so many bytes if nobody chooses.
    Chosen(u64),
}

const NODE: Option<Device> = Some(Device { placeholder: "/dev/sdX" });
const IMAGE: Option<Device> = Some(Device { placeholder: "disk.img" });

/// All formats.
pub const FORMATS: [Format; 9] = [
    Format {
        name: "mapfile",
        about: "a rescue map, for ddrescue, ddrescuelog and nbdkit's ddrescue filter",
        device: None,
        block: Block::Fixed,
        write: mapfile::write,
    },
    Format {
        name: "dm-error",
        about: "a table for dmsetup: bad sectors fail",
        device: NODE,
        block: Block::Fixed,
        write: dm_error::write,
    },
    Format {
        name: "dm-dust",
        about: "a shell script that sets up dm-dust: bad sectors fail until they are written",
        device: NODE,
        block: Block::Fixed,
        write: dm_dust::write,
    },
    Format {
        name: "dm-delay",
        about: "a table for dmsetup: slow sectors come late, bad ones fail",
        device: NODE,
        block: Block::Fixed,
        write: dm_delay::write,
    },
    Format {
        name: "blkdebug",
        about: "rules for QEMU's blkdebug",
        device: IMAGE,
        block: Block::Fixed,
        write: blkdebug::write,
    },
    Format {
        name: "scsi-debug",
        about: "a shell script that loads scsi_debug: a SCSI disk with one bad area",
        device: None,
        block: Block::Fixed,
        write: scsi_debug::write,
    },
    Format {
        name: "null-blk",
        about: "a shell script that sets up a null_blk device with bad blocks",
        device: None,
        block: Block::Fixed,
        write: null_blk::write,
    },
    Format {
        name: "simulator-cfg",
        about: "simulator.cfg of safecopy's simulator library",
        device: IMAGE,
        block: Block::Fixed,
        write: simulator_cfg::write,
    },
    Format {
        name: "badblocks",
        about: "a list of bad blocks as of badblocks, for mke2fs -l and e2fsck -l",
        device: None,
        block: Block::Chosen(4096),
        write: badblocks::write,
    },
];

/// The format of a name.
pub fn find(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

/// What is to be written.
pub struct Job<'a> {
    /// The disk.
    pub moment: &'a mut Moment,
    /// What the disk is called, for comments; one line.
    pub subject: &'a str,
    /// What the file is called, for the command in its comments.
    pub file: &'a str,
    /// What the damage is to lie over: a device, or an image. Without blanks; the format's placeholder if not given.
    pub device: Option<&'a str>,
    /// Size of a block in bytes, for formats that let it be chosen; a multiple of 512.
    pub block: Option<u64>,
}

impl Format {
    /// Writes the damage. Returns what the format could not say, and what else its user must know, one sentence each.
    pub fn write(&self, job: &mut Job<'_>, out: &mut dyn Write) -> io::Result<Vec<String>> {
        let placeholder = self.device.map(|device| device.placeholder);
        let block = match self.block {
            Block::Fixed => None,
            Block::Chosen(usual) => Some(job.block.unwrap_or(usual)),
        };
        let device = job.device.or(placeholder);
        let mut job = Job { moment: &mut *job.moment, device, block, ..*job };
        let mut out = BufWriter::with_capacity(1 << 20, out);
        let notes = (self.write)(&mut job, &mut out)?;
        out.flush()?;
        Ok(notes)
    }
}

/// A unit of the block layer, in bytes.
const UNIT: u64 = 512;

/// What came by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    /// Bytes that come late, and rows of them.
    slow: (u64, u64),
    /// Bytes that fail, and rows of them.
    bad: (u64, u64),
}

impl Tally {
    /// What a format says that has no word for slow sectors.
    fn note_slow(&self, format: &str) -> Option<String> {
        let (bytes, rows) = self.slow;
        let what = format!("{bytes} bytes in {} come late", areas(rows));
        (rows > 0).then(|| format!("{what}; {format} has no word for that, dm-delay has"))
    }
}

fn areas(count: u64) -> String {
    if count == 1 { "one area".to_owned() } else { format!("{count} areas") }
}

impl Job<'_> {
    fn shape(&self) -> Shape {
        self.moment.shape()
    }

    /// What lies below.
    fn device(&self) -> &str {
        self.device.unwrap_or_default()
    }

    /// The first line of comments: which damage this is.
    fn title(&self) -> String {
        format!("The damage of {} after {} s, by Diskwright", self.subject, seconds(self.moment.at()))
    }

    /// Hands on each bad row, in bytes.
    fn bad(&mut self, mut each: impl FnMut(ByteRange) -> io::Result<()>) -> io::Result<Tally> {
        self.damage(|range, state| match state {
            State::Bad { .. } => each(range),
            State::Slow { .. } => Ok(()),
        })
    }

    /// Hands on each damaged row, in bytes.
    fn damage(&mut self, mut each: impl FnMut(ByteRange, State) -> io::Result<()>) -> io::Result<Tally> {
        let logical = u64::from(self.shape().logical);
        let mut tally = Tally::default();
        for found in self.moment.damage(Detail::Rows) {
            let [start, end] = [found.sectors.start, found.sectors.end].map(|lba| Offset::new(lba * logical));
            let range = ByteRange::between(start, end);
            let (bytes, rows) = match found.state {
                State::Bad { .. } => &mut tally.bad,
                State::Slow { .. } => &mut tally.slow,
            };
            *bytes += range.length();
            *rows += 1;
            each(range, found.state)?;
        }
        Ok(tally)
    }
}

/// Seconds as short as they can be written exactly.
fn seconds(time: Nanos) -> String {
    let nanoseconds = time.nanoseconds();
    let text = format!("{}.{:09}", nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A word for a shell, which takes it as it is.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests;
