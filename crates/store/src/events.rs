//! The ledger's own events, and the little of the gate's events that it has to understand: which attempts are open.

use crate::chain::MAX_LINE_BYTES;
use crate::checkpoint::Checkpoint;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashMap;

/// The version of the files' form.
pub(crate) const SCHEMA: &str = "toolgate.audit/1";

/// So many ids of 36 characters stay well below the limit of a line.
pub(crate) const CARRIED_PER_LINE: usize = 1_000;

/// How many other chains the first line of a chain names.
pub(crate) const CHAINS_NAMED: usize = 8;

/// An event that the ledger itself writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Own<'a> {
    /// The first line of every part.
    Segment {
        schema: Cow<'a, str>,
        ts: u64,
        chain: Cow<'a, str>,
        part: u32,
        pid: u32,
        tool: Cow<'a, str>,
        /// How many open attempts the `carried` events after this one name.
        carried: usize,
        /// In a part that is not the first: the complete subtrees over all lines before this one, in hex.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tree: Vec<Cow<'a, str>>,
        /// In a first part: what was signed of other chains when this one began, so that they are missed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        after: Vec<Head<'a>>,
    },
    /// Attempts that an earlier part opened.
    Carried {
        ts: u64,
        /// Those that may have effects.
        open: Vec<Cow<'a, str>>,
        /// Those that only read.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        read: Vec<Cow<'a, str>>,
    },
    /// A signed statement about all lines before it.
    Checkpoint(Checkpoint<'a>),
    /// An end that nobody saw.
    End {
        id: Cow<'a, str>,
        ts: u64,
        end: Cow<'a, str>,
        /// Whether the call may have had effects.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        in_doubt: bool,
    },
    /// Parts that were deleted because they were too old or too many.
    Pruned {
        ts: u64,
        /// Nothing that was signed later is missing.
        before: u64,
        dropped: Vec<Dropped<'a>>,
    },
    /// The last event of a chain; only its checkpoint follows.
    Close {
        ts: u64,
        why: Cow<'a, str>,
        /// How many attempts were closed as lost.
        lost: usize,
        /// How many bytes of an unfinished line were moved aside.
        torn: u64,
    },
}

/// How far another chain was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head<'a> {
    pub chain: Cow<'a, str>,
    pub size: u64,
    pub root: Cow<'a, str>,
    pub ts: u64,
}

/// The beginning of a chain that is no longer there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dropped<'a> {
    pub chain: Cow<'a, str>,
    /// The last part that is gone.
    pub part: u32,
    /// The last line that is gone.
    pub upto: u64,
    /// That line's hash.
    pub hash: Cow<'a, str>,
    /// The root of the tree over all lines that are gone.
    pub root: Cow<'a, str>,
    /// How many bytes that were, of those dropped now.
    pub bytes: u64,
}

impl Dropped<'_> {
    pub fn into_owned(self) -> Dropped<'static> {
        Dropped {
            chain: self.chain.into_owned().into(),
            hash: self.hash.into_owned().into(),
            root: self.root.into_owned().into(),
            ..self
        }
    }
}

impl Own<'_> {
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("events hold only strings and numbers")
    }
}

/// What an event does to the set of open attempts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mark<'a> {
    Opens {
        id: Cow<'a, str>,
        /// Whether the call may have effects. What does not say that it only reads may.
        effects: bool,
    },
    Ends(Cow<'a, str>),
    Neither,
}

#[derive(Deserialize)]
struct Subject<'a> {
    #[serde(borrow, default)]
    event: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    effect: Option<Cow<'a, str>>,
}

/// What an attempt says that only reads.
const READS: &[u8] = b"\"effect\":\"read\"";

impl<'a> Mark<'a> {
    /// Reads an event. The order of members in which the gate writes is read without parsing the whole.
    pub fn of(event: &'a [u8]) -> Self {
        if let Some(rest) = event.strip_prefix(b"{\"event\":\"attempt\",\"id\":\"")
            && let Some(id) = plain_id(rest)
            && let Some(effects) = plain_effects(&rest[id.len() + 1..])
        {
            return Self::Opens { id: id.into(), effects };
        }
        if let Some(rest) = event.strip_prefix(b"{\"event\":\"end\",\"id\":\"")
            && let Some(id) = plain_id(rest)
        {
            return Self::Ends(id.into());
        }
        Self::parse(event)
    }

    fn parse(event: &'a [u8]) -> Self {
        match serde_json::from_slice::<Subject<'a>>(event) {
            Ok(Subject { event, id: Some(id), effect }) if event == "attempt" => {
                Self::Opens { id, effects: effect.is_none_or(|effect| effect != "read") }
            }
            Ok(Subject { event, id: Some(id), .. }) if event == "end" => Self::Ends(id),
            _ => Self::Neither,
        }
    }
}

/// An id as it stands before its closing quote, unless it has anything to unescape or is unusually long.
fn plain_id(rest: &[u8]) -> Option<&str> {
    const LONGEST: usize = MAX_LINE_BYTES / CARRIED_PER_LINE - 4;
    let id = &rest[..rest.iter().take(LONGEST + 1).position(|byte| *byte == b'"')?];
    let plain = id.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'\\');
    plain.then(|| std::str::from_utf8(id).expect("ASCII"))
}

/// Whether an attempt may have effects, from what follows its id, if that can be told without parsing it all.
fn plain_effects(rest: &[u8]) -> Option<bool> {
    // The gate writes the effect third, where nobody else's words can stand before it.
    if let Some(rest) = rest.strip_prefix(b",\"ts\":") {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if let Some(rest) = rest[digits..].strip_prefix(b",") {
            if rest.starts_with(READS) {
                return Some(false);
            }
            if rest.starts_with(&READS[..READS.len() - 5]) {
                return Some(true);
            }
        }
    }
    memchr::memmem::find(rest, READS).is_none().then_some(true)
}

/// The attempts that have no end yet, and whether each may have effects.
#[derive(Debug, Default)]
pub(crate) struct Open(HashMap<Box<str>, bool>);

impl Open {
    pub fn apply(&mut self, mark: &Mark<'_>) {
        match mark {
            Mark::Opens { id, effects } => self.add(id, *effects),
            Mark::Ends(id) => _ = self.0.remove(id.as_ref()),
            Mark::Neither => {}
        }
    }

    pub fn add(&mut self, id: &str, effects: bool) {
        self.0.insert(id.into(), effects);
    }

    pub fn has(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// In a fixed order, so that the same set gives the same bytes.
    pub fn sorted(&self) -> Vec<(&str, bool)> {
        let mut ids: Vec<_> = self.0.iter().map(|(id, effects)| (&**id, *effects)).collect();
        ids.sort_unstable();
        ids
    }

    /// How many may have effects.
    pub fn in_doubt(&self) -> usize {
        self.0.values().filter(|effects| **effects).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(event: &str, want: &Mark<'_>) {
        assert_eq!(&Mark::of(event.as_bytes()), want, "{event}");
    }

    fn opens(id: &str, effects: bool) -> Mark<'_> {
        Mark::Opens { id: id.into(), effects }
    }

    #[test]
    fn attempts_and_ends_are_seen_in_any_order_of_members() {
        check(r#"{"event":"attempt","id":"a","ts":1}"#, &opens("a", true));
        check(r#"{"ts":1,"id":"a","event":"attempt"}"#, &opens("a", true));
        check(r#"{ "event" : "end", "id":"a" }"#, &Mark::Ends("a".into()));
        check(r#"{"event":"end","id":"a\u0062"}"#, &Mark::Ends("ab".into()));
        check(r#"{"event":"end","id":"b","end":"lost"}"#, &Mark::Ends("b".into()));
    }

    #[test]
    fn only_what_says_so_itself_only_reads() {
        check(r#"{"event":"attempt","id":"a","ts":1,"effect":"read","x":1}"#, &opens("a", false));
        check(r#"{"event":"attempt","id":"a","x":1,"effect":"read"}"#, &opens("a", false));
        check(r#"{"event":"attempt","id":"a","ts":1,"effect":"write"}"#, &opens("a", true));
        check(
            r#"{"event":"attempt","id":"a","ts":1,"effect":"high_impact","args":{"effect":"read"}}"#,
            &opens("a", true),
        );
        check(r#"{"event":"attempt","id":"a","ts":1,"args":{"effect":"read"},"effect":"write"}"#, &opens("a", true));
        check(r#"{"event":"attempt","id":"a","ts":1,"args":{"effect":"read"}}"#, &opens("a", true));
        check(r#"{"event":"attempt","id":"a","ts":1,"asked":",\"effect\":\"read\""}"#, &opens("a", true));
    }

    #[test]
    fn other_events_open_and_end_nothing() {
        check(r#"{"event":"refusal","id":"a"}"#, &Mark::Neither);
        check(r#"{"event":"start","id":"a"}"#, &Mark::Neither);
        check(r#"{"event":"attempt"}"#, &Mark::Neither);
        check(r#"{"event":"refusal","asked":"{\"event\":\"attempt\",\"id\":\"x\"}"}"#, &Mark::Neither);
        check("{}", &Mark::Neither);
    }
}
