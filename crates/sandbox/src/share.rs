//! The share of the processors that all of a program's session gets together. Where the kernel counts by sessions
//! (autogroups), how nice a process is says nothing to other sessions: a hundred nice ones would push everybody else
//! aside. Not here: any other limit.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Pid;

/// The kernel takes one such wish in this time, whoever has it.
pub(crate) const AGAIN: Duration = Duration::from_millis(110);

/// How nice a session still has to become.
#[derive(Debug)]
pub(crate) struct Share {
    of: PathBuf,
    nice: u8,
}

impl Share {
    /// The session of `program`; `None` if it need not give way.
    pub(crate) fn of(program: Pid, nice: u8) -> Option<Self> {
        let of = format!("/proc/{}/autogroup", program.as_raw_nonzero()).into();
        (nice > 0).then_some(Self { of, nice })
    }

    /// Makes it so. What comes back has to be tried again, [`AGAIN`] later.
    pub(crate) fn settle(self) -> Option<Self> {
        match fs::write(&self.of, self.nice.to_string()) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Some(self),
            // Otherwise it is done, or the kernel counts by processes.
            _ => None,
        }
    }
}
