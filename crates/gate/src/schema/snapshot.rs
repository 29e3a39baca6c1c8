//! What servers offered at one moment, as a file that CI compares with.

use crate::pin::tree::Node;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use thiserror::Error;

/// The name of the format.
pub const SNAPSHOT: &str = "toolgate.schemas/1";

/// Definitions of tools by server and raw name.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    schema: String,
    /// By the configured name of the server, then by the tool's raw name.
    pub servers: BTreeMap<String, BTreeMap<String, Box<RawValue>>>,
}

/// Why a text is no snapshot.
#[derive(Debug, Error)]
pub enum SnapshotFlaw {
    /// Not JSON, or not of this shape.
    #[error("not a snapshot: {0}")]
    Shape(#[from] serde_json::Error),
    /// Another format.
    #[error("the schema is {0:?}, and only {SNAPSHOT:?} is known")]
    Format(String),
}

impl Snapshot {
    /// An empty one.
    pub fn new() -> Self {
        Self { schema: SNAPSHOT.to_owned(), servers: BTreeMap::new() }
    }

    /// Reads a snapshot.
    ///
    /// # Errors
    /// What is not one.
    pub fn parse(text: &str) -> Result<Self, SnapshotFlaw> {
        let snapshot: Self = serde_json::from_str(text)?;
        if snapshot.schema == SNAPSHOT { Ok(snapshot) } else { Err(SnapshotFlaw::Format(snapshot.schema)) }
    }

    /// Adds one tool. `definition` is raw JSON and kept to the byte; what is no JSON is left out.
    pub fn add(&mut self, server: &str, tool: &str, definition: &[u8]) {
        let raw = String::from_utf8(definition.to_vec()).ok().and_then(|text| RawValue::from_string(text).ok());
        let tools = self.servers.entry(server.to_owned()).or_default();
        if let Some(raw) = raw {
            tools.insert(tool.to_owned(), raw);
        }
    }

    /// The text of the file: sorted, one tool per line, so that version control shows what changed.
    pub fn to_text(&self) -> String {
        let name = |text: &str| Node::Text(text.into()).json();
        let mut text = format!("{{\n \"schema\": \"{SNAPSHOT}\",\n \"servers\": {{");
        for (n, (server, tools)) in self.servers.iter().enumerate() {
            text += if n > 0 { ",\n" } else { "\n" };
            text += &format!("  {}: {{", name(server));
            for (n, (tool, definition)) in tools.iter().enumerate() {
                text += if n > 0 { ",\n" } else { "\n" };
                text += &format!("   {}: {}", name(tool), on_one_line(definition.get()));
            }
            text += "\n  }";
        }
        text += "\n }\n}\n";
        text
    }
}

/// Without the line breaks between tokens; inside of strings there are none.
fn on_one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_read_as_it_was_written() {
        let mut snapshot = Snapshot::new();
        let definition = "{\"name\":\"b\",\n \"inputSchema\":{\"oneOf\":[{\"type\":\"string\"},{\"minimum\":1.50}]}}";
        snapshot.add("s\"x", "b", definition.as_bytes());
        snapshot.add("s\"x", "a", b"{}");
        snapshot.add("r", "a", b"no JSON");
        let text = snapshot.to_text();
        expect_test::expect![[r#"
            {
             "schema": "toolgate.schemas/1",
             "servers": {
              "r": {
              },
              "s\"x": {
               "a": {},
               "b": {"name":"b",  "inputSchema":{"oneOf":[{"type":"string"},{"minimum":1.50}]}}
              }
             }
            }
        "#]]
        .assert_eq(&text);
        let read = Snapshot::parse(&text).expect("a snapshot");
        assert_eq!(read.to_text(), text);
        assert_eq!(read.servers["s\"x"]["b"].get(), definition.replace('\n', " "));
    }

    #[test]
    fn another_format_is_refused() {
        assert!(matches!(Snapshot::parse(r#"{"schema":"x/2","servers":{}}"#), Err(SnapshotFlaw::Format(_))));
        assert!(matches!(Snapshot::parse("[]"), Err(SnapshotFlaw::Shape(_))));
    }
}
