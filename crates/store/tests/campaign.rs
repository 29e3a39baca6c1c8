//! The record under attack: every byte, every line, every cut, and writers killed at random moments.
//!
//! A sample runs by default. With `TOOLGATE_AUDIT=full` everything runs, and each campaign prints a line beginning
//! with `AUDIT` for the report that `cargo xtask audit` writes.

#![expect(clippy::disallowed_methods, reason = "a campaign is sized by the environment and timed")]

mod common;

use common::{appender, check, door, verify};
use gate::ports::Ledger;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use store::{Against, Options, Segments, Signer};
use tempfile::{TempDir, tempdir};

/// Calls in the log, each an attempt and an end.
const CALLS: usize = 500;

fn full() -> bool {
    std::env::var("TOOLGATE_AUDIT").is_ok_and(|size| size == "full")
}

/// All of them, or a sample that is not the same for lines of the same length.
fn some(all: usize, sampled: usize) -> impl Iterator<Item = usize> {
    (0..all).step_by(if full() { 1 } else { (all / sampled).max(1) | 1 })
}

#[expect(clippy::print_stdout, reason = "it is what the chore reads")]
fn report(what: &str, count: usize, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    println!("AUDIT {}", serde_json::json!({ "what": what, "count": count, "seconds": seconds }));
}

/// A closed chain of a thousand events in one file, its path, and its content.
fn log() -> (TempDir, PathBuf, Vec<u8>) {
    let dir = tempdir().expect("a directory");
    let options = Options { checkpoint_events: u64::MAX, ..Options::default() };
    let ledger = Segments::open_with(dir.path(), door(), options).expect("a fresh directory");
    for call in 0..CALLS {
        let (id, ts) = (format!("{call:08x}"), 1_795_208_400_000_000 + call);
        let attempt = format!(r#"{{"event":"attempt","id":"{id}","ts":{ts},"asked":"server__tool"}}"#);
        ledger.append(attempt.as_bytes()).expect("room");
        ledger.append(format!(r#"{{"event":"end","id":"{id}","ts":{ts},"end":"finished"}}"#).as_bytes()).expect("room");
        if call == CALLS / 2 {
            ledger.checkpoint().expect("room");
        }
    }
    ledger.close().expect("room");
    drop(ledger);
    let file = std::fs::read_dir(dir.path())
        .expect("there")
        .map(|entry| entry.expect("readable").path())
        .find(|path| path.extension().is_some_and(|ext| ext == "jsonl"))
        .expect("a segment");
    let text = std::fs::read(&file).expect("there");
    assert_eq!(verify(dir.path()).first_bad, None);
    (dir, file, text)
}

/// What is in the directory now must be called bad at this line of the segment.
fn named(dir: &Path, file: &Path, line: usize, what: &str) {
    let bad = verify(dir).first_bad.unwrap_or_else(|| panic!("{what} was not seen"));
    assert_eq!((&*bad.file, bad.line), (file, line as u64), "{what}: {}", bad.why);
}

fn line_of(text: &[u8], at: usize) -> usize {
    1 + text[..at].iter().filter(|byte| **byte == b'\n').count()
}

fn write(path: &Path, lines: &[&[u8]]) {
    std::fs::write(path, lines.concat()).expect("room");
}

#[test]
fn every_flipped_byte_is_named() {
    let (dir, path, text) = log();
    let begun = Instant::now();
    let file = OpenOptions::new().write(true).open(&path).expect("ours");
    let (mut count, mut line, mut seen) = (0, 1, 0);
    for at in some(text.len(), 40) {
        line += text[seen..at].iter().filter(|byte| **byte == b'\n').count();
        seen = at;
        // Another bit each time, so that over the log each is flipped in every kind of place.
        file.write_all_at(&[text[at] ^ 1 << (at % 8)], at as u64).expect("ours");
        named(dir.path(), &path, line, &format!("byte {at}"));
        file.write_all_at(&text[at..=at], at as u64).expect("ours");
        count += 1;
    }
    assert_eq!(verify(dir.path()).first_bad, None, "all is as it was");
    report("bytes of a thousand-event log flipped, one at a time", count, begun);
}

#[test]
fn every_line_taken_out_put_in_doubled_or_moved_is_named() {
    let (dir, path, text) = log();
    let begun = Instant::now();
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let mut count = 0;
    for at in some(lines.len(), 6) {
        let edits: [(&str, Vec<&[u8]>, usize); 4] = [
            ("deleted", [&lines[..at], &lines[at + 1..]].concat(), at + 1),
            ("doubled", [&lines[..=at], &lines[at..]].concat(), at + 2),
            ("inserted", [&lines[..at], &[&b"{\"event\":\"end\",\"id\":\"x\"}\n"[..]], &lines[at..]].concat(), at + 1),
            (
                "swapped",
                {
                    let mut swapped = lines.clone();
                    swapped.swap(at, (at + 1) % lines.len());
                    swapped
                },
                if at + 1 < lines.len() { at + 1 } else { 1 },
            ),
        ];
        for (what, edited, line) in edits {
            write(&path, &edited);
            named(dir.path(), &path, line, &format!("line {} {what}", at + 1));
            count += 1;
        }
    }
    report("lines deleted, doubled, inserted or swapped", count, begun);
}

#[test]
fn every_cut_is_named() {
    let (dir, path, text) = log();
    let begun = Instant::now();
    let file = OpenOptions::new().write(true).open(&path).expect("ours");
    let mut cuts: Vec<_> = some(text.len(), 30).collect();
    cuts.reverse();
    for at in &cuts {
        file.set_len(*at as u64).expect("ours");
        named(dir.path(), &path, line_of(&text, *at), &format!("cut at {at}"));
    }
    report("cuts of the log, one at each offset", cuts.len(), begun);
}

#[test]
fn another_key_is_named() {
    let (dir, _, _) = log();
    let begun = Instant::now();
    let count = if full() { 1_000 } else { 10 };
    for seed in 0..count {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&(seed as u64).to_le_bytes());
        let other = Signer::from_seed(&bytes);
        let report = store::verify(dir.path(), Against { key: Some(other.public()), heads: None });
        assert!(report.expect("readable").first_bad.is_some(), "key {seed}");
    }
    report("other keys that did not sign", count, begun);
}

/// Numbers that are no pattern, from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[test]
fn killed_writers_lose_nothing_acknowledged_and_leave_no_effect_without_an_attempt() {
    let begun = Instant::now();
    let kills = if full() { 2_000 } else { 20 };
    let (mut dice, mut acknowledged, mut effects) = (Dice(0x9e37_79b9_7f4a_7c15), 0, 0);
    for round in 0..kills {
        let dir = tempdir().expect("a directory");
        let done = dir.path().join("effects");
        let audit = dir.path().join("audit");
        // Small parts, so that some are killed while they change to the next one.
        let segment_bytes = [5_000, 40_000, 1 << 26][round % 3];
        let mut child = appender(&audit, segment_bytes, Some(&done));
        let mut said = BufReader::new(child.stdout.take().expect("piped")).lines();
        // Some die before their first word, most somewhere in the middle of their work.
        let heard: Vec<String> = said.by_ref().take(dice.below(2) as usize).map(|line| line.expect("text")).collect();
        std::thread::sleep(Duration::from_micros(dice.below(20_000)));
        child.kill().expect("ours");
        child.wait().expect("ours");
        let heard: Vec<String> =
            heard.into_iter().chain(said.map_while(Result::ok).filter(|line| line.len() == 36)).collect();
        let attempts = check(&audit, &heard);
        let lines = File::open(&done).map(|file| BufReader::new(file).lines().map_while(Result::ok).collect());
        let lines: Vec<String> = lines.unwrap_or_default();
        let orphan = lines.iter().find(|id| !attempts.contains(*id));
        assert_eq!(orphan, None, "round {round}: an effect without an attempt");
        acknowledged += heard.len();
        effects += lines.len();
    }
    assert!(acknowledged > kills && effects >= acknowledged, "{acknowledged} acknowledged, {effects} effects");
    report(
        &format!("writers killed with SIGKILL; {acknowledged} acknowledged events, {effects} effects"),
        kills,
        begun,
    );
}
