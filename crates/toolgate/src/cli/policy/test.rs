//! `toolgate policy test`: cases with the outcome somebody expects of them, for a repository's own checks.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::super::Context;
use super::principal;
use crate::ui::{Failure, Report, Table};
use crate::wire::{Known, imagined};
use gate::{Case, Code, Facts, Item};

/// Arguments of `policy test`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate policy test cases.toml
  toolgate policy test cases.toml --json | jq '.cases[] | select(.passed | not)'

A case:
  [[case]]
  name = \"nobody deletes a repository\"
  server = \"github\"
  tool = \"delete_repo\"
  args = { repo = \"me/site\" }
  expect = \"deny\"          # allow, ask or deny
  rule = \"no-deletions\"    # also: principal, tainted, annotations = { readOnlyHint = true }

Annotations that a case does not give are those the tool was last seen with. Exits 1 if a case comes out otherwise.")]
pub struct TestArgs {
    /// A TOML file of `[[case]]` tables.
    #[arg(value_name = "FILE")]
    file: std::path::PathBuf,
}

/// Decides and compares.
pub fn run(args: &TestArgs, cx: &Context) -> Result<(), Failure> {
    let shown = args.file.display();
    let text = std::fs::read_to_string(&args.file).map_err(|error| Failure::io(&format!("read {shown}"), error))?;
    let cases: Cases = toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        Failure::new(Code::Usage, format!("{shown}:{line}: {}", error.message()))
            .hint("`toolgate policy test --help` shows how a case is written")
    })?;
    if cases.case.is_empty() {
        return Err(Failure::new(Code::Usage, format!("{shown} holds no `[[case]]`")));
    }
    let config = cx.config()?;
    config.sound().map_err(|problem| Failure::from(problem.clone()))?;
    let known = Known::load(&config, &cx.env);
    let rows = cases.case.into_iter().enumerate().map(|(index, case)| case.decide(index, &known));
    let report = Tested { cases: rows.collect::<Result<_, _>>()? };
    cx.ui.report(&report)?;
    match report.failed() {
        0 => Ok(()),
        failed => {
            let message = format!("{failed} of {} cases came out otherwise", report.cases.len());
            Err(Failure::new(Code::PolicyFaulty, message).hint("`toolgate policy explain` says why"))
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    #[serde(default)]
    case: Vec<Written>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Option<String>,
    principal: Option<String>,
    server: String,
    tool: String,
    args: Option<serde_json::Map<String, serde_json::Value>>,
    annotations: Option<Annotations>,
    #[serde(default)]
    tainted: bool,
    expect: Expected,
    rule: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the words of MCP")]
struct Annotations {
    #[serde(rename = "readOnlyHint", alias = "read_only")]
    read_only_hint: Option<bool>,
    #[serde(rename = "destructiveHint", alias = "destructive")]
    destructive_hint: Option<bool>,
    #[serde(rename = "openWorldHint", alias = "open_world")]
    open_world_hint: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Allow,
    Ask,
    Deny,
}

impl Expected {
    fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

impl Written {
    fn item(&self, known: &Known) -> Item {
        let seen = known.raw(&self.server, &self.tool);
        let facts = match (&self.annotations, &seen) {
            (Some(said), _) => Facts {
                read_only: said.read_only_hint,
                destructive: said.destructive_hint,
                open_world: said.open_world_hint,
            },
            (None, Some(item)) => item.facts,
            (None, None) => Facts::default(),
        };
        match seen {
            Some(item) => Item { facts, ..(*item).clone() },
            None => imagined(&self.server, &self.tool, facts),
        }
    }

    fn decide(self, index: usize, known: &Known) -> Result<Row, Failure> {
        let by = principal(self.principal.as_deref().unwrap_or("local"))?;
        let item = self.item(known);
        let arguments = self.args.as_ref().map(serde_json::to_vec).transpose().map_err(Failure::bug)?;
        let case = Case { by: &by, item: &item, arguments: arguments.as_deref(), tainted: self.tainted };
        let decision = known.policy.decide(&case);
        let (outcome, rule) = (decision.outcome().word(), decision.rule().0.to_string());
        let passed = outcome == self.expect.word() && self.rule.as_ref().is_none_or(|expected| *expected == rule);
        Ok(Row {
            name: self.name.unwrap_or_else(|| format!("case {}", index + 1)),
            principal: by.word(),
            server: self.server,
            tool: self.tool,
            expect: self.expect.word(),
            expect_rule: self.rule,
            outcome,
            rule,
            passed,
        })
    }
}

#[derive(Serialize)]
struct Row {
    name: String,
    principal: &'static str,
    server: String,
    tool: String,
    expect: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expect_rule: Option<String>,
    outcome: &'static str,
    rule: String,
    passed: bool,
}

struct Tested {
    cases: Vec<Row>,
}

impl Tested {
    fn failed(&self) -> usize {
        self.cases.iter().filter(|row| !row.passed).count()
    }
}

impl Serialize for Tested {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("schema", "toolgate.policy.test/1")?;
        map.serialize_entry("failed", &self.failed())?;
        map.serialize_entry("cases", &self.cases)?;
        map.end()
    }
}

impl Report for Tested {
    fn human(&self) -> String {
        let mut table = Table::new(["Result", "Case", "Expected", "Came out", "By"]);
        for row in &self.cases {
            let by = row.expect_rule.as_ref().map(|rule| format!(" by {rule}")).unwrap_or_default();
            table.row([
                if row.passed { "ok" } else { "FAILED" }.to_owned(),
                row.name.clone(),
                format!("{}{by}", row.expect),
                row.outcome.to_owned(),
                row.rule.clone(),
            ]);
        }
        table.text()
    }
}
