//! What people are told of policy: explanations and differences.

use super::*;
use std::collections::HashMap;

fn rule(id: &str, tool: &str, outcome: Outcome) -> Rule {
    Rule {
        id: RuleId(id.into()),
        place: "toolgate.toml:3".to_owned(),
        principal: Vec::new(),
        server: Vec::new(),
        tool: vec![tool.to_owned()],
        args: Vec::new(),
        when: When::default(),
        outcome,
        reason: None,
    }
}

fn source(rules: Vec<Rule>) -> PolicySource {
    let server = ServerRules { trusted: true, ..ServerRules::default() };
    PolicySource { rules, servers: HashMap::from([("s".into(), server)]), ..PolicySource::default() }
}

fn with(rule: Rule, key: &str, predicate: Predicate) -> Rule {
    Rule { args: vec![(ArgPath(vec![key.to_owned()]), predicate)], ..rule }
}

fn under(root: &str) -> Predicate {
    Predicate::Under(vec![root.into()])
}

fn check(source: PolicySource, tool: &str, arguments: Option<&str>, want: expect_test::Expect) {
    let item = Item::for_test("s", tool, UNKNOWN);
    let explanation = Policy::new(source).explain(&Case { arguments: arguments.map(str::as_bytes), ..of(&item) });
    let place = explanation.place.as_deref().unwrap_or("-");
    let mut text =
        format!("{} by {} ({:?}, {place})\n", explanation.outcome.word(), explanation.rule.0, explanation.layer);
    for one in explanation.considered {
        let why_not = one.why_not.map(|why| format!(": {why}")).unwrap_or_default();
        text += &format!("{} {:?}{why_not}\n", one.rule.0, one.matched);
    }
    want.assert_eq(&text);
}

#[test]
fn an_explanation_names_the_rule_and_why_others_did_not_match() {
    let rules = || {
        let tainted = When { tainted: Some(true), ..When::default() };
        vec![
            Rule { principal: vec!["token".to_owned()], ..rule("p", "*", Outcome::Deny) },
            Rule { server: vec!["other".to_owned()], ..rule("s", "*", Outcome::Deny) },
            rule("t", "x", Outcome::Deny),
            Rule { when: tainted, ..rule("w", "*", Outcome::Deny) },
            with(rule("missing", "*", Outcome::Deny), "y", under("/tmp")),
            with(rule("elsewhere", "*", Outcome::Deny), "x", under("/tmp")),
            with(rule("unclear", "*", Outcome::Allow), "n", under("/tmp")),
            with(rule("doubtful", "*", Outcome::Ask), "n", under("/tmp")),
        ]
    };
    let managed = PolicySource { managed: vec![rule("m", "*", Outcome::Allow)], ..source(rules()) };
    check(
        managed,
        "t",
        Some(r#"{"x":"/srv/x","n":1}"#),
        expect_test::expect![[r#"
        ask by doubtful (Operator, toolgate.toml:3)
        m No: the managed file can only tighten
        p No: principal `local` does not fit
        s No: server `s` does not fit
        t No: tool `t` does not fit
        w No: `tainted = true`, and it is false
        missing No: argument `y` is not there
        elsewhere No: argument `x` does not fit
        unclear No: argument `n` cannot be judged
        doubtful Yes
        shipped: the rest asks No: a rule of the operator's matched, or may match
    "#]],
    );
    check(
        source(vec![with(rule("a", "*", Outcome::Allow), "x", under("/tmp"))]),
        "t",
        None,
        expect_test::expect![[r#"
        allow by a (Operator, toolgate.toml:3)
        a Depends: it depends on the arguments
        shipped: the rest asks No: a rule of the operator's matched, or may match
    "#]],
    );
    check(
        source(vec![]),
        "pay",
        None,
        expect_test::expect![[r#"
        ask by shipped: the rest asks (Shipped, -)
        shipped: the rest asks Yes
    "#]],
    );
}

#[test]
fn an_explanation_can_be_written_as_json() {
    let item = Item::for_test("s", "pay", READS);
    let explanation = Policy::new(source(vec![rule("a", "*", Outcome::Allow)])).explain(&of(&item));
    let json = serde_json::to_value(&explanation).unwrap();
    assert_eq!(json["outcome"], "ask");
    assert_eq!(json["rule"], "a; shipped: high-impact tools ask");
    assert_eq!(json["high_impact"], "`pay` stands in its name");
    assert_eq!(json["considered"][0]["matched"], "yes");
}

#[test]
fn a_difference_names_whose_calls_of_what_come_to_what() {
    let old = Policy::new(source(vec![rule("a", "w*", Outcome::Allow)]));
    let new = Policy::new(source(vec![
        Rule { principal: vec!["token".to_owned()], ..rule("d", "write", Outcome::Deny) },
        rule("a", "w*", Outcome::Allow),
        with(rule("k", "wx", Outcome::Ask), "x", under("/tmp")),
    ]));
    let items = ["write", "wx", "z"].map(|tool| Item::for_test("s", tool, UNKNOWN));
    let changes = diff(&old, &new, &items, &[Principal::Local, Principal::Token]);
    let lines: Vec<String> = changes
        .iter()
        .map(|c| format!("{} {} {}: {} -> {}", c.principal, c.server, c.tool, c.before, c.after))
        .collect();
    assert_eq!(
        lines,
        ["token s write: allow -> deny", "local s wx: allow -> allow to ask", "token s wx: allow -> allow to ask",]
    );
    assert_eq!(diff(&new, &new, &items, &[Principal::Local]), []);
}
