//! `toolgate mcp get-prompt`: a prompt with its arguments filled in, as an agent would be given it.

use std::io::IsTerminal;

use clap::Args;
use serde_json::Value;

use super::agent::Agent;
use super::visit::visit;
use super::{Context, content, given, items};
use crate::ui::Failure;
use crate::wire::Selection;
use gate::Face;
use mcp::view;

/// Arguments of `get-prompt`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp get-prompt github__review --arg pr=17
  toolgate mcp get-prompt github__review --arg pr=17 --json | jq '.messages'")]
pub struct GetPromptArgs {
    /// The prompt, as `toolgate mcp prompts` prints it.
    #[arg(value_name = "SERVER__PROMPT")]
    prompt: String,
    /// One argument; the value is text. May be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    arg: Vec<String>,
}

/// Gets it.
pub fn run(args: &GetPromptArgs, cx: &Context) -> Result<(), Failure> {
    let arguments = Value::Object(given::texts(&args.arg)?);
    let config = cx.config()?;
    let answer = visit(&config, cx, &Selection::Enabled, async |house| {
        items::warn(&items::ask_cold(house, cx).await, cx);
        let params = format!(r#"{{"name":{},"arguments":{arguments}}}"#, view::quoted(&args.prompt));
        Agent::asks(house.gate.clone(), Face::All, "prompts/get", &params).await
    })?;
    if cx.ui.json() {
        return cx.ui.out(&content::with_schema(answer.raw(), "toolgate.get_prompt/1"));
    }
    cx.ui.out(&content::messages(answer.raw(), std::io::stdout().is_terminal()))
}
