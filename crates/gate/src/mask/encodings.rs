//! The spellings in which a secret may come back.

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use std::collections::BTreeSet;

/// `secret` in hex, percent-encoding and base64 at each alignment; not the secret itself.
pub(super) fn of(secret: &str) -> BTreeSet<String> {
    let hex = crate::ledger::hex(secret.as_bytes());
    let mut forms = BTreeSet::from([hex.to_uppercase(), hex]);
    let (lower, upper) = (percent(secret, "0123456789abcdef"), percent(secret, "0123456789ABCDEF"));
    forms.extend([lower, upper].into_iter().filter(|form| form != secret));
    for table in [alphabet::STANDARD, alphabet::URL_SAFE] {
        let engine = GeneralPurpose::new(&table, NO_PAD);
        forms.extend((0..3).map(|shift| aligned(&engine, secret, shift)));
    }
    forms.retain(|form| form.len() >= super::MIN_SECRET_BYTES);
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

fn percent(secret: &str, digits: &str) -> String {
    let digits = digits.as_bytes();
    let mut out = String::new();
    for byte in secret.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(byte as char);
        } else {
            out.extend(['%', digits[usize::from(byte >> 4)] as char, digits[usize::from(byte & 15)] as char]);
        }
    }
    out
}

/// `secret` as the inside of a JSON string, in the shortest spelling.
pub(super) fn json_inner(secret: &str) -> String {
    let quoted = serde_json::to_string(secret).expect("a string always serialises");
    quoted[1..quoted.len() - 1].to_owned()
}
