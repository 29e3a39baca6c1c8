//! The servers that are our own: which of them a gate has, under which rules, and how each is put together.
//! Not here: what their tools do, or which profile asks for which.

use std::sync::Arc;

use super::bridge::{self, Manner};
use super::{Selection, System, govern};
use crate::config::{Config, Env, Server};
use builtin::{Kept, codex, workspace};
use gate::ports::Source;
use gate::{Catalog, Hub, Mode, Offer, ServerName, ServerRules};
use tokio_util::task::TaskTracker;

/// A server of our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// What toolgate knows of itself.
    Toolgate,
    /// The tools that drive Codex.
    Codex(Manner),
    /// The workspace.
    Workspace,
}

impl Own {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Toolgate => builtin::NAME,
            Self::Codex(_) => codex::NAME,
            Self::Workspace => workspace::NAME,
        }
    }

    /// Whoever serves it alone has said by that that its tools may run; beside others it is asked for like theirs.
    fn rules(self, alone: bool) -> ServerRules {
        let default_mode = (alone && self != Self::Toolgate).then_some(Mode::Approve);
        ServerRules { default_mode, ..govern::own_rules() }
    }
}

impl Selection {
    /// Those of our own servers that a gate of this selection has beside `servers`. A person's own server of the same
    /// name takes the place of ours.
    pub fn own(&self, servers: &[&Server]) -> Vec<Own> {
        let all = match self {
            Self::With(own) | Self::Own(own) => own.as_slice(),
            Self::Enabled | Self::Only(_) => &[],
        };
        let free = |own: &&Own| !servers.iter().any(|server| server.name == own.name());
        all.iter().filter(free).copied().collect()
    }

    /// The rules of our own servers.
    pub(super) fn own_rules(&self, servers: &[&Server]) -> Vec<(ServerName, ServerRules)> {
        let alone = matches!(self, Self::Own(_));
        self.own(servers).into_iter().map(|own| (own.name().into(), own.rules(alone))).collect()
    }
}

/// What a server of our own is made of.
pub(super) struct Materials<'a> {
    pub config: &'a Config,
    pub env: &'a Env,
    pub catalog: &'a Arc<Catalog>,
    pub hub: &'a Arc<Hub>,
    pub helper: &'a sandbox::Helper,
    pub tasks: &'a TaskTracker,
    pub kept: &'a Option<Arc<Kept>>,
}

impl Materials<'_> {
    /// The server, published in the catalog; nothing if there is nothing it could serve.
    pub fn make(&self, own: Own) -> Option<Arc<dyn Source>> {
        let (source, offer): (Arc<dyn Source>, Offer) = match own {
            Own::Toolgate => {
                let servers = self.config.servers.values();
                let names: Vec<_> = servers.map(|server| (server.name.clone(), server.enabled)).collect();
                let server = builtin::Builtin::new(Arc::new(System), Arc::new(move || names.clone()));
                let offer = server.offer();
                (server, offer)
            }
            Own::Codex(manner) => {
                let server = bridge::bridge(self.config, self.env, manner, self.helper, self.tasks);
                let offer = server.offer();
                (server, offer)
            }
            Own::Workspace => {
                let server = super::workspace::workspace(self)?;
                let offer = server.offer();
                (server, offer)
            }
        };
        self.catalog.publish(vec![(own.name().into(), Arc::new(offer))]);
        Some(source)
    }
}
