//! The words spoken over the lifeline, one packet each. Not here: the socket, or what a word makes happen.

use rustix::fs::SealFlags;

/// The descriptor under which the supervisor finds its end of the lifeline.
pub(crate) const LIFELINE_FD: i32 = 3;

/// The descriptor under which it finds the plan, if there is one.
pub(crate) const PLAN_FD: i32 = 4;
/// The descriptor over which the way out of the program's network is handed back, if there is one.
pub(crate) const DOOR_FD: i32 = 5;
/// What the file of a plan is sealed with, so that nobody changes it between two who read it.
pub(crate) const PLAN_SEALS: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// Stands before the program on the supervisor's command line, and says what is handed over besides the lifeline.
pub(crate) const HANDED_NOTHING: &str = "--";
pub(crate) const HANDED_PLAN: &str = "--plan";
pub(crate) const HANDED_DOOR: &str = "--plan-and-door";

/// What the supervisor reports. The last one is always [`Event::Gone`] or [`Event::Lost`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The program runs; its process id, which is also its process group.
    Started {
        /// The program's process id.
        pid: u32,
    },
    /// The program could not be started; only [`Event::Gone`] follows.
    NotStarted {
        /// The operating system's error number: 2 = not found, 13 = not executable, 11 = no process left.
        errno: i32,
    },
    /// The bounds it was to run under could not be built, so it was not started; only [`Event::Gone`] follows.
    NotConfined {
        /// What failed.
        step: Step,
        /// The operating system's error number, 0 where there is none.
        errno: i32,
    },
    /// The program itself ended. What it left running is being ended now.
    Exited(ExitKind),
    /// Nothing that was started is left.
    Gone,
    /// The supervisor died before it could say [`Event::Gone`]. The program and its session were killed;
    /// a process that had left the session may survive.
    Lost,
}

/// A part of the bounds that could not be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The helper could not read what it was to build.
    Plan,
    /// A protected name could not be held.
    Hold,
    /// The temporary directory could not be made.
    Tmp,
    /// `bwrap` could not be started or ended early; what it said is in the program's standard error.
    Bwrap,
    /// The kernel does not allow namespaces.
    Namespaces,
    /// What the program is to see could not be mounted.
    Mounts,
    /// The way out of its network could not be opened.
    Egress,
    /// The directory it was to start in cannot be entered from within.
    Cwd,
    /// A resource could not be limited.
    Limits,
    /// Landlock.
    Landlock,
    /// seccomp, or capabilities.
    Filter,
}

impl Step {
    const ALL: [Step; 11] = [
        Step::Plan,
        Step::Hold,
        Step::Tmp,
        Step::Bwrap,
        Step::Namespaces,
        Step::Mounts,
        Step::Egress,
        Step::Cwd,
        Step::Limits,
        Step::Landlock,
        Step::Filter,
    ];
}

/// Continues "the sandbox could not be built: …".
impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Step::Plan => "the order to the helper was not understood",
            Step::Hold => "a protected name could not be held",
            Step::Tmp => "the temporary directory could not be made",
            Step::Bwrap => "`bwrap` ended early; its standard error says why",
            Step::Namespaces => "the kernel does not allow namespaces",
            Step::Mounts => "what is to be seen could not be mounted",
            Step::Egress => "the way to the allowed hosts could not be opened",
            Step::Cwd => "the working directory is not among the granted ones",
            Step::Limits => "a resource could not be limited",
            Step::Landlock => "Landlock could not be switched on",
            Step::Filter => "system calls could not be filtered",
        })
    }
}

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitKind {
    /// It returned this status, 0 to 255.
    Code(i32),
    /// It was ended by this signal.
    Signal(i32),
}

/// What toolgate asks of the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// End the tree: SIGTERM, the grace period, SIGKILL.
    Terminate,
    /// End the tree with SIGKILL at once.
    Kill,
}

pub(crate) type EventPacket = [u8; 5];

impl Event {
    pub(crate) fn encode(self) -> EventPacket {
        let (tag, value) = match self {
            Event::Started { pid } => (b'S', pid.cast_signed()),
            Event::NotStarted { errno } => (b'N', errno),
            Event::NotConfined { step, errno } => (b'U', ((step as i32) << 16) | (errno & 0xffff)),
            Event::Exited(ExitKind::Code(code)) => (b'C', code),
            Event::Exited(ExitKind::Signal(signal)) => (b'X', signal),
            Event::Gone => (b'G', 0),
            Event::Lost => (b'L', 0),
        };
        let [a, b, c, d] = value.to_le_bytes();
        [tag, a, b, c, d]
    }

    /// `None` for anything [`Event::encode`] does not produce.
    pub(crate) fn decode(packet: &[u8]) -> Option<Event> {
        let &[tag, a, b, c, d] = packet else {
            return None;
        };
        let value = i32::from_le_bytes([a, b, c, d]);
        Some(match tag {
            b'S' => Event::Started { pid: value.cast_unsigned() },
            b'N' => Event::NotStarted { errno: value },
            b'U' => {
                let step = Step::ALL.get(usize::try_from(value >> 16).ok()?)?;
                Event::NotConfined { step: *step, errno: value & 0xffff }
            }
            b'C' => Event::Exited(ExitKind::Code(value)),
            b'X' => Event::Exited(ExitKind::Signal(value)),
            b'G' => Event::Gone,
            b'L' => Event::Lost,
            _ => return None,
        })
    }
}

impl Request {
    pub(crate) fn encode(self) -> [u8; 1] {
        match self {
            Request::Terminate => [b'T'],
            Request::Kill => [b'K'],
        }
    }

    pub(crate) fn decode(packet: &[u8]) -> Option<Request> {
        match packet {
            b"T" => Some(Request::Terminate),
            b"K" => Some(Request::Kill),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(event: Event) {
        assert_eq!(Event::decode(&event.encode()), Some(event));
    }

    #[test]
    fn every_event_survives_the_wire() {
        check(Event::Started { pid: 4_194_304 });
        check(Event::NotStarted { errno: 13 });
        for step in Step::ALL {
            check(Event::NotConfined { step, errno: 38 });
        }
        check(Event::Exited(ExitKind::Code(255)));
        check(Event::Exited(ExitKind::Signal(9)));
        check(Event::Gone);
        check(Event::Lost);
    }

    #[test]
    fn every_request_survives_the_wire() {
        for request in [Request::Terminate, Request::Kill] {
            assert_eq!(Request::decode(&request.encode()), Some(request));
        }
    }

    #[test]
    fn foreign_packets_mean_nothing() {
        for packet in [&b""[..], b"S", b"Zaaaa", b"Saaaaa"] {
            assert_eq!(Event::decode(packet), None);
            assert_eq!(Request::decode(packet), None);
        }
    }
}
