use super::*;
use crate::Segments;
use crate::testing::{attempt, door, end, files, open_sized, story, verify};
use gate::ports::Ledger;
use std::sync::Arc;
use tempfile::{TempDir, tempdir};

/// A directory as a killed writer left it: `shape` then changes its files.
fn left_behind(events: &[Vec<u8>], bytes: u64) -> TempDir {
    let (live, dead) = (tempdir().expect("a directory"), tempdir().expect("a directory"));
    let ledger = open_sized(live.path(), bytes);
    for event in events {
        ledger.append(event).expect("room");
    }
    for file in files(live.path()) {
        std::fs::copy(&file, dead.path().join(file.file_name().expect("a name"))).expect("room");
    }
    dead
}

fn again(dir: &TempDir) -> Recovered {
    recover(dir.path(), &door()).expect("listed")
}

fn append(file: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).open(file).expect("there").write_all(bytes).expect("room");
}

/// Recovers twice; the second time there is nothing to do, and everything is sound.
fn check(dir: &TempDir, want: &Recovered, words: &[&str]) {
    assert_eq!(&again(dir), want);
    assert_eq!(story(dir.path()), words);
    let report = verify(dir.path());
    assert_eq!((report.first_bad, report.unfinished), (None, 0));
    assert_eq!(again(dir), Recovered::default());
    assert_eq!(story(dir.path()), words);
}

fn done(closed: usize, lost: usize, torn_bytes: u64) -> Recovered {
    Recovered { closed, lost, in_doubt: lost, torn_bytes, ..Recovered::default() }
}

#[test]
fn an_open_attempt_is_ended_as_lost() {
    let dir = left_behind(&[attempt("a"), attempt("b"), end("a")], 1 << 20);
    let words = ["segment:1", "attempt:a", "attempt:b", "end:a:finished", "end:b:lost", "close:recovered"];
    check(&dir, &done(1, 1, 0), &words);
}

#[test]
fn half_a_line_is_moved_aside() {
    let dir = left_behind(&[attempt("a")], 1 << 20);
    let file = &files(dir.path())[0];
    append(file, b"{\"event\":\"end\",\"id\":\"a\"");
    check(&dir, &done(1, 1, 23), &["segment:1", "attempt:a", "end:a:lost", "close:recovered"]);
    assert_eq!(std::fs::read(torn_path(file)).expect("kept"), b"{\"event\":\"end\",\"id\":\"a\"");
}

#[test]
fn zeros_that_a_power_failure_left_are_moved_aside() {
    let dir = left_behind(&[attempt("a")], 1 << 20);
    append(&files(dir.path())[0], &[0; 5_000]);
    check(&dir, &done(1, 1, 5_000), &["segment:1", "attempt:a", "end:a:lost", "close:recovered"]);
}

#[test]
fn what_a_part_left_open_is_ended_in_the_last_part() {
    let dir = left_behind(&[attempt("a"), attempt("b"), attempt("c"), end("b")], 700);
    let words = [
        "segment:1",
        "attempt:a",
        "segment:2",
        "carried:[\"a\"]",
        "attempt:b",
        "segment:3",
        "carried:[\"a\",\"b\"]",
        "attempt:c",
        "segment:4",
        "carried:[\"a\",\"b\",\"c\"]",
        "end:b:finished",
        "end:a:lost",
        "end:c:lost",
        "close:recovered",
    ];
    check(&dir, &again_want(&dir), &words);
}

/// How many parts are unfinished decides how many are closed: a writer settles the older ones itself.
fn again_want(dir: &TempDir) -> Recovered {
    let open = files(dir.path()).iter().filter(|file| !file.to_string_lossy().contains(".closed.")).count();
    done(open, 2, 0)
}

#[test]
fn a_part_without_all_of_its_head_is_no_successor() {
    for keep in [1, 300, 500] {
        let dir = left_behind(&[attempt("a"), attempt("b")], 700);
        let second = &files(dir.path())[1];
        let cut = OpenOptions::new().write(true).open(second).expect("there");
        cut.set_len(keep).expect("ours");
        drop(cut);
        check(&dir, &done(1, 1, keep), &["segment:1", "attempt:a", "end:a:lost", "close:recovered"]);
        assert_eq!(std::fs::metadata(torn_path(second)).expect("kept").len(), keep);
    }
}

#[test]
fn an_empty_file_goes_away() {
    let dir = left_behind(&[attempt("a")], 1 << 20);
    let file = files(dir.path())[0].clone();
    std::fs::write(&file, "").expect("ours");
    assert_eq!(again(&dir), Recovered::default());
    assert!(!file.exists());
}

#[test]
fn a_recovery_that_died_is_finished_by_the_next() {
    let dir = left_behind(&[attempt("a"), attempt("b")], 1 << 20);
    let file = files(dir.path())[0].clone();
    append(&file, b"half");
    // It died after the copy, before the cut.
    std::fs::write(torn_path(&file), b"half").expect("room");
    let words = ["segment:1", "attempt:a", "attempt:b", "end:a:lost", "end:b:lost", "close:recovered"];
    check(&dir, &done(1, 2, 4), &words);
    assert_eq!(std::fs::read(torn_path(&file)).expect("kept"), b"half");
}

#[test]
fn ends_that_a_dead_recovery_wrote_are_not_written_again() {
    let dir = left_behind(&[attempt("a"), attempt("b"), end("b")], 1 << 20);
    let lost = br#"{"event":"end","id":"a","ts":1,"end":"lost"}"#;
    let file = files(dir.path())[0].clone();
    let mut reading = File::open(&file).expect("there");
    let name = Name::parse(file.file_name().expect("a name")).expect("ours");
    let mut line = Vec::new();
    Survey::read(&mut reading, &name, &door()).expect("readable").link.seal(lost, &mut line).expect("sealable");
    append(&file, &line);
    let words = ["segment:1", "attempt:a", "attempt:b", "end:b:finished", "end:a:lost", "close:recovered"];
    check(&dir, &done(1, 0, 0), &words);
}

#[test]
fn a_living_writer_is_left_alone() {
    let dir = tempdir().expect("a directory");
    let ledger = Segments::open(dir.path(), door()).expect("fresh");
    ledger.append(&attempt("a")).expect("room");
    assert_eq!(again(&dir), Recovered::default());
    ledger.append(&end("a")).expect("room");
    assert_eq!(story(dir.path()), ["segment:1", "attempt:a", "end:a:finished"]);
}

#[test]
fn a_changed_segment_is_put_on_record_and_left_as_it_is() {
    let dir = left_behind(&[attempt("a"), attempt("b"), attempt("c")], 1 << 20);
    let file = files(dir.path())[0].clone();
    let mut text = std::fs::read(&file).expect("there");
    let at = text.len() / 2;
    text[at] ^= 1;
    std::fs::write(&file, &text).expect("ours");
    let recovered = again(&dir);
    assert_eq!(recovered.damaged, files(dir.path()));
    assert!(recovered.damaged[0].to_string_lossy().ends_with("-0001.damaged.jsonl"));
    assert_eq!(std::fs::read(&recovered.damaged[0]).expect("there"), text);
    assert_eq!(verify(dir.path()).first_bad.expect("changed").line, 3);
    assert_eq!(again(&dir), Recovered::default());
}

#[test]
fn several_can_recover_at_once() {
    let events: Vec<_> = (0..200).map(|number| attempt(&number.to_string())).collect();
    let dir = Arc::new(left_behind(&events, 5_000));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let dir = dir.clone();
            std::thread::spawn(move || again(&dir))
        })
        .collect();
    let recovered: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
    assert!(recovered.iter().all(|done| done.failed.is_empty() && done.damaged.is_empty()), "{recovered:?}");
    assert_eq!(recovered.iter().map(|done| done.lost).sum::<usize>(), 200);
    let report = verify(dir.path());
    assert_eq!((report.first_bad, report.unfinished), (None, 0));
}

#[test]
fn a_place_that_does_not_exist_has_nothing_to_recover() {
    let dir = tempdir().expect("a directory");
    assert_eq!(recover(&dir.path().join("none"), &door()).expect("nothing"), Recovered::default());
}
