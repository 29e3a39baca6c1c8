//! What servers say, made fit for a person's terminal.

use mcp::{Frame, view};
use std::fmt::Write;

/// The content of a result as text. For a `terminal`, control characters are shown and not sent.
pub fn human(result: &str, terminal: bool) -> String {
    let mut out = String::new();
    let blocks = view::member(result, "content").or_else(|| view::member(result, "contents")).unwrap_or("[]");
    for span in view::elements(blocks).unwrap_or_default() {
        let text = block(span.of(blocks));
        let _ = writeln!(out, "{}", if terminal { visible(&text) } else { text });
    }
    if out.is_empty() {
        let rest = view::member(result, "structuredContent").unwrap_or(result);
        let _ = writeln!(out, "{}", pretty(rest));
    }
    out
}

/// The messages of a prompt as text, each behind its role. For a `terminal` as [`human`].
pub fn messages(result: &str, terminal: bool) -> String {
    let raw = view::member(result, "messages").unwrap_or("[]");
    let mut out = String::new();
    for span in view::elements(raw).unwrap_or_default() {
        let message = span.of(raw);
        let role = view::member(message, "role").and_then(view::string).unwrap_or_default();
        let text = format!("{role}: {}", block(view::member(message, "content").unwrap_or("{}")));
        let _ = writeln!(out, "{}", if terminal { visible(&text) } else { text });
    }
    out
}

fn block(raw: &str) -> String {
    let text = |key: &str| view::member(raw, key).and_then(view::string).map(|text| text.into_owned());
    let size = |key: &str| view::member(raw, key).map_or(0, str::len);
    let media = || text("mimeType").unwrap_or_else(|| "unknown type".to_owned());
    match text("type").as_deref() {
        Some("text") => text("text").unwrap_or_default(),
        Some(kind @ ("image" | "audio")) => format!("[{kind}, {}, {} bytes of base64]", media(), size("data")),
        Some("resource_link") => format!("[resource {}]", text("uri").unwrap_or_default()),
        Some("resource") => view::member(raw, "resource").map(block).unwrap_or_default(),
        Some(_) => pretty(raw),
        None => match text("text") {
            Some(text) => text,
            None if size("blob") > 0 => format!("[{}, {} bytes of base64]", media(), size("blob")),
            None => pretty(raw),
        },
    }
}

/// A progress or log notification as one line.
pub fn notification(frame: &Frame) -> Option<String> {
    match &*frame.method() {
        "notifications/progress" => {
            let message = frame.get_string("message").unwrap_or_default();
            let progress = frame.get("progress")?;
            let of = frame.get("total").map(|total| format!("/{total}")).unwrap_or_default();
            Some(visible(format!("{progress}{of} {message}").trim_end()))
        }
        "notifications/message" => {
            let level = frame.get_string("level").unwrap_or_default();
            let data = frame.get("data").map(|raw| view::string(raw).map_or(raw.to_owned(), |text| text.into_owned()));
            Some(visible(&format!("{level}: {}", data.unwrap_or_default())))
        }
        _ => None,
    }
}

/// `raw` with `"schema"` as its first member, unless it has one. Nothing else changes.
pub fn with_schema(raw: &str, schema: &str) -> String {
    if !raw.starts_with('{') || view::member(raw, "schema").is_some() {
        return format!("{raw}\n");
    }
    let comma = if raw[1..].trim_start().starts_with('}') { "" } else { "," };
    format!("{{\"schema\":\"{schema}\"{comma}{}\n", &raw[1..])
}

fn pretty(raw: &str) -> String {
    let value = serde_json::from_str::<serde_json::Value>(raw).ok();
    value.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_else(|| raw.to_owned())
}

/// `text` with control and direction characters spelled out, line breaks and tabs kept.
pub fn visible(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\t')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}' | '\u{feff}')
    };
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if hidden(c) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_block_has_a_line() {
        let result = r#"{"content":[{"type":"text","text":"a\u001b[2Jb"},{"type":"image","mimeType":"image/png","data":"QUJD"},
            {"type":"resource_link","uri":"file:///x"},{"type":"resource","resource":{"uri":"u","text":"inside"}},{"type":"hologram","x":1}]}"#;
        expect_test::expect![[r#"
            a\u{1b}[2Jb
            [image, image/png, 6 bytes of base64]
            [resource file:///x]
            inside
            {
              "type": "hologram",
              "x": 1
            }
        "#]]
        .assert_eq(&human(result, true));
        assert!(human(result, false).starts_with("a\u{1b}[2Jb\n"), "a pipe gets the bytes");
        assert_eq!(human(r#"{"content":[],"structuredContent":{"a":1}}"#, true), "{\n  \"a\": 1\n}\n");
    }

    #[test]
    fn the_schema_is_added_and_nothing_else_changes() {
        assert_eq!(with_schema(r#"{"n":1.10}"#, "s/1"), "{\"schema\":\"s/1\",\"n\":1.10}\n");
        assert_eq!(with_schema("{ }", "s/1"), "{\"schema\":\"s/1\" }\n");
        assert_eq!(with_schema(r#"{"schema":7}"#, "s/1"), "{\"schema\":7}\n");
    }
}
