use super::*;
use crate::Segments;
use crate::testing::{attempt, door, end, files, open_sized, verify};
use gate::ports::Ledger;
use tempfile::{TempDir, tempdir};

/// Two chains, the first of several parts, all closed.
fn two_chains() -> TempDir {
    let dir = tempdir().expect("a directory");
    for bytes in [700, 1 << 20] {
        let ledger = open_sized(dir.path(), bytes);
        for id in ["a", "b", "c"] {
            ledger.append(&attempt(id)).expect("room");
            ledger.append(&end(id)).expect("room");
        }
    }
    dir
}

fn bad(dir: &Path) -> Option<(String, u64)> {
    let name = |bad: Bad| (bad.file.file_name().expect("a name").to_string_lossy().into_owned(), bad.line);
    verify(dir).first_bad.map(name)
}

/// Changes one file's lines and says which line is then the first bad one.
fn check(index: usize, change: impl Fn(&mut Vec<Vec<u8>>), want: u64) {
    let dir = two_chains();
    let file = &files(dir.path())[index];
    let text = std::fs::read(file).expect("there");
    let mut lines: Vec<Vec<u8>> = text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    change(&mut lines);
    std::fs::write(file, lines.concat()).expect("ours");
    let got = bad(dir.path()).expect("changed");
    assert_eq!(got, (file.file_name().expect("a name").to_string_lossy().into_owned(), want));
}

#[test]
fn what_was_written_is_sound() {
    let dir = two_chains();
    let report = verify(dir.path());
    assert_eq!(report.first_bad, None);
    assert_eq!((report.chains, report.unfinished), (2, 0));
    assert_eq!(report.segments as usize, files(dir.path()).len());
    for file in files(dir.path()) {
        assert_eq!(verify(&file).first_bad, None, "{file:?}");
    }
}

#[test]
fn every_changed_byte_is_found_at_its_line() {
    let dir = two_chains();
    let file = files(dir.path()).pop().expect("a file");
    let text = std::fs::read(&file).expect("there");
    for at in 0..text.len() {
        let mut changed = text.clone();
        changed[at] ^= 1;
        std::fs::write(&file, &changed).expect("ours");
        let line = text[..at].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        assert_eq!(bad(&file).expect("changed").1, line, "byte {at}");
    }
}

#[test]
fn a_line_taken_out_put_in_or_moved_is_found() {
    let last = files(two_chains().path()).len() - 1;
    check(last, |lines| drop(lines.remove(1)), 2);
    check(last, |lines| lines.insert(2, lines[1].clone()), 3);
    check(last, |lines| lines.swap(1, 2), 2);
    check(last, |lines| drop(lines.remove(0)), 1);
    check(last, |lines| lines.insert(1, b"\n".to_vec()), 2);
    check(last, |lines| lines.insert(1, vec![b'x'; 200_000]), 2);
}

#[test]
fn the_missing_end_of_a_closed_chain_is_found() {
    let count = |index: usize| {
        let dir = two_chains();
        std::fs::read_to_string(&files(dir.path())[index]).expect("text").lines().count() as u64
    };
    let last = files(two_chains().path()).len() - 1;
    check(last, |lines| drop(lines.pop()), count(last));
    check(last, |lines| lines.clear(), 1);
}

#[test]
fn the_missing_end_of_a_part_is_found_in_the_next() {
    let dir = two_chains();
    let all = files(dir.path());
    let text = std::fs::read_to_string(&all[0]).expect("text");
    let cut = text.trim_end().rfind('\n').expect("two lines") + 1;
    std::fs::write(&all[0], &text[..cut]).expect("ours");
    let name = all[1].file_name().expect("a name").to_string_lossy().into_owned();
    assert_eq!(bad(dir.path()), Some((name, 1)));
}

#[test]
fn a_missing_part_is_found() {
    for gone in [0, 1] {
        let dir = two_chains();
        let all = files(dir.path());
        std::fs::remove_file(&all[gone]).expect("ours");
        let name = all[gone + 1].file_name().expect("a name").to_string_lossy().into_owned();
        assert_eq!(bad(dir.path()), Some((name, 1)));
    }
}

#[test]
fn a_segment_under_a_name_that_is_not_its_own_is_found() {
    let dir = two_chains();
    let all = files(dir.path());
    std::fs::rename(all.last().expect("a file"), dir.path().join("old.jsonl")).expect("ours");
    assert_eq!(bad(dir.path()), Some(("old.jsonl".to_owned(), 1)));
    let other = all.last().expect("a file").to_string_lossy().replace("-0001.", "-0002.");
    std::fs::rename(dir.path().join("old.jsonl"), &other).expect("ours");
    assert!(bad(dir.path()).is_some());
    assert_eq!(verify(Path::new(&other)).first_bad.expect("not its name").line, 1);
}

#[test]
fn half_a_line_of_a_living_writer_is_no_fault_and_of_a_dead_one_is() {
    let dir = tempdir().expect("a directory");
    let ledger = Segments::open(dir.path(), door()).expect("fresh");
    ledger.append(&attempt("a")).expect("room");
    let file = files(dir.path()).remove(0);
    let text = std::fs::read(&file).expect("there");
    std::fs::write(&file, [&text[..], b"{\"ev"].concat()).expect("ours");
    assert_eq!(bad(dir.path()), None);
    let copy = tempdir().expect("a directory");
    std::fs::copy(&file, copy.path().join(file.file_name().expect("a name"))).expect("room");
    assert_eq!(bad(copy.path()).map(|(_, line)| line), Some(3));
}
