//! What was called and who called it, as events tell it: masked, bounded and quoted once, and kept, because most calls
//! repeat the names of calls before them.

use super::events::Event;
use crate::catalog::Item;
use crate::mask::Masks;
use crate::words::{Call, ItemKind};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How many names are kept. Whoever asks for more of them has them made anew.
const MOST: usize = 512;

/// The members of an event that name a call, by the name it was asked for by.
#[derive(Default)]
pub(super) struct Names(Mutex<HashMap<Box<str>, Arc<Named>>>);

struct Named {
    of: Of<Box<str>>,
    members: Vec<u8>,
}

/// What the members are made of, besides the name that was asked for.
#[derive(PartialEq, Eq)]
struct Of<T> {
    /// Server, raw name, and of a tool the hash of its definition.
    item: Option<(T, T, Option<T>)>,
    client: Option<T>,
}

impl<'a> Of<&'a str> {
    fn new(call: &'a Call, item: Option<&'a Item>) -> Self {
        let definition = |item: &'a Item| (item.kind == ItemKind::Tool).then(|| item.definition_hash());
        let item = item.map(|item| (item.server.as_str(), &*item.raw, definition(item)));
        Self { item, client: call.trace.client.as_deref() }
    }

    fn is(&self, kept: &Of<Box<str>>) -> bool {
        let item = kept.item.as_ref().map(|(server, raw, hash)| (&**server, &**raw, hash.as_deref()));
        self.item == item && self.client == kept.client.as_deref()
    }

    fn kept(&self) -> Of<Box<str>> {
        let item = self.item.map(|(server, raw, hash)| (server.into(), raw.into(), hash.map(Into::into)));
        Of { item, client: self.client.map(Into::into) }
    }
}

impl Names {
    /// Appends the members that name `call` to an event.
    pub fn append(&self, call: &Call, item: Option<&Item>, masks: &Masks, event: &mut Vec<u8>) {
        let (asked, of) = (call.target.asked(), Of::new(call, item));
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(asked).cloned();
        if let Some(named) = kept.filter(|named| of.is(&named.of)) {
            return event.extend_from_slice(&named.members);
        }
        let members = members(asked, &of, masks);
        event.extend_from_slice(&members);
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= MOST {
            names.clear();
        }
        names.insert(asked.into(), Arc::new(Named { of: of.kept(), members }));
    }
}

fn members(asked: &str, of: &Of<&str>, masks: &Masks) -> Vec<u8> {
    let item = of.item;
    Event::fragment()
        .text_if("asked", Some(&masks.text(asked)))
        .text_if("server", item.map(|(server, ..)| server))
        .text_if("name", item.map(|(_, raw, _)| masks.text(raw)).as_deref())
        .text_if("definition", item.and_then(|(.., hash)| hash))
        .text_if("client", of.client.map(|client| masks.text(client)).as_deref())
        .into_bytes()
}
