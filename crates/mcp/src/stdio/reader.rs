//! Frames out of a byte stream, one per line. What a line means is not decided here.

use crate::limits::Limits;
use bytes::Bytes;
use std::io;
use tokio::io::AsyncRead;

/// What [`LineReader::next`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// One line that is not blank, without its line break.
    Frame(Bytes),
    /// A line longer than `Limits::frame_bytes`, which was thrown away as it came in.
    TooLong {
        /// Its first bytes, at most 4 KiB.
        head: Bytes,
        /// Its last bytes, at most 4 KiB.
        tail: Bytes,
        /// Its length without the line break.
        bytes: u64,
    },
    /// The stream has ended; so will every further read.
    Eof,
}

/// Reads frames from a byte stream. Frames share the read buffer: nothing is copied.
pub struct LineReader<R> {
    reader: R,
    limits: Limits,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    /// Reads from `reader`; lines may have `limits.frame_bytes`.
    pub fn new(reader: R, limits: Limits) -> Self {
        Self { reader, limits }
    }

    /// The next frame. Cancel safe: a dropped future loses nothing. A last line without a line break counts.
    ///
    /// # Errors
    /// What the stream reports.
    pub async fn next(&mut self) -> io::Result<Line> {
        unimplemented!()
    }
}
