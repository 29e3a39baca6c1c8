//! What the tools do.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::ask::Question;
use super::handler::Handler;
use super::journal::environment;
use super::outlet::Outlet;
use super::process;
use super::wire::{Answer, Refusal, Request, notification};

/// Tools that may wait for something, and so get a thread of their own on stdio.
pub(super) fn may_block(tool: &str) -> bool {
    matches!(tool, "slow" | "elicit" | "sample" | "roots" | "hang" | "noise")
}

/// Runs one call of the tool `name`, which has no prefix any more.
pub(super) fn call(handler: &Handler, name: &str, request: &Request<'_>, outlet: &Arc<dyn Outlet>) -> Answer {
    let raw = request.params.arguments.map_or("{}", RawValue::get);
    if name == "echo_raw" {
        return request.complete(&format!(r#""content":[],"structuredContent":{raw}"#));
    }
    if handler.is_echo(name) {
        return request.says_raw(&echoed(raw));
    }
    let Ok(arguments) = serde_json::from_str::<Value>(raw) else {
        return Answer::Error(Refusal::params("the arguments are not JSON"));
    };
    let number = |key: &str, default: u64| arguments[key].as_u64().unwrap_or(default);
    let text = |key: &str| arguments[key].as_str().unwrap_or_default();
    match name {
        "write_thing" => request.says(&format!("written: {}", text("text"))),
        "delete_thing" => request.says(&format!("deleted: {}", text("text"))),
        "slow" => slow(handler, [number("ms", 1000), number("steps", 1)], text("message"), request, outlet),
        "big" => request.says_raw(&format!("\"{}\"", "x".repeat(to_usize(number("bytes", 1024))))),
        "fail" => request.fails(if text("text").is_empty() { "failed on request" } else { text("text") }),
        "rpc_error" => rpc_error(&arguments),
        "env" => request.says(&json!(environment()).to_string()),
        "pid" => request.says(&std::process::id().to_string()),
        "calls" => request.says(&handler.calls.load(Ordering::Relaxed).to_string()),
        "verbatim" => Answer::Result(text("json").into()),
        "elicit" | "sample" | "roots" => ask(handler, Question::of(name, &arguments), request, outlet),
        "log" => log(handler, &arguments, request, outlet),
        "touch" => {
            handler.listeners.resource_updated(text("uri"));
            request.says("announced")
        }
        "grow" => {
            handler.grow();
            request.says("grown")
        }
        "hang" => hang(handler, request, outlet),
        "noise" => noise(number("bytes", 1024), request),
        "garbage" => {
            outlet.send(text("text"));
            request.says("sent")
        }
        "crash" => process::die(i32::try_from(number("code", 1)).unwrap_or(1)),
        "litter" => outcome(request, process::litter(number("count", 10))),
        "daemon" => outcome(request, process::daemonise()),
        _ => Answer::Error(Refusal::params(format!("no tool {name}"))),
    }
}

/// The text argument as the client wrote it, escapes and all.
fn echoed(arguments: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Echo<'a> {
        #[serde(borrow)]
        text: Option<&'a RawValue>,
    }
    let text = serde_json::from_str::<Echo<'_>>(arguments).ok().and_then(|echo| echo.text);
    match text.map(RawValue::get) {
        Some(text) if text.starts_with('"') => text.into(),
        Some(other) => json!(other).to_string(),
        None => "\"\"".into(),
    }
}

fn slow(
    handler: &Handler,
    [ms, steps]: [u64; 2],
    said: &str,
    request: &Request<'_>,
    outlet: &Arc<dyn Outlet>,
) -> Answer {
    let steps = steps.max(1);
    for step in 1..=steps {
        if !handler.rest(request.id, Duration::from_millis(ms / steps), outlet) {
            return given_up(handler, request);
        }
        if let Some(token) = request.params.meta.progress_token {
            let message = if said.is_empty() { format!("step {step}") } else { said.to_owned() };
            let message = json!(message);
            let params =
                format!(r#"{{"progressToken":{token},"progress":{step},"total":{steps},"message":{message}}}"#);
            outlet.send(&notification("notifications/progress", &params));
        }
    }
    request.says(&format!("slept {ms} ms"))
}

fn hang(handler: &Handler, request: &Request<'_>, outlet: &Arc<dyn Outlet>) -> Answer {
    handler.rest(request.id, process::LIFETIME, outlet);
    given_up(handler, request)
}

/// A call that was cancelled is not answered, unless the flags have it.
fn given_up(handler: &Handler, request: &Request<'_>) -> Answer {
    if handler.behaviour.answer_after_cancel {
        return request.says("answered although it was cancelled");
    }
    Answer::Silence
}

fn rpc_error(arguments: &Value) -> Answer {
    let code = arguments["code"].as_i64().and_then(|code| i32::try_from(code).ok()).unwrap_or(-32603);
    let message = arguments["message"].as_str().unwrap_or("refused on request");
    let refusal = Refusal::new(code, message);
    Answer::Error(match arguments.get("data") {
        Some(data) => refusal.with(data),
        None => refusal,
    })
}

fn ask(handler: &Handler, question: Question, request: &Request<'_>, outlet: &Arc<dyn Outlet>) -> Answer {
    if request.modern {
        return question.modern(request);
    }
    match handler.questions.ask(&question, outlet) {
        Some(answer) => request.says(&answer),
        None => Answer::Silence,
    }
}

/// The levels of `notifications/message`, the most verbose first.
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

fn log(handler: &Handler, arguments: &Value, request: &Request<'_>, outlet: &Arc<dyn Outlet>) -> Answer {
    let level = arguments["level"].as_str().unwrap_or("info");
    let rank = |level: &str| LEVELS.iter().position(|known| *known == level).unwrap_or(0);
    let least = match (&request.params.meta.log_level, request.modern) {
        (Some(least), _) => Some(rank(least)),
        (None, true) => None,
        (None, false) => Some(rank(&handler.level())),
    };
    if least.is_some_and(|least| rank(level) >= least) {
        let params = json!({"level": level, "logger": "fixture", "data": arguments["text"]}).to_string();
        for _ in 0..arguments["count"].as_u64().unwrap_or(1) {
            outlet.send(&notification("notifications/message", &params));
        }
    }
    request.says("logged")
}

fn noise(bytes: u64, request: &Request<'_>) -> Answer {
    let line = [b"noise ".repeat(20), b"\n".to_vec()].concat();
    let mut written = 0;
    while written < bytes && std::io::stderr().write_all(&line).is_ok() {
        written += line.len() as u64;
    }
    request.says(&format!("wrote {written} bytes"))
}

fn outcome(request: &Request<'_>, result: std::io::Result<()>) -> Answer {
    match result {
        Ok(()) => request.says("done"),
        Err(error) => request.fails(&error.to_string()),
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
