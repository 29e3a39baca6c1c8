//! The header rules of Streamable HTTP (2026-07-28): names, value encoding, and headers that mirror the body.
//!
//! No policy is decided on a header; whether a header must be there at all is the caller's rule by revision.

mod param;
mod value;

pub use param::{InvalidAnnotation, ParamHeader, ParamKind, params_of, values};
pub use value::{InvalidValue, decode_value, encode_value};

use http::{HeaderMap, HeaderName};
use thiserror::Error;

/// The revision a request speaks.
pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The session of a legacy conversation.
pub const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// The body's method.
pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// The tool, prompt, resource or task the body names.
pub const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// Where a legacy stream is resumed.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// What the name of a header that mirrors an argument starts with.
pub const PARAM_PREFIX: &str = "mcp-param-";

/// What the body of a modern request says, to be held against its headers.
#[derive(Debug, Clone, Copy)]
pub struct Mirrored<'a> {
    /// `_meta`'s protocol version.
    pub version: &'a str,
    /// The method.
    pub method: &'a str,
    /// The tool's or prompt's name, the resource's URI or the task's id, for methods that have one.
    pub name: Option<&'a str>,
    /// The headers the called tool asks for; empty for other methods.
    pub params: &'a [ParamHeader],
    /// The raw `arguments`, if there are any.
    pub arguments: Option<&'a str>,
}

/// A header that does not agree with the body: answer 400 with [`crate::revision::code::HEADER_MISMATCH`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Mismatch {
    /// A required header is missing.
    #[error("the header `{0}` is missing")]
    Missing(HeaderName),
    /// A header is there more than once.
    #[error("the header `{0}` is repeated")]
    Repeated(HeaderName),
    /// A value that cannot be decoded.
    #[error("the header `{0}` has a value that cannot be decoded")]
    Invalid(HeaderName),
    /// A value that is not the body's.
    #[error("the header `{0}` does not match the body")]
    Differs(HeaderName),
    /// A header for something that the body does not have.
    #[error("the header `{0}` has no counterpart in the body")]
    Unexpected(HeaderName),
}

/// Holds the headers of a modern request against its body.
///
/// # Errors
/// The first [`Mismatch`].
pub fn check(headers: &HeaderMap, body: &Mirrored<'_>) -> Result<(), Mismatch> {
    unimplemented!()
}
