//! Phone numbers: with a plus, as North America groups them, or near a word that says so.

use super::number::{Match, Near, stands_alone};

const WORDS: &[&[u8]] = &[
    b"phone",
    b"tel:",
    b"tel.",
    b"tel ",
    b"tel\"",
    b"telephone",
    b"mobile",
    b"cellphone",
    b"cell:",
    b"fax",
    b"whatsapp",
    b"sms",
    b"call",
    b"dial",
    b"hotline",
    b"msisdn",
    b"reach me",
    b"text me",
];

type Spans<'a> = &'a [(usize, usize)];

/// The phone number that begins with the first of these groups of digits.
pub(super) fn match_at(text: &[u8], groups: Spans<'_>, near: &Near) -> Option<Match> {
    let (start, end, used) = with_plus(text, groups, near)
        .or_else(|| grouped(text, groups, near))
        .or_else(|| labelled(text, groups, near))?;
    Some((start, extension(text, end), used))
}

/// `+49 (0)30 123456`: a country code and up to fifteen digits.
fn with_plus(text: &[u8], groups: Spans<'_>, near: &Near) -> Option<Match> {
    let first = groups.first()?.0;
    let plus = first.checked_sub(1).filter(|at| text[*at] == b'+').or_else(|| {
        let at = first.checked_sub(2)?;
        (text[at..first] == *b"+(" || text[at..first] == *b"(+").then_some(at)
    })?;
    let glued = plus.checked_sub(1).is_some_and(|at| text[at].is_ascii_alphanumeric());
    let (end, used, digits) = chain(text, groups, 15);
    let named = (8..=15).contains(&digits)
        && text[first] != b'0'
        && !glued
        && (used > 1 || digits >= 10 || near.has(plus, WORDS));
    (named && ends(text, end)).then_some((plus, end, used))
}

/// `555-123-4567`, `(555) 123-4567`, `555.123.4567`, each with `1` or `001` before.
fn grouped(text: &[u8], groups: Spans<'_>, near: &Near) -> Option<Match> {
    let lens = |at: usize| groups.get(at).map_or(0, |(start, end)| end - start);
    let country = usize::from(matches!(lens(0), 1 | 3) && matches!(lens(1), 3) && lens(2) == 3 && lens(3) == 4);
    let country = country * usize::from(matches!(&text[groups[0].0..groups[0].1], b"1" | b"001"));
    if (lens(country), lens(country + 1), lens(country + 2)) != (3, 3, 4) {
        return None;
    }
    let (area, local) = (groups[country], groups[country + 1]);
    let last = groups[country + 2];
    let begin = area.0.checked_sub(1).filter(|at| text[*at] == b'(');
    let start = if country == 1 { groups[0].0 } else { begin.unwrap_or(area.0) };
    let sure = match (&text[area.1..local.0], &text[local.1..last.0]) {
        (b")" | b") " | b")-", b"-" | b"." | b" ") => begin.is_some(),
        (b"-", b"-") | (b".", b".") => true,
        (b" ", b" " | b"-") => near.has(start, WORDS) || is_assigned(&text[area.0..area.1], &text[local.0..local.1]),
        _ => false,
    };
    (sure && ahead(text, start) && ends(text, last.1)).then_some((start, last.1, country + 3))
}

/// Whether North America could have given out that area and exchange.
fn is_assigned(area: &[u8], exchange: &[u8]) -> bool {
    area[0] >= b'2' && exchange[0] >= b'2' && area[1..] != *b"11" && exchange[1..] != *b"11"
}

/// Digits of any grouping behind a word for phones.
fn labelled(text: &[u8], groups: Spans<'_>, near: &Near) -> Option<Match> {
    let open = groups.first()?.0;
    let start = open.checked_sub(1).filter(|at| text[*at] == b'(').unwrap_or(open);
    if !near.has(start, WORDS) {
        return None;
    }
    let (end, used, digits) = chain(text, groups, 15);
    if used == 0 {
        return None;
    }
    let plain = used == 1;
    let number = &text[open..end];
    let plausible = match digits {
        10 if plain => number[0] != b'1' || number[0] == b'0',
        9..=15 => !plain || number[0] == b'0' || digits >= 11 && !number.starts_with(b"1"),
        7 | 8 => !plain,
        _ => false,
    };
    (plausible && !(0..used).any(|at| is_date(text, &groups[at..])) && ahead(text, start) && ends(text, end))
        .then_some((start, end, used))
}

/// `2024-11-21` and the like are no phone numbers, whatever stands before them.
fn is_date(text: &[u8], groups: Spans<'_>) -> bool {
    let [(start, end), (a, b), (c, d), ..] = groups else { return false };
    let year = end - start == 4 && matches!(&text[*start..start + 2], b"19" | b"20");
    year && b - a <= 2 && d - c <= 2
        || (end - start <= 2 && b - a <= 2 && d - c == 4 && matches!(&text[*c..c + 2], b"19" | b"20"))
}

/// As many of the groups as belong to one number of at most `most` digits: end, groups, digits.
fn chain(text: &[u8], groups: Spans<'_>, most: usize) -> (usize, usize, usize) {
    let (mut end, mut used, mut digits) = (0, 0, 0);
    for (at, (start, stop)) in groups.iter().enumerate() {
        let joined = at == 0
            || matches!(&text[end..*start], b" " | b"-" | b"." | b"/" | b" (" | b")" | b") " | b")-" | b"(" | b" - ");
        if !joined || digits + (stop - start) > most {
            break;
        }
        (end, used, digits) = (*stop, at + 1, digits + stop - start);
    }
    (end, used, digits)
}

fn ahead(text: &[u8], start: usize) -> bool {
    stands_alone(text, start, text.len())
}

/// Whether nothing behind continues it; an extension may.
fn ends(text: &[u8], end: usize) -> bool {
    extension(text, end) > end
        || super::number::ends_here(text, end)
        || text.get(end) == Some(&b'-') && text.get(end + 1).is_some_and(u8::is_ascii_alphabetic)
}

/// Past ` ext. 123`, `x123`.
fn extension(text: &[u8], end: usize) -> usize {
    let rest = &text[end..text.len().min(end + 16)];
    let space = rest.iter().take_while(|byte| **byte == b' ').count();
    let word: &[&[u8]] = &[b"extension", b"ext.", b"ext", b"x"];
    let Some(word) = word
        .iter()
        .find(|word| rest[space..].len() > word.len() && rest[space..][..word.len()].eq_ignore_ascii_case(word))
    else {
        return end;
    };
    let after = space + word.len();
    let gap = rest[after..].iter().take_while(|byte| **byte == b' ').count();
    let digits = rest[after + gap..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    if (2..=6).contains(&digits) { end + after + gap + digits } else { end }
}

#[cfg(test)]
mod tests {
    use crate::mask::{marks, number, rules};

    fn check(text: &str, want: Option<&str>) {
        let mut got = None;
        for number in marks::numbers(text.as_bytes()) {
            let marks::Number::Digits(digits) = number else { continue };
            number::find(text.as_bytes(), digits, |start, end, class| {
                assert_eq!(class, rules::PHONE, "{text}");
                got = got.or(Some(&text[start..end]));
            });
        }
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn numbers_in_common_forms_are_found() {
        for text in [
            "+49 30 1234567",
            "+1-555-123-4567x890",
            "(555)123-4567",
            "555.123.4567",
            "001-555-123-4567",
            "+41 (0)56 123 45 67",
            "+442079460958",
        ] {
            check(text, Some(text));
            check(&format!("is {text}, yes"), Some(text));
        }
        check("phone: 0161 496 0999", Some("0161 496 0999"));
        check("\"phone\":\"5551234567\"", Some("5551234567"));
    }

    #[test]
    fn other_numbers_are_left() {
        for text in [
            "2024-11-21 00:15",
            "192.168.100.200",
            "1700000000",
            "550e8400-e29b-41d4-a716-446655440000",
            "0161 496 0999",
            "1 2 3 4 5 6 7 8 9",
            "version 1.234.5678.9",
            "call at 2024-11-21 1234",
            "12345678-123-123-1234",
        ] {
            check(text, None);
        }
    }
}
