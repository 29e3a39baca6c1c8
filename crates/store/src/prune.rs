//! Deletes closed parts that are too old or too many, after putting on record what is gone.
//!
//! What is not signed is never deleted, nor a part whose predecessor stays.

use crate::chain::{MAX_LINE_BYTES, Sealed};
use crate::events::{Dropped, Own};
use crate::heads;
use crate::names::{Name, State, list};
use crate::pieces::Pieces;
use crate::recover::{own, resume};
use crate::segments::path_of;
use crate::tree::{Frontier, hex};
use gate::ports::LedgerError;
use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};
use thiserror::Error;

/// How often it is looked, in microseconds.
const LOOK_EVERY: u64 = 60_000_000;

/// So many records stay well below the limit of a line.
const DROPPED_PER_LINE: usize = 100;

/// What is kept. Nothing is deleted by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Parts that were last written longer ago are deleted.
    pub max_age: Option<Duration>,
    /// The oldest parts are deleted while all of them have more bytes than this.
    pub max_bytes: Option<u64>,
}

/// When it was looked last.
#[derive(Default)]
pub(crate) struct Horizon(Option<u64>);

impl Horizon {
    /// Whether it is time to look. Counts as a look.
    pub fn is_due(&mut self, retention: &Retention, now: u64) -> bool {
        let due = *retention != Retention::default() && self.0.is_none_or(|last| now >= last + LOOK_EVERY);
        if due {
            self.0 = Some(now);
        }
        due
    }
}

#[derive(Debug, Error)]
pub(crate) enum PruneError {
    #[error("cannot read or delete in the audit directory")]
    Io(#[from] io::Error),
    #[error(transparent)]
    NoRecord(#[from] LedgerError),
}

/// A part that may be deleted.
struct Old<'a> {
    name: &'a Name,
    written: u64,
    bytes: u64,
}

/// Deletes what `retention` does not want kept, unless somebody else does so now. `record` puts an event on
/// record, durably; nothing is deleted before. Returns how many parts were deleted.
pub(crate) fn prune(
    dir: &Path,
    retention: &Retention,
    now: u64,
    record: impl Fn(&[u8]) -> Result<(), LedgerError>,
) -> Result<usize, PruneError> {
    let lock = lock_file(dir).open_writing()?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(0),
        locked => locked.map_err(io::Error::from)?,
    }
    let names = list(dir)?.segments;
    let going = choose(dir, &names, retention, now)?;
    if going.is_empty() {
        return Ok(0);
    }
    let gone = |name: &Name| going.contains(name);
    let (mut dropped, mut before) = (Vec::new(), 0);
    for chain in names.chunk_by(|a, b| a.chain == b.chain) {
        if let Some((record, signed)) = describe(dir, chain, gone)? {
            before = before.max(signed.map_or(0, |ts| ts + 1));
            dropped.push(record);
        }
    }
    for some in dropped.chunks(DROPPED_PER_LINE) {
        record(&Own::Pruned { ts: now, before, dropped: some.to_vec() }.to_json())?;
    }
    for name in &going {
        std::fs::remove_file(path_of(dir, name))?;
    }
    crate::disk::sync_dir(dir)?;
    let living: HashSet<_> = names.iter().filter(|name| !gone(name)).map(|name| &*name.chain).collect();
    heads::forget(dir, |head| head.ts >= before || living.contains(&*head.chain))?;
    Ok(going.len())
}

/// What is held while parts are deleted, so that nobody verifies half of it.
pub(crate) struct LockFile(PathBuf);

pub(crate) fn lock_file(dir: &Path) -> LockFile {
    LockFile(dir.join("prune.lock"))
}

impl LockFile {
    fn open_writing(&self) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.0)
    }

    /// Waits until nobody deletes. Where nobody ever did, there is nothing to hold.
    pub fn shared(&self) -> Option<File> {
        let file = File::open(&self.0).ok()?;
        file.lock_shared().ok().map(|()| file)
    }
}

/// The parts that have to go: of each chain the first ones, all closed and signed.
fn choose(dir: &Path, names: &[Name], retention: &Retention, now: u64) -> io::Result<HashSet<Name>> {
    let (mut total, mut old) = (0, Vec::<Old<'_>>::new());
    for name in names {
        let Ok(metadata) = std::fs::metadata(path_of(dir, name)) else { continue };
        total += metadata.len();
        let written = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let written = u64::try_from(written).unwrap_or(u64::MAX);
        // Somebody may have touched a file: no part is older than the one it follows.
        let before = old.last().filter(|before| before.name.chain == name.chain).map_or(0, |before| before.written);
        old.push(Old { name, written: written.max(before), bytes: metadata.len() });
    }
    // The order of the names breaks ties.
    old.sort_by_key(|part| (part.written, part.name.clone()));
    let age = retention.max_age.and_then(|age| u64::try_from(age.as_micros()).ok());
    let oldest = age.map_or(0, |age| now.saturating_sub(age));
    let (mut going, mut kept) = (HashSet::new(), HashSet::new());
    for Old { name, written, bytes } in old {
        let unwanted = written < oldest || retention.max_bytes.is_some_and(|most| total > most);
        let may = name.state == State::Closed && !kept.contains(&name.chain) && last_signed(dir, name)?.is_some();
        if unwanted && may {
            total -= bytes;
            going.insert(name.clone());
        } else {
            kept.insert(name.chain.clone());
        }
    }
    Ok(going)
}

/// What is to be said about a chain of which parts go or went before, and when the last of those going was signed.
fn describe(
    dir: &Path,
    chain: &[Name],
    gone: impl Fn(&Name) -> bool,
) -> io::Result<Option<(Dropped<'static>, Option<u64>)>> {
    let (going, staying): (Vec<_>, Vec<_>) = chain.iter().partition(|name| gone(name));
    let mut bytes = 0;
    for name in &going {
        bytes += std::fs::metadata(path_of(dir, name))?.len();
    }
    let signed = going.last().map(|name| last_signed(dir, name)).transpose()?.flatten();
    let ts = signed.as_ref().map(|(ts, _)| *ts);
    let dropped = match staying.first() {
        Some(first) if first.part > 1 => beginning(dir, first)?,
        Some(_) => None,
        None => signed.map(|(_, dropped)| dropped),
    };
    Ok(dropped.map(|dropped| (Dropped { bytes, ..dropped }, ts)))
}

/// What the head of a part says about all that was before it.
fn beginning(dir: &Path, name: &Name) -> io::Result<Option<Dropped<'static>>> {
    let mut pieces = Pieces::new(BufReader::new(File::open(path_of(dir, name))?));
    let Some(piece) = pieces.next()? else { return Ok(None) };
    Ok(Sealed::read(piece.bytes).and_then(|line| before_head(&line, name.part)))
}

/// The same, from the head itself.
pub(crate) fn before_head(line: &Sealed<'_>, part: u32) -> Option<Dropped<'static>> {
    let Some(Own::Segment { chain, tree, .. }) = own(line) else { return None };
    let tree: Frontier = resume(line, &tree)?;
    Some(Dropped {
        chain: chain.into_owned().into(),
        part: part - 1,
        upto: tree.size(),
        hash: String::from_utf8_lossy(line.prev).into_owned().into(),
        root: hex(&tree.root()).into(),
        bytes: 0,
    })
}

/// When the end of a part was signed, and what was; `None` if its last line is no checkpoint.
fn last_signed(dir: &Path, name: &Name) -> io::Result<Option<(u64, Dropped<'static>)>> {
    let mut file = File::open(path_of(dir, name))?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_LINE_BYTES as u64)))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let Some(text) = text.strip_suffix(b"\n") else { return Ok(None) };
    let start = memchr::memrchr(b'\n', text).map_or(0, |newline| newline + 1);
    let Some(line) = Sealed::read(&text[start..]) else { return Ok(None) };
    let Some(Own::Checkpoint(checkpoint)) = own(&line) else { return Ok(None) };
    let dropped = Dropped {
        chain: checkpoint.chain.to_string().into(),
        part: name.part,
        upto: checkpoint.size,
        hash: String::from_utf8_lossy(line.prev).into_owned().into(),
        root: checkpoint.root.to_string().into(),
        bytes: 0,
    };
    Ok(Some((checkpoint.ts, dropped)))
}

#[cfg(test)]
mod tests;
