//! What a change of policy changes: for each principal and item whose outcome is another, before and after.

use super::compile::{Compiled, Policy};
use super::model::{Case, Layer, Outcome};
use super::plan::{Candidates, Plan};
use crate::catalog::Item;
use crate::words::{Principal, ServerName};
use serde::Serialize;
use std::borrow::Borrow;
use std::fmt;

/// One outcome that is another now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Whose calls: the principal's word.
    pub principal: &'static str,
    /// Of which server.
    pub server: ServerName,
    /// Of which tool (or prompt, or resource), by its server's name for it.
    pub tool: Box<str>,
    /// What they got.
    pub before: Reach,
    /// What they get.
    pub after: Reach,
}

/// What calls can get, whatever their arguments and however tainted their conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// At best.
    pub mildest: Outcome,
    /// At worst.
    pub strictest: Outcome,
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mildest == self.strictest {
            true => f.write_str(self.mildest.word()),
            false => write!(f, "{} to {}", self.mildest.word(), self.strictest.word()),
        }
    }
}

/// Every principal and item whose outcome `new` makes another than `old`, in the order of `items`.
pub fn diff(old: &Policy, new: &Policy, items: &[impl Borrow<Item>], principals: &[Principal]) -> Vec<Change> {
    let pairs = items.iter().map(Borrow::borrow).flat_map(|item| principals.iter().map(move |by| (item, by)));
    let changes = pairs.filter_map(|(item, by)| {
        let (before, after) = (old.reach(by, item), new.reach(by, item));
        let change =
            || Change { principal: by.word(), server: item.server.clone(), tool: item.raw.clone(), before, after };
        (before != after).then(change)
    });
    changes.collect()
}

impl Policy {
    /// What calls of `item` by `by` can get.
    pub fn reach(&self, by: &Principal, item: &Item) -> Reach {
        let of = |tainted| self.reach_of(&Case { by, item, arguments: None, tainted });
        let (fresh, tainted) = (of(false), of(true));
        Reach { mildest: fresh.mildest.min(tainted.mildest), strictest: fresh.strictest.max(tainted.strictest) }
    }

    fn reach_of(&self, case: &Case<'_>) -> Reach {
        let Some(server) = self.servers.get(&case.item.server) else {
            return Reach { mildest: Outcome::Deny, strictest: Outcome::Deny };
        };
        let plan = server.plans.of(self, server, case.item);
        Reach { mildest: self.judge(case, &plan).outcome, strictest: self.strictest(case, &plan) }
    }

    /// What the worst arguments would get: each rule that asks for some is met by some.
    fn strictest(&self, case: &Case<'_>, plan: &Plan) -> Outcome {
        if plan.barrier.is_some() {
            return Outcome::Deny;
        }
        let worst = |layer, candidates: &Candidates, among: &dyn Fn(&Compiled) -> bool| {
            let rules = self.layer(layer);
            let concerning = candidates.maybe.iter().map(|number| &rules[*number as usize]);
            let concerning = concerning.filter(|rule| among(rule) && rule.concerns(case.by, case.tainted));
            let sure = candidates.sure.map(|number| rules[number as usize].outcome);
            concerning.map(|rule| rule.outcome).chain(sure).max()
        };
        let managed = worst(Layer::Managed, &plan.managed, &|_| true);
        let rules = worst(Layer::Operator, &plan.rules, &|_| true);
        // Without a rule that matches whatever the arguments, some arguments meet none.
        let certain = worst(Layer::Operator, &plan.rules, &|rule| rule.args.is_empty()).is_some();
        let rules = rules.map(|outcome| match plan.class.high_impact {
            true => outcome.max(Outcome::Ask),
            false => outcome,
        });
        let below = (!certain).then_some(plan.below.outcome);
        managed.into_iter().chain(rules).chain(below).max().unwrap_or(plan.below.outcome)
    }
}
