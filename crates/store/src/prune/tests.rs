use super::*;
use crate::Segments;
use crate::testing::{attempt, end, files, open_sized, verify};
use gate::ports::Ledger;
use std::sync::Arc;
use tempfile::{TempDir, tempdir};

/// Two closed chains, the second of several parts, and a third that is being written.
fn three_chains() -> (TempDir, Arc<Segments>) {
    let dir = tempdir().expect("a directory");
    for bytes in [1 << 20, 3_000] {
        let ledger = open_sized(dir.path(), bytes);
        for id in 0..30 {
            ledger.append(&attempt(&id.to_string())).expect("room");
            ledger.append(&end(&id.to_string())).expect("room");
        }
    }
    let living = open_sized(dir.path(), 1 << 20);
    living.append(&attempt("x")).expect("room");
    (dir, living)
}

fn bytes(dir: &TempDir) -> u64 {
    files(dir.path()).iter().map(|file| std::fs::metadata(file).expect("there").len()).sum()
}

fn run(dir: &TempDir, ledger: &Segments, retention: Retention, now: u64) -> usize {
    let record = |event: &[u8]| {
        ledger.append(event)?;
        ledger.checkpoint()
    };
    prune(dir.path(), &retention, now, record).expect("it works")
}

#[test]
fn the_oldest_go_until_the_rest_fits_and_what_stays_holds() {
    let (dir, living) = three_chains();
    let (all, count) = (bytes(&dir), files(dir.path()).len());
    let retention = Retention { max_bytes: Some(all / 3), max_age: None };
    let gone = run(&dir, &living, retention, 0);
    assert!(gone > 2 && files(dir.path()).len() == count - gone);
    assert!(bytes(&dir) < all / 2);
    let report = verify(dir.path());
    assert_eq!((report.first_bad, report.shortened, report.chains), (None, 1, 2));
    assert_eq!(run(&dir, &living, retention, 0), 0, "there is nothing more to do");
    // Again, so that what was shortened before is said again.
    let less = Retention { max_bytes: Some(all / 6), max_age: None };
    assert!(run(&dir, &living, less, 0) > 0);
    drop(living);
    assert_eq!(verify(dir.path()).first_bad, None);
}

#[test]
fn what_is_old_goes_but_nothing_that_is_being_written() {
    let (dir, living) = three_chains();
    let now = 4_000_000_000_000_000;
    let retention = Retention { max_age: Some(Duration::from_secs(1)), max_bytes: None };
    assert_eq!(
        run(&dir, &living, Retention { max_age: Some(Duration::from_secs(10_000_000_000)), ..retention }, now),
        0
    );
    assert!(run(&dir, &living, retention, now) > 2);
    assert_eq!(files(dir.path()).len(), 1);
    assert_eq!(verify(dir.path()).first_bad, None);
    assert_eq!(heads::read(dir.path()).expect("there").len(), 1, "what is gone needs no memory");
}

#[test]
fn nothing_is_deleted_that_could_not_be_put_on_record() {
    let (dir, _living) = three_chains();
    let count = files(dir.path()).len();
    let refused = prune(dir.path(), &Retention { max_bytes: Some(0), max_age: None }, 0, |_| {
        Err(LedgerError("the disk is full".to_owned()))
    });
    assert!(refused.is_err() && files(dir.path()).len() == count);
}

#[test]
fn a_part_whose_end_is_not_signed_stays_and_all_after_it() {
    let (dir, living) = three_chains();
    let second = files(dir.path())[1].clone();
    let text = std::fs::read_to_string(&second).expect("text");
    let last = text.trim_end().rfind('\n').expect("lines") + 1;
    std::fs::write(&second, &text[..last]).expect("ours");
    run(&dir, &living, Retention { max_bytes: Some(0), max_age: None }, 0);
    assert!(second.exists() && files(dir.path()).len() > 2);
}

#[test]
fn a_deletion_that_is_not_on_record_is_found() {
    for index in [0, 1] {
        let (dir, living) = three_chains();
        drop(living);
        std::fs::remove_file(&files(dir.path())[index]).expect("ours");
        assert!(verify(dir.path()).first_bad.is_some(), "segment {index}");
    }
}

#[test]
fn a_deletion_excuses_no_other() {
    let (dir, living) = three_chains();
    let all = bytes(&dir);
    run(&dir, &living, Retention { max_bytes: Some(all / 3), max_age: None }, 0);
    drop(living);
    assert_eq!(verify(dir.path()).first_bad, None);
    std::fs::remove_file(&files(dir.path())[0]).expect("ours");
    assert!(verify(dir.path()).first_bad.is_some());
}

#[test]
fn a_deletion_on_record_that_nobody_signed_excuses_nothing() {
    let (dir, living) = three_chains();
    let record = |event: &[u8]| living.append(event).map(drop);
    prune(dir.path(), &Retention { max_bytes: Some(0), max_age: None }, 0, record).expect("it works");
    assert_eq!(files(dir.path()).len(), 1);
    let report = verify(dir.path());
    assert!(report.unsigned == 3 && report.first_bad.is_some());
    living.checkpoint().expect("room");
    assert_eq!(verify(dir.path()).first_bad, None);
}

#[test]
fn it_is_looked_seldom_and_only_where_something_is_to_go() {
    let keep = Retention { max_age: None, max_bytes: Some(1) };
    let mut horizon = Horizon::default();
    assert!(!horizon.is_due(&Retention::default(), 0));
    assert!(horizon.is_due(&keep, 0) && !horizon.is_due(&keep, LOOK_EVERY - 1) && horizon.is_due(&keep, LOOK_EVERY));
}
