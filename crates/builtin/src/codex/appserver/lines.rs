//! Lines out of bytes that come in any pieces. Not here: what a line says.

/// The longest line that is kept; a thread that goes on is told whole.
const LINE_MAX: usize = 64 << 20;

/// The line that is not whole yet.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
    /// Within a line that is too long.
    skipping: bool,
}

impl Lines {
    /// The lines that are whole now. One that is too long is left out.
    pub fn push(&mut self, mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut whole = Vec::new();
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.extend(&bytes[..end]);
            let line = std::mem::take(&mut self.line);
            if !std::mem::take(&mut self.skipping) {
                whole.push(line);
            }
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
        whole
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.skipping |= self.line.len() + bytes.len() > LINE_MAX;
        if self.skipping {
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn lines_are_whole_whatever_pieces_they_come_in() {
        let text = b"one\n\ntwo and more\nthr";
        for piece in [1, 3, text.len()] {
            let mut lines = Lines::default();
            let found: Vec<_> = text.chunks(piece).flat_map(|bytes| lines.push(bytes)).collect();
            assert_eq!(found, [&b"one"[..], b"", b"two and more"]);
        }
    }
}
