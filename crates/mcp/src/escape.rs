//! What a JSON string stands for. Only names and keys are ever unescaped; payloads never are.

/// The bytes a valid JSON string (quotes included) stands for. A lone surrogate becomes its three-byte
/// generalised UTF-8 form, so that two different strings never become equal.
pub fn unescape(raw: &[u8]) -> Vec<u8> {
    let inner = &raw[1..raw.len() - 1];
    let mut out = Vec::with_capacity(inner.len());
    let mut at = 0;
    while at < inner.len() {
        let run = memchr::memchr(b'\\', &inner[at..]).unwrap_or(inner.len() - at);
        out.extend_from_slice(&inner[at..at + run]);
        at += run;
        if at < inner.len() {
            at += unescape_one(&inner[at..], &mut out);
        }
    }
    out
}

/// Decodes the escape at the start of `text` into `out`; returns how many bytes it took.
fn unescape_one(text: &[u8], out: &mut Vec<u8>) -> usize {
    let plain = match text[1] {
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => {
            let (code, taken) = code_point(text);
            push_generalised(code, out);
            return taken;
        }
        same => same,
    };
    out.push(plain);
    2
}

fn hex4(text: &[u8]) -> u32 {
    text.iter().fold(0, |acc, b| acc * 16 + (*b as char).to_digit(16).unwrap_or(0))
}

fn code_point(text: &[u8]) -> (u32, usize) {
    let high = hex4(&text[2..6]);
    if (0xD800..0xDC00).contains(&high) && text.len() >= 12 && &text[6..8] == b"\\u" {
        let low = hex4(&text[8..12]);
        if (0xDC00..0xE000).contains(&low) {
            return (0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00), 12);
        }
    }
    (high, 6)
}

fn push_generalised(code: u32, out: &mut Vec<u8>) {
    if let Some(c) = char::from_u32(code) {
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        return;
    }
    out.extend_from_slice(&[0xE0 | (code >> 12) as u8, 0x80 | (code >> 6 & 0x3F) as u8, 0x80 | (code & 0x3F) as u8]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unescaping_keeps_different_strings_different() {
        assert_eq!(unescape(br#""a\u00e9\n\/""#), "aé\n/".as_bytes());
        assert_eq!(unescape(br#""\ud83d\ude00""#), "😀".as_bytes());
        assert_ne!(unescape(br#""\ud83d""#), unescape(br#""\ud83e""#));
    }
}
