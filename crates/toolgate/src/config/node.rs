//! What was written, as a tree that remembers where each part was written. No meaning is given to it here.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::place::{Place, Problem};

/// A value and the place of its key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

pub(super) type Table = BTreeMap<String, Node>;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    /// A date, a null or a number beyond 64 bits: nothing here wants one.
    Other(&'static str),
    Array(Vec<Node>),
    Table(Table),
}

impl Value {
    /// What kind of value it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Integer(_) => "integer",
            Self::Float(_) => "float",
            Self::Bool(_) => "boolean",
            Self::Other(kind) => kind,
            Self::Array(_) => "array",
            Self::Table(_) => "table",
        }
    }
}

/// Reads a TOML file's text. What does not parse is in the second part; the tree then holds what could be
/// made out of the rest and must not be relied on.
pub(super) fn from_toml(path: &Arc<Path>, text: &str) -> (Table, Vec<Problem>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let place = |offset: usize| Place::at(path, text, offset);
    let problems = errors
        .iter()
        .map(|error| Problem::new(&place(error.span().map_or(0, |span| span.start)), error.message()))
        .collect();
    (toml_table(table.get_ref(), &place), problems)
}

fn toml_table(table: &DeTable<'_>, place: &dyn Fn(usize) -> Place) -> Table {
    table
        .iter()
        .map(|(key, value)| {
            let node = Node { place: place(key.span().start), value: toml_value(value, place) };
            (key.get_ref().to_string(), node)
        })
        .collect()
}

fn toml_value(value: &Spanned<DeValue<'_>>, place: &dyn Fn(usize) -> Place) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Other("integer beyond 64 bits"),
        },
        DeValue::Float(number) => number.as_str().parse().map_or(Value::Other("float"), Value::Float),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(_) => Value::Other("datetime"),
        DeValue::Array(items) => {
            let node = |item| Node { place: place(Spanned::span(item).start), value: toml_value(item, place) };
            Value::Array(items.iter().map(node).collect())
        }
        DeValue::Table(table) => Value::Table(toml_table(table, place)),
    }
}

/// Reads the value of an override: TOML, or else the literal text.
pub(super) fn from_override(place: &Place, text: &str) -> Value {
    match DeValue::parse(text) {
        Ok(value) => toml_value(&value, &|_| place.clone()),
        Err(_) => Value::Text(text.to_owned()),
    }
}

/// Takes over a JSON value, each part placed by its pointer.
pub(super) fn from_json(place: Place, value: serde_json::Value) -> Node {
    use serde_json::Value as Json;
    let value = match value {
        Json::Null => Value::Other("null"),
        Json::Bool(flag) => Value::Bool(flag),
        Json::String(text) => Value::Text(text),
        Json::Number(number) => self::number(&number),
        Json::Array(items) => {
            let node = |(index, item): (usize, Json)| from_json(place.inside(&index.to_string()), item);
            Value::Array(items.into_iter().enumerate().map(node).collect())
        }
        Json::Object(members) => Value::Table(
            members
                .into_iter()
                .map(|(key, value)| {
                    let node = from_json(place.inside(&key), value);
                    (key, node)
                })
                .collect(),
        ),
    };
    Node { place, value }
}

/// Takes over a number of JSON.
pub(super) fn number(number: &serde_json::Number) -> Value {
    match (number.as_i64(), number.as_f64()) {
        (Some(integer), _) => Value::Integer(integer),
        (None, Some(float)) => Value::Float(float),
        (None, None) => Value::Other("number"),
    }
}

/// Lays `over` on `base`: tables merge deeply, all else is replaced.
pub(super) fn merge(base: &mut Table, over: Table) {
    for (key, node) in over {
        match (base.get_mut(&key), node) {
            (Some(Node { value: Value::Table(below), .. }), Node { value: Value::Table(above), .. }) => {
                merge(below, above);
            }
            (_, node) => {
                base.insert(key, node);
            }
        }
    }
}
