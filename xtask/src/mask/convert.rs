//! Makes `crates/gate/data/rules.tsv` from the rule data of a published gitleaks conversion.
//!
//! The input is `src/builtin_rules.json` of the crate `keyspoor` 0.1.4: gitleaks' `config/gitleaks.toml` in JSON, with
//! the braces escaped that Rust's syntax wants escaped. What is left out: paths (a message has none) and the sample keys of
//! one rule's allow-list, which are keys by their shape and masked like any other.

use crate::{Failure, say};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;

const HEAD: &str = "\
# Rules for tokens and keys, from gitleaks v8.30.1 (config/gitleaks.toml, commit 83d9cd684c87d95d656c1458ef04895a7f1cbd8e),
# MIT licence, see LICENSE-gitleaks. Made by `cargo xtask mask --convert`; not written by hand.
# rule: id, least entropy, group (0: first that took part), least run of the secret, keywords (|), expression
# allow: id (* for all), what is looked at, expression    stop: id (* for all), words
";

/// Writes the rules of `from` to `to`.
pub fn convert(from: &Path, to: &Path) -> Result<(), Failure> {
    let data: Value = serde_json::from_slice(&std::fs::read(from)?)?;
    let rules = data["rules"].as_array().ok_or("no rules")?;
    let mut out = HEAD.to_owned();
    write_allows(&mut out, "*", &rules[0]["allowlist"][0])?;
    for rule in rules {
        write_rule(&mut out, rule)?;
    }
    std::fs::write(to, out)?;
    say(&format!("{} rules written to {}", rules.len(), to.display()));
    Ok(())
}

fn write_rule(out: &mut String, rule: &Value) -> Result<(), Failure> {
    let id = text(&rule["id"]);
    let pattern = pattern(rule);
    let hir = ParserBuilder::new().unicode(false).utf8(false).build().parse(&pattern)?;
    let group = rule["secret_group"].as_u64().unwrap_or(0);
    let keywords: Vec<&str> = items(&rule["keywords"]).collect();
    let entropy = rule["min_entropy"].as_f64().unwrap_or(0.0);
    writeln!(
        out,
        "rule\t{id}\t{entropy}\t{group}\t{}\t{}\t{pattern}",
        least_run(&hir, group as usize),
        keywords.join("|")
    )?;
    for allow in rule["allowlist"].as_array().into_iter().flatten().skip(1) {
        if id != "gcp-api-key" && items(&allow["paths"]).next().is_none() {
            write_allows(out, id, allow)?;
        }
    }
    Ok(())
}

/// The general rule gets back the tail of its identifier that the published conversion took away.
fn pattern(rule: &Value) -> String {
    let pattern = text(&rule["pattern"]);
    match text(&rule["id"]) {
        "generic-api-key" => pattern.replacen(r"(?:[ \t]{0,20})", r"(?:[ \t\w.-]{0,20})", 1),
        _ => pattern.to_owned(),
    }
}

fn write_allows(out: &mut String, id: &str, allow: &Value) -> Result<(), Failure> {
    for regex in items(&allow["regexes"]) {
        writeln!(out, "allow\t{id}\t{}\t{regex}", text(&allow["target"]))?;
    }
    let words: Vec<&str> = items(&allow["stopwords"]).collect();
    if !words.is_empty() {
        writeln!(out, "stop\t{id}\t{}", words.join(" "))?;
    }
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn items(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// How long the secret is at least, if it consists of the characters of one run; else 0.
fn least_run(hir: &Hir, group: usize) -> usize {
    let mut groups = Vec::new();
    captures(hir, &mut groups);
    let secrets = match (group, groups.len()) {
        (_, 0) => vec![hir],
        (0, _) => groups,
        (at, _) => groups.drain(..).skip(at - 1).take(1).collect(),
    };
    let least = |hir: &Hir| if in_a_run(hir) { hir.properties().minimum_len().unwrap_or(0) } else { 0 };
    // A shorter group was only repeated, and is a part of a secret that is no run.
    secrets.into_iter().map(least).min().filter(|least| *least >= 8).unwrap_or(0)
}

/// The outermost groups.
fn captures<'a>(hir: &'a Hir, found: &mut Vec<&'a Hir>) {
    match hir.kind() {
        HirKind::Capture(group) => found.push(&group.sub),
        HirKind::Concat(subs) | HirKind::Alternation(subs) => subs.iter().for_each(|sub| captures(sub, found)),
        HirKind::Repetition(repeated) => captures(&repeated.sub, found),
        _ => {}
    }
}

fn in_a_run(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => literal.0.iter().all(|byte| of_a_run(*byte)),
        HirKind::Class(Class::Bytes(class)) => class.ranges().iter().all(|r| (r.start()..=r.end()).all(of_a_run)),
        HirKind::Class(Class::Unicode(class)) => {
            class.ranges().iter().all(|r| r.end().is_ascii() && (r.start()..=r.end()).all(|c| of_a_run(c as u8)))
        }
        HirKind::Repetition(repeated) => in_a_run(&repeated.sub),
        HirKind::Capture(group) => in_a_run(&group.sub),
        HirKind::Concat(subs) | HirKind::Alternation(subs) => subs.iter().all(in_a_run),
    }
}

/// As `gate::mask` has it.
fn of_a_run(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'~' | b'+' | b'/' | b'=' | b'%')
}
