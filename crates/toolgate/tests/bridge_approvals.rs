//! What Codex wants leave for in the middle of a turn becomes a question to people: in the client, or in the inbox.
//! The Codex CLI has no model; its server asks for what a test wants it to ask.

mod common;

use common::bridge::{Bridge, MARKED, failed, is_thread, text};
use common::{Setup, TOOLGATE};
use serde_json::{Value, json};
use std::time::Duration;
use testkit::client::Client;
use testkit::wait;

const ASK: &str = "[codex]\napprovals = \"ask\"\nenv_vars = [\"TESTKIT_MARK\"]\n";
/// What the client's user answers is the approval.
const BY_CLIENT: &str = "[approvals]\nby_client = true\nnotify = false\n";
const ELICITS: &str = r#"{"elicitation":{}}"#;

fn touch() -> Value {
    json!({"server": {"asks": [{"command": "/bin/sh -c 'touch made'", "reason": "it has to be there"}]}})
}

/// A bridge whose Codex asks, and a client that can show forms.
fn asking(toml: &str, how: &Value) -> (Bridge, Client) {
    let bridge = Bridge::with(&format!("{ASK}{toml}"), how);
    let mut client = bridge.started(&[], &[]);
    client.initialize("2025-11-25", &serde_json::from_str(ELICITS).expect("JSON"));
    (bridge, client)
}

fn begin(client: &mut Client) -> u64 {
    client.start("tools/call", &json!({"name": "codex", "arguments": {"prompt": "p"}}))
}

fn answer(client: &mut Client, question: &Value, result: &Value) {
    client.send(&json!({"jsonrpc": "2.0", "id": question["id"], "result": result}).to_string());
}

fn decisions(bridge: &Bridge) -> Vec<String> {
    bridge.log().iter().filter_map(|line| line["decision"].as_str().map(str::to_owned)).collect()
}

/// The phases of the questions on record, and by whom and how they were answered.
fn record(setup: &Setup) -> Vec<(String, String, String)> {
    let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    let asked = setup.events().into_iter().filter(|event| event["event"] == "approval");
    asked.map(|event| (text(&event, "phase"), text(&event, "approver"), text(&event, "way"))).collect()
}

/// `toolgate approvals ARGS`, by somebody who is none of the client's.
fn approvals(setup: &Setup, args: &[&str]) -> Value {
    let args = [&["--wait", TOOLGATE, "approvals"], args, &["--json"]].concat();
    setup.home.cmd("setsid", args).run().json()
}

/// The question that lies open in the inbox.
fn inbox(setup: &Setup) -> Value {
    let mut found = Value::Null;
    wait::expect("a question in the inbox", || {
        found = approvals(setup, &["list"])[0].clone();
        found.is_object()
    });
    found
}

fn decide(setup: &Setup, id: &Value, word: &str) {
    let file = setup.home.work().join("secret").display().to_string();
    if !std::path::Path::new(&file).exists() {
        approvals(setup, &["secret", "--new", "--out", &file]);
    }
    approvals(setup, &[word, id.as_str().expect("an id"), "--secret-file", &file]);
}

/// The user's answer, what Codex is told, and what is on record of it.
fn check(result: &Value, told: &str, phases: &[&str]) {
    let (bridge, mut client) = asking(BY_CLIENT, &touch());
    let id = begin(&mut client);
    let question = client.expect("elicitation/create").json();
    let message = question["params"]["message"].as_str().expect("a message").to_owned();
    for part in ["Allow Codex to run `/bin/sh -c 'touch made'` in `", "it has to be there", "expires in 10 min"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    answer(&mut client, &question, result);
    let said = client.answer(id);
    match told {
        "cancel" => failed(&said, "was dismissed"),
        told => assert_eq!(text(&said), format!("answer to: p [{told}]")),
    }
    assert_eq!(decisions(&bridge), [told], "{result}");
    let record = record(&bridge.setup);
    assert_eq!(record.iter().map(|(phase, ..)| &**phase).collect::<Vec<_>>(), phases, "{result}");
    assert_eq!((&*record[1].1, &*record[1].2), ("user of testkit", "client"), "{result}");
    let asked = bridge.setup.events().into_iter().find(|event| event["phase"] == "requested").expect("on record");
    assert_eq!(asked["name"], "run a command");
    assert!(asked["args"].as_str().expect("shown").contains("touch made"), "{asked}");
    let call = bridge.setup.events().into_iter().find(|event| event["event"] == "attempt").expect("on record");
    assert_eq!(asked["id"], call["id"], "the question is one of the call");
}

#[test]
fn a_person_who_accepts_lets_it_run() {
    check(&json!({"action": "accept", "content": {}}), "accept", &["requested", "approved"]);
}

#[test]
fn a_person_who_declines_lets_codex_go_on_without() {
    check(&json!({"action": "decline"}), "decline", &["requested", "denied"]);
}

#[test]
fn a_dialogue_that_is_closed_ends_the_turn() {
    check(&json!({"action": "cancel"}), "cancel", &["requested", "denied"]);
}

#[test]
fn nobody_in_time_is_a_no_and_the_time_is_not_codexs() {
    let limit = "[approvals]\nby_client = true\nnotify = false\ntimeout_sec = 3\n";
    let bridge = Bridge::with(&format!("{ASK}{limit}"), &touch());
    let mut client = bridge.started(&[], &[("CODEX_TOOL_TIMEOUT_MS", "2000")]);
    client.initialize("2025-11-25", &serde_json::from_str(ELICITS).expect("JSON"));
    let id = begin(&mut client);
    client.expect("elicitation/create");
    assert_eq!(text(&client.answer(id)), "answer to: p [decline]");
    assert_eq!(record(&bridge.setup).last().map(|(phase, ..)| &**phase), Some("expired"));
}

#[test]
fn an_answer_in_the_client_is_no_approval_where_the_operator_did_not_say_so() {
    let (bridge, mut client) = asking("[approvals]\nnotify = false\n", &touch());
    let id = begin(&mut client);
    let asked = inbox(&bridge.setup);
    assert_eq!((&asked["server"], &asked["tool"]), (&json!("codex"), &json!("run a command")));
    decide(&bridge.setup, &asked["id"], "approve");
    assert_eq!(text(&client.answer(id)), "answer to: p [accept]");
    assert!(client.next_message(Duration::ZERO).is_none(), "nothing was asked in the client");
}

#[test]
fn a_client_that_shows_nothing_leaves_it_to_the_inbox() {
    for (word, told) in [("approve", "accept"), ("deny", "decline")] {
        let bridge = Bridge::with(&format!("{ASK}{BY_CLIENT}"), &touch());
        let mut client = bridge.client();
        let id = begin(&mut client);
        let asked = inbox(&bridge.setup);
        decide(&bridge.setup, &asked["id"], word);
        assert_eq!(text(&client.answer(id)), format!("answer to: p [{told}]"));
    }
}

#[test]
fn who_cancels_the_call_refuses_and_ends_the_turn() {
    let (bridge, mut client) = asking(BY_CLIENT, &touch());
    let id = begin(&mut client);
    client.expect("elicitation/create");
    client.notify("notifications/cancelled", &json!({"requestId": id}));
    wait::expect("the question to be taken back", || record(&bridge.setup).iter().any(|(phase, ..)| phase == "denied"));
    wait::expect("nothing to be left of the run", || bridge.setup.survivors().len() <= 1);
    assert_eq!(approvals(&bridge.setup, &["list"]), json!([]));
    assert!(!decisions(&bridge).contains(&"accept".to_owned()));
    bridge.behaves(&json!({"server": {}}));
    assert_eq!(text(&client.call("codex", &json!({"prompt": "next"}))), "answer to: next");
}

#[test]
fn a_client_that_is_gone_refuses() {
    let (bridge, mut client) = asking(BY_CLIENT, &touch());
    begin(&mut client);
    client.expect("elicitation/create");
    client.close();
    assert_eq!(record(&bridge.setup).last().map(|(phase, ..)| &**phase), Some("denied"));
    wait::expect("nothing to be left", || bridge.setup.survivors().is_empty());
    assert!(!decisions(&bridge).contains(&"accept".to_owned()));
}

#[test]
fn nothing_outlives_a_gate_that_is_killed_while_it_asks_or_runs() {
    for how in [touch(), json!({"server": {"hang": true}})] {
        let (bridge, mut client) = asking(BY_CLIENT, &how);
        begin(&mut client);
        wait::expect("the turn to begin", || !bridge.runs().is_empty());
        let pid = rustix::process::Pid::from_raw(client.pid().cast_signed()).expect("a process");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it runs");
        wait::expect("nothing to be left", || bridge.setup.survivors().is_empty());
    }
}

#[test]
fn a_turn_that_hangs_is_interrupted_and_ended() {
    let bridge = Bridge::with(ASK, &json!({"server": {"hang": true}}));
    let mut client = bridge.client_with(&[("CODEX_TOOL_TIMEOUT_MS", "1500")]);
    failed(&client.call("codex", &json!({"prompt": "p"})), "took longer than 1.5 s");
    assert!(bridge.log().iter().any(|line| line.get("interrupted").is_some()), "it was interrupted");
    wait::expect("nothing to be left of the run", || bridge.setup.survivors().len() <= 1);
}

#[test]
fn a_patch_is_shown_with_its_files_and_without_secrets() {
    let change = |path: &str, kind: Value, diff: &str| json!({"path": path, "kind": kind, "diff": diff});
    let changes = json!([
        change("/w/a.txt", json!({"type": "update", "move_path": null}), "@@ -1 +1,2 @@\n-one\n+two\n+three\n"),
        change("/w/new\u{202e}.txt", json!({"type": "add"}), "key = \"ghp_x7Kq2mVn9RtYw4LpZc8BdHs1JfGe5AuTo3Xi\"\nx\n"),
    ]);
    let (bridge, mut client) = asking(BY_CLIENT, &json!({"server": {"asks": [{"patch": changes}]}}));
    let id = begin(&mut client);
    let question = client.expect("elicitation/create").json();
    let message = question["params"]["message"].as_str().expect("a message").to_owned();
    for part in ["update `/w/a.txt` (+2 -1)", "add `/w/new\\u{202e}.txt` (+2 -0)", "+three"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(!message.contains("ghp_x7Kq"), "{message}");
    answer(&mut client, &question, &json!({"action": "accept"}));
    assert_eq!(text(&client.answer(id)), "answer to: p [accept]");
    let events: String = bridge.setup.events().iter().map(Value::to_string).collect();
    assert!(events.contains("change files") && !events.contains("ghp_x7Kq"), "{events}");
}

#[test]
fn calls_of_tools_are_asked_for_and_what_cannot_be_shown_is_refused() {
    let how = json!({"server": {"asks": [{"tool": "erase"}, {"command": null}, {"command": "true"}]}});
    let (bridge, mut client) = asking(BY_CLIENT, &how);
    let id = begin(&mut client);
    for part in ["Allow inner to run erase?", "Allow Codex to run `true`"] {
        let question = client.expect("elicitation/create").json();
        assert!(question["params"]["message"].as_str().expect("text").starts_with(part), "{question}");
        answer(&mut client, &question, &json!({"action": "accept"}));
    }
    assert_eq!(text(&client.answer(id)), "answer to: p [accept] [refused by an error] [accept]");
    assert_eq!(decisions(&bridge).len(), 3);
}

#[test]
fn two_acts_that_are_alike_are_two_questions() {
    let twice = json!({"server": {"asks": [{"command": "true"}, {"command": "true"}]}});
    let (_bridge, mut client) = asking(BY_CLIENT, &twice);
    let id = begin(&mut client);
    for action in ["accept", "decline"] {
        let question = client.expect("elicitation/create").json();
        assert!(question["params"]["requestedSchema"]["properties"].as_object().expect("a schema").is_empty());
        answer(&mut client, &question, &json!({"action": action}));
    }
    assert_eq!(text(&client.answer(id)), "answer to: p [accept] [decline]");
}

#[test]
fn the_server_gets_what_was_decided_and_goes_on_with_threads_of_either_way() {
    let bridge = Bridge::with(ASK, &json!({"server": {}}));
    let mut client = bridge.client();
    let asked = json!({"prompt": "one", "sessionId": "s", "sandbox": "workspace-write", "reasoningEffort": "low", "model": "m"});
    let first = client.call("codex", &asked).result();
    let thread = &first["content"][0]["_meta"]["threadId"];
    assert!(is_thread(thread), "{first}");
    let run = bridge.runs().pop().expect("a run");
    assert_eq!(run["args"], json!(["app-server", "-c", "model_reasoning_effort=\"low\""]));
    let expected = json!({"cwd": run["cwd"], "approvalsReviewer": "user", "approvalPolicy": "on-request", "model": "m",
        "sandbox": "workspace-write"});
    assert_eq!(run["opening"], expected);
    let second = client.call("codex", &json!({"prompt": "two", "sessionId": "s"})).result();
    assert_eq!(&second["content"][0]["_meta"]["threadId"], thread);
    assert_eq!((&bridge.runs()[1]["opening"]["threadId"], second.get("isError")), (thread, None));
    // Who acts by himself asks nobody, and so it is for `exec`.
    let third = client.call("codex", &json!({"prompt": "three", "sessionId": "s", "fullAuto": true})).result();
    assert_eq!(&third["content"][0]["_meta"]["threadId"], thread);
    assert_eq!(bridge.runs()[2]["args"][0], "exec");
    bridge.behaves(&json!({"lost": true, "server": {}}));
    let fourth = client.call("codex", &json!({"prompt": "four", "sessionId": "s"})).result();
    assert!(fourth["content"][0]["_meta"]["note"].as_str().expect("a note").contains("began afresh"), "{fourth}");
    bridge.behaves(&json!({"server": {"fail": "The model `m` does not exist"}}));
    failed(&client.call("codex", &json!({"prompt": "p", "model": "m"})), "Invalid model: m");
}

#[test]
fn a_release_whose_server_knows_no_threads_is_driven_by_exec() {
    let bridge = Bridge::with(ASK, &json!({"server": {"old": true}}));
    let mut client = bridge.client();
    assert_eq!(text(&client.call("codex", &json!({"prompt": "p"}))), "answer to: p");
    assert_eq!(bridge.runs()[0]["args"][0], "exec");
}

#[test]
fn nobody_is_asked_unless_that_was_said() {
    for toml in [MARKED.to_owned(), format!("{MARKED}approvals = \"refuse\"\n")] {
        let bridge = Bridge::with(&toml, &touch());
        let mut client = bridge.client();
        assert_eq!(text(&client.call("codex", &json!({"prompt": "p"}))), "answer to: p");
        assert_eq!(bridge.runs()[0]["args"][0], "exec", "{TOOLGATE}: {toml}");
    }
}
