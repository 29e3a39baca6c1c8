//! A scripted stand-in for a language model: the part of OpenAI's Responses API that an agent needs
//! (`POST …/responses`, answered by server-sent events).
//!
//! It knows nothing: each thread of the agent gets the turns that were written for it, one a request.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use crate::wait;

/// What the model answers to one request.
#[derive(Debug, Clone)]
pub struct Turn {
    item: Value,
    after: Option<String>,
}

impl Turn {
    /// Says something, which ends the agent's turn.
    pub fn say(text: &str) -> Self {
        let content = json!([{"type": "output_text", "text": text, "annotations": []}]);
        let item = json!({"type": "message", "role": "assistant", "status": "completed", "content": content});
        Self { item, after: None }
    }

    /// Calls the tool `name` of `namespace`.
    pub fn call(namespace: &str, name: &str, arguments: &Value) -> Self {
        let arguments = arguments.to_string();
        let item = json!({"type": "function_call", "namespace": namespace, "name": name, "arguments": arguments});
        Self { item, after: None }
    }

    /// Calls a tool of the agent's own.
    pub fn act(name: &str, arguments: &Value) -> Self {
        let arguments = arguments.to_string();
        Self { item: json!({"type": "function_call", "name": name, "arguments": arguments}), after: None }
    }

    /// Holds this answer back until another kind of thread got all of its turns.
    #[must_use]
    pub fn after(mut self, threads: &str) -> Self {
        self.after = Some(threads.into());
        self
    }
}

/// A model that serves on a loopback port as long as the program runs.
pub struct Model {
    /// What an agent is to be given as `base_url`.
    pub url: String,
    state: Arc<State>,
}

struct State {
    scripts: HashMap<String, Vec<Turn>>,
    /// The bodies of all requests, with the kind of thread that sent each.
    seen: Mutex<Vec<(String, Value)>>,
}

impl Model {
    /// Serves a script for each kind of thread, as the agent names them: `user`, `subagent`, ….
    ///
    /// # Panics
    /// When no port is free.
    pub fn start<const N: usize>(scripts: [(&str, Vec<Turn>); N]) -> Self {
        let scripts = scripts.into_iter().map(|(kind, turns)| (kind.to_owned(), turns)).collect();
        let state = Arc::new(State { scripts, seen: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/v1", listener.local_addr().expect("it is bound"));
        let serving = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&serving);
                thread::spawn(move || drop(state.exchange(&stream)));
            }
        });
        Self { url, state }
    }

    /// The requests of that kind of thread, in order.
    ///
    /// # Panics
    /// Never: no thread that holds them panics.
    pub fn requests(&self, kind: &str) -> Vec<Value> {
        let seen = self.state.seen.lock().expect("nobody panics with it");
        seen.iter().filter(|(of, _)| of == kind).map(|(_, body)| body.clone()).collect()
    }
}

impl State {
    fn exchange(&self, mut stream: &TcpStream) -> io::Result<()> {
        let Some((path, body)) = request(&mut BufReader::new(stream))? else { return Ok(()) };
        if !path.ends_with("/responses") {
            let models = r#"{"object":"list","data":[],"models":[]}"#;
            return stream.write_all(head("application/json", models).as_bytes());
        }
        let (turn, number) = self.next(body);
        let is_time = turn.after.is_none_or(|kind| wait::until(wait::PATIENCE, || self.is_over(&kind)));
        if !is_time {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.write_all(head("text/event-stream", &events(turn.item, number)).as_bytes())
    }

    /// The turn that answers this request, and which request this is of all.
    fn next(&self, body: Value) -> (Turn, usize) {
        let kind = thread_kind(&body);
        let mut seen = self.seen.lock().expect("nobody panics with it");
        let index = seen.iter().filter(|(of, _)| *of == kind).count();
        let turn = self.scripts.get(&kind).and_then(|turns| turns.get(index)).cloned();
        seen.push((kind, body));
        (turn.unwrap_or_else(|| Turn::say("(nothing more was written for me)")), seen.len())
    }

    fn is_over(&self, kind: &str) -> bool {
        let seen = self.seen.lock().expect("nobody panics with it");
        let count = seen.iter().filter(|(of, _)| of == kind).count();
        count >= self.scripts.get(kind).map_or(0, Vec::len)
    }
}

/// The path and the body of a request; nothing when none comes.
fn request(reader: &mut impl BufRead) -> io::Result<Option<(String, Value)>> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let Some(path) = line.split(' ').nth(1).map(str::to_owned) else { return Ok(None) };
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((path, serde_json::from_slice(&body).unwrap_or_default())))
}

fn head(kind: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

/// What kind of thread asks; the agent says so in its metadata, which is JSON in a string.
fn thread_kind(body: &Value) -> String {
    let metadata = body["client_metadata"]["x-codex-turn-metadata"].as_str().unwrap_or("{}");
    let metadata: Value = serde_json::from_str(metadata).unwrap_or_default();
    metadata["thread_source"].as_str().unwrap_or("user").to_owned()
}

/// One response with one item.
fn events(mut item: Value, number: usize) -> String {
    item["id"] = json!(format!("item_{number}"));
    if item["type"] == "function_call" {
        item["call_id"] = json!(format!("call_{number}"));
    }
    let response = |status: &str, output: Value| json!({"id": format!("resp_{number}"), "object": "response", "status": status, "output": output});
    let mut done = response("completed", json!([item]));
    done["usage"] = json!({"input_tokens": 1, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 1,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 2});
    let events = [
        json!({"type": "response.created", "response": response("in_progress", json!([]))}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.completed", "response": done}),
    ];
    let event = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
    events.iter().map(event).collect()
}
