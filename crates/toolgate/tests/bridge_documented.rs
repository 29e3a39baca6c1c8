//! What codex-mcp-server documents, sentence by sentence, where `bridge.rs` does not have it already.

mod common;

use common::bridge::{Bridge, arguments, failed, text};
use serde_json::{Value, json};
use std::time::Duration;
use testkit::client::Client;
use testkit::wait;

fn tool(client: &mut Client, name: &str) -> Value {
    let list = client.request("tools/list", &json!({})).result();
    list["tools"].as_array().expect("a list").iter().find(|tool| tool["name"] == name).expect(name).clone()
}

fn sessions(client: &mut Client) -> Vec<String> {
    let listed = text(&client.call("listSessions", &json!({})));
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap_or_default();
    listed.iter().filter_map(|session| session["id"].as_str().map(str::to_owned)).collect()
}

#[test]
fn a_version_that_is_known_is_agreed_on() {
    let bridge = Bridge::new(&json!({}));
    for version in ["2025-11-25", "2025-06-18", "2025-03-26"] {
        let hello = bridge.started(&[], &[]).initialize(version, &json!({}));
        assert_eq!(hello["protocolVersion"], version);
    }
}

#[test]
fn a_host_that_says_nothing_is_left_in_peace() {
    let bridge = Bridge::new(&json!({}));
    assert!(bridge.started(&[], &[]).close().success());
}

#[test]
fn the_schemas_say_what_is_accepted() {
    let bridge = Bridge::new(&json!({}));
    let mut client = bridge.client();
    let codex = tool(&mut client, "codex");
    let properties = &codex["inputSchema"]["properties"];
    let kinds = [
        ("prompt", "string"),
        ("sessionId", "string"),
        ("resetSession", "boolean"),
        ("model", "string"),
        ("reasoningEffort", "string"),
        ("sandbox", "string"),
        ("fullAuto", "boolean"),
        ("workingDirectory", "string"),
        ("callbackUri", "string"),
    ];
    kinds.iter().for_each(|(name, kind)| assert_eq!(properties[name]["type"], *kind, "{name}"));
    assert_eq!(properties.as_object().map(|all| all.len()), Some(kinds.len()));
    assert_eq!(codex["inputSchema"]["required"], json!(["prompt"]));
    assert_eq!(properties["sandbox"]["enum"], json!(["read-only", "workspace-write", "danger-full-access"]));
    let efforts = json!(["none", "minimal", "low", "medium", "high", "xhigh"]);
    assert_eq!(properties["reasoningEffort"]["enum"], efforts);
    let session = &properties["sessionId"];
    assert_eq!((&session["maxLength"], &session["pattern"]), (&json!(256), &json!("^[a-zA-Z0-9_-]+$")));
    assert_eq!(
        (&properties["resetSession"]["default"], &properties["fullAuto"]["default"]),
        (&json!(false), &json!(false))
    );
    let search = tool(&mut client, "websearch")["inputSchema"]["properties"]["numResults"].clone();
    let range = [&search["minimum"], &search["maximum"], &search["default"]];
    assert_eq!(range, [&json!(1), &json!(50), &json!(10)]);
}

#[test]
fn what_has_the_wrong_type_or_value_is_named() {
    let bridge = Bridge::new(&json!({}));
    let mut client = bridge.client();
    let turn = |name: &str, value: Value| {
        let mut asked = json!({"prompt": "p"});
        asked[name] = value;
        ("codex", asked, name.to_owned())
    };
    let of = |tool, name: &str, value: Value| (tool, json!({name: value}), name.to_owned());
    let long = "s".repeat(257);
    let cases = [
        ("codex", json!({}), "prompt".to_owned()),
        turn("prompt", json!(1)),
        turn("prompt", json!(" \n")),
        turn("prompt", json!("a\0b")),
        turn("sessionId", json!("a b")),
        turn("sessionId", json!("")),
        turn("sessionId", json!(long)),
        turn("resetSession", json!("yes")),
        turn("model", json!(["m"])),
        turn("reasoningEffort", json!("huge")),
        turn("sandbox", json!("none")),
        turn("fullAuto", json!(1)),
        turn("workingDirectory", json!({})),
        turn("callbackUri", json!(false)),
        of("review", "uncommitted", json!("true")),
        of("review", "base", json!(7)),
        of("review", "commit", json!("")),
        of("websearch", "query", json!("")),
        ("websearch", json!({"query": "q", "numResults": 51}), "numResults".to_owned()),
        ("websearch", json!({"query": "q", "numResults": 0}), "numResults".to_owned()),
        ("websearch", json!({"query": "q", "searchDepth": "deep"}), "searchDepth".to_owned()),
        of("ping", "message", json!(1)),
        of("help", "topic", json!("x")),
        of("listSessions", "limit", json!(1)),
        ("review", json!({"base": "main", "commit": "abc"}), "commit".to_owned()),
        ("review", json!({"base": "main", "uncommitted": true}), "uncommitted".to_owned()),
    ];
    for (tool, asked, expected) in cases {
        failed(&client.call(tool, &asked), &expected);
    }
    assert_eq!(bridge.runs().len(), 0, "nothing of it was run");
}

#[test]
fn the_documented_examples_work_as_they_stand() {
    let bridge = Bridge::new(&json!({}));
    let mut client = bridge.client();
    for (tool, asked) in [
        ("codex", json!({"prompt": "Explain this Python function and suggest improvements"})),
        (
            "codex",
            json!({"prompt": "Perform complex architectural analysis", "model": "gpt-4", "reasoningEffort": "high"}),
        ),
        ("codex", json!({"prompt": "Continue our previous discussion", "sessionId": "my-coding-session"})),
        ("codex", json!({"prompt": "Start fresh analysis", "sessionId": "my-coding-session", "resetSession": true})),
        ("review", json!({"uncommitted": true})),
        ("review", json!({"base": "main", "prompt": "Focus on security vulnerabilities"})),
        ("review", json!({"commit": "abc123", "title": "Add user authentication"})),
        ("ping", json!({"message": "Hello, server!"})),
        ("help", json!({})),
        ("listSessions", json!({})),
    ] {
        let result = client.call(tool, &asked).result();
        assert_eq!(result.get("isError"), None, "{tool} {asked}: {result}");
    }
}

#[test]
fn progress_comes_while_it_works() {
    let bridge = Bridge::new(&json!({"mode": "slow"}));
    let mut client = bridge.client();
    let asked = json!({"name": "codex", "arguments": {"prompt": "p"}, "_meta": {"progressToken": "t"}});
    let id = client.start("tools/call", &asked);
    let mut times = Vec::new();
    loop {
        let message = client.next_message(Duration::from_secs(60)).expect("an answer").json();
        times.push(wait::now());
        if message["id"] == json!(id) {
            break;
        }
    }
    // Five steps of 150 ms: had they come together at the end, there would be nothing between them.
    let spread = times.last().expect("an answer").duration_since(times[0]);
    assert!(times.len() > 5 && spread >= Duration::from_millis(500), "{} in {spread:?}", times.len());
}

#[test]
fn every_word_that_switches_structured_content_on_does() {
    let bridge = Bridge::new(&json!({}));
    for (word, on) in
        [("1", true), ("True", true), ("yes", true), ("ON", true), ("", false), ("no", false), ("2", false)]
    {
        let mut client = bridge.client_with(&[("STRUCTURED_CONTENT_ENABLED", word)]);
        assert_eq!(tool(&mut client, "codex").get("outputSchema").is_some(), on, "{word}");
    }
}

#[test]
fn the_announced_output_has_the_thread_and_the_answer() {
    let bridge = Bridge::new(&json!({}));
    let mut client = bridge.client_with(&[("STRUCTURED_CONTENT_ENABLED", "1")]);
    let schema = tool(&mut client, "codex")["outputSchema"].clone();
    assert_eq!((&schema["type"], &schema["properties"]["threadId"]["type"]), (&json!("object"), &json!("string")));
    let result = client.call("codex", &json!({"prompt": "p", "sessionId": "s"})).result();
    let (meta, structure) = (&result["content"][0]["_meta"], &result["structuredContent"]);
    assert_eq!(structure["content"], "answer to: p");
    ["threadId", "model", "sessionId"].iter().for_each(|key| assert_eq!(meta[key], structure[key], "{key}"));
    assert_eq!((meta.get("callbackUri"), structure.get("callbackUri")), (None, None));
}

#[test]
fn the_callback_of_the_environment_is_that_of_a_call_that_names_none() {
    let bridge = Bridge::new(&json!({}));
    let mut client = bridge.client_with(&[("CODEX_MCP_CALLBACK_URI", "http://127.0.0.1/env")]);
    for (asked, expected) in [
        (json!({"prompt": "p"}), "http://127.0.0.1/env"),
        (json!({"prompt": "p", "callbackUri": "http://127.0.0.1/own"}), "http://127.0.0.1/own"),
    ] {
        let result = client.call("codex", &asked).result();
        assert_eq!(result["content"][0]["_meta"]["callbackUri"], expected);
        assert_eq!(bridge.runs().pop().expect("a run")["env"]["CODEX_MCP_CALLBACK_URI"], expected);
    }
}

#[test]
fn sessions_are_limited_in_number_and_listed_newest_first() {
    let bridge = Bridge::new(&json!({}));
    let mut client = bridge.client_with(&[("CODEX_MCP_MAX_SESSIONS", "2")]);
    for session in ["a", "b", "a", "c"] {
        client.call("codex", &json!({"prompt": "p", "sessionId": session})).result();
    }
    assert_eq!(sessions(&mut client), ["c", "a"]);
}

#[test]
fn a_session_that_nobody_uses_is_forgotten() {
    let bridge = Bridge::new(&json!({}));
    let mut client = bridge.client_with(&[("CODEX_MCP_SESSION_TTL_MS", "1000")]);
    client.call("codex", &json!({"prompt": "one", "sessionId": "s"})).result();
    wait::expect("the session to be over", || sessions(&mut client).is_empty());
    client.call("codex", &json!({"prompt": "two", "sessionId": "s"})).result();
    assert!(!arguments(&bridge.runs()[1]).contains("resume"), "it was resumed all the same");
}

#[test]
fn a_session_begins_by_itself_where_that_is_wanted() {
    let bridge = Bridge::new(&json!({}));
    let mut client = bridge.client_with(&[("CODEX_MCP_AUTO_SESSION", "1")]);
    let result = client.call("codex", &json!({"prompt": "one"})).result();
    let id = result["content"][0]["_meta"]["sessionId"].as_str().expect("a session").to_owned();
    client.call("codex", &json!({"prompt": "two", "sessionId": id})).result();
    assert!(arguments(&bridge.runs()[1]).contains("resume"));
    assert_eq!(sessions(&mut client), [id]);
    let alone = bridge.client().call("codex", &json!({"prompt": "three"})).result();
    assert_eq!(alone["content"][0]["_meta"].get("sessionId"), None, "without it there is none: {alone}");
}

#[test]
fn a_conversation_whose_thread_nobody_told_goes_on_with_its_last_two_turns() {
    let bridge = Bridge::new(&json!({"anonymous": true}));
    let mut client = bridge.client();
    for prompt in ["one", "two", "three"] {
        let result = client.call("codex", &json!({"prompt": prompt, "sessionId": "s"})).result();
        let meta = &result["content"][0]["_meta"];
        assert_eq!((meta.get("threadId"), meta.get("note")), (None, None), "nothing was lost: {result}");
    }
    let prompts: Vec<_> = bridge.runs().into_iter().map(|run| run["prompt"].clone()).collect();
    assert_eq!(prompts[1], "Context: one -> answer to: one\n\nTask: two");
    let last = prompts[2].as_str().expect("text");
    assert!(
        last.contains("Context: one -> ") && last.contains("Context: two -> ") && last.ends_with("Task: three"),
        "{last}"
    );
}

#[test]
fn sessions_that_cannot_be_read_stop_nobody() {
    let bridge = Bridge::new(&json!({}));
    let mut client = bridge.client();
    client.call("codex", &json!({"prompt": "one", "sessionId": "s"})).result();
    client.close();
    let state = bridge.setup.home.codex().join("toolgate");
    let files = std::fs::read_dir(state).expect("there").flatten().map(|entry| entry.path());
    for file in files.filter(|path| path.is_file() && path.to_string_lossy().contains(".db")) {
        std::fs::write(file, "this is no database".repeat(1000)).expect("ours");
    }
    let mut client = bridge.client();
    for asked in [
        json!({"prompt": "two", "sessionId": "s"}),
        json!({"prompt": "three", "sessionId": "s", "resetSession": true}),
        json!({"prompt": "four"}),
    ] {
        let answer = client.call("codex", &asked);
        let prompt = asked["prompt"].as_str().expect("text");
        assert_eq!(text(&answer), format!("answer to: {prompt}"), "{asked}");
    }
}

#[test]
fn help_is_whatever_the_cli_says_of_itself() {
    for (how, expected) in [
        (json!({"help": "on stdout\n"}), "on stdout"),
        (json!({"help": "", "complains": "on stderr\n"}), "on stderr"),
        (json!({"help": ""}), "No help information available"),
    ] {
        let bridge = Bridge::new(&how);
        assert_eq!(text(&bridge.client().call("help", &json!({}))).trim(), expected, "{how}");
    }
}

#[test]
fn a_run_that_says_nothing_is_answered_all_the_same() {
    let bridge = Bridge::new(&json!({"mode": "mute"}));
    let mut client = bridge.client();
    assert_eq!(text(&client.call("codex", &json!({"prompt": "p"}))), "No output from Codex");
    assert_eq!(text(&client.call("review", &json!({}))), "No review output from Codex");
    assert_eq!(text(&client.call("websearch", &json!({"query": "q"}))), "No search output from Codex");
}

#[test]
fn a_program_that_is_no_codex_is_named() {
    let bridge = Bridge::new(&json!({}));
    std::fs::write(&bridge.program, "#!/bin/sh\necho boom >&2\nexit 3\n").expect("ours");
    let mut client = bridge.client();
    let answer = client.call("codex", &json!({"prompt": "p"}));
    failed(&answer, "Failed to execute codex command");
    failed(&answer, "boom");
    failed(&answer, "CODEX_BIN");
}
