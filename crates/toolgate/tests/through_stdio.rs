//! The main job over stdio: an agent calls a tool on toolgate, and the right server answers.

mod common;

use common::{Setup, names};
use serde_json::json;
use std::time::Duration;
use testkit::wait;

#[test]
fn a_tool_is_called_through_the_gate_from_the_command_line() {
    let setup = Setup::new().server("fx", &[], "");
    let text = setup.run(&["mcp", "call", "fx__echo", "--args", r#"{"text":"hi there"}"#]).run().ok();
    assert_eq!(text.trim(), "hi there");
    let json = setup.run(&["mcp", "call", "fx__echo", "--arg", "text=x", "--json"]).run().json();
    assert_eq!((&json["schema"], &json["content"][0]["text"]), (&json!("toolgate.call/1"), &json!("x")));
}

#[test]
fn tools_are_listed_and_say_whether_they_run_unasked() {
    let setup = Setup::new().server("fx", &[], "");
    let json = setup.run(&["mcp", "tools", "--json"]).run().json();
    let decision = |name: &str| {
        let tools = json["tools"].as_array().expect("a list").iter();
        tools.clone().find(|tool| tool["name"] == name).map(|tool| tool["decision"].clone())
    };
    assert_eq!(decision("fx__echo"), Some(json!("allow")));
    assert_eq!(decision("fx__write_thing"), Some(json!("ask")));
    assert_eq!(decision("fx__delete_thing"), Some(json!("ask")));
    let text = setup.run(&["mcp", "tools", "fx"]).run().ok();
    assert!(text.contains("fx__echo") && text.contains("needs approval"), "{text}");
}

#[test]
fn an_agent_lists_and_calls_over_stdio() {
    let setup = Setup::new().server("a", &[], "").server("b", &["--tool-prefix", "x_"], "");
    let mut client = setup.serve(&[]);
    let hello = client.initialize("2025-06-18", &json!({}));
    assert_eq!(hello["protocolVersion"], "2025-06-18");
    assert_eq!(hello["serverInfo"]["name"], "toolgate");
    let tools = names(&client.request("tools/list", &json!({})).result());
    assert!(tools.contains(&"a__echo".to_owned()) && tools.contains(&"b__x_echo".to_owned()), "{tools:?}");
    assert_eq!(client.call("a__echo", &json!({"text": "one"})).text_block(), "one");
    assert_eq!(client.call("b__x_echo", &json!({"text": "two"})).text_block(), "two");
    assert_eq!(client.call("mcp__a__echo", &json!({"text": "three"})).text_block(), "three");
    let error = client.call("a__nothing", &json!({})).error();
    assert_eq!(error["code"], -32602, "{error}");
    assert!(client.close().success());
    assert!(wait::until(wait::PATIENCE, || setup.survivors().is_empty()), "{:?}", setup.survivors());
}

#[test]
fn one_server_alone_keeps_its_bare_names() {
    let setup = Setup::new().server("a", &[], "").server("b", &[], "");
    let mut client = setup.client(&["--only", "a"]);
    let tools = names(&client.request("tools/list", &json!({})).result());
    assert!(tools.contains(&"echo".to_owned()) && tools.iter().all(|name| !name.contains("__")), "{tools:?}");
    assert_eq!(client.call("echo", &json!({"text": "hi"})).text_block(), "hi");
    assert!(setup.heard("b").is_empty(), "the other server was not started");
}

#[test]
fn a_warm_catalog_answers_before_any_server_runs() {
    let setup = Setup::new().server("fx", &[], "");
    let mut first = setup.client(&[]);
    assert!(first.request("tools/list", &json!({})).result()["tools"].is_array());
    assert!(first.close().success());
    wait::expect("the first gate's server to end", || setup.survivors().is_empty());
    let setup = setup.server("fx2", &["--hang-at-start"], "startup_timeout_sec = 60");
    let before = setup.heard("fx").len();
    let mut client = setup.client(&["--only", "fx"]);
    let tools = names(&client.request("tools/list", &json!({})).result());
    assert!(tools.contains(&"echo".to_owned()), "{tools:?}");
    assert_eq!(setup.heard("fx").len(), before, "the list was answered without the server");
    assert_eq!(client.call("echo", &json!({"text": "now"})).text_block(), "now");
    assert!(setup.heard("fx").len() > before);
}

#[test]
fn a_slow_server_is_listed_later_and_announced() {
    let setup = Setup::new().server("quick", &[], "").server("slow", &["--slow-start-ms", "2500"], "");
    let mut client = setup.client(&[]);
    let begun = wait::now();
    let first = names(&client.request("tools/list", &json!({})).result());
    assert!(first.iter().any(|name| name.starts_with("quick__")), "{first:?}");
    assert!(!first.iter().any(|name| name.starts_with("slow__")), "{first:?}");
    assert!(begun.elapsed() < Duration::from_millis(2400), "the list waited for the slow server");
    client.expect("notifications/tools/list_changed");
    let found = wait::until(wait::PATIENCE, || {
        names(&client.request("tools/list", &json!({})).result()).iter().any(|name| name.starts_with("slow__"))
    });
    assert!(found, "the slow server's tools never came");
}

#[test]
fn lists_and_modes_decide_on_lists_and_calls_alike() {
    let keys = "disabled_tools = [\"p*\"]\ntools.write_thing.approval_mode = \"approve\"";
    let setup = Setup::new().server("fx", &[], keys).server("ro", &[], "read_only = true");
    let mut client = setup.client(&[]);
    let tools = names(&client.request("tools/list", &json!({})).result());
    assert!(!tools.contains(&"fx__pid".to_owned()), "{tools:?}");
    assert!(tools.contains(&"ro__echo".to_owned()) && !tools.contains(&"ro__write_thing".to_owned()), "{tools:?}");
    let denied = client.call("fx__pid", &json!({})).result();
    assert_eq!((&denied["isError"], &denied["_meta"]["toolgate/code"]), (&json!(true), &json!("policy.denied")));
    let asked = client.call("fx__delete_thing", &json!({"name": "x"})).result();
    assert_eq!(asked["_meta"]["toolgate/code"], "approval.refused");
    assert!(asked["content"][0]["text"].as_str().expect("a text").contains("approval_mode = \"approve\""), "{asked}");
    assert_ne!(client.call("fx__write_thing", &json!({"name": "x"})).result()["isError"], json!(true));
    let called = |name: &str| setup.heard("fx").iter().filter(|line| line.to_string().contains(name)).count();
    assert_eq!(called("delete_thing"), 0, "the server never saw the refused call");
}

#[test]
fn every_call_and_refusal_is_in_the_ledger_with_its_thread() {
    let setup = Setup::new().server("fx", &[], "");
    let mut client = setup.client(&[]);
    let turn = json!({"thread_id": "th-1", "parent_thread_id": "th-0", "turn_id": "tu-7", "session_id": "se-2"});
    let meta = json!({"threadId": "th-1", "x-codex-turn-metadata": turn});
    client.request("tools/list", &json!({}));
    client.request("tools/call", &json!({"name": "fx__echo", "arguments": {"text": "hi"}, "_meta": meta})).result();
    client.call("fx__delete_thing", &json!({}));
    client.call("fx__nothing", &json!({}));
    assert!(client.close().success());
    let events = setup.events();
    let of = |word: &str| events.iter().filter(|event| event["event"] == word).collect::<Vec<_>>();
    let attempt = of("attempt")[0];
    assert_eq!((&attempt["server"], &attempt["name"]), (&json!("fx"), &json!("echo")));
    assert_eq!(
        (&attempt["thread"], &attempt["parent_thread"], &attempt["turn"]),
        (&json!("th-1"), &json!("th-0"), &json!("tu-7"))
    );
    assert_eq!(attempt["client"], "testkit");
    let end = of("end").into_iter().find(|end| end["id"] == attempt["id"]).expect("its end");
    assert_eq!(end["end"], "finished");
    let codes: Vec<_> = of("refusal").iter().map(|event| event["code"].clone()).collect();
    assert_eq!(codes, [json!("approval.refused"), json!("tool.unknown")]);
    assert_eq!(of("start").len(), 1, "starting the server is recorded once");
}

#[test]
fn secrets_that_the_gate_holds_never_come_back() {
    let setup = Setup::new().server("fx", &[], "");
    let mut client = setup.client(&[]);
    let reply = client.call("fx__env", &json!({}));
    assert!(!reply.text.contains("s3cr3t-of-fx"), "{}", reply.text);
    assert!(reply.text.contains("*****") && reply.text.contains("API_TOKEN"), "{}", reply.text);
    assert!(!reply.text.contains("CODEX_HOME"), "the child gets an allow-listed environment: {}", reply.text);
}

#[test]
fn progress_comes_before_the_answer_with_the_callers_token() {
    let setup = Setup::new().server("fx", &[], "");
    let mut client = setup.client(&[]);
    let params = json!({"name": "fx__slow", "arguments": {"ms": 50, "steps": 5}, "_meta": {"progressToken": "tok-1"}});
    let id = client.start("tools/call", &params);
    let mut seen = Vec::new();
    loop {
        let message = client.next_message(wait::PATIENCE).expect("an answer");
        let json = message.json();
        if json["id"] == id {
            break;
        }
        assert_eq!(
            (message.method().as_str(), &json["params"]["progressToken"]),
            ("notifications/progress", &json!("tok-1"))
        );
        seen.push(json["params"]["progress"].as_f64().expect("a number"));
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
    assert!(seen.is_sorted(), "{seen:?}");
}

#[test]
fn a_cancelled_call_is_cancelled_at_the_server_and_never_answered() {
    let setup = Setup::new().server("fx", &[], "");
    let mut client = setup.client(&[]);
    let params = json!({"name": "fx__slow", "arguments": {"ms": 60_000, "steps": 1}});
    let id = client.start("tools/call", &params);
    let arrived = || setup.heard("fx").iter().any(|line| line.to_string().contains("60000"));
    wait::expect("the call to arrive", arrived);
    client.notify("notifications/cancelled", &json!({"requestId": id, "reason": "changed my mind"}));
    let cancelled = || setup.heard("fx").iter().any(|line| line.to_string().contains("notifications/cancelled"));
    wait::expect("the server to hear of it", cancelled);
    assert_eq!(client.call("fx__echo", &json!({"text": "still here"})).text_block(), "still here");
    assert!(client.next_message(Duration::from_millis(100)).is_none_or(|message| message.json()["id"] != id));
    assert!(client.close().success());
    let ends: Vec<_> =
        setup.events().iter().filter(|event| event["event"] == "end").map(|event| event["end"].clone()).collect();
    assert_eq!(ends, [json!("abandoned"), json!("finished")]);
}

#[test]
fn nothing_but_frames_reaches_standard_output_and_eof_ends_it() {
    let setup = Setup::new().server("fx", &["--banner", "--stderr-noise"], "");
    let output = setup.run(&["mcp", "serve"]).env("RUST_LOG", "debug").run();
    assert_eq!((output.status, output.stdout.as_str()), (Some(0), ""));
    let hello = r#"{"jsonrpc":"2.0","id":"a","method":"initialize","params":{"protocolVersion":"1999-01-01","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}"#;
    let output = setup.run(&["mcp"]).stdin(format!("{hello}\nnot json\n")).run();
    assert_eq!(output.status, Some(0), "{output:?}");
    let lines: Vec<serde_json::Value> =
        output.stdout.lines().map(|line| serde_json::from_str(line).expect("a frame")).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0]["result"]["protocolVersion"], "2025-11-25", "bare `toolgate mcp` serves");
    assert_eq!((&lines[1]["error"]["code"], &lines[1]["id"]), (&json!(-32700), &json!(null)));
}

#[test]
fn a_test_says_how_far_a_server_got() {
    let setup = Setup::new()
        .server("good", &[], "")
        .server("dead", &["--exit-at-start", "3"], "")
        .server("empty", &["--tools", "0"], "")
        .server("off", &[], "enabled = false");
    for (name, status) in [("good", 0), ("dead", 1), ("off", 4), ("nobody", 5), ("empty", 6)] {
        let output = setup.run(&["mcp", "test", name]).run();
        assert_eq!(output.status, Some(status), "{name}: {output:#?}");
    }
    let json =
        setup.run(&["mcp", "test", "good", "--tool", "echo", "--args", r#"{"text":"x"}"#, "--json"]).run().json();
    let steps: Vec<_> = json["steps"].as_array().expect("steps").iter().map(|step| step["step"].clone()).collect();
    assert_eq!(steps, ["start", "ping", "list", "call"]);
}

#[test]
fn resources_and_prompts_are_there_too() {
    let setup = Setup::new().server("fx", &["--resources", "--prompts"], "");
    let resources = setup.run(&["mcp", "resources", "--json"]).run().json();
    let uri = resources["resources"][0]["name"].as_str().expect("a resource").to_owned();
    assert!(!setup.run(&["mcp", "read", &uri]).run().ok().trim().is_empty());
    let prompts = setup.run(&["mcp", "prompts", "--json"]).run().json();
    assert!(prompts["prompts"][0]["name"].as_str().expect("a prompt").starts_with("fx__"), "{prompts}");
}

#[test]
fn a_server_that_cannot_be_reached_for_want_of_its_token_is_named_and_harms_no_other() {
    let setup = Setup::new()
        .server("good", &[], "")
        .top("[mcp_servers.bare]\nurl = \"http://127.0.0.1:9/mcp\"\nbearer_token_env_var = \"NO_SUCH_TOKEN\"\n");
    let output = setup.run(&["mcp", "tools"]).run();
    assert_eq!(output.status, Some(0), "{output:?}");
    assert!(output.stdout.contains("good__echo") && output.stderr.contains("NO_SUCH_TOKEN"), "{output:?}");
    assert_eq!(setup.run(&["mcp", "test", "bare"]).run().status, Some(3), "it wants a login");
}

#[test]
fn a_gate_never_becomes_its_own_server() {
    let setup = Setup::new().server("fx", &[], "").entry("gate", common::TOOLGATE, &["mcp".into(), "serve".into()], "");
    let listed = setup.run(&["mcp", "tools", "--json"]).run().json();
    assert_eq!(listed["errors"], json!([]), "the entry for this gate is no server behind it");
    let home = setup.home.codex().display().to_string();
    let hidden = format!("CODEX_HOME={home} exec {} mcp serve", common::TOOLGATE);
    let setup = setup.entry("hidden", "sh", &["-c".into(), hidden], "startup_timeout_sec = 20");
    let output = setup.run(&["mcp", "test", "hidden"]).run();
    assert_eq!(output.status, Some(1), "{output:?}");
    assert!(output.stdout.contains("one of its own servers"), "it says why: {output:?}");
    let good = setup.run(&["mcp", "call", "fx__echo", "--arg", "text=fine"]).run().ok();
    assert_eq!(good.trim(), "fine");
}
