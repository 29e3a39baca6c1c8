//! What a configuration makes of a gate, before any of it is in force: worked out alike for a gate that begins and for
//! one that goes on by something new.

use super::{Selection, govern, options};
use crate::config::{Config, Env, Server, Transport};
use crate::ui::Failure;
use gate::{Code, Masks, Secret};

/// What is to be.
pub struct Plan<'a> {
    /// The servers that can be used.
    pub servers: Vec<&'a Server>,
    /// How each of them is reached.
    pub links: Vec<upstream::Options>,
    /// Why some others cannot be used.
    pub left_out: Vec<Failure>,
    /// Everything that is to be masked.
    pub secrets: Vec<Secret>,
}

impl<'a> Plan<'a> {
    /// The plan for `servers`. One bad entry harms no other: it is left out. `known` are further secrets.
    pub fn new(config: &Config, mut servers: Vec<&'a Server>, env: &Env, known: &[Secret]) -> Self {
        let (mut links, mut left_out) = (Vec::new(), Vec::new());
        servers.retain(|server| match options::upstream(config, server, env) {
            Ok(link) => {
                links.push(link);
                true
            }
            Err(failure) => {
                tracing::warn!(target: "mcp::manager", server = %server.name, "left out: {failure}");
                left_out.push(failure);
                false
            }
        });
        let mut secrets = known.to_vec();
        secrets.extend(options::secrets(config, &servers, env));
        secrets.sort();
        secrets.dedup();
        Self { servers, links, left_out, secrets }
    }

    /// What is masked.
    ///
    /// # Errors
    /// A pattern of the configuration that cannot be used.
    pub fn masks(&self, config: &Config) -> Result<Masks, Failure> {
        govern::masks(config, &self.servers, &self.secrets)
    }
}

/// The servers of a selection.
///
/// # Errors
/// One that is asked for by name and is unknown, disabled or cannot be used as written.
pub fn select<'a>(config: &'a Config, env: &Env, selection: &Selection) -> Result<Vec<&'a Server>, Failure> {
    match selection {
        // Codex's file may hold an entry for this gate, for Codex's use. It is none of the servers behind it.
        Selection::Enabled | Selection::With(_) => {
            let ours = |server: &&Server| server.enabled && !options::is_ourselves(server, env);
            let ours = |server: &&Server| ours(server) && server.transport != Transport::Declared;
            Ok(config.servers.values().filter(ours).collect())
        }
        Selection::Own(_) => Ok(Vec::new()),
        Selection::Only(name) => only(config, name).map(|server| vec![server]),
    }
}

fn only<'a>(config: &'a Config, name: &str) -> Result<&'a Server, Failure> {
    if let Some(bad) = config.bad.iter().find(|bad| bad.name == *name) {
        return Err(bad.into());
    }
    let server = config.servers.get(name).ok_or_else(|| {
        let failure = crate::cli::unknown_server(name, config);
        Failure { code: Code::UpstreamNotConfigured, ..failure }
    })?;
    if !server.enabled {
        return Err(Failure::new(Code::UpstreamDisabled, format!("server `{name}` is disabled"))
            .hint(format!("remove `enabled = false` from `[mcp_servers.{name}]`, {}", server.origin.place)));
    }
    Ok(server)
}
