//! The writer: one chain per process, one write per event, many waiters per sync.
//!
//! Not here: what happens to a chain whose writer died (see `recover`).

mod keeper;
mod state;
mod writer;

use crate::disk::{Disk, Real};
use crate::events::Mark;
use crate::keys::Signer;
use crate::names::Name;
use crate::prune::Retention;
use gate::ports::{BoxFuture, Clock, Ids, Ledger, LedgerError, Position};
use keeper::Keeper;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use thiserror::Error;
use writer::{Inner, LINES_AT_ONCE};

#[cfg(test)]
pub(crate) use writer::LOOK_EVERY;

/// A part that has reached this size is followed by another.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// What comes in from outside.
pub struct Door {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Names of chains.
    pub ids: Arc<dyn Ids>,
    /// Who writes, for the first line of each part: `toolgate 0.1.0`.
    pub tool: Box<str>,
    /// What signs the checkpoints.
    pub signer: Arc<Signer>,
}

/// How the record is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// A part that has reached this size is followed by another.
    pub segment_bytes: u64,
    /// So is one that is this old and holds anything.
    pub segment_age: Duration,
    /// After so many lines a checkpoint is signed.
    pub checkpoint_events: u64,
    /// So it is after this time, if there is a new line.
    pub checkpoint_every: Duration,
    /// What is kept, and for how long.
    pub retention: Retention,
}

impl Default for Options {
    /// Parts of 64 MiB or a day, checkpoints every 1,000 lines or minute, everything kept.
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES,
            segment_age: Duration::from_secs(24 * 60 * 60),
            checkpoint_events: 1_000,
            checkpoint_every: Duration::from_secs(60),
            retention: Retention::default(),
        }
    }
}

/// Why there can be no ledger in a place.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Something else is there.
    #[error("`{}` is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// The file system does not say what is there.
    #[error("cannot look at `{}`", .path.display())]
    Unreadable {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system gives no thread for the checkpoints.
    #[error("cannot start the thread that signs checkpoints")]
    NoThread(#[source] io::Error),
}

/// The ledger's writing end. Dropping it closes the chain.
pub struct Segments {
    inner: Arc<Inner>,
    /// Held by the one waiter that syncs for all who wait behind it.
    turn: tokio::sync::Mutex<()>,
    keeper: Option<JoinHandle<()>>,
}

impl Segments {
    /// A ledger in `dir`. Nothing is created before the first event.
    ///
    /// # Errors
    /// [`OpenError`] if there is something in the way of a directory.
    pub fn open(dir: impl Into<PathBuf>, door: Door) -> Result<Arc<Self>, OpenError> {
        Self::open_with(dir, door, Options::default())
    }

    /// The same, kept another way.
    ///
    /// # Errors
    /// As [`Segments::open`].
    pub fn open_with(dir: impl Into<PathBuf>, door: Door, options: Options) -> Result<Arc<Self>, OpenError> {
        let mut ledger = Self::build(dir.into(), door, options, Box::new(Real))?;
        let keeper = Keeper(ledger.inner.clone());
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(move || keeper.run());
        ledger.keeper = Some(thread.map_err(OpenError::NoThread)?);
        Ok(Arc::new(ledger))
    }

    /// A ledger without the thread that signs in the background.
    pub(crate) fn build(dir: PathBuf, door: Door, options: Options, disk: Box<dyn Disk>) -> Result<Self, OpenError> {
        match std::fs::metadata(&dir) {
            Ok(metadata) if !metadata.is_dir() => return Err(OpenError::NotADirectory(dir)),
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(OpenError::Unreadable { path: dir, source });
            }
            _ => {}
        }
        let inner = Arc::new(Inner::new(dir, door, options, disk));
        Ok(Self { inner, turn: tokio::sync::Mutex::new(()), keeper: None })
    }

    /// Ends the chain: what is still open is recorded as lost, the file is synced and marked closed. Blocks for a
    /// sync. Later events are refused. Dropping the ledger does the same.
    ///
    /// # Errors
    /// [`LedgerError`] if the disk said no; whoever recovers then closes the chain.
    pub fn close(&self) -> Result<(), LedgerError> {
        self.inner.close()
    }

    /// Signs a checkpoint over all lines so far, if there is a new one. Blocks for two writes.
    ///
    /// # Errors
    /// [`LedgerError`] if it could not be written.
    pub fn checkpoint(&self) -> Result<(), LedgerError> {
        self.inner.sign_now()
    }
}

impl Drop for Segments {
    fn drop(&mut self) {
        self.inner.bell.stop();
        if let Some(keeper) = self.keeper.take() {
            // If it panicked, it is gone as well.
            _ = keeper.join();
        }
        if let Err(error) = self.inner.close() {
            tracing::warn!(target: "mcp::ledger", %error, "the audit file could not be closed");
        }
    }
}

impl Ledger for Segments {
    fn append(&self, event: &[u8]) -> Result<Position, LedgerError> {
        let mark = Mark::of(event);
        self.inner.append(&mut *self.inner.lock()?, event, &mark)
    }

    fn append_all(&self, events: &[Vec<u8>]) -> Result<(), LedgerError> {
        let chain = &mut *self.inner.lock()?;
        // So many lines fit the buffer as it is.
        let written: Vec<_> =
            events.chunks(LINES_AT_ONCE).map(|events| self.inner.append_or_owe(chain, events)).collect();
        written.into_iter().collect()
    }

    fn durable(&self, position: Position) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(async move {
            let _turn = self.turn.lock().await;
            if let Some(known) = self.inner.lock()?.synced.of(position) {
                return known;
            }
            let inner = self.inner.clone();
            // The outcome is noted in there too: this future may be gone by the time the disk answers.
            let synced = tokio::task::spawn_blocking(move || inner.sync()).await;
            synced
                .unwrap_or_else(|error| Err(LedgerError(format!("the sync of the audit file broke off: {error}"))))?;
            let known = self.inner.lock()?.synced.of(position);
            known.unwrap_or_else(|| Err(LedgerError("there is no such record".to_owned())))
        })
    }
}

/// Where the file of this name lies.
pub(crate) fn path_of(dir: &Path, name: &Name) -> PathBuf {
    dir.join(name.to_string())
}

#[cfg(test)]
mod tests;
