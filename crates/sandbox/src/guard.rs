//! What holds for every program at every level: only the given environment and descriptors 0 to 2, a process group
//! of its own, no core dump, and death together with its supervisor.
//!
//! Not here: what a profile adds to that (`bounds`).
#![expect(unsafe_code, reason = "what holds between fork and exec has to be set between fork and exec")]

use std::ffi::c_uint;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{
    Pid, Resource, Rlimit, Signal, getpgrp, getpid, getppid, getsid, set_child_subreaper,
    set_parent_process_death_signal, setrlimit, setsid,
};

use crate::signals::unblock_all;

/// Readies the supervisor itself; what it starts inherits all of it but being the subreaper.
///
/// `last_fd` is the highest descriptor to keep: toolgate's own caller may have left others open.
pub(crate) fn enter_supervisor(last_fd: i32) -> io::Result<()> {
    close_above(last_fd)?;
    if getsid(None)? != getpid() || getpgrp() != getpid() {
        setsid()?;
    }
    set_child_subreaper(Some(getpid()))?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}

/// Puts the program that `command` will start under these. The caller must be single-threaded: the
/// death signal is tied to the thread that forks.
pub(crate) fn confine(command: &mut Command) {
    let supervisor = getpid();
    command.process_group(0);
    // SAFETY: the closure only makes system calls; it neither allocates nor takes locks.
    unsafe { command.pre_exec(move || die_with(supervisor).and_then(|()| unblock_all())) };
}

/// Ties this process's life to its parent's, which has to be `supervisor`.
pub(crate) fn die_with(supervisor: Pid) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before the line above; then nobody would send the signal.
    match getppid() == Some(supervisor) {
        true => Ok(()),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Closes the descriptors from `first` up to, and not with, `end`. Only for a process that owns nothing of them, as
/// a fork that never returns to where they are owned.
pub(crate) fn close_between(first: i32, end: i32) {
    let (first, end) = (first.cast_unsigned(), end.cast_unsigned());
    if first < end {
        // SAFETY: as the caller vouches for, nobody in this process uses or closes them any more.
        unsafe { libc::syscall(libc::SYS_close_range, first, end - 1, 0) };
    }
}

fn close_above(last_fd: i32) -> io::Result<()> {
    let first = c_uint::try_from(last_fd + 1).expect("descriptors are small and positive");
    // SAFETY: called before this process has opened anything, so nobody owns what is closed.
    match unsafe { libc::syscall(libc::SYS_close_range, first, c_uint::MAX, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
