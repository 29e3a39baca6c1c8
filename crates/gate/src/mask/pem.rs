//! Private keys between their two lines, also with one of the lines missing.

/// No key is longer; behind that nothing is taken for a key that never ends.
pub(super) const LONGEST: usize = 16 << 10;

/// Less between the lines is an ellipsis, not a key.
const LEAST_BODY: usize = 40;

/// The private key at whose first or last line a keyword stands at `at`: where it begins and ends.
pub(super) fn around(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let line = label(text, at)?;
    if text[at..].len() > 9 && text[at + 5..at + 8].eq_ignore_ascii_case(b"end") {
        let start = body_before(text, at);
        return (is_body(&text[start..at])).then_some((start, line));
    }
    let limit = text.len().min(at + LONGEST);
    match ending(&text[line..limit]) {
        Some((body, end)) => is_body(&text[line..line + body]).then_some((at, line + end)),
        None => {
            let end = line + text[line..limit].iter().take_while(|byte| of_a_body(**byte)).count();
            is_body(&text[line..end]).then_some((at, end))
        }
    }
}

/// Whether `line` opens a private key and does not close it.
pub(super) fn opens(line: &[u8]) -> Option<usize> {
    let starts = memchr::memmem::find_iter(line, b"-----").filter(|at| says(line, *at, b"-----BEGIN"));
    let (at, end) = { starts }.filter_map(|at| Some((at, label(line, at)?))).last()?;
    ending(&line[end..]).is_none().then_some(at)
}

/// Past the line that closes a private key, if `line` has one.
pub(super) fn closes(line: &[u8]) -> Option<usize> {
    ending(line).map(|(_, end)| end)
}

/// Past `-----BEGIN … PRIVATE KEY-----` at `at`, or the same with `END`.
fn label(text: &[u8], at: usize) -> Option<usize> {
    let rest = &text[at..text.len().min(at + 140)];
    let end = 5 + memchr::memmem::find(rest.get(5..)?, b"-----")?;
    let inner = rest[5..end].to_ascii_uppercase();
    let kind = inner.strip_suffix(b" BLOCK").unwrap_or(&inner);
    let plain = inner
        .iter()
        .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b' ' | b'_' | b'-'));
    (plain && kind.ends_with(b"PRIVATE KEY")).then_some(at + end + 5)
}

/// Where the last line begins and ends.
fn ending(text: &[u8]) -> Option<(usize, usize)> {
    let at = find(text, b"-----END")?;
    Some((at, label(text, at)?))
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    memchr::memmem::find_iter(text, b"-----").find(|at| says(text, *at, word))
}

/// Whether `word` stands at `at`, in whatever case.
fn says(text: &[u8], at: usize, word: &[u8]) -> bool {
    text.get(at..at + word.len()).is_some_and(|there| there.eq_ignore_ascii_case(word))
}

fn body_before(text: &[u8], at: usize) -> usize {
    let from = at.saturating_sub(LONGEST);
    at - text[from..at].iter().rev().take_while(|byte| of_a_body(**byte) && **byte != b' ').count()
}

fn of_a_body(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'+' | b'/' | b'=' | b'\n' | b'\r' | b'\\' | b' ' | b'\t' | b':' | b',' | b'-')
}

fn is_body(body: &[u8]) -> bool {
    body.iter().filter(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')).count() >= LEAST_BODY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, keyword: &str, want: Option<&str>) {
        let at = text.find(keyword).expect("a keyword");
        assert_eq!(around(text.as_bytes(), at).map(|(start, end)| &text[start..end]), want, "{text}");
    }

    #[test]
    fn keys_are_found_whole_and_also_torn() {
        let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\nVJTUt9Us8cKj";
        let whole = format!("-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----");
        check(&format!("x {whole} y"), "-----BEGIN", Some(&whole));
        let torn = format!("-----BEGIN PRIVATE KEY-----\n{body}");
        check(&format!("x {torn}\u{e9}"), "-----BEGIN", Some(&torn));
        let tail = format!("{body}\n-----END PRIVATE KEY-----");
        check(&format!("x {tail}"), "-----END", Some(&tail));
    }

    #[test]
    fn what_only_speaks_of_keys_is_left() {
        for text in [
            "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
            "-----BEGIN CERTIFICATE-----\nMIIC",
            "-----BEGIN PRIVATE KEY----- is how it begins",
        ] {
            check(text, "-----BEGIN", None);
        }
    }
}
