//! Questions to the client: server-to-client requests for a legacy one, input for a modern one.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::outlet::Outlet;
use super::process::LIFETIME;
use super::wire::{Answer, Refusal, Request};

/// How often an unanswered question looks whether the client is still there.
const LOOK: Duration = Duration::from_millis(10);

/// The questions that legacy clients have not answered yet.
#[derive(Default)]
pub(super) struct Questions {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Counts from 0, as clients do: ids of both directions look alike.
    next: u64,
    waiting: BTreeMap<String, Sender<String>>,
}

/// One question: what a client is asked, in either era.
pub(super) struct Question {
    pub method: &'static str,
    /// The capability a client needs to answer.
    pub capability: &'static str,
    pub params: Value,
}

impl Question {
    /// The question of the tools `elicit`, `sample` and `roots`.
    pub fn of(tool: &str, arguments: &Value) -> Self {
        match tool {
            "sample" => Self::sample(arguments["prompt"].as_str().unwrap_or("Say something")),
            "roots" => Self { method: "roots/list", capability: "roots", params: json!({}) },
            _ => Self::elicit(arguments),
        }
    }

    fn sample(prompt: &str) -> Self {
        let messages = json!([{"role": "user", "content": {"type": "text", "text": prompt}}]);
        Self {
            method: "sampling/createMessage",
            capability: "sampling",
            params: json!({"messages": messages, "maxTokens": 100}),
        }
    }

    fn elicit(arguments: &Value) -> Self {
        let message = arguments["message"].as_str().unwrap_or("What is your name?");
        let params = match arguments["url"].as_str() {
            Some(url) => json!({"mode": "url", "message": message, "url": url, "elicitationId": "e-1"}),
            None => json!({"message": message, "requestedSchema": {
                "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"],
            }}),
        };
        Self { method: "elicitation/create", capability: "elicitation", params }
    }

    /// Asks a modern client, or takes the answer it came back with.
    pub fn modern(mut self, request: &Request<'_>) -> Answer {
        if !request.declares(self.capability) {
            let needed = json!({"requiredCapabilities": {self.capability: {}}});
            return Answer::Error(Refusal::new(-32021, "the client cannot be asked").with(&needed));
        }
        let tool = &request.params.name;
        let state = format!("asked by {tool}");
        match (request.params.input_responses, request.params.request_state.as_deref()) {
            (Some(answers), Some(given)) if given == state => request.says(answers.get()),
            (_, Some(given)) if given != state => Answer::Error(Refusal::params("requestState is not mine")),
            _ => {
                if let Some(params) = self.params.as_object_mut() {
                    params.remove("elicitationId");
                }
                let wanted = json!({"question": {"method": self.method, "params": self.params}});
                Answer::Result(
                    json!({
                        "resultType": "input_required", "inputRequests": wanted, "requestState": state,
                    })
                    .to_string(),
                )
            }
        }
    }
}

impl Questions {
    /// Asks a legacy client and waits. The answer is the whole response; none when it went away.
    pub fn ask(&self, question: &Question, outlet: &Arc<dyn Outlet>) -> Option<String> {
        let (id, answer) = self.open();
        let message = json!({"jsonrpc": "2.0", "id": id, "method": question.method, "params": question.params});
        if !outlet.send(&message.to_string()) {
            return None;
        }
        wait(&answer, outlet)
    }

    fn open(&self) -> (u64, Receiver<String>) {
        let (sender, receiver) = channel();
        let mut inner = self.inner.lock().expect("no asker panics");
        let id = inner.next;
        inner.next += 1;
        inner.waiting.insert(id.to_string(), sender);
        (id, receiver)
    }

    /// Takes a response of the client. False when nothing was asked under that id.
    pub fn answered(&self, id: &str, message: &str) -> bool {
        let waiting = self.inner.lock().expect("no asker panics").waiting.remove(id);
        waiting.is_some_and(|asker| asker.send(message.into()).is_ok())
    }
}

fn wait(answer: &Receiver<String>, outlet: &Arc<dyn Outlet>) -> Option<String> {
    let looks = LIFETIME.as_millis() / LOOK.as_millis();
    for _ in 0..looks {
        if let Ok(answer) = answer.recv_timeout(LOOK) {
            return Some(answer);
        }
        if outlet.gone() {
            return None;
        }
    }
    None
}
