//! Holds arguments against a compiled schema, in bounded time.

use super::compile::{Check, Compiled, Id, Program};
use super::say;
use super::values::{kinds, multiple};
use crate::pin::canonical;
use crate::pin::tree::{Node, below};
use serde::Serialize;
use std::collections::HashSet;
use std::fmt;

/// How many mistakes are told of at once.
const MOST_MISTAKES: usize = 8;

/// How much may be done for one check. A step is about ten nanoseconds.
const MOST_STEPS: u64 = 2_000_000;

/// How deep checks may nest, references counted.
const MOST_DEPTH: usize = 400;

/// One thing that is wrong with arguments, in words that whoever sent them can act on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// Where, as a JSON pointer into the arguments; empty for all of them.
    pub pointer: String,
    /// What is wrong there. Values are quoted up to forty characters; mask it like any text that holds arguments.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => f.write_str(&self.message),
            pointer => write!(f, "at {pointer}: {}", self.message),
        }
    }
}

/// The mistakes of `value`, none if it fits.
pub(super) fn check(program: &Program, value: &Node<'_>) -> Vec<Mistake> {
    let mut run = Run { program, steps: MOST_STEPS, depth: 0 };
    let mut mistakes = Vec::new();
    match run.schema(0, value, "", Some(&mut mistakes)) {
        Ok(true) => Vec::new(),
        Ok(false) => {
            mistakes.truncate(MOST_MISTAKES);
            mistakes
        }
        Err(OutOfBounds) => {
            let message = "these arguments take too long to hold against the tool's schema; send fewer or simpler ones";
            vec![Mistake { pointer: String::new(), message: message.to_owned() }]
        }
    }
}

/// The work ran out. Whether the value fits is not known.
struct OutOfBounds;

/// Where mistakes go; `None` where only the answer counts.
type Told<'m> = Option<&'m mut Vec<Mistake>>;

struct Run<'p> {
    program: &'p Program,
    steps: u64,
    depth: usize,
}

impl<'p> Run<'p> {
    fn spend(&mut self, steps: usize) -> Result<(), OutOfBounds> {
        self.steps = self.steps.checked_sub(steps as u64).ok_or(OutOfBounds)?;
        Ok(())
    }

    fn schema(&mut self, id: Id, value: &Node<'_>, at: &str, mut told: Told<'_>) -> Result<bool, OutOfBounds> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(OutOfBounds);
        }
        let compiled = &self.program.schemas[id];
        let mut fits = true;
        for check in &compiled.checks {
            self.spend(4)?;
            fits &= self.one(check, compiled, value, at, &mut told)?;
            if !fits && told.is_none() {
                break;
            }
        }
        self.depth -= 1;
        Ok(fits)
    }

    fn one(
        &mut self,
        check: &'p Check,
        compiled: &'p Compiled,
        value: &Node<'_>,
        at: &str,
        told: &mut Told<'_>,
    ) -> Result<bool, OutOfBounds> {
        match check {
            Check::AllOf(ids) => self.all(ids, value, at, told),
            Check::AnyOf(ids) => self.any(ids, value, at, told),
            // What is left out makes a sub-schema fit too much, so it must decide nothing by fitting.
            Check::OneOf(ids) if self.program.partial => self.any(ids, value, at, told),
            Check::Not(_) | Check::If { .. } if self.program.partial => Ok(true),
            Check::OneOf(ids) => self.exactly_one(ids, value, at, told),
            Check::Same(id) => self.schema(*id, value, at, told.as_deref_mut()),
            Check::Not(id) => {
                let fits = !self.schema(*id, value, at, None)?;
                Ok(tell(fits, told, at, || "is what the schema says it must not be".to_owned()))
            }
            Check::If { id, then, otherwise } => {
                let branch = if self.schema(*id, value, at, None)? { then } else { otherwise };
                branch.map_or(Ok(true), |id| self.schema(id, value, at, told.as_deref_mut()))
            }
            _ => match value {
                Node::Map(members) => self.object(check, compiled, value, members, at, told),
                Node::List(elements) => self.array(check, value, elements, at, told),
                _ => self.scalar(check, value, at, told),
            },
        }
    }

    fn all(&mut self, ids: &[Id], value: &Node<'_>, at: &str, told: &mut Told<'_>) -> Result<bool, OutOfBounds> {
        let mut fits = true;
        for id in ids {
            fits &= self.schema(*id, value, at, told.as_deref_mut())?;
        }
        Ok(fits)
    }

    fn any(&mut self, ids: &[Id], value: &Node<'_>, at: &str, told: &mut Told<'_>) -> Result<bool, OutOfBounds> {
        for id in ids {
            if self.schema(*id, value, at, None)? {
                return Ok(true);
            }
        }
        let reasons = self.reasons(ids, value, at, told)?;
        Ok(tell(false, told, at, || say::no_alternative(ids.len(), &reasons)))
    }

    fn exactly_one(
        &mut self,
        ids: &[Id],
        value: &Node<'_>,
        at: &str,
        told: &mut Told<'_>,
    ) -> Result<bool, OutOfBounds> {
        let mut fitting = 0;
        for id in ids {
            fitting += usize::from(self.schema(*id, value, at, None)?);
        }
        let reasons = if fitting == 0 { self.reasons(ids, value, at, told)? } else { Vec::new() };
        Ok(tell(fitting == 1, told, at, || match fitting {
            0 => say::no_alternative(ids.len(), &reasons),
            _ => format!("fits {fitting} of {} alternatives, and exactly one must fit", ids.len()),
        }))
    }

    /// Why each of a few alternatives does not fit, if anybody wants to know.
    fn reasons(
        &mut self,
        ids: &[Id],
        value: &Node<'_>,
        at: &str,
        told: &Told<'_>,
    ) -> Result<Vec<Mistake>, OutOfBounds> {
        let mut reasons = Vec::new();
        if told.is_some() {
            for id in ids.iter().take(3) {
                // Words are dearer than answers.
                self.spend(value.text().map_or(64, |text| 64 + text.len() / 16))?;
                let mut mistakes = Vec::new();
                self.schema(*id, value, at, Some(&mut mistakes))?;
                reasons.extend(mistakes.into_iter().next());
            }
        }
        Ok(reasons)
    }

    fn scalar(&mut self, check: &Check, value: &Node<'_>, at: &str, told: &mut Told<'_>) -> Result<bool, OutOfBounds> {
        Ok(match (check, value) {
            (Check::Never, _) => tell(false, told, at, || "is not allowed here".to_owned()),
            (Check::Type(bits), _) => tell(bits & kinds(value) != 0, told, at, || say::wrong_type(*bits, value)),
            (Check::Enum(allowed), _) => {
                let json = value.json();
                self.spend(allowed.len() + json.len() / 8)?;
                let form = canonical(json.as_bytes()).unwrap_or_default();
                let fits = allowed.iter().any(|(one, _)| *one == form);
                tell(fits, told, at, || say::not_among(allowed, value))
            }
            (Check::Minimum { limit, exclusive, shown }, Node::Number(number)) => {
                let number = number.parse().unwrap_or(f64::NAN);
                let fits = if *exclusive { number > *limit } else { number >= *limit };
                let relation = if *exclusive { "more than" } else { "at least" };
                tell(fits, told, at, || say::out_of(relation, shown, value))
            }
            (Check::Maximum { limit, exclusive, shown }, Node::Number(number)) => {
                let number = number.parse().unwrap_or(f64::NAN);
                let fits = if *exclusive { number < *limit } else { number <= *limit };
                let relation = if *exclusive { "less than" } else { "at most" };
                tell(fits, told, at, || say::out_of(relation, shown, value))
            }
            (Check::MultipleOf { of, shown }, Node::Number(number)) => {
                tell(multiple(number, *of, shown), told, at, || say::out_of("a multiple of", shown, value))
            }
            (Check::Length { least, most }, Node::Text(text)) => {
                self.spend(text.len() / 16)?;
                let count = text.chars().count();
                let fits = (*least..=*most).contains(&count);
                tell(fits, told, at, || say::count("characters", count, *least, *most))
            }
            (Check::Pattern(regex, shown), Node::Text(text)) => {
                // The slowest engine takes about a step for each byte.
                self.spend(text.len())?;
                let message = || format!("does not match the pattern {shown}{}", say::given(value));
                tell(regex.is_match(text), told, at, message)
            }
            _ => true,
        })
    }

    fn array(
        &mut self,
        check: &'p Check,
        value: &Node<'_>,
        elements: &[Node<'_>],
        at: &str,
        told: &mut Told<'_>,
    ) -> Result<bool, OutOfBounds> {
        match check {
            Check::Items { first, rest } => {
                let mut fits = true;
                for (index, element) in elements.iter().enumerate() {
                    let Some(id) = first.get(index).or(rest.as_ref()) else { break };
                    self.spend(1)?;
                    fits &= self.part(*id, element, at, &index.to_string(), told)?;
                    if !fits && told.is_none() {
                        break;
                    }
                }
                Ok(fits)
            }
            Check::Contains { id, least, most } => {
                let mut count = 0;
                for element in elements {
                    count += usize::from(self.schema(*id, element, at, None)?);
                }
                let most = if self.program.partial { usize::MAX } else { *most };
                let fits = (*least..=most).contains(&count);
                Ok(tell(fits, told, at, || {
                    say::count("elements of the kind that it must contain", count, *least, most)
                }))
            }
            Check::Count { least, most } => {
                let count = elements.len();
                Ok(tell((*least..=*most).contains(&count), told, at, || say::count("elements", count, *least, *most)))
            }
            Check::Unique => {
                let mut seen = HashSet::new();
                let mut fits = true;
                for element in elements {
                    let json = element.json();
                    self.spend(4 + json.len() / 4)?;
                    fits &= seen.insert(canonical(json.as_bytes()).unwrap_or_default());
                }
                Ok(tell(fits, told, at, || "holds an element twice, and all must differ".to_owned()))
            }
            _ => self.scalar(check, value, at, told),
        }
    }

    fn object(
        &mut self,
        check: &'p Check,
        compiled: &'p Compiled,
        value: &Node<'_>,
        members: &[(std::borrow::Cow<'_, str>, Node<'_>)],
        at: &str,
        told: &mut Told<'_>,
    ) -> Result<bool, OutOfBounds> {
        let has = |key: &str| members.iter().any(|(name, _)| name == key);
        self.spend(members.len())?;
        match check {
            Check::Properties { .. } => self.properties(check, compiled, members, at, told),
            Check::Required(keys) => {
                self.spend(keys.len().saturating_mul(members.len() + 1) / 4)?;
                let mut fits = true;
                for key in keys.iter().filter(|key| !has(key)) {
                    let given = members.iter().map(|(name, _)| &**name);
                    fits = tell(false, told, at, || say::missing(key, given, &compiled.known));
                }
                Ok(fits)
            }
            Check::Names(id) => {
                let mut fits = true;
                for (name, _) in members {
                    let key = Node::Text(std::borrow::Cow::Borrowed(name));
                    fits &= self.part(*id, &key, at, name, told)?;
                }
                Ok(fits)
            }
            Check::Members { least, most } => {
                let count = members.len();
                Ok(tell((*least..=*most).contains(&count), told, at, || say::count("members", count, *least, *most)))
            }
            Check::NeedsKeys(needs) => {
                let keys: usize = needs.iter().map(|(_, needed)| 1 + needed.len()).sum();
                self.spend(keys.saturating_mul(members.len() + 1) / 4)?;
                let mut fits = true;
                for (key, needed) in needs.iter().filter(|(key, _)| has(key)) {
                    for missing in needed.iter().filter(|needed| !has(needed)) {
                        fits = tell(false, told, at, || format!("`{key}` is only allowed together with `{missing}`"));
                    }
                }
                Ok(fits)
            }
            Check::NeedsSchema(needs) => {
                self.spend(needs.len().saturating_mul(members.len() + 1) / 4)?;
                let mut fits = true;
                for (_, id) in needs.iter().filter(|(key, _)| has(key)) {
                    fits &= self.schema(*id, value, at, told.as_deref_mut())?;
                }
                Ok(fits)
            }
            _ => self.scalar(check, value, at, told),
        }
    }

    fn properties(
        &mut self,
        check: &'p Check,
        compiled: &'p Compiled,
        members: &[(std::borrow::Cow<'_, str>, Node<'_>)],
        at: &str,
        told: &mut Told<'_>,
    ) -> Result<bool, OutOfBounds> {
        let Check::Properties { named, by_pattern, rest } = check else { return Ok(true) };
        let mut fits = true;
        for (key, value) in members {
            let mut known = false;
            if let Some(id) = named.get(&**key) {
                known = true;
                fits &= self.part(*id, value, at, key, told)?;
            }
            for (pattern, id) in by_pattern {
                self.spend(1 + key.len())?;
                match pattern {
                    Some(pattern) if !pattern.is_match(key) => {}
                    Some(_) => {
                        known = true;
                        fits &= self.part(*id, value, at, key, told)?;
                    }
                    // A pattern that is not run may be meant for any key.
                    None => known = true,
                }
            }
            let Some(id) = rest.filter(|_| !known) else { continue };
            if matches!(self.program.schemas[id].checks[..], [Check::Never]) {
                fits = tell(false, told, at, || say::unknown(key, &compiled.known));
            } else {
                fits &= self.part(id, value, at, key, told)?;
            }
            if !fits && told.is_none() {
                break;
            }
        }
        Ok(fits)
    }

    /// Holds a part of a value against a schema.
    fn part(
        &mut self,
        id: Id,
        value: &Node<'_>,
        at: &str,
        key: &str,
        told: &mut Told<'_>,
    ) -> Result<bool, OutOfBounds> {
        match told.as_deref_mut() {
            None => self.schema(id, value, at, None),
            Some(told) => self.schema(id, value, &below(at, key), Some(told)),
        }
    }
}

/// Notes a mistake unless it `fits`, which it returns.
fn tell(fits: bool, told: &mut Told<'_>, at: &str, message: impl FnOnce() -> String) -> bool {
    if let Some(told) = told
        && !fits
        && told.len() < MOST_MISTAKES
    {
        told.push(Mistake { pointer: crate::pin::elided(at, 200), message: message() });
    }
    fits
}
