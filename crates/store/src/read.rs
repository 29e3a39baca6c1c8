//! The ledger's lines of all chains, in the order of their times.
//!
//! Not here: whether they are genuine (see `verify`), and what they mean.

use crate::names::{Name, list};
use crate::pieces::Pieces;
use crate::verify::open_either;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Which lines are wanted. The default wants all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Not before this time, in microseconds since 1970.
    pub since: Option<u64>,
    /// Before this time, in microseconds since 1970.
    pub until: Option<u64>,
    /// Only events of these kinds (`attempt`, `end`, `refusal`, …); empty means all.
    pub events: Vec<String>,
}

impl Filter {
    fn keeps(&self, time: u64, line: &[u8]) -> bool {
        let kind = || line.strip_prefix(b"{\"event\":\"").and_then(|rest| rest.split(|byte| *byte == b'"').next());
        self.since.is_none_or(|since| time >= since)
            && self.until.is_none_or(|until| time < until)
            && (self.events.is_empty() || kind().is_some_and(|kind| self.events.iter().any(|e| e.as_bytes() == kind)))
    }
}

/// The lines in `dir` that `filter` wants, the newest last, without their newlines. Segments that were last written
/// before `filter.since` are not opened; half a line at the end of one is left out.
///
/// # Errors
/// The directory cannot be listed. One that does not exist has no lines.
pub fn read(dir: &Path, filter: Filter) -> io::Result<Lines> {
    let mut waiting = VecDeque::new();
    for name in list(dir)?.segments {
        let begins = name.not_before();
        let ended_before = filter.since.is_some_and(|since| written(dir, &name).is_some_and(|at| at < since));
        if !ended_before && filter.until.is_none_or(|until| begins < until) {
            waiting.push_back((begins, name));
        }
    }
    Ok(Lines { dir: dir.to_owned(), filter, waiting, readers: Vec::new(), next: BinaryHeap::new() })
}

/// When a segment was last written, in microseconds since 1970, rounded up to the second.
fn written(dir: &Path, name: &Name) -> Option<u64> {
    let modified = std::fs::metadata(dir.join(name.to_string())).ok()?.modified().ok()?;
    Some((modified.duration_since(UNIX_EPOCH).ok()?.as_secs() + 1) * 1_000_000)
}

/// The lines, read as they are asked for.
pub struct Lines {
    dir: PathBuf,
    filter: Filter,
    /// Segments not opened yet, by the time before which they hold nothing.
    waiting: VecDeque<(u64, Name)>,
    readers: Vec<Option<Pieces<BufReader<File>>>>,
    /// The next line of every open segment, the oldest first.
    next: BinaryHeap<Reverse<(u64, usize, Vec<u8>)>>,
}

impl Iterator for Lines {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.step() {
                Ok(None) => return None,
                Ok(Some((time, line))) if self.filter.keeps(time, &line) => return Some(Ok(line)),
                Ok(Some(_)) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Lines {
    /// The oldest line not yet seen.
    fn step(&mut self) -> io::Result<Option<(u64, Vec<u8>)>> {
        while let Some((begins, _)) = self.waiting.front() {
            if self.next.peek().is_some_and(|Reverse((time, ..))| time < begins) {
                break;
            }
            self.open_next()?;
        }
        let Some(Reverse((time, reader, line))) = self.next.pop() else { return Ok(None) };
        self.advance(reader, time)?;
        Ok(Some((time, line)))
    }

    fn open_next(&mut self) -> io::Result<()> {
        let Some((begins, name)) = self.waiting.pop_front() else { return Ok(()) };
        let file = open_either(&self.dir, &name)?;
        let reader = Some(Pieces::new(BufReader::with_capacity(64 * 1024, file)));
        let free = self.readers.iter().position(Option::is_none);
        let slot = free.unwrap_or(self.readers.len());
        match free {
            Some(slot) => self.readers[slot] = reader,
            None => self.readers.push(reader),
        }
        self.advance(slot, begins)
    }

    /// Reads the next line of one segment. A line never counts as older than the one before it in its segment, so
    /// that a clock that was set back does not change their order.
    fn advance(&mut self, slot: usize, before: u64) -> io::Result<()> {
        let Some(reader) = &mut self.readers[slot] else { return Ok(()) };
        match reader.next()? {
            Some(piece) if piece.whole => {
                let time = time_of(piece.bytes).unwrap_or(before).max(before);
                self.next.push(Reverse((time, slot, piece.bytes.to_vec())));
            }
            _ => self.readers[slot] = None,
        }
        Ok(())
    }
}

/// The `ts` of an event.
pub(crate) fn time_of(line: &[u8]) -> Option<u64> {
    // A quote inside a string is escaped, so this cannot be found in one.
    let digits = member(line, b",\"ts\":")?;
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&digits[..length]).ok()?.parse().ok()
}

/// What follows the first `key` in `line`.
fn member<'a>(line: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    memchr::memmem::find(line, key).map(|at| &line[at + key.len()..])
}

#[cfg(test)]
mod tests;
