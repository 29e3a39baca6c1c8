//! Launching real programs in tests and looking for what is left of them. Every launch carries a marker of
//! its own in its environment, so that tests running side by side never see each other's processes.
#![expect(clippy::disallowed_methods, reason = "deadlines of real processes are in real time")]
#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses its own part of this")]

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sandbox::{Child, Event, Helper, Launch, Lifeline, Stderr};

/// Generous: two loaded cores.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// A grace period that no test may sit out.
pub const LONG: Duration = Duration::from_secs(600);
pub const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

pub fn helper() -> Helper {
    Helper { exe: env!("CARGO_BIN_EXE_supervise-fixture").into(), argument: "__supervise" }
}

/// A name no other launch has, also not one of an earlier run that was given the same process id.
pub struct Marker(String);

impl Marker {
    pub fn new() -> Marker {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let boot = fs::read_to_string("/proc/self/stat").unwrap();
        let started = boot.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap().to_owned();
        Marker(format!("{}-{started}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    pub fn variable(&self) -> (OsString, OsString) {
        ("SANDBOX_TEST_MARKER".into(), self.0.clone().into())
    }

    /// The living processes that were started with it, the supervisor included.
    pub fn alive(&self) -> Vec<String> {
        let needle = format!("SANDBOX_TEST_MARKER={}\0", self.0).into_bytes();
        let entries = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        let marked = entries.filter(|process| {
            let environ = fs::read(process.join("environ")).unwrap_or_default();
            environ.windows(needle.len()).any(|window| window == needle)
        });
        marked.map(|process| describe(&process)).collect()
    }

    pub fn await_alive(&self, count: usize) {
        wait_until("the whole tree to run", || self.alive().len() >= count);
    }

    /// Waits until one of them runs `program`, and no longer the copy of its parent that it begins as.
    pub fn await_program(&self, program: &str) {
        let runs = |process: &String| process.split(' ').nth(1) == Some(program);
        wait_until(program, || self.alive().iter().any(runs));
    }

    pub fn await_gone(&self) {
        wait_until("the whole tree to be gone", || self.alive().is_empty());
    }
}

fn describe(process: &std::path::Path) -> String {
    let words = fs::read(process.join("cmdline")).unwrap_or_default();
    format!("{} {}", process.display(), String::from_utf8_lossy(&words).replace('\0', " "))
}

pub fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::yield_now();
    }
}

/// A plan for `program`, with PATH and the marker as environment.
pub fn plan(marker: &Marker, program: &str, args: &[&str]) -> Launch {
    Launch {
        program: program.into(),
        args: args.iter().map(OsString::from).collect(),
        env: vec![("PATH".into(), PATH.into()), marker.variable()],
        cwd: None,
        stderr: Stderr::Null,
        grace: LONG,
        profile: None,
    }
}

pub fn launch(plan: &Launch) -> Child {
    sandbox::launch(&helper(), plan).expect("launched")
}

pub fn launch_shell(marker: &Marker, script: &str) -> Child {
    launch(&plan(marker, "sh", &["-c", script]))
}

/// The next event; fails when there is none in time.
pub fn next(lifeline: &Lifeline) -> Event {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(event) = lifeline.read_event() {
            return event;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "no event in time");
        poll(&mut [PollFd::new(lifeline, PollFlags::IN)], Some(&Timespec::try_from(left).unwrap())).unwrap();
    }
}

/// Takes [`Event::Started`] and gives the program's process id.
pub fn started(child: &Child) -> u32 {
    match next(&child.lifeline) {
        Event::Started { pid } => pid,
        other => panic!("{other:?} instead of a start"),
    }
}

/// All events up to the last.
pub fn events(child: &Child) -> Vec<Event> {
    let mut events = vec![next(&child.lifeline)];
    while !matches!(events.last(), Some(Event::Gone | Event::Lost)) {
        events.push(next(&child.lifeline));
    }
    events
}

/// Waits for the program to print "ready".
pub fn read_ready(child: &Child) {
    let mut byte = [0; 6];
    let mut read = 0;
    while read < byte.len() {
        read += rustix::io::read(&child.stdout, &mut byte[read..]).unwrap();
    }
    assert_eq!(&byte, b"ready\n");
}

/// One file of a process in `/proc`, as text.
pub fn proc_file(pid: u32, name: &str) -> String {
    fs::read_to_string(PathBuf::from(format!("/proc/{pid}")).join(name)).expect("the process lives")
}
