//! `toolgate mcp run FILE`: calls after one another, where later ones may use what earlier ones answered. Every call goes
//! through the gate like any other: it may need a person, and it is on record. How a file is read is `run_file/steps`'s,
//! what `${…}` means `run_file/refs`'.

mod refs;
mod steps;

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::time::Instant;

use self::refs::Scope;
use self::steps::{OnError, Step, Workflow};
use super::agent::{Agent, Answer};
use super::asked::Person;
use super::given::{self, Consent};
use super::visit::visit_with;
use super::{Context, content, items, runtime};
use crate::config::Config;
use crate::ui::{Failure, Report};
use crate::wire::{House, Known, Selection};
use gate::{Case, Code, Face, Principal};
use mcp::{Limits, view};

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp run nightly.json --arg repo=octo/cat
  toolgate mcp run nightly.toml --dry-run
  toolgate mcp run nightly.json --json | jq '.steps[] | select(.ok | not)'

A file:
  {\"steps\": [
    {\"id\": \"found\", \"call\": \"github__search\", \"args\": {\"query\": \"${args.repo}\", \"limit\": 1}},
    {\"call\": \"slack__post\", \"args\": {\"text\": \"newest: ${steps.found.text}\"},
     \"when\": {\"value\": \"${steps.found.structuredContent.total}\", \"not_equals\": 0}, \"on_error\": \"continue\"}
  ]}

A text that is one reference becomes the value it refers to; inside a longer text it becomes text. `${steps.ID.text}` is
all text of an answer, `${steps.ID.structuredContent.list.0}` a part of it, `$${` stands for `${`.

Exit status: 0; 1 if a step failed that is not `\"on_error\": \"continue\"`; 2 if the file cannot be run.")]
pub struct RunArgs {
    /// The file, JSON or (`.toml`) TOML.
    file: std::path::PathBuf,
    /// What `${args.KEY}` stands for; the value is JSON, or else a literal string. May be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    arg: Vec<String>,
    /// Show what would be called, and call nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    consent: Consent,
}

/// Runs.
pub fn run(args: &RunArgs, cx: &Context) -> Result<(), Failure> {
    let given = given::pairs(&args.arg)?;
    let workflow = Workflow::read(&args.file, &given)?;
    let config = cx.config()?;
    if args.dry_run {
        return cx.ui.report(&Plan::of(&workflow, given, &config, cx)?);
    }
    let (person, approver) = args.consent.given(&config, cx)?;
    let running = Running { scope: Scope::new(given), done: Vec::new(), failed: None };
    let running = visit_with(&config, cx, &Selection::Enabled, approver, async |house| {
        running.all(&workflow, house, person, cx).await
    })?;
    let Running { done, failed, .. } = running;
    cx.ui.report(&Ran { schema: "toolgate.run/1", ok: failed.is_none(), steps: done })?;
    failed.map_or(Ok(()), Err)
}

/// A file on its way.
struct Running {
    scope: Scope,
    done: Vec<Done>,
    /// Why it was not run to its end.
    failed: Option<Failure>,
}

impl Running {
    async fn all(
        mut self,
        workflow: &Workflow,
        house: &House,
        person: Option<Person>,
        cx: &Context,
    ) -> Result<Self, Failure> {
        let mut agent = Agent::meet_with(house.gate.clone(), Face::All, Limits::default(), person).await?;
        for step in &workflow.steps {
            let done = match &self.failed {
                None => self.one(step, &mut agent, house, cx).await,
                Some(_) => Done::skipped(step, false, "a step before it failed"),
            };
            self.done.push(done);
        }
        agent.leave().await;
        Ok(self)
    }

    async fn one(&mut self, step: &Step, agent: &mut Agent, house: &House, cx: &Context) -> Done {
        match step.holds(&self.scope) {
            Ok(true) => {}
            Ok(false) => return Done::skipped(step, true, "its `when` does not hold"),
            Err(missing) => return self.fail(step, None, missing.of(&step.id), Duration::ZERO),
        }
        cx.ui.status(&format!("{}: {} …", step.id, step.call));
        let begun = Instant::now();
        let answer = tokio::select! {
            answer = call(step, &self.scope, agent, house, cx) => answer,
            _ = runtime::asked_to_end() => Err(Failure::new(Code::Interrupted, "interrupted; the call was cancelled")),
        };
        let took = begun.elapsed();
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => return self.fail(step, None, failure, took),
        };
        self.scope.keep(&step.id, answer.raw());
        if answer.get("isError") == Some("true") {
            let failure = Failure::new(Code::ToolFailed, answer.first_text());
            return self.fail(step, Some(&answer), failure, took);
        }
        Done { ok: true, ms: took.as_millis(), result: raw(&answer), ..Done::new(step) }
    }

    fn fail(&mut self, step: &Step, answer: Option<&Answer>, failure: Failure, took: Duration) -> Done {
        let (code, message) = (failure.code, failure.to_string());
        if step.on_error == OnError::Stop || code == Code::Interrupted {
            let text = format!("step `{}` failed: {message}", step.id);
            self.failed = Some(Failure { message: text, source: None, ..failure });
        }
        let error = Some(Trouble { code, message });
        Done { ms: took.as_millis(), result: answer.and_then(raw), error, ..Done::new(step) }
    }
}

/// Calls the tool of one step.
async fn call(step: &Step, scope: &Scope, agent: &mut Agent, house: &House, cx: &Context) -> Result<Answer, Failure> {
    let arguments = scope.fill(&Value::Object(step.args.clone())).map_err(|missing| missing.of(&step.id))?;
    items::know(house, &step.call, cx).await?;
    let params = format!(r#"{{"name":{},"arguments":{arguments}}}"#, view::quoted(&step.call));
    let answer = agent.request("tools/call", &params, &mut |_| ()).await?;
    answer.failure().map_or(Ok(answer), Err)
}

fn raw(answer: &Answer) -> Option<Box<RawValue>> {
    RawValue::from_string(answer.raw().to_owned()).ok()
}

#[derive(Serialize)]
struct Ran {
    schema: &'static str,
    ok: bool,
    steps: Vec<Done>,
}

/// What became of one step.
#[derive(Serialize)]
struct Done {
    id: String,
    call: String,
    ok: bool,
    ms: u128,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Trouble>,
}

#[derive(Serialize)]
struct Trouble {
    code: Code,
    message: String,
}

impl Done {
    fn new(step: &Step) -> Self {
        let (id, call) = (step.id.clone(), step.call.clone());
        Self { id, call, ok: false, ms: 0, skipped: None, result: None, error: None }
    }

    fn skipped(step: &Step, ok: bool, why: &'static str) -> Self {
        Self { ok, skipped: Some(why), ..Self::new(step) }
    }

    fn text(&self) -> String {
        let mark = match (self.skipped, self.ok) {
            (Some(why), _) => format!("not called: {why}"),
            (None, true) => format!("ok, {} ms", self.ms),
            (None, false) => format!("FAILED, {} ms", self.ms),
        };
        let text = match (&self.error, &self.result) {
            (Some(error), _) => content::visible(&error.message),
            (None, Some(result)) => content::human(result.get(), true),
            (None, None) => String::new(),
        };
        let text: String = text.lines().map(|line| format!("  {line}\n")).collect();
        format!("{}: {}  [{mark}]\n{text}", self.id, content::visible(&self.call))
    }
}

impl Report for Ran {
    fn human(&self) -> String {
        self.steps.iter().map(Done::text).collect()
    }
}

/// What would be called.
#[derive(Serialize)]
struct Plan {
    schema: &'static str,
    steps: Vec<Planned>,
}

#[derive(Serialize)]
struct Planned {
    id: String,
    call: String,
    args: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<Value>,
    on_error: OnError,
    /// What the call would meet: `allow`, `ask` or `deny`. None: the tool was never seen.
    decision: Option<&'static str>,
}

impl Plan {
    fn of(workflow: &Workflow, given: Map<String, Value>, config: &Config, cx: &Context) -> Result<Self, Failure> {
        config.sound().map_err(|problem| Failure::from(problem.clone()))?;
        let known = Known::load(config, &cx.env);
        let scope = Scope::new(given);
        let steps = workflow.steps.iter().map(|step| Planned {
            id: step.id.clone(),
            call: step.call.clone(),
            args: scope.fill_known(&Value::Object(step.args.clone())),
            when: step.when.as_ref().map(|when| scope.fill_known(&when.shown())),
            on_error: step.on_error,
            decision: known.exposed(&step.call).map(|item| {
                let case = Case { by: &Principal::Local, item: &item, arguments: None, tainted: false };
                known.policy.decide(&case).outcome().word()
            }),
        });
        Ok(Self { schema: "toolgate.run.plan/1", steps: steps.collect() })
    }
}

impl Report for Plan {
    fn human(&self) -> String {
        let line = |step: &Planned| {
            let decision = match step.decision {
                Some("allow") => "runs unasked",
                Some("ask") => "needs approval",
                Some(_) => "is denied",
                None => "was never seen",
            };
            let when = step.when.as_ref().map(|when| format!("\n  when {when}")).unwrap_or_default();
            format!("{}: {}  [{decision}]\n  {}{when}\n", step.id, step.call, step.args)
        };
        content::visible(&self.steps.iter().map(line).collect::<String>())
    }
}
