//! Files of steps over several servers, and whether servers are well, through the real binary.

mod common;

use common::{Setup, TOOLGATE};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use testkit::wait;

fn two() -> Setup {
    Setup::new().server("one", &[], "").server("two", &[], "")
}

/// Whether the server `name` was asked to run a tool.
fn called(setup: &Setup, name: &str) -> bool {
    setup.heard(name).iter().any(|line| line.to_string().contains("tools/call"))
}

/// Runs a file of these steps to an exit status.
#[track_caller]
fn check(setup: &Setup, steps: &Value, args: &[&str], status: i32) -> (Value, String) {
    let file = setup.home.write("steps.json", json!({"steps": steps}).to_string()).display().to_string();
    let output = setup.run(&[&["mcp", "run", &file, "--json"], args].concat()).run();
    assert_eq!(output.status, Some(status), "{output:#?}");
    (serde_json::from_str(&output.stdout).unwrap_or_default(), output.stderr)
}

#[test]
fn a_step_uses_what_a_step_on_another_server_answered() {
    let setup = two();
    let steps = json!([
        {"id": "a", "call": "one__echo_raw", "args": {"list": [{"n": "${args.n}"}], "who": "${args.who}"}},
        {"id": "b", "call": "two__echo_raw", "args": {
            "typed": "${steps.a.structuredContent.list.0.n}", "text": "n=${steps.a.structuredContent.list.0.n}!"}},
        {"call": "one__echo", "args": {"text": "${steps.b.structuredContent.text} ${steps.a.structuredContent.who}"}},
    ]);
    let (report, _) = check(&setup, &steps, &["--arg", "n=7", "--arg", "who=Ada"], 0);
    assert_eq!((&report["schema"], &report["ok"]), (&"toolgate.run/1".into(), &json!(true)), "{report}");
    assert_eq!(report["steps"][1]["result"]["structuredContent"], json!({"typed": 7, "text": "n=7!"}));
    assert_eq!(report["steps"][2]["result"]["content"][0]["text"], "n=7! Ada");
    assert_eq!((&report["steps"][2]["id"], &report["steps"][2]["call"]), (&"3".into(), &"one__echo".into()));
    let recorded = setup.events().iter().filter(|event| event["event"] == "attempt").count();
    assert_eq!(recorded, 3, "each call is on record");
}

#[test]
fn nothing_is_called_when_the_file_cannot_be_run_to_its_end() {
    let setup = two();
    let steps = json!([{"call": "one__echo"}, {"call": "two__echo", "args": {"text": "${steps.nobody.text}"}}]);
    let (_, err) = check(&setup, &steps, &[], 2);
    assert!(err.contains("refers to no step before it"), "{err}");
    let steps = json!([{"call": "one__echo"}, {"call": "two__echo", "args": {"text": "${args.who}"}}]);
    let (_, err) = check(&setup, &steps, &[], 2);
    assert!(err.contains("--arg who=VALUE"), "{err}");
    assert_eq!((setup.heard("one").len(), setup.heard("two").len()), (0, 0), "a server was started");
}

#[test]
fn a_step_that_fails_ends_it_unless_it_may_fail() {
    let setup = two();
    let steps = |on_error: &str| {
        json!([
            {"id": "bad", "call": "one__fail", "args": {"text": "no luck"}, "on_error": on_error},
            {"id": "next", "call": "two__echo", "args": {"text": "after: ${steps.bad.text}"}},
        ])
    };
    let (report, err) = check(&setup, &steps("stop"), &[], 1);
    assert_eq!((&report["ok"], &report["steps"][0]["ok"]), (&json!(false), &json!(false)));
    assert_eq!(report["steps"][0]["error"], json!({"code": "tool.failed", "message": "no luck"}));
    assert_eq!(report["steps"][1]["skipped"], "a step before it failed");
    assert!(err.contains("step `bad` failed: no luck"), "{err}");
    assert_eq!(setup.heard("two").len(), 0, "the server of the next step was started");
    let (report, _) = check(&setup, &steps("continue"), &[], 0);
    assert_eq!(report["steps"][1]["result"]["content"][0]["text"], "after: no luck");
}

#[test]
fn a_call_that_needs_a_person_needs_one_here_too() {
    let setup = two();
    let (report, err) = check(&setup, &json!([{"call": "one__write_thing", "args": {"text": "x"}}]), &[], 1);
    assert_eq!(report["steps"][0]["error"]["code"], "approval.refused", "{report}");
    assert!(err.contains("approval.refused"), "{err}");
    assert!(!called(&setup, "one"), "the server was called");
}

#[test]
fn a_step_is_called_when_its_condition_holds() {
    let setup = two();
    let when = |equals: u32| json!({"value": "${steps.a.structuredContent.n}", "equals": equals});
    let steps = json!([
        {"id": "a", "call": "one__echo_raw", "args": {"n": 2}},
        {"id": "no", "call": "two__echo", "args": {"text": "x"}, "when": when(1)},
        {"id": "yes", "call": "one__echo", "args": {"text": "y"}, "when": when(2)},
    ]);
    let (report, _) = check(&setup, &steps, &[], 0);
    assert_eq!(
        (&report["steps"][1]["ok"], &report["steps"][1]["skipped"]),
        (&json!(true), &"its `when` does not hold".into())
    );
    assert_eq!(report["steps"][2]["result"]["content"][0]["text"], "y");
    assert!(called(&setup, "one"));
    assert_eq!(setup.heard("two").len(), 0, "a server was started whose step is not called");
}

#[test]
fn a_plan_shows_what_would_be_called_and_calls_nothing() {
    let setup = two();
    setup.run(&["mcp", "refresh", "one"]).run().ok();
    let before = setup.heard("one").len();
    let steps = json!([
        {"id": "a", "call": "one__echo", "args": {"text": "${args.who}"}},
        {"call": "one__write_thing", "args": {"text": "${steps.a.text} and ${args.who}"}},
        {"call": "two__echo", "when": {"value": "${steps.a.text}"}},
    ]);
    let (plan, _) = check(&setup, &steps, &["--arg", "who=Ada", "--dry-run"], 0);
    assert_eq!(plan["steps"][0]["args"], json!({"text": "Ada"}));
    assert_eq!(plan["steps"][1]["args"], json!({"text": "${steps.a.text} and Ada"}));
    let decisions: Vec<_> = (0..3).map(|step| plan["steps"][step]["decision"].clone()).collect();
    assert_eq!(decisions, [json!("allow"), json!("ask"), Value::Null]);
    assert_eq!((setup.heard("one").len(), setup.heard("two").len()), (before, 0));
}

#[test]
fn health_is_a_ping_of_every_server_at_once() {
    let setup = two();
    let ok = setup.run(&["mcp", "health", "--json"]).run().json();
    assert_eq!((&ok["schema"], &ok["ok"]), (&"toolgate.health/1".into(), &json!(true)));
    assert!(ok["servers"][0]["ms"].is_u64() && ok["servers"][1]["state"] == "connected", "{ok}");
    let setup = setup.server("dead", &["--exit-at-start", "3"], "").top("[mcp_servers.gone]\ncommand = \"no-such-program\"\n[mcp_servers.bad]\ncommand = 7\n[mcp_servers.off]\ncommand = \"x\"\nenabled = false");
    let output = setup.run(&["mcp", "health"]).run();
    assert_eq!(output.status, Some(1), "{output:#?}");
    for (server, word) in
        [("one", "healthy"), ("dead", "crashed"), ("gone", "missing_command"), ("bad", "misconfigured")]
    {
        let line = output.stdout.lines().find(|line| line.starts_with(server)).unwrap_or_default();
        assert!(line.contains(word), "{server}: {}", output.stdout);
    }
    assert!(!output.stdout.contains("off") && output.stderr.contains("3 of 5 servers are not healthy"), "{output:#?}");
    assert_eq!(setup.run(&["mcp", "health", "off"]).run().status, Some(4));
}

#[test]
fn a_watch_tells_when_a_server_ceases_to_be_healthy() {
    let script = format!("test -e closed && exit 3; exec {}", testkit::bin("fixture-hostile").display());
    let setup = Setup::new().entry("x", "sh", &["-c".to_owned(), script], "");
    let args = ["mcp", "health", "--watch", "--interval", "1", "--threshold", "1", "--json"];
    let mut command = setup.home.command(TOOLGATE, args);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut next =
        || -> Value { serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("an object") };
    assert_eq!(next()["healthy"], true);
    std::fs::write(setup.home.work().join("closed"), "").expect("a file");
    for pid in setup.survivors().into_iter().filter(|pid| *pid != child.id()) {
        let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
        // What ended meanwhile is as good as killed.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    let fallen = next();
    assert_eq!((&fallen["server"], &fallen["healthy"], &fallen["failures"]), (&"x".into(), &json!(false), &json!(1)));
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    let mut status = None;
    wait::expect("the watch to end", || {
        status = child.try_wait().expect("our child");
        status.is_some()
    });
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
}
