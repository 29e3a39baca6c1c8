//! One run of the CLI, followed to its end. A run belongs to a task of its own: when its caller goes away the task
//! ends the CLI and everything below it, and only then gives its turn back. Not here: what to run, or what it means.

use super::argv::Line;
use super::cli::{Cli, launch};
use super::events::{Events, Told, thread_in_header};
use super::settings::Settings;
use super::trouble::{Setback, Trouble};
use crate::child::{self, Ending, Job, Ran, Stream};
use crate::news::{News, PACE};
use sandbox::{ExitKind, Helper};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// How much of each stream is kept: enough for an answer without events.
const KEEP: usize = 10 << 20;

/// A run that is wanted.
pub struct Run {
    /// The CLI.
    pub cli: Arc<Cli>,
    /// Its command line.
    pub line: Line,
    /// Where it works.
    pub dir: PathBuf,
    /// Which model was asked for, for the words of a failure.
    pub model: Option<String>,
    /// The answer of a run that says nothing.
    pub nothing: &'static str,
    /// What is added to its environment.
    pub env: Vec<(String, String)>,
}

/// A run that went well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The answer.
    pub answer: String,
    /// The thread.
    pub thread: Option<String>,
    /// Tokens, as the CLI spelled them.
    pub usage: Option<serde_json::Value>,
}

/// Where runs happen.
#[derive(Debug, Clone)]
pub struct Runner {
    /// What the operator decided.
    pub settings: Arc<Settings>,
    /// Starts processes.
    pub helper: Helper,
    /// Owns the runs.
    pub tasks: TaskTracker,
}

impl Runner {
    /// Runs it; what `held` stands for is given back when nothing of the run is left.
    ///
    /// # Errors
    /// [`Setback`].
    pub async fn run(&self, run: Run, news: Arc<News>, held: impl Send + 'static) -> Result<Done, Setback> {
        let stop = CancellationToken::new();
        let gone: DropGuard = stop.clone().drop_guard();
        let (runner, told) = (self.clone(), news.clone());
        let task = self.tasks.spawn(async move {
            let _held = held;
            runner.follow(run, told, stop).await
        });
        let done = task.await.unwrap_or(Err(Trouble::Stopped.into()));
        // Its time is over, and this is what would end it.
        drop(gone);
        news.flush();
        done
    }

    async fn follow(&self, run: Run, news: Arc<News>, stop: CancellationToken) -> Result<Done, Setback> {
        let has_events = run.cli.can.events.is_some();
        let mut launch = launch(&self.settings, &run.cli.program, run.line.args, Some(run.dir));
        for (name, value) in run.env {
            launch.env.retain(|(known, _)| *known != *name);
            launch.env.push((name.into(), value.into()));
        }
        let job = Job {
            launch,
            stdin: run.line.stdin.into(),
            limit: self.settings.timeout,
            room: None,
            keep: KEEP,
            whole: 0,
        };
        let mut events = Events::default();
        let mut heard = |stream: Stream, bytes: &[u8]| match stream {
            Stream::Out if has_events => events.push(bytes, &mut |text| news.say(&text)),
            _ => news.say(String::from_utf8_lossy(bytes).trim()),
        };
        let ran = {
            let running = child::run(&self.helper, job, &mut heard, stop);
            let mut running = std::pin::pin!(running);
            loop {
                tokio::select! {
                    ran = &mut running => break ran?,
                    () = tokio::time::sleep(PACE) => news.flush(),
                }
            }
        };
        let told = if has_events { events.over(&mut |text| news.say(&text)) } else { plain(&ran) };
        settle(&ran, told, &Asked { model: run.model.as_deref(), nothing: run.nothing, limit: self.settings.timeout })
    }
}

/// What a CLI without events told.
fn plain(ran: &Ran) -> Told {
    let answer = Some(ran.stdout.text().trim().to_owned()).filter(|text| !text.is_empty());
    Told { thread: thread_in_header(&ran.stderr.text()), answer, completed: true, ..Told::default() }
}

/// What the words of its outcome depend on.
struct Asked<'a> {
    model: Option<&'a str>,
    nothing: &'static str,
    limit: Duration,
}

/// A run that did not end well has failed, whatever it printed.
fn settle(ran: &Ran, told: Told, asked: &Asked<'_>) -> Result<Done, Setback> {
    let failed = ran.ending != Ending::Exited(ExitKind::Code(0)) || (told.error.is_some() && !told.completed);
    if failed {
        let said = told.error.unwrap_or_else(|| {
            let stderr = ran.stderr.text();
            match ran.ending {
                // Its time was over, and nothing was wrong: what it wrote is no reason.
                Ending::Overdue => String::new(),
                _ if stderr.trim().is_empty() => told.answer.unwrap_or_default(),
                _ => stderr,
            }
        });
        let why = Trouble::of(ran.ending, &said, asked.model, asked.limit);
        return Err(Setback { why, thread: told.thread });
    }
    let cut = match ran.stdout.left_out() {
        0 => String::new(),
        bytes if told.answer.is_none() => format!("\n[{bytes} bytes of output left out]"),
        _ => String::new(),
    };
    let answer = told.answer.unwrap_or_else(|| asked.nothing.to_owned()) + &cut;
    Ok(Done { answer, thread: told.thread, usage: told.usage })
}
