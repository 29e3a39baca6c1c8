//! Real clients that use everything of the workspace: the Inspector, and the SDKs in Python and TypeScript, which hold
//! structured results against the schemas of their tools.
//!
//! Each test skips itself, with a reason, where its peers are not installed.

mod common;

use common::TOOLGATE;
use common::real::Peers;
use common::workspace::{Workspace, holds};
use serde_json::{Value, json};
use std::time::Duration;
use testkit::wait;

/// Interpreters start slowly on a busy machine.
const LONG: Duration = Duration::from_secs(120);
const SERVE: [&str; 5] = [TOOLGATE, "mcp", "serve", "--profile", "workspace"];
const TOOLS: [&str; 5] = ["execute_command", "apply_patch", "read_file", "write_file", "list_directory"];
const PROMPTS: [&str; 4] = ["code_review", "refactor", "generate_tests", "document"];

/// A workspace and what is needed of the peers, if commands can be held here.
fn ready(needed: &[fn(&Peers) -> String]) -> Option<(Workspace, Peers)> {
    let peers = Peers::with(needed)?;
    let workspace = Workspace::new();
    holds(&mut workspace.client()).then_some((workspace, peers))
}

fn texts(report: &Value, path: &str) -> Vec<String> {
    let list = report.pointer(path).and_then(Value::as_array).unwrap_or_else(|| panic!("no {path} in {report}"));
    list.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

/// Checks what a client of an SDK has seen.
#[track_caller]
fn all_was_used(workspace: &Workspace, report: &Value) {
    assert_eq!(texts(report, "/tools"), TOOLS);
    assert_eq!(texts(report, "/prompts"), PROMPTS);
    for (tool, member, expected) in [
        ("write_file", "/bytes", json!(8)),
        ("read_file", "/content", json!("two\n")),
        ("list_directory", "/entries/0/path", json!("docs")),
        ("apply_patch", "/files/1/path", json!("src/run.rs")),
        ("execute_command", "/stdout", json!("pub fn run() {}\n")),
    ] {
        let call = &report["calls"][tool];
        assert_ne!(call["isError"], true, "{call}");
        assert_eq!(call["structuredContent"].pointer(member), Some(&expected), "{call}");
    }
    assert_eq!(report["refused"]["isError"], true, "{report}");
    let progress = texts(report, "/progress").concat();
    assert!((1..=3).all(|step| progress.contains(&format!("step {step}"))), "{progress}");
    for held in ["cancelled", "updated"] {
        assert_eq!(report[held], true, "{held}");
    }
    assert!(report["asked_for_roots"].as_u64().is_some_and(|times| times > 0));
    assert_eq!(report["resources"]["project:///src/run.rs"], 16, "{}", report["resources"]);
    assert!(report["read"]["contents"][0]["text"].as_str().is_some_and(|text| text.contains("run()")));
    assert_eq!(report["prompt"]["messages"][1]["content"]["resource"]["text"], "pub fn run() {}\n");
    assert_eq!(report["completed"]["completion"]["values"], json!(["src/main.rs"]));
    assert_eq!(report["usual"]["completion"]["values"], json!(["pytest"]));
    wait::expect("nothing to be left", || workspace.setup.survivors().is_empty());
}

#[test]
fn the_python_sdk_uses_all_of_it_in_both_eras() {
    for (mode, version) in [("legacy", "2025-11-25"), ("2026-07-28", "2026-07-28")] {
        let Some((workspace, peers)) = ready(&[Peers::python]) else { return };
        let (root, script) = (workspace.root.display().to_string(), peers.script("workspace_py.py"));
        let args = [&[&*script, mode, &root], &SERVE[..]].concat();
        let report = workspace.setup.home.cmd(peers.python(), args).within(LONG).run().json();
        assert_eq!(report["version"], version);
        all_was_used(&workspace, &report);
    }
}

#[test]
fn the_typescript_sdk_uses_all_of_it() {
    let Some((workspace, peers)) = ready(&[Peers::node, Peers::ts_sdk]) else { return };
    let (root, script) = (workspace.root.display().to_string(), peers.script("workspace_ts.mjs"));
    let args = [&[&*script, &root], &SERVE[..]].concat();
    all_was_used(&workspace, &workspace.setup.home.cmd(peers.node(), args).within(LONG).run().json());
}

/// The Inspector, started in the workspace.
struct Inspector<'a> {
    workspace: &'a Workspace,
    peers: &'a Peers,
    serve: &'a [&'a str],
}

impl Inspector<'_> {
    fn ask(&self, args: &[&str]) -> Value {
        let (inspector, home) = (self.peers.inspector(), self.workspace.setup.home.codex().display().to_string());
        // It gives its servers an environment of its own.
        let home = format!("CODEX_HOME={home}");
        let args = [&[&*inspector, "--cli", "-e", &home], self.serve, args].concat();
        let root = self.workspace.root.display().to_string();
        self.workspace.setup.home.cmd(self.peers.node(), args).current_dir(root).within(LONG).run().json()
    }

    fn call(&self, tool: &str, arguments: &[&str]) -> Value {
        let result = self.ask(&[&["--method", "tools/call", "--tool-name", tool, "--tool-arg"], arguments].concat());
        assert_ne!(result["isError"], true, "{result}");
        result["structuredContent"].clone()
    }
}

#[test]
fn the_inspector_uses_all_of_it_and_finds_nothing_wrong_with_the_schemas() {
    let Some((workspace, peers)) = ready(&[Peers::node, Peers::inspector]) else { return };
    let inspector = Inspector { workspace: &workspace, peers: &peers, serve: &SERVE };
    // With this it ends badly over a schema that not every model's vendor takes.
    let tools = inspector.ask(&["--strict", "--method", "tools/list"]);
    assert_eq!(common::names(&tools), TOOLS);
    let patch =
        "patch=*** Begin Patch\n*** Update File: src/main.rs\n-fn main() {}\n+fn main() { run() }\n*** End Patch\n";
    assert_eq!(inspector.call("write_file", &["path=a.txt", "content=one"])["bytes"], 3);
    assert_eq!(inspector.call("read_file", &["path=a.txt"])["content"], "one");
    assert_eq!(inspector.call("list_directory", &["path=src"])["entries"][0]["path"], "main.rs");
    assert_eq!(inspector.call("apply_patch", &[patch])["files"][0]["action"], "updated");
    assert_eq!(inspector.call("execute_command", &["command=cat src/main.rs"])["stdout"], "fn main() { run() }\n");
    let resources = inspector.ask(&["--method", "resources/list"]).to_string();
    assert!(resources.contains("git://status") && resources.contains("project:///src/main.rs"), "{resources}");
    let read = inspector.ask(&["--method", "resources/read", "--uri", "project:///a.txt"]);
    assert_eq!(read["contents"][0]["text"], "one");
    let prompt = ["--method", "prompts/get", "--prompt-name", "document", "--prompt-args", "path=a.txt"];
    assert_eq!(inspector.ask(&prompt)["messages"][1]["content"]["resource"]["text"], "one");
}

#[test]
fn the_name_of_the_program_and_one_word_are_enough_for_the_inspector() {
    let Some((workspace, peers)) = ready(&[Peers::node, Peers::inspector]) else { return };
    let inspector = Inspector { workspace: &workspace, peers: &peers, serve: &[TOOLGATE, "mcp"] };
    let tools = common::names(&inspector.ask(&["--method", "tools/list"]));
    assert!(TOOLS.iter().all(|tool| tools.contains(&(*tool).to_owned())), "{tools:?}");
    assert_eq!(inspector.call("read_file", &["path=src/main.rs"])["content"], "fn main() {}\n");
}
