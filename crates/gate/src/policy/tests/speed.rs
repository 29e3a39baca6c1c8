//! What deciding costs, at no rule, a few and very many. Run by `cargo xtask policy` in release.

use super::generate::Choices;
use super::*;
use crate::words::ServerName;
use std::hint::black_box;
use std::time::Instant;

const SERVERS: usize = 50;
const TOOLS: usize = 20;

/// As companies write them: for a server and a tool or some, often with a root or a list of hosts.
fn rule(choices: &mut Choices, number: usize) -> Rule {
    let server = format!("server{}", choices.below(SERVERS));
    let tool = format!("tool{}", choices.below(TOOLS));
    let path = |key: &str| ArgPath(vec![key.to_owned()]);
    let args = match choices.below(4) {
        0 => vec![(path("path"), Predicate::Under(vec![format!("/srv/{number}").into(), "/etc".into()]))],
        1 => vec![(path("branch"), Predicate::In(vec!["main".into(), format!("release/{number}").into()]))],
        2 => vec![(path("amount"), Predicate::Range { min: Some(number as f64), max: None })],
        _ => Vec::new(),
    };
    Rule {
        id: RuleId(format!("policy.rules[{number}]").into()),
        place: "toolgate.toml".to_owned(),
        principal: [vec![], vec!["token".to_owned()]][choices.below(2)].clone(),
        server: if choices.below(50) == 0 { vec!["server*".to_owned()] } else { vec![server] },
        tool: if choices.below(10) == 0 { vec![format!("{tool}*")] } else { vec![tool] },
        args,
        when: When { tainted: [None, Some(true)][choices.below(2)], ..When::default() },
        outcome: [Outcome::Allow, Outcome::Ask, Outcome::Deny][choices.below(3)],
        reason: None,
    }
}

fn policy(rules: usize) -> Policy {
    let mut choices = Choices::new(7);
    let server =
        |number| (ServerName::from(&*format!("server{number}")), ServerRules { trusted: true, ..Default::default() });
    Policy::new(PolicySource {
        rules: (0..rules).map(|number| rule(&mut choices, number)).collect(),
        servers: (0..SERVERS).map(server).collect(),
        workspace: "/work".into(),
        ..PolicySource::default()
    })
}

/// Nanoseconds of one decision: the middle and the worst hundredth of means over a hundred of the same.
#[expect(clippy::disallowed_methods, reason = "a stopwatch")]
fn measure(policy: &Policy, items: &[Item], arguments: Option<&[u8]>) -> (u64, u64) {
    let mut means: Vec<u64> = (0..20_000)
        .map(|round| {
            let case = Case { arguments, ..of(&items[round % items.len()]) };
            let from = Instant::now();
            for _ in 0..100 {
                black_box(policy.decide(black_box(&case)));
            }
            from.elapsed().as_nanos() as u64 / 100
        })
        .collect();
    means.sort_unstable();
    (means[means.len() / 2], means[means.len() * 99 / 100])
}

/// Prints `FIGURE = VALUE` lines for the report.
#[test]
#[ignore = "figures for the report: `cargo xtask policy`"]
#[expect(clippy::disallowed_methods, reason = "a stopwatch")]
fn what_deciding_costs() {
    let item = |number: usize| {
        Item::for_test(&format!("server{}", number % SERVERS), &format!("tool{}", number % TOOLS), READS)
    };
    let items: Vec<Item> = (0..100).map(item).collect();
    let arguments = br#"{"path":"/work/src/main.rs","branch":"topic","amount":12,"body":"a few words of text"}"#;
    for rules in [0, 200, 10_000] {
        let from = Instant::now();
        let policy = policy(rules);
        let built = from.elapsed().as_micros();
        let from = Instant::now();
        items.iter().for_each(|item| drop(black_box(policy.decide(&of(item)))));
        let first = from.elapsed().as_nanos() / items.len() as u128;
        let (call, call_worst) = measure(&policy, &items, Some(arguments));
        let (list, list_worst) = measure(&policy, &items, None);
        println!("{rules} rules: call = {call} ns (p99 {call_worst})");
        println!("{rules} rules: listed = {list} ns (p99 {list_worst})");
        println!("{rules} rules: first look at a tool = {first} ns");
        println!("{rules} rules: compiled in = {built} us");
    }
}
