//! The socket between the first process of a namespace and the supervisor outside of it. Not here: the lifeline,
//! over which the supervisor passes the news on.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType, recv, recvmsg,
    socketpair,
};
use rustix::process::Pid;

use crate::fork::{Refused, refused};
use crate::wire::{Event, ExitKind, Step};

/// How long it may take until a program runs or was refused; a machine that takes longer is stuck.
const PATIENCE: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

/// The supervisor's end.
pub(crate) struct Status(OwnedFd);

impl Status {
    /// The supervisor's end, and that of the first process.
    pub(crate) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        set_socket_passcred(&ours, true)?;
        Ok((Self(ours), theirs))
    }

    /// Waits for the program to run; its number as it is known here.
    pub(crate) fn await_program(&self) -> Result<Pid, Refused> {
        let silent = |errno: Errno| refused(Step::Bwrap, &errno.into());
        let mut program = None;
        loop {
            match self.receive().map_err(silent)? {
                (Some(Event::Started { pid: 0 }), sender) => program = sender,
                (Some(Event::Started { .. }), _) => {
                    return program.ok_or(refused(Step::Namespaces, &Errno::SRCH.into()));
                }
                (Some(refusal), _) => return Err(refusal),
                // It ended without a word; the only one that says why elsewhere is `bwrap`.
                (None, _) => return Err(Event::NotConfined { step: Step::Bwrap, errno: 0 }),
            }
        }
    }

    fn receive(&self) -> rustix::io::Result<(Option<Event>, Option<Pid>)> {
        if poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&PATIENCE))? == 0 {
            return Err(Errno::TIMEDOUT);
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut packet = [0; 8];
        let read = recvmsg(&self.0, &mut [IoSliceMut::new(&mut packet)], &mut control, RecvFlags::DONTWAIT)?.bytes;
        let sender = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmCredentials(sender) => Some(sender.pid),
            _ => None,
        });
        Ok((Event::decode(&packet[..read.min(packet.len())]), sender))
    }

    /// How the program ended, if that was told.
    pub(crate) fn exit(&self) -> Option<ExitKind> {
        let mut packet = [0; 8];
        while let Ok((_, length @ 1..)) = recv(&self.0, &mut packet[..], RecvFlags::DONTWAIT) {
            if let Some(Event::Exited(kind)) = Event::decode(&packet[..length.min(packet.len())]) {
                return Some(kind);
            }
        }
        None
    }
}
