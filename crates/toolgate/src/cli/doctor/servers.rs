//! What is looked at for each server: its program as the server would find it, its directory, the variables it needs, its
//! address, and whether somebody barred it.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::future::join_all;

use super::probe;
use super::{Check, Level, Patient};
use crate::cli::{show, status};
use crate::config::{DeclaredTool, Http, Server, Stdio, Transport, child_env, identity_line};
use crate::ui::Failure;
use crate::wire;
use gate::State;

/// The oldest Node.js that published servers run on.
const NODE: u32 = 18;

/// Runs through all servers that are meant, at once.
pub async fn checks(patient: &Patient<'_>) -> Vec<Check> {
    let servers = patient.config.servers.values().filter(|server| patient.means(&server.name));
    let each = join_all(servers.map(|server| of(patient, server))).await;
    let named = each.into_iter().zip(patient.config.servers.values().filter(|server| patient.means(&server.name)));
    named.flat_map(|(checks, server)| checks.into_iter().map(|check| check.about(&server.name))).collect()
}

async fn of(patient: &Patient<'_>, server: &Server) -> Vec<Check> {
    if let Some(barred) = &server.barred {
        let fix = format!("an administrator would allow it with:\n{}", identity_line(server));
        return vec![Check::warn("server", format!("it is disabled: {} ({})", barred.why, barred.rule), fix)];
    }
    let status = wire::status(patient.config, &patient.cx.env, None, &server.name);
    let mut checks = match status.state {
        state if state.is_disabled() => return vec![Check::ok("server", format!("it is {}", state.label()))],
        State::MissingCommand => vec![missing(server, &status)],
        State::AuthRequired => vec![Check::warn("login", status.sentence(), &*status.next)],
        State::Misconfigured => vec![Check::fail("server", status.sentence(), &*status.next)],
        _ => Vec::new(),
    };
    match &server.transport {
        Transport::Stdio(stdio) => checks.extend(child(patient, server, stdio).await),
        Transport::Http(http) => checks.push(address(http).await),
        Transport::Handlers(stdio) => checks.extend(programs(patient, server, stdio)),
        Transport::Declared => checks.push(Check::warn("server", status.sentence(), status.next)),
    }
    let pitfall = show::known_pitfall(server).map(|what| Check::warn("settings", what, "correct its entry"));
    checks.extend(pitfall);
    if checks.is_empty() {
        checks.push(Check::ok("server", "its program is where the server would look"));
    }
    checks
}

/// The programs of declared tools that are not there.
fn programs(patient: &Patient<'_>, server: &Server, stdio: &Stdio) -> Vec<Check> {
    let env = child_env(server, &patient.cx.env);
    let path = env.iter().find(|(key, _)| key == "PATH").map_or("", |(_, path)| path.as_str());
    let named = server.declared.iter().filter_map(|tool| Some((tool, tool.exec.as_ref()?.first()?)));
    let gone = named.filter(|(_, program)| {
        sandbox::resolve_program(program.as_ref(), stdio.cwd.as_deref(), path.as_ref()).is_err()
    });
    let told = |(tool, program): (&DeclaredTool, &String)| {
        let what = format!("the program `{program}` of its tool `{}` was not found", tool.name);
        Check::fail("program", what, format!("install it, or give its absolute path in `exec`; PATH is `{path}`"))
    };
    gone.map(told).collect()
}

/// A program that is not there. For the usual ones it is known what brings them.
fn missing(server: &Server, status: &gate::state::Status) -> Check {
    let Transport::Stdio(stdio) = &server.transport else {
        return Check::fail("program", status.sentence(), status.next.clone());
    };
    let brings = match stdio.command.as_str() {
        "npx" | "npm" | "node" => "install Node.js (https://nodejs.org)",
        "uvx" | "uv" => "install uv (https://docs.astral.sh/uv)",
        "python" | "python3" | "pip" | "pipx" => "install Python (https://www.python.org)",
        "docker" => "install Docker (https://docs.docker.com)",
        "deno" => "install Deno (https://deno.com)",
        "bunx" | "bun" => "install Bun (https://bun.sh)",
        _ => return Check::fail("program", status.sentence(), status.next.clone()),
    };
    let what = format!("`{}` is not on the PATH that this server gets", stdio.command);
    Check::fail("program", what, format!("{brings}, or {}", status.next))
}

async fn child(patient: &Patient<'_>, server: &Server, stdio: &Stdio) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some(dir) = stdio.cwd.as_ref().filter(|dir| !dir.is_dir()) {
        let what = format!("its working directory {} is not there", dir.display());
        checks.push(Check::fail("directory", what, "make it, or correct `cwd`"));
    }
    let unset: Vec<_> =
        stdio.env_vars.iter().filter(|name| patient.cx.env.filled(name).is_none()).map(String::as_str).collect();
    if !unset.is_empty() {
        let what = format!("`env_vars` names what is not set here: {}", unset.join(", "));
        checks.push(Check::warn("environment", what, format!("export {}=… where the gate is started", unset[0])));
    }
    let name = Path::new(&stdio.command).file_name().and_then(|name| name.to_str());
    if matches!(name, Some("npx" | "npm" | "node")) {
        checks.extend(node(patient, server).await);
    }
    checks
}

/// Whether the Node.js that the server would run on is too old. That there is none is said elsewhere.
async fn node(patient: &Patient<'_>, server: &Server) -> Option<Check> {
    let env: BTreeMap<_, _> = child_env(server, &patient.cx.env).into_iter().collect();
    let path = env.get("PATH").map_or("", String::as_str);
    let program = sandbox::resolve_program("node".as_ref(), None, path.as_ref()).ok()?;
    let fix = format!("install Node.js {NODE} or newer (https://nodejs.org)");
    match probe::version(&program, path, env.get("HOME").map(String::as_str)).await {
        Ok(version) => {
            let major = version.trim_start_matches('v').split('.').next()?.parse::<u32>().ok()?;
            (major < NODE).then(|| Check::fail("node", format!("{} is Node.js {version}", program.display()), fix))
        }
        Err(why) => Some(Check::warn("node", format!("{} does not tell its version: {why}", program.display()), fix)),
    }
}

/// Any answer will do: without a message to answer, a server may well refuse.
async fn address(http: &Http) -> Check {
    // Only the first of many can install it, and one is enough.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match probe::reach(http.url.expose()).await {
        Ok(status) => Check::ok("address", format!("{} answers (HTTP {status})", http.url)),
        Err(why) => {
            let fix = "is it up, is the address right, does this network need a proxy?";
            Check::fail("address", format!("{} cannot be reached: {why}", http.url), fix)
        }
    }
}

/// Starts all servers that are meant, and tells how each was found.
pub fn started(patient: &Patient<'_>) -> Result<Vec<Check>, Failure> {
    let one = match patient.names {
        [name] => Some(name.as_str()),
        _ => None,
    };
    let meant = |status: &gate::state::Status| patient.means(&status.name) && !status.state.is_disabled();
    let statuses = status::ask(patient.config, one, patient.cx)?;
    let check = |status: gate::state::Status| {
        let level = match status.state {
            State::Connected => Level::Ok,
            state if state.is_up() => Level::Warn,
            _ => Level::Fail,
        };
        let printed: Vec<_> = status.stderr.iter().map(|line| format!("it printed: {line}")).collect();
        let fix = (level != Level::Ok).then(|| [printed, vec![status.next.clone()]].concat().join("\n"));
        Check { fix, ..Check::new("start", level, status.sentence()) }.about(&status.name)
    };
    Ok(statuses.into_iter().filter(meant).map(check).collect())
}
