//! The supervisor's side: one small single-threaded process between toolgate and one program. It starts the
//! program, reports, reaps whatever ends below it, and ends everything below it before it ends itself.
//!
//! Not here: what the program may do (see `guard` and `confined`), and anything about toolgate's configuration or protocol.
#![expect(unsafe_code, reason = "what is handed over arrives as descriptor numbers")]

use std::ffi::OsString;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getppid, kill_process_group, pidfd_open, wait,
};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::thread::set_name;

use crate::confined::{self, Confined, WITHIN};
use crate::descendants::signal_children;
use crate::fork::{Refused, not_started, refused};
use crate::share::{self, Share};
use crate::signals::{Heard, Signals};
use crate::status::Status;
use crate::wire::{
    DOOR_FD, Event, ExitKind, HANDED_DOOR, HANDED_NOTHING, HANDED_PLAN, LIFELINE_FD, PLAN_FD, PLAN_SEALS, Request, Step,
};
use crate::{guard, init};

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
    let mut args = args.peekable();
    if args.next_if(|word| word == WITHIN).is_some() {
        return init::main(args);
    }
    let (Some(order), Some(lifeline)) = (Order::parse(args), take_fd(LIFELINE_FD)) else {
        return ExitCode::from(2);
    };
    // Only the name shown by `ps`; without it that would be "exe".
    _ = set_name(c"toolgate-child");
    match start(&order) {
        Ok(started) => {
            detach_stdio();
            supervise(started, lifeline, order.grace);
        }
        Err(refused) => {
            report(&lifeline, refused);
            report(&lifeline, Event::Gone);
        }
    }
    ExitCode::SUCCESS
}

fn supervise(started: Started, lifeline: OwnedFd, grace: Duration) {
    let Started { signals, owner, confined } = started;
    let Confined { child, program, status, share, belongings } = confined;
    report(&lifeline, Event::Started { pid: program.as_raw_nonzero().get().cast_unsigned() });
    let supervisor = Supervisor {
        lifeline: Some(lifeline),
        owner: Some(owner),
        signals,
        child,
        program,
        status,
        share,
        grace,
        stage: Stage::Running,
    };
    let lifeline = supervisor.run();
    drop(belongings);
    lifeline.inspect(|lifeline| report(lifeline, Event::Gone));
}

/// What [`crate::launch`] wrote on the command line.
pub(crate) struct Order {
    owner: Pid,
    grace: Duration,
    handed: Handed,
    pub program: OsString,
    pub args: Vec<OsString>,
}

/// What is handed over besides the lifeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Handed {
    Nothing,
    /// The plan, as [`PLAN_FD`].
    Plan,
    /// And where the way out is handed back, as [`DOOR_FD`].
    Door,
}

impl Handed {
    fn last_fd(self) -> i32 {
        match self {
            Handed::Nothing => LIFELINE_FD,
            Handed::Plan => PLAN_FD,
            Handed::Door => DOOR_FD,
        }
    }
}

impl Order {
    fn parse(mut args: impl Iterator<Item = OsString>) -> Option<Order> {
        let owner = Pid::from_raw(args.next()?.to_str()?.parse().ok().filter(|owner| *owner > 0)?)?;
        let grace = Duration::from_millis(args.next()?.to_str()?.parse().ok()?);
        let handed = match args.next()?.to_str()? {
            HANDED_NOTHING => Handed::Nothing,
            HANDED_PLAN => Handed::Plan,
            HANDED_DOOR => Handed::Door,
            _ => return None,
        };
        Some(Order { owner, grace, handed, program: args.next()?, args: args.collect() })
    }
}

/// A descriptor that was handed to this process, if it is what such a one has to be: the file of a plan, or a
/// socket of the kind that only `launch` and the supervisor make. Nothing else may be taken for one.
pub(crate) fn take_fd(number: i32) -> Option<OwnedFd> {
    if number < LIFELINE_FD {
        return None;
    }
    // SAFETY: only looked at; if it is not open, the call says so.
    let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
    let is_socket = matches!(rustix::net::sockopt::socket_type(fd), Ok(rustix::net::SocketType::SEQPACKET));
    let is_sealed = || rustix::fs::fcntl_get_seals(fd).is_ok_and(|seals| seals == PLAN_SEALS);
    if !is_socket && !is_sealed() {
        return None;
    }
    fcntl_setfd(fd, FdFlags::CLOEXEC).ok()?;
    // SAFETY: open, as just seen, and placed there for us alone.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

struct Started {
    signals: Signals,
    owner: OwnedFd,
    confined: Confined,
}

fn start(order: &Order) -> Result<Started, Refused> {
    let failed = |error: io::Error| not_started(&error);
    guard::enter_supervisor(order.handed.last_fd()).map_err(failed)?;
    let owner = hold(order.owner).map_err(failed)?;
    let signals = Signals::block().map_err(failed)?;
    let confined = match order.handed {
        Handed::Nothing => start_plainly(order).map_err(failed)?,
        handed => {
            let unread = || refused(Step::Plan, &io::ErrorKind::InvalidData.into());
            let file = take_fd(PLAN_FD).ok_or_else(unread)?;
            let door = if handed == Handed::Door { Some(take_fd(DOOR_FD).ok_or_else(unread)?) } else { None };
            let plan = init::read_plan(&file).ok_or_else(unread)?;
            confined::start(order, plan, file, door)?
        }
    };
    Ok(Started { signals, owner, confined })
}

fn start_plainly(order: &Order) -> io::Result<Confined> {
    let mut command = Command::new(&order.program);
    command.args(&order.args);
    guard::confine(&mut command);
    let child = command.spawn()?;
    Ok(Confined::plain(Pid::from_raw(child.id().cast_signed()).expect("a started process has an id")))
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
pub(crate) fn detach_stdio() {
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
    /// Its end is the end of all: the program, or the first process of its namespace.
    child: Pid,
    /// The leader of its group.
    program: Pid,
    /// Tells how the program ended where it is not our child.
    status: Option<Status>,
    /// Until the program's session has it.
    share: Option<Share>,
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
                Ok(Some((pid, status))) if pid == self.child => self.program_ended(status),
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return Left::Some,
                Err(_) => return Left::Nobody,
            }
        }
    }

    fn program_ended(&mut self, status: WaitStatus) {
        let told = self.status.take().and_then(|status| status.exit());
        let kind = told.unwrap_or_else(|| exit_kind(status));
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
        match self.status {
            _ if grace.is_zero() => {}
            None => signal_children(Signal::TERM),
            // The first process of a namespace does not hear it, and `bwrap` would drop everything at once.
            Some(_) => _ = kill_process_group(self.program, Signal::TERM),
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
        self.share = self.share.take().and_then(Share::settle);
        let timeout = match self.stage {
            Stage::Running => self.share.as_ref().map(|_| share::AGAIN),
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

/// How a process ended, by what `wait` said.
pub(crate) fn exit_kind(status: WaitStatus) -> ExitKind {
    match status.terminating_signal() {
        Some(signal) => ExitKind::Signal(signal),
        None => ExitKind::Code(status.exit_status().unwrap_or(-1)),
    }
}

#[expect(clippy::disallowed_methods, reason = "a process of its own, in which no clock can be handed")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests;
