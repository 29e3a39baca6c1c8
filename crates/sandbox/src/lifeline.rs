//! Toolgate's end of the socket to one supervisor. Not here: waiting (the caller's runtime does), or restarts.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, waitpid};

use crate::descendants::kill_session;
use crate::reach;
use crate::wire::{Event, Request};

/// How long a supervisor that closed its end may take to be gone, before it is reaped later instead.
const FAREWELL: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// Supervisors that had not ended when their lifeline was dropped; each launch and drop looks after them.
static UNREAPED: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Holds a program and all it starts alive; dropping it ends them (SIGTERM, the grace period, SIGKILL)
/// without waiting. If this process ends, in whatever way, they are ended too, within half a second.
///
/// Non-blocking: register it for readability (`AsyncFd<Lifeline>`), then call [`Lifeline::read_event`] until
/// it returns `None`.
#[derive(Debug)]
pub struct Lifeline {
    socket: OwnedFd,
    supervisor: Pid,
    /// The program's process id, 0 until it is known.
    program: AtomicI32,
    gone: AtomicBool,
    /// The last event was given; the supervisor is reaped or in [`UNREAPED`].
    ended: AtomicBool,
}

impl Lifeline {
    pub(crate) fn new(socket: OwnedFd, supervisor: Pid) -> Lifeline {
        Lifeline {
            socket,
            supervisor,
            program: AtomicI32::new(0),
            gone: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        }
    }

    /// The next event, or `None` if there is none yet. After [`Event::Gone`] or [`Event::Lost`] the same again.
    pub fn read_event(&self) -> Option<Event> {
        let mut packet = [0; 16];
        loop {
            match recv(&self.socket, &mut packet[..], RecvFlags::DONTWAIT) {
                Ok((_, 1..)) if self.gone.load(Ordering::Acquire) => {}
                Ok((_, length @ 1..)) => match Event::decode(&packet[..length.min(packet.len())]) {
                    // Only what follows its end of file is a fact about the supervisor itself.
                    Some(Event::Gone) => self.gone.store(true, Ordering::Release),
                    Some(event) => return Some(self.note(event)),
                    None => {}
                },
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return None,
                Ok((_, 0)) | Err(_) => return Some(self.end()),
            }
        }
    }

    /// The program's process id, once [`Event::Started`] was read.
    pub fn pid(&self) -> Option<u32> {
        Some(self.program.load(Ordering::Acquire).cast_unsigned()).filter(|pid| *pid != 0)
    }

    /// The supervisor's process id: what to measure, and not to signal.
    pub fn supervisor_pid(&self) -> u32 {
        self.supervisor.as_raw_nonzero().get().cast_unsigned()
    }

    /// Asks for the end of the whole tree: SIGTERM now, SIGKILL after the grace period. The events go on.
    pub fn terminate(&self) {
        self.ask(Request::Terminate);
    }

    /// Asks for SIGKILL to the whole tree at once, also during a grace period. The events go on.
    pub fn kill(&self) {
        self.ask(Request::Kill);
    }

    fn ask(&self, request: Request) {
        // Fails only if the supervisor is dead, which `read_event` tells, or if thousands of requests wait unread.
        _ = send(&self.socket, &request.encode(), SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
    }

    fn note(&self, event: Event) -> Event {
        match event {
            Event::Started { pid } => self.program.store(pid.cast_signed(), Ordering::Release),
            // What was found to work no longer does.
            Event::NotConfined { .. } => reach::forget(),
            _ => {}
        }
        event
    }

    fn end(&self) -> Event {
        let gone = self.gone.load(Ordering::Acquire);
        if !self.ended.swap(true, Ordering::AcqRel) {
            if !gone {
                kill_session(self.supervisor);
            }
            await_end(self.supervisor);
            reap(Some(self.supervisor));
        }
        match gone {
            true => Event::Gone,
            false => Event::Lost,
        }
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        if !*self.ended.get_mut() {
            self.terminate();
            reap(Some(self.supervisor));
        }
    }
}

impl AsFd for Lifeline {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Lifeline {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Waits a moment for a process whose end is under way, so that its zombie need not be kept for later.
fn await_end(pid: Pid) {
    if let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) {
        _ = poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&FAREWELL));
    }
}

/// Removes the zombies of supervisors that have ended since, `newest` among them.
pub(crate) fn reap(newest: Option<Pid>) {
    // A list of numbers cannot be left half-changed, so a panic elsewhere does not spoil it.
    let mut unreaped = UNREAPED.lock().unwrap_or_else(PoisonError::into_inner);
    unreaped.extend(newest);
    unreaped.retain(|pid| matches!(waitpid(Some(*pid), WaitOptions::NOHANG), Ok(None) | Err(Errno::INTR)));
}
