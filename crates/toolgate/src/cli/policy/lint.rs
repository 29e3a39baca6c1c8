//! `toolgate policy lint`: mistakes in the configuration and in its rules, all at once.

use clap::Args;
use serde::Serialize;

use super::super::Context;
use crate::config::{Config, Env, Problem};
use crate::ui::{Failure, Report, Table};
use crate::wire::Known;
use gate::Code;
use gate::policy::{self, Finding, Level};

/// Arguments of `policy lint`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate policy lint
  toolgate policy lint --json | jq -r '.findings[] | select(.level == \"error\") | .text'

Exits 1 if there is an error. Tools are known once their server ran: `toolgate mcp tools --refresh` asks them all.")]
pub struct LintArgs {}

/// Lints.
pub fn run(_: &LintArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.files()?;
    let report = Lint { findings: findings(&config, &cx.env) };
    cx.ui.report(&report)?;
    match report.errors() {
        0 => Ok(()),
        1 => Err(Failure::new(Code::PolicyFaulty, "there is an error in the configuration")),
        errors => Err(Failure::new(Code::PolicyFaulty, format!("there are {errors} errors in the configuration"))),
    }
}

/// All that is wrong or odd in the files and in their rules, errors first.
pub(in crate::cli) fn findings(config: &Config, env: &Env) -> Vec<Row> {
    let known = Known::load(config, env);
    let mut findings: Vec<Row> = of_rules(policy::lint(&known.source, &known.tools));
    let said = |problem: &Problem| findings.iter().any(|row| row.is(problem));
    let more: Vec<Row> = of_files(config).filter(|(_, problem)| !said(problem)).map(Row::of_problem).collect();
    findings.extend(more);
    findings.sort_by_key(|row| row.level);
    findings
}

fn of_files(config: &Config) -> impl Iterator<Item = (Level, &Problem)> {
    let broken = config.broken.iter().map(|broken| (Level::Error, &broken.problem));
    let bad = config.bad.iter().map(|bad| (Level::Error, &bad.problem));
    let odd = config.warnings.iter().chain(&config.lints).map(|problem| (Level::Warning, problem));
    broken.chain(bad).chain(odd)
}

fn of_rules(findings: Vec<Finding>) -> Vec<Row> {
    let row = |finding: Finding| Row {
        level: finding.level,
        place: Some(finding.place).filter(|place| !place.is_empty()),
        rule: Some(finding.rule.0.to_string()),
        text: finding.text,
        hint: None,
    };
    findings.into_iter().map(row).collect()
}

/// One thing that was found.
#[derive(Serialize)]
pub(in crate::cli) struct Row {
    pub(in crate::cli) level: Level,
    pub(in crate::cli) place: Option<String>,
    pub(in crate::cli) rule: Option<String>,
    pub(in crate::cli) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) hint: Option<String>,
}

impl Row {
    fn of_problem((level, problem): (Level, &Problem)) -> Self {
        let (place, text) = (Some(problem.place.to_string()), problem.message.clone());
        Self { level, place, rule: None, text, hint: problem.hint.clone() }
    }

    /// Whether this is what the configuration complained of when it was read.
    fn is(&self, problem: &Problem) -> bool {
        self.place.as_ref() == Some(&problem.place.to_string()) && problem.message.contains(&self.text)
    }
}

struct Lint {
    findings: Vec<Row>,
}

impl Lint {
    fn errors(&self) -> usize {
        self.findings.iter().filter(|row| row.level == Level::Error).count()
    }
}

impl Serialize for Lint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("schema", "toolgate.policy.lint/1")?;
        map.serialize_entry("errors", &self.errors())?;
        map.serialize_entry("findings", &self.findings)?;
        map.end()
    }
}

impl Report for Lint {
    fn human(&self) -> String {
        if self.findings.is_empty() {
            return "Nothing is wrong with the rules.\n".to_owned();
        }
        let mut table = Table::new(["Level", "Where", "What"]);
        for row in &self.findings {
            let level = if row.level == Level::Error { "error" } else { "warning" };
            let place = row.place.clone().or_else(|| row.rule.clone()).unwrap_or_default();
            let rule = row.rule.as_ref().map(|rule| format!("`{rule}` ")).unwrap_or_default();
            let hint = row.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            table.row([level.to_owned(), place, format!("{rule}{}{hint}", row.text)]);
        }
        table.text()
    }
}
