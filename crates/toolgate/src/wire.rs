//! Puts the house together: configuration becomes options, options become rooms, rooms become a running gate.
//! Nothing else knows every crate.

mod bell;
mod bounds;
mod bridge;
mod budget;
mod doors;
mod govern;
mod handlers;
mod known;
mod live;
mod logging;
mod options;
mod own;
mod plan;
mod reload;
mod requesters;
mod settle;
mod states;
mod token;
mod watch;
mod workspace;

pub use bounds::to_try as bounds_to_try;
pub use bridge::{Manner, has_cli};
pub use doors::System;
pub use govern::{Approver, desk, http_approver, lock_failure};
pub use known::{Known, imagined};
pub use live::{Live, Reloaded, Trouble};
pub use logging::{Log, log_file, log_tail, start_logging};
pub use options::{has_token, is_ourselves, is_within, login_of, no_transport};
pub use own::Own;
pub use reload::Keeper;
pub use requesters::ancestors;
pub use settle::settled;
pub use states::{ask, auth, refused, status, statuses, statuses_of};
pub use token::Token;
pub use workspace::{has_workspace, workspace_roots};

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::config::{Config, Env, Server, Startup};
use crate::ui::{Failure, Ui};
use gate::Code;
use gate::ports::{LockKeeper, Source};
use gate::{Assembly, Catalog, Gate, Hub, Masks, Policy, Reads, Recorder, Secret, ServerName};
use govern::seal;
use plan::{Plan, select};
use upstream::Upstream;

/// Which servers a gate is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All that are enabled.
    Enabled,
    /// One, by name.
    Only(String),
    /// All that are enabled, and some of our own.
    With(Vec<Own>),
    /// None but some of our own.
    Own(Vec<Own>),
}

/// A gate that runs, and what has to be stopped with it.
pub struct House {
    /// The gate.
    pub gate: Arc<Gate>,
    /// What of it follows the configuration.
    pub live: Arc<Live>,
    /// Why some servers are not in it.
    pub left_out: Vec<Failure>,
    /// How long results may be, where anybody said so.
    budgets: Option<downstream::Budgets>,
    tasks: TaskTracker,
    ends: JoinHandle<()>,
}

/// Builds a gate for `selection`. Starts no server but those that are `startup = "eager"`.
///
/// # Errors
/// A configuration that cannot be served safely, an unknown server, a ledger that cannot be opened.
pub fn build(config: &Config, env: &Env, selection: &Selection) -> Result<House, Failure> {
    build_with(config, env, selection, &[], Approver::Elsewhere(Duration::ZERO))
}

/// The same, with secrets of our own to mask beside those of the servers, and somebody to ask.
///
/// # Errors
/// As [`build`].
pub fn build_with(
    config: &Config,
    env: &Env,
    selection: &Selection,
    own: &[Secret],
    approver: Approver,
) -> Result<House, Failure> {
    build_all(config, env, selection, own, approver, None)
}

/// The same, but nothing is pinned: what would be goes to `keeper`.
///
/// # Errors
/// As [`build`].
pub fn build_unpinned(
    config: &Config,
    env: &Env,
    selection: &Selection,
    keeper: Arc<dyn LockKeeper>,
) -> Result<House, Failure> {
    build_all(config, env, selection, &[], Approver::Elsewhere(Duration::ZERO), Some(keeper))
}

fn build_all(
    config: &Config,
    env: &Env,
    selection: &Selection,
    masked: &[Secret],
    approver: Approver,
    keeper: Option<Arc<dyn LockKeeper>>,
) -> Result<House, Failure> {
    // Only the first of many builds in one process can install it, and one is enough.
    let _ = rustls::crypto::ring::default_provider().install_default();
    config.sound().map_err(|problem| Failure::from(problem.clone()))?;
    if options::is_own_server(config, env) {
        return Err(Failure::new(Code::ConfigInvalid, "this gate was started as one of its own servers").hint(
            "take the entry that starts `toolgate` out of the servers it serves, or give it another CODEX_HOME",
        ));
    }
    let servers = select(config, env, selection)?;
    let mut plan = Plan::new(config, servers, env, masked);
    // Among many one that cannot be used harms no other; alone it is the failure.
    if matches!(selection, Selection::Only(_))
        && let Some(failure) = plan.left_out.pop()
    {
        return Err(failure);
    }
    let masks = Arc::new(plan.masks(config)?);
    let Plan { servers, links, left_out, secrets } = plan;
    let policy = Arc::new(Policy::new(govern::policy(config, &servers, selection)));
    let catalog = Arc::new(Catalog::new(options::names(&servers, selection), options::naming(config, &servers)));
    let hub = Arc::new(Hub::new(masks.clone(), gate::Limits::default().notices));
    let tasks = TaskTracker::new();
    let ledger = ledger(config)?;
    let world = Arc::new(upstream::World {
        catalog: catalog.clone(),
        hub: hub.clone(),
        helper: helper(),
        clock: Arc::new(System),
        notes: gate::Notes { ledger: ledger.clone(), clock: Arc::new(System), ids: Arc::new(System) },
        state_dir: config.state_dir(),
        tasks: tasks.clone(),
        client_info: options::client_info(),
    });
    let pins = govern::pins(config, &policy, keeper)?;
    catalog.watched_by(Arc::new(pins.vouching(selection.own(&servers).into_iter().map(|own| own.name().into()))));
    catalog.publish(upstream::load_catalog(&config.state_dir(), &links.iter().collect::<Vec<_>>()));
    let links: Vec<Arc<Upstream>> = links.into_iter().map(|link| Upstream::new(link, world.clone())).collect();
    let kept = budget::kept(&servers, selection, &catalog);
    let budgets = budget::budgets(&servers, kept.clone());
    let helper = &world.helper;
    let materials = own::Materials { config, env, catalog: &catalog, hub: &hub, helper, tasks: &tasks, kept: &kept };
    let ours = selection.own(&servers).into_iter().filter_map(|own| materials.make(own));
    let fixed: Vec<Arc<dyn Source>> = ours.chain(kept.iter().map(|kept| kept.clone() as Arc<dyn Source>)).collect();
    let sources = links.iter().map(|up| up.clone() as Arc<dyn Source>).chain(fixed.iter().cloned()).collect();
    let (recorder, ends) = recorder(config, ledger, &masks)?;
    let gate = Gate::new(Assembly {
        catalog,
        policy,
        recorder,
        masks,
        hub,
        approvals: govern::approvals(config, env, approver),
        ids: Arc::new(System),
        sources,
    });
    let gate = Arc::new(gate.paced(govern::pace(config)).restoring(govern::restores(&servers)));
    start_eager(&gate, &servers);
    let (config, env, selection) = (config.clone(), env.clone(), selection.clone());
    let parts = live::Parts { gate: gate.clone(), world, env, selection, fixed, config, links, secrets };
    Ok(House { gate, live: Arc::new(Live::new(parts)), left_out, budgets, tasks, ends })
}

/// This program, as what starts and bounds all others.
pub fn helper() -> sandbox::Helper {
    sandbox::Helper { exe: PathBuf::from("/proc/self/exe"), argument: crate::SUPERVISE }
}

/// The record, for a command that has something to add to it.
///
/// # Errors
/// When it cannot be opened.
pub fn ledger(config: &Config) -> Result<Arc<store::Segments>, Failure> {
    let audit = config.state_dir().join("audit");
    let (door, kept) = (options::ledger_door(config)?, options::ledger_options(config));
    store::Segments::open_with(&audit, door, kept).map_err(|error| {
        Failure::new(Code::StoreUnavailable, "the ledger cannot be opened")
            .caused_by(error)
            .hint("every call is recorded, so without a ledger nothing runs; check permissions and space")
    })
}

fn recorder(
    config: &Config,
    segments: Arc<store::Segments>,
    masks: &Arc<Masks>,
) -> Result<(Recorder, JoinHandle<()>), Failure> {
    let system = Arc::new(System);
    let arguments = govern::arguments(config, masks)?;
    let audit = config.state_dir().join("audit");
    let (recorder, writer) = Recorder::new(segments, system, config.limits.max_concurrent_calls, arguments);
    let reads = Reads { durable: config.audit.strict, unrecorded: config.audit.reads_when_broken };
    let recorder = recorder.for_reads(reads);
    #[expect(clippy::disallowed_methods, reason = "owned by `House`, which awaits it last")]
    let ends = tokio::spawn(writer.run());
    recover_behind(audit, options::ledger_door(config)?);
    Ok((recorder, ends))
}

/// Closes what killed processes left open, beside everything else: nobody waits for it.
fn recover_behind(audit: PathBuf, door: store::Door) {
    tokio::task::spawn_blocking(move || match store::recover(&audit, &door) {
        Ok(done) => {
            if done.in_doubt > 0 {
                tracing::warn!(
                    target: "mcp::ledger",
                    calls = done.in_doubt,
                    "calls were under way when a gate died, and may have had effects: see `toolgate audit in-doubt`"
                );
            }
            for path in &done.damaged {
                tracing::error!(target: "mcp::ledger", path = %path.display(), "a segment was changed by somebody else");
            }
            for (path, why) in &done.failed {
                tracing::warn!(target: "mcp::ledger", path = %path.display(), why, "a segment could not be recovered");
            }
        }
        Err(error) => tracing::warn!(target: "mcp::ledger", %error, "nothing could be recovered"),
    });
}

fn start_eager(gate: &Gate, servers: &[&Server]) {
    for server in servers.iter().filter(|server| server.startup == Startup::Eager || server.required) {
        if let Err(failure) = gate.start(&ServerName::from(server.name.as_str())) {
            tracing::warn!(target: "mcp::manager", server = %server.name, error = %failure, "not started");
        }
    }
}

/// Waits until every server that the configuration calls `required` is usable.
///
/// # Errors
/// The failures of those that are not, in one text.
pub async fn require(house: &House, config: &Config) -> Result<(), Failure> {
    let links = house.live.links();
    let required = links.iter().filter(|up| config.servers.get(up.name().as_str()).is_some_and(|s| s.required));
    let outcomes = futures_util::future::join_all(required.map(|up| settled(up))).await;
    let faults: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    let Some(first) = faults.first() else { return Ok(()) };
    let texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
    let failure = Failure::new(first.code, format!("required MCP servers failed to initialize: {}", texts.join("; ")));
    Err(failure.hint("correct them, or set `required = false` under `[mcp_servers.NAME]`"))
}

impl House {
    /// The link of one server.
    pub fn upstream(&self, name: &str) -> Option<Arc<Upstream>> {
        self.live.links().iter().find(|up| up.name().as_str() == name).cloned()
    }

    /// Says which servers are not in it, and why.
    pub fn warn(&self, ui: &Ui) {
        for failure in &self.left_out {
            ui.warning(&failure.to_string(), failure.hint.as_deref());
        }
    }

    /// Ends all servers, then the ledger. Nothing of any server is left afterwards.
    pub async fn stop(self) {
        let House { gate, live, tasks, ends, .. } = self;
        let mut stopping = tokio::task::JoinSet::new();
        for up in live.close().await.iter() {
            let up = up.clone();
            stopping.spawn(async move { up.stop().await });
        }
        while stopping.join_next().await.is_some() {}
        drop(live);
        tasks.close();
        // A task that hangs must not keep the process alive: the children are gone already.
        let _ = tokio::time::timeout(Duration::from_secs(2), tasks.wait()).await;
        drop(gate);
        let _ = tokio::time::timeout(Duration::from_secs(2), ends).await;
    }
}

/// One face of this house.
///
/// # Errors
/// When the key that seals what clients keep cannot be read or made.
pub fn face(
    config: &Config,
    house: &House,
    approver: Approver,
    face: gate::Face,
) -> Result<downstream::Options, Failure> {
    Ok(downstream::Options {
        limits: options::client_limits(config),
        approvals_by_client: approver.by_client(config),
        seal: seal(config)?,
        budgets: house.budgets.clone(),
        compact_above: config.gate.compact_schemas_above,
        ..crate::cli::face_options(face)
    })
}

/// The tool modes of one server, by raw name.
type Modes = HashMap<String, gate::Mode>;
