//! From a schema as a server sent it to checks, or to the reason why it is not used.
//!
//! What a server sends may be made to cost. So everything is counted before anything is run: size, depth, how many
//! sub-schemas it comes to when every reference is followed, and what its patterns compile to. Nothing is fetched.

use super::walk::walk;
use crate::pin::tree::Node;
use regex::Regex;
use std::collections::HashMap;
use thiserror::Error;

/// How long a schema may be, in bytes.
pub const MOST_BYTES: usize = 64 << 10;
/// How deep sub-schemas may nest.
pub const MOST_DEPTH: usize = 32;
/// How many sub-schemas it may come to when every reference is followed.
pub const MOST_EXPANDED: u64 = 10_000;
/// How many references and sub-schemas may lie between the root and a sub-schema.
pub(super) const MOST_STEPS: usize = 160;

/// Why a schema is not used for checking arguments. The tool stays usable: its server checks for itself.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unusable {
    /// Longer than [`MOST_BYTES`].
    #[error("the schema has {0} bytes, more than {MOST_BYTES}")]
    TooLong(usize),
    /// Not JSON, or JSON that readers disagree on.
    #[error("the schema cannot be read: {0}")]
    Unreadable(#[from] crate::pin::Flaw),
    /// Something that has to be a schema is none, or a keyword has a value that means nothing.
    #[error("the schema is none at {0}")]
    NoSchema(String),
    /// A reference that leads out of the document; nothing is fetched.
    #[error("the schema refers to something outside itself: {0}")]
    RemoteRef(String),
    /// A reference to nothing.
    #[error("the schema refers to {0}, which is not in it")]
    DanglingRef(String),
    /// A reference that leads back to itself without going into the value.
    #[error("the schema refers to itself without end at {0}")]
    Endless(String),
    /// Sub-schemas nest deeper than [`MOST_DEPTH`].
    #[error("the schema nests deeper than {MOST_DEPTH} levels")]
    TooDeep,
    /// With every reference followed it has more than [`MOST_EXPANDED`] sub-schemas.
    #[error("the schema comes to more than {MOST_EXPANDED} sub-schemas when its references are followed")]
    TooWide,
    /// A pattern takes too much to compile, or there are too many.
    #[error("the schema's pattern takes too much to check: {0}")]
    DearPattern(String),
}

/// Names a compiled sub-schema.
pub(super) type Id = usize;

/// The kinds of JSON values, one bit each.
pub(super) mod kind {
    pub const NULL: u8 = 1;
    pub const BOOLEAN: u8 = 2;
    pub const NUMBER: u8 = 4;
    pub const INTEGER: u8 = 8;
    pub const STRING: u8 = 16;
    pub const ARRAY: u8 = 32;
    pub const OBJECT: u8 = 64;

    /// The bit of a type's name.
    pub fn of(name: &str) -> Option<u8> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(bit, _)| *bit)
    }

    pub const NAMES: [(u8, &str); 7] = [
        (NULL, "null"),
        (BOOLEAN, "boolean"),
        (NUMBER, "number"),
        (INTEGER, "integer"),
        (STRING, "string"),
        (ARRAY, "array"),
        (OBJECT, "object"),
    ];
}

/// One thing a value is held to.
#[derive(Debug)]
pub(super) enum Check {
    Never,
    Type(u8),
    /// The allowed values in canonical form, and as they are shown.
    Enum(Vec<(Vec<u8>, String)>),
    Minimum {
        limit: f64,
        exclusive: bool,
        shown: String,
    },
    Maximum {
        limit: f64,
        exclusive: bool,
        shown: String,
    },
    MultipleOf {
        of: f64,
        shown: String,
    },
    Length {
        least: usize,
        most: usize,
    },
    Pattern(Regex, String),
    Items {
        first: Vec<Id>,
        rest: Option<Id>,
    },
    Contains {
        id: Id,
        least: usize,
        most: usize,
    },
    Count {
        least: usize,
        most: usize,
    },
    Unique,
    Properties {
        named: HashMap<String, Id>,
        by_pattern: Vec<(Option<Regex>, Id)>,
        rest: Option<Id>,
    },
    Names(Id),
    Required(Vec<String>),
    Members {
        least: usize,
        most: usize,
    },
    NeedsKeys(Vec<(String, Vec<String>)>),
    NeedsSchema(Vec<(String, Id)>),
    AllOf(Vec<Id>),
    AnyOf(Vec<Id>),
    OneOf(Vec<Id>),
    Not(Id),
    If {
        id: Id,
        then: Option<Id>,
        otherwise: Option<Id>,
    },
    Same(Id),
}

/// One compiled sub-schema.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    pub checks: Vec<Check>,
    /// The names of its properties, for whoever misspelt one.
    pub known: Vec<String>,
}

/// All sub-schemas of one schema; the first is the schema itself.
#[derive(Debug)]
pub(super) struct Program {
    pub schemas: Vec<Compiled>,
    /// Whether a keyword was left out that this checker cannot check.
    pub partial: bool,
}

/// Compiles `schema`, raw JSON.
///
/// # Errors
/// Why it is not used.
pub(super) fn compile(schema: &[u8]) -> Result<Program, Unusable> {
    if schema.len() > MOST_BYTES {
        return Err(Unusable::TooLong(schema.len()));
    }
    walk(&Node::parse(schema)?)
}
