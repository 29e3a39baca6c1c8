//! The five decisions of a server's entry: scope, tools, data, auth and audit; and whether it may be used here at all.

use std::path::Path;

use super::fields::Fields;
use super::govern::{AuthModel, Barred, Decided, PolicySettings, Scope, ServerData};
use super::governing;
use super::place::Problem;
use super::rules::{self, at_home, homeless};
use super::server::Context;

/// What an entry says beside how its server is reached.
pub(super) struct Decisions {
    pub(super) scope: Scope,
    pub(super) data: ServerData,
    pub(super) auth_model: AuthModel,
    pub(super) audit_sink: String,
}

/// The one sink there is.
const LEDGER: &str = "ledger";

/// Takes `auth` where it is ours: Codex has a text of that name.
pub(super) fn auth(name: &str, fields: &mut Fields, warnings: &mut Vec<Problem>) -> Result<Option<AuthModel>, Problem> {
    let Some(node) = fields.table("auth") else {
        return Ok(None);
    };
    let mut auth = Fields::of(format!("mcp_servers.{name}.auth"), node)?;
    let model = auth.get("model")?;
    warnings.extend(auth.unknown(&["model"]));
    Ok(model)
}

/// How a problem begins that is a decision nobody took.
pub const UNDECIDED: &str = "`require_decisions` is on";

/// Takes the decisions and checks that none is missing where all are required.
pub(super) fn read(
    name: &str,
    fields: &mut Fields,
    auth_model: Option<AuthModel>,
    context: &Context<'_>,
    warnings: &mut Vec<Problem>,
) -> Result<Decisions, Problem> {
    let decided = Decided {
        scope: fields.has("scope"),
        tools: fields.has("enabled_tools"),
        data: fields.has("data"),
        auth: auth_model.is_some(),
        audit: fields.has("audit"),
    };
    let scope = scope(name, fields, context)?;
    let data = data(name, fields, context, warnings)?;
    let sink = sink(name, fields, warnings)?;
    let decided = Decided { scope: decided.scope && scope != Scope::default(), audit: sink.is_some(), ..decided };
    if context.policy.require_decisions {
        require(decided, fields)?;
    }
    let audit_sink = sink.unwrap_or_else(|| LEDGER.to_owned());
    Ok(Decisions { scope, data, auth_model: auth_model.unwrap_or_default(), audit_sink })
}

fn require(decided: Decided, fields: &Fields) -> Result<(), Problem> {
    let missing = decided.missing();
    if missing.is_empty() {
        return Ok(());
    }
    let (names, settings): (Vec<_>, Vec<_>) =
        missing.into_iter().map(|(name, setting)| (format!("`{name}`"), setting)).unzip();
    let message = format!("{UNDECIDED}, and not decided: {}", names.join(", "));
    Err(Problem::new(fields.place(), message).hint(format!("set {}", settings.join(", "))))
}

fn scope(name: &str, fields: &mut Fields, context: &Context<'_>) -> Result<Scope, Problem> {
    let Some(node) = fields.node("scope") else {
        return Ok(Scope::default());
    };
    let mut fields = Fields::of(format!("mcp_servers.{name}.scope"), node)?;
    let place = fields.place_of("workspaces");
    let workspaces = rules::patterns(&mut fields, "workspaces")?;
    let workspaces = workspaces.into_iter().map(|pattern| at_home(pattern, context.env.filled("HOME")));
    let workspaces = workspaces.collect::<Option<_>>().ok_or_else(|| homeless(&place))?;
    let teams = rules::patterns(&mut fields, "teams")?;
    fields.finish(&["workspaces", "teams"])?;
    Ok(Scope { workspaces, teams })
}

fn data(
    name: &str,
    fields: &mut Fields,
    context: &Context<'_>,
    warnings: &mut Vec<Problem>,
) -> Result<ServerData, Problem> {
    let node = fields.node("data");
    let place = fields.place().clone();
    let node = node.unwrap_or(super::node::Node { place, value: super::node::Value::Table(Default::default()) });
    let mut fields = Fields::of(format!("mcp_servers.{name}.data"), node)?;
    let data = governing::server_data(&mut fields, context.data)?;
    warnings.extend(fields.unknown(&["detect", "allow", "handles", "restore"]));
    Ok(context.managed.server_data(data))
}

fn sink(name: &str, fields: &mut Fields, warnings: &mut Vec<Problem>) -> Result<Option<String>, Problem> {
    let Some(node) = fields.node("audit") else {
        return Ok(None);
    };
    let mut fields = Fields::of(format!("mcp_servers.{name}.audit"), node)?;
    let place = fields.place_of("sink");
    let sink = fields.get::<String>("sink")?;
    if let Some(other) = sink.as_deref().filter(|sink| *sink != LEDGER) {
        let message =
            format!("`audit.sink`: there is no sink `{}`; calls are recorded in the ledger", other.escape_debug());
        warnings.push(Problem::new(&place, message).hint(format!("write `sink = \"{LEDGER}\"`")));
    }
    warnings.extend(fields.unknown(&["sink"]));
    Ok(sink)
}

/// Why a server may not be used in this workspace by this team, if its scope says so.
pub(super) fn out_of_scope(name: &str, scope: &Scope, policy: &PolicySettings) -> Option<Barred> {
    let barred = |why: String| Some(Barred { rule: format!("mcp_servers.{name}.scope"), why, reason: "out_of_scope" });
    if !scope.workspaces.is_empty() && !scope.workspaces.iter().any(|pattern| holds(pattern, &policy.workspace)) {
        return barred(format!("it may not be used in {} (`scope.workspaces`)", policy.workspace.display()));
    }
    if scope.teams.is_empty() {
        return None;
    }
    match &policy.team {
        Some(team) if scope.teams.contains(team) => None,
        Some(team) => barred(format!("it may not be used by the team `{}` (`scope.teams`)", team.escape_debug())),
        None => barred("it may be used by certain teams only (`scope.teams`), and CODEX_TEAM is not set".to_owned()),
    }
}

/// Whether a directory is at or below one that fits `pattern`.
fn holds(pattern: &str, workspace: &Path) -> bool {
    let pattern = if pattern == "/" { pattern } else { pattern.trim_end_matches('/') };
    let real = Path::new(pattern).canonicalize().ok();
    workspace
        .ancestors()
        .any(|dir| real.as_deref() == Some(dir) || dir.to_str().is_some_and(|dir| gate::policy::matches(pattern, dir)))
}
