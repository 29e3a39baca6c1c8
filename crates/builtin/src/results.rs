//! Whole results of which callers were given parts: kept in memory, for whoever called alone, the oldest going first;
//! and the source that reads them, so that a read is decided on and recorded like any other call.
//! Not here: what is cut, and how.

use crate::NAME;
use crate::answer;
use bytes::Bytes;
use gate::catalog::RESULTS;
use gate::ports::{BoxFuture, Readiness, Results, Source};
use gate::{Fault, Permit, Principal, ReplyKind, ServerName, StartPermit, Unmasked};
use mcp::view::quoted;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptLimits {
    /// Results.
    pub count: usize,
    /// Bytes of all of them together.
    pub bytes: usize,
}

impl Default for KeptLimits {
    fn default() -> Self {
        Self { count: 256, bytes: 64 << 20 }
    }
}

/// The results that are kept.
pub struct Kept {
    name: ServerName,
    limits: KeptLimits,
    shelf: Mutex<Shelf>,
}

#[derive(Default)]
struct Shelf {
    /// The oldest first.
    results: VecDeque<Whole>,
    bytes: usize,
}

struct Whole {
    uri: String,
    by: Principal,
    mime: &'static str,
    text: Bytes,
}

impl Kept {
    /// Nothing is kept yet.
    pub fn new(limits: KeptLimits) -> Arc<Self> {
        Arc::new(Self { name: NAME.into(), limits, shelf: Mutex::default() })
    }

    /// Keeps a masked text of this type for `by` alone, and says under which URI it can be read. `None` if it is not
    /// kept.
    pub fn keep_as(&self, by: &Principal, mime: &'static str, text: Bytes) -> Option<String> {
        if self.limits.count == 0 || text.len() > self.limits.bytes {
            return None;
        }
        let mut id = [0; 16];
        getrandom::fill(&mut id).ok()?;
        let uri = format!("{RESULTS}{:032x}", u128::from_be_bytes(id));
        let mut shelf = self.shelf.lock().expect("queue operations do not panic");
        shelf.make_room(self.limits, text.len());
        shelf.bytes += text.len();
        shelf.results.push_back(Whole { uri: uri.clone(), by: by.clone(), mime, text });
        Some(uri)
    }

    fn find(&self, by: &Principal, uri: &str) -> Option<(&'static str, Bytes)> {
        let shelf = self.shelf.lock().expect("queue operations do not panic");
        let found = shelf.results.iter().find(|whole| whole.uri == uri && whole.by == *by);
        found.map(|whole| (whole.mime, whole.text.clone()))
    }
}

impl Shelf {
    fn make_room(&mut self, limits: KeptLimits, length: usize) {
        while self.results.len() >= limits.count || self.bytes + length > limits.bytes {
            let Some(oldest) = self.results.pop_front() else { return };
            self.bytes -= oldest.text.len();
        }
    }
}

impl Results for Kept {
    fn keep(&self, by: &Principal, whole: Bytes) -> Option<String> {
        self.keep_as(by, "application/json", whole)
    }

    fn read(&self, by: &Principal, uri: &str) -> Option<Bytes> {
        self.find(by, uri).map(|(_, text)| text)
    }
}

impl Source for Kept {
    fn name(&self) -> &ServerName {
        &self.name
    }

    fn readiness(&self) -> Readiness {
        Readiness::Up
    }

    fn start(&self, _: StartPermit) {
        // It is always up.
    }

    fn call(&self, permit: Permit) -> BoxFuture<'_, Result<Unmasked, Fault>> {
        let uri = permit.item().raw.clone();
        let said = match self.find(permit.by(), &uri) {
            Some((mime, text)) => contents(&uri, mime, &text),
            None => nothing(&uri),
        };
        Box::pin(async move { Ok(said) })
    }
}

fn contents(uri: &str, mime: &str, text: &[u8]) -> Unmasked {
    let (uri, text) = (quoted(uri), quoted(&String::from_utf8_lossy(text)));
    let body = format!(r#"{{"contents":[{{"uri":{uri},"mimeType":"{mime}","text":{text}}}]}}"#);
    answer::message("result", &body, ReplyKind::Result)
}

/// The same words whether it never was, is gone, or belongs to somebody else.
fn nothing(uri: &str) -> Unmasked {
    let message = "Resource not found: no such result is kept, or not any more; call the tool again";
    let body = format!(r#"{{"code":-32602,"message":"{message}","data":{{"uri":{}}}}}"#, quoted(uri));
    answer::message("error", &body, ReplyKind::Error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(kept: &Kept, text: &str) -> Option<String> {
        kept.keep(&Principal::Local, Bytes::copy_from_slice(text.as_bytes()))
    }

    fn read(kept: &Kept, uri: &str) -> Option<String> {
        kept.read(&Principal::Local, uri).map(|json| String::from_utf8_lossy(&json).into_owned())
    }

    #[test]
    fn what_is_kept_can_be_read_by_whoever_called_alone() {
        let kept = Kept::new(KeptLimits::default());
        let uri = keep(&kept, "{}").expect("kept");
        assert!(uri.starts_with(RESULTS) && uri.len() == RESULTS.len() + 32, "{uri}");
        assert_ne!(keep(&kept, "{}"), Some(uri.clone()));
        assert_eq!(read(&kept, &uri).as_deref(), Some("{}"));
        let all = [Principal::Local, Principal::Token, Principal::Unauthenticated];
        for owner in &all {
            let uri = kept.keep(owner, Bytes::from_static(b"{}")).expect("kept");
            let readers = all.iter().filter(|by| kept.read(by, &uri).is_some());
            assert_eq!(readers.collect::<Vec<_>>(), [owner]);
        }
        assert_eq!(read(&kept, &format!("{uri}0")), None);
    }

    #[test]
    fn the_oldest_make_room() {
        let check = |count: usize, bytes: usize, want: [bool; 3]| {
            let kept = Kept::new(KeptLimits { count, bytes });
            let uris = ["aaaa", "bbbb", "cccc"].map(|text| keep(&kept, text).expect("kept"));
            assert_eq!(uris.map(|uri| read(&kept, &uri).is_some()), want, "{count} {bytes}");
        };
        check(3, 12, [true; 3]);
        check(2, 100, [false, true, true]);
        check(9, 11, [false, true, true]);
        check(9, 4, [false, false, true]);
        assert_eq!(keep(&Kept::new(KeptLimits { count: 9, bytes: 3 }), "aaaa"), None);
        assert_eq!(keep(&Kept::new(KeptLimits { count: 0, bytes: 9 }), "a"), None);
    }
}
