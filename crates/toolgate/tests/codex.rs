//! The real Codex in front of the gate, with a scripted model behind it instead of a network.
//!
//! Each test skips itself, with a reason, where Codex is not installed.

mod common;

use common::real::Peers;
use common::{Setup, TOOLGATE};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use testkit::cli::{MARK, Output};
use testkit::model::{Model, Turn};

/// A whole session of an agent on a busy machine.
const LONG: Duration = Duration::from_secs(180);

/// A home of Codex's own. It must not be below the system's temporary directory, or Codex complains.
fn codex_home(setup: &Setup, model: &Model, gate: &[&str]) -> TempDir {
    let home = TempDir::with_prefix_in("codex-", env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let config = format!(
        r#"
model = "scripted"
model_provider = "scripted"
[model_providers.scripted]
name = "scripted"
base_url = {}
wire_api = "responses"
env_key = "MODEL_KEY"
request_max_retries = 0
stream_max_retries = 0
supports_websockets = false
[features]
enable_request_compression = false
[analytics]
enabled = false
[mcp_servers.gate]
command = {}
args = {}
[mcp_servers.gate.env]
CODEX_HOME = {}
{MARK} = {}
"#,
        json!(model.url),
        json!(TOOLGATE),
        json!([&["mcp", "serve"], gate].concat()),
        json!(setup.home.codex().display().to_string()),
        json!(setup.home.mark()),
    );
    std::fs::write(home.path().join("config.toml"), config).expect("a file");
    home
}

/// Codex itself asks nobody about the tools of the gate: nobody is there, and the gate decides.
fn unasked(home: &TempDir) {
    let file = home.path().join("config.toml");
    let config = std::fs::read_to_string(&file).expect("it is there");
    let entry = "[mcp_servers.gate]\n";
    let config = config.replace(entry, &format!("{entry}default_tools_approval_mode = \"approve\"\n"));
    std::fs::write(file, config).expect("a file");
}

/// `codex exec`, run to its end. Its environment is the setup's, which has no `RUST_BACKTRACE`.
fn exec(setup: &Setup, peers: &Peers, home: &Path) -> Output {
    let args = [&peers.codex(), "exec", "--json", "--skip-git-repo-check", "go"];
    setup.home.cmd(peers.node(), args).env("CODEX_HOME", home).env("MODEL_KEY", "none").within(LONG).run()
}

/// The calls that Codex itself reports.
fn calls(output: &Output) -> Vec<Value> {
    let events = output.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let items = events.filter(|event| event["type"] == "item.completed").map(|event| event["item"].clone());
    items.filter(|item| item["type"] == "mcp_tool_call").collect()
}

/// The tools of the gate that a request showed to the model.
fn shown(request: &Value) -> Vec<String> {
    let empty = Vec::new();
    let spaces = request["tools"].as_array().unwrap_or(&empty).iter();
    let gate = spaces.filter(|space| space["name"] == "mcp__gate");
    let tools = gate.flat_map(|space| space["tools"].as_array().cloned().unwrap_or_default());
    tools.filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect()
}

fn echo(text: &str) -> Turn {
    Turn::call("mcp__gate", "echo", &json!({"text": text}))
}

/// The ledger's attempts, by the server's tool.
fn attempts(setup: &Setup) -> Vec<Value> {
    setup.events().into_iter().filter(|event| event["event"] == "attempt").collect()
}

#[test]
fn codex_sees_the_tools_of_a_slow_server_at_once_and_calls_one() {
    let Some(peers) = Peers::with(&[Peers::node, Peers::codex]) else { return };
    // Codex waits for a server's tools for one second. This server takes five to start.
    let setup = Setup::new().server("slow", &["--slow-start-ms", "5000"], "");
    setup.run(&["mcp", "tools"]).within(LONG).run().ok();
    let model = Model::start([("user", vec![echo("through the gate"), Turn::say("done")])]);
    let home = codex_home(&setup, &model, &["--only", "slow"]);
    let output = exec(&setup, &peers, home.path());
    assert_eq!(output.status, Some(0), "{output:#?}");
    let requests = model.requests("user");
    let tools = shown(&requests[0]);
    assert!(tools.contains(&"echo".to_owned()), "the first request shows {tools:?}; {output:#?}");
    let calls = calls(&output);
    assert_eq!(calls.len(), 1, "{output:#?}");
    assert_eq!((&calls[0]["status"], &calls[0]["tool"]), (&json!("completed"), &json!("echo")), "{output:#?}");
    assert_eq!(calls[0]["result"]["content"][0]["text"], "through the gate");
    assert!(requests[1].to_string().contains("through the gate"), "the model was shown the answer");
    let attempts = attempts(&setup);
    assert_eq!(attempts.len(), 1);
    assert_eq!((&attempts[0]["server"], &attempts[0]["name"]), (&json!("slow"), &json!("echo")));
    assert_eq!(attempts[0]["client"], "codex-mcp-client");
    assert!(attempts[0]["thread"].is_string() && attempts[0]["turn"].is_string(), "{}", attempts[0]);
    assert!(output.stdout.contains(attempts[0]["thread"].as_str().expect("a thread")), "Codex names the same thread");
    testkit::wait::expect("everything to end with Codex", || setup.survivors().is_empty());
}

#[test]
fn calls_of_a_sub_agent_are_recorded_with_the_thread_that_started_it() {
    let Some(peers) = Peers::with(&[Peers::node, Peers::codex]) else { return };
    let setup = Setup::new().server("fx", &[], "");
    setup.run(&["mcp", "tools"]).within(LONG).run().ok();
    let spawn = Turn::call("multi_agent_v1", "spawn_agent", &json!({"message": "help me"}));
    let user = vec![spawn, echo("parent"), Turn::say("done").after("subagent")];
    let model = Model::start([("user", user), ("subagent", vec![echo("child"), Turn::say("helped")])]);
    let home = codex_home(&setup, &model, &["--only", "fx"]);
    let output = exec(&setup, &peers, home.path());
    assert_eq!(output.status, Some(0), "{output:#?}");
    let attempts = attempts(&setup);
    let (children, parents): (Vec<_>, Vec<_>) =
        attempts.iter().partition(|attempt| attempt["parent_thread"].is_string());
    assert_eq!((children.len(), parents.len()), (1, 1), "{attempts:#?}\n{output:#?}");
    let (child, parent) = (children[0], parents[0]);
    assert_eq!(child["parent_thread"], parent["thread"]);
    assert_ne!(child["thread"], parent["thread"]);
    assert!(child["turn"].is_string() && parent["turn"].is_string() && child["turn"] != parent["turn"]);
}

#[test]
fn a_call_that_nobody_can_approve_is_refused_in_words_the_model_gets() {
    let Some(peers) = Peers::with(&[Peers::node, Peers::codex]) else { return };
    let setup = Setup::new().server("fx", &[], "tools.echo.approval_mode = \"prompt\"");
    setup.run(&["mcp", "tools"]).within(LONG).run().ok();
    let model = Model::start([("user", vec![echo("x"), Turn::say("done")])]);
    let home = codex_home(&setup, &model, &["--only", "fx"]);
    let output = exec(&setup, &peers, home.path());
    assert_eq!(calls(&output)[0]["status"], "failed", "{output:#?}");
    let told = model.requests("user")[1].to_string();
    assert!(told.contains("approval_mode"), "{told}");
}

/// What Codex does with each tool of the workspace, and a part of what comes of it.
fn workspace_errand() -> Vec<(&'static str, Value, &'static str)> {
    let patch = "*** Begin Patch\n*** Add File: src/lib.rs\n+pub fn one() {}\n*** Update File: README.md\n-old\n+new\n\
                 *** Delete File: gone.txt\n*** Update File: from.txt\n*** Move to: src/to.txt\n-a\n+b\n*** End Patch\n";
    vec![
        ("write_file", json!({"path": "README.md", "content": "old\n"}), "4 bytes"),
        ("write_file", json!({"path": "gone.txt", "content": "x\n"}), "2 bytes"),
        ("write_file", json!({"path": "from.txt", "content": "a\n"}), "2 bytes"),
        ("apply_patch", json!({"patch": patch}), "src/lib.rs"),
        ("read_file", json!({"path": "README.md"}), "new"),
        ("list_directory", json!({"path": "src"}), "to.txt"),
        ("execute_command", json!({"command": "cat src/lib.rs src/to.txt"}), "pub fn one() {}"),
    ]
}

#[test]
fn codex_calls_every_tool_of_the_workspace_and_edits_many_files_by_one_patch() {
    let Some(peers) = Peers::with(&[Peers::node, Peers::codex]) else { return };
    let setup = Setup::new();
    let errand = workspace_errand();
    let calls_of = errand.iter().map(|(tool, arguments, _)| Turn::call("mcp__gate", tool, arguments));
    let model = Model::start([("user", calls_of.chain([Turn::say("done")]).collect())]);
    let home = codex_home(&setup, &model, &["--profile", "workspace"]);
    unasked(&home);
    let output = exec(&setup, &peers, home.path());
    assert_eq!(output.status, Some(0), "{output:#?}");
    let shown = shown(&model.requests("user")[0]);
    let calls = calls(&output);
    assert_eq!(calls.len(), errand.len(), "{output:#?}");
    for (call, (tool, _, expected)) in calls.iter().zip(&errand) {
        assert!(shown.contains(&(*tool).to_owned()), "{tool}: {shown:?}");
        let unheld = call.to_string().contains("sandbox_unavailable");
        assert!(unheld || call["status"] == "completed", "{call}");
        assert!(
            unheld || call["result"]["content"][0]["text"].as_str().is_some_and(|text| text.contains(expected)),
            "{call}"
        );
    }
    let read = |path: &str| std::fs::read_to_string(setup.home.work().join(path)).ok();
    let found = ["src/lib.rs", "README.md", "gone.txt", "from.txt", "src/to.txt"].map(read);
    let expected = [Some("pub fn one() {}\n"), Some("new\n"), None, None, Some("b\n")];
    assert_eq!(found.each_ref().map(Option::as_deref), expected);
    let attempts = attempts(&setup);
    assert!(attempts.iter().all(|attempt| attempt["server"] == "workspace"), "{attempts:#?}");
    assert_eq!(attempts.len(), errand.len(), "all of it is on record");
}
