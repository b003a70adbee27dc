//! Two processes: one that rescues, and one in front of it that can always leave.
//!
//! Owns the pair and what each signal means to it. Must not know what a rescue does.
//!
//! A process cannot end while one of its threads waits in the kernel for a drive that does not answer; not even SIGKILL
//! ends it. So the process that the shell knows does nothing but wait and pass signals on: the first one as a request to
//! stop, and at the second one it leaves at once, which takes the rescuer along as soon as the drive lets go of it. The
//! map on the disk is whole at every moment, so nothing has to be finished first.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt, parent_id};
use std::process::{Child, Command, ExitCode, ExitStatus};

use block::{Clock, Nanos, WallClock};
use nix::sys::signal::{Signal, kill, raise};
use nix::unistd::Pid;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::failure;

/// Tells the rescuer who its guard is.
const GUARD: &str = "DISKWRIGHT_GUARD";
/// What the guard sends when the rescuer is to stop.
pub const STOP: Signal = Signal::SIGUSR2;
/// Who sends a signal twice within this time wishes once: `timeout` sends its own to the program and again to its group.
const ONE_WISH: Nanos = Nanos::from_millis(300);
/// Leaves the live screen and shows the cursor.
const TERMINAL_BACK: &[u8] = b"\x1b[?1049l\x1b[?25h";

/// Which of the two this process is.
pub enum Role {
    /// The one that rescues.
    Rescuer,
    /// The one in front; the rescue has ended in this way.
    Guard(ExitCode),
}

/// Becomes one of the two.
pub fn divide(words: &[OsString]) -> Role {
    if let Ok(guard) = std::env::var(GUARD) {
        // First this, then the look: whoever guards may go at any moment, and nobody could stop this any more.
        let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
        if guard == parent_id().to_string() {
            return Role::Rescuer;
        }
        return Role::Guard(ExitCode::from(failure::STOPPED));
    }
    // Listening comes first, so that no signal and no end is missed. What a caller such as nohup ignores stays ignored.
    let ignored = ignored_signals();
    let heard = [SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGCHLD].into_iter();
    let Ok(mut signals) =
        Signals::new(heard.filter(|signal| ignored >> (signal - 1) & 1 == 0 || *signal == SIGCHLD))
    else {
        return Role::Rescuer;
    };
    let spawned = std::env::current_exe().and_then(|program| {
        let mut command = Command::new(program);
        command.args(&words[1..]).env(GUARD, std::process::id().to_string());
        command.arg0(words.first().cloned().unwrap_or_default());
        command.spawn()
    });
    let Ok(mut child) = spawned else { return Role::Rescuer };
    let id = Pid::from_raw(child.id() as i32);
    let clock = WallClock::new();
    let mut asked: Option<(i32, Nanos)> = None;
    loop {
        for signal in signals.wait() {
            match signal {
                // The second one is between the two processes; from elsewhere it means nothing.
                SIGCHLD | SIGUSR2 => {}
                SIGUSR1 => drop(kill(id, Signal::SIGUSR1)),
                SIGTSTP => suspend(id),
                _ => match asked {
                    None => {
                        asked = Some((signal, clock.now()));
                        let _ = kill(id, STOP);
                    }
                    Some((first, at)) if is_same_wish(first, signal, clock.now().since(at)) => {}
                    Some(_) => {
                        give_terminal_back();
                        leave(signal);
                    }
                },
            }
        }
        if let Some(status) = end_of(&mut child) {
            return Role::Guard(pass_on(status, asked.map(|(signal, _)| signal)));
        }
    }
}

/// Whether `signal`, so long after the `first` one, says nothing new. A terminal that is closed hangs up on its programs,
/// and the shell hangs up on them once more: nobody is there any more who could be impatient.
fn is_same_wish(first: i32, signal: i32, passed: Nanos) -> bool {
    passed < ONE_WISH || (first, signal) == (SIGHUP, SIGHUP)
}

/// Ctrl-Z: stops both until somebody lets this one go on. A drive that hangs keeps nobody from the shell.
fn suspend(rescuer: Pid) {
    let _ = kill(rescuer, Signal::SIGSTOP);
    // What it was drawing comes first.
    WallClock::new().sleep(Nanos::from_millis(20));
    give_terminal_back();
    let _ = raise(Signal::SIGSTOP);
    let _ = kill(rescuer, Signal::SIGCONT);
}

/// Leaves the live screen in the rescuer's place, which may not get to that itself.
fn give_terminal_back() {
    let mut out = std::io::stderr();
    if out.is_terminal() {
        let _ = out.write_all(TERMINAL_BACK);
    }
}

/// Whether somebody stands in front and passes signals on.
pub fn is_guarded() -> bool {
    std::env::var_os(GUARD).is_some()
}

/// The signals that whoever started this wants ignored; bit 0 is signal 1.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

fn end_of(child: &mut Child) -> Option<ExitStatus> {
    child.try_wait().ok().flatten()
}

/// Ends as the rescuer did; by the signal that was received, if that is what stopped it.
fn pass_on(status: ExitStatus, asked: Option<i32>) -> ExitCode {
    match (status.code(), status.signal(), asked) {
        (Some(code), _, Some(asked)) if code == i32::from(failure::STOPPED) => leave(asked),
        (Some(code), ..) => return ExitCode::from(code as u8),
        // It was asked before it began to listen: nothing had begun.
        (None, Some(_), Some(asked)) => leave(asked),
        (None, Some(signal), None) => leave(signal),
        (None, None, _) => {}
    }
    ExitCode::FAILURE
}

/// Ends by a signal.
fn leave(signal: i32) {
    let _ = emulate_default_handler(signal);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_that_come_together_are_one_wish_and_so_are_hang_ups_that_come_later() {
        let later = Nanos::from_secs(1);
        assert!(is_same_wish(SIGTERM, SIGTERM, Nanos::ZERO));
        assert!(is_same_wish(SIGINT, SIGTERM, Nanos::from_millis(299)));
        assert!(is_same_wish(SIGHUP, SIGHUP, later));
        assert!(!is_same_wish(SIGINT, SIGINT, later));
        assert!(!is_same_wish(SIGHUP, SIGTERM, later));
    }
}
