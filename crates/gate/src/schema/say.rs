//! The words for mistakes. Whoever reads them is mostly a model that shall try again: what was expected, what was
//! given, what it may have meant.

use super::check::Mistake;
use super::compile::kind;
use super::values::kinds;
use crate::pin::elided;
use crate::pin::tree::Node;

/// How long a value is quoted, in characters. Longer ones may hold what nobody wants to see again.
const LONGEST: usize = 40;

/// How many names are listed.
const MOST_NAMES: usize = 40;

/// How many names are looked through for one that may have been meant, and how long those are at most, in bytes.
const MOST_COMPARED: usize = 128;
const LONGEST_COMPARED: usize = 128;

/// How long the reason against one alternative is, in characters.
const LONGEST_REASON: usize = 300;

pub(super) fn wrong_type(bits: u8, value: &Node<'_>) -> String {
    let expected: Vec<_> = kind::NAMES.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect();
    format!("expected {}{}", expected.join(" or "), given(value))
}

pub(super) fn not_among(allowed: &[(Vec<u8>, String)], value: &Node<'_>) -> String {
    let shown: Vec<_> = allowed.iter().take(MOST_NAMES).map(|(_, shown)| shown.as_str()).collect();
    let more =
        if allowed.len() > MOST_NAMES { format!(" and {} more", allowed.len() - MOST_NAMES) } else { String::new() };
    let one_of = if allowed.len() == 1 { "" } else { "one of " };
    format!("expected {one_of}{}{more}{}", shown.join(", "), given(value))
}

pub(super) fn out_of(relation: &str, limit: &str, value: &Node<'_>) -> String {
    format!("expected {relation} {}{}", elided(limit, LONGEST), given(value))
}

pub(super) fn count(what: &str, count: usize, least: usize, most: usize) -> String {
    match (least, most) {
        (least, usize::MAX) => format!("has {count} {what}, and at least {least} are needed"),
        (0, most) => format!("has {count} {what}, and at most {most} are allowed"),
        (least, most) => format!("has {count} {what}, and {least} to {most} are allowed"),
    }
}

pub(super) fn missing<'a>(key: &str, given: impl Iterator<Item = &'a str>, known: &[String]) -> String {
    let mut unknown = given.take(MOST_COMPARED).filter(|name| !known.iter().any(|known| known == name));
    let meant =
        unknown.find(|name| similar(name, key)).map(|name| format!("; is `{}` meant to be it?", elided(name, LONGEST)));
    format!("`{}` is required and missing{}", elided(key, 80), meant.unwrap_or_default())
}

pub(super) fn unknown(key: &str, known: &[String]) -> String {
    let mut similar = known.iter().take(MOST_COMPARED).filter(|name| similar(name, key));
    let meant = similar.next().map(|name| format!(", did you mean `{}`?", elided(name, 80)));
    let names: Vec<_> = known.iter().take(MOST_NAMES).map(|name| elided(name, 80)).collect();
    let list =
        if names.is_empty() { "nothing may be given".to_owned() } else { format!("known are {}", names.join(", ")) };
    format!("`{}` is not known here{}; {list}", elided(key, LONGEST), meant.unwrap_or_default())
}

pub(super) fn no_alternative(count: usize, reasons: &[Mistake]) -> String {
    // Each may itself be about alternatives, and so on.
    let reason = |(n, why): (usize, &Mistake)| format!("({}) {}", n + 1, elided(&why.to_string(), LONGEST_REASON));
    let reasons: Vec<_> = reasons.iter().enumerate().map(reason).collect();
    let more = if count > reasons.len() { format!("; and {} more", count - reasons.len()) } else { String::new() };
    format!("fits none of {count} alternatives: {}{more}", reasons.join("; "))
}

/// What was given, as the end of a sentence.
pub(super) fn given(value: &Node<'_>) -> String {
    let kinds = kinds(value);
    let name = kind::NAMES.iter().rev().find(|(bit, _)| kinds & bit != 0).map_or("nothing", |(_, name)| *name);
    match value {
        Node::Null => ", got null".to_owned(),
        Node::List(elements) => format!(", got an array of {}", elements.len()),
        Node::Map(members) => format!(", got an object of {} members", members.len()),
        value => {
            let json = value.json();
            let count = json.chars().count();
            // Not even a part of a long value: it may be a key or a password in the wrong place.
            if count > LONGEST {
                format!(", got a {name} of {count} characters")
            } else {
                format!(", got {name} {}", elided(&json, LONGEST))
            }
        }
    }
}

fn similar(a: &str, b: &str) -> bool {
    let short = a.len().max(b.len()) <= LONGEST_COMPARED;
    short && strsim::jaro_winkler(&a.to_lowercase(), &b.to_lowercase()) > 0.85
}
