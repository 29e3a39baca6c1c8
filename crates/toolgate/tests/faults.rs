//! What a server does wrong hurts its own calls alone, in bounded time, and leaves nothing behind.

mod common;

use common::{Setup, names};
use serde_json::{Value, json};
use std::time::Duration;
use testkit::client::Client;
use testkit::wait;

/// A gate with a good server and a bad one, and a client that has seen both.
fn beside(flags: &[&str], keys: &str) -> (Setup, Client) {
    let setup = Setup::new().server("good", &[], "").server("bad", flags, keys);
    let mut client = setup.client(&[]);
    client.request("tools/list", &json!({}));
    (setup, client)
}

#[track_caller]
fn good_works(client: &mut Client) {
    assert_eq!(client.call("good__echo", &json!({"text": "fine"})).text_block(), "fine");
}

fn code(result: &Value) -> &str {
    result["_meta"]["toolgate/code"].as_str().unwrap_or("-")
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or("-")
}

#[test]
fn a_server_that_hangs_at_start_fails_its_own_calls_in_time() {
    let setup = Setup::new().server("good", &[], "").server("bad", &["--hang-at-start"], "startup_timeout_sec = 1.5");
    let mut client = setup.client(&["--profile", "gateway"]);
    let tools = names(&client.request("tools/list", &json!({})).result());
    assert!(tools.iter().all(|name| name.starts_with("good__")) && !tools.is_empty(), "{tools:?}");
    good_works(&mut client);
    let output = setup.run(&["mcp", "test", "bad"]).run();
    assert_eq!(output.status, Some(1));
    assert!(output.stderr.contains("startup_timeout_sec"), "{}", output.stderr);
}

#[test]
fn a_server_that_exits_at_once_is_named_with_its_status() {
    let setup = Setup::new().server("good", &[], "").server("bad", &["--exit-at-start", "3", "--stderr-noise"], "");
    let mut client = setup.client(&[]);
    client.request("tools/list", &json!({}));
    good_works(&mut client);
    let output = setup.run(&["mcp", "test", "bad"]).run();
    assert_eq!(output.status, Some(1));
    assert!(output.stderr.contains("status 3") || output.stderr.contains("code 3"), "{}", output.stderr);
}

#[test]
fn a_program_that_is_not_there_is_said_to_be_missing() {
    let setup = Setup::new().entry("bad", "no-such-program-anywhere", &[], "");
    let output = setup.run(&["mcp", "test", "bad"]).run();
    assert_eq!(output.status, Some(1));
    assert!(output.stderr.contains("no-such-program-anywhere"), "{}", output.stderr);
}

#[test]
fn a_banner_and_garbage_are_tolerated() {
    let (_setup, mut client) = beside(&["--banner", "--garbage-every", "1"], "");
    assert_eq!(client.call("bad__echo", &json!({"text": "through"})).text_block(), "through");
    good_works(&mut client);
}

#[test]
fn a_server_that_dies_mid_call_fails_that_call_at_once_and_is_restarted_by_the_next() {
    let (setup, mut client) = beside(&["--crash-on-call", "1"], "tool_timeout_sec = 60");
    let begun = wait::now();
    let result = client.call("bad__echo", &json!({"text": "x"})).result();
    assert_eq!((code(&result), &result["isError"]), ("upstream.unavailable", &json!(true)), "{result}");
    assert!(begun.elapsed() < Duration::from_secs(10), "it waited for the timeout");
    good_works(&mut client);
    let again = client.call("bad__pid", &json!({})).result();
    assert_eq!(code(&again), "upstream.unavailable", "the restarted one crashes on its first call too");
    let starts = setup.heard("bad").iter().filter(|line| line["event"] == "start").count();
    assert!(starts >= 2, "{starts} starts");
}

#[test]
fn half_a_message_and_the_end_is_a_clear_error() {
    let (_setup, mut client) = beside(&["--crash-mid-line"], "tool_timeout_sec = 60");
    let result = client.call("bad__echo", &json!({"text": "x"})).result();
    assert!(code(&result).starts_with("upstream."), "{result}");
    assert!(text(&result).contains("bad"), "{result}");
    good_works(&mut client);
}

#[test]
fn an_answer_under_a_wrong_id_is_not_taken() {
    let (_setup, mut client) = beside(&["--wrong-id"], "tool_timeout_sec = 1");
    let result = client.call("bad__echo", &json!({"text": "x"})).result();
    assert_eq!(code(&result), "upstream.timeout", "{result}");
    assert!(text(&result).contains("tool_timeout_sec"), "{result}");
    good_works(&mut client);
}

#[test]
fn an_answer_given_twice_is_taken_once() {
    let (_setup, mut client) = beside(&["--duplicate-answer"], "");
    for n in 0..5 {
        assert_eq!(client.call("bad__echo", &json!({"text": n.to_string()})).text_block(), n.to_string());
    }
    good_works(&mut client);
    assert!(client.next_message(Duration::from_millis(50)).is_none(), "an answer too many came through");
}

#[test]
fn an_endless_line_ends_its_call_in_constant_memory() {
    let (_setup, mut client) = beside(&["--line-bytes", "300000000"], "tool_timeout_sec = 60");
    let result = client.call("bad__echo", &json!({"text": "x"})).result();
    assert!(code(&result).starts_with("upstream.") || code(&result) == "limit.too_large", "{result}");
    good_works(&mut client);
    let status = std::fs::read_to_string(format!("/proc/{}/status", client.pid())).expect("it runs");
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).expect("a peak");
    let kib: u64 = peak.split_whitespace().nth(1).expect("a number").parse().expect("a number");
    assert!(kib < 200_000, "peak memory {kib} KiB for a 300 MB line");
}

#[test]
fn a_flood_hurts_nobody_else() {
    let (_setup, mut client) = beside(&["--flood"], "tool_timeout_sec = 20");
    let id = client.start("tools/call", &json!({"name": "bad__echo", "arguments": {"text": "x"}}));
    for _ in 0..5 {
        good_works(&mut client);
    }
    client.answer(id);
}

#[test]
fn a_server_that_stops_reading_times_out() {
    let (_setup, mut client) = beside(&["--hang-on-call"], "tool_timeout_sec = 1");
    let result = client.call("bad__echo", &json!({"text": "x".repeat(1 << 20)})).result();
    assert_eq!(code(&result), "upstream.timeout", "{result}");
    good_works(&mut client);
}

#[test]
fn a_list_without_end_is_cut_off_and_named() {
    let setup = Setup::new().server("good", &[], "").server("bad", &["--endless-cursor", "--tools", "3"], "");
    let mut client = setup.client(&[]);
    client.request("tools/list", &json!({}));
    good_works(&mut client);
    let output = setup.run(&["mcp", "test", "bad"]).run();
    assert_eq!(output.status, Some(1), "{output:?}");
}

#[test]
fn one_bad_tool_is_left_out_and_no_other() {
    let setup = Setup::new().server("fx", &["--bad-tool"], "");
    let json = setup.run(&["mcp", "tools", "--json"]).run().json();
    let names: Vec<_> = json["tools"].as_array().expect("a list").iter().map(|tool| tool["rawName"].clone()).collect();
    assert!(names.contains(&json!("echo")) && names.contains(&json!("pid")), "{names:?}");
}

/// Kills a gate outright and waits until nothing of its home is left.
fn killed_gate_leaves_nothing(flags: &[&str]) {
    let setup = Setup::new().server("fx", flags, "tools.daemon.approval_mode = \"approve\"");
    let mut client = setup.client(&[]);
    client.request("tools/list", &json!({}));
    client.call("fx__echo", &json!({"text": "x"}));
    client.call("fx__daemon", &json!({}));
    let id = client.start("tools/call", &json!({"name": "fx__slow", "arguments": {"ms": 60_000, "steps": 1}}));
    assert!(setup.survivors().len() >= 2, "server and daemon run: {:?}", setup.survivors());
    let pid = rustix::process::Pid::from_raw(i32::try_from(client.pid()).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
    let gone = wait::until(wait::PATIENCE, || setup.survivors().is_empty());
    assert!(gone, "call {id} left {:?}", setup.survivors());
}

#[test]
fn kill_minus_nine_leaves_no_process_behind() {
    killed_gate_leaves_nothing(&[]);
}

#[test]
fn kill_minus_nine_leaves_no_stubborn_process_behind() {
    killed_gate_leaves_nothing(&["--ignore-sigterm", "--daemonise"]);
}

#[test]
fn a_killed_gates_open_call_is_found_and_closed_as_lost() {
    let setup = Setup::new().server("fx", &[], "");
    let mut client = setup.client(&[]);
    client.request("tools/list", &json!({}));
    client.start("tools/call", &json!({"name": "fx__slow", "arguments": {"ms": 60_000, "steps": 1}}));
    let attempted = || setup.events().iter().any(|event| event["event"] == "attempt");
    wait::expect("the attempt to be recorded", attempted);
    drop(client);
    let mut next = setup.client(&[]);
    next.call("fx__echo", &json!({"text": "x"}));
    let lost = || setup.events().iter().any(|event| event["end"] == "lost");
    wait::expect("the open call to be closed as lost", lost);
    assert_eq!(setup.events().iter().filter(|event| event["end"] == "lost").count(), 1);
}

#[test]
fn a_call_waits_for_its_own_server_alone_and_says_why_that_failed() {
    let setup = Setup::new()
        .server("hung", &["--hang-at-start"], "startup_timeout_sec = 60")
        .server("dead", &["--exit-at-start", "7"], "")
        .server("slow", &["--slow-start-ms", "1500"], "");
    let mut client = setup.client(&[]);
    let begun = wait::now();
    let result = client.call("dead__echo", &json!({"text": "x"})).result();
    assert_eq!(code(&result), "upstream.unavailable", "{result}");
    assert!(text(&result).contains("dead"), "{result}");
    assert_eq!(client.call("slow__echo", &json!({"text": "there"})).text_block(), "there");
    assert!(begun.elapsed() < Duration::from_secs(9), "it waited for the hung one");
}

#[test]
fn a_program_that_is_no_server_is_shown_with_what_it_printed() {
    let setup = Setup::new();
    let output = setup.run(&["-c", "mcp_servers.debug.command=echo debug-output", "mcp", "test", "debug"]).run();
    assert_eq!(output.status, Some(1), "{output:?}");
    assert!(output.stdout.contains("debug-output"), "{output:?}");
    assert!(!setup.home.codex().join("config.toml").exists(), "nothing was written");
}
