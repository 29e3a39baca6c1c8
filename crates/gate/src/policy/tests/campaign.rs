//! Generated cases: the engine against the naive evaluator, and what has to hold between cases whatever they are.
//! The full count runs by `cargo xtask policy`.

use super::generate::{Choices, arguments, item, principal, rule, source};
use super::{naive, *};
use std::collections::BTreeMap;

/// How many cases are made of one policy, so that what it keeps between calls is met again.
const OF_ONE: usize = 8;

/// What a run of cases was like; a run in which some outcome hardly comes up has shown nothing.
#[derive(Default)]
struct Tally(BTreeMap<String, usize>);

impl Tally {
    fn count(&mut self, what: &str) {
        *self.0.entry(what.to_owned()).or_default() += 1;
    }
}

fn campaign(seed: u64, cases: usize) -> Tally {
    let mut tally = Tally::default();
    for round in 0..cases / OF_ONE {
        let mut choices = Choices::new(seed ^ (round as u64) << 20 ^ round as u64);
        let written = Written::new(&mut choices);
        for _ in 0..OF_ONE {
            written.case(&mut choices, &mut tally);
        }
    }
    tally
}

/// One policy, and others made of it.
struct Written {
    source: PolicySource,
    policy: Policy,
    shuffled: Policy,
    denying: Policy,
    managed: Policy,
    without_args: bool,
}

impl Written {
    fn new(choices: &mut Choices) -> Self {
        let source = source(choices);
        let mut shuffled = source.clone();
        choices.shuffle(&mut shuffled.rules);
        choices.shuffle(&mut shuffled.managed);
        let mut denying = source.clone();
        denying.rules.push(rule(choices, "added".to_owned(), &[Outcome::Deny]));
        let mut managed = source.clone();
        managed.managed.push(rule(choices, "added".to_owned(), &[Outcome::Allow, Outcome::Ask, Outcome::Deny]));
        let without_args = source.rules.iter().chain(&source.managed).all(|rule| rule.args.is_empty());
        Self {
            policy: Policy::new(source.clone()),
            shuffled: Policy::new(shuffled),
            denying: Policy::new(denying),
            managed: Policy::new(managed),
            source,
            without_args,
        }
    }

    fn case(&self, choices: &mut Choices, tally: &mut Tally) {
        let (item, by, arguments) = (item(choices), principal(choices), arguments(choices));
        let case = Case { by: &by, item: &item, arguments: Some(&arguments), tainted: choices.below(3) == 0 };
        let decision = self.policy.decide(&case);
        let got = (decision.outcome(), decision.rule().0.to_string());
        let told = || format!("{case:?} {}\n{:#?}", String::from_utf8_lossy(&arguments), self.source);
        assert_eq!(got, naive::decide(&self.source, &case), "{}", told());
        assert_eq!(self.shuffled.decide(&case).outcome(), got.0, "an order of rules decided {}", told());
        assert!(self.denying.decide(&case).outcome() >= got.0, "a deny loosened {}", told());
        assert!(self.managed.decide(&case).outcome() >= got.0, "a managed rule loosened {}", told());
        let list = self.policy.decide(&Case { arguments: None, ..case }).outcome();
        assert!(list <= got.0, "a call got less than the list promised at worst {}", told());
        assert!(!self.without_args || list == got.0, "list and call disagree {}", told());
        let reach = self.policy.reach(&by, &item);
        assert!((reach.mildest..=reach.strictest).contains(&got.0), "out of reach: {reach} {}", told());
        let explanation = self.policy.explain(&case);
        assert_eq!((explanation.outcome, &explanation.rule), (got.0, decision.rule()), "{}", told());
        tally.count(got.0.word());
        tally.count(&format!("by {}", kind(&got.1)));
        tally.count(if list == got.0 { "as listed" } else { "stricter than listed" });
    }
}

fn kind(rule: &str) -> &'static str {
    let heads = [("managed", "a managed rule"), ("rules", "an operator's rule"), ("shipped", "what is shipped")];
    let known = heads.into_iter().find(|(head, _)| rule.starts_with(head)).map(|(_, kind)| kind);
    match known {
        Some(kind) => kind,
        None if rule.contains("approval_mode") => "an approval mode",
        None => "a list, a scope, or no configuration",
    }
}

/// Each outcome, and each kind of rule, has to come up in more than one case of fifty.
fn check(tally: &Tally, cases: usize) {
    assert_eq!(tally.0.len(), 3 + 5 + 2, "{:?}", tally.0);
    assert!(tally.0.values().all(|count| count * 50 > cases), "{:?}", tally.0);
}

#[test]
fn the_engine_is_the_naive_evaluator() {
    check(&campaign(1, 20_000), 20_000);
}

/// Prints `FIGURE = VALUE` lines for the report.
#[test]
#[ignore = "a million cases: `cargo xtask policy`"]
fn a_million_cases() {
    let tally = campaign(20_260_101, 1_000_000);
    check(&tally, 1_000_000);
    println!("cases = 1000000\ndifferences = 0");
    tally.0.iter().for_each(|(what, count)| println!("{what} = {count}"));
}
