//! What the reference server offers, read from `catalogue.json`.
//!
//! Everything constant lives in that file; behaviour lives in the sibling modules.

use std::collections::BTreeMap;

use rmcp::model::{
    CallToolResult, ElicitationSchema, InputRequests, Prompt, PromptMessage, Resource, ResourceContents,
    ResourceTemplate, Tool,
};
use serde::Deserialize;
use serde_json::Value;

/// The constant part of the reference server.
#[derive(Deserialize)]
pub(super) struct Catalogue {
    pub tools: Vec<Tool>,
    /// Tools whose answer never changes.
    pub answers: BTreeMap<String, CallToolResult>,
    /// Tools that put a form before the user, in the legacy way.
    pub forms: BTreeMap<String, Form>,
    /// Tools and prompts that want input first, in the modern way.
    pub rounds: BTreeMap<String, Rounds>,
    pub resources: Vec<Resource>,
    pub templates: Vec<ResourceTemplate>,
    pub contents: BTreeMap<String, ResourceContents>,
    pub prompts: Vec<Prompt>,
    /// Prompt messages in which `{argument}` stands for an argument's value.
    pub messages: BTreeMap<String, Value>,
}

/// One `elicitation/create`.
#[derive(Deserialize)]
pub(super) struct Form {
    pub message: String,
    pub schema: ElicitationSchema,
}

/// The questions that are asked, round after round, before the answer.
#[derive(Deserialize)]
pub(super) struct Rounds {
    pub rounds: Vec<InputRequests>,
    pub done: String,
    /// The progress travels in a sealed `requestState`.
    #[serde(default)]
    pub sealed: bool,
    /// Only what the client declared it can answer is asked.
    #[serde(default)]
    pub by_capability: bool,
}

impl Catalogue {
    pub fn read() -> Self {
        serde_json::from_str(include_str!("catalogue.json")).expect("catalogue.json is well formed")
    }

    pub fn messages(&self, prompt: &str, arguments: &BTreeMap<String, String>) -> Option<Vec<PromptMessage>> {
        let mut messages = self.messages.get(prompt)?.clone();
        fill(&mut messages, arguments);
        serde_json::from_value(messages).ok()
    }
}

/// Replaces `{name}` by the argument of that name, in every string.
fn fill(value: &mut Value, arguments: &BTreeMap<String, String>) {
    match value {
        Value::String(text) => {
            for (name, argument) in arguments {
                *text = text.replace(&format!("{{{name}}}"), argument);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, arguments)),
        Value::Object(members) => members.values_mut().for_each(|item| fill(item, arguments)),
        _ => {}
    }
}
