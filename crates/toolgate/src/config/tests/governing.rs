//! Rules, approvals, data, audit and the five decisions, as the files say them.

use expect_test::{Expect, expect};
use gate::policy::{Outcome, Predicate, Rule};
use serde_json::json;

use super::*;

const SERVERS: &str = "[mcp_servers.github]\ncommand = \"g\"\n[mcp_servers.fs]\ncommand = \"f\"";

fn rules(toolgate: &str) -> Vec<Rule> {
    let config = read(SERVERS, toolgate, &[]);
    assert!(config.broken.is_empty(), "{}", wrong(&config));
    config.policy.rules
}

/// What is wrong with one rule, without its place.
fn rule_mistake(lines: &str, expected: &str) {
    let config = read(SERVERS, &format!("[[policy.rules]]\n{lines}"), &[]);
    let [broken] = &config.broken[..] else { panic!("{lines}: {}", wrong(&config)) };
    let hint = broken.problem.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    assert_eq!(format!("{}{hint}", broken.problem), expected, "{lines}");
    assert!(config.sound().is_err());
    assert!(config.policy.rules.len() < 2);
}

#[test]
fn a_rule_is_read_whole() {
    let found = rules(
        r#"
[[policy.rules]]
id = "prod"
principal = "token"
server = ["github", "fs"]
tool = "delete_*"
when = { read_only = false, high_impact = true, tainted = true, workspace = "/work/*", team = ["ops"] }
outcome = "deny"
reason = "not from here"
[[policy.rules]]
outcome = "ask"
"#,
    );
    let [first, second] = &found[..] else { panic!("{found:?}") };
    assert_eq!((&*first.id.0, first.place.as_str(), first.outcome), ("prod", "toolgate.toml:2:1", Outcome::Deny));
    assert_eq!((&first.principal[..], &first.tool[..]), (&["token".to_owned()][..], &["delete_*".to_owned()][..]));
    assert_eq!(first.server, ["github", "fs"]);
    assert_eq!(
        (first.when.read_only, first.when.high_impact, first.when.tainted),
        (Some(false), Some(true), Some(true))
    );
    assert_eq!(
        (&first.when.workspace[..], &first.when.team[..]),
        (&["/work/*".to_owned()][..], &["ops".to_owned()][..])
    );
    assert_eq!(first.reason.as_deref(), Some("not from here"));
    assert_eq!((&*second.id.0, second.server.len()), ("policy.rules[1]", 0));
}

fn predicate(written: &str, expected: &Predicate) {
    let rules = rules(&format!("[[policy.rules]]\noutcome = \"deny\"\nargs = {{ \"a.b\" = {written} }}"));
    let [(path, found)] = &rules[0].args[..] else { panic!("{rules:?}") };
    assert_eq!((path.0.join("|").as_str(), found), ("a|b", expected), "{written}");
}

#[test]
fn every_predicate_is_read() {
    let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    predicate("true", &Predicate::Equals(json!(true)));
    predicate("\"x\"", &Predicate::Equals(json!("x")));
    predicate("[1, 2.5, \"x\"]", &Predicate::In(vec![json!(1), json!(2.5), json!("x")]));
    predicate("{ equals = { k = [1] } }", &Predicate::Equals(json!({"k": [1]})));
    predicate("{ in = [1] }", &Predicate::In(vec![json!(1)]));
    predicate("{ glob = \"a*\" }", &Predicate::Glob(texts(&["a*"])));
    predicate("{ under = [\"src\", \"/tmp\"] }", &Predicate::Under(vec!["src".into(), "/tmp".into()]));
    predicate("{ host_in = \"*.example.com\" }", &Predicate::HostIn(texts(&["*.example.com"])));
    predicate("{ length = { min = 1, max = 3 } }", &Predicate::Length { min: Some(1), max: Some(3) });
    predicate("{ max_len = 3 }", &Predicate::Length { min: None, max: Some(3) });
    predicate("{ min_len = 3 }", &Predicate::Length { min: Some(3), max: None });
    predicate("{ range = { min = -1, max = 2.5 } }", &Predicate::Range { min: Some(-1.0), max: Some(2.5) });
    predicate("{ absent = false }", &Predicate::Absent(false));
}

#[test]
fn an_argument_is_named_by_keys_or_by_a_pointer() {
    let path = |written: &str| {
        let rules = rules(&format!("[[policy.rules]]\noutcome = \"deny\"\nargs = {{ \"{written}\" = 1 }}"));
        rules[0].args[0].0.0.clone()
    };
    assert_eq!(path("a"), ["a"]);
    assert_eq!(path("/a.b/c~1d/e~0f"), ["a.b", "c/d", "e~f"]);
}

#[test]
fn a_rule_that_is_not_understood_whole_stops_everything() {
    let at = |place: &str, message: &str| format!("toolgate.toml:{place}: {message}");
    rule_mistake(
        "tool = \"x\"",
        &at("1:1", "`outcome` is missing (write `outcome = \"allow\"`, `\"ask\"` or `\"deny\"`)"),
    );
    rule_mistake(
        "outcome = \"dney\"",
        &at("2:1", "`outcome`: unknown variant `dney`, expected one of `allow`, `ask`, `deny` (did you mean `deny`?)"),
    );
    rule_mistake(
        "outcome = \"block\"",
        &at("2:1", "`outcome`: unknown variant `block`, expected one of `allow`, `ask`, `deny` (did you mean `deny`?)"),
    );
    rule_mistake(
        "outcome = \"deny\"\ntools = \"x\"",
        &at("3:1", "unknown key `policy.rules.tools` (did you mean `tool`?)"),
    );
    rule_mistake(
        "outcome = \"deny\"\nwhen = { readonly = true }",
        &at("3:10", "unknown key `policy.rules.when.readonly` (did you mean `read_only`?)"),
    );
    rule_mistake(
        "outcome = \"deny\"\ntool = []",
        &at("3:1", "`tool`: nothing matches an empty list or text (leave `tool` out to mean all)"),
    );
    rule_mistake(
        "outcome = \"deny\"\nargs = { a = { in = [] } }",
        &at("3:16", "`args`: `a`: nothing is in an empty list"),
    );
    rule_mistake(
        "outcome = \"deny\"\nargs = { a = { glob = \"x\", under = \"y\" } }",
        &at("3:10", "`args`: `a`: only one of `glob`, `under` can be said"),
    );
    rule_mistake(
        "outcome = \"deny\"\nargs = { a = { range = { min = 2, max = 1 } } }",
        &at("3:16", "`args`: `a`: `min` is above `max`, so nothing matches"),
    );
    rule_mistake(
        "outcome = \"deny\"\nargs = { a = { golb = \"x\" } }",
        &at("3:16", "`args`: `a`: unknown key `golb` (did you mean `glob`?)"),
    );
    rule_mistake(
        "outcome = \"deny\"\nargs = { \"a..b\" = 1 }",
        &at("3:10", "`args`: `a..b` has an empty part (write it like `a.b` or `/a/b`)"),
    );
    rule_mistake(
        "outcome = \"deny\"\nargs = { a = { under = \"~/x\" } }",
        &at("3:16", "`args`: `a`: `~` stands for nothing, because HOME is not set (write the whole path)"),
    );
}

#[test]
fn rules_that_can_never_decide_and_servers_that_are_none_are_named_with_their_place() {
    check(
        SERVERS,
        "[[policy.rules]]\nid = \"a\"\noutcome = \"deny\"\nserver = \"githbu\"\n\
         [[policy.rules]]\nid = \"all\"\nserver = \"fs\"\noutcome = \"deny\"\n\
         [[policy.rules]]\nid = \"never\"\nserver = \"fs\"\ntool = \"x\"\noutcome = \"allow\"",
        &[],
        &expect![[r#"
            broken: toolgate.toml:1:1: rule `a` names the server `githbu`, which is not configured
            broken: toolgate.toml:9:1: rule `never` can never decide anything: `all` (toolgate.toml:5:1) matches all that it matches, and deny wins
            usable: fs github
        "#]],
    );
    for builtin in ["workspace", "codex", "toolgate", "*", "git*"] {
        let rule = format!("[[policy.rules]]\nserver = \"{builtin}\"\noutcome = \"deny\"");
        assert_eq!(read(SERVERS, &rule, &[]).sound(), Ok(()), "{builtin}");
    }
}

#[test]
fn two_rules_of_one_name_are_told_apart_by_nobody() {
    let twice = "[[policy.rules]]\nid = \"a\"\noutcome = \"deny\"\n[[policy.rules]]\nid = \"a\"\ntool = \"x\"\noutcome = \"ask\"";
    let config = read("", twice, &[]);
    assert_eq!(
        config.sound().unwrap_err().to_string(),
        "toolgate.toml:4:1: `id`: another rule is called `a` too, toolgate.toml:1:1"
    );
}

#[test]
fn an_override_adds_rules_and_takes_none_away() {
    let config = read(
        "",
        "[[policy.rules]]\ntool = \"a\"\noutcome = \"deny\"",
        &["policy.rules=[{tool=\"b\", outcome=\"ask\"}]"],
    );
    let tools: Vec<_> = config.policy.rules.iter().map(|rule| rule.tool[0].as_str()).collect();
    assert_eq!(tools, ["a", "b"]);
}

#[test]
fn settings_of_governance_have_defaults_and_are_read() {
    let config = read("", "", &[]);
    assert_eq!((config.approvals, config.data, config.audit), Default::default());
    let config = read(
        "",
        r#"
[approvals]
by_client = true
timeout_sec = 5
notify = false
[data]
detect = "known"
allow = ["email"]
handles = true
national_ids = ["de-tax"]
[[data.patterns]]
name = "badge"
pattern = "B-[0-9]{6}"
[audit]
args = "digest"
retention_days = 30
max_bytes = 1000
strict = true
reads_when_broken = true
[policy]
high_impact = ["deploy_*"]
require_decisions = true
"#,
        &[],
    );
    assert_eq!(wrong(&config), "usable: \n");
    expect![[r#"
        (
            Approvals {
                by_client: true,
                timeout: 5s,
                timeout_written: true,
                notify: false,
            },
            Data {
                detect: Known,
                allow: [
                    "email",
                ],
                handles: true,
                patterns: [
                    DataPattern {
                        name: "badge",
                        pattern: "B-[0-9]{6}",
                        place: File {
                            path: "toolgate.toml",
                            line: 11,
                            column: 1,
                        },
                    },
                ],
                national_ids: [
                    "de-tax",
                ],
            },
            Audit {
                args: Digest,
                retention_days: Some(
                    30,
                ),
                max_bytes: Some(
                    1000,
                ),
                strict: true,
                reads_when_broken: true,
            },
            PolicySettings {
                managed: [],
                rules: [],
                high_impact: [
                    "deploy_*",
                ],
                managed_high_impact: [],
                require_decisions: true,
                team: None,
                workspace: "/work/here",
            },
        )
    "#]]
    .assert_debug_eq(&(&config.approvals, &config.data, &config.audit, &config.policy));
}

#[test]
fn governance_that_is_wrong_stops_everything() {
    for (text, expected) in [
        (
            "[data]\ndetect = \"most\"",
            "toolgate.toml:2:1: `detect`: unknown variant `most`, expected one of `all`, `known`, `off`",
        ),
        (
            "[[data.patterns]]\nname = \"x\"\npattern = \"(\"",
            "toolgate.toml:3:1: `pattern` of `x`: no regular expression: unclosed group",
        ),
        (
            "[[data.patterns]]\nname = \"x\"\npattern = \"a*\"",
            "toolgate.toml:3:1: `pattern` of `x`: matches the empty text, so it would match everywhere",
        ),
        ("[data]\nnational_ids = [\"de\"]", "toolgate.toml:2:1: `national_ids`: no number is called `de`"),
        ("[[data.patterns]]\nname = \"x\"", "toolgate.toml:1:1: `data.patterns`: `pattern` is missing"),
        ("[policy]\nhigh_impct = [\"x\"]", "toolgate.toml:2:1: unknown key `policy.high_impct`"),
        ("[approvals]\nby_client = 1", "toolgate.toml:2:1: `by_client`: invalid type: integer, expected a boolean"),
        (
            "[audit]\nretention_days = 0",
            "toolgate.toml:2:1: `retention_days`: invalid value: 0, expected a number above zero",
        ),
    ] {
        assert_eq!(read("", text, &[]).sound().map_err(ToString::to_string), Err(expected.to_owned()), "{text}");
    }
}

fn env(pairs: &[(&str, &str)]) -> Env {
    pairs.iter().copied().chain([("PATH", "/nowhere")]).collect()
}

fn scoped(scope: &str, pairs: &[(&str, &str)]) -> Option<Barred> {
    let text = format!("[mcp_servers.a]\ncommand = \"x\"\nscope = {{ {scope} }}");
    let config = resolve(Layers::from_texts("", &text, &[]).unwrap(), &env(pairs));
    assert_eq!(wrong(&config), "usable: a\n");
    let server = &config.servers["a"];
    assert_eq!(server.enabled, server.barred.is_none());
    server.barred.clone()
}

#[test]
fn a_server_is_used_inside_its_scope_alone() {
    for inside in ["workspaces = [\"/work/*\"]", "workspaces = [\"/work\"]", "workspaces = [\"/x\", \"/work/here/\"]"] {
        assert_eq!(scoped(inside, &[]), None, "{inside}");
    }
    for outside in ["workspaces = [\"/work/there\"]", "workspaces = [\"here\"]", "workspaces = [\"/work/here/below\"]"]
    {
        assert_eq!(scoped(outside, &[]).unwrap().reason, "out_of_scope", "{outside}");
    }
    assert_eq!(scoped("workspaces = [\"~/here\"]", &[("HOME", "/work")]), None);
    let teams = "teams = [\"ops\"]";
    assert_eq!(scoped(teams, &[("CODEX_TEAM", "ops")]), None);
    assert!(scoped(teams, &[("CODEX_TEAM", "dev")]).unwrap().why.contains("`dev`"));
    assert!(scoped(teams, &[]).unwrap().why.contains("CODEX_TEAM is not set"));
    assert!(scoped(&format!("workspaces = [\"/other\"], {teams}"), &[("CODEX_TEAM", "ops")]).is_some());
}

/// All five decisions, one line each.
const FIVE: [(&str, &str); 5] = [
    ("scope", "scope.workspaces = [\"*\"]"),
    ("tools", "enabled_tools = [\"t\"]"),
    ("data", "data.allow = []"),
    ("auth", "auth.model = \"service_token\""),
    ("audit", "audit.sink = \"ledger\""),
];

fn decided(without: &str, require: &str) -> Config {
    let lines: Vec<_> = FIVE.iter().filter(|(name, _)| *name != without).map(|(_, line)| *line).collect();
    read("", &format!("{require}\n[mcp_servers.a]\ncommand = \"x\"\n{}", lines.join("\n")), &[])
}

#[test]
fn a_missing_decision_is_named_and_no_other() {
    for require in ["[policy]\nrequire_decisions = true", "[governance]\nrequire_decisions = true"] {
        assert_eq!(wrong(&decided("", require)), "usable: a\n");
        for (missing, _) in FIVE {
            let config = decided(missing, require);
            let [bad] = &config.bad[..] else { panic!("{missing}: {}", wrong(&config)) };
            assert!(bad.problem.message.ends_with(&format!("not decided: `{missing}`")), "{bad}");
            assert!(bad.problem.hint.is_some() && config.servers.is_empty());
        }
    }
    assert_eq!(wrong(&decided("data", "")), "usable: a\n");
    let config =
        read("", "policy.require_decisions = true\n[mcp_servers.a]\ncommand = \"x\"\nscope = {}\naudit = {}", &[]);
    assert!(
        config.bad[0].to_string().ends_with("not decided: `scope`, `tools`, `data`, `auth`, `audit`"),
        "{}",
        wrong(&config)
    );
}

#[test]
fn what_a_server_may_return_is_its_own_word_or_the_default() {
    let config = read(
        "",
        "[data]\ndetect = \"known\"\nallow = [\"email\"]\n[mcp_servers.a]\ncommand = \"x\"\n\
         [mcp_servers.b]\ncommand = \"x\"\ndata = { detect = \"all\", allow = [\"phone\"], handles = true, restore = [\"send_*\"] }",
        &[],
    );
    let (a, b) = (&config.servers["a"].data, &config.servers["b"].data);
    assert_eq!((a.detect, &a.allow[..], a.handles), (Detect::Known, &["email".to_owned()][..], false));
    assert_eq!((b.detect, &b.allow[..], b.handles), (Detect::All, &["phone".to_owned()][..], true));
    assert_eq!(b.restore, ["send_*"]);
}

#[test]
fn what_is_said_of_tools_is_read_and_the_narrowest_pattern_comes_first() {
    let config = read(
        "[limits]",
        "[limits]\nmax_result_bytes = 1000\n[mcp_servers.a]\ncommand = \"x\"\nlimits.max_result_bytes = 500\n\
         [mcp_servers.a.tools.\"*\"]\nread_only = true\n[mcp_servers.a.tools.\"delete_*\"]\nhigh_impact = true\n\
         [mcp_servers.a.tools.get]\nmax_result_bytes = 9\noutput_token_limit = 5\n\
         [mcp_servers.a.tools.cut]\noutput_token_limit = 5\napproval_mode = \"prompt\"\n\
         [mcp_servers.b]\ncommand = \"x\"",
        &[],
    );
    assert_eq!(wrong(&config), "usable: a b\n");
    let (a, b) = (&config.servers["a"], &config.servers["b"]);
    let names: Vec<_> = a.tools.iter().map(|(name, said)| (name.as_str(), said.max_result_bytes)).collect();
    assert_eq!(names, [("cut", Some(20)), ("get", Some(9)), ("delete_*", None), ("*", None)]);
    assert_eq!((a.limits.max_result_bytes, b.limits.max_result_bytes), (Some(500), Some(1000)));
    assert_eq!((a.default_approval, a.tool_approvals.len()), (None, 1));
}

#[test]
fn a_server_of_ones_own_is_trusted_unless_it_is_said_not_to_be() {
    for (line, expected) in [
        ("", Trust::Trusted),
        ("trust = true", Trust::Trusted),
        ("trust = \"trusted\"", Trust::Trusted),
        ("trust = false", Trust::Untrusted),
        ("trust = \"untrusted\"", Trust::Untrusted),
    ] {
        assert_eq!(read("", &format!("[mcp_servers.a]\ncommand = \"x\"\n{line}"), &[]).servers["a"].trust, expected);
    }
}

fn checked(config: &str, expected: &Expect) {
    check(config, "", &[], expected);
}

#[test]
fn names_made_to_be_mistaken_are_refused_but_for_the_first() {
    checked(
        "[mcp_servers.GitHub]\ncommand = \"x\"\n[mcp_servers.github]\ncommand = \"x\"\n[mcp_servers.\"gıthub\"]\ncommand = \"x\"\n[mcp_servers.gitlab]\ncommand = \"x\"",
        &expect![[r#"
            bad: config.toml:3:14: server `github`: its name is too easily taken for `GitHub`, config.toml:1:14 (give one of them another name)
            bad: config.toml:5:14: server `gıthub`: its name is too easily taken for `GitHub`, config.toml:1:14 (give one of them another name)
            usable: GitHub gitlab
        "#]],
    );
}

#[test]
fn secrets_in_clear_are_warned_of_and_never_quoted() {
    checked(
        "[mcp_servers.a]\ncommand = \"x\"\nargs = [\"--t=ghp_0123456789abcdefghij\", \"postgres://u:hunter2@h\"]\n\
         env = { API_KEY = \"hunter22\", OTHER = \"ghp_0123456789abcdefghij\", TOKEN = \"${T}\", MY_KEY_FILE = \"/etc/key\" }\n\
         [mcp_servers.b]\nurl = \"http://h/?api_key=hunter2\"\nhttp_headers = { Authorization = \"Bearer hunter2222\", Accept = \"x\" }\n\
         [mcp_servers.c]\ncommand = \"x\"\nenv_vars = [\"API_KEY\"]",
        &expect![[r#"
            warning: config.toml:4:31: `mcp_servers.a.env.OTHER` holds a secret in clear (export it and name the variable in `env_vars` instead)
            warning: config.toml:3:9: `mcp_servers.a.args` holds a secret in clear (hand it over in a variable named in `env_vars`, or in a header)
            lint: config.toml:4:9: `mcp_servers.a.env.API_KEY` holds a secret in clear (export it and name the variable in `env_vars` instead)
            lint: config.toml:3:41: `mcp_servers.a.args` holds a secret in clear (hand it over in a variable named in `env_vars`, or in a header)
            lint: config.toml:7:18: `mcp_servers.b.http_headers.Authorization` holds a secret in clear (name a variable in `bearer_token_env_var` or `env_http_headers` instead)
            lint: config.toml:6:1: `mcp_servers.b.url` holds a secret in clear (hand it over in a variable named in `env_vars`, or in a header)
            usable: a b c
        "#]],
    );
    let quiet = "[mcp_servers.a]\ncommand = \"x\"\nallow_inline_secrets = true\nenv = { API_KEY = \"hunter22\" }";
    check(
        "",
        quiet,
        &[],
        &expect![[r#"
        usable: a
    "#]],
    );
}
