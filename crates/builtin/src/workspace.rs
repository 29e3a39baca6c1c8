//! The workspace as a server: commands, patches, files and directories, beneath roots that nothing leads out of; and
//! what there is to know about it, as resources and prompts.
//!
//! [`Workspace`] is a source like any other: its tools stand in the catalog, the policy decides on them, the ledger
//! records them. Not here: which roots there are, or whether a call may run.

mod ask;
mod exec;
mod files;
mod list;
mod patch;
mod prompts;
mod resources;
mod roots;
mod tools;

use crate::answer::Answer;
use crate::child::Stream;
use crate::news::News;
use ask::{Ask, Command};
use bytes::Bytes;
use gate::ports::{BoxFuture, Readiness, Source};
use gate::{Code, Delivery, Fault, ItemKind, Offer, Permit, ServerName, StartPermit, Target, Unmasked};
use patch::{Place, Rejected};
use roots::{Protected, Roots};
use sandbox::{Helper, Level, Net};
use serde::Serialize;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tools::Tool;

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
    /// Where plans of patches lie while they are carried out.
    pub journals: PathBuf,
    /// What is told of toolgate's own settings: JSON, masked.
    pub told: String,
}

/// The server `workspace`.
pub struct Workspace {
    name: ServerName,
    settings: Arc<Settings>,
    roots: Arc<Roots>,
    protected: Arc<Protected>,
    helper: Helper,
    tasks: TaskTracker,
    commands: Arc<Semaphore>,
    recovered: OnceLock<()>,
}

impl Workspace {
    /// The server, if there is a workspace.
    ///
    /// # Errors
    /// Why none of its roots can be used.
    pub fn new(settings: Settings, helper: Helper, tasks: TaskTracker) -> std::io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            name: NAME.into(),
            roots: Arc::new(Roots::open(&settings.roots)?),
            protected: Arc::new(exec::protected()),
            settings: Arc::new(settings),
            helper,
            tasks,
            commands: Arc::new(Semaphore::new(COMMANDS)),
            recovered: OnceLock::new(),
        }))
    }

    /// What it offers, for the catalog.
    pub fn offer(&self) -> Offer {
        let tools = Tool::ALL.iter().map(|tool| tool.listed(&self.roots));
        let listed = tools.chain(prompts::listed()).chain(resources::listed()).collect();
        Offer {
            listed,
            instructions: Some("The workspace: its files, patches to them, and commands in a sandbox.".into()),
            capabilities: Some(Bytes::from_static(br#"{"tools":{},"resources":{},"prompts":{}}"#)),
            server_info: Some(Bytes::from_static(SERVER_INFO.as_bytes())),
            serves_resources: true,
        }
    }

    async fn tool(&self, tool: Tool, permit: &Permit) -> Answer {
        let wire = permit.wire();
        match Ask::read(tool, wire.part(wire.parts.arguments)) {
            Err(wrong) => Answer::failure(&wrong.to_string()),
            Ok(Ask::Run(command)) => {
                self.command(command, News::new(permit.wants_progress().then(|| permit.feed()))).await
            }
            Ok(ask) => self.file_work(ask).await,
        }
    }

    /// Disks may be slow, so a thread of its own waits for them.
    async fn file_work(&self, ask: Ask) -> Answer {
        self.recover().await;
        let (roots, protected, settings) = (self.roots.clone(), self.protected.clone(), self.settings.clone());
        let work = self.tasks.spawn_blocking(move || worked(ask, &roots, &protected, &settings));
        work.await.unwrap_or_else(|_| Answer::failure("toolgate is stopping"))
    }

    /// Once, before the first file is touched, ends what a killed process left half done.
    async fn recover(&self) {
        if self.recovered.set(()).is_ok() {
            let (journals, roots) = (self.settings.journals.clone(), self.roots.clone());
            let ended = self.tasks.spawn_blocking(move || patch::journal::recover(&journals, &roots)).await;
            if let Ok(Err(error)) = ended {
                tracing::warn!(target: "mcp::workspace", %error, "what patches left half done could not be looked for");
            }
        }
    }

    /// The command ends with its caller, and whoever waits for the tasks waits for the end of all that it started.
    async fn command(&self, command: Command, news: News) -> Answer {
        let Ok(turn) = self.commands.clone().acquire_owned().await else {
            return Answer::failure("toolgate is stopping");
        };
        let stop = CancellationToken::new();
        let gone = stop.clone().drop_guard();
        let (helper, settings, roots) = (self.helper.clone(), self.settings.clone(), self.roots.clone());
        let task = self.tasks.spawn(async move {
            let _turn = turn;
            let mut heard = |_: Stream, bytes: &[u8]| news.say(&String::from_utf8_lossy(bytes));
            let ended = exec::run(&helper, &settings, &roots, command, &mut heard, stop).await;
            news.flush();
            ended
        });
        let ended = task.await;
        drop(gone);
        match ended {
            Ok(Ok(ended)) => answered(&ended.text(), &ended, ended.timed_out),
            Ok(Err(unrun)) => Answer::failure(&unrun.to_string()),
            Err(_) => Answer::failure("the command could not be run"),
        }
    }

    async fn said(&self, permit: Permit) -> Result<Unmasked, Fault> {
        let item = permit.item();
        let known = |tool: &Tool| item.kind == ItemKind::Tool && tool.name() == &*item.raw;
        if let Some(tool) = Tool::ALL.into_iter().find(known) {
            return Ok(self.tool(tool, &permit).await.into_said());
        }
        let wire = permit.wire();
        match permit.target() {
            Target::Prompt(_) => Ok(prompts::get(&item.raw, wire.part(wire.parts.arguments))),
            Target::Resource(uri) => Ok(self.resource(uri).await),
            Target::Completion(_) => Ok(prompts::complete(&self.roots, wire.part(wire.parts.body))),
            _ => Err(self.nothing(&item.raw)),
        }
    }

    fn nothing(&self, raw: &str) -> Fault {
        Fault {
            code: Code::ToolUnknown,
            server: self.name.clone(),
            what: format!("has nothing called `{raw}`"),
            hint: None,
            delivery: Delivery::NotDelivered,
            state: gate::State::Connected,
        }
    }
}

const SERVER_INFO: &str =
    concat!(r#"{"name":"toolgate-workspace","title":"Workspace","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);

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

/// As text, and as what it is.
fn answered(text: &str, what: &impl Serialize, failed: bool) -> Answer {
    let structure = serde_json::to_value(what).unwrap_or(Value::Null);
    let mut result = json!({"content": [{"type": "text", "text": text}], "structuredContent": structure});
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

    fn start(&self, _: StartPermit) {
        // It is always up.
    }

    fn call(&self, permit: Permit) -> BoxFuture<'_, Result<Unmasked, Fault>> {
        Box::pin(self.said(permit))
    }
}
