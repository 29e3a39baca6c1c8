//! MCP over lines: reading frames from a byte stream, writing them in batches, and our own descriptors.
//!
//! There is no JSON here (see [`crate::frame`]) and no process is started here.

mod outbox;
pub(crate) mod overlong;
mod reader;

pub mod process;

pub use outbox::{Closed, Outbox, OutboxTask, TrySend, outbox};
pub use reader::{Line, LineReader};

use std::io;
use std::os::fd::OwnedFd;
use tokio::net::unix::pipe;

/// Our ends of a child's pipes: `stdin` is what the child reads from, `stdout` what it writes to. They become
/// non-blocking, which the child does not notice: the ends of a pipe have separate descriptions.
///
/// Must be called within a tokio runtime.
///
/// # Errors
/// When a descriptor is no pipe of that direction, or cannot be registered.
pub fn child_pipes(stdin: OwnedFd, stdout: OwnedFd) -> io::Result<(pipe::Sender, pipe::Receiver)> {
    Ok((pipe::Sender::from_owned_fd(stdin)?, pipe::Receiver::from_owned_fd(stdout)?))
}
