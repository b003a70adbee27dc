//! Signals that ask a run to stop.
//!
//! Owns which ones, and that the program dies by them in the end. Must not know what is being stopped.

use std::cell::Cell;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::personality::Complaint;
use crate::personality::ddrescue::PROGRAM;
use crate::personality::ddrescue::job::Job;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};

/// Listens for signals.
#[derive(Debug)]
pub struct Signals {
    arrived: Arc<AtomicUsize>,
    /// The first one that was seen; later ones change nothing.
    seen: Cell<usize>,
}

impl Signals {
    /// Begins to listen. System calls are restarted, so that nothing but the rescue between two reads hears them.
    pub fn listen() -> io::Result<Signals> {
        let arrived = Arc::new(AtomicUsize::new(0));
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            signal_hook::flag::register_usize(signal, arrived.clone(), signal as usize)?;
        }
        let ignored = Arc::new(AtomicBool::new(false));
        for signal in [SIGUSR1, SIGUSR2] {
            signal_hook::flag::register(signal, ignored.clone())?;
        }
        Ok(Signals { arrived, seen: Cell::new(0) })
    }

    /// The same; says so if it cannot be done.
    pub fn listen_or_complain(job: &Job) -> Option<Signals> {
        let complain =
            |error| Complaint::new("Can't listen for signals").because(&error).print(PROGRAM, &job.argv0);
        Signals::listen().map_err(complain).ok()
    }

    /// Whether somebody asked to stop.
    pub fn is_interrupted(&self) -> bool {
        if self.seen.get() == 0 {
            self.seen.set(self.arrived.load(Ordering::Relaxed));
        }
        self.seen.get() != 0
    }

    /// Dies by the signal that was seen. Returns only if there was none.
    pub fn die(&self) -> ExitCode {
        if let Ok(signal) = i32::try_from(self.seen.get())
            && signal != 0
        {
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
        ExitCode::FAILURE
    }
}
