//! One spelling for all texts that mean the same JSON value.
//!
//! As RFC 8785: keys sorted by their UTF-16 code units, no space, strings with the shortest escapes, numbers as
//! ECMAScript writes them. It differs where RFC 8785 would lose something: a number that is no IEEE double keeps its
//! spelling, and so does a string with half of a surrogate pair. So two texts with the same canonical form mean the
//! same; two texts that mean the same nearly always have the same form, and otherwise look changed, which is the safe
//! side.

use super::lexer::{Flaw, Lexer, Quoted};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

/// How deep a value may nest.
pub const MOST_DEPTH: usize = 128;

/// The canonical form of the JSON text `json`.
///
/// # Errors
/// What is not JSON, nests deeper than [`MOST_DEPTH`], or holds an object with the same key twice.
///
/// ```
/// let form = gate::pin::canonical(br#"{ "b": 1.0, "a": "\u0041" }"#).unwrap();
/// assert_eq!(form, br#"{"a":"A","b":1}"#);
/// ```
pub fn canonical(json: &[u8]) -> Result<Vec<u8>, Flaw> {
    let mut writer = Writer { lexer: Lexer::new(json)?, out: Vec::with_capacity(json.len()), depth: 0 };
    writer.value()?;
    writer.lexer.end()?;
    Ok(writer.out)
}

struct Writer<'a> {
    lexer: Lexer<'a>,
    out: Vec<u8>,
    depth: usize,
}

/// One member of an object: its key, and where key and value were written.
struct Written<'a> {
    key: Cow<'a, str>,
    at: Range<usize>,
}

impl<'a> Writer<'a> {
    fn value(&mut self) -> Result<(), Flaw> {
        match self.lexer.next() {
            Some(b'"') => {
                let quoted = self.lexer.string()?;
                self.text(quoted);
            }
            Some(b'{') => return self.nested(Self::object),
            Some(b'[') => return self.nested(Self::array),
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            _ => {
                let spelling = self.lexer.number()?;
                number(spelling, &mut self.out);
            }
        }
        Ok(())
    }

    fn word(&mut self, word: &'static str) -> Result<(), Flaw> {
        self.out.extend_from_slice(self.lexer.word(word)?.as_bytes());
        Ok(())
    }

    fn nested(&mut self, container: fn(&mut Self) -> Result<(), Flaw>) -> Result<(), Flaw> {
        if self.depth >= MOST_DEPTH {
            return Err(Flaw::TooDeep(MOST_DEPTH));
        }
        self.depth += 1;
        container(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn array(&mut self) -> Result<(), Flaw> {
        self.out.push(b'[');
        if self.lexer.open(b']') {
            loop {
                self.value()?;
                if !self.lexer.more(b']')? {
                    break;
                }
                self.out.push(b',');
            }
        }
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self) -> Result<(), Flaw> {
        self.out.push(b'{');
        let start = self.out.len();
        if self.lexer.open(b'}') {
            let mut members = Vec::with_capacity(8);
            loop {
                members.push(self.member()?);
                if !self.lexer.more(b'}')? {
                    break;
                }
                self.out.push(b',');
            }
            self.sort(start, &mut members)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn member(&mut self) -> Result<Written<'a>, Flaw> {
        self.lexer.next();
        let (begin, place) = (self.out.len(), self.lexer.pos);
        let quoted = self.lexer.string()?;
        let key = quoted.text().ok_or(Flaw::BrokenKey(place))?;
        self.text(quoted);
        self.lexer.expect(b':')?;
        self.out.push(b':');
        self.value()?;
        Ok(Written { key, at: begin..self.out.len() })
    }

    /// Brings what was written since `start` into the order of the keys.
    fn sort(&mut self, start: usize, members: &mut [Written<'a>]) -> Result<(), Flaw> {
        let in_order = |pair: &[Written<'_>]| by_utf16(&pair[0].key, &pair[1].key) == Ordering::Less;
        if members.windows(2).all(in_order) {
            return Ok(());
        }
        members.sort_unstable_by(|a, b| by_utf16(&a.key, &b.key));
        if members.windows(2).any(|pair| pair[0].key == pair[1].key) {
            return Err(Flaw::DuplicateKey(self.lexer.pos));
        }
        let unsorted = self.out[start..].to_vec();
        self.out.truncate(start);
        for (index, member) in members.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.out.extend_from_slice(&unsorted[member.at.start - start..member.at.end - start]);
        }
        Ok(())
    }

    fn text(&mut self, quoted: Quoted<'a>) {
        match quoted.text() {
            // Without an escape it has the shortest spelling already; half a pair has no other.
            None | Some(Cow::Borrowed(_)) => {
                self.out.push(b'"');
                self.out.extend_from_slice(quoted.inner.as_bytes());
                self.out.push(b'"');
            }
            Some(Cow::Owned(text)) => quote(&text, &mut self.out),
        }
    }
}

/// Writes `text` as a JSON string with the shortest escapes.
pub(super) fn quote(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            8 => out.extend_from_slice(b"\\b"),
            9 => out.extend_from_slice(b"\\t"),
            10 => out.extend_from_slice(b"\\n"),
            12 => out.extend_from_slice(b"\\f"),
            13 => out.extend_from_slice(b"\\r"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// The order of RFC 8785: by UTF-16 code units, where the surrogates of far characters come before U+E000.
pub(super) fn by_utf16(a: &str, b: &str) -> Ordering {
    if a.is_ascii() || b.is_ascii() {
        return a.cmp(b);
    }
    a.encode_utf16().cmp(b.encode_utf16())
}

/// Writes a number as ECMAScript would, if a double holds exactly what is spelled.
fn number(spelling: &str, out: &mut Vec<u8>) {
    let plain = spelling.len() <= 15 && spelling.bytes().all(|byte| byte.is_ascii_digit());
    if plain {
        return out.extend_from_slice(spelling.as_bytes());
    }
    match ecmascript(spelling) {
        Some(text) => out.extend_from_slice(text.as_bytes()),
        None => out.extend_from_slice(spelling.as_bytes()),
    }
}

/// `spelling` as ECMAScript writes the same number; `None` if no double is exactly what is spelled to the last digit.
fn ecmascript(spelling: &str) -> Option<String> {
    let value: f64 = spelling.parse().ok()?;
    let (digits, point) = decimal(spelling.trim_start_matches('-'))?;
    let (shortest, same_point) = decimal(&format!("{:e}", value.abs()))?;
    if digits != shortest || point != same_point {
        return None;
    }
    if digits.is_empty() {
        return Some("0".to_owned());
    }
    let sign = if value < 0.0 { "-" } else { "" };
    Some(format!("{sign}{}", place_point(&digits, point)))
}

/// The significant digits of a number, and how many of them stand before the decimal point.
fn decimal(spelling: &str) -> Option<(String, i64)> {
    let (mantissa, exponent) = spelling.split_once(['e', 'E']).unwrap_or((spelling, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let leading = digits.len() - digits.trim_start_matches('0').len();
    let significant = digits.trim_matches('0');
    if significant.is_empty() {
        return Some((String::new(), 0));
    }
    let exponent: i64 = exponent.parse().ok()?;
    let point = exponent.checked_add(whole.len() as i64 - leading as i64)?;
    Some((significant.to_owned(), point))
}

/// ECMA-262 `Number::toString` of `digits` with the decimal point after the first `point` of them.
fn place_point(digits: &str, point: i64) -> String {
    let count = digits.len() as i64;
    match point {
        p if count <= p && p <= 21 => format!("{digits}{}", "0".repeat((p - count) as usize)),
        p @ 1..=21 => format!("{}.{}", &digits[..p as usize], &digits[p as usize..]),
        p @ -5..=0 => format!("0.{}{digits}", "0".repeat(-p as usize)),
        p => {
            let dot = if count > 1 { "." } else { "" };
            format!("{}{dot}{}e{:+}", &digits[..1], &digits[1..], p - 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, want: &str) {
        let form = canonical(json.as_bytes()).map(|form| String::from_utf8(form).expect("UTF-8 stays UTF-8"));
        assert_eq!(form.as_deref(), Ok(want), "{json}");
    }

    fn refused(json: &str, want: Flaw) {
        assert_eq!(canonical(json.as_bytes()), Err(want), "{json}");
    }

    #[test]
    fn the_examples_of_the_rfc_hold() {
        check(
            "{\"numbers\": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],\n \
             \"string\": \"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\", \"literals\": [null, true, false]}",
            "{\"literals\":[null,true,false],\"numbers\":[333333333.33333329,1e+30,4.5,0.002,1e-27],\
             \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}",
        );
        check(
            r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew","1":"One","\ud83d\ude00":"Emoji","\u0080":"Control","\u00f6":"o"}"#,
            "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\"ö\":\"o\",\"€\":\"Euro Sign\",\"😀\":\"Emoji\",\"\u{fb33}\":\"Hebrew\"}",
        );
    }

    #[test]
    fn a_number_is_respelled_only_where_nothing_is_lost() {
        check(
            "[0, -0, 1.0, 10e-1, 1e2, 123e-9, 0.1, 1e21, 1e20, -1.50]",
            "[0,0,1,1,100,1.23e-7,0.1,1e+21,100000000000000000000,-1.5]",
        );
        check("[12345678901234567890, 9007199254740993]", "[12345678901234567890,9007199254740993]");
        check("[1e400, 0.1000000000000000055511151231257827]", "[1e400,0.1000000000000000055511151231257827]");
        check("[5e-324, 1e-400, 1e99999999999999999999]", "[5e-324,1e-400,1e99999999999999999999]");
    }

    #[test]
    fn reordered_keys_and_space_are_no_difference_and_all_else_is() {
        let form = |json: &str| canonical(json.as_bytes()).expect("JSON");
        let plain = form(r#"{"a":{"x":1,"y":[1,2]},"b":"text"}"#);
        assert_eq!(plain, form("{ \"b\" : \"t\\u0065xt\",\n\"a\":{\"y\":[1,2],\"x\":1.0}}"));
        for other in [
            r#"{"a":{"x":1,"y":[2,1]},"b":"text"}"#,
            "{\"a\":{\"x\":1,\"y\":[1,2]},\"b\":\"te\u{200b}xt\"}",
            r#"{"a":{"x":"1","y":[1,2]},"b":"text"}"#,
            r#"{"a":{"x":1,"y":[1,2]},"b":"text","c":null}"#,
        ] {
            assert_ne!(plain, form(other), "{other}");
        }
    }

    #[test]
    fn what_readers_disagree_on_is_refused() {
        refused(r#"{"a":1,"\u0061":2}"#, Flaw::DuplicateKey(18));
        refused(r#"{"a":1,"b":2,"a":2}"#, Flaw::DuplicateKey(19));
        refused(r#"{"\ud800":1}"#, Flaw::BrokenKey(1));
        refused("[1,]", Flaw::Syntax(3));
        refused("[1 2]", Flaw::Syntax(3));
        refused("01", Flaw::Syntax(1));
        refused("\"a\u{1}\"", Flaw::Syntax(2));
        refused("{}{}", Flaw::Syntax(2));
        refused("", Flaw::Syntax(0));
        refused(&"[".repeat(129), Flaw::TooDeep(128));
        assert_eq!(canonical(b"\"\xff\""), Err(Flaw::Utf8));
    }

    #[test]
    fn half_a_surrogate_pair_stays_what_it_is() {
        check(r#"["\ud800", "\udc00\ud800", "x\ud83d\ude00"]"#, r#"["\ud800","\udc00\ud800","x😀"]"#);
    }

    proptest::proptest! {
        #[test]
        fn it_reads_what_serde_json_reads_and_is_stable(text in "[\\[\\]{}\",:0-9eE+.tfn\\\\ua\\- ]{0,24}") {
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            match canonical(text.as_bytes()) {
                Ok(form) => {
                    let form = String::from_utf8(form).expect("UTF-8");
                    proptest::prop_assert_eq!(canonical(form.as_bytes()).expect("canonical"), form.as_bytes());
                    // serde_json holds 1 and 1.0 apart.
                    let respelled = text.contains(['.', 'e', 'E']) || text.contains("-0");
                    if let (Ok(theirs), false) = (theirs, respelled) {
                        proptest::prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&form).expect("JSON"), theirs);
                    }
                }
                Err(Flaw::DuplicateKey(_)) => {}
                Err(flaw) => proptest::prop_assert!(theirs.is_err(), "{}: {}", text, flaw),
            }
        }
    }
}
