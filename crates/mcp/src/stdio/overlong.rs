//! What is kept of something too long to keep: its ends and its length.

use bytes::Bytes;

/// How much of each end is kept, in bytes.
pub(crate) const END_BYTES: usize = 4 << 10;

/// Takes any number of bytes in constant memory.
#[derive(Debug, Default)]
pub(crate) struct Overlong {
    head: Vec<u8>,
    tail: Vec<u8>,
    bytes: u64,
}

impl Overlong {
    /// What begins with `start`.
    pub(crate) fn of(start: &[u8]) -> Self {
        let mut overlong = Self::default();
        overlong.push(start);
        overlong
    }

    /// Takes what follows.
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        let room = END_BYTES - self.head.len();
        self.head.extend_from_slice(&chunk[..room.min(chunk.len())]);
        let last = &chunk[chunk.len().saturating_sub(END_BYTES)..];
        let surplus = (self.tail.len() + last.len()).saturating_sub(END_BYTES);
        self.tail.drain(..surplus);
        self.tail.extend_from_slice(last);
    }

    /// The first bytes, the last bytes (the two overlap if all was short) and the full length.
    pub(crate) fn finish(self) -> (Bytes, Bytes, u64) {
        (self.head.into(), self.tail.into(), self.bytes)
    }
}
