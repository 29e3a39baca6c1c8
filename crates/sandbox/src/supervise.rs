//! The supervisor's side: one small single-threaded process between toolgate and one program. It starts the
//! program, reports, reaps whatever ends below it, and ends everything below it before it ends itself.
//!
//! Not here: what the program may do (see `profile`), and anything about toolgate's configuration or protocol.
#![expect(unsafe_code, reason = "the lifeline arrives as a descriptor number")]

use std::ffi::OsString;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getppid, pidfd_open, wait};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::thread::set_name;

use crate::descendants::signal_children;
use crate::profile;
use crate::signals::{Heard, Signals};
use crate::wire::{Event, ExitKind, LIFELINE_FD, Request};

/// The longest grace period once toolgate is gone: nobody is left who would read a goodbye.
const ORPHANED_GRACE: Duration = Duration::from_millis(500);
/// The longest grace period of what the program left behind when it ended.
const STRAY_GRACE: Duration = Duration::from_millis(500);
/// Between two looks for survivors of SIGKILL (short-lived forks, or processes stuck in the kernel).
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LAST_LOOK: Duration = Duration::from_millis(100);

/// The whole life of a supervisor. To be called first thing in `main`, before there is any thread, with the
/// arguments after the hidden one; that is `args_os().skip(2)`. Started by anything but
/// [`crate::launch`] it does nothing and returns 2.
pub fn supervise_main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let (Some(order), Some(lifeline)) = (Order::parse(args), take_lifeline()) else {
        return ExitCode::from(2);
    };
    // Only the name shown by `ps`; without it that would be "exe".
    _ = set_name(c"toolgate-child");
    match start(&order) {
        Ok(Started { signals, owner, program }) => {
            detach_stdio();
            report(&lifeline, Event::Started { pid: program.as_raw_nonzero().get().cast_unsigned() });
            let supervisor = Supervisor {
                lifeline: Some(lifeline),
                owner: Some(owner),
                signals,
                program,
                grace: order.grace,
                stage: Stage::Running,
            };
            supervisor.run().inspect(|lifeline| report(lifeline, Event::Gone));
        }
        Err(error) => {
            report(&lifeline, Event::NotStarted { errno: error.raw_os_error().unwrap_or(libc::EIO) });
            report(&lifeline, Event::Gone);
        }
    }
    ExitCode::SUCCESS
}

/// What [`crate::launch`] wrote on the command line.
struct Order {
    owner: Pid,
    grace: Duration,
    program: OsString,
    args: Vec<OsString>,
}

impl Order {
    fn parse(mut args: impl Iterator<Item = OsString>) -> Option<Order> {
        let owner = Pid::from_raw(args.next()?.to_str()?.parse().ok().filter(|owner| *owner > 0)?)?;
        let grace = args.next()?.to_str()?.parse().ok()?;
        if args.next()? != "--" {
            return None;
        }
        Some(Order { owner, grace: Duration::from_millis(grace), program: args.next()?, args: args.collect() })
    }
}

/// Descriptor 3, if it is a socket: nothing else may be taken for a lifeline.
fn take_lifeline() -> Option<OwnedFd> {
    // SAFETY: only looked at; if it is not open, the call says so.
    let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(LIFELINE_FD) };
    if rustix::net::sockopt::socket_type(fd).ok()? != rustix::net::SocketType::SEQPACKET {
        return None;
    }
    fcntl_setfd(fd, FdFlags::CLOEXEC).ok()?;
    // SAFETY: open, as just seen, and placed there by `launch` for us alone.
    Some(unsafe { OwnedFd::from_raw_fd(LIFELINE_FD) })
}

struct Started {
    signals: Signals,
    owner: OwnedFd,
    program: Pid,
}

fn start(order: &Order) -> io::Result<Started> {
    profile::enter_supervisor(LIFELINE_FD)?;
    let owner = hold(order.owner)?;
    let signals = Signals::block()?;
    let mut command = Command::new(&order.program);
    command.args(&order.args);
    profile::confine(&mut command);
    let child = command.spawn()?;
    let program = Pid::from_raw(child.id().cast_signed()).expect("a started process has an id");
    Ok(Started { signals, owner, program })
}

/// A descriptor that becomes readable when toolgate itself ends; an error if it has.
fn hold(owner: Pid) -> io::Result<OwnedFd> {
    let held = pidfd_open(owner, PidfdFlags::empty())?;
    // While it is still our parent, its number cannot have been given to the process that we hold instead.
    match getppid() == Some(owner) {
        true => Ok(held),
        false => Err(Errno::SRCH.into()),
    }
}

/// Lets go of the program's pipes, or neither side would ever see an end of file.
fn detach_stdio() {
    if let Ok(null) = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        _ = dup2_stdin(&null);
        _ = dup2_stdout(&null);
        _ = dup2_stderr(&null);
    } else {
        // SAFETY: nothing in this process uses them any more.
        (0..=2).for_each(|fd| drop(unsafe { OwnedFd::from_raw_fd(fd) }));
    }
}

fn report(lifeline: &OwnedFd, event: Event) {
    // A toolgate that is gone needs no report, and a handful of packets always fits.
    _ = send(lifeline, &event.encode(), SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
}

struct Supervisor {
    /// `None` once toolgate has closed its end.
    lifeline: Option<OwnedFd>,
    /// Readable when toolgate itself has ended; `None` from then on.
    owner: Option<OwnedFd>,
    signals: Signals,
    program: Pid,
    grace: Duration,
    stage: Stage,
}

enum Stage {
    Running,
    /// SIGTERM was sent.
    Ending {
        kill_at: Instant,
    },
    /// SIGKILL is sent at each look, until nobody is left.
    Killing {
        next_look: Duration,
    },
}

enum Left {
    Some,
    Nobody,
}

impl Supervisor {
    /// Returns when nobody is left below us; the lifeline if toolgate still listens.
    fn run(mut self) -> Option<OwnedFd> {
        while let Left::Some = self.reap() {
            self.advance();
            self.wait();
        }
        self.lifeline
    }

    fn reap(&mut self) -> Left {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.program => self.program_ended(status),
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return Left::Some,
                Err(_) => return Left::Nobody,
            }
        }
    }

    fn program_ended(&mut self, status: WaitStatus) {
        let kind = match status.terminating_signal() {
            Some(signal) => ExitKind::Signal(signal),
            None => ExitKind::Code(status.exit_status().unwrap_or(-1)),
        };
        self.lifeline.iter().for_each(|lifeline| report(lifeline, Event::Exited(kind)));
        self.end_within(self.grace.min(STRAY_GRACE));
    }

    /// SIGTERM to all, and SIGKILL no later than `grace` from now.
    fn end_within(&mut self, grace: Duration) {
        let kill_at = now() + grace;
        let kill_at = match self.stage {
            Stage::Running => kill_at,
            Stage::Ending { kill_at: earlier } => earlier.min(kill_at),
            Stage::Killing { .. } => return,
        };
        self.stage = Stage::Ending { kill_at };
        if !grace.is_zero() {
            signal_children(Signal::TERM);
        }
    }

    fn advance(&mut self) {
        match self.stage {
            Stage::Ending { kill_at } if kill_at <= now() => self.kill_and_look_in(FIRST_LOOK),
            Stage::Killing { next_look } => self.kill_and_look_in((next_look * 2).min(LAST_LOOK)),
            Stage::Running | Stage::Ending { .. } => {}
        }
    }

    fn kill_and_look_in(&mut self, next_look: Duration) {
        signal_children(Signal::KILL);
        self.stage = Stage::Killing { next_look };
    }

    /// Sleeps until a child ends, toolgate speaks or dies, or the stage's time is over.
    fn wait(&mut self) {
        let timeout = match self.stage {
            Stage::Running => None,
            Stage::Ending { kill_at } => Some(kill_at.saturating_duration_since(now())),
            Stage::Killing { next_look } => Some(next_look),
        };
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let others = [self.owner.as_ref(), self.lifeline.as_ref()].into_iter().flatten();
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        fds.extend(others.map(|fd| PollFd::new(fd, PollFlags::IN)));
        _ = poll(&mut fds, timeout.as_ref());
        if self.signals.drain() == Heard::Terminate {
            self.end_within(self.grace);
        }
        self.listen();
        self.look_after_owner();
    }

    fn listen(&mut self) {
        let mut packet = [0; 8];
        while let Some(lifeline) = &self.lifeline {
            match recv(lifeline, &mut packet[..], RecvFlags::DONTWAIT) {
                Ok((_, length @ 1..)) => self.obey(Request::decode(&packet[..length.min(packet.len())])),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Ok((_, 0)) | Err(_) => self.disconnected(),
            }
        }
    }

    fn obey(&mut self, request: Option<Request>) {
        match request {
            Some(Request::Terminate) => self.end_within(self.grace),
            Some(Request::Kill) => self.end_within(Duration::ZERO),
            None => {}
        }
    }

    /// A lifeline that is dropped asks for the end first, and gets its whole grace; one that just ends was cut.
    fn disconnected(&mut self) {
        self.lifeline = None;
        if let Stage::Running = self.stage {
            self.end_within(self.grace.min(ORPHANED_GRACE));
        }
    }

    /// Once toolgate has ended, whatever it had asked for, nothing may outlive it for longer than a moment.
    fn look_after_owner(&mut self) {
        let Some(owner) = &self.owner else {
            return;
        };
        let mut fds = [PollFd::new(owner, PollFlags::IN)];
        if let Ok(1..) = poll(&mut fds, Some(&Timespec::default())) {
            self.owner = None;
            self.end_within(self.grace.min(ORPHANED_GRACE));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a process of its own, in which no clock can be handed")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Option<Order> {
        Order::parse(args.iter().map(OsString::from))
    }

    #[test]
    fn an_order_is_read_as_it_was_written() {
        let order = parse(&["77", "250", "--", "sh", "--", "-c"]).unwrap();
        assert_eq!(order.owner.as_raw_nonzero().get(), 77);
        assert_eq!(order.grace, Duration::from_millis(250));
        assert_eq!((order.program, order.args), ("sh".into(), vec!["--".into(), "-c".into()]));
    }

    #[test]
    fn half_an_order_is_none() {
        for args in ["", "7 250", "7 250 --", "7 x -- sh", "0 250 -- sh", "-7 250 -- sh", "7 250 sh --"] {
            let words: Vec<_> = args.split_whitespace().collect();
            assert!(parse(&words).is_none(), "{args}");
        }
    }
}
