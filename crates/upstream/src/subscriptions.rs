//! Who wants to hear of which resource, and the stream on which a server of the stateless era tells it.

use crate::session::{Session, Signals, Trouble};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, select_all};
use mcp::{Frame, Kind, view};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

/// The first pause before a broken stream is opened again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long a server may take to agree to what it agreed to before.
const ANSWER: Duration = Duration::from_secs(10);

/// How many callers want to hear of each resource. Outlives conversations.
#[derive(Default)]
pub(crate) struct Interests(Mutex<BTreeMap<Box<str>, usize>>);

impl Interests {
    fn map(&self) -> MutexGuard<'_, BTreeMap<Box<str>, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anybody wants to hear of `uri`.
    pub fn has(&self, uri: &str) -> bool {
        self.map().contains_key(uri)
    }

    /// One more; whether it is the first.
    pub fn add(&self, uri: &str) -> bool {
        let mut map = self.map();
        let count = map.entry(uri.into()).or_default();
        *count += 1;
        *count == 1
    }

    /// One less; whether that leaves nobody.
    pub fn remove(&self, uri: &str) -> bool {
        let mut map = self.map();
        let Some(count) = map.get_mut(uri) else { return true };
        *count -= 1;
        let nobody = *count == 0;
        if nobody {
            map.remove(uri);
        }
        nobody
    }

    fn uris(&self) -> Vec<Box<str>> {
        self.map().keys().cloned().collect()
    }

    /// Tells a conversation that knows nothing of earlier ones what is wanted: log lines, and resources to watch.
    /// A server that does not answer is not waited for for ever.
    pub async fn restore(&self, session: &Arc<Session>) {
        if session.is_modern() || !session.first_listing() {
            return;
        }
        if let (Some(level), true) = (session.shared.log_level(), session.offers(&["logging"])) {
            // A server that does not do it logs as it pleases.
            let _ = timeout(ANSWER, session.ask("logging/setLevel", &format!("\"level\":{level}"))).await;
        }
        for uri in self.uris() {
            let params = format!("\"uri\":{}", view::quoted(&uri));
            if !matches!(timeout(ANSWER, session.ask("resources/subscribe", &params)).await, Ok(Ok(_))) {
                tracing::debug!(target: "mcp::client", server = %session.shared.options.name, "cannot subscribe again");
            }
        }
    }
}

/// The stream of a stateless server for what it says on its own. There is one, but for the moment in which
/// another set of resources takes over.
pub(crate) struct Listening {
    session: Arc<Session>,
    streams: Vec<BoxFuture<'static, Result<Frame, Trouble>>>,
    open_at: Option<Instant>,
    pause: Duration,
}

impl Listening {
    /// Listens if there is anything to be heard.
    pub fn new(session: Arc<Session>) -> Self {
        let open_at = session.is_modern().then(Instant::now);
        Self { session, streams: Vec::new(), open_at, pause: FIRST_PAUSE }
    }

    /// Takes the signals that concern it.
    pub fn heard(&mut self, flags: u8) {
        if flags & Signals::INTERESTS != 0 && self.session.is_modern() {
            self.open_at = Some(Instant::now());
        }
        if flags & Signals::ACKNOWLEDGED != 0 {
            // The newest stream works: those before it have done their duty.
            self.pause = FIRST_PAUSE;
            let older = self.streams.len().saturating_sub(1);
            self.streams.drain(..older);
        }
    }

    /// Keeps the stream open. Returns now and then; cancel safe.
    pub async fn run(&mut self) {
        let open_at = self.open_at;
        let due = async move {
            match open_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        if self.streams.is_empty() {
            due.await;
            return self.open();
        }
        let ended = tokio::select! {
            () = due => None,
            (outcome, at, _) = select_all(self.streams.iter_mut()) => Some((outcome, at)),
        };
        match ended {
            None => self.open(),
            Some((outcome, at)) => self.closed(outcome, at),
        }
    }

    fn open(&mut self) {
        self.open_at = None;
        let Some(filter) = filter(&self.session) else { return self.streams.clear() };
        let session = self.session.clone();
        let params = format!("\"notifications\":{filter}");
        self.streams.push(async move { session.ask("subscriptions/listen", &params).await }.boxed());
    }

    fn closed(&mut self, outcome: Result<Frame, Trouble>, at: usize) {
        drop(self.streams.remove(at));
        let refused = outcome.is_ok_and(|frame| frame.kind() == Kind::Error);
        if self.streams.is_empty() && !refused {
            self.open_at = Some(Instant::now() + self.pause);
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// What is listened for, raw; `None` if there is nothing.
fn filter(session: &Session) -> Option<String> {
    let peer = session.peer()?;
    let lists =
        [("tools", "toolsListChanged"), ("prompts", "promptsListChanged"), ("resources", "resourcesListChanged")];
    let announced = lists.iter().filter(|(capability, _)| peer.offers(&[capability, "listChanged"]));
    let mut members: Vec<String> = announced.map(|(_, key)| format!("\"{key}\":true")).collect();
    let uris = session.shared.interests.uris();
    if !uris.is_empty() {
        let uris: Vec<String> = uris.iter().map(|uri| view::quoted(uri)).collect();
        members.push(format!("\"resourceSubscriptions\":[{}]", uris.join(",")));
    }
    (!members.is_empty()).then(|| format!("{{{}}}", members.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_and_the_last_interest_matter_to_the_server() {
        let interests = Interests::default();
        assert!(interests.add("a"));
        assert!(!interests.add("a"));
        assert!(!interests.remove("a"));
        assert!(interests.has("a"));
        assert!(interests.remove("a"));
        assert!(!interests.has("a"));
        assert!(interests.remove("never"));
    }
}
