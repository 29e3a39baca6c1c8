//! Reads the keywords of a schema that hold no schemas themselves.

use super::compile::{Check, Unusable, kind};
use crate::pin::tree::{Node, below};
use crate::pin::{canonical, elided};

pub(super) fn scalars(at: &str, node: &Node<'_>, checks: &mut Vec<Check>) -> Result<(), Unusable> {
    let no_schema = |key: &str| Unusable::NoSchema(place(&below(at, key)));
    if let Some(value) = node.get("type") {
        let names = if let Some(one) = value.text() { vec![one.to_owned()] } else { strings_of(Some(value)) };
        let bits = names.iter().map(|name| kind::of(name)).collect::<Option<Vec<_>>>();
        let bits = bits.filter(|bits| !bits.is_empty()).ok_or_else(|| no_schema("type"))?;
        checks.push(Check::Type(bits.into_iter().fold(0, |all, bit| all | bit)));
    }
    if let Some(value) = node.get("enum") {
        checks.push(Check::Enum(value.elements().iter().map(allowed).collect()));
    }
    if let Some(value) = node.get("const") {
        checks.push(Check::Enum(vec![allowed(value)]));
    }
    let number = |key: &str| match node.get(key) {
        Some(Node::Number(spelling)) => spelling.parse::<f64>().ok().map(|limit| (limit, (*spelling).to_owned())),
        _ => None,
    };
    let strict = |key: &str| node.get(key) == Some(&Node::Bool(true));
    if let Some((limit, shown)) = number("minimum") {
        checks.push(Check::Minimum { limit, exclusive: strict("exclusiveMinimum"), shown });
    }
    if let Some((limit, shown)) = number("maximum") {
        checks.push(Check::Maximum { limit, exclusive: strict("exclusiveMaximum"), shown });
    }
    if let Some((limit, shown)) = number("exclusiveMinimum") {
        checks.push(Check::Minimum { limit, exclusive: true, shown });
    }
    if let Some((limit, shown)) = number("exclusiveMaximum") {
        checks.push(Check::Maximum { limit, exclusive: true, shown });
    }
    if let Some((of, shown)) = number("multipleOf").filter(|(of, _)| *of > 0.0) {
        checks.push(Check::MultipleOf { of, shown });
    }
    Ok(())
}

fn allowed(value: &Node<'_>) -> (Vec<u8>, String) {
    let json = value.json();
    (canonical(json.as_bytes()).unwrap_or_default(), elided(&json, 40))
}

/// A lower and an upper bound, if one of them is there.
pub(super) fn bounds(node: &Node<'_>, least: &str, most: &str) -> Option<(usize, usize)> {
    let number = |key: &str| match node.get(key) {
        Some(Node::Number(spelling)) => spelling.parse::<f64>().ok().filter(|n| *n >= 0.0).map(|n| n as usize),
        _ => None,
    };
    let (least, most) = (number(least), number(most));
    (least.is_some() || most.is_some()).then(|| (least.unwrap_or(0), most.unwrap_or(usize::MAX)))
}

pub(super) fn strings_of(value: Option<&Node<'_>>) -> Vec<String> {
    let elements = value.map_or(&[][..], Node::elements);
    elements.iter().filter_map(Node::text).map(str::to_owned).collect()
}

pub(super) fn place(at: &str) -> String {
    if at.is_empty() { "its root".to_owned() } else { elided(at, 120) }
}

pub(super) fn percent_decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first != b'%' {
            bytes.push(*first);
            rest = tail;
            continue;
        }
        // A number may have a sign, an octet may not.
        let digits = std::str::from_utf8(tail.get(..2)?).ok().filter(|digits| !digits.contains('+'))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).ok()
}
