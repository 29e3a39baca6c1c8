//! A segment's file, line by line, with bounded memory whatever somebody made of it.

use crate::chain::MAX_LINE_BYTES;
use std::io::{self, BufRead, Read};

/// Reads lines. What is longer than a line may be comes in pieces.
pub(crate) struct Pieces<R> {
    from: R,
    buffer: Vec<u8>,
    end: u64,
}

/// A line, or a piece of what is none.
pub(crate) struct Piece<'a> {
    /// Without the newline.
    pub bytes: &'a [u8],
    /// Whether a newline ended it.
    pub whole: bool,
    /// Offset of the first byte after it, newline included.
    pub end: u64,
}

impl<R: BufRead> Pieces<R> {
    pub fn new(from: R) -> Self {
        Self { from, buffer: Vec::new(), end: 0 }
    }

    pub fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        self.buffer.clear();
        let read = self.from.by_ref().take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut self.buffer)?;
        if read == 0 {
            return Ok(None);
        }
        self.end += read as u64;
        let whole = self.buffer.ends_with(b"\n");
        Ok(Some(Piece { bytes: &self.buffer[..read - usize::from(whole)], whole, end: self.end }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_and_what_is_too_long_in_pieces() {
        let text = [b"one\n\n".to_vec(), vec![b'x'; MAX_LINE_BYTES + 1], b"\ntorn".to_vec()].concat();
        let mut pieces = Pieces::new(&text[..]);
        let mut got = Vec::new();
        while let Some(piece) = pieces.next().expect("memory can be read") {
            got.push((piece.bytes.len(), piece.whole));
        }
        assert_eq!(got, [(3, true), (0, true), (MAX_LINE_BYTES, false), (1, true), (4, false)]);
    }
}
