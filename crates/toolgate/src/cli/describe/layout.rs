//! A description as text and as Markdown. What a server wrote stays in its place: it cannot end a block, move the
//! cursor or hide.

use std::fmt::Write;

use serde_json::Value;

use super::super::content::visible;
use super::super::items::Row;
use super::Description;

/// One parameter of a tool, or argument of a prompt.
struct Parameter {
    name: String,
    kind: String,
    required: bool,
    about: String,
}

impl Description {
    /// For a terminal.
    pub(super) fn plain(&self) -> String {
        let mut out = format!("{}\n", self.title());
        let _ = writeln!(out, "  state: {}{}", self.state.label(), behind(": ", self.reason.as_deref()));
        if let Some(text) = &self.instructions {
            let _ = write!(out, "\nInstructions\n{}", indented(text, "  "));
        }
        for (heading, rows) in self.lists() {
            if !rows.is_empty() {
                let _ = write!(out, "\n{heading} ({})\n", rows.len());
                rows.iter().for_each(|row| out.push_str(&plain_row(row)));
            }
        }
        out
    }

    /// For a document.
    pub(super) fn markdown(&self) -> String {
        let mut out = format!("# {}\n", escaped(&self.title()));
        let _ = write!(out, "\nState: {}{}\n", self.state.label(), escaped(&behind(": ", self.reason.as_deref())));
        if let Some(text) = &self.instructions {
            let _ = write!(out, "\n## Instructions\n\n{}", quoted(text));
        }
        for (heading, rows) in self.lists() {
            if !rows.is_empty() {
                let _ = write!(out, "\n## {heading} ({})\n", rows.len());
                rows.iter().for_each(|row| out.push_str(&markdown_row(row)));
            }
        }
        out
    }

    fn lists(&self) -> [(&'static str, &[Row]); 4] {
        [
            ("Tools", &self.tools),
            ("Prompts", &self.prompts),
            ("Resources", &self.resources),
            ("Resource templates", &self.templates),
        ]
    }

    /// The name, what the server calls itself, and the protocol.
    fn title(&self) -> String {
        let info = |key: &str| self.server_info.as_ref().and_then(|info| info.get(key)?.as_str());
        let own: Vec<_> = [info("title").or(info("name")), info("version")].into_iter().flatten().collect();
        let protocol = behind(", MCP ", self.protocol.as_deref());
        visible(&format!(
            "{}{}{protocol}",
            self.name,
            behind(": ", (!own.is_empty()).then(|| own.join(" ")).as_deref())
        ))
    }
}

fn plain_row(row: &Row) -> String {
    let definition = definition(row);
    let mut out = format!("  {}{}\n", visible(&row.name), visible(&notes(row, &definition)));
    if let Some(text) = definition["description"].as_str() {
        out.push_str(&indented(text, "      "));
    }
    for one in parameters(&definition) {
        let required = if one.required { ", required" } else { "" };
        let about = behind(": ", (!one.about.is_empty()).then_some(one.about.as_str()));
        let line = visible(&format!("{} ({}{required}){about}", one.name, one.kind)).replace('\n', " ");
        let _ = writeln!(out, "      - {line}");
    }
    out
}

/// What stands behind a name: its title, what a call of it needs, what its server claims, what it refers to.
fn notes(row: &Row, definition: &Value) -> String {
    let title = definition["title"].as_str().or(definition["annotations"]["title"].as_str());
    let runs = row.decision.map(|decision| match decision {
        "allow" => "runs unasked",
        "ask" => "needs approval",
        "held" => "held back: see `toolgate mcp approve`",
        _ => "hidden by policy",
    });
    let hints = claims(definition);
    let kind = definition["mimeType"].as_str();
    let parts: Vec<_> = [title, runs, hints.as_deref(), kind].into_iter().flatten().collect();
    behind("  ", (!parts.is_empty()).then(|| format!("[{}]", parts.join("; "))).as_deref())
}

/// The annotations, as the server states them.
fn claims(definition: &Value) -> Option<String> {
    let hints = ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"];
    let said = |hint: &&str| Some(format!("{hint}: {}", definition["annotations"][*hint].as_bool()?));
    let said: Vec<_> = hints.iter().filter_map(said).collect();
    (!said.is_empty()).then(|| said.join(", "))
}

fn markdown_row(row: &Row) -> String {
    let definition = definition(row);
    let mut out = format!("\n### `{}`\n\n", visible(&row.name).replace(['`', '\n'], "'"));
    let notes = notes(row, &definition);
    if !notes.is_empty() {
        let _ = write!(out, "{}\n\n", escaped(&visible(&notes).replace('\n', " ")).trim());
    }
    if let Some(text) = definition["description"].as_str() {
        let _ = writeln!(out, "{}", quoted(text));
    }
    let parameters = parameters(&definition);
    if !parameters.is_empty() {
        out.push_str("| Parameter | Type | Required | Description |\n|---|---|---|---|\n");
        parameters.iter().for_each(|one| out.push_str(&table_row(one)));
        out.push('\n');
    }
    for (what, key) in [("Input schema", "inputSchema"), ("Output schema", "outputSchema")] {
        if let Some(schema) = definition.get(key) {
            let json = serde_json::to_string_pretty(schema).unwrap_or_default();
            let _ = write!(out, "{what}:\n\n```json\n{}\n```\n", visible(&json));
        }
    }
    out
}

fn table_row(one: &Parameter) -> String {
    let cell = |text: &str| escaped(&visible(text).replace('\n', " ")).replace('|', "\\|");
    let required = if one.required { "yes" } else { "no" };
    format!("| {} | {} | {required} | {} |\n", cell(&one.name), cell(&one.kind), cell(&one.about))
}

fn definition(row: &Row) -> Value {
    serde_json::from_str(row.definition.get()).unwrap_or_default()
}

/// What a tool takes by its schema, or a prompt by its list.
fn parameters(definition: &Value) -> Vec<Parameter> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if let Some(arguments) = definition["arguments"].as_array() {
        let argument = |one: &Value| Parameter {
            name: text(&one["name"]),
            kind: "string".to_owned(),
            required: one["required"] == true,
            about: text(&one["description"]),
        };
        return arguments.iter().map(argument).collect();
    }
    let schema = &definition["inputSchema"];
    let required = |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|one| one == name));
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    let parameter = |(name, one): (&String, &Value)| Parameter {
        name: name.clone(),
        kind: kind(one),
        required: required(name),
        about: text(&one["description"]),
    };
    properties.iter().map(parameter).collect()
}

fn kind(schema: &Value) -> String {
    match (&schema["type"], schema["enum"].as_array()) {
        (_, Some(values)) => values.iter().map(Value::to_string).collect::<Vec<_>>().join(" or "),
        (Value::String(kind), None) => kind.clone(),
        (Value::Array(kinds), None) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "any".to_owned(),
    }
}

fn behind(lead: &str, text: Option<&str>) -> String {
    text.map(|text| format!("{lead}{text}")).unwrap_or_default()
}

fn indented(text: &str, indent: &str) -> String {
    visible(text.trim()).lines().map(|line| format!("{indent}{line}\n")).collect()
}

/// As a block of quoted lines, in which no markup of HTML counts.
fn quoted(text: &str) -> String {
    escaped(&visible(text.trim())).lines().map(|line| format!("> {line}\n")).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use gate::State;
    use serde_json::json;
    use serde_json::value::RawValue;

    fn row(name: &str, decision: Option<&'static str>, definition: Value) -> Row {
        let definition = RawValue::from_string(definition.to_string()).unwrap();
        let (name, server) = (name.to_owned(), "s".to_owned());
        Row { raw_name: name.clone(), name, server, decision, declared: false, definition }
    }

    fn description() -> Description {
        let schema = json!({"type": "object", "required": ["to"], "properties": {
            "to": {"type": "string", "description": "a | b\n<c>"}, "n": {"enum": [1, "x"]}, "any": {}}});
        let tool = json!({"name": "send", "title": "Send", "description": "Sends.\n# Not a heading\u{1b}[2J <b>",
            "annotations": {"readOnlyHint": false}, "inputSchema": schema});
        let prompt = json!({"name": "p", "arguments": [{"name": "topic", "required": true}]});
        Description {
            schema: "toolgate.describe/1",
            name: "mail".to_owned(),
            state: State::Connected,
            reason: None,
            server_info: Some(json!({"name": "mailer", "version": "2"})),
            protocol: Some("2025-11-25".to_owned()),
            capabilities: None,
            instructions: Some("Be kind.".to_owned()),
            tools: vec![row("mail__send", Some("ask"), tool), row("mail__`x", Some("held"), json!({}))],
            prompts: vec![row("mail__p", None, prompt)],
            resources: vec![row("file:///a", None, json!({"uri": "file:///a", "mimeType": "text/plain"}))],
            templates: Vec::new(),
        }
    }

    #[test]
    fn a_terminal_gets_all_of_it_in_lines() {
        expect![[r#"
            mail: mailer 2, MCP 2025-11-25
              state: connected

            Instructions
              Be kind.

            Tools (2)
              mail__send  [Send; needs approval; readOnlyHint: false]
                  Sends.
                  # Not a heading\u{1b}[2J <b>
                  - to (string, required): a | b <c>
                  - n (1 or "x")
                  - any (any)
              mail__`x  [held back: see `toolgate mcp approve`]

            Prompts (1)
              mail__p
                  - topic (string, required)

            Resources (1)
              file:///a  [text/plain]
        "#]]
        .assert_eq(&description().plain());
    }

    #[test]
    fn markdown_keeps_what_a_server_wrote_in_its_place() {
        let text = description().markdown();
        let lines: Vec<_> = text.lines().collect();
        for line in [
            "# mail: mailer 2, MCP 2025-11-25",
            "### `mail__send`",
            "> # Not a heading\\u{1b}[2J &lt;b>",
            "| to | string | yes | a \\| b &lt;c> |",
            "### `mail__'x`",
            "  \"type\": \"object\",",
        ] {
            assert!(lines.contains(&line), "{line} is not in\n{text}");
        }
        assert_eq!(text.matches("```").count() % 2, 0);
    }
}
