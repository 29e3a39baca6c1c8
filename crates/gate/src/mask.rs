//! What a server says is [`Unmasked`] until it went through [`Masks::apply`]; nothing else can open it.
//!
//! For now the masks know every secret that toolgate itself holds, in all its encodings.

mod encodings;
mod tokens;

use crate::words::{Place, Reply, ReplyKind, ServerName, Wire};
use aho_corasick::{AhoCorasick, MatchKind};
use std::fmt;

/// What stands in a secret's place.
pub const MASK: &str = "*****";

/// Shorter values would mask ordinary words.
pub const MIN_SECRET_BYTES: usize = 6;

/// A value that must never be seen. Prints as [`MASK`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret(String);

impl Secret {
    /// Wraps `value`.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Something a server said: no `Debug`, no `Display`, no `Serialize`, no way to the bytes but the masks.
pub struct Unmasked {
    wire: Wire,
    kind: ReplyKind,
    tool_error: bool,
}

impl Unmasked {
    /// A message of a server as received, with its parts.
    pub fn message(wire: Wire, kind: ReplyKind) -> Self {
        Self { wire, kind, tool_error: false }
    }

    /// How long it is.
    pub(crate) fn bytes(&self) -> usize {
        self.wire.json.len()
    }

    /// The same, for a tool that ran and said `isError`.
    #[must_use]
    pub fn with_tool_error(self, tool_error: bool) -> Self {
        Self { tool_error, ..self }
    }
}

/// How often something of each class was masked. Costs nothing while empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(std::collections::BTreeMap<std::borrow::Cow<'static, str>, u32>);

impl Counts {
    /// Counts `times` more of `class`.
    pub fn add(&mut self, class: impl Into<std::borrow::Cow<'static, str>>, times: u32) {
        if times > 0 {
            *self.0.entry(class.into()).or_default() += times;
        }
    }

    /// All of them together.
    pub fn total(&self) -> u32 {
        self.0.values().sum()
    }

    /// Whether nothing was masked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Classes and counts, by class.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        self.0.iter().map(|(class, times)| (&**class, *times))
    }
}

/// Finds and replaces secrets. Without any it costs nothing.
pub struct Masks {
    /// Finds the secrets as JSON text spells them, and encoded.
    in_json: Option<AhoCorasick>,
    /// Finds the secrets as they are, for text whose escapes were undone.
    plain: Option<AhoCorasick>,
}

impl Masks {
    /// Masks for these values. Values shorter than [`MIN_SECRET_BYTES`] are left out.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let secrets: Vec<&str> =
            secrets.into_iter().map(Secret::expose).filter(|s| s.len() >= MIN_SECRET_BYTES).collect();
        let encoded: Vec<String> = secrets.iter().flat_map(|secret| encodings::of(secret)).collect();
        let escaped = secrets.iter().map(|secret| encodings::json_inner(secret));
        let in_json: Vec<String> = encoded.iter().cloned().chain(escaped).collect();
        let plain: Vec<String> = encoded.into_iter().chain(secrets.iter().map(|s| (*s).to_owned())).collect();
        Self { in_json: automaton(&in_json), plain: automaton(&plain) }
    }

    /// The answer, safe to show.
    pub fn apply(&self, server: &ServerName, said: Unmasked) -> Reply {
        // Per-server rules are not told apart yet.
        let _ = server;
        let Unmasked { wire, kind, tool_error } = said;
        let edits = self.edits(&wire.json);
        let mut masked = Counts::default();
        masked.add("registered", edits.len() as u32);
        let wire = if edits.is_empty() { wire } else { replace(wire, &edits) };
        Reply { wire, kind, tool_error, masked, continuation: None }
    }

    /// A definition, safe to show: only values that toolgate itself holds are masked in it, so that schemas,
    /// examples and defaults reach the caller as they are.
    pub fn definition(&self, definition: bytes::Bytes) -> bytes::Bytes {
        let edits = self.edits(&definition);
        let wire = Wire { json: definition, parts: crate::words::Parts::default() };
        if edits.is_empty() { wire.json } else { replace(wire, &edits).json }
    }

    /// `text` with every secret masked; for our own lines that quote somebody (logs, standard error).
    pub fn text(&self, text: &str) -> String {
        match &self.plain {
            Some(plain) => plain.replace_all(text, &vec![MASK; plain.patterns_len()]),
            None => text.to_owned(),
        }
    }

    fn edits(&self, json: &[u8]) -> Vec<(Place, Vec<u8>)> {
        let (Some(in_json), Some(plain)) = (&self.in_json, &self.plain) else { return Vec::new() };
        // Any spelling but the shortest needs a `\u` or `\/`, so a text without both is searched as it is.
        if !in_json.is_match(json) && !tokens::has_unusual_escape(json) {
            return Vec::new();
        }
        tokens::each(json).filter_map(|token| Some((token.place, token.masked(json, in_json, plain)?))).collect()
    }
}

fn automaton(patterns: &[String]) -> Option<AhoCorasick> {
    if patterns.is_empty() {
        return None;
    }
    // Longest first, so that the whole of a secret goes even if another one begins it.
    let built = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(patterns);
    Some(built.expect("the patterns are few and short"))
}

/// Applies edits that are in order and shifts the parts behind them.
fn replace(wire: Wire, edits: &[(Place, Vec<u8>)]) -> Wire {
    let mut out = Vec::with_capacity(wire.json.len());
    let mut at = 0;
    for (place, text) in edits {
        out.extend_from_slice(&wire.json[at..place.start as usize]);
        out.extend_from_slice(text);
        at = place.end as usize;
    }
    out.extend_from_slice(&wire.json[at..]);
    let shift = |place: Place| Place { start: shifted(place.start, edits), end: shifted(place.end, edits) };
    let mut parts = wire.parts;
    for part in [&mut parts.id, &mut parts.body, &mut parts.subject, &mut parts.arguments, &mut parts.meta] {
        if !part.is_none() {
            *part = shift(*part);
        }
    }
    Wire { json: out.into(), parts }
}

fn shifted(at: u32, edits: &[(Place, Vec<u8>)]) -> u32 {
    let before = edits.iter().take_while(|(place, _)| place.end <= at);
    let grown: i64 = before.map(|(place, text)| text.len() as i64 - i64::from(place.end - place.start)).sum();
    (i64::from(at) + grown) as u32
}

#[cfg(test)]
mod tests;
