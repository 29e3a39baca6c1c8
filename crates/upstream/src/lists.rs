//! What a server lists: fetched page by page, each item kept as the server's own bytes.
//! One bad item is dropped and reported, never the list.

use crate::http_requests;
use crate::session::{Carrier, Peer, Session, Signals};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gate::{Facts, Fault, ItemKind, Listed, Offer, Place};
use mcp::{Frame, Kind, Span, view};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

/// How often a list is fetched again at most, however often it is said to have changed.
const PACE: Duration = Duration::from_secs(1);

/// How much is told of why an item was dropped, in bytes.
const LONGEST_REASON: usize = 200;

/// One of the four lists.
struct List {
    kind: ItemKind,
    method: &'static str,
    key: &'static str,
    capability: &'static str,
    flag: u8,
}

const LISTS: [List; 4] = [
    List { kind: ItemKind::Tool, method: "tools/list", key: "tools", capability: "tools", flag: Signals::TOOLS },
    List {
        kind: ItemKind::Prompt,
        method: "prompts/list",
        key: "prompts",
        capability: "prompts",
        flag: Signals::PROMPTS,
    },
    List {
        kind: ItemKind::Resource,
        method: "resources/list",
        key: "resources",
        capability: "resources",
        flag: Signals::RESOURCES,
    },
    List {
        kind: ItemKind::Template,
        method: "resources/templates/list",
        key: "resourceTemplates",
        capability: "resources",
        flag: Signals::RESOURCES,
    },
];

/// Lists that were fetched; a kind that is not here keeps what was known of it.
pub(crate) type Parts = Vec<(ItemKind, Vec<Listed>)>;

/// The outcome of fetching some lists.
pub(crate) struct Fetched {
    pub parts: Parts,
    /// Why others could not be.
    pub troubles: Vec<(ItemKind, Fault)>,
}

/// Fetches lists one after another, at a bearable pace.
pub(crate) struct Lists {
    session: Arc<Session>,
    due: u8,
    not_before: Instant,
    running: Option<BoxFuture<'static, Fetched>>,
}

impl Lists {
    /// All lists are due.
    pub fn new(session: Arc<Session>) -> Self {
        Self { session, due: Signals::LISTS, not_before: Instant::now(), running: None }
    }

    /// The lists with these flags have changed.
    pub fn ask(&mut self, flags: u8) {
        self.due |= flags;
    }

    /// Waits until some lists are due and fetched. Cancel safe: what was begun goes on with the next call.
    pub async fn run(&mut self) -> Fetched {
        if self.running.is_none() {
            if self.due == 0 {
                std::future::pending::<()>().await;
            }
            sleep_until(self.not_before).await;
            self.not_before = Instant::now() + PACE;
            self.running = Some(fetch(self.session.clone(), std::mem::take(&mut self.due)).boxed());
        }
        let fetched = self.running.as_mut().expect("begun above if it was not running").await;
        self.running = None;
        fetched
    }
}

async fn fetch(session: Arc<Session>, flags: u8) -> Fetched {
    let mut fetched = Fetched { parts: Vec::new(), troubles: Vec::new() };
    let limit = session.shared.options.startup_timeout;
    for list in LISTS.iter().filter(|list| list.flag & flags != 0) {
        if !session.offers(&[list.capability]) {
            fetched.parts.push((list.kind, Vec::new()));
            continue;
        }
        let outcome = timeout(limit, pages(&session, list)).await;
        match outcome.unwrap_or_else(|_| Err(session.shared.faults.start_timeout(list.method, limit))) {
            Ok(items) => fetched.parts.push((list.kind, items)),
            Err(fault) => {
                tracing::warn!(target: "mcp::client", server = %session.shared.options.name, "{fault}");
                fetched.troubles.push((list.kind, fault));
            }
        }
    }
    fetched
}

async fn pages(session: &Arc<Session>, list: &List) -> Result<Vec<Listed>, Fault> {
    let (limits, faults) = (&session.shared.options.limits, &session.shared.faults);
    let mut collected = Collected::new(session, list.kind);
    let mut cursors = HashSet::new();
    let mut params = String::new();
    for _ in 0..limits.list_pages {
        let frame = match session.ask(list.method, &params).await {
            Ok(frame) => frame,
            Err(trouble) => return Err(trouble.into_fault(faults)),
        };
        if frame.kind() == Kind::Error {
            // A server that advertises resources need not have templates.
            let absent = list.kind == ItemKind::Template || crate::session::error_code(&frame) == Some(-32601);
            return if absent {
                Ok(collected.items)
            } else {
                Err(faults.protocol(format!("refused `{}`", list.method)))
            };
        }
        collected.page(&frame, list)?;
        let Some(cursor) = frame.get("nextCursor").filter(|cursor| *cursor != "null") else {
            return Ok(collected.items);
        };
        if collected.items.len() >= limits.list_items {
            tracing::warn!(target: "mcp::client", server = %session.shared.options.name, limit = limits.list_items,
                "`{}` was cut short: too many items", list.method);
            return Ok(collected.items);
        }
        if cursor.len() > limits.cursor_bytes || !cursors.insert(cursor.to_owned()) {
            let what = if cursors.contains(cursor) { "repeats a cursor of" } else { "sends too long a cursor for" };
            return Err(faults.protocol(format!("{what} `{}`", list.method)));
        }
        params = format!("\"cursor\":{cursor}");
    }
    Err(faults.protocol(format!("has more than {} pages of `{}`", limits.list_pages, list.method)))
}

/// The items of one list so far.
struct Collected<'a> {
    session: &'a Session,
    kind: ItemKind,
    items: Vec<Listed>,
    seen: HashSet<Box<str>>,
}

impl<'a> Collected<'a> {
    fn new(session: &'a Session, kind: ItemKind) -> Self {
        Self { session, kind, items: Vec::new(), seen: HashSet::new() }
    }

    fn page(&mut self, frame: &Frame, list: &List) -> Result<(), Fault> {
        let array = frame.span(list.key);
        let unreadable = || self.session.shared.faults.protocol(format!("answered `{}` without a list", list.method));
        if array.is_none() {
            return Err(unreadable());
        }
        let spans = view::elements(array.of(frame.text())).map_err(|_| unreadable())?;
        let room = self.session.shared.options.limits.list_items.saturating_sub(self.items.len());
        for span in spans.into_iter().take(room) {
            let start = array.start as usize;
            self.take(frame.json().slice(start + span.start as usize..start + span.end as usize));
        }
        Ok(())
    }

    fn take(&mut self, definition: Bytes) {
        // Items are kept for long: they must not hold the whole page's buffer in memory.
        let item = read_item(self.kind, Bytes::copy_from_slice(&definition)).and_then(|item| self.accept(item));
        if let Err(why) = item {
            let server = &self.session.shared.options.name;
            let why = shown(&why, &self.session.shared.world.hub.masks());
            tracing::warn!(target: "mcp::client", %server, kind = ?self.kind, "dropped from a list: {why}");
        }
    }

    fn accept(&mut self, item: Listed) -> Result<(), String> {
        let over_http = matches!(self.session.carrier, Carrier::Http(_)) && self.session.is_modern();
        if over_http && self.kind == ItemKind::Tool {
            http_requests::annotations(&item.definition).map_err(|why| why.to_string())?;
        }
        if !self.seen.insert(item.raw.clone()) {
            return Err("its name is there twice".to_owned());
        }
        self.items.push(item);
        Ok(())
    }
}

/// What is wrong with an item, fit to be shown: it may quote the server.
fn shown(why: &str, masks: &gate::Masks) -> String {
    let masked = masks.text(why);
    masked[..masked.floor_char_boundary(LONGEST_REASON)].to_owned()
}

/// One item of a list, as far as the gate decides on it.
pub(crate) fn read_item(kind: ItemKind, definition: Bytes) -> Result<Listed, String> {
    let text = std::str::from_utf8(&definition).map_err(|_| "not UTF-8")?;
    let members = view::members(text).map_err(|flaw| flaw.to_string())?;
    let get = |key: &str| view::find(text, &members, key).map(|member| member.value);
    let key = match kind {
        ItemKind::Tool | ItemKind::Prompt => "name",
        ItemKind::Resource => "uri",
        ItemKind::Template => "uriTemplate",
    };
    let raw = get(key).and_then(|span| view::string(span.of(text))).filter(|raw| !raw.is_empty());
    let raw: Box<str> = raw.ok_or_else(|| format!("it has no `{key}`"))?.into();
    if kind == ItemKind::Tool && !get("inputSchema").is_some_and(|span| span.of(text).starts_with('{')) {
        return Err(format!("tool `{}` has no `inputSchema`", raw.escape_debug()));
    }
    if get("description").is_some_and(|span| !span.of(text).starts_with('"')) {
        return Err(format!("the description of `{}` is no text", raw.escape_debug()));
    }
    let name = get("name").filter(|span| span.of(text).starts_with('"')).unwrap_or(Span::NONE);
    let facts = get("annotations").map(|span| facts(span.of(text))).unwrap_or_default();
    Ok(Listed { kind, raw, name_at: Place { start: name.start, end: name.end }, facts, definition: definition.clone() })
}

fn facts(annotations: &str) -> Facts {
    let Ok(members) = view::members(annotations) else { return Facts::default() };
    let hint = |key: &str| view::find(annotations, &members, key).and_then(|m| view::boolean(m.value.of(annotations)));
    Facts { read_only: hint("readOnlyHint"), destructive: hint("destructiveHint"), open_world: hint("openWorldHint") }
}

/// What the server offers now: the fetched lists, and of the others what was known before.
pub(crate) fn merge(peer: &Peer, mut parts: Parts, before: Option<&Offer>) -> Offer {
    let mut listed = Vec::new();
    for list in &LISTS {
        match parts.iter_mut().find(|(kind, _)| *kind == list.kind) {
            Some((_, items)) => listed.append(items),
            None => {
                let known = before.map_or(&[][..], |offer| &offer.listed);
                listed.extend(known.iter().filter(|item| item.kind == list.kind).cloned());
            }
        }
    }
    Offer {
        listed,
        instructions: peer.instructions.clone(),
        capabilities: Some(peer.capabilities.clone()),
        server_info: peer.server_info.clone(),
        serves_resources: peer.offers(&["resources"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: ItemKind, definition: &str, want: Result<(&str, &str, Facts), &str>) {
        let item = read_item(kind, Bytes::copy_from_slice(definition.as_bytes()));
        match (item, want) {
            (Ok(item), Ok((raw, name, facts))) => {
                assert_eq!((&*item.raw, &definition[item.name_at.range()], item.facts), (raw, name, facts));
                assert_eq!(item.definition, definition.as_bytes());
            }
            (Err(why), Err(want)) => assert_eq!(why, want),
            (got, want) => panic!("{definition}: {got:?} instead of {want:?}"),
        }
    }

    #[test]
    fn an_item_is_read_as_far_as_it_is_decided_on() {
        let silent = Facts::default();
        check(ItemKind::Tool, r#"{"x":1, "name" : "a\u0062", "inputSchema":{}}"#, Ok(("ab", r#""a\u0062""#, silent)));
        let read_only = Facts { read_only: Some(true), destructive: None, open_world: Some(false) };
        let annotated = r#"{"name":"a","inputSchema":{},"annotations":{"readOnlyHint":true,"openWorldHint":false,"destructiveHint":"no"}}"#;
        check(ItemKind::Tool, annotated, Ok(("a", r#""a""#, read_only)));
        let twice = r#"{"name":"a","inputSchema":{},"annotations":{"readOnlyHint":true,"readOnlyHint":false}}"#;
        check(ItemKind::Tool, twice, Ok(("a", r#""a""#, silent)));
        check(ItemKind::Resource, r#"{"uri":"f:///x","name":"n"}"#, Ok(("f:///x", r#""n""#, silent)));
        check(ItemKind::Template, r#"{"uriTemplate":"f:///{x}"}"#, Ok(("f:///{x}", "", silent)));
    }

    #[test]
    fn what_is_told_of_a_bad_item_is_short_and_masked() {
        let masks = gate::Masks::new(&[gate::Secret::new("token-abcdef")]);
        let definition = format!(r#"{{"name":"token-abcdef{}"}}"#, "é".repeat(1_000));
        let why = read_item(ItemKind::Tool, definition.into()).expect_err("no schema");
        let told = shown(&why, &masks);
        assert!(told.starts_with("tool `*****é") && told.len() <= LONGEST_REASON, "{told}");
    }

    #[test]
    fn a_bad_item_says_why() {
        check(ItemKind::Tool, r#"{"name":"a"}"#, Err("tool `a` has no `inputSchema`"));
        check(ItemKind::Tool, r#"{"name":"","inputSchema":{}}"#, Err("it has no `name`"));
        check(ItemKind::Tool, r#"{"name":7,"inputSchema":{}}"#, Err("it has no `name`"));
        check(
            ItemKind::Tool,
            r#"{"name":"a","inputSchema":{},"description":7}"#,
            Err("the description of `a` is no text"),
        );
        check(
            ItemKind::Prompt,
            r#"{"name":"a","name":"b"}"#,
            Err("the same key stands twice in one object, at byte 12"),
        );
        check(ItemKind::Resource, r#"[]"#, Err("not an object"));
    }
}
