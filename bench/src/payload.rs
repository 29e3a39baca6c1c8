//! The deterministic contents the mock server sends and the load generator expects.

use std::fmt::Write as _;

const WORDS: [&str; 12] =
    ["gate", "ledger", "catalog", "mask", "policy", "frame", "caller", "tool", "server", "answer", "span", "record"];

/// How many progress notifications the tool `slow` sends before its result.
pub const PROGRESS_STEPS: usize = 10;

/// The 64 characters the echo call number `id` sends and must get back.
pub fn echo_text(id: u64) -> String {
    format!("{id:016x}").repeat(4)
}

/// A JSON string literal of about `bytes` bytes: words, and a line end about each hundred characters.
pub fn text(bytes: usize) -> String {
    let mut out = String::with_capacity(bytes + 16);
    out.push('"');
    let mut line = 0;
    let mut pick = 1u32;
    while out.len() + 1 < bytes {
        let word = next_word(&mut pick);
        out.push_str(word);
        line += word.len();
        let gap = if line > 90 { "\\n" } else { " " };
        line = if line > 90 { 0 } else { line };
        out.push_str(gap);
    }
    out.push('"');
    out
}

/// A JSON object of about `bytes` bytes: an array of small records.
pub fn structured(bytes: usize) -> String {
    let mut out = String::with_capacity(bytes + 256);
    out.push_str(r#"{"rows":["#);
    let mut pick = 7u32;
    let mut row = 0;
    while out.len() + 2 < bytes {
        let (name, tag) = (next_word(&mut pick), next_word(&mut pick));
        let comma = if row == 0 { "" } else { "," };
        write!(
            out,
            r#"{comma}{{"id":{row},"name":"{name}-{row}","tags":["{tag}","bench"],"score":{}.5,"active":{},"parent":null}}"#,
            row % 97,
            row % 2 == 0
        )
        .expect("a String takes any write");
        row += 1;
    }
    out.push_str("]}");
    out
}

/// The JSON array of `count` tool definitions: `echo`, `big`, `slow`, `write` and fillers.
pub fn tools(count: usize) -> String {
    let mut out = String::from("[");
    for index in 0..count {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&tool(index));
    }
    out.push(']');
    out
}

fn tool(index: usize) -> String {
    const READ: &str = r#","annotations":{"readOnlyHint":true}"#;
    match index {
        0 => definition("echo", r#""text":{"type":"string"}"#, READ),
        1 => definition("big", r#""bytes":{"type":"integer"},"structured":{"type":"boolean"}"#, READ),
        2 => definition("slow", "", READ),
        3 => definition("write", r#""text":{"type":"string"}"#, ""),
        _ => definition(
            &format!("filler_{index}"),
            r#""path":{"type":"string","description":"Where to look, relative to the root"},"limit":{"type":"integer","minimum":1,"maximum":1000},"recursive":{"type":"boolean","default":false}"#,
            READ,
        ),
    }
}

fn definition(name: &str, properties: &str, annotations: &str) -> String {
    format!(
        r#"{{"name":"{name}","description":"The tool {name} of the mock server, described in one sentence of a usual length.","inputSchema":{{"type":"object","properties":{{{properties}}}}}{annotations}}}"#
    )
}

fn next_word(pick: &mut u32) -> &'static str {
    *pick = pick.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    WORDS[(*pick >> 16) as usize % WORDS.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_payload_is_json_of_the_size_asked_for() {
        for bytes in [1024, 100 * 1024] {
            for json in [text(bytes), structured(bytes)] {
                serde_json::from_str::<serde_json::Value>(&json).expect("payload is JSON");
                assert!(json.len() >= bytes && json.len() < bytes + 200, "{}", json.len());
            }
        }
    }

    #[test]
    fn a_tool_list_holds_as_many_tools_as_asked_for() {
        let list: Vec<serde_json::Value> = serde_json::from_str(&tools(20)).expect("list is JSON");
        assert_eq!(list.len(), 20);
        assert_eq!(list[0]["name"], "echo");
        assert!(list[3].get("annotations").is_none());
    }

    #[test]
    fn echo_texts_are_64_characters_and_differ() {
        assert_eq!(echo_text(1).len(), 64);
        assert_ne!(echo_text(1), echo_text(2));
    }
}
