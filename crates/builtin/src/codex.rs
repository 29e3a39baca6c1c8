//! Codex as a tool: the tools of codex-mcp-server, and `codex-reply` of the server that Codex once had itself, on top
//! of the Codex CLI that is installed.
//!
//! [`Bridge`] is a source like any other: its tools stand in the catalog, the policy decides on them, the ledger
//! records them. Not here: where its settings and sessions come from ([`Settings`], [`sessions::Sessions`]).

mod approvals;
mod appserver;
mod argv;
mod ask;
mod cli;
mod events;
mod hosts;
mod plan;
mod queue;
mod rollouts;
mod rounds;
mod run;
pub mod sessions;
mod settings;
mod shell;
mod talk;
mod tools;
mod trouble;

use crate::answer::Answer;
use crate::given::Misasked;
use crate::news::News;
use approvals::Asks;
use ask::Ask;
use bytes::Bytes;
use cli::Finder;
use gate::ports::{BoxFuture, Clock, Ids, Readiness, Source};
use gate::{Fault, ItemKind, Offer, Permit, ServerName, StartPermit, Unmasked};
use hosts::Host;
use queue::Queue;
use rounds::Lot;
use run::Runner;
use sessions::{Keep, Sessions};
use std::sync::{Arc, Weak};
use tokio_util::task::TaskTracker;
use tools::Tool;
use trouble::Trouble;

pub use settings::{Contract, DefaultModel, Leave, Sandbox, Settings};

/// The server's name.
pub const NAME: &str = "codex";

/// What a bridge is put together from.
pub struct Parts {
    /// What the operator decided.
    pub settings: Settings,
    /// Where sessions are kept.
    pub sessions: Arc<dyn Sessions>,
    /// Starts processes.
    pub helper: sandbox::Helper,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Names of sessions.
    pub ids: Arc<dyn Ids>,
    /// Owns the runs: whoever stops waits for it, and with it for the end of every process.
    pub tasks: TaskTracker,
}

/// The server `codex`.
pub struct Bridge {
    /// For turns that outlive the call that began them.
    me: Weak<Self>,
    lot: Lot,
    name: ServerName,
    runner: Runner,
    sessions: Arc<dyn Sessions>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    finder: Finder,
    queue: Queue,
    keep: Keep,
}

impl Bridge {
    /// The server. Nothing is started, and nothing looked for, before the first call.
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts { settings, sessions, helper, clock, ids, tasks } = parts;
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            lot: Lot::default(),
            name: NAME.into(),
            finder: Finder::default(),
            queue: Queue::new(settings.at_once, settings.waiting),
            keep: Keep { count: settings.max_sessions, ttl: settings.session_ttl },
            runner: Runner { settings: Arc::new(settings), helper, tasks },
            sessions,
            clock,
            ids,
        })
    }

    /// What it offers, for the catalog.
    pub fn offer(&self) -> Offer {
        Offer {
            listed: Tool::ALL.iter().map(|tool| tool.listed(&self.runner.settings)).collect(),
            instructions: Some(INSTRUCTIONS.into()),
            capabilities: Some(Bytes::from_static(br#"{"tools":{}}"#)),
            server_info: Some(Bytes::from_static(SERVER_INFO.as_bytes())),
            serves_resources: false,
        }
    }

    async fn run(&self, tool: Tool, permit: &Permit) -> Answer {
        let wire = permit.wire();
        let ask = match Ask::read(tool, wire.part(wire.parts.arguments)) {
            Ok(ask) => ask,
            Err(wrong) => return Answer::failure(&self.misasked(tool, &wrong)),
        };
        let part = |key: &str| mcp::view::member(std::str::from_utf8(wire.part(wire.parts.body)).ok()?, key);
        if let Some(name) = part("requestState").and_then(mcp::view::string) {
            return self.next_round(&name, part("inputResponses"), permit).await;
        }
        let news = Arc::new(News::new(permit.wants_progress().then(|| permit.feed())));
        let owner = permit.by().word();
        match ask {
            Ask::Turn(turn) if permit.people().in_rounds() => self.turn_in_rounds(tool, turn, permit, news).await,
            Ask::Turn(turn) => self.turn(tool, turn, owner, news, self.asks(permit)).await,
            Ask::Review(review) => self.review(review, news).await,
            Ask::Search(search) => self.search(search, news).await,
            Ask::Sessions => self.list(owner).await,
            Ask::Ping(message) => Answer::text(&mcp::view::quoted(&message)),
            Ask::Help => self.help().await,
        }
    }

    /// Whoever is asked in the course of this call.
    fn asks(&self, permit: &Permit) -> Arc<Asks> {
        let wire = permit.wire();
        let host = || Host::new(permit.feed(), wire.part(wire.parts.id));
        let host = (self.runner.settings.contract == Contract::Codex).then(host);
        Arc::new(Asks { people: permit.people(), host, rounds: None })
    }

    /// What is wrong with the arguments; hosts of Codex's own server know its words.
    fn misasked(&self, tool: Tool, wrong: &Misasked) -> String {
        let host = self.runner.settings.contract == Contract::Codex && matches!(tool, Tool::Codex | Tool::Reply);
        match wrong {
            wrong if !host => format!("Validation failed for tool \"{}\": {wrong}", tool.name()),
            Misasked(what) if what == ask::NO_PROMPT => {
                "Failed to parse configuration for Codex tool: missing field `prompt`".to_owned()
            }
            Misasked(what) if what == ask::NO_THREAD => {
                "Failed to parse thread_id: either threadId or conversationId must be provided".to_owned()
            }
            wrong => format!("Failed to parse configuration for Codex tool: {wrong}"),
        }
    }

    /// In milliseconds since 1970.
    fn now(&self) -> u64 {
        self.clock.wall_micros() / 1_000
    }

    fn failed(&self, trouble: &Trouble, cli: Option<&cli::Cli>) -> Answer {
        Answer::failure(&trouble.text(cli))
    }
}

const INSTRUCTIONS: &str = "Tools that put the Codex CLI to work: `codex` for a task or a question (with `sessionId` the \
    conversation goes on), `review` for a code review, `websearch` for the web.";

const SERVER_INFO: &str =
    concat!(r#"{"name":"codex-mcp-server","title":"Codex as a tool","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);

impl Source for Bridge {
    fn name(&self) -> &ServerName {
        &self.name
    }

    fn readiness(&self) -> Readiness {
        Readiness::Up
    }

    fn checks_arguments(&self) -> bool {
        // In the words that its hosts know.
        self.runner.settings.contract == Contract::Codex
    }

    fn start(&self, _: StartPermit) {
        // It is always up: the CLI is started for each call.
    }

    fn call(&self, permit: Permit) -> BoxFuture<'_, Result<Unmasked, Fault>> {
        Box::pin(async move {
            let item = permit.item();
            let tool = Tool::ALL.into_iter().find(|tool| item.kind == ItemKind::Tool && tool.name() == &*item.raw);
            let Some(tool) = tool else { return Err(crate::nothing_called(&self.name, &item.raw)) };
            Ok(self.run(tool, &permit).await.into_said())
        })
    }
}
