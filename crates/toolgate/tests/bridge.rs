//! Codex as a tool, over stdio, with a Codex CLI that has no model.

mod common;

use common::bridge::{Bridge, MARKED, arguments, failed, is_thread, text};
use common::names;
use common::real::Peers;
use serde_json::{Value, json};
use std::time::Duration;
use testkit::model::{Model, Turn};
use testkit::wait;

#[test]
fn the_documented_tools_are_offered_with_their_annotations() {
    let bridge = Bridge::new(&json!({}));
    let mut client = bridge.client();
    let list = client.request("tools/list", &json!({})).result();
    let expected = ["codex", "review", "codex-reply", "websearch", "ping", "help", "listSessions"];
    let mut found = names(&list);
    found.sort();
    let mut sorted = expected.map(str::to_owned);
    sorted.sort();
    assert_eq!(found, sorted);
    let hints = |name: &str| {
        let tool = list["tools"].as_array().expect("a list").iter().find(|tool| tool["name"] == name).expect(name);
        let notes = &tool["annotations"];
        let hint = |key: &str| notes[key].as_bool().expect(key);
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{name}");
        (
            notes["title"].as_str().expect("a title").to_owned(),
            [hint("readOnlyHint"), hint("destructiveHint"), hint("idempotentHint"), hint("openWorldHint")],
        )
    };
    assert_eq!(hints("codex"), ("Execute Codex CLI".into(), [false, true, false, true]));
    assert_eq!(hints("review"), ("Code Review".into(), [true, false, true, true]));
    assert_eq!(hints("ping"), ("Ping Server".into(), [true, false, true, false]));
    assert_eq!(hints("help"), ("Get Help".into(), [true, false, true, false]));
    assert_eq!(hints("listSessions"), ("List Sessions".into(), [true, false, true, false]));
    assert_eq!(hints("websearch"), ("Web Search".into(), [true, false, true, true]));
}

#[test]
fn a_prompt_is_run_and_answered() {
    let bridge = Bridge::new(&json!({}));
    let mut client = bridge.client();
    let answer = client.call("codex", &json!({"prompt": "--help"}));
    assert_eq!(text(&answer), "answer to: --help");
    let result = answer.result();
    let meta = &result["content"][0]["_meta"];
    assert!(is_thread(&meta["threadId"]), "{result}");
    assert_eq!((&meta["model"], meta.get("sessionId")), (&json!("gpt-5.2-codex"), None));
    assert_eq!(result.get("structuredContent"), None);
    let run = &bridge.runs()[0];
    assert_eq!(arguments(run), "exec --json -c model=\"gpt-5.2-codex\" -s read-only --skip-git-repo-check -");
}

#[test]
fn every_parameter_reaches_the_command_line() {
    let bridge = Bridge::new(&json!({}));
    let work = bridge.setup.home.work();
    let mut client = bridge.client_with(&[("OPENAI_API_KEY", "sk-own"), ("UNASKED", "secret")]);
    let answer = client.call(
        "codex",
        &json!({"prompt": "p", "model": "m\"\nsandbox_mode=\"danger-full-access", "reasoningEffort": "xhigh",
            "sandbox": "workspace-write", "fullAuto": true, "workingDirectory": work, "callbackUri": "http://127.0.0.1/cb"}),
    );
    assert!(answer.result().get("isError").is_none(), "{answer:?}");
    let run = &bridge.runs()[0];
    let real = work.canonicalize().expect("there").display().to_string();
    let expected = format!(
        "exec --json -c model=\"m\\\"\\nsandbox_mode=\\\"danger-full-access\" -s workspace-write -C {real} \
         --skip-git-repo-check -c model_reasoning_effort=\"xhigh\" -c approval_policy=\"never\" \
         -c mcp_oauth_callback_url=\"http://127.0.0.1/cb\" -"
    );
    assert_eq!(arguments(run), expected);
    assert_eq!(run["cwd"], json!(real));
    assert_eq!(run["env"], json!({"CODEX_MCP_CALLBACK_URI": "http://127.0.0.1/cb", "OPENAI_API_KEY": "sk-own"}));
}

#[test]
fn what_the_operator_forbids_no_caller_gets() {
    let bridge = Bridge::with("[codex]\nsandbox_ceiling = \"read-only\"\ndefault_model = \"inherit\"\n", &json!({}));
    let mut client = bridge.client();
    failed(
        &client.call("codex", &json!({"prompt": "p", "sandbox": "workspace-write"})),
        "more than this server allows",
    );
    failed(&client.call("codex", &json!({"prompt": "p", "fullAuto": true})), "more than this server allows");
    failed(&client.call("codex", &json!({"prompt": "p", "workingDirectory": "/etc"})), "not beneath a directory");
    failed(&client.call("codex", &json!({"prompt": "p", "workingDirectory": "/no/where"})), "`/no/where`");
    failed(&client.call("codex", &json!({"prompt": "p", "cwdd": "/"})), "`cwdd`");
    assert_eq!(bridge.runs().len(), 0);
    client.call("codex", &json!({"prompt": "p"})).result();
    assert_eq!(arguments(&bridge.runs()[0]), "exec --json -s read-only --skip-git-repo-check -");
}

#[test]
fn a_session_goes_on_and_outlives_its_process() {
    let bridge = Bridge::new(&json!({}));
    let mut client = bridge.client();
    let first =
        client.call("codex", &json!({"prompt": "one", "sessionId": "s-1", "sandbox": "workspace-write"})).result();
    let thread = first["content"][0]["_meta"]["threadId"].as_str().expect("a thread").to_owned();
    assert_eq!(first["content"][0]["_meta"]["sessionId"], "s-1");
    client.close();
    let mut client = bridge.client();
    let second =
        client.call("codex", &json!({"prompt": "two", "sessionId": "s-1", "sandbox": "workspace-write"})).result();
    assert_eq!(second["content"][0]["_meta"]["threadId"], json!(thread));
    let expected =
        format!("exec --json -c model=\"gpt-5.2-codex\" -s workspace-write --skip-git-repo-check resume {thread} -");
    assert_eq!(arguments(&bridge.runs()[1]), expected);
    let list: Value = serde_json::from_str(&text(&client.call("listSessions", &json!({})))).expect("JSON");
    assert_eq!((&list[0]["id"], &list[0]["turnCount"]), (&json!("s-1"), &json!(2)));
    assert_eq!(list[0]["createdAt"].as_str().expect("a time").len(), "2025-01-01T12:00:00.000Z".len());
    client.call("codex", &json!({"prompt": "three", "sessionId": "s-1", "resetSession": true})).result();
    assert!(!arguments(&bridge.runs()[2]).contains("resume"));
    let list: Value = serde_json::from_str(&text(&client.call("listSessions", &json!({})))).expect("JSON");
    assert_eq!(list[0]["turnCount"], 1);
}

#[test]
fn a_thread_that_is_gone_begins_afresh_with_its_last_turns() {
    for how in [json!({"lost": true}), json!({"stranger": true})] {
        let bridge = Bridge::new(&json!({}));
        let mut client = bridge.client();
        client.call("codex", &json!({"prompt": "one", "sessionId": "s"})).result();
        bridge.behaves(&how);
        let answer = client.call("codex", &json!({"prompt": "two", "sessionId": "s"})).result();
        assert_eq!(answer.get("isError"), None, "{answer}");
        assert!(answer["content"][0]["_meta"]["note"].as_str().expect("a note").contains("began afresh"), "{answer}");
        let last = bridge.runs().pop().expect("a run");
        assert_eq!(last["prompt"], "Context: one -> answer to: one\n\nTask: two");
    }
}

#[test]
fn a_cli_of_the_first_releases_is_driven_too() {
    let bridge = Bridge::new(&json!({"legacy": true, "version": "0.39.0"}));
    let mut client = bridge.client();
    let answer = client.call("codex", &json!({"prompt": "session id: evil", "sessionId": "s"}));
    assert_eq!(text(&answer), "answer to: session id: evil");
    assert!(is_thread(&answer.result()["content"][0]["_meta"]["threadId"]));
    let review = client.call("review", &json!({"commit": "abc", "title": "T"}));
    assert_eq!(review.result()["content"][0]["_meta"], json!({"model": "gpt-5.2-codex", "commit": "abc"}));
    let run = bridge.runs().pop().expect("a run");
    assert!(run["prompt"].as_str().expect("text").contains("`git show abc`"), "{run}");
}

#[test]
fn reviews_change_nothing_and_take_every_combination() {
    let bridge = Bridge::new(&json!({}));
    let mut client = bridge.client();
    for (asked, flags, meta) in [
        (json!({}), "--uncommitted", json!({"model": "gpt-5.2-codex"})),
        (json!({"uncommitted": true}), "--uncommitted", json!({"model": "gpt-5.2-codex"})),
        (json!({"base": "main", "prompt": "errors"}), "-", json!({"model": "gpt-5.2-codex", "base": "main"})),
        (json!({"base": "main", "model": "m"}), "--base=main", json!({"model": "m", "base": "main"})),
        (
            json!({"commit": "abc", "title": "T"}),
            "--commit=abc --title=T",
            json!({"model": "gpt-5.2-codex", "commit": "abc"}),
        ),
        (json!({"prompt": "errors"}), "-", json!({"model": "gpt-5.2-codex"})),
    ] {
        let answer = client.call("review", &asked).result();
        assert_eq!(answer["content"][0]["_meta"], meta, "{asked}: {answer}");
        let line = arguments(&bridge.runs().pop().expect("a run"));
        assert!(line.contains("-s read-only") && line.ends_with(&format!("review {flags}")), "{asked}: {line}");
    }
    failed(&client.call("review", &json!({"uncommitted": true, "prompt": "p"})), "cannot be combined");
}

#[test]
fn failures_are_failures_and_leave_no_turn() {
    let bridge = Bridge::new(&json!({}));
    let mut client = bridge.client();
    for (mode, expected) in [
        ("auth", "Authentication failed: Please run `codex login`"),
        ("key", "Set SOME_API_KEY where this server is started"),
        (
            "login",
            "Authentication failed: Please run `codex login` (with an API key: `printenv OPENAI_API_KEY | codex login",
        ),
        ("model", "Invalid model: nope"),
        ("quota", "a limit of the account is reached"),
        ("network", "Failed to execute codex command: the model could not be reached"),
        ("silent", "Failed to execute codex command: it exited with code 7"),
    ] {
        bridge.behaves(&json!({"mode": mode}));
        failed(&client.call("codex", &json!({"prompt": "p", "sessionId": "s", "model": "nope"})), expected);
        failed(&client.call("review", &json!({"model": "nope"})), expected);
    }
    assert_eq!(text(&client.call("listSessions", &json!({}))), "No active sessions");
}

#[test]
fn a_cli_that_is_not_there_is_named_with_what_to_do() {
    let bridge = Bridge::new(&json!({}));
    let mut client = bridge.client_with(&[("CODEX_BIN", "/no/codex")]);
    for tool in ["codex", "review", "help"] {
        let asked = if tool == "codex" { json!({"prompt": "p"}) } else { json!({}) };
        let answer = client.call(tool, &asked);
        failed(&answer, "Failed to execute codex command");
        failed(&answer, "npm install -g @openai/codex");
    }
    assert_eq!(text(&client.call("ping", &json!({}))), "pong");
}

#[test]
fn structured_content_comes_with_its_schema_or_not_at_all() {
    let bridge = Bridge::new(&json!({}));
    for (word, on) in [("YES", true), ("0", false)] {
        let mut client = bridge.client_with(&[("STRUCTURED_CONTENT_ENABLED", word)]);
        let list = client.request("tools/list", &json!({})).result();
        let tools = list["tools"].as_array().expect("a list");
        let codex = tools.iter().find(|tool| tool["name"] == "codex").expect("offered");
        assert_eq!(codex.get("outputSchema").is_some(), on, "{word}");
        let answer = client.call("codex", &json!({"prompt": "p", "sessionId": "s"})).result();
        let structure = answer.get("structuredContent");
        assert_eq!(structure.is_some(), on, "{word}");
        assert!(structure.is_none_or(|structure| structure["sessionId"] == "s"), "{answer}");
    }
}

#[test]
fn progress_is_told_as_it_comes_and_only_to_who_asked() {
    let bridge = Bridge::new(&json!({"mode": "slow"}));
    let mut client = bridge.client();
    for token in [json!("unique-token-123"), json!(0), json!("")] {
        let id = client.start(
            "tools/call",
            &json!({"name": "codex", "arguments": {"prompt": "p"}, "_meta": {"progressToken": token}}),
        );
        let mut told = Vec::new();
        loop {
            let message = client.next_message(Duration::from_secs(60)).expect("an answer").json();
            if message["id"] == json!(id) {
                break;
            }
            assert_eq!(message["method"], "notifications/progress", "{message}");
            assert_eq!(message["params"]["progressToken"], token);
            told.push(message["params"]["progress"].as_u64().expect("a number"));
            let text = message["params"]["message"].as_str().expect("a message").to_owned();
            assert!(!text.trim().is_empty());
        }
        assert!(told.len() >= 5, "{told:?}");
        assert_eq!(told, (1..=told.len() as u64).collect::<Vec<_>>());
    }
    let id = client.start("tools/call", &json!({"name": "codex", "arguments": {"prompt": "p"}}));
    let message = client.next_message(Duration::from_secs(60)).expect("an answer").json();
    assert_eq!(message["id"], json!(id), "{message}");
}

#[test]
fn letters_survive_in_pieces_and_large_answers_whole() {
    let bridge = Bridge::with("[limits]\nmax_message_bytes = 67108864\n", &json!({"mode": "split"}));
    let mut client = bridge.client();
    assert_eq!(text(&client.call("codex", &json!({"prompt": "p"}))), "é漢字🙂");
    bridge.behaves(&json!({"mode": "big"}));
    assert_eq!(text(&client.call("codex", &json!({"prompt": "p"}))).len(), 11 << 20);
    bridge.behaves(&json!({}));
    let prompt = "y".repeat(1 << 20);
    client.call("codex", &json!({"prompt": prompt})).result();
    assert_eq!(bridge.runs().pop().expect("a run")["prompt"].as_str().map(str::len), Some(1 << 20));
}

#[test]
fn a_cancelled_run_ends_with_everything_it_started_and_lets_the_next_one_in() {
    let bridge = Bridge::with(MARKED, &json!({"mode": "hang"}));
    let mut client = bridge.client();
    let id = client.start("tools/call", &json!({"name": "codex", "arguments": {"prompt": "p", "sessionId": "s"}}));
    wait::expect("the run to begin", || !bridge.runs().is_empty());
    client.notify("notifications/cancelled", &json!({"requestId": id}));
    bridge.behaves(&json!({}));
    let answer = client.call("codex", &json!({"prompt": "next", "sessionId": "s"}));
    assert_eq!(text(&answer), "answer to: next");
    wait::expect("nothing to be left of the run", || bridge.setup.survivors().len() <= 1);
}

#[test]
fn a_run_that_takes_too_long_is_ended() {
    let bridge = Bridge::new(&json!({"mode": "hang"}));
    let mut client = bridge.client_with(&[("CODEX_TOOL_TIMEOUT_MS", "1500")]);
    failed(&client.call("codex", &json!({"prompt": "p"})), "took longer than 1.5 s");
}

#[test]
fn nothing_outlives_a_gate_that_is_killed() {
    let bridge = Bridge::with(MARKED, &json!({"mode": "hang"}));
    let mut client = bridge.client();
    client.start("tools/call", &json!({"name": "codex", "arguments": {"prompt": "p"}}));
    wait::expect("the run to begin", || !bridge.runs().is_empty());
    let pid = rustix::process::Pid::from_raw(client.pid().cast_signed()).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it runs");
    wait::expect("nothing to be left", || bridge.setup.survivors().is_empty());
}

#[test]
fn help_is_the_clis_own() {
    let bridge = Bridge::new(&json!({}));
    let mut client = bridge.client();
    assert!(text(&client.call("help", &json!({}))).starts_with("Codex CLI"));
    assert_eq!(text(&client.call("ping", &json!({"message": ""}))), "");
    let search = client.call("websearch", &json!({"query": "q", "numResults": 3})).result();
    assert_eq!(search["content"][0]["_meta"]["numResults"], 3, "{search}");
    let run = bridge.runs().pop().expect("a run");
    assert!(arguments(&run).starts_with("--search exec "), "{run}");
    assert_eq!(run["prompt"], "Search for: q. Provide 3 key findings.");
}

/// What a host asked `codex mcp-server` of 0.153, and what it counted on in the answers.
#[test]
fn a_host_of_the_server_that_codex_had_goes_on_unchanged() {
    let bridge = Bridge::new(&json!({}));
    let mut host = bridge.started(&["--contract", "codex"], &[("CODEX_DEFAULT_MODEL", "inherit")]);
    let hello = host.initialize("2025-06-18", &json!({"elicitation": {}}));
    assert_eq!(
        (&hello["protocolVersion"], &hello["serverInfo"]["name"]),
        (&json!("2025-06-18"), &json!("codex-mcp-server"))
    );
    let list = host.request("tools/list", &json!({})).result();
    let given: [(&str, &[&str]); 2] = [
        (
            "codex",
            &[
                "approval-policy",
                "base-instructions",
                "compact-prompt",
                "config",
                "cwd",
                "developer-instructions",
                "model",
                "prompt",
                "sandbox",
            ],
        ),
        ("codex-reply", &["conversationId", "prompt", "threadId"]),
    ];
    for (name, parameters) in given {
        let tool = list["tools"].as_array().expect("a list").iter().find(|tool| tool["name"] == name).expect(name);
        assert_eq!(tool["inputSchema"]["required"], json!(["prompt"]), "{tool}");
        parameters.iter().for_each(|one| assert!(tool["inputSchema"]["properties"][one].is_object(), "{name}: {one}"));
        assert_eq!(tool["outputSchema"]["required"], json!(["threadId", "content"]), "{tool}");
    }
    let work = bridge.setup.home.work();
    let asked = json!({"prompt": "hello", "cwd": work, "approval-policy": "on-request", "sandbox": "read-only",
        "developer-instructions": "be brief", "config": {"model_reasoning_effort": "low"}});
    let first = host.call("codex", &asked).result();
    let thread = first["structuredContent"]["threadId"].as_str().expect("a thread").to_owned();
    assert_eq!(first["structuredContent"], json!({"threadId": thread, "content": "answer to: hello"}));
    assert_eq!((&first["content"][0]["text"], first.get("isError")), (&json!("answer to: hello"), None));
    for key in ["threadId", "conversationId"] {
        let again = host.call("codex-reply", &json!({key: thread, "prompt": "again"})).result();
        assert_eq!(again["structuredContent"], json!({"threadId": thread, "content": "answer to: again"}));
    }
    bridge.behaves(&json!({"lost": true}));
    let gone = host.call("codex-reply", &json!({"threadId": "0-0", "prompt": "x"})).result();
    let words = "Session not found for thread_id: 0-0";
    assert_eq!((&gone["isError"], &gone["content"][0]["text"]), (&json!(true), &json!(words)));
    assert_eq!(gone["structuredContent"], json!({"threadId": "0-0", "content": words}));
    bridge.behaves(&json!({"mode": "model"}));
    let failed = host.call("codex", &json!({"prompt": "bad", "cwd": work})).result();
    assert_eq!(failed["isError"], true, "{failed}");
    assert!(is_thread(&failed["structuredContent"]["threadId"]), "{failed}");
    assert_eq!(failed["structuredContent"]["content"], failed["content"][0]["text"]);
    let wrong = host.call("codex", &json!({})).result();
    assert_eq!(wrong["isError"], true, "{wrong}");
    assert!(text_of(&wrong).contains("prompt"), "{wrong}");
}

fn text_of(result: &Value) -> &str {
    result["content"][0]["text"].as_str().expect("text")
}

/// The pinned release; `cargo xtask bridge` does the same, and everything else, with many.
#[test]
fn the_real_codex_begins_and_resumes_a_conversation() {
    let Some(peers) = Peers::with(&[Peers::node, Peers::codex]) else { return };
    let model = Model::start([("user", vec![Turn::say("first"), Turn::say("second")])]);
    let mut bridge = Bridge::new(&json!({}));
    bridge.use_the_real_codex(&peers, &model.url);
    let mut client = bridge
        .client_with(&[("CODEX_DEFAULT_MODEL", "inherit"), ("MODEL_KEY", "none")])
        .patient(Duration::from_secs(180));
    for (prompt, answer) in [("one", "first"), ("two", "second")] {
        let said = client.call("codex", &json!({"prompt": prompt, "sessionId": "s", "sandbox": "read-only"}));
        assert_eq!(text(&said), answer, "{said:?}");
        assert_eq!(said.result()["content"][0]["_meta"].get("note"), None, "{said:?}");
    }
    let shown = model.requests("user").pop().expect("a request").to_string();
    assert!(["one", "first", "two"].iter().all(|said| shown.contains(&format!("\"text\":\"{said}\""))), "{shown}");
    drop(client);
    wait::expect("nothing to be left", || bridge.setup.survivors().is_empty());
}
