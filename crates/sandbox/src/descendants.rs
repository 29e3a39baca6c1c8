//! Finding and signalling the processes below or beside us through `/proc`. Not here: when, or with which signal.

use std::fs;
use std::os::fd::OwnedFd;

use rustix::process::{
    Pid, PidfdFlags, Signal, getpgid, getpid, kill_process, kill_process_group, pidfd_open, pidfd_send_signal,
};

/// Rounds of [`kill_session`]; each sees what the one before it raced with.
const SESSION_ROUNDS: usize = 16;

/// Sends `signal` to each child of this process and to the whole process group each of them is in.
///
/// A group is signalled in one step that a racing fork cannot slip through. As the caller leads a session of
/// its own, all groups reachable here hold only its descendants (and, in its own group, itself: spared).
/// Refusals are passed over: the caller asks again until no child is left.
pub(crate) fn signal_children(signal: Signal) {
    let own_group = getpgid(None).ok();
    let mut signalled: Vec<Pid> = Vec::new();
    for child in children() {
        match getpgid(Some(child)) {
            Ok(group) if Some(group) == own_group => _ = kill_process(child, signal),
            Ok(group) if signalled.contains(&group) => {}
            Ok(group) => {
                _ = kill_process_group(group, signal);
                signalled.push(group);
            }
            // Cannot happen to a child that we have not reaped; if it does, the child alone is signalled.
            Err(_) => _ = kill_process(child, signal),
        }
    }
}

/// The children of this single-threaded process, zombies included. May miss one that comes just now.
fn children() -> Vec<Pid> {
    match fs::read_to_string("/proc/thread-self/children") {
        Ok(list) => list.split_ascii_whitespace().filter_map(parse_pid).collect(),
        // Kernels built without CONFIG_PROC_CHILDREN.
        Err(_) => processes().filter(|process| process.parent == Some(getpid())).map(|process| process.pid).collect(),
    }
}

/// Kills every process of the session that `leader` leads or led, `leader` included.
///
/// `leader` must be a child of the caller that was not waited for yet: that keeps its number, and with it
/// the session's, from being given to anybody else.
pub(crate) fn kill_session(leader: Pid) {
    _ = kill_process(leader, Signal::KILL);
    for _ in 0..SESSION_ROUNDS {
        let killed = processes()
            .filter(|process| process.session == Some(leader) && process.pid != leader && !process.zombie)
            .filter(|process| kill_if(process.pid, |now| now.session == Some(leader)))
            .count();
        if killed == 0 {
            return;
        }
    }
}

/// Kills `pid` if it still is the process that `expected` recognises; its number may have changed hands.
fn kill_if(pid: Pid, expected: impl Fn(&Process) -> bool) -> bool {
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else {
        return false;
    };
    Process::read(pid).is_some_and(|now| expected(&now)) && kill_held(&handle)
}

fn kill_held(handle: &OwnedFd) -> bool {
    pidfd_send_signal(handle, Signal::KILL).is_ok()
}

#[derive(Debug, PartialEq, Eq)]
struct Process {
    pid: Pid,
    /// `None` for the kernel's own, and for one whose parent lives outside this process namespace.
    parent: Option<Pid>,
    /// `None` likewise, as for everything started by `docker exec` or a CI runner without a session of its own.
    session: Option<Pid>,
    zombie: bool,
}

fn processes() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Process::read(parse_pid(entry.file_name().to_str()?)?))
}

impl Process {
    fn read(pid: Pid) -> Option<Process> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Process::parse(pid, &String::from_utf8_lossy(&stat))
    }

    fn parse(pid: Pid, stat: &str) -> Option<Process> {
        // The name in parentheses may itself hold spaces and parentheses, so the fields are counted from its end.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        let state = fields.next()?;
        let parent = parse_pid(fields.next()?);
        let _group = fields.next()?;
        let session = parse_pid(fields.next()?);
        Some(Process { pid, parent, session, zombie: state == "Z" })
    }
}

fn parse_pid(text: &str) -> Option<Pid> {
    Pid::from_raw(text.parse().ok().filter(|pid| *pid > 0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid(raw: i32) -> Pid {
        Pid::from_raw(raw).unwrap()
    }

    #[test]
    fn a_process_name_cannot_fake_the_fields_behind_it() {
        let stat = "7 (a) S 1 1 1 (b) Z 5 6 4 0 -1 4194304 98 0";
        let expected = Process { pid: pid(7), parent: Some(pid(5)), session: Some(pid(4)), zombie: true };
        assert_eq!(Process::parse(pid(7), stat), Some(expected));
    }

    #[test]
    fn a_process_from_outside_this_namespace_has_neither_parent_nor_session() {
        let expected = Process { pid: pid(2), parent: None, session: None, zombie: false };
        assert_eq!(Process::parse(pid(2), "2 (sh) S 0 0 0 0 -1"), Some(expected));
    }

    #[test]
    fn a_torn_line_is_no_process() {
        for stat in ["", "7 (a", "7 (a) S", "7 (a) S 1 1"] {
            assert_eq!(Process::parse(pid(7), stat), None);
        }
    }

    #[test]
    fn this_process_finds_itself() {
        assert!(processes().any(|process| process.pid == getpid()));
    }
}
