//! Servers in the bounds that their entry names, from the configuration to the record.

mod common;

use common::Setup;
use common::real::Peers;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;
use testkit::cli::MARK;
use testkit::{bin, wait};

/// Interpreters start slowly on a busy machine.
const LONG: Duration = Duration::from_secs(120);

/// A shell that does `first` and then is the fixture; whatever it prints on the way is its standard error.
fn after(setup: Setup, first: &str, bounds: &str) -> Setup {
    let fixture = bin("fixture-hostile");
    let script = format!("{{ {first}; }} >&2; exec {}", fixture.display());
    let read = format!("read = [{}]", json!(fixture.parent().expect("it lies in a directory")));
    let bounds = format!("[mcp_servers.x.sandbox]\n{bounds}\n{read}");
    setup.entry("x", "/bin/bash", &["-c".into(), script], "").top(&bounds)
}

/// Whether this machine can hold S4; says why not.
#[expect(clippy::print_stderr, reason = "a test that skips itself says why")]
fn holds(found: &Value) -> bool {
    let unavailable = found["state"] == "sandbox_unavailable";
    if unavailable {
        eprintln!("skipped: {}: {}", found["reason"], found["next"]);
    }
    !unavailable
}

fn tested(setup: &Setup, args: &[&str]) -> Value {
    let run = setup.run(&[&["mcp", "test", "x", "--json"], args].concat()).within(LONG).run();
    serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}{}", run.stdout, run.stderr))
}

fn printed(found: &Value) -> String {
    found["stderr"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_server_runs_in_its_bounds_and_the_record_says_so() {
    let setup = after(Setup::new(), "echo home $HOME", "");
    let found = tested(&setup, &["--tool", "pid"]);
    if !holds(&found) {
        return;
    }
    assert_eq!((&found["state"], &found["status"]["sandbox"]), (&json!("connected"), &json!("S4")), "{found}");
    let home = setup.home.codex().join("toolgate/homes/x");
    assert!(printed(&found).contains(&format!("home {}", home.display())), "{found}");
    let ends: Vec<_> = setup.events().into_iter().filter(|event| event["event"] == "end").collect();
    assert_eq!(ends.iter().map(|end| &end["sandbox"]).collect::<Vec<_>>(), [&json!("S4")], "{ends:?}");
    assert!(wait::until(wait::PATIENCE, || setup.survivors().is_empty()), "{:?}", setup.survivors());
}

#[test]
fn a_server_without_bounds_has_none_on_record() {
    let setup = Setup::new().server("x", &[], "");
    let found = tested(&setup, &["--tool", "pid"]);
    assert_eq!(found["status"]["sandbox"], Value::Null);
    assert!(setup.events().iter().all(|event| event.get("sandbox").is_none()));
}

#[test]
fn a_test_in_the_sandbox_reports_what_was_denied() {
    let setup = Setup::new();
    // Not where temporary files are: there it has a directory of its own.
    let outside = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("outside-{}", std::process::id()));
    let setup = after(setup, &format!("echo x > {}", outside.display()), "");
    let found = tested(&setup, &["--sandbox"]);
    if !holds(&found) {
        return;
    }
    assert!(printed(&found).contains(&format!("{}: ", outside.display())), "{found}");
    assert!(!outside.exists());
}

#[test]
fn a_test_in_the_sandbox_needs_no_entry_for_it() {
    let setup = Setup::new().entry("x", &bin("fixture-hostile").display().to_string(), &[], "");
    let [plain, bound] = [&[][..], &["--sandbox"]].map(|args| tested(&setup, args));
    assert_eq!(plain["status"]["sandbox"], Value::Null);
    if holds(&bound) {
        assert_eq!((&bound["status"]["sandbox"], &bound["ok"]), (&json!("S4"), &json!(true)), "{bound}");
        assert!(bound["steps"].to_string().contains("sandbox"), "{bound}");
    }
}

#[test]
fn a_level_that_cannot_be_reached_is_a_state_of_its_own() {
    let setup = after(Setup::new(), ":", "level = \"S3\"\nnet = [\"example.com\"]");
    let run = setup.run(&["mcp", "test", "x"]).run();
    assert_eq!(run.status, Some(9), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("sandbox_unavailable"), "{}", run.stdout);
    assert!(run.stdout.contains("a list of hosts needs S4"), "{}", run.stdout);
}

#[test]
fn the_demanded_level_is_listed_before_anything_runs() {
    let setup = after(Setup::new(), ":", "level = \"S3\"");
    let run = setup.run(&["mcp", "list", "--verbose"]).run().ok();
    assert!(run.contains("sandbox: S3"), "{run}");
}

#[test]
fn a_degraded_run_says_what_is_held() {
    // What is demanded can be reached here or not; either way the record has the level that is held.
    let setup = after(Setup::new(), ":", "level = \"S4\"\nallow_degraded = \"S1\"");
    let found = tested(&setup, &["--tool", "pid"]);
    let level = found["status"]["sandbox"].as_str().unwrap_or_default().to_owned();
    assert!(level == "S4" || level.contains(" instead of S4 ("), "{found}");
    let end = setup.events().into_iter().rfind(|event| event["event"] == "end").expect("a call ended");
    assert_eq!(end["sandbox"], json!(level));
}

/// What a program says that goes through the proxy to `port` of this machine.
fn through(port: u16) -> String {
    let ask = format!("printf \"CONNECT 127.0.0.1:{port} HTTP/1.1\\r\\n\\r\\n\" >&3");
    format!("if exec 3<>/dev/tcp/127.0.0.1/3128; then {ask}; head -c 60 <&3; echo; exec 3>&-; fi")
}

#[test]
fn only_the_named_hosts_are_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let allowed = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            _ = stream.write_all(b"welcome");
        }
    });
    let direct = format!("(exec 3<>/dev/tcp/127.0.0.1/{allowed}) && echo reached directly");
    let first = [through(allowed), through(1), direct].join("; ");
    let setup = after(Setup::new(), &first, &format!("net = [\"127.0.0.1:{allowed}\"]"));
    let found = tested(&setup, &[]);
    if !holds(&found) {
        return;
    }
    let text = printed(&found);
    assert!(text.contains("200 Connection Established") && text.contains("welcome"), "{text}");
    assert!(text.contains("403 Forbidden") && !text.contains("reached directly"), "{text}");
}

/// Its tools run unasked.
const APPROVED: &str = "[mcp_servers.x]\ndefault_tools_approval_mode = \"approve\"";

/// A real server under each level that keeps it, asked by `calls` in the directory `root` (which is what servers are told
/// of as such) after `before`; each answer has to hold what is beside it.
fn lives_in(root: &str, command: &[&str], bounds: &str, before: &dyn Fn(&str), calls: &[(&str, Value, &str)]) {
    for level in ["S3", "S4"] {
        before(level);
        let setup = Setup::new();
        let mark = format!("{MARK}={}", setup.home.mark());
        let add = [&["mcp", "add", "x", "--yes", "--env", &mark, "--"], command].concat();
        setup.run(&add).run().ok();
        let setup = setup.top(&format!("{APPROVED}\n[mcp_servers.x.sandbox]\nlevel = \"{level}\"\n{bounds}"));
        let found = tested(&setup, &[]);
        if !holds(&found) {
            continue;
        }
        let held = found["status"]["sandbox"].as_str().unwrap_or_default();
        assert!(held.starts_with(level) && found["ok"] == true, "{level}: {found}");
        for (tool, arguments, expected) in calls {
            let arguments = arguments.to_string();
            let call = setup.run(&["mcp", "call", &format!("x__{tool}"), "--args", &arguments, "--json"]);
            let run = call.current_dir(root).within(LONG).run();
            assert!(run.stdout.contains(expected), "{level} {tool}: {}{}", run.stdout, run.stderr);
        }
        assert!(wait::until(wait::PATIENCE, || setup.survivors().is_empty()), "{:?}", setup.survivors());
    }
}

/// A directory with a file that may be used and a file beside it that may not. It lies where no server has something of
/// its own in its place, as each has for temporary files.
fn files() -> (tempfile::TempDir, String, String) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    fs::create_dir(dir.path().join("work")).expect("made");
    fs::write(dir.path().join("work/note"), "a note").expect("written");
    fs::write(dir.path().join("beside"), "secret").expect("written");
    let of = |path: &Path| path.canonicalize().expect("it is there").display().to_string();
    let (work, beside) = (of(&dir.path().join("work")), of(&dir.path().join("beside")));
    (dir, work, beside)
}

#[test]
fn the_filesystem_server_keeps_its_use_in_bounds() {
    let Some(peers) = Peers::with(&[Peers::node, Peers::filesystem]) else { return };
    let (_dir, work, beside) = files();
    let [note, made, moved] = ["note", "made", "sub/moved"].map(|name| format!("{work}/{name}"));
    lives_in(
        &work,
        &[&peers.node(), &peers.filesystem(), &work],
        &format!("write = [{}]", json!(work)),
        &|_| (),
        &[
            ("read_text_file", json!({"path": format!("{work}/note")}), "a note"),
            ("write_file", json!({"path": made, "content": "by a server"}), "Successfully wrote"),
            ("read_text_file", json!({"path": made}), "by a server"),
            ("edit_file", json!({"path": made, "edits": [{"oldText": "by a", "newText": "by the"}]}), "by the"),
            ("read_multiple_files", json!({"paths": [made, format!("{work}/note")]}), "a note"),
            ("list_directory", json!({"path": work}), "note"),
            ("directory_tree", json!({"path": work}), "note"),
            ("search_files", json!({"path": work, "pattern": "**/no*"}), &note),
            ("get_file_info", json!({"path": note}), "size: 6"),
            ("create_directory", json!({"path": format!("{work}/sub")}), "Successfully created"),
            ("move_file", json!({"source": made, "destination": moved}), "Successfully moved"),
            ("move_file", json!({"source": moved, "destination": made}), "Successfully moved"),
            ("read_text_file", json!({"path": beside}), "\"isError\":true"),
        ],
    );
    assert_eq!(fs::read_to_string(&made).expect("it was written"), "by the server");
    let mut left: Vec<_> =
        fs::read_dir(&work).expect("it is there").map(|entry| entry.expect("read").file_name()).collect();
    left.sort();
    assert_eq!(left, ["made", "note", "sub"], "nothing is left that stood for a protected name");
}

/// Its own rules let it in everywhere, so what keeps it out is the sandbox.
#[test]
fn a_server_that_says_it_may_use_all_uses_what_it_was_granted() {
    let Some(peers) = Peers::with(&[Peers::node, Peers::filesystem]) else { return };
    let (dir, work, beside) = files();
    let whole = dir.path().canonicalize().expect("it is there").display().to_string();
    lives_in(
        &whole,
        &[&peers.node(), &peers.filesystem(), &work, &whole],
        &format!("write = [{}]", json!(work)),
        &|_| (),
        &[
            ("read_text_file", json!({"path": format!("{work}/note")}), "a note"),
            ("read_text_file", json!({"path": beside}), "\"isError\":true"),
            ("write_file", json!({"path": beside, "content": "x"}), "\"isError\":true"),
            ("write_file", json!({"path": format!("{whole}/new"), "content": "x"}), "\"isError\":true"),
        ],
    );
    assert_eq!(fs::read_to_string(&beside).expect("it is there"), "secret");
    assert!(!dir.path().join("new").exists());
}

#[test]
fn the_reference_server_keeps_its_use_in_bounds() {
    let Some(peers) = Peers::with(&[Peers::node, Peers::everything]) else { return };
    lives_in(
        env!("CARGO_TARGET_TMPDIR"),
        &[&peers.node(), &peers.everything(), "stdio"],
        "",
        &|_| (),
        &[
            ("echo", json!({"message": "hi"}), "Echo: hi"),
            ("get-sum", json!({"a": 2, "b": 3}), "The sum of 2 and 3 is 5."),
            ("get-tiny-image", json!({}), "image/png"),
            ("get-structured-content", json!({"location": "New York"}), "temperature"),
            ("get-resource-links", json!({"count": 2}), "resource_link"),
            ("trigger-long-running-operation", json!({"duration": 1, "steps": 2}), "completed"),
            ("get-env", json!({}), "HOME"),
        ],
    );
}

#[test]
fn the_git_server_keeps_its_use_in_bounds() {
    let Some(peers) = Peers::with(&[Peers::git_server]) else { return };
    let (_dir, work, _) = files();
    let git = |args: &[&str]| std::process::Command::new("git").args(["-C", &work]).args(args).output();
    if !git(&["init", "--quiet"]).is_ok_and(|output| output.status.success()) {
        return;
    }
    for (key, value) in [("user.name", "a"), ("user.email", "a@example.com")] {
        git(&["config", key, value]).expect("git runs");
    }
    lives_in(
        &work,
        &[&peers.git_server(), "--repository", &work],
        // Its work is in what is otherwise protected.
        &format!("write = [{}, {}]", json!(work), json!(format!("{work}/.git"))),
        &|level| fs::write(format!("{work}/note"), level).expect("written"),
        &[
            ("git_add", json!({"repo_path": work, "files": ["note"]}), "staged"),
            ("git_status", json!({"repo_path": work}), "note"),
            ("git_commit", json!({"repo_path": work, "message": "a commit"}), "ommit"),
            ("git_log", json!({"repo_path": work}), "a commit"),
            ("git_show", json!({"repo_path": work, "revision": "HEAD"}), "a commit"),
            ("git_diff", json!({"repo_path": work, "target": "HEAD"}), "Diff"),
            ("git_diff_unstaged", json!({"repo_path": work}), "Unstaged changes"),
            ("git_branch", json!({"repo_path": work, "branch_type": "local"}), "ma"),
        ],
    );
}

/// Told of no repository it serves all, so what keeps it out is the sandbox.
#[test]
fn the_git_server_reaches_no_other_repository() {
    let Some(peers) = Peers::with(&[Peers::git_server]) else { return };
    let (dir, work, _) = files();
    let other = dir.path().join("other").canonicalize().unwrap_or_else(|_| dir.path().join("other"));
    let init = |path: &str| std::process::Command::new("git").args(["init", "--quiet", path]).status();
    let other = other.display().to_string();
    if ![&work, &other].iter().all(|path| init(path).is_ok_and(|status| status.success())) {
        return;
    }
    lives_in(
        env!("CARGO_TARGET_TMPDIR"),
        &[&peers.git_server()],
        // To look, reading is enough.
        &format!("read = [{}]", json!(work)),
        &|_| (),
        &[
            ("git_status", json!({"repo_path": work}), "note"),
            ("git_add", json!({"repo_path": work, "files": ["note"]}), "\"isError\":true"),
            ("git_status", json!({"repo_path": other}), "\"isError\":true"),
        ],
    );
}
