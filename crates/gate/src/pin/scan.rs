//! Looks for what speaks against a definition: instructions to the model where a description should be, and text
//! that people cannot see. It is a signal: a text that passes is not thereby good.

use super::finding::{Finding, Severity};
use super::hidden_text::hidden_in;
use super::rules::RULES;
use super::tree::{Node, below};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use unicode_security::skeleton;

/// How long one text may be without a note, in bytes.
const LONG_TEXT: usize = 4 << 10;

/// How long a schema may be without a note, in bytes.
const LONG_SCHEMA: usize = 64 << 10;

/// How much of one text is held against the rules, in bytes. What lies behind is a finding of its own.
const LONGEST_TEXT: usize = 64 << 10;

/// How short a run of base64 is left alone, in characters.
const SHORTEST_ENCODED: usize = 40;

/// How many findings are told of; a definition with more is not read to the end by anybody.
const MOST_FINDINGS: usize = 50;

/// What speaks against one definition, raw JSON: of a tool, a prompt, a resource or a template. At most fifty findings.
pub fn scan(definition: &[u8]) -> Vec<Finding> {
    let tree = match Node::parse(definition) {
        Ok(tree) => tree,
        Err(flaw) => return vec![Finding::new("definition.unreadable", Severity::Quarantine, "", &flaw.to_string())],
    };
    let mut findings = Vec::new();
    for key in ["inputSchema", "outputSchema"] {
        let length = tree.get(key).map_or(0, |schema| schema.json().len());
        if length > LONG_SCHEMA {
            let quote = format!("{length} bytes; {LONG_SCHEMA} would be long");
            findings.push(Finding::new("size.schema", Severity::Note, &below("", key), &quote));
        }
    }
    if let Some(name) = tree.get("name").and_then(Node::text).filter(|name| !usual(name)) {
        findings.push(Finding::new("name.charset", Severity::Note, "/name", name));
    }
    for (pointer, text) in texts(&tree) {
        findings.extend(scan_text(&pointer, text));
        if findings.len() >= MOST_FINDINGS {
            findings.truncate(MOST_FINDINGS);
            break;
        }
    }
    findings
}

/// What speaks against one text of a server, such as its instructions. `pointer` says where it stands.
pub fn scan_text(pointer: &str, text: &str) -> Vec<Finding> {
    let mut findings = hidden_in(pointer, text);
    if text.len() > LONG_TEXT {
        let quote = format!("{} bytes; {LONG_TEXT} would be long", text.len());
        findings.push(Finding::new("size.text", Severity::Note, pointer, &quote));
    }
    if text.len() > LONGEST_TEXT {
        findings.push(Finding::new("size.unread", Severity::Quarantine, pointer, "too long to be looked through"));
    }
    let folded = fold(&text[..text.floor_char_boundary(LONGEST_TEXT)]);
    by_rules(pointer, &folded, &mut findings);
    for decoded in decoded(text) {
        let mut inside = Vec::new();
        by_rules(pointer, &fold(&decoded), &mut inside);
        if let Some(worst) = inside.iter().find(|finding| finding.severity == Severity::Quarantine) {
            let quote = format!("{} in base64: {}", worst.rule, worst.quote);
            findings.push(Finding::new("hidden.encoded", Severity::Quarantine, pointer, &quote));
        }
    }
    findings
}

fn by_rules(pointer: &str, folded: &str, findings: &mut Vec<Finding>) {
    for rule in RULES.iter() {
        if let Some(hit) = rule.pattern.find(folded.as_bytes()) {
            let quote = String::from_utf8_lossy(hit.as_bytes());
            findings.push(Finding::new(rule.id, rule.severity, pointer, &quote));
        }
    }
}

/// All texts of a definition, keys included, with the places where they stand.
pub(super) fn texts<'n>(node: &'n Node<'_>) -> Vec<(String, &'n str)> {
    let mut texts = Vec::new();
    collect("", node, &mut texts);
    texts
}

fn collect<'n>(at: &str, node: &'n Node<'_>, texts: &mut Vec<(String, &'n str)>) {
    match node {
        Node::Text(text) => texts.push((at.to_owned(), text)),
        Node::Broken(spelling) => texts.push((at.to_owned(), spelling)),
        Node::List(elements) => {
            for (index, element) in elements.iter().enumerate() {
                collect(&below(at, &index.to_string()), element, texts);
            }
        }
        Node::Map(members) => {
            for (key, value) in members {
                let at = below(at, key);
                texts.push((at.clone(), key));
                collect(&at, value, texts);
            }
        }
        Node::Null | Node::Bool(_) | Node::Number(_) => {}
    }
}

/// `text` as a model reads it: in lower case, look-alikes plain, without what hides, each run of space one space.
pub(super) fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !super::hidden(*c)) {
        match c {
            c if c.is_whitespace() => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            '*' | '`' => {}
            '\u{2018}' | '\u{2019}' => out.push('\''),
            c if c.is_ascii() => out.push(c.to_ascii_lowercase()),
            c => out.extend(skeleton(c.encode_utf8(&mut [0; 4])).flat_map(char::to_lowercase)),
        }
    }
    out
}

fn usual(name: &str) -> bool {
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/');
    (1..=128).contains(&name.len()) && name.bytes().all(usual)
}

/// The readable texts that stand in `text` as base64.
fn decoded(text: &str) -> Vec<String> {
    let runs = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/')));
    let long = runs.filter(|run| run.len() >= SHORTEST_ENCODED).take(8);
    long.filter_map(|run| {
        let whole = &run[..run.len() - usize::from(run.len() % 4 == 1)];
        let bytes = STANDARD_NO_PAD.decode(whole).ok()?;
        String::from_utf8(bytes).ok()
    })
    .collect()
}

#[cfg(test)]
mod tests;
