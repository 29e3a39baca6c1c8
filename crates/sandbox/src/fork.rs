//! The program's own process: forked from the helper, bound, and then the program. Its parent learns whether that
//! went well before it goes on.
#![expect(unsafe_code, reason = "fork has no safe wrapper")]

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::bounds;
use crate::observe::probe;
use crate::plan::{Action, Plan};
use crate::signals::unblock_all;
use crate::wire::{Event, Step};

/// Why the program does not run, as it is reported.
pub(crate) type Refused = Event;

/// A step that failed, as it is reported.
pub(crate) fn refused(step: Step, error: &io::Error) -> Refused {
    Event::NotConfined { step, errno: error.raw_os_error().unwrap_or(0) }
}

/// That the program could not be executed, as it is reported.
pub(crate) fn not_started(error: &io::Error) -> Refused {
    Event::NotStarted { errno: error.raw_os_error().unwrap_or(libc::EIO) }
}

/// Forks the process that becomes the program. `first` runs in it before it is bound. Must be called by a process
/// with one thread.
pub(crate) fn start(
    plan: &Plan,
    program: &OsString,
    args: &[OsString],
    first: impl FnOnce() -> io::Result<()>,
) -> Result<Pid, Refused> {
    let (mut news, told) = pipe_with(PipeFlags::CLOEXEC)
        .map(|(read, write)| (std::fs::File::from(read), write))
        .map_err(|errno| not_started(&errno.into()))?;
    match fork().map_err(|error| not_started(&error))? {
        None => become_program(plan, program, args, told, first),
        Some(child) => {
            drop(told);
            let mut packet = Vec::new();
            _ = news.read_to_end(&mut packet);
            match Event::decode(&packet) {
                None => Ok(child),
                Some(refused) => {
                    _ = waitpid(Some(child), WaitOptions::empty());
                    Err(refused)
                }
            }
        }
    }
}

/// `None` in the child.
fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: this process has one thread, so the child finds no lock held and no structure half-changed.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(Pid::from_raw(pid)),
    }
}

/// Ends this process at once; nothing of its parent's that it has a copy of is cleaned up.
pub(crate) fn leave(code: i32) -> ! {
    // SAFETY: ends the process without running anything.
    unsafe { libc::_exit(code) }
}

fn become_program(
    plan: &Plan,
    program: &OsString,
    args: &[OsString],
    told: OwnedFd,
    first: impl FnOnce() -> io::Result<()>,
) -> ! {
    let bound = first()
        .and_then(|()| unblock_all())
        .map_err(|error| not_started(&error))
        .and_then(|()| bounds::apply(plan).map_err(|(step, error)| refused(step, &error)));
    let refused = match (bound, plan.action) {
        (Err(refused), _) => refused,
        (Ok(()), Action::Exec) => not_started(&Command::new(program).args(args).exec()),
        (Ok(()), Action::Nothing) => leave(0),
        (Ok(()), Action::Probe) => {
            drop(told);
            leave(probe(args));
        }
    };
    _ = rustix::io::write(&told, &refused.encode());
    leave(127)
}
