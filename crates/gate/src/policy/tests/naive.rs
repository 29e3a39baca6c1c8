//! The meaning of policy, written down a second time: slowly, rule by rule, from the words of the documents alone.
//! It knows the names that `generate` makes up, so that nothing is shared with what it is compared with.

use super::generate::{HIGH_IMPACT, host_in_words};
use super::*;
use serde_json::Value;
use std::cmp::Reverse;

/// What becomes of a call, and by which rule.
pub(super) fn decide(source: &PolicySource, case: &Case<'_>) -> (Outcome, String) {
    let (item, tool) = (case.item, &*case.item.raw);
    let Some(said) = source.servers.get(&item.server) else { return (Outcome::Deny, "no rule".to_owned()) };
    let declared: Vec<Declared> = said.declared.iter().filter(|(p, _)| matches(p, tool)).map(|(_, d)| *d).collect();
    let words = HIGH_IMPACT.contains(&tool) || source.high_impact.iter().any(|p| matches(p, tool));
    let managed = source.managed_high_impact.iter().any(|p| matches(p, tool));
    let high = managed || declared.iter().find_map(|d| d.high_impact).unwrap_or(words);
    let believed = said.trusted && item.facts.read_only == Some(true) && item.facts.destructive != Some(true);
    let reads = declared.iter().find_map(|d| d.read_only).unwrap_or(believed);
    let harmless = said.trusted && item.facts.destructive == Some(false) && item.facts.open_world == Some(false);
    let strictest = |rules: &[Rule], allows: bool| {
        let matching = rules.iter().filter(|r| allows || r.outcome != Outcome::Allow);
        let matching: Vec<&Rule> = matching.filter(|r| fits(r, source, case, reads, high)).collect();
        let strictest = matching.iter().map(|r| r.outcome).max()?;
        matching.iter().find(|r| r.outcome == strictest).map(|r| (strictest, r.id.0.to_string()))
    };
    let own = said.tool_modes.get(tool);
    let mode = own.copied().or(said.default_mode);
    let key = if own.is_some() { format!("tools.{tool}.approval_mode") } else { "default_tools_approval_mode".into() };
    let rest = if let Some(barred) = &said.barred {
        (Outcome::Deny, barred.rule.0.to_string())
    } else if said.disabled_tools.iter().any(|p| matches(p, tool)) {
        (Outcome::Deny, format!("mcp_servers.{}.disabled_tools", item.server))
    } else if said.enabled_tools.as_ref().is_some_and(|list| !list.iter().any(|p| matches(p, tool))) {
        (Outcome::Deny, format!("mcp_servers.{}.enabled_tools", item.server))
    } else if said.read_only && !reads {
        (Outcome::Deny, format!("mcp_servers.{}.read_only", item.server))
    } else if mode == Some(Mode::Deny) {
        (Outcome::Deny, format!("mcp_servers.{}.{key} = deny", item.server))
    } else {
        let by_mode = || match mode {
            None if reads => (Outcome::Allow, "shipped: read-only tools run".to_owned()),
            None => (Outcome::Ask, "shipped: the rest asks".to_owned()),
            Some(mode) => {
                let runs = mode == Mode::Approve
                    || (mode == Mode::Writes && reads)
                    || (mode == Mode::Auto && (reads || harmless));
                let outcome = if runs { Outcome::Allow } else { Outcome::Ask };
                (outcome, format!("mcp_servers.{}.{key} = {}", item.server, mode.word()))
            }
        };
        match strictest(&source.rules, true).unwrap_or_else(by_mode) {
            (Outcome::Allow, rule) if high => (Outcome::Ask, format!("{rule}; shipped: high-impact tools ask")),
            other => other,
        }
    };
    let both = strictest(&source.managed, false).into_iter().chain([rest]);
    both.min_by_key(|(outcome, _)| Reverse(*outcome)).expect("there is always a rest")
}

fn fits(rule: &Rule, source: &PolicySource, case: &Case<'_>, reads: bool, high: bool) -> bool {
    let any = |list: &[String], name: &str| list.is_empty() || list.iter().any(|p| matches(p, name));
    let flag = |wanted: Option<bool>, is: bool| wanted.unwrap_or(is) == is;
    let team = |team: &String| source.team.as_ref() == Some(team);
    any(&rule.principal, case.by.word())
        && any(&rule.server, case.item.server.as_str())
        && any(&rule.tool, &case.item.raw)
        && flag(rule.when.read_only, reads)
        && flag(rule.when.high_impact, high)
        && flag(rule.when.tainted, case.tainted)
        && any(&rule.when.workspace, &source.workspace.to_string_lossy())
        && (rule.when.team.is_empty() || rule.when.team.iter().any(team))
        && rule.args.iter().all(|(path, predicate)| {
            let all: Value = serde_json::from_slice(case.arguments.unwrap()).unwrap();
            judge(predicate, &all, &path.0).unwrap_or(rule.outcome != Outcome::Allow)
        })
}

/// `None` for what cannot be judged.
fn judge(predicate: &Predicate, all: &Value, path: &[String]) -> Option<bool> {
    let mut found = Some(all);
    for key in path {
        found = match found {
            Some(Value::Object(members)) => members.get(key),
            Some(Value::Array(elements)) => elements.get(key.parse::<usize>().ok()?),
            Some(_) => return None,
            None => None,
        };
    }
    if let Predicate::Absent(absent) = predicate {
        return Some(found.is_none() == *absent);
    }
    let Some(found) = found else { return Some(false) };
    let text = found.as_str();
    match predicate {
        Predicate::Equals(value) => same(value, found).then_some(true).or(like(value, found).then_some(false)),
        Predicate::In(values) if values.is_empty() || values.iter().any(|v| same(v, found)) => Some(!values.is_empty()),
        Predicate::In(values) => values.iter().any(|v| like(v, found)).then_some(false),
        Predicate::Glob(globs) => text.map(|text| globs.iter().any(|g| matches(g, text))),
        Predicate::Under(roots) => {
            let text = text.filter(|text| !text.is_empty() && !text.starts_with('~') && !text.contains(':'))?;
            let text = if text.starts_with('/') { text.to_owned() } else { format!("/work/{text}") };
            let mut parts = Vec::new();
            for part in text.split('/').filter(|part| !part.is_empty() && *part != ".") {
                if part == ".." {
                    parts.pop()?;
                } else {
                    parts.push(part);
                }
            }
            let path = format!("/{}/", parts.join("/"));
            Some(roots.iter().any(|root| path.starts_with(&format!("{}/", root.display()))))
        }
        Predicate::HostIn(hosts) => host_in_words(text?).map(|host| {
            let fits = |h: &String| h.strip_prefix('*').map_or(*h == host, |end| host.ends_with(end));
            hosts.iter().any(fits)
        }),
        Predicate::Length { min, max } => {
            let length = match found {
                Value::String(text) => text.chars().count(),
                Value::Array(list) => list.len(),
                Value::Object(object) => object.len(),
                _ => return None,
            } as u64;
            Some(min.is_none_or(|min| length >= min) && max.is_none_or(|max| length <= max))
        }
        Predicate::Range { min, max } => {
            found.as_f64().map(|n| min.is_none_or(|min| n >= min) && max.is_none_or(|max| n <= max))
        }
        Predicate::Absent(_) => unreachable!("looked at above"),
    }
}

/// Small numbers alone are made up, so that a float tells them apart.
fn same(wanted: &Value, found: &Value) -> bool {
    match (wanted.as_f64(), found.as_f64()) {
        (Some(wanted), Some(found)) => wanted == found,
        _ => wanted == found,
    }
}

fn like(wanted: &Value, found: &Value) -> bool {
    std::mem::discriminant(wanted) == std::mem::discriminant(found)
}
