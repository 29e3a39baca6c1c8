//! What is said to the server and what it says, as far as a turn goes: which message follows which, and what a turn
//! came to. Not here: the process that says it.

use crate::codex::approvals::Wanted;
use crate::codex::events::{Told, shortened};
use serde_json::{Value, json};
use std::collections::HashMap;

/// The ids of our own requests.
const HELLO: u64 = 1;
const OPEN: u64 = 2;
const TURN: u64 = 3;
const INTERRUPT: u64 = 4;
/// JSON-RPC's own.
const METHOD_NOT_FOUND: i64 = -32_601;

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Not at its end.
    Going,
    /// At its end, good or bad.
    Over,
    /// It knows no threads.
    TooOld,
}

/// What follows of a message.
#[derive(Debug, Default, PartialEq)]
pub struct Heard {
    /// For whoever wants to hear how it goes.
    pub news: Option<String>,
    /// To be sent.
    pub send: Vec<Value>,
    /// What the server wants to have answered.
    pub request: Option<Value>,
}

/// An answer to the server.
#[derive(Debug)]
pub struct Reply {
    /// To which of its requests.
    pub id: Value,
    /// The result.
    pub result: Value,
}

/// One turn.
#[derive(Debug)]
pub struct Talk {
    stage: Stage,
    opening: Option<Value>,
    resume: Option<String>,
    prompt: String,
    told: Told,
    turn: Option<String>,
    interrupted: bool,
    /// Commands and changes of files that were told, by the item that a question names.
    acts: HashMap<String, Value>,
}

impl Talk {
    /// A turn that begins a thread with `opening`, or goes on with one.
    pub fn new(opening: Value, resume: Option<String>, prompt: String) -> Self {
        Self {
            stage: Stage::Going,
            opening: Some(opening),
            resume,
            prompt,
            told: Told::default(),
            turn: None,
            interrupted: false,
            acts: HashMap::new(),
        }
    }

    /// What is said first.
    pub fn hello() -> Value {
        let version = env!("CARGO_PKG_VERSION");
        json!({"id": HELLO, "method": "initialize", "params": {
            "clientInfo": {"name": "toolgate", "title": "toolgate", "version": version}}})
    }

    /// To a request that nobody is asked about: no, in the form of its own. Not every release takes an error for that.
    pub fn no(request: &Value) -> Value {
        let no = match request["method"].as_str().unwrap_or_default() {
            "item/commandExecution/requestApproval" | "item/fileChange/requestApproval" => {
                json!({"decision": "decline"})
            }
            "item/permissions/requestApproval" => json!({"permissions": {}}),
            "item/tool/requestUserInput" => json!({"answers": {}}),
            "mcpServer/elicitation/request" => json!({"action": "decline", "content": null}),
            _ => {
                let error = json!({"code": METHOD_NOT_FOUND, "message": "nobody answers this here"});
                return json!({"id": request["id"], "error": error});
            }
        };
        json!({"id": request["id"], "result": no})
    }

    /// How far it is.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Its thread, once it has one.
    pub fn thread(&self) -> Option<&str> {
        self.told.thread.as_deref()
    }

    /// Whether the turn was ended before its end.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted
    }

    /// What was told of it.
    pub fn into_told(self) -> Told {
        self.told
    }

    /// What ends the turn, if it has begun and not ended.
    pub fn interruption(&self) -> Option<Value> {
        let (thread, turn) = (self.thread()?, self.turn.as_deref()?);
        let params = json!({"threadId": thread, "turnId": turn});
        (self.stage == Stage::Going).then(|| json!({"id": INTERRUPT, "method": "turn/interrupt", "params": params}))
    }

    /// What a request of the server wants leave for.
    pub fn wanted(&self, request: &Value) -> Option<Wanted> {
        let item = request["params"]["itemId"].as_str();
        Wanted::read(request, item.and_then(|item| self.acts.get(item)))
    }

    /// Takes one message in.
    pub fn hear(&mut self, message: &Value) -> Heard {
        match (message["method"].as_str(), message.get("id")) {
            (Some(_), Some(_)) => Heard { request: Some(message.clone()), ..Heard::default() },
            (Some(method), None) => Heard { news: self.notified(method, &message["params"]), ..Heard::default() },
            (None, _) => Heard { send: self.answered(message), ..Heard::default() },
        }
    }

    fn answered(&mut self, message: &Value) -> Vec<Value> {
        let id = message["id"].as_u64();
        if let Some(error) = message.get("error").filter(|_| id != Some(INTERRUPT)) {
            self.refused(error, id == Some(OPEN));
            return Vec::new();
        }
        match id {
            Some(HELLO) => {
                let method = if self.resume.is_some() { "thread/resume" } else { "thread/start" };
                let params = self.opening.take().unwrap_or_default();
                vec![json!({"method": "initialized"}), json!({"id": OPEN, "method": method, "params": params})]
            }
            Some(OPEN) => {
                self.told.thread = message["result"]["thread"]["id"].as_str().map(str::to_owned);
                let input = json!([{"type": "text", "text": std::mem::take(&mut self.prompt)}]);
                let params = json!({"threadId": self.told.thread, "input": input});
                vec![json!({"id": TURN, "method": "turn/start", "params": params})]
            }
            Some(TURN) => {
                self.begun(&message["result"]["turn"]);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn refused(&mut self, error: &Value, opening: bool) {
        let said = error["message"].as_str().unwrap_or("the request was refused");
        let unknown = error["code"] == METHOD_NOT_FOUND || said.contains("unknown variant");
        self.stage = if opening && unknown { Stage::TooOld } else { Stage::Over };
        let no_id = ["invalid thread id", "invalid session id", "invalid conversation id"];
        self.told.error = Some(match &self.resume {
            // A name that can be no thread's is one that is not there.
            Some(asked) if no_id.iter().any(|no_id| said.contains(no_id)) => {
                format!("no rollout found for thread id {asked}")
            }
            _ => said.to_owned(),
        });
    }

    fn begun(&mut self, turn: &Value) {
        self.turn = turn["id"].as_str().map(str::to_owned).or(self.turn.take());
    }

    /// What of a notification a person may want to hear. Threads that the turn starts have their own turns.
    fn notified(&mut self, method: &str, params: &Value) -> Option<String> {
        let item = &params["item"];
        if ["fileChange", "commandExecution"].iter().any(|kind| item["type"] == *kind)
            && let Some(id) = item["id"].as_str()
        {
            self.acts.insert(id.to_owned(), item.clone());
        }
        if params["threadId"].as_str().is_some_and(|thread| Some(thread) != self.thread()) {
            return None;
        }
        let event = match method {
            "turn/started" => {
                self.begun(&params["turn"]);
                json!({"type": "turn.started"})
            }
            "item/started" => json!({"type": "item.started", "item": as_exec_has_it(item)}),
            "item/completed" => json!({"type": "item.completed", "item": as_exec_has_it(item)}),
            "error" => json!({"type": "error", "message": params["error"]["message"]}),
            "thread/tokenUsage/updated" => {
                self.told.usage = Some(usage(&params["tokenUsage"]["total"]));
                return None;
            }
            "turn/completed" => self.ended(&params["turn"]),
            _ => return None,
        };
        self.told.hear(&event).map(|news| shortened(&news))
    }

    fn ended(&mut self, turn: &Value) -> Value {
        self.stage = Stage::Over;
        match turn["status"].as_str() {
            Some("completed") => json!({"type": "turn.completed", "usage": self.told.usage}),
            status => {
                self.interrupted = status == Some("interrupted");
                json!({"type": "turn.failed", "error": turn["error"]})
            }
        }
    }
}

/// An item in the words of `codex exec --json`.
fn as_exec_has_it(item: &Value) -> Value {
    let kind = snake(item["type"].as_str().unwrap_or_default());
    let mut same = json!({"type": kind, "exit_code": item["exitCode"]});
    for key in ["text", "command", "changes", "tool", "server", "query", "message"] {
        same[key] = item[key].clone();
    }
    if let Some(parts) = item["summary"].as_array() {
        let parts: Vec<_> = parts.iter().filter_map(Value::as_str).collect();
        same["text"] = json!(parts.join("\n"));
    }
    same
}

fn usage(total: &Value) -> Value {
    json!({
        "input_tokens": total["inputTokens"],
        "cached_input_tokens": total["cachedInputTokens"],
        "output_tokens": total["outputTokens"],
        "reasoning_output_tokens": total["reasoningOutputTokens"],
    })
}

/// `agentMessage` as `agent_message`.
pub fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests;
