//! `toolgate mcp complete`: what a server proposes for an argument of a prompt or a variable of a resource template.

use clap::{ArgGroup, Args};
use serde_json::{Value, json};

use super::agent::Agent;
use super::visit::visit;
use super::{Context, content, given, items};
use crate::ui::Failure;
use crate::wire::Selection;
use gate::Face;
use mcp::view;

/// Arguments of `complete`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp complete --prompt docs__lookup --arg language --value py
  toolgate mcp complete --resource 'repo://{owner}/{name}' --arg name --value t --context owner=octo",
    group = ArgGroup::new("reference").required(true))]
pub struct CompleteArgs {
    /// A prompt, as `toolgate mcp prompts` prints it.
    #[arg(long, value_name = "SERVER__PROMPT", group = "reference")]
    prompt: Option<String>,
    /// A resource template, or a resource, by its URI.
    #[arg(long, value_name = "URI", group = "reference")]
    resource: Option<String>,
    /// The argument or variable.
    #[arg(long, value_name = "NAME")]
    arg: String,
    /// What was typed of it so far.
    #[arg(long, value_name = "TEXT", default_value = "")]
    value: String,
    /// An argument that is decided already. May be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    context: Vec<String>,
}

/// Asks.
pub fn run(args: &CompleteArgs, cx: &Context) -> Result<(), Failure> {
    let params = params(args)?.to_string();
    let config = cx.config()?;
    let answer = visit(&config, cx, &Selection::Enabled, async |house| {
        items::warn(&items::ask_cold(house, cx).await, cx);
        Agent::asks(house.gate.clone(), Face::All, "completion/complete", &params).await
    })?;
    if cx.ui.json() {
        return cx.ui.out(&content::with_schema(answer.raw(), "toolgate.complete/1"));
    }
    let completion = answer.get("completion").unwrap_or("{}");
    let values = view::member(completion, "values").unwrap_or("[]");
    let values = serde_json::from_str::<Vec<String>>(values).unwrap_or_default();
    cx.ui.out(&values.iter().map(|value| format!("{}\n", content::visible(value))).collect::<String>())?;
    if view::member(completion, "hasMore") == Some("true") {
        cx.ui.hint("there are more; type more of the value");
    }
    Ok(())
}

fn params(args: &CompleteArgs) -> Result<Value, Failure> {
    let reference = match (&args.prompt, &args.resource) {
        (Some(prompt), _) => json!({"type": "ref/prompt", "name": prompt}),
        (None, resource) => json!({"type": "ref/resource", "uri": resource}),
    };
    let mut params = json!({"ref": reference, "argument": {"name": args.arg, "value": args.value}});
    if !args.context.is_empty() {
        params["context"] = json!({"arguments": given::texts(&args.context)?});
    }
    Ok(params)
}
