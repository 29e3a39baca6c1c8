//! What supervision costs: the time from asking for `cat` to its first echoed byte, plain and launched, and
//! the memory of 50 supervisors; and the time that `true` takes from asking to its end at each level, beside `bwrap`.
//! Run with `cargo bench -p sandbox`; the figures are printed. `-- --helper PROGRAM` measures with that toolgate as the
//! helper instead of the smallest program that can be one.
#![expect(clippy::disallowed_methods, reason = "this measures real time")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{Command, Stdio as Pipe};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use sandbox::{Child, Event, Helper, Launch, Level, Lifeline, Namespaces, Profile, Stderr, launch};

const ROUNDS: usize = 200;
const SUPERVISORS: usize = 50;

fn main() {
    let mut out = std::io::stdout().lock();
    // Alternating, so that a busy moment of the machine hits both.
    let (mut plain, mut supervised) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain.push(time_plain());
        supervised.push(time_supervised());
    }
    for (name, mut times) in [("plain Command", plain), ("supervised", supervised)] {
        times.sort();
        let (best, p50, p95) = (times[0], times[ROUNDS / 2], times[ROUNDS * 95 / 100]);
        writeln!(out, "{name:>14}: best {best:?}  p50 {p50:?}  p95 {p95:?}").expect("someone reads");
    }
    time_levels(&mut out);
    let children: Vec<_> = (0..SUPERVISORS).map(|_| start()).collect();
    for child in &children {
        await_event(&child.lifeline, |event| matches!(event, Event::Started { .. }));
    }
    for field in ["Rss", "Pss", "Private_Dirty"] {
        let total: u64 = children.iter().map(|child| memory(child, field)).sum();
        writeln!(out, "{field:>14}: {} KiB for each of {SUPERVISORS} supervisors", total / SUPERVISORS as u64)
            .expect("someone reads");
    }
}

/// What `bwrap` does alone for a like view, in a session of its own like what is launched.
const BWRAP: &str = "--new-session --unshare-user --unshare-pid --unshare-ipc --unshare-uts --unshare-net --die-with-parent \
    --cap-drop ALL --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 \
    --ro-bind /etc /etc --proc /proc --dev /dev --tmpfs /tmp -- /bin/true";

fn time_levels(out: &mut impl Write) {
    let mut command = Profile::command(&[], Vec::new());
    // Beside `bwrap`, which gives way to nobody.
    command.limits.nice = 0;
    let apart = |namespaces| Profile { namespaces, ..command.clone() };
    let at = |level| Profile { level, ..command.clone() };
    let profiles = [
        ("S1", at(Level::S1)),
        ("S3", at(Level::S3)),
        ("S4, own", apart(Namespaces::Own)),
        ("S4, bwrap", apart(Namespaces::Bwrap)),
    ];
    let mut times: Vec<(&str, Vec<Duration>)> = profiles.iter().map(|(name, _)| (*name, Vec::new())).collect();
    times.push(("bwrap alone", Vec::new()));
    for _ in 0..ROUNDS {
        for ((_, profile), (_, times)) in profiles.iter().zip(&mut times) {
            times.extend(time_bound(profile));
        }
        times[profiles.len()].1.extend(time_bwrap());
    }
    times.iter_mut().for_each(|(_, times)| times.sort());
    let median = |times: &[Duration]| times.get(times.len() / 2).copied();
    let alone = times.last().and_then(|(_, times)| median(times));
    for (name, times) in times.iter().filter(|(_, times)| !times.is_empty()) {
        let (best, p50, p95) = (times[0], times[times.len() / 2], times[times.len() * 95 / 100]);
        let ratio = alone.map_or(f64::NAN, |alone| p50.as_secs_f64() / alone.as_secs_f64());
        writeln!(out, "{name:>14}: best {best:?}  p50 {p50:?}  p95 {p95:?}  {ratio:.2} x bwrap")
            .expect("someone reads");
    }
}

/// `None` where the level cannot be reached.
fn time_bound(profile: &Profile) -> Option<Duration> {
    let launch_ = Launch { program: "true".into(), profile: Some(profile.clone()), ..plan() };
    let begin = Instant::now();
    let child = launch(&helper(), &launch_).ok()?;
    await_event(&child.lifeline, |event| event == Event::Gone);
    Some(begin.elapsed())
}

fn time_bwrap() -> Option<Duration> {
    let begin = Instant::now();
    let status = Command::new("/usr/bin/bwrap").args(BWRAP.split_whitespace()).status().ok()?;
    status.success().then(|| begin.elapsed())
}

fn time_plain() -> Duration {
    let begin = Instant::now();
    let mut child = Command::new("cat").stdin(Pipe::piped()).stdout(Pipe::piped()).spawn().expect("cat runs");
    let (mut stdin, mut stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    echo(&mut stdin, &mut stdout);
    let took = begin.elapsed();
    drop(stdin);
    child.wait().expect("cat ends");
    took
}

fn time_supervised() -> Duration {
    let begin = Instant::now();
    let Child { stdin, stdout, lifeline, .. } = start();
    let (mut stdin, mut stdout) = (File::from(stdin), File::from(stdout));
    echo(&mut stdin, &mut stdout);
    let took = begin.elapsed();
    drop(stdin);
    await_event(&lifeline, |event| event == Event::Gone);
    took
}

fn echo(stdin: &mut impl Write, stdout: &mut impl Read) {
    let mut byte = [0];
    stdin.write_all(b"x").expect("cat reads");
    stdout.read_exact(&mut byte).expect("cat writes");
}

fn start() -> Child {
    launch(&helper(), &plan()).expect("launched")
}

fn helper() -> Helper {
    let named = std::env::args_os().skip_while(|word| word != "--helper").nth(1);
    let exe = named.unwrap_or_else(|| env!("CARGO_BIN_EXE_supervise-fixture").into());
    Helper { exe: exe.into(), argument: "__supervise" }
}

fn plan() -> Launch {
    Launch {
        program: "cat".into(),
        args: Vec::new(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        cwd: None,
        stderr: Stderr::Null,
        grace: Duration::ZERO,
        profile: None,
    }
}

/// Asleep until then, or the waiting would take the time from what is measured.
fn await_event(lifeline: &Lifeline, wanted: impl Fn(Event) -> bool) {
    while !lifeline.read_event().is_some_and(&wanted) {
        poll(&mut [PollFd::new(lifeline, PollFlags::IN)], None).expect("pollable");
    }
}

/// One figure of a supervisor's memory, in KiB.
fn memory(child: &Child, field: &str) -> u64 {
    let path = format!("/proc/{}/smaps_rollup", child.lifeline.supervisor_pid());
    let rollup = fs::read_to_string(path).expect("it lives");
    let line = rollup.lines().find(|line| line.starts_with(&format!("{field}:"))).expect("listed");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}
