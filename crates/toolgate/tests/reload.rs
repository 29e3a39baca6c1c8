//! A gate that runs follows its configuration: what is added is there, what is removed is gone, what is changed is
//! replaced and nothing else; a broken edit takes nothing away; no call is lost on the way.

mod common;

use common::up::Up;
use common::{Setup, names};
use serde_json::{Value, json};
use std::time::Duration;
use testkit::cli::Home;
use testkit::client::Client;
use testkit::http::Request;
use testkit::wait;

/// What the running gate says of its servers.
fn status(up: &Up) -> Value {
    let request = Request::new("GET", &format!("{}/status", up.base)).header("Authorization", &up.bearer());
    serde_json::from_str(&request.send().expect("it answers").text().expect("a body")).expect("JSON")
}

fn of(status: &Value, name: &str) -> Value {
    let servers = status["servers"].as_array().expect("a list");
    servers.iter().find(|server| server["name"] == name).cloned().unwrap_or_default()
}

fn pid(up: &Up, name: &str) -> Option<u64> {
    of(&status(up), name)["pid"].as_u64()
}

/// Calls a tool over HTTP and gives back the whole answer.
fn call(up: &Up, path: &str, tool: &str, arguments: &Value) -> Value {
    let params = testkit::client::with_meta(json!({"name": tool, "arguments": arguments}), &json!({}));
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let request = Request::modern(&format!("{}{path}", up.base), &message).header("Authorization", &up.bearer());
    let response = request.send().expect("the gate answers");
    response.answer().unwrap_or(json!({"status": "no answer"}))
}

fn echoes(up: &Up, server: &str) -> bool {
    let answer = call(up, "/mcp", &format!("{server}__echo"), &json!({"text": "hi"}));
    answer["result"]["content"][0]["text"] == "hi"
}

/// The file with one thing in it replaced by another, as an editor writes it: beside, then over it.
fn edit(home: &Home, from: &str, to: &str) {
    let text = home.read("toolgate.toml");
    assert!(text.contains(from), "{from} is not in {text}");
    put(home, &text.replacen(from, to, 1));
}

fn put(home: &Home, text: &str) {
    let path = home.write("toolgate.toml.new", text);
    std::fs::rename(&path, path.with_extension("")).expect("renamed");
}

#[track_caller]
fn soon(what: &str, mut so: impl FnMut() -> bool) {
    assert!(wait::until(wait::PATIENCE, &mut so), "not in time: {what}");
}

/// The words of the ledger about servers and the configuration.
fn told(setup: &Setup, what: &str, server: &str) -> bool {
    setup.events().iter().any(|event| event["event"] == what && event["server"] == server)
}

#[test]
fn a_server_that_is_added_is_there_for_a_client_that_is_connected() {
    let setup = Setup::new().server("a", &[], "");
    let mut client = setup.client(&[]);
    let before = names(&client.request("tools/list", &json!({})).result());
    assert!(!before.iter().any(|name| name.starts_with("b__")), "{before:?}");
    let setup = setup.server("b", &[], "");
    let begun = wait::now();
    client.expect("notifications/tools/list_changed");
    assert_eq!(client.call("b__echo", &json!({"text": "new"})).text_block(), "new");
    // Two seconds on a machine that does nothing else.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let now = names(&client.request("tools/list", &json!({})).result());
    assert!(now.contains(&"b__echo".to_owned()), "{now:?}");
    assert!(told(&setup, "server_added", "b") && told(&setup, "config_changed", "toolgate"));
    let list = Setup::run(&setup, &["mcp", "remove", "b"]).run();
    assert_eq!(list.status, Some(0), "{list:?}");
    soon("it is gone", || {
        let now = names(&client.request("tools/list", &json!({})).result());
        !now.iter().any(|name| name.starts_with("b__"))
    });
    assert_eq!(client.call("a__echo", &json!({"text": "still"})).text_block(), "still");
    assert!(told(&setup, "server_removed", "b"));
    assert!(client.close().success());
    soon("nothing is left", || setup.survivors().is_empty());
}

#[test]
fn one_of_two_servers_is_edited_and_the_other_keeps_its_process() {
    let setup = Setup::new().server("a", &[], "").server("b", &[], "");
    let up = Up::start(&setup, &[]);
    assert!(echoes(&up, "a") && echoes(&up, "b"));
    let (a, b) = (pid(&up, "a"), pid(&up, "b"));
    assert!(a.is_some() && b.is_some());
    edit(&setup.home, "s3cr3t-of-b", "s3cr3t-of-new");
    soon("the edited one is another", || pid(&up, "b") != b && echoes(&up, "b"));
    assert_eq!(pid(&up, "a"), a, "its entry is what it was");
    assert!(told(&setup, "server_changed", "b") && !told(&setup, "server_changed", "a"));
    // Whoever had the secret before may still say it.
    let said = call(&up, "/mcp", "a__echo", &json!({"text": "s3cr3t-of-b and s3cr3t-of-new"}));
    assert_eq!(said["result"]["content"][0]["text"], "***** and *****");
    // What is broken takes nothing away, and says so.
    let good = setup.home.read("toolgate.toml");
    let b = pid(&up, "b");
    put(&setup.home, &format!("{good}\n[mcp_servers.c\n"));
    soon("the mistake is told", || status(&up)["config_error"]["place"].is_string());
    assert!(status(&up)["config_error"]["place"].as_str().is_some_and(|place| place.contains("toolgate.toml:")));
    assert!(echoes(&up, "a") && echoes(&up, "b"));
    assert_eq!((pid(&up, "a"), pid(&up, "b")), (a, b));
    assert!(told(&setup, "config_rejected", "toolgate"));
    put(&setup.home, &good);
    soon("all is well", || status(&up)["config_error"].is_null());
    assert_eq!((pid(&up, "a"), pid(&up, "b")), (a, b));
}

#[test]
fn one_bad_entry_keeps_its_server_and_harms_no_other() {
    let setup = Setup::new().server("a", &[], "").server("b", &[], "");
    let up = Up::start(&setup, &[]);
    assert!(echoes(&up, "a"));
    let a = pid(&up, "a");
    edit(&setup.home, "[mcp_servers.a]\n", "[mcp_servers.a]\nstartup_timeout_sec = \"soon\"\n");
    soon("the mistake is told", || status(&up)["config_error"]["message"].is_string());
    assert!(echoes(&up, "a"), "by what was written before");
    assert_eq!(pid(&up, "a"), a);
    edit(&setup.home, "[mcp_servers.b]\n", "[mcp_servers.b]\ndisabled_tools = [\"echo\"]\n");
    soon("the other follows", || !echoes(&up, "b"));
    assert!(echoes(&up, "a"));
}

#[test]
fn a_server_alone_comes_and_goes_at_its_own_address() {
    let setup = Setup::new().server("a", &[], "");
    let up = Up::start(&setup, &[]);
    let answers = |up: &Up| call(up, "/mcp/b", "echo", &json!({"text": "hi"}))["result"]["content"][0]["text"] == "hi";
    assert!(!answers(&up));
    let before = setup.home.read("toolgate.toml");
    let setup = setup.server("b", &[], "");
    soon("it is there", || answers(&up));
    put(&setup.home, &before);
    soon("it is gone", || !answers(&up));
    soon("it is told of no more", || of(&status(&up), "b").is_null());
}

#[test]
fn a_call_that_runs_ends_well_though_its_server_was_removed() {
    let setup = Setup::new().server("a", &[], "").server("b", &[], "");
    let up = Up::start(&setup, &[]);
    assert!(echoes(&up, "a"));
    let old = pid(&up, "a").expect("it runs");
    std::thread::scope(|scope| {
        let running = scope.spawn(|| call(&up, "/mcp", "a__slow", &json!({"ms": 3000, "steps": 1})));
        soon("the call is under way", || setup.heard("a").iter().any(|line| line.to_string().contains("\"slow\"")));
        let text = setup.home.read("toolgate.toml");
        let b = text.find("[mcp_servers.b]").expect("two servers");
        put(&setup.home, &text[b..]);
        soon("it is gone", || of(&status(&up), "a").is_null());
        let answer = running.join().expect("no panic");
        assert!(answer["result"]["content"].is_array(), "{answer}");
    });
    let gone = || !std::path::Path::new(&format!("/proc/{old}")).exists();
    soon("its process ends", gone);
}

#[test]
fn a_hangup_means_to_read_again_and_ends_nothing() {
    let setup = Setup::new().server("a", &[], "");
    let mut client = setup.client(&[]);
    assert_eq!(client.call("a__echo", &json!({"text": "one"})).text_block(), "one");
    let pid = i32::try_from(client.pid()).ok().and_then(rustix::process::Pid::from_raw).expect("a process");
    for n in 0..3 {
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("it is ours");
        let text = n.to_string();
        assert_eq!(client.call("a__echo", &json!({"text": text})).text_block(), text);
    }
    assert!(client.close().success());
}

#[test]
fn rules_that_change_while_a_person_is_asked_are_those_that_count() {
    let setup = Setup::new().server("a", &[], "");
    let secret = setup.home.path().join("approver.secret").display().to_string();
    setup.run(&["approvals", "secret", "--new", "--out", &secret]).run().ok();
    let up = Up::start(&setup, &[]);
    assert!(echoes(&up, "a"));
    let question = || -> Option<String> {
        let open = setup.run(&["approvals", "list", "--json"]).run().json();
        open[0]["id"].as_str().map(str::to_owned)
    };
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| call(&up, "/mcp", "a__write_thing", &json!({"name": "x"})));
        let id = wait::for_some(wait::PATIENCE, question).expect("it is asked");
        edit(&setup.home, "[mcp_servers.a]\n", "[mcp_servers.a]\ndisabled_tools = [\"write_thing\"]\n");
        soon("the rule is in force", || told(&setup, "config_changed", "toolgate"));
        setup.run(&["approvals", "approve", &id, "--secret-file", &secret]).run().ok();
        let answer = waiting.join().expect("no panic").to_string();
        assert!(answer.contains("changed while the question was open"), "{answer}");
    });
    assert!(setup.heard("a").iter().all(|line| !line.to_string().contains("write_thing\"")), "it ran");
}

/// Edits without pause, half of them broken, while calls run: none is lost, and in the end the last edit is in force.
#[test]
fn a_storm_of_edits_loses_no_call() {
    let setup = Setup::new().server("a", &[], "").server("b", &[], "");
    let up = Up::start(&setup, &[]);
    assert!(echoes(&up, "a") && echoes(&up, "b"));
    let a = pid(&up, "a");
    let text = setup.home.read("toolgate.toml");
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..20)
            .map(|n| {
                let up = &up;
                scope.spawn(move || {
                    let server = if n % 2 == 0 { "a" } else { "b" };
                    call(up, "/mcp", &format!("{server}__slow"), &json!({"ms": 100 * n, "steps": 1}))
                })
            })
            .collect();
        for n in 0.. {
            let broken = if n % 2 == 0 { "\n[mcp_servers.c\n" } else { "" };
            put(&setup.home, &format!("{}{broken}", text.replace("s3cr3t-of-b", &format!("s3cr3t-of-b{n}"))));
            if wait::until(Duration::from_millis(10), || calls.iter().all(|call| call.is_finished())) {
                break;
            }
        }
        for call in calls {
            let answer = call.join().expect("no panic");
            assert!(answer.get("result").or(answer.get("error")).is_some(), "{answer}");
        }
    });
    put(&setup.home, &text.replace("[mcp_servers.b]\n", "[mcp_servers.b]\ndisabled_tools = [\"echo\"]\n"));
    soon("the last edit is in force", || !echoes(&up, "b"));
    assert_eq!(pid(&up, "a"), a, "nobody touched it");
    assert!(echoes(&up, "a"));
    let base = up.base.clone();
    assert!(up.terminate().success(), "{base}");
    let events = setup.events();
    let ids = |kind: &str| -> Vec<String> {
        let of = events.iter().filter(|event| event["event"] == kind);
        let mut ids: Vec<_> = of.map(|event| event["id"].as_str().expect("an id").to_owned()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids("attempt"), ids("end"), "every call that began has ended");
    assert!(ids("attempt").len() >= 22);
    soon("nothing is left", || setup.survivors().is_empty());
}

/// A client hears of changed lists, and not of each edit.
#[test]
fn many_edits_are_few_notifications() {
    let setup = Setup::new().server("a", &[], "");
    let mut client: Client = setup.client(&[]);
    client.request("tools/list", &json!({}));
    let text = setup.home.read("toolgate.toml");
    for n in 0..40 {
        let disabled = format!("[mcp_servers.a]\ndisabled_tools = [\"tool{n}\"]\n");
        put(&setup.home, &text.replace("[mcp_servers.a]\n", &disabled));
    }
    put(&setup.home, &text.replace("[mcp_servers.a]\n", "[mcp_servers.a]\ndisabled_tools = [\"echo\"]\n"));
    client.expect("notifications/tools/list_changed");
    let mut further = 0;
    while let Some(message) = client.next_message(Duration::from_secs(1)) {
        further += usize::from(message.method() == "notifications/tools/list_changed");
    }
    assert!(further <= 3, "{further}");
    let tools = names(&client.request("tools/list", &json!({})).result());
    assert!(!tools.contains(&"a__echo".to_owned()) && !tools.is_empty(), "{tools:?}");
}
