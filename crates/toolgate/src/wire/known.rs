//! The rules in force and what they were seen to rule over, for whoever looks at policy without a gate. Starts and
//! connects to nothing.

use std::sync::{Arc, OnceLock};

use super::{Selection, govern, options};
use crate::config::{Config, Env, Server};
use gate::{Catalog, Face, Facts, Item, ItemKind, Place, Policy, PolicySource, ServerName, Target};

/// The configured servers, barred and disabled ones included, with what they were last seen to offer.
pub struct Known {
    /// What the policy is compiled from.
    pub source: PolicySource,
    /// Every tool that was seen.
    pub tools: Vec<Arc<Item>>,
    /// The same, to decide by.
    pub policy: Policy,
    catalog: Catalog,
    names: Vec<ServerName>,
}

impl Known {
    /// Reads what earlier runs saw.
    pub fn load(config: &Config, env: &Env) -> Self {
        let ours = |server: &&Server| !options::is_ourselves(server, env);
        let servers: Vec<&Server> = config.servers.values().filter(ours).collect();
        // A server whose entry lacks a variable was not seen with this entry either.
        let links: Vec<_> = servers.iter().filter_map(|server| options::upstream(config, server, env).ok()).collect();
        let names = options::names(&servers, &Selection::Enabled);
        let catalog = Catalog::new(names.clone(), options::naming(config, &servers));
        catalog.publish(upstream::load_catalog(&config.state_dir(), &links.iter().collect::<Vec<_>>()));
        let (_, tools) = catalog.items(&Face::All, ItemKind::Tool);
        let source = govern::policy(config, &servers, &Selection::Enabled);
        Self { policy: Policy::new(source.clone()), source, tools, catalog, names }
    }

    /// A tool by its exposed name; none if it was never seen.
    pub fn exposed(&self, name: &str) -> Option<Arc<Item>> {
        self.catalog.resolve(&Face::All, &Target::Tool(name.into())).ok()
    }

    /// The instructions of a server, if it was ever seen, and sent any.
    pub fn instructions(&self, server: &ServerName) -> Option<Option<Box<str>>> {
        self.catalog.offer(server).map(|offer| offer.instructions.clone())
    }

    /// A tool by its server and its raw name; none if it was never seen.
    pub fn raw(&self, server: &str, tool: &str) -> Option<Arc<Item>> {
        self.tools.iter().find(|item| item.server.as_str() == server && *item.raw == *tool).cloned()
    }

    /// The server and the raw name that an exposed name of a tool never seen would stand for.
    pub fn guess<'a>(&'a self, name: &'a str) -> Option<(&'a str, &'a str)> {
        let name = name.strip_prefix("mcp__").unwrap_or(name);
        let parts =
            |server: &'a ServerName| Some((server.as_str(), name.strip_prefix(server.as_str())?.strip_prefix("__")?));
        self.names.iter().filter_map(parts).max_by_key(|(server, _)| server.len())
    }

    /// Whether a server of that name is configured.
    pub fn has_server(&self, name: &str) -> bool {
        self.names.iter().any(|server| server.as_str() == name)
    }
}

/// A tool of which nothing is known but what is said here.
pub fn imagined(server: &str, tool: &str, facts: Facts) -> Item {
    let name = serde_json::Value::from(tool).to_string();
    let definition = format!("{{\"name\":{name}}}");
    let at = |end: usize| u32::try_from(end).unwrap_or(u32::MAX);
    let name_at = Place { start: at(definition.len() - 1 - name.len()), end: at(definition.len() - 1) };
    Item {
        server: server.into(),
        kind: ItemKind::Tool,
        raw: tool.into(),
        exposed: format!("{server}__{tool}").into(),
        name_at,
        definition: definition.into(),
        facts,
        hash: OnceLock::new(),
    }
}
