//! An MCP client over the standard streams of a child, one line a message.
//!
//! It keeps messages as text, so that a test can compare bytes.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::cli::{kill_group, wait_for};
use crate::wait;

/// How many lines may wait to be read before the child has to.
const BACKLOG: usize = 1024;

/// A child that speaks MCP. It and its process group are killed when this is dropped.
pub struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stderr: Arc<Mutex<String>>,
    /// Messages that came while the answer to a request was waited for.
    kept: VecDeque<Message>,
    next: u64,
    patience: Duration,
}

/// One message of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The line as it came.
    pub text: String,
}

/// What is read of a message whose content may be no JSON value of ours, but is passed on as text.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<String>,
}

impl Message {
    fn head(&self) -> Option<Head<'_>> {
        serde_json::from_str(&self.text).ok()
    }

    fn answers(&self, id: u64) -> bool {
        let is_answer =
            |head: Head<'_>| head.method.is_none() && head.id.is_some_and(|own| own.get() == id.to_string());
        self.head().is_some_and(is_answer)
    }

    /// The whole message.
    ///
    /// # Panics
    /// When it is not JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }

    /// The result of a response.
    ///
    /// # Panics
    /// When it is none, or an error.
    #[track_caller]
    pub fn result(&self) -> Value {
        let mut message = self.json();
        assert!(message.get("result").is_some(), "no result in {}", self.text);
        message["result"].take()
    }

    /// The error of a response.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn error(&self) -> Value {
        let mut message = self.json();
        assert!(message.get("error").is_some(), "no error in {}", self.text);
        message["error"].take()
    }

    /// The method of a request or notification; empty for a response.
    pub fn method(&self) -> String {
        self.head().and_then(|head| head.method).unwrap_or_default()
    }

    /// The first text block of a tool's result.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn text_block(&self) -> String {
        let result = self.result();
        let text = result["content"][0]["text"].as_str();
        text.unwrap_or_else(|| panic!("no text in {}", self.text)).into()
    }
}

impl Client {
    /// Starts the command, in a process group of its own.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stderr = Arc::default();
        collect(child.stderr.take().expect("it is piped"), Arc::clone(&stderr));
        Self {
            stdin: child.stdin.take(),
            lines: lines(child.stdout.take().expect("it is piped")),
            child,
            stderr,
            kept: VecDeque::new(),
            next: 1,
            patience: wait::PATIENCE,
        }
    }

    /// Waits for answers this long instead of [`wait::PATIENCE`].
    #[must_use]
    pub fn patient(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The id of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard error so far.
    ///
    /// # Panics
    /// Never: the collecting thread does not panic.
    pub fn stderr(&self) -> String {
        self.stderr.lock().expect("no reader panics").clone()
    }

    /// Writes one line as it is.
    ///
    /// # Panics
    /// When standard input was closed, here or there.
    #[track_caller]
    pub fn send(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("standard input is open");
        let written = stdin.write_all(format!("{line}\n").as_bytes()).and_then(|()| stdin.flush());
        if let Err(error) = written {
            panic!("{error}; standard error: {}", self.stderr());
        }
    }

    /// Sends a request and returns its id.
    #[track_caller]
    pub fn start(&mut self, method: &str, params: &Value) -> u64 {
        let id = self.next;
        self.next += 1;
        self.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{},"params":{params}}}"#, json!(method)));
        id
    }

    /// Sends a request and waits for its answer; other messages are kept for [`Client::next_message`].
    ///
    /// # Panics
    /// When no answer comes in time.
    #[track_caller]
    pub fn request(&mut self, method: &str, params: &Value) -> Message {
        let id = self.start(method, params);
        self.answer(id)
    }

    /// Waits for the answer to a request that was started.
    ///
    /// # Panics
    /// When it does not come in time.
    #[track_caller]
    pub fn answer(&mut self, id: u64) -> Message {
        if let Some(index) = self.kept.iter().position(|message| message.answers(id)) {
            return self.kept.remove(index).expect("it is there");
        }
        let end = wait::now() + self.patience;
        loop {
            let left = end.saturating_duration_since(wait::now());
            let Some(message) = self.receive(left) else {
                panic!("no answer to {id}; kept: {:#?}; standard error: {}", self.kept, self.stderr());
            };
            if message.answers(id) {
                return message;
            }
            self.kept.push_back(message);
        }
    }

    /// Sends a notification.
    #[track_caller]
    pub fn notify(&mut self, method: &str, params: &Value) {
        self.send(&format!(r#"{{"jsonrpc":"2.0","method":{},"params":{params}}}"#, json!(method)));
    }

    /// The next message that nobody waited for; nothing when none comes in time or ever again.
    pub fn next_message(&mut self, time: Duration) -> Option<Message> {
        self.kept.pop_front().or_else(|| self.receive(time))
    }

    /// The next message of that method, however many others come before.
    ///
    /// # Panics
    /// When it does not come in time.
    #[track_caller]
    pub fn expect(&mut self, method: &str) -> Message {
        if let Some(index) = self.kept.iter().position(|message| message.method() == method) {
            return self.kept.remove(index).expect("it is there");
        }
        let end = wait::now() + self.patience;
        loop {
            let left = end.saturating_duration_since(wait::now());
            let Some(message) = self.receive(left) else {
                panic!("no {method}; kept: {:#?}; standard error: {}", self.kept, self.stderr());
            };
            if message.method() == method {
                return message;
            }
            self.kept.push_back(message);
        }
    }

    fn receive(&mut self, time: Duration) -> Option<Message> {
        match self.lines.recv_timeout(time) {
            Ok(text) => Some(Message { text }),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Shakes hands the legacy way, declaring `capabilities`, and returns what the server said.
    ///
    /// # Panics
    /// When it refuses.
    #[track_caller]
    pub fn initialize(&mut self, version: &str, capabilities: &Value) -> Value {
        let client = json!({"name": "testkit", "version": "1"});
        let params = json!({"protocolVersion": version, "capabilities": capabilities, "clientInfo": client});
        let result = self.request("initialize", &params).result();
        self.notify("notifications/initialized", &json!({}));
        result
    }

    /// Sends a request of 2026-07-28 that declares `capabilities`, and waits for its answer.
    #[track_caller]
    pub fn modern(&mut self, method: &str, params: Value, capabilities: &Value) -> Message {
        self.request(method, &with_meta(params, capabilities))
    }

    /// Calls a tool the legacy way.
    #[track_caller]
    pub fn call(&mut self, tool: &str, arguments: &Value) -> Message {
        self.request("tools/call", &json!({"name": tool, "arguments": arguments}))
    }

    /// Closes standard input and waits for the end.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub fn close(mut self) -> ExitStatus {
        self.stdin = None;
        self.ended()
    }

    /// Waits for the end of the process, whatever brings it about.
    ///
    /// # Panics
    /// When it does not end in time.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let status = wait_for(&mut self.child, self.patience);
        status.unwrap_or_else(|| panic!("it did not end; standard error: {}", self.stderr()))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        kill_group(&mut self.child);
    }
}

/// Params with the metadata that makes a request modern.
pub fn with_meta(mut params: Value, capabilities: &Value) -> Value {
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
    params["_meta"]["io.modelcontextprotocol/clientInfo"] = json!({"name": "testkit", "version": "1"});
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities.clone();
    params
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = sync_channel(BACKLOG);
    thread::spawn(move || {
        let mut lines = BufReader::new(stream).lines();
        while let Some(Ok(line)) = lines.next() {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

fn collect(stream: impl Read + Send + 'static, into: Arc<Mutex<String>>) {
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            into.lock().expect("no reader panics").push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
}
