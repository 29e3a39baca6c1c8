//! What people are told when something does not work: the four common problems, and where to look next.

mod common;

use common::replay::Reader;
use common::{Setup, TOOLGATE};
use serde_json::{Value, json};

/// Runs `args` and looks for each of `says` in what comes out for people.
#[track_caller]
fn check(setup: &Setup, args: &[&str], exit: i32, says: &[&str]) {
    let output = setup.run(args).run();
    assert_eq!(output.status, Some(exit), "{output:?}");
    for text in says {
        assert!(output.stderr.contains(text), "{text}: {output:?}");
    }
}

#[test]
fn the_page_on_troubles_shows_what_happens() {
    let reader = Reader::new(&[("toolgate", TOOLGATE.into()), ("my-server", testkit::bin("fixture-hostile"))]);
    reader.follow("troubleshooting.md");
}

#[test]
fn a_server_nobody_has_is_answered_with_where_was_looked() {
    let setup = Setup::new().server("github", &[], "");
    let file = setup.home.codex().join("toolgate.toml");
    let looked = format!("did you mean `github`? looked in {} and `-c`", file.display());
    check(&setup, &["mcp", "get", "gihtub"], 1, &["No MCP server named 'gihtub' found.", &looked]);
    check(&Setup::new(), &["mcp", "get", "x"], 1, &["(no file is there yet)"]);
}

#[test]
fn a_tool_nobody_has_is_answered_with_how_its_server_stands() {
    let setup = Setup::new().server("x", &[], "").top("[mcp_servers.off]\ncommand = \"a\"\nenabled = false");
    check(&setup, &["mcp", "call", "x__ecko"], 1, &["Unknown tool: x__ecko", "server `x` is", "`x__echo`"]);
    check(&setup, &["mcp", "call", "off__a"], 1, &["Unknown tool: off__a", "server `off` is disabled (user); "]);
    let output = setup.run(&["mcp", "call", "zzz"]).run();
    assert!(!output.stderr.contains("server `"), "it is named after none: {output:?}");
}

#[test]
fn a_program_that_leaves_after_a_word_is_no_server_and_one_that_breaks_is() {
    let says = |script: &str, state: &str| {
        let setup = Setup::new().entry("x", "sh", &["-c".into(), script.into()], "");
        let output = setup.run(&["mcp", "test", "x", "--json"]).run();
        let report: Value = serde_json::from_str(&output.stdout).expect("a report");
        assert_eq!(report["state"], state, "{report}");
        report["stderr"].clone()
    };
    assert_eq!(says("echo debug", "protocol_error"), json!(["(on standard output) debug"]));
    says("echo usage: x FILE; exit 2", "protocol_error");
    assert_eq!(says("echo broken >&2; exit 2", "crashed"), json!(["broken"]));
    says("exit 0", "crashed");
}

#[test]
fn what_a_gate_logged_about_a_server_is_one_command_away() {
    let script = "echo \"token $API_TOKEN, and no more\" >&2; exit 4";
    let setup = Setup::new().entry("x", "sh", &["-c".into(), script.into()], "").server("y", &[], "");
    let mut client = setup.client(&[]);
    client.request("tools/list", &json!({}));
    drop(client);
    let text = setup.run(&["mcp", "list", "--verbose"]).run().ok();
    let logged: Vec<_> = text.lines().filter(|line| line.contains("logged: ")).collect();
    assert!(logged.iter().any(|line| line.contains("stderr: token") && line.contains("and no more")), "{text}");
    assert!(logged.iter().any(|line| line.contains("server `x` ended with exit status 4")), "{text}");
    assert!(!text.contains("s3cr3t"), "{text}");
    let list = setup.run(&["mcp", "list", "--verbose", "--json"]).run().json();
    let lines = |at: usize| list[at]["log_lines"].as_array().expect("lines").clone();
    assert!(!lines(0).is_empty() && lines(1).iter().all(|line| !line.to_string().contains("token")), "{list}");
}
