//! `toolgate mcp lock`: pins what is new, and says what differs from its pin.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::{Context, items, runtime, unknown_server};
use crate::config::Config;
use crate::ui::{Failure, Report, Table};
use crate::wire::{self, House, Log, Selection, System};
use gate::pin::{self, DefinitionHash, Finding, Lock, Version};
use gate::ports::{Clock, FirstPin};
use gate::{Code, Face, Fault, Item, ItemKind, ServerName};
use mcp::view;
use store::lock::{Collector, LockFile, rfc3339};

/// How much of what a server says it is goes into the file, in characters.
const LONGEST_VERSION: usize = 200;

/// Arguments of `lock`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp lock
  toolgate mcp lock github
  toolgate mcp lock --check --json | jq -r '.tools[] | select(.state != \"pinned\") | .server + \"/\" + .tool'

Asks the servers what they offer and writes new tools into `toolgate.lock`. A tool that changed, or that looks
suspicious, is not pinned: look at it with `toolgate mcp approve NAME`.

Exit status: 0; with `--check` 1 if a tool differs from its pin, is not pinned, or is gone.")]
pub struct LockArgs {
    /// The servers; all that are enabled if left out.
    names: Vec<String>,
    /// Write nothing; fail if anything differs. For CI.
    #[arg(long)]
    check: bool,
}

/// Pins.
pub fn run(args: &LockArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    wire::start_logging(&cx.env, &cx.home, Log::Terminal);
    runtime::block_on(async {
        let seen = Seen::look(&args.names, &config, cx).await?;
        let result = report(args, &seen, cx);
        seen.house.stop().await;
        result
    })
}

fn report(args: &LockArgs, seen: &Seen, cx: &Context) -> Result<(), Failure> {
    let mut report = seen.report();
    if !args.check {
        report.versions = seen.pin().map_err(wire::lock_failure)?;
        for tool in report.tools.iter_mut().filter(|tool| tool.state == State::New) {
            tool.state = State::PinnedNow;
        }
    }
    cx.ui.report(&report)?;
    seen.warn(cx);
    let differing = report.tools.iter().filter(|tool| !tool.state.is_fine()).count();
    if differing > 0 {
        cx.ui.hint("look at what is held back with `toolgate mcp approve NAME`");
    }
    match (args.check, differing, seen.faults.first()) {
        (_, _, Some((_, fault))) if args.check || !args.names.is_empty() => {
            Err(gate::Failure::Broke(fault.clone()).into())
        }
        (true, 1.., _) => Err(Failure::new(
            Code::ToolQuarantined,
            format!("{differing} of {} tools are not as they were pinned", report.tools.len()),
        )),
        _ => Ok(()),
    }
}

/// What servers offer, beside what was agreed to. Nothing was pinned by looking.
pub struct Seen {
    /// The running gate.
    pub house: House,
    /// The lock file.
    pub file: LockFile,
    /// What it held before.
    pub lock: Lock,
    /// The servers that were asked.
    pub servers: Vec<ServerName>,
    /// Those that did not answer.
    pub faults: Vec<(ServerName, Fault)>,
    first: Vec<FirstPin>,
    configured: BTreeMap<String, Option<String>>,
}

impl Seen {
    /// Asks the servers of these names, all if there are none.
    ///
    /// # Errors
    /// A name that nobody has, a gate that cannot be built, a lock file that cannot be read.
    pub async fn look(names: &[String], config: &Config, cx: &Context) -> Result<Self, Failure> {
        if let Some(unknown) = names.iter().find(|name| !config.servers.contains_key(*name)) {
            return Err(unknown_server(unknown, config));
        }
        let file = LockFile::new(&config.home, &config.state_dir());
        let lock = file.read().map_err(wire::lock_failure)?;
        let collector = Arc::new(Collector::default());
        // All of them are there even if few are asked: names are compared with each other.
        let house = wire::build_unpinned(config, &cx.env, &Selection::Enabled, collector.clone())?;
        house.warn(&cx.ui);
        let mut servers = house.gate.catalog().servers(&Face::All);
        servers.retain(|server| names.is_empty() || names.iter().any(|name| name == server.as_str()));
        if let Some(off) = names.iter().find(|name| !servers.iter().any(|server| server.as_str() == **name)) {
            house.stop().await;
            return Err(Failure::new(Code::UpstreamDisabled, format!("server `{off}` is disabled")));
        }
        let faults = items::ask(&house, &servers, cx).await;
        let configured = config.servers.values().map(|server| (server.name.clone(), server.version.clone()));
        let configured = configured.collect();
        Ok(Self { house, file, lock, servers, faults, first: collector.take(), configured })
    }

    /// The tools of the servers that answered.
    pub fn tools(&self) -> Vec<Arc<Item>> {
        let (_, mut items) = self.house.gate.catalog().items(&Face::All, ItemKind::Tool);
        items.retain(|item| self.answered(&item.server));
        items
    }

    fn answered(&self, server: &ServerName) -> bool {
        self.servers.contains(server) && !self.faults.iter().any(|(silent, _)| silent == server)
    }

    /// Says which servers could not be asked.
    pub fn warn(&self, cx: &Context) {
        for (_, fault) in &self.faults {
            cx.ui.warning(&fault.to_string(), fault.hint.as_deref());
        }
    }

    /// How each tool stands.
    pub fn report(&self) -> Pinned {
        let items = self.tools();
        let mut tools: Vec<Tool> = items.iter().map(|item| self.tool(item)).collect();
        for (server, pins) in &self.lock.servers {
            let server_name = ServerName::from(&**server);
            let gone = |tool: &str| !items.iter().any(|item| item.server == server_name && &*item.raw == tool);
            let gone = pins.tools.iter().filter(|(tool, _)| self.answered(&server_name) && gone(tool));
            tools.extend(gone.map(|(tool, pin)| Tool {
                server: server.to_string(),
                tool: tool.to_string(),
                exposed: pin.exposed.to_string(),
                state: State::Gone,
                class: pin.class.word(),
                pinned: Some(pin.hash),
                now: None,
                findings: Vec::new(),
            }));
        }
        tools.sort_by(|a, b| (&a.server, &a.tool).cmp(&(&b.server, &b.tool)));
        Pinned { tools, versions: Vec::new(), file: self.file.path().display().to_string() }
    }

    fn tool(&self, item: &Item) -> Tool {
        let pin = self.lock.pin(item.server.as_str(), &item.raw);
        let verdict = pin::compare(pin, &item.definition);
        let mut findings = verdict.findings().to_vec();
        let held = self.house.gate.catalog().held(item);
        for finding in held.iter().flat_map(|held| &held.findings) {
            if !findings.contains(finding) {
                findings.push(finding.clone());
            }
        }
        let state = match (&verdict, held.is_some()) {
            (pin::Verdict::Pinned { .. }, _) => State::Pinned,
            (pin::Verdict::Changed { .. }, _) => State::Changed,
            (pin::Verdict::Flagged { .. }, _) | (pin::Verdict::New { .. }, true) => State::Suspicious,
            (pin::Verdict::New { .. }, false) => State::New,
        };
        Tool {
            server: item.server.to_string(),
            tool: item.raw.to_string(),
            exposed: item.exposed.to_string(),
            state,
            class: self.class(item).word(),
            pinned: pin.map(|pin| pin.hash),
            now: verdict.hash(),
            findings,
        }
    }

    /// What calling `item` can do.
    pub fn class(&self, item: &Item) -> pin::PinClass {
        match self.house.gate.class(item) {
            gate::Class { high_impact: true, .. } => pin::PinClass::HighImpact,
            gate::Class { read_only: true, .. } => pin::PinClass::Read,
            gate::Class { .. } => pin::PinClass::Write,
        }
    }

    /// Pins what is new, and notes versions. Returns what changed in those.
    fn pin(&self) -> Result<Vec<String>, store::lock::LockError> {
        let now = rfc3339(System.wall_micros());
        let wanted: Vec<&FirstPin> = self.first.iter().filter(|one| self.answered(&one.server)).collect();
        for one in &wanted {
            self.file.keep_definition(&one.pin.hash, &one.definition)?;
        }
        self.file.update(|lock| {
            let mut changes = Vec::new();
            for one in wanted {
                let pin = pin::Pin { since: now.as_str().into(), ..one.pin.clone() };
                lock.add(one.server.as_str(), &one.tool, pin);
            }
            for server in self.servers.iter().filter(|server| self.answered(server)) {
                let changed = lock.saw(server.as_str(), &self.version(server));
                changes.extend(changed.into_iter().map(|change| format!("{server}: {change}")));
            }
            changes
        })
    }

    fn version(&self, server: &ServerName) -> Version {
        let offer = self.house.gate.catalog().offer(server);
        let info = offer.and_then(|offer| offer.server_info.clone()).unwrap_or_default();
        let info = String::from_utf8_lossy(&info);
        let masks = self.house.gate.masks();
        let said = |key| {
            let text = view::member(&info, key).and_then(view::string)?;
            Some(Box::from(pin::elided(&masks.text(&text), LONGEST_VERSION)))
        };
        let protocol = self.house.upstream(server.as_str()).and_then(|up| match &*up.state().borrow() {
            upstream::LinkState::Ready(toolset) => Some(toolset.revision.to_string().into()),
            _ => None,
        });
        let configured = self.configured.get(server.as_str()).cloned().flatten().map(Into::into);
        Version { name: said("name"), version: said("version"), protocol, configured }
    }
}

/// How a tool stands to its pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is as it was pinned.
    Pinned,
    /// It was pinned just now.
    PinnedNow,
    /// It is not pinned.
    New,
    /// It is not pinned, and something speaks against it.
    Suspicious,
    /// It is not as it was pinned.
    Changed,
    /// It is pinned, and not there.
    Gone,
}

impl State {
    fn is_fine(self) -> bool {
        matches!(self, Self::Pinned | Self::PinnedNow)
    }

    fn words(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::PinnedNow => "pinned now",
            Self::New => "not pinned",
            Self::Suspicious => "held back: suspicious",
            Self::Changed => "held back: changed",
            Self::Gone => "gone",
        }
    }
}

/// One tool beside its pin.
#[derive(Debug, Serialize)]
pub struct Tool {
    /// Its server.
    pub server: String,
    /// Its raw name.
    pub tool: String,
    exposed: String,
    /// How it stands.
    pub state: State,
    class: &'static str,
    pinned: Option<DefinitionHash>,
    now: Option<DefinitionHash>,
    /// What speaks against it.
    pub findings: Vec<Finding>,
}

/// The answer of `lock`.
#[derive(Debug)]
pub struct Pinned {
    /// The tools.
    pub tools: Vec<Tool>,
    versions: Vec<String>,
    file: String,
}

impl Serialize for Pinned {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::json!({
            "schema": "toolgate.lock/1", "file": self.file, "tools": self.tools, "version_changed": self.versions,
        })
        .serialize(serializer)
    }
}

impl Report for Pinned {
    fn human(&self) -> String {
        if self.tools.is_empty() {
            return "No tools to pin.\n".to_owned();
        }
        let mut table = Table::new(["Server", "Tool", "State", "Class", "Findings"]);
        for tool in &self.tools {
            let rules: Vec<_> = tool.findings.iter().map(|finding| finding.rule).collect();
            table.row([
                tool.server.clone(),
                pin::visible(&tool.tool),
                tool.state.words().to_owned(),
                tool.class.to_owned(),
                rules.join(", "),
            ]);
        }
        let versions: String = self.versions.iter().map(|change| format!("version changed: {change}\n")).collect();
        format!("{}{versions}", table.text())
    }
}
