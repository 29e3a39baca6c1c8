//! What rules say: layers, who wins within one, arguments, conditions, lists.

use super::*;
use serde_json::json;
use std::collections::HashMap;

/// A rule about everything.
fn rule(id: &str, outcome: Outcome) -> Rule {
    Rule {
        id: RuleId(id.into()),
        place: format!("toolgate.toml:{id}"),
        principal: Vec::new(),
        server: Vec::new(),
        tool: Vec::new(),
        args: Vec::new(),
        when: When::default(),
        outcome,
        reason: None,
    }
}

fn of_tool(id: &str, tool: &str, outcome: Outcome) -> Rule {
    Rule { tool: vec![tool.to_owned()], ..rule(id, outcome) }
}

fn with(id: &str, key: &str, predicate: Predicate, outcome: Outcome) -> Rule {
    Rule { args: vec![(ArgPath(vec![key.to_owned()]), predicate)], ..rule(id, outcome) }
}

fn source(rules: Vec<Rule>) -> PolicySource {
    let server = ServerRules { trusted: true, ..ServerRules::default() };
    PolicySource { rules, servers: HashMap::from([("s".into(), server)]), ..PolicySource::default() }
}

fn check_case(source: &PolicySource, tool: &str, arguments: Option<&str>, want: &str) {
    let item = Item::for_test("s", tool, UNKNOWN);
    let case = Case { arguments: arguments.map(str::as_bytes), ..of(&item) };
    assert_eq!(said(&Policy::new(source.clone()).decide(&case)), want, "{tool} {arguments:?}");
}

fn check(rules: Vec<Rule>, tool: &str, arguments: &str, want: &str) {
    check_case(&source(rules), tool, Some(arguments), want);
}

use Outcome::{Allow, Ask, Deny};

#[test]
fn within_a_layer_deny_then_ask_then_allow_wins_whatever_the_order() {
    let rules = || vec![of_tool("a", "t*", Allow), of_tool("k", "t?", Ask), of_tool("d", "tx", Deny)];
    for turn in 0..3 {
        let mut rules = rules();
        rules.rotate_left(turn);
        check(rules.clone(), "txy", "{}", "allow by a");
        check(rules.clone(), "ty", "{}", "ask by k");
        check(rules.clone(), "tx", "{}", "deny by d");
        check(rules, "u", "{}", "ask by shipped: the rest asks");
    }
}

#[test]
fn the_managed_file_only_tightens() {
    let managed = |managed: Rule, rules: Vec<Rule>| PolicySource { managed: vec![managed], ..source(rules) };
    check_case(&managed(rule("m", Deny), vec![rule("a", Allow)]), "t", Some("{}"), "deny by m");
    check_case(&managed(rule("m", Ask), vec![rule("a", Allow)]), "t", Some("{}"), "ask by m");
    check_case(&managed(rule("m", Ask), vec![rule("d", Deny)]), "t", Some("{}"), "deny by d");
    check_case(&managed(rule("m", Allow), vec![]), "t", Some("{}"), "ask by shipped: the rest asks");
}

#[test]
fn rules_come_before_modes_and_denials_of_a_server_before_rules() {
    let mut with_mode = source(vec![of_tool("a", "t", Allow), of_tool("k", "k", Ask)]);
    let server = with_mode.servers.values_mut().next().unwrap();
    server.default_mode = Some(Mode::Approve);
    server.disabled_tools = vec!["t2".to_owned()];
    server.tool_modes = HashMap::from([("t3".to_owned(), Mode::Deny), ("t".to_owned(), Mode::Prompt)]);
    with_mode.rules.push(of_tool("b", "t?", Allow));
    check_case(&with_mode, "t", Some("{}"), "allow by a");
    check_case(&with_mode, "k", Some("{}"), "ask by k");
    check_case(&with_mode, "u", Some("{}"), "allow by mcp_servers.s.default_tools_approval_mode = approve");
    check_case(&with_mode, "t2", Some("{}"), "deny by mcp_servers.s.disabled_tools");
    check_case(&with_mode, "t3", Some("{}"), "deny by mcp_servers.s.tools.t3.approval_mode = deny");
}

#[test]
fn an_allow_does_not_cover_high_impact() {
    check(vec![rule("a", Allow)], "pay", "{}", "ask by a; shipped: high-impact tools ask");
    check(vec![rule("a", Allow), rule("d", Deny)], "pay", "{}", "deny by d");
    let listed = PolicySource { high_impact: vec!["send_*".to_owned()], ..source(vec![rule("a", Allow)]) };
    check_case(&listed, "send_mail", Some("{}"), "ask by a; shipped: high-impact tools ask");
    check_case(&listed, "mail", Some("{}"), "allow by a");
}

#[test]
fn what_cannot_be_judged_is_not_let_through() {
    let main = || Predicate::Equals(json!("main"));
    let rules = || vec![rule("a", Allow), with("d", "branch", main(), Deny)];
    check(rules(), "t", r#"{"branch":"main"}"#, "deny by d");
    check(rules(), "t", r#"{"branch":"other"}"#, "allow by a");
    check(rules(), "t", r#"{"branch":["main"]}"#, "deny by d");
    check(rules(), "t", "{}", "allow by a");
    check(rules(), "t", "not json", "deny by d");
    let allows = || vec![with("a", "branch", main(), Allow)];
    check(allows(), "t", r#"{"branch":"main"}"#, "allow by a");
    check(allows(), "t", r#"{"branch":7}"#, "ask by shipped: the rest asks");
    check(allows(), "t", "not json", "ask by shipped: the rest asks");
}

#[test]
fn a_list_shows_what_the_mildest_arguments_get() {
    let x = || Predicate::Equals(json!(1));
    let list = |rules, want| check_case(&source(rules), "t", None, want);
    list(vec![with("a", "x", x(), Allow)], "allow by a");
    list(vec![with("a", "x", x(), Allow), rule("d", Deny)], "deny by d");
    list(vec![with("d", "x", x(), Deny)], "ask by shipped: the rest asks");
    list(vec![with("d", "x", x(), Deny), rule("a", Allow)], "allow by a");
    let managed = PolicySource { managed: vec![with("m", "x", x(), Deny)], ..source(vec![rule("a", Allow)]) };
    check_case(&managed, "t", None, "allow by a");
    check_case(&managed, "t", Some(r#"{"x":1}"#), "deny by m");
}

#[test]
fn conditions_hold_or_the_rule_is_silent() {
    let when = |when: When| PolicySource {
        workspace: "/home/me/work".into(),
        team: Some("red".to_owned()),
        ..source(vec![Rule { when, ..rule("d", Deny) }])
    };
    let silent = "ask by shipped: the rest asks";
    let texts = |text: &str| vec![text.to_owned()];
    for (condition, want) in [
        (When::default(), "deny by d"),
        (When { workspace: texts("/home/*"), ..When::default() }, "deny by d"),
        (When { workspace: texts("/srv/*"), ..When::default() }, silent),
        (When { team: texts("red"), ..When::default() }, "deny by d"),
        (When { team: texts("blue"), ..When::default() }, silent),
        (When { read_only: Some(true), ..When::default() }, silent),
        (When { read_only: Some(false), high_impact: Some(false), ..When::default() }, "deny by d"),
        (When { high_impact: Some(true), ..When::default() }, silent),
        (When { tainted: Some(true), ..When::default() }, silent),
        (When { tainted: Some(false), ..When::default() }, "deny by d"),
    ] {
        check_case(&when(condition), "t", Some("{}"), want);
    }
}

#[test]
fn principals_are_told_apart() {
    let policy = Policy::new(source(vec![Rule { principal: vec!["to*".to_owned()], ..rule("d", Deny) }]));
    let item = Item::for_test("s", "t", READS);
    let by = |by| policy.decide(&Case { by, ..of(&item) }).outcome();
    assert_eq!((by(&Principal::Token), by(&Principal::Local)), (Deny, Allow));
}

#[test]
fn a_rule_about_a_whole_server_is_about_its_resources_and_its_start_too() {
    let resource = Item { kind: crate::words::ItemKind::Resource, ..Item::for_test("s", "file:///x", READS) };
    let decide = |rules| {
        let policy = Policy::new(source(rules));
        let start = policy.decide_start(&Principal::Local, &"s".into());
        (said(&policy.decide(&of(&resource))), said(&start))
    };
    let configured = "allow by mcp_servers.s is configured".to_owned();
    assert_eq!(decide(vec![]), (configured.clone(), configured.clone()));
    assert_eq!(decide(vec![of_tool("d", "*", Deny)]), (configured.clone(), configured.clone()));
    assert_eq!(decide(vec![rule("k", Ask)]), ("ask by k".to_owned(), configured));
    assert_eq!(decide(vec![rule("d", Deny)]), ("deny by d".to_owned(), "deny by d".to_owned()));
}

#[test]
fn reasons_and_places_reach_people() {
    let why = |outcome| Rule { reason: Some("not on Fridays".to_owned()), ..rule("r", outcome) };
    let decide = |rule| Policy::new(source(vec![rule])).decide(&of(&Item::for_test("s", "t", READS)));
    let Decision::Deny(denial) = decide(why(Deny)) else { panic!("not denied") };
    assert_eq!(denial.message, "`t` of server `s` is denied by rule `r`: not on Fridays");
    assert_eq!(denial.hint.as_deref(), Some("rule `r` stands in toolgate.toml:r"));
    let Decision::Ask(question) = decide(why(Ask)) else { panic!("not asked") };
    assert!(question.to_string().contains("(r: not on Fridays)"), "{question}");
    assert_eq!(question.hint(), "rule `r` asks (toolgate.toml:r); change it there");
}

#[test]
fn a_digest_is_of_all_that_was_said_and_of_no_order() {
    let whole = || PolicySource { managed: vec![rule("m", Deny)], ..source(vec![rule("a", Allow)]) };
    let digest = |change: &dyn Fn(&mut PolicySource)| {
        let mut source = whole();
        change(&mut source);
        Policy::new(source).digest().to_owned()
    };
    fn server(source: &mut PolicySource) -> &mut ServerRules {
        source.servers.values_mut().next().unwrap()
    }
    let changes: [&dyn Fn(&mut PolicySource); 17] = [
        &|_| {},
        &|s| s.managed.clear(),
        &|s| s.rules[0].outcome = Ask,
        &|s| s.rules[0].args.push((ArgPath(vec!["x".to_owned()]), Predicate::Absent(true))),
        &|s| s.rules[0].when.tainted = Some(true),
        &|s| s.rules[0].reason = Some("x".to_owned()),
        &|s| s.high_impact.push("x".to_owned()),
        &|s| s.managed_high_impact.push("x".to_owned()),
        &|s| s.team = Some("x".to_owned()),
        &|s| s.workspace = "/x".into(),
        &|s| drop(s.servers.insert("t".into(), ServerRules::default())),
        &|s| server(s).trusted = false,
        &|s| server(s).read_only = true,
        &|s| server(s).default_mode = Some(Mode::Auto),
        &|s| server(s).declared.push(("*".to_owned(), Declared::default())),
        &|s| _ = server(s).tool_modes.insert("t".to_owned(), Mode::Auto),
        &|s| server(s).barred = Some(Barred { rule: RuleId("x".into()), why: String::new() }),
    ];
    let digests: std::collections::HashSet<_> = changes.iter().map(|change| digest(*change)).collect();
    assert_eq!(digests.len(), changes.len());
    assert_eq!(digest(&|s| s.rules[0].place = "elsewhere".to_owned()), digest(&|_| {}));
}
