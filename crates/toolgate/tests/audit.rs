//! The record of a real gate, as its operator sees it.

mod common;

use common::Setup;
use serde_json::{Value, json};
use testkit::cli::Output;

/// A home in which two calls were made and one was refused.
fn used() -> Setup {
    let setup = Setup::new().server("one", &[], "");
    let mut client = setup.client(&[]);
    for text in ["a", "b"] {
        assert_eq!(client.call("one__echo", &json!({ "text": text })).text_block(), text);
    }
    let _ = client.call("one__nothing", &json!({})).error();
    assert!(client.close().success());
    setup
}

fn answer(setup: &Setup, args: &[&str]) -> Value {
    setup.run(args).run().json()
}

fn segment(setup: &Setup) -> std::path::PathBuf {
    let entries = std::fs::read_dir(setup.home.codex().join("toolgate/audit")).expect("a record");
    let mut paths = entries.map(|entry| entry.expect("readable").path());
    paths.find(|path| path.to_string_lossy().ends_with(".closed.jsonl")).expect("a closed segment")
}

#[test]
fn activity_and_query_show_each_call_once() {
    let setup = used();
    let rows = answer(&setup, &["mcp", "activity", "one", "--json"]);
    let outcomes: Vec<_> = rows.as_array().expect("an array").iter().map(|row| row["outcome"].clone()).collect();
    assert_eq!(outcomes, ["ok", "ok"], "what is no tool belongs to no server: {rows}");
    let denied = answer(&setup, &["audit", "query", "--outcome", "denied", "--since", "1h", "--json"]);
    assert_eq!(denied.as_array().map(Vec::len), Some(1), "{denied}");
    let table = setup.run(&["audit", "query", "--tool", "e*o"]).run().ok();
    assert_eq!(table.lines().count(), 3, "{table}");
    assert_eq!(answer(&setup, &["audit", "in-doubt", "--json"]), json!([]));
}

#[test]
fn a_record_holds_until_a_byte_of_it_is_changed() {
    let setup = used();
    let report = answer(&setup, &["audit", "verify", "--json"]);
    assert_eq!((&report["holds"], &report["attempts"], &report["unsigned"]), (&json!(true), &json!(2), &json!(0)));
    let file = segment(&setup);
    let text = std::fs::read_to_string(&file).expect("text");
    std::fs::write(&file, text.replacen("one__echo", "one__Echo", 1)).expect("ours");
    let done = setup.run(&["audit", "verify"]).run();
    let line = 1 + text.lines().position(|line| line.contains("one__echo")).expect("it is there");
    assert_eq!(done.status, Some(1));
    assert!(done.stderr.contains(&format!("line {line}, seq {line}")), "{}", done.stderr);
}

#[test]
fn a_call_is_proved_to_somebody_who_has_the_key_alone() {
    let setup = used();
    let rows = answer(&setup, &["mcp", "activity", "--json"]);
    let id = rows[0]["id"].as_str().expect("an id").to_owned();
    let proved = setup.run(&["audit", "prove", &id]).run().ok();
    let (proof, key) = (setup.home.codex().join("proof.json"), setup.home.codex().join("copy.pub"));
    std::fs::write(&proof, &proved).expect("room");
    std::fs::write(&key, setup.run(&["audit", "key"]).run().ok()).expect("room");
    std::fs::remove_dir_all(setup.home.codex().join("toolgate")).expect("ours");
    let (proof, key) = (proof.display().to_string(), key.display().to_string());
    let check = |setup: &Setup| -> Output { setup.run(&["audit", "verify", "--proof", &proof, "--key", &key]).run() };
    let holds = check(&setup);
    assert!(holds.status == Some(0) && holds.stdout.contains(&id), "{}{}", holds.stdout, holds.stderr);
    std::fs::write(&proof, proved.replacen("one__echo", "one__Echo", 1)).expect("ours");
    assert_eq!(check(&setup).status, Some(1));
}

#[test]
fn events_leave_in_three_forms_and_are_tailed() {
    let setup = used();
    let lines = |format: &str| -> Vec<Value> {
        let text = setup.run(&["audit", "export", "--format", format]).run().ok();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let events = lines("jsonl");
    assert_eq!(events.iter().filter(|event| event["event"] == "attempt").count(), 2);
    let ocsf = lines("ocsf");
    assert!(ocsf.iter().all(|call| call["class_uid"] == 6003) && ocsf.len() == 3, "{ocsf:?}");
    let envelopes = lines("cloudevents");
    assert!(envelopes.len() == events.len() && envelopes.iter().all(|event| event["specversion"] == "1.0"));
    let tail = setup.run(&["audit", "tail", "-n", "3", "--json"]).run().ok();
    let last: Value = serde_json::from_str(tail.lines().last().expect("a line")).expect("JSON");
    assert_eq!((&last["schema"], &last["event"]["event"]), (&json!("toolgate.audit.event/1"), &json!("checkpoint")));
}
