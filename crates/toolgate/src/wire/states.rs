//! Where every configured server stands: those of a running gate by their links, all others by the configuration
//! alone. One report for `list`, `status`, `test` and whoever serves it.

use std::sync::Arc;
use std::time::Duration;

use super::{House, System, options, settled};
use crate::config::{Config, Env, NO_TRANSPORT, Server, ServerError, Transport, UNDECIDED};
use gate::ports::{Clock, Source};
use gate::state::{Auth, Status};
use gate::{Failure, Masks, Refusal, State};
use upstream::Upstream;
use upstream::oauth::Standing;

/// How much longer than its own timeouts a server is waited for; they bound every step by themselves.
const GRACE: Duration = Duration::from_secs(5);

/// But nobody who only wants to know how servers are waits longer than this for one of them.
const LONGEST: Duration = Duration::from_secs(10);

/// All configured servers by name, usable or not. Without a `house` nothing was started, and nothing is by this.
pub fn statuses(config: &Config, env: &Env, house: Option<&House>) -> Vec<Status> {
    statuses_of(config, env, &links(house))
}

/// The same, of servers whose links are these. Starts nothing.
pub fn statuses_of(config: &Config, env: &Env, links: &[Arc<Upstream>]) -> Vec<Status> {
    let names = config.servers.keys().chain(config.bad.iter().map(|bad| &bad.name));
    let mut all: Vec<_> = names.map(|name| status_of(config, env, links, name)).collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

/// One server by name; whether there is such a server is part of the answer.
pub fn status(config: &Config, env: &Env, house: Option<&House>, name: &str) -> Status {
    status_of(config, env, &links(house), name)
}

fn links(house: Option<&House>) -> Arc<Vec<Arc<Upstream>>> {
    house.map(|house| house.live.links()).unwrap_or_default()
}

fn status_of(config: &Config, env: &Env, links: &[Arc<Upstream>], name: &str) -> Status {
    if let Some(up) = links.iter().find(|up| up.name().as_str() == name) {
        return up.status();
    }
    if let Some(bad) = config.bad.iter().find(|bad| bad.name == name) {
        return unusable(bad);
    }
    match config.servers.get(name) {
        Some(server) => at_rest(config, server, env),
        None => Status::new(name, State::MissingConfig).with_next(crate::cli::similar_server(name, config)),
    }
}

fn unusable(bad: &ServerError) -> Status {
    let problem = &bad.problem;
    let state = match &problem.message {
        message if message == NO_TRANSPORT => State::NoTransport,
        message if message.starts_with(UNDECIDED) => State::DisabledByDecisions,
        _ => State::Misconfigured,
    };
    let status = Status::new(bad.name.as_str(), state);
    // A hint about a misspelt name helps only where something else is wrong.
    let hint = problem.hint.clone().filter(|_| state != State::NoTransport);
    status.in_state(state, Some(format!("cannot be used as written: {problem}"))).with_next(hint)
}

/// A server that nobody starts.
fn at_rest(config: &Config, server: &Server, env: &Env) -> Status {
    let status =
        Status { auth_status: auth(config, server, env), ..Status::new(server.name.as_str(), State::NotStarted) };
    if let Some((state, reason)) = off(server, env) {
        return status.in_state(state, reason);
    }
    if server.transport == Transport::Declared {
        let why = "declares tools but has no command, url or handler".to_owned();
        return status.in_state(State::NoTransport, Some(why)).with_next(options::no_transport(server).hint);
    }
    let link = match options::upstream(config, server, env) {
        Ok(link) => link,
        Err(failure) => {
            let state = if failure.code == gate::Code::UpstreamAuthRequired {
                State::AuthRequired
            } else {
                State::Misconfigured
            };
            let reason = unset_token(server, env).unwrap_or_else(|| format!("cannot be reached: {failure}"));
            return status.in_state(state, Some(reason)).with_next(failure.hint);
        }
    };
    let secrets = options::secrets(config, &[server], env);
    upstream::at_rest(&config.state_dir(), &link, &Masks::new(secrets.iter()))
}

/// Who switched it off, if anybody did.
fn off(server: &Server, env: &Env) -> Option<(State, Option<String>)> {
    if let Some(barred) = &server.barred {
        let state = State::disabled_because(barred.reason).unwrap_or(State::DisabledByRequirements);
        let why = barred.why.strip_prefix("it ").map_or_else(|| format!("is barred: {}", barred.why), str::to_owned);
        return Some((state, Some(why)));
    }
    if !server.enabled {
        return Some((State::DisabledByUser, None));
    }
    options::is_ourselves(server, env).then_some((State::DisabledAsItself, None))
}

fn unset_token(server: &Server, env: &Env) -> Option<String> {
    let Transport::Http(http) = &server.transport else { return None };
    let variable = http.bearer_token_env_var.as_deref().filter(|variable| env.filled(variable).is_none())?;
    Some(format!("wants a token, and the environment variable {variable} that would hold it is not set"))
}

/// How a server is authenticated, as far as that is known without asking it.
pub fn auth(config: &Config, server: &Server, env: &Env) -> Auth {
    let expanded = crate::config::expanded(server, env);
    match &expanded.as_ref().unwrap_or(server).transport {
        Transport::Stdio(_) | Transport::Declared | Transport::Handlers(_) => Auth::Unsupported,
        Transport::Http(http) if options::has_token(http) => Auth::BearerToken,
        Transport::Http(http) => {
            let now = System.wall_micros() / 1000;
            match upstream::oauth::standing(&config.state_dir(), &server.name, http.url.expose(), now) {
                Standing::None => Auth::Unknown,
                Standing::LoggedIn { .. } => Auth::OAuth,
                Standing::Over => Auth::NotLoggedIn,
            }
        }
    }
}

/// Starts all servers of a house at once, waits until each has listed what it has or cannot, and reports them
/// among all that are configured.
pub async fn ask(config: &Config, env: &Env, house: &House) -> Vec<Status> {
    let refused = futures_util::future::join_all(house.live.links().iter().map(|up| start(house, up))).await;
    let mut all = statuses(config, env, Some(house));
    for (name, state, reason) in refused.into_iter().flatten() {
        if let Some(at) = all.iter().position(|status| status.name == name) {
            let status = all.swap_remove(at).in_state(state, Some(reason));
            all.push(status);
        }
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

/// Starts one server and waits; the state it has because it may not be started, if it may not.
async fn start(house: &House, up: &Arc<Upstream>) -> Option<(String, State, String)> {
    match house.gate.start(up.name()) {
        Ok(()) => {
            // How it ended shows in its status.
            let _ = tokio::time::timeout((up.patience() + GRACE).min(LONGEST), settled(up)).await;
            None
        }
        Err(Failure::Broke(_)) => None,
        Err(Failure::Refused(refusal)) => {
            Some((up.name().to_string(), refused(&refusal), format!("may not be started: {refusal}")))
        }
    }
}

/// The state of a server whose start was refused.
pub fn refused(refusal: &Refusal) -> State {
    match refusal {
        Refusal::Unapproved(_) => State::NeedsApproval,
        Refusal::Denied(_) => State::DisabledByPolicy,
        _ => State::NotStarted,
    }
}
