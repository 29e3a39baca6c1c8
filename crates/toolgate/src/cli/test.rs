//! `toolgate mcp test`: one server, step by step.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio::time::Instant;

use super::agent::Agent;
use super::{Context, declared, observed, runtime, show, strict};
use crate::config::{Config, Server, Transport};
use crate::ui::{Failure, Report};
use crate::wire::{self, House, Log, Selection};
use gate::Code;
use gate::state::Status;
use gate::{Face, ItemKind, ServerName, State};
use mcp::{Limits, view};
use sandbox::Profile;
use upstream::Upstream;

/// Arguments of `test`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp test github
  toolgate mcp test github --json --timeout 5
  toolgate mcp test filesystem --sandbox
  toolgate mcp test everything --tool echo --args '{\"message\":\"hi\"}'
  toolgate mcp test github --strict --json | jq '.strict[] | select(.ok | not)'

Exit status: 0 usable; 1 failed; 2 usage, or an entry that cannot be used; 3 wants a login; 4 disabled;
5 not configured; 6 has no tools; 7 quarantined; 8 needs approval; 9 cannot be kept in bounds; 130 interrupted.
The state itself is the first word after `state:`, and `state` with --json.")]
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
    /// Also ask whether it keeps to what agents rely on: schemas, names, annotations, times, refusals.
    #[arg(long)]
    strict: bool,
    /// Keep it in the tightest bounds, with no network, unless its `sandbox` says otherwise; and try in them what is forbidden.
    #[arg(long)]
    sandbox: bool,
}

impl TestArgs {
    /// A plain test of the server `name`.
    pub fn of(name: &str) -> Self {
        let args = "{}".to_owned();
        Self { name: name.to_owned(), timeout: None, tool: None, args, strict: false, sandbox: false }
    }
}

/// Tests.
pub fn run(args: &TestArgs, cx: &Context) -> Result<(), Failure> {
    view::members(args.args.trim()).map_err(|flaw| Failure::new(Code::ArgsInvalid, format!("`--args`: {flaw}")))?;
    let mut config = cx.config()?;
    let granted_nothing = args.sandbox && confine(&mut config, &args.name)?;
    let tried = args.sandbox.then(|| wire::bounds_to_try(&config, &cx.env, &args.name)).flatten();
    wire::start_logging(&cx.env, &cx.home, Log::Terminal);
    let status = wire::status(&config, &cx.env, None, &args.name);
    let mut test = Test { steps: Vec::new(), strict: Vec::new(), status, refused: None, tried };
    let off = test.status.state.is_disabled() && test.status.state != State::DisabledAsItself;
    let walk = async {
        if off {
            let failure = Failure::new(Code::UpstreamDisabled, test.status.sentence());
            return Err(failure.hint(test.status.next.clone()));
        }
        let house = wire::build(&config, &cx.env, &Selection::Only(args.name.clone()))?;
        cx.ui.status(&format!("starting {} …", args.name));
        let outcome = test.within_time(args, &house).await;
        house.stop().await;
        outcome
    };
    let outcome = runtime::block_on(walk);
    cx.ui.report(&test)?;
    let state = test.status.state;
    match outcome {
        // Only the state tells some ways to fail from others; a trial call fails in its own ways.
        Err(failure) if off || state.exit() > 1 => Err(failure.exiting(state.exit())),
        Ok(()) if state.exit() > 0 => {
            let failure = Failure::new(state.code(), test.status.sentence()).hint(test.status.next.clone());
            Err(failure.exiting(state.exit()))
        }
        Err(failure) if granted_nothing => {
            let hint = format!(
                "its own files apart it was granted nothing: say what it needs as `read` and `write` of `[mcp_servers.{}.sandbox]`",
                args.name
            );
            Err(failure.hint(hint))
        }
        outcome => outcome,
    }
}

/// Gives the server bounds where it has none; whether that was so.
fn confine(config: &mut Config, name: &str) -> Result<bool, Failure> {
    match config.servers.get_mut(name) {
        Some(Server { transport: Transport::Http(_), .. }) => {
            let message = format!("`--sandbox`: server `{name}` is no process of ours that could be kept in bounds");
            Err(Failure::new(Code::Usage, message))
        }
        Some(server) => {
            let none = server.sandbox.is_none();
            server.sandbox.get_or_insert_default();
            Ok(none)
        }
        None => Ok(false),
    }
}

#[derive(Serialize)]
struct Step {
    step: &'static str,
    ok: bool,
    ms: u128,
    detail: String,
}

struct Test {
    steps: Vec<Step>,
    status: Status,
    strict: Vec<strict::Check>,
    /// Why it may not even be started.
    refused: Option<(State, String)>,
    /// The bounds in which what is forbidden is to be tried.
    tried: Option<Profile>,
}

impl Test {
    /// Walks until it is done, its time is over or the user has had enough; then looks at the server once more.
    async fn within_time(&mut self, args: &TestArgs, house: &House) -> Result<(), Failure> {
        let up = house.upstream(&args.name).ok_or_else(|| Failure::new(Code::InternalBug, "the server has no link"))?;
        let limit = Duration::try_from_secs_f64(args.timeout.unwrap_or(f64::MAX)).unwrap_or(Duration::MAX);
        let outcome = tokio::select! {
            walked = tokio::time::timeout(limit, self.walk(args, house, &up)) => walked.map_err(|_| None),
            _ = runtime::asked_to_end() => Err(Some(())),
        };
        self.status = up.status();
        if let Some((state, why)) = self.refused.take() {
            self.status = up.status().in_state(state, Some(why));
        }
        match outcome {
            Ok(outcome) => outcome,
            Err(None) => Err(self.out_of_time(limit)),
            Err(Some(())) => Err(self.interrupted(&up).await),
        }
    }

    async fn walk(&mut self, args: &TestArgs, house: &House, up: &Upstream) -> Result<(), Failure> {
        let server = ServerName::from(args.name.as_str());
        let begun = Instant::now();
        let mut lists = None;
        let started = match house.gate.start(&server) {
            Ok(()) => {
                let (settled, took) = tokio::join!(wire::settled(up), strict::list_time(up));
                lists = took;
                settled.map_err(gate::Failure::Broke)
            }
            Err(failure) => {
                if let gate::Failure::Refused(refusal) = &failure {
                    self.refused = Some((wire::refused(refusal), format!("may not be started: {refusal}")));
                }
                Err(failure)
            }
        };
        let started = started.map(|revision| format!("speaks {revision}")).map_err(Failure::from);
        self.note("start", begun, started)?;
        let begun = Instant::now();
        if let Some(bounds) = up.status().sandbox {
            let seen = self.observe(bounds).await;
            self.note("sandbox", begun, seen)?;
        }
        let begun = Instant::now();
        let pinged = up.ping().await.map(|_| String::new()).map_err(|fault| gate::Failure::Broke(fault).into());
        self.note("ping", begun, pinged)?;
        let begun = Instant::now();
        let counts = self.count(house);
        self.note("list", begun, counts)?;
        self.drift(house);
        if let Some(tool) = &args.tool {
            self.call(tool, args.args.trim(), house, &server).await?;
        }
        if args.strict { self.strict(house, up, &server, lists).await } else { Ok(()) }
    }

    async fn strict(
        &mut self,
        house: &House,
        up: &Upstream,
        server: &ServerName,
        lists: Option<Duration>,
    ) -> Result<(), Failure> {
        let begun = Instant::now();
        self.strict = strict::checks(house, up, server, lists).await;
        let failed = self.strict.iter().filter(|check| !check.ok).count();
        let text = format!("{failed} of {} checks failed", self.strict.len());
        let result = if failed == 0 { Ok(text) } else { Err(Failure::new(Code::UpstreamProtocol, text)) };
        self.note("strict", begun, result)
    }

    /// Notes how what is offered differs from what the entry declares. That is told, and is no failure.
    fn drift(&mut self, house: &House) {
        let (begun, config) = (Instant::now(), house.live.config());
        let declared = config.servers.get(&self.status.name).map(|server| server.declared.as_slice());
        let Some(declared) = declared.filter(|declared| !declared.is_empty()) else { return };
        let (_, offered) = house.gate.catalog().items(&Face::All, ItemKind::Tool);
        let drift = declared::drift(declared, offered.iter().map(|item| (&*item.raw, &*item.definition)));
        let ok = drift.is_empty();
        let detail = if ok { "as declared".to_owned() } else { drift.join("; ") };
        self.steps.push(Step { step: "declared", ok, ms: begun.elapsed().as_millis(), detail });
    }

    fn count(&self, house: &House) -> Result<String, Failure> {
        let count = |kind| house.gate.catalog().items(&Face::All, kind).1.len();
        let [tools, prompts, resources] = [ItemKind::Tool, ItemKind::Prompt, ItemKind::Resource].map(count);
        let shown = house.gate.visible(&Face::All, ItemKind::Tool).1.len();
        if tools == 0 {
            return Err(Failure::new(Code::UpstreamNoTools, format!("server `{}` has no tools", self.status.name)));
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

    /// What is seen of the bounds that are `held`, if that was asked for.
    async fn observe(&mut self, held: String) -> Result<String, Failure> {
        let Some(profile) = self.tried.take() else { return Ok(held) };
        let observed = tokio::task::spawn_blocking(move || sandbox::observe(&wire::helper(), &profile)).await;
        let failed = |why: String| Failure::new(State::SandboxUnavailable.code(), why);
        match observed {
            Ok(Ok(observed)) => observed::told(&observed).map_err(failed),
            Ok(Err(error)) => Err(failed(format!("its bounds cannot be tried: {error}"))),
            Err(_) => Err(failed("its bounds cannot be tried".to_owned())),
        }
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

    /// The step that is being walked.
    fn step(&self) -> &'static str {
        match self.steps.last().map(|step| step.step) {
            None => "start",
            Some("start" | "sandbox") => "ping",
            Some("ping") => "list",
            Some("call") => "strict",
            Some(_) => "call",
        }
    }

    fn out_of_time(&mut self, limit: Duration) -> Failure {
        let (step, detail) = (self.step(), format!("did not end within {} s", limit.as_secs_f64()));
        self.steps.push(Step { step, ok: false, ms: limit.as_millis(), detail: detail.clone() });
        if self.status.state == State::Starting {
            let why = format!("was not up within the {} s of `--timeout`", limit.as_secs_f64());
            self.status = self.status.clone().in_state(State::Timeout, Some(why));
        }
        Failure::new(Code::UpstreamTimeout, format!("server `{}`: step `{step}` {detail}", self.status.name))
            .hint("raise `--timeout`, or see what the server prints")
    }

    /// Stops what was begun.
    async fn interrupted(&mut self, up: &Upstream) -> Failure {
        let step = self.step();
        self.steps.push(Step { step, ok: false, ms: 0, detail: "interrupted".to_owned() });
        if self.status.state == State::Starting {
            up.stop().await;
            self.status = up.status();
        }
        Failure::new(Code::Interrupted, format!("server `{}`: step `{step}` was interrupted", self.status.name))
    }
}

impl Serialize for Test {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let status = &self.status;
        let ok = self.steps.iter().all(|step| step.ok) && status.state.exit() == 0;
        let report = serde_json::json!({
            "schema": "toolgate.test/1", "server": status.name, "ok": ok, "state": status.state,
            "reason": status.reason, "next": status.next, "versionChanged": status.version_changed,
            "steps": self.steps, "strict": self.strict, "stderr": status.stderr, "status": status,
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
            let detail = super::content::visible(&step.detail);
            let _ = writeln!(text, "{:<7} {:>6} ms  {mark:<6} {detail}", step.step, step.ms);
        }
        for check in &self.strict {
            let mark = if check.ok { "ok" } else { "FAILED" };
            let _ = writeln!(text, "  {mark:<6} {}: {}", check.check, super::content::visible(&check.detail));
        }
        text.push_str(&show::standing(&self.status, "  "));
        text
    }
}
