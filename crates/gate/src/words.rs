//! The nouns everybody uses. One word, one thing.

use crate::approval::{Claim, Continuation};
use bytes::Bytes;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use uuid::Uuid;

/// The configured name of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ServerName(Arc<str>);

impl ServerName {
    /// The name as written in the configuration.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ServerName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one attempt and its end in the ledger (UUIDv7, from the caller's id door).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct CallId(pub Uuid);

/// Who acts. There is always one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Principal {
    /// The user who started this process, over its own standard input or the command line.
    Local,
    /// Whoever holds the gate's bearer token.
    Token,
    /// Anybody who can reach a loopback port that was opened with `--no-auth`.
    Unauthenticated,
}

impl Principal {
    /// The word the ledger has for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Token => "token",
            Self::Unauthenticated => "unauthenticated",
        }
    }
}

/// What a caller said about itself and its conversation. Recorded, never decided on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// The client's own name.
    pub client: Option<Arc<str>>,
    /// The agent's session.
    pub session: Option<Box<str>>,
    /// The agent's thread.
    pub thread: Option<Box<str>>,
    /// The thread that started this thread.
    pub parent_thread: Option<Box<str>>,
    /// The turn within the thread.
    pub turn: Option<Box<str>>,
}

/// What a caller sees: everything, or one server under its bare names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Face {
    /// All servers as one.
    All,
    /// One server alone.
    Only(ServerName),
}

/// What a server can list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    /// Something to call.
    Tool,
    /// A prepared conversation.
    Prompt,
    /// Something to read, by URI.
    Resource,
    /// A pattern of URIs to read.
    Template,
}

/// What a completion is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// An argument of the prompt of this name.
    Prompt(Box<str>),
    /// A variable of the resource template (or resource) of this URI.
    Resource(Box<str>),
}

/// What a call is aimed at, by the names its caller used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Run the tool of this exposed name.
    Tool(Box<str>),
    /// Get the prompt of this exposed name.
    Prompt(Box<str>),
    /// Read the resource at this URI.
    Resource(Box<str>),
    /// Be told when the resource at this URI changes.
    Subscribe(Box<str>),
    /// No longer be told.
    Unsubscribe(Box<str>),
    /// Complete an argument.
    Completion(Reference),
}

impl Target {
    /// The name or URI the caller used.
    pub fn asked(&self) -> &str {
        match self {
            Self::Tool(name) | Self::Prompt(name) => name,
            Self::Resource(uri) | Self::Subscribe(uri) | Self::Unsubscribe(uri) => uri,
            Self::Completion(Reference::Prompt(name) | Reference::Resource(name)) => name,
        }
    }

    /// What kind of item it names.
    pub fn kind(&self) -> ItemKind {
        match self {
            Self::Tool(_) => ItemKind::Tool,
            Self::Prompt(_) | Self::Completion(Reference::Prompt(_)) => ItemKind::Prompt,
            Self::Resource(_) | Self::Subscribe(_) | Self::Unsubscribe(_) => ItemKind::Resource,
            Self::Completion(Reference::Resource(_)) => ItemKind::Template,
        }
    }

    /// The word the ledger has for this kind of call.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Tool(_) => "tool",
            Self::Prompt(_) => "prompt",
            Self::Resource(_) => "resource",
            Self::Subscribe(_) => "subscribe",
            Self::Unsubscribe(_) => "unsubscribe",
            Self::Completion(_) => "completion",
        }
    }
}

/// A half-open range of bytes of a [`Wire`]; the empty range at 0 means "absent".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Place {
    /// Whether the part is absent.
    pub fn is_none(self) -> bool {
        self.start == self.end
    }

    /// As a range that slices.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Where the parts of a message lie that some hop owns or the gate reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Parts {
    /// The message's id.
    pub id: Place,
    /// `params`, `result` or `error`.
    pub body: Place,
    /// The one id-like value of the body: a name, a URI, a progress token.
    pub subject: Place,
    /// The arguments of a call.
    pub arguments: Place,
    /// The body's `_meta` object.
    pub meta: Place,
}

/// A whole message as it was received, valid JSON, and where its parts lie.
#[derive(Clone)]
pub struct Wire {
    /// The bytes as received.
    pub json: Bytes,
    /// Where the parts lie.
    pub parts: Parts,
}

impl Wire {
    /// The bytes of one part, empty if it is absent.
    pub fn part(&self, place: Place) -> &[u8] {
        &self.json[place.range()]
    }
}

impl Wire {
    /// The same message with other arguments; they must be there.
    pub(crate) fn with_arguments(&self, arguments: &[u8]) -> Self {
        let at = self.parts.arguments;
        let json = [&self.json[..at.start as usize], arguments, &self.json[at.end as usize..]].concat();
        let grown = arguments.len() as i64 - i64::from(at.end - at.start);
        let moved = |edge: u32| if edge >= at.end { (i64::from(edge) + grown) as u32 } else { edge };
        let mut parts = self.parts;
        for part in [&mut parts.id, &mut parts.body, &mut parts.subject, &mut parts.arguments, &mut parts.meta] {
            if !part.is_none() {
                *part = Place { start: moved(part.start), end: moved(part.end) };
            }
        }
        Self { json: json.into(), parts }
    }
}

/// What could be a secret is never printed: size alone.
impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({} bytes)", self.json.len())
    }
}

/// How a server may ask the caller something in the middle of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialogue {
    /// Not at all.
    #[default]
    None,
    /// By a request on the caller's own stream (the era with a handshake).
    Live,
    /// By an answer that asks, and the same call again (the stateless era).
    Rounds,
}

/// What a caller can be asked, and how.
#[derive(Debug, Clone, Default)]
pub struct Abilities {
    /// The way of asking.
    pub dialogue: Dialogue,
    /// The caller's capabilities object as it sent it.
    pub capabilities: Option<Bytes>,
    /// Whether its user can be shown a question of ours, in the way that `dialogue` says.
    pub approves: bool,
    /// Whether it knows links to resources among what a tool answers.
    pub links: bool,
    /// How often it has said in this conversation that its roots changed.
    pub roots_changed: u32,
}

/// One request on its way through the gate.
pub struct Call {
    /// Names the attempt in the ledger.
    pub id: CallId,
    /// Who acts.
    pub by: Principal,
    /// What the caller sees.
    pub face: Face,
    /// What is called, by the caller's name for it.
    pub target: Target,
    /// The whole request as received.
    pub wire: Wire,
    /// What the caller said about itself.
    pub trace: Trace,
    /// What the caller can be asked.
    pub abilities: Abilities,
    /// The conversation it belongs to, as far as one can be told: what a person's "for this session" means.
    pub conversation: Option<Arc<str>>,
    /// The approval that a repeated call brings along.
    pub claim: Option<Claim>,
    /// Where progress, log lines and questions of this call go.
    pub listener: Option<Arc<dyn crate::ports::Listener>>,
}

/// Whether an answer carries a result or a JSON-RPC error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyKind {
    /// A result object.
    Result,
    /// An error object, as the upstream sent it.
    Error,
}

/// A masked answer, fit to be sent.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The whole message; id and result or error are its parts.
    pub wire: Wire,
    /// What it carries.
    pub kind: ReplyKind,
    /// The tool ran and said `isError`.
    pub tool_error: bool,
    /// What was masked in it.
    pub masked: crate::mask::Counts,
    /// What was called; nothing while the reply is on no call's way.
    pub item: Option<Arc<crate::catalog::Item>>,
    /// What the call may be continued as if this reply asks something, where it runs under an approval.
    pub continuation: Option<Continuation>,
}
