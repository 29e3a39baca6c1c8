//! What runs away is contained: a command of the workspace, and a server in a sandbox, that do their worst while other
//! calls go on, and of which nothing is left.
//!
//! A small share runs by default. With `TOOLGATE_RUNAWAY=full` the whole runs, and each trial prints a line beginning with
//! `RUNAWAY` for the report that `cargo xtask runaway` writes.

mod common;

use common::Setup;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use testkit::cli::MARK;
use testkit::client::Client;
use testkit::{bin, wait};

/// One who runs away.
struct Runaway {
    what: &'static str,
    /// For a shell, in the workspace.
    script: String,
    /// When it is ended, if it does not end by itself.
    timeout: Duration,
    /// Whether what it came to is what it has to come to.
    contained: fn(&Value) -> bool,
}

fn full() -> bool {
    #[expect(clippy::disallowed_methods, reason = "a campaign is sized by the environment")]
    std::env::var("TOOLGATE_RUNAWAY").is_ok_and(|size| size == "full")
}

/// How long other calls are watched, and how often all is done over.
fn size() -> (Duration, usize) {
    if full() { (Duration::from_secs(3), 3) } else { (Duration::from_millis(300), 1) }
}

fn overdue(ended: &Value) -> bool {
    ended["timed_out"] == true
}

fn went_well(ended: &Value) -> bool {
    ended["exit_code"] == 0
}

fn all() -> Vec<Runaway> {
    let (bytes, soon) = if full() { (1_000_000_000_u64, 5_000) } else { (50_000_000, 1_500) };
    let (soon, late) = (Duration::from_millis(soon), Duration::from_secs(60));
    let of = |what, timeout, contained, script: &str| Runaway {
        what,
        script: format!("touch begun; {script}"),
        timeout,
        contained,
    };
    vec![
        of("a fork bomb", soon, overdue, "b() { b | b & }; b; sleep 600"),
        of(
            "a flood of output",
            late,
            |ended| went_well(ended) && ended["stdout"].as_str().is_some_and(|text| text.len() < 2 << 20),
            &format!("head -c {bytes} /dev/zero | tr '\\0' x"),
        ),
        of("deaf to SIGTERM", soon, overdue, "trap '' TERM INT HUP; while :; do sleep 600; done"),
        of("one that leaves a daemon", late, went_well, "(setsid sh -c \"trap '' TERM HUP; sleep 600\" &); sleep 1"),
        of(
            "a filler of its temporary directory",
            late,
            went_well,
            "! cat /dev/zero > /tmp/fill 2> said && grep -q 'No space' said",
        ),
        of(
            "a writer of a huge file",
            late,
            went_well,
            "cat /dev/zero > huge; test $(wc -c < huge) -le 1073741824; rm huge",
        ),
    ]
}

/// A gate with the workspace and a server that has nothing to do with what runs away.
struct Place {
    setup: Setup,
    root: PathBuf,
}

impl Place {
    fn new(more: impl FnOnce(Setup, &Path) -> Setup) -> Self {
        let rules = "[[policy.rules]]\nserver = \"*\"\noutcome = \"allow\"\n";
        let marked = format!("[workspace]\nenv_vars = [{}]\n", json!(MARK));
        let setup = Setup::new().server("other", &[], "").top(&marked).top(rules);
        let root = setup.home.work().join("project");
        std::fs::create_dir(&root).expect("made");
        std::fs::write(root.join("note"), "a note\n").expect("written");
        Self { setup: more(setup, &root), root }
    }

    fn client(&self) -> Client {
        let mut command = self.setup.home.command(common::TOOLGATE, ["mcp", "serve"]);
        command.current_dir(&self.root);
        let mut client = Client::spawn(command).patient(Duration::from_secs(120));
        client.initialize("2025-11-25", &json!({}));
        // Until both have been asked once, nothing of them is warm.
        other_calls(&mut client, Duration::ZERO);
        client
    }

    fn begun(&self) -> bool {
        self.root.join("begun").exists()
    }

    /// No process, no file where there was none, no group of ours without a supervisor.
    fn expect_nothing_left(&self, groups: &[PathBuf]) {
        wait::expect("no process to be left", || self.setup.survivors().is_empty());
        let names = |dir: &Path| {
            let entries = std::fs::read_dir(dir).expect("it is there").flatten();
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&self.setup.home.path().join("tmp")), [""; 0], "in the directory of temporary files");
        let mut left = names(&self.root);
        left.retain(|name| !["note", "begun", "said"].contains(&name.as_str()));
        assert_eq!(left, [""; 0], "in the workspace");
        wait::expect("no control group to be left", || abandoned().iter().all(|group| groups.contains(group)));
    }
}

/// Control groups whose supervisor is no more.
fn abandoned() -> Vec<PathBuf> {
    let dirs = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].map(std::fs::read_dir);
    let groups = dirs.into_iter().flatten().flatten().flatten().map(|entry| entry.path());
    let pid_of = |path: &Path| path.file_name()?.to_str()?.strip_prefix("toolgate-")?.parse::<u32>().ok();
    groups.filter(|path| pid_of(path).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())).collect()
}

/// What other calls take, the slowest last: of the workspace, and at a server.
fn other_calls(client: &mut Client, window: Duration) -> Vec<Duration> {
    let end = wait::now() + window;
    let mut took = Vec::new();
    while took.is_empty() || wait::now() < end {
        for (tool, arguments) in [("read_file", json!({"path": "note"})), ("other__pid", json!({}))] {
            let begin = wait::now();
            let answer = client.call(tool, &arguments);
            took.push(begin.elapsed());
            assert!(!answer.result()["isError"].as_bool().unwrap_or(false), "{}", answer.text);
        }
    }
    took.sort();
    took
}

fn p99(sorted: &[Duration]) -> Duration {
    sorted[(sorted.len() - 1) * 99 / 100]
}

/// What other calls took in quiet, and beside it.
#[derive(Default)]
struct Beside {
    quiet: Vec<Duration>,
    beside: Vec<Duration>,
}

impl Beside {
    #[expect(clippy::print_stdout, reason = "it is what the chore reads")]
    fn report(mut self, by: &str, what: &str) {
        self.quiet.sort();
        self.beside.sort();
        let ms = |time: &[Duration]| p99(time).as_secs_f64() * 1000.0;
        let line = json!({
            "by": by,
            "what": what,
            "calls": self.beside.len(),
            "quiet_ms": ms(&self.quiet),
            "beside_ms": ms(&self.beside),
        });
        println!("RUNAWAY {line}");
    }
}

fn execute(client: &mut Client, script: &str, timeout: Duration) -> u64 {
    let timeout = u64::try_from(timeout.as_millis()).expect("a short time");
    let arguments = json!({"command": script, "timeout_ms": timeout});
    client.start("tools/call", &json!({"name": "execute_command", "arguments": arguments}))
}

/// What a command came to; `None` where there is no sandbox for it.
#[expect(clippy::print_stderr, reason = "a test that skips itself says why")]
fn ended(client: &mut Client, id: u64) -> Option<Value> {
    let result = client.answer(id).result();
    if result["content"][0]["text"].as_str().is_some_and(|text| text.contains("sandbox_unavailable")) {
        eprintln!("skipped: {result}");
        return None;
    }
    Some(result["structuredContent"].clone())
}

/// Runs it as a command, and other calls meanwhile.
fn as_a_command(which: usize) {
    let runaway = &all()[which];
    let (window, rounds) = size();
    let mut beside = Beside::default();
    for _ in 0..rounds {
        let groups = abandoned();
        let place = Place::new(|setup, _| setup);
        let mut client = place.client();
        let quiet = execute(&mut client, "touch begun; sleep 600", window + Duration::from_secs(1));
        beside.quiet.extend(other_calls(&mut client, window));
        if ended(&mut client, quiet).is_none() {
            return;
        }
        std::fs::remove_file(place.root.join("begun")).expect("it ran");
        let loud = execute(&mut client, &runaway.script, runaway.timeout);
        wait::expect("it to begin", || place.begun());
        beside.beside.extend(other_calls(&mut client, window));
        let ended = ended(&mut client, loud).expect("there was a sandbox a moment ago");
        assert!((runaway.contained)(&ended), "{}: {ended}", runaway.what);
        let after = execute(&mut client, "echo on", Duration::from_secs(30));
        assert_eq!(client.answer(after).result()["structuredContent"]["stdout"], "on\n");
        client.close();
        place.expect_nothing_left(&groups);
    }
    beside.report("a command", runaway.what);
}

#[test]
fn a_command_that_is_a_fork_bomb() {
    as_a_command(0);
}

#[test]
fn a_command_that_floods() {
    as_a_command(1);
}

#[test]
fn a_command_that_is_deaf() {
    as_a_command(2);
}

#[test]
fn a_command_that_leaves_a_daemon() {
    as_a_command(3);
}

#[test]
fn a_command_that_fills_its_temporary_directory() {
    as_a_command(4);
}

#[test]
fn a_command_that_writes_a_huge_file() {
    if full() {
        as_a_command(5);
    }
}

/// Runs it within a server in a sandbox, and calls at another server meanwhile.
fn as_a_server(which: usize) {
    let runaway = &all()[which];
    let (window, rounds) = size();
    let mut beside = Beside::default();
    for _ in 0..rounds {
        let groups = abandoned();
        let mut quiet = Place::new(|setup, _| setup);
        let mut client = quiet.client();
        beside.quiet.extend(other_calls(&mut client, window));
        client.close();
        quiet = Place::new(|setup, root| with_server(setup, root, &runaway.script));
        client = quiet.client();
        if !can_be_held(&mut client) {
            return;
        }
        wait::expect("it to begin", || quiet.begun());
        beside.beside.extend(other_calls(&mut client, window));
        client.close();
        _ = std::fs::remove_file(quiet.root.join("huge"));
        quiet.expect_nothing_left(&groups);
    }
    beside.report("a server", runaway.what);
}

/// The server `wild`, which answers, while a process of its own runs away.
fn with_server(setup: Setup, root: &Path, script: &str) -> Setup {
    let fixture = bin("fixture-hostile");
    let beside = format!("cd {}; {{ {script}; }} >&2 & exec {}", root.display(), fixture.display());
    let (read, write) = (json!(fixture.parent().expect("it lies in a directory")), json!(root));
    setup
        .entry("wild", "/bin/bash", &["-c".into(), beside], "")
        .top(&format!("[mcp_servers.wild.sandbox]\nread = [{read}]\nwrite = [{write}]\n"))
}

/// Whether the server could be started at all; that it answers while it runs away nobody promises.
#[expect(clippy::print_stderr, reason = "a test that skips itself says why")]
fn can_be_held(client: &mut Client) -> bool {
    let id = client.start("tools/call", &json!({"name": "wild__pid", "arguments": {}}));
    let answer = client.answer(id).text;
    let held = !answer.contains("sandbox_unavailable");
    if !held {
        eprintln!("skipped: {answer}");
    }
    held
}

#[test]
fn a_server_that_is_a_fork_bomb() {
    as_a_server(0);
}

#[test]
fn a_server_that_floods() {
    as_a_server(1);
}

#[test]
fn a_server_that_is_deaf() {
    as_a_server(2);
}

#[test]
fn a_server_that_leaves_a_daemon() {
    as_a_server(3);
}

#[test]
fn a_server_that_fills_its_temporary_directory() {
    as_a_server(4);
}

/// Of a disk that nobody else writes to it may use up so much.
const ROOM_MB: u64 = 64;

#[test]
fn a_command_that_fills_the_disk() {
    let Ok(disk) = tempfile::tempdir_in("/dev/shm") else { return };
    let Some(free) = free_mb(disk.path()).filter(|free| *free > 2 * ROOM_MB) else { return };
    let least = format!("[workspace]\nenv_vars = [{}]\nmin_free_mb = {}\n", json!(MARK), free - ROOM_MB);
    let setup = Setup::new().top(&least);
    let mut command = setup.home.command(common::TOOLGATE, ["mcp", "serve", "--profile", "workspace"]);
    command.current_dir(disk.path());
    let mut client = Client::spawn(command).patient(Duration::from_secs(120));
    client.initialize("2025-11-25", &json!({}));
    let script = "trap '' TERM; i=0; while :; do head -c 4000000 /dev/zero > f$i; i=$((i+1)); done";
    let id = execute(&mut client, script, Duration::from_secs(60));
    let Some(ended) = ended(&mut client, id) else { return };
    assert_eq!((&ended["disk_full"], &ended["timed_out"]), (&json!(true), &json!(false)), "{ended}");
    client.close();
    wait::expect("no process to be left", || setup.survivors().is_empty());
}

fn free_mb(dir: &Path) -> Option<u64> {
    let said = std::process::Command::new("df").args(["--output=avail", "-B1M"]).arg(dir).output().ok()?;
    String::from_utf8(said.stdout).ok()?.lines().nth(1)?.trim().parse().ok()
}
