//! What Codex wants leave for in the middle of a turn becomes a question to people: in the client, or in the inbox.
//! The Codex CLI has no model; its server asks for what a test wants it to ask.

mod common;

use common::bridge::{Bridge, MARKED, failed, is_thread, text};
use common::real::Peers;
use common::{Setup, TOOLGATE};
use serde_json::{Value, json};
use std::time::Duration;
use testkit::client::Client;
use testkit::model::{Model, Turn};
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
    let how = json!({"server": {"asks": [{"tool": "erase"}, {"command": null}, {"command": "true", "bare": true}]}});
    let (bridge, mut client) = asking(BY_CLIENT, &how);
    let id = begin(&mut client);
    for part in ["Allow inner to run erase?", "Allow Codex to run `true`"] {
        let question = client.expect("elicitation/create").json();
        assert!(question["params"]["message"].as_str().expect("text").starts_with(part), "{question}");
        answer(&mut client, &question, &json!({"action": "accept"}));
    }
    assert_eq!(text(&client.answer(id)), "answer to: p [accept] [decline] [accept]");
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

/// The same call, with what a round before it gave.
fn round(client: &mut Client, brings: Value) -> Value {
    let mut params = json!({"name": "codex", "arguments": {"prompt": "p", "sessionId": "s"}});
    for (key, value) in brings.as_object().expect("an object") {
        params[key] = value.clone();
    }
    client.modern("tools/call", params, &serde_json::from_str(ELICITS).expect("JSON")).result()
}

/// What a client of the stateless era brings along that answers everything it was asked like this.
fn brings(asked: &Value, answer: &Value) -> Value {
    let requests = asked["inputRequests"].as_object().unwrap_or_else(|| panic!("{asked}"));
    let responses: Value = requests.keys().map(|key| (key.clone(), answer.clone())).collect();
    json!({"requestState": asked["requestState"], "inputResponses": responses})
}

fn modern(toml: &str, how: &Value) -> (Bridge, Client) {
    let bridge = Bridge::with(&format!("{ASK}{toml}"), how);
    let client = bridge.started(&[], &[]);
    (bridge, client)
}

#[test]
fn a_client_without_a_conversation_is_asked_in_rounds_while_the_turn_waits() {
    for (answer, told, phase) in [
        (json!({"action": "accept", "content": {}}), "accept", "approved"),
        (json!({"action": "decline"}), "decline", "denied"),
        (json!({"action": "cancel"}), "cancel", "denied"),
    ] {
        let twice = json!({"server": {"asks": [{"command": "one"}, {"command": "two"}]}});
        let (bridge, mut client) = modern(BY_CLIENT, &twice);
        let first = round(&mut client, json!({}));
        assert_eq!(first["resultType"], "input_required", "{first}");
        let shown = first["inputRequests"].to_string();
        assert!(shown.contains("Allow Codex to run `one`") && shown.contains("toolgate approvals show"), "{shown}");
        let mut second = round(&mut client, brings(&first, &answer));
        if told != "cancel" {
            assert!(second["inputRequests"].to_string().contains("Allow Codex to run `two`"), "{second}");
            second = round(&mut client, brings(&second, &answer));
        }
        match told {
            "cancel" => {
                assert!(second["content"][0]["text"].as_str().expect("text").contains("was dismissed"), "{second}")
            }
            told => assert_eq!(second["content"][0]["text"], format!("answer to: p [{told}] [{told}]")),
        }
        assert_eq!(bridge.runs().len(), 1, "one turn, however many rounds");
        assert_eq!(record(&bridge.setup)[1].0, phase, "{told}");
        // What was good once is good for nothing more.
        let stale = round(&mut client, brings(&first, &json!({"action": "accept"})));
        assert_eq!(stale["isError"], true, "{stale}");
        assert_eq!(bridge.runs().len(), 1);
    }
}

#[test]
fn a_round_without_an_answer_is_asked_again_and_the_inbox_may_answer_first() {
    let (bridge, mut client) = modern(BY_CLIENT, &touch());
    let first = round(&mut client, json!({}));
    let again = round(&mut client, json!({"requestState": first["requestState"]}));
    assert_eq!(again["inputRequests"], first["inputRequests"], "{again}");
    decide(&bridge.setup, &inbox(&bridge.setup)["id"], "approve");
    let over = round(&mut client, brings(&again, &json!({"action": "decline"})));
    assert_eq!(over["content"][0]["text"], "answer to: p [accept]", "who was first decided");
}

#[test]
fn a_turn_whose_caller_does_not_come_back_is_ended() {
    let (bridge, mut client) = modern("[approvals]\nby_client = true\nnotify = false\ntimeout_sec = 2\n", &touch());
    assert_eq!(round(&mut client, json!({}))["resultType"], "input_required");
    wait::expect("nothing to be left of the run", || bridge.setup.survivors().len() <= 1);
    assert!(!decisions(&bridge).contains(&"accept".to_owned()));
    // Its session is free again.
    bridge.behaves(&json!({"server": {}}));
    assert_eq!(round(&mut client, json!({}))["content"][0]["text"], "answer to: p");
}

#[test]
fn a_gate_that_stops_ends_turns_that_wait() {
    let (bridge, mut client) = modern(BY_CLIENT, &touch());
    assert_eq!(round(&mut client, json!({}))["resultType"], "input_required");
    assert_eq!(client.close().code(), Some(0));
    wait::expect("nothing to be left", || bridge.setup.survivors().is_empty());
}

#[test]
fn where_the_client_does_not_decide_the_inbox_does_in_every_era() {
    let (bridge, mut client) = modern("[approvals]\nnotify = false\n", &touch());
    let id = client.start(
        "tools/call",
        &testkit::client::with_meta(
            json!({"name": "codex", "arguments": {"prompt": "p"}}),
            &json!({"elicitation": {}}),
        ),
    );
    decide(&bridge.setup, &inbox(&bridge.setup)["id"], "approve");
    assert_eq!(text(&client.answer(id)), "answer to: p [accept]");
}

/// What a host of `codex mcp-server` of 0.153 was told, was asked, answered and was answered.
#[test]
fn a_host_of_the_server_that_codex_had_hears_and_decides_as_it_did() {
    let patch = json!([{"path": "/w/new.txt", "kind": {"type": "add"}, "diff": "hello\n"}]);
    let how =
        json!({"server": {"asks": [{"command": "/bin/bash -lc 'touch made'", "reason": "need it"}, {"patch": patch}]}});
    let bridge = Bridge::with(&format!("{MARKED}{BY_CLIENT}"), &how);
    let mut host = bridge.started(&["--contract", "codex"], &[("CODEX_DEFAULT_MODEL", "inherit")]);
    host.initialize("2025-06-18", &json!({"elicitation": {}}));
    let work = bridge.setup.home.work().canonicalize().expect("there");
    let asked = json!({"prompt": "esc", "cwd": work, "approval-policy": "on-request", "sandbox": "read-only"});
    let id = host.start("tools/call", &json!({"name": "codex", "arguments": asked}));
    let approved = json!({"action": "accept", "content": {}, "decision": "approved"});
    let question = host.expect("elicitation/create").json();
    let params = &question["params"];
    let first = format!("Allow Codex to run `/bin/bash -lc 'touch made'` in `{}`?\n", work.display());
    assert!(params["message"].as_str().expect("text").starts_with(&first), "{params}");
    assert_eq!(params["requestedSchema"], json!({"type": "object", "properties": {}}));
    for (key, value) in [
        ("codex_elicitation", json!("exec-approval")),
        ("codex_mcp_tool_call_id", json!(id.to_string())),
        ("codex_event_id", json!("turn-1")),
        ("codex_call_id", json!("item-1")),
        ("codex_command", json!(["/bin/bash", "-lc", "touch made"])),
        ("codex_cwd", json!(work)),
        ("codex_parsed_cmd", json!([])),
    ] {
        assert_eq!(params[key], value, "{key}: {params}");
    }
    answer(&mut host, &question, &approved);
    let question = host.expect("elicitation/create").json();
    assert_eq!(question["params"]["codex_elicitation"], "patch-approval");
    assert_eq!(question["params"]["codex_changes"], json!({"/w/new.txt": {"type": "add", "content": "hello\n"}}));
    answer(&mut host, &question, &json!({"action": "accept", "decision": "denied"}));
    let said = host.answer(id).result();
    let thread = said["structuredContent"]["threadId"].clone();
    let words = "answer to: esc [accept] [decline]";
    assert_eq!(said["structuredContent"], json!({"threadId": thread, "content": words}));
    assert_eq!(said["content"][0]["text"], words);
    let mut heard = Vec::new();
    while let Some(message) = host.next_message(Duration::ZERO) {
        let event = message.json();
        assert_eq!(event["method"], "codex/event", "{event}");
        assert_eq!(event["params"]["_meta"], json!({"requestId": id, "threadId": thread}), "{event}");
        heard.push(event["params"]["msg"]["type"].as_str().expect("a kind").to_owned());
    }
    let expected = [
        "session_configured",
        "warning",
        "task_started",
        "item_completed",
        "user_message",
        "item_started",
        "exec_command_begin",
        "exec_approval_request",
        "item_completed",
        "exec_command_end",
        "item_started",
        "patch_apply_begin",
        "item_completed",
        "patch_apply_end",
        "item_completed",
        "agent_message",
        "token_count",
        "task_complete",
    ];
    assert_eq!(heard, expected);
    bridge.behaves(&json!({"server": {}}));
    let again = host.call("codex-reply", &json!({"threadId": thread, "prompt": "again"})).result();
    assert_eq!(again["structuredContent"], json!({"threadId": thread, "content": "answer to: again"}));
    // Under the policy of its thread, which Codex knows.
    assert_eq!(bridge.runs().pop().expect("a run")["opening"].get("approvalPolicy"), None);
}

#[test]
fn what_a_host_forgets_it_is_told_in_the_words_it_knows() {
    let bridge = Bridge::new(&json!({}));
    let mut host = bridge.started(&["--contract", "codex"], &[]);
    host.initialize("2025-06-18", &json!({}));
    let no_prompt = "Failed to parse configuration for Codex tool: missing field `prompt`";
    for (tool, asked, words) in [
        ("codex", json!({}), no_prompt),
        ("codex-reply", json!({}), no_prompt),
        (
            "codex-reply",
            json!({"prompt": "x"}),
            "Failed to parse thread_id: either threadId or conversationId must be provided",
        ),
    ] {
        let said = host.call(tool, &asked).result();
        assert_eq!(said, json!({"isError": true, "content": [{"type": "text", "text": words}]}), "{tool}");
    }
    failed(&host.call("codex", &json!({"prompt": 1})), "Failed to parse configuration for Codex tool: `prompt`");
    failed(&host.call("ping", &json!({"nope": 1})), "nope");
}

/// The pinned release; `cargo xtask bridge` does the same with many.
#[test]
fn the_real_codex_asks_before_it_leaves_its_sandbox() {
    let Some(peers) = Peers::with(&[Peers::node, Peers::codex]) else { return };
    let escalated = |cmd: &str| {
        let asked =
            json!({"cmd": cmd, "sandbox_permissions": "require_escalated", "justification": "it has to be there"});
        Turn::act("exec_command", &asked)
    };
    let turns = vec![escalated("touch made"), Turn::say("first"), escalated("touch never"), Turn::say("second")];
    let model = Model::start([("user", turns)]);
    let mut bridge = Bridge::with(&format!("{ASK}{BY_CLIENT}"), &json!({}));
    bridge.use_the_real_codex(&peers, &model.url);
    let env = [("CODEX_DEFAULT_MODEL", "inherit"), ("MODEL_KEY", "none")];
    let mut client = bridge.started(&[], &env).patient(Duration::from_secs(180));
    client.initialize("2025-11-25", &json!({"elicitation": {}}));
    let work = bridge.setup.home.work();
    for (action, file, answered) in [("accept", "made", "first"), ("decline", "never", "second")] {
        let asked = json!({"prompt": "p", "sessionId": "s", "sandbox": "read-only", "workingDirectory": work});
        let id = client.start("tools/call", &json!({"name": "codex", "arguments": asked}));
        let question = client.expect("elicitation/create").json();
        let message = question["params"]["message"].as_str().expect("text").to_owned();
        assert!(message.contains(&format!("touch {file}")) && message.contains("it has to be there"), "{message}");
        assert!(!work.join(file).exists(), "nothing runs before the answer");
        answer(&mut client, &question, &json!({"action": action}));
        let said = client.answer(id);
        assert_eq!(text(&said), answered, "{said:?}");
        assert_eq!(said.result()["content"][0]["_meta"].get("note"), None, "{said:?}");
        assert_eq!(work.join(file).exists(), action == "accept");
    }
    let phases: Vec<_> = record(&bridge.setup).into_iter().map(|(phase, ..)| phase).collect();
    assert_eq!(phases, ["requested", "approved", "requested", "denied"]);
    drop(client);
    wait::expect("nothing to be left", || bridge.setup.survivors().is_empty());
}
