use super::*;
use crate::chain::MAX_LINE_BYTES;
use crate::heads;
use crate::recover;
use crate::testing::{attempt, door, end, faulty, files, open_sized, story, verify};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::Ordering::SeqCst;
use tempfile::{TempDir, tempdir};

fn open(dir: &TempDir, bytes: u64) -> Arc<Segments> {
    open_sized(dir.path().join("toolgate/audit"), bytes)
}

fn audit(dir: &TempDir) -> PathBuf {
    dir.path().join("toolgate/audit")
}

/// Everything is sound: nothing bad, and as many lines as the story has words.
fn sound(dir: &Path) {
    let report = verify(dir);
    assert_eq!(report.first_bad, None);
    assert_eq!((report.lines - report.checkpoints) as usize, story(dir).len());
}

#[test]
fn who_records_nothing_leaves_nothing() {
    let dir = tempdir().expect("a directory");
    drop(open(&dir, SEGMENT_BYTES));
    assert!(files(dir.path()).is_empty());
}

#[test]
fn a_chain_begins_with_a_header_and_ends_with_a_close() {
    let dir = tempdir().expect("a directory");
    let ledger = open(&dir, SEGMENT_BYTES);
    ledger.append(&attempt("a")).expect("room");
    assert!(files(&audit(&dir))[0].to_str().is_some_and(|name| name.ends_with("-0001.jsonl")));
    ledger.append(&end("a")).expect("room");
    drop(ledger);
    assert_eq!(story(&audit(&dir)), ["segment:1", "attempt:a", "end:a:finished", "close:finished"]);
    assert!(files(&audit(&dir))[0].to_str().is_some_and(|name| name.ends_with("-0001.closed.jsonl")));
    sound(&audit(&dir));
}

#[test]
fn nobody_else_can_read_the_ledger() {
    let dir = tempdir().expect("a directory");
    std::fs::create_dir_all(audit(&dir)).expect("a directory");
    std::fs::set_permissions(audit(&dir), std::fs::Permissions::from_mode(0o777)).expect("ours");
    let ledger = open(&dir, SEGMENT_BYTES);
    ledger.append(b"{}").expect("room");
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&audit(&dir)), 0o700);
    assert_eq!(mode(&files(&audit(&dir))[0]), 0o600);
}

#[test]
fn an_attempt_without_an_end_is_lost_when_the_chain_is_closed() {
    let dir = tempdir().expect("a directory");
    let ledger = open(&dir, SEGMENT_BYTES);
    ledger.append(&attempt("a")).expect("room");
    ledger.close().expect("room");
    assert_eq!(story(&audit(&dir)), ["segment:1", "attempt:a", "end:a:lost", "close:finished"]);
    assert_eq!(ledger.append(b"{}").expect_err("closed").to_string(), "the ledger is closed");
    ledger.close().expect("closing twice is closing");
    sound(&audit(&dir));
}

#[test]
fn a_full_part_is_followed_by_one_that_carries_what_is_open() {
    let dir = tempdir().expect("a directory");
    let ledger = open(&dir, 700);
    for id in ["a", "b", "c"] {
        ledger.append(&attempt(id)).expect("room");
    }
    drop(ledger);
    let want = [
        "segment:1",
        "attempt:a",
        "segment:2",
        "carried:[\"a\"]",
        "attempt:b",
        "segment:3",
        "carried:[\"a\",\"b\"]",
        "attempt:c",
        "end:a:lost",
        "end:b:lost",
        "end:c:lost",
        "close:finished",
    ];
    assert_eq!(story(&audit(&dir)), want);
    assert!(files(&audit(&dir)).iter().all(|file| file.to_str().is_some_and(|name| name.ends_with(".closed.jsonl"))));
    sound(&audit(&dir));
}

#[test]
fn what_is_no_event_is_refused_and_nothing_of_it_stays() {
    let dir = tempdir().expect("a directory");
    let ledger = open(&dir, SEGMENT_BYTES);
    for event in [&b"[]"[..], b"{\"a\":1}\n{}", &[b'{'; 70_000]] {
        ledger.append(event).expect_err("no event");
    }
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_LINE_BYTES));
    assert!(ledger.append(long.as_bytes()).expect_err("too long").to_string().contains("too long"));
    ledger.append(b"{\"event\":\"x\"}").expect("room");
    drop(ledger);
    assert_eq!(story(&audit(&dir)), ["segment:1", "x", "close:finished"]);
    sound(&audit(&dir));
}

#[test]
fn a_full_disk_leaves_no_half_line_and_works_again_when_there_is_space() {
    let dir = tempdir().expect("a directory");
    let (ledger, faults) = faulty(dir.path());
    ledger.append(&attempt("a")).expect("room");
    for room in [100, 1, 0] {
        *faults.room.lock().expect("not poisoned") = Some(room);
        let error = ledger.append(&attempt("b")).expect_err("no room").to_string();
        assert!(error.contains("cannot write to the audit file"), "{error}");
        sound(dir.path());
    }
    *faults.room.lock().expect("not poisoned") = None;
    ledger.append(&attempt("c")).expect("room");
    drop(ledger);
    let want = ["segment:1", "attempt:a", "attempt:c", "end:a:lost", "end:c:lost", "close:finished"];
    assert_eq!(story(dir.path()), want);
    sound(dir.path());
}

#[test]
fn a_disk_full_from_the_start_leaves_no_file() {
    let dir = tempdir().expect("a directory");
    let (ledger, faults) = faulty(dir.path());
    *faults.room.lock().expect("not poisoned") = Some(50);
    ledger.append(&attempt("a")).expect_err("no room");
    assert!(files(dir.path()).is_empty());
    *faults.room.lock().expect("not poisoned") = None;
    ledger.append(&attempt("b")).expect("room");
    drop(ledger);
    assert_eq!(story(dir.path()), ["segment:1", "attempt:b", "end:b:lost", "close:finished"]);
}

#[test]
fn after_half_a_line_that_cannot_be_cut_off_the_chain_goes_on_in_another_part() {
    let dir = tempdir().expect("a directory");
    let (ledger, faults) = faulty(dir.path());
    ledger.append(&attempt("a")).expect("room");
    faults.no_truncate.store(true, SeqCst);
    *faults.room.lock().expect("not poisoned") = Some(100);
    ledger.append(&attempt("b")).expect_err("no room");
    *faults.room.lock().expect("not poisoned") = None;
    ledger.append(&end("a")).expect("room in another part");
    assert_eq!(recover(dir.path(), &door()).expect("listed"), crate::Recovered::default(), "its writer lives");
    drop(ledger);
    let done = recover(dir.path(), &door()).expect("listed");
    assert_eq!((done.closed, done.lost, done.torn_bytes), (1, 0, 100));
    let want = ["segment:1", "attempt:a", "segment:2", "carried:[\"a\"]", "end:a:finished", "close:finished"];
    assert_eq!(story(dir.path()), want);
    sound(dir.path());
}

#[test]
fn a_ledger_that_is_deleted_under_its_writer_is_missed() {
    let dir = tempdir().expect("a directory");
    let ledger = open(&dir, SEGMENT_BYTES);
    ledger.append(&attempt("a")).expect("room");
    std::fs::remove_dir_all(audit(&dir)).expect("ours");
    for _ in 0..LOOK_EVERY {
        ledger.append(&attempt("b")).expect("the old file, and then a new part");
    }
    drop(ledger);
    let bad = verify(&audit(&dir)).first_bad.expect("a part is missing");
    assert_eq!(bad.why, "the part before it is not part 1, and its deletion is not on record");
}

#[tokio::test]
async fn who_waits_for_the_disk_hears_that_the_file_is_gone() {
    let dir = tempdir().expect("a directory");
    let ledger = open(&dir, SEGMENT_BYTES);
    let position = ledger.append(&attempt("a")).expect("room");
    std::fs::remove_dir_all(audit(&dir)).expect("ours");
    assert!(ledger.durable(position).await.is_err(), "nothing of it is left on the disk");
    let position = ledger.append(&attempt("b")).expect("a new part");
    ledger.durable(position).await.expect("which is there");
}

#[test]
fn events_that_came_together_are_lines_like_any_other() {
    let dir = tempdir().expect("a directory");
    let ledger = open(&dir, SEGMENT_BYTES);
    ledger.append(&attempt("a")).expect("room");
    ledger.append_all(&[end("a"), attempt("b"), end("b")]).expect("room");
    ledger.append_all(&[]).expect("nothing to write");
    drop(ledger);
    let want = ["segment:1", "attempt:a", "end:a:finished", "attempt:b", "end:b:finished", "close:finished"];
    assert_eq!(story(&audit(&dir)), want);
    sound(&audit(&dir));
}

#[tokio::test]
async fn many_waiters_share_a_sync() {
    let dir = tempdir().expect("a directory");
    let (ledger, faults) = faulty(dir.path());
    faults.hold.store(true, SeqCst);
    let first = ledger.append(&attempt("first")).expect("room");
    let waiting = tokio::task::LocalSet::new();
    let others = waiting.run_until(async {
        let (one, ledger) = (ledger.clone(), ledger.clone());
        let leader = tokio::task::spawn_local(async move { one.durable(first).await });
        while faults.syncs.load(SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        // The sync that runs began before these were written, so it cannot count for them.
        let others: Vec<_> = (0..50)
            .map(|number| {
                let position = ledger.append(&attempt(&number.to_string())).expect("room");
                let ledger = ledger.clone();
                tokio::task::spawn_local(async move { ledger.durable(position).await })
            })
            .collect();
        tokio::task::yield_now().await;
        faults.hold.store(false, SeqCst);
        leader.await.expect("no panic").expect("synced");
        for other in others {
            other.await.expect("no panic").expect("synced");
        }
    });
    others.await;
    assert_eq!(faults.syncs.load(SeqCst), 2);
}

#[tokio::test]
async fn what_is_durable_needs_no_second_sync() {
    let dir = tempdir().expect("a directory");
    let (ledger, faults) = faulty(dir.path());
    let early = ledger.append(&attempt("a")).expect("room");
    let late = ledger.append(&attempt("b")).expect("room");
    ledger.durable(late).await.expect("synced");
    ledger.durable(early).await.expect("synced");
    assert_eq!(faults.syncs.load(SeqCst), 1);
    ledger.durable(Position(99)).await.expect_err("no such record");
}

#[tokio::test]
async fn after_a_failed_sync_its_lines_never_count_as_durable() {
    let dir = tempdir().expect("a directory");
    let (ledger, faults) = faulty(dir.path());
    faults.no_sync.store(true, SeqCst);
    let lost = ledger.append(&attempt("a")).expect("room");
    ledger.durable(lost).await.expect_err("the disk failed");
    faults.no_sync.store(false, SeqCst);
    let kept = ledger.append(&attempt("b")).expect("room in another part");
    ledger.durable(kept).await.expect("synced");
    ledger.durable(lost).await.expect_err("nobody knows");
    drop(ledger);
    assert_eq!(recover(dir.path(), &door()).expect("listed").lost, 0);
    let words = story(dir.path());
    assert_eq!(words.iter().filter(|word| *word == "end:a:lost").count(), 1, "{words:?}");
    sound(dir.path());
}

#[tokio::test]
async fn a_waiter_that_goes_away_does_not_hide_a_failed_sync() {
    let dir = tempdir().expect("a directory");
    let (ledger, faults) = faulty(dir.path());
    faults.no_sync.store(true, SeqCst);
    let lost = ledger.append(&attempt("a")).expect("room");
    faults.hold.store(true, SeqCst);
    {
        let mut waiter = ledger.durable(lost);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(waiter.as_mut().poll(&mut context).is_pending());
    }
    while faults.syncs.load(SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    faults.hold.store(false, SeqCst);
    // From now on the same file would sync, as a kernel that reported an error once does.
    while ledger.inner.lock().expect("not poisoned").synced.unknown.is_none() {
        tokio::task::yield_now().await;
    }
    faults.no_sync.store(false, SeqCst);
    ledger.durable(lost).await.expect_err("nobody knows");
}

#[test]
fn something_in_the_way_is_said_at_once() {
    let dir = tempdir().expect("a directory");
    let file = dir.path().join("audit");
    std::fs::write(&file, "").expect("room");
    assert!(matches!(Segments::open(&file, door()), Err(OpenError::NotADirectory(_))));
    assert!(matches!(Segments::open(file.join("below"), door()), Err(OpenError::Unreadable { .. })));
}

#[test]
fn what_is_written_is_signed_where_parts_and_chains_end_and_on_time() {
    let dir = tempdir().expect("a directory");
    let ledger = open(&dir, 2_000);
    let report = |want: (u64, u64)| {
        let report = verify(&audit(&dir));
        assert_eq!((report.first_bad, (report.checkpoints, report.unsigned)), (None, want));
    };
    ledger.append(&attempt("a")).expect("room");
    report((0, 2));
    ledger.inner.tick().expect("room");
    report((1, 0));
    ledger.inner.tick().expect("nothing to sign");
    report((1, 0));
    for id in ["b", "c", "d"] {
        ledger.append(&attempt(id)).expect("room");
    }
    assert_eq!(files(&audit(&dir)).len(), 2);
    report((2, 3));
    drop(ledger);
    report((3, 0));
    let heads = heads::read(&audit(&dir)).expect("there");
    assert_eq!(heads.len(), 3, "each of them is remembered");
}

#[test]
fn checkpoints_come_by_themselves_after_enough_lines() {
    let dir = tempdir().expect("a directory");
    let options = Options { checkpoint_events: 10, ..Options::default() };
    let ledger = Segments::open_with(audit(&dir), door(), options).expect("a fresh directory");
    for id in 0..10 {
        ledger.append(&attempt(&id.to_string())).expect("room");
    }
    let begun = std::time::SystemTime::UNIX_EPOCH;
    let deadline = begun.elapsed().expect("after 1970") + Duration::from_secs(30);
    while heads::read(&audit(&dir)).expect("readable").is_empty() {
        assert!(begun.elapsed().expect("after 1970") < deadline, "nobody signed");
        std::thread::yield_now();
    }
    let report = verify(&audit(&dir));
    assert!(report.checkpoints > 0 && report.unsigned < 10, "{report:?}");
}

#[test]
fn a_part_that_is_old_is_followed_by_another_if_it_holds_anything() {
    let dir = tempdir().expect("a directory");
    let options = Options { segment_age: Duration::ZERO, ..Options::default() };
    let ledger = Segments::build(audit(&dir), door(), options, Box::new(Real)).expect("a fresh directory");
    ledger.append(&attempt("a")).expect("room");
    ledger.inner.tick().expect("room");
    assert_eq!(story(&audit(&dir)), ["segment:1", "attempt:a", "segment:2", "carried:[\"a\"]"]);
    ledger.inner.tick().expect("room");
    drop(ledger);
    sound(&audit(&dir));
}

#[test]
fn only_a_call_that_may_have_had_effects_is_in_doubt() {
    let dir = tempdir().expect("a directory");
    let ledger = open(&dir, 600);
    let event = |id: &str, effect: &str| format!(r#"{{"event":"attempt","id":"{id}","ts":1,"effect":"{effect}"}}"#);
    for (id, effect) in [("a", "read"), ("b", "write"), ("c", "high_impact"), ("d", "read")] {
        ledger.append(event(id, effect).as_bytes()).expect("room");
    }
    drop(ledger);
    let all: String = files(&audit(&dir)).iter().map(|file| std::fs::read_to_string(file).expect("text")).collect();
    let doubtful: Vec<_> = all.lines().filter(|line| line.contains("\"in_doubt\":true")).collect();
    assert_eq!(doubtful.len(), 2, "{all}");
    assert!(["b", "c"].iter().zip(&doubtful).all(|(id, line)| line.contains(&format!("\"id\":\"{id}\""))));
    assert_eq!(verify(&audit(&dir)).in_doubt, 2);
    assert!(files(&audit(&dir)).len() > 1, "it was carried over parts");
}

#[test]
fn when_nothing_more_is_promised_attempts_are_refused_and_ends_are_written() {
    let dir = tempdir().expect("a directory");
    let (ledger, faults) = faulty(dir.path());
    ledger.append(&attempt("a")).expect("room");
    faults.no_reserve.store(true, SeqCst);
    let big = format!(r#"{{"event":"attempt","id":"b","x":"{}"}}"#, "x".repeat(60_000));
    let refused = (0..100).find_map(|_| ledger.append(big.as_bytes()).err()).expect("the promise does not last");
    assert!(refused.to_string().contains("cannot reserve space"), "{refused}");
    ledger.append_all(&[end("a")]).expect("ends have their room");
    faults.no_reserve.store(false, SeqCst);
    ledger.append(&attempt("c")).expect("room again");
    drop(ledger);
    sound(dir.path());
}

#[test]
fn ends_that_the_disk_did_not_take_are_written_before_anything_else() {
    let dir = tempdir().expect("a directory");
    let (ledger, faults) = faulty(dir.path());
    ledger.append(&attempt("a")).expect("room");
    ledger.append(&attempt("b")).expect("room");
    *faults.room.lock().expect("not poisoned") = Some(10);
    ledger.append_all(&[end("a"), end("b"), end("never")]).expect_err("no room");
    ledger.append(&attempt("c")).expect_err("no room");
    *faults.room.lock().expect("not poisoned") = None;
    ledger.append(&attempt("d")).expect("room");
    drop(ledger);
    let want = [
        "segment:1",
        "attempt:a",
        "attempt:b",
        "end:a:finished",
        "end:b:finished",
        "attempt:d",
        "end:d:lost",
        "close:finished",
    ];
    assert_eq!(story(dir.path()), want);
    sound(dir.path());
}

#[test]
fn ends_that_the_disk_did_not_take_are_tried_again_in_the_background() {
    let dir = tempdir().expect("a directory");
    let (ledger, faults) = faulty(dir.path());
    ledger.append(&attempt("a")).expect("room");
    *faults.room.lock().expect("not poisoned") = Some(0);
    ledger.append_all(&[end("a")]).expect_err("no room");
    ledger.inner.tick().expect_err("still no room");
    *faults.room.lock().expect("not poisoned") = None;
    ledger.inner.tick().expect("room");
    assert_eq!(story(dir.path()), ["segment:1", "attempt:a", "end:a:finished"]);
    sound(dir.path());
}
