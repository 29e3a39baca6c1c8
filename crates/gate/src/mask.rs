//! What a server says is [`Unmasked`] until it went through [`Masks::apply`]; nothing else can open it.
//!
//! Registered values (what toolgate itself holds) are masked always and in all their encodings; tokens, keys, numbers of
//! people and members with telling names as the configuration wants. A masker that fails withholds. `docs/design/masking.md`.
//! What is not here: what the configuration file says, and where counts are shown.

mod decode;
mod detect;
mod email;
mod encodings;
mod fields;
mod handles;
mod lines;
mod marks;
mod message;
mod national;
mod number;
mod options;
mod paint;
mod pem;
mod phone;
mod rules;
mod shadow;
mod walk;
mod withhold;

use crate::words::{Place, Reply, ReplyKind, ServerName, Wire};
use aho_corasick::{AhoCorasick, MatchKind};
use bytes::Bytes;
use detect::{Exhausted, Known, Work};
use memchr::memmem;
use message::{Edit, Look};
use options::{Custom, Judge};
use paint::{Handle, Paint};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::LazyLock;

pub use lines::{Lines, Stream};
pub use national::NationalId;
pub use options::{BadPattern, CustomPattern, DataRules, Detect, MaskOptions};
pub use paint::Span;

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

/// How a block of text begins; two of them may share a secret.
static TEXT_MEMBER: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"\"text\""));

/// Finds and replaces secrets.
pub struct Masks {
    /// Finds the registered values as JSON text spells them, and encoded.
    in_json: Option<AhoCorasick>,
    known: Known,
    /// Knows nothing but the registered values.
    off: Judge,
    default: Judge,
    servers: HashMap<ServerName, Judge>,
    handles: Option<Arc<handles::Handles>>,
}

/// A text that goes through the masks again is not masked again; the passes it can take until then. One that takes more
/// is withheld.
const ROUNDS: usize = 8;

impl Masks {
    /// Masks for these values and for everything else that is looked for where nothing is configured.
    /// Values shorter than [`MIN_SECRET_BYTES`] are left out.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        Self::build(secrets, MaskOptions::default(), Vec::new())
    }

    /// Masks as `options` wants them.
    ///
    /// # Errors
    /// A [`BadPattern`] for the first pattern that does not compile.
    pub fn with<'a>(secrets: impl IntoIterator<Item = &'a Secret>, options: MaskOptions) -> Result<Self, BadPattern> {
        let custom = options.custom.iter().map(Custom::new).collect::<Result<_, _>>()?;
        Ok(Self::build(secrets, options, custom))
    }

    /// The same; handles that `elder` gave out go on to mean what they meant, if there still are any.
    #[must_use]
    pub fn inheriting(self, elder: &Masks) -> Self {
        let handles = self.handles.map(|own| elder.handles.clone().unwrap_or(own));
        Self { handles, ..self }
    }

    fn build<'a>(secrets: impl IntoIterator<Item = &'a Secret>, options: MaskOptions, custom: Vec<Custom>) -> Self {
        let secrets: Vec<&str> =
            secrets.into_iter().map(Secret::expose).filter(|s| s.len() >= MIN_SECRET_BYTES).collect();
        let encoded = secrets.iter().flat_map(|secret| encodings::of(secret));
        let plain: Vec<String> = encoded.chain(secrets.iter().map(|s| (*s).to_owned())).collect();
        let in_json: Vec<String> = plain.iter().map(|text| encodings::json_inner(text)).collect();
        let judge = |rules: &DataRules| Judge::new(rules, &custom);
        let servers = options.servers.iter().map(|(server, rules)| (server.clone(), judge(rules))).collect();
        Self {
            in_json: automaton(&in_json),
            off: judge(&DataRules { detect: Detect::Off, ..DataRules::default() }),
            default: judge(&options.default),
            servers,
            handles: options.handle_key.map(|key| Arc::new(handles::Handles::new(key))),
            known: Known { values: automaton(&plain), custom, national: options.national_ids },
        }
    }

    /// The answer, safe to show.
    pub fn apply(&self, server: &ServerName, said: Unmasked) -> Reply {
        let judge = self.servers.get(server).unwrap_or(&self.default);
        let Unmasked { wire, kind, tool_error } = said;
        if self.is_quiet(&wire.json, judge) {
            return Reply { wire, kind, tool_error, masked: Counts::default(), item: None, continuation: None };
        }
        let mut masked = Counts::default();
        match self.masked(wire.clone(), judge, Some(server), &mut masked) {
            Some(wire) => Reply { wire, kind, tool_error, masked, item: None, continuation: None },
            None => withhold::reply(wire, kind),
        }
    }

    /// A definition, safe to show: only values that toolgate itself holds are masked in it, so that schemas,
    /// examples and defaults reach the caller as they are.
    pub fn definition(&self, definition: Bytes) -> Bytes {
        self.value(definition, &self.off)
    }

    /// A masked copy of somebody's arguments (any JSON), for the record and for whoever approves them.
    pub fn arguments<'a>(&self, arguments: &'a [u8]) -> Cow<'a, str> {
        if self.is_quiet(arguments, &self.default) {
            return String::from_utf8_lossy(arguments);
        }
        let masked = self.noisy_value(Bytes::copy_from_slice(arguments), &self.default);
        String::from_utf8_lossy(&masked).into_owned().into()
    }

    /// `text` with every secret masked; for our own lines that quote somebody (logs, standard error).
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let known = self.known.values.as_ref().is_some_and(|values| values.is_match(text));
        if !known && self.is_quiet(text.as_bytes(), &self.default) {
            return text.into();
        }
        let mut now = text.as_bytes().to_vec();
        let done = fenced(|| {
            for _ in 0..ROUNDS {
                let (mut work, mut counts) = (Work::for_bytes(now.len()), Counts::default());
                match paint::text(&now, &self.known, &self.default, &self.paint(None), &mut work, &mut counts)? {
                    Some(masked) => now = masked,
                    None => return Ok(()),
                }
            }
            Err(Exhausted)
        });
        match done {
            Some(()) => String::from_utf8_lossy(&now).into_owned().into(),
            None => withhold::WITHHELD.into(),
        }
    }

    /// Where in `text` something would be masked (bytes), and as what, in order; for whoever shows or measures it.
    pub fn spans(&self, text: &str) -> Vec<Span> {
        let spans = || paint::spans(text.as_bytes(), &self.known, &self.default, &self.paint(None));
        fenced(spans).unwrap_or_else(|| vec![(0..text.len(), "withheld".to_owned())])
    }

    /// Masks the lines of one stream, keys that run over several of them included.
    pub fn lines(&self) -> Lines<'_> {
        Lines::new(self)
    }

    /// Masks a stream that comes in pieces.
    pub fn stream(&self) -> Stream<'_> {
        Stream::new(self)
    }

    /// `arguments` (JSON) with the values put back for which `server` got handles, each if `grant` says so of it; `None`
    /// if there is nothing to put back.
    pub fn restore(&self, server: &ServerName, arguments: &[u8], grant: &dyn Fn(&str) -> bool) -> Option<Bytes> {
        self.handles.as_ref()?.restore(server, arguments, grant)
    }

    fn looks_for_keys(&self) -> bool {
        self.default.detect == Detect::All && !self.default.passes(rules::PRIVATE_KEY)
    }

    /// Whether a message surely has nothing to mask. Cheap: most messages end here.
    fn is_quiet(&self, json: &[u8], judge: &Judge) -> bool {
        if marks::has_unusual_escape(json) || self.in_json.as_ref().is_some_and(|values| values.is_match(json)) {
            return false;
        }
        let is_name = |at: &usize| json[at + b"\"text\"".len()..].trim_ascii_start().starts_with(b":");
        let blocks = || TEXT_MEMBER.find_iter(json).filter(is_name).nth(1).is_some();
        match judge.detect {
            Detect::Off | Detect::Known if self.in_json.is_none() && self.known.custom.is_empty() => true,
            _ if marks::may_hide(json) || blocks() => false,
            Detect::Off => true,
            Detect::Known => self.known.custom.is_empty(),
            Detect::All => self.known.custom.is_empty() && self.known.national.is_empty() && detect::is_quiet(json),
        }
    }

    /// The message masked, or `None` if that failed.
    fn masked(&self, mut wire: Wire, judge: &Judge, server: Option<&ServerName>, counts: &mut Counts) -> Option<Wire> {
        let hand = |value: &[u8]| {
            self.handles.as_ref().zip(server).map_or_else(String::new, |(all, server)| all.keep(server, value))
        };
        let handle = (judge.handles && self.handles.is_some() && server.is_some()).then_some(&hand as &Handle<'_>);
        fenced(|| {
            for round in 0..ROUNDS {
                let look = Look {
                    json: &wire.json,
                    again: round > 0,
                    known: &self.known,
                    judge,
                    is_message: server.is_some(),
                    paint: self.paint(handle),
                };
                let edits = look.edits(counts)?;
                if edits.is_empty() {
                    return Ok(wire);
                }
                wire = replace(&wire, &edits);
            }
            Err(Exhausted)
        })
    }

    /// JSON that is no message, masked; the word for what was withheld if that failed.
    fn value(&self, json: Bytes, judge: &Judge) -> Bytes {
        if self.is_quiet(&json, judge) { json } else { self.noisy_value(json, judge) }
    }

    fn noisy_value(&self, json: Bytes, judge: &Judge) -> Bytes {
        let wire = Wire { json, parts: crate::words::Parts::default() };
        let masked = self.masked(wire, judge, None, &mut Counts::default());
        masked.map_or_else(|| format!("\"{}\"", withhold::WITHHELD).into(), |wire| wire.json)
    }

    fn paint<'a>(&'a self, handle: Option<&'a Handle<'a>>) -> Paint<'a> {
        Paint { custom: &self.known.custom, handle }
    }
}

/// Runs a masker; whatever goes wrong in it ends as `None`.
fn fenced<T>(run: impl FnOnce() -> Result<T, Exhausted>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()?.ok()
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
fn replace(wire: &Wire, edits: &[Edit]) -> Wire {
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

fn shifted(at: u32, edits: &[Edit]) -> u32 {
    let before = edits.iter().take_while(|(place, _)| place.end <= at);
    let grown: i64 = before.map(|(place, text)| text.len() as i64 - i64::from(place.end - place.start)).sum();
    (i64::from(at) + grown) as u32
}

#[cfg(test)]
mod tests;
