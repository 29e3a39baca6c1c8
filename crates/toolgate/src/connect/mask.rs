//! Texts of settings files without what is secret in them, for people to look at.

use std::ops::Range;

use toml_edit::{Document, Item, TableLike, Value};

use crate::config::{is_token, looks_secret, mask_urls, mask_words};
use crate::jsonc::{Doc, Kind, Node};
use gate::mask::MASK;

/// Tables of which every value may be a secret.
const CLOSED: [&str; 4] = ["env", "headers", "http_headers", "http_headers_helper"];

/// A JSON text; one that is none is shown not at all.
pub fn json(text: &str) -> String {
    let Ok(doc) = Doc::parse(text) else {
        return format!("{MASK}\n");
    };
    let mut found = Vec::new();
    json_node(&doc, doc.root(), false, &mut found);
    masked(text, found)
}

fn json_node(doc: &Doc, node: &Node, closed: bool, found: &mut Vec<(Range<usize>, String)>) {
    match &node.kind {
        Kind::Object(members) => {
            for member in members {
                let closed = closed || CLOSED.contains(&member.key.as_str()) || looks_secret(&member.key);
                json_node(doc, &member.node, closed, found);
            }
        }
        Kind::Array(items) => {
            let words: Vec<_> = items.iter().map(|item| item.as_str().unwrap_or_default()).collect();
            for (item, shown) in items.iter().zip(mask_words(&words)) {
                match item.as_str() {
                    Some(text) if !closed => {
                        found.extend(rewritten(text, &shown).map(|to| (item.value_span.clone(), to)));
                    }
                    _ => json_node(doc, item, closed, found),
                }
            }
        }
        Kind::Text(text) => found.extend(shown(text, doc.text(node), closed).map(|to| (node.value_span.clone(), to))),
        Kind::Plain => {}
    }
}

/// A TOML text; one that is none is shown not at all.
pub fn toml(text: &str) -> String {
    let Ok(document) = Document::parse(text) else {
        return format!("{MASK}\n");
    };
    let mut found = Vec::new();
    toml_table(document.as_table(), text, false, &mut found);
    masked(text, found)
}

fn toml_table(table: &dyn TableLike, text: &str, closed: bool, found: &mut Vec<(Range<usize>, String)>) {
    for (key, item) in table.iter() {
        let closed = closed || CLOSED.contains(&key) || (looks_secret(key) && !names_variables(key));
        match item {
            Item::Value(value) => toml_value(value, text, closed, found),
            Item::Table(table) => toml_table(table, text, closed, found),
            Item::ArrayOfTables(tables) => tables.iter().for_each(|table| toml_table(table, text, closed, found)),
            Item::None => {}
        }
    }
}

/// Keys that look secret and hold names of variables.
fn names_variables(key: &str) -> bool {
    matches!(key, "bearer_token_env_var" | "env_http_headers")
}

fn toml_value(value: &Value, text: &str, closed: bool, found: &mut Vec<(Range<usize>, String)>) {
    match value {
        Value::String(string) => {
            if let Some(span) = value.span()
                && let Some(to) = shown(string.value(), &text[span.clone()], closed)
            {
                found.push((span, to));
            }
        }
        Value::Array(items) => {
            let words: Vec<_> = items.iter().map(|item| item.as_str().unwrap_or_default()).collect();
            for (item, shown) in items.iter().zip(mask_words(&words)) {
                match (item.as_str(), item.span()) {
                    (Some(text), Some(span)) if !closed => {
                        found.extend(rewritten(text, &shown).map(|to| (span, to)));
                    }
                    _ => toml_value(item, text, closed, found),
                }
            }
        }
        Value::InlineTable(table) => toml_table(table, text, closed, found),
        _ => {}
    }
}

/// How a word is written that can be shown; nothing if it can be as it is.
fn rewritten(text: &str, shown: &str) -> Option<String> {
    (text != shown).then(|| serde_json::Value::from(shown).to_string())
}

/// How a string is written so that it can be shown; nothing if it can be as it is.
fn shown(text: &str, raw: &str, closed: bool) -> Option<String> {
    // A reference is no secret, but its default may be one.
    let reference = text.starts_with("${") && text.ends_with('}') && text.matches('}').count() == 1;
    let harmless = text.is_empty() || (reference && !text.contains(":-"));
    if (closed && !harmless) || is_token(text) {
        return Some(format!("\"{MASK}\""));
    }
    // Without the quotes, which would be taken for a part of the address.
    let quotes = raw.bytes().take_while(|byte| Some(byte) == raw.as_bytes().first()).count().min(3);
    let inner = raw.get(quotes..raw.len().saturating_sub(quotes))?;
    let masked = mask_urls(inner);
    (masked != inner).then(|| format!("{}{masked}{}", &raw[..quotes], &raw[..quotes]))
}

fn masked(text: &str, mut found: Vec<(Range<usize>, String)>) -> String {
    found.sort_by_key(|(range, _)| range.start);
    let mut out = text.to_owned();
    for (range, with) in found.into_iter().rev() {
        out.replace_range(range, &with);
    }
    out
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    #[test]
    fn no_secret_is_shown_and_all_else_stays() {
        let text = r#"{ // mine
  "primaryApiKey": "sk-ant-1", "oauthAccount": {"refreshToken": "r"}, "numStartups": 5,
  "mcpServers": {"a": {"command": "npx", "args": ["--api-key", "s3cr3t", "--token=abc", "http://u:pw@h/?api_key=x", "--header", "Authorization: Bearer s", "-y"],
    "env": {"DEBUG": "1", "X": "${env:X}", "Y": "${env:X:-s3cr3t}"}, "headers": {"Authorization": "Bearer b"}}}
}"#;
        expect![[r#"
            { // mine
              "primaryApiKey": "*****", "oauthAccount": {"refreshToken": "*****"}, "numStartups": 5,
              "mcpServers": {"a": {"command": "npx", "args": ["--api-key", "*****", "--token=*****", "http://u:*****@h/?api_key=*****", "--header", "Authorization: *****", "-y"],
                "env": {"DEBUG": "*****", "X": "${env:X}", "Y": "*****"}, "headers": {"Authorization": "*****"}}}
            }"#]].assert_eq(&super::json(text));
        let text = r#"model = "m" # mine
[mcp_servers.a]
command = 'x'
args = ["--password", "p", "ghp_0123456789012345678901234"]
env = { A = "b" } # here
bearer_token_env_var = "TOKEN"
[mcp_servers.b.http_headers]
Authorization = """Bearer
b"""
"#;
        expect![[r#"
            model = "m" # mine
            [mcp_servers.a]
            command = 'x'
            args = ["--password", "*****", "*****"]
            env = { A = "*****" } # here
            bearer_token_env_var = "TOKEN"
            [mcp_servers.b.http_headers]
            Authorization = "*****"
        "#]]
        .assert_eq(&super::toml(text));
        assert_eq!(super::json("{nothing"), "*****\n");
        assert_eq!(super::toml("= nothing"), "*****\n");
    }
}
