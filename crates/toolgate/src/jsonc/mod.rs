//! JSON as people keep it in settings files: with comments, trailing commas, a byte order mark, any line ends. A
//! [`Doc`] knows where each value stands in its text; an edit changes that place alone and gives back the new text.
//! What the values mean, and files, are not here.

mod edit;
mod scan;
mod spell;

#[cfg(test)]
mod tests;

use std::ops::Range;

use serde_json::Value;

pub use edit::EditError;

/// A text that was understood, and where everything in it stands.
#[derive(Debug, Clone)]
pub struct Doc {
    text: String,
    root: Node,
}

/// Why a text is no JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {what}")]
pub struct Mistake {
    /// Where, in bytes.
    pub offset: usize,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: &'static str,
}

/// One value.
#[derive(Debug, Clone)]
pub struct Node {
    /// From the beginning of its key (of itself, where it has none) to its end, in bytes.
    pub span: Range<usize>,
    /// Without the key.
    pub value_span: Range<usize>,
    /// What it is.
    pub kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// An object.
    Object(Vec<Member>),
    /// An array.
    Array(Vec<Node>),
    /// A string. A lone surrogate, which no Rust string can hold, is a replacement character here.
    Text(String),
    /// A number, a truth value or null.
    Plain,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub struct Member {
    /// The key.
    pub key: String,
    /// Where it is written, with its quotes.
    pub key_span: Range<usize>,
    /// The value.
    pub node: Node,
    /// Where the comma behind it stands.
    comma: Option<usize>,
}

impl Doc {
    /// Reads a text.
    ///
    /// # Errors
    /// The first mistake. A key that stands twice in one object is one: which of the two counts is anybody's guess.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        Ok(Self { text: text.to_owned(), root: scan::root(text)? })
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The outermost value.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The value at a path of keys; in an array a number from 0 stands for a key.
    pub fn get(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(&self.root, |node, key| node.child(key))
    }

    /// How a value is written.
    pub fn text(&self, node: &Node) -> &str {
        &self.text[node.value_span.clone()]
    }

    /// What a value means, without comments and layout.
    pub fn value(&self, node: &Node) -> Value {
        match &node.kind {
            Kind::Object(members) => {
                Value::Object(members.iter().map(|member| (member.key.clone(), self.value(&member.node))).collect())
            }
            Kind::Array(items) => Value::Array(items.iter().map(|item| self.value(item)).collect()),
            Kind::Text(text) => Value::String(text.clone()),
            // A number that no machine number holds.
            Kind::Plain => serde_json::from_str(self.text(node)).unwrap_or(Value::Null),
        }
    }
}

impl Node {
    /// The members of an object in their order; nothing for all else.
    pub fn members(&self) -> &[Member] {
        match &self.kind {
            Kind::Object(members) => members,
            Kind::Array(_) | Kind::Text(_) | Kind::Plain => &[],
        }
    }

    /// The string it is.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            Kind::Object(_) | Kind::Array(_) | Kind::Plain => None,
        }
    }

    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        matches!(self.kind, Kind::Object(_))
    }

    /// The value under a key, or at a place of an array.
    pub fn child(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Object(members) => members.iter().find(|member| member.key == key).map(|member| &member.node),
            Kind::Array(items) => items.get(key.parse::<usize>().ok()?),
            Kind::Text(_) | Kind::Plain => None,
        }
    }
}
