//! The report of one server, from where its link stands and what the catalog has of it.

use crate::catalog_file;
use crate::faults::Faults;
use crate::lifecycle::LinkState;
use crate::options::{HttpOptions, Options, Transport};
use crate::seen;
use crate::stdio_link;
use crate::supervisor::Shared;
use gate::state::{Auth, Change, Counts, Last, Status};
use gate::{Face, Fault, ItemKind, Masks, Offer, State};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Lines of standard error in a report.
const STDERR: usize = 10;

/// What is known of a server that nobody starts: whether its program is there, and how it was found last.
pub fn at_rest(state_dir: &Path, options: &Options, masks: &Masks) -> Status {
    let faults = Faults(options.name.clone());
    let fault = match &options.transport {
        Transport::Stdio(child) => stdio_link::program(child, &faults).err(),
        Transport::Http(_) | Transport::Within(_) => None,
    };
    let state = fault.as_ref().map_or(State::NotStarted, |fault| fault.state);
    let status = known(options, catalog_file::load_catalog(state_dir, &[options]).pop().map(|(_, offer)| offer), masks);
    let status = Status { last_seen: seen::last_seen(state_dir, &options.name), ..status };
    because(status, state, fault.as_ref())
}

/// The report of a link.
pub(crate) fn of(shared: &Shared) -> Status {
    let (options, masks) = (&shared.options, &*shared.world.hub.masks());
    let offer = shared.world.catalog.offer(&options.name);
    let (mut state, mut fault, since) = shared.standing();
    if let Some((refused, _)) = shared.refused().filter(|_| state.is_up()) {
        (state, fault) = (refused.state, Some(refused));
    } else if state == State::Connected && shared.is_listed() && offer.as_deref().is_some_and(has_no_tools) {
        state = State::NoTools;
    }
    let mut status = because(known(options, offer, masks), state, fault.as_ref());
    if state == State::AuthRequired && matches!(status.auth_status, Auth::Unknown | Auth::OAuth) {
        status.auth_status = Auth::NotLoggedIn;
    }
    let link = shared.state.borrow().clone();
    if let LinkState::Ready(toolset) = &link {
        status.protocol = Some(toolset.revision.to_string());
        status.tools_error = toolset.tools_trouble.as_ref().map(|fault| fault.what.clone());
    }
    let lines = shared.stderr.lines();
    if state == State::Crashed && !lines.is_empty() {
        status.next = format!("see what it printed, and correct its settings, [mcp_servers.{}]", options.name);
    }
    let pid = shared.pid.load(Ordering::Relaxed);
    let bounds = shared.bounds.load_full().map(|bounds| bounds.to_string());
    Status {
        sandbox: bounds.or(status.sandbox),
        since_micros: Some(shared.refused().filter(|_| link.is_up()).map_or(since, |(_, at)| at)),
        stderr: lines
            .iter()
            .skip(lines.len().saturating_sub(STDERR))
            .map(|line| masks.text(line).into_owned())
            .collect(),
        pid: (pid != 0).then_some(pid),
        last_error: shared.last_error(),
        version_changed: shared.change.load_full().map(|change| masked(&change, masks)),
        ..status
    }
    .with_quarantined(held(shared))
}

/// Its tools that are held back, by their own names.
fn held(shared: &Shared) -> Vec<String> {
    let (catalog, masks) = (&shared.world.catalog, shared.world.hub.masks());
    let (_, tools) = catalog.items(&Face::Only(shared.options.name.clone()), ItemKind::Tool);
    tools.iter().filter(|tool| catalog.held(tool).is_some()).map(|tool| masks.text(&tool.raw).into_owned()).collect()
}

/// What it lists and says of itself, as last seen.
fn known(options: &Options, offer: Option<Arc<Offer>>, masks: &Masks) -> Status {
    let status = Status::new(options.name.as_str(), State::NotStarted);
    let status = Status { auth_status: auth(&options.transport), sandbox: demanded(&options.transport), ..status };
    let Some(offer) = offer else { return status };
    let names = |kind| -> Vec<String> {
        offer.listed.iter().filter(|item| item.kind == kind).map(|item| masks.text(&item.raw).into_owned()).collect()
    };
    let [tools, prompts, resources, templates] =
        [ItemKind::Tool, ItemKind::Prompt, ItemKind::Resource, ItemKind::Template].map(names);
    let counts =
        Counts { tools: tools.len(), prompts: prompts.len(), resources: resources.len(), templates: templates.len() };
    let json = |raw: &Option<bytes::Bytes>| -> Option<Value> {
        serde_json::from_str(&masks.text(std::str::from_utf8(raw.as_deref()?).ok()?)).ok()
    };
    Status {
        server_info: json(&offer.server_info),
        capabilities: json(&offer.capabilities),
        counts: Some(counts),
        tools: Some(tools),
        resources: Some(resources),
        templates: Some(templates),
        ..status
    }
}

/// The level it is to be kept at.
fn demanded(transport: &Transport) -> Option<String> {
    match transport {
        Transport::Stdio(child) => child.profile.as_ref().map(|profile| profile.level.to_string()),
        Transport::Within(server) => Some(server.sandbox.clone()),
        Transport::Http(_) => None,
    }
}

fn because(status: Status, state: State, fault: Option<&Fault>) -> Status {
    let next = fault.and_then(|fault| fault.hint.clone());
    status.in_state(state, fault.map(|fault| fault.what.clone())).with_next(next)
}

pub(crate) fn has_no_tools(offer: &Offer) -> bool {
    !offer.listed.iter().any(|item| item.kind == ItemKind::Tool)
}

/// How we authenticate, without asking the server.
fn auth(transport: &Transport) -> Auth {
    let has_token =
        |http: &HttpOptions| http.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    match transport {
        Transport::Stdio(_) | Transport::Within(_) => Auth::Unsupported,
        Transport::Http(http) if has_token(http) => Auth::BearerToken,
        Transport::Http(HttpOptions { oauth: Some(tokens), .. }) if tokens.any() => {
            if tokens.good() {
                Auth::OAuth
            } else {
                Auth::NotLoggedIn
            }
        }
        Transport::Http(_) => Auth::Unknown,
    }
}

/// A version is the server's text.
fn masked(change: &Change, masks: &Masks) -> Change {
    let mut change = change.clone();
    for versions in [&mut change.before, &mut change.after] {
        versions.server = versions.server.as_deref().map(|text| masks.text(text).into_owned());
    }
    change
}

/// A fault as something that was.
pub(crate) fn last(fault: &Fault, at_micros: u64) -> Last {
    Last { state: fault.state, reason: Some(fault.what.clone()), at_micros }
}
