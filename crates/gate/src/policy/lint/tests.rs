//! What is found, and what is rightly not.

use super::*;
use crate::catalog::Facts;
use crate::policy::model::{ArgPath, Mode, Predicate, ServerRules, When};
use serde_json::json;
use std::collections::HashMap;

/// `OUTCOME SERVER TOOL`, with `-` for what is left open and `,` between alternatives.
fn rule(text: &str) -> Rule {
    let words: Vec<&str> = text.split(' ').collect();
    let list = |at: usize| match words[at] {
        "-" => Vec::new(),
        word => word.split(',').map(str::to_owned).collect(),
    };
    let outcome = match words[0] {
        "allow" => Outcome::Allow,
        "ask" => Outcome::Ask,
        _ => Outcome::Deny,
    };
    Rule {
        id: RuleId(text.into()),
        place: "f:1".to_owned(),
        principal: Vec::new(),
        server: list(1),
        tool: list(2),
        args: Vec::new(),
        when: When::default(),
        outcome,
        reason: None,
    }
}

fn with(text: &str, args: Vec<Predicate>) -> Rule {
    Rule { args: args.into_iter().map(|p| (ArgPath(vec!["x".to_owned()]), p)).collect(), ..rule(text) }
}

fn source(rules: Vec<Rule>) -> PolicySource {
    let servers = ["files", "mail"].map(|name| (name.into(), ServerRules { trusted: true, ..ServerRules::default() }));
    PolicySource { rules, servers: HashMap::from(servers), ..PolicySource::default() }
}

fn found(source: &PolicySource, known: &[Item]) -> String {
    let line = |f: Finding| format!("{:?} {}: {}\n", f.level, f.rule.0, f.text);
    lint(source, known).into_iter().map(line).collect()
}

fn check(rules: Vec<Rule>, want: expect_test::Expect) {
    want.assert_eq(&found(&source(rules), &[]));
}

fn clean(rules: Vec<Rule>) {
    assert_eq!(found(&source(rules), &[]), "");
}

use expect_test::expect;

#[test]
fn a_rule_that_another_always_overrules_is_an_error() {
    check(
        vec![rule("allow files read_x"), rule("deny files read_*")],
        expect![[r#"
        Error allow files read_x: can never decide anything: `deny files read_*` (f:1) matches all that it matches, and deny wins
    "#]],
    );
    check(
        vec![rule("ask files a,b"), rule("ask - ?")],
        expect![[r#"
        Error ask files a,b: can never decide anything: `ask - ?` (f:1) says the same of all that it matches
    "#]],
    );
    check(
        vec![rule("deny mail send"), rule("deny mail send")],
        expect![[r#"
        Error deny mail send: can never decide anything: `deny mail send` (f:1) says the same of all that it matches
    "#]],
    );
    clean(vec![rule("allow files read_*"), rule("deny files read_x")]);
    clean(vec![rule("ask files a,b"), rule("ask files a")][..1].to_vec());
    clean(vec![rule("allow files -"), rule("deny files *")]);
    clean(vec![rule("allow files a"), rule("deny mail a")]);
}

#[test]
fn conditions_and_arguments_keep_a_rule_from_covering() {
    let tainted = |text: &str| Rule { when: When { tainted: Some(true), ..When::default() }, ..rule(text) };
    let one = || vec![Predicate::Equals(json!(1))];
    clean(vec![rule("allow files a"), tainted("deny files a")]);
    clean(vec![rule("allow files a"), with("deny files a", one())]);
    clean(vec![Rule { principal: vec!["local".to_owned()], ..rule("deny files a") }, rule("allow files a")]);
    assert_ne!(found(&source(vec![with("allow files a", one()), with("deny files a", one())]), &[]), "");
    assert_ne!(found(&source(vec![tainted("allow files a"), tainted("deny files a")]), &[]), "");
}

#[test]
fn what_can_never_match_is_an_error() {
    for predicates in [
        vec![Predicate::In(vec![])],
        vec![Predicate::Range { min: Some(2.0), max: Some(1.0) }],
        vec![Predicate::Length { min: Some(2), max: Some(1) }],
        vec![Predicate::HostIn(vec!["https://good.com".to_owned()])],
        vec![Predicate::Absent(true), Predicate::Glob(vec!["a".to_owned()])],
        vec![Predicate::Equals(json!("b")), Predicate::Glob(vec!["a*".to_owned()])],
        vec![Predicate::In(vec![json!(1), json!(2)]), Predicate::Range { min: Some(3.0), max: None }],
    ] {
        let findings = found(&source(vec![with("allow files a", predicates.clone())]), &[]);
        assert!(
            findings.starts_with("Error allow files a: can never match: argument `x`"),
            "{predicates:?} {findings}"
        );
    }
    clean(vec![with(
        "allow files a",
        vec![Predicate::Equals(json!(3)), Predicate::Range { min: Some(3.0), max: None }],
    )]);
    clean(vec![with("allow files a", vec![Predicate::Absent(false), Predicate::Glob(vec!["a".to_owned()])])]);
}

#[test]
fn servers_that_are_none_are_errors_and_warnings_in_the_managed_file() {
    let rules = vec![rule("deny fils -"), rule("deny x* -"), rule("ask * a"), rule("deny codex -"), rule("ask m* -")];
    check(
        rules,
        expect![[r#"
        Error deny fils -: names the server `fils`, which is not configured
        Error deny x* -: no configured server fits `x*`
    "#]],
    );
    let managed = PolicySource { managed: vec![rule("deny fils -"), rule("allow mail -")], ..source(vec![]) };
    expect![[r#"
        Warning deny fils -: names the server `fils`, which is not configured
        Warning allow mail -: allows, and a managed rule can only tighten: it has no effect
    "#]]
    .assert_eq(&found(&managed, &[]));
}

#[test]
fn tools_that_are_none_are_warned_of_once_their_server_was_seen() {
    let known = [Item::for_test("files", "read", Facts::default())];
    let mut source = source(vec![rule("deny files raed"), rule("deny mail x"), rule("deny - y"), rule("ask files r*")]);
    let files = source.servers.get_mut(&"files".into()).unwrap();
    files.enabled_tools = Some(vec!["read".to_owned(), "wirte".to_owned()]);
    files.tool_modes = HashMap::from([("lsit".to_owned(), Mode::Approve)]);
    expect![[r#"
        Warning deny files raed: no tool fits `raed`
        Warning mcp_servers.files.enabled_tools: server `files` has no tool that fits `wirte`
        Warning mcp_servers.files.tools: server `files` has no tool that fits `lsit`
        Warning mcp_servers.files.tools: `lsit` has a mode and is taken away by `enabled_tools`
    "#]]
    .assert_eq(&found(&source, &known));
}

#[test]
fn an_allow_for_what_is_disabled_is_an_error() {
    let mut source =
        source(vec![rule("allow files a"), rule("ask files b,c"), rule("allow files d"), rule("deny files a")]);
    source.rules.pop();
    let files = source.servers.get_mut(&"files".into()).unwrap();
    files.disabled_tools = vec!["a".to_owned(), "b".to_owned()];
    files.enabled_tools = Some(vec!["?".to_owned(), "a".to_owned()]);
    files.tool_modes = HashMap::from([("d".to_owned(), Mode::Deny)]);
    expect![[r#"
        Error allow files a: can never decide anything: `mcp_servers.files.disabled_tools` denies all that it matches
        Error allow files d: can never decide anything: `mcp_servers.files.tools.d.approval_mode = deny` denies all that it matches
        Warning mcp_servers.files.enabled_tools: `a` is taken away again by `a` of `disabled_tools`
    "#]]
    .assert_eq(&found(&source, &[]));
}

#[test]
fn an_allow_of_what_calls_itself_destructive_is_warned_of() {
    let destructive = Facts { destructive: Some(true), ..Facts::default() };
    let known = [Item::for_test("files", "wipe", destructive), Item::for_test("files", "pay", destructive)];
    expect![[r#"
        Warning allow files *: lets `wipe` of server `files` run unasked, which calls itself destructive
    "#]]
    .assert_eq(&found(&source(vec![rule("allow files *")]), &known));
    assert_eq!(found(&source(vec![rule("allow files *"), rule("ask files wipe")]), &known), "");
}

#[test]
fn ten_thousand_rules_are_looked_through_in_no_time() {
    let names = |n: usize| rule(&format!("allow files tool_{n}"));
    let rules: Vec<Rule> = (0..10_000).map(names).chain([rule("deny files tool_77*")]).collect();
    // 1 + 10 + 100 names begin with it.
    assert_eq!(lint(&source(rules), &[] as &[Item]).len(), 111);
}
