//! `toolgate mcp test`: one server, step by step.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::time::Instant;

use super::agent::Agent;
use super::{Context, runtime};
use crate::ui::{Failure, Report};
use crate::wire::{self, House, Log, Selection};
use gate::Code;
use gate::{Face, ItemKind, ServerName};
use mcp::{Limits, view};

/// Arguments of `test`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp test github
  toolgate mcp test github --json --timeout 5
  toolgate mcp test everything --tool echo --args '{\"message\":\"hi\"}'

Exit status: 0 usable; 1 failed; 2 usage; 3 wants a login; 4 disabled; 5 not configured; 6 has no tools.")]
pub struct TestArgs {
    /// The server.
    name: String,
    /// How long all of it may take, in seconds [default: the server's `startup_timeout_sec` and `tool_timeout_sec`].
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
    /// Also call this tool, by its bare name.
    #[arg(long, value_name = "TOOL")]
    tool: Option<String>,
    /// Arguments for `--tool`, one JSON object.
    #[arg(long, value_name = "JSON", default_value = "{}", requires = "tool")]
    args: String,
}

/// Tests.
pub fn run(args: &TestArgs, cx: &Context) -> Result<(), Failure> {
    view::members(args.args.trim()).map_err(|flaw| Failure::new(Code::ArgsInvalid, format!("`--args`: {flaw}")))?;
    let config = cx.config()?;
    wire::start_logging(&cx.env, &cx.home, Log::Terminal);
    runtime::block_on(async {
        let house = wire::build(&config, &cx.env, &Selection::Only(args.name.clone()))?;
        cx.ui.status(&format!("starting {} …", args.name));
        let mut test = Test { server: args.name.clone(), steps: Vec::new(), stderr: Vec::new() };
        let limit = Duration::try_from_secs_f64(args.timeout.unwrap_or(f64::MAX)).unwrap_or(Duration::MAX);
        let outcome = match tokio::time::timeout(limit, test.walk(args, &house)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(test.out_of_time(limit)),
        };
        if outcome.is_err() {
            let tail = house.upstream(&args.name).map(|up| up.stderr_tail()).unwrap_or_default();
            test.stderr = tail.iter().rev().take(5).rev().map(|line| house.gate.masks().text(line)).collect();
        }
        house.stop().await;
        cx.ui.report(&test)?;
        outcome
    })
}

#[derive(Serialize)]
struct Step {
    step: &'static str,
    ok: bool,
    ms: u128,
    detail: String,
}

struct Test {
    server: String,
    steps: Vec<Step>,
    stderr: Vec<String>,
}

impl Test {
    async fn walk(&mut self, args: &TestArgs, house: &House) -> Result<(), Failure> {
        let server = ServerName::from(args.name.as_str());
        let up = house.upstream(&args.name).ok_or_else(|| Failure::new(Code::InternalBug, "the server has no link"))?;
        let begun = Instant::now();
        let started = match house.gate.start(&server) {
            Ok(()) => wire::settled(up).await.map_err(gate::Failure::Broke),
            Err(failure) => Err(failure),
        };
        let started = started.map(|revision| format!("speaks {revision}")).map_err(Failure::from);
        self.note("start", begun, started)?;
        let begun = Instant::now();
        let pinged = up.ping().await.map(|_| String::new()).map_err(|fault| gate::Failure::Broke(fault).into());
        self.note("ping", begun, pinged)?;
        let begun = Instant::now();
        let counts = self.count(house);
        self.note("list", begun, counts)?;
        match &args.tool {
            Some(tool) => self.call(tool, args.args.trim(), house, &server).await,
            None => Ok(()),
        }
    }

    fn count(&self, house: &House) -> Result<String, Failure> {
        let count = |kind| house.gate.catalog().items(&Face::All, kind).1.len();
        let [tools, prompts, resources] = [ItemKind::Tool, ItemKind::Prompt, ItemKind::Resource].map(count);
        let shown = house.gate.visible(&Face::All, ItemKind::Tool).1.len();
        if tools == 0 {
            return Err(Failure::new(Code::UpstreamNoTools, format!("server `{}` has no tools", self.server)));
        }
        let hidden = if shown < tools { format!(" ({} hidden by policy)", tools - shown) } else { String::new() };
        Ok(format!("{tools} tools{hidden}, {prompts} prompts, {resources} resources"))
    }

    async fn call(&mut self, tool: &str, arguments: &str, house: &House, server: &ServerName) -> Result<(), Failure> {
        let begun = Instant::now();
        let mut agent = Agent::meet(house.gate.clone(), Face::Only(server.clone()), Limits::default()).await?;
        let params = format!(r#"{{"name":{},"arguments":{arguments}}}"#, view::quoted(tool));
        let answer = agent.request("tools/call", &params, &mut |_| ()).await;
        agent.leave().await;
        let result = answer.and_then(|answer| match (answer.failure(), answer.get("isError")) {
            (Some(failure), _) => Err(failure),
            (None, Some("true")) => Err(Failure::new(Code::ToolFailed, answer.first_text())),
            (None, _) => Ok(format!("{} bytes", answer.raw().len())),
        });
        self.note("call", begun, result)
    }

    /// Notes how a step went; a failed one ends the walk.
    fn note(&mut self, step: &'static str, begun: Instant, result: Result<String, Failure>) -> Result<(), Failure> {
        let detail = match &result {
            Ok(detail) => detail.clone(),
            Err(failure) => failure.to_string(),
        };
        self.steps.push(Step { step, ok: result.is_ok(), ms: begun.elapsed().as_millis(), detail });
        result.map(drop)
    }

    fn out_of_time(&mut self, limit: Duration) -> Failure {
        let step = match self.steps.last().map(|step| step.step) {
            None => "start",
            Some("start") => "ping",
            Some("ping") => "list",
            Some(_) => "call",
        };
        let detail = format!("did not end within {} s", limit.as_secs_f64());
        self.steps.push(Step { step, ok: false, ms: limit.as_millis(), detail: detail.clone() });
        Failure::new(Code::UpstreamTimeout, format!("server `{}`: step `{step}` {detail}", self.server))
            .hint("raise `--timeout`, or see what the server prints")
    }
}

impl Serialize for Test {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ok = self.steps.iter().all(|step| step.ok);
        let report = serde_json::json!({
            "schema": "toolgate.test/1", "server": self.server, "ok": ok, "steps": self.steps, "stderr": self.stderr,
        });
        report.serialize(serializer)
    }
}

impl Report for Test {
    fn human(&self) -> String {
        use std::fmt::Write;
        let mut text = String::new();
        for step in &self.steps {
            let mark = if step.ok { "ok" } else { "FAILED" };
            let _ = writeln!(
                text,
                "{:<6} {:>6} ms  {mark:<6} {}",
                step.step,
                step.ms,
                super::content::visible(&step.detail)
            );
        }
        for line in &self.stderr {
            let _ = writeln!(text, "  it printed: {}", super::content::visible(line));
        }
        text
    }
}
