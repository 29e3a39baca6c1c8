//! The workspace as a server: commands, patches, files and directories, beneath roots that nothing leads out of; and
//! what there is to know about it, as resources and prompts.
//!
//! [`Workspace`] is a source like any other: its tools stand in the catalog, the policy decides on them, the ledger
//! records them. Not here: which roots there are, or whether a call may run.

mod ask;
mod callers;
#[cfg(test)]
mod escape;
mod exec;
mod files;
mod git;
mod list;
mod offering;
mod patch;
mod prompts;
mod resources;
mod roots;
mod tools;
mod watching;

use crate::answer::{self, Answer};
use crate::child::Stream;
use crate::news::{News, PACE};
use crate::results::Kept;
use ask::{Ask, Command};
use callers::Callers;
use exec::{Access, Ended};
use gate::ports::{BoxFuture, Readiness, Source};
use gate::{Catalog, Fault, Hub, ItemKind, Offer, Permit, ServerName, StartPermit, Target, Unmasked};
use offering::Offering;
use patch::{Place, Rejected};
use roots::{Protected, Roots};
use sandbox::{Helper, Level, Net};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tools::Tool;
use watching::Watching;

pub use callers::ClientRoots;
pub use watching::{Watch, Watcher};

/// The server's name.
pub const NAME: &str = "workspace";

/// The most bytes of a file in one answer.
const READ_MAX: usize = 256 << 10;
/// The most entries of a directory in one answer.
const LIST_MAX: usize = 2_000;
/// Commands at a time.
const COMMANDS: usize = 8;

/// What the operator decides.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The directories of the workspace, the first being the one that relative paths start from.
    pub roots: Vec<PathBuf>,
    /// What holds commands.
    pub level: Level,
    /// The lowest level that will do instead.
    pub allow_degraded: Option<Level>,
    /// What of the network commands may reach.
    pub net: Net,
    /// What else commands may read.
    pub read: Vec<PathBuf>,
    /// What commands may not see.
    pub masked: Vec<PathBuf>,
    /// The environment of commands.
    pub env: Vec<(OsString, OsString)>,
    /// How long a command may take when its caller does not say.
    pub timeout: Duration,
    /// How much of each stream of a command is kept.
    pub output_bytes: usize,
    /// What a command has to leave of the disks that the directories are on, in bytes.
    pub free_bytes: u64,
    /// Where plans of patches lie while they are carried out.
    pub journals: PathBuf,
    /// What is made of the roots of clients.
    pub client_roots: ClientRoots,
    /// Directories that no root of a client may hold.
    pub too_wide: Vec<PathBuf>,
    /// What is told of toolgate's own settings: JSON, masked.
    pub told: String,
}

/// What the workspace needs of the house it is in.
pub struct Around {
    /// Runs commands.
    pub helper: Helper,
    /// Runs what is waited for when all ends.
    pub tasks: TaskTracker,
    /// Where it is offered.
    pub catalog: Arc<Catalog>,
    /// Where changes are told.
    pub hub: Arc<Hub>,
    /// How files are watched.
    pub watch: Watch,
    /// Where outputs that were cut are kept whole; nowhere: what is cut is lost.
    pub kept: Option<Arc<Kept>>,
}

/// The server `workspace`.
pub struct Workspace {
    name: ServerName,
    settings: Arc<Settings>,
    roots: Arc<Roots>,
    callers: Callers,
    protected: Arc<Protected>,
    helper: Helper,
    tasks: TaskTracker,
    commands: Arc<Semaphore>,
    /// Beneath which roots it was looked for what patches left half done.
    recovered: tokio::sync::Mutex<HashSet<PathBuf>>,
    watching: Watching,
    kept: Option<Arc<Kept>>,
    offering: Arc<Offering>,
    /// What held the last command.
    held: Mutex<Option<Arc<str>>>,
}

impl Workspace {
    /// The server, if there is a workspace. Lists files.
    ///
    /// # Errors
    /// Why none of its roots can be used.
    pub fn new(settings: Settings, around: Around) -> std::io::Result<Arc<Self>> {
        let Around { helper, tasks, catalog, hub, watch, kept } = around;
        let roots = if settings.roots.is_empty() { Roots::default() } else { Roots::open(&settings.roots)? };
        let roots = Arc::new(roots);
        let name = ServerName::from(NAME);
        Ok(Arc::new(Self {
            callers: Callers::new(settings.client_roots, roots.clone(), settings.too_wide.clone()),
            protected: Arc::new(exec::protected()),
            watching: Watching::new(name.clone(), watch, hub.clone()),
            offering: Arc::new(Offering::new(name.clone(), roots.clone(), catalog, hub)),
            commands: Arc::new(Semaphore::new(COMMANDS)),
            recovered: tokio::sync::Mutex::default(),
            held: Mutex::default(),
            settings: Arc::new(settings),
            name,
            roots,
            helper,
            tasks,
            kept,
        }))
    }

    /// What it offers, for the catalog.
    pub fn offer(&self) -> Offer {
        self.offering.offer()
    }

    async fn tool(&self, tool: Tool, permit: &Permit, roots: Arc<Roots>) -> Answer {
        let wire = permit.wire();
        match Ask::read(tool, wire.part(wire.parts.arguments)) {
            Err(wrong) => Answer::failure(&wrong.to_string()),
            Ok(Ask::Run(command)) => self.command(command, permit, roots).await,
            Ok(ask) => self.file_work(ask, roots).await,
        }
    }

    /// Disks may be slow, so a thread of its own waits for them.
    async fn file_work(&self, ask: Ask, roots: Arc<Roots>) -> Answer {
        let writes = matches!(ask, Ask::Write { .. } | Ask::Patch { dry_run: false, .. });
        let (protected, settings) = (self.protected.clone(), self.settings.clone());
        let work = self.tasks.spawn_blocking(move || worked(ask, &roots, &protected, &settings));
        let answer = work.await.unwrap_or_else(|_| Answer::failure("toolgate is stopping"));
        if writes {
            self.offering.look_again(&self.tasks);
        }
        answer
    }

    /// Once for each root, before anything beneath it is looked at, ends what a killed process left half done; whoever
    /// comes meanwhile waits.
    async fn recover(&self, roots: &Arc<Roots>) {
        let roots = if self.settings.client_roots == ClientRoots::Accept { roots } else { &self.roots };
        let mut known = self.recovered.lock().await;
        if roots.dirs().all(|dir| known.contains(dir)) {
            return;
        }
        let (journals, looked) = (self.settings.journals.clone(), roots.clone());
        let ended = self.tasks.spawn_blocking(move || patch::journal::recover(&journals, &looked)).await;
        match ended {
            // The next call tries again.
            Ok(Err(error)) => {
                tracing::warn!(target: "mcp::workspace", %error, "what a killed patch left could not be ended yet");
            }
            _ => known.extend(roots.dirs().map(std::path::Path::to_owned)),
        }
    }

    /// The command ends with its caller, and whoever waits for the tasks waits for the end of all that it started.
    async fn command(&self, command: Command, permit: &Permit, roots: Arc<Roots>) -> Answer {
        let Ok(turn) = self.commands.clone().acquire_owned().await else {
            return Answer::failure("toolgate is stopping");
        };
        let news = News::new(permit.wants_progress().then(|| permit.feed()));
        let stop = CancellationToken::new();
        let gone = stop.clone().drop_guard();
        let (helper, settings) = (self.helper.clone(), self.settings.clone());
        let (offering, tasks) = (self.offering.clone(), self.tasks.clone());
        let task = self.tasks.spawn(async move {
            let _turn = turn;
            let ended = followed(&helper, &settings, &roots, command, &news, stop).await;
            offering.look_again(&tasks);
            ended
        });
        let ended = task.await;
        drop(gone);
        match ended {
            Ok(Ok(ended)) => self.told(ended, permit).await,
            Ok(Err(unrun)) => Answer::failure(&unrun.to_string()),
            Err(_) => Answer::failure("the command could not be run"),
        }
    }

    /// What came of a command. Streams that were cut are kept whole, masked, for whoever called.
    async fn told(&self, mut ended: Ended, permit: &Permit) -> Answer {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended.sandbox.as_str().into());
        let [out, err] = std::mem::take(&mut ended.whole);
        let mut links = Vec::new();
        for (stream, whole, uri) in [("stdout", out, &mut ended.stdout_uri), ("stderr", err, &mut ended.stderr_uri)] {
            let (Some(kept), Some(whole)) = (&self.kept, whole) else { continue };
            let feed = permit.feed();
            let mask = move || feed.masked(&String::from_utf8_lossy(&whole)).into_owned();
            let Ok(text) = self.tasks.spawn_blocking(mask).await else { continue };
            let size = text.len();
            *uri = kept.keep_as(permit.by(), "text/plain", text.into());
            let link = |uri| json!({"type": "resource_link", "uri": uri, "name": stream, "mimeType": "text/plain", "size": size});
            links.extend(uri.as_ref().filter(|_| permit.knows_links()).map(link));
        }
        answered_with(&ended.text(), &ended, links, ended.timed_out || ended.disk_full)
    }

    async fn said(&self, permit: Permit) -> Result<Unmasked, Fault> {
        let roots = match self.callers.roots(&permit).await {
            Ok(roots) => roots,
            Err(question) => return Ok(question),
        };
        self.recover(&roots).await;
        let item = permit.item();
        let known = |tool: &Tool| item.kind == ItemKind::Tool && tool.name() == &*item.raw;
        if let Some(tool) = Tool::ALL.into_iter().find(known) {
            return Ok(self.tool(tool, &permit, roots).await.into_said());
        }
        let wire = permit.wire();
        match permit.target() {
            Target::Prompt(_) => Ok(self.prompt(&item.raw, wire.part(wire.parts.arguments), roots).await),
            Target::Resource(uri) => Ok(self.resource(uri, roots).await),
            Target::Completion(_) => Ok(prompts::complete(&roots, wire.part(wire.parts.body))),
            Target::Subscribe(uri) => Ok(match self.watching.begin(uri, roots).await {
                Ok(()) => answer::said(&json!({})),
                Err(why) => answer::no_resource(uri, &why),
            }),
            Target::Unsubscribe(uri) => {
                self.watching.end(uri);
                Ok(answer::said(&json!({})))
            }
            Target::Tool(_) => Err(crate::nothing_called(&self.name, &item.raw)),
        }
    }
}

fn worked(ask: Ask, roots: &Roots, protected: &Protected, settings: &Settings) -> Answer {
    match ask {
        Ask::Read { path, offset, limit, encoding } => {
            match files::read(roots, &path, files::Wanted { offset, limit, encoding, most: READ_MAX }) {
                Ok(part) => answered(&part.content, &part, false),
                Err(astray) => Answer::failure(&astray.to_string()),
            }
        }
        Ask::Write { path, content, mode, create_dirs } => {
            match files::write(roots, &path, content.as_bytes(), mode, create_dirs, protected) {
                Ok(written) => answered(&format!("{} bytes written to {path}", written.bytes), &written, false),
                Err(astray) => Answer::failure(&astray.to_string()),
            }
        }
        Ask::List { path, depth, gitignore } => {
            match list::list(roots, &path, list::Wanted { depth, gitignore, most: LIST_MAX }) {
                Ok(listing) => answered(&listing.text(), &listing, false),
                Err(astray) => Answer::failure(&astray.to_string()),
            }
        }
        Ask::Patch { patch, dry_run } => {
            // Another process may have been killed since we began.
            if let Err(error) = patch::journal::recover(&settings.journals, roots) {
                tracing::warn!(target: "mcp::workspace", %error, "what a killed patch left could not be ended yet");
            }
            match patch::apply(Place { roots, protected, journals: &settings.journals }, &patch, dry_run) {
                Ok(applied) => answered(&applied.text(), &applied, false),
                Err(rejected) => rejected_patch(&rejected),
            }
        }
        Ask::Run(_) => Answer::failure("commands are not run here"),
    }
}

/// Which file does not fit, and why, one by one.
fn rejected_patch(rejected: &Rejected) -> Answer {
    Answer::failure(&rejected.to_string())
}

/// Runs a command, and tells what it writes as it comes.
async fn followed(
    helper: &Helper,
    settings: &Settings,
    roots: &Roots,
    command: Command,
    news: &News,
    stop: CancellationToken,
) -> Result<Ended, exec::Unrun> {
    let mut heard = |_: Stream, bytes: &[u8]| news.pour(&String::from_utf8_lossy(bytes));
    let mut running = std::pin::pin!(exec::run(helper, settings, roots, command, Access::Write, &mut heard, stop));
    let ended = loop {
        tokio::select! {
            ended = &mut running => break ended,
            () = tokio::time::sleep(PACE) => news.flush(),
        }
    };
    news.flush();
    ended
}

/// As text, and as what it is.
fn answered(text: &str, what: &impl Serialize, failed: bool) -> Answer {
    answered_with(text, what, Vec::new(), failed)
}

fn answered_with(text: &str, what: &impl Serialize, more: Vec<Value>, failed: bool) -> Answer {
    let structure = serde_json::to_value(what).unwrap_or(Value::Null);
    let content: Vec<_> = [json!({"type": "text", "text": text})].into_iter().chain(more).collect();
    let mut result = json!({"content": content, "structuredContent": structure});
    if failed {
        result["isError"] = true.into();
    }
    Answer::result(&result).failed(failed)
}

impl Source for Workspace {
    fn name(&self) -> &ServerName {
        &self.name
    }

    fn readiness(&self) -> Readiness {
        Readiness::Up
    }

    /// On record only where commands may run with less than was asked for; else what held them is what was asked for.
    fn bounds(&self) -> Option<Arc<str>> {
        self.settings.allow_degraded?;
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Some(held.unwrap_or_else(|| self.settings.level.to_string().into()))
    }

    fn start(&self, _: StartPermit) {
        // It is always up.
    }

    fn call(&self, permit: Permit) -> BoxFuture<'_, Result<Unmasked, Fault>> {
        Box::pin(self.said(permit))
    }
}
