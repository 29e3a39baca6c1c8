//! Lists: pages of what a face shows, answered at once, or after a short wait for servers never seen before.

use crate::answer::Answer;
use crate::front::Front;
use crate::render::Rendered;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use gate::{ItemKind, ServerName};
use mcp::revision::{code, meta};
use mcp::{Era, Frame};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Items on one page. Far above what most clients can use, so that few need a second.
const PAGE: usize = 1_000;

/// How often a wait looks at the catalog on its own, should a notice get lost.
const LOOK: Duration = Duration::from_millis(25);

/// The member of a list result that holds the items of this kind.
fn member(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Tool => "tools",
        ItemKind::Prompt => "prompts",
        ItemKind::Resource => "resources",
        ItemKind::Template => "resourceTemplates",
    }
}

/// The lists of one face.
pub(crate) struct Lists {
    /// By kind and era; replaced when the catalog changed.
    rendered: Mutex<[Option<Arc<Rendered>>; 8]>,
    /// Marks cursors as made by this process.
    mark: [u8; 4],
    /// The state of the catalog in which no server was unknown.
    warm: AtomicU64,
    /// The state of the catalog in which every server was known.
    complete: AtomicU64,
    /// Servers that were waited for and did not come: lists do not wait for them again.
    late: Mutex<HashSet<ServerName>>,
}

impl Lists {
    /// Nothing rendered yet. `mark` is random.
    pub fn new(mark: [u8; 4]) -> Self {
        let (warm, complete) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { rendered: Mutex::default(), mark, warm, complete, late: Mutex::default() }
    }

    /// Whether every server of the face is known, or known not to come soon.
    pub fn ready(&self, front: &Front) -> bool {
        let epoch = front.gate.catalog().epoch();
        if self.warm.load(Ordering::Relaxed) == epoch {
            return true;
        }
        let cold = self.awaited(front.gate.warm(&front.face));
        if cold.is_empty() {
            self.warm.store(epoch, Ordering::Relaxed);
        }
        cold.is_empty()
    }

    /// Whether every server of the face is known, so that an unknown name is one that nobody has.
    pub fn complete(&self, front: &Front) -> bool {
        let catalog = front.gate.catalog();
        let epoch = catalog.epoch();
        if self.complete.load(Ordering::Relaxed) == epoch {
            return true;
        }
        let complete = catalog.servers(&front.face).iter().all(|server| catalog.offer(server).is_some());
        if complete {
            self.complete.store(epoch, Ordering::Relaxed);
        }
        complete
    }

    /// Waits until all servers that were never seen are known or have failed, or `patience` is over. Who is not
    /// there by then is late, and no list waits for it again.
    pub async fn settle(&self, front: &Front, patience: Duration) {
        let cold = self.awaited(front.gate.warm(&front.face));
        if !settle(front, &cold, patience, || false).await {
            self.late.lock().expect("set operations do not panic").extend(cold);
        }
    }

    /// One page, by the request's cursor.
    pub fn answer(&self, front: &Front, frame: &Frame, kind: ItemKind, era: Era) -> Answer {
        let id = frame.id().unwrap_or("null").as_bytes();
        let rendered = self.rendered(front, kind, era);
        let at = match frame.get("cursor") {
            None | Some("null") => 0,
            Some(_) => match frame.get_string("cursor").and_then(|cursor| self.place(&cursor, &rendered, kind)) {
                Some(at) => at,
                None => return Answer::error(id, code::INVALID_PARAMS, "the cursor is invalid or out of date", None),
            },
        };
        let next = (at + 1 < rendered.pages()).then(|| self.cursor(&rendered, kind, at + 1));
        Answer::result(page(
            id,
            kind,
            rendered.page(at),
            next.as_deref(),
            (era == Era::Modern).then_some(&front.server_info),
        ))
    }

    fn awaited(&self, mut cold: Vec<ServerName>) -> Vec<ServerName> {
        let late = self.late.lock().expect("set operations do not panic");
        cold.retain(|server| !late.contains(server));
        cold
    }

    fn rendered(&self, front: &Front, kind: ItemKind, era: Era) -> Arc<Rendered> {
        let slot = kind as usize * 2 + usize::from(era == Era::Modern);
        let epoch = front.gate.catalog().epoch();
        let ready = self.rendered.lock().expect("a clone does not panic")[slot].clone();
        if let Some(rendered) = ready.filter(|rendered| rendered.epoch == epoch) {
            return rendered;
        }
        let fresh = Arc::new(Rendered::new(front, kind, era, PAGE));
        self.rendered.lock().expect("a move does not panic")[slot] = Some(fresh.clone());
        fresh
    }

    fn cursor(&self, rendered: &Rendered, kind: ItemKind, page: usize) -> String {
        let place = u32::try_from(page).unwrap_or(u32::MAX).to_be_bytes();
        URL_SAFE_NO_PAD.encode([&self.mark[..], &rendered.epoch.to_be_bytes(), &[kind as u8], &place].concat())
    }

    /// The page a cursor means, unless it is not ours or the list has changed since.
    fn place(&self, cursor: &str, rendered: &Rendered, kind: ItemKind) -> Option<usize> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let page = u32::from_be_bytes(bytes.get(13..)?.try_into().ok()?) as usize;
        (self.cursor(rendered, kind, page) == cursor && page < rendered.pages()).then_some(page)
    }
}

/// A list result. With `info` it is one of the stateless era.
fn page(id: &[u8], kind: ItemKind, items: &[u8], next: Option<&str>, info: Option<&String>) -> Bytes {
    let mut json = Vec::with_capacity(items.len() + id.len() + 320);
    json.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    json.extend_from_slice(id);
    json.extend_from_slice(br#","result":{""#);
    json.extend_from_slice(member(kind).as_bytes());
    json.extend_from_slice(b"\":[");
    json.extend_from_slice(items);
    json.push(b']');
    if let Some(next) = next {
        json.extend_from_slice(format!(r#","nextCursor":"{next}""#).as_bytes());
    }
    if let Some(info) = info {
        json.extend_from_slice(br#","resultType":"complete","ttlMs":0,"cacheScope":"private","_meta":{""#);
        json.extend_from_slice(meta::SERVER_INFO.as_bytes());
        json.extend_from_slice(b"\":");
        json.extend_from_slice(info.as_bytes());
        json.push(b'}');
    }
    json.extend_from_slice(b"}}");
    json.into()
}

/// Waits until `enough` says so, or all of `cold` are known or have failed; says whether it did not have to give up
/// when `patience` was over.
pub(crate) async fn settle(front: &Front, cold: &[ServerName], patience: Duration, enough: impl Fn() -> bool) -> bool {
    let mut notices = front.gate.hub().listen();
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        if enough() || cold.iter().all(|server| front.gate.settled(server)) {
            return true;
        }
        tokio::select! {
            _ = notices.recv() => {}
            () = tokio::time::sleep(LOOK) => {}
            () = front.hurry.cancelled() => return true,
        }
        if tokio::time::Instant::now() >= deadline {
            return false;
        }
    }
}
