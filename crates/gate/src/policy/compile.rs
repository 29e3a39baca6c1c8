//! The rules, compiled: patterns and predicates ready to be tried, and for each server those that may concern it.

use super::arguments::Arguments;
use super::class::{Listed, Weighed, weigh};
use super::decision::Denial;
use super::model::{ArgPath, Class, Layer, Mode, Outcome, PolicySource, Rule, RuleId, ServerRules, When};
use super::pattern::Patterns;
use super::plan::Plans;
use super::predicate::{Fit, Surroundings, Test};
use crate::catalog::Item;
use crate::words::{ItemKind, Principal, ServerName};
use std::collections::HashMap;
use std::sync::Arc;

/// The rules in force. A server without rules is denied everything.
#[derive(Debug)]
pub struct Policy {
    pub(super) managed: Vec<Compiled>,
    pub(super) rules: Vec<Compiled>,
    pub(super) servers: HashMap<ServerName, Server>,
    pub(super) high_impact: Listed,
    pub(super) paths: Vec<ArgPath>,
    pub(super) surroundings: Surroundings,
    pub(super) digest: String,
}

impl Default for Policy {
    fn default() -> Self {
        Self::new(PolicySource::default())
    }
}

impl Policy {
    /// The policy of these servers, without any rules beside what was said of them.
    pub fn of_servers(servers: HashMap<ServerName, ServerRules>) -> Self {
        Self::new(PolicySource { servers, ..PolicySource::default() })
    }

    /// The policy that `source` says.
    pub fn new(source: PolicySource) -> Self {
        let digest = super::digest::digest(&source);
        let mut paths = Interned::default();
        let mut compile = |rules: &[Rule]| -> Vec<Compiled> {
            rules.iter().map(|rule| Compiled::new(rule, &source, &mut paths)).collect()
        };
        let (managed, rules) = (compile(&source.managed), compile(&source.rules));
        let mut policy = Self {
            managed,
            rules,
            servers: HashMap::new(),
            high_impact: Listed::new(&source.managed_high_impact, &source.high_impact),
            paths: paths.paths,
            surroundings: Surroundings { workspace: source.workspace, paths: source.paths },
            digest,
        };
        policy.settle(source.servers);
        policy
    }

    /// Finds the rules of each server once, so that a call looks at those of its own alone.
    fn settle(&mut self, servers: HashMap<ServerName, ServerRules>) {
        let (managed, rules) = (ByServer::new(&self.managed), ByServer::new(&self.rules));
        let servers = servers.into_iter().map(|(name, said)| {
            let server = Server {
                managed: managed.of(&self.managed, name.as_str()),
                rules: rules.of(&self.rules, name.as_str()),
                configured: RuleId(format!("mcp_servers.{name} is configured").into()),
                plans: Plans::default(),
                said,
            };
            (name, server)
        });
        self.servers = servers.collect();
    }

    /// What `item` can do, the operator's word first.
    pub fn class(&self, item: &Item) -> Class {
        match self.servers.get(&item.server) {
            Some(server) => server.plans.of(self, server, item).class,
            None => self.weigh(item, &ServerRules::default()).class,
        }
    }

    pub(super) fn weigh(&self, item: &Item, said: &ServerRules) -> Weighed {
        weigh(item, said, &self.high_impact)
    }

    /// A digest of all rules, the same for the same rules; each record carries it. Where rules stand is no part of it.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    pub(super) fn layer(&self, layer: Layer) -> &[Compiled] {
        match layer {
            Layer::Managed => &self.managed,
            Layer::Operator => &self.rules,
            Layer::Shipped => &[],
        }
    }
}

/// One server: what was said of it, and which rules may concern it.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) said: ServerRules,
    pub(super) managed: Box<[u32]>,
    pub(super) rules: Box<[u32]>,
    pub(super) configured: RuleId,
    pub(super) plans: Plans,
}

impl Server {
    /// The mode of a tool, and whether it is the tool's own; `None` where none was written.
    pub(super) fn mode(&self, tool: &str) -> Option<(Mode, bool)> {
        let own = self.said.tool_modes.get(tool).map(|mode| (*mode, true));
        own.or(self.said.default_mode.map(|mode| (mode, false)))
    }

    /// The no that holds whatever the rules say.
    pub(super) fn barrier(&self, item: &Item, class: Class) -> Option<Denial> {
        if let Some(barred) = &self.said.barred {
            return Some(Denial { message: barred.why.clone(), rule: barred.rule.clone(), hint: None });
        }
        if item.kind != ItemKind::Tool {
            return None;
        }
        let (server, tool) = (&item.server, &*item.raw);
        let disabled = || format!("tool '{tool}' is disabled for MCP server '{server}'");
        if let Some(key) = self.said.unlisted(tool) {
            let hint = format!("see `{key}` under `[mcp_servers.{server}]`");
            let rule = RuleId(format!("mcp_servers.{server}.{key}").into());
            return Some(Denial { message: disabled(), rule, hint: Some(hint) });
        }
        if self.said.read_only && !class.read_only {
            return Some(Denial {
                message: format!("tool '{tool}' of MCP server '{server}' is blocked by read_only"),
                ..self.not_reading(server)
            });
        }
        let (mode, own) = self.mode(tool)?;
        (mode == Mode::Deny).then(|| Denial {
            message: disabled(),
            rule: mode_rule(server, tool, mode, own),
            hint: None,
        })
    }

    fn not_reading(&self, server: &ServerName) -> Denial {
        let hint = if self.said.trusted {
            "`read_only` hides every tool that is not annotated `readOnlyHint: true`"
        } else {
            "`read_only` hides every tool that you did not call read-only yourself, for this server is not trusted (`trust = true`)"
        };
        Denial {
            message: String::new(),
            rule: RuleId(format!("mcp_servers.{server}.read_only").into()),
            hint: Some(format!("{hint}; see `[mcp_servers.{server}]`")),
        }
    }
}

impl ServerRules {
    /// The list that takes a tool away, if one does.
    pub(super) fn unlisted(&self, tool: &str) -> Option<&'static str> {
        let fits = |list: &[String]| list.iter().any(|pattern| super::matches(pattern, tool));
        if fits(&self.disabled_tools) {
            return Some("disabled_tools");
        }
        self.enabled_tools.as_ref().is_some_and(|list| !fits(list)).then_some("enabled_tools")
    }
}

/// How an approval mode is named where it decides.
pub(super) fn mode_rule(server: &ServerName, tool: &str, mode: Mode, own: bool) -> RuleId {
    let rule = match own {
        true => format!("mcp_servers.{server}.tools.{tool}.approval_mode = {}", mode.word()),
        false => format!("mcp_servers.{server}.default_tools_approval_mode = {}", mode.word()),
    };
    RuleId(rule.into())
}

/// What is named where an allow meets a tool of high impact: both.
pub(super) fn despite(rule: &RuleId) -> RuleId {
    RuleId(format!("{}; shipped: high-impact tools ask", rule.0).into())
}

/// One rule, ready to be tried. Conditions that hold or not for good were looked at: see [`Compiled::holds`].
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) id: RuleId,
    /// How it is named where it allows a tool of high impact, which is asked for all the same.
    pub(super) despite: RuleId,
    pub(super) place: Arc<str>,
    pub(super) reason: Option<Arc<str>>,
    pub(super) outcome: Outcome,
    pub(super) principal: Patterns,
    pub(super) server: Patterns,
    pub(super) tool: Patterns,
    /// Nothing said of tools at all: it is about prompts and resources too.
    pub(super) all_kinds: bool,
    pub(super) args: Box<[(usize, Test)]>,
    pub(super) when: When,
    /// Whether workspace and team are such that it can match at all.
    pub(super) here: bool,
}

impl Compiled {
    fn new(rule: &Rule, source: &PolicySource, paths: &mut Interned) -> Self {
        let workspace = source.workspace.to_string_lossy();
        let team = source.team.as_deref();
        let in_workspace = Patterns::new(&rule.when.workspace).fit(&workspace);
        let in_team = rule.when.team.is_empty() || team.is_some_and(|team| rule.when.team.iter().any(|t| t == team));
        Self {
            id: rule.id.clone(),
            despite: despite(&rule.id),
            place: rule.place.as_str().into(),
            reason: rule.reason.as_deref().map(Into::into),
            outcome: rule.outcome,
            principal: Patterns::new(&rule.principal),
            server: Patterns::new(&rule.server),
            tool: Patterns::new(&rule.tool),
            all_kinds: rule.tool.is_empty(),
            args: rule.args.iter().map(|(path, predicate)| (paths.number(path), Test::new(predicate))).collect(),
            when: rule.when.clone(),
            here: in_workspace && in_team,
        }
    }

    /// Whether it is about this item, and all conditions hold that do not change from call to call.
    pub(super) fn is_about(&self, item: &Item, class: Class) -> bool {
        let tool = if item.kind == ItemKind::Tool { self.tool.fit(&item.raw) } else { self.all_kinds };
        let reads = self.when.read_only.is_none_or(|wanted| wanted == class.read_only);
        let weighs = self.when.high_impact.is_none_or(|wanted| wanted == class.high_impact);
        self.here && tool && reads && weighs
    }

    /// Whether nothing of it depends on the call.
    pub(super) fn is_sure(&self) -> bool {
        self.principal.is_any() && self.when.tainted.is_none() && self.args.is_empty()
    }

    /// Whether it is about calls of this principal, in a conversation like this.
    pub(super) fn concerns(&self, by: &Principal, tainted: bool) -> bool {
        self.when.tainted.is_none_or(|wanted| wanted == tainted) && self.principal.fit(by.word())
    }

    /// Whether its predicates hold: all of them for an allow, none surely not for the others.
    pub(super) fn accepts(&self, arguments: &Arguments<'_>, policy: &Policy) -> bool {
        self.args.iter().all(|(number, test)| {
            match test.fit(&arguments.at(*number, &policy.paths[*number]), &policy.surroundings, &arguments.lookups) {
                Fit::Yes => true,
                Fit::No => false,
                Fit::Unknown => self.outcome != Outcome::Allow,
            }
        })
    }
}

/// The paths that rules ask for, each once.
#[derive(Default)]
struct Interned {
    paths: Vec<ArgPath>,
    numbers: HashMap<ArgPath, usize>,
}

impl Interned {
    fn number(&mut self, path: &ArgPath) -> usize {
        *self.numbers.entry(path.clone()).or_insert_with(|| {
            self.paths.push(path.clone());
            self.paths.len() - 1
        })
    }
}

/// Rules by the server they name; those that name patterns are tried with each.
struct ByServer {
    exact: HashMap<String, Vec<u32>>,
    others: Vec<u32>,
}

impl ByServer {
    fn new(rules: &[Compiled]) -> Self {
        let (mut exact, mut others) = (HashMap::<String, Vec<u32>>::new(), Vec::new());
        for (number, rule) in (0..).zip(rules) {
            match rule.server.names() {
                Some(names) => names.for_each(|name| exact.entry(name.to_owned()).or_default().push(number)),
                None => others.push(number),
            }
        }
        Self { exact, others }
    }

    fn of(&self, rules: &[Compiled], server: &str) -> Box<[u32]> {
        let fitting = self.others.iter().filter(|number| rules[**number as usize].server.fit(server));
        let named = self.exact.get(server).into_iter().flatten();
        fitting.chain(named).copied().collect()
    }
}
