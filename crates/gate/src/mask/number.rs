//! Numbers of people and their money, each with the check that its kind has: cards, IBANs, phones, US social security.

use super::marks::Digits;
use super::rules::{CARD, Class, IBAN, PHONE, SSN};
use smallvec::SmallVec;

/// A group of digits within a number.
#[derive(Clone, Copy)]
struct Group {
    start: usize,
    end: usize,
}

impl Group {
    fn len(self) -> usize {
        self.end - self.start
    }
}

/// Everything to mask within one stretch of digits.
pub(super) fn find(text: &[u8], digits: Digits, mut found: impl FnMut(usize, usize, Class)) {
    let groups = groups(text, digits);
    let near = Near::new(text, digits.start);
    let mut at = 0;
    while at < groups.len() {
        let hit = ssn(text, &groups[at..], &near)
            .map(|n| (n, SSN))
            .or_else(|| card(text, &groups[at..], &near).map(|n| (n, CARD)))
            .or_else(|| super::phone::match_at(text, &spans(&groups[at..]), &near).map(|n| (n, PHONE)));
        match hit {
            Some(((start, end, used), class)) => {
                found(start, end, class);
                at += used;
            }
            None => at += 1,
        }
    }
}

/// Whether [`find`] may find anything there, told without what stands before it: digits in one piece are nobody's
/// number if there are more of them than any has, or if they are a part of a word.
pub(super) fn may_be(text: &[u8], Digits { start, end }: Digits) -> bool {
    let in_pieces = !text[start..end].iter().all(u8::is_ascii_digit);
    let glued = start.checked_sub(1).is_some_and(|at| text[at].is_ascii_alphanumeric());
    // Behind a phone number an `x` or `ext` is no word's part.
    let goes_on = text.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric() && !b"xXeE".contains(byte));
    in_pieces || !(end - start > MOST_DIGITS || glued || goes_on)
}

/// The longest cards have so many; phones, accounts and social security numbers have fewer.
const MOST_DIGITS: usize = 19;

fn spans(groups: &[Group]) -> SmallVec<[(usize, usize); 8]> {
    groups.iter().take(8).map(|group| (group.start, group.end)).collect()
}

fn groups(text: &[u8], digits: Digits) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut at = digits.start;
    while at < digits.end {
        if !text[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let len = text[at..digits.end].iter().take_while(|byte| byte.is_ascii_digit()).count();
        groups.push(Group { start: at, end: at + len });
        at += len;
    }
    groups
}

/// Where a match begins and ends, and how many groups it used.
pub(super) type Match = (usize, usize, usize);

/// Whether the character before and behind do not continue the number or make it part of a word.
pub(super) fn stands_alone(text: &[u8], start: usize, end: usize) -> bool {
    let before = start.checked_sub(1).map(|at| text[at]);
    let far_before = start.checked_sub(2).map(|at| text[at]);
    let joined =
        matches!(before, Some(b'-' | b'.' | b'/' | b'_')) && far_before.is_some_and(|b| b.is_ascii_alphanumeric());
    let glued = before.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    !joined && !glued && ends_here(text, end)
}

pub(super) fn ends_here(text: &[u8], end: usize) -> bool {
    match (text.get(end), text.get(end + 1)) {
        (Some(b'-' | b'.' | b'/' | b'_'), Some(next)) => !next.is_ascii_alphanumeric(),
        (Some(b'_'), None) => false,
        (Some(byte), _) => !byte.is_ascii_alphanumeric(),
        (None, _) => true,
    }
}

/// The one separator between each two of these groups, if it is the same everywhere.
fn joint(text: &[u8], groups: &[Group]) -> Option<u8> {
    let mut joints = groups.windows(2).map(|pair| (pair[1].start - pair[0].end == 1).then(|| text[pair[0].end]));
    let first = joints.next()??;
    (matches!(first, b' ' | b'-') && joints.all(|joint| joint == Some(first))).then_some(first)
}

const CARD_SHAPES: [&[usize]; 9] = [
    &[4, 4, 4, 4, 3],
    &[4, 4, 4, 4],
    &[4, 6, 5],
    &[4, 6, 4],
    &[4, 4, 4, 1],
    &[4, 4, 5],
    &[4, 4, 4, 3],
    &[4, 4, 4, 2],
    &[4, 4, 4],
];

fn card(text: &[u8], groups: &[Group], near: &Near) -> Option<Match> {
    let first = groups.first()?;
    if first.len() >= 12 {
        let (start, end) = (first.start, first.end);
        let usual = matches!(first.len(), 14..=16) || near.has(start, CARD_WORDS);
        let number = &text[start..end];
        return (usual && first.len() <= 19 && stands_alone(text, start, end) && is_card(number))
            .then_some((start, end, 1));
    }
    for shape in CARD_SHAPES {
        let Some(taken) = groups.get(..shape.len()) else { continue };
        let fits = taken.iter().zip(shape).all(|(group, len)| group.len() == *len) && joint(text, taken).is_some();
        let (start, end) = (first.start, taken[taken.len() - 1].end);
        let usual = shape.iter().sum::<usize>() >= 14 || near.has(start, CARD_WORDS);
        if fits && usual && stands_alone(text, start, end) {
            let digits: SmallVec<[u8; 24]> = text[start..end].iter().copied().filter(u8::is_ascii_digit).collect();
            if is_card(&digits) {
                return Some((start, end, shape.len()));
            }
        }
    }
    None
}

const CARD_WORDS: &[&[u8]] =
    &[b"card", b"credit", b"debit", b"visa", b"amex", b"mastercard", b"maestro", b"discover", b"cc ", b"pan"];

/// What words stand shortly before a stretch of digits; within it there are none.
pub(super) struct Near {
    at: usize,
    before: SmallVec<[u8; 64]>,
}

/// How far before a number a word still speaks of it.
const SHORTLY: usize = 48;

impl Near {
    pub fn new(text: &[u8], at: usize) -> Self {
        Self { at, before: text[at.saturating_sub(SHORTLY)..at].iter().map(u8::to_ascii_lowercase).collect() }
    }

    /// Whether one of these words, each in lower case, stands shortly before `at`.
    pub fn has(&self, at: usize, words: &[&[u8]]) -> bool {
        let far = at.saturating_sub(self.at).min(self.before.len());
        let before = &self.before[far..];
        // Words begin with a letter, and few places of a text begin a word: the list is tried there alone.
        let begins =
            |hit: &usize| before[*hit].is_ascii_alphabetic() && (*hit == 0 || !before[*hit - 1].is_ascii_alphabetic());
        let stands = |hit: usize| words.iter().any(|word| before[hit] == word[0] && before[hit..].starts_with(word));
        (0..before.len()).filter(begins).any(stands)
    }
}

/// Issuer, length and check digit fit one of the card schemes.
fn is_card(digits: &[u8]) -> bool {
    let lead = |n: usize| digits[..n].iter().fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    let issued = matches!(
        (lead(1), lead(2), lead(3), lead(4), digits.len()),
        (4, _, _, _, 13 | 16 | 19)
            | (_, 51..=55, _, _, 16)
            | (_, _, _, 2200..=2204 | 2221..=2720, 16)
            | (_, 34 | 37, _, _, 15)
            | (_, 62 | 65, _, _, 16..=19)
            | (_, _, 644..=649, _, 16..=19)
            | (_, _, _, 6011 | 3528..=3589, 16..=19)
            | (_, 36 | 38 | 39, _, _, 14..=19)
            | (_, _, 300..=305 | 309, _, 14..=19)
            | (_, _, _, 2131 | 1800, 15)
            | (_, 50 | 56..=58, _, _, 12..=19)
            | (_, _, _, 6304 | 6759 | 6761..=6763, 12..=19)
    );
    issued && luhn(digits) && digits.iter().any(|digit| *digit != digits[0])
}

/// The check digit of cards (and of much else).
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let value = u32::from(digit - b'0') << (at & 1);
            value / 10 + value % 10
        })
        .sum();
    sum.is_multiple_of(10)
}

fn ssn(text: &[u8], groups: &[Group], near: &Near) -> Option<Match> {
    let first = groups.first()?;
    let (end, used, spelled) = match groups {
        [a, b, c, ..] if (a.len(), b.len(), c.len()) == (3, 2, 4) => (c.end, 3, joint(text, &groups[..3])?),
        [a, ..] if a.len() == 9 => (a.end, 1, 0),
        _ => return None,
    };
    let (start, sure) = (first.start, spelled == b'-');
    let digits: SmallVec<[u8; 16]> = text[start..end].iter().copied().filter(u8::is_ascii_digit).collect();
    let known = sure || near.has(start, &[b"ssn", b"social security", b"social_security", b"socialsecurity"]);
    (known && stands_alone(text, start, end) && is_ssn(&digits)).then_some((start, end, used))
}

/// No number was ever given out with area 000, 666 or 9xx, group 00 or serial 0000.
fn is_ssn(digits: &[u8]) -> bool {
    let (area, group, serial) = (&digits[..3], &digits[3..5], &digits[5..]);
    area != b"000" && area != b"666" && area[0] != b'9' && group != b"00" && serial != b"0000"
}

/// Lengths of IBANs by country.
const IBANS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27\
    GB22GE22GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31\
    MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20";

/// The IBAN whose check digits begin at `at`, if one does.
pub(super) fn iban(text: &[u8], at: usize) -> Option<(usize, usize, Class)> {
    let start = at.checked_sub(2)?;
    let country = &text[start..at];
    let begins = start.checked_sub(1).is_none_or(|before| !text[before].is_ascii_alphanumeric());
    if !begins || !country.iter().all(u8::is_ascii_alphabetic) || !text.get(at + 1)?.is_ascii_digit() {
        return None;
    }
    let upper = [country[0].to_ascii_uppercase(), country[1].to_ascii_uppercase()];
    let entry = IBANS.as_bytes().chunks(4).find(|entry| entry[..2] == upper)?;
    let length = usize::from(entry[2] - b'0') * 10 + usize::from(entry[3] - b'0');
    let mut digits: SmallVec<[u8; 64]> = SmallVec::new();
    let mut end = start;
    while digits.len() < length {
        match *text.get(end)? {
            byte if byte.is_ascii_alphanumeric() => digits.push(byte.to_ascii_uppercase()),
            b' ' | b'-' if digits.len().is_multiple_of(4) => {}
            _ => return None,
        }
        end += 1;
    }
    let ends = text.get(end).is_none_or(|byte| !byte.is_ascii_alphanumeric());
    (ends && mod_97(&digits) == 1).then_some((start, end, IBAN))
}

/// The account first, then country and check digits, letters as two digits each.
fn mod_97(iban: &[u8]) -> u32 {
    iban[4..].iter().chain(&iban[..4]).fold(0, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::marks;

    fn check(text: &str, want: &[(&str, Class)]) {
        let mut got = Vec::new();
        for number in marks::numbers(text.as_bytes()) {
            let marks::Number::Digits(digits) = number else { continue };
            find(text.as_bytes(), digits, |start, end, class| got.push((&text[start..end], class)));
        }
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn cards_have_an_issuer_a_length_and_a_check_digit() {
        check("4111111111111111", &[("4111111111111111", CARD)]);
        check("4111 1111 1111 1111, x", &[("4111 1111 1111 1111", CARD)]);
        check("3782-822463-10005", &[("3782-822463-10005", CARD)]);
        check("my maestro 501812345674", &[]);
        for text in [
            "4111111111111112",
            "1111111111111117",
            "0.4111111111111111",
            "a4111111111111111",
            "4111-1111 1111-1111",
            "0000000000000000",
        ] {
            check(text, &[]);
        }
    }

    /// Digits of all lengths, alone and in words, with everything that may stand before and behind.
    #[test]
    fn digits_that_cannot_be_a_number_are_none() {
        let numbers = ["4111111111111111", "4111111111111111115", "411111111111111111112", "2125550123", "078051121"];
        for number in numbers {
            for before in
                ["", " ", "a", "Z", "0x", "+", "tel: ", "tel: a", "phone +", "card ", "ssn ", "ssn-", "_", "-", "("]
            {
                for behind in ["", " ", "a", "Z", "x12", "X12", "ext 3", "e", " x12", "-a", ".", ")"] {
                    let text = format!("{before}{number}{behind}");
                    let all = marks::numbers(text.as_bytes());
                    for digits in all.filter_map(|number| match number {
                        marks::Number::Digits(digits) => Some(digits),
                        marks::Number::Check(_) => None,
                    }) {
                        let mut found = false;
                        find(text.as_bytes(), digits, |_, _, _| found = true);
                        assert!(!found || may_be(text.as_bytes(), digits), "{text}");
                    }
                }
            }
        }
        let digits = Digits { start: 1, end: 11 };
        assert!(!may_be(b"a2125550123", digits) && may_be(b" 2125550123", digits));
    }

    #[test]
    fn social_security_numbers_follow_their_rules() {
        check("078-05-1121", &[("078-05-1121", SSN)]);
        check("SSN 078051121", &[("078051121", SSN)]);
        for text in
            ["000-12-3456", "666-12-3456", "912-12-3456", "123-00-4567", "123-45-0000", "078051121", "1-078-05-1121"]
        {
            check(text, &[]);
        }
    }

    #[test]
    fn ibans_have_a_length_and_a_remainder() {
        for (text, want) in [
            ("GB33BUKB20201555555555", true),
            ("DE89 3704 0044 0532 0130 00", true),
            ("GB33BUKB20201555555556", false),
            ("XX33BUKB20201555555555", false),
            ("GB33BUKB2020155555555", false),
        ] {
            assert_eq!(iban(text.as_bytes(), 2).is_some(), want, "{text}");
        }
    }
}
