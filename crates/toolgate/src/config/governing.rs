//! Reading `[policy]`, `[approvals]`, `[data]` and `[audit]`, as one file says them: what it does not say stays open
//! until [`super::resolve`] decides it. What managed files may do with the result is `managed`'s.

use std::time::Duration;

use gate::mask::NationalId;
use gate::policy::Rule;

use super::fields::{Fields, FromNode};
use super::govern::{Approvals, Audit, AuditArgs, Data, DataPattern, Detect, ServerData};
use super::node::{Node, Table};
use super::place::Problem;
use super::rules::{self, Author};

/// `[policy]` of one or more files.
#[derive(Debug, Default)]
pub(super) struct WrittenPolicy {
    pub(super) rules: Vec<Rule>,
    pub(super) high_impact: Vec<String>,
    pub(super) require_decisions: bool,
}

impl WrittenPolicy {
    /// Adds what `table`, a whole file, says under `policy` and `governance`. Every mistake in it is found.
    pub(super) fn add(&mut self, table: &Table, author: Author<'_>) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(node) = table.get("governance") {
            problems.extend(self.governance(node.clone()).err());
        }
        if let Some(node) = table.get("policy") {
            problems.extend(self.policy(node.clone(), author, &mut Vec::new()));
        }
        problems
    }

    fn governance(&mut self, node: Node) -> Result<(), Problem> {
        let mut fields = Fields::of("governance", node)?;
        self.require_decisions |= fields.or("require_decisions", false)?;
        fields.finish(&["require_decisions"])
    }

    fn policy(&mut self, node: Node, author: Author<'_>, problems: &mut Vec<Problem>) -> Vec<Problem> {
        let mut fields = match Fields::of("policy", node) {
            Ok(fields) => fields,
            Err(problem) => return vec![problem],
        };
        if let Some(node) = fields.node("rules") {
            problems.extend(rules::read(node, author, &mut self.rules));
        }
        problems.extend(self.switches(&mut fields).err());
        problems.extend(fields.finish(&["rules", "high_impact", "require_decisions"]).err());
        std::mem::take(problems)
    }

    /// The settings of `[policy]` that are no rules; a managed file may have them at its top too.
    pub(super) fn switches(&mut self, fields: &mut Fields) -> Result<(), Problem> {
        self.high_impact.extend(rules::patterns(fields, "high_impact")?);
        self.require_decisions |= fields.or("require_decisions", false)?;
        Ok(())
    }
}

/// `[approvals]` of one file.
#[derive(Debug, Default)]
pub(super) struct WrittenApprovals {
    pub(super) by_client: Option<bool>,
    pub(super) timeout: Option<Duration>,
    notify: Option<bool>,
}

pub(super) const APPROVALS: [&str; 3] = ["by_client", "timeout_sec", "notify"];

impl WrittenApprovals {
    pub(super) fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let (by_client, notify) = (fields.get("by_client")?, fields.get("notify")?);
        Ok(Self { by_client, timeout: fields.get("timeout_sec")?, notify })
    }

    pub(super) fn decided(self) -> Approvals {
        let default = Approvals::default();
        Approvals {
            by_client: self.by_client.unwrap_or(default.by_client),
            timeout: self.timeout.unwrap_or(default.timeout),
            timeout_written: self.timeout.is_some(),
            notify: self.notify.unwrap_or(default.notify),
        }
    }
}

/// `[data]` of one file.
#[derive(Debug, Default)]
pub(super) struct WrittenData {
    pub(super) detect: Option<Detect>,
    pub(super) allow: Option<Vec<String>>,
    pub(super) handles: Option<bool>,
    pub(super) patterns: Vec<DataPattern>,
    pub(super) national_ids: Vec<String>,
}

pub(super) const DATA: [&str; 5] = ["detect", "allow", "handles", "patterns", "national_ids"];

impl WrittenData {
    pub(super) fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let patterns = fields.or::<Vec<Node>>("patterns", Vec::new())?;
        Ok(Self {
            detect: fields.get("detect")?,
            allow: fields.get("allow")?,
            handles: fields.get("handles")?,
            patterns: patterns.into_iter().map(data_pattern).collect::<Result<_, _>>()?,
            national_ids: national_ids(fields)?,
        })
    }

    pub(super) fn decided(self) -> Data {
        Data {
            detect: self.detect.unwrap_or_default(),
            allow: self.allow.unwrap_or_default(),
            handles: self.handles.unwrap_or_default(),
            patterns: self.patterns,
            national_ids: self.national_ids,
        }
    }
}

fn national_ids(fields: &mut Fields) -> Result<Vec<String>, Problem> {
    let place = fields.place_of("national_ids");
    let names = fields.or::<Vec<String>>("national_ids", Vec::new())?;
    match names.iter().find(|name| NationalId::named(name).is_none()) {
        None => Ok(names),
        Some(other) => {
            let problem = Problem::new(&place, format!("`national_ids`: no number is called `{other}`"));
            Err(problem.hint(format!("there are `{}`", NationalId::names().join("`, `"))))
        }
    }
}

fn data_pattern(node: Node) -> Result<DataPattern, Problem> {
    let place = node.place.clone();
    let mut fields = Fields::of("data.patterns", node).map_err(|problem| problem.in_key("patterns"))?;
    let at = fields.place_of("pattern");
    let missing = |key: &str| Problem::new(&place, format!("`data.patterns`: `{key}` is missing"));
    let name: String = fields.get("name")?.ok_or_else(|| missing("name"))?;
    let pattern: String = fields.get("pattern")?.ok_or_else(|| missing("pattern"))?;
    fields.finish(&["name", "pattern"])?;
    check_pattern(&pattern).map_err(|why| Problem::new(&at, format!("`pattern` of `{name}`: {why}")))?;
    Ok(DataPattern { name, pattern, place })
}

/// Whether `pattern` is a regular expression of a bearable size that does not match everywhere.
fn check_pattern(pattern: &str) -> Result<(), String> {
    let built = regex::bytes::RegexBuilder::new(pattern).unicode(false).size_limit(1 << 20).build();
    match built {
        Err(error) => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            Err(format!("no regular expression: {}", last.trim_start_matches("error: ")))
        }
        Ok(regex) if regex.is_match(b"") => Err("matches the empty text, so it would match everywhere".to_owned()),
        Ok(_) => Ok(()),
    }
}

/// `[mcp_servers.NAME.data]`; what it leaves open is as in `[data]`.
pub(super) fn server_data(fields: &mut Fields, default: &Data) -> Result<ServerData, Problem> {
    Ok(ServerData {
        detect: fields.or("detect", default.detect)?,
        allow: fields.get("allow")?.unwrap_or_else(|| default.allow.clone()),
        handles: fields.or("handles", default.handles)?,
        restore: rules::patterns(fields, "restore")?,
    })
}

/// `[audit]` of one file.
#[derive(Debug, Default)]
pub(super) struct WrittenAudit {
    pub(super) args: Option<AuditArgs>,
    pub(super) retention_days: Option<usize>,
    pub(super) max_bytes: Option<usize>,
    pub(super) strict: Option<bool>,
    pub(super) reads_when_broken: Option<bool>,
}

pub(super) const AUDIT: [&str; 5] = ["args", "retention_days", "max_bytes", "strict", "reads_when_broken"];

impl WrittenAudit {
    pub(super) fn read(fields: &mut Fields) -> Result<Self, Problem> {
        Ok(Self {
            args: fields.get("args")?,
            retention_days: fields.get("retention_days")?,
            max_bytes: fields.get("max_bytes")?,
            strict: fields.get("strict")?,
            reads_when_broken: fields.get("reads_when_broken")?,
        })
    }

    pub(super) fn decided(self) -> Audit {
        Audit {
            args: self.args.unwrap_or_default(),
            retention_days: self.retention_days,
            max_bytes: self.max_bytes,
            strict: self.strict.unwrap_or_default(),
            reads_when_broken: self.reads_when_broken.unwrap_or_default(),
        }
    }
}

/// Reads the table `key` of a whole file, if it is there; nothing in it may be left over.
pub(super) fn strictly<T: Default>(
    table: &Table,
    key: &str,
    known: &[&str],
    read: fn(&mut Fields) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let Some(node) = table.get(key) else {
        return Ok(T::default());
    };
    let mut fields = Fields::of(key, Node::from_node(node.clone())?)?;
    let value = read(&mut fields)?;
    fields.finish(known)?;
    Ok(value)
}
