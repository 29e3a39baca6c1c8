//! The tools and their definitions. Not here: what they answer.

use gate::Place;

/// One of our tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    Echo,
    Now,
    Servers,
}

const ANNOTATIONS: &str =
    r#"{"readOnlyHint":true,"destructiveHint":false,"idempotentHint":true,"openWorldHint":false}"#;
const NO_PARAMETERS: &str = r#"{"type":"object","properties":{},"additionalProperties":false}"#;

impl Tool {
    pub const ALL: &'static [Self] = &[Self::Echo, Self::Now, Self::Servers];

    pub fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Now => "now",
            Self::Servers => "servers",
        }
    }

    pub fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Echo => &["text"],
            Self::Now | Self::Servers => &[],
        }
    }

    /// The definition, and where the value of `name` stands in it.
    pub fn definition(self) -> (String, Place) {
        let head = r#"{"name":"#;
        let name = self.name();
        let members = match self {
            Self::Echo => ECHO.to_owned(),
            Self::Now => NOW.replace("NO_PARAMETERS", NO_PARAMETERS),
            Self::Servers => SERVERS.replace("NO_PARAMETERS", NO_PARAMETERS),
        };
        let definition = format!(r#"{head}"{name}",{members},"annotations":{ANNOTATIONS}}}"#);
        let place = Place { start: head.len() as u32, end: (head.len() + name.len() + 2) as u32 };
        (definition, place)
    }
}

const ECHO: &str = r#""title":"Echo","description":"Returns the given text.","inputSchema":{"type":"object","properties":{"text":{"type":"string","description":"What to return"}},"required":["text"],"additionalProperties":false}"#;

const NOW: &str = r#""title":"Current time","description":"Returns the current time in UTC.","inputSchema":NO_PARAMETERS,"outputSchema":{"type":"object","properties":{"utc":{"type":"string","format":"date-time"}},"required":["utc"]}"#;

const SERVERS: &str = r#""title":"Configured servers","description":"Lists the configured MCP servers and whether each is enabled.","inputSchema":NO_PARAMETERS,"outputSchema":{"type":"object","properties":{"servers":{"type":"array","items":{"type":"object","properties":{"name":{"type":"string"},"enabled":{"type":"boolean"}},"required":["name","enabled"]}}},"required":["servers"]}"#;
