//! Whose roots a call goes by: ours, or what its client has said of its own, as far as that is heard. A conversation is
//! asked once, and again when it says that its roots changed; in the stateless era every call brings them along.
//! Not here: which directories may be roots.

use super::resources;
use super::roots::Roots;
use crate::answer;
use gate::{Dialogue, Parts, Permit, Place, ReplyKind, Target, Unmasked, Wire};
use mcp::view;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::timeout;

/// How long a client may take to say what its roots are.
const PATIENCE: Duration = Duration::from_secs(10);
/// Conversations whose roots are known; the oldest make room.
const KNOWN_MAX: usize = 64;
/// Roots of one client.
const ROOTS_MAX: usize = 32;
/// What a call of the stateless era is asked for them by.
const KEY: &str = "roots";

/// What is made of the roots of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientRoots {
    /// Nothing.
    Ignore,
    /// They leave of ours what lies beneath them.
    Narrow,
    /// They take the place of ours.
    Accept,
}

/// One state of a conversation, and the roots it means once they are known.
struct Known {
    conversation: Arc<str>,
    /// How often it had said that they changed.
    changed: u32,
    roots: Arc<OnceCell<Arc<Roots>>>,
}

/// The roots of callers.
pub struct Callers {
    heard: ClientRoots,
    ours: Arc<Roots>,
    too_wide: Vec<PathBuf>,
    known: Mutex<VecDeque<Known>>,
}

impl Callers {
    /// Callers of a workspace with these roots of its own; directories that hold one of `too_wide` are no roots.
    pub fn new(heard: ClientRoots, ours: Arc<Roots>, too_wide: Vec<PathBuf>) -> Self {
        Self { heard, ours, too_wide, known: Mutex::default() }
    }

    /// The roots a call goes by.
    ///
    /// # Errors
    /// What its caller has to be asked first.
    pub async fn roots(&self, permit: &Permit) -> Result<Arc<Roots>, Unmasked> {
        if self.heard == ClientRoots::Ignore || !has_roots(permit) {
            return Ok(self.ours.clone());
        }
        match (permit.dialogue(), permit.conversation()) {
            (Dialogue::Live, Some(conversation)) => Ok(self.of_conversation(permit, conversation).await),
            (Dialogue::Rounds, _) if may_ask(permit) => self.of_round(permit),
            _ => Ok(self.ours.clone()),
        }
    }

    async fn of_conversation(&self, permit: &Permit, conversation: &Arc<str>) -> Arc<Roots> {
        let cell = self.cell(conversation, permit.roots_changed());
        let ask = || async {
            let said = timeout(PATIENCE, permit.feed().ask(request())).await;
            let said = said.ok().and_then(Result::ok);
            let result = said.as_ref().and_then(|wire| std::str::from_utf8(wire.part(wire.parts.body)).ok());
            self.meant(result.unwrap_or("{}"))
        };
        cell.get_or_init(ask).await.clone()
    }

    fn cell(&self, conversation: &Arc<str>, changed: u32) -> Arc<OnceCell<Arc<Roots>>> {
        // Whole entries come and go: at worst a client is asked twice.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.iter().find(|k| k.conversation == *conversation && k.changed == changed) {
            return found.roots.clone();
        }
        known.retain(|known| known.conversation != *conversation);
        known.truncate(KNOWN_MAX - 1);
        let roots = Arc::<OnceCell<_>>::default();
        known.push_front(Known { conversation: conversation.clone(), changed, roots: roots.clone() });
        roots
    }

    fn of_round(&self, permit: &Permit) -> Result<Arc<Roots>, Unmasked> {
        let wire = permit.wire();
        let params = std::str::from_utf8(wire.part(wire.parts.body)).unwrap_or("{}");
        let Some(responses) = view::member(params, "inputResponses") else {
            let asked = json!({"resultType": "input_required", "inputRequests": {KEY: {"method": "roots/list"}}});
            return Err(answer::said(&asked));
        };
        Ok(self.meant(view::member(responses, KEY).unwrap_or("{}")))
    }

    /// What a client's list comes to; ours, if that is nothing.
    fn meant(&self, result: &str) -> Arc<Roots> {
        let asked = directories(result);
        let meant = match self.heard {
            ClientRoots::Ignore => None,
            ClientRoots::Narrow => self.ours.narrowed(&asked),
            ClientRoots::Accept => Roots::of_client(&asked, &self.too_wide),
        };
        meant.map_or_else(|| self.ours.clone(), Arc::new)
    }
}

fn has_roots(permit: &Permit) -> bool {
    let raw = permit.capabilities().and_then(|raw| std::str::from_utf8(raw).ok());
    raw.is_some_and(|raw| view::member(raw, "roots").is_some_and(|roots| roots.starts_with('{')))
}

/// Whether an answer to this may ask for something.
fn may_ask(permit: &Permit) -> bool {
    match permit.target() {
        Target::Tool(_) | Target::Prompt(_) => true,
        // Of what is nowhere nobody is asked first.
        Target::Resource(uri) => resources::is_of_roots(uri),
        _ => false,
    }
}

fn request() -> Unmasked {
    let (head, id) = (r#"{"jsonrpc":"2.0","id":"#, "0");
    let place = Place { start: head.len() as u32, end: (head.len() + id.len()) as u32 };
    let json = format!(r#"{head}{id},"method":"roots/list"}}"#);
    Unmasked::message(Wire { json: json.into(), parts: Parts { id: place, ..Parts::default() } }, ReplyKind::Result)
}

/// The directories of this machine in the result of `roots/list`.
fn directories(result: &str) -> Vec<PathBuf> {
    let result: Value = serde_json::from_str(result).unwrap_or_default();
    let roots = result["roots"].as_array().map(Vec::as_slice).unwrap_or_default();
    roots.iter().take(ROOTS_MAX).filter_map(|root| directory(root["uri"].as_str()?)).collect()
}

fn directory(uri: &str) -> Option<PathBuf> {
    let rest = uri.strip_prefix("file://")?;
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    let path = PathBuf::from(resources::percent_decoded(path)?);
    path.is_absolute().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_this_machine_are_understood() {
        for (uri, expected) in [
            ("file:///a/b", Some("/a/b")),
            ("file://localhost/a%20b", Some("/a b")),
            ("file://elsewhere/a", None),
            ("https://a/b", None),
            ("/a", None),
            ("file://a", None),
        ] {
            assert_eq!(directory(uri), expected.map(PathBuf::from), "{uri}");
        }
        assert_eq!(directories(r#"{"roots":[{"uri":"file:///a"},{"uri":"x"},{}]}"#), [PathBuf::from("/a")]);
        assert!(directories(r#"{"code":-32601,"message":"no"}"#).is_empty());
    }
}
