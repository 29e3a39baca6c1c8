//! Texts within a text: base64, hex, and the tokens that are base64 by themselves.

use super::marks::Run;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Shorter stretches hide nothing that has a shape.
const LEAST: usize = 24;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// A stretch of a text, and what it says when it is decoded.
pub(super) struct Stretch {
    pub start: usize,
    pub end: usize,
    pub text: Vec<u8>,
}

/// What of a run can be decoded to a text.
pub(super) fn stretches(text: &[u8], run: Run) -> Vec<Stretch> {
    let mut found: Vec<Stretch> = Vec::new();
    // Where the stretches of each code begin.
    let mut firsts = [0; 3];
    for (pass, code) in [Code::Hex, Code::Standard, Code::UrlSafe].into_iter().enumerate() {
        firsts[pass] = found.len();
        let mut at = run.start;
        while let Some(skip) = text[at..run.end].iter().position(|byte| code.has(*byte)) {
            let start = at + skip;
            let len = text[start..run.end].iter().position(|byte| !code.has(*byte));
            at = len.map_or(run.end, |len| start + len);
            let known = firsts[..=pass].windows(2).any(|of| has_within(&found[of[0]..of[1]], start, at));
            if at - start >= LEAST && !known {
                let end = at + text[at..run.end].iter().take(2).take_while(|byte| **byte == b'=').count();
                found.extend(code.decoded(&text[start..at]).map(|text| Stretch { start, end, text }));
            }
        }
    }
    found
}

/// Whether one of these stretches, which are in order and apart, has all of a place within it.
fn has_within(stretches: &[Stretch], start: usize, end: usize) -> bool {
    let behind = stretches.partition_point(|stretch| stretch.start <= start);
    stretches[..behind].last().is_some_and(|stretch| end <= stretch.end)
}

/// The shortest line that base64 is broken into.
const LEAST_LINE: usize = 60;

/// Base64 that was broken into lines of one length, as one text.
pub(super) fn wrapped(text: &[u8], runs: &[Run]) -> Vec<Stretch> {
    let goes_on = |line: &Run, next: &Run| {
        let full = line.len() >= LEAST_LINE && line.len().is_multiple_of(4) && next.len() <= line.len();
        full && matches!(&text[line.end..next.start], b"\n" | b"\r\n")
    };
    let blocks = runs.chunk_by(goes_on).filter(|lines| lines.len() > 1);
    blocks
        .filter_map(|lines| {
            let code: Vec<u8> = lines.iter().flat_map(|line| &text[line.start..line.end]).copied().collect();
            let code = without_padding(&code);
            let is_code = code.iter().all(|byte| Code::Standard.has(*byte));
            let text = is_code.then(|| Code::Standard.decoded(code)).flatten()?;
            Some(Stretch { start: lines[0].start, end: lines[lines.len() - 1].end, text })
        })
        .collect()
}

/// Whether a run as it stands in JSON may be decoded to a text.
pub(super) fn may_be_encoded(run: &[u8]) -> bool {
    let is_blob = run.len() >= LEAST_BLOB && begins_as_text(run);
    is_blob || run.len() >= LEAST && !stretches(run, Run { start: 0, end: run.len() }).is_empty()
}

#[derive(Clone, Copy)]
enum Code {
    Hex = 1,
    Standard = 2,
    UrlSafe = 4,
}

/// Of which codes a byte is.
const CODES: [u8; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        let both = if byte.is_ascii_alphanumeric() { Code::Standard as u8 | Code::UrlSafe as u8 } else { 0 };
        table[at] = match byte {
            b'+' | b'/' => Code::Standard as u8,
            b'-' | b'_' => Code::UrlSafe as u8,
            _ if byte.is_ascii_hexdigit() => both | Code::Hex as u8,
            _ => both,
        };
        at += 1;
    }
    table
};

impl Code {
    fn has(self, byte: u8) -> bool {
        CODES[usize::from(byte)] & self as u8 != 0
    }

    /// The text, if it is one; the first characters decide cheaply.
    fn decoded(self, code: &[u8]) -> Option<Vec<u8>> {
        let mut first = [0; 16];
        let length = self.first(&code[..16], &mut first)?;
        is_text(&first[..length]).then(|| self.bytes(code)).flatten().filter(|bytes| is_text(bytes))
    }

    /// Sixteen characters, decoded where nothing has to be allocated for them: how many bytes they are.
    fn first(self, code: &[u8], bytes: &mut [u8; 16]) -> Option<usize> {
        match self {
            Self::Hex => {
                for (byte, pair) in bytes.iter_mut().zip(code.chunks_exact(2)) {
                    *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
                }
                Some(code.len() / 2)
            }
            Self::Standard => STANDARD.decode_slice(code, bytes).ok(),
            Self::UrlSafe => URL_SAFE.decode_slice(code, bytes).ok(),
        }
    }

    fn bytes(self, code: &[u8]) -> Option<Vec<u8>> {
        // A lone character at the end says nothing.
        let code = if code.len() % 4 == 1 { &code[..code.len() - 1] } else { code };
        match self {
            Self::Hex => code.chunks_exact(2).map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?)).collect(),
            Self::Standard => STANDARD.decode(code).ok(),
            Self::UrlSafe => URL_SAFE.decode(code).ok(),
        }
    }
}

fn without_padding(code: &[u8]) -> &[u8] {
    let padding = code.iter().rev().take_while(|byte| **byte == b'=').count();
    &code[..code.len() - padding]
}

fn nibble(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

/// Whether people could read it; a letter beyond ASCII may be cut at the end.
fn is_text(bytes: &[u8]) -> bool {
    is_readable(bytes)
        && std::str::from_utf8(bytes)
            .map_or_else(|error| error.error_len().is_none() && error.valid_up_to() > 0, |_| true)
}

/// Whether there is nothing in it that only machines read; in whatever alphabet.
fn is_readable(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~' | 0x80..))
}

/// Shorter base64 is no content of a media type.
pub(super) const LEAST_BLOB: usize = 256;

fn begins_as_text(blob: &[u8]) -> bool {
    blob.get(..48).and_then(|first| STANDARD.decode(first).ok()).is_some_and(|first| is_text(&first))
}

/// The text of a base64 member that is no picture: all of it.
pub(super) fn blob_text(blob: &[u8]) -> Option<Vec<u8>> {
    let bytes = begins_as_text(blob).then(|| STANDARD.decode(blob).ok()).flatten()?;
    (is_readable(&bytes) || std::str::from_utf8(&bytes).is_ok()).then_some(bytes)
}

/// Whether it is base64 from its first characters on.
pub(super) fn is_blob(blob: &[u8]) -> bool {
    blob.len() >= 48
        && STANDARD.decode(&blob[..48]).is_ok()
        && blob.iter().all(|byte| Code::Standard.has(*byte) || *byte == b'=')
}

/// `text` as such a member.
pub(super) fn to_blob(text: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// The signed tokens within a run: three parts or more, the first of them JSON that names an algorithm.
/// Takes time linear in the run, wherever such a token could begin.
pub(super) fn jwts(text: &[u8], run: Run) -> impl Iterator<Item = (usize, usize)> + '_ {
    let (mut at, mut dot) = (run.start, run.start);
    std::iter::from_fn(move || {
        while let Some(hit) = memchr::memmem::find(&text[at..run.end], b"ey") {
            let start = at + hit;
            at = start + 2;
            if dot <= start {
                dot = start + memchr::memchr(b'.', &text[start..run.end])?;
            }
            let begins = start.checked_sub(1).is_none_or(|before| !Code::UrlSafe.has(text[before]));
            if let Some(length) = begins.then(|| rest_of_jwt(&text[start..dot], &text[dot + 1..run.end])).flatten() {
                at = dot + 1 + length;
                return Some((start, at));
            }
        }
        None
    })
}

/// How much of what stands behind the first dot belongs to a token with this head.
fn rest_of_jwt(head: &[u8], behind: &[u8]) -> Option<usize> {
    const LEAST_BODY: usize = 10;
    let of_a_part = |byte: &u8| Code::UrlSafe.has(*byte) || matches!(byte, b'/' | b'=');
    // Looked at before anything is made of it: heads that are read to their end do not overlap.
    let long = behind.len() >= LEAST_BODY && behind[..LEAST_BODY].iter().all(of_a_part);
    let head = without_padding(head);
    let head = (long && head.iter().all(|byte| Code::UrlSafe.has(*byte))).then(|| URL_SAFE.decode(head).ok())??;
    let names = [&b"\"alg\""[..], b"\"typ\"", b"\"kid\"", b"\"enc\""];
    let says_so = head.starts_with(b"{") && names.iter().any(|name| memchr::memmem::find(&head, name).is_some());
    says_so.then(|| behind.iter().take_while(|byte| of_a_part(byte) || **byte == b'.').count())
}

/// Whether a value is none of those that are public by their nature: ids, digests, integrity values,
/// or were cut by whoever wrote them down.
pub(super) fn is_no_public_value(value: &[u8]) -> bool {
    let digests: [&[u8]; 6] = [b"sha1-", b"sha256-", b"sha384-", b"sha512-", b"sha256:", b"md5:"];
    !digests.iter().any(|digest| value.starts_with(digest))
        && !value.ends_with(b"...")
        && !is_uuid(value)
        && !is_digest(value)
}

fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36
        && value.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// The lengths of git's names for commits, short and long, and of common digests.
fn is_digest(value: &[u8]) -> bool {
    matches!(value.len(), 40 | 64 | 96 | 128) && value.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::marks;

    #[test]
    fn texts_within_are_read_and_paths_are_not() {
        let of = |text: &str| {
            let runs = marks::runs(text.as_bytes()).collect::<Vec<_>>();
            runs.iter()
                .flat_map(|run| stretches(text.as_bytes(), *run))
                .map(|s| String::from_utf8_lossy(&s.text).into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(of("Basic dXNlcjpodW50ZXIyMjIyMjIyMjI="), ["user:hunter222222222"]);
        assert_eq!(of("68756e7465723268756e74657232"), ["hunter2hunter2"]);
        assert_eq!(
            of("/usr/share/doc/openssl3/README.md and 550e8400-e29b-41d4-a716-446655440000"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn signed_tokens_have_a_head_that_says_so() {
        let of = |text: &str| {
            marks::runs(text.as_bytes())
                .flat_map(|run| jwts(text.as_bytes(), run).collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
        assert_eq!(of(&format!("x={token} y")), [(2, 2 + token.len())]);
        assert_eq!(of("eyJub3RoaW5nIjoxfQ.eyJzdWIiOiIxMjM0NTY3ODkwIn0.x"), []);
    }
}
