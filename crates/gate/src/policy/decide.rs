//! Deciding: the stricter of what the managed file says and of what the rest says. The rest is what the operator's
//! rules say, below them the approval modes, and where there is neither, what toolgate is shipped with.

use super::arguments::Arguments;
use super::compile::{Compiled, Policy};
use super::decision::{Asker, Decision, Denial, Grant, Question};
use super::model::{Case, Layer, Outcome, RuleId};
use super::plan::{Candidates, Plan};
use crate::words::{Principal, ServerName};

/// What decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    Barrier,
    Rule(Layer, u32),
    Below,
}

/// An outcome, and what decided it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    pub(super) ground: Ground,
}

impl Policy {
    /// What is to become of a case.
    pub fn decide(&self, case: &Case<'_>) -> Decision {
        let item = case.item;
        let Some(server) = self.servers.get(&item.server) else { return no_rules(&item.server) };
        let plan = server.plans.of(self, server, item);
        self.speak(case, &plan, self.judge(case, &plan))
    }

    /// Whether `by` may start a server: not if a rule denies `by` all of it.
    pub fn decide_start(&self, by: &Principal, server: &ServerName) -> Decision {
        let Some(known) = self.servers.get(server) else { return no_rules(server) };
        if let Some(barred) = &known.said.barred {
            return Decision::Deny(Denial { message: barred.why.clone(), rule: barred.rule.clone(), hint: None });
        }
        let rules = |layer, numbers: &[u32]| {
            let rules = self.layer(layer);
            numbers.iter().map(|number| &rules[*number as usize]).find(|rule| denies_all(rule, by))
        };
        if let Some(rule) = rules(Layer::Managed, &known.managed).or_else(|| rules(Layer::Operator, &known.rules)) {
            return Decision::Deny(denial(rule, format!("server `{server}` is denied")));
        }
        let class = super::Class { read_only: true, high_impact: false };
        Decision::Allow(Grant { rule: known.configured.clone(), class })
    }

    /// The outcome alone; [`Policy::speak`] puts it in words.
    pub(super) fn judge(&self, case: &Case<'_>, plan: &Plan) -> Verdict {
        let view = View { policy: self, case, plan, arguments: Arguments::new(case.arguments.unwrap_or_default()) };
        let rest = view.rest();
        match view.managed() {
            Some(managed) if managed.outcome >= rest.outcome => managed,
            _ => rest,
        }
    }

    /// Whether neither a barrier nor a rule of the operator's decides what the operator says.
    pub(super) fn rest_is_below(&self, case: &Case<'_>, plan: &Plan) -> bool {
        let view = View { policy: self, case, plan, arguments: Arguments::new(case.arguments.unwrap_or_default()) };
        view.rest().ground == Ground::Below
    }

    fn speak(&self, case: &Case<'_>, plan: &Plan, verdict: Verdict) -> Decision {
        let (item, class) = (case.item, plan.class);
        let ask = |rule: RuleId, asker: Asker| {
            let (server, tool) = (item.server.clone(), item.raw.to_string());
            Decision::Ask(Question { server, tool, rule, class, asker })
        };
        match (verdict.ground, verdict.outcome) {
            (Ground::Barrier, _) => Decision::Deny(plan.barrier.clone().expect("a barrier decided, so there is one")),
            (Ground::Below, Outcome::Allow) => Decision::Allow(Grant { rule: plan.below.rule.clone(), class }),
            (Ground::Below, _) => ask(plan.below.rule.clone(), plan.below.asker.clone()),
            (Ground::Rule(layer, number), outcome) => {
                let rule = &self.layer(layer)[number as usize];
                match outcome {
                    Outcome::Allow => Decision::Allow(Grant { rule: rule.id.clone(), class }),
                    Outcome::Ask if rule.outcome == Outcome::Allow => ask(rule.despite.clone(), Asker::HighImpact),
                    Outcome::Ask => {
                        ask(rule.id.clone(), Asker::Rule { place: rule.place.clone(), reason: rule.reason.clone() })
                    }
                    Outcome::Deny => {
                        let what = format!("`{}` of server `{}` is denied", item.raw, item.server);
                        Decision::Deny(denial(rule, what))
                    }
                }
            }
        }
    }
}

fn no_rules(server: &ServerName) -> Decision {
    let message = format!("server `{server}` has no rules");
    Decision::Deny(Denial { message, rule: RuleId("no rule".into()), hint: None })
}

fn denies_all(rule: &Compiled, by: &Principal) -> bool {
    let whole = rule.all_kinds && rule.args.is_empty() && rule.here;
    let always = rule.when.tainted.is_none() && rule.when.read_only.is_none() && rule.when.high_impact.is_none();
    rule.outcome == Outcome::Deny && whole && always && rule.principal.fit(by.word())
}

fn denial(rule: &Compiled, what: String) -> Denial {
    let reason = rule.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    Denial {
        message: format!("{what} by rule `{}`{reason}", rule.id.0),
        rule: rule.id.clone(),
        hint: Some(format!("rule `{}` stands in {}", rule.id.0, rule.place)),
    }
}

/// One case, looked at.
struct View<'a> {
    policy: &'a Policy,
    case: &'a Case<'a>,
    plan: &'a Plan,
    arguments: Arguments<'a>,
}

impl View<'_> {
    /// What the managed file says. Without arguments only what holds for all of them.
    fn managed(&self) -> Option<Verdict> {
        self.strictest(Layer::Managed, &self.plan.managed)
    }

    fn rest(&self) -> Verdict {
        if self.plan.barrier.is_some() {
            return Verdict { outcome: Outcome::Deny, ground: Ground::Barrier };
        }
        let candidates = &self.plan.rules;
        if let Some(verdict) = self.strictest(Layer::Operator, candidates) {
            return verdict;
        }
        let below = Verdict { outcome: self.plan.below.outcome, ground: Ground::Below };
        match self.case.arguments {
            Some(_) => below,
            None => self.mildest(candidates, below),
        }
    }

    /// The strictest of a layer's rules that match for sure.
    fn strictest(&self, layer: Layer, candidates: &Candidates) -> Option<Verdict> {
        let matching = candidates.maybe.iter().copied().find(|number| self.matches(layer, *number));
        matching.or(candidates.sure).map(|number| self.verdict(layer, number))
    }

    fn matches(&self, layer: Layer, number: u32) -> bool {
        let rule = &self.policy.layer(layer)[number as usize];
        let judged = || match self.case.arguments {
            Some(_) => rule.accepts(&self.arguments, self.policy),
            None => rule.args.is_empty(),
        };
        rule.concerns(self.case.by, self.case.tainted) && judged()
    }

    /// No rule matches for sure, so that arguments may be found for any of those that ask for some, or for none.
    fn mildest(&self, candidates: &Candidates, below: Verdict) -> Verdict {
        let rules = self.policy.layer(Layer::Operator);
        let possible = candidates.maybe.iter().copied().filter(|number| {
            let rule = &rules[*number as usize];
            !rule.args.is_empty() && rule.concerns(self.case.by, self.case.tainted)
        });
        let verdicts = possible.map(|number| self.verdict(Layer::Operator, number));
        verdicts.fold(below, |best, next| if next.outcome < best.outcome { next } else { best })
    }

    /// No allow covers what is of high impact.
    fn verdict(&self, layer: Layer, number: u32) -> Verdict {
        let said = self.policy.layer(layer)[number as usize].outcome;
        let raised = said == Outcome::Allow && self.plan.class.high_impact;
        Verdict { outcome: if raised { Outcome::Ask } else { said }, ground: Ground::Rule(layer, number) }
    }
}
