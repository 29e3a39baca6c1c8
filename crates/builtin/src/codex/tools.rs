//! The tools and their definitions, names, titles and annotations as codex-mcp-server documents them, and
//! `codex-reply` as Codex's own server had it. Not here: what they do.

use super::ask::{EFFORTS, SESSION_ID_MAX};
use super::settings::{Contract, DefaultModel, Sandbox, Settings};
use crate::definition::{self, Hints};
use gate::Listed;
use serde_json::{Value, json};

/// One of the tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// A turn of a conversation with Codex.
    Codex,
    /// The next turn of one that the caller keeps count of.
    Reply,
    /// A review.
    Review,
    /// A search of the web.
    Search,
    /// The sessions that are kept.
    Sessions,
    /// An echo.
    Ping,
    /// What Codex says of itself.
    Help,
}

const TURN: [&str; 9] = [
    "prompt",
    "sessionId",
    "resetSession",
    "model",
    "reasoningEffort",
    "sandbox",
    "fullAuto",
    "workingDirectory",
    "callbackUri",
];

impl Tool {
    /// In the order in which they are listed.
    pub const ALL: [Self; 7] =
        [Self::Codex, Self::Review, Self::Reply, Self::Search, Self::Ping, Self::Help, Self::Sessions];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Codex => "codex",
            Self::Reply => "codex-reply",
            Self::Review => "review",
            Self::Search => "websearch",
            Self::Sessions => "listSessions",
            Self::Ping => "ping",
            Self::Help => "help",
        }
    }

    /// Its documented parameters.
    pub fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Codex => &TURN,
            Self::Reply => &["prompt", "threadId"],
            Self::Review => &["prompt", "uncommitted", "base", "commit", "title", "model", "workingDirectory"],
            Self::Search => &["query", "numResults", "searchDepth"],
            Self::Ping => &["message"],
            Self::Sessions | Self::Help => &[],
        }
    }

    /// As the catalog has it.
    pub fn listed(self, settings: &Settings) -> Listed {
        let mut rest = json!({"description": self.description(), "inputSchema": self.input(settings)});
        if let Some(output) = self.output(settings.contract) {
            rest["outputSchema"] = output;
        }
        definition::tool(self.name(), self.title(), self.hints(), rest)
    }

    fn hints(self) -> Hints {
        let [read_only, destructive, idempotent, open_world] = match self {
            Self::Codex | Self::Reply => [false, true, false, true],
            Self::Review | Self::Search => [true, false, true, true],
            Self::Sessions | Self::Ping | Self::Help => [true, false, true, false],
        };
        Hints { read_only, destructive, idempotent, open_world }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Codex => "Execute Codex CLI",
            Self::Reply => "Continue Codex Conversation",
            Self::Review => "Code Review",
            Self::Search => "Web Search",
            Self::Sessions => "List Sessions",
            Self::Ping => "Ping Server",
            Self::Help => "Get Help",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::Codex => "Execute Codex CLI with advanced session management and model control",
            Self::Reply => "Continue a Codex conversation by its thread id",
            Self::Review => "Run a code review against the current repository with the Codex CLI; changes no files",
            Self::Search => "Search the web with the Codex CLI",
            Self::Sessions => "List all active conversation sessions with metadata",
            Self::Ping => "Test MCP server connection and responsiveness",
            Self::Help => "Get information about Codex CLI capabilities and commands",
        }
    }

    fn input(self, settings: &Settings) -> Value {
        let (properties, required) = match self {
            Self::Codex => (turn(settings), &["prompt"][..]),
            Self::Reply => (
                json!({
                    "prompt": text("The next message to Codex"),
                    "threadId": text("The thread id that an earlier call returned"),
                    "conversationId": text("The same; deprecated"),
                }),
                &["prompt"][..],
            ),
            Self::Review => (review(settings), &[][..]),
            Self::Search => (
                json!({
                    "query": text("What to search for"),
                    "numResults": {"type": "integer", "minimum": 1, "maximum": 50, "default": 10, "description": "How many findings"},
                    "searchDepth": {"type": "string", "enum": ["basic", "full"], "default": "basic", "description": "Findings alone, or with analysis"},
                }),
                &["query"][..],
            ),
            Self::Ping => (
                json!({"message": {"type": "string", "default": "pong", "description": "Message to echo back"}}),
                &[][..],
            ),
            Self::Sessions | Self::Help => (json!({}), &[][..]),
        };
        let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        schema
    }

    /// Only where results always carry structured content: strict clients refuse a result that lacks what its tool
    /// promised.
    fn output(self, contract: Contract) -> Option<Value> {
        let text = || json!({"type": "string"});
        match (self, contract) {
            (Self::Codex | Self::Reply, Contract::Codex) | (Self::Reply, Contract::Documented { .. }) => Some(json!({
                "type": "object",
                "properties": {"threadId": text(), "content": text()},
                "required": ["threadId", "content"],
            })),
            (Self::Codex, Contract::Documented { structured: true }) => {
                Some(facts(&["threadId", "model", "sessionId", "callbackUri"]))
            }
            (Self::Review, Contract::Documented { structured: true }) => Some(facts(&["model", "base", "commit"])),
            (Self::Search, Contract::Documented { structured: true }) => {
                let mut schema = facts(&["query", "searchDepth", "timestamp"]);
                schema["properties"]["numResults"] = json!({"type": "integer"});
                Some(schema)
            }
            _ => None,
        }
    }
}

/// What is told beside the answer, and the answer: some clients show nothing else.
fn facts(keys: &[&str]) -> Value {
    let mut schema = json!({"type": "object", "properties": {"content": {"type": "string"}}});
    for key in keys {
        schema["properties"][key] = json!({"type": "string"});
    }
    schema
}

fn text(description: &str) -> Value {
    json!({"type": "string", "minLength": 1, "description": description})
}

fn model(settings: &Settings) -> Value {
    let mut schema = text("Model to use for processing");
    match &settings.default_model {
        DefaultModel::Named(model) => schema["default"] = json!(model),
        DefaultModel::Inherit => schema["description"] = json!("Model to use for processing; by default Codex's own"),
    }
    schema
}

fn turn(settings: &Settings) -> Value {
    let sandboxes = Sandbox::ALL.map(Sandbox::word);
    let mut properties = json!({
        "prompt": text("The coding task, question, or analysis request"),
        "sessionId": {"type": "string", "minLength": 1, "maxLength": SESSION_ID_MAX, "pattern": "^[a-zA-Z0-9_-]+$", "description": "Session ID for conversational context"},
        "resetSession": {"type": "boolean", "default": false, "description": "Reset session history before processing; does nothing without sessionId"},
        "model": model(settings),
        "reasoningEffort": {"type": "string", "enum": EFFORTS, "description": "Control reasoning depth"},
        "sandbox": {"type": "string", "enum": sandboxes, "description": "Sandbox policy for what the model runs"},
        "fullAuto": {"type": "boolean", "default": false, "description": "Enable full-auto mode (sandboxed automatic execution)"},
        "workingDirectory": text("Working directory for the agent"),
        "callbackUri": text("Static MCP callback URI passed via env to Codex"),
    });
    if settings.contract == Contract::Codex {
        for (name, description) in [
            ("cwd", "Working directory for the agent"),
            ("base-instructions", "Instructions for the agent"),
            ("developer-instructions", "Instructions for the agent, as the developer's"),
            ("compact-prompt", "How a long conversation is summed up"),
        ] {
            properties[name] = text(description);
        }
        properties["approval-policy"] =
            json!({"type": "string", "enum": ["untrusted", "on-failure", "on-request", "never"]});
        properties["config"] = json!({"type": "object", "additionalProperties": true});
    }
    properties
}

fn review(settings: &Settings) -> Value {
    json!({
        "prompt": text("What to look for; not together with uncommitted"),
        "uncommitted": {"type": "boolean", "default": false, "description": "Review staged, unstaged and untracked changes"},
        "base": text("Review what came since this branch"),
        "commit": text("Review this commit"),
        "title": text("Title of the commit, for the review's summary"),
        "model": model(settings),
        "workingDirectory": text("Repository to review"),
    })
}
