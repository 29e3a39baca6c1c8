//! The results of Codex as a tool before clients that take nothing on trust: one of our own that is stricter than any,
//! both SDKs, and the Inspector; with structured content and without, and in the manner of Codex's old server.
//!
//! Each test with a real client skips itself, with a reason, where its peers are not installed.

mod common;

use common::bridge::Bridge;
use common::real::Peers;
use serde_json::{Value, json};
use std::time::Duration;
use testkit::client::Client;

/// Interpreters start slowly on a busy machine.
const LONG: Duration = Duration::from_secs(120);
const THREAD: &str = "01999999-0000-7000-8000-000000000000";

/// In which manner tools answer: flags, whether structured content is switched on.
const MANNERS: [(&[&str], &str); 4] =
    [(&[], ""), (&[], "true"), (&["--contract", "codex"], ""), (&["--contract", "codex"], "true")];

/// What is called, with what, and whether that is to go well: every tool in every way that gives another result.
fn calls() -> Vec<(Value, bool)> {
    let call = |name: &str, arguments: Value| json!({"name": name, "arguments": arguments});
    vec![
        (call("codex", json!({"prompt": "p"})), true),
        (call("codex", json!({"prompt": "p", "sessionId": "s", "callbackUri": "http://127.0.0.1/cb"})), true),
        (call("codex", json!({"prompt": "p", "workingDirectory": "/no/where"})), false),
        (call("codex-reply", json!({"prompt": "p", "threadId": THREAD})), true),
        (call("codex-reply", json!({"prompt": "p", "threadId": "01999999-0000-7000-8000-00000000ffff"})), false),
        (call("review", json!({})), true),
        (call("review", json!({"base": "main", "prompt": "p"})), true),
        (call("review", json!({"commit": "abc", "title": "T"})), true),
        (call("review", json!({"commit": "abc", "base": "main"})), false),
        (call("websearch", json!({"query": "q", "numResults": 2, "searchDepth": "full"})), true),
        (call("websearch", json!({"query": ""})), false),
        (call("listSessions", json!({})), true),
        (call("ping", json!({"message": ""})), true),
        (call("help", json!({})), true),
    ]
}

fn bridge() -> Bridge {
    let bridge = Bridge::new(&json!({}));
    bridge.setup.home.write(&format!("threads/{THREAD}"), "\"an earlier prompt\"\n");
    bridge
}

/// Whether a value is what a schema of the kind that is announced here allows.
fn valid(value: &Value, schema: &Value) -> bool {
    let is = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("boolean") => value.is_boolean(),
        kind => panic!("the strict client does not know the type {kind:?}"),
    };
    let known = ["type", "properties", "required", "description"];
    let other = schema.as_object().expect("a schema").keys().find(|key| !known.contains(&key.as_str()));
    assert_eq!(other, None, "the strict client does not know this of {schema}");
    let required = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .all(|key| value.get(key.as_str().expect("a key")).is_some());
    let parts = schema["properties"].as_object().into_iter().flatten();
    is && required && parts.into_iter().all(|(key, part)| value.get(key).is_none_or(|value| valid(value, part)))
}

/// What a client may count on: content of known kinds, and structured content exactly where it was announced, all of
/// whose keys are announced.
fn check(tool: &Value, result: &Value, well: bool) {
    let keys: Vec<_> = result.as_object().expect("an object").keys().map(String::as_str).collect();
    assert!(keys.iter().all(|key| ["content", "structuredContent", "isError", "_meta"].contains(key)), "{result}");
    assert_eq!(result.get("isError") == Some(&json!(true)), !well, "{result}");
    let content = result["content"].as_array().expect("content");
    assert!(!content.is_empty() && content.iter().all(|block| block["type"] == "text" && block["text"].is_string()));
    let metas = content.iter().filter_map(|block| block.get("_meta"));
    metas.for_each(|meta| assert!(meta.is_object(), "{result}"));
    match (tool.get("outputSchema"), result.get("structuredContent")) {
        (Some(schema), Some(structure)) => {
            assert!(valid(structure, schema), "{structure} is not {schema}");
            let announced = schema["properties"].as_object().expect("properties");
            let all = structure.as_object().expect("an object").keys();
            all.for_each(|key| assert!(announced.contains_key(key), "{key} was not announced in {schema}"));
        }
        (None, None) => {}
        // What went wrong has no structure, unless the tool says so.
        (Some(_), None) => assert!(!well, "no structuredContent in {result}"),
        (None, Some(_)) => panic!("nobody announced the structuredContent of {result}"),
    }
}

fn strictly(client: &mut Client, ask: fn(&mut Client, &str, Value) -> Value) {
    let list = ask(client, "tools/list", json!({}));
    for (call, well) in calls() {
        let tool = list["tools"].as_array().expect("a list").iter().find(|tool| tool["name"] == call["name"]);
        let mut result = ask(client, "tools/call", call.clone());
        // The newer era says of each result that it is complete.
        result.as_object_mut().expect("an object").shift_remove("resultType");
        check(tool.expect("it is listed"), &result, well);
    }
}

#[test]
fn a_strict_client_takes_every_result() {
    for (flags, structured) in MANNERS {
        let bridge = bridge();
        let mut client = bridge.started(flags, &[("STRUCTURED_CONTENT_ENABLED", structured)]);
        client.initialize("2025-11-25", &json!({}));
        strictly(&mut client, |client, method, params| client.request(method, &params).result());
    }
}

#[test]
fn a_strict_client_of_the_newer_era_takes_every_result() {
    let bridge = bridge();
    let mut client = bridge.started(&[], &[("STRUCTURED_CONTENT_ENABLED", "on")]);
    strictly(&mut client, |client, method, params| client.modern(method, params, &json!({})).result());
}

/// What a client of an SDK reports of all calls in each manner.
fn through(peers: &Peers, program: &str, script: &str, flags: &[&str]) {
    let list: Vec<Value> = calls().into_iter().map(|(call, _)| call).collect();
    for (manner, structured) in MANNERS {
        let bridge = bridge();
        let script = peers.script(script);
        let wanted = json!(list).to_string();
        let gate = ["--", common::TOOLGATE, "mcp", "serve", "--profile", "bridge"];
        let args = [&[&*script], flags, &["--calls", &wanted], &gate, manner].concat();
        let command = bridge.setup.home.cmd(program, args).within(LONG);
        let report =
            command.env("CODEX_BIN", &bridge.program).env("STRUCTURED_CONTENT_ENABLED", structured).run().json();
        let results = report["calls"].as_array().unwrap_or_else(|| panic!("{report}"));
        assert_eq!(results.len(), list.len(), "{report}");
        for ((call, well), result) in calls().iter().zip(results) {
            assert_eq!(result.get("error"), None, "{call}: {result}");
            assert_eq!(result["isError"] != true, *well, "{call}: {result}");
            assert!(result["content"][0]["text"].is_string(), "{call}: {result}");
        }
    }
}

#[test]
fn the_typescript_sdk_takes_every_result() {
    let Some(peers) = Peers::with(&[Peers::node, Peers::ts_sdk]) else { return };
    through(&peers, &peers.node(), "client_ts.mjs", &[]);
}

#[test]
fn the_python_sdk_takes_every_result() {
    let Some(peers) = Peers::with(&[Peers::python]) else { return };
    through(&peers, &peers.python(), "client_py.py", &["--mode", "legacy"]);
}

#[test]
fn the_inspector_takes_a_result_of_every_tool() {
    let Some(peers) = Peers::with(&[Peers::node, Peers::inspector]) else { return };
    let inspector = peers.inspector();
    for structured in ["1", "0"] {
        let bridge = bridge();
        let env = [
            format!("CODEX_HOME={}", bridge.setup.home.codex().display()),
            format!("CODEX_BIN={}", bridge.program),
            format!("STRUCTURED_CONTENT_ENABLED={structured}"),
        ];
        let env: Vec<&str> = env.iter().flat_map(|pair| ["-e", pair.as_str()]).collect();
        let gate = [common::TOOLGATE, "mcp", "serve", "--profile", "bridge"];
        let thread = format!("threadId={THREAD}");
        for (tool, arguments) in [
            ("codex", vec!["prompt=p"]),
            ("codex-reply", vec!["prompt=p", &*thread]),
            ("review", vec!["base=main"]),
            ("websearch", vec!["query=q"]),
            ("listSessions", vec![]),
            ("ping", vec!["message=x"]),
            ("help", vec![]),
        ] {
            let arguments: Vec<&str> = arguments.iter().flat_map(|pair| ["--tool-arg", pair]).collect();
            let call = ["--method", "tools/call", "--tool-name", tool];
            let args = [&[inspector.as_str(), "--cli"], &env[..], &gate, &call, &arguments].concat();
            let result = bridge.setup.home.cmd(peers.node(), args).within(LONG).run().json();
            assert_eq!(result.get("isError").unwrap_or(&json!(false)), &json!(false), "{tool}: {result}");
            assert!(result["content"][0]["text"].is_string(), "{tool}: {result}");
        }
    }
}
