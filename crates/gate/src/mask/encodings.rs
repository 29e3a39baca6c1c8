//! The spellings in which a secret may come back.

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use std::collections::BTreeSet;

/// What is left as it is beside letters and digits, by whoever percent-encodes: RFC 3986, `encodeURIComponent`, paths,
/// forms (in which a blank is a plus).
const PLAIN: [&[u8]; 4] = [b"-_.~", b"-_.~!'()*", b"-_.~/", b"-_.* "];

/// The shortest line of a longer secret that is looked for by itself.
const LEAST_LINE: usize = 16;

/// `secret` in hex, percent-encoding, base64 at each alignment, as the inside of a JSON string and of mark-up, and the
/// lines of one that has several; not the secret itself.
pub(super) fn of(secret: &str) -> BTreeSet<String> {
    let hex = crate::ledger::hex(secret.as_bytes());
    let mut forms = BTreeSet::from([hex.to_uppercase(), hex]);
    for plain in PLAIN {
        forms.extend(["0123456789abcdef", "0123456789ABCDEF"].map(|digits| percent(secret, plain, digits)));
    }
    for table in [alphabet::STANDARD, alphabet::URL_SAFE] {
        let engine = GeneralPurpose::new(&table, NO_PAD);
        forms.extend((0..3).map(|shift| aligned(&engine, secret, shift)));
    }
    let json = json_inner(secret);
    forms.extend([ascii(&json), json, markup(secret)]);
    // Servers write line by line; a line with blanks, or that says what follows, is no secret by itself.
    let lines = secret.lines().map(str::trim).filter(|line| line.len() < secret.len() && line.len() >= LEAST_LINE);
    forms.extend(lines.filter(|line| !line.contains(' ') && !line.starts_with("-----")).map(str::to_owned));
    forms.retain(|form| form.len() >= super::MIN_SECRET_BYTES && form != secret);
    forms
}

/// The characters of base64 that depend on the secret alone when `shift` bytes stand before it.
fn aligned(engine: &GeneralPurpose, secret: &str, shift: usize) -> String {
    let mut padded = vec![0; shift];
    padded.extend_from_slice(secret.as_bytes());
    let text = engine.encode(&padded);
    let first = (shift * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    text[first..last].to_owned()
}

fn percent(secret: &str, plain: &[u8], digits: &str) -> String {
    let digits = digits.as_bytes();
    let mut out = String::new();
    for byte in secret.bytes() {
        match byte {
            b' ' if plain.contains(&b' ') => out.push('+'),
            byte if byte.is_ascii_alphanumeric() || plain.contains(&byte) => out.push(byte as char),
            byte => out.extend(['%', digits[usize::from(byte >> 4)] as char, digits[usize::from(byte & 15)] as char]),
        }
    }
    out
}

/// `json`, the inside of a string, in ASCII.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            c if c.is_ascii() => out.push(c),
            c => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    out
}

fn markup(secret: &str) -> String {
    let secret = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    secret.replace('"', "&quot;").replace('\'', "&#39;")
}

/// `secret` as the inside of a JSON string, in the shortest spelling.
pub(super) fn json_inner(secret: &str) -> String {
    let quoted = serde_json::to_string(secret).expect("a string always serialises");
    quoted[1..quoted.len() - 1].to_owned()
}
