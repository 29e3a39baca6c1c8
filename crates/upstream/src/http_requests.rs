//! The headers a request has over HTTP: which method, which name, which arguments (stateless era).

use crate::probe::NO_TOOL;
use crate::session::{Carrier, Session};
use gate::{ItemKind, Permit, Target};
use http::HeaderValue;
use mcp::headers::{InvalidAnnotation, ParamHeader, encode_value, params_of, values};
use mcp::revision::Revision;
use mcp::streamable_http::HopHeaders;
use mcp::view;

/// The headers that a tool's schema asks for.
pub(crate) fn annotations(definition: &[u8]) -> Result<Vec<ParamHeader>, InvalidAnnotation> {
    // Nearly no tool has any, and reading a schema costs more than looking for the word.
    let marked = memchr::memmem::find(definition, b"x-mcp-header").is_some();
    let text = if marked { std::str::from_utf8(definition).unwrap_or("{}") } else { "{}" };
    match view::member(text, "inputSchema") {
        Some(schema) => params_of(schema),
        None => Ok(Vec::new()),
    }
}

/// The headers of somebody's call of what is defined so.
pub(crate) fn for_call(session: &Session, permit: &Permit, definition: &[u8]) -> HopHeaders {
    let (method, name) = match permit.target() {
        Target::Tool(_) => ("tools/call", Some(&*permit.item().raw)),
        Target::Prompt(_) => ("prompts/get", Some(&*permit.item().raw)),
        Target::Resource(uri) => ("resources/read", Some(&**uri)),
        Target::Completion(_) => ("completion/complete", None),
        Target::Subscribe(_) => ("resources/subscribe", None),
        Target::Unsubscribe(_) => ("resources/unsubscribe", None),
    };
    let mut hop = for_own(session, method);
    if hop.method.is_none() {
        return hop;
    }
    hop.name = name.map(encode_value);
    if permit.item().kind == ItemKind::Tool {
        let arguments = permit.wire().part(permit.wire().parts.arguments);
        let arguments = std::str::from_utf8(arguments).ok().filter(|raw| !raw.is_empty()).unwrap_or("{}");
        // A tool with an invalid annotation was never listed.
        let annotated = annotations(definition).unwrap_or_default();
        hop.params = values(&annotated, arguments);
    }
    hop
}

/// The headers of a request of our own.
pub(crate) fn for_own(session: &Session, method: &str) -> HopHeaders {
    let mut hop = match &session.carrier {
        Carrier::Http(link) => link.headers(session),
        Carrier::Duplex(_) => HopHeaders::default(),
    };
    if method == "server/discover" && session.peer().is_none() {
        hop.revision = Some(Revision::MODERN);
    }
    if hop.revision == Some(Revision::MODERN) {
        hop.method = HeaderValue::try_from(method).ok();
        // The only tool we ask for by ourselves is none.
        hop.name = (method == "tools/call").then(|| encode_value(NO_TOOL));
    }
    hop
}
