//! Names of servers and tools that are none, and tools that are named in vain.

use super::{Finding, Level};
use crate::catalog::Item;
use crate::policy::matches;
use crate::policy::model::{Layer, Mode, PolicySource, Rule, RuleId, ServerRules};
use crate::policy::pattern::{covers, is_exact};
use crate::words::ServerName;

/// The servers that toolgate has itself; rules may name them whether or not they are switched on.
const BUILTIN: [&str; 2] = ["workspace", "codex"];

/// Servers that a rule names and nobody configured. A managed file is written for many people, not all of whom have
/// all servers, so that it is only warned of.
pub(super) fn servers(source: &PolicySource, layer: Layer, rule: &Rule) -> Vec<Finding> {
    let level = if layer == Layer::Managed { Level::Warning } else { Level::Error };
    let fits = |pattern: &str| {
        let known = source.servers.keys().map(ServerName::as_str).chain(BUILTIN);
        pattern == "*" || known.into_iter().any(|name| matches(pattern, name))
    };
    let unknown = rule.server.iter().filter(|pattern| !fits(pattern));
    let text = |pattern: &String| match is_exact(pattern) {
        true => format!("names the server `{pattern}`, which is not configured"),
        false => format!("no configured server fits `{pattern}`"),
    };
    unknown.map(|pattern| Finding::of(level, rule, text(pattern))).collect()
}

/// Tools that a rule names and none of its servers has, where all of its servers were seen.
pub(super) fn tools(source: &PolicySource, rule: &Rule, known: &[&Item]) -> Vec<Finding> {
    let concerns = |server: &&ServerName| {
        rule.server.is_empty() || rule.server.iter().any(|pattern| matches(pattern, server.as_str()))
    };
    let servers: Vec<&ServerName> = source.servers.keys().filter(concerns).collect();
    let seen = |server: &&ServerName| known.iter().any(|item| item.server == **server);
    if servers.is_empty() || !servers.iter().all(seen) {
        return Vec::new();
    }
    let has =
        |pattern: &&String| known.iter().any(|item| servers.contains(&&item.server) && matches(pattern, &item.raw));
    let unknown = rule.tool.iter().filter(|pattern| !has(pattern));
    unknown.map(|pattern| Finding::of(Level::Warning, rule, format!("no tool fits `{pattern}`"))).collect()
}

/// What denies everything that a rule matches, if it names servers and tools one by one.
pub(super) fn taken_away(source: &PolicySource, rule: &Rule) -> Option<String> {
    let names = |patterns: &[String]| !patterns.is_empty() && patterns.iter().all(|pattern| is_exact(pattern));
    if !names(&rule.server) || !names(&rule.tool) {
        return None;
    }
    let away = |server: &str, tool: &str| -> Option<String> {
        let said = source.servers.get(&ServerName::from(server))?;
        let own = said.tool_modes.get(tool).map(|mode| (*mode, format!("tools.{tool}.approval_mode = deny")));
        let default = || said.default_mode.map(|mode| (mode, "default_tools_approval_mode = deny".to_owned()));
        let by_mode = || own.or_else(default).filter(|(mode, _)| *mode == Mode::Deny).map(|(_, key)| key);
        let key = said.unlisted(tool).map(str::to_owned).or_else(by_mode)?;
        Some(format!("mcp_servers.{server}.{key}"))
    };
    let pairs = rule.server.iter().flat_map(|server| rule.tool.iter().map(move |tool| away(server, tool)));
    pairs.collect::<Option<Vec<String>>>()?.into_iter().next()
}

/// What servers' own lists and tables name in vain.
pub(super) fn lists(source: &PolicySource, known: &[&Item]) -> Vec<Finding> {
    let mut servers: Vec<(&ServerName, &ServerRules)> = source.servers.iter().collect();
    servers.sort_by_key(|(name, _)| *name);
    servers.into_iter().flat_map(|(name, said)| of_server(name, said, known)).collect()
}

fn of_server(name: &ServerName, said: &ServerRules, known: &[&Item]) -> Vec<Finding> {
    let tools: Vec<&str> = known.iter().filter(|item| item.server == *name).map(|item| &*item.raw).collect();
    let finding = |key: &str, text: String| Finding {
        level: Level::Warning,
        rule: RuleId(format!("mcp_servers.{name}.{key}").into()),
        place: String::new(),
        text,
    };
    let mut modes: Vec<&String> = said.tool_modes.keys().collect();
    modes.sort();
    let enabled = said.enabled_tools.iter().flatten().map(|pattern| ("enabled_tools", pattern));
    let disabled = said.disabled_tools.iter().map(|pattern| ("disabled_tools", pattern));
    let tables = modes.iter().map(|tool| ("tools", *tool)).chain(said.declared.iter().map(|(tool, _)| ("tools", tool)));
    let unknown = |pattern: &str| !tools.is_empty() && !tools.iter().any(|tool| matches(pattern, tool));
    let mut findings: Vec<Finding> = enabled
        .clone()
        .chain(disabled)
        .chain(tables)
        .filter(|(_, pattern)| unknown(pattern))
        .map(|(key, pattern)| finding(key, format!("server `{name}` has no tool that fits `{pattern}`")))
        .collect();
    let gone = |pattern: &str| said.disabled_tools.iter().find(|wide| covers(wide, pattern));
    findings.extend(enabled.filter_map(|(key, pattern)| {
        gone(pattern).map(|by| finding(key, format!("`{pattern}` is taken away again by `{by}` of `disabled_tools`")))
    }));
    findings.extend(modes.iter().filter_map(|tool| {
        let list = said.unlisted(tool)?;
        Some(finding("tools", format!("`{tool}` has a mode and is taken away by `{list}`")))
    }));
    findings
}
