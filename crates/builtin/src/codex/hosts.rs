//! What hosts of Codex's own server hear while a turn runs: `codex/event` notifications, as that server sent them.
//! Releases that still send such events have theirs passed on. Not here: the turn.

use super::approvals::{by_path, parsed};
use super::appserver::snake;
use super::shell::argv;
use gate::{Feed, Parts, Place, ReplyKind, Unmasked, Wire};
use serde_json::{Map, Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// How much of what is said before there is a thread is kept.
const MOST_EARLY: usize = 64;

/// The way to the host of one call.
pub struct Host {
    feed: Feed,
    /// The id of its request, raw.
    request: Value,
    /// The server tells such events itself.
    native: AtomicBool,
    /// What was said before there was a thread.
    early: Mutex<Vec<Value>>,
    /// The newest turn and the last thing the agent said in it.
    said: Mutex<(String, Value)>,
}

impl Host {
    /// The host that hears through `feed` of the request with this id (raw JSON).
    pub fn new(feed: Feed, request: &[u8]) -> Self {
        let request = serde_json::from_slice(request).unwrap_or_default();
        Self { feed, request, native: AtomicBool::new(false), early: Mutex::default(), said: Mutex::default() }
    }

    /// The id of its request, as a text.
    pub fn call(&self) -> String {
        self.request.as_str().map_or_else(|| self.request.to_string(), str::to_owned)
    }

    /// Tells what follows for it of a message of the server. What is said before there is a thread waits for it.
    pub fn hear(&self, message: &Value, thread: Option<&str>) {
        let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(thread) = thread else {
            if early.len() < MOST_EARLY {
                early.push(message.clone());
            }
            return;
        };
        let waiting = std::mem::take(&mut *early);
        drop(early);
        self.follow(message, thread);
        waiting.iter().for_each(|message| self.follow(message, thread));
    }

    fn follow(&self, message: &Value, thread: &str) {
        let params = &message["params"];
        let method = message["method"].as_str().unwrap_or_default();
        if method.starts_with("codex/event/") {
            self.native.store(true, Ordering::Relaxed);
            return self.tell(thread, &params["msg"], params["id"].as_str().unwrap_or_default());
        }
        if let Some(opened) = message["result"].get("thread").filter(|_| message["id"] == 2) {
            return self.tell(thread, &configured(opened, &message["result"]), "");
        }
        if self.native.load(Ordering::Relaxed) || params["threadId"].as_str().is_some_and(|other| other != thread) {
            return;
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = params["turnId"].as_str().or(params["turn"]["id"].as_str()) {
            turn.clone_into(&mut said.0);
        }
        if method == "item/completed" && params["item"]["type"] == "agentMessage" {
            said.1 = params["item"]["text"].clone();
        }
        for event in events(method, params, &said.1) {
            self.tell(thread, &event, &said.0);
        }
    }

    fn tell(&self, thread: &str, event: &Value, id: &str) {
        let meta = json!({"requestId": self.request, "threadId": thread});
        let params = json!({"_meta": meta, "msg": event, "id": id}).to_string();
        let head = r#"{"jsonrpc":"2.0","method":"codex/event","params":"#;
        let body = Place { start: head.len() as u32, end: (head.len() + params.len()) as u32 };
        let wire = Wire { json: format!("{head}{params}}}").into(), parts: Parts { body, ..Parts::default() } };
        self.feed.notify(Unmasked::message(wire, ReplyKind::Result));
    }
}

fn configured(thread: &Value, opened: &Value) -> Value {
    json!({
        "type": "session_configured",
        "session_id": thread["id"],
        "thread_id": thread["id"],
        "model": opened["model"],
        "model_provider_id": opened["modelProvider"],
        "approval_policy": opened["approvalPolicy"],
        "approvals_reviewer": opened["approvalsReviewer"],
        "reasoning_effort": opened["reasoningEffort"],
        "cwd": opened["cwd"],
        "rollout_path": thread["path"],
    })
}

/// The events that a notification or a request of today was in the server of old; `last` is what the agent said last.
fn events(method: &str, params: &Value, last: &Value) -> Vec<Value> {
    let turn = &params["turn"];
    match method {
        "warning" => vec![json!({"type": "warning", "message": params["message"]})],
        "error" => vec![json!({"type": "error", "message": params["error"]["message"]})],
        "turn/started" => {
            vec![json!({"type": "task_started", "turn_id": turn["id"], "started_at": turn["startedAt"]})]
        }
        "turn/completed" if turn["status"] == "completed" => vec![json!({
            "type": "task_complete", "turn_id": turn["id"], "last_agent_message": last,
            "started_at": turn["startedAt"], "completed_at": turn["completedAt"], "duration_ms": turn["durationMs"],
        })],
        "turn/completed" if turn["status"] == "interrupted" => {
            vec![json!({"type": "turn_aborted", "turn_id": turn["id"], "reason": "interrupted"})]
        }
        "item/agentMessage/delta" => vec![json!({
            "type": "agent_message_content_delta", "thread_id": params["threadId"], "turn_id": params["turnId"],
            "item_id": params["itemId"], "delta": params["delta"],
        })],
        "mcpServer/startupStatus/updated" => vec![started(params)],
        "thread/tokenUsage/updated" => vec![tokens(&params["tokenUsage"])],
        "item/started" => with_item("item_started", params, begun(params)),
        "item/completed" => with_item("item_completed", params, done(params)),
        "item/commandExecution/requestApproval" => vec![json!({
            "type": "exec_approval_request", "call_id": params["itemId"], "turn_id": params["turnId"],
            "command": argv(params["command"].as_str().unwrap_or_default()), "cwd": params["cwd"],
            "reason": params["reason"], "parsed_cmd": parsed(params),
        })],
        _ => Vec::new(),
    }
}

fn started(params: &Value) -> Value {
    let status = match params["status"].as_str() {
        Some("failed") => json!({"state": "failed", "error": params["error"]}),
        state => json!({"state": state}),
    };
    json!({"type": "mcp_startup_update", "server": params["name"], "status": status})
}

fn tokens(usage: &Value) -> Value {
    let count = |of: &Value| {
        let keys = of.as_object().into_iter().flatten();
        Value::Object(keys.map(|(key, value)| (snake(key), value.clone())).collect::<Map<_, _>>())
    };
    json!({"type": "token_count", "info": {
        "total_token_usage": count(&usage["total"]), "last_token_usage": count(&usage["last"]),
        "model_context_window": usage["modelContextWindow"],
    }})
}

fn with_item(kind: &str, params: &Value, more: Option<Value>) -> Vec<Value> {
    let item = json!({
        "type": kind, "thread_id": params["threadId"], "turn_id": params["turnId"], "item": told(&params["item"]),
    });
    [item].into_iter().chain(more).collect()
}

/// An item as that server told it: its kind begins with a capital, its keys are not run together.
fn told(item: &Value) -> Value {
    let kind = item["type"].as_str().unwrap_or_default();
    let mut head = kind.chars();
    let capital = head.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(head).collect::<String>();
    let mut told: Map<String, Value> =
        item.as_object().into_iter().flatten().map(|(key, value)| (snake(key), value.clone())).collect();
    told.insert("type".to_owned(), json!(capital));
    match kind {
        "agentMessage" => {
            let text = told.remove("text").unwrap_or_default();
            told.insert("content".to_owned(), json!([{"type": "Text", "text": text}]));
        }
        "commandExecution" => {
            told.insert("command".to_owned(), json!(argv(item["command"].as_str().unwrap_or_default())));
            told.insert("parsed_cmd".to_owned(), parsed(item));
        }
        "fileChange" => drop(told.insert("changes".to_owned(), by_path(item))),
        "reasoning" => {
            let summary = told.remove("summary").unwrap_or_default();
            told.insert("summary_text".to_owned(), summary);
        }
        _ => {}
    }
    Value::Object(told)
}

/// What the beginning of an item was called besides.
fn begun(params: &Value) -> Option<Value> {
    let item = &params["item"];
    match item["type"].as_str()? {
        "commandExecution" => Some(json!({
            "type": "exec_command_begin", "call_id": item["id"], "turn_id": params["turnId"],
            "command": argv(item["command"].as_str().unwrap_or_default()), "cwd": item["cwd"],
            "parsed_cmd": parsed(item), "source": snake(item["source"].as_str().unwrap_or("agent")),
        })),
        "fileChange" => Some(json!({
            "type": "patch_apply_begin", "call_id": item["id"], "turn_id": params["turnId"], "auto_approved": false,
            "changes": by_path(item),
        })),
        "mcpToolCall" => {
            Some(json!({"type": "mcp_tool_call_begin", "call_id": item["id"], "invocation": invocation(item)}))
        }
        _ => None,
    }
}

/// What the end of an item was called besides.
fn done(params: &Value) -> Option<Value> {
    let item = &params["item"];
    match item["type"].as_str()? {
        "userMessage" => Some(json!({"type": "user_message", "message": item["content"][0]["text"], "images": []})),
        "agentMessage" => Some(json!({"type": "agent_message", "message": item["text"], "phase": item["phase"]})),
        "reasoning" => {
            let parts = item["summary"].as_array()?.iter().filter_map(Value::as_str).collect::<Vec<_>>();
            Some(json!({"type": "agent_reasoning", "text": parts.join("\n")}))
        }
        "commandExecution" => Some(json!({
            "type": "exec_command_end", "call_id": item["id"], "turn_id": params["turnId"],
            "command": argv(item["command"].as_str().unwrap_or_default()), "cwd": item["cwd"],
            "parsed_cmd": parsed(item), "aggregated_output": item["aggregatedOutput"].as_str().unwrap_or_default(),
            "exit_code": item["exitCode"], "duration": duration(item), "status": item["status"],
        })),
        "fileChange" => Some(json!({
            "type": "patch_apply_end", "call_id": item["id"], "turn_id": params["turnId"], "stdout": "", "stderr": "",
            "success": item["status"] == "completed", "changes": by_path(item), "status": item["status"],
        })),
        "mcpToolCall" => {
            let result = match &item["error"] {
                Value::Null => json!({"Ok": item["result"]}),
                error => json!({"Err": error["message"]}),
            };
            Some(json!({
                "type": "mcp_tool_call_end", "call_id": item["id"], "invocation": invocation(item),
                "duration": duration(item), "result": result,
            }))
        }
        _ => None,
    }
}

fn invocation(item: &Value) -> Value {
    json!({"server": item["server"], "tool": item["tool"], "arguments": item["arguments"]})
}

fn duration(item: &Value) -> Value {
    let millis = item["durationMs"].as_u64().unwrap_or_default();
    json!({"secs": millis / 1_000, "nanos": millis % 1_000 * 1_000_000})
}

#[cfg(test)]
mod tests;
