//! The figures, for the terminal and for `docs/reports/masking.md`.

use crate::{Failure, say};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

/// What is known so far.
#[derive(Default)]
pub struct Report {
    text: String,
    /// Too long for the report: for whoever reviews it.
    aside: String,
}

/// How gitleaks' examples went.
#[derive(Default)]
pub struct Vendor {
    /// Positives masked.
    pub found: usize,
    /// Of these, those masked as what gitleaks calls them.
    pub named: usize,
    /// Positives not masked: rule and text.
    pub missed: Vec<(String, String)>,
    /// Negatives left alone.
    pub quiet: usize,
    /// Negatives with a mask: rule, and classes.
    pub loud: Vec<(String, String)>,
    /// Expressions of Go that were not understood.
    pub skipped: usize,
}

impl Report {
    /// Something could not be measured here.
    pub fn skipped(&mut self, what: &str, why: &str) {
        self.line(&format!("\n## {what}\n\nNot measured in this run: {why}."));
    }

    /// One line.
    pub fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Tokens and keys.
    pub fn vendor(&mut self, tally: &Vendor) {
        let positives = tally.found + tally.missed.len();
        let negatives = tally.quiet + tally.loud.len();
        self.line("\n## Tokens and keys: gitleaks' own examples\n");
        self.line(&format!(
            "Positives masked: **{} of {positives} ({:.2} %)**, under gitleaks' own name {}. Negatives left alone: {} of {negatives}. \
             Examples not read: {}.\n",
            tally.found,
            share(tally.found, positives),
            tally.named,
            tally.quiet,
            tally.skipped
        ));
        self.by_rule("Positives missed", &tally.missed);
        self.by_rule("Negatives masked", &tally.loud);
        tally.missed.iter().for_each(|(rule, text)| self.aside.push_str(&format!("missed {rule}: {}\n", cut(text))));
        tally.loud.iter().for_each(|(rule, text)| self.aside.push_str(&format!("loud {rule}: {}\n", cut(text))));
    }

    fn by_rule(&mut self, head: &str, what: &[(String, String)]) {
        let mut rules: BTreeMap<&str, usize> = BTreeMap::new();
        what.iter().for_each(|(rule, _)| *rules.entry(rule).or_default() += 1);
        let list: Vec<String> = rules.iter().map(|(rule, times)| format!("{rule} {times}")).collect();
        self.line(&format!(
            "{head}, by rule: {}.\n",
            if list.is_empty() { "none".to_owned() } else { list.join(", ") }
        ));
    }

    /// One corpus of ordinary texts.
    pub fn ordinary(
        &mut self,
        name: &str,
        files: usize,
        bytes: usize,
        classes: &BTreeMap<String, usize>,
        hits: &[(String, String, String)],
    ) {
        if !self.text.contains("## Ordinary texts") {
            self.line("\n## Ordinary texts\n\n| corpus | files | MiB | masks | of these true (mail addresses) | others per MiB | by class |\n|---|---|---|---|---|---|---|");
        }
        let mib = bytes as f64 / f64::from(1 << 20);
        let list: Vec<String> = classes.iter().map(|(class, times)| format!("{class} {times}")).collect();
        let mail = classes.get("email").copied().unwrap_or_default();
        let others = (hits.len() - mail) as f64 / mib;
        self.line(&format!(
            "| {name} | {files} | {mib:.1} | {} | {mail} | {others:.2} | {} |",
            hits.len(),
            list.join(", ")
        ));
        for (file, class, text) in hits {
            writeln!(self.aside, "{name}: {class}: {file}: {}", cut(text)).unwrap_or_default();
        }
    }

    /// Prints everything, and keeps what belongs in the report.
    pub fn finish(self, to: Option<PathBuf>) -> Result<(), Failure> {
        say(&self.aside);
        say(&self.text);
        let Some(to) = to else { return Ok(()) };
        let head = "# Masking, measured\n\nBy `cargo run --release -p xtask -- mask`; what is measured and how, in `docs/design/masking.md`.\n";
        // What people wrote below stays.
        let old = std::fs::read_to_string(&to).unwrap_or_default();
        let kept = old.find("\n## Review").map_or("", |at| &old[at..]);
        to.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        Ok(std::fs::write(to, format!("{head}{}{kept}", self.text))?)
    }
}

fn share(part: usize, all: usize) -> f64 {
    part as f64 * 100.0 / all.max(1) as f64
}

fn cut(text: &str) -> String {
    text.chars().take(160).collect::<String>().replace('\n', "\\n")
}
