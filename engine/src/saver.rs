//! Saving the map of a run that is no rescue, with somebody to ask when it fails.
//!
//! Owns the going back and forth between keeper and operator. Must not know what the run does.

use block::{BlockSink, Clock};
use map::mapfile::Heading;
use map::{Position, RescueMap};

use crate::keeper::{Keeper, KeeperError, Occasion, write_map};
use crate::{Operator, SaveRemedy, Trouble};

/// What is needed to save a map.
pub(crate) struct Saver<'a> {
    pub(crate) clock: &'a dyn Clock,
    pub(crate) operator: &'a mut dyn Operator,
    pub(crate) keeper: Option<Keeper>,
    pub(crate) heading: &'a dyn Fn(&Position) -> Heading,
}

impl Saver<'_> {
    /// Saves if it is time.
    pub(crate) fn save_if_due(
        &mut self,
        sink: &mut dyn BlockSink,
        position: &Position,
        map: &RescueMap,
    ) -> Result<(), Trouble> {
        let clock = self.clock;
        if self.keeper.as_ref().is_some_and(|keeper| keeper.is_due(clock, map.len())) {
            self.save(sink, position, map, Occasion::Interval)?;
        }
        Ok(())
    }

    /// Saves now.
    pub(crate) fn save(
        &mut self,
        sink: &mut dyn BlockSink,
        position: &Position,
        map: &RescueMap,
        occasion: Occasion,
    ) -> Result<(), Trouble> {
        loop {
            let heading = (self.heading)(position);
            let Some(keeper) = self.keeper.as_mut() else { return Ok(()) };
            let error = match keeper.save(sink, &heading, position, map, self.clock, occasion) {
                Ok(()) => return Ok(()),
                Err(KeeperError::Image(error)) => {
                    // After a failed sync nobody knows which of the writes arrived: no later map may vouch for them.
                    self.keeper = None;
                    return Err(Trouble::Sink(error));
                }
                Err(error) => error,
            };
            let mut write =
                |store: &mut dyn crate::MapStore| write_map(store, &heading, position, map, false);
            match self.operator.map_not_saved(&error, &mut write) {
                SaveRemedy::Retry => {}
                SaveRemedy::Stop => {
                    self.keeper = None;
                    return Err(Trouble::Map(error));
                }
            }
        }
    }
}
