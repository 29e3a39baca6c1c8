//! `subscriptions/listen`: a request of the stateless era that hears of changes until it ends.

use crate::answer::Answer;
use crate::caller::Caller;
use crate::encode::request_wire;
use crate::front::Front;
use crate::herald::{self, Changes, Topic};
use crate::line::Out;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use gate::{Abilities, Call, Gate, Notice, Principal, ReplyKind, ServerName, Target, Trace};
use mcp::revision::{code, meta};
use mcp::{Frame, Limits, Span, view};
use std::sync::Arc;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// How many resources one request may watch.
const MOST_RESOURCES: usize = 1_000;

/// One open subscription.
pub(crate) struct Listen {
    /// The raw id of the request, which is the subscription's name.
    id: Bytes,
    topics: Vec<Topic>,
    uris: Vec<Box<str>>,
    by: Principal,
    out: Out,
    notices: Receiver<Notice>,
}

impl Listen {
    /// Reads what a request wants to hear. From now on nothing of it is missed.
    ///
    /// # Errors
    /// The answer to a request without a filter that can be read.
    pub fn new(front: &Front, frame: &Frame, caller: &Caller) -> Result<Self, Answer> {
        let id = frame.json().slice(frame.id_span().range());
        let invalid = |what: &str| Answer::error(&id, code::INVALID_PARAMS, what, None);
        let filter = frame.get("notifications").filter(|raw| raw.starts_with('{'));
        let filter = filter.ok_or_else(|| invalid("`params.notifications` is missing or no object"))?;
        let wants = |topic: &Topic| view::member(filter, &format!("{}ListChanged", topic.word())) == Some("true");
        let uris = uris(filter).ok_or_else(|| invalid("`resourceSubscriptions` is no list of URIs, or too long"))?;
        Ok(Self {
            topics: Topic::ALL.into_iter().filter(wants).collect(),
            uris,
            by: caller.by.clone(),
            out: caller.out.clone(),
            notices: front.gate.hub().listen(),
            id,
        })
    }

    /// The raw id of the request.
    pub fn id(&self) -> &Bytes {
        &self.id
    }

    /// Tells what there is to tell until the face closes. Dropped, it ends without a word.
    pub async fn run(mut self, front: &Front) -> Answer {
        let mut watching = Watching { gate: front.gate.clone(), by: self.by.clone(), front, watches: Vec::new() };
        self.watch(front, &mut watching);
        self.out.offer(self.acknowledged());
        let begin = |(at, uri): (usize, &str)| {
            let call = front.gate.call(subscription(front, &self.by, uri, true));
            async move { (at, call.await) }
        };
        let mut pending: FuturesUnordered<_> = self.uris.iter().map(|uri| &**uri).enumerate().map(begin).collect();
        let mut changes = Changes::default();
        loop {
            tokio::select! {
                notice = self.notices.recv() => match notice {
                    Ok(notice) => tell(&notice, &self.topics, &self.id, &self.out, front, &watching, &mut changes),
                    Err(RecvError::Lagged(_)) => changes.add_all(),
                    Err(RecvError::Closed) => return self.ended(),
                },
                // A server that refuses to be watched is not waited for: its resource stays silent.
                Some((at, begun)) = pending.next(), if !pending.is_empty() => {
                    watching.watches[at].begun = begun.is_ok_and(|reply| reply.kind == ReplyKind::Result);
                }
                () = changes.due() => {
                    for topic in herald::concerning(&changes.take(), &front.face) {
                        if self.topics.contains(&topic) {
                            self.out.offer(herald::list_changed(topic, Some(&self.id)));
                        }
                    }
                }
                () = front.stop.cancelled() => return self.ended(),
            }
        }
    }

    /// Keeps of the resources asked for those that some server owns.
    fn watch(&mut self, front: &Front, watching: &mut Watching<'_>) {
        self.uris.retain(|uri| match front.gate.catalog().resolve(&front.face, &Target::Subscribe(uri.clone())) {
            Ok(item) => {
                watching.watches.push(Watched { uri: uri.clone(), server: item.server.clone(), begun: false });
                true
            }
            Err(_) => false,
        });
    }

    /// The first message of a subscription: what of the filter is honoured.
    fn acknowledged(&self) -> Bytes {
        let mut honoured: Vec<String> =
            self.topics.iter().map(|topic| format!(r#""{}ListChanged":true"#, topic.word())).collect();
        if !self.uris.is_empty() {
            let quoted: Vec<String> = self.uris.iter().map(|uri| view::quoted(uri)).collect();
            honoured.push(format!(r#""resourceSubscriptions":[{}]"#, quoted.join(",")));
        }
        let id = String::from_utf8_lossy(&self.id);
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"_meta":{{"{}":{id}}},"notifications":{{{}}}}}}}"#,
            meta::SUBSCRIPTION_ID,
            honoured.join(",")
        )
        .into()
    }

    fn ended(&self) -> Answer {
        let id = String::from_utf8_lossy(&self.id);
        let result = format!(r#"{{"resultType":"complete","_meta":{{"{}":{id}}}}}"#, meta::SUBSCRIPTION_ID);
        Answer::of_result(&self.id, &result)
    }
}

fn tell(
    notice: &Notice,
    topics: &[Topic],
    id: &[u8],
    out: &Out,
    front: &Front,
    watching: &Watching<'_>,
    changes: &mut Changes,
) {
    match notice {
        Notice::ListChanged(kind, server) if topics.contains(&Topic::of(*kind)) => {
            changes.add(Topic::of(*kind), Some(server.clone()));
        }
        Notice::ResourceUpdated { server, uri, wire } if watching.has(server, uri) => {
            debug_assert!(herald::shows(&front.face, server));
            out.offer(herald::retagged(wire, Some(id)));
        }
        // Log lines are not for subscriptions.
        Notice::ListChanged(..) | Notice::ResourceUpdated { .. } | Notice::Log(..) => {}
    }
}

/// The resources a subscription watches. When it ends, in whatever way, each watch that began is taken back.
struct Watching<'f> {
    gate: Arc<Gate>,
    by: Principal,
    front: &'f Front,
    watches: Vec<Watched>,
}

/// One resource of a subscription.
struct Watched {
    uri: Box<str>,
    server: ServerName,
    /// Its server agreed.
    begun: bool,
}

impl Watching<'_> {
    fn has(&self, server: &ServerName, uri: &str) -> bool {
        self.watches.iter().any(|watched| *watched.uri == *uri && watched.server == *server)
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        let begun = self.watches.iter().filter(|watched| watched.begun);
        let left: Vec<_> = begun.map(|watched| subscription(self.front, &self.by, &watched.uri, false)).collect();
        if let (false, Some(leave)) = (left.is_empty(), on_runtime()) {
            let gate = self.gate.clone();
            self.front.tracker.spawn_on(unsubscribe(gate, left), &leave);
        }
    }
}

/// Takes back subscriptions, one after the other.
pub(crate) async fn unsubscribe(gate: Arc<Gate>, calls: Vec<Call>) {
    for call in calls {
        // The server may be gone; then there is nothing to take back.
        let _ = gate.call(call).await;
    }
}

/// The runtime we are on, which is gone when a process ends.
pub(crate) fn on_runtime() -> Option<tokio::runtime::Handle> {
    tokio::runtime::Handle::try_current().ok()
}

/// The call that begins or ends watching a resource, on behalf of a request that did not say it in these words.
pub(crate) fn subscription(front: &Front, by: &Principal, uri: &str, begin: bool) -> Call {
    let (method, target): (_, fn(Box<str>) -> Target) =
        if begin { ("subscribe", Target::Subscribe) } else { ("unsubscribe", Target::Unsubscribe) };
    let quoted = view::quoted(uri);
    let json = format!(r#"{{"jsonrpc":"2.0","id":0,"method":"resources/{method}","params":{{"uri":{quoted}}}}}"#);
    let frame = Frame::parse(json.into(), &Limits::default()).expect("made of constants and one quoted string");
    Call {
        id: front.gate.fresh_id(),
        by: by.clone(),
        face: front.face.clone(),
        target: target(uri.into()),
        wire: request_wire(&frame, frame.span("uri"), Span::NONE),
        trace: Trace::default(),
        abilities: Abilities::default(),
        conversation: None,
        claim: None,
        listener: None,
    }
}

fn uris(filter: &str) -> Option<Vec<Box<str>>> {
    let Some(raw) = view::member(filter, "resourceSubscriptions") else { return Some(Vec::new()) };
    let spans = view::elements(raw).ok().filter(|spans| spans.len() <= MOST_RESOURCES)?;
    spans.iter().map(|span| view::string(span.of(raw)).map(Into::into)).collect()
}
