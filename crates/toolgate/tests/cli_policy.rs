//! `toolgate policy`, as the real binary does it: over what a real server was seen to offer, and over what it was not.

mod common;

use common::Setup;
use serde_json::{Value, json};
use testkit::cli::Cmd;

const RULES: &str = r#"
[[policy.rules]]
id = "no-deletions"
server = "fx"
tool = "delete_*"
outcome = "deny"
reason = "nothing is deleted from here"

[[policy.rules]]
id = "echo-short"
tool = "echo"
args = { text = { max_len = 5 } }
outcome = "allow"

[[policy.rules]]
id = "tokens-ask"
principal = "token"
tool = "echo"
outcome = "ask"
"#;

/// A server that was seen, and the rules.
fn seen() -> Setup {
    let setup = unseen();
    setup.run(&["mcp", "tools", "--json"]).run().ok();
    setup
}

fn unseen() -> Setup {
    Setup::new().server("fx", &[], "").top(RULES)
}

/// What a command that ends with `code` said, on both streams.
fn fails(command: Cmd, code: i32) -> String {
    let output = command.run();
    assert_eq!(output.status, Some(code), "{output:#?}");
    output.stdout + &output.stderr
}

fn explained(setup: &Setup, args: &[&str]) -> Value {
    setup.run(&[&["policy", "explain"], args, &["--json"]].concat()).run().json()
}

#[test]
fn a_decision_is_explained_with_its_rule_and_place() {
    let setup = seen();
    let why = explained(&setup, &["fx__delete_thing"]);
    assert_eq!(
        (&why["schema"], &why["outcome"], &why["rule"], &why["seen"]),
        (&json!("toolgate.policy.explain/1"), &json!("deny"), &json!("no-deletions"), &json!(true))
    );
    assert!(why["place"].as_str().expect("a place").ends_with("toolgate.toml:2:1"), "{why}");
    let text = setup.run(&["policy", "explain", "fx", "delete_thing"]).run().ok();
    assert!(text.starts_with("deny: `delete_thing` of `fx`, called by local\n"), "{text}");
    assert!(text.contains("nothing is deleted from here") && text.contains("echo-short"), "{text}");
}

#[test]
fn arguments_and_callers_make_a_difference() {
    let setup = seen();
    let outcome = |args: &[&str]| explained(&setup, args)["outcome"].clone();
    assert_eq!(outcome(&["fx", "echo", "--args", r#"{"text":"hi"}"#]), "allow");
    assert_eq!(outcome(&["fx", "echo", "--args", r#"{"text":"hi"}"#, "--as", "token"]), "ask");
    let long = explained(&setup, &["fx", "echo", "--args", r#"{"text":"far too long"}"#]);
    let considered = long["considered"].as_array().expect("a list");
    let short = considered.iter().find(|one| one["rule"] == "echo-short").expect("it was looked at");
    assert_eq!(short["matched"], "no", "{long}");
}

#[test]
fn a_call_is_read_from_a_file() {
    let setup = seen();
    let call = json!({"principal": "token", "server": "fx", "tool": "echo", "args": {"text": "hi"}});
    setup.home.write("call.json", call.to_string());
    let path = setup.home.codex().join("call.json");
    let why = explained(&setup, &[path.to_str().expect("a path")]);
    assert_eq!((&why["outcome"], &why["rule"]), (&json!("ask"), &json!("tokens-ask")));
    setup.home.write("call.json", "{\"tol\": 1}");
    fails(setup.run(&["policy", "explain", path.to_str().expect("a path")]), 2);
}

#[test]
fn a_tool_never_seen_is_decided_by_what_is_not_known_of_it() {
    let setup = unseen();
    let why = explained(&setup, &["fx__echo"]);
    assert_eq!((&why["seen"], &why["class"]["read_only"]), (&json!(false), &json!(false)));
    let text = setup.run(&["policy", "explain", "fx__delete_it"]).run().ok();
    assert!(text.contains("never seen"), "{text}");
    assert!(setup.heard("fx").is_empty(), "the server was started");
    fails(setup.run(&["policy", "explain", "nobody", "tool"]), 1);
    fails(setup.run(&["policy", "explain", "tool"]), 1);
    fails(setup.run(&["policy", "explain", "fx", "echo", "--as", "me"]), 2);
}

#[test]
fn lint_finds_mistakes_with_their_place_and_fails_on_errors_alone() {
    let clean = seen();
    let report = clean.run(&["policy", "lint", "--json"]).run().json();
    assert_eq!((&report["schema"], &report["errors"]), (&json!("toolgate.policy.lint/1"), &json!(0)));
    let wrong = seen().top("[[policy.rules]]\nid = \"typo\"\nserver = \"xf\"\noutcome = \"deny\"");
    let text = fails(wrong.run(&["policy", "lint"]), 1);
    assert!(text.contains("typo") && text.contains("toolgate.toml:1:1") && text.contains("`xf`"), "{text}");
    // And nothing runs with it.
    let text = fails(wrong.run(&["mcp", "call", "fx__echo", "--arg", "text=hi"]), 2);
    assert!(text.contains("toolgate.toml:1:1"), "{text}");
}

#[test]
fn cases_are_tested_and_a_mismatch_fails() {
    let setup = unseen();
    let passing = r#"
[[case]]
name = "no deletions"
server = "fx"
tool = "delete_thing"
expect = "deny"
rule = "no-deletions"
[[case]]
server = "fx"
tool = "echo"
args = { text = "hi" }
expect = "allow"
[[case]]
principal = "token"
server = "fx"
tool = "echo"
args = { text = "hi" }
expect = "ask"
[[case]]
server = "fx"
tool = "look"
annotations = { readOnlyHint = true }
expect = "allow"
[[case]]
server = "fx"
tool = "look"
expect = "ask"
"#;
    setup.home.write("cases.toml", passing);
    let path = setup.home.codex().join("cases.toml");
    let test = || setup.run(&["policy", "test", path.to_str().expect("a path")]);
    let text = test().run().ok();
    assert!(text.contains("no deletions") && text.contains("case 5") && !text.contains("FAILED"), "{text}");
    setup.home.write("cases.toml", passing.replace("expect = \"deny\"", "expect = \"ask\""));
    assert!(fails(test(), 1).contains("1 of 5 cases"));
    setup.home.write("cases.toml", passing.replace("rule = \"no-deletions\"", "rule = \"other\""));
    fails(test(), 1);
    setup.home.write("cases.toml", passing.replace("expect = \"deny\"", "expect = \"maybe\""));
    assert!(fails(test(), 2).contains("cases.toml:6"));
    setup.home.write("cases.toml", "");
    fails(test(), 2);
}

#[test]
fn a_change_of_rules_is_told_by_whose_calls_it_changes() {
    let setup = seen();
    let now = std::fs::read_to_string(setup.home.codex().join("toolgate.toml")).expect("the configuration");
    setup.home.write("old.toml", now.replace("outcome = \"deny\"", "outcome = \"ask\""));
    let (old, new) = (setup.home.codex().join("old.toml"), setup.home.codex().join("toolgate.toml"));
    let (old, new) = (old.to_str().expect("a path"), new.to_str().expect("a path"));
    let report = setup.run(&["policy", "diff", old, new, "--json"]).run().json();
    assert_eq!(report["schema"], "toolgate.policy.diff/1");
    let changes = report["changes"].as_array().expect("a list");
    assert!(changes.iter().all(|change| change["tool"].as_str().is_some_and(|tool| tool.starts_with("delete_"))));
    assert_eq!(changes.iter().filter(|change| change["tool"] == "delete_thing").count(), 3, "{report}");
    assert_eq!(changes[0]["after"]["mildest"], "deny");
    let text = setup.run(&["policy", "diff", new, new]).run().ok();
    assert!(text.starts_with("Nothing changes"), "{text}");
    fails(setup.run(&["policy", "diff", "/nowhere/old.toml", new]), 1);
}

#[test]
fn a_managed_file_denies_what_users_allow() {
    let setup = unseen();
    setup.home.write("req.toml", "[[policy.rules]]\nid = \"above\"\ntool = \"echo\"\noutcome = \"deny\"\n");
    let path = setup.home.codex().join("req.toml");
    let why = setup
        .run(&["policy", "explain", "fx__echo", "--args", r#"{"text":"hi"}"#, "--json"])
        .env("TOOLGATE_REQUIREMENTS", path.to_str().expect("a path"))
        .run()
        .json();
    assert_eq!((&why["outcome"], &why["rule"], &why["layer"]), (&json!("deny"), &json!("above"), &json!("managed")));
}
