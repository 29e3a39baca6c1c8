//! The words spoken over the lifeline, one packet each. Not here: the socket, or what a word makes happen.

/// The descriptor under which the supervisor finds its end of the lifeline.
pub(crate) const LIFELINE_FD: i32 = 3;

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
    /// The program itself ended. What it left running is being ended now.
    Exited(ExitKind),
    /// Nothing that was started is left.
    Gone,
    /// The supervisor died before it could say [`Event::Gone`]. The program and its session were killed;
    /// a process that had left the session may survive.
    Lost,
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
