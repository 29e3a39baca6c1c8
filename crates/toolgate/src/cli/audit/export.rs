//! `toolgate audit export`: events for other tools, one JSON object per line.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::row::{call_json, parse, text};
use super::when::{self, When};
use super::{Context, Where, unreadable};
use crate::ui::Failure;
use crate::wire::System;
use gate::ports::Clock;
use store::{Call, Filter, Outcome, Query};

/// So much is printed at once.
const CHUNK: usize = 64 * 1024;

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The form: the events as they are, calls as OCSF API Activity, or events as CloudEvents 1.0.
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
    /// Not before then: `90s`, `30m`, `1h`, `2d`, `1w` ago, or RFC 3339.
    #[arg(long, value_name = "TIME")]
    since: Option<When>,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Jsonl,
    Ocsf,
    Cloudevents,
}

/// Exports.
pub fn run(args: &ExportArgs, cx: &Context) -> Result<(), Failure> {
    let since = args.since.map(|when| when.micros(System.wall_micros()));
    let dir = args.place.dir(cx);
    let mut out = Out { text: String::new(), cx };
    if args.format == Format::Ocsf {
        let calls = store::calls(&dir, &Query { since, ..Query::default() }).map_err(unreadable)?;
        calls.iter().try_for_each(|call| out.line(&ocsf(call).to_string()))?;
        return out.flush();
    }
    for line in store::read(&dir, Filter { since, ..Filter::default() }).map_err(unreadable)? {
        let line = line.map_err(unreadable)?;
        match args.format {
            Format::Cloudevents => out.line(&cloudevent(&line).to_string())?,
            Format::Jsonl | Format::Ocsf => out.line(&String::from_utf8_lossy(&line))?,
        }
    }
    out.flush()
}

struct Out<'a> {
    text: String,
    cx: &'a Context,
}

impl Out<'_> {
    fn line(&mut self, line: &str) -> Result<(), Failure> {
        self.text += line;
        self.text.push('\n');
        if self.text.len() >= CHUNK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.cx.ui.out(&std::mem::take(&mut self.text))
    }
}

/// An event in the envelope of CloudEvents 1.0. The hash of its line is the one name that no other event has.
fn cloudevent(line: &[u8]) -> Value {
    let event = parse(line);
    let mut envelope = json!({
        "specversion": "1.0",
        "id": event["hash"],
        "source": "urn:toolgate:audit",
        "type": format!("dev.toolgate.{}", text(&event, "event")),
        "time": when::utc(event["ts"].as_u64().unwrap_or(0)),
        "datacontenttype": "application/json",
    });
    if let Some(id) = event["id"].as_str() {
        envelope["subject"] = id.into();
    }
    envelope["data"] = event;
    envelope
}

/// A call as an event of the OCSF class API Activity (6003), with the profile that tells what a control decided.
fn ocsf(call: &Call) -> Value {
    let row = call_json(call);
    let event = &row["event"];
    let denied = call.outcome == Outcome::Denied;
    let (activity, activity_name) = match text(event, "effect") {
        "read" => (2, "Read"),
        "write" | "high_impact" => (3, "Update"),
        _ => (99, "Other"),
    };
    let (status, status_name) = match call.outcome {
        Outcome::Ok => (1, "Success"),
        Outcome::Open | Outcome::Lost | Outcome::InDoubt => (0, "Unknown"),
        Outcome::ToolError | Outcome::Failed | Outcome::Abandoned | Outcome::Denied => (2, "Failure"),
    };
    let (severity, severity_name) = match call.outcome {
        Outcome::Denied | Outcome::InDoubt => (3, "Medium"),
        Outcome::Failed | Outcome::ToolError => (2, "Low"),
        _ => (1, "Informational"),
    };
    let code = text(&row, "code");
    let mut response = json!({ "message": row["outcome"] });
    if !code.is_empty() {
        response["error"] = code.into();
    }
    let user = if text(event, "principal").is_empty() { text(event, "by") } else { text(event, "principal") };
    json!({
        "class_uid": 6003,
        "class_name": "API Activity",
        "category_uid": 6,
        "category_name": "Application Activity",
        "activity_id": activity,
        "activity_name": activity_name,
        "type_uid": 600_300 + activity,
        "type_name": format!("API Activity: {activity_name}"),
        "time": event["ts"].as_u64().unwrap_or(0) / 1_000,
        "duration": row["took_us"].as_u64().map(|micros| micros / 1_000),
        "severity_id": severity,
        "severity": severity_name,
        "status_id": status,
        "status": status_name,
        "status_code": row["outcome"],
        "action_id": if denied { 2 } else { 1 },
        "action": if denied { "Denied" } else { "Allowed" },
        "disposition_id": if denied { 2 } else { 1 },
        "disposition": if denied { "Blocked" } else { "Allowed" },
        "metadata": {
            "version": "1.3.0",
            "profiles": ["security_control"],
            "uid": event["hash"],
            "product": { "name": "toolgate", "vendor_name": "toolgate", "version": env!("CARGO_PKG_VERSION") },
        },
        "actor": {
            "user": { "name": user },
            "app_name": row["client"],
            "session": { "uid": row["session"] },
        },
        "api": {
            "operation": if text(event, "name").is_empty() { &row["asked"] } else { &row["name"] },
            "service": { "name": row["server"] },
            "request": { "uid": row["id"] },
            "response": response,
        },
        "src_endpoint": { "name": row["client"] },
        "unmapped": { "event": event, "end": row["end"] },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(event: &str, end: Option<&str>, outcome: Outcome) -> Call {
        Call { event: event.into(), end: end.map(Into::into), outcome }
    }

    #[test]
    fn a_call_is_an_api_activity() {
        let event = r#"{"event":"attempt","id":"a","ts":1795208400123456,"effect":"read","by":"local","server":"s","name":"echo","client":"codex","hash":"h"}"#;
        let end = r#"{"event":"end","id":"a","end":"finished","took_us":4567}"#;
        let activity = ocsf(&call(event, Some(end), Outcome::Ok));
        for (pointer, want) in [
            ("/class_uid", json!(6003)),
            ("/type_uid", json!(600_302)),
            ("/time", json!(1_795_208_400_123_u64)),
            ("/duration", json!(4)),
            ("/status_id", json!(1)),
            ("/action_id", json!(1)),
            ("/metadata/uid", json!("h")),
            ("/actor/user/name", json!("local")),
            ("/api/operation", json!("echo")),
            ("/api/service/name", json!("s")),
            ("/unmapped/end/took_us", json!(4567)),
        ] {
            assert_eq!(activity.pointer(pointer), Some(&want), "{pointer}");
        }
    }

    #[test]
    fn a_refusal_is_a_denied_activity() {
        let event = r#"{"event":"refusal","id":"a","ts":1,"by":"local","asked":"x","code":"policy.denied"}"#;
        let activity = ocsf(&call(event, None, Outcome::Denied));
        assert_eq!((&activity["action_id"], &activity["status_id"]), (&json!(2), &json!(2)));
        assert_eq!(activity["api"]["response"]["error"], "policy.denied");
        assert_eq!(activity["api"]["operation"], "x");
    }

    #[test]
    fn an_event_has_an_envelope() {
        let envelope = cloudevent(br#"{"event":"end","id":"a","ts":1795208400000000,"hash":"h"}"#);
        assert_eq!((&envelope["specversion"], &envelope["id"]), (&json!("1.0"), &json!("h")));
        assert_eq!((&envelope["type"], &envelope["subject"]), (&json!("dev.toolgate.end"), &json!("a")));
        assert_eq!(envelope["time"], "2026-11-20T21:00:00.000000Z");
        assert_eq!(cloudevent(br#"{"event":"close","ts":1}"#).get("subject"), None);
    }
}
