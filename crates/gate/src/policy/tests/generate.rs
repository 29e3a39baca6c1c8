//! Policies and cases by the million, from one seed: few names, so that rules meet, miss and contradict each other.

use super::*;
use crate::words::ServerName;
use serde_json::{Value, json};
use std::collections::HashMap;

/// A stream of choices; the same seed, the same choices (xorshift64*).
pub(super) struct Choices(u64);

impl Choices {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn of<'a, T: ?Sized>(&mut self, options: &[&'a T]) -> &'a T {
        options[self.below(options.len())]
    }

    fn flag(&mut self, times: usize) -> Option<bool> {
        if self.one_in(times) { Some(self.one_in(2)) } else { None }
    }

    /// None, one or two of these.
    fn some(&mut self, options: &[&str]) -> Vec<String> {
        let count = [0, 1, 1, 2][self.below(4)];
        (0..count).map(|_| self.of(options).to_owned()).collect()
    }

    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }
}

const SERVERS: [&str; 4] = ["a", "ab", "b", "nobody"];
const SERVER_PATTERNS: [&str; 7] = ["a", "ab", "b", "*", "a*", "?", "x"];
const TOOLS: [&str; 7] = ["get_x", "write", "writer", "pay_bill", "deployNow", "get_payment", "x"];
const TOOL_PATTERNS: [&str; 10] = ["get_x", "write", "write*", "*", "get_*", "pay_bill", "?", "*er", "w?ite", "d*"];
const PRINCIPALS: [&str; 6] = ["local", "token", "unauthenticated", "*", "lo*", "nobody"];
const PATHS: [&[&str]; 6] = [&["x"], &["n"], &["path"], &["url"], &["o", "x"], &["l", "1"]];
const TEXTS: [&str; 6] = ["main", "ma", "", "é", "dev", "1"];
const FILES: [&str; 9] =
    ["src/x", "/work/src", "/tmp/x", "src/../etc", "../../../x", "~/x", "file:///work", "/work/./a", "/workshop"];
const ROOTS: [&str; 3] = ["/work", "/work/src", "/tmp"];
const HOSTS: [&str; 3] = ["good.com", "*.good.com", "evil.com"];

/// The made-up tools that are of high impact by their words.
pub(super) const HIGH_IMPACT: [&str; 2] = ["pay_bill", "deployNow"];

/// URLs, and whom they really lead to.
const URLS: [(&str, Option<&str>); 7] = [
    ("https://good.com/x", Some("good.com")),
    ("https://GOOD.com:8443", Some("good.com")),
    ("https://a.good.com", Some("a.good.com")),
    ("https://good.com@evil.com", Some("evil.com")),
    ("https://evilgood.com", Some("evilgood.com")),
    ("https://good.com\\@evil.com", None),
    ("good.com", None),
];

/// The host of one of the URLs made up here; of any other text there is none.
pub(super) fn host_in_words(text: &str) -> Option<&'static str> {
    URLS.iter().find(|(url, _)| *url == text).and_then(|(_, host)| *host)
}

fn value(choices: &mut Choices) -> Value {
    match choices.below(9) {
        0 => json!(choices.below(5)),
        1 => json!(choices.below(5) as f64 / 2.0),
        2 => json!(null),
        3 => json!(choices.one_in(2)),
        4 => json!([choices.below(2), "1"]),
        5 => json!({ "x": choices.below(3) }),
        6 => json!(choices.of(&FILES)),
        7 => json!(URLS[choices.below(URLS.len())].0),
        _ => json!(choices.of(&TEXTS)),
    }
}

/// An arguments object.
pub(super) fn arguments(choices: &mut Choices) -> Vec<u8> {
    let mut object = serde_json::Map::new();
    for key in ["x", "n", "o", "l", "path", "url"] {
        let value = match key {
            _ if choices.one_in(3) => continue,
            "path" if !choices.one_in(4) => json!(choices.of(&FILES)),
            "url" if !choices.one_in(4) => json!(URLS[choices.below(URLS.len())].0),
            "n" if !choices.one_in(4) => json!(choices.below(5)),
            _ => value(choices),
        };
        object.insert(key.to_owned(), value);
    }
    serde_json::to_vec(&object).unwrap()
}

fn predicate(choices: &mut Choices) -> (ArgPath, Predicate) {
    let texts = |choices: &mut Choices, options: &[&str]| choices.some(options);
    let (path, predicate) = match choices.below(9) {
        0 => (2, Predicate::Under(texts(choices, &ROOTS).into_iter().map(Into::into).collect())),
        1 => (3, Predicate::HostIn(texts(choices, &HOSTS))),
        2 => (0, Predicate::Glob(texts(choices, &["ma*", "*", "?", "dev"]))),
        3 => {
            let (min, max) = (choices.below(3) as u64, choices.below(4) as u64);
            (
                choices.below(6),
                Predicate::Length { min: choices.flag(2).map(|_| min), max: choices.flag(2).map(|_| max) },
            )
        }
        4 => {
            let (min, max) = (choices.below(4) as f64 / 2.0, choices.below(6) as f64 / 2.0);
            (1, Predicate::Range { min: choices.flag(2).map(|_| min), max: choices.flag(2).map(|_| max) })
        }
        5 => (choices.below(6), Predicate::Absent(choices.one_in(2))),
        6 => (choices.below(6), Predicate::In((0..choices.below(3)).map(|_| value(choices)).collect())),
        _ => (choices.below(6), Predicate::Equals(value(choices))),
    };
    let path = if choices.one_in(6) { choices.below(6) } else { path };
    (ArgPath(PATHS[path].iter().map(|key| (*key).to_owned()).collect()), predicate)
}

/// A rule; `mild` are the outcomes it may have.
pub(super) fn rule(choices: &mut Choices, id: String, outcomes: &[Outcome]) -> Rule {
    let when = When {
        read_only: choices.flag(5),
        high_impact: choices.flag(6),
        tainted: choices.flag(5),
        workspace: if choices.one_in(6) { choices.some(&["/work", "/w*", "/other"]) } else { Vec::new() },
        team: if choices.one_in(6) { choices.some(&["red", "blue"]) } else { Vec::new() },
    };
    let count = [0, 0, 1, 1, 2][choices.below(5)];
    Rule {
        id: RuleId(id.into()),
        place: String::new(),
        principal: if choices.one_in(3) { choices.some(&PRINCIPALS) } else { Vec::new() },
        server: choices.some(&SERVER_PATTERNS),
        tool: choices.some(&TOOL_PATTERNS),
        args: (0..count).map(|_| predicate(choices)).collect(),
        when,
        outcome: outcomes[choices.below(outcomes.len())],
        reason: None,
    }
}

fn server(choices: &mut Choices) -> ServerRules {
    let modes = [Mode::Auto, Mode::Prompt, Mode::Writes, Mode::Approve, Mode::Deny];
    let mode = |choices: &mut Choices| {
        let end = if choices.one_in(4) { 5 } else { 4 };
        modes[choices.below(end)]
    };
    let own = (0..choices.below(3)).map(|_| (choices.of(&TOOLS).to_owned(), mode(choices))).collect();
    let declared = |choices: &mut Choices| Declared { read_only: choices.flag(2), high_impact: choices.flag(2) };
    let barred = Barred { rule: RuleId("barred".into()), why: String::new() };
    ServerRules {
        enabled_tools: choices.one_in(8).then(|| choices.some(&TOOL_PATTERNS)),
        disabled_tools: if choices.one_in(6) { choices.some(&TOOL_PATTERNS) } else { Vec::new() },
        read_only: choices.one_in(8),
        trusted: choices.one_in(2),
        default_mode: choices.one_in(2).then(|| mode(choices)),
        tool_modes: own,
        declared: (0..choices.below(3)).map(|_| (choices.of(&TOOL_PATTERNS).to_owned(), declared(choices))).collect(),
        barred: choices.one_in(12).then_some(barred),
    }
}

/// A policy.
pub(super) fn source(choices: &mut Choices) -> PolicySource {
    let all = [Outcome::Allow, Outcome::Ask, Outcome::Deny];
    let managed = if choices.one_in(2) { choices.below(3) } else { 0 };
    let servers = SERVERS[..3].iter().map(|name| (ServerName::from(*name), server(choices)));
    PolicySource {
        servers: servers.collect::<HashMap<_, _>>(),
        managed: (0..managed).map(|n| rule(choices, format!("managed[{n}]"), &all)).collect(),
        rules: (0..choices.below(7)).map(|n| rule(choices, format!("rules[{n}]"), &all)).collect(),
        high_impact: if choices.one_in(4) { choices.some(&TOOL_PATTERNS) } else { Vec::new() },
        managed_high_impact: if choices.one_in(6) { choices.some(&TOOL_PATTERNS) } else { Vec::new() },
        workspace: "/work".into(),
        team: choices.one_in(2).then(|| choices.of(&["red", "blue"]).to_owned()),
        paths: None,
    }
}

/// A tool of one of the servers, or of one that nobody configured.
pub(super) fn item(choices: &mut Choices) -> Item {
    let facts = Facts { read_only: choices.flag(1), destructive: choices.flag(2), open_world: choices.flag(2) };
    let facts = if choices.one_in(3) { Facts::default() } else { facts };
    let server = if choices.one_in(20) { "nobody" } else { SERVERS[choices.below(3)] };
    Item::for_test(server, choices.of(&TOOLS), facts)
}

/// Whose call it is.
pub(super) fn principal(choices: &mut Choices) -> Principal {
    match choices.below(3) {
        0 => Principal::Local,
        1 => Principal::Token,
        _ => Principal::Unauthenticated,
    }
}
