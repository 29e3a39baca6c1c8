//! What this machine can hold, found out by trying what is forbidden; and whether that is enough for the servers whose
//! entries ask for bounds.

use super::{Check, Patient};
use crate::cli::observed;
use crate::config::Profile as Served;
use crate::wire;
use sandbox::{
    Helper, LaunchError, Level, Means, Namespaces, Observed, Profile, Unavailable, credential_paths, observe,
};

/// Tries, which takes a moment; nothing is left of it.
pub fn checks(patient: &Patient<'_>) -> Vec<Check> {
    let helper = wire::helper();
    let means = Means::find(&helper, Level::S4, Namespaces::Auto);
    let mut checks = vec![machine(patient, &helper, &means)];
    checks.extend(workspace(patient, &means));
    let servers = patient.config.servers.values().filter(|server| server.enabled && patient.means(&server.name));
    let profile = |name: &str| wire::bounds_to_try(patient.config, &patient.cx.env, name);
    let bound = servers.filter_map(|server| Some((&server.name, profile(&server.name)?)));
    checks.extend(bound.map(|(name, profile)| of_server(&helper, &means, &profile).about(name)));
    checks
}

/// The tools of our own that work in directories, if `mcp serve` offers them by itself.
fn workspace(patient: &Patient<'_>, means: &Means) -> Option<Check> {
    let served = patient.config.gate.profile;
    if !matches!(served, Served::All | Served::Workspace) || !patient.names.is_empty() {
        return None;
    }
    let Some(roots) = wire::workspace_roots(patient.config, &patient.cx.env) else {
        let what = "started here, `mcp serve` offers no workspace tools: this is a whole home or a whole system";
        let fix = "start it in a project, or name directories in `roots` of `[workspace]`";
        let is_wanted = served == Served::Workspace;
        return Some(if is_wanted { Check::warn("workspace", what, fix) } else { Check::ok("workspace", what) });
    };
    if let Some(missing) = roots.iter().find(|root| !root.is_dir()) {
        let what = format!("`roots` of `[workspace]` names {}, which is no directory", missing.display());
        return Some(Check::warn("workspace", what, "make it, or take it out of `roots`"));
    }
    let said = &patient.config.workspace;
    let profile = Profile { allow_degraded: said.allow_degraded, ..Profile::new(said.level, Vec::new()) };
    let dirs: Vec<_> = roots.iter().map(|root| root.display().to_string()).collect();
    let place = if dirs.is_empty() { "where clients say".to_owned() } else { dirs.join(", ") };
    Some(match means.settle(&profile) {
        Ok(held) => {
            Check::ok("workspace", format!("`mcp serve` offers tools that work in {place}; commands at {held}"))
        }
        Err(Unavailable { why, hint, .. }) => Check {
            fix: Some(hint),
            ..Check::ok("workspace", format!("`mcp serve` offers tools that work in {place}; no command is run: {why}"))
        },
    })
}

/// The highest level, and what was seen of it.
fn machine(patient: &Patient<'_>, helper: &Helper, means: &Means) -> Check {
    let level = means.highest();
    let masked = patient.cx.env.filled("HOME").map(|home| credential_paths(home.as_ref())).unwrap_or_default();
    match observe(helper, &Profile::new(level, masked)) {
        Ok(observed) => seen(level, &observed, means),
        Err(error) => Check::fail("sandbox", format!("{level} should be held here and is not: {error}"), String::new()),
    }
}

fn seen(level: Level, observed: &Observed, means: &Means) -> Check {
    let text = match observed::told(observed) {
        Ok(text) => format!("servers can be kept at {text}"),
        Err(breach) => return Check::fail("sandbox", breach, "do not trust the sandbox of this machine"),
    };
    match &means.namespaces {
        Err(none) if level < Level::S4 => Check {
            fix: Some(none.hint.clone()),
            ..Check::ok("sandbox", format!("{text}; S4 cannot be reached: {}", none.why))
        },
        _ => Check::ok("sandbox", text),
    }
}

fn of_server(helper: &Helper, means: &Means, profile: &Profile) -> Check {
    if profile.level < Level::S2 {
        // Nothing is forbidden that could be tried.
        let held = means.settle(profile).map_or_else(|none| none.to_string(), |held| held.to_string());
        return Check::ok("sandbox", format!("it is kept at {held}"));
    }
    let observed = match observe(helper, profile) {
        Ok(observed) => observed,
        Err(LaunchError::Unavailable(none)) => {
            return Check::fail("sandbox", format!("it cannot be started: {}", none.why), none.hint);
        }
        Err(error) => return Check::fail("sandbox", format!("its bounds cannot be tried: {error}"), String::new()),
    };
    match observed::told(&observed) {
        Err(breach) => Check::fail("sandbox", breach, "do not trust the sandbox of this machine"),
        Ok(text) if observed.effective.degraded() => {
            let text = format!("it will run at less than {}, at {text}", profile.level);
            Check::warn("sandbox", text, "see `allow_degraded` in its `sandbox`")
        }
        Ok(text) => Check::ok("sandbox", format!("it is kept at {text}")),
    }
}
