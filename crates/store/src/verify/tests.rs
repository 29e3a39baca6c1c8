use super::*;
use crate::Segments;
use crate::chain::Link;
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

/// One closed chain of three calls.
fn a_chain(dir: &Path) {
    let ledger = open_sized(dir, 1 << 20);
    for id in ["a", "b", "c"] {
        ledger.append(&attempt(id)).expect("room");
        ledger.append(&end(id)).expect("room");
    }
}

#[test]
fn another_key_did_not_sign() {
    let dir = two_chains();
    let other = crate::Signer::from_seed(&[7; 32]);
    let report = super::verify(dir.path(), Against { key: Some(other.public()), heads: None }).expect("readable");
    assert!(report.first_bad.expect("not signed").why.contains("no checkpoint of"));
    std::fs::remove_file(heads::path(dir.path())).expect("ours");
    let report = super::verify(dir.path(), Against { key: Some(other.public()), heads: None }).expect("readable");
    assert_eq!(report.first_bad.expect("not signed").why, "the checkpoint is not signed by this key");
    let report = super::verify(dir.path(), Against::default()).expect("readable");
    assert_eq!(report.first_bad, None, "without a key the chains hold");
}

#[test]
fn a_chain_rewritten_with_good_hashes_lacks_the_signature() {
    let dir = tempdir().expect("a directory");
    a_chain(dir.path());
    let file = files(dir.path()).remove(0);
    let text = std::fs::read_to_string(&file).expect("text");
    let (mut link, mut lines) = (Link::START, Vec::new());
    for line in text.lines() {
        let event = format!("{}}}", &line[..line.find(",\"seq\":").expect("a line")]);
        link = link.seal(event.replace("\"id\":\"b\"", "\"id\":\"x\"").as_bytes(), &mut lines).expect("sealable");
    }
    std::fs::write(&file, lines).expect("ours");
    let why = verify(dir.path()).first_bad.expect("changed").why;
    assert_eq!(why, "the checkpoint is not over the lines before it");
}

/// Cuts the newest chain after so many lines and lets it look as if its writer had died then.
fn cut_and_recover(lines: usize) -> TempDir {
    let dir = tempdir().expect("a directory");
    a_chain(dir.path());
    let file = files(dir.path()).remove(0);
    let text = std::fs::read(&file).expect("there");
    let kept: Vec<_> = text.split_inclusive(|byte| *byte == b'\n').take(lines).collect();
    std::fs::remove_file(&file).expect("ours");
    let unfinished = file.to_string_lossy().replace(".closed.", ".");
    std::fs::write(unfinished, kept.concat()).expect("room");
    assert_eq!(crate::recover(dir.path(), &door()).expect("listed").closed, usize::from(lines > 0));
    dir
}

#[test]
fn a_chain_that_was_cut_after_it_was_signed_is_missed_even_if_it_was_recovered() {
    for lines in 1..8 {
        let bad = verify(cut_and_recover(lines).path()).first_bad.expect("cut");
        assert!(bad.file.ends_with("heads.log") && bad.why.contains("no longer what it was"), "{lines}: {bad:?}");
    }
    for lines in [8, 9] {
        assert_eq!(verify(cut_and_recover(lines).path()).first_bad, None, "the last checkpoint is made again");
    }
}

#[test]
fn a_deleted_chain_is_missed_by_the_side_file_and_by_later_chains() {
    let dir = tempdir().expect("a directory");
    a_chain(dir.path());
    let first = files(dir.path()).remove(0);
    a_chain(dir.path());
    std::fs::remove_file(&first).expect("ours");
    let bad = verify(dir.path()).first_bad.expect("missing");
    assert!(bad.file.ends_with("heads.log") && bad.why.contains("is missing"), "{bad:?}");
    let heads_before = std::fs::read(heads::path(dir.path())).expect("there");
    std::fs::remove_file(heads::path(dir.path())).expect("ours");
    let bad = verify(dir.path()).first_bad.expect("missing");
    assert!(bad.file == files(dir.path())[0] && bad.line == 1 && bad.why.contains("is missing"), "{bad:?}");
    // Everything gone but a copy of the side file, kept elsewhere.
    let elsewhere = dir.path().join("copy");
    std::fs::write(&elsewhere, heads_before).expect("room");
    std::fs::remove_file(files(dir.path()).into_iter().find(|file| *file != elsewhere).expect("one")).expect("ours");
    let signer = crate::testing::signer();
    let against = Against { key: Some(signer.public()), heads: Some(&elsewhere) };
    assert!(super::verify(dir.path(), against).expect("readable").first_bad.is_some());
}

#[test]
fn a_changed_byte_in_the_side_file_is_found_at_its_line() {
    let dir = two_chains();
    let file = heads::path(dir.path());
    let text = std::fs::read(&file).expect("there");
    let key = |at: usize| {
        let line = text[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |before| before + 1);
        let key = line + memchr::memmem::find(&text[line..], b"\"key\":").expect("there");
        (key..key + 24).contains(&at)
    };
    // The last newline may be missing, and the key's id is for people.
    for at in (0..text.len() - 1).step_by(37).filter(|at| !key(*at)) {
        let mut changed = text.clone();
        changed[at] ^= 1;
        std::fs::write(&file, &changed).expect("ours");
        let line = text[..at].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        assert_eq!(bad(dir.path()), Some(("heads.log".to_owned(), line)), "byte {at}");
    }
}
