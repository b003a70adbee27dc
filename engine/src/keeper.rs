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
use map::{Position, RescueMap};
use thiserror::Error;

/// What a map is called behind its name until it is whole.
const NEW_SUFFIX: &str = ".diskwright-new";

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
}

/// When the map is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeeperOptions {
    /// Seconds between saves; `None`: 30, and more for large maps.
    pub save_secs: Option<u64>,
    /// Seconds after which a save is one whose predecessor is worth keeping as `.bak`.
    pub sync_secs: u64,
}

impl Default for KeeperOptions {
    fn default() -> KeeperOptions {
        KeeperOptions { save_secs: None, sync_secs: 300 }
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
}

impl Keeper {
    /// Makes a keeper that counts from `now` seconds.
    pub fn new(store: Box<dyn MapStore>, options: KeeperOptions, now: u64) -> Keeper {
        Keeper { store, options, saved_at: now, synced_at: now, last_was_synced: false, own_clock: None }
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
        let now = self.seconds(clock);
        // A map that stood for a while is worth keeping; the first ones of a short run are not.
        let backup = self.last_was_synced;
        write_map(&mut *self.store, heading, position, map, backup).map_err(KeeperError::Map)?;
        let is_long = now < self.synced_at || now - self.synced_at >= self.options.sync_secs;
        self.last_was_synced = is_long || occasion == Occasion::Last;
        self.saved_at = self.seconds(clock);
        if self.last_was_synced {
            self.synced_at = self.saved_at;
        }
        Ok(())
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
    store.write_new(&mut |out| mapfile::write(out, heading, position, map))?;
    store.sync_new()?;
    if backup {
        store.link_backup()?;
    }
    store.rename_new()?;
    store.sync_folder()
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
        FileStore { new, backup_new, target, backup, written: None, in_place: false, is_torn: false }
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
        });
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
        self.step(|s| s.durable = s.seen.clone())
    }
}
