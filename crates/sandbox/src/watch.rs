//! A lifeline whose events a tokio runtime waits for. Not here: what an event means.

use crate::lifeline::Lifeline;
use crate::wire::Event;
use std::io;
use std::ops::Deref;
use std::os::fd::AsFd;
use tokio::io::Interest;
use tokio::net::UnixDatagram;

/// A [`Lifeline`] registered with the runtime. Dropping it ends the program, as dropping the lifeline does.
#[derive(Debug)]
pub struct Watched {
    lifeline: Lifeline,
    /// The same socket; only ever asked whether it is readable.
    socket: UnixDatagram,
}

impl Watched {
    /// Registers the lifeline with the current runtime.
    ///
    /// # Errors
    /// When there is no descriptor left, or the runtime refuses it.
    pub fn new(lifeline: Lifeline) -> io::Result<Self> {
        let socket = std::os::unix::net::UnixDatagram::from(lifeline.as_fd().try_clone_to_owned()?);
        Ok(Self { socket: UnixDatagram::from_std(socket)?, lifeline })
    }

    /// The next event; after [`Event::Gone`] or [`Event::Lost`] the same again. Cancel safe: an event is taken only
    /// when it is returned.
    pub async fn next_event(&self) -> Event {
        let read = || self.lifeline.read_event().ok_or_else(|| io::ErrorKind::WouldBlock.into());
        loop {
            if self.socket.readable().await.is_err() {
                return Event::Lost;
            }
            if let Ok(event) = self.socket.try_io(Interest::READABLE, read) {
                return event;
            }
        }
    }
}

impl Deref for Watched {
    type Target = Lifeline;

    fn deref(&self) -> &Lifeline {
        &self.lifeline
    }
}
