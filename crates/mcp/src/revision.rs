//! Protocol revisions, the two eras they fall into, and the names they put on the wire.

use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// A dated revision of the Model Context Protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// 2024-11-05: HTTP+SSE, no Streamable HTTP.
    V2024_11_05,
    /// 2025-03-26: Streamable HTTP, JSON-RPC batches.
    V2025_03_26,
    /// 2025-06-18: no batches, `MCP-Protocol-Version` header, structured content.
    V2025_06_18,
    /// 2025-11-25: the newest revision with a handshake.
    V2025_11_25,
    /// 2026-07-28: stateless requests, `server/discover`, `input_required`.
    V2026_07_28,
}

/// Which lifecycle a revision has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Era {
    /// `initialize`, sessions, requests in both directions.
    Legacy,
    /// Every request describes itself.
    Modern,
}

/// A revision we do not know.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown protocol revision `{0}`")]
pub struct UnknownRevision(pub String);

impl Revision {
    /// All revisions, newest first.
    pub const ALL: [Revision; 5] =
        [Self::V2026_07_28, Self::V2025_11_25, Self::V2025_06_18, Self::V2025_03_26, Self::V2024_11_05];
    /// What a handshake is answered with when it asks for something we do not know.
    pub const NEWEST_LEGACY: Revision = Self::V2025_11_25;
    /// The stateless revision.
    pub const MODERN: Revision = Self::V2026_07_28;

    /// The date on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// The era this revision belongs to.
    pub fn era(self) -> Era {
        if self == Self::V2026_07_28 { Era::Modern } else { Era::Legacy }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Revision {
    type Err = UnknownRevision;
    fn from_str(text: &str) -> Result<Self, UnknownRevision> {
        Self::ALL.into_iter().find(|r| r.as_str() == text).ok_or_else(|| UnknownRevision(text.to_owned()))
    }
}

/// Keys of `_meta` that belong to one hop and are never forwarded (specification, "General fields").
pub mod meta {
    /// The revision a modern request speaks.
    pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
    /// Who sends a modern request.
    pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
    /// What the sender of a modern request can do.
    pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
    /// The log level a modern request asks for.
    pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
    /// Which listen stream a modern notification belongs to.
    pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
    /// Who answered, on modern results.
    pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
    /// Ties a legacy message to a legacy task.
    pub const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";
    /// The token progress notifications answer to.
    pub const PROGRESS_TOKEN: &str = "progressToken";

    /// Whether `key` of a request's `_meta` is owned by the hop it was sent on.
    pub fn is_hop_key(key: &str) -> bool {
        matches!(
            key,
            PROTOCOL_VERSION
                | CLIENT_INFO
                | CLIENT_CAPABILITIES
                | LOG_LEVEL
                | SUBSCRIPTION_ID
                | RELATED_TASK
                | PROGRESS_TOKEN
        )
    }
}

/// JSON-RPC and MCP error codes.
pub mod code {
    /// Not JSON.
    pub const PARSE: i64 = -32700;
    /// JSON, but no request we can read.
    pub const INVALID_REQUEST: i64 = -32600;
    /// No such method.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// Wrong parameters, an unknown tool or prompt, and since 2026-07-28 an unknown resource.
    pub const INVALID_PARAMS: i64 = -32602;
    /// Our own fault.
    pub const INTERNAL: i64 = -32603;
    /// An unknown resource, before 2026-07-28.
    pub const RESOURCE_NOT_FOUND: i64 = -32002;
    /// A header disagrees with the body (2026-07-28).
    pub const HEADER_MISMATCH: i64 = -32020;
    /// The client lacks a capability the request needs (2026-07-28).
    pub const MISSING_CAPABILITY: i64 = -32021;
    /// The revision asked for is not spoken here (2026-07-28).
    pub const UNSUPPORTED_VERSION: i64 = -32022;
}
