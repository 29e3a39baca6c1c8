//! How a program starts, what it is given, and what is told about its end.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use common::{Marker, events, helper, launch, launch_shell, plan, proc_file, read_ready, started};
use sandbox::{Event, ExitKind, Launch, Stderr};

/// Launches and compares all events but the process id.
fn check(launch_: &Launch, expected: &[Event]) {
    let child = launch(launch_);
    let mut events = events(&child);
    if let Some(Event::Started { pid }) = events.first_mut() {
        assert_eq!(child.lifeline.pid(), Some(*pid));
        *pid = 0;
    }
    assert_eq!(events, expected);
}

fn check_shell(script: &str, end: ExitKind) {
    let plan = plan(&Marker::new(), "sh", &["-c", script]);
    check(&plan, &[Event::Started { pid: 0 }, Event::Exited(end), Event::Gone]);
}

fn read(fd: std::os::fd::OwnedFd) -> String {
    let mut text = String::new();
    File::from(fd).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn an_exit_status_is_reported() {
    check_shell("exit 0", ExitKind::Code(0));
    check_shell("exit 7", ExitKind::Code(7));
}

#[test]
fn a_deadly_signal_is_reported() {
    check_shell("kill -SEGV $$", ExitKind::Signal(11));
}

#[test]
fn a_missing_program_is_reported_as_not_started() {
    let expected = [Event::NotStarted { errno: 2 }, Event::Gone];
    check(&plan(&Marker::new(), "/nowhere/at-all", &[]), &expected);
    check(&plan(&Marker::new(), "no-such-program-in-path", &[]), &expected);
}

#[test]
fn a_program_without_leave_to_execute_is_reported_as_not_started() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("notes");
    fs::write(&file, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let expected = [Event::NotStarted { errno: 13 }, Event::Gone];
    check(&plan(&Marker::new(), file.to_str().unwrap(), &[]), &expected);
    check(&plan(&Marker::new(), dir.path().to_str().unwrap(), &[]), &expected);
}

#[test]
fn the_last_event_stays_the_last() {
    let child = launch_shell(&Marker::new(), "exit 0");
    events(&child);
    assert_eq!(child.lifeline.read_event(), Some(Event::Gone));
}

#[test]
fn nothing_is_left_when_a_failed_start_is_reported() {
    let marker = Marker::new();
    let child = launch(&plan(&marker, "/nowhere/at-all", &[]));
    events(&child);
    assert_eq!(marker.alive(), Vec::<String>::new());
}

#[test]
fn bytes_and_the_end_of_input_pass_through() {
    let child = launch(&plan(&Marker::new(), "cat", &[]));
    File::from(child.stdin).write_all(b"one\ntwo\n").unwrap();
    assert_eq!(read(child.stdout), "one\ntwo\n");
}

#[test]
fn nobody_but_the_program_holds_its_pipes() {
    let child = launch_shell(&Marker::new(), "exec </dev/null >/dev/null; exec sleep 1000");
    started(&child);
    assert_eq!(read(child.stdout), "");
    let refused = File::from(child.stdin).write_all(b"x").unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::BrokenPipe);
}

#[test]
fn standard_error_is_piped_on_request_and_else_thrown_away() {
    let script = ["-c", "echo out; echo err >&2"];
    let marker = Marker::new();
    let child = launch(&Launch { stderr: Stderr::Piped, ..plan(&marker, "sh", &script) });
    assert_eq!((read(child.stdout), read(child.stderr.unwrap())), ("out\n".into(), "err\n".into()));
    let child = launch(&plan(&marker, "sh", &script));
    assert!(child.stderr.is_none());
    assert_eq!(read(child.stdout), "out\n");
}

#[test]
fn it_starts_in_the_given_directory() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    let child = launch(&Launch { cwd: Some(dir.clone()), ..plan(&Marker::new(), "pwd", &[]) });
    assert_eq!(read(child.stdout).trim_end(), dir.to_str().unwrap());
}

#[test]
fn arguments_arrive_untouched() {
    let child = launch(&plan(&Marker::new(), "printf", &["%s|", "--", "", "a b", "$HOME", "ü"]));
    assert_eq!(read(child.stdout), "--||a b|$HOME|ü|");
}

#[test]
fn the_environment_is_exactly_what_was_given() {
    let marker = Marker::new();
    let mut plan = plan(&marker, "sleep", &["1000"]);
    plan.env.extend([("EMPTY".into(), "".into()), ("LINES".into(), "a\nb=c".into())]);
    let child = launch(&plan);
    let seen = proc_file(started(&child), "environ");
    let given = plan.env.iter().map(|(name, value)| format!("{}={}\0", name.display(), value.display()));
    assert_eq!(seen, given.collect::<String>());
}

#[test]
fn only_the_three_standard_descriptors_are_open() {
    // Without close-on-exec, as a careless host leaves its own to us.
    let leaked = rustix::io::dup(File::open("/proc/version").unwrap()).unwrap();
    let child = launch_shell(&Marker::new(), "echo ready; read forever");
    let program = started(&child);
    // By then the loader is done, which opens files of its own.
    read_ready(&child);
    assert_eq!(open_descriptors(program), ["0", "1", "2"]);
    // The supervisor has its lifeline, its signals and its owner's end to wait for besides.
    assert_eq!(open_descriptors(child.lifeline.supervisor_pid()).len(), 6);
    drop(leaked);
}

fn open_descriptors(pid: u32) -> Vec<String> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let mut open: Vec<_> = links.map(|link| link.file_name().into_string().unwrap()).collect();
    open.sort();
    open
}

/// Signals 32 and 33 belong to glibc; its `posix_spawn` leaves them ignored.
const LIBC_OWN: u64 = 0b11 << 31;

#[test]
fn it_has_a_group_and_session_apart_default_signals_and_no_core_dump() {
    let child = launch(&plan(&Marker::new(), "sleep", &["1000"]));
    let pid = started(&child);
    let stat = proc_file(pid, "stat");
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let supervisor = child.lifeline.supervisor_pid().to_string();
    assert_eq!(fields[1..4], [&supervisor, &pid.to_string(), &supervisor], "parent, group, session");
    let status = proc_file(pid, "status");
    for set in ["SigBlk", "SigIgn", "SigCgt"] {
        let mask = status.lines().find_map(|line| line.strip_prefix(set)).unwrap();
        let mask = u64::from_str_radix(mask.trim_start_matches(":\t"), 16).unwrap();
        assert_eq!(mask & !LIBC_OWN, 0, "{set} in {status}");
    }
    let limits = proc_file(pid, "limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
}

#[test]
fn started_by_hand_the_supervisor_starts_nothing() {
    let helper = helper();
    let mut by_hand = Command::new(&helper.exe);
    let output =
        by_hand.args([helper.argument, &std::process::id().to_string(), "0", "--", "echo", "never"]).output().unwrap();
    assert_eq!((output.status.code(), output.stdout), (Some(2), Vec::new()));
}
