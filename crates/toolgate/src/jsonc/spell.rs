//! How a text is laid out, so that what is added looks like its neighbours.

use serde_json::Value;

use super::{Doc, Node};

/// Arrays of plain values up to this many characters stay on one line.
const SHORT: usize = 80;

/// How the members of one object stand.
pub(super) struct Layout {
    /// Each on its own line: a line break and the blanks before its key. None: all on one line.
    pub(super) line: Option<String>,
    gap: &'static str,
}

impl Layout {
    /// What stands between a comma and the next member.
    pub(super) fn separator(&self) -> &str {
        self.line.as_deref().unwrap_or(self.gap)
    }
}

impl Doc {
    /// A value as it would be written as a member of the object at `path`: with the line ends and indentation
    /// found there.
    pub fn spell(&self, path: &[&str], value: &Value) -> String {
        let layout = self.layout(self.get(path).unwrap_or(self.root()));
        let mut out = String::new();
        let unit = self.unit();
        let spelling = Spelling { unit: &unit, colon: &self.colon(), gap: layout.gap };
        spelling.write(value, layout.line.as_deref(), &mut out);
        out
    }

    pub(super) fn layout(&self, object: &Node) -> Layout {
        let gap = if self.colon().ends_with(' ') { " " } else { "" };
        let last = object.members().len().checked_sub(1);
        let line = match last.map(|last| self.head(object, last)) {
            Some(head) => self.first_on_line(head).then(|| self.line_at(head)),
            None if self.text.contains('\n') || self.root().members().is_empty() => {
                Some(self.line_at(object.value_span.start) + &self.unit())
            }
            None => None,
        };
        Layout { line, gap }
    }

    /// A line break and the blanks with which the line of `at` begins.
    pub(super) fn line_at(&self, at: usize) -> String {
        let line = &self.text[self.line_start(at)..];
        let blanks = line.bytes().take_while(|byte| b" \t".contains(byte)).count();
        let newline = if self.text.contains("\r\n") { "\r\n" } else { "\n" };
        format!("{newline}{}", &line[..blanks])
    }

    pub(super) fn line_start(&self, at: usize) -> usize {
        let mark = if self.text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        self.text[..at].rfind('\n').map_or(mark, |newline| newline + 1)
    }

    pub(super) fn first_on_line(&self, at: usize) -> bool {
        let start = self.line_start(at);
        self.text[..start].ends_with('\n') && self.text[start..at].trim().is_empty()
    }

    /// What stands between a key and its value.
    pub(super) fn colon(&self) -> String {
        let first = self.root().members().first();
        let between = first.map(|member| &self.text[member.key_span.end..member.node.value_span.start]);
        between.filter(|text| text.trim() == ":" && !text.contains('\n')).unwrap_or(": ").to_owned()
    }

    /// One step of indentation.
    fn unit(&self) -> String {
        let default = "  ".to_owned();
        let Some(first) = self.root().members().first().map(|member| member.node.span.start) else {
            return default;
        };
        let step = |at: usize| self.text[self.line_start(at)..at].to_owned();
        if !self.first_on_line(first) || step(first).is_empty() { default } else { step(first) }
    }
}

struct Spelling<'a> {
    unit: &'a str,
    colon: &'a str,
    gap: &'a str,
}

impl Spelling<'_> {
    /// Writes a value whose line begins with `line`; all on one line if there is none.
    fn write(&self, value: &Value, line: Option<&str>, out: &mut String) {
        match value {
            Value::Object(members) if !members.is_empty() => {
                let items = members.iter().map(|(key, value)| (format!("{}{}", quoted(key), self.colon), value));
                self.block(['{', '}'], &items.collect::<Vec<_>>(), line, out);
            }
            Value::Array(values) if !values.is_empty() => {
                let plain = values.iter().all(|value| !value.is_object() && !value.is_array());
                let line = line.filter(|_| !plain || value.to_string().len() > SHORT);
                let items: Vec<_> = values.iter().map(|value| (String::new(), value)).collect();
                self.block(['[', ']'], &items, line, out);
            }
            other => out.push_str(&other.to_string()),
        }
    }

    fn block(&self, [open, close]: [char; 2], items: &[(String, &Value)], line: Option<&str>, out: &mut String) {
        let inner = line.map(|line| format!("{line}{}", self.unit));
        out.push(open);
        for (at, (before, value)) in items.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            match &inner {
                Some(line) => out.push_str(line),
                None if at > 0 => out.push_str(self.gap),
                None => {}
            }
            out.push_str(before);
            self.write(value, inner.as_deref(), out);
        }
        out.push_str(line.unwrap_or_default());
        out.push(close);
    }
}

pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
