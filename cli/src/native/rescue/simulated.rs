//! A simulated disk as the source of a rescue, and the judging of what the rescue made of it.
//!
//! Owns the way from `sim:NAME` to a source, and the comparison of the image with the truth. Must not know how a disk
//! is simulated.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use block::device::DeviceInfo;
use block::source::Access;
use block::{BlockSource, ByteRange, Clock, Nanos, Offset, RangeSet, VirtualClock};
use engine::Book;
use map::masked::finished_of;
use simulator::scenario::address::{Address, AddressError};
use simulator::scenario::library::OpenError;
use simulator::{Pace, Scenario, SimSource};

use super::failure::{Failure, chain};

/// A simulated disk that a command line names.
pub(super) struct Simulation {
    /// Its scenario.
    pub(super) scenario: Scenario,
    /// Its seed.
    pub(super) seed: u64,
    /// Which way reads take, if somebody said so.
    pub(super) access: Option<simulator::Access>,
    /// How fast its time passes.
    pub(super) pace: Pace,
    /// Its time.
    pub(super) clock: Arc<VirtualClock>,
}

impl Simulation {
    /// Finds the disk that a source's name means; `None` if it names a file or device.
    pub(super) fn named(source: &Path) -> Result<Option<Simulation>, Failure> {
        let Some(address) = source.to_str().and_then(Address::parse) else { return Ok(None) };
        let address = address.map_err(failure)?;
        let scenario = address.scenario().map_err(failure)?;
        Ok(Some(Simulation {
            seed: address.seed.unwrap_or(scenario.seed()),
            scenario,
            access: address.access,
            pace: Pace::Instant,
            clock: Arc::new(VirtualClock::new(Nanos::ZERO)),
        }))
    }

    /// Which way reads take.
    pub(super) fn access(&self) -> simulator::Access {
        self.scenario.system_options(self.access).access
    }

    /// Takes note of what the rescue's own options say of that.
    pub(super) fn prefer(&mut self, access: Access) {
        self.access.get_or_insert(match access {
            Access::Direct => simulator::Access::Direct,
            Access::Buffered => simulator::Access::Buffered,
        });
    }

    /// Opens the disk.
    pub(super) fn open(&self) -> Result<SimSource, Failure> {
        self.scenario
            .source(self.seed, self.access, self.clock.clone(), self.pace)
            .map_err(|error| failure(error.into()))
    }

    /// What a kernel would say about it.
    pub(super) fn info(&self, path: &Path, source: &SimSource) -> DeviceInfo {
        let geometry = source.geometry();
        DeviceInfo {
            size: geometry.size,
            logical_sector: geometry.logical_sector,
            physical_sector: geometry.physical_sector,
            is_block_device: true,
            model: Some(format!("simulated {}", self.scenario.name)),
            serial: Some(format!("seed {}", self.seed)),
            ..DeviceInfo::unknown(path)
        }
    }

    /// What a fingerprint begins with.
    pub(super) fn subject(&self) -> Vec<u8> {
        [&self.seed.to_le_bytes()[..], &self.scenario.digest].concat()
    }

    /// Compares what is called rescued with the truth.
    pub(super) fn judge(
        &self,
        source: &SimSource,
        book: &Book,
        image: Option<(&Path, i64)>,
        fingerprint: String,
    ) -> Result<Verdict, Failure> {
        let lost =
            self.scenario.lost_within(self.seed, book.domain()).map_err(|error| failure(error.into()))?;
        let lost = lost.bytes();
        let finished = finished_of(book.map());
        let wrong_bytes = match image {
            None => source.garbled().intersection(&finished).bytes(),
            Some((path, shift)) => wrong_bytes(source, &finished, path, shift)?,
        };
        Ok(Verdict {
            recoverable_bytes: book.domain_bytes() - lost,
            wrong_bytes,
            virtual_time: self.clock.now(),
            seed: self.seed,
            fingerprint,
        })
    }
}

/// What became of a simulated disk.
pub(super) struct Verdict {
    /// Bytes of the domain that some attempt of the first thousand at their sector brings.
    pub(super) recoverable_bytes: u64,
    /// Bytes of sectors called rescued that do not hold the disk's bytes.
    pub(super) wrong_bytes: u64,
    /// How long the rescue took in the disk's time.
    pub(super) virtual_time: Nanos,
    /// The disk's seed.
    pub(super) seed: u64,
    /// Everything that happened, in one number.
    pub(super) fingerprint: String,
}

/// Bytes of an image that differ from the truth.
fn wrong_bytes(source: &SimSource, finished: &RangeSet, path: &Path, shift: i64) -> Result<u64, Failure> {
    let unreadable = |e: std::io::Error| {
        Failure::system(format!("{}: cannot read the image to verify it: {e}", path.display()))
    };
    let file = File::open(path).map_err(unreadable)?;
    let (mut image, mut truth) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut wrong = 0;
    let sector = source.geometry().logical_sector as usize;
    for range in finished.ranges() {
        let mut at = range.start();
        while at < range.end() {
            let piece = ByteRange::between(at, (at + (1 << 20)).min(range.end()));
            let length = piece.length() as usize;
            let place = at.shifted(shift).unwrap_or(Offset::MAX).bytes();
            file.read_exact_at(&mut image[..length], place).map_err(unreadable)?;
            source.truth(at, &mut truth[..length]).map_err(|e| Failure::system(chain(&e)))?;
            if image[..length] != truth[..length] {
                // In whole sectors, as the drive delivers them.
                let sectors = image[..length].chunks(sector).zip(truth[..length].chunks(sector));
                wrong += sectors.filter(|(a, b)| a != b).map(|(a, _)| a.len() as u64).sum::<u64>();
            }
            at = piece.end();
        }
    }
    Ok(wrong)
}

fn failure(error: AddressError) -> Failure {
    match &error {
        AddressError::Grammar(_)
        | AddressError::Open(OpenError::Unknown { .. } | OpenError::NoTwin { .. }) => {
            Failure::usage(chain(&error))
        }
        AddressError::Open(OpenError::Unreadable { .. }) => Failure::system(chain(&error)),
        AddressError::Open(OpenError::Wrong(_)) => Failure::bad_input(error.to_string()),
    }
}
