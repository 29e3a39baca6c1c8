//! `toolgate.lock` on the disk, and the definitions that were agreed to.
//!
//! The file is read and written whole: a change is made on what the file holds at that moment, under a lock that all
//! processes of one home share, and appears by one rename. So two processes that pin different servers at once lose
//! nothing, and nobody ever reads half a file. What a lock says is `gate::pin`'s; who may change it, the caller's.
//!
//! Definitions lie beside it by their hash (`definitions/<hex>.json`, for the owner alone), so that a change can be
//! shown and not only noticed.

use gate::pin::{DefinitionHash, Lock, LockFlaw};
use gate::ports::{Clock, FirstPin, LockKeeper};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use thiserror::Error;

/// How long a lock file may be, in bytes: some ten thousand tools.
const LONGEST_LOCK: u64 = 16 << 20;

/// How long a kept definition may be, in bytes.
const LONGEST_DEFINITION: u64 = 16 << 20;

/// How often, and after how long each time, a lock that a neighbour holds is tried again: five seconds in all.
const TRIES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(10);

/// How long what somebody took back in the file may still count, in microseconds.
const LOOKS: u64 = 1_000_000;

/// Why the lock file cannot be read or written. Nothing is pinned or approved then, and what it holds is not guessed.
#[derive(Debug, Error)]
pub enum LockError {
    /// The disk refused.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not one of ours, or a newer toolgate wrote it.
    #[error("{}, {flaw}", path.display())]
    Flawed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        flaw: LockFlaw,
    },
    /// Another process keeps the file locked.
    #[error("another process has been changing {} for five seconds", .0.display())]
    Busy(PathBuf),
}

impl LockError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => "check the permissions and the space of the directory it is in",
            Self::Flawed { .. } => LockFlaw::HINT,
            Self::Busy(_) => "try again; if it stays so, end the toolgate process that hangs",
        }
    }
}

/// The lock file of one home.
#[derive(Debug, Clone)]
pub struct LockFile {
    path: PathBuf,
    state: PathBuf,
}

/// Tells one writing of the file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Stamp {
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

impl LockFile {
    /// The file `toolgate.lock` in `home`; what else is needed lies in `state`. Touches nothing.
    pub fn new(home: &Path, state: &Path) -> Self {
        Self { path: home.join("toolgate.lock"), state: state.to_owned() }
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file holds; nothing if there is none.
    ///
    /// # Errors
    /// A file that cannot be read or understood.
    pub fn read(&self) -> Result<Lock, LockError> {
        let text = match read_bounded(&self.path, LONGEST_LOCK) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Lock::default()),
            Err(source) => return Err(self.io("read", &self.path, source)),
        };
        let flawed = |flaw| LockError::Flawed { path: self.path.clone(), flaw };
        let text = String::from_utf8(text)
            .map_err(|_| flawed(LockFlaw { line: 1, column: 1, what: "the file is not UTF-8".to_owned() }))?;
        Lock::parse(&text).map_err(flawed)
    }

    /// Changes what the file holds, and returns what `change` returns. While it runs no other process changes the
    /// file. When this returns, the change is on the disk. May wait for a neighbour: not for a serving thread.
    ///
    /// # Errors
    /// A file that cannot be read, understood or written; it is then as it was.
    pub fn update<T>(&self, change: impl FnOnce(&mut Lock) -> T) -> Result<T, LockError> {
        crate::disk::ensure_private_dir(&self.state).map_err(|source| self.io("create", &self.state, source))?;
        let _turn = self.turn()?;
        let before = self.read()?;
        let mut lock = before.clone();
        let answer = change(&mut lock);
        if lock != before {
            self.write(&lock)?;
        }
        Ok(answer)
    }

    /// Waits for the turn to change the file. It ends when the returned file is closed.
    fn turn(&self) -> Result<File, LockError> {
        // A file of its own: the lock file itself is another one after each change.
        let path = self.state.join("lock.guard");
        let options = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).clone();
        let guard = options.open(&path).map_err(|source| self.io("open", &path, source))?;
        for _ in 0..TRIES {
            match guard.try_lock() {
                Ok(()) => return Ok(guard),
                Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
                Err(TryLockError::Error(source)) => return Err(self.io("lock", &path, source)),
            }
        }
        Err(LockError::Busy(self.path.clone()))
    }

    fn write(&self, lock: &Lock) -> Result<(), LockError> {
        // Whoever keeps it under version control may have put a link in its place.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let text = lock.to_text();
        if text.len() as u64 > LONGEST_LOCK {
            // Nobody could read it again: one server must not lock out all others.
            return Err(self.io("write", &path, io::ErrorKind::FileTooLarge.into()));
        }
        replace(&path, text.as_bytes(), 0o644).map_err(|source| self.io("write", &path, source))
    }

    /// Keeps a definition that is agreed to, so that what follows it can be shown beside it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_definition(&self, hash: &DefinitionHash, definition: &[u8]) -> Result<(), LockError> {
        let path = self.definition_path(hash);
        if self.definition(hash).is_some() {
            return Ok(());
        }
        let directory = path.parent().unwrap_or(&self.state);
        crate::disk::ensure_private_dir(directory).map_err(|source| self.io("create", directory, source))?;
        replace(&path, definition, 0o600).map_err(|source| self.io("write", &path, source))
    }

    /// A definition that was agreed to, as its server sent it; `None` if it was not kept, or is not what it was.
    pub fn definition(&self, hash: &DefinitionHash) -> Option<Vec<u8>> {
        let definition = read_bounded(&self.definition_path(hash), LONGEST_DEFINITION).ok()?;
        (DefinitionHash::of(&definition).ok()? == *hash).then_some(definition)
    }

    fn definition_path(&self, hash: &DefinitionHash) -> PathBuf {
        self.state.join("definitions").join(format!("{}.json", hash.hex()))
    }

    /// `None` if there is no file.
    fn stamp(&self) -> Option<Stamp> {
        let found = fs::metadata(&self.path).ok()?;
        Some(Stamp { inode: found.ino(), length: found.len(), changed: (found.mtime(), found.mtime_nsec()) })
    }

    fn io(&self, what: &'static str, path: &Path, source: io::Error) -> LockError {
        LockError::Io { what, path: path.to_owned(), source }
    }
}

fn read_bounded(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if !fs::metadata(path)?.is_file() {
        // A pipe would be waited for without end.
        return Err(io::Error::other("it is no file"));
    }
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Puts `bytes` in the place of the file at `path`, all at once and durably.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = directory.join(format!(".{name}.{}.tmp", uuid::Uuid::new_v4()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // What is left of it is nobody's.
        _ = fs::remove_file(&temporary);
    }
    written.and_then(|()| crate::disk::sync_dir(directory))
}

/// Writes first pins down beside the calls, and sees what other processes wrote.
pub struct Keeper {
    file: LockFile,
    clock: Arc<dyn Clock>,
    seen: Mutex<Option<Stamp>>,
    /// When the file is looked at again, in microseconds of the clock's own.
    next_look: AtomicU64,
    writing: Mutex<Option<JoinHandle<()>>>,
}

impl Keeper {
    /// Opens the file and returns what it holds.
    ///
    /// # Errors
    /// A file that cannot be read or understood.
    pub fn open(file: LockFile, clock: Arc<dyn Clock>) -> Result<(Self, Lock), LockError> {
        let stamp = file.stamp();
        let lock = file.read()?;
        Ok((
            Self { file, clock, seen: Mutex::new(stamp), next_look: AtomicU64::new(0), writing: Mutex::new(None) },
            lock,
        ))
    }

    /// Waits until everything that was to be kept is on the disk, or failed to get there.
    pub fn settle(&self) {
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writing) = writing {
            // A writer that panicked has said so, and left the file as it was.
            _ = writing.join();
        }
    }
}

impl LockKeeper for Keeper {
    fn keep(&self, first: Vec<FirstPin>) {
        let now = rfc3339(self.clock.wall_micros());
        let file = self.file.clone();
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = writing.take();
        *writing = Some(std::thread::spawn(move || {
            if let Some(before) = before {
                _ = before.join();
            }
            if let Err(error) = keep_all(&file, first, &now) {
                tracing::warn!(target: "mcp::pins", %error, "new tools were not pinned; they will be at the next start");
            }
        }));
    }

    fn reload(&self) -> Option<Lock> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = self.file.stamp();
        if *seen == stamp {
            return None;
        }
        if stamp.is_none() {
            // Nobody agrees to anything by removing a file.
            *seen = None;
            tracing::warn!(target: "mcp::pins", path = %self.file.path.display(), "the file is gone; what was pinned before stands");
            return None;
        }
        match self.file.read() {
            Ok(lock) => {
                *seen = stamp;
                Some(lock)
            }
            Err(error) => {
                // Said once for each writing of the file.
                *seen = stamp;
                tracing::warn!(target: "mcp::pins", %error, "what was pinned before stands");
                None
            }
        }
    }

    /// Looks at the file itself once in a second.
    fn may_have_changed(&self) -> bool {
        let (now, next) = (self.clock.mono_micros(), self.next_look.load(Ordering::Relaxed));
        let due = now >= next;
        let mine = || self.next_look.compare_exchange(next, now + LOOKS, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        due && mine() && *self.seen.lock().unwrap_or_else(PoisonError::into_inner) != self.file.stamp()
    }
}

/// Writes nothing down, and hands out what would have been.
#[derive(Default)]
pub struct Collector {
    first: Mutex<Vec<FirstPin>>,
}

impl Collector {
    /// What would have been pinned so far.
    pub fn take(&self) -> Vec<FirstPin> {
        std::mem::take(&mut *self.first.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl LockKeeper for Collector {
    fn keep(&self, mut first: Vec<FirstPin>) {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).append(&mut first);
    }

    fn reload(&self) -> Option<Lock> {
        None
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.settle();
    }
}

fn keep_all(file: &LockFile, first: Vec<FirstPin>, now: &str) -> Result<(), LockError> {
    for one in &first {
        file.keep_definition(&one.pin.hash, &one.definition)?;
    }
    file.update(|lock| {
        for one in first {
            let mut pin = one.pin;
            pin.since = now.into();
            lock.add(one.server.as_str(), &one.tool, pin);
        }
    })
}

/// A time as pins have it: UTC, to the second.
pub fn rfc3339(micros: u64) -> String {
    let time = jiff::Timestamp::from_second((micros / 1_000_000) as i64).unwrap_or(jiff::Timestamp::MAX);
    time.to_string()
}

#[cfg(test)]
mod tests;
