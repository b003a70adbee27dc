//! Reading again what could be read before: after an error some drives give something else, and say nothing.
//!
//! Owns what is remembered for that, when it is time to look, and what a look shows. Must not know what is read next.

use std::num::NonZeroU64;

use block::{ByteRange, Offset, Patience, zero};

use super::{Rescue, Stop, Trouble};

/// When a sector that was read well is read again and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recheck {
    /// Never.
    Never,
    /// After each error. One that comes before any sector was read well stops the run, too, as GNU ddrescue does it.
    EachError,
    /// After so many errors, and again after as many more. What is compared was read before the first of them, and is no
    /// zeros: what a drive gives after an error proves nothing. Without that nothing is looked at. Reads are joined as ever.
    EveryErrors(NonZeroU64),
}

/// A sector that was read well.
#[derive(Debug, Default)]
pub(super) struct Witness {
    sector: Option<(Offset, Vec<u8>)>,
    /// What reading it again showed.
    suspicion: Option<Trouble>,
}

impl Rescue<'_> {
    /// Remembers the first sector of what `read` brought, if that is worth it.
    pub(super) fn remember(&mut self, read: ByteRange, data: &[u8]) {
        let (at, sector) = (read.start(), self.options.sector);
        if (data.len() as u64) < sector || at.align_up(sector) != at {
            return;
        }
        let first = &data[..sector as usize];
        let is_worth_it = match self.options.recheck {
            Recheck::Never => false,
            Recheck::EachError => true,
            Recheck::EveryErrors(count) => {
                let has_failed = (data.len() as u64) < read.length();
                let is_trusted = self.rates.read_errors().is_multiple_of(count.get());
                is_trusted && !has_failed && !zero::is_zero(first)
            }
        };
        if is_worth_it {
            self.witness.sector = Some((at, first.to_vec()));
        }
    }

    /// After a failed read: looks whether the source still gives what it gave before, if it is time for that.
    pub(super) fn recheck(&mut self) -> Result<(), Stop> {
        let is_due = match self.options.recheck {
            Recheck::Never => false,
            Recheck::EachError => true,
            Recheck::EveryErrors(count) => self.rates.read_errors().is_multiple_of(count.get()),
        };
        // A source that is busy with a read that was left behind is asked nothing.
        if !is_due || self.reader.busy_with().is_some() {
            return Ok(());
        }
        let Some((at, expected)) = self.witness.sector.clone() else {
            let is_strict = self.options.recheck == Recheck::EachError;
            self.witness.suspicion = is_strict.then_some(Trouble::NoGoodSectorYet);
            return Ok(());
        };
        let range = ByteRange::new(at, expected.len() as u64);
        let (buffer, result) =
            self.watched(range, |reader, wait| reader.single(range, Patience::Endless, wait))?;
        let trouble = match result {
            Ok(reply) if reply.good_bytes(expected.len()) < expected.len() => {
                Some(Trouble::NoMoreData { at })
            }
            Ok(_) if buffer[..expected.len()] != expected[..] => Some(Trouble::InconsistentData { at }),
            Ok(_) => None,
            Err(_) => Some(Trouble::NoMoreData { at }),
        };
        self.reader.recycle(buffer);
        self.witness.suspicion = trouble;
        Ok(())
    }

    /// What the last good sector showed stops the run at the next read, so that a resume does not try the bad place
    /// again.
    pub(super) fn stop_if_suspicious(&mut self) -> Result<(), Stop> {
        self.witness.suspicion.take().map_or(Ok(()), |trouble| Err(Stop::Failed(trouble)))
    }
}
