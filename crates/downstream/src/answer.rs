//! Answers made here: results and errors that no server sent.

use bytes::Bytes;
use mcp::revision::code;
use mcp::{Era, view};

/// One message that answers a request.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The whole message.
    pub json: Bytes,
    /// The JSON-RPC error code, if it is an error.
    pub code: Option<i64>,
    /// Refused for its form, before it was looked at what it asks for.
    pub malformed: bool,
}

impl Answer {
    /// A finished message that carries a result.
    pub fn result(json: impl Into<Bytes>) -> Self {
        Self { json: json.into(), code: None, malformed: false }
    }

    /// The answer to request `id` with this raw result object.
    pub fn of_result(id: &[u8], result: &str) -> Self {
        Self::result([br#"{"jsonrpc":"2.0","id":"#, id, br#","result":"#, result.as_bytes(), b"}"].concat())
    }

    /// The answer to request `id` of an empty result.
    pub fn empty(id: &[u8], era: Era) -> Self {
        Self::of_result(id, if era == Era::Modern { r#"{"resultType":"complete"}"# } else { "{}" })
    }

    /// An error for request `id`. `data` is raw JSON.
    pub fn error(id: &[u8], code: i64, message: &str, data: Option<&str>) -> Self {
        let mut json = Vec::with_capacity(96 + id.len() + message.len());
        json.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
        json.extend_from_slice(id);
        json.extend_from_slice(br#","error":{"code":"#);
        json.extend_from_slice(itoa::Buffer::new().format(code).as_bytes());
        json.extend_from_slice(br#","message":"#);
        json.extend_from_slice(view::quoted(message).as_bytes());
        if let Some(data) = data {
            json.extend_from_slice(br#","data":"#);
            json.extend_from_slice(data.as_bytes());
        }
        json.extend_from_slice(b"}}");
        Self { json: json.into(), code: Some(code), malformed: false }
    }

    /// The same, refused for its form.
    pub fn malformed(id: &[u8], code: i64, message: &str) -> Self {
        Self { malformed: true, ..Self::error(id, code, message, None) }
    }

    /// What is answered to bytes that are no frame; nothing if they are an answer themselves.
    pub fn to_bad_frame(bad: &mcp::BadFrame) -> Option<Self> {
        let id = bad.id.as_deref().unwrap_or("null");
        (!bad.answers).then(|| Self::malformed(id.as_bytes(), bad.code, &bad.reason))
    }

    /// There is no such method.
    pub fn no_method(id: &[u8], method: &str) -> Self {
        Self::error(id, code::METHOD_NOT_FOUND, &format!("method not found: {method}"), None)
    }

    /// The HTTP status of this answer in the stateless era.
    pub fn modern_status(&self) -> u16 {
        match self.code {
            Some(code::METHOD_NOT_FOUND) => 404,
            Some(code::HEADER_MISMATCH | code::MISSING_CAPABILITY | code::UNSUPPORTED_VERSION) => 400,
            Some(code::PARSE | code::INVALID_REQUEST) => 400,
            Some(_) if self.malformed => 400,
            _ => 200,
        }
    }
}
