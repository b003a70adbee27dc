//! What a client and the server agree on before the first request.
//!
//! Owns the flags, sizes and contexts of an export. Must not know how they are negotiated, nor what is asked later.

use serving::{Facts, Moment};

use crate::wire::{self, export};

/// The most bytes that one request may carry, and that one reply without structure may.
pub const PAYLOAD_MAX: u32 = 32 << 20;

/// The name of the context that tells what is known of the medium.
pub const HEALTH: &str = "x-diskwright:health";
/// The same, before the first request.
pub const HEALTH_AT_START: &str = "x-diskwright:health@start";

/// Something that can be asked about every byte of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Context {
    /// Holes and zeros.
    Allocation,
    /// What is known of the medium.
    Health(HealthMoment),
}

/// When the medium is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HealthMoment {
    /// Now.
    Now,
    /// Before the first request.
    Start,
}

impl From<HealthMoment> for Moment {
    fn from(moment: HealthMoment) -> Moment {
        match moment {
            HealthMoment::Now => Moment::Now,
            HealthMoment::Start => Moment::Start,
        }
    }
}

impl Context {
    /// All that are offered for a disk.
    pub fn offered(facts: &Facts) -> Vec<Context> {
        let mut offered = vec![Context::Allocation];
        if facts.has_health {
            offered.extend([HealthMoment::Now, HealthMoment::Start].map(Context::Health));
        }
        offered
    }

    /// What clients call it.
    pub fn name(self) -> &'static str {
        match self {
            Context::Allocation => wire::BASE_ALLOCATION,
            Context::Health(HealthMoment::Now) => HEALTH,
            Context::Health(HealthMoment::Start) => HEALTH_AT_START,
        }
    }

    /// Its number in replies, never 0.
    pub fn id(self) -> u32 {
        match self {
            Context::Allocation => 1,
            Context::Health(HealthMoment::Now) => 2,
            Context::Health(HealthMoment::Start) => 3,
        }
    }
}

/// The smallest piece that clients may read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SmallestBlock {
    /// A sector of the disk; a part of one, if sectors are of a size that the protocol cannot tell.
    #[default]
    Sector,
    /// A byte: the sectors around it are read for it.
    Byte,
}

/// What was agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Bytes of the export.
    pub size: u64,
    /// Offsets and lengths are multiples of it, in bytes.
    pub block: u32,
    /// What the device reads and writes is a multiple of it, in bytes: the block, or larger.
    pub sector: u32,
    /// Bytes that the client had better ask for at a time.
    pub preferred: u32,
    /// Flags of the export; see [`export`].
    pub flags: u16,
    /// Whether replies come in chunks.
    pub is_structured: bool,
    /// What BLOCK_STATUS tells.
    pub contexts: Vec<Context>,
}

impl Terms {
    /// The terms of a disk. `Err` says why it cannot be served.
    pub fn of(facts: &Facts, is_structured: bool, smallest: SmallestBlock) -> Result<Terms, String> {
        let sector = facts.logical_sector;
        if sector == 0 || !facts.size.is_multiple_of(u64::from(sector)) {
            return Err(format!("its {} bytes are no whole number of sectors of {sector}", facts.size));
        }
        let block = match smallest {
            SmallestBlock::Byte => 1,
            // The protocol knows powers of two only, up to this.
            SmallestBlock::Sector => (1 << sector.trailing_zeros()).min(1 << 16),
        };
        if facts.size > i64::MAX as u64 {
            return Err(format!("{} bytes are more than 2^63 - 1", facts.size));
        }
        let preferred = facts.physical_sector.clamp(4096.max(block), PAYLOAD_MAX);
        let preferred = preferred.checked_next_power_of_two().unwrap_or(PAYLOAD_MAX).min(PAYLOAD_MAX);
        let flags = flags(facts, is_structured);
        let contexts = Vec::new();
        Ok(Terms { size: facts.size, block, sector, preferred, flags, is_structured, contexts })
    }

    /// Whether the client may write.
    pub fn is_writable(&self) -> bool {
        self.flags & export::READ_ONLY == 0
    }
}

fn flags(facts: &Facts, is_structured: bool) -> u16 {
    // One device stands behind all connections; a FLUSH of what cannot be written harms nobody.
    let mut flags = export::HAS_FLAGS | export::SEND_FLUSH | export::CAN_MULTI_CONN | export::SEND_CACHE;
    flags |= match facts.is_writable {
        true => export::SEND_FUA | export::SEND_TRIM | export::SEND_WRITE_ZEROES | export::SEND_FAST_ZERO,
        false => export::READ_ONLY,
    };
    if is_structured {
        flags |= export::SEND_DF;
    }
    if facts.rotates {
        flags |= export::ROTATIONAL;
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            size: 1 << 20,
            logical_sector: 512,
            physical_sector: 4096,
            rotates: true,
            is_writable: false,
            has_health: false,
            description: String::new(),
        }
    }

    fn of(facts: &Facts, is_structured: bool) -> Result<Terms, String> {
        Terms::of(facts, is_structured, SmallestBlock::Sector)
    }

    #[test]
    fn a_disk_that_cannot_be_written_says_so_and_offers_no_command_that_writes() {
        let terms = of(&facts(), true).unwrap();
        let expected = [0, 1, 2, 4, 7, 8, 10].iter().map(|bit| 1 << bit).sum::<u16>();
        assert_eq!(terms.flags, expected);
        assert_eq!(of(&facts(), false).unwrap().flags, expected & !export::SEND_DF);
        let writable = Facts { is_writable: true, rotates: false, ..facts() };
        let expected = [0, 2, 3, 5, 6, 7, 8, 10, 11].iter().map(|bit| 1 << bit).sum::<u16>();
        assert_eq!(of(&writable, true).unwrap().flags, expected);
    }

    #[test]
    fn the_preferred_size_is_a_power_of_two_of_4096_at_least() {
        for (logical, physical, preferred) in
            [(512, 512, 4096), (512, 16384, 16384), (2048, 2352, 4096), (4096, 4096, 4096), (512, 5000, 8192)]
        {
            let facts = Facts { logical_sector: logical, physical_sector: physical, ..facts() };
            let terms = of(&facts, true).unwrap();
            assert_eq!((terms.block, terms.preferred), (logical, preferred));
        }
    }

    #[test]
    fn sectors_of_odd_sizes_are_told_as_parts_of_sectors() {
        for (sector, block) in
            [(512, 512), (4096, 4096), (520, 8), (65024, 512), (2352, 16), (1 << 18, 1 << 16)]
        {
            let facts = Facts { logical_sector: sector, size: u64::from(sector) * 10, ..facts() };
            let terms = of(&facts, true).unwrap();
            assert_eq!((terms.sector, terms.block), (sector, block));
            assert_eq!(Terms::of(&facts, true, SmallestBlock::Byte).unwrap().block, 1);
        }
    }

    #[test]
    fn what_the_protocol_cannot_tell_is_not_served() {
        for facts in [
            Facts { size: 1000, ..facts() },
            Facts { logical_sector: 0, ..facts() },
            Facts { size: 1 << 63, ..facts() },
        ] {
            assert!(of(&facts, true).is_err(), "{facts:?}");
        }
    }
}
