//! Who may call what. Pure: facts in, a decision out, and every decision names its rule.

mod model;

pub use model::{
    ArgPath, Barred, Case, Class, Declared, Layer, Mode, Outcome, PolicySource, Predicate, Rule, RuleId, ServerRules,
    When,
};

use crate::catalog::Item;
use crate::words::{ItemKind, Principal, ServerName};
use std::collections::HashMap;
use std::fmt;

/// Leave by a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    rule: RuleId,
    class: Class,
}

impl Grant {
    /// The rule that gave leave.
    pub fn rule(&self) -> &RuleId {
        &self.rule
    }

    /// What the tool can do.
    pub fn class(&self) -> Class {
        self.class
    }

    /// Leave by a person's word: only the gate's approvals make one, of a question that policy asked.
    pub(crate) fn by_person(question: &Question, rule: RuleId) -> Self {
        Self { rule, class: question.class }
    }
}

/// A rule's no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// What the caller is told.
    pub message: String,
    /// The rule that said no.
    pub rule: RuleId,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What a person would be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The server of the tool.
    pub server: ServerName,
    /// The raw name of the tool.
    pub tool: String,
    /// The rule that wants a person.
    pub rule: RuleId,
    /// What the tool can do.
    pub class: Class,
}

impl Question {
    /// How to let the tool run without a person.
    pub fn hint(&self) -> String {
        format!(
            "to let it run, set `approval_mode = \"approve\"` under `[mcp_servers.{}.tools.{}]`, or `default_tools_approval_mode = \"approve\"` for the whole server",
            self.server, self.tool
        )
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tool `{}` of server `{}` requires a person's approval ({})",
            self.tool, self.server, self.rule.0
        )
    }
}

/// What policy says of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It may run.
    Allow(Grant),
    /// A person has to say so.
    Ask(Question),
    /// It may not.
    Deny(Denial),
}

/// The rules in force. A server without rules is denied everything.
#[derive(Debug, Default)]
pub struct Policy {
    servers: HashMap<ServerName, Compiled>,
    digest: String,
}

/// One server's rules with the names of those that are met at every call.
#[derive(Debug)]
struct Compiled {
    rules: ServerRules,
    configured: RuleId,
    default_mode: RuleId,
    tool_modes: HashMap<String, (Mode, RuleId)>,
}

impl Policy {
    /// The policy of these servers, without any rules beside what was said of them.
    pub fn of_servers(servers: HashMap<ServerName, ServerRules>) -> Self {
        Self::new(PolicySource { servers, ..PolicySource::default() })
    }

    /// The policy that `source` says.
    pub fn new(source: PolicySource) -> Self {
        let servers = source.servers;
        let digest = digest(&servers);
        let compile = |(name, rules): (ServerName, ServerRules)| (name.clone(), Compiled::new(&name, rules));
        Self { servers: servers.into_iter().map(compile).collect(), digest }
    }

    /// What `item` can do, the operator's word first.
    pub fn class(&self, item: &Item) -> Class {
        Class { read_only: item.facts.read_only == Some(true), high_impact: false }
    }

    /// A digest of all rules, the same for the same rules; each record carries it.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What is to become of a case.
    pub fn decide(&self, case: &Case<'_>) -> Decision {
        let item = case.item;
        let Some(rules) = self.servers.get(&item.server) else {
            return deny(format!("server `{}` has no rules", item.server), "no rule".to_owned(), None);
        };
        match item.kind {
            ItemKind::Tool => rules.decide_tool(item),
            ItemKind::Prompt | ItemKind::Resource | ItemKind::Template => allow(&rules.configured),
        }
    }

    /// Whether a server may be started. Configured is enough for now; the act is recorded all the same.
    pub fn decide_start(&self, _by: &Principal, server: &ServerName) -> Decision {
        if let Some(rules) = self.servers.get(server) {
            return allow(&rules.configured);
        }
        deny(format!("server `{server}` has no rules"), "no rule".to_owned(), None)
    }
}

impl Compiled {
    fn new(server: &ServerName, rules: ServerRules) -> Self {
        let own = |(tool, mode): (&String, &Mode)| {
            let rule = format!("mcp_servers.{server}.tools.{tool}.approval_mode = {}", mode.word());
            (tool.clone(), (*mode, RuleId(rule.into())))
        };
        let default = format!("mcp_servers.{server}.default_tools_approval_mode = {}", rules.default_mode.unwrap_or_default().word());
        Self {
            configured: RuleId(format!("mcp_servers.{server} is configured").into()),
            default_mode: RuleId(default.into()),
            tool_modes: rules.tool_modes.iter().map(own).collect(),
            rules,
        }
    }

    fn decide_tool(&self, item: &Item) -> Decision {
        let (server, tool) = (&item.server, &*item.raw);
        let hidden = |key: &str| {
            deny(
                format!("tool '{tool}' is disabled for MCP server '{server}'"),
                format!("mcp_servers.{server}.{key}"),
                Some(format!("see `{key}` under `[mcp_servers.{server}]`")),
            )
        };
        if self.rules.disabled_tools.iter().any(|pattern| matches(pattern, tool)) {
            return hidden("disabled_tools");
        }
        if self.rules.enabled_tools.as_ref().is_some_and(|list| !list.iter().any(|pattern| matches(pattern, tool))) {
            return hidden("enabled_tools");
        }
        if self.rules.read_only && item.facts.read_only != Some(true) {
            return deny(
                format!("tool '{tool}' of MCP server '{server}' is blocked by read_only"),
                format!("mcp_servers.{server}.read_only"),
                Some(format!("`[mcp_servers.{server}] read_only` hides every tool not annotated `readOnlyHint: true`")),
            );
        }
        self.decide_mode(item)
    }

    fn decide_mode(&self, item: &Item) -> Decision {
        let (server, tool) = (&item.server, &*item.raw);
        let (mode, rule) = match self.tool_modes.get(tool) {
            Some((mode, rule)) => (*mode, rule),
            None => (self.rules.default_mode.unwrap_or_default(), &self.default_mode),
        };
        let reads = item.facts.read_only == Some(true);
        let harmless = item.facts.destructive == Some(false) && item.facts.open_world == Some(false);
        let runs = match mode {
            Mode::Auto => reads || harmless,
            Mode::Writes => reads,
            Mode::Approve => true,
            Mode::Prompt => false,
            Mode::Deny => {
                let message = format!("tool '{tool}' is disabled for MCP server '{server}'");
                return deny(message, rule.0.to_string(), None);
            }
        };
        if runs {
            return allow(rule);
        }
        let class = Class { read_only: reads, high_impact: false };
        Decision::Ask(Question { server: server.clone(), tool: tool.to_owned(), rule: rule.clone(), class })
    }
}

fn allow(rule: &RuleId) -> Decision {
    Decision::Allow(Grant { rule: rule.clone(), class: Class { read_only: false, high_impact: false } })
}

fn deny(message: String, rule: String, hint: Option<String>) -> Decision {
    Decision::Deny(Denial { message, rule: RuleId(rule.into()), hint })
}

/// Whether `name` fits `pattern`, in which `*` stands for any run of characters and `?` for any one.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, n));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == name[n]) {
            (p, n) = (p + 1, n + 1);
        } else if let Some((at, from)) = star {
            (p, n) = (at + 1, from + 1);
            star = Some((at, from + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

fn digest(servers: &HashMap<ServerName, ServerRules>) -> String {
    use sha2::Digest;
    let mut lines: Vec<String> = servers
        .iter()
        .map(|(name, rules)| {
            let mut modes: Vec<_> = rules.tool_modes.iter().collect();
            modes.sort_by_key(|(tool, _)| *tool);
            format!(
                "{name:?} {:?} {:?} {} {:?} {modes:?}",
                rules.enabled_tools, rules.disabled_tools, rules.read_only, rules.default_mode
            )
        })
        .collect();
    lines.sort();
    crate::ledger::hex(&sha2::Sha256::digest(lines.join("\n"))[..8])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Facts;

    fn of(item: &Item) -> Case<'_> {
        Case { by: &Principal::Local, item, arguments: None, tainted: false }
    }

    fn check(rules: ServerRules, tool: &str, facts: Facts, want: &str) {
        let policy = Policy::of_servers(HashMap::from([("s".into(), rules)]));
        let got = match policy.decide(&Case { by: &Principal::Local, item: &Item::for_test("s", tool, facts), arguments: None, tainted: false }) {
            Decision::Allow(grant) => format!("allow by {}", grant.rule.0),
            Decision::Ask(question) => format!("ask by {}", question.rule.0),
            Decision::Deny(denial) => format!("deny by {}", denial.rule.0),
        };
        assert_eq!(got, want);
    }

    const READS: Facts = Facts { read_only: Some(true), destructive: None, open_world: None };
    const HARMLESS: Facts = Facts { read_only: Some(false), destructive: Some(false), open_world: Some(false) };
    const UNKNOWN: Facts = Facts { read_only: None, destructive: None, open_world: None };

    fn mode(default_mode: Mode) -> ServerRules {
        ServerRules { default_mode: Some(default_mode), ..ServerRules::default() }
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
    fn lists_and_read_only_come_before_modes() {
        let lists = |on: Option<&[&str]>, off: &[&str]| ServerRules {
            enabled_tools: on.map(|l| l.iter().map(|s| s.to_string()).collect()),
            disabled_tools: off.iter().map(|s| s.to_string()).collect(),
            default_mode: Some(Mode::Approve),
            ..ServerRules::default()
        };
        let approve = "allow by mcp_servers.s.default_tools_approval_mode = approve";
        check(lists(Some(&["get_*"]), &[]), "get_x", UNKNOWN, approve);
        check(lists(Some(&["get_*"]), &[]), "set_x", UNKNOWN, "deny by mcp_servers.s.enabled_tools");
        check(lists(Some(&["get_*"]), &["get_x"]), "get_x", UNKNOWN, "deny by mcp_servers.s.disabled_tools");
        check(lists(Some(&[]), &[]), "get_x", READS, "deny by mcp_servers.s.enabled_tools");
        let read_only = ServerRules { read_only: true, ..mode(Mode::Approve) };
        check(read_only.clone(), "t", READS, approve);
        check(read_only, "t", HARMLESS, "deny by mcp_servers.s.read_only");
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
        assert!(matches!(decision, Decision::Deny(_)), "{decision:?}");
        assert!(matches!(Policy::default().decide_start(&Principal::Local, &"s".into()), Decision::Deny(_)));
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, want) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("?b", "ab", true),
            ("?", "", false),
            ("*a*b*", "xaybz", true),
            ("**", "é", true),
        ] {
            assert_eq!(matches(pattern, name), want, "{pattern} {name}");
        }
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
}
