//! `toolgate mcp approve`: a person looks at what changed, and agrees to it.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::lock::{Seen, State, Tool};
use super::{Context, person, runtime};
use crate::ui::{Failure, Report};
use crate::wire::{self, Log, System};
use gate::pin::{self, Change, DefinitionHash, Finding, Pin};
use gate::ports::Clock;
use gate::{Code, Item};
use store::lock::rfc3339;

/// Arguments of `approve`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp approve github
  toolgate mcp approve github create_issue
  toolgate mcp approve github --secret-file ~/.approver

Shows what changed in the tools of a server that are held back, and what speaks against them, and asks at the
terminal whether they may run as they are now; where there is no terminal, the approver's secret proves the person
(`toolgate approvals secret`). A command that toolgate started is refused either way, so that no tool agrees to
itself.")]
pub struct ApproveArgs {
    /// The server.
    name: String,
    /// Its tools, by their bare names; all that are held back if left out.
    tools: Vec<String>,
    /// A file with the approver's secret, instead of a terminal.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

/// Approves.
pub fn run(args: &ApproveArgs, cx: &Context) -> Result<(), Failure> {
    // Before anything is started: a tool that calls this shall not even make its server run.
    person::not_beneath(cx, &[])?;
    let config = cx.config()?;
    wire::start_logging(&cx.env, &cx.home, Log::Terminal);
    runtime::block_on(async {
        let names = std::slice::from_ref(&args.name);
        let seen = Seen::look(names, &config, cx).await?;
        let result = approve(args, &seen, cx);
        seen.house.stop().await;
        result
    })
}

fn approve(args: &ApproveArgs, seen: &Seen, cx: &Context) -> Result<(), Failure> {
    if let Some((_, fault)) = seen.faults.first() {
        return Err(gate::Failure::Broke(fault.clone()).into());
    }
    let changes = wanted(args, seen)?;
    if changes.is_empty() {
        return cx.ui.report(&Approved { server: args.name.clone(), changes });
    }
    let lines: String = changes.iter().map(Reviewed::lines).collect();
    let one = changes.len() == 1;
    let question =
        format!("Let {} run as {} now?", if one { "it" } else { "them" }, if one { "it is" } else { "they are" });
    person::prove(cx, args.secret_file.as_deref(), &[], &lines, &question)?;
    let now = rfc3339(System.wall_micros());
    for change in &changes {
        seen.file.keep_definition(&change.pin.hash, &change.item.definition).map_err(wire::lock_failure)?;
    }
    seen.file
        .update(|lock| {
            for change in &changes {
                let pin = Pin { since: now.as_str().into(), ..change.pin.clone() };
                lock.set(&args.name, &change.item.raw, pin);
            }
        })
        .map_err(wire::lock_failure)?;
    cx.ui.report(&Approved { server: args.name.clone(), changes })
}

/// The tools that are to be approved, with what there is to see.
fn wanted(args: &ApproveArgs, seen: &Seen) -> Result<Vec<Reviewed>, Failure> {
    let tools = seen.report().tools;
    for name in &args.tools {
        if !tools.iter().any(|tool| tool.server == args.name && tool.tool == *name) {
            return Err(Failure::new(Code::ToolUnknown, format!("server `{}` has no tool `{name}`", args.name)));
        }
    }
    let named = |tool: &Tool| args.tools.is_empty() || args.tools.contains(&tool.tool);
    let held = |tool: &Tool| {
        matches!(tool.state, State::Changed | State::Suspicious) || tool.state == State::New && !args.tools.is_empty()
    };
    let items = seen.tools();
    let mut changes = Vec::new();
    for tool in tools.into_iter().filter(|tool| tool.server == args.name && named(tool) && held(tool)) {
        if let Some(item) = items.iter().find(|item| *item.raw == *tool.tool && item.server.as_str() == tool.server) {
            changes.push(Reviewed::of(item.clone(), tool, seen)?);
        }
    }
    Ok(changes)
}

/// One tool as a person sees it before agreeing to it.
struct Reviewed {
    item: Arc<Item>,
    pin: Pin,
    before: Option<DefinitionHash>,
    /// What changed; `None` if what it was is not known.
    diff: Option<Vec<Change>>,
    findings: Vec<Finding>,
}

impl Reviewed {
    fn of(item: Arc<Item>, tool: Tool, seen: &Seen) -> Result<Self, Failure> {
        let hash = DefinitionHash::of(&item.definition).map_err(|flaw| {
            Failure::new(Code::ToolQuarantined, format!("tool `{}` cannot be pinned: {flaw}", pin::visible(&item.raw)))
                .hint("readers disagree on what such a definition says; its author has to correct it")
        })?;
        let before = seen.lock.pin(item.server.as_str(), &item.raw).map(|pin| pin.hash);
        let masked = |definition: Vec<u8>| seen.house.gate.masks().definition(definition.into());
        let old = before.and_then(|hash| seen.file.definition(&hash));
        let diff = match (before, old) {
            (Some(_), None) => None,
            (_, old) => {
                let old = masked(old.unwrap_or_else(|| b"{}".to_vec()));
                pin::diff(&old, &masked(item.definition.to_vec())).ok()
            }
        };
        let pin = Pin { hash, class: seen.class(&item), exposed: item.exposed.clone(), since: "".into() };
        Ok(Self { item, pin, before, diff, findings: tool.findings })
    }

    fn lines(&self) -> String {
        let state = if self.before.is_some() { "changed since it was pinned" } else { "new" };
        let mut lines =
            format!("{} of {} ({}), {state}\n", pin::visible(&self.item.raw), self.item.server, self.pin.class);
        for finding in &self.findings {
            let _ = writeln!(lines, "  against it: {finding}");
        }
        match &self.diff {
            None => lines
                .push_str("  What it was is not kept here; read what it is now with `toolgate mcp tools --json`.\n"),
            Some(changes) => {
                for line in
                    changes.iter().flat_map(|change| change.to_string().lines().map(str::to_owned).collect::<Vec<_>>())
                {
                    let _ = writeln!(lines, "  {line}");
                }
            }
        }
        lines.push('\n');
        lines
    }
}

struct Approved {
    server: String,
    changes: Vec<Reviewed>,
}

impl Serialize for Approved {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let approved: Vec<_> = self
            .changes
            .iter()
            .map(|change| {
                serde_json::json!({
                    "tool": change.item.raw, "before": change.before, "now": change.pin.hash, "class": change.pin.class,
                    "changes": change.diff, "findings": change.findings,
                })
            })
            .collect();
        serde_json::json!({"schema": "toolgate.approve/1", "server": self.server, "approved": approved})
            .serialize(serializer)
    }
}

impl Report for Approved {
    fn human(&self) -> String {
        if self.changes.is_empty() {
            return format!("Nothing of {} is held back.\n", self.server);
        }
        let mut text: String = self.changes.iter().map(Reviewed::lines).collect();
        for change in &self.changes {
            let _ = writeln!(text, "{} may run as it is now, {}", pin::visible(&change.item.raw), change.pin.hash);
        }
        text
    }
}
