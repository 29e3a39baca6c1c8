//! What is wrong with rules before anybody calls anything: those that can never decide, names of nothing, and what
//! opens more than it seems to.

mod names;
mod reach;

use super::compile::Policy;
use super::model::{Case, Layer, Outcome, PolicySource, Rule, RuleId};
use crate::catalog::Item;
use crate::words::{ItemKind, Principal};
use serde::Serialize;
use std::borrow::Borrow;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The rules cannot have been meant like this: a rule that can never decide, a server that is none.
    Error,
    /// Worth a look.
    Warning,
}

/// Something to be said about a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad.
    pub level: Level,
    /// About which rule, or which key of the configuration.
    pub rule: RuleId,
    /// Where it stands; empty for what is no `[[policy.rules]]`.
    pub place: String,
    /// What is the matter, as a fragment.
    pub text: String,
}

impl Finding {
    fn of(level: Level, rule: &Rule, text: String) -> Self {
        Self { level, rule: rule.id.clone(), place: rule.place.clone(), text }
    }
}

/// What is wrong with `source`. `known` is what servers were seen to offer; a server of which nothing is in it was
/// never seen, and nothing is said of its tools. Errors come first, then by the order of rules.
pub fn lint(source: &PolicySource, known: &[impl Borrow<Item>]) -> Vec<Finding> {
    let known: Vec<&Item> = known.iter().map(Borrow::borrow).filter(|item| item.kind == ItemKind::Tool).collect();
    let mut findings = Vec::new();
    for (layer, rules) in [(Layer::Managed, &source.managed), (Layer::Operator, &source.rules)] {
        for rule in rules {
            findings.extend(reach::never(rule).map(|text| Finding::of(Level::Error, rule, text)));
            findings.extend(names::servers(source, layer, rule));
            findings.extend(names::tools(source, rule, &known));
            findings.extend(in_vain(source, layer, rule));
        }
        findings.extend(reach::covered(layer, rules));
    }
    findings.extend(names::lists(source, &known));
    findings.extend(destructive(source, &known));
    findings.sort_by_key(|finding| finding.level);
    findings
}

/// Allows that allow nothing.
fn in_vain(source: &PolicySource, layer: Layer, rule: &Rule) -> Option<Finding> {
    if rule.outcome == Outcome::Deny {
        return None;
    }
    if rule.outcome == Outcome::Allow && layer == Layer::Managed {
        let text = "allows, and a managed rule can only tighten: it has no effect".to_owned();
        return Some(Finding::of(Level::Warning, rule, text));
    }
    if rule.outcome == Outcome::Allow && rule.when.high_impact == Some(true) {
        let text = "allows tools of high impact, and no allow covers those: it asks".to_owned();
        return Some(Finding::of(Level::Warning, rule, text));
    }
    let away = names::taken_away(source, rule)?;
    let text = format!("can never decide anything: `{away}` denies all that it matches");
    (layer == Layer::Operator).then(|| Finding::of(Level::Error, rule, text))
}

/// Rules that let run, unasked, what its server itself calls destructive.
fn destructive(source: &PolicySource, known: &[&Item]) -> Vec<Finding> {
    let policy = Policy::new(source.clone());
    let claimed = known.iter().filter(|item| item.facts.destructive == Some(true));
    let allowed = claimed.filter_map(|item| {
        let case = Case { by: &Principal::Local, item, arguments: None, tainted: false };
        let decision = policy.decide(&case);
        let rule = source.rules.iter().find(|rule| rule.id == *decision.rule())?;
        let text =
            format!("lets `{}` of server `{}` run unasked, which calls itself destructive", item.raw, item.server);
        (decision.outcome() == Outcome::Allow).then(|| Finding::of(Level::Warning, rule, text))
    });
    allowed.collect()
}

#[cfg(test)]
mod tests;
