//! Every state by a server that is in it: one word, one exit status, one message, the same wherever it is asked for.

mod common;

use common::{Setup, TOOLGATE};
use serde_json::Value;
use std::collections::HashSet;
use std::process::Stdio;
use testkit::{Server, bin, wait};

/// A setup with one server `x`, and what keeps its surroundings alive.
struct Case {
    setup: Setup,
    _around: Option<Server>,
}

impl From<Setup> for Case {
    fn from(setup: Setup) -> Self {
        Self { setup, _around: None }
    }
}

fn hostile(flags: &[&str], keys: &str) -> Case {
    Setup::new().server("x", flags, keys).into()
}

/// An entry as written.
fn entry(text: &str) -> Case {
    Setup::new().top(&format!("[mcp_servers.x]\n{text}")).into()
}

/// An entry that leaves decisions open where all have to be taken.
fn undecided() -> Case {
    Setup::new().top("[policy]\nrequire_decisions = true\n[mcp_servers.x]\ncommand = \"a\"").into()
}

/// The HTTP fixture with these flags.
fn http(flags: &[&str]) -> Case {
    let setup = Setup::new();
    let server = Server::spawn(setup.home.command(bin("fixture-http"), flags));
    let setup = setup.top(&format!("[mcp_servers.x]\nurl = \"{}\"", server.url));
    Case { setup, _around: Some(server) }
}

/// An address at which nobody listens.
fn refusing() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    format!("url = \"http://127.0.0.1:{port}/mcp\"")
}

struct Found {
    state: String,
    message: String,
}

/// Why, without whether a request was under way when it happened.
fn reason(status: &Value) -> Option<&str> {
    status["reason"].as_str().map(|why| why.trim_end_matches(" before it answered"))
}

/// Tests, lists and asks for the status of `x`; all have to say the same.
#[track_caller]
fn check(case: impl Into<Case>, state: &str, exit: i32, says: &str) -> Found {
    let case = case.into();
    let output = case.setup.run(&["mcp", "test", "x", "--json"]).run();
    assert_eq!(output.status, Some(exit), "{state}: {output:?}");
    let report: Value = serde_json::from_str(&output.stdout).expect("a report whatever happened");
    assert_eq!((&report["state"], &report["ok"]), (&Value::from(state), &Value::from(exit == 0)), "{report}");
    let status = &report["status"];
    let message =
        format!("{} | {}", status["reason"].as_str().unwrap_or("-"), status["next"].as_str().expect("a next step"));
    assert!(message.contains(says), "{state}: {message}");
    let asked = case.setup.run(&["mcp", "status", "x", "--json"]).run();
    let asked: Value = serde_json::from_str(&asked.stdout).expect("a status");
    assert_eq!((&asked["state"], reason(&asked)), (&status["state"], reason(status)), "{asked}");
    let human = case.setup.run(&["mcp", "test", "x"]).run();
    assert!(human.stdout.contains(&format!("state: {state}")), "{human:?}");
    let listed = case.setup.run(&["mcp", "list", "--check", "--json"]).run().json();
    match listed.as_array().expect("a list").iter().find(|server| server["name"] == "x") {
        Some(server) => assert_eq!(server["state"], state, "{server}"),
        None => assert_eq!(state, "missing_config"),
    }
    let why = status["disabledReason"].as_str().map(|why| format!(" ({why})")).unwrap_or_default();
    Found { state: format!("{state}{why}"), message }
}

#[test]
fn each_state_has_a_word_an_exit_status_and_a_message_of_its_own() {
    let found = [
        check(Setup::new(), "missing_config", 5, "toolgate mcp add x"),
        check(entry("startup_timeout_sec = 1"), "no_transport", 2, "set `command` or `url`"),
        check(entry("command = \"a\"\nurl = \"http://a\""), "misconfigured", 2, "is not supported for"),
        check(entry("command = \"no-such-program\""), "missing_command", 1, "program `no-such-program` was not found"),
        check(entry("command = \"a\"\nenabled = false"), "disabled", 4, "enabled = false"),
        check(
            entry(&format!("{}\nbearer_token_env_var = \"UNSET_TOKEN\"", refusing())),
            "auth_required",
            3,
            "UNSET_TOKEN",
        ),
        check(entry("command = \"a\"\nscope.workspaces = [\"/no/such/place\"]"), "disabled", 4, "scope.workspaces"),
        check(undecided(), "disabled", 1, "`audit`"),
        check(hostile(&["--tools", "0"], ""), "no_tools", 6, "documentation"),
        check(hostile(&[], ""), "connected", 0, "nothing"),
        check(hostile(&["--hang-at-start"], "startup_timeout_sec = 1"), "timeout", 1, "startup_timeout_sec"),
        check(hostile(&["--exit-at-start", "3"], ""), "crashed", 1, "ended with exit status 3"),
        check(hostile(&["--protocol-version", "2031-01-01"], ""), "protocol_error", 1, "revision"),
        check(entry(&refusing()), "unreachable", 1, "refused"),
        check(hostile(&["--endless-cursor", "--tools", "3"], ""), "degraded", 1, "tools/list"),
    ];
    let states: HashSet<_> = found.iter().map(|found| &found.state).collect();
    let messages: HashSet<_> = found.iter().map(|found| &found.message).collect();
    assert_eq!((states.len(), messages.len()), (found.len(), found.len()));
}

#[test]
fn the_same_state_has_one_word_however_it_came_about() {
    check(http(&["--status", "401"]), "auth_required", 3, "HTTP 401");
    check(http(&["--status", "403"]), "auth_required", 3, "HTTP 403");
    check(http(&["--status", "503"]), "unreachable", 1, "HTTP 503");
    check(http(&["--status", "404"]), "protocol_error", 1, "HTTP 404");
    check(entry("url = \"http://no-such-host.invalid/mcp\""), "unreachable", 1, "cannot be reached");
    check(entry("command = \"/etc/passwd\""), "missing_command", 1, "may not be executed: Permission denied");
    check(entry("command = \"/etc\""), "missing_command", 1, "`/etc` is a directory");
    check(entry("command = \"true\"\ncwd = \"/no/such/dir\""), "misconfigured", 2, "/no/such/dir");
    check(entry("command = \"yes\""), "protocol_error", 1, "no message");
    check(entry("command = \"echo debug\""), "protocol_error", 1, "before it answered `initialize`");
    check(http(&[]), "connected", 0, "nothing");
}

#[test]
fn listing_connects_to_nothing_and_knows_what_can_be_known() {
    let setup = Setup::new()
        .top("[mcp_servers.gone]\ncommand = \"no-such-program\"\n[mcp_servers.off]\ncommand = \"a\"\nenabled = false")
        .server("here", &[], "");
    let states = |setup: &Setup| -> Vec<String> {
        let list = setup.run(&["mcp", "list", "--json"]).run().json();
        list.as_array().expect("a list").iter().map(|server| server["state"].to_string()).collect()
    };
    assert_eq!(states(&setup), [r#""missing_command""#, r#""not_started""#, r#""disabled""#]);
    assert_eq!(setup.heard("here").len(), 0, "it was started");
    let text = setup.run(&["mcp", "list"]).run().ok();
    assert!(text.contains("disabled (user)") && text.contains("not_started"), "{text}");
}

#[test]
fn a_status_has_every_field_and_null_for_what_is_not_known() {
    let setup = Setup::new().server("x", &["--resources"], "").top("[mcp_servers.gone]\ncommand = \"no-such-program\"");
    let fields = [
        "state",
        "disabledReason",
        "status",
        "reason",
        "sinceMicros",
        "stderr",
        "next",
        "pid",
        "serverInfo",
        "capabilities",
        "protocol",
        "counts",
        "tools",
        "resources",
        "templates",
        "toolsError",
        "authStatus",
        "lastError",
        "lastSeen",
        "versionChanged",
        "quarantined",
    ];
    let status = |name: &str| setup.run(&["mcp", "status", name, "--json"]).run().json();
    let (up, gone) = (status("x"), status("gone"));
    for field in fields {
        assert!(up.get(field).is_some() && gone.get(field).is_some(), "{field}");
    }
    assert_eq!(up["serverInfo"]["name"], "fixture-hostile");
    assert_eq!(up["status"], "connected");
    assert_eq!(up["authStatus"], "unsupported");
    assert!(up["tools"].as_array().is_some_and(|tools| tools.contains(&"echo".into())), "{up}");
    assert!(up["resources"].as_array().is_some_and(|list| !list.is_empty()), "{up}");
    assert!(up["sinceMicros"].as_u64().is_some_and(|micros| micros > 1_600_000_000_000_000), "{up}");
    assert_eq!(
        (&gone["serverInfo"], &gone["tools"], &gone["capabilities"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(gone["status"], "error");
}

#[test]
fn one_bad_server_hides_no_other() {
    let setup = Setup::new()
        .server("fine", &[], "")
        .top(&format!("[mcp_servers.bad]\ncommand = \"no-such-program\"\n[mcp_servers.refused]\n{}", refusing()));
    let all = setup.run(&["mcp", "status", "--json"]).run().json();
    let states: Vec<_> = all["servers"].as_array().expect("a list").iter().map(|server| &server["state"]).collect();
    assert_eq!(states, ["missing_command", "connected", "unreachable"]);
}

#[test]
fn what_a_dead_server_printed_is_shown_masked() {
    let setup = Setup::new().entry("x", "sh", &["-c".into(), "echo \"token $API_TOKEN\" >&2; exit 4".into()], "");
    let output = setup.run(&["mcp", "test", "x"]).run();
    assert!(output.stdout.contains("it printed: token") && !output.stdout.contains("s3cr3t"), "{output:?}");
    assert!(output.stdout.contains("state: crashed since 20"), "{output:?}");
}

#[test]
fn a_new_version_is_reported_once_and_what_it_changed_is_held_back() {
    let setup = Setup::new().server("x", &["--version", "1"], "version = \"a\"");
    let test = |exit: i32| -> Value {
        let output = setup.run(&["mcp", "test", "x", "--json"]).run();
        assert_eq!(output.status, Some(exit), "{output:?}");
        serde_json::from_str(&output.stdout).expect("a report")
    };
    assert_eq!(test(0)["versionChanged"], Value::Null, "there is nothing to compare with");
    assert_eq!(test(0)["versionChanged"], Value::Null);
    let config = setup.home.read("toolgate.toml");
    setup.home.write("toolgate.toml", config.replace(r#""--version","1""#, r#""--version","2""#));
    let output = setup.run(&["mcp", "test", "x"]).run();
    assert!(output.stdout.contains("version_changed: serverInfo.version 1 -> 2, tool definitions"), "{output:?}");
    assert!(output.stdout.contains("state: quarantined"), "{output:?}");
    let again = test(7);
    assert_eq!(again["versionChanged"], Value::Null, "it was told already");
    assert_eq!(
        (&again["state"], &again["status"]["quarantined"]),
        (&"quarantined".into(), &serde_json::json!(["echo"]))
    );
    let config = setup.home.read("toolgate.toml");
    setup.home.write("toolgate.toml", config.replace("version = \"a\"", "version = \"b\""));
    assert_eq!(test(7)["versionChanged"]["changed"], serde_json::json!(["config"]));
}

#[test]
fn a_start_that_is_interrupted_is_cancelled() {
    let setup = Setup::new().server("x", &["--hang-at-start"], "startup_timeout_sec = 300");
    let mut command = setup.home.command(TOOLGATE, ["mcp", "test", "x", "--json"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("it starts");
    wait::expect("the server to be started", || !setup.heard("x").is_empty());
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    let output = child.wait_with_output().expect("it ends");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!((output.status.code(), &report["state"]), (Some(130), &Value::from("cancelled")), "{report}");
    assert!(wait::until(wait::PATIENCE, || setup.survivors().is_empty()), "{:?}", setup.survivors());
}
