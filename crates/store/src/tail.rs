//! The newest lines, and those that come after them.

use crate::chain::MAX_LINE_BYTES;
use crate::names::{Name, State, list};
use crate::read::time_of;
use crate::verify::open_either;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How much is read at once.
const CHUNK: usize = 256 * 1024;

/// A line of some segment, without its newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailLine {
    /// The segment's name when it was found.
    pub segment: String,
    /// The line.
    pub bytes: Vec<u8>,
}

/// Follows all segments of a directory.
pub struct Tail {
    dir: PathBuf,
    /// Where the next line begins in each segment, by name without the state.
    at: HashMap<Name, Place>,
}

/// A closed segment needs no open file: nothing will be added.
struct Place {
    file: Option<File>,
    offset: u64,
}

impl Tail {
    /// The last `count` lines in `dir` by time, the newest last, and what follows them.
    ///
    /// # Errors
    /// Something cannot be read. A directory that does not exist has no lines, until it has.
    pub fn open(dir: &Path, count: usize) -> io::Result<(Self, Vec<TailLine>)> {
        let mut tail = Self { dir: dir.to_owned(), at: HashMap::new() };
        let mut lines = Vec::new();
        for name in list(dir)?.segments {
            let file = match open_either(dir, &name) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => file?,
            };
            let (offset, last) = last_lines(&file, count)?;
            lines.extend(last.into_iter().map(|bytes| TailLine { segment: name.to_string(), bytes }));
            let file = (name.state == State::Unfinished).then_some(file);
            tail.at.insert(name.with(State::Unfinished), Place { file, offset });
        }
        // Stable, so that the lines of one segment stay in their order.
        lines.sort_by_key(|line| time_of(&line.bytes));
        lines.drain(..lines.len().saturating_sub(count));
        Ok((tail, lines))
    }

    /// The lines that were added since the last look, oldest first.
    ///
    /// # Errors
    /// Something cannot be read.
    pub fn poll(&mut self) -> io::Result<Vec<TailLine>> {
        let mut lines = Vec::new();
        for name in list(&self.dir)?.segments {
            let place = self.at.entry(name.with(State::Unfinished)).or_insert(Place { file: None, offset: 0 });
            if place.file.is_none() && place.offset == 0 {
                place.file = open_either(&self.dir, &name).ok();
            }
            let Some(file) = &place.file else { continue };
            for bytes in new_lines(file, &mut place.offset)? {
                lines.push(TailLine { segment: name.to_string(), bytes });
            }
            if name.state != State::Unfinished {
                place.file = None;
            }
        }
        lines.sort_by_key(|line| time_of(&line.bytes));
        Ok(lines)
    }
}

/// Where the file's whole lines end, and the last `count` of them.
fn last_lines(file: &File, count: usize) -> io::Result<(u64, Vec<Vec<u8>>)> {
    let length = file.metadata()?.len();
    let mut window = (CHUNK as u64).min(length);
    loop {
        let mut text = vec![0; usize::try_from(window).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut text, length - window)?;
        let end = memchr::memrchr(b'\n', &text).map_or(0, |newline| newline + 1);
        let newlines = memchr::memchr_iter(b'\n', &text[..end]).count();
        if newlines <= count && window < length && window < (count as u64 + 2) * MAX_LINE_BYTES as u64 {
            window = (window * 4).min(length);
            continue;
        }
        let whole = text[..end].split_inclusive(|byte| *byte == b'\n');
        let mut lines: Vec<_> = whole.map(|line| line[..line.len() - 1].to_vec()).collect();
        // The first may be the rest of a line that begins before the window.
        lines.drain(..lines.len().saturating_sub(count).max(usize::from(window < length && !lines.is_empty())));
        return Ok((length - window + end as u64, lines));
    }
}

/// The whole lines from `offset` on, which moves behind them.
fn new_lines(file: &File, offset: &mut u64) -> io::Result<Vec<Vec<u8>>> {
    let mut lines = Vec::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = file.read_at(&mut buffer, *offset)?;
        let Some(newline) = memchr::memrchr(b'\n', &buffer[..read]) else { return Ok(lines) };
        lines.extend(buffer[..newline].split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
        *offset += newline as u64 + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{attempt, end, open_sized};
    use gate::ports::Ledger;
    use tempfile::tempdir;

    fn kinds(lines: &[TailLine]) -> Vec<String> {
        let kind = |line: &TailLine| {
            let event: serde_json::Value = serde_json::from_slice(&line.bytes).expect("JSON");
            event["event"].as_str().unwrap_or_default().to_owned()
        };
        lines.iter().map(kind).filter(|kind| kind != "checkpoint").collect()
    }

    #[test]
    fn what_is_added_is_seen_once_over_parts_and_chains() {
        let dir = tempdir().expect("a directory");
        let (mut tail, none) = Tail::open(&dir.path().join("audit"), 5).expect("nothing");
        assert!(none.is_empty() && tail.poll().expect("nothing").is_empty());
        let ledger = open_sized(dir.path().join("audit"), 1_500);
        ledger.append(&attempt("a")).expect("room");
        assert_eq!(kinds(&tail.poll().expect("there")), ["segment", "attempt"]);
        assert!(tail.poll().expect("there").is_empty());
        ledger.append(&attempt("b")).expect("room");
        ledger.append(&end("a")).expect("room");
        ledger.append(&attempt("c")).expect("a new part");
        drop(ledger);
        let rest = kinds(&tail.poll().expect("there"));
        assert_eq!(rest.iter().filter(|kind| *kind == "attempt").count(), 2, "{rest:?}");
        assert!(rest.contains(&"close".to_owned()), "{rest:?}");
        assert!(tail.poll().expect("there").is_empty());
    }

    #[test]
    fn the_last_lines_are_the_newest_of_all_segments() {
        let dir = tempdir().expect("a directory");
        for _ in 0..3 {
            let ledger = open_sized(dir.path(), 1 << 20);
            for id in 0..20 {
                ledger.append(&attempt(&id.to_string())).expect("room");
            }
        }
        for count in [0, 1, 7, 1_000] {
            let (mut tail, lines) = Tail::open(dir.path(), count).expect("there");
            assert_eq!(lines.len(), count.min(3 * (20 + 20 + 3)));
            assert!(tail.poll().expect("there").is_empty());
        }
    }
}
