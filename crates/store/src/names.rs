//! What a segment's file is called, and what can be read from that.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// In which state a part is, by its file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum State {
    /// Its writer lives, or died without closing it.
    Unfinished,
    /// Nothing will be added.
    Closed,
    /// Recovery found it changed and left it alone.
    Damaged,
}

/// The name of one part of a chain: `<time>-<uuid>-<part>[.<state>].jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name {
    /// When the chain began, as `20261120T210000Z`.
    pub time: Box<str>,
    /// Which chain.
    pub chain: Box<str>,
    /// Which part of it, from 1.
    pub part: u32,
    pub state: State,
}

impl Name {
    /// The name of the first part of a chain that begins at `micros` since 1970.
    pub fn first(micros: u64, chain: &str) -> Self {
        Self { time: time_text(micros).into(), chain: chain.into(), part: 1, state: State::Unfinished }
    }

    pub fn parse(name: &OsStr) -> Option<Self> {
        let stem = name.to_str()?.strip_suffix(".jsonl")?;
        let (stem, state) = match stem.split_once('.') {
            None => (stem, State::Unfinished),
            Some((stem, "closed")) => (stem, State::Closed),
            Some((stem, "damaged")) => (stem, State::Damaged),
            Some(_) => return None,
        };
        let (time, rest) = stem.split_once('-')?;
        let (chain, part) = rest.rsplit_once('-')?;
        if part.len() < 4 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(Self { time: time.into(), chain: chain.into(), part: part.parse().ok()?, state })
    }

    pub fn with(&self, state: State) -> Self {
        Self { state, ..self.clone() }
    }

    /// The name of the part after this one.
    pub fn next(&self) -> Self {
        Self { part: self.part + 1, state: State::Unfinished, ..self.clone() }
    }

    /// Microseconds since 1970 before which nothing in the part was written.
    pub fn not_before(&self) -> u64 {
        let parsed = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", &*self.time).ok();
        let zoned = parsed.and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC).ok());
        zoned.and_then(|time| u64::try_from(time.timestamp().as_microsecond()).ok()).unwrap_or(0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Unfinished => "",
            State::Closed => ".closed",
            State::Damaged => ".damaged",
        };
        write!(f, "{}-{}-{:04}{state}.jsonl", self.time, self.chain, self.part)
    }
}

fn time_text(micros: u64) -> String {
    let time = i64::try_from(micros).ok().and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok());
    time.unwrap_or(jiff::Timestamp::MAX).strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// What a directory holds.
pub(crate) struct Listing {
    /// Segments, oldest chain first, parts in order.
    pub segments: Vec<Name>,
    /// Files that end like a segment and are called like none.
    pub strangers: Vec<PathBuf>,
}

/// Lists `dir`. A directory that does not exist is empty.
pub(crate) fn list(dir: &Path) -> io::Result<Listing> {
    let mut found = Listing { segments: Vec::new(), strangers: Vec::new() };
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name();
        match Name::parse(&name) {
            Some(name) => found.segments.push(name),
            None if name.as_encoded_bytes().ends_with(b".jsonl") => found.strangers.push(dir.join(name)),
            None => {}
        }
    }
    found.segments.sort();
    found.strangers.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back() {
        let first = Name::first(1_795_208_400_000_000, "0190-7b-c");
        assert_eq!(first.to_string(), "20261120T210000Z-0190-7b-c-0001.jsonl");
        for name in [first.clone(), first.next(), first.with(State::Closed), first.with(State::Damaged)] {
            assert_eq!(Name::parse(OsStr::new(&name.to_string())), Some(name));
        }
        assert_eq!(first.not_before(), 1_795_208_400_000_000);
        assert!(first < first.next() && first.with(State::Closed) < first.next());
    }

    #[test]
    fn other_names_are_no_segments() {
        for name in ["a.jsonl", "t-u-1.jsonl", "t-u-0001.jsonl.torn", "t-u-0001.other.jsonl", "t-u-00x1.jsonl", "x"] {
            assert_eq!(Name::parse(OsStr::new(name)), None, "{name}");
        }
    }
}
