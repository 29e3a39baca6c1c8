//! The ledger's own events, and the little of the gate's events that it has to understand: which attempts are open.

use crate::chain::{Link, MAX_LINE_BYTES, Unsealable};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashSet;

/// The version of the files' form.
pub(crate) const SCHEMA: &str = "toolgate.audit/1";

/// So many ids of 36 characters stay well below the limit of a line.
const CARRIED_PER_LINE: usize = 1_000;

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
    },
    /// Attempts that an earlier part opened.
    Carried { ts: u64, open: Vec<Cow<'a, str>> },
    /// An end that nobody saw.
    End { id: Cow<'a, str>, ts: u64, end: Cow<'a, str> },
    /// The last line of a chain.
    Close {
        ts: u64,
        why: Cow<'a, str>,
        /// How many attempts were closed as lost.
        lost: usize,
        /// How many bytes of an unfinished line were moved aside.
        torn: u64,
    },
}

impl Own<'_> {
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("events hold only strings and numbers")
    }
}

/// Appends an end for each of `open`, and a `close` event, to `out`. Returns the link after them.
pub(crate) fn seal_ending(
    mut link: Link,
    open: &Open,
    why: &str,
    torn: u64,
    ts: u64,
    out: &mut Vec<u8>,
) -> Result<Link, Unsealable> {
    for id in open.sorted() {
        link = link.seal(&Own::End { id: id.into(), ts, end: "lost".into() }.to_json(), out)?;
    }
    link.seal(&Own::Close { ts, why: why.into(), lost: open.len(), torn }.to_json(), out)
}

/// Appends what stands at the head of a part to `out`. Returns the link after it.
pub(crate) fn seal_preamble(
    mut link: Link,
    header: &Own<'_>,
    open: &Open,
    ts: u64,
    out: &mut Vec<u8>,
) -> Result<Link, Unsealable> {
    link = link.seal(&header.to_json(), out)?;
    for ids in open.sorted().chunks(CARRIED_PER_LINE) {
        let open = ids.iter().map(|id| Cow::Borrowed(*id)).collect();
        link = link.seal(&Own::Carried { ts, open }.to_json(), out)?;
    }
    Ok(link)
}

/// What an event does to the set of open attempts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mark<'a> {
    Opens(Cow<'a, str>),
    Ends(Cow<'a, str>),
    Neither,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    event: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
}

impl<'a> Mark<'a> {
    /// Reads an event. The order of members in which the gate writes is read without parsing the whole.
    pub fn of(event: &'a [u8]) -> Self {
        if let Some(rest) = event.strip_prefix(b"{\"event\":\"attempt\",\"id\":\"")
            && let Some(id) = plain_id(rest)
        {
            return Self::Opens(id.into());
        }
        if let Some(rest) = event.strip_prefix(b"{\"event\":\"end\",\"id\":\"")
            && let Some(id) = plain_id(rest)
        {
            return Self::Ends(id.into());
        }
        Self::parse(event)
    }

    fn parse(event: &'a [u8]) -> Self {
        match serde_json::from_slice::<Head<'a>>(event) {
            Ok(Head { event, id: Some(id) }) if event == "attempt" => Self::Opens(id),
            Ok(Head { event, id: Some(id) }) if event == "end" => Self::Ends(id),
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

/// The attempts that have no end yet.
#[derive(Debug, Default)]
pub(crate) struct Open(HashSet<Box<str>>);

impl Open {
    pub fn apply(&mut self, mark: &Mark<'_>) {
        match mark {
            Mark::Opens(id) => _ = self.0.insert(id.as_ref().into()),
            Mark::Ends(id) => _ = self.0.remove(id.as_ref()),
            Mark::Neither => {}
        }
    }

    pub fn add(&mut self, id: &str) {
        self.0.insert(id.into());
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// In a fixed order, so that the same set gives the same bytes.
    pub fn sorted(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self.0.iter().map(|id| &**id).collect();
        ids.sort_unstable();
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(event: &str, want: &Mark<'_>) {
        assert_eq!(&Mark::of(event.as_bytes()), want, "{event}");
    }

    #[test]
    fn attempts_and_ends_are_seen_in_any_order_of_members() {
        check(r#"{"event":"attempt","id":"a","ts":1}"#, &Mark::Opens("a".into()));
        check(r#"{"ts":1,"id":"a","event":"attempt"}"#, &Mark::Opens("a".into()));
        check(r#"{ "event" : "end", "id":"a" }"#, &Mark::Ends("a".into()));
        check(r#"{"event":"end","id":"a\u0062"}"#, &Mark::Ends("ab".into()));
        check(r#"{"event":"end","id":"b","end":"lost"}"#, &Mark::Ends("b".into()));
    }

    #[test]
    fn other_events_open_and_end_nothing() {
        check(r#"{"event":"refusal","id":"a"}"#, &Mark::Neither);
        check(r#"{"event":"start","id":"a"}"#, &Mark::Neither);
        check(r#"{"event":"attempt"}"#, &Mark::Neither);
        check(r#"{"event":"refusal","asked":"{\"event\":\"attempt\",\"id\":\"x\"}"}"#, &Mark::Neither);
        check("{}", &Mark::Neither);
    }

    #[test]
    fn any_number_of_attempts_can_be_carried() {
        let mut open = Open::default();
        for n in 0..2_500 {
            open.apply(&Mark::Opens(format!("{n:036}").into()));
        }
        let header = Own::Close { ts: 0, why: "".into(), lost: 0, torn: 0 };
        let mut out = Vec::new();
        let link = seal_preamble(Link::START, &header, &open, 1, &mut out).expect("fits");
        assert_eq!(link.seq, 4);
    }
}
