//! The writer: one chain per process, one write per event, many waiters per sync.
//!
//! Not here: what happens to a chain whose writer died (see `recover`).

mod state;

use crate::chain::Link;
use crate::disk::{self, Disk, Real};
use crate::events::{Mark, Own, SCHEMA, seal_ending, seal_preamble};
use crate::names::{Name, State};
use gate::ports::{BoxFuture, Clock, Ids, Ledger, LedgerError, Position};
use state::{Chain, Part};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use thiserror::Error;

/// A part that has reached this size is followed by another.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// After how many appends it is looked whether the file was deleted under us: each look costs as much as half a
/// write. Whoever waits for the disk has it looked at anyway.
pub(crate) const LOOK_EVERY: u32 = 64;

/// How many lines are written with one write, at most.
const LINES_AT_ONCE: usize = 64;

/// How many full parts may wait for a sync before an append settles them itself.
const MAX_RETIRED: usize = 1;

/// What comes in from outside.
pub struct Door {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Names of chains.
    pub ids: Arc<dyn Ids>,
    /// Who writes, for the first line of each part: `toolgate 0.1.0`.
    pub tool: Box<str>,
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
}

/// The ledger's writing end. Dropping it closes the chain.
pub struct Segments {
    inner: Arc<Inner>,
    /// Held by the one waiter that syncs for all who wait behind it.
    turn: tokio::sync::Mutex<()>,
}

struct Inner {
    dir: PathBuf,
    door: Door,
    segment_bytes: u64,
    disk: Box<dyn Disk>,
    // A std Mutex: held for one write at most (for a sync only when parts fill faster than anybody syncs).
    chain: Mutex<Chain>,
}

impl Segments {
    /// A ledger in `dir`. Nothing is created before the first event.
    ///
    /// # Errors
    /// [`OpenError`] if there is something in the way of a directory.
    pub fn open(dir: impl Into<PathBuf>, door: Door) -> Result<Arc<Self>, OpenError> {
        Self::build(dir.into(), door, SEGMENT_BYTES, Box::new(Real))
    }

    /// The same, with parts of another size.
    ///
    /// # Errors
    /// As [`Segments::open`].
    pub fn open_sized(dir: impl Into<PathBuf>, door: Door, segment_bytes: u64) -> Result<Arc<Self>, OpenError> {
        Self::build(dir.into(), door, segment_bytes, Box::new(Real))
    }

    pub(crate) fn build(
        dir: PathBuf,
        door: Door,
        segment_bytes: u64,
        disk: Box<dyn Disk>,
    ) -> Result<Arc<Self>, OpenError> {
        match std::fs::metadata(&dir) {
            Ok(metadata) if !metadata.is_dir() => return Err(OpenError::NotADirectory(dir)),
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(OpenError::Unreadable { path: dir, source });
            }
            _ => {}
        }
        let inner = Inner { dir, door, segment_bytes, disk, chain: Mutex::new(Chain::new()) };
        Ok(Arc::new(Self { inner: Arc::new(inner), turn: tokio::sync::Mutex::new(()) }))
    }

    /// Ends the chain: what is still open is recorded as lost, the file is synced and marked closed. Blocks for a
    /// sync. Later events are refused. Dropping the ledger does the same.
    ///
    /// # Errors
    /// [`LedgerError`] if the disk said no; whoever recovers then closes the chain.
    pub fn close(&self) -> Result<(), LedgerError> {
        self.inner.close()
    }
}

impl Drop for Segments {
    fn drop(&mut self) {
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
        events.chunks(LINES_AT_ONCE).try_for_each(|events| self.inner.append_all(chain, events))
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

impl Inner {
    fn lock(&self) -> Result<MutexGuard<'_, Chain>, LedgerError> {
        // Whoever panicked may have left half a line: fail closed.
        self.chain.lock().map_err(|_| LedgerError("the ledger broke in the middle of a record".to_owned()))
    }

    fn append(&self, chain: &mut Chain, event: &[u8], mark: &Mark<'_>) -> Result<Position, LedgerError> {
        if chain.closed {
            return Err(LedgerError("the ledger is closed".to_owned()));
        }
        self.make_room(chain)?;
        chain.buffer.clear();
        let link = chain.link.seal(event, &mut chain.buffer).map_err(|error| LedgerError(error.to_string()))?;
        self.write(chain)?;
        chain.link = link;
        chain.open.apply(mark);
        Ok(Position(link.seq))
    }

    /// Appends several events with one write: all of them count, or none.
    fn append_all(&self, chain: &mut Chain, events: &[Vec<u8>]) -> Result<(), LedgerError> {
        if chain.closed {
            return Err(LedgerError("the ledger is closed".to_owned()));
        }
        self.make_room(chain)?;
        chain.buffer.clear();
        let mut link = chain.link;
        for event in events {
            link = link.seal(event, &mut chain.buffer).map_err(|error| LedgerError(error.to_string()))?;
        }
        self.write(chain)?;
        chain.link = link;
        events.iter().for_each(|event| chain.open.apply(&Mark::of(event)));
        Ok(())
    }

    /// Makes sure that there is a part to write to: one with room, and that still has a name.
    fn make_room(&self, chain: &mut Chain) -> Result<(), LedgerError> {
        let Some(part) = &chain.current else { return self.next_part(chain) };
        chain.unlooked += 1;
        if chain.unlooked >= LOOK_EVERY {
            chain.unlooked = 0;
            if !disk::has_name(&part.file) {
                chain.give_up_part();
                return self.next_part(chain);
            }
        }
        if part.len < self.segment_bytes {
            return Ok(());
        }
        self.next_part(chain)
    }

    /// Writes the buffer to the current part, all or nothing.
    fn write(&self, chain: &mut Chain) -> Result<(), LedgerError> {
        let Some(part) = &mut chain.current else { return Err(LedgerError("there is no audit file".to_owned())) };
        let Err(error) = write_all(&*self.disk, &part.file, &chain.buffer) else {
            part.len += chain.buffer.len() as u64;
            return Ok(());
        };
        let error = self.refused("write to", &part.name, &error);
        if self.disk.truncate(&part.file, part.len).is_err() {
            // Half a line stays in the file, so nothing may follow it there.
            chain.give_up_part();
        }
        Err(error)
    }

    /// Begins the next part. If that fails, everything is as before.
    fn next_part(&self, chain: &mut Chain) -> Result<(), LedgerError> {
        disk::ensure_private_dir(&self.dir).map_err(|error| {
            LedgerError(format!("cannot use the audit directory `{}`: {error}", self.dir.display()))
        })?;
        let now = self.door.clock.wall_micros();
        let name = chain.last.as_ref().map_or_else(|| Name::first(now, &self.door.ids.fresh().to_string()), Name::next);
        let (file, link, len) = self.begin(chain, &name, now).map_err(|e| self.refused("create", &name, &e))?;
        chain.retired.extend(chain.current.take());
        chain.current = Some(Part { file: Arc::new(file), name: name.clone(), len, named: false });
        chain.last = Some(name);
        chain.link = link;
        if chain.retired.len() > MAX_RETIRED {
            self.settle(chain);
        }
        Ok(())
    }

    /// Creates a part's file and writes its head. Returns the file, the link after the head and the length.
    fn begin(&self, chain: &mut Chain, name: &Name, now: u64) -> io::Result<(File, Link, u64)> {
        let header = Own::Segment {
            schema: SCHEMA.into(),
            ts: now,
            chain: (&*name.chain).into(),
            part: name.part,
            pid: std::process::id(),
            tool: (&*self.door.tool).into(),
            carried: chain.open.len(),
        };
        chain.buffer.clear();
        let link = seal_preamble(chain.link, &header, &chain.open, now, &mut chain.buffer).map_err(io::Error::other)?;
        let file = loop {
            if let Some(file) = disk::create(&self.path(name))? {
                break file;
            }
        };
        if let Err(error) = write_all(&*self.disk, &file, &chain.buffer) {
            // If this fails too, the name stays taken and the ledger refuses: better than a part without a head.
            _ = std::fs::remove_file(self.path(name));
            return Err(error);
        }
        Ok((file, link, chain.buffer.len() as u64))
    }

    /// Syncs everything written so far and notes how that went.
    fn sync(&self) -> Result<(), LedgerError> {
        let (upto, files, named) = {
            let chain = self.lock()?;
            let parts = || chain.retired.iter().chain(&chain.current);
            let files: Vec<_> = parts().map(|part| part.file.clone()).collect();
            (chain.link.seq, files, parts().all(|part| part.named))
        };
        let mut result = files.iter().try_for_each(|file| self.disk.sync(file));
        if result.is_ok() && !files.iter().all(|file| disk::has_name(file)) {
            result = Err(io::Error::new(io::ErrorKind::NotFound, "somebody deleted it"));
        }
        if result.is_ok() && !named {
            result = disk::sync_dir(&self.dir);
        }
        let mut chain = self.lock()?;
        let same = |part: &Part| files.iter().any(|file| Arc::ptr_eq(file, &part.file));
        match result {
            Ok(()) => {
                chain.synced.upto = chain.synced.upto.max(upto);
                chain.current.iter_mut().filter(|part| same(part)).for_each(|part| part.named = true);
                let settled = chain.retired.extract_if(.., |part| same(part)).collect();
                self.mark_closed(settled);
                Ok(())
            }
            Err(error) => {
                chain.synced.failed(upto);
                let retired: Vec<Part> = chain.retired.extract_if(.., |part| same(part)).collect();
                chain.broken.extend(retired);
                if chain.current.as_ref().is_some_and(same) {
                    chain.give_up_part();
                }
                Err(LedgerError(format!("cannot sync the audit file in `{}`: {error}", self.dir.display())))
            }
        }
    }

    /// Syncs and renames the full parts, so that they do not pile up where nobody ever waits for the disk.
    fn settle(&self, chain: &mut Chain) {
        for part in std::mem::take(&mut chain.retired) {
            match self.disk.sync(&part.file) {
                Ok(()) => self.mark_closed(vec![part]),
                Err(error) => {
                    tracing::error!(target: "mcp::ledger", %error, "an audit file could not be synced");
                    let upto = chain.link.seq;
                    chain.synced.failed(upto);
                    chain.broken.push(part);
                }
            }
        }
    }

    /// Renames finished parts and lets go of their locks.
    fn mark_closed(&self, parts: Vec<Part>) {
        for part in parts {
            let closed = self.path(&part.name.with(State::Closed));
            // If this fails, whoever recovers does it.
            _ = std::fs::rename(self.path(&part.name), closed);
        }
    }

    fn close(&self) -> Result<(), LedgerError> {
        let mut chain = self.lock()?;
        if std::mem::replace(&mut chain.closed, true) || chain.current.is_none() {
            return Ok(());
        }
        let now = self.door.clock.wall_micros();
        chain.buffer.clear();
        let Chain { link, open, buffer, .. } = &mut *chain;
        let link = seal_ending(*link, open, "finished", 0, now, buffer).map_err(|e| LedgerError(e.to_string()))?;
        self.write(&mut chain)?;
        chain.link = link;
        drop(chain);
        self.sync()?;
        let current = self.lock()?.current.take();
        self.mark_closed(current.into_iter().collect());
        Ok(())
    }

    fn path(&self, name: &Name) -> PathBuf {
        path_of(&self.dir, name)
    }

    fn refused(&self, what: &str, name: &Name, error: &io::Error) -> LedgerError {
        LedgerError(format!("cannot {what} the audit file `{}`: {error}", self.path(name).display()))
    }
}

/// Where the file of this name lies.
pub(crate) fn path_of(dir: &Path, name: &Name) -> PathBuf {
    dir.join(name.to_string())
}

fn write_all(disk: &dyn Disk, file: &File, bytes: &[u8]) -> io::Result<()> {
    let written = disk.write(file, bytes)?;
    if written < bytes.len() {
        return Err(io::Error::new(
            io::ErrorKind::StorageFull,
            format!("only {written} of {} bytes were written", bytes.len()),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
