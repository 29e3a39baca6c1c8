//! The rules for tokens and keys, and the names of all classes. The rules are data (`data/rules.tsv`); each expression is
//! compiled when something near one of its keywords first makes it a candidate.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::bytes::{Captures, Regex, RegexBuilder};
use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

/// A kind of thing that is masked; its name is for people and stays.
pub(super) type Class = u16;

pub(super) const REGISTERED: Class = 0;
pub(super) const PRIVATE_KEY: Class = 1;
pub(super) const JWT: Class = 2;
pub(super) const CARD: Class = 3;
pub(super) const IBAN: Class = 4;
pub(super) const EMAIL: Class = 5;
pub(super) const PHONE: Class = 6;
pub(super) const SSN: Class = 7;
pub(super) const FIELD: Class = 8;
pub(super) const URL_PASSWORD: Class = 9;
pub(super) const NATIONAL_ID: Class = 10;
const BUILT_IN: [&str; 11] = [
    "registered",
    "private-key",
    "jwt",
    "card",
    "iban",
    "email",
    "phone",
    "ssn",
    "field",
    "url-password",
    "national-id",
];

const DATA: &str = include_str!("../../data/rules.tsv");

/// What the data wants behind a token, and what is wanted here if the token is known by itself: a comma, a bracket or the
/// end of a sentence is no less an end.
const BEHIND: &str = r#"(?:[\x60'"\s;]|\\[nr]|$)"#;
const ANY_BEHIND: &str = r"(?:[^\w/+=(-]|$)";

/// The beginning of the name in which a keyword stands. An expression that has it must try every place; without it, it
/// starts at its keyword, and the beginning is read afterwards ([`name_start`]).
const BEFORE: &str = r"[\w.-]{0,50}?";

/// Where the name begins in which `at` stands.
pub(super) fn name_start(text: &[u8], at: usize) -> usize {
    let of_a_name = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    at - text[..at].iter().rev().take(50).take_while(of_a_name).count()
}

/// Words that make a value in plain text a candidate, whatever its shape.
const WORDS: [&str; 17] = [
    "passw",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "token",
    "api_key",
    "api-key",
    "apikey",
    "api key",
    "access_key",
    "access-key",
    "accesskey",
    "authorization",
    "cookie",
    "credential",
    "private_key",
];

/// Words in the names of members whose values are secret, besides [`WORDS`]; alone they say nothing.
const NAMES: [&str; 11] = ["pass", "otp", "cvv", "cvc", "ssn", "dob", "birth", "security", "jwt", "bearer", "key"];

/// One rule of the data.
pub(super) struct Rule {
    pub class: Class,
    pub id: &'static str,
    entropy: f64,
    group: usize,
    /// The least length of a run of token characters that can hold the secret; 0 if it is not one run.
    pub least_run: usize,
    /// Whether the keyword is the token's own beginning, not a word near it.
    pub own: bool,
    pattern: &'static str,
    regex: OnceLock<Option<Regex>>,
    allows: Vec<Allow>,
    stops: Option<AhoCorasick>,
}

struct Allow {
    target: Target,
    pattern: &'static str,
    regex: OnceLock<Option<Regex>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Secret,
    Match,
    Line,
}

/// What a keyword is for.
#[derive(Clone, Copy)]
pub(super) enum Lead {
    /// A rule, by index.
    Rule(u16),
    /// A name in front of a value.
    Word,
    /// What may stand in the name of a member.
    Name,
    /// The first or last line of a key.
    Key,
}

/// All rules, and one pass that finds every keyword.
pub(super) struct Rules {
    pub all: Vec<Rule>,
    pub keywords: AhoCorasick,
    /// The keywords that lead to something in a text without a run of token characters.
    pub sufficient: AhoCorasick,
    /// By pattern of `keywords`.
    pub leads: Vec<Vec<Lead>>,
    anywhere: Vec<Allow>,
    stops: Option<AhoCorasick>,
}

static RULES: LazyLock<Rules> = LazyLock::new(Rules::read);

/// The rules, read once.
pub(super) fn rules() -> &'static Rules {
    &RULES
}

/// The names of all classes that are always there, by class.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.into_iter().chain(rules().all.iter().map(|rule| rule.id))
}

/// The name of a class that is always there.
pub(super) fn name(class: Class) -> Option<&'static str> {
    let class = usize::from(class);
    BUILT_IN.get(class).copied().or_else(|| rules().all.get(class - BUILT_IN.len()).map(|rule| rule.id))
}

/// How many classes are always there; the operator's own come behind them.
pub(super) fn count() -> usize {
    BUILT_IN.len() + rules().all.len()
}

impl Rules {
    fn read() -> Self {
        let mut rules = Self::empty();
        let mut leads: HashMap<&'static str, Vec<Lead>> = HashMap::new();
        for line in DATA.lines() {
            let fields: Vec<&'static str> = line.split('\t').collect();
            match fields[..] {
                ["rule", id, ..] if BUILT_IN.contains(&id) => {}
                ["rule", id, entropy, group, run, keywords, pattern] => {
                    let at = rules.all.len();
                    keywords.split('|').for_each(|word| leads.entry(word).or_default().push(Lead::Rule(at as u16)));
                    rules.all.push(Rule::new(at, id, number(entropy), number(group), number(run), pattern));
                }
                ["allow", id, target, pattern] => rules.allows(id).push(Allow::new(target, pattern)),
                ["stop", "*", words] => rules.stops = Some(stops(words)),
                ["stop", id, words] => rules.of(id).stops = Some(stops(words)),
                _ => {}
            }
        }
        WORDS.into_iter().for_each(|word| leads.entry(word).or_default().push(Lead::Word));
        NAMES.into_iter().for_each(|word| leads.entry(word).or_default().push(Lead::Name));
        ["-----begin", "-----end"].into_iter().for_each(|word| leads.entry(word).or_default().push(Lead::Key));
        let wants_run = |lead: &Lead| matches!(lead, Lead::Rule(at) if rules.all[usize::from(*at)].least_run > 0);
        let suffice = leads.iter().filter(|(_, leads)| !leads.iter().all(wants_run)).map(|(word, _)| *word);
        rules.sufficient = keywords(&suffice.collect::<Vec<_>>());
        let (words, leads): (Vec<_>, Vec<_>) = leads.into_iter().unzip();
        rules.keywords = keywords(&words);
        rules.leads = leads;
        rules
    }

    fn empty() -> Self {
        let (keywords, sufficient) = (keywords(&[]), keywords(&[]));
        Self { all: Vec::new(), keywords, sufficient, leads: Vec::new(), anywhere: Vec::new(), stops: None }
    }

    fn allows(&mut self, id: &str) -> &mut Vec<Allow> {
        if id == "*" { &mut self.anywhere } else { &mut self.of(id).allows }
    }

    fn of(&mut self, id: &str) -> &mut Rule {
        self.all.iter_mut().rfind(|rule| rule.id == id).expect("the data names a rule before what belongs to it")
    }

    /// Whether what `rule` found is a known example, a placeholder or a word.
    pub fn allowed(&self, rule: &Rule, found: &Found<'_>) -> bool {
        let stopped = [&self.stops, &rule.stops].into_iter().flatten().any(|stops| stops.is_match(found.secret));
        stopped || self.anywhere.iter().chain(&rule.allows).any(|allow| allow.fits(found))
    }
}

fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("the data has a number here")
}

fn keywords(words: &[&str]) -> AhoCorasick {
    let builder = AhoCorasick::builder().ascii_case_insensitive(true).kind(Some(AhoCorasickKind::DFA)).build(words);
    builder.expect("the keywords are few and short")
}

fn stops(words: &str) -> AhoCorasick {
    AhoCorasick::builder().ascii_case_insensitive(true).build(words.split(' ')).expect("the words are few and short")
}

/// What a rule found, for its allow-lists.
pub(super) struct Found<'a> {
    pub secret: &'a [u8],
    pub whole: &'a [u8],
    pub line: &'a [u8],
}

impl Allow {
    fn new(target: &str, pattern: &'static str) -> Self {
        let target = match target {
            "match" => Target::Match,
            "line" => Target::Line,
            _ => Target::Secret,
        };
        Self { target, pattern, regex: OnceLock::new() }
    }

    fn fits(&self, found: &Found<'_>) -> bool {
        let Some(regex) = self.regex.get_or_init(|| compiled(self.pattern)) else { return false };
        regex.is_match(match self.target {
            Target::Secret => found.secret,
            Target::Match => found.whole,
            Target::Line => found.line,
        })
    }
}

impl Rule {
    fn new(at: usize, id: &'static str, entropy: f64, group: usize, least_run: usize, pattern: &'static str) -> Self {
        let class = (BUILT_IN.len() + at) as Class;
        let own = least_run > 0 && !pattern.contains(BEFORE);
        let (regex, allows) = (OnceLock::new(), Vec::new());
        Self { class, id, entropy, group, least_run, own, pattern, regex, allows, stops: None }
    }

    /// The expression; `None` would be data that does not compile, which a test excludes.
    pub fn regex(&self) -> Option<&Regex> {
        let pattern =
            || if self.own { self.pattern.replace(BEHIND, ANY_BEHIND) } else { self.pattern.replace(BEFORE, "") };
        self.regex.get_or_init(|| compiled(&pattern())).as_ref()
    }

    /// The part of a match that is the secret, unless it is too regular to be one.
    pub fn secret<'h>(&self, found: &Captures<'h>) -> Option<regex::bytes::Match<'h>> {
        let secret = match self.group {
            0 => {
                (1..found.len()).find_map(|at| found.get(at).filter(|group| !group.is_empty())).or_else(|| found.get(0))
            }
            at => found.get(at),
        }?;
        // A group that was only repeated holds a part of the secret.
        let whole = found.get_match();
        let secret = if secret.len() < 8 && whole.len() >= 24 { whole } else { secret };
        (self.entropy == 0.0 || entropy(secret.as_bytes()) > self.entropy).then_some(secret)
    }
}

/// Classes in the data are ASCII; Unicode word boundaries alone would cost fifty times as much.
fn compiled(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern).unicode(false).size_limit(32 << 20).dfa_size_limit(2 << 20).build().ok()
}

/// Bits per byte, by Shannon.
pub(super) fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let all = bytes.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / all)
        .map(|share| -share * share.log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_compiles_and_has_a_name_of_its_own() {
        for rule in &rules().all {
            assert!(rule.regex().is_some(), "{}", rule.id);
            rule.allows.iter().for_each(|allow| assert!(compiled(allow.pattern).is_some(), "{}", rule.id));
            assert_eq!(name(rule.class), Some(rule.id));
        }
        assert!(rules().all.len() > 200);
        let mut names: Vec<_> = names().collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count());
    }

    #[test]
    fn entropy_counts_bits() {
        assert_eq!(entropy(b"aaaa"), 0.0);
        assert_eq!(entropy(b"abcd"), 2.0);
    }
}
