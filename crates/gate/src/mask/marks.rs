//! The cheap look at a text: runs of token characters that no ordinary word makes, digits, at signs. What has none of
//! them, and no keyword, has nothing to mask.

use memchr::memchr;

const RUN: u8 = 1;
const DIGIT: u8 = 2;
const UPPER: u8 = 4;
const LOWER: u8 = 8;

const TABLE: [u8; 256] = table();

const fn table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        table[at] = match byte {
            b'0'..=b'9' => RUN | DIGIT,
            b'A'..=b'Z' => RUN | UPPER,
            b'a'..=b'z' => RUN | LOWER,
            b'_' | b'-' | b'.' | b'~' | b'+' | b'/' | b'=' | b'%' => RUN,
            _ => 0,
        };
        at += 1;
    }
    table
}

/// Whether tokens have this character.
pub(super) fn is_of_run(byte: u8) -> bool {
    TABLE[usize::from(byte)] & RUN != 0
}

/// The least length of a run worth a look.
pub(super) const LEAST_RUN: usize = 10;

/// A stretch of token characters that is no ordinary word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub start: usize,
    pub end: usize,
}

impl Run {
    pub fn len(&self) -> usize {
        self.end - self.start
    }
}

/// The runs of `text`, in order.
pub(super) fn runs(text: &[u8]) -> impl Iterator<Item = Run> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            at += text.get(at..)?.iter().position(|byte| TABLE[usize::from(*byte)] & RUN != 0)?;
            let start = at;
            let len = text[at..].iter().position(|byte| TABLE[usize::from(*byte)] & RUN == 0);
            at = len.map_or(text.len(), |len| start + len);
            if at - start >= LEAST_RUN && is_strong(&text[start..at]) {
                return Some(Run { start, end: at });
            }
        }
    })
}

/// Whether the run has a digit, changes its case often, or is longer than words are.
fn is_strong(run: &[u8]) -> bool {
    let (mut changes, mut letters, mut before) = (0, 0, 0);
    for byte in run {
        let kind = TABLE[usize::from(*byte)];
        if kind & DIGIT != 0 {
            return true;
        }
        let case = kind & (UPPER | LOWER);
        letters = if case == 0 { 0 } else { letters + 1 };
        changes += u32::from(case != 0 && before != 0 && case != before);
        before = case;
        if changes >= 5 || letters >= 20 {
            return true;
        }
    }
    false
}

/// Whether something like an address stands around some at sign.
pub(super) fn has_address(text: &[u8]) -> bool {
    let mut at = 0;
    while let Some(hit) = text.get(at..).and_then(|rest| memchr(b'@', rest)) {
        let place = at + hit;
        let before = place.checked_sub(1).is_some_and(|at| !b" \t\"'([{<".contains(&text[at]));
        if before && text.get(place + 1).is_some_and(u8::is_ascii_alphanumeric) {
            return true;
        }
        at = place + 1;
    }
    false
}

/// Digits with at most a separator or two between them: what a number for people looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digits {
    pub start: usize,
    pub end: usize,
}

/// The least number of digits worth a look.
const LEAST_DIGITS: usize = 7;

/// What digits can be the beginning of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    /// A stretch with enough digits.
    Digits(Digits),
    /// Two digits behind two capitals that begin a word, as in an IBAN.
    Check(usize),
}

/// The numbers of `text`, in order.
pub(super) fn numbers(text: &[u8]) -> impl Iterator<Item = Number> + '_ {
    let (mut at, mut checked) = (0, usize::MAX);
    std::iter::from_fn(move || {
        loop {
            at += text.get(at..)?.iter().position(u8::is_ascii_digit)?;
            let start = at;
            if checked != start && is_check(text, start) {
                checked = start;
                return Some(Number::Check(start));
            }
            let (end, digits) = stretch(text, &mut at);
            if digits >= LEAST_DIGITS {
                return Some(Number::Digits(Digits { start, end }));
            }
        }
    })
}

/// Goes on to the end of the stretch that begins at `at`: its end, without separators, and how many digits it has.
fn stretch(text: &[u8], at: &mut usize) -> (usize, usize) {
    let (mut end, mut digits) = (*at, 0);
    while let Some(byte) = text.get(*at) {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                end = *at + 1;
            }
            b' ' | b'-' | b'.' | b'(' | b')' | b'/' if *at - end < 3 => {}
            _ => break,
        }
        *at += 1;
    }
    (end, digits)
}

fn is_check(text: &[u8], at: usize) -> bool {
    let Some(start) = at.checked_sub(2) else { return false };
    let begins = start.checked_sub(1).is_none_or(|before| !text[before].is_ascii_alphanumeric());
    begins && text[start..at].iter().all(u8::is_ascii_uppercase) && text.get(at + 1).is_some_and(u8::is_ascii_digit)
}

/// Whether some character may be spelled longer than it needs to be.
pub(super) fn has_unusual_escape(json: &[u8]) -> bool {
    memchr::memchr_iter(b'\\', json).any(|at| matches!(json.get(at + 1), Some(b'u' | b'/')))
}

/// Whether some byte may begin a character nobody sees.
pub(super) fn may_hide(text: &[u8]) -> bool {
    !text.is_ascii() && (0..text.len()).any(|at| text[at] >= 0xC2 && super::shadow::invisible(&text[at..]) > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_what_words_are_not() {
        let of = |text: &str| runs(text.as_bytes()).map(|run| text[run.start..run.end].to_owned()).collect::<Vec<_>>();
        assert_eq!(of("structuredContent and configuration, isError"), Vec::<String>::new());
        assert_eq!(of("key ghp_abcdef12 x AbCdEfGhIjKl"), ["ghp_abcdef12", "AbCdEfGhIjKl"]);
    }

    #[test]
    fn numbers_are_digits_with_little_between_them() {
        let of = |text: &str| {
            let digits = numbers(text.as_bytes()).filter_map(|number| match number {
                Number::Digits(n) => Some(text[n.start..n.end].to_owned()),
                Number::Check(_) => None,
            });
            digits.collect::<Vec<_>>()
        };
        assert_eq!(of("at 12:30, 4111 1111 1111 1111. v1.2.3"), ["4111 1111 1111 1111"]);
        assert_eq!(of("(555) 123-4567"), ["555) 123-4567"]);
    }
}
