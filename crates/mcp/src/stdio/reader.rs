//! Frames out of a byte stream, one per line. What a line means is not decided here.

use super::overlong::Overlong;
use crate::limits::Limits;
use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// How much one read may bring, in bytes: what a pipe holds.
const CHUNK_BYTES: usize = 64 << 10;

/// The least room a read is given. Below it the chunk is used up: short lines fill a chunk before it is replaced,
/// so that a frame somebody keeps holds no more than a chunk alive.
const LEAST_ROOM: usize = 8 << 10;

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
        /// Its length without the newline.
        bytes: u64,
    },
    /// The stream has ended; so will every further read.
    Eof,
}

/// Reads frames from a byte stream. Frames share the read buffer: nothing is copied.
pub struct LineReader<R> {
    reader: R,
    longest: usize,
    buffer: BytesMut,
    /// How much of `buffer` is known to hold no newline.
    scanned: usize,
    overlong: Option<Overlong>,
    ended: bool,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    /// Reads from `reader`; lines may have `limits.frame_bytes`.
    pub fn new(reader: R, limits: Limits) -> Self {
        let longest = limits.frame_bytes;
        Self { reader, longest, buffer: BytesMut::new(), scanned: 0, overlong: None, ended: false }
    }

    /// The next frame. Cancel safe: a dropped future loses nothing. A last line without a line break counts.
    ///
    /// # Errors
    /// What the stream reports.
    pub async fn next(&mut self) -> io::Result<Line> {
        loop {
            while let Some(end) = self.newline() {
                if let Some(line) = self.take_line(end) {
                    return Ok(line);
                }
            }
            if self.ended {
                return Ok(self.take_rest());
            }
            self.make_room();
            self.ended = self.reader.read_buf(&mut self.buffer).await? == 0;
        }
    }

    fn newline(&mut self) -> Option<usize> {
        let found = memchr(b'\n', &self.buffer[self.scanned..]).map(|at| self.scanned + at);
        self.scanned = self.buffer.len();
        found
    }

    /// What the first `end` bytes are; they leave the buffer with the newline behind them.
    fn take_line(&mut self, end: usize) -> Option<Line> {
        self.scanned = 0;
        if self.overlong.is_some() || end > self.longest + 1 {
            return Some(self.finish_overlong(end));
        }
        let mut line = self.buffer.split_to(end);
        self.buffer.advance(1);
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        if line.len() > self.longest {
            return Some(too_long(Overlong::of(&line)));
        }
        if line.len() > CHUNK_BYTES {
            self.leave_buffer();
        }
        (!line.trim_ascii_start().is_empty()).then(|| Line::Frame(line.freeze()))
    }

    fn finish_overlong(&mut self, end: usize) -> Line {
        let mut overlong = self.overlong.take().unwrap_or_default();
        overlong.push(&self.buffer[..end]);
        self.buffer.advance(end + 1);
        self.leave_buffer();
        too_long(overlong)
    }

    /// Gives a buffer that had to grow to the frame in it alone; the bytes behind it move to a new one.
    fn leave_buffer(&mut self) {
        let mut buffer = BytesMut::with_capacity(self.buffer.len().max(CHUNK_BYTES));
        buffer.extend_from_slice(&self.buffer);
        self.buffer = buffer;
    }

    fn take_rest(&mut self) -> Line {
        let end = self.buffer.len();
        if end == 0 && self.overlong.is_none() {
            return Line::Eof;
        }
        self.buffer.extend_from_slice(b"\n");
        self.take_line(end).unwrap_or(Line::Eof)
    }

    /// Makes room for a read. A line that is too long already loses what was read of it but its ends.
    fn make_room(&mut self) {
        // A line of the full length may yet be followed by a carriage return.
        if self.overlong.is_some() || self.buffer.len() > self.longest + 1 {
            self.overlong.get_or_insert_default().push(&self.buffer);
            self.buffer.clear();
            self.scanned = 0;
            if self.buffer.capacity() > 2 * CHUNK_BYTES {
                self.buffer = BytesMut::new();
            }
        }
        if self.buffer.capacity() - self.buffer.len() < LEAST_ROOM {
            let most = (self.longest + 2).saturating_sub(self.buffer.len()).max(CHUNK_BYTES);
            self.buffer.reserve(self.buffer.len().clamp(CHUNK_BYTES, most));
        }
    }
}

fn too_long(overlong: Overlong) -> Line {
    let (head, tail, bytes) = overlong.finish();
    Line::TooLong { head, tail, bytes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use tokio::io::ReadBuf;

    /// Gives its pieces one per read, never more than asked for.
    struct Pieces(VecDeque<Vec<u8>>);

    impl AsyncRead for Pieces {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            if let Some(mut piece) = self.0.pop_front() {
                let rest = piece.split_off(piece.len().min(to.remaining()));
                to.put_slice(&piece);
                if !rest.is_empty() {
                    self.0.push_front(rest);
                }
            }
            Poll::Ready(Ok(()))
        }
    }

    fn limits(frame_bytes: usize) -> Limits {
        Limits { frame_bytes, ..Limits::default() }
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
    }

    fn lines(pieces: impl IntoIterator<Item = Vec<u8>>, longest: usize) -> Vec<Line> {
        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
        let mut reader = LineReader::new(Pieces(pieces), limits(longest));
        block_on(async {
            let mut lines = Vec::new();
            loop {
                match reader.next().await.expect("pieces never fail") {
                    Line::Eof => break,
                    line => lines.push(line),
                }
            }
            assert_eq!(reader.next().await.expect("pieces never fail"), Line::Eof);
            lines
        })
    }

    fn check(pieces: &[&str], want: &[&str]) {
        let want: Vec<_> = want.iter().map(|line| Line::Frame(Bytes::copy_from_slice(line.as_bytes()))).collect();
        assert_eq!(lines(pieces.iter().map(|piece| piece.as_bytes().to_vec()), 1 << 20), want);
    }

    #[test]
    fn lines_come_out_whole_however_they_come_in() {
        check(&[], &[]);
        check(&["a\nb\n"], &["a", "b"]);
        check(&["a", "b\nc", "\n"], &["ab", "c"]);
        check(&["a\r\n", "b\r", "\n"], &["a", "b"]);
        check(&["a\rb\n"], &["a\rb"]);
    }

    #[test]
    fn blank_lines_are_skipped() {
        check(&["\n\n \t\r\n\r\na\n\n"], &["a"]);
        check(&["  \n", " "], &[]);
    }

    #[test]
    fn a_last_line_without_a_newline_counts() {
        check(&["a\nb"], &["a", "b"]);
        check(&["b\r"], &["b"]);
    }

    #[test]
    fn a_split_character_is_put_together() {
        let text = "\"\u{1f980}é\"\n".as_bytes();
        let want = vec![Line::Frame(Bytes::copy_from_slice(&text[..text.len() - 1]))];
        assert_eq!(lines(text.iter().map(|byte| vec![*byte]), 100), want);
    }

    fn check_length(line: &str, longest: usize, kept: bool) {
        for ending in ["\n", "\r\n", ""] {
            for piece in [1, 3, 1000] {
                let mut all = format!("{line}{ending}").into_bytes();
                all.extend_from_slice(if ending.is_empty() { b"" } else { b"next\n" });
                let found = lines(all.chunks(piece).map(<[u8]>::to_vec), longest);
                match &found[0] {
                    Line::Frame(frame) => assert!(kept && frame == line.as_bytes(), "{line:?}{ending:?}"),
                    Line::TooLong { bytes, .. } => assert!(!kept && *bytes >= line.len() as u64, "{line:?}{ending:?}"),
                    Line::Eof => unreachable!("filtered by lines()"),
                }
                assert_eq!(found.len(), if ending.is_empty() { 1 } else { 2 });
            }
        }
    }

    #[test]
    fn the_bound_is_exact_and_the_line_after_a_long_one_is_read() {
        check_length("12345678", 8, true);
        check_length("123456789", 8, false);
        check_length("1234567890", 8, false);
        check_length(&"x".repeat(100), 8, false);
    }

    #[test]
    fn both_ends_of_a_long_line_are_kept() {
        let line: Vec<u8> = (0..300_000u32).map(|i| b'a' + (i % 26) as u8).collect();
        let found = lines(line.chunks(777).map(<[u8]>::to_vec), 10_000);
        let want = Line::TooLong {
            head: Bytes::copy_from_slice(&line[..4096]),
            tail: Bytes::copy_from_slice(&line[line.len() - 4096..]),
            bytes: 300_000,
        };
        assert_eq!(found, [want]);
    }

    #[test]
    fn short_lines_share_one_buffer() {
        let mut reader = LineReader::new(Pieces([b"one\ntwo\n".to_vec()].into()), limits(100));
        let (Line::Frame(one), Line::Frame(two)) =
            block_on(async { (reader.next().await.expect("a line"), reader.next().await.expect("a line")) })
        else {
            panic!("two frames")
        };
        assert_eq!(two.as_ptr() as usize - one.as_ptr() as usize, 4);
    }

    #[test]
    fn a_large_frame_leaves_no_large_buffer_behind() {
        let mut big = vec![b'x'; 5 << 20];
        big.extend_from_slice(b"\nsmall\n");
        let mut reader = LineReader::new(Pieces([big].into()), limits(64 << 20));
        block_on(async {
            assert!(matches!(reader.next().await, Ok(Line::Frame(frame)) if frame.len() == 5 << 20));
            assert_eq!(reader.next().await.expect("a line"), Line::Frame(Bytes::from_static(b"small")));
        });
        assert!(reader.buffer.capacity() <= 2 * CHUNK_BYTES, "{}", reader.buffer.capacity());
    }

    #[test]
    fn a_dropped_read_loses_nothing() {
        block_on(async {
            let (ours, mut theirs) = tokio::io::duplex(64);
            let mut reader = LineReader::new(ours, limits(100));
            for _ in 0..3 {
                tokio::io::AsyncWriteExt::write_all(&mut theirs, b"ab").await.expect("room");
                let mut next = std::pin::pin!(reader.next());
                assert!(std::future::poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx).is_pending())).await);
            }
            tokio::io::AsyncWriteExt::write_all(&mut theirs, b"\n").await.expect("room");
            assert_eq!(reader.next().await.expect("a line"), Line::Frame(Bytes::from_static(b"ababab")));
        });
    }

    proptest! {
        #[test]
        fn chunking_does_not_matter(
            text in "[ab\r\n ]{0,60}",
            cuts in proptest::collection::vec(1usize..9, 0..60),
        ) {
            let whole = lines([text.clone().into_bytes()], 6);
            let mut rest = text.as_bytes();
            let mut pieces = Vec::new();
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece.to_vec());
                rest = after;
            }
            pieces.push(rest.to_vec());
            prop_assert_eq!(lines(pieces, 6), whole);
        }
    }
}
