//! The workspace as a server, over stdio: its tools within their bounds, its resources and prompts.

mod common;

use common::names;
use common::workspace::{Workspace, holds, refused, structure};
use serde_json::json;
use testkit::wait;

#[test]
fn the_documented_tools_resources_and_prompts_are_offered() {
    let workspace = Workspace::new();
    let mut client = workspace.client();
    let tools = client.request("tools/list", &json!({})).result();
    assert_eq!(names(&tools), ["execute_command", "apply_patch", "read_file", "write_file", "list_directory"]);
    for tool in tools["tools"].as_array().expect("a list") {
        let reads = ["read_file", "list_directory"].contains(&tool["name"].as_str().expect("a name"));
        assert_eq!(tool["annotations"]["readOnlyHint"], reads, "{tool}");
        assert!(tool["outputSchema"].is_object() && tool["description"].is_string(), "{tool}");
    }
    let prompts = client.request("prompts/list", &json!({})).result();
    assert_eq!(prompts["prompts"].as_array().map(Vec::len), Some(4), "{prompts}");
    let resources = client.request("resources/list", &json!({})).result();
    // And the only file there is.
    assert_eq!(resources["resources"].as_array().map(Vec::len), Some(7), "{resources}");
}

#[test]
fn files_are_written_read_and_listed() {
    let workspace = Workspace::new();
    let mut client = workspace.client();
    let written =
        client.call("write_file", &json!({"path": "docs/a.md", "content": "one\ntwo\n", "create_dirs": true}));
    assert_eq!(structure(&written), json!({"path": "docs/a.md", "bytes": 8, "created": true}));
    let read = structure(&client.call("read_file", &json!({"path": "docs/a.md", "offset": 2})));
    assert_eq!((&read["content"], &read["encoding"]), (&json!("two\n"), &json!("utf-8")));
    let listing = structure(&client.call("list_directory", &json!({"recursive": true})));
    let paths: Vec<_> = listing["entries"].as_array().expect("a list").iter().map(|e| e["path"].as_str()).collect();
    assert_eq!(paths, [Some("docs"), Some("docs/a.md"), Some("src"), Some("src/main.rs")]);
    refused(&client.call("write_file", &json!({"path": "docs/a.md", "content": "", "mode": "create_new"})), "exists");
}

#[test]
fn no_path_leads_out_and_nothing_protected_is_written() {
    let workspace = Workspace::new();
    std::os::unix::fs::symlink("/etc", workspace.root.join("etc")).expect("linked");
    let mut client = workspace.client();
    for path in ["../secret", "/etc/passwd", "etc/passwd", "src/../../x"] {
        refused(&client.call("read_file", &json!({"path": path})), "outside the workspace");
    }
    for path in [".git/hooks/pre-commit", ".codex/config.toml", "src/../.env", "AGENTS.md"] {
        refused(
            &client.call("write_file", &json!({"path": path, "content": "x", "create_dirs": true})),
            "is protected",
        );
    }
    assert!(!workspace.root.join(".git").exists());
}

#[test]
fn a_patch_is_applied_whole_or_not_at_all() {
    let workspace = Workspace::new();
    let mut client = workspace.client();
    let patch = "*** Begin Patch\n*** Update File: src/main.rs\n-fn main() {}\n+fn main() { run() }\n*** Add File: src/run.rs\n+pub fn run() {}\n*** End Patch\n";
    let planned = structure(&client.call("apply_patch", &json!({"patch": patch, "dry_run": true})));
    assert!(!workspace.root.join("src/run.rs").exists());
    let applied = structure(&client.call("apply_patch", &json!({"patch": patch})));
    assert_eq!((&applied["files"], &applied["dry_run"]), (&planned["files"], &json!(false)));
    assert_eq!(std::fs::read_to_string(workspace.root.join("src/main.rs")).expect("there"), "fn main() { run() }\n");
    refused(&client.call("apply_patch", &json!({"patch": patch})), "nothing was changed");
    refused(
        &client.call("apply_patch", &json!({"patch": "*** Begin Patch\n*** Add File: ../x\n+x\n*** End Patch"})),
        "outside",
    );
}

#[test]
fn a_command_runs_and_tells_how_it_ended() {
    let workspace = Workspace::new();
    let mut client = workspace.client();
    if !holds(&mut client) {
        return;
    }
    let ended = structure(&client.call("execute_command", &json!({"command": "echo hi; echo no >&2; exit 3"})));
    assert_eq!((&ended["exit_code"], &ended["stdout"], &ended["stderr"]), (&json!(3), &json!("hi\n"), &json!("no\n")));
    assert!(ended["sandbox"].as_str().expect("a level").starts_with("S4"), "{ended}");
    let echoed = client.call(
        "execute_command",
        &json!({"command": ["sh", "-c", "cat; echo $A; pwd"], "stdin": "in\n", "env": {"A": "b"}, "cwd": "src"}),
    );
    let real = workspace.root.canonicalize().expect("there").join("src");
    assert_eq!(structure(&echoed)["stdout"], format!("in\nb\n{}\n", real.display()));
    let late = client.call("execute_command", &json!({"command": "sleep 600", "timeout_ms": 500})).result();
    assert_eq!((&late["isError"], &late["structuredContent"]["timed_out"]), (&json!(true), &json!(true)), "{late}");
    refused(&client.call("execute_command", &json!({"command": ["no-such-program"]})), "not a program");
    refused(&client.call("execute_command", &json!({"command": "true", "cwd": "/etc"})), "outside the workspace");
}

#[test]
fn a_command_reaches_nothing_but_the_workspace() {
    let workspace = Workspace::new();
    std::fs::create_dir(workspace.root.join(".git")).expect("made");
    std::fs::create_dir_all(workspace.setup.home.path().join(".ssh")).expect("made");
    std::fs::write(workspace.setup.home.path().join(".ssh/id"), "secret").expect("written");
    let mut client = workspace.client();
    if !holds(&mut client) {
        return;
    }
    let outside = workspace.setup.home.path().join("outside");
    for (command, fails) in [
        ("echo x > made".to_owned(), false),
        ("cat /etc/shadow".to_owned(), true),
        (format!("cat {}/.ssh/id", workspace.setup.home.path().display()), true),
        ("echo x > .git/config".to_owned(), true),
        ("mkdir -p .codex && echo x > .codex/config.toml".to_owned(), true),
        ("exec 3<>/dev/tcp/127.0.0.1/1".to_owned(), true),
        ("kill -9 1".to_owned(), true),
        (format!("kill -0 {}", std::process::id()), true),
    ] {
        let ended = structure(&client.call("execute_command", &json!({"command": command})));
        assert_eq!(ended["exit_code"] != 0, fails, "{command}: {ended}");
    }
    // Where everybody may write it has a directory of its own, so this may go well, and is seen by nobody.
    client.call("execute_command", &json!({"command": format!("echo x > {}", outside.display())})).result();
    assert!(workspace.root.join("made").exists() && !outside.exists());
    assert!(!workspace.root.join(".codex").exists(), "nothing is left of what was held");
}

#[test]
fn a_command_reaches_the_hosts_that_are_named_and_no_other() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            _ = std::io::Write::write_all(&mut stream, b"welcome");
        }
    });
    let workspace = Workspace::with(&format!("[workspace]\nnet = [\"127.0.0.1:{port}\"]\n"));
    let mut client = workspace.client();
    if !holds(&mut client) {
        return;
    }
    let mut through = |port: u16| {
        let ask = format!("printf 'CONNECT 127.0.0.1:{port} HTTP/1.1\\r\\n\\r\\n' >&3");
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/3128; {ask}; head -c 46 <&3");
        let ended = structure(&client.call("execute_command", &json!({"command": ["bash", "-c", script]})));
        ended["stdout"].as_str().expect("a text").to_owned()
    };
    assert!(through(port).ends_with("welcome"), "{}", through(port));
    assert!(through(1).starts_with("HTTP/1.1 403 Forbidden"), "{}", through(1));
}

#[test]
fn where_less_may_do_the_record_says_what_held_a_command() {
    for (settings, told) in [("", false), ("allow_degraded = \"S1\"\n", true)] {
        let workspace = Workspace::with(&format!("[workspace]\n{settings}"));
        let mut client = workspace.client();
        if !holds(&mut client) {
            return;
        }
        assert!(client.close().success());
        let end = workspace.setup.events().into_iter().rfind(|event| event["event"] == "end").expect("a call ended");
        let held = end["sandbox"].as_str().unwrap_or_default();
        assert_eq!(held.starts_with('S'), told, "{end}");
    }
}

#[test]
fn a_runaway_command_is_contained_and_nothing_of_it_is_left() {
    let workspace = Workspace::new();
    let mut client = workspace.client();
    if !holds(&mut client) {
        return;
    }
    let flood = client
        .call("execute_command", &json!({"command": "head -c 50000000 /dev/zero | tr '\\0' x", "timeout_ms": 50000}));
    let ended = structure(&flood);
    assert!(ended["stdout_left_out"].as_u64().expect("a number") > 40_000_000, "{}", ended["stdout_left_out"]);
    assert!(ended["stdout"].as_str().expect("text").len() < 2 << 20);
    let id = client.start(
        "tools/call",
        &json!({"name": "execute_command", "arguments": {"command": "trap '' TERM; (setsid sleep 600 &) ; touch begun; sleep 600"}}),
    );
    wait::expect("it to begin", || workspace.root.join("begun").exists());
    client.notify("notifications/cancelled", &json!({"requestId": id}));
    assert_eq!(structure(&client.call("execute_command", &json!({"command": "echo on"})))["stdout"], "on\n");
    client.close();
    wait::expect("nothing to be left", || workspace.setup.survivors().is_empty());
}

#[test]
fn resources_and_prompts_answer() {
    let workspace = Workspace::new();
    let mut client = workspace.client();
    let read = client.request("resources/read", &json!({"uri": "project:///src/main.rs"})).result();
    assert_eq!(read["contents"][0]["text"], "fn main() {}\n", "{read}");
    let system = client.request("resources/read", &json!({"uri": "system://environment"})).result();
    assert!(system["contents"][0]["text"].as_str().expect("text").contains("linux"), "{system}");
    for uri in ["project:///../x", "git://nothing", "project:///nothing"] {
        let error = client.request("resources/read", &json!({"uri": uri})).error();
        assert!(error["code"] == -32002 || error["code"] == -32602, "{uri}: {error}");
    }
    let prompt =
        client.request("prompts/get", &json!({"name": "code_review", "arguments": {"path": "src", "focus": "races"}}));
    let text = prompt.result()["messages"][0]["content"]["text"].as_str().expect("text").to_owned();
    assert!(text.contains("`src`") && text.contains("races"), "{text}");
    assert_eq!(client.request("prompts/get", &json!({"name": "document", "arguments": {}})).error()["code"], -32602);
    let completed = client.request(
        "completion/complete",
        &json!({"ref": {"type": "ref/prompt", "name": "refactor"}, "argument": {"name": "path", "value": "src/"}}),
    );
    assert_eq!(completed.result()["completion"]["values"], json!(["src/main.rs"]));
}

#[test]
fn a_reload_leaves_our_own_servers_as_they_are() {
    let workspace = Workspace::new();
    let mut client = workspace.client();
    client.call("write_file", &json!({"path": "x", "content": "x"})).result();
    workspace.setup.home.write("toolgate.toml", "[limits]\nmax_pages = 7\n");
    wait::expect("the reload", || workspace.setup.events().iter().any(|event| event["event"] == "config_changed"));
    assert_eq!(structure(&client.call("write_file", &json!({"path": "x", "content": "y"})))["created"], false);
}

#[test]
fn beside_servers_the_tools_have_the_same_names_and_what_changes_things_is_asked_for() {
    let workspace = Workspace::with("[approvals]\ntimeout_sec = 1\n");
    let mut client = workspace.serve("all");
    let tools = names(&client.request("tools/list", &json!({})).result());
    assert!(tools.contains(&"read_file".to_owned()), "{tools:?}");
    assert_eq!(structure(&client.call("read_file", &json!({"path": "src/main.rs"})))["content"], "fn main() {}\n");
    refused(&client.call("write_file", &json!({"path": "x", "content": "x"})), "approv");
    assert!(!workspace.root.join("x").exists());
}
