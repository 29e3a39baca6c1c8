//! What the writer does under its lock: makes room, seals, writes, syncs, changes parts, closes.

use super::keeper::Bell;
use super::state::{Chain, Part};
use super::{Door, Options, path_of};
use crate::chain::{Link, MAX_LINE_BYTES};
use crate::checkpoint::Checkpoint;
use crate::disk::{self, Disk};
use crate::draft::Draft;
use crate::events::{CHAINS_NAMED, Mark, Own, SCHEMA};
use crate::heads;
use crate::names::{Name, State};
use crate::tree::hex;
use gate::ports::{LedgerError, Position};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

/// After how many appends it is looked whether the file was deleted under us: each look costs as much as half a
/// write. Whoever waits for the disk has it looked at anyway.
pub(crate) const LOOK_EVERY: u32 = 64;

/// How many lines are written with one write, at most.
pub(super) const LINES_AT_ONCE: usize = 64;

/// How many full parts may wait for a sync before an append settles them itself.
const MAX_RETIRED: usize = 1;

/// Room that the disk has promised before an attempt is taken, so that the ends of all that runs can still be
/// written when the disk is full.
const RESERVE: u64 = 1024 * 1024;

/// How much more is asked for at once, so that it is not asked for often.
const AHEAD: u64 = 1024 * 1024;

pub(super) struct Inner {
    pub dir: PathBuf,
    pub door: Door,
    pub options: Options,
    pub bell: Bell,
    disk: Box<dyn Disk>,
    // A std Mutex: held for one write at most (for a sync only when parts fill faster than anybody syncs).
    chain: Mutex<Chain>,
}

impl Inner {
    pub fn new(dir: PathBuf, door: Door, options: Options, disk: Box<dyn Disk>) -> Self {
        Self { dir, door, options, bell: Bell::default(), disk, chain: Mutex::new(Chain::new()) }
    }

    pub fn lock(&self) -> Result<MutexGuard<'_, Chain>, LedgerError> {
        // Whoever panicked may have left half a line: fail closed.
        self.chain.lock().map_err(|_| LedgerError("the ledger broke in the middle of a record".to_owned()))
    }

    pub fn append(&self, chain: &mut Chain, event: &[u8], mark: &Mark<'_>) -> Result<Position, LedgerError> {
        self.pay(chain)?;
        self.make_room(chain, matches!(mark, Mark::Ends(_)))?;
        self.record(chain, std::iter::once(event))?;
        chain.open.apply(mark);
        Ok(Position(chain.link.seq))
    }

    /// Appends several events with one write: all of them count, or none.
    fn append_all(&self, chain: &mut Chain, events: &[Vec<u8>]) -> Result<(), LedgerError> {
        let marks = || events.iter().map(|event| Mark::of(event));
        self.make_room(chain, marks().all(|mark| matches!(mark, Mark::Ends(_))))?;
        self.record(chain, events.iter().map(Vec::as_slice))?;
        marks().for_each(|mark| chain.open.apply(&mark));
        Ok(())
    }

    /// The same; ends of open attempts that could not be written are kept until they can be.
    pub fn append_or_owe(&self, chain: &mut Chain, events: &[Vec<u8>]) -> Result<(), LedgerError> {
        let written = self.pay(chain).and_then(|()| self.append_all(chain, events));
        if written.is_err() && !chain.closed {
            let ends = |event: &&Vec<u8>| matches!(Mark::of(event), Mark::Ends(id) if chain.open.has(&id));
            let owed: Vec<_> = events.iter().filter(ends).cloned().collect();
            chain.owed.extend(owed);
            self.bell.now();
        }
        written
    }

    /// Writes the ends that an earlier write failed to write.
    pub fn pay(&self, chain: &mut Chain) -> Result<(), LedgerError> {
        if chain.closed {
            return Err(LedgerError("the ledger is closed".to_owned()));
        }
        while !chain.owed.is_empty() {
            let some = chain.owed[..chain.owed.len().min(LINES_AT_ONCE)].to_vec();
            self.append_all(chain, &some)?;
            chain.owed.drain(..some.len());
        }
        Ok(())
    }

    /// Appends an event of our own, signs it and waits until it is on the disk.
    pub fn record_durably(&self, event: &[u8]) -> Result<(), LedgerError> {
        self.append(&mut *self.lock()?, event, &Mark::Neither)?;
        self.sign_now()?;
        self.sync()
    }

    fn record<'a>(&self, chain: &mut Chain, events: impl Iterator<Item = &'a [u8]>) -> Result<(), LedgerError> {
        chain.buffer.clear();
        chain.hashes.clear();
        let mut link = chain.link;
        for event in events {
            link = link.seal(event, &mut chain.buffer).map_err(|error| LedgerError(error.to_string()))?;
            chain.hashes.push(link.hash);
        }
        let lines = std::mem::take(&mut chain.buffer);
        let written = self.write(chain, &lines);
        chain.buffer = lines;
        written?;
        self.count(chain, link);
        Ok(())
    }

    /// The lines whose hashes are noted were written, up to `link`.
    fn count(&self, chain: &mut Chain, link: Link) {
        chain.link = link;
        let before = chain.unsigned;
        chain.unsigned += chain.hashes.len() as u64;
        chain.hashes.drain(..).for_each(|hash| chain.tree.push(&hash));
        let due = self.options.checkpoint_events;
        if before < due && chain.unsigned >= due {
            self.bell.now();
        }
    }

    /// Makes sure that there is a part to write to: one with room, and that still has a name. Ends may use the
    /// reserve, and a part that is full.
    fn make_room(&self, chain: &mut Chain, ends: bool) -> Result<(), LedgerError> {
        chain.unlooked += 1;
        if chain.unlooked >= LOOK_EVERY {
            chain.unlooked = 0;
            if chain.current.as_ref().is_some_and(|part| !disk::has_name(&part.file)) {
                chain.give_up_part();
            }
        }
        if chain.current.as_ref().is_none_or(|part| part.len >= self.options.segment_bytes) {
            let begun = self.next_part(chain);
            if !ends || chain.current.is_none() {
                begun?;
            }
        }
        if ends { Ok(()) } else { self.reserve(chain) }
    }

    /// Makes sure that beyond the longest line there is room for the ends of what runs.
    fn reserve(&self, chain: &mut Chain) -> Result<(), LedgerError> {
        let Some(part) = &mut chain.current else { return Ok(()) };
        let needed = part.len + MAX_LINE_BYTES as u64 + RESERVE;
        if part.reserved >= needed {
            return Ok(());
        }
        let mut promised = Err(io::ErrorKind::StorageFull.into());
        for upto in [needed + AHEAD, needed] {
            promised = self.disk.reserve(&part.file, part.len, upto);
            match promised {
                Ok(true) => part.reserved = upto,
                // A file system that cannot promise is no reason to refuse: a write that fails still is.
                Ok(false) => part.reserved = u64::MAX,
                Err(_) => continue,
            }
            break;
        }
        let name = part.name.clone();
        promised.map(drop).map_err(|error| self.refused("reserve space in", &name, &error))
    }

    /// Writes to the current part, all or nothing.
    fn write(&self, chain: &mut Chain, bytes: &[u8]) -> Result<(), LedgerError> {
        let Some(part) = &mut chain.current else { return Err(LedgerError("there is no audit file".to_owned())) };
        let Err(error) = write_all(&*self.disk, &part.file, bytes) else {
            part.len += bytes.len() as u64;
            return Ok(());
        };
        let error = self.refused("write to", &part.name, &error);
        // The cut gives back what was reserved.
        part.reserved = part.len;
        if self.disk.truncate(&part.file, part.len).is_err() {
            // Half a line stays in the file, so nothing may follow it there.
            chain.give_up_part();
        }
        Err(error)
    }

    /// Writes lines that were drafted, all or nothing.
    fn write_draft(&self, chain: &mut Chain, draft: Draft<'_>) -> Result<(), LedgerError> {
        self.write(chain, &draft.bytes)?;
        chain.take(draft);
        Ok(())
    }

    /// Signs a checkpoint over all lines so far, if there is a new one.
    pub fn sign(&self, chain: &mut Chain) -> Result<(), LedgerError> {
        let Some(part) = chain.current.as_ref().filter(|_| chain.unsigned > 0 && !chain.closed) else { return Ok(()) };
        let name = part.name.chain.clone();
        let mut draft = chain.draft(&self.door.signer, &name, self.door.clock.wall_micros());
        draft.checkpoint().map_err(|error| LedgerError(error.to_string()))?;
        self.write_draft(chain, draft)
    }

    /// Begins the next part. If that fails, everything is as before.
    pub fn next_part(&self, chain: &mut Chain) -> Result<(), LedgerError> {
        disk::ensure_private_dir(&self.dir).map_err(|error| {
            LedgerError(format!("cannot use the audit directory `{}`: {error}", self.dir.display()))
        })?;
        self.sign(chain)?;
        let now = self.door.clock.wall_micros();
        let name = chain.last.as_ref().map_or_else(|| Name::first(now, &self.door.ids.fresh().to_string()), Name::next);
        let (part, draft) = self.begin(chain, &name, now).map_err(|e| self.refused("create", &name, &e))?;
        let lines = draft.link.seq - chain.link.seq;
        chain.take(draft);
        chain.unsigned = lines;
        chain.retired.extend(chain.current.replace(part));
        chain.last = Some(name.clone());
        if chain.retired.len() > MAX_RETIRED {
            self.settle(chain);
        }
        self.bell.begin();
        Ok(())
    }

    /// Creates a part's file and writes its head.
    fn begin(&self, chain: &Chain, name: &Name, now: u64) -> io::Result<(Part, Draft<'_>)> {
        let mut draft = chain.draft(&self.door.signer, "", now);
        draft.preamble(&self.header(chain, name, now), &chain.open).map_err(io::Error::other)?;
        let file = loop {
            if let Some(file) = disk::create(&self.path(name))? {
                break file;
            }
        };
        if let Err(error) = write_all(&*self.disk, &file, &draft.bytes) {
            // If this fails too, the name stays taken and the ledger refuses: better than a part without a head.
            _ = std::fs::remove_file(self.path(name));
            return Err(error);
        }
        let len = draft.bytes.len() as u64;
        let (file, name) = (Arc::new(file), name.clone());
        Ok((Part { file, name, begun: now, head: len, len, reserved: len, named: false }, draft))
    }

    fn header(&self, chain: &Chain, name: &Name, now: u64) -> Own<'static> {
        // Whoever cannot read the side file will be told by whoever verifies.
        let last = if name.part == 1 { heads::last(&self.dir, CHAINS_NAMED).unwrap_or_default() } else { Vec::new() };
        Own::Segment {
            schema: SCHEMA.into(),
            ts: now,
            chain: name.chain.to_string().into(),
            part: name.part,
            pid: std::process::id(),
            tool: self.door.tool.to_string().into(),
            carried: chain.open.len(),
            tree: chain.tree.peaks().iter().map(|peak| hex(peak).into()).collect(),
            after: last.into_iter().map(Checkpoint::into_head).collect(),
        }
    }

    /// Syncs everything written so far and notes how that went.
    pub fn sync(&self) -> Result<(), LedgerError> {
        let (upto, files, named) = {
            let chain = self.lock()?;
            let parts = || chain.retired.iter().chain(&chain.current);
            let files: Vec<_> = parts().map(|part| part.file.clone()).collect();
            (chain.link.seq, files, parts().all(|part| part.named))
        };
        let result = self.sync_files(&files, named);
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

    fn sync_files(&self, files: &[Arc<File>], named: bool) -> io::Result<()> {
        files.iter().try_for_each(|file| self.disk.sync(file))?;
        if !files.iter().all(|file| disk::has_name(file)) {
            return Err(io::Error::new(io::ErrorKind::NotFound, "somebody deleted it"));
        }
        if named { Ok(()) } else { disk::sync_dir(&self.dir) }
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

    /// Renames finished parts and lets go of their locks and of what they reserved.
    fn mark_closed(&self, parts: Vec<Part>) {
        for part in parts {
            if part.reserved > part.len {
                _ = self.disk.truncate(&part.file, part.len);
            }
            let closed = self.path(&part.name.with(State::Closed));
            // If this fails, whoever recovers does it.
            _ = std::fs::rename(self.path(&part.name), closed);
        }
    }

    pub fn close(&self) -> Result<(), LedgerError> {
        let mut chain = self.lock()?;
        if chain.closed {
            return Ok(());
        }
        let paid = self.pay(&mut chain);
        chain.closed = true;
        paid?;
        let Some(name) = chain.current.as_ref().map(|part| part.name.chain.clone()) else { return Ok(()) };
        let mut draft = chain.draft(&self.door.signer, &name, self.door.clock.wall_micros());
        draft.ending(&chain.open, "finished", 0).map_err(|error| LedgerError(error.to_string()))?;
        self.write_draft(&mut chain, draft)?;
        let signed = std::mem::take(&mut chain.unposted);
        drop(chain);
        if let Err(error) = heads::post(&self.dir, &signed) {
            tracing::warn!(target: "mcp::ledger", %error, "the last checkpoint is not in the side file");
        }
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
