//! `x-mcp-header`: arguments of a tool that its server wants to see as headers.

use http::{HeaderName, HeaderValue};
use thiserror::Error;

/// What an annotated argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// Text.
    String,
    /// A whole number, compared numerically.
    Integer,
    /// `true` or `false`.
    Boolean,
}

/// One annotated argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamHeader {
    /// The whole header name, `mcp-param-` included.
    pub name: HeaderName,
    /// The keys from `arguments` to the value.
    pub path: Vec<String>,
    /// What the schema says the value is.
    pub kind: ParamKind,
}

/// An annotation that makes a tool unusable over HTTP: drop the tool, or strip the annotation on re-export.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidAnnotation {
    /// The schema cannot be read.
    #[error("the input schema cannot be read")]
    Unreadable,
    /// The annotation's value is no header token.
    #[error("`x-mcp-header` at `{0}` is not a non-empty header token")]
    NotAToken(String),
    /// The annotated property is no string, integer or boolean.
    #[error("`x-mcp-header` at `{0}` is on something that is not a string, an integer or a boolean")]
    NotPrimitive(String),
    /// The annotated schema is not reached through `properties` alone.
    #[error("`x-mcp-header` at `{0}` cannot be reached through `properties` alone")]
    Unreachable(String),
    /// Two annotations give the same header, case aside.
    #[error("`x-mcp-header` gives `{0}` twice")]
    Repeated(String),
}

/// The headers an input schema asks for.
///
/// # Errors
/// [`InvalidAnnotation`], the first one found.
pub fn params_of(input_schema_raw: &str) -> Result<Vec<ParamHeader>, InvalidAnnotation> {
    unimplemented!()
}

/// The headers for one call's raw `arguments`. Absent and null arguments give none.
pub fn values(params: &[ParamHeader], arguments_raw: &str) -> Vec<(HeaderName, HeaderValue)> {
    unimplemented!()
}
