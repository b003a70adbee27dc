//! Saving the map while the rescue runs, and making everything durable at its end.
//!
//! Owns what happens when one of these fails. Must not know when it is time to save.

use map::{Phase, Status};

use super::{Ending, Rescue, Stop, Trouble, ending_of};
use crate::keeper::{KeeperError, Occasion};
use crate::{Direction, Event, SaveRemedy, Stage};

impl Rescue<'_> {
    pub(super) fn save(&mut self, occasion: Occasion) -> Result<(), Stop> {
        if self.keeper.is_some() {
            self.writer.cover_zeros()?;
        }
        loop {
            let heading = (self.heading)(self.stage_for_heading());
            let Some(keeper) = self.keeper.as_mut() else { return Ok(()) };
            let saved = keeper.save(
                self.writer.sink,
                &heading,
                &self.position,
                self.book.map(),
                self.clock,
                occasion,
            );
            let error = match saved {
                Ok(()) => {
                    self.tell(&Event::Saved);
                    return Ok(());
                }
                Err(KeeperError::Image(error)) => {
                    // After a failed sync nobody knows which of the writes arrived: no later map may vouch for them.
                    self.image_untrusted = true;
                    return Err(Stop::Failed(Trouble::Sink(error)));
                }
                Err(error) => error,
            };
            let (position, map) = (self.position, self.book.map());
            let mut write = |store: &mut dyn crate::MapStore| {
                crate::keeper::write_map(store, &heading, &position, map, false)
            };
            match self.operator.map_not_saved(&error, &mut write) {
                SaveRemedy::Retry => {}
                SaveRemedy::Stop => {
                    self.keeper = None;
                    return Err(Stop::Failed(Trouble::Map(error)));
                }
            }
        }
    }

    pub(super) fn stage_for_heading(&self) -> Option<Stage> {
        match (self.position.phase, self.stage) {
            (Phase::Finished, _) => {
                Some(Stage { phase: Phase::Finished, pass: 1, round: 1, direction: Direction::Forwards })
            }
            (_, stage) => stage,
        }
    }

    pub(super) fn finish(&mut self, ending: Ending) -> Ending {
        let mut ending = ending;
        if !self.image_untrusted
            && let Err(error) = self.writer.sink.flush()
        {
            self.image_untrusted = true;
            if !matches!(ending, Ending::Failed(_)) {
                ending = Ending::Failed(Trouble::Sink(error));
            }
        }
        if matches!(ending, Ending::Finished) {
            self.end_pass();
        }
        self.rates.conclude(self.clock.now().whole_secs(), self.book.bytes(Status::Finished));
        // The last second had not ended before: only now is its error rate known.
        if matches!(ending, Ending::Finished)
            && let Err(stop) = self.stop_at(self.options.limits.passed(&self.book, &self.rates))
        {
            ending = ending_of(stop);
        }
        if matches!(ending, Ending::Finished) {
            self.position.phase = Phase::Finished;
        }
        self.tell(&Event::Ended);
        if let Err(error) = self.writer.extend()
            && !matches!(ending, Ending::Failed(_))
        {
            ending = Ending::Failed(Trouble::Sink(error));
        }
        self.book.merge();
        if !self.image_untrusted
            && let Err(stop) = self.save(Occasion::Last)
            && !matches!(ending, Ending::Failed(_))
            && let Stop::Failed(trouble) = stop
        {
            ending = Ending::Failed(trouble);
        }
        ending
    }
}
