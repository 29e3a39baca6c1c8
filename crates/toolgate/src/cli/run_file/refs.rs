//! References in the texts of a file: `${args.NAME}` to what the command line gave, `${steps.ID.path.to.it}` to what an
//! earlier step answered.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::ui::Failure;
use gate::Code;

/// What a reference names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// An argument of the command line.
    Arg(String),
    /// A part of a step's answer; an empty path is all of it.
    Step {
        /// Which step.
        id: String,
        /// The way into its answer: names of members, numbers of elements.
        path: Vec<String>,
    },
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Reference { raw: &'a str, to: Reference },
}

/// Something in `${…}` that is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` refers to nothing; write `${{args.NAME}}` or `${{steps.ID.text}}`, or `$${{` for `${{` itself")]
pub struct NoReference(String);

/// A reference whose value is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not in what was answered")]
pub struct Missing(String);

impl Missing {
    /// As the failure of the step `id`.
    pub fn of(self, id: &str) -> Failure {
        Failure::new(Code::ArgsInvalid, self.to_string())
            .hint(format!("look at the answers before step `{id}` with --json"))
    }
}

/// All references in `value`.
///
/// # Errors
/// The first that is none.
pub fn references(value: &Value) -> Result<Vec<Reference>, NoReference> {
    let mut found = Vec::new();
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        match value {
            Value::String(text) => found.extend(pieces(text)?.into_iter().filter_map(|piece| match piece {
                Piece::Reference { to, .. } => Some(to),
                Piece::Text(_) => None,
            })),
            Value::Array(items) => pending.extend(items),
            Value::Object(members) => pending.extend(members.values()),
            _ => {}
        }
    }
    Ok(found)
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, NoReference> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            pieces.extend([Piece::Text(&rest[..at - 1]), Piece::Text("${")]);
            rest = &rest[at + 2..];
            continue;
        }
        let end = rest[at..].find('}').map(|end| at + end + 1).ok_or_else(|| NoReference(rest[at..].to_owned()))?;
        let raw = &rest[at..end];
        let to = reference(&raw[2..raw.len() - 1]).ok_or_else(|| NoReference(raw.to_owned()))?;
        pieces.extend([Piece::Text(&rest[..at]), Piece::Reference { raw, to }]);
        rest = &rest[end..];
    }
    pieces.push(Piece::Text(rest));
    pieces.retain(|piece| !matches!(piece, Piece::Text("")));
    Ok(pieces)
}

fn reference(inner: &str) -> Option<Reference> {
    let mut words = inner.split('.');
    let (kind, name) = (words.next()?, words.next().filter(|name| !name.is_empty())?);
    let path: Vec<_> = words.map(str::to_owned).collect();
    match kind {
        "args" if path.is_empty() => Some(Reference::Arg(name.to_owned())),
        "steps" if path.iter().all(|word| !word.is_empty()) => Some(Reference::Step { id: name.to_owned(), path }),
        _ => None,
    }
}

/// What references stand for.
pub struct Scope {
    args: Map<String, Value>,
    answers: HashMap<String, Value>,
}

impl Scope {
    /// What the command line gave; no step has answered yet.
    pub fn new(args: Map<String, Value>) -> Self {
        Self { args, answers: HashMap::new() }
    }

    /// Keeps the raw result of the step `id`.
    pub fn keep(&mut self, id: &str, result: &str) {
        let mut result = serde_json::from_str(result).unwrap_or_default();
        if let Value::Object(members) = &mut result
            && !members.contains_key("text")
        {
            let text = members.get("content").map(text_of).unwrap_or_default();
            members.insert("text".to_owned(), text.into());
        }
        self.answers.insert(id.to_owned(), result);
    }

    /// `value` with every reference replaced.
    ///
    /// # Errors
    /// A reference whose value is not there.
    pub fn fill(&self, value: &Value) -> Result<Value, Missing> {
        self.filled(value, false)
    }

    /// The same; references to what is not there stay as they are.
    pub fn fill_known(&self, value: &Value) -> Value {
        self.filled(value, true).unwrap_or_else(|_| value.clone())
    }

    fn filled(&self, value: &Value, lenient: bool) -> Result<Value, Missing> {
        Ok(match value {
            Value::String(text) => self.filled_text(text, lenient)?,
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.filled(item, lenient)).collect::<Result<_, _>>()?)
            }
            Value::Object(members) => {
                let member = |(key, value): (&String, &Value)| Ok((key.clone(), self.filled(value, lenient)?));
                Value::Object(members.iter().map(member).collect::<Result<_, _>>()?)
            }
            other => other.clone(),
        })
    }

    fn filled_text(&self, text: &str, lenient: bool) -> Result<Value, Missing> {
        // They were all read before the first step.
        let pieces = pieces(text).map_err(|NoReference(raw)| Missing(raw))?;
        let value = |raw: &str, to: &Reference| match self.value(to) {
            None if lenient => Ok(Value::String(raw.to_owned())),
            found => found.cloned().ok_or_else(|| Missing(raw.to_owned())),
        };
        if let [Piece::Reference { raw, to }] = pieces.as_slice() {
            return value(raw, to);
        }
        let mut out = String::new();
        for piece in &pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Reference { raw, to } => match value(raw, to)? {
                    Value::String(text) => out.push_str(&text),
                    other => out.push_str(&other.to_string()),
                },
            }
        }
        Ok(Value::String(out))
    }

    fn value(&self, to: &Reference) -> Option<&Value> {
        match to {
            Reference::Arg(name) => self.args.get(name),
            Reference::Step { id, path } => path.iter().try_fold(self.answers.get(id)?, |at, word| match at {
                Value::Array(items) => items.get(word.parse::<usize>().ok()?),
                other => other.get(word),
            }),
        }
    }
}

/// The text blocks of some content, one after another.
fn text_of(content: &Value) -> String {
    let blocks = content.as_array().map(Vec::as_slice).unwrap_or_default();
    blocks.iter().filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scope() -> Scope {
        let mut scope = Scope::new(Map::from_iter([("n".to_owned(), json!(7)), ("who".to_owned(), json!("Ada"))]));
        let result = r#"{"content":[{"type":"text","text":"a"},{"type":"image"},{"type":"text","text":"b"}],
            "structuredContent":{"list":[{"id":18446744073709551615}],"ok":true}}"#;
        scope.keep("first", result);
        scope
    }

    fn check(value: Value, want: Result<Value, &str>) {
        let got = scope().fill(&value).map_err(|missing| missing.to_string());
        assert_eq!(got, want.map_err(|raw| format!("`{raw}` is not in what was answered")), "{value}");
    }

    #[test]
    fn a_text_that_is_one_reference_becomes_its_value() {
        check(json!("${args.n}"), Ok(json!(7)));
        check(json!("${steps.first.structuredContent.list}"), Ok(json!([{"id": 18446744073709551615_u64}])));
        check(
            json!({"a": ["${steps.first.structuredContent.list.0.id}"]}),
            Ok(json!({"a": [18446744073709551615_u64]})),
        );
        check(json!("${steps.first.text}"), Ok(json!("a\nb")));
        check(json!("${steps.first.content.1.type}"), Ok(json!("image")));
    }

    #[test]
    fn inside_a_longer_text_it_becomes_text() {
        check(json!("hi ${args.who}, ${args.n} ${steps.first.structuredContent.ok}!"), Ok(json!("hi Ada, 7 true!")));
        check(json!("$${args.n} costs 5$ and $${"), Ok(json!("${args.n} costs 5$ and ${")));
        check(json!(["plain", 1, null]), Ok(json!(["plain", 1, null])));
    }

    #[test]
    fn what_is_not_there_is_named() {
        check(json!("x ${steps.first.structuredContent.none}"), Err("${steps.first.structuredContent.none}"));
        check(json!("${steps.first.structuredContent.list.1}"), Err("${steps.first.structuredContent.list.1}"));
        check(json!("${steps.second.text}"), Err("${steps.second.text}"));
        assert_eq!(scope().fill_known(&json!("${args.n} ${steps.second.text}")), json!("7 ${steps.second.text}"));
    }

    #[test]
    fn answers_are_data_and_never_read_for_references() {
        let mut scope = scope();
        scope.keep("evil", r#"{"content":[{"type":"text","text":"${args.who}"}]}"#);
        assert_eq!(scope.fill(&json!("${steps.evil.text}")), Ok(json!("${args.who}")));
    }

    #[test]
    fn only_two_kinds_of_references_are_known() {
        for text in ["${env.HOME}", "${args}", "${args.}", "${args.a.b}", "${steps.a..b}", "${", "x ${steps.a"] {
            assert!(references(&json!([text])).is_err(), "{text}");
        }
        let found = references(&json!({"a": "${args.x}${steps.s.text}", "b": ["$${no}"]}));
        let step = Reference::Step { id: "s".to_owned(), path: vec!["text".to_owned()] };
        assert_eq!(found, Ok(vec![Reference::Arg("x".to_owned()), step]));
    }
}
