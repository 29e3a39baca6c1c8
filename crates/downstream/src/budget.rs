//! Results longer than their budget: cut in the middle, visibly, while the whole is kept to be read.
//!
//! The parts of a result (each block of its content, and the structured content) share the budget fairly: who needs
//! less than its share leaves the rest to the others. Texts keep head and tail, everything else that is too long is left
//! out. What the marks themselves take comes on top. Not here: where wholes are kept, and how they are read.

use bytes::Bytes;
use gate::ports::Results;
use gate::{Principal, Reply, ServerName};
use mcp::splice::{Change, edit_object};
use mcp::{Span, view};
use std::fmt;
use std::sync::Arc;

const CONTENT: &str = "content";
const STRUCTURED: &str = "structuredContent";
const META: &str = "_meta";
/// The key under which a result says what is missing of it.
const TRUNCATED: &str = "toolgate/truncated";

/// How many marks a result may get among its blocks: they come on top of its budget. The last stands for all that follows.
const MOST_MARKS: usize = 16;

/// How many bytes of a result of this tool (the server's own name for it) reach a caller. `None`: all of them.
pub type BudgetOf = Arc<dyn Fn(&ServerName, &str) -> Option<usize> + Send + Sync>;

/// How long results may be, and who keeps what was longer.
#[derive(Clone)]
pub struct Budgets {
    /// The budget of each tool.
    pub bytes: BudgetOf,
    /// Where the wholes are. Nowhere: what is cut is lost.
    pub results: Option<Arc<dyn Results>>,
}

impl Budgets {
    /// The budget of one tool, in bytes.
    pub(crate) fn of(&self, server: &ServerName, tool: &str) -> Option<usize> {
        (self.bytes)(server, tool)
    }
}

impl fmt::Debug for Budgets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Budgets")
    }
}

/// What cutting one caller's result takes.
#[derive(Debug, Clone)]
pub(crate) struct Cut {
    pub budgets: Budgets,
    /// Whom the whole is kept for.
    pub by: Principal,
    /// Whether the caller knows links to resources.
    pub links: bool,
}

impl Cut {
    /// The result in a form that fits its budget, if it does not fit as it is. `told` is the result as it would be
    /// sent, where that differs from what the server said.
    pub fn apply(&self, reply: &Reply, told: Option<&str>) -> Option<String> {
        let item = reply.item.as_ref()?;
        let budget = self.budgets.of(&item.server, &item.raw)?;
        let body = told.map_or_else(|| reply.wire.part(reply.wire.parts.body), str::as_bytes);
        if body.len() <= budget {
            return None;
        }
        let short = Short::new(std::str::from_utf8(body).ok()?, budget)?;
        let keep = |results: &Arc<dyn Results>| results.keep(&self.by, Bytes::copy_from_slice(body));
        let uri = self.budgets.results.as_ref().and_then(keep);
        Some(short.written(uri.as_deref(), self.links))
    }
}

/// One part of a result.
enum Part<'a> {
    Text { raw: &'a str, text: String },
    Other { raw: &'a str, kind: String },
    Structured { raw: &'a str },
}

impl Part<'_> {
    fn bytes(&self) -> usize {
        match self {
            Self::Text { text, .. } => text.len(),
            Self::Other { raw, .. } | Self::Structured { raw } => raw.len(),
        }
    }

    fn is_structured(&self) -> bool {
        matches!(self, Self::Structured { .. })
    }
}

/// A result that is too long.
struct Short<'a> {
    body: &'a str,
    parts: Vec<Part<'a>>,
    /// How many bytes each part may have.
    share: usize,
    bytes: usize,
}

impl<'a> Short<'a> {
    /// The parts of `body`, unless it fits or cannot be read. A question has none.
    fn new(body: &'a str, budget: usize) -> Option<Self> {
        let members = view::members(body).ok()?;
        let get = |key: &str| view::find(body, &members, key).map(|member| member.value.of(body));
        let content = get(CONTENT).unwrap_or("[]");
        let mut parts: Vec<Part<'a>> = match view::elements(content) {
            Ok(blocks) => blocks.iter().map(|at| part(at.of(content))).collect(),
            // No client reads it; that is no way around the budget.
            Err(_) => Some(content).filter(|raw| raw.len() > budget).map(part).into_iter().collect(),
        };
        parts.extend(get(STRUCTURED).filter(|raw| *raw != "null").map(|raw| Part::Structured { raw }));
        let lengths: Vec<usize> = parts.iter().map(Part::bytes).collect();
        let bytes = lengths.iter().sum();
        (bytes > budget).then(|| Self { body, parts, share: fair_share(lengths, budget), bytes })
    }

    fn written(&self, uri: Option<&str>, links: bool) -> String {
        let mut said = Said { uri, blocks: Vec::new(), kept: 0, marks: 0 };
        let mut structured_goes = false;
        let blocks = self.parts.len() - self.parts.iter().filter(|part| part.is_structured()).count();
        for (at, part) in self.parts[..blocks].iter().enumerate() {
            if part.bytes() > self.share && said.marks + 1 == MOST_MARKS {
                let rest = self.parts[at..blocks].iter().map(Part::bytes).sum();
                said.mark("", rest);
                break;
            }
            said.part(part, self.share);
        }
        for part in &self.parts[blocks..] {
            structured_goes |= part.bytes() > self.share;
            said.part(part, self.share);
        }
        said.blocks.extend(uri.filter(|_| links).map(link));
        self.edited(&format!("[{}]", said.blocks.join(",")), structured_goes, said.kept, uri)
    }

    fn edited(&self, content: &str, structured_goes: bool, kept: usize, uri: Option<&str>) -> String {
        let members = view::members(self.body).unwrap_or_default();
        let find = |key: &str| view::find(self.body, &members, key);
        let meta = truncated(find(META).map(|member| member.value.of(self.body)), self.bytes, kept, uri);
        let put = [(CONTENT, content), (META, &meta)];
        let change = |key: &str| match put.iter().find(|(put, _)| *put == key) {
            Some((_, value)) => Change::Replace((*value).to_owned().into()),
            None if key == STRUCTURED && structured_goes => Change::Remove,
            None => Change::Keep,
        };
        let added: Vec<_> = put.into_iter().filter(|(key, _)| find(key).is_none()).collect();
        edit_object(self.body, Span::new(0, self.body.len()), &members, change, &added)
    }
}

/// What is left of a result.
struct Said<'u> {
    uri: Option<&'u str>,
    blocks: Vec<String>,
    kept: usize,
    marks: usize,
}

impl Said<'_> {
    /// A part, if it has at most `share` bytes; else what may stay of it.
    fn part(&mut self, part: &Part<'_>, share: usize) {
        let fits = part.bytes() <= share;
        self.kept += if fits { part.bytes() } else { 0 };
        match part {
            Part::Text { raw, .. } | Part::Other { raw, .. } if fits => self.blocks.push((*raw).to_owned()),
            Part::Text { raw, text } => {
                let (head, tail) = ends(text, share);
                self.kept += head.len() + tail.len();
                self.marks += 1;
                let mark = mark("", text.len() - head.len() - tail.len(), self.uri);
                self.blocks.push(with_text(raw, &format!("{head}\n{mark}\n{tail}")));
            }
            Part::Other { raw, kind } => self.mark(kind, raw.len()),
            Part::Structured { .. } if fits => {}
            Part::Structured { raw } => self.mark("structured content", raw.len()),
        }
    }

    fn mark(&mut self, kind: &str, bytes: usize) {
        self.marks += 1;
        self.blocks.push(text_block(&mark(kind, bytes, self.uri)));
    }
}

fn part(raw: &str) -> Part<'_> {
    let member = |key: &str| view::member(raw, key).and_then(view::string);
    let kind = member("type").unwrap_or_default();
    match member("text") {
        Some(text) if kind == "text" => Part::Text { raw, text: text.into_owned() },
        // A server's word is repeated only if it is one of those that there are.
        _ => {
            let known = ["image", "audio", "resource"].iter().find(|known| **known == kind);
            Part::Other { raw, kind: (*known.unwrap_or(&"content")).to_owned() }
        }
    }
}

/// The most that one of the parts may have, so that all of them fit: who has less leaves the rest to the others.
fn fair_share(mut lengths: Vec<usize>, budget: usize) -> usize {
    lengths.sort_unstable();
    let (mut left, mut parts) = (budget, lengths.len());
    for length in lengths {
        if length > left / parts {
            break;
        }
        left -= length;
        parts -= 1;
    }
    left / parts.max(1)
}

/// The head and the tail of a text, together at most `most` bytes, cut between characters.
fn ends(text: &str, most: usize) -> (&str, &str) {
    let head = &text[..text.floor_char_boundary(most.div_ceil(2))];
    let tail = &text[text.ceil_char_boundary(text.len() - most / 2)..];
    (head, tail)
}

fn mark(kind: &str, bytes: usize, uri: Option<&str>) -> String {
    let of = if kind.is_empty() { String::new() } else { format!(" of {kind}") };
    match uri {
        Some(uri) => format!("… [{bytes} bytes{of} left out; the whole: {uri}] …"),
        None => format!("… [{bytes} bytes{of} left out; the rest is not kept] …"),
    }
}

/// The same block with another text.
fn with_text(raw: &str, text: &str) -> String {
    let members = view::members(raw).unwrap_or_default();
    let change = |key: &str| if key == "text" { Change::Replace(view::quoted(text).into()) } else { Change::Keep };
    edit_object(raw, Span::new(0, raw.len()), &members, change, &[])
}

fn text_block(text: &str) -> String {
    format!(r#"{{"type":"text","text":{}}}"#, view::quoted(text))
}

fn link(uri: &str) -> String {
    let uri = view::quoted(uri);
    format!(r#"{{"type":"resource_link","uri":{uri},"name":"the whole result","mimeType":"application/json"}}"#)
}

/// The `_meta` of a result, with what is missing; what a server claims of it goes.
fn truncated(meta: Option<&str>, bytes: usize, kept: usize, uri: Option<&str>) -> String {
    let uri = uri.map_or_else(|| "null".to_owned(), view::quoted);
    let said = format!(r#"{{"bytes":{bytes},"kept":{kept},"uri":{uri}}}"#);
    let (meta, members) = match meta.map(|meta| (meta, view::members(meta))) {
        Some((meta, Ok(members))) => (meta, members),
        _ => ("{}", view::members("{}").expect("an object")),
    };
    let change = |key: &str| if key == TRUNCATED { Change::Remove } else { Change::Keep };
    edit_object(meta, Span::new(0, meta.len()), &members, change, &[(TRUNCATED, &said)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn cut(result: &Value, budget: usize, uri: Option<&str>, links: bool) -> Option<Value> {
        let body = result.to_string();
        let short = Short::new(&body, budget)?.written(uri, links);
        Some(serde_json::from_str(&short).expect("JSON"))
    }

    fn text(text: &str) -> Value {
        json!({"type": "text", "text": text})
    }

    #[test]
    fn what_fits_stays() {
        assert_eq!(cut(&json!({"content": [text("abcdef")]}), 6, None, true), None);
        assert_eq!(cut(&json!({"content": [text("\n\n\n\n")]}), 4, None, true), None, "bytes as a model reads them");
        assert_eq!(cut(&json!({"content": []}), 1, None, true), None);
        let asks = json!({"resultType": "input_required", "inputRequests": {"a": {"method": "elicitation/create"}}});
        assert_eq!(cut(&asks, 1, None, true), None);
    }

    #[test]
    fn no_form_of_a_result_is_a_way_around_the_budget() {
        for kind in ["complete", "input_required", "task", "whatever"] {
            let result = json!({"resultType": kind, "content": [text("abcdef")]});
            assert!(cut(&result, 1, None, true).is_some(), "{kind}");
        }
        for content in [json!(null), json!({}), json!("x")] {
            let result = json!({"content": content, "structuredContent": {"k": "0123456789"}});
            let short = cut(&result, 10, None, false).expect("cut");
            assert_eq!((short["content"].as_array().map(Vec::len), short.get(STRUCTURED)), (Some(1), None), "{result}");
        }
        let short = cut(&json!({"content": "0123456789"}), 5, None, false).expect("cut");
        assert_eq!(short["content"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn marks_do_not_outgrow_what_they_stand_for() {
        let blocks: Vec<Value> = (0..5_000).map(|_| text("ab")).collect();
        let mut result = json!({"content": blocks});
        let short = cut(&result, 100, Some("t://1"), false).expect("cut");
        assert_eq!(short["content"].as_array().map(Vec::len), Some(MOST_MARKS));
        let last = short["content"][MOST_MARKS - 1]["text"].as_str().expect("text").to_owned();
        assert!(last.starts_with("… [9970 bytes left out"), "{last}");
        assert_eq!(short["_meta"][TRUNCATED]["bytes"], 10_000);
        result["content"].as_array_mut().expect("blocks").truncate(3);
        let short = cut(&result, 3, None, false).expect("cut");
        assert_eq!(short["content"].as_array().map(Vec::len), Some(3));
    }

    #[test]
    fn the_middle_goes_and_the_rest_of_the_result_stays() {
        let result = json!({"content": [{"type": "text", "text": "abcdefgh", "annotations": {"priority": 1}}],
            "isError": true, "x": 1, "_meta": {"k": 2, "toolgate/truncated": "a claim"}});
        let want = json!({"content": [
                {"type": "text", "text": "ab\n… [4 bytes left out; the whole: t://1] …\ngh", "annotations": {"priority": 1}},
                {"type": "resource_link", "uri": "t://1", "name": "the whole result", "mimeType": "application/json"}],
            "isError": true, "x": 1, "_meta": {"k": 2, "toolgate/truncated": {"bytes": 8, "kept": 4, "uri": "t://1"}}});
        assert_eq!(cut(&result, 4, Some("t://1"), true), Some(want));
    }

    #[test]
    fn who_knows_no_links_gets_none_and_what_is_not_kept_says_so() {
        let short = cut(&json!({"content": [text("abcdefgh")]}), 4, None, true).expect("cut");
        assert_eq!(short["content"], json!([text("ab\n… [4 bytes left out; the rest is not kept] …\ngh")]));
        assert_eq!(short["_meta"][TRUNCATED]["uri"], Value::Null);
        let short = cut(&json!({"content": [text("abcdefgh")]}), 4, Some("t://1"), false).expect("cut");
        assert_eq!(short["content"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn what_is_structured_goes_whole() {
        let result = json!({"content": [text("ab")], "structuredContent": {"k": "0123456789"}});
        let short = cut(&result, 10, Some("t://1"), false).expect("cut");
        let mark = "… [18 bytes of structured content left out; the whole: t://1] …";
        assert_eq!(short["content"], json!([text("ab"), text(mark)]));
        assert!(short.get(STRUCTURED).is_none());
        assert_eq!(short["_meta"][TRUNCATED], json!({"bytes": 20, "kept": 2, "uri": "t://1"}));
        let image = json!({"content": [{"type": "image", "data": "0123456789"}], "structuredContent": {}});
        let short = cut(&image, 10, None, false).expect("cut");
        assert!(short["content"][0]["text"].as_str().is_some_and(|text| text.contains("bytes of image left out")));
        assert_eq!(short[STRUCTURED], json!({}), "what fits stays");
    }

    #[test]
    fn short_parts_leave_their_share_to_long_ones() {
        let check = |lengths: &[usize], budget, want| assert_eq!(fair_share(lengths.to_vec(), budget), want);
        check(&[10], 4, 4);
        check(&[10, 10], 8, 4);
        check(&[100, 2, 50], 62, 30);
        check(&[1, 1, 100], 52, 50);
    }

    #[test]
    fn characters_are_never_cut() {
        let text = "äöü€ß𝄞é".repeat(3);
        for most in 0..text.len() {
            let (head, tail) = ends(&text, most);
            assert!(head.len() + tail.len() <= most && text.starts_with(head) && text.ends_with(tail), "{most}");
        }
    }
}
