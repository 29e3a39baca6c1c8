//! From a text to its nodes.

use std::collections::HashSet;

use super::{Kind, Member, Mistake, Node};

/// Deeper values are refused: they are read by recursion.
const DEEPEST: usize = 128;

/// The one value of a text, with what may stand around it.
pub(super) fn root(text: &str) -> Result<Node, Mistake> {
    let mut scan = Scan { text, at: 0, depth: 0 };
    if text.starts_with('\u{feff}') {
        scan.at = '\u{feff}'.len_utf8();
    }
    let node = scan.blank().and_then(|()| scan.value()).map_err(|found| found.in_text(text))?;
    scan.blank().and_then(|()| scan.end()).map_err(|found| found.in_text(text))?;
    Ok(node)
}

/// A mistake before its line is known.
struct Found(usize, &'static str);

impl Found {
    fn in_text(self, text: &str) -> Mistake {
        let before = &text[..self.0];
        let line = before.rsplit('\n').next().unwrap_or_default();
        Mistake {
            offset: self.0,
            line: before.matches('\n').count() + 1,
            column: line.trim_start_matches('\u{feff}').chars().count() + 1,
            what: self.1,
        }
    }
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn wrong<T>(&self, what: &'static str) -> Result<T, Found> {
        Err(Found(self.at, what))
    }

    fn end(&self) -> Result<(), Found> {
        if self.at == self.text.len() { Ok(()) } else { self.wrong("nothing more was expected") }
    }

    /// Blanks and comments.
    fn blank(&mut self) -> Result<(), Found> {
        loop {
            self.at += self.text[self.at..].bytes().take_while(|byte| b" \t\r\n".contains(byte)).count();
            let rest = &self.text[self.at..];
            if rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if let Some(block) = rest.strip_prefix("/*") {
                let Some(end) = block.find("*/") else {
                    return self.wrong("this comment is not closed");
                };
                self.at += end + 4;
            } else {
                return Ok(());
            }
        }
    }

    fn value(&mut self) -> Result<Node, Found> {
        let start = self.at;
        let kind = match self.peek() {
            Some(b'{') => self.nested(Self::object)?,
            Some(b'[') => self.nested(Self::array)?,
            Some(b'"') => Kind::Text(self.string()?),
            Some(_) => self.plain()?,
            None => return self.wrong("a value was expected, the text ends here"),
        };
        Ok(Node { span: start..self.at, value_span: start..self.at, kind })
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Kind, Found>) -> Result<Kind, Found> {
        if self.depth == DEEPEST {
            return self.wrong("this is nested too deep");
        }
        self.depth += 1;
        self.at += 1;
        let kind = read(self)?;
        self.at += 1;
        self.depth -= 1;
        Ok(kind)
    }

    fn object(&mut self) -> Result<Kind, Found> {
        let mut members: Vec<Member> = Vec::new();
        let mut known = HashSet::new();
        self.blank()?;
        while self.peek() != Some(b'}') {
            if members.last().is_some_and(|last| last.comma.is_none()) {
                return self.wrong("`,` or `}` was expected");
            }
            let member = self.member()?;
            if !known.insert(member.key.clone()) {
                return Err(Found(member.key_span.start, "this key stands here twice"));
            }
            members.push(member);
        }
        Ok(Kind::Object(members))
    }

    fn member(&mut self) -> Result<Member, Found> {
        let start = self.at;
        if self.peek() != Some(b'"') {
            return self.wrong("a key in double quotes was expected");
        }
        let key = self.string()?;
        let key_span = start..self.at;
        self.blank()?;
        if self.peek() != Some(b':') {
            return self.wrong("`:` was expected");
        }
        self.at += 1;
        self.blank()?;
        let mut node = self.value()?;
        node.span.start = start;
        Ok(Member { key, key_span, node, comma: self.comma()? })
    }

    /// The comma that may come next, and the blanks around it.
    fn comma(&mut self) -> Result<Option<usize>, Found> {
        self.blank()?;
        let comma = (self.peek() == Some(b',')).then_some(self.at);
        if comma.is_some() {
            self.at += 1;
            self.blank()?;
        }
        Ok(comma)
    }

    fn array(&mut self) -> Result<Kind, Found> {
        let mut items = Vec::new();
        let mut parted = true;
        self.blank()?;
        while self.peek() != Some(b']') {
            if !parted {
                return self.wrong("`,` or `]` was expected");
            }
            items.push(self.value()?);
            parted = self.comma()?.is_some();
        }
        Ok(Kind::Array(items))
    }

    fn plain(&mut self) -> Result<Kind, Found> {
        let word = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        let length = self.text[self.at..].bytes().take_while(word).count();
        let word = &self.text[self.at..self.at + length];
        if !matches!(word, "true" | "false" | "null") && !is_number(word) {
            return self.wrong("a value was expected");
        }
        self.at += length;
        Ok(Kind::Plain)
    }

    fn string(&mut self) -> Result<String, Found> {
        let start = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            let plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
            let length = self.text[self.at..].bytes().take_while(plain).count();
            out.push_str(&self.text[self.at..self.at + length]);
            self.at += length;
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => out.push(self.escape()?),
                Some(_) => return self.wrong("a control character stands in a string"),
                None => return Err(Found(start, "this string is not closed")),
            }
        }
        self.at += 1;
        Ok(out)
    }

    fn escape(&mut self) -> Result<char, Found> {
        let found = match self.text.as_bytes().get(self.at + 1) {
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(&same @ (b'"' | b'\\' | b'/')) => char::from(same),
            Some(b'u') => return self.unicode(),
            _ => return self.wrong("an unknown escape"),
        };
        self.at += 2;
        Ok(found)
    }

    /// `\uXXXX`, or two of them that make one character.
    fn unicode(&mut self) -> Result<char, Found> {
        let first = self.unit()?;
        self.at += 6;
        if let Some(high) = first.checked_sub(0xd800).filter(|high| *high < 0x400)
            && self.text[self.at..].starts_with("\\u")
            && let Some(low) = self.unit()?.checked_sub(0xdc00).filter(|low| *low < 0x400)
        {
            self.at += 6;
            return Ok(char::from_u32(0x10000 + (high << 10) + low).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn unit(&self) -> Result<u32, Found> {
        let digits = self.text.get(self.at + 2..self.at + 6);
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
            Some(unit) => Ok(unit),
            None => self.wrong("four hexadecimal digits were expected after `\\u`"),
        }
    }
}

/// The grammar of JSON: no leading zero or plus, digits on both sides of the point.
fn is_number(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match word.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (word, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    let signless = |text: &str| digits(text.strip_prefix(['+', '-']).unwrap_or(text));
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(signless)
}
