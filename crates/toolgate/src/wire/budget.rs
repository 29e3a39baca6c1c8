//! Output budgets, as the faces want to hear them, and the place where whole results are kept. Without a budget there is
//! neither.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{Config, Server};
use builtin::{Kept, KeptLimits};
use downstream::Budgets;
use gate::ports::{Results, Source};
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

/// Whether whole results are kept: somebody set a budget, and no server of a person's own has the name that they are
/// kept under.
pub fn keeps(servers: &[&Server]) -> bool {
    servers.iter().any(|server| OfServer::new(server).is_limited())
        && !servers.iter().any(|server| server.name == builtin::NAME)
}

/// Whether two configurations set different budgets.
pub fn differ(one: &Config, other: &Config) -> bool {
    let of = |config: &Config| -> Vec<(String, OfServer)> {
        let all = config.servers.iter().map(|(name, server)| (name.clone(), OfServer::new(server)));
        all.filter(|(_, budgets)| budgets.is_limited()).collect()
    };
    of(one) != of(other)
}

/// The budgets of these servers and the source that whole results are read from, if they are kept; nothing if nobody
/// set a budget.
pub fn budgets(servers: &[&Server], catalog: &Catalog) -> Option<(Budgets, Option<Arc<dyn Source>>)> {
    let all = servers.iter().map(|server| (ServerName::from(server.name.as_str()), OfServer::new(server)));
    let limited: HashMap<_, _> = all.filter(|(_, budgets)| budgets.is_limited()).collect();
    if limited.is_empty() {
        return None;
    }
    let kept = keeps(servers).then(|| Kept::new(KeptLimits::default()));
    if kept.is_some() {
        catalog.results_at(builtin::NAME.into());
    }
    let bytes = Arc::new(move |server: &ServerName, tool: &str| limited.get(server)?.of(tool));
    let results = kept.clone().map(|kept| kept as Arc<dyn Results>);
    Some((Budgets { bytes, results }, kept.map(|kept| kept as Arc<dyn Source>)))
}
