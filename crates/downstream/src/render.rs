//! What a face lists, put together once per state of the catalog, so that answering a list is one copy.

use crate::front::{Front, Options};
use bytes::Bytes;
use gate::{Item, ItemKind};
use mcp::splice::{Change, Splice, edit_object};
use mcp::{Era, Span, headers, view};
use std::borrow::Cow;

const ANNOTATION: &str = "x-mcp-header";
const PROMISE: &str = "outputSchema";

/// One list, ready to be sent.
pub(crate) struct Rendered {
    /// The state of the catalog it is of.
    pub epoch: u64,
    /// All items, separated by commas.
    items: Vec<u8>,
    /// Where each page begins in `items`, and at the end where a further one would.
    starts: Vec<usize>,
}

impl Rendered {
    /// The list of one kind as the face shows it to clients of an era, in pages of `page` items.
    pub fn new(front: &Front, kind: ItemKind, era: Era, page: usize) -> Self {
        let (epoch, shown) = front.gate.visible(&front.face, kind);
        let (mut items, mut starts) = (Vec::new(), vec![0]);
        for (at, item) in shown.iter().enumerate() {
            if at > 0 {
                items.push(b',');
                if at % page == 0 {
                    starts.push(items.len());
                }
            }
            items.extend_from_slice(&definition(front, item, era));
        }
        starts.push(items.len() + 1);
        Self { epoch, items, starts }
    }

    /// How many pages there are: at least one, if an empty one.
    pub fn pages(&self) -> usize {
        self.starts.len() - 1
    }

    /// The items of page `at`, separated by commas.
    pub fn page(&self, at: usize) -> &[u8] {
        &self.items[self.starts[at]..self.starts[at + 1] - 1]
    }
}

/// One item, masked, on one line, and fit for clients of the era.
fn definition(front: &Front, item: &Item, era: Era) -> Bytes {
    let mut out = Vec::with_capacity(item.definition.len() + 32);
    item.define(&front.face, &mut out);
    let json = mcp::splice::one_line(front.gate.masks().definition(out.into()));
    let json = if item.kind == ItemKind::Tool { fitted(json, item, &front.options) } else { json };
    if era == Era::Modern && item.kind == ItemKind::Tool { without_bad_headers(json) } else { json }
}

/// A tool as the options want to have it shown: short, and without the promise of a structured result where one may
/// have to be left out, because clients refuse a result that breaks it.
fn fitted(json: Bytes, item: &Item, options: &Options) -> Bytes {
    let limited = options.budgets.as_ref().is_some_and(|budgets| budgets.of(&item.server, &item.raw).is_some());
    let json = if limited { without_promise(json) } else { json };
    match options.compact_above.and_then(|budget| gate::schema::compact(&json, budget)) {
        Some(short) => short.into(),
        None => json,
    }
}

fn without_promise(json: Bytes) -> Bytes {
    let Ok(text) = std::str::from_utf8(&json) else { return json };
    let Ok(members) = view::members(text) else { return json };
    if view::find(text, &members, PROMISE).is_none() {
        return json;
    }
    let change = |key: &str| if key == PROMISE { Change::Remove } else { Change::Keep };
    edit_object(text, Span::new(0, text.len()), &members, change, &[]).into()
}

/// A tool whose header annotations are valid stays as it is. One with a bad one loses them all: over stdio its
/// server is right to ignore them, but over HTTP a client would have to drop the tool.
fn without_bad_headers(json: Bytes) -> Bytes {
    if memchr::memmem::find(&json, ANNOTATION.as_bytes()).is_none() {
        return json;
    }
    let Ok(text) = std::str::from_utf8(&json) else { return json };
    match view::member(text, "inputSchema") {
        Some(schema) if headers::params_of(schema).is_err() => {
            let at = schema.as_ptr() as usize - text.as_ptr() as usize;
            let mut splice = Splice::new(text.as_bytes());
            splice.replace(Span::new(at, at + schema.len()), stripped(schema).into_owned().into_bytes());
            splice.finish().into()
        }
        _ => json,
    }
}

/// A JSON value without any header annotation.
fn stripped(raw: &str) -> Cow<'_, str> {
    match raw.as_bytes().first() {
        Some(b'{') => match view::members(raw) {
            Ok(members) => {
                let value_of = |key: &str| view::find(raw, &members, key).map_or("null", |m| m.value.of(raw));
                let change = |key: &str| match key {
                    ANNOTATION => Change::Remove,
                    key => Change::Replace(stripped(value_of(key))),
                };
                edit_object(raw, Span::new(0, raw.len()), &members, change, &[]).into()
            }
            Err(_) => raw.into(),
        },
        Some(b'[') => {
            let mut splice = Splice::new(raw.as_bytes());
            for span in view::elements(raw).unwrap_or_default() {
                splice.replace(span, stripped(span.of(raw)).into_owned().into_bytes());
            }
            String::from_utf8(splice.finish()).map_or(raw.into(), Cow::Owned)
        }
        _ => raw.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_go_and_everything_else_stays_as_it_was_written() {
        let schema =
            r#"{"properties":{"a":{"type":"object", "x-mcp-header":"A"},"b":[1.0,{"x-mcp-header":"B","c":null}]}}"#;
        let want = r#"{"properties":{"a":{"type":"object"},"b":[1.0,{"c":null}]}}"#;
        assert_eq!(stripped(schema), want);
    }
}
