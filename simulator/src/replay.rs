//! A recorded drive answers again.
//!
//! Owns which reads are answered from the recording, and how. Must not know logs' formats, nor who reads.
//!
//! A read that was recorded (the same place and length) is answered as then, to the time; the n-th read of it as the n-th
//! time. Another read is put together: from shorter recorded reads in it, one after the other as far as one fails, or,
//! where there are none, from its share of a longer one that went well. What no record tells of is left to the disk's
//! model, or is an error.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use block::{ByteRange, Nanos, Offset, RangeSet};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::disk::{Answer, Command, Drive, Reply};
use crate::fault::{Before, Fault, Opening};
use crate::law::{ErrorClass, FailureTime, Health, Law, Trial};
use crate::media::uniform::Uniform;
use crate::media::{Lba, Shape};
use crate::recording::{Format, Reading, Record, Recording, Softfail};
use crate::scenario::medium::MediumSpec;
use crate::scenario::{Bytes, Time};

pub(crate) mod index;

use index::{Index, Known};

/// `[replay]`: a log of a real drive that answers in place of the disk.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Replay {
    /// The log; a relative name is looked up from the scenario's folder.
    pub log: String,
    /// Its kind; looked for in its first lines if not given.
    pub format: Option<Format>,
    /// What becomes of reads that the log does not cover: model (the default, as the disk would answer) or error.
    #[serde(default)]
    pub unknown: Unknown,
    /// Size of a block, for logs that count in blocks and do not say how large they are.
    pub block: Option<Bytes>,
    /// Order of the exponents behind `softfail` in a simulator.cfg: good-fail (the default) or fail-good.
    #[serde(default)]
    pub softfail: Softfail,
    #[serde(skip)]
    recording: Arc<Recording>,
}

/// What becomes of reads that a log does not cover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// The disk answers as it would without the log.
    #[default]
    Model,
    /// They fail at once.
    Error,
}

impl Replay {
    /// Reads the log, looked up from `folder`; returns its text. Errors: which file, and what is wrong with it.
    pub fn load(&mut self, folder: &Path) -> Result<Vec<u8>, String> {
        let block = self.block.map(|block| block.0);
        if block.is_some_and(|block| block == 0 || block % 512 != 0) {
            return Err("block is a size that is a multiple of 512 bytes".into());
        }
        let reading = Reading { format: self.format, block, softfail: self.softfail };
        let (recording, text) = Recording::open(&folder.join(&self.log), reading)?;
        self.recording = Arc::new(recording);
        Ok(text.into_bytes())
    }

    /// What the log tells of.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// A disk that is no larger than the log, for scenarios that describe none.
    pub fn medium(&self) -> Result<Box<dyn MediumSpec>, String> {
        let recording = &self.recording;
        let failing = recording.median(|record| record.failed.is_some());
        let sector = recording.block.next_multiple_of(512);
        let unit = recording.physical.unwrap_or(sector).max(sector);
        let narrow =
            |bytes: u64| u32::try_from(bytes).map_err(|_| format!("blocks of {bytes} bytes are no sectors"));
        let spec = Uniform {
            size: Bytes(recording.extent().next_multiple_of(unit)),
            sector: narrow(sector)?,
            physical_sector: Some(narrow(unit)?),
            sector_time: Time(recording.usual().unwrap_or(Nanos::from_millis(1))),
            queue_depth: 1,
            seek: Time(recording.seek),
            recovery: Time(failing.unwrap_or(Nanos::from_secs(1))),
            turn: Time(Nanos::from_millis(10)),
        };
        spec.check().map_err(|reason| format!("{}: {reason}; describe the disk in [disk]", self.log))?;
        Ok(Box::new(spec))
    }

    /// Makes the part of a disk of this shape that answers. Errors: why the log cannot be this disk's.
    pub fn build(&self, shape: Shape) -> Result<Box<dyn Fault>, String> {
        let (logical, recording) = (u64::from(shape.logical), &*self.recording);
        let end = recording.records.iter().map(|record| record.end()).max().unwrap_or(0);
        if end > shape.bytes().next_multiple_of(recording.block.max(1)) {
            return Err(format!(
                "{} tells of byte {end}, but the disk has {}; give [disk] a size of at least that",
                self.log,
                shape.bytes()
            ));
        }
        if let Some(record) = recording.records.iter().find(|record| record.at % logical != 0) {
            return Err(format!(
                "{} tells of a read at byte {}, which is not a whole sector of {logical} bytes",
                self.log, record.at
            ));
        }
        let (recording, unknown) = (self.recording.clone(), self.unknown);
        let usual = recording.usual().unwrap_or(Nanos::ZERO);
        Ok(Box::new(Player { index: Index::new(&recording), recording, unknown, usual, head: 0 }))
    }
}

struct Player {
    recording: Arc<Recording>,
    index: Index,
    unknown: Unknown,
    /// How long a block usually takes that is well.
    usual: Nanos,
    /// The byte behind the last read.
    head: u64,
}

impl Fault for Player {
    fn lay(&mut self, opening: &mut Opening<'_>) {
        let shape = opening.shape();
        let logical = u64::from(shape.logical);
        let law = |health| Law {
            failure: FailureTime::Between(Nanos::ZERO, Nanos::ZERO),
            ..Law::new(health, "recording")
        };
        let good = opening.law(law(Health::Recorded { answers: true }));
        let bad = opening.law(law(Health::Recorded { answers: false }));
        // Nothing is known of the sectors of a long read that failed, but the row must stop before them.
        let unclear = opening.law(law(Health::Slow { from: Nanos::ZERO, to: Nanos::ZERO }));
        let sectors = |bytes: &Range<u64>| bytes.start / logical..bytes.end.div_ceil(logical);
        let is_complete = self.unknown == Unknown::Error || self.recording.rest.is_some();
        let truth = self.index.truth(self.recording.block.max(u64::from(shape.physical)));
        for bytes in &truth.good {
            opening.lay(good, sectors(bytes));
        }
        for bytes in &truth.bad {
            opening.lay(bad, sectors(bytes));
        }
        for bytes in &truth.unclear {
            opening.lay(if is_complete { bad } else { unclear }, sectors(bytes));
        }
        if is_complete {
            let rest = if self.recording.rest.is_some() { good } else { bad };
            for bytes in truth.untold(shape.bytes()) {
                opening.lay(rest, sectors(&bytes));
            }
        }
    }

    fn before(&mut self, command: &Command, now: Nanos, drive: &mut Drive) -> Before {
        let logical = u64::from(drive.medium.shape().logical);
        let (start, end) = (command.at * logical, command.end() * logical);
        if self.unknown == Unknown::Model && self.recording.rest.is_none() && self.index.is_untold(start, end)
        {
            self.head = end;
            return Before::Go;
        }
        let way = self.head.abs_diff(start) / self.recording.block.max(1);
        let seek = Nanos::new(self.recording.seek.nanoseconds().saturating_mul(way));
        let reply = self.play(start, end, now + seek, drive);
        self.head = match reply.answer {
            Answer::Error { bad, .. } => bad * logical,
            _ => end,
        };
        let lbas = drive.medium.shape().lbas_per_sector();
        if let Answer::Error { bad, .. } = reply.answer {
            drive.health.pending.insert(bad / lbas);
        }
        drive.medium.stopped_at(self.head / logical);
        Before::Answer(reply)
    }

    fn answers_for(&self, shape: Shape) -> Vec<Range<Lba>> {
        let (logical, physical) = (u64::from(shape.logical), u64::from(shape.physical));
        let sector = |record: &Record| {
            let (first, behind) = (record.at / physical, record.end().div_ceil(physical));
            ByteRange::between(Offset::new(first * physical), Offset::new(behind * physical))
        };
        let told: RangeSet = self.recording.records.iter().map(sector).collect();
        let lbas = |range: &ByteRange| range.start().bytes() / logical..range.end().bytes() / logical;
        let cut = |sectors: Range<Lba>| sectors.start..sectors.end.min(shape.sectors);
        told.ranges().iter().map(lbas).map(cut).collect()
    }

    fn first_answer(&mut self, command: &Command, now: Nanos, drive: &mut Drive) -> Trial {
        let logical = u64::from(drive.medium.shape().logical);
        let (start, end) = (command.at * logical, command.end() * logical);
        let reply = self.play(start, end, now, drive);
        match reply.answer {
            Answer::Done => {
                let blocks = (end - start) as f64 / self.recording.block.max(1) as f64;
                let usual = self.usual.nanoseconds() as f64 * blocks;
                Trial::Good(reply.done.since(now + Nanos::new(usual as u64)))
            }
            _ => Trial::Failed(reply.done.since(now)),
        }
    }
}

impl Player {
    /// Answers a read of bytes, part by part.
    fn play(&mut self, start: u64, end: u64, now: Nanos, drive: &mut Drive) -> Reply {
        let logical = u64::from(drive.medium.shape().logical);
        let (mut at, mut now) = (start, now);
        while at < end {
            let (part, answer) = match self.index.next(at, end, &self.recording) {
                Known::Told { until, failed, took } => {
                    let bad = failed.map(|failure| (failure.class, at + failure.good));
                    now = match (took, bad) {
                        (Some(time), _) => now + time,
                        (None, None) => read(drive, at..until, now),
                        (None, Some((_, bad))) => read(drive, at..bad, now) + drive.conditions.recovery,
                    };
                    (until, bad)
                }
                Known::Untold { until } => match (self.recording.rest, self.unknown) {
                    (Some(time), _) => {
                        let blocks = (until - at).div_ceil(self.recording.block.max(1));
                        now += Nanos::new(time.nanoseconds().saturating_mul(blocks));
                        (until, None)
                    }
                    (None, Unknown::Error) => (until, Some((ErrorClass::Aborted, at))),
                    (None, Unknown::Model) => {
                        let (first, behind) = (at / logical, until.div_ceil(logical));
                        let served = drive.serve(&Command { at: first, count: behind - first }, now);
                        now = served.reply.done;
                        match served.reply.answer {
                            Answer::Done => (until, None),
                            _ => return served.reply,
                        }
                    }
                },
            };
            if let Some((class, bad)) = answer {
                let bad = (bad / logical).min(end.div_ceil(logical) - 1);
                return Reply::new(Answer::Error { class, bad }, now);
            }
            at = part;
        }
        Reply::new(Answer::Done, now)
    }
}

/// When a healthy read of these bytes would be done.
fn read(drive: &mut Drive, bytes: Range<u64>, now: Nanos) -> Nanos {
    let logical = u64::from(drive.medium.shape().logical);
    let (first, behind) = (bytes.start / logical, bytes.end.div_ceil(logical));
    drive.medium.read(first, behind - first, now, Lba::MAX)
}
