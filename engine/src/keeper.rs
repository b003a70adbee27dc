//! When and how the map is saved.
//!
//! Owns the order that makes a map trustworthy: first the image is synced, then the map that vouches for it is written
//! beside the old one, synced, and put in its place. Must not know what is in the map.

use std::io::{self, Write};

use block::{BlockSink, Clock, SinkError};
use map::mapfile::{self, Heading};
use map::{Mapfile, Position, RescueMap};
use thiserror::Error;

use crate::journal::{self, Journal, Replayed, Seal, Sealer};
use crate::store::MapStore;

/// When the map is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeeperOptions {
    /// Seconds between saves; `None`: 30, and more for large maps.
    pub save_secs: Option<u64>,
    /// Seconds after which a save is one whose predecessor is worth keeping as `.bak`.
    pub sync_secs: u64,
    /// Whether changes are added to a journal instead of writing the map anew, as long as that is less.
    pub journal: bool,
}

impl Default for KeeperOptions {
    fn default() -> KeeperOptions {
        KeeperOptions { save_secs: None, sync_secs: 300, journal: false }
    }
}

/// Why the map was not saved.
#[derive(Debug, Error)]
pub enum KeeperError {
    /// The image could not be made durable, so that no map may vouch for it.
    #[error("the image could not be synced, so the map was left as it was")]
    Image(#[source] SinkError),
    /// The map could not be written.
    #[error("the map could not be written")]
    Map(#[source] io::Error),
}

/// Makes the comments above a map. Called at each save.
pub type MakeHeading = dyn Fn() -> Heading + Send;

/// Saves the map when it is time.
pub struct Keeper {
    store: Box<dyn MapStore>,
    options: KeeperOptions,
    saved_at: u64,
    synced_at: u64,
    last_was_synced: bool,
    /// Tells when it is time, if not the rescue's clock.
    own_clock: Option<Box<dyn Clock + Send>>,
    /// The journal of the map as it was last written.
    journal: Option<Journal>,
}

impl Keeper {
    /// Makes a keeper that counts from `now` seconds.
    pub fn new(store: Box<dyn MapStore>, options: KeeperOptions, now: u64) -> Keeper {
        let (last_was_synced, own_clock, journal) = (false, None, None);
        Keeper { store, options, saved_at: now, synced_at: now, last_was_synced, own_clock, journal }
    }

    /// The same, but `clock` says when it is time to save: in a simulation, real work would be lost, not simulated.
    pub fn timed_by(self, clock: Box<dyn Clock + Send>) -> Keeper {
        let now = clock.now().whole_secs();
        Keeper { saved_at: now, synced_at: now, own_clock: Some(clock), ..self }
    }

    fn seconds(&self, clock: &dyn Clock) -> u64 {
        self.own_clock.as_deref().map_or(clock.now(), |own| own.now()).whole_secs()
    }

    /// Whether it is time to save a map of so many blocks.
    pub fn is_due(&self, clock: &dyn Clock, blocks: usize) -> bool {
        let now = self.seconds(clock);
        // What is added to a journal takes no longer for a large map.
        let blocks = if self.journal.is_some() { 0 } else { blocks };
        let interval = self.options.save_secs.unwrap_or_else(|| 30 + (blocks as u64 / 38).min(270));
        now < self.saved_at || now - self.saved_at >= interval
    }

    /// Saves: image first, then map. `after` is asked for the time when all is written, so that writing does not count.
    pub fn save(
        &mut self,
        sink: &mut dyn BlockSink,
        heading: &Heading,
        position: &Position,
        map: &RescueMap,
        clock: &dyn Clock,
        occasion: Occasion,
    ) -> Result<(), KeeperError> {
        sink.flush().map_err(KeeperError::Image)?;
        map.check();
        if occasion == Occasion::Interval && self.add_to_journal(position, map) {
            self.saved_at = self.seconds(clock);
            return Ok(());
        }
        let now = self.seconds(clock);
        // A map that stood for a while is worth keeping; the first ones of a short run are not.
        let backup = self.last_was_synced;
        let (seal, bytes) =
            write_sealed(&mut *self.store, heading, position, map, backup).map_err(KeeperError::Map)?;
        if self.options.journal {
            // The old one does not fit the new map any more: whoever finds it knows.
            let _ = self.store.remove_journal();
            self.journal = Some(Journal::new(seal, map.clone(), bytes));
        }
        let is_long = now < self.synced_at || now - self.synced_at >= self.options.sync_secs;
        self.last_was_synced = is_long || occasion == Occasion::Last;
        self.saved_at = self.seconds(clock);
        if self.last_was_synced {
            self.synced_at = self.saved_at;
        }
        Ok(())
    }

    /// Adds what has changed to the journal; `false` if the map has to be written anew.
    fn add_to_journal(&mut self, position: &Position, map: &RescueMap) -> bool {
        // Of one that failed nobody knows how much of it is there: only a new map ends it.
        let Some((journal, text)) = self.journal.take().and_then(|journal| journal.extended(map, position))
        else {
            return false;
        };
        let added = self.store.append_journal(&text).and_then(|()| self.store.sync_journal());
        self.journal = added.is_ok().then_some(journal);
        added.is_ok()
    }
}

/// Why a map is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// It was time.
    Interval,
    /// The run ends.
    Last,
}

/// Writes a map into a store, durably.
pub fn write_map(
    store: &mut dyn MapStore,
    heading: &Heading,
    position: &Position,
    map: &RescueMap,
    backup: bool,
) -> io::Result<()> {
    write_sealed(store, heading, position, map, backup).map(|_| ())
}

/// As [`write_map`]; returns what stands for the text, and its length in bytes.
fn write_sealed(
    store: &mut dyn MapStore,
    heading: &Heading,
    position: &Position,
    map: &RescueMap,
    backup: bool,
) -> io::Result<(Seal, u64)> {
    let mut sealed = (Seal::of(b""), 0);
    store.write_new(&mut |out| {
        let mut out = Sealing { out, hash: Sealer::default(), bytes: 0 };
        mapfile::write(&mut out, heading, position, map)?;
        sealed = (out.hash.seal(), out.bytes);
        Ok(())
    })?;
    store.sync_new()?;
    if backup {
        store.link_backup()?;
    }
    store.rename_new()?;
    store.sync_folder()?;
    Ok(sealed)
}

/// Passes on what is written, and seals it.
struct Sealing<'a> {
    out: &'a mut dyn Write,
    hash: Sealer,
    bytes: u64,
}

impl Write for Sealing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.hash.add(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// What was found beside a map at the start of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// No journal, or one without content.
    NoJournal,
    /// The journal of this map: all of it is in the map now.
    Joined,
    /// A journal that does not fit this map.
    ForeignJournal,
}

/// Joins a map with the journal that a run left which was killed. Neither may be in use.
///
/// Errors: the map cannot be understood, or the store fails.
pub fn join_journal(store: &mut dyn MapStore, map: &[u8], journal: &[u8]) -> io::Result<Found> {
    let mut mapfile =
        Mapfile::parse(map).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    match journal::replay(&mut mapfile, map, journal) {
        Replayed::Foreign => Ok(Found::ForeignJournal),
        Replayed::Nothing | Replayed::Lines(0) => store.remove_journal().map(|()| Found::NoJournal),
        Replayed::Lines(_) => {
            // The heading of the list is written anew.
            mapfile.comments.retain(|comment| !comment.starts_with("current_pos"));
            let heading = Heading { comments: mapfile.comments };
            write_map(store, &heading, &mapfile.position, &mapfile.map, false)?;
            store.remove_journal().map(|()| Found::Joined)
        }
    }
}
