//! Output budgets, as the faces want to hear them, and the place where whole results are kept. Without a budget there
//! are none, and without a workspace of our own nothing is kept then.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Own, Selection};
use crate::config::{Config, Server};
use builtin::{Kept, KeptLimits};
use downstream::Budgets;
use gate::ports::Results;
use gate::{Catalog, ServerName, policy};

/// The budgets of one server.
#[derive(PartialEq)]
struct OfServer {
    /// By pattern of raw names; the first that fits and says something counts.
    tools: Vec<(String, usize)>,
    rest: Option<usize>,
}

impl OfServer {
    fn new(server: &Server) -> Self {
        let tools = server.tools.iter().filter_map(|(tool, said)| Some((tool.clone(), said.max_result_bytes?)));
        Self { tools: tools.collect(), rest: server.limits.max_result_bytes }
    }

    fn is_limited(&self) -> bool {
        self.rest.is_some() || !self.tools.is_empty()
    }

    fn of(&self, tool: &str) -> Option<usize> {
        let fits = self.tools.iter().find(|(pattern, _)| policy::matches(pattern, tool));
        fits.map(|(_, bytes)| *bytes).or(self.rest)
    }
}

/// Whether whole results of these servers are kept: somebody set a budget, and no server of a person's own has the name
/// that they are kept under.
pub fn keeps(servers: &[&Server]) -> bool {
    servers.iter().any(|server| OfServer::new(server).is_limited()) && is_free(servers)
}

/// Whether anything is kept whole: results of these servers, or what commands of our own wrote.
pub fn keeps_any(servers: &[&Server], selection: &Selection) -> bool {
    let own = selection.own(servers);
    keeps(servers) || own.contains(&Own::Workspace) && !own.contains(&Own::Toolgate) && is_free(servers)
}

fn is_free(servers: &[&Server]) -> bool {
    !servers.iter().any(|server| server.name == builtin::NAME)
}

/// Whether two configurations set different budgets.
pub fn differ(one: &Config, other: &Config) -> bool {
    let of = |config: &Config| -> Vec<(String, OfServer)> {
        let all = config.servers.iter().map(|(name, server)| (name.clone(), OfServer::new(server)));
        all.filter(|(_, budgets)| budgets.is_limited()).collect()
    };
    of(one) != of(other)
}

/// The place where whole results are kept, if any are.
pub fn kept(servers: &[&Server], selection: &Selection, catalog: &Catalog) -> Option<Arc<Kept>> {
    keeps_any(servers, selection).then(|| {
        catalog.results_at(builtin::NAME.into());
        Kept::new(KeptLimits::default())
    })
}

/// The budgets of these servers; nothing if nobody set one.
pub fn budgets(servers: &[&Server], kept: Option<Arc<Kept>>) -> Option<Budgets> {
    let all = servers.iter().map(|server| (ServerName::from(server.name.as_str()), OfServer::new(server)));
    let limited: HashMap<_, _> = all.filter(|(_, budgets)| budgets.is_limited()).collect();
    if limited.is_empty() {
        return None;
    }
    let bytes = Arc::new(move |server: &ServerName, tool: &str| limited.get(server)?.of(tool));
    Some(Budgets { bytes, results: kept.map(|kept| kept as Arc<dyn Results>) })
}
