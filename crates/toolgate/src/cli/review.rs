//! `toolgate mcp review NAME`: what a person has to decide on before a server is used, filled in with what is configured and
//! what the server was last seen to offer. Starts and connects to nothing. What is decided and checked is
//! `review/facts`'s.

mod facts;

use clap::Args;
use serde::Serialize;

use self::facts::{Check, Decision, Facts, Reviewed};
use super::{Context, content, unknown_server};
use crate::ui::{Failure, Report, Table};
use crate::wire::{self, Known};
use store::lock::LockFile;

/// Arguments of `review`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp review github
  toolgate mcp review github --json | jq '.checks[] | select(.ok == false)'

Tools are judged as they were last seen; `toolgate mcp refresh NAME` looks again.")]
pub struct ReviewArgs {
    /// The server.
    name: String,
}

/// What the documentation says last, and counts most.
const CONCLUSION: &str = "If a tool could change money, permissions, customer records, or production state, it needs \
                          human approval and audit evidence.";

/// Reviews.
pub fn run(args: &ReviewArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    let Some(server) = config.servers.get(&args.name) else {
        return Err(match config.bad.iter().find(|bad| bad.name == args.name) {
            Some(bad) => bad.into(),
            None => unknown_server(&args.name, &config),
        });
    };
    let known = Known::load(&config, &cx.env);
    let lock = LockFile::new(&config.home, &config.state_dir()).read().map_err(wire::lock_failure)?;
    let facts = Facts { config: &config, server, known: &known, lock: &lock, env: &cx.env };
    let tools = facts.tools();
    cx.ui.report(&Review {
        schema: "toolgate.review/1",
        server: &server.name,
        decisions: facts.decisions(),
        checks: facts.checks(&tools),
        tools,
        conclusion: CONCLUSION,
    })
}

#[derive(Serialize)]
struct Review<'a> {
    schema: &'static str,
    server: &'a str,
    decisions: Vec<Decision>,
    checks: Vec<Check>,
    tools: Vec<Reviewed>,
    conclusion: &'static str,
}

impl Report for Review<'_> {
    fn human(&self) -> String {
        let mut decisions = Table::new(["Decision", "Question", "Decided", "Answer"]);
        for one in &self.decisions {
            let decided = if one.decided { "yes" } else { "NO" };
            decisions.row([one.decision, one.question, decided, &one.answer].map(str::to_owned));
        }
        let mark = |ok: Option<bool>| match ok {
            Some(true) => "[x]",
            Some(false) => "[ ]",
            None => " - ",
        };
        let check = |one: &Check| content::visible(&format!("{} {}: {}\n", mark(one.ok), one.check, one.detail));
        let mut text = format!("{}\n\n{}\n", content::visible(self.server), decisions.text());
        text.extend(self.checks.iter().map(check));
        if !self.tools.is_empty() {
            let mut tools = Table::new(["Tool", "Class", "A call", "Definition"]);
            for tool in &self.tools {
                tools.row([tool.tool.clone(), tool.class.into(), tool.outcome.word().into(), tool.definition.into()]);
            }
            text += &format!("\n{}", tools.text());
        }
        format!("{text}\n{}\n", self.conclusion)
    }
}
