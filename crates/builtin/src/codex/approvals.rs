//! What Codex wants leave for in the middle of a turn: a command, a change of files, a connection, a call of a tool.
//! Each becomes a question to people, and their word the answer that Codex waits for. Whatever is not a person's yes
//! is a no. Not here: how people are reached, or how long they are waited for.

use super::ask::Turn;
use super::hosts::Host;
use super::settings::{Contract, Leave, Settings};
use super::shell::argv;
use gate::pin::{elided, visible};
use gate::{Act, Approval, ApprovalId, People, Word, Words};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// The longest command that is shown whole, in characters.
const MOST_COMMAND: usize = 4_000;
/// How much of a reason is shown, in characters.
const MOST_REASON: usize = 600;
/// How many lines of a difference are shown, of all files together.
const MOST_LINES: usize = 120;
/// How much of each is shown, in characters.
const MOST_LINE: usize = 240;
/// What stands in the place of a rule.
const RULE: &str = "codex asks (approval policy)";

/// Whether a turn may ask, and under which of Codex's policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Nobody is asked: the turn runs by `exec`.
    Exec,
    /// It runs by the server, under this policy, or under the one that Codex is configured with.
    Server(Option<&'static str>),
}

impl Policy {
    /// What the operator allows and the caller wants.
    pub fn of(settings: &Settings, turn: &Turn) -> Self {
        let host = settings.contract == Contract::Codex;
        match (settings.leave, host) {
            // Its hosts hear what Codex does, whether or not they are asked.
            (Leave::Refuse, true) => Self::Server(Some("never")),
            (Leave::Refuse, false) | (Leave::AsHostsDo, false) => Self::Exec,
            (Leave::Ask, false) if turn.full_auto => Self::Exec,
            (Leave::Ask, false) => Self::Server(Some("on-request")),
            (Leave::Ask | Leave::AsHostsDo, true) if turn.full_auto => Self::Server(Some("never")),
            (Leave::Ask | Leave::AsHostsDo, true) => Self::Server(turn.approval),
        }
    }
}

/// Who is asked, and who hears of it, in one call.
pub struct Asks {
    /// Who is asked.
    pub people: People,
    /// The host, if it is one that was written for Codex's own server.
    pub host: Option<Host>,
    /// Where questions are laid that the caller's user is asked by answers.
    pub rounds: Option<Arc<Rounds>>,
}

/// A question that lies on the desk.
#[derive(Debug, Clone)]
pub struct Laid {
    /// Its name.
    pub id: ApprovalId,
    /// Its words.
    pub text: String,
    /// How long it can be answered.
    pub time: Duration,
}

/// The questions of a turn that asks in rounds.
pub struct Rounds {
    laid: mpsc::Sender<Laid>,
    /// Those whose dialogue was closed, which is not the same as a no.
    dismissed: Mutex<HashSet<ApprovalId>>,
}

impl Rounds {
    /// Questions are told to `laid`.
    pub fn new(laid: mpsc::Sender<Laid>) -> Self {
        Self { laid, dismissed: Mutex::default() }
    }

    /// The dialogue of this one was closed.
    pub fn dismiss(&self, id: ApprovalId) {
        self.dismissed().insert(id);
    }

    fn dismissed(&self) -> MutexGuard<'_, HashSet<ApprovalId>> {
        // A set of names cannot be left half-changed.
        self.dismissed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lay(&self, question: &Approval, words: &Words) {
        let time = Duration::from_micros(question.expires.saturating_sub(question.asked));
        // One too many is still in the inbox.
        _ = self.laid.try_send(Laid { id: question.id, text: words.text.clone(), time });
    }
}

impl Asks {
    /// A person's word on it, or that there is none.
    pub async fn ask(&self, wanted: &Wanted, over: impl Future<Output = ()>) -> Word {
        let act = wanted.act(self.host.as_ref());
        let Some(rounds) = self.rounds.as_ref().filter(|_| self.people.in_rounds()) else {
            return self.people.ask(&act, |_, _| (), over).await;
        };
        let mut id = None;
        let laid = |question: &Approval, words: &Words| {
            id = Some(question.id);
            rounds.lay(question, words);
        };
        match self.people.ask(&act, laid, over).await {
            Word::No if id.is_some_and(|id| rounds.dismissed().contains(&id)) => Word::Dismissed,
            word => word,
        }
    }

    /// Tells the host, if it wants to hear, what the server said about a turn in `thread`.
    pub fn tell(&self, message: &Value, thread: Option<&str>) {
        if let Some(host) = &self.host {
            host.hear(message, thread);
        }
    }
}

/// What Codex waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    kind: Kind,
    params: Value,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Command,
    Network,
    /// With the item that tells the changes.
    Patch(Value),
    Tool,
}

impl Wanted {
    /// What a request of the server wants leave for, if people can give it; `item` is what it is about.
    pub fn read(request: &Value, item: Option<&Value>) -> Option<Self> {
        let mut params = request["params"].clone();
        // Releases up to 0.98 or so tell what they ask about in the item alone.
        for key in ["command", "cwd", "commandActions"].iter().filter(|_| item.is_some()) {
            if params[*key].is_null() {
                params[*key] = item.map_or(Value::Null, |item| item[*key].clone());
            }
        }
        let kind = match request["method"].as_str()? {
            "item/commandExecution/requestApproval" if params["networkApprovalContext"].is_object() => Kind::Network,
            // What cannot be shown cannot be approved.
            "item/commandExecution/requestApproval" if params["command"].is_string() => Kind::Command,
            "item/fileChange/requestApproval" if item.is_some_and(|item| !changes(item).is_empty()) => {
                Kind::Patch(item?.clone())
            }
            "mcpServer/elicitation/request" if params["_meta"]["codex_approval_kind"] == "mcp_tool_call" => Kind::Tool,
            _ => return None,
        };
        Some(Self { kind, params })
    }

    /// In one line.
    pub fn headline(&self) -> String {
        let text = |key: &str| self.params[key].as_str().unwrap_or_default();
        match &self.kind {
            Kind::Command => elided(text("command"), MOST_LINE),
            Kind::Network => elided(&self.network(), MOST_LINE),
            Kind::Patch(item) => {
                let paths: Vec<_> = changes(item).iter().filter_map(|change| change["path"].as_str()).collect();
                elided(&format!("change {}", paths.join(", ")), MOST_LINE)
            }
            Kind::Tool => elided(text("message"), MOST_LINE),
        }
    }

    /// What Codex is answered.
    pub fn answer(&self, word: Word) -> Value {
        let said = match word {
            Word::Yes => "accept",
            Word::No | Word::Nobody => "decline",
            Word::Dismissed | Word::Over => "cancel",
        };
        match &self.kind {
            Kind::Tool if word == Word::Yes => json!({"action": said, "content": {}}),
            Kind::Tool => json!({"action": said, "content": null}),
            Kind::Command | Kind::Network | Kind::Patch(_) => json!({"decision": said}),
        }
    }

    fn act(&self, host: Option<&Host>) -> Act {
        let name = match &self.kind {
            Kind::Command => "run a command",
            Kind::Network => "reach the network",
            Kind::Patch(_) => "change files",
            Kind::Tool => "call a tool",
        };
        let words = Words {
            text: self.text(),
            beside: host.map_or_else(|| "{}".to_owned(), |host| self.beside(host).to_string()),
        };
        Act { name: name.into(), rule: RULE.into(), arguments: self.shown().to_string(), words }
    }

    /// Everything that there is to know.
    fn shown(&self) -> Value {
        let mut shown = Map::new();
        let keys: &[&str] = match &self.kind {
            Kind::Command | Kind::Network => &["command", "cwd", "networkApprovalContext", "reason"],
            Kind::Patch(_) => &["grantRoot", "reason"],
            Kind::Tool => &["serverName", "message", "_meta"],
        };
        for key in keys.iter().filter(|key| !self.params[**key].is_null()) {
            shown.insert((*key).to_owned(), self.params[*key].clone());
        }
        if let Kind::Patch(item) = &self.kind {
            let files = changes(item).iter().map(|change| {
                let Counts { added, removed } = Counts::of(change);
                json!({"path": change["path"], "kind": change["kind"]["type"], "added": added, "removed": removed,
                    "diff": change["diff"]})
            });
            shown.insert("files".to_owned(), files.collect());
        }
        if let (Kind::Command, Some(command)) = (&self.kind, self.params["command"].as_str()) {
            shown.insert("argv".to_owned(), json!(argv(command)));
        }
        shown.insert("thread".to_owned(), self.params["threadId"].clone());
        Value::Object(shown)
    }

    /// The question; its first line is that of Codex's own server.
    fn text(&self) -> String {
        let text = |key: &str| self.params[key].as_str().unwrap_or_default();
        let mut said = match &self.kind {
            Kind::Command => {
                format!("Allow Codex to run `{}` in `{}`?", block(text("command")), elided(text("cwd"), MOST_LINE))
            }
            Kind::Network => format!("Allow Codex to {}?", elided(&self.network(), MOST_LINE)),
            Kind::Patch(item) => format!("Allow Codex to apply proposed code changes?\n{}", patch(changes(item))),
            Kind::Tool => {
                let given = elided(&self.params["_meta"]["tool_params"].to_string(), MOST_COMMAND);
                format!("{}\nWith: {given}", elided(text("message"), MOST_REASON))
            }
        };
        if let Some(root) = self.params["grantRoot"].as_str() {
            said += &format!("\nIt also wants to write beneath `{}` from now on.", elided(root, MOST_LINE));
        }
        if let Some(reason) = self.params["reason"].as_str() {
            said += &format!("\nWhy, as Codex has it: {}", elided(reason, MOST_REASON));
        }
        said
    }

    fn network(&self) -> String {
        let context = &self.params["networkApprovalContext"];
        let text = |key: &str| context[key].as_str().unwrap_or("?").to_owned();
        format!("reach `{}` ({})", text("host"), text("protocol"))
    }

    /// What Codex's own server put beside its questions.
    fn beside(&self, host: &Host) -> Value {
        let params = &self.params;
        let mut beside = json!({
            "threadId": params["threadId"],
            "codex_mcp_tool_call_id": host.call(),
            "codex_event_id": params["turnId"],
            "codex_call_id": params["itemId"],
        });
        match &self.kind {
            Kind::Command => {
                beside["codex_elicitation"] = json!("exec-approval");
                beside["codex_command"] = json!(argv(params["command"].as_str().unwrap_or_default()));
                beside["codex_cwd"] = params["cwd"].clone();
                beside["codex_parsed_cmd"] = parsed(params);
            }
            Kind::Patch(item) => {
                beside["codex_elicitation"] = json!("patch-approval");
                beside["codex_changes"] = by_path(item);
                for (key, old) in [("reason", "codex_reason"), ("grantRoot", "codex_grant_root")] {
                    if params[key].is_string() {
                        beside[old] = params[key].clone();
                    }
                }
            }
            Kind::Network | Kind::Tool => {}
        }
        beside
    }
}

fn changes(item: &Value) -> &[Value] {
    item["changes"].as_array().map_or(&[], Vec::as_slice)
}

/// Changes as Codex's own server told them: by path.
pub fn by_path(item: &Value) -> Value {
    let change = |change: &Value| {
        let (diff, kind) = (&change["diff"], &change["kind"]);
        let told = match kind["type"].as_str() {
            Some(kind @ ("add" | "delete")) => json!({"type": kind, "content": diff}),
            _ => json!({"type": "update", "unified_diff": diff, "move_path": kind["move_path"]}),
        };
        Some((change["path"].as_str()?.to_owned(), told))
    };
    Value::Object(changes(item).iter().filter_map(change).collect())
}

/// What a command does, as Codex's own server told it.
pub fn parsed(params: &Value) -> Value {
    let actions = params["commandActions"].as_array().map_or(&[][..], Vec::as_slice);
    let told = actions.iter().map(|action| {
        let mut told = action.clone();
        if let Some(told) = told.as_object_mut() {
            let command = told.remove("command").unwrap_or_default();
            told.insert("cmd".to_owned(), command);
            if action["type"] == "listFiles" {
                told.insert("type".to_owned(), json!("list_files"));
            }
        }
        told
    });
    told.collect()
}

/// How many lines a change adds and takes away.
struct Counts {
    added: usize,
    removed: usize,
}

impl Counts {
    fn of(change: &Value) -> Self {
        let diff = change["diff"].as_str().unwrap_or_default();
        let all = diff.lines().count();
        let begin = |sign: char| diff.lines().filter(|line| line.starts_with(sign)).count();
        match change["kind"]["type"].as_str() {
            Some("add") => Self { added: all, removed: 0 },
            Some("delete") => Self { added: 0, removed: all },
            _ => Self { added: begin('+'), removed: begin('-') },
        }
    }
}

/// The files first, so that none of them is left out for the length of another's difference.
fn patch(changes: &[Value]) -> String {
    let mut text = String::new();
    for change in changes {
        let Counts { added, removed } = Counts::of(change);
        let moved = change["kind"]["move_path"].as_str().map(|to| format!(" to `{}`", elided(to, MOST_LINE)));
        text += &format!(
            "{} `{}`{} (+{added} -{removed})\n",
            change["kind"]["type"].as_str().unwrap_or("change"),
            elided(change["path"].as_str().unwrap_or("?"), MOST_LINE),
            moved.unwrap_or_default(),
        );
    }
    let lines: Vec<_> = changes.iter().flat_map(|change| change["diff"].as_str().unwrap_or_default().lines()).collect();
    let shown: Vec<_> = lines.iter().take(MOST_LINES).map(|line| elided(line, MOST_LINE)).collect();
    text += &shown.join("\n");
    if lines.len() > MOST_LINES {
        text += &format!("\n… {} lines left out …", lines.len() - MOST_LINES);
    }
    text
}

/// A command, over several lines if it has them, nothing in it hidden.
fn block(command: &str) -> String {
    let lines: Vec<_> = command.lines().map(visible).collect();
    let shown = lines.join("\n");
    if shown.chars().count() <= MOST_COMMAND { shown } else { elided(command, MOST_COMMAND) }
}

#[cfg(test)]
mod tests;
