//! Turns that ask in the era without a conversation: the call is answered with the question, and the same call comes
//! again with what was answered. Meanwhile the turn waits here, under a name that is good once. Not here: what is
//! asked, or what an answer is worth.

use super::Bridge;
use super::approvals::{Asks, Laid, Rounds};
use super::tools::Tool;
use crate::answer::Answer;
use crate::codex::ask::Turn;
use crate::news::News;
use gate::ports::BoxFuture;
use gate::{ApprovalId, Permit};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// The keys under which questions stand begin with this.
const KEY: &str = "codex/approval";
/// How often it is looked whether a turn still waits.
const LOOK: Duration = Duration::from_millis(200);
/// Questions that a turn may have open.
const MOST: usize = 64;

/// A turn whose caller comes back.
pub struct Waiting {
    /// Whose it is.
    owner: String,
    turn: BoxFuture<'static, Answer>,
    laid: mpsc::Receiver<Laid>,
    /// What is asked and not answered, as far as is known here.
    open: Vec<Laid>,
    news: Arc<News>,
    rounds: Arc<Rounds>,
}

/// Where turns wait for their callers.
#[derive(Clone, Default)]
pub struct Lot(Arc<Mutex<HashMap<String, Waiting>>>);

impl Lot {
    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<String, Waiting>> {
        // A map of whole values cannot be left half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turn of that name, if it is this owner's. Nobody gets it twice.
    fn take(&self, name: &str, owner: &str) -> Option<Waiting> {
        let mut all = self.all();
        all.get(name).is_some_and(|waiting| waiting.owner == owner).then(|| all.remove(name))?
    }

    /// Keeps a turn for `time`, or until we are stopping. Then it is ended, and with it what it runs.
    fn keep(&self, name: String, waiting: Waiting, time: Duration, tasks: &TaskTracker) {
        self.all().insert(name.clone(), waiting);
        let (lot, stopping) = (self.clone(), tasks.clone());
        tasks.spawn(async move {
            let end = tokio::time::Instant::now() + time;
            while lot.all().contains_key(&name) && tokio::time::Instant::now() < end && !stopping.is_closed() {
                tokio::time::sleep(LOOK).await;
            }
            let left = lot.all().remove(&name);
            drop(left);
        });
    }
}

impl Bridge {
    /// A turn whose questions are answers to the call.
    pub(super) async fn turn_in_rounds(&self, tool: Tool, turn: Turn, permit: &Permit, news: Arc<News>) -> Answer {
        let Some(bridge) = self.me.upgrade() else { return Answer::failure("toolgate is stopping") };
        let (sender, laid) = mpsc::channel(MOST);
        let rounds = Arc::new(Rounds::new(sender));
        let asks = Arc::new(Asks { people: permit.people(), host: None, rounds: Some(rounds.clone()) });
        let owner = permit.by().word().to_owned();
        let (told, of) = (news.clone(), owner.clone());
        let turn = Box::pin(async move { bridge.turn(tool, turn, &of, told, asks).await });
        self.attend(Waiting { owner, turn, laid, open: Vec::new(), news, rounds }).await
    }

    /// The same call again, with the name of a turn that waits and what was answered. Raw JSON.
    pub(super) async fn next_round(&self, name: &str, responses: Option<&str>, permit: &Permit) -> Answer {
        let Some(mut waiting) = self.lot.take(name, permit.by().word()) else {
            return Answer::failure(
                "The turn that this call goes on with is over: its question was not answered in time, or toolgate was \
                 started anew. Call again, without what came with the question.",
            );
        };
        waiting.news.turn_to(permit.wants_progress().then(|| permit.feed()));
        let responses: Value = responses.and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_default();
        let people = permit.people();
        for laid in std::mem::take(&mut waiting.open) {
            let Some(answer) = answer(&responses[key(laid.id)]) else {
                waiting.open.push(laid);
                continue;
            };
            if answer == gate::Answer::Dismissed {
                waiting.rounds.dismiss(laid.id);
            }
            if let Err(refusal) = people.answered(laid.id, answer).await {
                tracing::warn!(target: "mcp::approvals", %refusal, "an answer was not taken");
            }
        }
        if !waiting.open.is_empty() {
            return self.park(waiting);
        }
        self.attend(waiting).await
    }

    /// Until the turn is over or asks.
    async fn attend(&self, mut waiting: Waiting) -> Answer {
        tokio::select! {
            biased;
            answer = &mut waiting.turn => return answer,
            Some(laid) = waiting.laid.recv() => waiting.open.push(laid),
        }
        while let Ok(laid) = waiting.laid.try_recv() {
            waiting.open.push(laid);
        }
        self.park(waiting)
    }

    /// What is asked; the turn waits for the answers.
    fn park(&self, waiting: Waiting) -> Answer {
        let name: String = self.random().iter().map(|byte| format!("{byte:02x}")).collect();
        let requests: serde_json::Map<_, _> = waiting.open.iter().map(|laid| (key(laid.id), request(laid))).collect();
        let time = waiting.open.iter().map(|laid| laid.time).max().unwrap_or_default();
        let result = json!({"resultType": "input_required", "inputRequests": requests, "requestState": name});
        waiting.news.turn_to(None);
        self.lot.keep(name, waiting, time, &self.runner.tasks);
        Answer::result(&result)
    }
}

fn key(id: ApprovalId) -> String {
    format!("{KEY}/{id}")
}

fn request(laid: &Laid) -> Value {
    let minutes = laid.time.as_secs().div_ceil(60);
    let message = format!(
        "{}\nThe question expires in {minutes} min; all of it: `toolgate approvals show {}`",
        laid.text, laid.id
    );
    let schema = json!({"type": "object", "properties": {}});
    let params = json!({"mode": "form", "message": message, "requestedSchema": schema});
    json!({"method": "elicitation/create", "params": params})
}

/// What a response says, if it is one.
fn answer(response: &Value) -> Option<gate::Answer> {
    Some(match response.as_object()?.get("action").and_then(Value::as_str) {
        Some("accept") => gate::Answer::Yes,
        Some("decline") => gate::Answer::No,
        _ => gate::Answer::Dismissed,
    })
}
