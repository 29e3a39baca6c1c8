//! One short word for a whole policy. An approval holds for the policy it was given under, a record names its own.

use super::model::{PolicySource, Rule, ServerRules};
use crate::words::ServerName;
use sha2::Digest;
use std::fmt::Write;

/// The same for the same rules, whatever the order of maps. Where a rule stands is not what it says.
pub(super) fn digest(source: &PolicySource) -> String {
    let PolicySource { managed, rules, servers, high_impact, managed_high_impact, workspace, team, paths } = source;
    let mut text = String::new();
    let mut line = |part: std::fmt::Arguments<'_>| writeln!(text, "{part}").expect("a string takes every text");
    managed.iter().for_each(|rule| line(format_args!("managed {}", of_rule(rule))));
    rules.iter().for_each(|rule| line(format_args!("rule {}", of_rule(rule))));
    let mut servers: Vec<(&ServerName, &ServerRules)> = servers.iter().collect();
    servers.sort_by_key(|(name, _)| *name);
    servers.iter().for_each(|(name, said)| line(format_args!("server {name:?} {}", of_server(said))));
    line(format_args!("{high_impact:?} {managed_high_impact:?} {workspace:?} {team:?} {}", paths.is_some()));
    crate::ledger::hex(&sha2::Sha256::digest(text)[..8])
}

fn of_rule(rule: &Rule) -> String {
    let Rule { id, place: _, principal, server, tool, args, when, outcome, reason } = rule;
    format!("{id:?} {principal:?} {server:?} {tool:?} {args:?} {when:?} {outcome:?} {reason:?}")
}

fn of_server(said: &ServerRules) -> String {
    let ServerRules { enabled_tools, disabled_tools, read_only, trusted, default_mode, tool_modes, declared, barred } =
        said;
    let mut modes: Vec<_> = tool_modes.iter().collect();
    modes.sort_by_key(|(tool, _)| *tool);
    format!(
        "{enabled_tools:?} {disabled_tools:?} {read_only} {trusted} {default_mode:?} {modes:?} {declared:?} {barred:?}"
    )
}
