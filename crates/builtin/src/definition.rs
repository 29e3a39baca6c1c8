//! A tool's definition, put together as the catalog takes it. Not here: any tool.

use gate::{Facts, ItemKind, Listed, Place};
use serde_json::{Value, json};

/// What a tool claims of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hints {
    pub read_only: bool,
    pub destructive: bool,
    pub idempotent: bool,
    pub open_world: bool,
}

/// A tool: `rest` is its definition without name and annotations, `title` is in both.
pub(crate) fn tool(name: &str, title: &str, hints: Hints, mut rest: Value) -> Listed {
    rest["title"] = title.into();
    rest["annotations"] = json!({
        "title": title,
        "readOnlyHint": hints.read_only,
        "destructiveHint": hints.destructive,
        "idempotentHint": hints.idempotent,
        "openWorldHint": hints.open_world,
    });
    let facts = Facts {
        read_only: Some(hints.read_only),
        destructive: Some(hints.destructive),
        open_world: Some(hints.open_world),
    };
    item(ItemKind::Tool, name, name, facts, &rest)
}

/// Anything that is listed: `raw` is what it is asked for by, `name` its name, `rest` its definition without that.
pub(crate) fn item(kind: ItemKind, raw: &str, name: &str, facts: Facts, rest: &Value) -> Listed {
    let head = r#"{"name":"#;
    let quoted = mcp::view::quoted(name);
    let definition = format!(r#"{head}{quoted},{}"#, &rest.to_string()[1..]);
    let name_at = Place { start: head.len() as u32, end: (head.len() + quoted.len()) as u32 };
    Listed { kind, raw: raw.into(), definition: definition.into(), name_at, facts }
}
