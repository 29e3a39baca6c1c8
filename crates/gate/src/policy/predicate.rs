//! What a rule says of one argument, ready to be tried: fits, does not fit, or cannot be judged.

use super::arguments::Found;
use super::host::{HostPattern, host_of};
use super::model::Predicate;
use super::number::Decimal;
use super::pattern::Pattern;
use crate::ports::Paths;
use serde_json::Value;
use serde_json::value::RawValue;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// What came of trying a predicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    Yes,
    No,
    /// The argument is of a kind that the predicate says nothing about.
    Unknown,
}

impl From<bool> for Fit {
    fn from(fits: bool) -> Self {
        if fits { Self::Yes } else { Self::No }
    }
}

/// Where paths are judged from.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) workspace: PathBuf,
    pub(super) paths: Option<Arc<dyn Paths>>,
}

/// Where the paths of one decision lead: each is looked up once, and all rules see the same.
#[derive(Debug, Default)]
pub(super) struct Lookups(RefCell<HashMap<PathBuf, Option<PathBuf>>>);

/// A [`Predicate`], compiled.
#[derive(Debug)]
pub(super) enum Test {
    OneOf(Vec<Known>),
    Glob(Vec<Pattern>),
    Under(Vec<PathBuf>),
    HostIn(Vec<HostPattern>),
    Length(u64, u64),
    /// Ends that are `None` are open.
    Range(Option<Decimal>, Option<Decimal>),
    /// A range with an end that is no number.
    Broken,
    Absent(bool),
}

impl Test {
    pub(super) fn new(predicate: &Predicate) -> Self {
        match predicate {
            Predicate::Equals(value) => Self::OneOf(vec![Known::new(value)]),
            Predicate::In(values) => Self::OneOf(values.iter().map(Known::new).collect()),
            Predicate::Glob(patterns) => Self::Glob(patterns.iter().map(|text| Pattern::new(text)).collect()),
            Predicate::Under(roots) => Self::Under(roots.clone()),
            Predicate::HostIn(hosts) => Self::HostIn(hosts.iter().map(|text| HostPattern::new(text)).collect()),
            Predicate::Length { min, max } => Self::Length(min.unwrap_or(0), max.unwrap_or(u64::MAX)),
            Predicate::Range { min, max } => range(*min, *max),
            Predicate::Absent(absent) => Self::Absent(*absent),
        }
    }

    /// Whether `found` fits.
    pub(super) fn fit(&self, found: &Found<'_>, at: &Surroundings, lookups: &Lookups) -> Fit {
        match (self, found) {
            (_, Found::Opaque) => Fit::Unknown,
            (Self::Absent(absent), found) => (matches!(found, Found::Missing) == *absent).into(),
            (_, Found::Missing) => Fit::No,
            (Self::OneOf(values), found) => one_of(values, found),
            (Self::Glob(patterns), Found::Text(text)) => patterns.iter().any(|p| p.fits(text)).into(),
            (Self::Under(roots), Found::Text(text)) => at.under(roots, text, lookups),
            (Self::HostIn(hosts), Found::Text(text)) => match host_of(text) {
                Some(host) => hosts.iter().any(|pattern| pattern.fits(&host)).into(),
                None => Fit::Unknown,
            },
            (Self::Length(min, max), found) => match length(found) {
                Some(length) => (*min..=*max).contains(&length).into(),
                None => Fit::Unknown,
            },
            (Self::Range(min, max), Found::Number(number)) => {
                let inside = min.as_ref().is_none_or(|min| min <= number);
                (inside && max.as_ref().is_none_or(|max| number <= max)).into()
            }
            (Self::Glob(_) | Self::Under(_) | Self::HostIn(_) | Self::Range(..) | Self::Broken, _) => Fit::Unknown,
        }
    }
}

/// An infinite end is an open one.
fn range(min: Option<f64>, max: Option<f64>) -> Test {
    let (min, max) = (min.filter(|end| *end != f64::NEG_INFINITY), max.filter(|end| *end != f64::INFINITY));
    let (from, to) = (min.and_then(Decimal::of_float), max.and_then(Decimal::of_float));
    if from.is_none() != min.is_none() || to.is_none() != max.is_none() {
        return Test::Broken;
    }
    Test::Range(from, to)
}

fn length(found: &Found<'_>) -> Option<u64> {
    let length = match found {
        Found::Text(text) => text.chars().count(),
        Found::List(elements) => elements.len(),
        Found::Object(members) => members.len(),
        Found::Missing | Found::Opaque | Found::Null | Found::Bool(_) | Found::Number(_) => return None,
    };
    u64::try_from(length).ok()
}

/// Values of another kind than all those asked for cannot be judged: to some server `"true"` is `true`.
fn one_of(values: &[Known], found: &Found<'_>) -> Fit {
    if values.is_empty() || values.iter().any(|value| value.is(found)) {
        return (!values.is_empty()).into();
    }
    if values.iter().any(|value| value.is_like(found)) { Fit::No } else { Fit::Unknown }
}

/// A value that a rule names.
#[derive(Debug)]
pub(super) enum Known {
    Null,
    Bool(bool),
    Number(Decimal),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Known {
    fn new(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(bool) => Self::Bool(*bool),
            // A number that is no decimal cannot be written in JSON.
            Value::Number(number) => Decimal::parse(&number.to_string()).map_or(Self::Null, Self::Number),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(elements) => Self::List(elements.iter().map(Self::new).collect()),
            Value::Object(members) => Self::Object(members.iter().map(|(k, v)| (k.clone(), Self::new(v))).collect()),
        }
    }

    /// Whether `found` is this value.
    fn is(&self, found: &Found<'_>) -> bool {
        match (self, found) {
            (Self::Null, Found::Null) => true,
            (Self::Bool(known), Found::Bool(found)) => known == found,
            (Self::Number(known), Found::Number(found)) => known == found,
            (Self::Text(known), Found::Text(found)) => known == found,
            (Self::List(known), Found::List(found)) => {
                known.len() == found.len() && known.iter().zip(found).all(|(known, raw)| known.is_raw(raw))
            }
            (Self::Object(known), Found::Object(found)) => {
                let member = |name: &str| found.iter().find(|(key, _)| key == name);
                let same = |(name, known): &(String, Self)| member(name).is_some_and(|(_, raw)| known.is_raw(raw));
                known.len() == found.len() && known.iter().all(same)
            }
            _ => false,
        }
    }

    fn is_raw(&self, raw: &RawValue) -> bool {
        self.is(&Found::of(raw))
    }

    /// Whether `found` is of this value's kind.
    fn is_like(&self, found: &Found<'_>) -> bool {
        matches!(
            (self, found),
            (Self::Null, Found::Null)
                | (Self::Bool(_), Found::Bool(_))
                | (Self::Number(_), Found::Number(_))
                | (Self::Text(_), Found::Text(_))
                | (Self::List(_), Found::List(_))
                | (Self::Object(_), Found::Object(_))
        )
    }
}

impl Lookups {
    fn once(&self, path: &Path, look: impl FnOnce() -> Option<PathBuf>) -> Option<PathBuf> {
        if let Some(known) = self.0.borrow().get(path) {
            return known.clone();
        }
        let found = look();
        self.0.borrow_mut().insert(path.to_owned(), found.clone());
        found
    }
}

impl Surroundings {
    fn under(&self, roots: &[PathBuf], text: &str, lookups: &Lookups) -> Fit {
        let real = |path: &Path| lookups.once(path, || self.real(path));
        let Some(path) = self.readable(text).and_then(real) else { return Fit::Unknown };
        let (mut fit, path) = (Fit::No, path);
        for root in roots {
            match real(root) {
                Some(root) if path.starts_with(&root) => return Fit::Yes,
                Some(_) => {}
                None => fit = Fit::Unknown,
            }
        }
        fit
    }

    /// A text that every server takes for the same path: no URI, no `~`, no backslash, not empty.
    fn readable<'a>(&self, text: &'a str) -> Option<&'a Path> {
        let scheme = text.split_once(':').is_some_and(|(scheme, _)| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        });
        let doubtful = text.is_empty() || scheme || text.starts_with('~') || text.contains(['\\', '\0']);
        (!doubtful).then(|| Path::new(text))
    }

    /// Where a path leads, seen from the workspace.
    fn real(&self, path: &Path) -> Option<PathBuf> {
        let path = self.workspace.join(path);
        match &self.paths {
            _ if !path.is_absolute() => None,
            Some(paths) => paths.resolve(&path),
            None => lexical(&path),
        }
    }
}

/// The path without `.` and `..`, by its text alone; `None` if it climbs out of the root.
fn lexical(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if !clean.pop() => return None,
            Component::ParentDir => {}
            Component::RootDir | Component::Prefix(_) | Component::Normal(_) => clean.push(component),
        }
    }
    Some(clean)
}

#[cfg(test)]
#[path = "predicate_tests.rs"]
mod tests;
