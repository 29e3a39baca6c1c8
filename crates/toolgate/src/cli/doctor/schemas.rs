//! What Codex makes of the tools a server listed: what it strips, drops, cuts or refuses without a word. The rules are those
//! of Codex 0.169; what the gate itself does with schemas is not here.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Check, Patient};
use crate::wire::Known;
use gate::{Item, ServerName};

/// Above this many bytes Codex strips every description from a schema.
const LARGEST: usize = 5_000;

/// The longest name in Codex, `mcp__SERVER__TOOL` in all.
const LONGEST_NAME: usize = 128;

/// So much of a server's instructions is in Codex's list of servers, in characters.
const SHOWN: usize = 250;

/// Descriptions longer than this take their room from the conversation.
const DESCRIPTION: usize = 1_024;

/// How many tools are named.
const NAMED: usize = 5;

/// What of a schema reaches the model.
const KEPT: [&str; 15] = [
    "type",
    "description",
    "enum",
    "const",
    "items",
    "properties",
    "required",
    "additionalProperties",
    "anyOf",
    "oneOf",
    "allOf",
    "$ref",
    "$defs",
    "definitions",
    "prefixItems",
];

/// What does not, and means something.
const DROPPED: [&str; 20] = [
    "format",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "not",
    "if",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
    "prefixItems",
];

/// Remarks of all servers that are meant: all of them where servers were named, else how many there are.
pub fn checks(patient: &Patient<'_>) -> Vec<Check> {
    let known = Known::load(patient.config, &patient.cx.env);
    let servers = patient.config.servers.values().filter(|server| server.enabled && patient.means(&server.name));
    servers.flat_map(|server| of(&known, &server.name, !patient.names.is_empty())).collect()
}

fn of(known: &Known, server: &str, whole: bool) -> Vec<Check> {
    let tools: Vec<_> = known.tools.iter().filter(|tool| tool.server.as_str() == server).collect();
    let Some(instructions) = known.instructions(&ServerName::from(server)) else { return Vec::new() };
    let tools: Vec<_> = tools.into_iter().map(|tool| Tool::of(tool)).collect();
    let mut remarks = remarks(&tools);
    remarks.extend(of_instructions(instructions.as_deref()));
    let remarks: Vec<_> = remarks.into_iter().map(|check| check.about(server)).collect();
    match remarks.len() {
        0 => vec![Check::ok("schema", format!("Codex takes all {} tools as they are", tools.len())).about(server)],
        _ if whole => remarks,
        count => {
            let s = if count == 1 { "" } else { "s" };
            let what = format!("{count} remark{s} on what Codex makes of its tools: `toolgate doctor {server}`");
            vec![Check::ok("schema", what).about(server)]
        }
    }
}

struct Tool<'a> {
    item: &'a Item,
    definition: Value,
}

impl<'a> Tool<'a> {
    fn of(item: &'a Item) -> Self {
        Self { item, definition: serde_json::from_slice(&item.definition).unwrap_or_default() }
    }

    fn schema(&self) -> &Value {
        &self.definition["inputSchema"]
    }
}

fn remarks(tools: &[Tool<'_>]) -> Vec<Check> {
    let mut dropped = BTreeSet::new();
    tools.iter().for_each(|tool| find_dropped(tool.schema(), &mut dropped));
    let dropped: Vec<_> = dropped.iter().map(|word| format!("`{word}`")).collect();
    let lost = |tool: &Tool<'_>| {
        let mut found = BTreeSet::new();
        find_dropped(tool.schema(), &mut found);
        !found.is_empty()
    };
    let long = |tool: &Tool<'_>| {
        tool.definition["description"].as_str().is_some_and(|text| text.chars().count() > DESCRIPTION)
    };
    [
        remark(
            tools,
            |tool| normalised(tool.schema()).to_string().len() > LARGEST,
            &format!("schemas above {LARGEST} bytes, from which Codex strips every description"),
            "shorten them; or raise `tool_input_schema_max_bytes` in Codex's configuration",
        ),
        remark(
            tools,
            lost,
            &format!("constraints that Codex drops, so that the model does not know them: {}", dropped.join(", ")),
            "say them in the description too; the gate still holds every call against the whole schema",
        ),
        remark(
            tools,
            |tool| "mcp__".len() + tool.item.server.as_str().len() + "__".len() + tool.item.raw.len() > LONGEST_NAME,
            &format!("names above {LONGEST_NAME} characters, which Codex cuts and ends with a hash"),
            "give the server a shorter name",
        ),
        remark(
            tools,
            |tool| !tool.definition["annotations"].is_object(),
            "no annotations, so `codex exec` refuses to call them",
            "let the server say `readOnlyHint`, or set `approval_mode = \"approve\"` for those you know",
        ),
        remark(
            tools,
            long,
            &format!("descriptions above {DESCRIPTION} characters, which every conversation pays for"),
            "shorten them",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// One remark on all tools of which `wrong` is true.
fn remark(tools: &[Tool<'_>], wrong: impl Fn(&Tool<'_>) -> bool, what: &str, fix: &str) -> Option<Check> {
    let culprits: Vec<_> = tools.iter().filter(|tool| wrong(tool)).map(|tool| &*tool.item.raw).collect();
    let named = culprits.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let more = if culprits.len() > NAMED { ", …" } else { "" };
    let text = format!("{} of {} tools have {what} ({named}{more})", culprits.len(), tools.len());
    (!culprits.is_empty()).then(|| Check::warn("schema", text, fix))
}

fn of_instructions(text: Option<&str>) -> Option<Check> {
    let fix = "for who writes the server: say in the first sentence of `instructions` what it is for";
    match text.map(str::trim).filter(|text| !text.is_empty()) {
        None => {
            Some(Check::warn("schema", "it sends no instructions, so Codex's list of servers says nothing of it", fix))
        }
        Some(text) if text.chars().count() > SHOWN => {
            let start: String = text.chars().take(60).collect();
            let what =
                format!("Codex's list of servers shows the first {SHOWN} characters of its instructions: \"{start}…\"");
            Some(Check::warn("schema", what, fix))
        }
        Some(_) => None,
    }
}

/// Every schema in a schema, itself among them.
fn schemas<'a>(schema: &'a Value, visit: &mut dyn FnMut(&'a Map<String, Value>)) {
    let Value::Object(map) = schema else { return };
    visit(map);
    for key in ["items", "additionalProperties", "not", "if", "then", "else", "contains"] {
        map.get(key).into_iter().for_each(|inner| schemas(inner, visit));
    }
    for key in ["anyOf", "oneOf", "allOf", "prefixItems"] {
        map.get(key).and_then(Value::as_array).into_iter().flatten().for_each(|inner| schemas(inner, visit));
    }
    for key in ["properties", "$defs", "definitions", "patternProperties"] {
        map.get(key).and_then(Value::as_object).into_iter().flatten().for_each(|(_, inner)| schemas(inner, visit));
    }
}

fn find_dropped(schema: &Value, found: &mut BTreeSet<&'static str>) {
    schemas(schema, &mut |map| found.extend(DROPPED.into_iter().filter(|word| map.contains_key(*word))));
}

/// A schema as Codex hands it on, nearly: what it measures.
fn normalised(schema: &Value) -> Value {
    match schema {
        Value::Object(map) => map
            .iter()
            .filter(|(key, _)| KEPT.contains(&key.as_str()))
            .map(|(key, value)| match key.as_str() {
                "properties" | "$defs" | "definitions" => (key.clone(), each(value)),
                "const" => ("enum".to_owned(), Value::Array(vec![value.clone()])),
                "enum" | "required" | "description" | "type" | "$ref" => (key.clone(), value.clone()),
                _ => (key.clone(), normalised(value)),
            })
            .collect(),
        Value::Array(all) => all.iter().map(normalised).collect(),
        other => other.clone(),
    }
}

fn each(schemas: &Value) -> Value {
    match schemas {
        Value::Object(map) => map.iter().map(|(name, schema)| (name.clone(), normalised(schema))).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gate::Facts;
    use serde_json::json;

    /// What is said of a tool with this definition, in short.
    fn check(definition: Value, want: &[&str]) {
        let mut item = crate::wire::imagined("s", "t", Facts::default());
        item.definition = definition.to_string().into();
        let found: Vec<_> = remarks(&[Tool::of(&item)]).into_iter().map(|check| check.what).collect();
        assert_eq!(found.len(), want.len(), "{found:?}");
        for (found, want) in found.iter().zip(want) {
            assert!(found.contains(want), "{found} has no {want}");
        }
    }

    fn annotated(schema: Value) -> Value {
        json!({"name": "t", "annotations": {"readOnlyHint": true}, "inputSchema": schema})
    }

    #[test]
    fn what_codex_strips_drops_and_refuses_is_said() {
        check(annotated(json!({"type": "object", "title": "x", "properties": {"format": {"type": "string"}}})), &[]);
        check(json!({"name": "t", "inputSchema": {"type": "object"}}), &["no annotations"]);
        let deep = json!({"properties": {"a": {"items": {"anyOf": [{"pattern": "x"}, {"minimum": 1}]}}}});
        check(annotated(deep), &["`minimum`, `pattern` (t)"]);
        let long = "x".repeat(LARGEST);
        check(annotated(json!({"properties": {"a": {"description": long}}})), &["strips every description"]);
        check(annotated(json!({"properties": {"a": {"title": long, "examples": [long]}}})), &[]);
        let mut described = annotated(json!({"type": "object"}));
        described["description"] = "x".repeat(DESCRIPTION + 1).into();
        check(described, &["descriptions above"]);
    }

    #[test]
    fn names_are_counted_as_codex_joins_them() {
        let named = |length: usize| {
            let item = crate::wire::imagined("s", &"t".repeat(length), Facts::default());
            let definition = annotated(json!({}));
            remarks(&[Tool { item: &item, definition }]).len()
        };
        assert_eq!((named(LONGEST_NAME - 8), named(LONGEST_NAME - 7)), (0, 1));
    }

    #[test]
    fn instructions_are_shown_in_part() {
        assert!(of_instructions(None).is_some() && of_instructions(Some(" ")).is_some());
        assert!(of_instructions(Some("Reads issues.")).is_none());
        assert!(of_instructions(Some(&"x".repeat(SHOWN + 1))).is_some());
    }
}
