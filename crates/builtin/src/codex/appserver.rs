//! A turn by `codex app-server`, which asks for leave where `codex exec` refuses: JSON-RPC, one message a line, over
//! the standard streams of a process of its own. Not here: what a question looks like ([`super::approvals`]), what
//! hosts of Codex's own server hear of it ([`super::hosts`]).

mod lines;
mod talk;

pub use talk::snake;

use super::approvals::Asks;
use super::argv::Decided;
use super::cli::{Cli, launch};
use super::events::Told;
use super::run::{Done, Runner};
use super::settings::Sandbox;
use super::trouble::{Setback, Trouble};
use crate::child::{Clip, Ending, Started, start};
use crate::news::{News, PACE};
use lines::Lines;
use sandbox::{Event, ExitKind, Watched};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use talk::{Reply, Stage, Talk};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// How much of standard error is kept, for the words of a failure.
const KEEP: usize = 64 << 10;
/// How long the server may take to end when nothing more is wanted of it, or to interrupt its turn.
const GRACE: Duration = Duration::from_secs(2);

/// A turn that is wanted.
pub struct Chat {
    /// The CLI.
    pub cli: Arc<Cli>,
    /// Its command line, without the program.
    pub args: Vec<OsString>,
    /// Where it works.
    pub dir: PathBuf,
    /// Which model was asked for.
    pub model: Option<String>,
    /// What is added to its environment.
    pub env: Vec<(String, String)>,
    /// The parameters of the request that begins a thread, or goes on with one.
    pub opening: Value,
    /// The thread to go on with.
    pub resume: Option<String>,
    /// What is asked.
    pub prompt: String,
    /// Who decides on what Codex may do.
    pub asks: Arc<Asks>,
}

/// The parameters of the request that begins a thread, or goes on with `resume`. A policy that is none is the one that
/// Codex is configured with.
pub fn opening(decided: &Decided<'_>, policy: Option<&str>, resume: Option<&str>) -> Value {
    // Whatever Codex is configured with: people are asked, and no model in their place.
    let mut params = json!({"cwd": decided.dir, "approvalsReviewer": "user"});
    let texts = [("model", decided.model), ("sandbox", decided.sandbox.map(Sandbox::word)), ("approvalPolicy", policy)];
    for (key, text) in texts.into_iter().chain([("threadId", resume)]) {
        if let Some(text) = text {
            params[key] = text.into();
        }
    }
    if resume.is_some() {
        params["excludeTurns"] = true.into();
    }
    params
}

/// How a turn ended without an answer.
pub enum Failed {
    /// The server knows no turns: this release has to be driven by `exec`.
    TooOld,
    /// It did not go well.
    Setback(Setback),
}

impl<T: Into<Setback>> From<T> for Failed {
    fn from(why: T) -> Self {
        Self::Setback(why.into())
    }
}

impl Runner {
    /// Has the turn; what `held` stands for is given back when nothing of the server is left.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn converse(&self, chat: Chat, news: Arc<News>, held: impl Send + 'static) -> Result<Done, Failed> {
        let stop = CancellationToken::new();
        let gone = stop.clone().drop_guard();
        let (runner, told) = (self.clone(), news.clone());
        let task = self.tasks.spawn(async move {
            let _held = held;
            runner.serve(chat, &told, stop).await
        });
        let done = task.await.unwrap_or_else(|_| Err(Trouble::Stopped.into()));
        drop(gone);
        news.flush();
        done
    }

    async fn serve(&self, chat: Chat, news: &News, stop: CancellationToken) -> Result<Done, Failed> {
        let mut launch = launch(&self.settings, &chat.cli.program, chat.args, Some(chat.dir));
        for (name, value) in chat.env {
            launch.env.retain(|(known, _)| *known != *name);
            launch.env.push((name.into(), value.into()));
        }
        let started = start(&self.helper, launch).await?;
        let talk = Talk::new(chat.opening, chat.resume, chat.prompt);
        let mut server = Server::new(started, talk, chat.asks, self.settings.timeout);
        server.follow(news, &stop).await;
        server.settle(chat.model.as_deref(), self.settings.timeout)
    }
}

/// The server while it runs.
struct Server {
    stdin: Option<Sender>,
    /// What it is still to be sent.
    unsent: VecDeque<u8>,
    stdout: Option<Receiver>,
    stderr: Option<Receiver>,
    watched: Watched,
    lines: Lines,
    complaints: Clip,
    talk: Talk,
    asks: Arc<Asks>,
    /// Questions that people have not answered yet.
    open: JoinSet<Reply>,
    /// Ends them.
    over: CancellationToken,
    /// When the turn has to be over; the time in which people think is added.
    deadline: Instant,
    /// Since when a question is open.
    asking: Option<Instant>,
    /// Why it was ended before its turn was, and by when it has to be gone.
    ending: Option<Ending>,
    last: Option<Instant>,
}

impl Server {
    fn new(started: Started, talk: Talk, asks: Arc<Asks>, limit: Duration) -> Self {
        let mut server = Self {
            stdin: Some(started.stdin),
            unsent: VecDeque::new(),
            stdout: Some(started.stdout),
            stderr: started.stderr,
            watched: started.watched,
            lines: Lines::default(),
            complaints: Clip::new(KEEP, 0),
            talk,
            asks,
            open: JoinSet::new(),
            over: CancellationToken::new(),
            deadline: Instant::now() + limit,
            asking: None,
            ending: None,
            last: None,
        };
        server.send(&Talk::hello());
        server
    }

    /// Until nothing of it is left.
    async fn follow(&mut self, news: &News, stop: &CancellationToken) {
        let (mut out, mut err) = (vec![0; 1 << 16], vec![0; 1 << 13]);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled(), if self.last.is_none() => self.interrupt(Ending::Stopped),
                count = read(&mut self.stdout, &mut out), if self.stdout.is_some() => self.hear(&out[..count], news),
                count = read(&mut self.stderr, &mut err), if self.stderr.is_some() => match count {
                    0 => self.stderr = None,
                    count => self.complaints.push(&err[..count]),
                },
                event = self.watched.next_event() => if self.is_gone(&event) { break },
                written = write(&mut self.stdin, &self.unsent), if self.stdin.is_some() && !self.unsent.is_empty() => {
                    self.sent(written);
                }
                Some(reply) = self.open.join_next(), if !self.open.is_empty() => self.answered(reply.ok()),
                () = sleep_until(self.deadline), if self.asking.is_none() && self.last.is_none() => {
                    self.interrupt(Ending::Overdue);
                }
                () = sleep_until(self.last.unwrap_or(self.deadline)), if self.last.is_some() => {
                    self.watched.terminate();
                    self.last = Some(Instant::now() + GRACE * 2);
                }
                () = sleep(PACE) => news.flush(),
            }
        }
        self.over.cancel();
        while self.open.join_next().await.is_some() {}
    }

    /// What ended it, if nothing else had.
    fn is_gone(&mut self, event: &Event) -> bool {
        let ending = match event {
            Event::Started { .. } => return false,
            Event::NotStarted { errno } => Ending::NotStarted(*errno),
            Event::NotConfined { step, errno } => Ending::NotConfined(*step, *errno),
            Event::Exited(exit) => Ending::Exited(*exit),
            Event::Gone | Event::Lost => Ending::Lost,
        };
        self.ending.get_or_insert(ending);
        matches!(event, Event::Gone | Event::Lost)
    }

    fn hear(&mut self, bytes: &[u8], news: &News) {
        if bytes.is_empty() {
            self.stdout = None;
            return;
        }
        for line in self.lines.push(bytes) {
            let Ok(message) = serde_json::from_slice::<Value>(&line) else { continue };
            let heard = self.talk.hear(&message);
            self.asks.tell(&message, self.talk.thread());
            if let Some(text) = heard.news {
                news.say(&text);
            }
            heard.send.iter().for_each(|message| self.send(message));
            if let Some(request) = heard.request {
                self.ask(request, news);
            }
        }
        if self.talk.stage() != Stage::Going && self.last.is_none() {
            self.finish();
        }
    }

    /// A question to people, or an answer at once where it is none that they are asked.
    fn ask(&mut self, request: Value, news: &News) {
        let Some(wanted) = self.talk.wanted(&request) else {
            self.send(&Talk::no(&request));
            return;
        };
        news.say(&format!("Codex asks for leave: {}", wanted.headline()));
        self.asking.get_or_insert_with(Instant::now);
        let (asks, over) = (self.asks.clone(), self.over.clone());
        self.open.spawn(async move {
            let word = asks.ask(&wanted, over.cancelled()).await;
            Reply { id: request["id"].clone(), result: wanted.answer(word) }
        });
    }

    fn answered(&mut self, reply: Option<Reply>) {
        if let Some(Reply { id, result }) = reply {
            self.send(&json!({"id": id, "result": result}));
        }
        if self.open.is_empty()
            && let Some(since) = self.asking.take()
        {
            self.deadline += since.elapsed();
        }
    }

    /// The turn is over: without input the server ends.
    fn finish(&mut self) {
        self.stdin = None;
        self.last = Some(Instant::now() + GRACE);
        self.over.cancel();
    }

    /// The turn has to end, and the server with it.
    fn interrupt(&mut self, why: Ending) {
        self.ending.get_or_insert(why);
        self.over.cancel();
        match self.talk.interruption() {
            Some(message) => {
                self.send(&message);
                self.last = Some(Instant::now() + GRACE);
            }
            None => self.last = Some(Instant::now()),
        }
    }

    fn send(&mut self, message: &Value) {
        self.unsent.extend(message.to_string().as_bytes());
        self.unsent.push_back(b'\n');
    }

    fn sent(&mut self, written: std::io::Result<usize>) {
        match written {
            Ok(count) => drop(self.unsent.drain(..count)),
            // Nobody reads any more: how it ends says why.
            Err(_) => self.stdin = None,
        }
    }

    /// What became of it.
    fn settle(self, model: Option<&str>, limit: Duration) -> Result<Done, Failed> {
        if self.talk.stage() == Stage::TooOld {
            return Err(Failed::TooOld);
        }
        let ending = self.ending.unwrap_or(Ending::Lost);
        let dismissed = self.talk.is_interrupted();
        let stage = self.talk.stage();
        let Told { thread, answer, error, usage, completed } = self.talk.into_told();
        let failed = |ending, said: &str| {
            Failed::Setback(Setback { why: Trouble::of(ending, said, model, limit), thread: thread.clone() })
        };
        match ending {
            Ending::Stopped | Ending::Overdue => return Err(failed(ending, &error.unwrap_or_default())),
            _ if stage != Stage::Over => {
                return Err(failed(ending, &error.unwrap_or_else(|| self.complaints.text())));
            }
            _ => {}
        }
        if dismissed {
            let why =
                Trouble::Refused("The turn was ended: the question whether Codex may go on was dismissed.".into());
            return Err(Failed::Setback(Setback { why, thread }));
        }
        if !completed {
            return Err(failed(Ending::Exited(ExitKind::Code(1)), &error.unwrap_or_default()));
        }
        let answer = answer.unwrap_or_else(|| "No output from Codex".to_owned());
        Ok(Done { answer, thread, usage })
    }
}

/// How much was read; nothing means that the stream is over. Cancel safe.
async fn read(pipe: &mut Option<Receiver>, buffer: &mut [u8]) -> usize {
    match pipe {
        Some(pipe) => pipe.read(buffer).await.unwrap_or(0),
        None => 0,
    }
}

/// How much was written. Cancel safe.
async fn write(pipe: &mut Option<Sender>, bytes: &VecDeque<u8>) -> std::io::Result<usize> {
    match pipe {
        Some(pipe) => pipe.write(bytes.as_slices().0).await,
        None => Ok(0),
    }
}
