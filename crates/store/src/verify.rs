//! Proves that the lines are those that were written, all of them and in order. Reads only.

mod claims;
mod reading;

use crate::chain::Link;
use crate::heads;
use crate::keys::PublicKey;
use crate::names::{Name, State, list};
use crate::pieces::Pieces;
use crate::prune;
use crate::segments::path_of;
use crate::tree::Frontier;
use claims::Claims;
use reading::{Reading, Verdict};
use serde::Serialize;
use std::fs::{File, TryLockError};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Lines that are as they were written, up to the first bad one of each file.
    pub lines: u64,
    /// Chains, that is processes that wrote.
    pub chains: u64,
    /// Files.
    pub segments: u64,
    /// Segments that are not closed: their writers live, or their recovery is due.
    pub unfinished: u64,
    /// Checkpoints that are true and, if a key was given, signed by it.
    pub checkpoints: u64,
    /// Lines that no checkpoint covers yet.
    pub unsigned: u64,
    /// Chains whose first parts were deleted, which is on record.
    pub shortened: u64,
    /// Attempts to call something.
    pub attempts: u64,
    /// Attempts that have no end yet.
    pub open: u64,
    /// Calls that may have had effects and whose end nobody saw.
    pub in_doubt: u64,
    /// The first thing that is not as it was written.
    pub first_bad: Option<Bad>,
}

/// A place where the ledger is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bad {
    /// Which file.
    pub file: PathBuf,
    /// Which line of it, from 1.
    pub line: u64,
    /// Which line of its chain, from 1, where that can be told.
    pub seq: Option<u64>,
    /// What is wrong with it.
    pub why: String,
}

#[derive(Debug, Clone)]
struct Place {
    file: PathBuf,
    line: u64,
    seq: Option<u64>,
}

/// Why nothing can be said.
#[derive(Debug, Error)]
#[error("cannot read `{}`", .path.display())]
pub struct VerifyError {
    /// What could not be read.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// What the ledger is held against.
#[derive(Debug, Clone, Copy, Default)]
pub struct Against<'a> {
    /// The key that must have signed every checkpoint. Without one, signatures are not checked.
    pub key: Option<&'a PublicKey>,
    /// A copy of `heads.log` that was kept elsewhere.
    pub heads: Option<&'a Path>,
}

/// Verifies a directory of segments, or one segment alone (then what came before it is taken on trust).
///
/// # Errors
/// [`VerifyError`] if something cannot be read. What is readable and wrong is in the report.
pub fn verify(path: &Path, against: Against<'_>) -> Result<Report, VerifyError> {
    let mut verifier = Verifier { against, report: Report::default(), claims: Claims::default() };
    // Where nothing was recorded yet, there is no directory.
    if path.is_dir() || !path.exists() {
        verifier.directory(path)?
    } else {
        verifier.alone(path)?
    }
    Ok(verifier.report)
}

struct Verifier<'a> {
    against: Against<'a>,
    report: Report,
    claims: Claims,
}

impl Verifier<'_> {
    fn bad(&mut self, bad: Bad) {
        self.report.first_bad.get_or_insert(bad);
    }

    fn directory(&mut self, dir: &Path) -> Result<(), VerifyError> {
        let failed = |source| VerifyError { path: dir.to_owned(), source };
        let _nothing_is_deleted = prune::lock_file(dir).shared();
        // Before the segments, so that what it remembers was written when they are read.
        self.heads(dir, &heads::path(dir)).map_err(failed)?;
        if let Some(kept) = self.against.heads {
            let copy = kept.parent().unwrap_or(Path::new("."));
            self.heads(copy, kept).map_err(|source| VerifyError { path: kept.to_owned(), source })?;
        }
        let listing = list(dir).map_err(failed)?;
        if let Some(stranger) = listing.strangers.first() {
            self.bad(Place::new(stranger, 1, None).bad("the file is called like no segment"));
        }
        for chain in listing.segments.chunk_by(|a, b| a.time == b.time && a.chain == b.chain) {
            self.chain(dir, chain)?;
        }
        self.report.shortened = self.claims.shortened();
        if let Some(bad) = self.claims.first_bad() {
            self.bad(bad);
        }
        Ok(())
    }

    fn heads(&mut self, dir: &Path, file: &Path) -> io::Result<()> {
        for (line, checkpoint) in heads::read_file(file)? {
            let place = Place::new(file, line, None);
            let signed = checkpoint.filter(|head| self.against.key.is_none_or(|key| head.is_signed_by(key)));
            match signed {
                Some(head) => self.claims.remembered(head.into_head(), place),
                None => self.bad(place.bad(format!("the line is no checkpoint of `{}`", dir.display()))),
            }
        }
        Ok(())
    }

    fn alone(&mut self, path: &Path) -> Result<(), VerifyError> {
        let Some(name) = path.file_name().and_then(Name::parse) else {
            self.bad(Place::new(path, 1, None).bad("the file is called like no segment"));
            return Ok(());
        };
        let dir = path.parent().unwrap_or(Path::new("."));
        self.report.chains = 1;
        let next = name.next();
        let last = ![next.with(State::Closed), next].iter().any(|next| path_of(dir, next).exists());
        self.segment(dir, &mut Reading::new(&name, None), last).map(drop)
    }

    /// Verifies the parts of one chain, in order.
    fn chain(&mut self, dir: &Path, parts: &[Name]) -> Result<(), VerifyError> {
        self.report.chains += 1;
        let mut so_far = Some((Link::START, Frontier::default())).filter(|_| parts[0].part == 1);
        let (mut signed, mut lines, mut pruned) = (0, 0, Vec::new());
        let mut open = crate::events::Open::default();
        for (index, name) in parts.iter().enumerate() {
            if name.part != parts[0].part + index as u32 {
                let place = Place::new(&path_of(dir, name), 1, so_far.map(|(link, _)| link.seq + 1));
                self.bad(place.bad(format!("the part before it is not part {}", name.part - 1)));
                return Ok(());
            }
            let mut reading = Reading::new(name, so_far.take());
            reading.open = open;
            if !self.segment(dir, &mut reading, index + 1 == parts.len())? {
                return Ok(());
            }
            signed = signed.max(reading.signed);
            lines = reading.lines();
            pruned.append(&mut reading.pruned);
            open = reading.open;
            so_far = reading.so_far;
        }
        // The checkpoint itself needs no other.
        self.report.unsigned += lines - if signed == 0 { 0 } else { signed + 1 };
        self.report.open += open.len() as u64;
        // What nobody signed excuses nothing.
        for (_, before, dropped) in pruned.into_iter().filter(|(seq, ..)| *seq <= signed) {
            self.claims.dropped(before, dropped);
        }
        Ok(())
    }

    /// Verifies one segment. Returns whether everything in it is as it was written.
    fn segment(&mut self, dir: &Path, reading: &mut Reading<'_>, last: bool) -> Result<bool, VerifyError> {
        let name = reading.name;
        let path = path_of(dir, name);
        let failed = |source| VerifyError { path: path.clone(), source };
        let file = open_either(dir, name).map_err(failed)?;
        self.report.segments += 1;
        self.report.unfinished += u64::from(name.state == State::Unfinished);
        // Looked at before the reading: if its writer lives now, half a line at the end is one it is writing.
        let live = name.state == State::Unfinished && is_locked(&file).map_err(failed)?;
        let mut pieces = Pieces::new(BufReader::with_capacity(256 * 1024, file));
        while let Some(piece) = pieces.next().map_err(failed)? {
            if live && !piece.whole {
                break;
            }
            reading.number += 1;
            let place = |reading: &Reading<'_>| Place::new(&path, reading.number, reading.next_seq());
            match reading.take(&piece, self.against.key) {
                Err(why) => {
                    self.bad(place(reading).bad(why));
                    return Ok(false);
                }
                Ok(verdict) => self.note(verdict, Place::new(&path, reading.number, None)),
            }
            self.report.lines += 1;
        }
        let missing = reading.missing_end(last);
        if let Some(why) = missing {
            self.bad(Place::new(&path, reading.number + 1, reading.next_seq()).bad(why));
        }
        Ok(missing.is_none())
    }

    fn note(&mut self, verdict: Verdict<'_>, place: Place) {
        match verdict {
            Verdict::Attempt => self.report.attempts += 1,
            Verdict::InDoubt => self.report.in_doubt += 1,
            Verdict::Signed(checkpoint) => {
                self.report.checkpoints += 1;
                self.claims.found(&checkpoint);
            }
            Verdict::Remembers(heads) => {
                heads.into_iter().for_each(|head| self.claims.remembered(head, place.clone()));
            }
            Verdict::Headless(beginning) => self.claims.headless(beginning, place),
            Verdict::Plain => {}
        }
    }
}

/// Opens a segment, even if it was closed and renamed since it was listed.
pub(crate) fn open_either(dir: &Path, name: &Name) -> io::Result<File> {
    match File::open(path_of(dir, name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && name.state == State::Unfinished => {
            File::open(path_of(dir, &name.with(State::Closed)))
        }
        file => file,
    }
}

pub(crate) fn is_locked(file: &File) -> io::Result<bool> {
    match file.try_lock_shared() {
        Ok(()) => file.unlock().map(|()| false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests;
