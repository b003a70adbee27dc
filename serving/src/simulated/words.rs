//! What a simulated disk says of its troubles.
//!
//! Owns the texts of errors: one line each, of a form that stays. Must not know protocols.

use simulator::Lba;
use simulator::law::ErrorClass;
use simulator::outlook::Outlook;

use crate::device::Health;

/// The drive has left the bus.
pub(super) const GONE: &str = "transport: the drive is not there";

/// A request that was cut short.
pub(super) const ABORTED: &str = "drive: command aborted by a reset";

/// Somebody released a request that was hanging.
pub(super) const RELEASED: &str = "drive: no answer; released";

/// A read failed.
pub(super) fn media(class: ErrorClass, sector: Lba, attempt: u32) -> String {
    let (what, code) = match class {
        ErrorClass::Uncorrectable => ("media: unrecovered read error", "11/00"),
        ErrorClass::AddressMark => ("media: address mark not found", "13/00"),
        ErrorClass::NotFound => ("media: record not found", "14/01"),
        ErrorClass::Aborted => ("drive: command aborted", "00/00"),
        ErrorClass::LinkChecksum => ("link: checksum error", "47/00"),
        ErrorClass::NotReady => ("drive: not ready", "04/01"),
        ErrorClass::IllegalMode => ("media: illegal mode for this track", "64/00"),
    };
    format!("{what}, sector {sector}, asc {code}, attempt {attempt}")
}

/// A write failed.
pub(super) fn write_fault(sector: Lba) -> String {
    format!("media: write error, sector {sector}, asc 0c/00")
}

/// What is told of the health of a stretch.
pub(super) fn health(outlook: &Outlook) -> Health {
    let bits = [
        (outlook.is_bad, Health::BAD),
        (outlook.is_slow, Health::SLOW),
        (outlook.is_recoverable, Health::RECOVERABLE),
        (outlook.hangs, Health::HANG),
        (outlook.is_renewed, Health::REMAPPED),
        (outlook.is_fragile, Health::FRAGILE),
        (outlook.is_hot, Health::HOT),
    ];
    Health(bits.iter().filter(|(is_so, _)| *is_so).map(|(_, bit)| bit).sum())
}

/// The image that the disk's bytes come from cannot be read.
pub(super) fn content(error: &impl std::error::Error) -> String {
    let mut text = format!("this machine, not the disk: {error}");
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(&format!(": {inner}"));
        source = inner.source();
    }
    text.replace('\n', " ")
}
