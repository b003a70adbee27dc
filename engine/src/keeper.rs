//! When and how the map is saved.
//!
//! Owns the order that makes a map trustworthy: first the image is synced, then the map that vouches for it is written
//! beside the old one, synced, and put in its place. Must not know what is in the map.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use block::{BlockSink, Clock, SinkError};
use map::mapfile::{self, Heading};
use map::{Mapfile, Position, RescueMap};
use thiserror::Error;

use crate::journal::{self, Journal, Replayed, Seal, Sealer};

/// What a map is called behind its name until it is whole.
const NEW_SUFFIX: &str = ".diskwright-new";
/// What a map's journal is called behind the map's name.
const JOURNAL_SUFFIX: &str = ".journal";
/// What a journal is called behind its name that does not fit its map.
const FOREIGN_SUFFIX: &str = ".foreign";

/// Where maps are kept. Each call is one step that a crash may follow.
pub trait MapStore: Send {
    /// Writes a new map, without touching the old one if that can be had.
    fn write_new(&mut self, content: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()>;
    /// Makes what was written durable.
    fn sync_new(&mut self) -> io::Result<()>;
    /// Gives the old map its second name, `.bak`, without the first one ever vanishing.
    fn link_backup(&mut self) -> io::Result<()>;
    /// Puts the new map in the place of the old one, at once.
    fn rename_new(&mut self) -> io::Result<()>;
    /// Makes the names durable.
    fn sync_folder(&mut self) -> io::Result<()>;
    /// Adds to the map's journal. The first time the journal is begun, whatever was there before.
    fn append_journal(&mut self, text: &[u8]) -> io::Result<()>;
    /// Makes what was added to the journal durable.
    fn sync_journal(&mut self) -> io::Result<()>;
    /// Removes the journal; that it is gone need not be durable.
    fn remove_journal(&mut self) -> io::Result<()>;
}

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

/// A map in a file.
#[derive(Debug)]
pub struct FileStore {
    /// The map itself, links followed.
    target: PathBuf,
    new: PathBuf,
    backup: PathBuf,
    backup_new: PathBuf,
    written: Option<File>,
    journal: PathBuf,
    journal_file: Option<File>,
    in_place: bool,
    /// Whether the map may be half written, so that the backup is all there is.
    is_torn: bool,
}

impl FileStore {
    /// Keeps the map in `path`, following symbolic links; the backup gets the name with `.bak` behind it.
    pub fn new(path: &Path) -> FileStore {
        let target = resolve(path);
        let beside = |suffix: &str| {
            let mut name = target.clone().into_os_string();
            name.push(suffix);
            PathBuf::from(name)
        };
        let backup = {
            let mut name = path.as_os_str().to_owned();
            name.push(".bak");
            PathBuf::from(name)
        };
        // Whatever is there under these names is removed: nobody may call an image so.
        let new = beside(NEW_SUFFIX);
        let mut backup_new = backup.clone().into_os_string();
        backup_new.push(NEW_SUFFIX);
        let backup_new = PathBuf::from(backup_new);
        let (journal, journal_file, written) = (beside(JOURNAL_SUFFIX), None, None);
        let (in_place, is_torn) = (false, false);
        FileStore { new, backup_new, target, backup, written, journal, journal_file, in_place, is_torn }
    }

    /// Where the map's journal is.
    pub fn journal(&self) -> &Path {
        &self.journal
    }

    /// Joins the map with a journal that is there, or puts a journal that does not fit aside; returns also where to.
    ///
    /// Errors: as [`join_journal`].
    pub fn join_journal(&mut self) -> io::Result<(Found, PathBuf)> {
        let mut aside = self.journal.clone().into_os_string();
        aside.push(FOREIGN_SUFFIX);
        let aside = PathBuf::from(aside);
        let journal = match fs::read(&self.journal) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Found::NoJournal, aside)),
            journal => journal?,
        };
        let map = match fs::read(&self.target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            map => map?,
        };
        let found = join_journal(self, &map, &journal)?;
        if found == Found::ForeignJournal {
            fs::rename(&self.journal, &aside)?;
        }
        Ok((found, aside))
    }

    fn folder(&self) -> &Path {
        self.target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// The way without a folder to write in: over the old map, after a copy of it if that can be had.
    fn write_in_place(
        &mut self,
        content: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
        refused: io::Error,
    ) -> io::Result<()> {
        let mut text = Vec::new();
        content(&mut text)?;
        let mut file = OpenOptions::new().write(true).open(&self.target).map_err(|_| refused)?;
        if !self.is_torn {
            // Until the new map is whole the copy is the only one.
            let _ = fs::copy(&self.target, &self.backup)
                .and_then(|_| File::open(&self.backup))
                .and_then(|backup| backup.sync_all());
        }
        self.is_torn = true;
        file.write_all(&text)?;
        file.set_len(text.len() as u64)?;
        self.written = Some(file);
        self.in_place = true;
        Ok(())
    }
}

fn is_refused(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Follows symbolic links to a name that may not exist yet.
fn resolve(path: &Path) -> PathBuf {
    const LINKS_MAX: u32 = 40;
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match fs::read_link(&path) {
            Ok(link) => path = path.parent().unwrap_or(Path::new("")).join(link),
            Err(_) => break,
        }
    }
    path
}

impl MapStore for FileStore {
    fn write_new(&mut self, content: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        self.in_place = false;
        let old = fs::metadata(&self.target).ok();
        // A leftover of a killed run must not decide about mode and owner.
        let _ = fs::remove_file(&self.new);
        let mode = old.as_ref().map_or(0o666, |m| m.permissions().mode() & 0o7777);
        let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(&self.new);
        let file = match opened {
            Ok(file) => file,
            // Only a folder that takes no new names: on a full disk the old map would be cut without being replaced.
            Err(error) if is_refused(&error) => return self.write_in_place(content, error),
            Err(error) => return Err(error),
        };
        let written = (|| {
            if let Some(old) = &old {
                file.set_permissions(fs::Permissions::from_mode(mode))?;
                let fresh = file.metadata()?;
                if (old.uid(), old.gid()) != (fresh.uid(), fresh.gid()) {
                    // Only root may give files away; a map that belongs to its writer is still a map.
                    let _ = std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()));
                }
            }
            let mut out = BufWriter::with_capacity(128 << 10, &file);
            content(&mut out)?;
            out.flush()
        })();
        if let Err(error) = written {
            let _ = fs::remove_file(&self.new);
            return Err(error);
        }
        self.written = Some(file);
        Ok(())
    }

    fn sync_new(&mut self) -> io::Result<()> {
        let result = self.written.take().map_or(Ok(()), |file| file.sync_all());
        self.is_torn &= result.is_err();
        if result.is_err() && !self.in_place {
            let _ = fs::remove_file(&self.new);
        }
        result
    }

    fn link_backup(&mut self) -> io::Result<()> {
        if self.in_place {
            return Ok(());
        }
        let _ = fs::remove_file(&self.backup_new);
        // File systems without hard links get a copy.
        match fs::hard_link(&self.target, &self.backup_new) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(_) => {
                fs::copy(&self.target, &self.backup_new)?;
            }
        }
        fs::rename(&self.backup_new, &self.backup)
    }

    fn rename_new(&mut self) -> io::Result<()> {
        if self.in_place { Ok(()) } else { fs::rename(&self.new, &self.target) }
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        if self.in_place {
            return Ok(());
        }
        match File::open(self.folder())?.sync_all() {
            // Some file systems cannot sync a folder; they do it with the file.
            Err(e) if block::Errno::of(&e) == block::Errno::EINVAL => Ok(()),
            result => result,
        }
    }

    fn append_journal(&mut self, text: &[u8]) -> io::Result<()> {
        let is_new = self.journal_file.is_none();
        if is_new {
            let mut options = OpenOptions::new();
            self.journal_file = Some(options.write(true).create(true).truncate(true).open(&self.journal)?);
        }
        self.journal_file.as_mut().map_or(Ok(()), |file| file.write_all(text))?;
        if is_new { self.sync_folder() } else { Ok(()) }
    }

    fn sync_journal(&mut self) -> io::Result<()> {
        self.journal_file.as_ref().map_or(Ok(()), |file| file.sync_data())
    }

    fn remove_journal(&mut self) -> io::Result<()> {
        self.journal_file = None;
        match fs::remove_file(&self.journal) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}

/// A map in memory that forgets, at a crash, what was not synced. For crash tests.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<MemoryState>>,
}

#[derive(Debug, Default)]
struct MemoryState {
    new: Option<(Vec<u8>, bool)>,
    /// Content under the map's name, and whether that content was synced before it got the name.
    seen: Option<(Vec<u8>, bool)>,
    durable: Option<(Vec<u8>, bool)>,
    backup: Option<(Vec<u8>, bool)>,
    /// The journal, if there is one, and how much of it was synced.
    journal: Option<(Vec<u8>, usize)>,
    /// A journal that was removed, until that is durable.
    removed: Option<Vec<u8>>,
    /// Whether the next addition begins a new one.
    is_journal_open: bool,
    steps: u64,
    fails_at: Option<u64>,
}

impl MemoryStore {
    /// Makes an empty store.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// Makes the step with this number, counted from 0, fail, and all after it.
    pub fn fail_at(&self, step: u64) {
        self.with(|s| s.fails_at = Some(step));
    }

    /// Steps taken so far.
    pub fn steps(&self) -> u64 {
        self.with(|s| s.steps)
    }

    /// Loses power. Names not synced may or may not have reached the disk, as `survives` says; content that was not
    /// synced is cut to half.
    pub fn crash(&self, mut survives: impl FnMut() -> bool) {
        self.with(|s| {
            let (seen, durable) = (s.seen.take(), s.durable.take());
            let kept = if survives() { seen } else { durable };
            let kept = kept.map(|(mut text, synced)| {
                if !synced {
                    text.truncate(text.len() / 2);
                }
                (text, true)
            });
            s.durable = kept.clone();
            s.seen = kept;
            s.new = None;
            s.fails_at = None;
            s.is_journal_open = false;
            if let Some(text) = s.removed.take().filter(|_| s.journal.is_none() && survives()) {
                s.journal = Some((text.clone(), text.len()));
            }
            // What was not synced is there, or half of it, or something else in its place.
            if let Some((text, synced)) = &mut s.journal {
                let end = if survives() { text.len() } else { *synced + (text.len() - *synced) / 2 };
                text.truncate(end);
                if !survives() {
                    text[*synced..].fill(0);
                }
                *synced = text.len();
            }
        });
    }

    /// The journal as a reader would find it now.
    pub fn journal(&self) -> Option<Vec<u8>> {
        self.with(|s| s.journal.as_ref().map(|(text, _)| text.clone()))
    }

    /// What a reader would find under the map's name now.
    pub fn text(&self) -> Option<Vec<u8>> {
        self.with(|s| s.seen.as_ref().map(|(text, _)| text.clone()))
    }

    fn with<T>(&self, act: impl FnOnce(&mut MemoryState) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn step(&self, act: impl FnOnce(&mut MemoryState)) -> io::Result<()> {
        self.with(|s| {
            let step = s.steps;
            s.steps += 1;
            if s.fails_at.is_some_and(|fails_at| step >= fails_at) {
                return Err(io::Error::other("the store was told to fail"));
            }
            act(s);
            Ok(())
        })
    }
}

impl MapStore for MemoryStore {
    fn write_new(&mut self, content: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let mut text = Vec::new();
        content(&mut text)?;
        self.step(|s| s.new = Some((text, false)))
    }

    fn sync_new(&mut self) -> io::Result<()> {
        self.step(|s| {
            if let Some((_, synced)) = &mut s.new {
                *synced = true;
            }
        })
    }

    fn link_backup(&mut self) -> io::Result<()> {
        self.step(|s| s.backup = s.seen.clone())
    }

    fn rename_new(&mut self) -> io::Result<()> {
        self.step(|s| s.seen = s.new.take())
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        self.step(|s| {
            s.durable = s.seen.clone();
            s.removed = None;
        })
    }

    fn append_journal(&mut self, text: &[u8]) -> io::Result<()> {
        self.step(|s| {
            if !std::mem::replace(&mut s.is_journal_open, true) {
                (s.journal, s.removed) = (None, None);
            }
            s.journal.get_or_insert_default().0.extend_from_slice(text);
        })
    }

    fn sync_journal(&mut self) -> io::Result<()> {
        self.step(|s| {
            if let Some((text, synced)) = &mut s.journal {
                *synced = text.len();
            }
        })
    }

    fn remove_journal(&mut self) -> io::Result<()> {
        self.step(|s| {
            s.removed = s.journal.take().map(|(text, _)| text);
            s.is_journal_open = false;
        })
    }
}
