//! Taking typed settings out of a table, key by key; what is left at the end was unknown.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::codex::{CodexApprovals, CodexSandbox};
use super::govern::{AuditArgs, AuthModel, Detect};
use super::node::{Node, Table, Value};
use super::oauth::Registration;
use super::place::{Place, Problem, similar};
use super::types::{ApprovalMode, Prefix, Profile, Protocol, Startup, ToolNames, Trust};
use super::workspace::ClientRoots;
use gate::Secret;

/// A table that is being read.
pub(super) struct Fields {
    /// How messages call this table, such as `gate`; empty when they need not.
    path: String,
    place: Place,
    left: Table,
}

impl Fields {
    /// Begins to read a node that has to be a table.
    pub(super) fn of(path: impl Into<String>, node: Node) -> Result<Self, Problem> {
        let place = node.place.clone();
        let path = path.into();
        match node.value {
            Value::Table(left) => Ok(Self { path, place, left }),
            other => Err(Problem::new(&place, invalid_type(&other, "a table"))),
        }
    }

    /// The place of the table itself.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The place of a key that was not taken yet, else of the table.
    pub(super) fn place_of(&self, key: &str) -> Place {
        self.left.get(key).map_or(&self.place, |node| &node.place).clone()
    }

    /// Whether a key is there and was not taken yet.
    pub(super) fn has(&self, key: &str) -> bool {
        self.left.contains_key(key)
    }

    /// Takes a key as it was written.
    pub(super) fn node(&mut self, key: &str) -> Option<Node> {
        self.left.remove(key)
    }

    /// Takes a setting.
    pub(super) fn get<T: FromNode>(&mut self, key: &str) -> Result<Option<T>, Problem> {
        let Some(node) = self.node(key) else {
            return Ok(None);
        };
        T::from_node(node).map(Some).map_err(|problem| problem.in_key(key))
    }

    /// Takes a setting that has a default.
    pub(super) fn or<T: FromNode>(&mut self, key: &str, default: T) -> Result<T, Problem> {
        Ok(self.get(key)?.unwrap_or(default))
    }

    /// Takes a setting that goes by two names; both at once is a mistake.
    pub(super) fn either<T: FromNode>(&mut self, key: &str, synonym: &str) -> Result<Option<T>, Problem> {
        if self.has(key) && self.has(synonym) {
            let message = format!("`{synonym}` and `{key}` are the same setting");
            return Err(Problem::new(&self.place_of(synonym), message).hint(format!("keep `{key}`")));
        }
        let key = if self.has(key) { key } else { synonym };
        self.get(key)
    }

    /// Takes a key if a table stands there; other values are left to other readers.
    pub(super) fn table(&mut self, key: &str) -> Option<Node> {
        matches!(self.left.get(key), Some(Node { value: Value::Table(_), .. })).then(|| self.node(key)).flatten()
    }

    /// Ends the reading where nothing may be dropped silently.
    ///
    /// # Errors
    /// The first key that nobody took. `known` are the keys to suggest from.
    pub(super) fn finish(self, known: &[&str]) -> Result<(), Problem> {
        match self.unknown(known).into_iter().next() {
            None => Ok(()),
            Some(problem) => Err(Problem { message: problem.message.replace(" is ignored", ""), ..problem }),
        }
    }

    /// Ends the reading: a warning for each key that nobody took. `known` are the keys to suggest from.
    pub(super) fn unknown(self, known: &[&str]) -> Vec<Problem> {
        let full = |key: &str| if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        self.left
            .iter()
            .map(|(key, node)| {
                let problem = Problem::new(&node.place, format!("unknown key `{}` is ignored", full(key)));
                match similar(key, known.iter().copied()) {
                    Some(hint) => problem.hint(hint),
                    None => problem,
                }
            })
            .collect()
    }
}

impl Problem {
    /// The same mistake, seen from the key it is in; it keeps its own, narrower place.
    pub(super) fn in_key(self, key: &str) -> Self {
        Self { message: format!("`{key}`: {}", self.message), ..self }
    }
}

fn invalid_type(value: &Value, expected: &str) -> String {
    format!("invalid type: {}, expected {expected}", value.kind())
}

/// A type that a setting can have.
pub(super) trait FromNode: Sized {
    fn from_node(node: Node) -> Result<Self, Problem>;
}

impl FromNode for String {
    fn from_node(node: Node) -> Result<Self, Problem> {
        match node.value {
            Value::Text(text) if text.contains('\0') => {
                Err(Problem::new(&node.place, "a NUL character cannot be passed on"))
            }
            Value::Text(text) => Ok(text),
            other => {
                let problem = Problem::new(&node.place, invalid_type(&other, "a string"));
                match node.place {
                    Place::Override { .. } => {
                        Err(problem.hint("write `KEY='\"VALUE\"'` for a text that looks like more"))
                    }
                    _ => Err(problem),
                }
            }
        }
    }
}

impl FromNode for Secret {
    fn from_node(node: Node) -> Result<Self, Problem> {
        String::from_node(node).map(Secret::new)
    }
}

impl FromNode for PathBuf {
    fn from_node(node: Node) -> Result<Self, Problem> {
        String::from_node(node).map(PathBuf::from)
    }
}

impl FromNode for bool {
    fn from_node(node: Node) -> Result<Self, Problem> {
        match node.value {
            Value::Bool(flag) => Ok(flag),
            other => Err(Problem::new(&node.place, invalid_type(&other, "a boolean"))),
        }
    }
}

/// A count: never zero, never negative.
impl FromNode for usize {
    fn from_node(node: Node) -> Result<Self, Problem> {
        match node.value {
            Value::Integer(number) => match usize::try_from(number) {
                Ok(count) if count > 0 => Ok(count),
                _ => Err(Problem::new(&node.place, format!("invalid value: {number}, expected a number above zero"))),
            },
            other => Err(Problem::new(&node.place, invalid_type(&other, "an integer"))),
        }
    }
}

/// A time in seconds, with or without a fraction.
impl FromNode for Duration {
    fn from_node(node: Node) -> Result<Self, Problem> {
        let seconds = match node.value {
            #[expect(clippy::cast_precision_loss, reason = "beyond 2^53 seconds nobody counts single ones")]
            Value::Integer(number) => number as f64,
            Value::Float(number) => number,
            other => return Err(Problem::new(&node.place, invalid_type(&other, "a number of seconds"))),
        };
        Self::try_from_secs_f64(seconds)
            .map_err(|error| Problem::new(&node.place, format!("invalid number of seconds: {error}")))
    }
}

/// A time in whole milliseconds.
pub(super) struct Millis(pub(super) Duration);

impl FromNode for Millis {
    fn from_node(node: Node) -> Result<Self, Problem> {
        match node.value {
            Value::Integer(number) => match u64::try_from(number) {
                Ok(millis) => Ok(Self(Duration::from_millis(millis))),
                Err(_) => Err(Problem::new(&node.place, "invalid number of milliseconds: it is negative")),
            },
            other => Err(Problem::new(&node.place, invalid_type(&other, "a number of milliseconds"))),
        }
    }
}

/// One text, or a list of them.
pub(super) struct Many(pub(super) Vec<String>);

impl FromNode for Many {
    fn from_node(node: Node) -> Result<Self, Problem> {
        match node.value {
            Value::Text(_) => String::from_node(node).map(|text| Self(vec![text])),
            Value::Array(_) => Vec::from_node(node).map(Self),
            other => Err(Problem::new(&node.place, invalid_type(&other, "a string or an array of strings"))),
        }
    }
}

impl<T: FromNode> FromNode for Vec<T> {
    fn from_node(node: Node) -> Result<Self, Problem> {
        match node.value {
            Value::Array(items) => items.into_iter().map(T::from_node).collect(),
            other => Err(Problem::new(&node.place, invalid_type(&other, "an array"))),
        }
    }
}

impl<T: FromNode> FromNode for BTreeMap<String, T> {
    fn from_node(node: Node) -> Result<Self, Problem> {
        match node.value {
            Value::Table(table) => table.into_iter().map(|(key, node)| Ok((key, T::from_node(node)?))).collect(),
            other => Err(Problem::new(&node.place, invalid_type(&other, "a table"))),
        }
    }
}

/// A setting that is one of a few words.
trait Word: Copy + 'static {
    const WORDS: &'static [(&'static str, Self)];
}

fn word<T: Word>(node: Node) -> Result<T, Problem> {
    let place = node.place.clone();
    let text = String::from_node(node)?;
    if let Some((_, value)) = T::WORDS.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let words: Vec<_> = T::WORDS.iter().map(|(word, _)| format!("`{word}`")).collect();
    Err(Problem::new(&place, format!("unknown variant `{text}`, expected one of {}", words.join(", "))))
}

macro_rules! words {
    ($($type:ident { $($word:literal => $value:ident),* })*) => {$(
        impl Word for $type {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$value)),*];
        }
        impl FromNode for $type {
            fn from_node(node: Node) -> Result<Self, Problem> {
                word(node)
            }
        }
        impl $type {
            /// The word that stands for this in the files.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$value => $word),*
                }
            }
        }
    )*};
}

/// The transport a server says it has, where the keys beside it would not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Stdio,
    StreamableHttp,
    Sse,
}

impl Word for Kind {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("stdio", Self::Stdio),
        ("http", Self::StreamableHttp),
        ("streamable_http", Self::StreamableHttp),
        ("streamable-http", Self::StreamableHttp),
        ("sse", Self::Sse),
    ];
}

impl FromNode for Kind {
    fn from_node(node: Node) -> Result<Self, Problem> {
        word(node)
    }
}

words! {
    ClientRoots { "ignore" => Ignore, "narrow" => Narrow, "accept" => Accept }
    Startup { "lazy" => Lazy, "eager" => Eager }
    ApprovalMode {
        "auto" => Auto, "prompt" => Prompt, "writes" => Writes, "approve" => Approve, "deny" => Deny
    }
    Detect { "all" => All, "known" => Known, "off" => Off }
    AuditArgs { "masked" => Masked, "digest" => Digest, "none" => None }
    AuthModel {
        "none" => None, "user_oauth" => UserOauth, "service_token" => ServiceToken,
        "scoped_credential" => ScopedCredential
    }
    Registration { "auto" => Auto, "cimd" => Cimd, "dcr" => Dcr }
    Protocol { "auto" => Auto, "legacy" => Legacy, "modern" => Modern }
    Prefix { "always" => Always, "conditional" => Conditional, "never" => Never }
    ToolNames { "plain" => Plain, "mcp" => Mcp, "namespace" => Namespace }
    CodexApprovals { "ask" => Ask, "refuse" => Refuse }
    CodexSandbox {
        "read-only" => ReadOnly, "workspace-write" => WorkspaceWrite, "danger-full-access" => DangerFullAccess
    }
    Profile { "gateway" => Gateway, "workspace" => Workspace, "bridge" => Bridge, "all" => All }
}

impl Word for Trust {
    const WORDS: &'static [(&'static str, Self)] = &[("trusted", Self::Trusted), ("untrusted", Self::Untrusted)];
}

impl FromNode for Trust {
    fn from_node(node: Node) -> Result<Self, Problem> {
        match node.value {
            Value::Bool(true) => Ok(Self::Trusted),
            Value::Bool(false) => Ok(Self::Untrusted),
            _ => word(node),
        }
    }
}

impl Trust {
    /// The word that stands for this in the files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Untrusted => "untrusted",
        }
    }
}
