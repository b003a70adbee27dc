//! A simulated disk without its real time: requests with their arrival in, answers with their time out.
//!
//! Owns what a request does to the disk, and what its clients see of that. Must not know clocks, clients or logs: whoever
//! hands in the same requests with the same arrivals gets the same answers.

use block::{ByteRange, Errno, Nanos, Offset};
use simulator::dice::Dice;
use simulator::disk::Answer as Word;
use simulator::lever::{Lever, LeverError};
use simulator::outlook;
use simulator::system::Outcome;
use simulator::{Access, LogicalUnit};

use super::{SimOptions, WhenGone, words};
use crate::access_log::{Left, Said};
use crate::device::{Answer, Health, Reply, Request, Trouble, Work};

/// Most stretches of health that are told at once.
const STRETCHES_MAX: usize = 65536;

/// A disk, and how it is shown.
pub(crate) struct Core {
    pub(crate) unit: LogicalUnit,
    pub(crate) options: SimOptions,
    /// Decides which resets are heard.
    luck: Dice,
    /// Levers pulled so far; numbers their draws.
    levers: u32,
}

/// What came of a request: an answer and when, in the disk's time.
pub(crate) enum Served {
    At(Nanos, Reply),
    Never,
}

impl Core {
    pub(crate) fn new(mut unit: LogicalUnit, seed: u64, options: SimOptions) -> Core {
        unit.system_mut().disk_mut().never_end();
        Core { unit, options, luck: Dice::new(seed, "levers"), levers: 0 }
    }

    /// When the disk can begin with a request that waits for it.
    pub(crate) fn free_from(&self) -> Nanos {
        self.unit.system().disk().free_from()
    }

    /// Pulls a lever at `now`; tells when the drive is ready.
    pub(crate) fn apply(&mut self, lever: Lever, now: Nanos) -> Result<Nanos, LeverError> {
        self.levers += 1;
        let luck = self.luck.roll(self.levers, 0);
        self.unit.system_mut().disk_mut().apply(lever, now, luck)
    }

    /// Serves a request, and tells for the log what was said.
    pub(crate) fn serve_told(&mut self, request: Request, arrival: Nanos) -> (Served, Said) {
        let range = request.range;
        let served = self.serve(request, arrival);
        let logical = self.logical();
        let said = match &served {
            Served::Never => Said { done_ns: None, errors: Vec::new(), garbled: Vec::new(), left: None },
            Served::At(done, reply) => {
                let (errors, left) = match reply {
                    Reply::Answer(answer) => {
                        let told = |trouble: &Trouble| {
                            let range = trouble.range;
                            let (from, length) = (range.start().bytes(), range.length());
                            (from, length, trouble.errno.0, trouble.text.clone())
                        };
                        (answer.troubles.iter().map(told).collect(), None)
                    }
                    Reply::Shutdown(_) => (Vec::new(), Some(Left::Shutdown)),
                    Reply::Drop => (Vec::new(), Some(Left::Drop)),
                };
                let wrong = self.unit.system().garbled().iter().map(|wrong| {
                    let (from, to) = (wrong.sectors.start * logical, wrong.sectors.end * logical);
                    ByteRange::between(Offset::new(from), Offset::new(to)).overlap(range)
                });
                let garbled = wrong.filter(|wrong| !wrong.is_empty());
                let garbled = garbled.map(|wrong| (wrong.start().bytes(), wrong.length())).collect();
                Said { done_ns: Some(done.nanoseconds()), errors, garbled, left }
            }
        };
        (served, said)
    }

    /// Tells what reads of `range` would meet now.
    pub(crate) fn health(&mut self, range: ByteRange) -> Vec<(ByteRange, Health)> {
        let logical = self.logical();
        let sectors = range.start().bytes() / logical..range.end().bytes().div_ceil(logical);
        let disk = self.unit.system_mut().disk_mut();
        let bytes = |sector: u64| Offset::new(sector * logical);
        let told = outlook::look(disk, sectors, STRETCHES_MAX).into_iter().map(|(sectors, outlook)| {
            let stretch = ByteRange::between(bytes(sectors.start), bytes(sectors.end)).overlap(range);
            (stretch, words::health(&outlook))
        });
        told.collect()
    }

    /// Serves a request that arrives at `arrival`, in the disk's time.
    pub(crate) fn serve(&mut self, request: Request, arrival: Nanos) -> Served {
        let options = &self.options.clone();
        let Request { work, range, buffer, .. } = request;
        match work {
            Work::Read => self.read(range, buffer, arrival, request.access.or(options.access), options),
            Work::Cache => {
                let access = request.access.or(options.access);
                match self.read(range, buffer, arrival, access, options) {
                    Served::At(done, Reply::Answer(answer)) => {
                        Served::At(done, Reply::Answer(Answer { bytes: Vec::new(), ..answer }))
                    }
                    other => other,
                }
            }
            Work::Write(bytes) => self.write(range, &bytes, arrival, options),
            Work::Zero { .. } | Work::Trim => {
                // A drive without a command for it is written to; in pieces, so that memory stays small.
                const PIECE: u64 = 1 << 20;
                let zeros = vec![0; PIECE.min(range.length()) as usize];
                let (mut at, mut now) = (range.start(), arrival);
                while at < range.end() {
                    let piece = ByteRange::between(at, (at + PIECE).min(range.end()));
                    match self.write(piece, &zeros[..piece.length() as usize], now, options) {
                        Served::At(done, Reply::Answer(answer)) if answer.troubles.is_empty() => now = done,
                        other => return other,
                    }
                    at = piece.end();
                }
                Served::At(now, Reply::done(Vec::new()))
            }
            // What was written is in memory: it is as durable as it gets.
            Work::Flush => Served::At(arrival, Reply::done(Vec::new())),
        }
    }

    fn read(
        &mut self,
        range: ByteRange,
        mut bytes: Vec<u8>,
        arrival: Nanos,
        access: Option<Access>,
        options: &SimOptions,
    ) -> Served {
        bytes.resize(range.length() as usize, 0);
        match access {
            None => self.read_bare(range, bytes, arrival, options),
            Some(access) => self.read_as(range, bytes, arrival, access, options),
        }
    }

    /// Reads as a system of this machine would, with its time-outs and resets.
    fn read_as(
        &mut self,
        range: ByteRange,
        mut bytes: Vec<u8>,
        arrival: Nanos,
        access: Access,
        options: &SimOptions,
    ) -> Served {
        let (outcome, done) = self.unit.read(range, arrival, Nanos::NEVER, Some(access));
        let reply = match outcome {
            Outcome::Gone => return gone(range, done, options),
            Outcome::OutOfTime => return Served::Never,
            Outcome::Read(reply) => reply,
        };
        let good = reply.good_bytes(bytes.len());
        if let Err(error) = self.unit.fill(range.start(), &mut bytes[..good]) {
            return Served::At(done, Reply::failed(range, Errno::EIO, words::content(&error)));
        }
        let troubles = reply.damage.map(|damage| Trouble {
            range: ByteRange::between(range.start() + good as u64, range.end()),
            at: damage.at,
            errno: damage.errno,
            text: damage.errno.text(),
        });
        Served::At(done, Reply::Answer(Answer { bytes, troubles: troubles.into_iter().collect() }))
    }

    /// Hands the drive its commands bare.
    fn read_bare(
        &mut self,
        range: ByteRange,
        mut bytes: Vec<u8>,
        arrival: Nanos,
        options: &SimOptions,
    ) -> Served {
        let shape = self.unit.system().disk().shape();
        let (logical, group) = (u64::from(shape.logical), shape.lbas_per_sector());
        let (mut at, mut now) = (range.start(), arrival);
        let mut troubles: Vec<Trouble> = Vec::new();
        while at < range.end() {
            let rest = ByteRange::between(at, range.end());
            let reply = self.unit.system_mut().read_bare(rest, now);
            if reply.done == Nanos::NEVER {
                return Served::Never;
            }
            now = reply.done;
            let (good, next, text) = match reply.answer {
                Word::Done => (rest, range.end(), None),
                Word::Silent => return Served::Never,
                Word::Gone => return gone(range, now, options),
                Word::Error { class, bad } => {
                    let place = Offset::new(bad * logical).max(at);
                    let next = match options.reads_on {
                        true => Offset::new((bad / group + 1) * group * logical).min(range.end()),
                        false => range.end(),
                    };
                    let attempts = self.unit.system().disk().drive().attempts.of(bad / group);
                    (ByteRange::between(at, place), next, Some(words::media(class, bad, attempts)))
                }
            };
            let from = (at - range.start()) as usize;
            let part = &mut bytes[from..from + good.length() as usize];
            if let Err(error) = self.unit.fill(at, part) {
                return Served::At(now, Reply::failed(range, Errno::EIO, words::content(&error)));
            }
            if let Some(text) = text {
                let lost = ByteRange::between(good.end(), next);
                match troubles.last_mut().filter(|last| last.range.end() == lost.start()) {
                    // One bad run is one trouble.
                    Some(last) => last.range = ByteRange::between(last.range.start(), lost.end()),
                    None => troubles.push(Trouble {
                        range: lost,
                        at: Some(lost.start()),
                        errno: Errno::EIO,
                        text,
                    }),
                }
            }
            at = next;
        }
        Served::At(now, Reply::Answer(Answer { bytes, troubles }))
    }

    fn write(&mut self, range: ByteRange, bytes: &[u8], arrival: Nanos, options: &SimOptions) -> Served {
        let (outcome, done) = match self.unit.write(range.start(), bytes, arrival) {
            Ok(ended) => ended,
            Err(error) => {
                let errno = error.errno().unwrap_or(Errno::EIO);
                return Served::At(arrival, Reply::failed(range, errno, error.to_string()));
            }
        };
        match outcome {
            Outcome::Gone => gone(range, done, options),
            Outcome::OutOfTime => Served::Never,
            Outcome::Read(reply) => {
                let good = reply.good_bytes(bytes.len()) as u64;
                let troubles = reply.damage.map(|damage| Trouble {
                    range: ByteRange::between(range.start() + good, range.end()),
                    at: Some(range.start() + good),
                    errno: damage.errno,
                    text: words::write_fault((range.start() + good).bytes() / self.logical()),
                });
                let troubles = troubles.into_iter().collect();
                Served::At(done, Reply::Answer(Answer { bytes: Vec::new(), troubles }))
            }
        }
    }

    fn logical(&self) -> u64 {
        u64::from(self.unit.system().disk().shape().logical)
    }
}

/// What clients see of a drive that is not there.
fn gone(range: ByteRange, now: Nanos, options: &SimOptions) -> Served {
    match options.when_gone {
        WhenGone::Eio => Served::At(now, Reply::failed(range, Errno::ENODEV, words::GONE)),
        WhenGone::Shutdown => Served::At(now, Reply::Shutdown(words::GONE.into())),
        WhenGone::Drop | WhenGone::Refuse => Served::At(now, Reply::Drop),
        WhenGone::Mute => Served::Never,
    }
}
