//! What a request is aimed at, and where in it. Whether there is such a thing is the gate's to say.

use crate::encode::Asked;
use gate::{Reference, Target};
use mcp::{Frame, Span, view};

/// What a request is aimed at, and where its name and arguments stand.
pub(crate) struct Aim {
    pub target: Target,
    pub subject: Span,
    pub arguments: Span,
}

/// What `frame` is aimed at.
///
/// # Errors
/// What is wrong with its parameters.
pub(crate) fn aim(frame: &Frame, asked: Asked) -> Result<Aim, String> {
    match asked {
        Asked::Tool => aim_at_name(frame, Target::Tool),
        Asked::Prompt => aim_at_name(frame, Target::Prompt),
        Asked::Read => aim_at_uri(frame, Target::Resource),
        Asked::Subscription => aim_at_uri(frame, Target::Subscribe),
        Asked::Completion => aim_at_reference(frame),
    }
}

fn aim_at_name(frame: &Frame, target: fn(Box<str>) -> Target) -> Result<Aim, String> {
    let name = frame.get_string("name").ok_or("`params.name` is missing or no string")?;
    let arguments = match frame.get("arguments") {
        None | Some("null") => Span::NONE,
        Some(raw) if raw.starts_with('{') => frame.span("arguments"),
        Some(_) => return Err("`params.arguments` is not an object".to_owned()),
    };
    Ok(Aim { target: target(name.into()), subject: frame.span("name"), arguments })
}

/// The resource that `frame` is aimed at.
///
/// # Errors
/// If it names none.
pub(crate) fn aim_at_uri(frame: &Frame, target: fn(Box<str>) -> Target) -> Result<Aim, String> {
    let uri = frame.get_string("uri").ok_or("`params.uri` is missing or no string")?;
    Ok(Aim { target: target(uri.into()), subject: frame.span("uri"), arguments: Span::NONE })
}

fn aim_at_reference(frame: &Frame) -> Result<Aim, String> {
    let outer = frame.span("ref");
    let raw = frame.get("ref").ok_or("`params.ref` is missing")?;
    let members = view::members(raw).map_err(|flaw| format!("`params.ref` is {flaw}"))?;
    let find = |key: &str| {
        let at = view::find(raw, &members, key)?.value;
        let text = view::string(at.of(raw))?;
        Some((Box::<str>::from(text), Span { start: outer.start + at.start, end: outer.start + at.end }))
    };
    if !frame.get("argument").is_some_and(|raw| raw.starts_with('{')) {
        return Err("`params.argument` is missing or no object".to_owned());
    }
    let kind = find("type").map(|(kind, _)| kind);
    let (reference, subject) = match kind.as_deref() {
        Some("ref/prompt") => find("name").map(|(name, at)| (Reference::Prompt(name), at)),
        Some("ref/resource") => find("uri").map(|(uri, at)| (Reference::Resource(uri), at)),
        _ => return Err("`params.ref.type` is neither `ref/prompt` nor `ref/resource`".to_owned()),
    }
    .ok_or("`params.ref` names nothing")?;
    Ok(Aim { target: Target::Completion(reference), subject, arguments: Span::NONE })
}
