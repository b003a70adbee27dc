//! Who watches a rescue: the screen and the logs, each refreshed when it must be.
//!
//! Owns the moments of refreshing. Must not know what a refreshed screen looks like.

use block::{Nanos, Offset};
use engine::{Event, Observer, Report};
use map::{Phase, Position, Status};

use crate::personality::ddrescue::area::{Area, Gap, Place};
use crate::personality::ddrescue::job::Job;
use crate::personality::ddrescue::logs::{self, Logs};
use crate::personality::ddrescue::screen::{Moment, Screen, State};
use crate::personality::ddrescue::words;

/// Refreshes screen and logs as the engine works.
pub struct Watch {
    area: Area,
    screen: Screen,
    logs: Logs,
    message: String,
    /// Start of the last read begun.
    at: Offset,
    shown: Option<u64>,
    is_paused: bool,
    /// Whether a pass began since the last refresh.
    is_new_pass: bool,
    /// Whether a pass has ended and no read of another one has begun.
    is_between_passes: bool,
    /// Seconds, share rescued and position at the end.
    ended: Option<(u64, String, Position)>,
    /// Why the run stops early.
    pub reasons: Vec<String>,
}

impl Watch {
    /// Watches on this screen and in these logs.
    pub fn new(job: &Job, screen: Screen, logs: Logs) -> Watch {
        let area = Area::new(screen.height(), job.verbosity);
        Watch {
            area,
            screen,
            logs,
            message: String::new(),
            at: Offset::ZERO,
            shown: None,
            is_paused: false,
            is_new_pass: false,
            is_between_passes: false,
            ended: None,
            reasons: Vec::new(),
        }
    }

    /// Makes room on the screen.
    pub fn open(&mut self) {
        self.area.open();
    }

    /// Says how the run ended, on the screen and in the logs.
    pub fn close(mut self, now: Nanos, verbosity: i32, is_finished: bool) {
        if is_finished {
            self.area.close("Finished", Gap::Line);
        } else {
            self.area.break_off(&self.reasons);
        }
        self.reasons.iter().for_each(|reason| self.logs.reason(reason));
        if let Some((secs, rescued, position)) = self.ended {
            self.logs.close(secs, &rescued, position, now, verbosity);
        }
    }

    fn refresh(&mut self, report: &Report<'_>, moment: Moment, state: State) {
        let is_first_ever = self.shown.is_none();
        // A new pass leaves the last one's screen to be read, if something is left to do.
        let place = match moment {
            Moment::First if !is_first_ever && !report.book.is_complete() => Place::Below,
            _ => Place::Same,
        };
        if self.area.is_loud() {
            let lines = self.screen.lines(report, self.at, moment, state);
            let message = Some(self.message.as_str()).filter(|message| !message.is_empty());
            self.area.show(place, &lines, message);
        }
        self.shown = Some(report.rates.now());
        let (book, rates) = (report.book, report.rates);
        self.logs.refreshed(rates, self.at, book.bad_areas(), book.bytes(Status::BadSector));
    }

    /// Whether the last screen is the first one of a pass: one that was begun and found nothing to read.
    fn is_in_empty_pass(&self, report: &Report<'_>) -> bool {
        match report.stage {
            Some(stage) if report.position.phase == Phase::Finished => {
                self.is_between_passes && self.screen.has_pass_after(stage)
            }
            Some(_) => false,
            None => true,
        }
    }

    fn pass_begins(&mut self, report: &Report<'_>) {
        self.message = report.stage.map(words::stage).unwrap_or_default();
        self.is_new_pass = true;
        let secs = report.rates.run_secs();
        self.logs.pass(secs, &logs::rescued(report.book), &self.message);
    }
}

impl Observer for Watch {
    fn on(&mut self, event: &Event<'_>, report: &Report<'_>) {
        match event {
            Event::PauseBegins => {
                self.message = "Paused".to_owned();
                self.refresh(report, Moment::First, State::Running);
                self.is_paused = true;
            }
            Event::PassBegins(_) => self.pass_begins(report),
            Event::PassEnds => {
                self.refresh(report, Moment::Later, State::Running);
                self.is_between_passes = true;
            }
            Event::Reading { range } => {
                self.at = range.start();
                self.is_between_passes = false;
                let now = report.rates.now();
                if std::mem::take(&mut self.is_paused) {
                    self.shown = Some(now);
                    self.is_new_pass = false;
                } else if std::mem::take(&mut self.is_new_pass) {
                    self.refresh(report, Moment::First, State::Running);
                } else if self.shown != Some(now) {
                    self.refresh(report, Moment::Later, State::Running);
                    self.logs.second(report.rates.run_secs());
                }
            }
            Event::Tried(tried) => {
                if tried.copied == 0 && tried.failed > 0 {
                    self.screen.forget();
                } else {
                    self.screen.keep(tried);
                }
                self.logs.tried(tried);
            }
            Event::LimitPassed(limit) => self.reasons.push(words::limit(*limit)),
            Event::Interrupted => {
                let text = "Interrupted by user".to_owned();
                if !self.reasons.contains(&text) {
                    self.reasons.push(text);
                }
            }
            Event::Ended => {
                let is_finished = report.position.phase == Phase::Finished;
                let state = if is_finished { State::Finished } else { State::Running };
                let moment = if self.is_in_empty_pass(report) { Moment::First } else { Moment::Later };
                // The last word follows when everything is saved.
                self.message.clear();
                self.refresh(report, moment, state);
                let rescued = logs::rescued(report.book);
                self.ended = Some((report.rates.run_secs(), rescued, report.position));
            }
            Event::Marked { .. }
            | Event::Recovered(_)
            | Event::EndFound(_)
            | Event::Waiting { .. }
            | Event::Saved
            | Event::DeviceLost { .. }
            | Event::DeviceFound => {}
        }
    }
}
