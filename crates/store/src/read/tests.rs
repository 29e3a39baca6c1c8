use super::*;
use crate::Segments;
use crate::testing::{BEGIN, door, open_sized};
use gate::ports::Ledger;
use tempfile::tempdir;

fn event(kind: &str, time: u64) -> Vec<u8> {
    format!(r#"{{"event":"{kind}","id":"{time}","ts":{},"asked":",\"ts\":1"}}"#, BEGIN + time).into_bytes()
}

/// Reads what two writers wrote by turns, and returns the times (or the kind, for events of the ledger's own).
fn check(filter: Filter, want: &[&str]) {
    let dir = tempdir().expect("a directory");
    let (odd, even) = (open_sized(dir.path(), 600), open_sized(dir.path(), 1 << 20));
    for time in 100..106 {
        let kind = if time < 103 { "attempt" } else { "refusal" };
        let ledger = if time % 2 == 1 { &odd } else { &even };
        ledger.append(&event(kind, time)).expect("room");
    }
    let lines = read(dir.path(), filter).expect("listed").map(|line| line.expect("readable"));
    let ids: Vec<String> = lines
        .filter_map(|line| {
            let event: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
            event["id"].as_str().map(str::to_owned)
        })
        .collect();
    assert_eq!(ids, want);
}

#[test]
fn the_lines_of_all_writers_come_in_the_order_of_their_times() {
    check(Filter::default(), &["100", "101", "102", "103", "104", "105"]);
}

#[test]
fn lines_can_be_chosen_by_time() {
    check(Filter { since: Some(BEGIN + 102), ..Filter::default() }, &["102", "103", "104", "105"]);
    check(Filter { until: Some(BEGIN + 102), ..Filter::default() }, &["100", "101"]);
    check(Filter { since: Some(u64::MAX), ..Filter::default() }, &[]);
    check(Filter { until: Some(1), ..Filter::default() }, &[]);
}

#[test]
fn lines_can_be_chosen_by_kind() {
    check(Filter { events: vec!["refusal".to_owned()], ..Filter::default() }, &["103", "104", "105"]);
    check(Filter { events: vec!["other".to_owned()], ..Filter::default() }, &[]);
}

#[test]
fn half_a_line_is_left_out() {
    let dir = tempdir().expect("a directory");
    let ledger = Segments::open(dir.path(), door()).expect("fresh");
    ledger.append(&event("attempt", 100)).expect("room");
    let file = crate::testing::files(dir.path()).remove(0);
    let text = std::fs::read(&file).expect("there");
    std::fs::write(&file, [&text[..], b"{\"ev"].concat()).expect("ours");
    assert_eq!(read(dir.path(), Filter::default()).expect("listed").count(), 2);
}

#[test]
fn a_place_that_does_not_exist_has_no_lines() {
    let dir = tempdir().expect("a directory");
    assert_eq!(read(&dir.path().join("none"), Filter::default()).expect("nothing").count(), 0);
}
