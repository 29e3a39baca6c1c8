//! What managed files demand. They add to each other, and none of them can be relaxed by anything a user writes.

use std::path::{Path, PathBuf};

use super::fields::Fields;
use super::govern::{Approvals, Audit, Barred, Data, Detect, ServerData};
use super::governing::{APPROVALS, AUDIT, DATA, WrittenApprovals, WrittenAudit, WrittenData, WrittenPolicy, strictly};
use super::identity::AllowList;
use super::managed_files::{Dialect, ManagedFile};
use super::node::Table;
use super::place::{Problem, similar};
use super::rules::Author;
use super::types::Transport;

/// What all managed files demand together.
#[derive(Debug, Default)]
pub(super) struct Managed {
    pub(super) policy: WrittenPolicy,
    pub(super) team: Option<String>,
    approvals: Vec<WrittenApprovals>,
    data: Vec<WrittenData>,
    audit: Vec<WrittenAudit>,
    lists: Vec<(PathBuf, AllowList)>,
}

const KEYS: [&str; 9] =
    ["policy", "governance", "require_decisions", "high_impact", "team", "data", "audit", "approvals", "mcp_servers"];

impl Managed {
    /// Adds a file. Every mistake in it is found; with any of them nothing may run.
    pub(super) fn add(&mut self, file: ManagedFile, home: Option<&str>) -> Vec<Problem> {
        let ManagedFile { path, dialect, table, problems } = file;
        if !problems.is_empty() {
            return problems;
        }
        let mut problems = self.policy.add(&table, Author { managed: true, home });
        problems.extend(self.top(&table).err());
        problems.extend(self.sections(&table).err());
        problems.extend(self.list(&path, &table).err());
        if dialect == Dialect::Toolgate {
            problems.extend(unknown(&table));
        }
        problems
    }

    fn top(&mut self, table: &Table) -> Result<(), Problem> {
        let top = ["require_decisions", "high_impact", "team"].into_iter();
        let found: Table = top.filter_map(|key| Some((key.to_owned(), table.get(key)?.clone()))).collect();
        let Some(place) = found.values().next().map(|node| node.place.clone()) else {
            return Ok(());
        };
        let node = super::node::Node { place, value: super::node::Value::Table(found) };
        let mut fields = Fields::of("", node)?;
        self.policy.switches(&mut fields)?;
        let team = fields.get("team")?;
        // The file read first, which only an administrator can write, says so for good.
        self.team = self.team.take().or(team);
        Ok(())
    }

    fn sections(&mut self, table: &Table) -> Result<(), Problem> {
        self.approvals.push(strictly(table, "approvals", &APPROVALS, WrittenApprovals::read)?);
        self.data.push(strictly(table, "data", &DATA, WrittenData::read)?);
        self.audit.push(strictly(table, "audit", &AUDIT, WrittenAudit::read)?);
        Ok(())
    }

    fn list(&mut self, path: &Path, table: &Table) -> Result<(), Problem> {
        if let Some(node) = table.get("mcp_servers") {
            self.lists.push((path.to_owned(), AllowList::read(node.clone())?));
        }
        Ok(())
    }

    /// Approvals within what is left open.
    pub(super) fn approvals(&self, mut approvals: Approvals) -> Approvals {
        approvals.by_client &= self.approvals.iter().all(|floor| floor.by_client != Some(false));
        for timeout in self.approvals.iter().filter_map(|floor| floor.timeout) {
            if timeout < approvals.timeout {
                approvals.timeout = timeout;
                approvals.timeout_written = true;
            }
        }
        approvals
    }

    /// `[data]` within what is left open.
    pub(super) fn data(&self, mut data: Data) -> Data {
        for floor in &self.data {
            data.patterns.extend(floor.patterns.iter().cloned());
            data.national_ids.extend(floor.national_ids.iter().cloned());
            floored(floor, &mut data.detect, &mut data.allow, &mut data.handles);
        }
        data.national_ids.sort();
        data.national_ids.dedup();
        data
    }

    /// One server's data within what is left open.
    pub(super) fn server_data(&self, mut data: ServerData) -> ServerData {
        for floor in &self.data {
            floored(floor, &mut data.detect, &mut data.allow, &mut data.handles);
        }
        data
    }

    /// `[audit]` within what is left open.
    pub(super) fn audit(&self, mut audit: Audit) -> Audit {
        for floor in &self.audit {
            audit.args = floor.args.unwrap_or(audit.args);
            audit.retention_days = at_least(audit.retention_days, floor.retention_days);
            audit.max_bytes = at_least(audit.max_bytes, floor.max_bytes);
            audit.strict |= floor.strict == Some(true);
            audit.reads_when_broken &= floor.reads_when_broken != Some(false);
        }
        audit
    }

    /// Why a server may not be used, if a list of allowed servers says so.
    pub(super) fn bar(&self, name: &str, transport: &Transport) -> Option<Barred> {
        let (path, why) = self.lists.iter().find_map(|(path, list)| Some((path, list.objection(name, transport)?)))?;
        Some(Barred {
            rule: format!("requirements ({})", path.display()),
            why: format!("{why} {}", path.display()),
            reason: "requirements",
        })
    }
}

fn floored(floor: &WrittenData, detect: &mut Detect, allow: &mut Vec<String>, handles: &mut bool) {
    *detect = (*detect).max(floor.detect.unwrap_or(Detect::Off));
    if let Some(open) = &floor.allow {
        // A pattern of classes is taken as a text: what covers its stars covers all that they stand for.
        allow.retain(|class| open.iter().any(|open| gate::policy::matches(open, class)));
    }
    *handles &= floor.handles != Some(false);
}

/// A bound that nobody set is above every other: nothing is thrown away.
fn at_least(own: Option<usize>, floor: Option<usize>) -> Option<usize> {
    match (own, floor) {
        (Some(own), Some(floor)) => Some(own.max(floor)),
        (own, _) => own,
    }
}

/// A demand that is not understood cannot be met.
fn unknown(table: &Table) -> Vec<Problem> {
    let others = table.iter().filter(|(key, _)| !KEYS.contains(&key.as_str()));
    others
        .map(|(key, node)| Problem {
            hint: similar(key, KEYS),
            ..Problem::new(&node.place, format!("unknown key `{key}`"))
        })
        .collect()
}
