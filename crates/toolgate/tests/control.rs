//! Commands that speak to the gates that run: `toolgate mcp restart` and `toolgate mcp reload`.

mod common;

use common::up::Up;
use common::{Setup, names};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use testkit::client::Client;
use testkit::wait;

fn restart(setup: &Setup, servers: &[&str]) -> Value {
    setup.run(&[&["mcp", "restart", "--json"], servers].concat()).run().json()
}

/// The one server of that name in the answers of all gates.
fn of<'a>(said: &'a Value, gate: u32, name: &str) -> &'a Value {
    let gates = said["gates"].as_array().expect("a list");
    let gate = gates.iter().find(|one| one["pid"] == gate).unwrap_or_else(|| panic!("{said}"));
    let servers = gate["servers"].as_array().expect("a list");
    servers.iter().find(|server| server["name"] == name).unwrap_or_else(|| panic!("{said}"))
}

fn serving(setup: &Setup) -> Client {
    let mut client = setup.client(&[]);
    assert_eq!(client.call("a__echo", &json!({"text": "up"})).text_block(), "up");
    client
}

/// How often the fixture was started, by what it logged.
fn starts(setup: &Setup, name: &str) -> usize {
    setup.heard(name).iter().filter(|line| line.to_string().contains("initialize\"")).count()
}

#[test]
fn where_no_gate_runs_there_is_nothing_to_restart() {
    let setup = Setup::new().server("a", &[], "");
    let ran = setup.run(&["mcp", "restart"]).run();
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), "no gate is running; nothing to restart\n"));
    assert_eq!(setup.run(&["mcp", "reload"]).run().ok(), "no gate is running; nothing to reload\n");
    let ran = setup.run(&["mcp", "restart", "nobody"]).run();
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("No MCP server named 'nobody' found."), "{ran:?}");
}

#[test]
fn every_gate_restarts_what_runs_in_it_and_says_which_processes() {
    let setup = Setup::new().server("a", &[], "").server("b", &[], "");
    let (mut one, mut other) = (serving(&setup), serving(&setup));
    let before = starts(&setup, "a");
    let said = restart(&setup, &["a"]);
    for client in [&one, &other] {
        let a = of(&said, client.pid(), "a");
        assert!(a["old_pid"].is_u64() && a["new_pid"].is_u64() && a["old_pid"] != a["new_pid"], "{said}");
        assert_eq!((&a["state"], &a["restarted"]), (&json!("connected"), &json!(true)));
        let old = a["old_pid"].as_u64().expect("a process");
        assert!(!std::path::Path::new(&format!("/proc/{old}")).exists(), "it was stopped");
    }
    assert!(starts(&setup, "a") >= before + 2);
    for client in [&mut one, &mut other] {
        assert_eq!(client.call("a__echo", &json!({"text": "again"})).text_block(), "again");
    }
    // All, by name or not: what does not run is not started.
    let said = restart(&setup, &[]);
    assert_eq!(of(&said, one.pid(), "b")["restarted"], json!(false), "{said}");
    let text = setup.run(&["mcp", "restart", "a"]).run().ok();
    assert!(text.contains(&format!("gate {}: a ", one.pid())) && text.contains(" → "), "{text}");
    let socket = setup.home.codex().join(format!("toolgate/run/{}.sock", one.pid()));
    assert_eq!(std::fs::metadata(&socket).expect("a socket").permissions().mode() & 0o777, 0o600);
    assert!(one.close().success() && other.close().success());
    assert!(!socket.exists(), "it went with its gate");
    assert!(wait::until(wait::PATIENCE, || setup.survivors().is_empty()), "{:?}", setup.survivors());
}

#[test]
fn a_call_under_way_gets_an_error_and_does_not_hang() {
    let setup = Setup::new().server("a", &[], "");
    let mut client = serving(&setup);
    let waiting = client.start("tools/call", &json!({"name": "a__hang", "arguments": {}}));
    assert!(wait::until(wait::PATIENCE, || setup.heard("a").iter().any(|line| line.to_string().contains("\"hang\""))));
    restart(&setup, &["a"]);
    let answer = client.answer(waiting).json();
    assert!(answer.to_string().contains("is being stopped"), "{answer}");
    assert_eq!(client.call("a__echo", &json!({"text": "after"})).text_block(), "after");
}

#[test]
fn a_restart_starts_nothing_that_policy_keeps_from_starting() {
    let setup = Setup::new().server("a", &[], "");
    let mut client = serving(&setup);
    let written = setup.home.read("toolgate.toml");
    let barred = written.replace("[mcp_servers.a]\n", "[mcp_servers.a]\nenabled = false\n");
    setup.home.write("toolgate.toml", barred);
    let ran = setup.run(&["mcp", "restart", "a", "--json"]).run();
    let said: Value = serde_json::from_str(&ran.stdout).expect("an answer");
    assert_eq!(said["gates"][0]["servers"], json!([]), "{said}");
    let error = client.call("a__echo", &json!({"text": "x"})).json();
    assert!(error["error"].is_object(), "{error}");
    assert!(wait::until(wait::PATIENCE, || setup.survivors().len() <= 1), "{:?}", setup.survivors());
}

#[test]
fn a_reload_says_what_changed_or_what_is_wrong() {
    let setup = Setup::new().server("a", &[], "");
    let up = Up::start(&setup, &[]);
    let written = setup.home.read("toolgate.toml");
    let text = setup.run(&["mcp", "reload"]).run().ok();
    assert!(text.contains("nothing changed") || text.contains("settings changed"), "{text}");
    let setup = setup.server("b", &[], "");
    let said = setup.run(&["mcp", "reload", "--json"]).run().json();
    assert_eq!(said["schema"], "toolgate.reload/1");
    // The watch may have been faster.
    let changed = said["gates"][0]["changed"].as_str().expect("a line").to_owned();
    assert!(changed.contains("added b") || changed == "nothing changed", "{said}");
    setup.home.write("toolgate.toml", format!("{written}\n[mcp_servers.c\n"));
    let ran = setup.run(&["mcp", "reload"]).run();
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("not in force") && ran.stdout.contains("toolgate.toml:"), "{ran:?}");
    // The watch and the order tell the same gate of the same mistake.
    setup.home.write("toolgate.toml", &written);
    setup.run(&["mcp", "reload"]).run().ok();
    let bad = written.replace("[mcp_servers.a]\n", "[mcp_servers.a]\nstartup_timeout_sec = \"soon\"\n");
    setup.home.write("toolgate.toml", bad);
    assert_eq!(setup.run(&["mcp", "reload"]).run().status, Some(1));
    let ran = setup.run(&["mcp", "status"]).run();
    assert!(ran.stderr.contains("goes on by what was written before"), "{ran:?}");
    setup.home.write("toolgate.toml", format!("{written}\n[limits]\nmax_concurrent_calls = 7\n"));
    let said = setup.run(&["mcp", "reload", "--json"]).run().json();
    assert_eq!(said["gates"][0]["ok"], json!(true), "{said}");
    let mut client = setup.client(&[]);
    let tools = names(&client.request("tools/list", &json!({})).result());
    assert!(tools.contains(&"a__echo".to_owned()), "{tools:?}");
    assert!(up.terminate().success());
}

#[test]
fn a_gate_that_was_killed_is_no_gate() {
    let setup = Setup::new().server("a", &[], "");
    let client = serving(&setup);
    let socket = setup.home.codex().join(format!("toolgate/run/{}.sock", client.pid()));
    assert!(socket.exists());
    drop(client);
    assert!(socket.exists(), "nobody took it away");
    let text = setup.run(&["mcp", "restart"]).run().ok();
    assert_eq!(text, "no gate is running; nothing to restart\n");
    assert!(!socket.exists());
}
