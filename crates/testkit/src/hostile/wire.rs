//! The JSON-RPC and MCP envelope, borrowed where it is read and spliced where it is written.

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

/// The newest revision with a handshake.
pub(super) const LEGACY: &str = "2025-11-25";
/// The revision without one.
pub(super) const MODERN: &str = "2026-07-28";
/// What this server answers `initialize` with when asked for it.
pub(super) const LEGACY_VERSIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", LEGACY];

/// Any message, undecided what it is.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub id: Option<&'a RawValue>,
    pub method: Option<String>,
    #[serde(borrow)]
    pub params: Option<&'a RawValue>,
}

/// The members of `params` that any method of ours reads.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Params<'a> {
    pub name: String,
    pub uri: String,
    pub cursor: Option<String>,
    pub protocol_version: String,
    pub level: String,
    #[serde(borrow)]
    pub arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    pub argument: Option<&'a RawValue>,
    #[serde(borrow)]
    pub request_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub input_responses: Option<&'a RawValue>,
    #[serde(borrow)]
    pub notifications: Option<&'a RawValue>,
    pub request_state: Option<String>,
    #[serde(borrow, rename = "_meta")]
    pub meta: Meta<'a>,
}

/// The members of `_meta` that make a request modern, and those that ask for notifications.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Meta<'a> {
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    pub version: Option<String>,
    #[serde(borrow, rename = "io.modelcontextprotocol/clientCapabilities")]
    pub capabilities: Option<&'a RawValue>,
    #[serde(rename = "io.modelcontextprotocol/logLevel")]
    pub log_level: Option<String>,
    #[serde(borrow, rename = "progressToken")]
    pub progress_token: Option<&'a RawValue>,
}

impl Meta<'_> {
    pub fn is_modern(&self) -> bool {
        self.version.is_some() || self.capabilities.is_some()
    }
}

/// One request, read.
pub(super) struct Request<'a> {
    /// The id as the client wrote it.
    pub id: &'a str,
    pub method: &'a str,
    pub params: Params<'a>,
    /// Served by the rules of 2026-07-28.
    pub modern: bool,
}

/// How a request ends.
#[derive(Debug)]
pub(super) enum Answer {
    /// The JSON text of the result, as it goes out.
    Result(String),
    Error(Refusal),
    /// The request is never answered.
    Silence,
}

/// A JSON-RPC error.
#[derive(Debug)]
pub(super) struct Refusal {
    code: i32,
    message: String,
    data: Option<String>,
    /// The status of the HTTP response that carries it to a modern client.
    pub status: u16,
}

impl Refusal {
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        let status = match code {
            -32601 => 404,
            -32700 | -32600 | -32022..=-32020 => 400,
            _ => 200,
        };
        Self { code, message: message.into(), data: None, status }
    }

    pub fn with(mut self, data: &serde_json::Value) -> Self {
        self.data = Some(data.to_string());
        self
    }

    pub fn params(message: impl Into<String>) -> Self {
        Self::new(-32602, message)
    }

    /// A request that does not describe itself as a modern one must.
    pub fn metadata(message: impl Into<String>) -> Self {
        Self { status: 400, ..Self::params(message) }
    }

    pub fn no_method(method: &str) -> Self {
        Self::new(-32601, format!("no method {method}"))
    }

    fn text(&self) -> String {
        let message = json!(self.message);
        let data = self.data.as_ref().map(|data| format!(r#","data":{data}"#)).unwrap_or_default();
        format!(r#"{{"code":{},"message":{message}{data}}}"#, self.code)
    }
}

impl Answer {
    /// The HTTP status for a modern client.
    pub fn status(&self) -> u16 {
        match self {
            Self::Error(refusal) => refusal.status,
            Self::Result(_) | Self::Silence => 200,
        }
    }

    /// The whole response; nothing for silence. `id` is JSON text.
    pub fn message(&self, id: &str) -> Option<String> {
        match self {
            Self::Result(result) => Some(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)),
            Self::Error(refusal) => Some(format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{}}}"#, refusal.text())),
            Self::Silence => None,
        }
    }
}

impl Request<'_> {
    /// A result with the given members and, for a modern client, what every result must have.
    pub fn complete(&self, members: &str) -> Answer {
        let hint = if self.modern { r#","resultType":"complete""# } else { "" };
        Answer::Result(format!("{{{members}{hint}}}").replacen("{,", "{", 1))
    }

    /// The same for the methods whose results may be cached.
    pub fn cacheable(&self, members: &str) -> Answer {
        let hint = if self.modern { r#","resultType":"complete","ttlMs":0,"cacheScope":"private""# } else { "" };
        Answer::Result(format!("{{{members}{hint}}}"))
    }

    /// A tool's answer of one text block. `text` is a JSON string with its quotes.
    pub fn says_raw(&self, text: &str) -> Answer {
        self.complete(&format!(r#""content":[{{"type":"text","text":{text}}}]"#))
    }

    pub fn says(&self, text: &str) -> Answer {
        self.says_raw(&json!(text).to_string())
    }

    /// A tool's answer that it failed.
    pub fn fails(&self, text: &str) -> Answer {
        let text = json!(text);
        self.complete(&format!(r#""content":[{{"type":"text","text":{text}}}],"isError":true"#))
    }

    /// Whether the client declared this capability with the request.
    pub fn declares(&self, capability: &str) -> bool {
        let text = self.params.meta.capabilities.map_or("{}", RawValue::get);
        serde_json::from_str::<serde_json::Value>(text).is_ok_and(|all| all.get(capability).is_some())
    }
}

/// A notification with the given params, JSON text.
pub(super) fn notification(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#)
}
