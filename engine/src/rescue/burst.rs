//! A row of reads that all fail at once: what a dead device does that still has its name.
//!
//! Owns the suspicion, and what must be taken back if it proves right. Must not know how it is proved.

use block::{ByteRange, Nanos};
use map::Status;

/// A failed read that took less cannot have waited for the disk to turn once more.
const FAST: Nanos = Nanos::from_millis(5);
/// One slow failure among so many fast ones is the system's doing, not the drive's.
const FAST_PER_SLOW: usize = 8;
/// So many more may be slow: a drive may take its time to hang up.
const SLOW_FIRST: usize = 4;
/// Fast failures in a row that raise the suspicion.
const SUSPICIOUS_READS: usize = 64;
/// The suspicion rises later each time that it proves wrong, so that a large dead area costs few extra reads.
const SUSPICIOUS_READS_MAX: usize = 1 << 16;

/// Fast failures in a row.
#[derive(Clone, Debug)]
pub(super) struct Burst {
    /// What was marked, and what it was before.
    marks: Vec<(ByteRange, Status)>,
    /// How many of them were not fast.
    slow: usize,
    limit: usize,
    /// The last read that brought data.
    proof: Option<ByteRange>,
}

impl Burst {
    pub(super) fn new() -> Burst {
        Burst { marks: Vec::new(), slow: 0, limit: SUSPICIOUS_READS, proof: None }
    }

    /// A read brought data.
    pub(super) fn good(&mut self, read: ByteRange) {
        self.clear();
        self.proof = Some(read);
    }

    /// A read failed after `took`; what it did not bring was `before`.
    pub(super) fn failed(&mut self, unread: ByteRange, before: Status, took: Nanos) {
        self.marks.push((unread, before));
        self.slow += usize::from(took >= FAST);
        if self.slow > SLOW_FIRST + self.marks.len() / FAST_PER_SLOW {
            self.clear();
        }
    }

    /// The last read that brought data.
    pub(super) fn proof(&self) -> Option<ByteRange> {
        self.proof
    }

    /// What to read once more, if it is time to be suspicious.
    pub(super) fn suspicion(&self) -> Option<ByteRange> {
        self.proof.filter(|_| self.marks.len() >= self.limit)
    }

    /// The device still answers where it did.
    pub(super) fn dispelled(&mut self) {
        self.clear();
        self.limit = (self.limit * 2).min(SUSPICIOUS_READS_MAX);
    }

    fn clear(&mut self) {
        self.marks.clear();
        self.slow = 0;
    }

    /// It does not: returns what was marked without reason, last first.
    pub(super) fn take_back(&mut self) -> impl Iterator<Item = (ByteRange, Status)> + use<> {
        std::mem::take(&mut self.marks).into_iter().rev()
    }
}
