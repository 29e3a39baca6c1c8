//! What of a running gate follows the configuration: the links to its servers, its rules, and the configuration they
//! came of. Here a new one takes the place of the old one; when that happens is `reload`'s.

mod accept;
mod report;

pub use report::{Reloaded, Trouble};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Own, Plan, Selection, govern, options, select, start_eager};
use crate::config::{Config, Env, managed_stamp};
use crate::ui::Failure;
use gate::ports::Source;
use gate::{Code, Gate, Policy, Renewal, Secret, catalog::Seen};
use upstream::{Upstream, World};

/// The part of a running gate that a new configuration replaces.
pub struct Live {
    gate: Arc<Gate>,
    world: Arc<World>,
    env: Env,
    selection: Selection,
    /// Sources that are no configured server's.
    fixed: Vec<Arc<dyn Source>>,
    config: ArcSwap<Config>,
    links: ArcSwap<Vec<Arc<Upstream>>>,
    trouble: ArcSwapOption<Trouble>,
    /// Held while a configuration is put in the place of another.
    turn: Mutex<Turn>,
    /// Ends links that are no longer part of the gate.
    leaving: TaskTracker,
    /// Nobody waits for their calls any more.
    hurry: CancellationToken,
}

/// What only whoever replaces the configuration needs.
struct Turn {
    /// Every secret that was given to a server since this process began: it is masked for ever.
    secrets: Vec<Secret>,
    /// What the managed files said when the configuration in force was read.
    bounds: [u8; 32],
    closed: bool,
}

/// What a live gate is put together from.
pub(super) struct Parts {
    pub gate: Arc<Gate>,
    pub world: Arc<World>,
    pub env: Env,
    pub selection: Selection,
    pub fixed: Vec<Arc<dyn Source>>,
    pub config: Config,
    pub links: Vec<Arc<Upstream>>,
    pub secrets: Vec<Secret>,
}

impl Live {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { gate, world, env, selection, fixed, config, links, secrets } = parts;
        let bounds = managed_stamp(&env);
        Self {
            gate,
            world,
            env,
            selection,
            fixed,
            config: ArcSwap::from_pointee(config),
            links: ArcSwap::from_pointee(links),
            trouble: ArcSwapOption::empty(),
            turn: Mutex::new(Turn { secrets, bounds, closed: false }),
            leaving: TaskTracker::new(),
            hurry: CancellationToken::new(),
        }
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// The links in force, by the order of the configuration.
    pub fn links(&self) -> Arc<Vec<Arc<Upstream>>> {
        self.links.load_full()
    }

    /// Why what is written now is not in force, if it is not.
    pub fn trouble(&self) -> Option<Arc<Trouble>> {
        self.trouble.load_full()
    }

    /// The gate.
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// The environment that servers are given parts of.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// Goes by `written` from now on: new servers are there, those that went end once their calls have, those that
    /// are reached in another way are replaced, and all others keep their processes. Reads and writes files; to be
    /// called inside a runtime.
    ///
    /// # Errors
    /// Why it cannot be used; then all is as it was.
    pub fn reload(&self, written: Config) -> Result<Reloaded, Trouble> {
        let mut turn = self.turn();
        if turn.closed {
            return Err(Failure::new(Code::Interrupted, "the gate is ending").into());
        }
        let done = self.take(&mut turn, written);
        self.tell(&done);
        done
    }

    /// What is written could not even be read.
    pub fn reject(&self, trouble: Trouble) -> Trouble {
        self.tell(&Err(trouble.clone()));
        trouble
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        // What is under the lock is changed last, in one step.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, turn: &mut Turn, written: Config) -> Result<Reloaded, Trouble> {
        let (now, bounds) = (self.config(), managed_stamp(&self.env));
        let (config, held) = accept::acceptable(&now, written, bounds == turn.bounds)?;
        // One server alone that is there no more leaves a gate without servers.
        let mut servers = select(&config, &self.env, &self.selection).unwrap_or_default();
        // One of our own has this name while this gate lives; it makes room at the next start.
        servers.retain(|server| !self.fixed.iter().any(|ours| ours.name().as_str() == server.name));
        let plan = Plan::new(&config, servers, &self.env, &turn.secrets);
        let before = self.links();
        let (links, seen): (Vec<_>, Vec<_>) = plan.links.iter().map(|link| self.link(&before, link)).unzip();
        let found = Reloaded::between(&before, &links);
        let reloaded = Reloaded {
            different: config != *now
                || plan.secrets != turn.secrets
                || found.kept.len() != before.len().max(links.len()),
            left_out: plan.left_out.iter().map(Failure::to_string).collect(),
            held: held.into_iter().map(Trouble::from).collect(),
            ignored: accept::fixed(&now, &config),
            ..found
        };
        if reloaded.different {
            self.renew(&config, &plan, &links, seen)?;
            *turn = Turn { bounds, closed: false, secrets: plan.secrets.clone() };
            self.links.store(Arc::new(links));
            start_eager(&self.gate, &plan.servers);
            self.retire(&before);
            drop(plan);
            self.config.store(Arc::new(config));
        }
        Ok(reloaded)
    }

    /// The link of these options: the one there is, if it is the same to the last setting.
    fn link(&self, before: &[Arc<Upstream>], options: &upstream::Options) -> (Arc<Upstream>, Seen) {
        if let Some(same) = before.iter().find(|up| up.is_of(options)) {
            return (same.clone(), Seen::AsBefore);
        }
        let offer = upstream::load_catalog(&self.world.state_dir, &[options]).pop().map(|(_, offer)| offer);
        (Upstream::new(options.clone(), self.world.clone()), Seen::Anew(offer))
    }

    fn renew(&self, config: &Config, plan: &Plan<'_>, links: &[Arc<Upstream>], seen: Vec<Seen>) -> Result<(), Trouble> {
        let mut source = govern::policy(config, &plan.servers, &self.selection);
        // Results that were kept stay readable for as long as the process lives.
        for ours in &self.fixed {
            source.servers.entry(ours.name().clone()).or_insert_with(govern::own_rules);
        }
        let names = links.iter().map(|up| up.name().clone());
        let is_there = |own: &Own| self.fixed.iter().any(|source| source.name().as_str() == own.name());
        let ours = self.selection.own(&plan.servers).into_iter().filter(is_there);
        let sources = links.iter().map(|up| up.clone() as Arc<dyn Source>);
        self.gate.renew(Renewal {
            policy: Arc::new(Policy::new(source)),
            masks: Arc::new(plan.masks(config)?.inheriting(&self.gate.masks())),
            restores: govern::restores(&plan.servers),
            pace: govern::pace(config),
            sources: sources.chain(self.fixed.iter().cloned()).collect(),
            servers: names.zip(seen).chain(ours.map(|own| (own.name().into(), Seen::AsBefore))).collect(),
            naming: options::naming(config, &plan.servers),
        });
        Ok(())
    }

    /// Ends the links of `before` that are no longer part of the gate, each after its calls.
    fn retire(&self, before: &[Arc<Upstream>]) {
        let links = self.links();
        for gone in before.iter().filter(|up| !links.iter().any(|link| Arc::ptr_eq(link, up))) {
            let (gone, hurry) = (gone.clone(), self.hurry.clone());
            self.leaving.spawn(async move {
                tokio::select! {
                    () = gone.retire() => {}
                    () = hurry.cancelled() => gone.stop().await,
                }
            });
        }
    }

    /// Nothing takes the place of what is there any more. Returns what is left to be stopped, when the links that were
    /// replaced have ended.
    pub(super) async fn close(&self) -> Arc<Vec<Arc<Upstream>>> {
        self.turn().closed = true;
        self.hurry.cancel();
        self.leaving.close();
        self.leaving.wait().await;
        self.links()
    }
}
