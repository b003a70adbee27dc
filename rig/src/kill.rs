//! Ending a program at a moment it did not choose.
//!
//! Owns the choice of the moment and the killing. Must not know what the program is.

use std::process::{Command, ExitStatus};
use std::time::Duration;

use crate::content::mix;

/// How a program that was to be killed ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was done before the moment came.
    ByItself(ExitStatus),
    /// It was killed and could do nothing about it.
    Killed,
}

/// Chooses a moment between nothing and `latest` that depends on `seed` alone, to the microsecond.
pub fn moment(seed: u64, latest: Duration) -> Duration {
    let steps = latest.as_micros() as u64 + 1;
    Duration::from_micros(mix(seed) % steps)
}

/// Runs `command`, sends SIGKILL when `after` has passed, and tells how it ended.
///
/// What it prints must go to a file or to nowhere: nobody reads its pipes.
pub fn run_and_kill(command: &mut Command, after: Duration) -> Ended {
    let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    let step = Duration::from_millis(1);
    let mut left = after;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ended::ByItself(status),
            Ok(None) if left.is_zero() => break,
            Ok(None) => {}
            Err(e) => panic!("cannot wait for {command:?}: {e}"),
        }
        crate::pause(left.min(step));
        left = left.saturating_sub(step);
    }
    let _ = child.kill();
    let status = child.wait().unwrap_or_else(|e| panic!("cannot wait for {command:?}: {e}"));
    // It may have come to its end between the look and the blow.
    if status.code().is_some() { Ended::ByItself(status) } else { Ended::Killed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_depends_on_its_seed_alone_and_keeps_its_limit() {
        let latest = Duration::from_millis(20);
        let moments: Vec<Duration> = (0..100).map(|seed| moment(seed, latest)).collect();
        assert_eq!(moments, (0..100).map(|seed| moment(seed, latest)).collect::<Vec<_>>());
        assert!(moments.iter().all(|m| *m <= latest));
        assert_ne!(moments[0], moments[1]);
    }

    #[test]
    fn a_program_that_is_done_in_time_is_told_from_one_that_was_killed() {
        let ended = run_and_kill(&mut Command::new("true"), Duration::from_secs(30));
        assert!(matches!(ended, Ended::ByItself(status) if status.success()), "{ended:?}");
        let ended = run_and_kill(Command::new("sleep").arg("60"), Duration::from_millis(5));
        assert_eq!(ended, Ended::Killed);
    }
}
