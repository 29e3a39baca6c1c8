//! What is said of servers: lists, modes, trust, and what is shipped.

use super::*;
use std::collections::HashMap;

fn check(rules: ServerRules, tool: &str, facts: Facts, want: &str) {
    let policy = Policy::of_servers(HashMap::from([("s".into(), rules)]));
    assert_eq!(said(&policy.decide(&of(&Item::for_test("s", tool, facts)))), want);
}

fn trusted() -> ServerRules {
    ServerRules { trusted: true, ..ServerRules::default() }
}

fn mode(default_mode: Mode) -> ServerRules {
    ServerRules { default_mode: Some(default_mode), ..trusted() }
}

#[test]
fn modes_follow_codex() {
    let word = |m: Mode| format!("by mcp_servers.s.default_tools_approval_mode = {}", m.word());
    for (m, reads, harmless, unknown) in [
        (Mode::Auto, "allow", "allow", "ask"),
        (Mode::Writes, "allow", "ask", "ask"),
        (Mode::Prompt, "ask", "ask", "ask"),
        (Mode::Approve, "allow", "allow", "allow"),
        (Mode::Deny, "deny", "deny", "deny"),
    ] {
        check(mode(m), "t", READS, &format!("{reads} {}", word(m)));
        check(mode(m), "t", HARMLESS, &format!("{harmless} {}", word(m)));
        check(mode(m), "t", UNKNOWN, &format!("{unknown} {}", word(m)));
    }
}

#[test]
fn where_nothing_was_written_what_reads_runs_and_the_rest_asks() {
    check(trusted(), "t", READS, "allow by shipped: read-only tools run");
    check(trusted(), "t", HARMLESS, "ask by shipped: the rest asks");
    check(ServerRules::default(), "t", READS, "ask by shipped: the rest asks");
}

#[test]
fn claims_of_servers_that_are_not_trusted_do_not_loosen() {
    let modes = |m| ServerRules { trusted: false, ..mode(m) };
    for m in [Mode::Auto, Mode::Writes] {
        let want = format!("ask by mcp_servers.s.default_tools_approval_mode = {}", m.word());
        check(modes(m), "t", READS, &want);
        check(modes(m), "t", HARMLESS, &want);
    }
}

#[test]
fn no_mode_covers_high_impact() {
    let high = "; shipped: high-impact tools ask";
    let approve = "mcp_servers.s.default_tools_approval_mode = approve";
    check(mode(Mode::Approve), "refund_payment", READS, &format!("ask by {approve}{high}"));
    check(trusted(), "refund_payment", READS, &format!("ask by shipped: read-only tools run{high}"));
    check(trusted(), "refund_payment", UNKNOWN, "ask by shipped: the rest asks");
    let said = |high_impact| {
        let declared = Declared { read_only: None, high_impact: Some(high_impact) };
        ServerRules { declared: vec![("*".to_owned(), declared)], ..mode(Mode::Approve) }
    };
    check(said(false), "refund_payment", UNKNOWN, &format!("allow by {approve}"));
    check(said(true), "t", READS, &format!("ask by {approve}{high}"));
}

#[test]
fn lists_and_read_only_come_before_modes() {
    let lists = |on: Option<&[&str]>, off: &[&str]| ServerRules {
        enabled_tools: on.map(|l| l.iter().map(|s| s.to_string()).collect()),
        disabled_tools: off.iter().map(|s| s.to_string()).collect(),
        default_mode: Some(Mode::Approve),
        ..trusted()
    };
    let approve = "allow by mcp_servers.s.default_tools_approval_mode = approve";
    check(lists(Some(&["get_*"]), &[]), "get_x", UNKNOWN, approve);
    check(lists(Some(&["get_*"]), &[]), "set_x", UNKNOWN, "deny by mcp_servers.s.enabled_tools");
    check(lists(Some(&["get_*"]), &["get_x"]), "get_x", UNKNOWN, "deny by mcp_servers.s.disabled_tools");
    check(lists(Some(&[]), &[]), "get_x", READS, "deny by mcp_servers.s.enabled_tools");
    let read_only = ServerRules { read_only: true, ..mode(Mode::Approve) };
    check(read_only.clone(), "t", READS, approve);
    check(read_only.clone(), "t", HARMLESS, "deny by mcp_servers.s.read_only");
    check(ServerRules { trusted: false, ..read_only }, "t", READS, "deny by mcp_servers.s.read_only");
}

#[test]
fn a_tools_own_mode_is_stronger_in_both_directions() {
    let rules = |m, own| ServerRules { tool_modes: HashMap::from([("t".to_owned(), own)]), ..mode(m) };
    check(rules(Mode::Approve, Mode::Deny), "t", READS, "deny by mcp_servers.s.tools.t.approval_mode = deny");
    check(rules(Mode::Deny, Mode::Approve), "t", UNKNOWN, "allow by mcp_servers.s.tools.t.approval_mode = approve");
}

#[test]
fn no_rules_mean_no() {
    let decision = Policy::default().decide(&of(&Item::for_test("s", "t", READS)));
    assert_eq!(said(&decision), "deny by no rule");
    assert_eq!(said(&Policy::default().decide_start(&Principal::Local, &"s".into())), "deny by no rule");
}

#[test]
fn a_barred_server_is_neither_called_nor_started() {
    let barred = Barred { rule: RuleId("scope.teams".into()), why: "out of scope".to_owned() };
    let rules = ServerRules { barred: Some(barred), ..mode(Mode::Approve) };
    check(rules.clone(), "t", READS, "deny by scope.teams");
    let policy = Policy::of_servers(HashMap::from([("s".into(), rules)]));
    let start = policy.decide_start(&Principal::Local, &"s".into());
    assert!(matches!(&start, Decision::Deny(denial) if denial.message == "out of scope"), "{start:?}");
}

#[test]
fn a_tool_that_claims_something_else_is_judged_anew() {
    let policy = Policy::of_servers(HashMap::from([("s".into(), trusted())]));
    for (facts, want) in [(READS, "allow"), (UNKNOWN, "ask"), (READS, "allow")] {
        assert_eq!(policy.decide(&of(&Item::for_test("s", "t", facts))).outcome().word(), want);
    }
}

#[test]
fn a_question_says_how_to_widen_it() {
    let policy = Policy::of_servers(HashMap::from([("s".into(), trusted())]));
    let hint = |tool: &str, facts| match policy.decide(&of(&Item::for_test("s", tool, facts))) {
        Decision::Ask(question) => question.hint(),
        other => panic!("{other:?}"),
    };
    expect_test::expect![[r#"to let it run always, add `approval_mode = "approve"` under `[mcp_servers.s.tools."a.b"]` (`"deny"` to never); to let the whole server run, `default_tools_approval_mode = "approve"` under `[mcp_servers.s]`; to say more, write `[[policy.rules]]`"#]]
        .assert_eq(&hint("a.b", UNKNOWN));
    expect_test::expect!["tools that change money, permissions, customer records or production always ask; if this is none, add `high_impact = false` under `[mcp_servers.s.tools.pay]`"]
        .assert_eq(&hint("pay", READS));
}

proptest::proptest! {
    #[test]
    fn a_deny_list_never_allows_more(pattern in "[a-c*?]{0,4}", tool in "[a-c]{1,4}", m in 0..5usize) {
        let m = [Mode::Auto, Mode::Prompt, Mode::Writes, Mode::Approve, Mode::Deny][m];
        let item = Item::for_test("s", &tool, READS);
        let before = Policy::of_servers(HashMap::from([("s".into(), mode(m))])).decide(&of(&item));
        let rules = ServerRules { disabled_tools: vec![pattern], ..mode(m) };
        let after = Policy::of_servers(HashMap::from([("s".into(), rules)])).decide(&of(&item));
        proptest::prop_assert!(after == before || matches!(after, Decision::Deny(_)));
    }
}
