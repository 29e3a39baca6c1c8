//! What `toolgate doctor` finds, and that it starts nothing by looking.

mod common;

use common::Setup;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use testkit::cli::Cmd;

/// The checks of one kind, as `LEVEL WHAT | FIX`.
fn found(report: &Value, id: &str) -> Vec<String> {
    let checks = report["checks"].as_array().expect("checks");
    let text = |check: &Value, key: &str| check[key].as_str().unwrap_or("-").to_owned();
    let line = |check: &Value| format!("{} {} | {}", text(check, "level"), text(check, "what"), text(check, "fix"));
    checks.iter().filter(|check| check["id"] == id).map(line).collect()
}

fn report(cmd: Cmd, ok: bool) -> Value {
    let output = cmd.run();
    assert_eq!(output.status, Some(if ok { 0 } else { 1 }), "{output:?}");
    let report: Value = serde_json::from_str(&output.stdout).expect("a report");
    assert_eq!((&report["schema"], &report["ok"]), (&"toolgate.doctor/1".into(), &ok.into()), "{report}");
    report
}

/// Of a doctor who looked at `setup`, some check `id` has to say this.
#[track_caller]
fn check(setup: &Setup, ok: bool, id: &str, says: &str) {
    let report = report(setup.run(&["doctor", "--json"]), ok);
    let found = found(&report, id);
    assert!(found.iter().any(|line| line.contains(says)), "{says}: {found:#?}");
}

fn entry(text: &str) -> Setup {
    Setup::new().top(&format!("[mcp_servers.x]\n{text}"))
}

#[test]
fn a_healthy_setup_has_nothing_wrong_and_nothing_is_started() {
    let setup = Setup::new().server("x", &[], "");
    let text = setup.run(&["doctor"]).run().ok();
    assert!(text.contains("ok    server `x`: its program") && !text.contains("FAIL"), "{text}");
    let empty = Setup::new().run(&["doctor"]).run().ok();
    assert!(empty.contains("ok    config: 0 servers, and no mistake") && !empty.contains("warn"), "{empty}");
    assert!(setup.heard("x").is_empty(), "it was started");
    let report = report(setup.run(&["doctor", "x", "--start", "--json"]), true);
    assert!(found(&report, "start")[0].starts_with("ok "), "{report}");
    assert!(!setup.heard("x").is_empty());
    assert!(setup.survivors().is_empty());
}

#[test]
fn npx_that_is_not_on_path_is_named_with_what_brings_it() {
    let setup = entry("command = \"npx\"\nargs = [\"-y\", \"x\"]");
    let empty = setup.home.path().join("tmp");
    let report = report(setup.run(&["doctor", "--json"]).env("PATH", &empty), false);
    let program = &found(&report, "program")[0];
    assert!(program.contains("`npx` is not on the PATH") && program.contains("install Node.js"), "{program}");
}

#[test]
fn an_old_node_is_named_with_its_version() {
    let setup = entry("command = \"npx\"\nargs = [\"-y\", \"x\"]");
    let bin = setup.home.path().join("bin");
    std::fs::create_dir(&bin).expect("a directory");
    for (name, text) in [("node", "#!/bin/sh\necho v16.20.2\n"), ("npx", "#!/bin/sh\n")] {
        let path = bin.join(name);
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    }
    let report = report(setup.run(&["doctor", "--json"]).env("PATH", &bin), false);
    assert!(found(&report, "node")[0].contains("is Node.js v16.20.2"), "{report}");
}

#[test]
fn what_a_server_lacks_is_found_before_it_is_started() {
    check(&entry("command = \"no-such-program\""), false, "program", "program `no-such-program` was not found");
    check(&entry("command = \"true\"\ncwd = \"/no/such/dir\""), false, "directory", "/no/such/dir is not there");
    check(&entry("command = \"true\"\nenv_vars = [\"UNSET_ONE\"]"), true, "environment", "not set here: UNSET_ONE");
    check(&entry("command = 1"), false, "config", "invalid type");
    check(&entry("command = \"true\"\nenabled = false"), true, "server", "disabled (user)");
}

#[test]
fn what_the_machine_can_hold_is_tried() {
    check(&Setup::new(), true, "sandbox", "forbidden operations were tried and none was possible");
    let bounds = "command = \"true\"\n[mcp_servers.x.sandbox]\n";
    check(&entry(&format!("{bounds}level = \"S1\"")), true, "sandbox", "it is kept at S1 (files,");
    let looks = "S3 lets it look whether a file is there that was not granted";
    check(&entry(&format!("{bounds}level = \"S3\"")), true, "sandbox", looks);
    let hosts = format!("{bounds}level = \"S3\"\nnet = [\"example.com\"]");
    check(&entry(&hosts), false, "sandbox", "it cannot be started: a list of hosts needs S4");
}

#[test]
fn an_address_is_reached_for() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    drop(listener);
    check(&entry(&format!("url = \"http://127.0.0.1:{port}/mcp\"")), false, "address", "cannot be reached");
    let setup = Setup::new();
    let server = testkit::Server::spawn(setup.home.command(testkit::bin("fixture-http"), &[] as &[&str]));
    let setup = setup.top(&format!("[mcp_servers.x]\nurl = \"{}\"", server.url));
    check(&setup, true, "address", "answers (HTTP ");
}

fn open(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).expect("its mode");
}

#[test]
fn keys_that_others_can_read_are_named_with_the_command_that_closes_them() {
    let setup = Setup::new().server("x", &[], "");
    drop(setup.client(&[]));
    let key = setup.home.codex().join("toolgate/audit.key");
    assert!(key.exists());
    open(&key);
    check(&setup, false, "secrets", &format!("chmod 600 {}", key.display()));
}

#[test]
fn a_record_that_somebody_changed_is_no_record() {
    let setup = Setup::new().server("x", &[], "");
    setup.run(&["mcp", "call", "x__echo", "--arg", "text=hi"]).run().ok();
    check(&setup, true, "record", "the record holds");
    let dir = setup.home.codex().join("toolgate/audit");
    let mut files: Vec<_> = std::fs::read_dir(&dir).expect("a record").flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "jsonl"));
    let text = std::fs::read_to_string(&files[0]).expect("lines").replacen("echo", "ecko", 1);
    std::fs::write(&files[0], text).expect("written");
    check(&setup, false, "record", "cannot be trusted");
}

#[test]
fn what_gates_and_clients_left_behind_is_told() {
    let setup = Setup::new();
    let dir = setup.home.codex().join("toolgate/connect/cursor");
    std::fs::create_dir_all(&dir).expect("a directory");
    std::fs::write(dir.join("journal.json"), "{").expect("a file");
    check(&setup, false, "connect", "journal.json");
}

#[test]
fn the_codex_cli_is_found_with_its_version() {
    let setup = Setup::new();
    let codex = setup.home.path().join("codex-cli");
    std::fs::write(&codex, "#!/bin/sh\necho codex-cli 0.169.0\n").expect("a file");
    std::fs::set_permissions(&codex, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    let report = report(setup.run(&["doctor", "--json"]).env("CODEX_BIN", &codex), true);
    assert!(found(&report, "codex")[0].contains("codex-cli 0.169.0"), "{report}");
}

#[test]
fn what_codex_makes_of_tools_is_told_of_servers_that_are_named() {
    let setup = Setup::new().server("x", &[], "");
    setup.run(&["mcp", "tools", "x"]).run().ok();
    let all = report(setup.run(&["doctor", "--json"]), true);
    assert_eq!(found(&all, "schema").len(), 1, "{all}");
    let one = report(setup.run(&["doctor", "x", "--json"]), true);
    assert!(found(&one, "schema").iter().any(|line| line.contains("instructions")), "{one}");
}

#[test]
fn a_name_nobody_has_is_refused() {
    let output = Setup::new().server("github", &[], "").run(&["doctor", "gihtub"]).run();
    assert_eq!(output.status, Some(1));
    assert!(output.stderr.contains("did you mean `github`?"), "{output:?}");
}

#[test]
fn where_our_own_tools_would_work_is_told() {
    let setup = Setup::new();
    let work = setup.home.work().display().to_string();
    check(&setup, true, "workspace", &format!("tools that work in {work}"));
    let nowhere = setup.run(&["doctor", "--json"]).current_dir(setup.home.path().join("home"));
    assert!(found(&report(nowhere, true), "workspace")[0].contains("offers no workspace tools"));
    check(
        &Setup::new().top("[workspace]\nroots = [\"/no/such\"]"),
        true,
        "workspace",
        "/no/such, which is no directory",
    );
    let gateway = Setup::new().top("[gate]\nprofile = \"gateway\"");
    assert!(found(&report(gateway.run(&["doctor", "--json"]), true), "workspace").is_empty());
}
