//! One event, one call: as a row for people and as JSON.

use serde_json::{Value, json};

use super::when;
use store::Call;

/// The form of a call in JSON.
pub const CALL_SCHEMA: &str = "toolgate.audit.call/1";

/// The headings over [`call_cells`].
pub const CALL_HEADINGS: [&str; 7] = ["Time", "Outcome", "Call", "Took", "Client", "Why", "Id"];

/// The cells of a call's row.
pub fn call_cells(call: &Call) -> Vec<String> {
    let (event, end) = (parse(&call.event), call.end.as_deref().map(parse).unwrap_or_default());
    vec![
        when::local(event["ts"].as_u64().unwrap_or(0)),
        call.outcome.as_str().to_owned(),
        subject(&event),
        took(&end),
        clean(text(&event, "client")),
        clean(why(&event, &end)),
        clean(text(&event, "id")),
    ]
}

/// A call as JSON: what it is chosen by, then its events as they stand in the record.
pub fn call_json(call: &Call) -> Value {
    let (event, end) = (parse(&call.event), call.end.as_deref().map(parse).unwrap_or_default());
    let mut row = json!({
        "schema": CALL_SCHEMA,
        "id": event["id"],
        "time": when::utc(event["ts"].as_u64().unwrap_or(0)),
        "outcome": call.outcome.as_str(),
    });
    for key in ["asked", "server", "name", "client", "session", "thread", "parent_thread", "decision", "rule"] {
        row[key] = event[key].clone();
    }
    for key in ["took_us", "bytes", "code"] {
        row[key] = if end[key].is_null() { event[key].clone() } else { end[key].clone() };
    }
    row["event"] = event;
    row["end"] = end;
    row
}

/// An event in one line: when, what, about what, how.
pub fn event_line(line: &[u8]) -> String {
    let event = parse(line);
    let kind = clean(text(&event, "event"));
    let said = match &*kind {
        "end" => format!("{} {}", clean(text(&event, "end")), took(&event)),
        "approval" => clean(text(&event, "phase")),
        "checkpoint" => format!("{} lines", event["size"]),
        "segment" => format!("part {} of {}", event["part"], clean(text(&event, "chain"))),
        "close" => clean(text(&event, "why")),
        _ => String::new(),
    };
    let doubt = if event["in_doubt"] == true { "in doubt" } else { "" };
    let parts = [subject(&event), said, doubt.to_owned(), clean(why(&event, &Value::Null)), clean(text(&event, "id"))];
    let rest: Vec<_> = parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect();
    format!("{}  {kind:<10}  {}\n", when::local(event["ts"].as_u64().unwrap_or(0)), rest.join("  "))
}

/// An event as JSON; what is no object is nothing.
pub fn parse(line: &[u8]) -> Value {
    serde_json::from_slice(line).unwrap_or_default()
}

/// A member that is a string.
pub fn text<'a>(event: &'a Value, key: &str) -> &'a str {
    event[key].as_str().unwrap_or("")
}

fn subject(event: &Value) -> String {
    match (text(event, "server"), text(event, "name")) {
        ("", "") => clean(text(event, "asked")),
        (server, "") => clean(server),
        (server, name) => clean(&format!("{server} {name}")),
    }
}

fn took(end: &Value) -> String {
    end["took_us"].as_u64().map_or_else(String::new, |micros| {
        let (whole, tenths) = (micros / 1_000, micros % 1_000 / 100);
        format!("{whole}.{tenths} ms")
    })
}

/// The code of what went wrong, or else the rule that let it through or not.
fn why<'a>(event: &'a Value, end: &'a Value) -> &'a str {
    [text(end, "code"), text(event, "code"), text(event, "rule")].into_iter().find(|why| !why.is_empty()).unwrap_or("")
}

/// `text` without anything that moves a cursor or turns the order of what is read: others wrote it.
pub fn clean(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let escape = |c: char| if c.is_control() || turns(c) { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::Outcome;

    fn call() -> Call {
        let event = r#"{"event":"attempt","id":"a","ts":1795208400000000,"server":"s","name":"e\u001b[2Jcho","client":"c","rule":"r","seq":2}"#;
        let end = r#"{"event":"end","id":"a","ts":1,"end":"failed","took_us":1234,"code":"upstream.timeout"}"#;
        Call { event: event.into(), end: Some(end.into()), outcome: Outcome::Failed }
    }

    #[test]
    fn a_row_says_what_happened_and_why() {
        let cells = call_cells(&call());
        assert_eq!(cells[1..], ["failed", "s e\\u{1b}[2Jcho", "1.2 ms", "c", "upstream.timeout", "a"]);
        assert_eq!(cells.len(), CALL_HEADINGS.len());
    }

    #[test]
    fn a_row_in_json_holds_the_events_as_they_are() {
        let row = call_json(&call());
        assert_eq!(
            (&row["outcome"], &row["code"], &row["time"]),
            (&json!("failed"), &json!("upstream.timeout"), &json!("2026-11-20T21:00:00.000000Z"))
        );
        assert_eq!((&row["event"]["seq"], &row["end"]["took_us"]), (&json!(2), &json!(1234)));
    }

    #[test]
    fn an_event_is_one_line_whatever_others_wrote() {
        let line = event_line(
            "{\"event\":\"refusal\",\"id\":\"a\",\"ts\":0,\"asked\":\"x\\ny\u{202e}z\",\"code\":\"policy.denied\"}"
                .as_bytes(),
        );
        assert!(line.ends_with("refusal     x\\ny\\u{202e}z  policy.denied  a\n"), "{line}");
        assert_eq!(line.matches('\n').count(), 1);
        let lost = event_line(br#"{"event":"end","id":"a","end":"lost","in_doubt":true}"#);
        assert!(lost.ends_with("end         lost  in doubt  a\n"), "{lost}");
    }
}
