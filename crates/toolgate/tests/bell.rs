//! A question that waits for a person is told on the desktop, by the real binary and a program in `notify-send`'s place.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::Setup;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use testkit::wait;

/// A gate whose server asks before each call, and where its desktop writes down what it is told.
fn desktop(top: &str) -> (Setup, String, PathBuf) {
    let setup = Setup::new().server("fx", &[], "default_tools_approval_mode = \"prompt\"").top(top);
    let programs = setup.home.path().join("programs");
    let told = setup.home.path().join("home/told");
    fs::create_dir_all(&programs).unwrap();
    fs::create_dir_all(told.parent().unwrap()).unwrap();
    let script = "#!/bin/sh\n{ cat \"$HOME/told\"; printf '%s\\n' \"$@\"; env; } > \"$HOME/telling\"; mv \"$HOME/telling\" \"$HOME/told\"\n";
    fs::write(programs.join("notify-send"), script).unwrap();
    fs::set_permissions(programs.join("notify-send"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display());
    (setup, path, told)
}

/// Calls without a terminal: a question stays open.
fn call(setup: &Setup, path: &str, display: &str, text: &str) {
    let text = format!("text={text}");
    let args = ["mcp", "call", "fx__echo", "--arg", &text];
    let args = ["--wait", common::TOOLGATE].iter().chain(&args);
    let ran = setup.home.cmd("setsid", args).env("PATH", path).env("DISPLAY", display).env("API_KEY", "k").run();
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("toolgate approvals approve"), "{ran:?}");
}

#[test]
fn a_question_is_told_on_the_desktop_without_its_arguments() {
    let (setup, path, told) = desktop("");
    call(&setup, &path, ":9", "s3cret-argument");
    wait::expect("the notification", || told.exists());
    let text = fs::read_to_string(&told).unwrap();
    let list = setup.run(&["approvals", "list", "--json"]).run().json();
    let id = list[0]["id"].as_str().unwrap();
    assert!(text.contains("fx") && text.contains("echo") && text.contains(&format!("approvals show {id}")), "{text}");
    assert!(!text.contains("s3cret") && !text.contains("API_KEY"), "{text}");
}

#[test]
fn nothing_rings_where_the_operator_does_not_want_it_or_there_is_no_desktop() {
    for (top, display) in [("[approvals]\nnotify = false", ":9"), ("", "")] {
        let (setup, path, told) = desktop(top);
        call(&setup, &path, display, "first");
        // What it would have started has had its time when the next one has been heard.
        setup.home.write("toolgate.toml", setup.home.read("toolgate.toml").replace("notify = false", ""));
        call(&setup, &path, ":9", "second");
        wait::expect("the notification", || told.exists());
        let list = setup.run(&["approvals", "list", "--json"]).run().json();
        let rung = fs::read_to_string(&told).unwrap();
        let of = |at: usize| rung.contains(list[at]["id"].as_str().unwrap());
        assert!(!of(0) && of(1), "{top} {display}: {rung}");
    }
}
