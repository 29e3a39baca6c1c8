//! `toolgate mcp call`: calls one tool through the gate, as an agent would.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value};

use super::agent::{Agent, Answer};
use super::asked::Person;
use super::{Context, content, runtime};
use crate::config::Config;
use crate::ui::Failure;
use crate::wire::{self, Approver, Log, Selection};
use gate::Code;
use gate::Face;
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
    /// Its arguments, one JSON object; `-` reads them from standard input, `@FILE` from a file.
    #[arg(long, value_name = "JSON", conflicts_with = "arg")]
    args: Option<String>,
    /// One argument; the value is JSON, or else a literal string. May be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    arg: Vec<String>,
    /// Show progress and log lines while the tool runs, on standard output with `--json` (one JSON object a line).
    #[arg(long)]
    stream: bool,
    /// Approve the call, if it needs a person: asks at the terminal, or proves the approver by `--secret-file`.
    #[arg(long)]
    approve: bool,
    /// A file with the approver's secret, instead of asking at the terminal.
    #[arg(long, value_name = "FILE", requires = "approve")]
    secret_file: Option<PathBuf>,
    /// How long to wait for an approval from elsewhere when there is no terminal, in seconds [default:
    /// `approvals.timeout_sec` where it is set, else not at all].
    #[arg(long, value_name = "SECONDS", conflicts_with = "approve")]
    wait: Option<u64>,
}

/// Calls.
pub fn run(args: &CallArgs, cx: &Context) -> Result<(), Failure> {
    let arguments = arguments(args)?;
    let config = cx.config()?;
    wire::start_logging(&cx.env, &cx.home, Log::Terminal);
    let person = person(args, cx)?;
    let approver = if person.is_some() { Approver::Terminal } else { Approver::Elsewhere(patience(args, &config)) };
    let answer = runtime::block_on(async {
        let house = wire::build_with(&config, &cx.env, &Selection::Enabled, &[], approver)?;
        house.warn(&cx.ui);
        let answer = call(args, &arguments, cx, &house, person).await;
        house.stop().await;
        answer
    })?;
    show(&answer, cx)
}

/// Who is asked: whoever wants it approved, or else whoever watches the terminal.
fn person(args: &CallArgs, cx: &Context) -> Result<Option<Person>, Failure> {
    if args.approve {
        return Person::who_approves(cx, args.secret_file.as_deref()).map(Some);
    }
    let watched = args.wait.is_none() && std::io::stderr().is_terminal();
    Ok(if watched { Person::at_terminal(cx) } else { None })
}

fn patience(args: &CallArgs, config: &Config) -> Duration {
    let written = config.approvals.timeout_written.then_some(config.approvals.timeout);
    args.wait.map(Duration::from_secs).or(written).unwrap_or_default()
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

/// The arguments as raw JSON text, so that numbers reach the server as they were typed.
fn arguments(args: &CallArgs) -> Result<String, Failure> {
    let Some(text) = &args.args else { return pairs(&args.arg) };
    let text = match text.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).map_err(|error| Failure::io(&format!("read {path}"), error))?,
        None if text == "-" => stdin()?,
        None => text.clone(),
    };
    if text.trim().is_empty() {
        return Ok("{}".to_owned());
    }
    match view::members(text.trim()) {
        Ok(_) => Ok(text.trim().to_owned()),
        Err(flaw) => Err(Failure::new(Code::ArgsInvalid, format!("`--args`: {flaw}"))
            .hint("give one JSON object, such as `--args '{\"path\": \"/tmp\"}'`, or use `--arg KEY=VALUE`")),
    }
}

fn stdin() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| Failure::io("read standard input", error))?;
    Ok(text)
}

fn pairs(pairs: &[String]) -> Result<String, Failure> {
    let mut object = Map::new();
    for pair in pairs {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(Failure::new(Code::Usage, format!("`--arg {pair}` is not KEY=VALUE")));
        };
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        object.insert(key.to_owned(), value);
    }
    Ok(Value::Object(object).to_string())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn args(raw: Option<&str>, arg: &[&str]) -> CallArgs {
        let arg = arg.iter().map(|a| (*a).to_owned()).collect();
        CallArgs {
            tool: "t".to_owned(),
            args: raw.map(str::to_owned),
            arg,
            stream: false,
            approve: false,
            secret_file: None,
            wait: None,
        }
    }

    fn check(raw: Option<&str>, arg: &[&str], want: &str) {
        let got = arguments(&args(raw, arg)).unwrap_or_else(|failure| failure.to_string());
        assert_eq!(got, want);
    }

    #[test]
    fn arguments_reach_the_server_as_they_were_typed() {
        check(None, &[], "{}");
        check(
            Some(r#" {"n": 1.10, "big": 18446744073709551617} "#),
            &[],
            r#"{"n": 1.10, "big": 18446744073709551617}"#,
        );
        check(None, &["a=1", "b=x y", "c=[true]"], r#"{"a":1,"b":"x y","c":[true]}"#);
        check(Some("[1]"), &[], "`--args`: not an object");
        check(None, &["a"], "`--arg a` is not KEY=VALUE");
    }
}
