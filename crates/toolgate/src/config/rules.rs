//! `[[policy.rules]]`: from what was written to the gate's [`Rule`]. A rule that is not understood whole is a mistake:
//! a condition that is dropped would let too much through or stop too much.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gate::policy::{ArgPath, Outcome, Predicate, Rule, RuleId, When};
use serde_json::Value as Json;

use super::fields::{Fields, FromNode, Many};
use super::node::{Node, Value};
use super::place::{Problem, similar};

/// Whose rules are read.
#[derive(Clone, Copy)]
pub(super) struct Author<'a> {
    /// A managed file's: they can only tighten.
    pub(super) managed: bool,
    /// What `~` stands for.
    pub(super) home: Option<&'a str>,
}

const KEYS: [&str; 8] = ["id", "principal", "server", "tool", "args", "when", "outcome", "reason"];

/// Reads a list of rules behind `rules`. Each bad one is a problem of its own.
pub(super) fn read(node: Node, author: Author<'_>, rules: &mut Vec<Rule>) -> Vec<Problem> {
    let items = match Vec::<Node>::from_node(node) {
        Ok(items) => items,
        Err(problem) => return vec![problem.in_key("rules").hint("write each rule under `[[policy.rules]]`")],
    };
    let mut problems = Vec::new();
    for node in items {
        let place = node.place.clone();
        match rule(node, author, rules.len()) {
            Err(problem) => problems.push(problem),
            Ok(rule) => match rules.iter().find(|other| other.id == rule.id) {
                None => rules.push(rule),
                Some(other) => {
                    let message = format!("`id`: another rule is called `{}` too, {}", rule.id.0, other.place);
                    problems.push(Problem::new(&place, message));
                }
            },
        }
    }
    problems
}

fn rule(node: Node, author: Author<'_>, index: usize) -> Result<Rule, Problem> {
    let place = node.place.clone();
    let mut fields = Fields::of("policy.rules", node)?;
    let id = id(&mut fields, author, index)?;
    let args = match fields.node("args") {
        Some(node) => arguments(node, author)?,
        None => Vec::new(),
    };
    let when = match fields.node("when") {
        Some(node) => when(node, author)?,
        None => When::default(),
    };
    let outcome_place = fields.place_of("outcome");
    let outcome = fields.get::<Outcome>("outcome")?.ok_or_else(|| {
        Problem::new(&place, "`outcome` is missing").hint("write `outcome = \"allow\"`, `\"ask\"` or `\"deny\"`")
    })?;
    if author.managed && outcome == Outcome::Allow {
        let problem = Problem::new(&outcome_place, "a managed rule cannot allow, only `ask` and `deny`");
        return Err(problem.hint("allow it in the toolgate.toml of those concerned"));
    }
    let rule = Rule {
        id,
        place: place.to_string(),
        principal: patterns(&mut fields, "principal")?,
        server: patterns(&mut fields, "server")?,
        tool: patterns(&mut fields, "tool")?,
        args,
        when,
        outcome,
        reason: fields.get("reason")?,
    };
    fields.finish(&KEYS)?;
    Ok(rule)
}

fn id(fields: &mut Fields, author: Author<'_>, index: usize) -> Result<RuleId, Problem> {
    let place = fields.place_of("id");
    let id = match fields.get::<String>("id")? {
        Some(id) if id.trim().is_empty() || id.contains(char::is_control) => {
            return Err(Problem::new(&place, "`id` is empty or holds control characters"));
        }
        Some(id) => id,
        None if author.managed => format!("managed.policy.rules[{index}]"),
        None => format!("policy.rules[{index}]"),
    };
    Ok(RuleId(id.into()))
}

/// A pattern or a list of them. An empty one would mean everything by accident.
pub(super) fn patterns(fields: &mut Fields, key: &str) -> Result<Vec<String>, Problem> {
    let place = fields.place_of(key);
    match fields.get::<Many>(key)? {
        None => Ok(Vec::new()),
        Some(Many(list)) if list.is_empty() || list.iter().any(String::is_empty) => {
            Err(Problem::new(&place, format!("`{key}`: nothing matches an empty list or text"))
                .hint(format!("leave `{key}` out to mean all")))
        }
        Some(Many(list)) => Ok(list),
    }
}

const WHEN: [&str; 5] = ["read_only", "high_impact", "tainted", "workspace", "team"];

fn when(node: Node, author: Author<'_>) -> Result<When, Problem> {
    let mut fields = Fields::of("policy.rules.when", node).map_err(|problem| problem.in_key("when"))?;
    let place = fields.place_of("workspace");
    let workspace = patterns(&mut fields, "workspace")?;
    let workspace = workspace.into_iter().map(|text| at_home(text, author.home));
    let when = When {
        read_only: fields.get("read_only")?,
        high_impact: fields.get("high_impact")?,
        tainted: fields.get("tainted")?,
        workspace: workspace.collect::<Option<_>>().ok_or_else(|| homeless(&place))?,
        team: patterns(&mut fields, "team")?,
    };
    fields.finish(&WHEN)?;
    Ok(when)
}

/// `text` with a leading `~` replaced; none when there is no home to put there.
pub(super) fn at_home(text: String, home: Option<&str>) -> Option<String> {
    match text.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => Some(format!("{}{rest}", home?)),
        _ => Some(text),
    }
}

pub(super) fn homeless(place: &super::place::Place) -> Problem {
    Problem::new(place, "`~` stands for nothing, because HOME is not set").hint("write the whole path")
}

fn arguments(node: Node, author: Author<'_>) -> Result<Vec<(ArgPath, Predicate)>, Problem> {
    let table = BTreeMap::<String, Node>::from_node(node).map_err(|problem| problem.in_key("args"))?;
    let one = |(path, node): (String, Node)| {
        let at = node.place.clone();
        let predicate = predicate(node, author).map_err(|problem| problem.in_key(&path).in_key("args"))?;
        let path = argument(&path).ok_or_else(|| {
            let problem = Problem::new(&at, format!("`args`: `{path}` has an empty part"));
            problem.hint("write it like `a.b` or `/a/b`")
        })?;
        Ok((path, predicate))
    };
    table.into_iter().map(one).collect()
}

/// `a.b`, or a JSON pointer `/a/b`.
fn argument(path: &str) -> Option<ArgPath> {
    let parts: Vec<String> = match path.strip_prefix('/') {
        Some(pointer) => pointer.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect(),
        None => path.split('.').map(str::to_owned).collect(),
    };
    parts.iter().all(|part| !part.is_empty()).then_some(ArgPath(parts))
}

const PREDICATES: [&str; 10] =
    ["equals", "in", "glob", "under", "host_in", "length", "max_len", "min_len", "range", "absent"];

fn predicate(node: Node, author: Author<'_>) -> Result<Predicate, Problem> {
    let place = node.place.clone();
    match &node.value {
        Value::Table(_) => {}
        Value::Array(_) => return Ok(Predicate::In(some(node)?)),
        _ => return Ok(Predicate::Equals(json(node)?)),
    }
    let mut fields = Fields::of("", node)?;
    let found: Vec<_> = PREDICATES.into_iter().filter(|word| fields.has(word)).collect();
    let predicate = match found[..] {
        ["equals"] => Predicate::Equals(fields.node("equals").map(json).expect("just seen")?),
        ["in"] => Predicate::In(fields.node("in").map(some).expect("just seen")?),
        ["glob"] => Predicate::Glob(patterns(&mut fields, "glob")?),
        ["under"] => Predicate::Under(directories(&mut fields, author)?),
        ["host_in"] => Predicate::HostIn(patterns(&mut fields, "host_in")?),
        ["length"] => length(fields.node("length").expect("just seen"))?,
        ["max_len"] | ["min_len"] | ["max_len", "min_len"] => {
            bounds(Predicate::Length { min: fields.get("min_len")?, max: fields.get("max_len")? }, &place)?
        }
        ["range"] => range(fields.node("range").expect("just seen"))?,
        ["absent"] => Predicate::Absent(fields.or("absent", true)?),
        [] => return Err(no_predicate(fields, &place)),
        _ => return Err(Problem::new(&place, format!("only one of `{}` can be said", found.join("`, `")))),
    };
    fields.finish(&PREDICATES)?;
    Ok(predicate)
}

fn no_predicate(fields: Fields, place: &super::place::Place) -> Problem {
    let words = format!("expected one of `{}`", PREDICATES.join("`, `"));
    match fields.finish(&PREDICATES) {
        Err(problem) if problem.hint.is_some() => problem,
        Err(problem) => problem.hint(format!("{words}; an argument within an argument is written `\"a.b\" = …`")),
        Ok(()) => Problem::new(place, format!("nothing is said of it, {words}")),
    }
}

fn directories(fields: &mut Fields, author: Author<'_>) -> Result<Vec<PathBuf>, Problem> {
    let place = fields.place_of("under");
    let paths = patterns(fields, "under")?.into_iter().map(|path| at_home(path, author.home).map(PathBuf::from));
    paths.collect::<Option<_>>().ok_or_else(|| homeless(&place))
}

fn length(node: Node) -> Result<Predicate, Problem> {
    let place = node.place.clone();
    let mut fields = Fields::of("", node).map_err(|problem| problem.in_key("length"))?;
    let predicate = Predicate::Length { min: fields.get("min")?, max: fields.get("max")? };
    fields.finish(&["min", "max"])?;
    bounds(predicate, &place)
}

fn range(node: Node) -> Result<Predicate, Problem> {
    let place = node.place.clone();
    let mut fields = Fields::of("", node).map_err(|problem| problem.in_key("range"))?;
    let predicate = Predicate::Range { min: fields.get("min")?, max: fields.get("max")? };
    fields.finish(&["min", "max"])?;
    bounds(predicate, &place)
}

fn bounds(predicate: Predicate, place: &super::place::Place) -> Result<Predicate, Problem> {
    let empty = match &predicate {
        Predicate::Length { min: Some(min), max: Some(max) } => min > max,
        Predicate::Range { min: Some(min), max: Some(max) } => min > max,
        Predicate::Length { min: None, max: None } | Predicate::Range { min: None, max: None } => {
            return Err(Problem::new(place, "neither `min` nor `max` is given"));
        }
        _ => false,
    };
    if empty { Err(Problem::new(place, "`min` is above `max`, so nothing matches")) } else { Ok(predicate) }
}

fn some(node: Node) -> Result<Vec<Json>, Problem> {
    let place = node.place.clone();
    let values: Vec<Json> = Vec::<Node>::from_node(node)?.into_iter().map(json).collect::<Result<_, _>>()?;
    if values.is_empty() {
        return Err(Problem::new(&place, "nothing is in an empty list"));
    }
    Ok(values)
}

/// A written value as the JSON it is compared with.
fn json(node: Node) -> Result<Json, Problem> {
    Ok(match node.value {
        Value::Text(text) => Json::String(text),
        Value::Integer(number) => number.into(),
        Value::Float(number) => match serde_json::Number::from_f64(number) {
            Some(number) => Json::Number(number),
            None => return Err(Problem::new(&node.place, "no argument is ever infinite or not a number")),
        },
        Value::Bool(flag) => flag.into(),
        Value::Other("null") => Json::Null,
        Value::Other(kind) => return Err(Problem::new(&node.place, format!("no argument is ever a {kind}"))),
        Value::Array(items) => Json::Array(items.into_iter().map(json).collect::<Result<_, _>>()?),
        Value::Table(table) => {
            let members = table.into_iter().map(|(key, node)| Ok((key, json(node)?)));
            Json::Object(members.collect::<Result<_, Problem>>()?)
        }
    })
}

const OUTCOMES: [(&str, Outcome); 3] = [("allow", Outcome::Allow), ("ask", Outcome::Ask), ("deny", Outcome::Deny)];

impl FromNode for Outcome {
    fn from_node(node: Node) -> Result<Self, Problem> {
        let place = node.place.clone();
        let text = String::from_node(node)?;
        if let Some((_, outcome)) = OUTCOMES.iter().find(|(word, _)| *word == text) {
            return Ok(*outcome);
        }
        let problem = Problem::new(&place, format!("unknown variant `{text}`, expected one of `allow`, `ask`, `deny`"));
        let meant = match text.to_ascii_lowercase().as_str() {
            "permit" | "approve" | "accept" | "yes" | "pass" => Some("did you mean `allow`?".to_owned()),
            "prompt" | "confirm" | "approval" | "review" => Some("did you mean `ask`?".to_owned()),
            "block" | "forbid" | "reject" | "refuse" | "no" | "drop" => Some("did you mean `deny`?".to_owned()),
            other => similar(other, OUTCOMES.map(|(word, _)| word)),
        };
        Err(Problem { hint: meant, ..problem })
    }
}

impl FromNode for u64 {
    fn from_node(node: Node) -> Result<Self, Problem> {
        match node.value {
            Value::Integer(number) => Self::try_from(number).map_err(|_| Problem::new(&node.place, "it is negative")),
            other => Err(Problem::new(&node.place, format!("invalid type: {}, expected an integer", other.kind()))),
        }
    }
}

impl FromNode for f64 {
    fn from_node(node: Node) -> Result<Self, Problem> {
        match node.value {
            #[expect(clippy::cast_precision_loss, reason = "JSON numbers beyond 2^53 have lost it already")]
            Value::Integer(number) => Ok(number as Self),
            Value::Float(number) if !number.is_nan() => Ok(number),
            other => Err(Problem::new(&node.place, format!("invalid type: {}, expected a number", other.kind()))),
        }
    }
}
