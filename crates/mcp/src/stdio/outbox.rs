//! The one writer of a connection, and the handles that give it frames.

use crate::limits::Limits;
use bytes::Bytes;
use std::io;
use thiserror::Error;
use tokio::io::AsyncWrite;

/// The writer is gone: its stream failed, or its task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the connection is closed")]
pub struct Closed;

/// Why [`Outbox::try_send`] took no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TrySend {
    /// As much waits as may wait.
    #[error("the peer does not keep up")]
    Full,
    /// See [`Closed`].
    #[error("the connection is closed")]
    Closed,
}

/// Where frames for one connection are put. Clones share the connection.
#[derive(Clone)]
pub struct Outbox {}

/// Writes what its [`Outbox`]es were given. Dropping it closes them.
pub struct OutboxTask<W> {
    writer: W,
}

/// A bounded queue of frames in front of `writer`: at most `limits.outbox_frames` frames, and beyond the first
/// frame at most `limits.frame_bytes` bytes.
pub fn outbox<W: AsyncWrite + Unpin>(writer: W, limits: Limits) -> (Outbox, OutboxTask<W>) {
    unimplemented!()
}

impl Outbox {
    /// Queues one frame; its newline is added, line breaks inside it become spaces. Waits for room. Frames of
    /// one task keep their order. Cancel safe: a dropped future has queued nothing.
    ///
    /// # Errors
    /// [`Closed`] once the writer is gone.
    pub async fn send(&self, frame: Bytes) -> Result<(), Closed> {
        unimplemented!()
    }

    /// Queues one frame if there is room now.
    ///
    /// # Errors
    /// [`TrySend::Full`] or [`TrySend::Closed`]; the frame was not queued.
    pub fn try_send(&self, frame: Bytes) -> Result<(), TrySend> {
        unimplemented!()
    }

    /// Whether the writer is gone.
    pub fn is_closed(&self) -> bool {
        unimplemented!()
    }
}

impl<W: AsyncWrite + Unpin> OutboxTask<W> {
    /// Writes until all outboxes are gone and everything is written; all that waits goes into one write.
    ///
    /// # Errors
    /// What the stream reports; the outboxes are closed then.
    pub async fn run(self) -> io::Result<()> {
        unimplemented!()
    }
}
