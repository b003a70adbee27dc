//! Who has been killed.
//!
//! Owns reading it from `/proc`. Must not know why somebody wants to know.
//!
//! The kernel tells a FUSE server of each signal that a waiting reader gets, whether it is deadly or not; and a reader
//! that only handles a timer's signal must not lose its read, which a disk would not do either. So the reader is looked
//! at.

use std::fs;

/// Of the flags of a thread, the one that says that it is ending (PF_EXITING).
const EXITING: u64 = 4;
/// The bit of SIGKILL among the signals that a thread has not taken yet. The kernel turns every deadly signal into this one.
const KILL: u64 = 1 << 8;

/// Whether a thread has been killed, or its process ends. `false` for 0, which is nobody we can see.
pub(crate) fn is_dying(thread: u32) -> bool {
    if thread == 0 {
        return false;
    }
    let Ok(status) = fs::read_to_string(format!("/proc/{thread}/status")) else { return false };
    is_killed(&status) || is_ending(thread)
}

fn is_killed(status: &str) -> bool {
    let pending = |line: &str| {
        let mask = line.strip_prefix("SigPnd:").or_else(|| line.strip_prefix("ShdPnd:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    };
    status.lines().filter_map(pending).any(|mask| mask & KILL != 0)
}

/// Whether all threads of its process are ending: one that reads in the background waits for its reads as it goes.
fn is_ending(thread: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{thread}/task")) else { return false };
    let mut flags = threads.flatten().map(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).ok()?;
        flags_of(&stat)
    });
    flags.all(|flags| flags.is_none_or(|flags| flags & EXITING != 0))
}

/// The flags in a thread's line of `/proc`, whose second field is a name in parentheses with anything in it.
fn flags_of(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(6)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_deadly_signal_counts() {
        let status = |own: &str, shared: &str| format!("Name:\tx\nSigPnd:\t{own}\nShdPnd:\t{shared}\n");
        assert!(is_killed(&status("0000000000000100", "0000000000000000")));
        assert!(is_killed(&status("0000000000000000", "0000000000004100")));
        assert!(!is_killed(&status("0000000000000000", "0000000000004000")));
        assert!(!is_killed(""));
    }

    #[test]
    fn names_do_not_confuse() {
        assert_eq!(flags_of("1 (a) R (b) S 1 2 3 4 5 4194308 0 0"), Some(4_194_308));
        assert_eq!(flags_of("nothing"), None);
    }

    #[test]
    fn whoever_lives_is_not_dying() {
        assert!(!is_dying(std::process::id()));
        assert!(!is_dying(0));
        assert!(!is_dying(u32::MAX));
    }
}
