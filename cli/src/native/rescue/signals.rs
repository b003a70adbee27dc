//! What the rescuer hears: its guard asking it to stop, and SIGUSR1 asking how things stand.
//!
//! Owns these flags. Must not know what is being stopped.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGUSR1};

use super::guard;

/// Listens for signals.
pub struct Signals {
    /// Set when somebody asks to stop.
    pub stop: Arc<AtomicBool>,
    /// Set when somebody asks how things stand.
    pub status_wanted: Arc<AtomicBool>,
    /// Set when this process goes on after it was stopped: whatever it had drawn is gone.
    pub continued: Arc<AtomicBool>,
}

impl Signals {
    /// Begins to listen.
    pub fn listen() -> io::Result<Signals> {
        let (stop, status_wanted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        signal_hook::flag::register(guard::STOP as i32, stop.clone())?;
        signal_hook::flag::register(SIGUSR1, status_wanted.clone())?;
        let continued = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGCONT, continued.clone())?;
        if !guard::is_guarded() {
            // Nobody could be put in front: the first one stops the run, the second one ends it.
            for signal in [SIGHUP, SIGINT, SIGTERM] {
                signal_hook::flag::register_conditional_default(signal, stop.clone())?;
                signal_hook::flag::register(signal, stop.clone())?;
            }
            return Ok(Signals { stop, status_wanted, continued });
        }
        // The terminal tells both processes; only the guard may act on it, or one Ctrl-C would count twice.
        let deaf = Arc::new(AtomicBool::new(false));
        for signal in [SIGHUP, SIGINT, SIGTERM, SIGTSTP] {
            signal_hook::flag::register(signal, deaf.clone())?;
        }
        Ok(Signals { stop, status_wanted, continued })
    }

    /// Whether somebody asked to stop.
    pub fn is_interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
