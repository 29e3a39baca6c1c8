//! The arguments of one call, as predicates look at them: read at the first question, each path once.
//!
//! They were seen to be JSON without duplicate keys before; what cannot be read here all the same cannot be judged.

use super::model::ArgPath;
use super::number::Decimal;
use super::predicate::Lookups;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// What stands at one path.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// Nothing.
    Missing,
    /// Something that no predicate can judge: unreadable, or the path leads through what has no members.
    Opaque,
    Null,
    Bool(bool),
    Number(Decimal),
    Text(Cow<'a, str>),
    List(Vec<&'a RawValue>),
    Object(Vec<(Cow<'a, str>, &'a RawValue)>),
}

impl<'a> Found<'a> {
    /// What a value is; one level of it is read.
    pub(super) fn of(value: &'a RawValue) -> Self {
        let text = value.get();
        let read = match text.as_bytes().first() {
            Some(b'n') => Some(Self::Null),
            Some(b't') => Some(Self::Bool(true)),
            Some(b'f') => Some(Self::Bool(false)),
            Some(b'"') => string(text).map(Self::Text),
            Some(b'[') => serde_json::from_str(text).ok().map(Self::List),
            Some(b'{') => object(text.as_bytes()).map(Self::Object),
            _ => Decimal::parse(text).map(Self::Number),
        };
        read.unwrap_or(Self::Opaque)
    }

    /// What stands one key below.
    fn below(&self, key: &str) -> Self {
        let member = match self {
            Self::Object(members) => members.iter().find(|(name, _)| name == key).map(|(_, value)| *value),
            Self::List(elements) => match key.parse::<usize>() {
                Ok(at) => elements.get(at).copied(),
                Err(_) => return Self::Opaque,
            },
            Self::Missing => None,
            Self::Opaque | Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => return Self::Opaque,
        };
        member.map_or(Self::Missing, Self::of)
    }
}

/// The arguments of one call.
pub(super) struct Arguments<'a> {
    raw: &'a [u8],
    root: OnceCell<Found<'a>>,
    found: RefCell<HashMap<usize, Rc<Found<'a>>>>,
    /// Where paths among them, and those that rules name, lead.
    pub(super) lookups: Lookups,
}

impl<'a> Arguments<'a> {
    /// `raw` is the object as it came, or empty if there was none.
    pub(super) fn new(raw: &'a [u8]) -> Self {
        Self { raw, root: OnceCell::new(), found: RefCell::default(), lookups: Lookups::default() }
    }

    /// What stands at the path that has this number.
    pub(super) fn at(&self, number: usize, path: &ArgPath) -> Rc<Found<'a>> {
        if let Some(known) = self.found.borrow().get(&number) {
            return known.clone();
        }
        let found = Rc::new(self.walk(path));
        self.found.borrow_mut().insert(number, found.clone());
        found
    }

    fn walk(&self, path: &ArgPath) -> Found<'a> {
        let Some((first, rest)) = path.0.split_first() else { return root(self.raw) };
        let top = self.root.get_or_init(|| root(self.raw)).below(first);
        rest.iter().fold(top, |found, key| found.below(key))
    }
}

fn root(raw: &[u8]) -> Found<'_> {
    let raw = raw.trim_ascii();
    if raw.is_empty() || raw == b"null" {
        return Found::Object(Vec::new());
    }
    object(raw).map_or(Found::Opaque, Found::Object)
}

/// Borrowed where nothing in it is escaped.
fn string(text: &str) -> Option<Cow<'_, str>> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    if inner.bytes().all(|b| b != b'\\' && b != b'"' && b >= 0x20) {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(text).ok().map(Cow::Owned)
}

fn object(raw: &[u8]) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    let mut reader = serde_json::Deserializer::from_slice(raw);
    let members = reader.deserialize_map(Members).ok()?;
    reader.end().ok()?;
    Some(members)
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            members.push((Cow::Owned(name), map.next_value()?));
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str, path: &[&str], want: &str) {
        let path = ArgPath(path.iter().map(|key| (*key).to_owned()).collect());
        let found = Arguments::new(raw.as_bytes()).at(0, &path);
        let got = match &*found {
            Found::Text(text) => format!("text {text}"),
            Found::Number(_) => "number".to_owned(),
            Found::List(elements) => format!("list of {}", elements.len()),
            Found::Object(members) => format!("object of {}", members.len()),
            other => format!("{other:?}"),
        };
        assert_eq!(got, want, "{raw}");
    }

    #[test]
    fn a_path_leads_through_objects_and_lists() {
        let raw = r#" {"a": {"b": [1, "x\n", {"c": null}]}, "/": true, "é\u0041": "y"} "#;
        check(raw, &["a", "b", "0"], "number");
        check(raw, &["a", "b", "1"], "text x\n");
        check(raw, &["a", "b", "2", "c"], "Null");
        check(raw, &["a", "b", "3"], "Missing");
        check(raw, &["a", "b", "x"], "Opaque");
        check(raw, &["a", "x", "y"], "Missing");
        check(raw, &["/"], "Bool(true)");
        check(raw, &["/", "x"], "Opaque");
        check(raw, &["éA"], "text y");
        check(raw, &["a"], "object of 1");
    }

    #[test]
    fn what_cannot_be_read_is_opaque_and_nothing_is_an_empty_object() {
        check("", &["a"], "Missing");
        check("null", &["a"], "Missing");
        check("[]", &["a"], "Opaque");
        check("{", &["a"], "Opaque");
        check(r#"{"a": "\ud800"}"#, &["a"], "Opaque");
        check(r#"{"a": 1} {}"#, &["a"], "Opaque");
    }
}
