//! Why a case is decided as it is: the rule that decided, and for every other what kept it from matching.
//!
//! It walks all rules in the order they were written, without what was prepared for calls; what decided it takes from
//! the same judgement that calls meet.

use super::arguments::{Arguments, Found};
use super::compile::{Compiled, Policy, Server};
use super::decide::Ground;
use super::decision::Decision;
use super::model::{Case, Class, Layer, Outcome, RuleId};
use super::plan::Plan;
use super::predicate::Fit;
use crate::words::ItemKind;
use serde::Serialize;

/// Why a case is decided as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What becomes of it.
    pub outcome: Outcome,
    /// The rule that decided.
    pub rule: RuleId,
    /// Whose rule that is.
    pub layer: Layer,
    /// Where it stands, if it is one of a file's rules.
    pub place: Option<String>,
    /// What the tool can do.
    pub class: Class,
    /// Why it counts as one of high impact, if it does.
    pub high_impact: Option<String>,
    /// What the caller is told, if it may not run at once.
    pub told: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Every rule that was looked at, the managed file's first.
    pub considered: Vec<Considered>,
}

/// One rule that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Considered {
    /// Which.
    pub rule: RuleId,
    /// Whose.
    pub layer: Layer,
    /// Where it stands, if it is one of a file's rules.
    pub place: Option<String>,
    /// What it says of what it matches.
    pub outcome: Outcome,
    /// Whether it matched.
    pub matched: Matched,
    /// The first part of it that did not fit, or what it depends on.
    pub why_not: Option<String>,
}

/// Whether a rule matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Matched {
    /// It did.
    Yes,
    /// It did not.
    No,
    /// It does for some arguments; none were given.
    Depends,
}

impl Policy {
    /// Why `case` is decided as it is.
    pub fn explain(&self, case: &Case<'_>) -> Explanation {
        let decision = self.decide(case);
        let (told, hint) = match &decision {
            Decision::Allow(_) => (None, None),
            Decision::Ask(question) => (Some(question.to_string()), Some(question.hint())),
            Decision::Deny(denial) => (Some(denial.message.clone()), denial.hint.clone()),
        };
        let mut explanation = Explanation {
            outcome: decision.outcome(),
            rule: decision.rule().clone(),
            layer: Layer::Shipped,
            place: None,
            class: self.class(case.item),
            high_impact: None,
            told,
            hint,
            considered: Vec::new(),
        };
        if let Some(server) = self.servers.get(&case.item.server) {
            let plan = server.plans.of(self, server, case.item);
            (explanation.layer, explanation.place) = self.stands(self.judge(case, &plan).ground, &plan);
            explanation.high_impact = plan.high.as_ref().map(ToString::to_string);
            explanation.considered = self.considered(case, server, &plan);
        }
        explanation
    }

    fn stands(&self, ground: Ground, plan: &Plan) -> (Layer, Option<String>) {
        match ground {
            Ground::Barrier => (Layer::Operator, None),
            Ground::Below => (plan.below.layer, None),
            Ground::Rule(layer, number) => (layer, Some(self.layer(layer)[number as usize].place.to_string())),
        }
    }

    fn considered(&self, case: &Case<'_>, server: &Server, plan: &Plan) -> Vec<Considered> {
        let arguments = Arguments::new(case.arguments.unwrap_or_default());
        let all = |layer: Layer| self.layer(layer).iter().map(move |rule| (layer, rule));
        let look = |(layer, rule): (Layer, &Compiled)| {
            let (matched, why_not) = self.look(layer, rule, case, plan.class, &arguments);
            let place = Some(rule.place.to_string());
            Considered { rule: rule.id.clone(), layer, place, outcome: rule.outcome, matched, why_not }
        };
        let mut considered: Vec<Considered> = all(Layer::Managed).map(&look).collect();
        considered.extend(server.barrier(case.item, plan.class).map(|denial| Considered {
            rule: denial.rule,
            layer: Layer::Operator,
            place: None,
            outcome: Outcome::Deny,
            matched: Matched::Yes,
            why_not: None,
        }));
        considered.extend(all(Layer::Operator).map(&look));
        considered.push(self.below(case, plan));
        considered
    }

    /// Modes and what is shipped are asked where no rule of the operator's decided.
    fn below(&self, case: &Case<'_>, plan: &Plan) -> Considered {
        let asked = plan.barrier.is_none() && self.rest_is_below(case, plan);
        Considered {
            rule: plan.below.rule.clone(),
            layer: plan.below.layer,
            place: None,
            outcome: plan.below.outcome,
            matched: if asked { Matched::Yes } else { Matched::No },
            why_not: (!asked).then(|| "a rule of the operator's matched, or may match".to_owned()),
        }
    }

    /// Whether one rule matches, and the first part of it that does not fit.
    fn look(
        &self,
        layer: Layer,
        rule: &Compiled,
        case: &Case<'_>,
        class: Class,
        arguments: &Arguments<'_>,
    ) -> (Matched, Option<String>) {
        let loosens = layer == Layer::Managed && rule.outcome == Outcome::Allow;
        let managed = loosens.then(|| "the managed file can only tighten".to_owned());
        if let Some(why_not) = managed.or_else(|| unfit(rule, case, class)) {
            return (Matched::No, Some(why_not));
        }
        if case.arguments.is_none() && !rule.args.is_empty() {
            return (Matched::Depends, Some("it depends on the arguments".to_owned()));
        }
        match rule.args.iter().find_map(|(number, test)| {
            let (path, found) = (&self.paths[*number], arguments.at(*number, &self.paths[*number]));
            let fit = test.fit(&found, &self.surroundings, &arguments.lookups);
            let fits = fit == Fit::Yes || (fit == Fit::Unknown && rule.outcome != Outcome::Allow);
            (!fits).then(|| unfit_argument(&path.0, &found, fit))
        }) {
            Some(why_not) => (Matched::No, Some(why_not)),
            None => (Matched::Yes, None),
        }
    }
}

/// The first part of a rule, beside its arguments, that does not fit.
fn unfit(rule: &Compiled, case: &Case<'_>, class: Class) -> Option<String> {
    let item = case.item;
    let flag = |name: &str, wanted: Option<bool>, is: bool| {
        wanted.filter(|wanted| *wanted != is).map(|wanted| format!("`{name} = {wanted}`, and it is {is}"))
    };
    let name = |part: &str, name: &str, fits: bool| (!fits).then(|| format!("{part} `{name}` does not fit"));
    let kind = (item.kind != ItemKind::Tool && !rule.all_kinds).then(|| "it is about tools alone".to_owned());
    name("principal", case.by.word(), rule.principal.fit(case.by.word()))
        .or_else(|| name("server", item.server.as_str(), rule.server.fit(item.server.as_str())))
        .or(kind)
        .or_else(|| name("tool", &item.raw, item.kind != ItemKind::Tool || rule.tool.fit(&item.raw)))
        .or_else(|| flag("read_only", rule.when.read_only, class.read_only))
        .or_else(|| flag("high_impact", rule.when.high_impact, class.high_impact))
        .or_else(|| flag("tainted", rule.when.tainted, case.tainted))
        .or_else(|| (!rule.here).then(|| "workspace or team does not fit".to_owned()))
}

/// Values are never shown: arguments may hold secrets.
fn unfit_argument(path: &[String], found: &Found<'_>, fit: Fit) -> String {
    let path = path.join(".");
    match (found, fit) {
        (Found::Missing, _) => format!("argument `{path}` is not there"),
        (_, Fit::Unknown) => format!("argument `{path}` cannot be judged"),
        _ => format!("argument `{path}` does not fit"),
    }
}
