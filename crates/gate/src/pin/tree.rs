//! JSON as a tree that loses nothing: numbers keep their spelling, members their order, and a repeated key is refused.

use super::canonical::MOST_DEPTH;
use super::lexer::{Flaw, Lexer};
use std::borrow::Cow;
use std::collections::HashSet;

/// How many values one text may hold: a tree takes more memory than its text.
const MOST_VALUES: usize = 1 << 20;

/// One JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node<'a> {
    Null,
    Bool(bool),
    /// As it was spelled.
    Number(&'a str),
    Text(Cow<'a, str>),
    /// A string with half of a surrogate pair, as it was spelled between its quotes.
    Broken(&'a str),
    List(Vec<Node<'a>>),
    Map(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl<'a> Node<'a> {
    /// Reads `json`.
    ///
    /// # Errors
    /// What is not JSON, nests too deep, holds too many values, or an object with the same key twice.
    pub fn parse(json: &'a [u8]) -> Result<Self, Flaw> {
        let mut reader = Reader { lexer: Lexer::new(json)?, depth: 0, values: 0 };
        let node = reader.value()?;
        reader.lexer.end()?;
        Ok(node)
    }

    /// The value of a member, if this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Node<'a>> {
        self.members().iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The members of an object; none if it is something else.
    pub fn members(&self) -> &[(Cow<'a, str>, Node<'a>)] {
        match self {
            Self::Map(members) => members,
            _ => &[],
        }
    }

    /// The elements of an array; none if it is something else.
    pub fn elements(&self) -> &[Node<'a>] {
        match self {
            Self::List(elements) => elements,
            _ => &[],
        }
    }

    /// The text of a string.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value at a path of keys.
    #[cfg(test)]
    pub fn path(&self, keys: &[&str]) -> Option<&Node<'a>> {
        keys.iter().try_fold(self, |at, key| at.get(key))
    }

    /// Appends the value as JSON: members in their order, no space, numbers as they were spelled.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Number(spelling) => out.extend_from_slice(spelling.as_bytes()),
            Self::Text(text) => super::canonical::quote(text, out),
            Self::Broken(spelling) => {
                out.push(b'"');
                out.extend_from_slice(spelling.as_bytes());
                out.push(b'"');
            }
            Self::List(elements) => {
                out.push(b'[');
                for (index, element) in elements.iter().enumerate() {
                    separate(index, out);
                    element.write(out);
                }
                out.push(b']');
            }
            Self::Map(members) => {
                out.push(b'{');
                for (index, (key, value)) in members.iter().enumerate() {
                    separate(index, out);
                    super::canonical::quote(key, out);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }

    /// The value as JSON text.
    pub fn json(&self) -> String {
        let mut out = Vec::new();
        self.write(&mut out);
        String::from_utf8(out).expect("what was read from UTF-8 is written as UTF-8")
    }
}

fn separate(index: usize, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
}

/// `path` with one more key or index, as RFC 6901 spells it.
pub(crate) fn below(path: &str, key: &str) -> String {
    let mut longer = String::with_capacity(path.len() + key.len() + 1);
    longer.push_str(path);
    longer.push('/');
    for c in key.chars() {
        match c {
            '~' => longer.push_str("~0"),
            '/' => longer.push_str("~1"),
            c => longer.push(c),
        }
    }
    longer
}

struct Reader<'a> {
    lexer: Lexer<'a>,
    depth: usize,
    values: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self) -> Result<Node<'a>, Flaw> {
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(Flaw::TooMany(MOST_VALUES));
        }
        Ok(match self.lexer.next() {
            Some(b'"') => {
                let quoted = self.lexer.string()?;
                quoted.text().map_or(Node::Broken(quoted.inner), Node::Text)
            }
            Some(b'{') => self.nested(Self::object)?,
            Some(b'[') => self.nested(Self::array)?,
            Some(b't') => self.lexer.word("true").map(|_| Node::Bool(true))?,
            Some(b'f') => self.lexer.word("false").map(|_| Node::Bool(false))?,
            Some(b'n') => self.lexer.word("null").map(|_| Node::Null)?,
            _ => Node::Number(self.lexer.number()?),
        })
    }

    fn nested(&mut self, container: fn(&mut Self) -> Result<Node<'a>, Flaw>) -> Result<Node<'a>, Flaw> {
        if self.depth >= MOST_DEPTH {
            return Err(Flaw::TooDeep(MOST_DEPTH));
        }
        self.depth += 1;
        let node = container(self)?;
        self.depth -= 1;
        Ok(node)
    }

    fn array(&mut self) -> Result<Node<'a>, Flaw> {
        let mut elements = Vec::new();
        if self.lexer.open(b']') {
            loop {
                elements.push(self.value()?);
                if !self.lexer.more(b']')? {
                    break;
                }
            }
        }
        Ok(Node::List(elements))
    }

    fn object(&mut self) -> Result<Node<'a>, Flaw> {
        let mut members: Vec<(Cow<'a, str>, Node<'a>)> = Vec::new();
        if self.lexer.open(b'}') {
            loop {
                self.lexer.next();
                let place = self.lexer.pos;
                let key = self.lexer.string()?.text().ok_or(Flaw::BrokenKey(place))?;
                self.lexer.expect(b':')?;
                let value = self.value()?;
                members.push((key, value));
                if !self.lexer.more(b'}')? {
                    break;
                }
            }
        }
        if repeats(&members) { Err(Flaw::DuplicateKey(self.lexer.pos)) } else { Ok(Node::Map(members)) }
    }
}

fn repeats(members: &[(Cow<'_, str>, Node<'_>)]) -> bool {
    if members.len() <= 8 {
        return members.iter().enumerate().any(|(at, (key, _))| members[..at].iter().any(|(other, _)| other == key));
    }
    let mut seen = HashSet::with_capacity(members.len());
    !members.iter().all(|(key, _)| seen.insert(&**key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_as_it_was() {
        for json in [r#"{"b":1.10,"a":["x\n",null,true,{}],"":-0}"#, r#"["\ud800",[],1e5]"#] {
            assert_eq!(Node::parse(json.as_bytes()).expect("JSON").json(), json);
        }
    }

    #[test]
    fn a_repeated_key_is_refused_in_small_and_large_objects() {
        assert_eq!(Node::parse(br#"{"a":1,"a":2}"#), Err(Flaw::DuplicateKey(13)));
        let many: String = (0..20).map(|n| format!("\"k{n}\":1,")).collect();
        assert!(Node::parse(format!("{{{many}\"z\":1}}").as_bytes()).is_ok());
        assert!(matches!(Node::parse(format!("{{{many}\"k3\":1}}").as_bytes()), Err(Flaw::DuplicateKey(_))));
    }

    #[test]
    fn a_path_is_spelled_as_a_json_pointer() {
        assert_eq!(below("/a", "b/c~d"), "/a/b~1c~0d");
    }
}
