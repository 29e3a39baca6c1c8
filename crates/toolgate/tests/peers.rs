//! Real servers behind the gate, and real clients in front of it.
//!
//! Each test skips itself, with a reason, where its peers are not installed.

mod common;

use common::real::Peers;
use common::up::Up;
use common::{Setup, TOOLGATE};
use serde_json::{Value, json};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Duration;
use testkit::{cli::MARK, wait};

/// Interpreters start slowly on a busy machine.
const LONG: Duration = Duration::from_secs(120);
const FEATURES: &str = "demo://resource/static/document/features.md";

/// `toolgate mcp add NAME FLAGS -- COMMAND`, which must work.
fn add(setup: &Setup, name: &str, flags: &[&str], command: &[&str]) {
    let mark = format!("{MARK}={}", setup.home.mark());
    let args = [&["mcp", "add", name, "--yes", "--env", &mark], flags, &["--"], command].concat();
    setup.run(&args).run().ok();
}

/// `toolgate ARGS --json`, with the time that interpreters need.
fn json_of(setup: &Setup, args: &[&str]) -> Value {
    setup.run(&[args, &["--json"]].concat()).within(LONG).run().json()
}

/// The first text that a call answers with.
fn call(setup: &Setup, tool: &str, arguments: &Value) -> String {
    let result = json_of(setup, &["mcp", "call", tool, "--args", &arguments.to_string()]);
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {result}")).to_owned()
}

fn listed(list: &Value, member: &str, key: &str) -> Vec<String> {
    let items = list[member].as_array().unwrap_or_else(|| panic!("no {member} in {list}"));
    items.iter().filter_map(|item| item[key].as_str().map(str::to_owned)).collect()
}

#[track_caller]
fn has(names: &[String], name: &str) {
    assert!(names.iter().any(|known| known == name), "no {name} in {names:?}");
}

/// A home with the reference server, which was listed once, so that all later lists are answered at once.
fn with_everything(peers: &Peers) -> Setup {
    let setup = Setup::new();
    add(&setup, "everything", &[], &[&peers.node(), &peers.everything(), "stdio"]);
    has(&listed(&json_of(&setup, &["mcp", "tools"]), "tools", "name"), "everything__echo");
    setup
}

fn nothing_is_left(setup: &Setup) {
    let gone = wait::until(wait::PATIENCE, || setup.survivors().is_empty());
    assert!(gone, "still there: {:?}", setup.survivors());
}

#[test]
fn the_reference_server_works_over_stdio() {
    let Some(peers) = Peers::with(&[Peers::node, Peers::everything]) else { return };
    let setup = with_everything(&peers);
    let servers = json_of(&setup, &["mcp", "list"]);
    assert_eq!((&servers[0]["name"], &servers[0]["enabled"]), (&json!("everything"), &json!(true)));
    assert_eq!(call(&setup, "everything__echo", &json!({"message": "hi"})), "Echo: hi");
    assert_eq!(call(&setup, "everything__get-sum", &json!({"a": 2, "b": 3})), "The sum of 2 and 3 is 5.");
    let read = json_of(&setup, &["mcp", "read", FEATURES]);
    assert!(read["contents"][0]["text"].as_str().expect("a text").contains("Features"), "{read}");
    has(&listed(&json_of(&setup, &["mcp", "prompts"]), "prompts", "name"), "everything__simple-prompt");
    let tested = setup.run(&["mcp", "test", "everything"]).within(LONG).run().ok();
    assert!(["start", "ping", "list"].iter().all(|step| tested.contains(step)), "{tested}");
    nothing_is_left(&setup);
}

#[test]
fn a_call_of_the_reference_server_shows_its_progress() {
    let Some(peers) = Peers::with(&[Peers::node, Peers::everything]) else { return };
    let setup = with_everything(&peers);
    let mut client = setup.client(&[]).patient(LONG);
    let params = json!({"name": "everything__trigger-long-running-operation",
        "arguments": {"duration": 0.2, "steps": 4}, "_meta": {"progressToken": 7}});
    let id = client.start("tools/call", &params);
    assert!(client.answer(id).text_block().contains("completed"));
    let progress = std::iter::from_fn(|| client.next_message(Duration::ZERO));
    let progress = progress.filter(|message| message.method() == "notifications/progress");
    let steps: Vec<_> = progress.map(|message| message.json()["params"]["progress"].clone()).collect();
    assert_eq!(steps, [1, 2, 3, 4].map(|step| json!(step)));
}

#[test]
fn the_reference_server_works_over_http() {
    let Some(peers) = Peers::with(&[Peers::node, Peers::everything]) else { return };
    let setup = Setup::new();
    let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let mut command = setup.home.command(peers.node(), [&peers.everything(), "streamableHttp"]);
    command.env("PORT", address.port().to_string()).stdout(Stdio::null()).stderr(Stdio::null());
    // The home ends it, as it ends everything with its mark.
    let mut server = command.stdin(Stdio::null()).spawn().expect("node starts");
    assert!(wait::until(LONG, || TcpStream::connect(address).is_ok()), "it never listened");
    setup.run(&["mcp", "add", "remote", "--yes", "--url", &format!("http://{address}/mcp")]).run().ok();
    has(&listed(&json_of(&setup, &["mcp", "tools"]), "tools", "name"), "remote__echo");
    assert_eq!(call(&setup, "remote__echo", &json!({"message": "far"})), "Echo: far");
    let read = json_of(&setup, &["mcp", "read", FEATURES]);
    assert!(read["contents"][0]["text"].as_str().expect("a text").contains("Features"), "{read}");
    let mut client = setup.client(&["--only", "remote"]).patient(LONG);
    assert_eq!(client.call("echo", &json!({"message": "near"})).text_block(), "Echo: near");
    server.kill().and_then(|()| server.wait()).expect("it is our child");
}

#[test]
fn the_filesystem_server_may_use_the_directories_of_its_environment() {
    let Some(peers) = Peers::with(&[Peers::node, Peers::filesystem]) else { return };
    let setup = Setup::new();
    let work = setup.home.work().canonicalize().expect("it is there").display().to_string();
    std::fs::write(setup.home.work().join("note.txt"), "written before").expect("a file");
    let allowed = format!("ALLOWED_DIRS={work}");
    add(&setup, "fs", &["--env", &allowed], &[&peers.node(), &peers.filesystem()]);
    has(&listed(&json_of(&setup, &["mcp", "tools"]), "tools", "name"), "fs__read_text_file");
    // Each of these starts the server: it must know its directories by its first call.
    let listed = call(&setup, "fs__list_allowed_directories", &json!({}));
    assert_eq!(listed, format!("Allowed directories:\n{work}"));
    let read = call(&setup, "fs__read_text_file", &json!({"path": format!("{work}/note.txt")}));
    assert_eq!(read, "written before");
    let outside = setup.run(&["mcp", "call", "fs__read_text_file", "--args", r#"{"path":"/etc/hostname"}"#]);
    let outside = outside.within(LONG).run();
    assert_eq!(outside.status, Some(1), "{outside:?}");
    let unasked = setup.run(&["mcp", "call", "fs__write_file", "--args", r#"{"path":"x","content":"y"}"#]).run();
    assert!(unasked.stderr.contains("approve"), "writing needs approval: {unasked:?}");
}

#[test]
fn the_python_servers_work() {
    let Some(peers) = Peers::with(&[Peers::git_server, Peers::time_server]) else { return };
    let setup = Setup::new();
    let work = setup.home.work().display().to_string();
    setup.home.cmd("git", ["init", "--quiet", "-b", "main", "."]).run().ok();
    add(&setup, "git", &[], &[&peers.git_server(), "--repository", &work]);
    add(&setup, "time", &[], &[&peers.time_server()]);
    let tools = listed(&json_of(&setup, &["mcp", "tools"]), "tools", "name");
    has(&tools, "git__git_status");
    has(&tools, "time__get_current_time");
    let status = call(&setup, "git__git_status", &json!({"repo_path": work}));
    assert!(status.contains("On branch main"), "{status}");
    let time = call(&setup, "time__get_current_time", &json!({"timezone": "Europe/Berlin"}));
    assert!(time.contains("Europe/Berlin"), "{time}");
    let refused = setup.run(&["mcp", "call", "time__get_current_time", "--args", r#"{"timezone":"Nowhere/At_All"}"#]);
    assert_eq!(refused.within(LONG).run().status, Some(1));
    nothing_is_left(&setup);
}

/// The Inspector without a face of its own.
fn inspect(setup: &Setup, peers: &Peers, args: &[&str]) -> Value {
    let inspector = peers.inspector();
    let args = [&[&inspector, "--cli"], args].concat();
    setup.home.cmd(peers.node(), args).within(LONG).run().json()
}

#[test]
fn the_inspector_uses_the_gate_over_stdio() {
    let Some(peers) = Peers::with(&[Peers::node, Peers::everything, Peers::inspector]) else { return };
    let setup = with_everything(&peers);
    // It gives its servers an environment of its own.
    let home = format!("CODEX_HOME={}", setup.home.codex().display());
    let gate = ["-e", &home, TOOLGATE, "mcp", "serve"];
    let ask = |args: &[&str]| inspect(&setup, &peers, &[&gate, args].concat());
    has(&listed(&ask(&["--method", "tools/list"]), "tools", "name"), "everything__echo");
    let called = ask(&["--method", "tools/call", "--tool-name", "everything__echo", "--tool-arg", "message=hey"]);
    assert_eq!(called["content"][0]["text"], "Echo: hey");
    has(&listed(&ask(&["--method", "resources/list"]), "resources", "uri"), FEATURES);
    has(&listed(&ask(&["--method", "prompts/list"]), "prompts", "name"), "everything__simple-prompt");
    let read = ask(&["--method", "resources/read", "--uri", FEATURES]);
    assert!(read["contents"][0]["text"].as_str().expect("a text").contains("Features"), "{read}");
}

#[test]
fn the_inspector_uses_the_gate_over_http() {
    let Some(peers) = Peers::with(&[Peers::node, Peers::everything, Peers::inspector]) else { return };
    let setup = with_everything(&peers);
    let up = Up::start(&setup, &[]);
    let header = format!("Authorization: {}", up.bearer());
    let ask = |args: &[&str]| {
        inspect(&setup, &peers, &[&[up.url(), "--header", &header, "--transport", "http"], args].concat())
    };
    has(&listed(&ask(&["--method", "tools/list"]), "tools", "name"), "everything__echo");
    let called = ask(&["--method", "tools/call", "--tool-name", "everything__echo", "--tool-arg", "message=hey"]);
    assert_eq!(called["content"][0]["text"], "Echo: hey");
}

#[test]
fn a_desktop_host_needs_no_more_than_the_name_of_the_program() {
    let Some(peers) = Peers::with(&[Peers::node, Peers::everything, Peers::inspector]) else { return };
    let setup = with_everything(&peers);
    // Such a host sets no CODEX_HOME, so the gate looks where the person's own configuration is.
    let home = setup.home.path().join("home");
    std::os::unix::fs::symlink(setup.home.codex(), home.join(".codex")).expect("a new link");
    let config = json!({"mcpServers": {"codex": {"command": TOOLGATE, "args": ["mcp"], "env": {}}}});
    let path = setup.home.write("host.json", config.to_string());
    let path = path.display().to_string();
    let host = ["--config", &path, "--server", "codex"];
    let tools = inspect(&setup, &peers, &[&host[..], &["--method", "tools/list"]].concat());
    has(&listed(&tools, "tools", "name"), "everything__echo");
    let call = ["--method", "tools/call", "--tool-name", "everything__echo", "--tool-arg", "message=host"];
    let called = inspect(&setup, &peers, &[&host[..], &call].concat());
    assert_eq!(called["content"][0]["text"], "Echo: host");
}

/// What a client of one of the SDKs is to do.
const ERRAND: [&str; 6] = ["--call", "everything__echo", "--arguments", r#"{"message":"hello"}"#, "--read", FEATURES];

/// What it must have seen.
#[track_caller]
fn errand_done(report: &Value) {
    assert_eq!(report["call"]["content"][0]["text"], "Echo: hello", "{report}");
    let text = report["read"]["contents"][0]["text"].as_str().unwrap_or_else(|| panic!("nothing read: {report}"));
    assert!(text.contains("Features"), "{text}");
}

/// What it must have seen where it asks for lists.
#[track_caller]
fn errand_seen(report: &Value) {
    errand_done(report);
    assert_eq!(report["server"]["name"], "toolgate");
    for (list, name) in
        [("tools", "everything__echo"), ("prompts", "everything__simple-prompt"), ("resources", "features.md")]
    {
        assert!(report[list].as_array().is_some_and(|names| names.contains(&json!(name))), "no {name} in {report}");
    }
}

/// What a client script reports, on either of the faces.
fn client(setup: &Setup, program: &str, script: &str, args: &[&str]) -> Value {
    setup.home.cmd(program, [&[script], args].concat()).within(LONG).run().json()
}

#[test]
fn the_typescript_sdk_uses_both_faces() {
    let Some(peers) = Peers::with(&[Peers::node, Peers::everything, Peers::ts_sdk]) else { return };
    let setup = with_everything(&peers);
    let run = |args: &[&str]| client(&setup, &peers.node(), &peers.script("client_ts.mjs"), &[&ERRAND, args].concat());
    errand_seen(&run(&["--", TOOLGATE, "mcp", "serve"]));
    errand_seen(&run(&["--", TOOLGATE, "mcp"]));
    let up = Up::start(&setup, &[]);
    errand_seen(&run(&["--url", up.url(), "--bearer", &up.token]));
    let stranger = [&peers.script("client_ts.mjs"), "--url", up.url(), "--bearer", "guessed"];
    let stranger = setup.home.cmd(peers.node(), stranger).within(LONG).run();
    assert_eq!(stranger.status, Some(1), "{stranger:?}");
    assert!(up.terminate().success());
    nothing_is_left(&setup);
}

#[test]
fn the_python_sdk_uses_both_faces_in_both_eras() {
    let Some(peers) = Peers::with(&[Peers::node, Peers::everything, Peers::python]) else { return };
    let setup = with_everything(&peers);
    let run = |mode: &str, args: &[&str]| {
        let args = [&["--mode", mode], &ERRAND[..], args].concat();
        client(&setup, &peers.python(), &peers.script("client_py.py"), &args)
    };
    let up = Up::start(&setup, &[]);
    let stdio: &[&str] = &["--", TOOLGATE, "mcp", "serve"];
    let http: &[&str] = &["--url", up.url(), "--bearer", &up.token];
    for face in [stdio, http] {
        let legacy = run("legacy", face);
        errand_seen(&legacy);
        assert_eq!(legacy["version"], "2025-11-25");
        let auto = run("auto", face);
        errand_seen(&auto);
        assert_eq!(auto["version"], "2026-07-28", "it finds out that the newer era is there");
        // Told the version beforehand, it asks nothing about the server and so takes no lists.
        let modern = run("2026-07-28", face);
        errand_done(&modern);
        assert_eq!(modern["version"], "2026-07-28");
    }
    let ends = setup.events().iter().filter(|event| event["event"] == "end" && event["end"] == "finished").count();
    assert_eq!(ends, 12, "six calls and six reads are in the ledger");
    assert!(up.terminate().success());
    nothing_is_left(&setup);
}
