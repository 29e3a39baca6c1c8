//! `toolgate mcp call`: calls one tool through the gate, as an agent would.

use std::io::IsTerminal;

use clap::Args;

use super::agent::{Agent, Answer};
use super::asked::Person;
use super::declared;
use super::given::{Consent, Given};
use super::visit::visit_with;
use super::{Context, content, runtime};
use crate::ui::Failure;
use crate::wire::{self, Selection};
use gate::Code;
use gate::Face;
use gate::state::Status;
use mcp::{Frame, Limits, view};

/// Arguments of `call`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp call github__list_issues --args '{\"repo\":\"octo/cat\"}'
  toolgate mcp call everything__echo --arg message=hello
  echo '{\"message\":\"hi\"}' | toolgate mcp call everything__echo --args -
  toolgate mcp call slow__job --stream --json
  toolgate mcp call mail__send --args @mail.json --approve

A tool that needs a person's approval asks at the terminal. Without one it is refused, unless `--wait` leaves time
for an answer from elsewhere (`toolgate approvals`), or `--approve --secret-file FILE` proves the approver.

Exit status: 0 the tool succeeded; 1 it failed or was refused; 2 usage; 3 the server wants a login;
4 the server is disabled; 5 no such server.")]
pub struct CallArgs {
    /// The tool, as `toolgate mcp tools` prints it.
    #[arg(value_name = "SERVER__TOOL")]
    tool: String,
    #[command(flatten)]
    given: Given,
    /// Show progress and log lines while the tool runs, on standard output with `--json` (one JSON object a line).
    #[arg(long)]
    stream: bool,
    #[command(flatten)]
    consent: Consent,
}

/// Calls.
pub fn run(args: &CallArgs, cx: &Context) -> Result<(), Failure> {
    let arguments = args.given.text()?;
    let config = cx.config()?;
    declared::callable(&config, &args.tool)?;
    let (person, approver) = args.consent.given(&config, cx)?;
    let answer = visit_with(&config, cx, &Selection::Enabled, approver, async |house| {
        let answer = call(args, &arguments, cx, house, person).await;
        answer.map_err(|failure| placed(failure, &args.tool, &wire::statuses(&config, &cx.env, Some(house))))
    })?;
    show(&answer, cx)
}

async fn call(
    args: &CallArgs,
    arguments: &str,
    cx: &Context,
    house: &wire::House,
    person: Option<Person>,
) -> Result<Answer, Failure> {
    super::items::know(house, &args.tool, cx).await?;
    let mut agent = Agent::meet_with(house.gate.clone(), Face::All, Limits::default(), person).await?;
    let params =
        format!(r#"{{"name":{},"arguments":{arguments},"_meta":{{"progressToken":1}}}}"#, view::quoted(&args.tool));
    let mut heard = |frame: &Frame| tell(args, cx, frame);
    let answer = tokio::select! {
        answer = agent.request("tools/call", &params, &mut heard) => answer,
        _ = runtime::asked_to_end() => Err(Failure::new(Code::Interrupted, "interrupted; the call was cancelled")),
    };
    agent.leave().await;
    answer
}

/// The failure of a call to a tool nobody has, with where the server it is named after stands.
fn placed(failure: Failure, tool: &str, servers: &[Status]) -> Failure {
    let tool = tool.strip_prefix("mcp__").unwrap_or(tool);
    let named = |name: &str| tool.strip_prefix(name).is_some_and(|rest| rest.starts_with("__"));
    let server = servers.iter().filter(|status| named(&status.name)).max_by_key(|status| status.name.len());
    let Some(status) = server.filter(|_| failure.code == Code::ToolUnknown) else { return failure };
    let next = if status.state.is_up() { failure.hint.clone() } else { Some(status.next.clone()) };
    let hint = format!("server `{}` is {}; {}", status.name, status.state.label(), next.unwrap_or_default());
    failure.hint(hint)
}

fn tell(args: &CallArgs, cx: &Context, frame: &Frame) {
    if args.stream && cx.ui.json() {
        let _ = cx.ui.out(&format!("{}\n", frame.text()));
        return;
    }
    if let Some(text) = content::notification(frame)
        && (args.stream || std::io::stderr().is_terminal())
    {
        cx.ui.status(&text);
    }
}

fn show(answer: &Answer, cx: &Context) -> Result<(), Failure> {
    if cx.ui.json() {
        cx.ui.out(&content::with_schema(answer.raw(), "toolgate.call/1"))?;
    }
    if let Some(failure) = answer.failure() {
        return Err(failure);
    }
    if !cx.ui.json() {
        cx.ui.out(&content::human(answer.raw(), std::io::stdout().is_terminal()))?;
    }
    match answer.get("isError") {
        Some("true") => Err(Failure::new(Code::ToolFailed, "the tool ran and reported an error")),
        _ => Ok(()),
    }
}
