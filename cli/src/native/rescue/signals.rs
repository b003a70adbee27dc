//! Signals: the first one saves and stops, the second one leaves at once, SIGUSR1 asks how things stand.
//!
//! Owns what each signal means. Must not know what is being stopped.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator;
use signal_hook::low_level::emulate_default_handler;

use super::live;

/// Listens for signals in a thread of its own, so that one is heard even while the disk hangs.
pub struct Signals {
    arrived: Arc<AtomicI32>,
    /// Set when somebody asks how things stand.
    pub status_wanted: Arc<AtomicBool>,
}

impl Signals {
    /// Begins to listen.
    pub fn listen() -> io::Result<Signals> {
        let mut incoming = iterator::Signals::new([SIGHUP, SIGINT, SIGTERM, SIGUSR1])?;
        let arrived = Arc::new(AtomicI32::new(0));
        let status_wanted = Arc::new(AtomicBool::new(false));
        let (first, wanted) = (arrived.clone(), status_wanted.clone());
        let listen = move || {
            for signal in incoming.forever() {
                if signal == SIGUSR1 {
                    wanted.store(true, Ordering::Relaxed);
                } else if first.swap(signal, Ordering::Relaxed) != 0 {
                    // The map on the disk is whole at every moment: nothing has to be finished first.
                    live::leave();
                    let _ = emulate_default_handler(signal);
                }
            }
        };
        std::thread::Builder::new().name("signals".into()).spawn(listen)?;
        Ok(Signals { arrived, status_wanted })
    }

    /// Whether somebody asked to stop.
    pub fn is_interrupted(&self) -> bool {
        self.arrived.load(Ordering::Relaxed) != 0
    }

    /// Dies by the signal that arrived. Returns only if there was none.
    pub fn die(&self) -> ExitCode {
        let signal = self.arrived.load(Ordering::Relaxed);
        if signal != 0 {
            let _ = emulate_default_handler(signal);
        }
        ExitCode::FAILURE
    }
}
