//! What servers say on their own, on its way to the sessions: changed lists (several at once become one), changed
//! resources for those who watch them, and log lines.

use crate::front::Front;
use crate::level::Level;
use crate::line::Out;
use crate::session::Session;
use bytes::Bytes;
use gate::{Face, ItemKind, Notice, ServerName, Wire};
use mcp::revision::meta;
use mcp::splice::{Change, Splice, edit_object};
use mcp::{Span, view};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

/// How long changes are collected before they are told.
const COLLECT: Duration = Duration::from_millis(250);

/// The lists a client can be told about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Topic {
    Tools,
    Prompts,
    Resources,
}

impl Topic {
    /// All of them.
    pub const ALL: [Topic; 3] = [Self::Tools, Self::Prompts, Self::Resources];

    /// The topic of a kind of item.
    pub fn of(kind: ItemKind) -> Self {
        match kind {
            ItemKind::Tool => Self::Tools,
            ItemKind::Prompt => Self::Prompts,
            ItemKind::Resource | ItemKind::Template => Self::Resources,
        }
    }

    /// The word for it in methods and filters.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
        }
    }
}

/// Changes of lists that were not told yet.
#[derive(Default)]
pub(crate) struct Changes {
    /// Which list of which server; `None` for "any": notices were missed.
    untold: HashSet<(Topic, Option<ServerName>)>,
    due: Option<Instant>,
}

impl Changes {
    /// A list changed.
    pub fn add(&mut self, topic: Topic, server: Option<ServerName>) {
        self.untold.insert((topic, server));
        self.due.get_or_insert_with(|| Instant::now() + COLLECT);
    }

    /// Any list may have changed.
    pub fn add_all(&mut self) {
        for topic in Topic::ALL {
            self.add(topic, None);
        }
    }

    /// Waits until it is time to tell; for ever if there is nothing to tell.
    pub async fn due(&self) {
        match self.due {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// What is to be told.
    pub fn take(&mut self) -> HashSet<(Topic, Option<ServerName>)> {
        self.due = None;
        std::mem::take(&mut self.untold)
    }
}

/// The topics of `untold` that concern `face`.
pub(crate) fn concerning(untold: &HashSet<(Topic, Option<ServerName>)>, face: &Face) -> Vec<Topic> {
    let concerns = |topic: &Topic| {
        untold.iter().any(|(of, server)| of == topic && server.as_ref().is_none_or(|server| shows(face, server)))
    };
    Topic::ALL.into_iter().filter(concerns).collect()
}

/// Whether a face shows a server.
pub(crate) fn shows(face: &Face, server: &ServerName) -> bool {
    match face {
        Face::All => true,
        Face::Only(only) => only == server,
    }
}

/// One session that can be told things outside any request.
pub(crate) struct Hearer {
    pub front: Arc<Front>,
    pub session: Arc<Session>,
    pub out: Out,
}

/// Tells the sessions of `audience` what servers say, for as long as it is polled. Log lines are told only while one
/// session is `alone`: one that belongs to no call may yet be about somebody's call.
pub(crate) async fn herald(
    mut notices: Receiver<Notice>,
    audience: impl Fn() -> Vec<Hearer>,
    alone: impl Fn() -> bool,
) {
    let mut changes = Changes::default();
    loop {
        tokio::select! {
            notice = notices.recv() => match notice {
                Ok(Notice::Log(server, _)) if !alone() => {
                    tracing::debug!(target: "mcp::downstream", %server, "a log line that may be anybody's");
                }
                Ok(notice) => tell(&notice, &mut changes, &audience),
                Err(RecvError::Lagged(_)) => changes.add_all(),
                Err(RecvError::Closed) => return,
            },
            () = changes.due() => tell_changes(&mut changes, &audience),
        }
    }
}

fn tell(notice: &Notice, changes: &mut Changes, audience: &impl Fn() -> Vec<Hearer>) {
    match notice {
        Notice::ListChanged(kind, server) => changes.add(Topic::of(*kind), Some(server.clone())),
        Notice::ResourceUpdated { server, uri, wire } => {
            for hearer in audience().iter().filter(|hearer| hearer.session.watches(server, uri)) {
                hearer.out.offer(retagged(wire, None));
            }
        }
        Notice::Log(server, wire) => {
            let params = std::str::from_utf8(wire.part(wire.parts.body)).unwrap_or("{}");
            let level = Level::of_params(params);
            let hears =
                |h: &Hearer| h.session.profile().shaken && level >= h.session.level() && shows(&h.front.face, server);
            for hearer in audience().iter().filter(|hearer| hears(hearer)) {
                hearer.out.offer(retagged(wire, None));
            }
        }
    }
}

fn tell_changes(changes: &mut Changes, audience: &impl Fn() -> Vec<Hearer>) {
    let untold = changes.take();
    for hearer in audience().iter().filter(|hearer| hearer.session.profile().shaken) {
        for topic in concerning(&untold, &hearer.front.face) {
            hearer.out.offer(list_changed(topic, None));
        }
    }
}

/// The notification that a list changed; in the stateless era with the raw id of the subscription it belongs to.
pub(crate) fn list_changed(topic: Topic, subscription: Option<&[u8]>) -> Bytes {
    let head = format!(r#"{{"jsonrpc":"2.0","method":"notifications/{}/list_changed""#, topic.word());
    match subscription {
        None => [head.as_bytes(), b"}"].concat().into(),
        Some(id) => [head.as_bytes(), br#","params":"#, &tagged(id), b"}"].concat().into(),
    }
}

/// A params object that only names the subscription.
fn tagged(id: &[u8]) -> Vec<u8> {
    [br#"{"_meta":{""#, meta::SUBSCRIPTION_ID.as_bytes(), b"\":", id, b"}}"].concat()
}

/// A server's notification with its subscription mark replaced by ours, or taken off.
pub(crate) fn retagged(wire: &Wire, subscription: Option<&[u8]>) -> Bytes {
    let marked = memchr::memmem::find(&wire.json, meta::SUBSCRIPTION_ID.as_bytes()).is_some();
    if subscription.is_none() && !marked {
        return wire.json.clone();
    }
    let Ok(text) = std::str::from_utf8(&wire.json) else { return wire.json.clone() };
    let id = subscription.map(|id| String::from_utf8_lossy(id).into_owned());
    let added: Vec<(&str, &str)> = id.iter().map(|id| (meta::SUBSCRIPTION_ID, &**id)).collect();
    let mut splice = Splice::new(text.as_bytes());
    let (body, own) = (wire.parts.body, wire.parts.meta);
    if own.is_none() {
        let marks = format!(r#"{{"{}":{}}}"#, meta::SUBSCRIPTION_ID, id.as_deref().unwrap_or("null"));
        splice
            .replace(Span { start: body.start, end: body.end }, edited(&text[body.range()], &[], &[("_meta", &marks)]));
    } else {
        splice.replace(
            Span { start: own.start, end: own.end },
            edited(&text[own.range()], &[meta::SUBSCRIPTION_ID], &added),
        );
    }
    splice.finish().into()
}

fn edited(object: &str, removed: &[&str], added: &[(&str, &str)]) -> Vec<u8> {
    let members = view::members(object).unwrap_or_default();
    let change = |key: &str| if removed.contains(&key) { Change::Remove } else { Change::Keep };
    edit_object(object, Span::new(0, object.len()), &members, change, added).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gate::{Parts, Place};

    fn place(json: &str, part: &str) -> Place {
        json.find(part).map_or(Place::default(), |at| Place { start: at as u32, end: (at + part.len()) as u32 })
    }

    fn check(params: &str, own: &str, subscription: Option<&str>, want: &str) {
        let json = format!(r#"{{"method":"m","params":{params}}}"#);
        let parts = Parts { body: place(&json, params), meta: place(&json, own), ..Parts::default() };
        let wire = Wire { json: json.into(), parts };
        let got = retagged(&wire, subscription.map(str::as_bytes));
        assert_eq!(got, format!(r#"{{"method":"m","params":{want}}}"#));
    }

    #[test]
    fn a_subscription_mark_belongs_to_one_hop() {
        let mark = r#"{"io.modelcontextprotocol/subscriptionId":7,"v":1}"#;
        let marked = format!(r#"{{"uri":"u","_meta":{mark}}}"#);
        check(&marked, mark, None, r#"{"uri":"u","_meta":{"v":1}}"#);
        let ours = r#"{"uri":"u","_meta":{"v":1,"io.modelcontextprotocol/subscriptionId":"x"}}"#;
        check(&marked, mark, Some("\"x\""), ours);
        check(r#"{"uri":"u"}"#, "nothing", None, r#"{"uri":"u"}"#);
        let plain = r#"{"uri":"u","_meta":{"io.modelcontextprotocol/subscriptionId":3}}"#;
        check(r#"{"uri":"u"}"#, "nothing", Some("3"), plain);
    }
}
