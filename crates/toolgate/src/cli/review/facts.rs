//! The facts of a review: the five decisions that a server needs, and the checklist of what may go wrong with its tools.

use gate::pin::{self, Lock, Verdict};
use gate::policy::Outcome;
use gate::{Case, Item, Principal};
use mcp::view;
use serde::Serialize;

use super::super::show::Shown;
use crate::config::{AuditArgs, AuthModel, Config, Detect, Env, Server, Transport, Trust};
use crate::wire::Known;

/// One of the five decisions.
#[derive(Debug, Serialize)]
pub struct Decision {
    /// Its name.
    pub decision: &'static str,
    /// What it answers.
    pub question: &'static str,
    /// Whether it was taken, and not left at what holds for everything.
    pub decided: bool,
    /// The answer as it is now.
    pub answer: String,
}

/// One point of the checklist.
#[derive(Debug, Serialize)]
pub struct Check {
    /// What is checked.
    pub check: &'static str,
    /// Whether it is as it should be; `None` where that is for a person to say.
    pub ok: Option<bool>,
    /// What was found.
    pub detail: String,
}

/// One tool as it is governed.
#[derive(Debug, Serialize)]
pub struct Reviewed {
    /// The server's own name for it.
    pub tool: String,
    /// What it can do: `read`, `write` or `high_impact`.
    pub class: &'static str,
    /// What a call of it meets.
    pub outcome: Outcome,
    /// How its definition stands: `pinned`, `new`, `suspicious` or `changed`.
    pub definition: &'static str,
    /// Whether it says what shape its results have.
    pub structured: bool,
}

/// What is known of one server.
pub struct Facts<'a> {
    /// All that is configured.
    pub config: &'a Config,
    /// The server.
    pub server: &'a Server,
    /// The rules, and the tools as last seen.
    pub known: &'a Known,
    /// What was agreed to.
    pub lock: &'a Lock,
    /// The environment.
    pub env: &'a Env,
}

impl Facts<'_> {
    /// Its tools, as last seen.
    pub fn tools(&self) -> Vec<Reviewed> {
        let own = self.known.tools.iter().filter(|item| item.server.as_str() == self.server.name);
        own.map(|item| self.tool(item)).collect()
    }

    fn tool(&self, item: &Item) -> Reviewed {
        let case = Case { by: &Principal::Local, item, arguments: None, tainted: false };
        let pin = self.lock.pin(&self.server.name, &item.raw);
        let definition = match pin::compare(pin, &item.definition) {
            Verdict::Pinned { .. } => "pinned",
            Verdict::New { .. } => "new",
            Verdict::Flagged { .. } => "suspicious",
            Verdict::Changed { .. } => "changed",
        };
        let text = std::str::from_utf8(&item.definition).unwrap_or_default();
        Reviewed {
            tool: item.raw.to_string(),
            class: self.known.policy.class(item).word(),
            outcome: self.known.policy.decide(&case).outcome(),
            definition,
            structured: view::member(text, "outputSchema").is_some(),
        }
    }

    /// The five decisions.
    pub fn decisions(&self) -> Vec<Decision> {
        let decision = |decision, question, (decided, answer)| Decision { decision, question, decided, answer };
        vec![
            decision("Server scope", "Which workspace or team may use it?", self.scope()),
            decision("Tool allowlist", "Which tools are safe to call?", self.allowlist()),
            decision("Data exposure", "What sensitive data can be returned?", self.data()),
            decision("Auth model", "User OAuth, service token, or scoped credential?", self.auth()),
            decision("Audit trail", "Where are tool calls recorded?", self.audit()),
        ]
    }

    fn scope(&self) -> (bool, String) {
        let scope = &self.server.scope;
        let parts = [("workspaces", &scope.workspaces), ("teams", &scope.teams)];
        let parts: Vec<_> = parts.iter().filter(|(_, names)| !names.is_empty()).collect();
        let text = parts.iter().map(|(what, names)| format!("{what}: {}", names.join(", ")));
        match parts.is_empty() {
            true => (false, "every workspace and every team; set `scope`".to_owned()),
            false => (true, text.collect::<Vec<_>>().join("; ")),
        }
    }

    fn allowlist(&self) -> (bool, String) {
        let but = match self.server.disabled_tools.as_slice() {
            [] => String::new(),
            tools => format!(", but not {}", tools.join(", ")),
        };
        match &self.server.enabled_tools {
            Some(tools) => {
                (true, format!("{}{but}", if tools.is_empty() { "none".to_owned() } else { tools.join(", ") }))
            }
            None => (false, format!("every tool it lists{but}; set `enabled_tools`")),
        }
    }

    fn data(&self) -> (bool, String) {
        let data = &self.server.data;
        let masked = match data.detect {
            Detect::All => "secrets and personal data are masked",
            Detect::Known => "only secrets of the configuration are masked",
            Detect::Off => "nothing is masked",
        };
        let passing = match data.allow.as_slice() {
            [] => String::new(),
            classes => format!("; passing: {}", classes.join(", ")),
        };
        (data.detect == Detect::All, format!("{masked}{passing}"))
    }

    fn auth(&self) -> (bool, String) {
        let credential = match &self.server.transport {
            Transport::Http(http) => match &http.bearer_token_env_var {
                Some(variable) => format!("; bearer token of the variable {variable}"),
                None if !http.headers.is_empty() || !http.env_headers.is_empty() => "; headers of its entry".to_owned(),
                None => "; no credential in its entry".to_owned(),
            },
            Transport::Stdio(stdio) | Transport::Handlers(stdio) => match stdio.env.len() + stdio.env_vars.len() {
                0 => "; no variables beside the common ones".to_owned(),
                _ => {
                    let names = stdio.env.keys().chain(&stdio.env_vars).map(String::as_str);
                    format!("; variables: {}", names.collect::<Vec<_>>().join(", "))
                }
            },
            Transport::Declared => "; nothing runs".to_owned(),
        };
        (self.server.auth_model != AuthModel::None, format!("{}{credential}", self.server.auth_model.word()))
    }

    fn audit(&self) -> (bool, String) {
        let args = match self.config.audit.args {
            AuditArgs::Masked => "with masked arguments",
            AuditArgs::Digest => "with a digest of the arguments",
            AuditArgs::None => "without arguments",
        };
        let ledger = self.config.state_dir().join("audit");
        let also = match self.server.audit_sink.as_str() {
            "ledger" => String::new(),
            sink => format!("; also {sink}"),
        };
        (true, format!("{}, {args}{also}", ledger.display()))
    }

    /// The checklist.
    pub fn checks(&self, tools: &[Reviewed]) -> Vec<Check> {
        let mut checks = self.of_tools(tools);
        checks.push(self.in_clear());
        let claims = match self.server.trust {
            Trust::Trusted => "what it says of its own tools counts (`trust`)",
            Trust::Untrusted => "what it says of its own tools counts only against them",
        };
        let shown = Shown { secrets: false, env: self.env };
        let rights = match &self.server.transport {
            Transport::Stdio(_) => "; a process with all your rights",
            Transport::Handlers(_) => "; a program for each call, in a sandbox",
            Transport::Http(_) => "; it gets what is sent to its tools",
            Transport::Declared => "; nothing runs",
        };
        let place = super::super::show::origin(self.server);
        for (check, detail) in [
            ("claims", claims.to_owned()),
            ("runs as", format!("{}{rights}", shown.reach(self.server))),
            ("entry", place),
        ] {
            checks.push(Check { check, ok: None, detail });
        }
        checks
    }

    fn of_tools(&self, tools: &[Reviewed]) -> Vec<Check> {
        if tools.is_empty() {
            let detail = format!("none were ever seen; `toolgate mcp refresh {}` asks for them", self.server.name);
            return vec![Check { check: "tools", ok: None, detail }];
        }
        let count = |class: &str| tools.iter().filter(|tool| tool.class == class).count();
        let kinds =
            format!("{} only read, {} write, {} of high impact", count("read"), count("write"), count("high_impact"));
        let structured = tools.iter().filter(|tool| tool.structured).count();
        let unasked = |class: &str| named(tools, |tool| tool.class == class && tool.outcome == Outcome::Allow);
        vec![
            Check { check: "tools", ok: None, detail: format!("{} tools: {kinds}", tools.len()) },
            none_of("tools that write need approval", &unasked("write"), "run unasked"),
            none_of("tools of high impact need approval", &unasked("high_impact"), "run unasked"),
            none_of("definitions are pinned", &named(tools, |tool| tool.definition != "pinned"), "are not"),
            Check {
                check: "structured data",
                ok: None,
                detail: format!("{structured} of {} tools say what shape their results have", tools.len()),
            },
        ]
    }

    fn in_clear(&self) -> Check {
        let own = format!("`mcp_servers.{}.", self.server.name);
        let problems = self.config.lints.iter().chain(&self.config.warnings);
        let found: Vec<_> = problems
            .filter(|problem| problem.message.starts_with(&own) && problem.message.ends_with("holds a secret in clear"))
            .map(ToString::to_string)
            .collect();
        let detail = if found.is_empty() { "none in its entry".to_owned() } else { found.join("; ") };
        Check { check: "no secrets in clear", ok: Some(found.is_empty()), detail }
    }
}

fn named(tools: &[Reviewed], which: impl Fn(&Reviewed) -> bool) -> Vec<&str> {
    tools.iter().filter(|tool| which(tool)).map(|tool| tool.tool.as_str()).collect()
}

fn none_of(check: &'static str, tools: &[&str], what: &str) -> Check {
    let detail = if tools.is_empty() { "all of them".to_owned() } else { format!("{} {what}", tools.join(", ")) };
    Check { check, ok: Some(tools.is_empty()), detail }
}
