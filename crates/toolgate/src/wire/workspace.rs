//! The server `workspace` put together: its settings out of `[workspace]` and the environment. Not here: what its tools
//! do.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::own::Materials;
use super::watch::Watch;
use crate::config::{self, Config, Env};
use builtin::workspace::{Around, ClientRoots, Settings, Workspace};

/// What commands get of our environment: enough to find programs, and to speak the user's language.
const PASSED_ON: [&str; 6] = ["PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "USER"];
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The server, if there is a workspace.
pub(super) fn workspace(of: &Materials<'_>) -> Option<Arc<Workspace>> {
    let roots = workspace_roots(of.config, of.env)?;
    let around = Around {
        helper: of.helper.clone(),
        tasks: of.tasks.clone(),
        catalog: of.catalog.clone(),
        hub: of.hub.clone(),
        watch: Arc::new(|files| Box::new(Watch::new(files))),
        kept: of.kept.clone(),
    };
    match Workspace::new(settings(of.config, of.env, roots), around) {
        Ok(workspace) => Some(workspace),
        Err(error) => {
            tracing::warn!(target: "mcp::workspace", %error, "none of the workspace's directories can be used");
            None
        }
    }
}

/// Whether there is one.
pub fn has_workspace(config: &Config, env: &Env) -> bool {
    workspace_roots(config, env).is_some()
}

/// Those that are configured, else where we were started: but never a whole system or a whole home, in which a host
/// may have started us because it had to start us somewhere. Then there are none but those that clients name, if those
/// are accepted.
pub fn workspace_roots(config: &Config, env: &Env) -> Option<Vec<PathBuf>> {
    if let Some(roots) = &config.workspace.roots {
        return Some(roots.clone()).filter(|roots| !roots.is_empty());
    }
    let cwd = std::env::current_dir().ok()?;
    let too_wide = |home: &str| Path::new(home).starts_with(&cwd);
    let wide = cwd.parent().is_none() || env.filled("HOME").is_some_and(too_wide) || config.home.starts_with(&cwd);
    match wide {
        false => Some(vec![cwd]),
        true => (config.workspace.client_roots == config::ClientRoots::Accept).then(Vec::new),
    }
}

fn settings(config: &Config, env: &Env, roots: Vec<PathBuf>) -> Settings {
    let said = &config.workspace;
    let told = serde_json::json!({
        "roots": roots,
        "client_roots": said.client_roots.word(),
        "net": network(&said.net),
        "read": said.read,
        "env_vars": said.env_vars,
        "sandbox": said.level.to_string(),
        "allow_degraded": said.allow_degraded.map(|level| level.to_string()),
        "timeout_sec": said.timeout.as_secs(),
        "max_output_bytes": said.max_output_bytes,
        "min_free_mb": said.min_free_bytes >> 20,
    });
    Settings {
        level: said.level,
        allow_degraded: said.allow_degraded,
        net: said.net.clone(),
        read: said.read.clone(),
        masked: super::bounds::masked(config, env.filled("HOME").map(Path::new)),
        env: environment(config, env),
        timeout: said.timeout,
        output_bytes: said.max_output_bytes,
        free_bytes: said.min_free_bytes,
        journals: config.state_dir().join("patches"),
        client_roots: match said.client_roots {
            config::ClientRoots::Ignore => ClientRoots::Ignore,
            config::ClientRoots::Narrow => ClientRoots::Narrow,
            config::ClientRoots::Accept => ClientRoots::Accept,
        },
        too_wide: env.filled("HOME").map(PathBuf::from).into_iter().chain([config.home.clone()]).collect(),
        told: told.to_string(),
        roots,
    }
}

fn network(net: &sandbox::Net) -> serde_json::Value {
    match net {
        sandbox::Net::Off => false.into(),
        sandbox::Net::On => true.into(),
        sandbox::Net::Hosts(hosts) => hosts.iter().map(ToString::to_string).collect(),
    }
}

fn environment(config: &Config, env: &Env) -> Vec<(OsString, OsString)> {
    let named = config.workspace.env_vars.iter().map(String::as_str);
    let passed = PASSED_ON.into_iter().chain(named).filter_map(|name| Some((name.into(), env.get(name)?.into())));
    let mut set: Vec<(OsString, OsString)> = passed.chain([("TERM".into(), "dumb".into())]).collect();
    if env.filled("PATH").is_none() {
        set.push(("PATH".into(), PATH.into()));
    }
    set
}
