//! What is known of a tool before any call of it: its class, the rule that decides if no other does, and the few
//! rules that depend on the call. Worked out once for each tool and kept, up to a bound.

use super::class::{HighImpact, Weighed};
use super::compile::{Compiled, Policy, Server, despite, mode_rule};
use super::decision::{Asker, Denial};
use super::model::{Class, Layer, Mode, Outcome, RuleId};
use crate::catalog::{Facts, Item};
use crate::words::ItemKind;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, RwLock};

/// How much one server's plans may weigh together (tools, and rules kept for them) before they are forgotten.
const MOST: usize = 1 << 17;

/// What is known of one item.
#[derive(Debug)]
pub(super) struct Plan {
    facts: Facts,
    pub(super) class: Class,
    pub(super) high: Option<HighImpact>,
    /// A no that holds whatever the rules say.
    pub(super) barrier: Option<Denial>,
    pub(super) managed: Candidates,
    pub(super) rules: Candidates,
    /// What decides where no rule of the operator's matches.
    pub(super) below: Below,
}

/// The rules of one layer that are about an item.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// The strictest of those that match whatever the call.
    pub(super) sure: Option<u32>,
    /// Those that depend on the call and are stricter; the strictest first.
    pub(super) maybe: Box<[u32]>,
}

/// An approval mode, or what is shipped.
#[derive(Debug)]
pub(super) struct Below {
    pub(super) outcome: Outcome,
    pub(super) rule: RuleId,
    pub(super) asker: Asker,
    pub(super) layer: Layer,
}

impl Plan {
    fn new(policy: &Policy, server: &Server, item: &Item) -> Self {
        let weighed = policy.weigh(item, &server.said);
        let class = weighed.class;
        let of = |layer, numbers| Candidates::new(policy.layer(layer), numbers, item, class, layer);
        Self {
            facts: item.facts,
            class,
            barrier: server.barrier(item, class),
            managed: of(Layer::Managed, &server.managed),
            rules: of(Layer::Operator, &server.rules),
            below: Below::new(server, item, &weighed),
            high: weighed.high,
        }
    }

    fn weight(&self) -> usize {
        16 + self.managed.maybe.len() + self.rules.maybe.len()
    }
}

impl Candidates {
    fn new(rules: &[Compiled], numbers: &[u32], item: &Item, class: Class, layer: Layer) -> Self {
        let rule = |number: u32| &rules[number as usize];
        // The strictest first, then the first written.
        let rank = |number: u32| (std::cmp::Reverse(rule(number).outcome), number);
        let loosens = |number: u32| layer == Layer::Managed && rule(number).outcome == Outcome::Allow;
        let about = || numbers.iter().copied().filter(|n| !loosens(*n) && rule(*n).is_about(item, class));
        let sure = about().filter(|n| rule(*n).is_sure()).min_by_key(|n| rank(*n));
        let stricter = |number: &u32| sure.is_none_or(|sure| rank(*number) < rank(sure));
        let mut maybe: Vec<u32> = about().filter(|n| !rule(*n).is_sure()).filter(stricter).collect();
        maybe.sort_by_key(|number| rank(*number));
        Self { sure, maybe: maybe.into() }
    }
}

impl Below {
    fn new(server: &Server, item: &Item, weighed: &Weighed) -> Self {
        if item.kind != ItemKind::Tool {
            return Self::shipped(true, server.configured.clone());
        }
        let reads = weighed.class.read_only;
        let Some((mode, own)) = server.mode(&item.raw) else {
            let said = if reads { "shipped: read-only tools run" } else { "shipped: the rest asks" };
            return Self::shipped(reads, RuleId(said.into())).unless(weighed);
        };
        let runs = match mode {
            Mode::Auto => reads || weighed.harmless,
            Mode::Writes => reads,
            Mode::Approve => true,
            // A denial never comes as far as here: it is a barrier.
            Mode::Prompt | Mode::Deny => false,
        };
        let rule = mode_rule(&item.server, &item.raw, mode, own);
        let outcome = if runs { Outcome::Allow } else { Outcome::Ask };
        Self { outcome, rule, asker: Asker::Mode(mode), layer: Layer::Operator }.unless(weighed)
    }

    fn shipped(runs: bool, rule: RuleId) -> Self {
        let outcome = if runs { Outcome::Allow } else { Outcome::Ask };
        Self { outcome, rule, asker: Asker::Shipped, layer: Layer::Shipped }
    }

    /// No allow covers what is of high impact.
    fn unless(self, weighed: &Weighed) -> Self {
        if self.outcome != Outcome::Allow || !weighed.class.high_impact {
            return self;
        }
        Self { outcome: Outcome::Ask, rule: despite(&self.rule), asker: Asker::HighImpact, ..self }
    }
}

/// One server's plans.
#[derive(Debug, Default)]
pub(super) struct Plans {
    /// std RwLock: held for one map operation.
    tools: RwLock<Kept>,
    /// Of prompts, resources and templates, which are all the same to policy.
    others: OnceLock<Arc<Plan>>,
}

#[derive(Debug, Default)]
struct Kept {
    plans: HashMap<Box<str>, Arc<Plan>>,
    weight: usize,
}

impl Plans {
    /// The plan of an item. Plans are kept by the tool's name, as long as its claims stay the same.
    pub(super) fn of(&self, policy: &Policy, server: &Server, item: &Item) -> Arc<Plan> {
        if item.kind != ItemKind::Tool {
            return self.others.get_or_init(|| Arc::new(Plan::new(policy, server, item))).clone();
        }
        if let Some(plan) = self.kept(item) {
            return plan;
        }
        let plan = Arc::new(Plan::new(policy, server, item));
        self.keep(item, &plan);
        plan
    }

    /// Where a writer panicked nothing is trusted any more: each plan is worked out anew.
    fn kept(&self, item: &Item) -> Option<Arc<Plan>> {
        let kept = self.tools.read().ok()?;
        kept.plans.get(&*item.raw).filter(|plan| plan.facts == item.facts).cloned()
    }

    fn keep(&self, item: &Item, plan: &Arc<Plan>) {
        let Ok(mut kept) = self.tools.write() else { return };
        if kept.weight + plan.weight() > MOST {
            *kept = Kept::default();
        }
        kept.weight += plan.weight();
        if let Some(old) = kept.plans.insert(item.raw.clone(), plan.clone()) {
            kept.weight -= old.weight();
        }
    }
}
