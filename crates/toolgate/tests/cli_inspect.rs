//! The commands that look into servers, through the real binary and real servers: what is described, counted, completed
//! and printed, and what is said when a server does not answer.

mod common;

use common::Setup;
use serde_json::{Value, json};
use testkit::{Server, bin};

/// Two servers, one of them with prompts and resources.
fn two() -> Setup {
    Setup::new().server("one", &["--tools", "3", "--resources", "--prompts"], "").server("two", &["--tools", "1"], "")
}

/// The reference server, which also completes arguments.
fn reference() -> Setup {
    let program = bin("fixture-server").display().to_string();
    Setup::new().entry("ref", &program, &["--stdio".to_owned()], "")
}

/// Runs to an exit status, and gives what was printed.
#[track_caller]
fn check(setup: &Setup, args: &[&str], status: i32) -> (String, String) {
    let output = setup.run(args).run();
    assert_eq!(output.status, Some(status), "{args:?}: {output:#?}");
    (output.stdout, output.stderr)
}

#[track_caller]
fn document(setup: &Setup, args: &[&str], status: i32) -> Value {
    let (out, _) = check(setup, args, status);
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{args:?}: {error} in {out}"))
}

fn texts(list: &Value, key: &str) -> Vec<String> {
    let items = list.as_array().cloned().unwrap_or_default();
    items.iter().filter_map(|item| item[key].as_str().map(str::to_owned)).collect()
}

#[test]
fn a_description_has_every_tool_in_all_three_forms() {
    let setup = two();
    let json = document(&setup, &["mcp", "describe", "one", "--json"], 0);
    assert_eq!(json["schema"], "toolgate.describe/1");
    assert_eq!((&json["state"], &json["protocol"]), (&"connected".into(), &"2025-11-25".into()), "{json}");
    assert_eq!(texts(&json["tools"], "rawName"), ["echo", "echo_raw", "write_thing"]);
    assert_eq!(json["tools"][0]["definition"]["inputSchema"]["properties"]["text"]["type"], "string");
    assert_eq!(texts(&json["prompts"], "rawName"), ["plain", "greet"]);
    assert_eq!(
        (json["resources"].as_array().map(Vec::len), json["templates"].as_array().map(Vec::len)),
        (Some(3), Some(1))
    );
    for form in [&["mcp", "describe", "one"][..], &["mcp", "describe", "one", "--markdown"]] {
        let (text, _) = check(&setup, form, 0);
        for name in texts(&json["tools"], "name") {
            assert!(text.contains(&name), "{name} is not in {text}");
        }
        assert!(text.contains("fixture-hostile 1") && text.contains("one__greet"), "{text}");
    }
    assert_eq!(setup.heard("two").len(), 0, "the other server was started");
}

#[test]
fn what_cannot_be_described_says_why() {
    let setup =
        Setup::new().top("[mcp_servers.gone]\ncommand = \"no-such-program\"").server("off", &[], "enabled = false");
    let (_, err) = check(&setup, &["mcp", "describe", "gone"], 1);
    assert!(err.contains("`no-such-program` was not found"), "{err}");
    check(&setup, &["mcp", "describe", "off"], 4);
    let (_, err) = check(&setup, &["mcp", "describe", "gnoe"], 5);
    assert!(err.contains("did you mean `gone`?"), "{err}");
}

#[test]
fn a_server_that_no_longer_starts_is_described_as_it_was() {
    let program = bin("fixture-hostile").display().to_string();
    let script = format!("test -e closed && exit 3; exec {program} --tools 1");
    let setup = Setup::new().entry("x", "sh", &["-c".to_owned(), script], "");
    check(&setup, &["mcp", "describe", "x"], 0);
    std::fs::write(setup.home.work().join("closed"), "").expect("a file");
    let output = setup.run(&["mcp", "describe", "x", "--json"]).run();
    assert!(output.stderr.contains("ended with exit status 3"), "{output:#?}");
    let json = output.json();
    assert_eq!((texts(&json["tools"], "rawName"), &json["state"]), (vec!["echo".to_owned()], &"crashed".into()));
}

#[test]
fn refreshing_counts_what_each_server_lists() {
    let setup = two();
    let all = document(&setup, &["mcp", "refresh", "--json"], 0);
    let counts = |row: &Value| ["tools", "prompts", "resources", "templates"].map(|key| row[key].as_u64());
    assert_eq!(texts(&all["servers"], "server"), ["one", "two"]);
    assert_eq!(counts(&all["servers"][0]), [Some(3), Some(2), Some(3), Some(1)]);
    assert_eq!(counts(&all["servers"][1]), [Some(1), Some(0), Some(0), Some(0)]);
    let one = document(&setup, &["mcp", "reconnect", "two", "--json"], 0);
    assert_eq!(texts(&one["servers"], "server"), ["two"]);
    check(&setup, &["mcp", "refresh", "three"], 1);
}

#[test]
fn a_server_that_fails_makes_a_refresh_fail_only_if_it_was_named() {
    let setup = two().top("[mcp_servers.bad]\ncommand = \"no-such-program\"");
    let (text, err) = check(&setup, &["mcp", "refresh"], 0);
    assert!(text.contains("missing_command") && err.contains("no-such-program"), "{text}{err}");
    let bad = document(&setup, &["mcp", "refresh", "bad", "one", "--json"], 1);
    assert_eq!(
        (&bad["ok"], texts(&bad["servers"], "state")),
        (&json!(false), vec!["missing_command".into(), "connected".into()])
    );
}

#[test]
fn functions_have_names_that_can_be_called() {
    let setup = two();
    let list = document(&setup, &["mcp", "tools", "--format", "openai"], 0);
    let functions = list.as_array().expect("a bare array");
    assert_eq!(functions.len(), 4);
    let echo = &functions[0];
    assert_eq!((&echo["type"], &echo["function"]["name"]), (&"function".into(), &"mcp__one__echo".into()));
    assert_eq!(echo["function"]["description"], "Answers its text");
    assert_eq!(echo["function"]["parameters"]["properties"]["text"]["type"], "string");
    let (said, _) = check(&setup, &["mcp", "call", "mcp__one__echo", "--arg", "text=hi"], 0);
    assert_eq!(said, "hi\n");
}

#[test]
fn resources_of_all_servers_are_what_there_is() {
    let setup =
        Setup::new().server("one", &["--resources"], "").server("two", &["--resources", "--scheme", "other"], "");
    let all = document(&setup, &["mcp", "resources", "--all", "--json"], 0);
    assert_eq!(all, document(&setup, &["mcp", "resources", "--json"], 0));
    assert_eq!(texts(&all["resources"], "server"), ["one", "one", "one", "two", "two", "two"]);
}

#[test]
fn one_call_goes_to_every_server_that_has_the_tool() {
    let setup = two().server("third", &["--tool-prefix", "x_"], "");
    let all = document(&setup, &["mcp", "call-all", "echo", "--arg", "text=hi", "--json"], 0);
    assert_eq!(
        (&all["schema"], texts(&all["servers"], "server")),
        (&"toolgate.call_all/1".into(), vec!["one".into(), "two".into()])
    );
    for one in all["servers"].as_array().expect("a list") {
        assert_eq!((&one["ok"], &one["result"]["content"][0]["text"]), (&json!(true), &json!("hi")), "{one}");
    }
    let (_, err) = check(&setup, &["mcp", "call-all", "no_such_tool"], 1);
    assert!(err.contains("no server has a tool called `no_such_tool`"), "{err}");
    assert_eq!(setup.events().iter().filter(|event| event["event"] == "attempt").count(), 2, "each call is on record");
}

#[test]
fn a_server_that_fails_fails_alone() {
    let setup = two().server("dead", &["--tools", "1", "--crash-on-call", "1"], "").server(
        "cold",
        &["--exit-at-start", "3"],
        "",
    );
    let output = setup.run(&["mcp", "call-all", "echo", "--arg", "text=hi", "--json"]).run();
    assert_eq!(output.status, Some(0), "{output:#?}");
    let all: Value = serde_json::from_str(&output.stdout).expect("a document");
    let ok: Vec<_> =
        all["servers"].as_array().expect("a list").iter().map(|one| (&one["server"], &one["ok"])).collect();
    let want =
        [("dead", false), ("one", true), ("two", true), ("cold", false)].map(|(name, ok)| (json!(name), json!(ok)));
    assert_eq!(ok, want.iter().map(|(name, ok)| (name, ok)).collect::<Vec<_>>());
    assert!(all["servers"][0]["error"]["code"] == "upstream.unavailable", "{all}");
    assert!(output.stderr.contains("2 of 4 servers did not answer well"), "{}", output.stderr);
    let (text, _) = check(&setup, &["mcp", "call-all", "write_thing", "--arg", "text=x"], 1);
    assert!(text.contains("one: FAILED") && text.contains("approv"), "{text}");
}

#[test]
fn a_prompt_comes_filled_in() {
    let setup = two();
    let (text, _) = check(&setup, &["mcp", "get-prompt", "one__greet", "--arg", "name=Ada"], 0);
    assert_eq!(text, "user: Hello, Ada!\n");
    let json = document(&setup, &["mcp", "get-prompt", "one__greet", "--arg", "name=7", "--json"], 0);
    assert_eq!(
        (&json["schema"], &json["messages"][0]["content"]["text"]),
        (&"toolgate.get_prompt/1".into(), &"Hello, 7!".into())
    );
    let (_, err) = check(&setup, &["mcp", "get-prompt", "one__greet"], 1);
    assert!(err.contains("greet needs a name"), "{err}");
    check(&setup, &["mcp", "get-prompt", "one__gret"], 1);
}

#[test]
fn arguments_are_completed_by_their_server() {
    let setup = reference();
    let prompt = ["mcp", "complete", "--prompt", "ref__test_prompt_with_arguments", "--arg", "arg1", "--value", "par"];
    assert_eq!(check(&setup, &prompt, 0).0, "paris\npark\nparty\n");
    let template =
        ["mcp", "complete", "--resource", "test://template/{id}/data", "--arg", "id", "--value", "2", "--json"];
    let json = document(&setup, &template, 0);
    assert_eq!((&json["schema"], &json["completion"]["values"]), (&"toolgate.complete/1".into(), &json!(["2"])));
    check(&setup, &["mcp", "complete", "--arg", "id"], 2);
}

#[test]
fn caches_have_the_names_that_scripts_know() {
    let setup = two();
    let http =
        Server::spawn(setup.home.command(bin("fixture-http"), ["--status", "403", "--fail-body", "error code: 1010"]));
    let setup = setup
        .top(&format!("[mcp_servers.shut]\nurl = \"{}\"\n[mcp_servers.gone]\ncommand = \"no-such-program\"", http.url));
    let before = document(&setup, &["mcp", "caches", "--json"], 0);
    assert_eq!(before["_MCP_TOOL_CACHE"], json!({}));
    check(&setup, &["mcp", "status"], 0);
    let caches = document(&setup, &["mcp", "caches", "--json"], 0);
    assert_eq!(caches["_MCP_TOOL_CACHE"], json!({"one": ["echo", "echo_raw", "write_thing"], "two": ["echo"]}));
    let status = json!({"gone": "error", "one": "connected", "shut": "unauthorized", "two": "connected"});
    assert_eq!(caches["_MCP_STATUS"], status);
    assert_eq!(caches["_MCP_LAST_ERROR"]["shut"], "HTTP 403: error code: 1010");
    assert!(caches["_MCP_LAST_ERROR"]["gone"].as_str().is_some_and(|error| error.contains("not found")), "{caches}");
    assert_eq!(caches["_MCP_LAST_ERROR"].as_object().map(serde_json::Map::len), Some(2));
    drop(http);
    let asked = document(&setup, &["mcp", "caches", "--refresh", "--json"], 0);
    assert_eq!(asked["_MCP_STATUS"]["shut"], "error", "{asked}");
}

#[test]
fn a_later_success_clears_the_error() {
    let setup = Setup::new();
    let serve = |flags: &[&str]| Server::spawn(setup.home.command(bin("fixture-http"), flags));
    let (broken, mended) = (serve(&["--status", "500", "--fail-body", ""]), serve(&[]));
    let found = |server: &Server| {
        setup.home.write("toolgate.toml", format!("[mcp_servers.x]\nurl = \"{}\"", server.url));
        check(&setup, &["mcp", "status"], 0);
        document(&setup, &["mcp", "caches", "--json"], 0)
    };
    let caches = found(&broken);
    assert_eq!((&caches["_MCP_STATUS"]["x"], &caches["_MCP_LAST_ERROR"]["x"]), (&"error".into(), &"HTTP 500".into()));
    let caches = found(&mended);
    assert_eq!((&caches["_MCP_STATUS"]["x"], &caches["_MCP_LAST_ERROR"]), (&"connected".into(), &json!({})));
}

#[test]
fn a_host_is_told_how_to_start_the_gate() {
    let setup = two();
    let start = json!({"command": "toolgate", "args": ["mcp", "serve"], "env": {}});
    for client in ["claude-desktop", "claude-code", "cursor"] {
        let entry = document(&setup, &["mcp", "print-config", "--client", client], 0);
        assert_eq!(entry, json!({"mcpServers": {"toolgate": start}}), "{client}");
    }
    let entry = document(&setup, &["mcp", "print-config", "--client", "vscode", "--only", "one"], 0);
    assert_eq!(entry["servers"]["one"]["type"], "stdio");
    assert_eq!(entry["servers"]["one"]["args"], json!(["mcp", "serve", "--only", "one"]));
    let codex = setup.home.path().join("codex-bin/codex");
    std::fs::create_dir(codex.parent().expect("a directory")).expect("a directory");
    std::os::unix::fs::symlink(common::TOOLGATE, &codex).expect("a link");
    let entry = setup.home.cmd(codex, ["mcp", "print-config", "--client", "claude-desktop"]).run().json();
    assert_eq!(entry, json!({"mcpServers": {"codex": {"command": "codex", "args": ["mcp"], "env": {}}}}));
    let (text, _) = check(&setup, &["mcp", "print-config", "--client", "codex", "--name", "gate"], 0);
    assert_eq!(text, "[mcp_servers.gate]\ncommand = \"toolgate\"\nargs = [\"mcp\", \"serve\"]\n");
    check(&setup, &["mcp", "print-config", "--client", "codex", "--only", "three"], 1);
    check(&setup, &["mcp", "print-config", "--client", "emacs"], 2);
}

#[test]
fn files_are_checked_without_being_taken_in() {
    let setup = Setup::new();
    let file = |name: &str, text: &str| setup.home.write(name, text).display().to_string();
    let good = file("good.json", r#"{"mcpServers": {"a": {"command": "x"}, "b": {"url": "https://b.example/mcp"}}}"#);
    let before = std::fs::read(&good).expect("it is there");
    let report = document(&setup, &["mcp", "validate", &good, "--json"], 0);
    assert_eq!(texts(&report["servers"], "transport"), ["stdio", "streamable_http"]);
    let lone = file("my-tool.json", r#"{"command": "x"}"#);
    assert_eq!(check(&setup, &["mcp", "validate", &lone], 0).0, "my-tool: ok (stdio)\n");
    let bad = file("bad.json", r#"{"mcpServers": {"a": {"command": 7}, "b": {"command": "x"}}}"#);
    let report = document(&setup, &["mcp", "validate", &bad, "--json"], 1);
    let ok: Vec<_> = report["servers"].as_array().expect("a list").iter().map(|server| &server["ok"]).collect();
    assert_eq!(ok, [&json!(false), &json!(true)]);
    assert!(
        report["servers"][0]["problem"]["place"]
            .as_str()
            .is_some_and(|place| place.ends_with("#/mcpServers/a/command")),
        "{report}"
    );
    let broken = file("broken.json", "{\n  \"mcpServers\": {,}\n}");
    let (text, _) = check(&setup, &["mcp", "validate", &broken], 1);
    assert!(text.contains("broken.json:2:18: not JSON"), "{text}");
    let toml = file("some.toml", "[mcp_servers.a]\ncommand = \"x\"\n\n[mcp_servers.b]\ncomand = \"x\"\n");
    let (text, _) = check(&setup, &["mcp", "validate", &toml], 1);
    assert!(text.contains("a: ok (stdio)") && text.contains("b: FAILED") && text.contains("some.toml:4:"), "{text}");
    let output = setup.run(&["mcp", "validate", "-"]).stdin(r#"{"command": "x"}"#).run();
    assert_eq!(output.ok(), "server: ok (stdio)\n");
    check(&setup, &["mcp", "validate", "/no/such/file.json"], 1);
    assert_eq!(std::fs::read(&good).expect("it is there"), before);
    assert!(!setup.home.codex().join("config.toml").exists(), "something was added");
}

#[test]
fn a_server_given_on_the_command_line_alone_is_tried() {
    let setup = two();
    let program = bin("fixture-hostile").display().to_string();
    let good = format!("mcp_servers.new.command={}", json!(program));
    let (text, _) = check(&setup, &["-c", &good], 0);
    assert!(text.contains("state: connected"), "{text}");
    let (text, err) = check(&setup, &["-c", "mcp_servers.debug.command=\"echo debug\""], 1);
    assert!(text.contains("state: ") && err.contains("debug"), "{text}{err}");
    let (text, _) = check(&setup, &["-c", &good, "-c", "mcp_servers.debug.command=\"no-such-program\""], 1);
    assert!(text.contains("state: connected") && text.contains("state: missing_command"), "{text}");
    assert_eq!(setup.heard("one").len(), 0, "a server nobody named was started");
    let (_, err) = check(&setup, &[], 2);
    assert!(err.contains("Usage: toolgate"), "{err}");
}

#[test]
fn nobody_waits_longer_than_ten_seconds_for_a_server() {
    let setup = Setup::new().server("x", &["--hang-at-start"], "startup_timeout_sec = 300");
    let begun = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a clock");
    let status = document(&setup, &["mcp", "status", "x", "--json"], 0);
    let took = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a clock") - begun;
    assert_eq!(status["state"], "starting");
    assert!(took.as_secs() < 30, "{took:?}");
}

#[test]
fn a_strict_test_asks_for_what_agents_rely_on() {
    let good = Setup::new().server("x", &["--tools", "2"], "");
    let report = document(&good, &["mcp", "test", "x", "--strict", "--json"], 0);
    let checks = |report: &Value| -> Vec<(String, bool)> {
        let list = report["strict"].as_array().cloned().unwrap_or_default();
        list.iter().map(|one| (one["check"].as_str().unwrap_or_default().to_owned(), one["ok"] == true)).collect()
    };
    assert_eq!(checks(&report).len(), 7, "{report}");
    assert!(checks(&report).iter().all(|(_, ok)| *ok), "{report}");
    let canned = "tools/call={\"content\":[]}";
    let bad = Setup::new().server("x", &["--tools", "3", "--tool-prefix", "a.b ", "--canned", canned], "");
    let report = document(&bad, &["mcp", "test", "x", "--strict", "--json"], 1);
    let failed: Vec<_> = checks(&report).into_iter().filter(|(_, ok)| !ok).map(|(check, _)| check).collect();
    assert_eq!(failed, ["names are legal", "annotations are present", "an unknown tool is refused"], "{report}");
    let (text, err) = check(&bad, &["mcp", "test", "x", "--strict"], 1);
    assert!(text.contains("FAILED annotations are present: not of 1 of 3 tools: a.b write_thing"), "{text}");
    assert!(err.contains("3 of 7 checks failed"), "{err}");
    assert!(document(&bad, &["mcp", "test", "x", "--json"], 0)["strict"].as_array().is_some_and(Vec::is_empty));
}

#[test]
fn a_strict_test_asks_servers_over_http_too() {
    let setup = Setup::new();
    let serve = |args: &[&str]| Server::spawn(setup.home.command(bin("fixture-server"), args));
    let servers = [serve(&["--http", "127.0.0.1:0"]), serve(&["--http", "127.0.0.1:0", "--era", "modern"])];
    for server in &servers {
        setup.home.write("toolgate.toml", format!("[mcp_servers.x]\nurl = \"{}\"", server.url));
        let output = setup.run(&["mcp", "test", "x", "--strict", "--json"]).run();
        let report: Value = serde_json::from_str(&output.stdout).expect("a report");
        for refused in ["an unknown method is refused", "an unknown tool is refused"] {
            let one = report["strict"].as_array().and_then(|list| list.iter().find(|one| one["check"] == refused));
            assert_eq!(one.map(|one| &one["ok"]), Some(&json!(true)), "{one:?} in {output:#?}");
        }
    }
}

#[test]
fn a_review_is_filled_in_with_facts() {
    let token = format!("API = \"ghp_{}\"", "a1".repeat(18));
    let setup = Setup::new().top(&format!("[mcp_servers.open]\ncommand = \"x\"\nenv = {{ {token} }}\n")).server(
        "x",
        &["--tools", "4"],
        "enabled_tools = [\"echo\", \"write_thing\"]\nscope.teams = [\"blue\"]\ndata.allow = [\"email\"]\ntools.write_thing.approval_mode = \"approve\"",
    );
    check_with_team(&setup);
    let open = document(&setup, &["mcp", "review", "open", "--json"], 0);
    assert_eq!(open["decisions"].as_array().map(Vec::len), Some(5));
    assert_eq!((&open["decisions"][0]["decided"], &open["decisions"][1]["decided"]), (&json!(false), &json!(false)));
    let clear =
        open["checks"].as_array().and_then(|checks| checks.iter().find(|one| one["check"] == "no secrets in clear"));
    assert_eq!(clear.map(|one| &one["ok"]), Some(&json!(false)), "{open}");
    assert!(!open.to_string().contains("ghp_"), "{open}");
    let (_, err) = check(&setup, &["mcp", "review", "opne"], 1);
    assert!(err.contains("did you mean `open`?"), "{err}");
}

/// A review of `x`, whose scope is a team.
#[track_caller]
fn check_with_team(setup: &Setup) {
    let run = |args: &[&str]| setup.run(args).env("CODEX_TEAM", "blue").run();
    run(&["mcp", "refresh", "x"]).ok();
    let text = run(&["mcp", "review", "x"]).ok();
    for line in [
        "Server scope    Which workspace or team may use it?               yes      teams: blue",
        "[ ] tools that write need approval: write_thing run unasked",
        "[x] definitions are pinned: all of them",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(text.contains("passing: email") && text.contains("echo, write_thing"), "{text}");
    assert!(text.ends_with("it needs human approval and audit evidence.\n"), "{text}");
    let json = run(&["mcp", "review", "x", "--json"]).json();
    let class = |name: &str| {
        json["tools"]
            .as_array()
            .and_then(|tools| Some(tools.iter().find(|tool| tool["tool"] == name)?["class"].clone()))
    };
    assert_eq!(
        (class("echo"), class("write_thing"), class("delete_thing")),
        (Some("read".into()), Some("write".into()), Some("write".into()))
    );
}
