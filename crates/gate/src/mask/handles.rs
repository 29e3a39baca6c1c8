//! Handles: names for masked values of one server, which the gate can turn back for the same server and for nobody else.
//! They live in memory, for as long as the process and only so many at once.

use crate::words::ServerName;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// How many values are remembered; the oldest goes first.
const MOST: usize = 4096;

/// A longer value is not remembered; its handle cannot be put back.
const LONGEST: usize = 16 << 10;

pub(super) const OPEN: &str = "tg_sec_";

pub(super) struct Handles {
    key: [u8; 32],
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    values: HashMap<String, (ServerName, String)>,
    order: VecDeque<String>,
}

impl Handles {
    pub fn new(key: [u8; 32]) -> Self {
        Self { key, kept: Mutex::default() }
    }

    /// The handle of a value of that server: the same for the same value, and nothing to anybody without the key.
    pub fn keep(&self, server: &ServerName, value: &[u8]) -> String {
        let code = self.code(server, value);
        let name: String = server.as_str().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let handle = format!("{OPEN}{name}_{}", crate::ledger::hex(&code[..12]));
        let text = std::str::from_utf8(value).ok().filter(|text| text.len() <= LONGEST);
        if let Some(text) = text {
            self.remember(&handle, server, text);
        }
        handle
    }

    fn remember(&self, handle: &str, server: &ServerName, value: &str) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.values.insert(handle.to_owned(), (server.clone(), value.to_owned())).is_none() {
            kept.order.push_back(handle.to_owned());
        }
        while kept.order.len() > MOST {
            let oldest = kept.order.pop_front();
            oldest.and_then(|oldest| kept.values.remove(&oldest));
        }
    }

    /// `json` with the values put back in those strings that are a handle of this server and nothing else: never within a
    /// text, a command line or a URL, where the value could be sent to somebody.
    pub fn restore(&self, server: &ServerName, json: &[u8], grant: &dyn Fn(&str) -> bool) -> Option<Bytes> {
        memchr::memmem::find(json, OPEN.as_bytes())?;
        let walk = super::walk::Walk::new(json);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut out, mut at) = (Vec::with_capacity(json.len()), 0);
        for token in walk.tokens.iter().filter(|token| token.kind == super::walk::Kind::Text) {
            let raw = &json[token.place.range()];
            let handle = std::str::from_utf8(raw).map_or("", |raw| raw.trim_matches('"'));
            let value = kept.values.get(handle).filter(|(owner, _)| owner == server && grant(handle));
            if let Some((_, value)) = value {
                out.extend_from_slice(&json[at..token.place.start as usize]);
                out.extend_from_slice(&serde_json::to_vec(value).expect("a string always serialises"));
                at = token.place.end as usize;
            }
        }
        (at > 0).then(|| [out.as_slice(), &json[at..]].concat().into())
    }

    /// HMAC-SHA-256 over server and value.
    fn code(&self, server: &ServerName, value: &[u8]) -> [u8; 32] {
        let pad = |with: u8| {
            let mut block = [with; 64];
            block.iter_mut().zip(self.key).for_each(|(byte, key)| *byte ^= key);
            block
        };
        let name = server.as_str().as_bytes();
        let inner = Sha256::new().chain_update(pad(0x36)).chain_update((name.len() as u64).to_be_bytes());
        let inner = inner.chain_update(name).chain_update(value).finalize();
        Sha256::new().chain_update(pad(0x5C)).chain_update(inner).finalize().into()
    }
}
