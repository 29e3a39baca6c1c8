//! The hostile server does what its flags say, over stdio.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Client, Home, survivors, wait};

const SOON: Duration = Duration::from_millis(300);

fn start(home: &Home, flags: &[&str]) -> Client {
    Client::spawn(home.command(env!("CARGO_BIN_EXE_fixture-hostile"), flags))
}

/// A legacy client after its handshake.
fn legacy(home: &Home, flags: &[&str]) -> Client {
    let mut client = start(home, flags);
    client.initialize("2025-11-25", &json!({}));
    client
}

fn names(list: &Value, member: &str) -> Vec<String> {
    let name = |item: &Value| item["name"].as_str().unwrap_or_default().to_owned();
    list[member].as_array().into_iter().flatten().map(name).collect()
}

#[test]
fn a_known_version_is_echoed_and_an_unknown_one_is_not() {
    let home = Home::new();
    for (asked, answered) in [("2024-11-05", "2024-11-05"), ("1999-01-01", "2025-11-25"), ("2026-07-28", "2025-11-25")]
    {
        let said = start(&home, &[]).initialize(asked, &json!({}));
        assert_eq!(said["protocolVersion"], answered);
    }
    let said = start(&home, &["--protocol-version", "2099-01-01"]).initialize("2025-11-25", &json!({}));
    assert_eq!(said["protocolVersion"], "2099-01-01");
}

#[test]
fn echoes_keep_their_bytes() {
    let home = Home::new();
    let mut client = legacy(&home, &[]);
    client.send(r#"{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"echo","arguments":{"text":"\u00e9 \ud83d"}}}"#);
    let text = client.next_message(wait::PATIENCE).unwrap().text;
    assert_eq!(text, r#"{"jsonrpc":"2.0","id":"x","result":{"content":[{"type":"text","text":"\u00e9 \ud83d"}]}}"#);
    client.send(
        r#"{"jsonrpc":"2.0","id":1.0,"method":"tools/call","params":{"name":"echo_raw","arguments":{"n" : 1.10}}}"#,
    );
    let text = client.next_message(wait::PATIENCE).unwrap().text;
    assert_eq!(text, r#"{"jsonrpc":"2.0","id":1.0,"result":{"content":[],"structuredContent":{"n" : 1.10}}}"#);
    let verbatim = client.call("verbatim", &json!({"json": "{ \"odd\":1e400 }"}));
    assert!(verbatim.text.ends_with(r#""result":{ "odd":1e400 }}"#), "{}", verbatim.text);
}

#[test]
fn the_number_of_tools_is_exact() {
    let home = Home::new();
    for count in [1, 2, 100] {
        let mut client = legacy(&home, &["--tools", &count.to_string(), "--tool-prefix", "p_"]);
        let tools = names(&client.request("tools/list", &json!({})).result(), "tools");
        assert_eq!((tools.len(), tools[0].as_str()), (count, "p_echo"));
        let last = client.call(tools.last().unwrap(), &json!({"text": "hello"}));
        assert!(last.text.contains("hello"));
        assert_eq!(client.call("echo", &json!({})).error()["code"], -32602);
    }
    let mut client = legacy(&home, &["--tools", "0"]);
    assert_eq!(client.request("tools/list", &json!({})).error()["code"], -32601);
}

#[test]
fn lists_come_in_pages() {
    let home = Home::new();
    let mut client = legacy(&home, &["--tools", "5", "--pages", "2", "--empty-cursor"]);
    let first = client.request("tools/list", &json!({})).result();
    assert_eq!((names(&first, "tools").len(), &first["nextCursor"]), (3, &json!("")));
    let second = client.request("tools/list", &json!({"cursor": ""})).result();
    assert_eq!((names(&second, "tools").len(), second.get("nextCursor")), (2, None));
    assert_eq!(client.request("tools/list", &json!({"cursor": "?"})).error()["code"], -32602);
    let mut client = legacy(&home, &["--endless-cursor"]);
    let page = client.request("tools/list", &json!({"cursor": "page-41"})).result();
    assert_eq!(page["nextCursor"], "page-42");
}

#[test]
fn a_changed_list_is_announced_once() {
    let home = Home::new();
    let mut client = legacy(&home, &["--list-changed", "--tools", "1"]);
    client.request("tools/list", &json!({}));
    client.expect("notifications/tools/list_changed");
    let tools = names(&client.request("tools/list", &json!({})).result(), "tools");
    assert_eq!(tools, ["echo", "grown_0"]);
    assert_eq!(client.next_message(SOON), None);
}

#[test]
fn a_slow_call_does_not_block_others_and_reports_progress() {
    let home = Home::new();
    let mut client = legacy(&home, &[]);
    let params = json!({"name": "slow", "arguments": {"ms": 200, "steps": 2}, "_meta": {"progressToken": "t"}});
    let slow = client.start("tools/call", &params);
    assert_eq!(client.call("echo", &json!({"text": "quick"})).text_block(), "quick");
    assert_eq!(client.answer(slow).text_block(), "slept 200 ms");
    for step in [1, 2] {
        let note = client.expect("notifications/progress").json();
        assert_eq!((&note["params"]["progressToken"], &note["params"]["progress"]), (&json!("t"), &json!(step)));
    }
}

#[test]
fn a_cancelled_call_is_not_answered_unless_wanted() {
    let home = Home::new();
    for (flags, answers) in [(&[][..], false), (&["--answer-after-cancel"][..], true)] {
        let mut client = legacy(&home, flags);
        let id = client.start("tools/call", &json!({"name": "hang"}));
        client.notify("notifications/cancelled", &json!({"requestId": id}));
        assert_eq!(client.next_message(if answers { wait::PATIENCE } else { SOON }).is_some(), answers);
    }
}

#[test]
fn answers_are_spoilt_as_told() {
    let home = Home::new();
    let mut client = legacy(&home, &["--duplicate-answer"]);
    let once = client.call("echo", &json!({"text": "x"}));
    assert_eq!(client.next_message(wait::PATIENCE), Some(once));
    let mut client = legacy(&home, &["--wrong-id"]);
    client.start("tools/call", &json!({"name": "echo"}));
    assert_eq!(client.next_message(wait::PATIENCE).unwrap().json()["id"], "nobody asked");
    let mut client = legacy(&home, &["--line-bytes", "100000"]);
    assert_eq!(client.call("echo", &json!({})).text.len(), 100_000);
    assert!(client.call("echo", &json!({})).text.len() < 1000);
    let mut client = legacy(&home, &["--hang-on-call"]);
    client.start("tools/call", &json!({"name": "echo"}));
    assert_eq!(client.next_message(SOON), None);
}

#[test]
fn it_crashes_as_told() {
    let home = Home::new();
    let mut client = legacy(&home, &["--crash-on-call", "2"]);
    assert_eq!(client.call("echo", &json!({"text": "x"})).text_block(), "x");
    client.start("tools/call", &json!({"name": "echo"}));
    assert_eq!(client.ended().code(), Some(1));
    let mut client = legacy(&home, &["--crash-mid-line"]);
    client.start("tools/call", &json!({"name": "echo"}));
    assert_eq!(client.ended().code(), Some(1));
    let torn = client.next_message(wait::PATIENCE).unwrap().text;
    assert!(torn.starts_with(r#"{"jsonrpc""#) && serde_json::from_str::<Value>(&torn).is_err(), "{torn}");
    let mut client = legacy(&home, &[]);
    client.start("tools/call", &json!({"name": "crash", "arguments": {"code": 7}}));
    assert_eq!(client.ended().code(), Some(7));
}

#[test]
fn it_starts_badly_as_told() {
    let home = Home::new();
    assert_eq!(start(&home, &["--exit-at-start", "3"]).ended().code(), Some(3));
    let mut client = start(&home, &["--banner"]);
    assert!(client.next_message(wait::PATIENCE).unwrap().text.starts_with("Welcome"));
    let mut client = start(&home, &["--hang-at-start"]);
    client.start("ping", &json!({}));
    assert_eq!(client.next_message(SOON), None);
    let mut client = legacy(&home, &["--stderr-noise"]);
    client.request("ping", &json!({}));
    wait::expect("noise", || client.stderr().contains("noise") && client.stderr().contains("received"));
}

#[test]
fn garbage_precedes_every_kth_message() {
    let home = Home::new();
    let mut client = start(&home, &["--garbage-every", "2"]);
    for _ in 0..2 {
        client.send(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
    }
    let mut next = || client.next_message(wait::PATIENCE).unwrap().text;
    let lines = [next(), next(), next()];
    assert!(lines[0].starts_with('{') && lines[1].starts_with("[info]") && lines[2].starts_with('{'), "{lines:?}");
}

#[test]
fn a_flood_does_not_end() {
    let home = Home::new();
    let mut client = legacy(&home, &["--flood"]);
    client.start("tools/call", &json!({"name": "hang"}));
    for _ in 0..5000 {
        assert_eq!(client.next_message(wait::PATIENCE).unwrap().method(), "notifications/message");
    }
}

#[test]
fn eras_differ_in_what_they_refuse() {
    let home = Home::new();
    let discover = |flags: &[&str]| start(&home, flags).modern("server/discover", json!({}), &json!({}));
    assert_eq!(discover(&["--era", "legacy"]).error()["code"], -32601);
    assert_eq!(discover(&["--era", "modern"]).result()["supportedVersions"], json!(["2026-07-28"]));
    assert_eq!(discover(&[]).result()["supportedVersions"].as_array().unwrap().len(), 5);
    let mut client = start(&home, &["--era", "modern"]);
    assert_eq!(client.request("initialize", &json!({})).error()["code"], -32601);
    assert_eq!(client.request("tools/list", &json!({})).error()["code"], -32602);
    let old = json!({"_meta": {"io.modelcontextprotocol/protocolVersion": "2020-01-01"}});
    let refused = client.request("tools/list", &old).error();
    assert_eq!((&refused["code"], &refused["data"]["requested"]), (&json!(-32022), &json!("2020-01-01")));
    let mut client = start(&home, &["--era", "exit-on-discover"]);
    client.start("server/discover", &json!({}));
    assert_eq!(client.ended().code(), Some(1));
    let mut client = start(&home, &["--era", "silent-on-discover"]);
    client.start("server/discover", &json!({}));
    assert_eq!(client.next_message(SOON), None);
    client.initialize("2025-11-25", &json!({}));
}

#[test]
fn modern_results_are_complete() {
    let home = Home::new();
    let mut client = start(&home, &["--resources"]);
    for method in ["server/discover", "tools/list", "resources/list", "resources/templates/list"] {
        let result = client.modern(method, json!({}), &json!({})).result();
        assert_eq!((&result["resultType"], &result["cacheScope"]), (&json!("complete"), &json!("private")), "{method}");
    }
    let call = client.modern("tools/call", json!({"name": "echo"}), &json!({})).result();
    assert_eq!((&call["resultType"], call.get("ttlMs")), (&json!("complete"), None));
    assert_eq!(client.modern("ping", json!({}), &json!({})).error()["code"], -32601);
}

#[test]
fn a_legacy_client_is_asked_and_its_answer_is_passed_on() {
    let home = Home::new();
    let mut client = legacy(&home, &[]);
    for (tool, method) in
        [("elicit", "elicitation/create"), ("sample", "sampling/createMessage"), ("roots", "roots/list")]
    {
        let id = client.start("tools/call", &json!({"name": tool}));
        let question = client.expect(method).json();
        client.send(&json!({"jsonrpc": "2.0", "id": question["id"], "result": {"from": tool}}).to_string());
        assert!(client.answer(id).text_block().contains(tool));
    }
}

#[test]
fn a_modern_client_brings_the_answer_with_the_next_request() {
    let home = Home::new();
    let mut client = start(&home, &["--era", "modern"]);
    let able = json!({"elicitation": {}});
    assert_eq!(client.modern("tools/call", json!({"name": "elicit"}), &json!({})).error()["code"], -32021);
    let asked = client.modern("tools/call", json!({"name": "elicit"}), &able).result();
    assert_eq!(asked["resultType"], "input_required");
    let retry = |state: &Value| json!({"name": "elicit", "inputResponses": {"question": {"action": "accept"}}, "requestState": state});
    let done = client.modern("tools/call", retry(&asked["requestState"]), &able);
    assert!(done.text_block().contains("accept"));
    assert_eq!(client.modern("tools/call", retry(&json!("forged")), &able).error()["code"], -32602);
}

#[test]
fn changes_reach_whoever_listens() {
    let home = Home::new();
    let mut client = legacy(&home, &["--resources"]);
    let touch = json!({"uri": "fixture://watched"});
    client.call("touch", &touch);
    client.request("resources/subscribe", &touch);
    client.call("touch", &touch);
    assert_eq!(client.expect("notifications/resources/updated").json()["params"], touch);
    assert_eq!(client.next_message(SOON), None);

    let mut client = start(&home, &["--era", "modern"]);
    let filter = json!({"notifications": {"resourceSubscriptions": ["fixture://watched"]}});
    let stream = client.start("subscriptions/listen", &testkit::client::with_meta(filter, &json!({})));
    client.expect("notifications/subscriptions/acknowledged");
    client.modern("tools/call", json!({"name": "touch", "arguments": touch}), &json!({}));
    client.modern("tools/call", json!({"name": "grow"}), &json!({}));
    let update = client.expect("notifications/resources/updated").json();
    assert_eq!(update["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], stream);
    client.notify("notifications/cancelled", &json!({"requestId": stream}));
    assert_eq!(client.answer(stream).result()["resultType"], "complete");
    assert_eq!(client.next_message(SOON), None);
}

#[test]
fn levels_hold_back_logs() {
    let home = Home::new();
    let mut client = legacy(&home, &[]);
    client.request("logging/setLevel", &json!({"level": "error"}));
    client.call("log", &json!({"level": "info", "text": "quiet"}));
    client.call("log", &json!({"level": "alert", "text": "loud"}));
    assert_eq!(client.expect("notifications/message").json()["params"]["data"], "loud");
}

#[test]
fn resources_prompts_and_completions_answer() {
    let home = Home::new();
    let mut client = legacy(&home, &["--resources", "--prompts"]);
    let text = client.request("resources/read", &json!({"uri": "fixture://item/7"})).result();
    assert_eq!(text["contents"][0]["text"], "Item 7.");
    assert_eq!(client.request("resources/read", &json!({"uri": "fixture://none"})).error()["code"], -32002);
    let prompt = client.request("prompts/get", &json!({"name": "greet", "arguments": {"name": "Ada"}})).result();
    assert_eq!(prompt["messages"][0]["content"]["text"], "Hello, Ada!");
    assert_eq!(client.request("prompts/get", &json!({"name": "greet"})).error()["code"], -32602);
    let completed =
        client.request("completion/complete", &json!({"argument": {"name": "name", "value": "be"}})).result();
    assert_eq!(completed["completion"]["values"], json!(["beta"]));
}

#[test]
fn the_journal_tells_everything() {
    let home = Home::new();
    let path = home.path().join("journal");
    let mut client = legacy(&home, &["--log", path.to_str().unwrap()]);
    client.send("not json");
    assert_eq!(client.expect("").error()["code"], -32700);
    assert!(client.close().success());
    let text = std::fs::read_to_string(path).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events[0]["env"][testkit::cli::MARK], home.mark());
    assert_eq!(events[1]["message"]["method"], "initialize");
    assert_eq!(events[3]["text"], "not json");
    assert_eq!(events.last().unwrap()["event"], "eof");
}

#[test]
fn the_odd_tools_do_what_they_say() {
    let home = Home::new();
    let mut client = legacy(&home, &["--name", "odd"]);
    let pid = client.pid().to_string();
    assert_eq!(client.call("pid", &json!({})).text_block(), pid);
    let environment: Value = serde_json::from_str(&client.call("env", &json!({})).text_block()).unwrap();
    assert_eq!(environment[testkit::cli::MARK], home.mark());
    assert_eq!(client.call("big", &json!({"bytes": 5000})).text_block().len(), 5000);
    assert_eq!(client.call("fail", &json!({"text": "why"})).result()["isError"], true);
    let refused = client.call("rpc_error", &json!({"code": 7, "message": "m", "data": [1]})).error();
    assert_eq!(refused, json!({"code": 7, "message": "m", "data": [1]}));
    client.call("garbage", &json!({"text": "no message"}));
    assert_eq!(client.next_message(wait::PATIENCE).unwrap().text, "no message");
    client.call("noise", &json!({"bytes": 1000}));
    wait::expect("noise", || client.stderr().len() >= 1000);
    assert_eq!(client.call("litter", &json!({"count": 3})).text_block(), "done");
    assert_eq!(client.call("calls", &json!({})).text_block(), "9");
}

#[test]
fn one_bad_tool_is_listed_among_good_ones_and_a_new_version_tells() {
    let home = Home::new();
    let mut client = legacy(&home, &["--bad-tool", "--tools", "2", "--version", "2"]);
    let tools = client.request("tools/list", &json!({})).result();
    assert_eq!(names(&tools, "tools"), ["echo", "bad_tool", "echo_raw"]);
    assert_eq!(tools["tools"][1].get("inputSchema"), None);
    assert_eq!(tools["tools"][0]["description"], "Answers its text (version 2)");
}

#[test]
fn a_daemon_outlives_its_server_and_is_found() {
    let home = Home::new();
    let client = legacy(&home, &["--daemonise"]);
    assert!(client.close().success());
    wait::expect("the daemon", || survivors(home.mark()).len() == 1);
    let pid = i32::try_from(survivors(home.mark())[0]).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL).unwrap();
    wait::expect("its end", || survivors(home.mark()).is_empty());
}

#[test]
fn sigterm_ends_it_unless_told_otherwise() {
    let home = Home::new();
    for (flags, survives) in [(&[][..], false), (&["--ignore-sigterm"][..], true)] {
        let mut client = legacy(&home, flags);
        let pid = rustix::process::Pid::from_raw(i32::try_from(client.pid()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        if survives {
            client.request("ping", &json!({})).result();
        } else {
            assert_eq!(client.ended().code(), None);
        }
    }
}

#[test]
fn an_unread_pipe_fills_up() {
    let home = Home::new();
    let mut client = legacy(&home, &["--no-read"]);
    assert_eq!(client.call("echo", &json!({"text": "last"})).text_block(), "last");
    client.start("ping", &json!({}));
    assert_eq!(client.next_message(SOON), None);
}
