//! However it ends, nothing of a launched program is left.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::process::Command;
use std::time::Duration;

use common::{
    LONG, Marker, PATH, events, helper, launch, launch_shell, next, plan, proc_file, read_ready, started, wait_until,
};
use rustix::process::{Pid, Signal, kill_process};
use sandbox::{Event, ExitKind, Launch};

/// A program with a child of its group, one in a session of its own, and two orphaned daemons, one of them
/// deaf to SIGTERM. Seven processes with the supervisor (the deaf shell has a child of its own).
const TREE: &str = r#"
    sleep 1000 &
    setsid sleep 1000 &
    (setsid sleep 1000 &)
    (setsid sh -c 'trap "" TERM; sleep 1000; sleep 1000; true' &)
    exec sleep 1000
"#;
const TREE_SIZE: usize = 7;

const DEAF: &str = r#"trap "" TERM; echo ready; while :; do sleep 1000; done"#;

fn tree(marker: &Marker, grace: Duration) -> sandbox::Child {
    let child = launch(&Launch { grace, ..plan(marker, "sh", &["-c", TREE]) });
    started(&child);
    marker.await_alive(TREE_SIZE);
    child
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

/// Gone has been said, so nothing may be there at this very moment.
fn assert_none_left(marker: &Marker) {
    assert_eq!(marker.alive(), Vec::<String>::new());
}

#[test]
fn terminate_ends_the_tree_with_its_daemons() {
    let marker = Marker::new();
    let child = tree(&marker, Duration::from_millis(50));
    child.lifeline.terminate();
    assert_eq!(events(&child), [Event::Exited(ExitKind::Signal(15)), Event::Gone]);
    assert_none_left(&marker);
}

#[test]
fn kill_ends_the_tree_without_any_grace() {
    let marker = Marker::new();
    let child = tree(&marker, LONG);
    child.lifeline.kill();
    assert_eq!(events(&child), [Event::Exited(ExitKind::Signal(9)), Event::Gone]);
    assert_none_left(&marker);
}

#[test]
fn kill_cuts_a_grace_period_short() {
    let marker = Marker::new();
    let child = launch_shell(&marker, DEAF);
    started(&child);
    read_ready(&child);
    child.lifeline.terminate();
    child.lifeline.kill();
    assert_eq!(events(&child), [Event::Exited(ExitKind::Signal(9)), Event::Gone]);
    assert_none_left(&marker);
}

#[test]
fn dropping_the_lifeline_ends_the_tree() {
    let marker = Marker::new();
    drop(tree(&marker, Duration::from_millis(50)));
    marker.await_gone();
}

#[test]
fn the_end_of_the_program_ends_what_it_left_behind() {
    let marker = Marker::new();
    let child = tree(&marker, LONG);
    signal(child.lifeline.pid().unwrap(), Signal::INT);
    assert_eq!(events(&child), [Event::Exited(ExitKind::Signal(2)), Event::Gone]);
    assert_none_left(&marker);
}

/// A process that launches `script` with a grace period longer than any test.
fn owner(marker: &Marker, mode: &str, script: &str) -> std::process::Child {
    let (name, value) = marker.variable();
    let mut owner = Command::new(helper().exe);
    owner.env_clear().env("PATH", PATH).env(name, value).args([mode, "sh", "-c", script]);
    owner.spawn().unwrap()
}

#[test]
fn the_violent_death_of_its_owner_ends_the_tree() {
    let marker = Marker::new();
    let mut owner = owner(&marker, "hold", TREE);
    marker.await_alive(TREE_SIZE + 1);
    owner.kill().unwrap();
    owner.wait().unwrap();
    marker.await_gone();
}

#[test]
fn a_grace_period_does_not_outlive_its_owner() {
    let marker = Marker::new();
    assert!(owner(&marker, "leave", DEAF).wait().unwrap().success());
    marker.await_gone();
}

#[test]
fn the_violent_death_of_the_supervisor_ends_the_program_and_its_session() {
    let marker = Marker::new();
    let child = launch_shell(&marker, "sleep 1000 & (sleep 1000 &) ; exec sleep 1000");
    started(&child);
    marker.await_alive(4);
    signal(child.lifeline.supervisor_pid(), Signal::KILL);
    assert_eq!(next(&child.lifeline), Event::Lost);
    marker.await_gone();
    assert_eq!(next(&child.lifeline), Event::Lost);
}

#[test]
fn a_deaf_program_is_killed_when_its_grace_is_over() {
    let marker = Marker::new();
    let plan = plan(&marker, "sh", &["-c", DEAF]);
    let child = launch(&Launch { grace: Duration::from_millis(50), ..plan });
    started(&child);
    read_ready(&child);
    child.lifeline.terminate();
    assert_eq!(events(&child), [Event::Exited(ExitKind::Signal(9)), Event::Gone]);
    assert_none_left(&marker);
}

#[test]
fn a_polite_program_uses_its_grace() {
    let marker = Marker::new();
    let script = r#"trap "sleep 0.2; exit 5" TERM; echo ready; while :; do sleep 0.01; done"#;
    let child = launch_shell(&marker, script);
    started(&child);
    read_ready(&child);
    child.lifeline.terminate();
    assert_eq!(events(&child), [Event::Exited(ExitKind::Code(5)), Event::Gone]);
}

#[test]
fn the_whole_group_hears_sigterm() {
    let marker = Marker::new();
    // The shell looks at its trap only when the child it waits for has ended.
    let child = launch_shell(&marker, r#"trap "exit 3" TERM; echo ready; sleep 1000"#);
    started(&child);
    read_ready(&child);
    // What the shell has forked has its trap until it becomes another program, and would swallow the signal.
    marker.await_program("sleep");
    child.lifeline.terminate();
    assert_eq!(events(&child), [Event::Exited(ExitKind::Code(3)), Event::Gone]);
}

#[test]
fn the_terminals_signals_do_not_reach_the_program_but_sigterm_ends_it() {
    let marker = Marker::new();
    let child = launch_shell(&marker, "exec sleep 1000");
    started(&child);
    let supervisor = child.lifeline.supervisor_pid();
    for ignored in [Signal::INT, Signal::HUP, Signal::QUIT, Signal::PIPE, Signal::USR1] {
        signal(supervisor, ignored);
    }
    assert_eq!(child.lifeline.read_event(), None);
    // While a program becomes another one, nobody can read its environment.
    wait_until("both to be seen", || marker.alive().len() == 2);
    signal(supervisor, Signal::TERM);
    assert_eq!(events(&child), [Event::Exited(ExitKind::Signal(15)), Event::Gone]);
}

#[test]
fn a_storm_of_orphans_leaves_no_zombie() {
    let marker = Marker::new();
    let script = "i=0; while [ $i -lt 2000 ]; do (: &) ; i=$((i+1)); done; echo ready; exec sleep 1000";
    let child = launch_shell(&marker, script);
    let program = started(&child);
    read_ready(&child);
    let supervisor = child.lifeline.supervisor_pid();
    let children = format!("task/{supervisor}/children");
    wait_until("the zombies to be reaped", || proc_file(supervisor, &children).trim() == program.to_string());
    child.lifeline.terminate();
    assert_eq!(events(&child).last(), Some(&Event::Gone));
}

#[test]
fn a_chain_of_racing_forks_is_caught() {
    let marker = Marker::new();
    // Each link forks the next, in a session of its own, and ends: no process id lives long enough to aim at.
    let script = r#"
import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    while True:
        os.setsid()
        if os.fork() != 0: os._exit(0)
else:
    print("ready", flush=True)
    signal.pause()
"#;
    let plan = plan(&marker, "python3", &["-c", script]);
    let child = launch(&Launch { grace: Duration::from_millis(20), ..plan });
    started(&child);
    read_ready(&child);
    child.lifeline.terminate();
    assert_eq!(events(&child), [Event::Exited(ExitKind::Signal(9)), Event::Gone]);
    assert_none_left(&marker);
}

#[test]
fn many_programs_end_independently() {
    let marker = Marker::new();
    let mut children: Vec<_> = (0..30).map(|_| launch_shell(&marker, "sleep 1000 & exec sleep 1000")).collect();
    children.iter().for_each(|child| _ = started(child));
    let last = children.split_off(15);
    drop(children);
    for child in &last {
        assert_eq!(child.lifeline.read_event(), None);
        child.lifeline.terminate();
    }
    for child in &last {
        assert_eq!(events(child), [Event::Exited(ExitKind::Signal(15)), Event::Gone]);
    }
    marker.await_gone();
}
