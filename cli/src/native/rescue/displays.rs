//! All that watch a rescue, together.
//!
//! Owns which displays a rescue has. Must not know what any of them shows.

use std::io::Write;

use block::Nanos;
use block::device::DeviceInfo;
use engine::{Event, Fingerprint, Observer, Report};

use super::signals::Signals;
use super::timings::Timings;
use super::tracker::Tracker;
use super::wanted::{Display, Wanted};
use super::{json, live, plain};
use crate::personality::ddrescue::job::Job;
use crate::personality::ddrescue::logs::Logs;
use crate::personality::ddrescue::screen::Screen;
use crate::personality::ddrescue::watch::Watch;

/// Verbosity of ddrescue's displays, of which only the logs are used here.
const QUIET: i32 = -1;

/// All that watch a rescue.
pub(super) struct Displays {
    shown: Vec<Box<dyn Observer>>,
    /// Writes the logs; its screen shows nothing.
    logs: Option<Watch>,
    pub(super) tracker: Tracker,
    /// Hashes what happens, in simulations.
    pub(super) fingerprint: Option<Fingerprint>,
    timings: Option<Timings>,
}

impl Displays {
    pub(super) fn new(
        wanted: &Wanted,
        info: &DeviceInfo,
        signals: &Signals,
        logs: Logs,
        timings: Option<Timings>,
        now: Nanos,
    ) -> Displays {
        let prefixes = wanted.job.prefixes;
        let plain = |habit| Box::new(plain::Plain::new(prefixes, signals.status_wanted.clone(), habit));
        let identity =
            [info.model.clone(), info.serial.clone()].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let name = wanted.source.display();
        let titles = live::Titles {
            source: if identity.is_empty() { name.to_string() } else { format!("{name} ({identity})") },
            destination: wanted.destination_name().to_string_lossy().into_owned(),
            map: wanted.map.as_ref().map_or(String::new(), |path| path.to_string_lossy().into_owned()),
            prefixes,
            retries: wanted.job.retries != Some(0),
        };
        let shown: Vec<Box<dyn Observer>> = match wanted.display {
            Display::Json => vec![Box::new(json::Json::new()), plain(plain::Habit::Asked)],
            Display::Quiet => vec![plain(plain::Habit::Asked)],
            Display::Plain => vec![plain(plain::Habit::Regular)],
            Display::Live => match live::Live::start(titles, signals.continued.clone()) {
                Some(live) => vec![Box::new(live)],
                None => vec![plain(plain::Habit::Regular)],
            },
        };
        let job = Job { verbosity: QUIET, ..wanted.job.clone() };
        let screen = Screen::new(&job, now.whole_secs());
        let logs = Some(Watch::new(&job, screen, logs));
        let fingerprint = wanted
            .simulation
            .as_ref()
            .map(|simulation| Fingerprint::new(&simulation.subject(), simulation.clock.clone()));
        Displays { shown, logs, tracker: Tracker::default(), fingerprint, timings }
    }

    /// Ends all displays.
    pub(super) fn close(&mut self, now: Nanos, is_finished: bool) {
        self.shown.clear();
        if let Some(logs) = self.logs.take() {
            logs.close(now, QUIET, is_finished);
        }
        if let Some(missing) = self.timings.take().and_then(Timings::close) {
            // Nobody is left to be told when standard error is gone.
            let _ = writeln!(std::io::stderr(), "diskwright rescue: warning: {missing}");
        }
    }
}

impl Observer for Displays {
    fn on(&mut self, event: &Event<'_>, report: &Report<'_>) {
        self.tracker.on(event, report);
        if let Some(fingerprint) = &mut self.fingerprint {
            fingerprint.on(event, report);
        }
        if let Some(timings) = &mut self.timings {
            timings.on(event, report);
        }
        if let Some(logs) = &mut self.logs {
            logs.on(event, report);
        }
        self.shown.iter_mut().for_each(|display| display.on(event, report));
    }
}
