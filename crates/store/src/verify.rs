//! Proves that the lines are those that were written, all of them and in order. Reads only.

use crate::chain::{Link, Sealed};
use crate::events::Own;
use crate::names::{Name, State, list};
use crate::pieces::{Piece, Pieces};
use crate::recover::own;
use crate::segments::path_of;
use std::fs::{File, TryLockError};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines that are as they were written, up to the first bad one of each file.
    pub lines: u64,
    /// Chains, that is processes that wrote.
    pub chains: u64,
    /// Files.
    pub segments: u64,
    /// Segments that are not closed: their writers live, or their recovery is due.
    pub unfinished: u64,
    /// The first thing that is not as it was written.
    pub first_bad: Option<Bad>,
}

/// A place where the ledger is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    /// Which file.
    pub file: PathBuf,
    /// Which line of it, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub why: String,
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

/// Verifies a directory of segments, or one segment alone (then what came before it is taken on trust).
///
/// # Errors
/// [`VerifyError`] if something cannot be read. What is readable and wrong is in the report.
pub fn verify(path: &Path) -> Result<Report, VerifyError> {
    let mut report = Report::default();
    if path.is_dir() {
        let listing = list(path).map_err(|source| VerifyError { path: path.to_owned(), source })?;
        if let Some(stranger) = listing.strangers.first() {
            report.bad(stranger, 1, "the file is called like no segment");
        }
        for chain in listing.segments.chunk_by(|a, b| a.time == b.time && a.chain == b.chain) {
            report.chain(path, chain)?;
        }
        return Ok(report);
    }
    let name = path.file_name().and_then(Name::parse);
    let Some(name) = name else {
        report.bad(path, 1, "the file is called like no segment");
        return Ok(report);
    };
    let dir = path.parent().unwrap_or(Path::new("."));
    report.chains = 1;
    let next = name.next();
    let last = ![next.with(State::Closed), next].iter().any(|next| path_of(dir, next).exists());
    report.segment(dir, &name, None, last)?;
    Ok(report)
}

impl Report {
    fn bad(&mut self, file: &Path, line: u64, why: &str) {
        self.first_bad.get_or_insert_with(|| Bad { file: file.to_owned(), line, why: why.to_owned() });
    }

    /// Verifies the parts of one chain, in order.
    fn chain(&mut self, dir: &Path, parts: &[Name]) -> Result<(), VerifyError> {
        self.chains += 1;
        let mut link = Link::START;
        for (index, name) in parts.iter().enumerate() {
            if name.part as usize != index + 1 {
                self.bad(&path_of(dir, name), 1, &format!("the part before it is not part {}", name.part - 1));
                return Ok(());
            }
            let Some(end) = self.segment(dir, name, Some(link), index + 1 == parts.len())? else { return Ok(()) };
            link = end;
        }
        Ok(())
    }

    /// Verifies one segment; `after` is what its first line must be linked to. Returns the link after its last line
    /// unless something is wrong.
    fn segment(
        &mut self,
        dir: &Path,
        name: &Name,
        after: Option<Link>,
        last: bool,
    ) -> Result<Option<Link>, VerifyError> {
        let path = path_of(dir, name);
        let failed = |source| VerifyError { path: path.clone(), source };
        let file = open_either(dir, name).map_err(failed)?;
        self.segments += 1;
        self.unfinished += u64::from(name.state == State::Unfinished);
        // Looked at before the reading: if its writer lives now, half a line at the end is one it is writing.
        let live = name.state == State::Unfinished && is_locked(&file).map_err(failed)?;
        let mut pieces = Pieces::new(BufReader::with_capacity(256 * 1024, file));
        let mut reading = Reading { name, link: after, number: 0, closed: false };
        while let Some(piece) = pieces.next().map_err(failed)? {
            reading.number += 1;
            if live && !piece.whole {
                break;
            }
            if let Err(why) = reading.take(&piece) {
                self.bad(&path, reading.number, why);
                return Ok(None);
            }
            self.lines += 1;
        }
        if reading.number == 0 && !live && name.state == State::Closed {
            self.bad(&path, 1, "the file is empty");
            return Ok(None);
        }
        if name.state == State::Closed && last && !reading.closed {
            let why = "a line is missing at the end: the last one of a closed chain is a `close` event";
            self.bad(&path, reading.number + 1, why);
            return Ok(None);
        }
        Ok(reading.link)
    }
}

/// How far the reading of a segment is.
struct Reading<'a> {
    name: &'a Name,
    /// `None` at the first line of a segment whose predecessor is not looked at.
    link: Option<Link>,
    number: u64,
    closed: bool,
}

impl Reading<'_> {
    fn take(&mut self, piece: &Piece<'_>) -> Result<(), &'static str> {
        if !piece.whole {
            return Err(match self.name.state {
                State::Unfinished => {
                    "the line is not whole: its writer died in it (recovery moves it aside), or it was cut"
                }
                State::Closed | State::Damaged => "the line is not whole",
            });
        }
        let line = Sealed::read(piece.bytes).ok_or("the line was changed: its hash is not that of its content")?;
        if self.closed {
            return Err("a line follows the `close` event");
        }
        let link = match self.link {
            Some(link) => link,
            None if self.name.part == 1 => Link::START,
            None => line.before().ok_or("the line has no number")?,
        };
        if !link.leads_to(&line) {
            return Err("the chain breaks: the line does not follow the one before it");
        }
        match (own(&line), self.number) {
            (Some(Own::Segment { chain, part, .. }), 1) if chain == *self.name.chain && part == self.name.part => {}
            (Some(Own::Segment { .. }), 1) => return Err("the file has another segment's name"),
            (_, 1) => return Err("the first line is not a `segment` event"),
            (Some(Own::Close { .. }), _) => self.closed = true,
            _ => {}
        }
        self.link = Some(line.link());
        Ok(())
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

fn is_locked(file: &File) -> io::Result<bool> {
    match file.try_lock_shared() {
        Ok(()) => file.unlock().map(|()| false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests;
