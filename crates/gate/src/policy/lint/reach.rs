//! Rules that can never decide: by themselves, or because another one of their layer always wins.

use super::{Finding, Level};
use crate::policy::arguments::Found;
use crate::policy::host::HostPattern;
use crate::policy::model::{ArgPath, Layer, Outcome, Predicate, Rule, When};
use crate::policy::pattern::{covers, is_exact};
use crate::policy::predicate::{Fit, Lookups, Surroundings, Test};
use serde_json::Value;
use std::collections::HashMap;

/// Why a rule cannot match, if that is to be seen from itself.
pub(super) fn never(rule: &Rule) -> Option<String> {
    let empty = rule.args.iter().find_map(|(path, predicate)| hopeless(predicate).map(|why| (path, why)));
    let why = empty.or_else(|| contradiction(rule))?;
    Some(format!("can never match: argument `{}` {}", why.0.0.join("."), why.1))
}

/// Why nothing can fit a predicate.
fn hopeless(predicate: &Predicate) -> Option<&'static str> {
    let none = "is to be one of no values";
    match predicate {
        Predicate::In(values) if values.is_empty() => Some(none),
        Predicate::Glob(texts) | Predicate::HostIn(texts) if texts.is_empty() => Some(none),
        Predicate::Under(roots) if roots.is_empty() => Some(none),
        Predicate::HostIn(texts) => {
            let host = |text: &String| !matches!(HostPattern::new(text), HostPattern::Nothing);
            (!texts.iter().all(host)).then_some("is to have a host that is none (a host has no scheme, port or path)")
        }
        Predicate::Length { min: Some(min), max: Some(max) } if min > max => Some("has an empty range of lengths"),
        Predicate::Range { min: Some(min), max: Some(max) } if min > max => Some("has an empty range"),
        Predicate::Range { min, max } if [min, max].iter().any(|end| end.is_some_and(f64::is_nan)) => {
            Some("has a range with an end that is no number")
        }
        Predicate::Equals(_)
        | Predicate::In(_)
        | Predicate::Glob(_)
        | Predicate::Under(_)
        | Predicate::Length { .. }
        | Predicate::Range { .. }
        | Predicate::Absent(_) => None,
    }
}

/// An argument of which a rule asks two things that exclude each other. For an `ask` or a `deny` values that cannot
/// be judged may fit both, so that only absence is looked at.
fn contradiction(rule: &Rule) -> Option<(&ArgPath, &'static str)> {
    rule.args.iter().find_map(|(path, predicate)| {
        let others = || rule.args.iter().filter(|(other, also)| other == path && !std::ptr::eq(also, predicate));
        let excludes = match predicate {
            Predicate::Absent(true) => others().any(|(_, also)| *also != Predicate::Absent(true)),
            Predicate::Equals(value) if rule.outcome == Outcome::Allow => {
                others().any(|(_, also)| !may_be(also, std::slice::from_ref(value)))
            }
            Predicate::In(values) if rule.outcome == Outcome::Allow => others().any(|(_, also)| !may_be(also, values)),
            _ => false,
        };
        excludes.then_some((path, "is asked two things that exclude each other"))
    })
}

/// Whether one of these values fits. Where paths lead is not known here, so that any text may be under a root.
fn may_be(predicate: &Predicate, values: &[Value]) -> bool {
    if matches!(predicate, Predicate::Under(_)) {
        return values.iter().any(Value::is_string);
    }
    let nowhere = Surroundings { workspace: Default::default(), paths: None };
    let test = Test::new(predicate);
    values.iter().any(|value| {
        let raw = serde_json::value::to_raw_value(value);
        raw.is_ok_and(|raw| test.fit(&Found::of(&raw), &nowhere, &Lookups::default()) == Fit::Yes)
    })
}

/// Rules of one layer that another of it always overrules, or already says.
pub(super) fn covered(layer: Layer, rules: &[Rule]) -> Vec<Finding> {
    let mut shelves: HashMap<Shelf<'_>, Vec<usize>> = HashMap::new();
    for (number, rule) in rules.iter().enumerate() {
        if layer == Layer::Managed && rule.outcome == Outcome::Allow {
            continue;
        }
        for server in shelf(&rule.server) {
            for tool in shelf(&rule.tool) {
                shelves.entry((server, tool)).or_default().push(number);
            }
        }
    }
    let finding = |(number, rule): (usize, &Rule)| {
        let wider = wider_shelves(rule).into_iter().filter_map(|shelf| shelves.get(&shelf)).flatten();
        let winner = wider.map(|other| (*other, &rules[*other])).find(|other| wins(*other, (number, rule)))?.1;
        let (id, place) = (&winner.id.0, &winner.place);
        let why = match winner.outcome == rule.outcome {
            true => format!("`{id}` ({place}) says the same of all that it matches"),
            false => format!("`{id}` ({place}) matches all that it matches, and {} wins", winner.outcome.word()),
        };
        Some(Finding::of(Level::Error, rule, format!("can never decide anything: {why}")))
    };
    rules.iter().enumerate().filter_map(finding).collect()
}

/// A server and a tool that a rule names exactly, `None` where it has a pattern.
type Shelf<'a> = (Option<&'a str>, Option<&'a str>);

fn exact(pattern: &str) -> Option<&str> {
    is_exact(pattern).then_some(pattern)
}

fn shelf(patterns: &[String]) -> Vec<Option<&str>> {
    if patterns.is_empty() { vec![None] } else { patterns.iter().map(|pattern| exact(pattern)).collect() }
}

/// Where a rule that covers this one has to lie: whatever covers all of it covers its first name.
fn wider_shelves(rule: &Rule) -> Vec<Shelf<'_>> {
    let first = |patterns| -> Vec<Option<&str>> {
        let patterns: &Vec<String> = patterns;
        let named = patterns.first().and_then(|pattern| exact(pattern)).map(Some);
        named.into_iter().chain([None]).collect()
    };
    let (servers, tools) = (first(&rule.server), first(&rule.tool));
    servers.iter().flat_map(|server| tools.iter().map(move |tool| (*server, *tool))).collect()
}

/// Of two that say the same of the same the first one stays.
fn wins((at, winner): (usize, &Rule), (number, rule): (usize, &Rule)) -> bool {
    if at == number || winner.outcome < rule.outcome || !is_wider(winner, rule) {
        return false;
    }
    winner.outcome > rule.outcome || at < number || !is_wider(rule, winner)
}

/// Whether `wide` matches all that `narrow` matches.
fn is_wider(wide: &Rule, narrow: &Rule) -> bool {
    let all = |wide: &[String], narrow: &[String]| {
        let some = |pattern: &String| wide.iter().any(|wide| covers(wide, pattern));
        wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(some))
    };
    let any = |wide: &[String], narrow: &[String]| all(wide, narrow) || wide.iter().any(|pattern| pattern == "*");
    any(&wide.principal, &narrow.principal)
        && any(&wide.server, &narrow.server)
        && all(&wide.tool, &narrow.tool)
        && wide.args.iter().all(|part| narrow.args.contains(part))
        && is_weaker(&wide.when, &narrow.when, &all)
}

/// Whether the conditions `wide` hold wherever `narrow` do.
fn is_weaker(wide: &When, narrow: &When, all: &dyn Fn(&[String], &[String]) -> bool) -> bool {
    let flag = |wide: Option<bool>, narrow: Option<bool>| wide.is_none() || wide == narrow;
    flag(wide.read_only, narrow.read_only)
        && flag(wide.high_impact, narrow.high_impact)
        && flag(wide.tainted, narrow.tainted)
        && all(&wide.workspace, &narrow.workspace)
        && (wide.team.is_empty() || (!narrow.team.is_empty() && narrow.team.iter().all(|t| wide.team.contains(t))))
}
