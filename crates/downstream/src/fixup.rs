//! The few top-level members of a result in which the eras differ. Everything else of a result is untouched.

use mcp::splice::{Change, edit_object};
use mcp::{Member, Span, view};

const RESULT_TYPE: &str = "resultType";
/// What a result of the stateless era may be kept for, and by whom. Nothing is promised that a server did not say.
const CACHE: [(&str, &str); 2] = [("ttlMs", "0"), ("cacheScope", "\"private\"")];

/// What becomes of a result.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fixed {
    /// It fits as it is.
    Same,
    /// This raw object in its place.
    Edited(String),
    /// It cannot be said in the era with a handshake: a result of this type.
    Untold(String),
}

/// A result for the era with a handshake, which knows no result types and no cache hints.
pub(crate) fn for_legacy(body: &[u8], cacheable: bool) -> Fixed {
    let hinted = cacheable && CACHE.iter().any(|(key, _)| mentions(body, key));
    if !hinted && !mentions(body, RESULT_TYPE) {
        return Fixed::Same;
    }
    let Some((text, members)) = read(body) else { return Fixed::Same };
    if let Some(kind) = view::find(text, &members, RESULT_TYPE).and_then(|m| view::string(m.value.of(text)))
        && kind != "complete"
    {
        return Fixed::Untold(kind.into_owned());
    }
    let goes = |key: &str| key == RESULT_TYPE || cacheable && CACHE.iter().any(|(hint, _)| *hint == key);
    if !members.iter().any(|member| goes(&view::string(member.key.of(text)).unwrap_or_default())) {
        return Fixed::Same;
    }
    let change = |key: &str| if goes(key) { Change::Remove } else { Change::Keep };
    Fixed::Edited(edit_object(text, Span::new(0, text.len()), &members, change, &[]))
}

/// A result for the stateless era, which wants a result type, and cache hints on what can be cached.
pub(crate) fn for_modern(body: &[u8], cacheable: bool) -> Fixed {
    if !cacheable && body.starts_with(br#"{"resultType":"#) {
        return Fixed::Same;
    }
    let wanted = [(RESULT_TYPE, "\"complete\"")].into_iter().chain(CACHE.into_iter().filter(|_| cacheable));
    let Some((text, members)) = read_if(body, wanted.clone().any(|(key, _)| mentions(body, key))) else {
        return Fixed::Same;
    };
    let missing: Vec<_> = wanted.filter(|(key, _)| view::find(text, &members, key).is_none()).collect();
    if missing.is_empty() {
        return Fixed::Same;
    }
    let mut edited = String::with_capacity(text.len() + 64);
    edited.push('{');
    for (at, (key, value)) in missing.iter().enumerate() {
        edited.extend([if at > 0 { ",\"" } else { "\"" }, key, "\":", value]);
    }
    let rest = text[1..].trim_start();
    if !rest.starts_with('}') {
        edited.push(',');
    }
    edited.push_str(rest);
    Fixed::Edited(edited)
}

/// Whether `key` stands somewhere in `body`: a cheap no, and a maybe that is worth reading for.
fn mentions(body: &[u8], key: &str) -> bool {
    memchr::memmem::find_iter(body, key)
        .any(|at| at > 0 && body[at - 1] == b'"' && body.get(at + key.len()) == Some(&b'"'))
}

fn read(body: &[u8]) -> Option<(&str, Vec<Member>)> {
    read_if(body, true)
}

/// The text and, if it is worth it, the members of a result.
fn read_if(body: &[u8], worth: bool) -> Option<(&str, Vec<Member>)> {
    let text = std::str::from_utf8(body).ok()?;
    let members = if worth { view::members(text).ok()?.to_vec() } else { Vec::new() };
    Some((text, members))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str) -> Fixed {
        Fixed::Edited(text.to_owned())
    }

    #[test]
    fn the_era_with_a_handshake_sees_no_marks_of_the_other() {
        let check = |body: &str, cacheable, want| assert_eq!(for_legacy(body.as_bytes(), cacheable), want, "{body}");
        check(r#"{"content":[]}"#, false, Fixed::Same);
        check(r#"{"resultType":"complete","content":[]}"#, false, edited(r#"{"content":[]}"#));
        check(r#"{"content":[],"resultType":"complete"}"#, false, edited(r#"{"content":[]}"#));
        check(r#"{"ttlMs":1,"contents":[],"cacheScope":"public"}"#, true, edited(r#"{"contents":[]}"#));
        check(r#"{"ttlMs":1}"#, false, Fixed::Same);
        check(r#"{"structuredContent":{"resultType":"x"}}"#, false, Fixed::Same);
        check(r#"{"resultType":"input_required"}"#, false, Fixed::Untold("input_required".into()));
    }

    #[test]
    fn the_stateless_era_gets_what_it_requires() {
        let check = |body: &str, cacheable, want| assert_eq!(for_modern(body.as_bytes(), cacheable), want, "{body}");
        check(r#"{"content":[]}"#, false, edited(r#"{"resultType":"complete","content":[]}"#));
        check("{}", false, edited(r#"{"resultType":"complete"}"#));
        check(r#"{"resultType":"task","x":1}"#, false, Fixed::Same);
        check(r#"{"x":1,"resultType":"input_required"}"#, false, Fixed::Same);
        check(
            r#"{"structuredContent":{"resultType":1}}"#,
            false,
            edited(r#"{"resultType":"complete","structuredContent":{"resultType":1}}"#),
        );
        check(
            r#"{"ttlMs":5,"contents":[]}"#,
            true,
            edited(r#"{"resultType":"complete","cacheScope":"private","ttlMs":5,"contents":[]}"#),
        );
    }
}
