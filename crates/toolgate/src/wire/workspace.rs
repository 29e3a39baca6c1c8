//! The server `workspace` put together: its settings out of `[workspace]` and the environment. Not here: what its tools
//! do.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use builtin::workspace::{Settings, Workspace};
use tokio_util::task::TaskTracker;

use crate::config::{Config, Env};

/// What commands get of our environment: enough to find programs, and to speak the user's language.
const PASSED_ON: [&str; 6] = ["PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "USER"];
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The server, if there is a workspace.
pub fn workspace(config: &Config, env: &Env, helper: &sandbox::Helper, tasks: &TaskTracker) -> Option<Arc<Workspace>> {
    let roots = roots(config, env)?;
    match Workspace::new(settings(config, env, roots), helper.clone(), tasks.clone()) {
        Ok(workspace) => Some(workspace),
        Err(error) => {
            tracing::warn!(target: "mcp::workspace", %error, "none of the workspace's directories can be used");
            None
        }
    }
}

/// Whether there is one.
pub fn has_workspace(config: &Config, env: &Env) -> bool {
    roots(config, env).is_some()
}

/// Those that are configured, else where we were started: but never a whole system or a whole home, in which a host
/// may have started us because it had to start us somewhere.
fn roots(config: &Config, env: &Env) -> Option<Vec<PathBuf>> {
    if let Some(roots) = &config.workspace.roots {
        return Some(roots.clone()).filter(|roots| !roots.is_empty());
    }
    let cwd = std::env::current_dir().ok()?;
    let too_wide = |home: &str| Path::new(home).starts_with(&cwd);
    let wide = cwd.parent().is_none() || env.filled("HOME").is_some_and(too_wide) || config.home.starts_with(&cwd);
    (!wide).then(|| vec![cwd])
}

fn settings(config: &Config, env: &Env, roots: Vec<PathBuf>) -> Settings {
    let said = &config.workspace;
    let told = serde_json::json!({
        "roots": roots,
        "sandbox": said.level.to_string(),
        "allow_degraded": said.allow_degraded.map(|level| level.to_string()),
        "timeout_sec": said.timeout.as_secs(),
        "max_output_bytes": said.max_output_bytes,
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
        journals: config.state_dir().join("patches"),
        told: told.to_string(),
        roots,
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
