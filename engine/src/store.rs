//! Where maps are kept: in files, or in memory that can lose what was not synced.
//!
//! Owns the names beside a map, and the single steps of writing there. Must not know when a map is saved.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::keeper::{Found, join_journal};

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
