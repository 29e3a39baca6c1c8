//! The header rules of Streamable HTTP (2026-07-28): names, value encoding, and headers that mirror the body.
//!
//! No policy is decided on a header; whether a header must be there at all is the caller's rule by revision.

mod param;
mod value;

pub use param::{InvalidAnnotation, ParamHeader, ParamKind, params_of, values};
pub use value::{InvalidValue, decode_value, encode_value};

use http::{HeaderMap, HeaderName, HeaderValue};
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

/// Holds the headers of a modern request against its body. `Mcp-Param-*` headers that the tool does not ask for
/// are not looked at.
///
/// # Errors
/// The first [`Mismatch`].
pub fn check(headers: &HeaderMap, body: &Mirrored<'_>) -> Result<(), Mismatch> {
    check_plain(headers, PROTOCOL_VERSION, body.version)?;
    check_plain(headers, METHOD, body.method)?;
    if let Some(name) = body.name {
        let value = only(headers, &NAME)?.ok_or(Mismatch::Missing(NAME))?;
        let said = decode_value(value).map_err(|_| Mismatch::Invalid(NAME))?;
        if said != name {
            return Err(Mismatch::Differs(NAME));
        }
    } else if headers.contains_key(NAME) {
        return Err(Mismatch::Unexpected(NAME));
    }
    body.params.iter().try_for_each(|param| check_param(headers, param, body.arguments.unwrap_or("{}")))
}

fn check_plain(headers: &HeaderMap, name: HeaderName, text: &str) -> Result<(), Mismatch> {
    match only(headers, &name)? {
        None => Err(Mismatch::Missing(name)),
        Some(value) if value.as_bytes().trim_ascii() == text.as_bytes() => Ok(()),
        Some(_) => Err(Mismatch::Differs(name)),
    }
}

fn check_param(headers: &HeaderMap, param: &ParamHeader, arguments: &str) -> Result<(), Mismatch> {
    let name = || param.name.clone();
    match (only(headers, &param.name)?, param::argument(param, arguments)) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(Mismatch::Missing(name())),
        (Some(_), None) => Err(Mismatch::Unexpected(name())),
        (Some(value), Some(text)) => match param::agrees(param, value, &text) {
            None => Err(Mismatch::Invalid(name())),
            Some(false) => Err(Mismatch::Differs(name())),
            Some(true) => Ok(()),
        },
    }
}

/// The value of a header that may be there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Mismatch> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Mismatch::Repeated(name.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARGUMENTS: &str = r#"{"region":"世界","limit":42}"#;

    fn headers(text: &str) -> HeaderMap {
        let pair = |line: &str| {
            let (name, value) = line.split_once(':').expect("a header line");
            (name.parse().expect("a name"), HeaderValue::from_bytes(value.as_bytes()).expect("a value"))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in text.lines().map(pair) {
            let name: HeaderName = name;
            headers.append(name, value);
        }
        headers
    }

    const GOOD: &str = "MCP-Protocol-Version: 2026-07-28\nMcp-Method:tools/call\nMcp-Name: t \n\
        Mcp-Param-Region:=?base64?5LiW55WM?=\nMcp-Param-Limit:42.0\nMcp-Param-Other:any";

    /// Checks `GOOD` after the lines that start with `without` are gone and `with` was added.
    fn check_headers(without: &str, with: &str, arguments: &str, want: Result<(), Mismatch>) {
        let schema = r#"{"properties":{"region":{"type":"string","x-mcp-header":"Region"},
            "limit":{"type":"integer","x-mcp-header":"Limit"}}}"#;
        let params = params_of(schema).expect("valid");
        let kept = GOOD.lines().filter(|line| without.is_empty() || !line.starts_with(without));
        let text: Vec<_> = kept.chain(with.lines()).collect();
        let body = Mirrored {
            version: "2026-07-28",
            method: "tools/call",
            name: Some("t"),
            params: &params,
            arguments: Some(arguments),
        };
        assert_eq!(check(&headers(&text.join("\n")), &body), want, "-{without} +{with}");
    }

    fn param(name: &'static str) -> HeaderName {
        HeaderName::from_static(name)
    }

    #[test]
    fn headers_that_mirror_the_body_pass() {
        check_headers("", "", ARGUMENTS, Ok(()));
        check_headers("Mcp-Name", "mcp-name: =?base64?dA==?=", ARGUMENTS, Ok(()));
        check_headers("Mcp-Param-Limit", "Mcp-Param-Limit: 42", ARGUMENTS, Ok(()));
        check_headers("Mcp-Param-R", "", r#"{"region":null,"limit":42}"#, Ok(()));
    }

    #[test]
    fn missing_headers_are_named() {
        check_headers("MCP-Proto", "", ARGUMENTS, Err(Mismatch::Missing(PROTOCOL_VERSION)));
        check_headers("Mcp-Method", "", ARGUMENTS, Err(Mismatch::Missing(METHOD)));
        check_headers("Mcp-Name", "", ARGUMENTS, Err(Mismatch::Missing(NAME)));
        check_headers("Mcp-Param-R", "", ARGUMENTS, Err(Mismatch::Missing(param("mcp-param-region"))));
    }

    #[test]
    fn differing_headers_are_named() {
        let differs = |name| Err(Mismatch::Differs(name));
        check_headers("Mcp-Method", "Mcp-Method: tools/list", ARGUMENTS, differs(METHOD));
        check_headers("Mcp-Method", "Mcp-Method: Tools/call", ARGUMENTS, differs(METHOD));
        check_headers("Mcp-Name", "Mcp-Name: T", ARGUMENTS, differs(NAME));
        check_headers("Mcp-Name", "Mcp-Name: =?base64?eA==?=", ARGUMENTS, differs(NAME));
        check_headers("Mcp-Param-L", "Mcp-Param-Limit: 43", ARGUMENTS, differs(param("mcp-param-limit")));
        check_headers("Mcp-Param-L", "Mcp-Param-Limit: 42x", ARGUMENTS, differs(param("mcp-param-limit")));
        check_headers("MCP-Proto", "MCP-Protocol-Version: 2025-11-25", ARGUMENTS, differs(PROTOCOL_VERSION));
    }

    #[test]
    fn repeated_broken_and_surplus_headers_are_named() {
        check_headers("", "Mcp-Name: t", ARGUMENTS, Err(Mismatch::Repeated(NAME)));
        check_headers("", "Mcp-Method: tools/call", ARGUMENTS, Err(Mismatch::Repeated(METHOD)));
        check_headers("Mcp-Name", "Mcp-Name: =?base64?%?=", ARGUMENTS, Err(Mismatch::Invalid(NAME)));
        let region = param("mcp-param-region");
        check_headers(
            "Mcp-Param-R",
            "Mcp-Param-Region: =?base64?%?=",
            ARGUMENTS,
            Err(Mismatch::Invalid(region.clone())),
        );
        check_headers("", "", r#"{"limit":42}"#, Err(Mismatch::Unexpected(region)));
    }

    #[test]
    fn a_name_without_a_named_thing_is_a_mismatch() {
        let body = Mirrored { version: "2026-07-28", method: "tools/list", name: None, params: &[], arguments: None };
        let text = "MCP-Protocol-Version: 2026-07-28\nMcp-Method: tools/list";
        assert_eq!(check(&headers(text), &body), Ok(()));
        assert_eq!(check(&headers(&format!("{text}\nMcp-Name: t")), &body), Err(Mismatch::Unexpected(NAME)));
    }
}
