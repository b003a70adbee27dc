//! What the system's page cache is told about a source that is read through it.
//!
//! Owns the decisions: when to read nothing ahead, and what to forget. Must not know what is read, nor why.

use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::fcntl::{PosixFadviseAdvice as Advice, posix_fadvise};
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};

use crate::ByteRange;

/// After damage so many bytes must be read well before the system may read ahead again: what it fetches on its own there
/// it tries again and again, and logs errors for sectors that nobody asked for.
const CAREFUL_BYTES: u64 = 16 << 20;
/// Reads below this size look for the edge of damage: whoever copies reads more at once.
const PROBE_BYTES: u64 = 32 << 10;
/// What was read is forgotten when so many bytes behind it have been read: the newest pages are still in somebody's hands.
const KEPT_BYTES: u64 = 8 << 20;

/// Advises the page cache about one source.
#[derive(Debug)]
pub(super) struct Adviser {
    state: Mutex<State>,
}

#[derive(Clone, Debug)]
struct State {
    /// Bytes read well since the last damage.
    clean: u64,
    /// Whether the system was told to read nothing ahead.
    is_careful: bool,
    /// Whether pages can be forgotten: where the page cache is all there is, they cannot.
    forgets: bool,
    /// What was read in a row and is not forgotten yet.
    behind: ByteRange,
}

impl Adviser {
    /// Advises about a freshly opened file.
    pub(super) fn new(file: &File) -> Adviser {
        // A device's name lies in memory, too, but not what it holds.
        let is_regular = file.metadata().is_ok_and(|metadata| metadata.is_file());
        let is_memory = is_regular && fstatfs(file).is_ok_and(|stat| stat.filesystem_type() == TMPFS_MAGIC);
        let behind = ByteRange::default();
        let state = State { clean: u64::MAX, is_careful: false, forgets: !is_memory, behind };
        Adviser { state: Mutex::new(state) }
    }

    /// For the same source, opened again.
    pub(super) fn renewed(&self) -> Adviser {
        let state = self.lock().clone();
        Adviser { state: Mutex::new(State { is_careful: false, ..state }) }
    }

    /// To be called before a read of `length` bytes.
    pub(super) fn before(&self, file: &File, length: u64) {
        if let Some(advice) = self.lock().before(length) {
            // Advice is all that it is: a system that takes none reads as it always does.
            let _ = posix_fadvise(file, 0, 0, advice);
        }
    }

    /// To be called after a read that brought `good`, and damage if `is_damaged`.
    pub(super) fn after(&self, file: &File, good: ByteRange, is_damaged: bool) {
        let forgotten = self.lock().after(good, is_damaged);
        if let Some(range) = forgotten {
            let (start, length) = (range.start().bytes() as i64, range.length() as i64);
            let _ = posix_fadvise(file, start, length, Advice::POSIX_FADV_DONTNEED);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn before(&mut self, length: u64) -> Option<Advice> {
        let is_careful = self.clean < CAREFUL_BYTES || length < PROBE_BYTES;
        let was_careful = std::mem::replace(&mut self.is_careful, is_careful);
        match (was_careful, is_careful) {
            (false, true) => Some(Advice::POSIX_FADV_RANDOM),
            (true, false) => Some(Advice::POSIX_FADV_NORMAL),
            _ => None,
        }
    }

    /// Returns what to forget.
    fn after(&mut self, good: ByteRange, is_damaged: bool) -> Option<ByteRange> {
        self.clean = if is_damaged { 0 } else { self.clean.saturating_add(good.length()) };
        if !self.forgets || good.is_empty() {
            return None;
        }
        let behind = self.behind;
        if behind.end() == good.start() {
            let grown = ByteRange::between(behind.start(), good.end());
            let (old, new) = grown.split_at(grown.end().saturating_back(KEPT_BYTES).max(grown.start()));
            let is_due = old.length() >= KEPT_BYTES;
            self.behind = if is_due { new } else { grown };
            return is_due.then_some(old);
        }
        if good.end() == behind.start() {
            let grown = ByteRange::between(good.start(), behind.end());
            let (new, old) = grown.split_at((grown.start() + KEPT_BYTES).min(grown.end()));
            let is_due = old.length() >= KEPT_BYTES;
            self.behind = if is_due { new } else { grown };
            return is_due.then_some(old);
        }
        self.behind = good;
        (!behind.is_empty()).then_some(behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Offset;

    const PIECE: u64 = 1 << 20;

    fn state() -> State {
        State { clean: u64::MAX, is_careful: false, forgets: true, behind: ByteRange::default() }
    }

    fn piece(index: u64) -> ByteRange {
        ByteRange::new(Offset::new(index * PIECE), PIECE)
    }

    #[test]
    fn nothing_is_read_ahead_after_damage_until_enough_was_read_well() {
        let mut state = state();
        assert_eq!(state.before(PIECE), None);
        state.after(piece(0), true);
        assert_eq!(state.before(PIECE), Some(Advice::POSIX_FADV_RANDOM));
        for index in 0..CAREFUL_BYTES / PIECE {
            assert_eq!(state.before(PIECE), None);
            state.after(piece(index), false);
        }
        assert_eq!(state.before(PIECE), Some(Advice::POSIX_FADV_NORMAL));
    }

    #[test]
    fn nothing_is_read_ahead_of_a_single_sector() {
        let mut state = state();
        assert_eq!(state.before(512), Some(Advice::POSIX_FADV_RANDOM));
        assert_eq!(state.before(512), None);
        assert_eq!(state.before(64 << 10), Some(Advice::POSIX_FADV_NORMAL));
    }

    #[test]
    fn all_but_the_newest_of_what_was_read_in_a_row_is_forgotten_once() {
        let kept = KEPT_BYTES / PIECE;
        let forwards: Vec<u64> = (0..64).collect();
        let backwards: Vec<u64> = (0..64).rev().collect();
        for order in [forwards, backwards] {
            let mut state = state();
            let mut forgotten = Vec::new();
            for index in &order {
                let range = state.after(piece(*index), false).unwrap_or_default();
                forgotten
                    .extend((range.start().bytes() / PIECE..range.end().bytes() / PIECE).collect::<Vec<_>>());
            }
            let left = 64 - forgotten.len() as u64;
            assert!((kept..2 * kept).contains(&left), "{left} pieces are kept");
            forgotten.sort_unstable();
            let mut expected = order[..forgotten.len()].to_vec();
            expected.sort_unstable();
            assert_eq!(forgotten, expected);
        }
    }

    #[test]
    fn who_reads_elsewhere_has_what_was_before_forgotten_unless_memory_is_all_there_is() {
        let mut disk = state();
        disk.after(piece(0), false);
        disk.after(piece(1), false);
        assert_eq!(disk.after(piece(50), false), Some(ByteRange::new(Offset::ZERO, 2 * PIECE)));
        let mut memory = State { forgets: false, ..state() };
        memory.after(piece(0), false);
        assert_eq!(memory.after(piece(50), false), None);
    }
}
