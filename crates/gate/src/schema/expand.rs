//! Counts what a schema comes to before anything runs.

use super::compile::{Check, Compiled, Id, MOST_EXPANDED, MOST_STEPS, Unusable};
use super::keywords::place;
use std::collections::HashSet;

/// That the schemas, of which the first is the whole, come to a bearable number. `pointers` says where each stands.
///
/// # Errors
/// When they do not, or have no end.
pub(super) fn bearable(schemas: &[Compiled], pointers: &[String]) -> Result<(), Unusable> {
    if let Some(id) = endless(schemas) {
        return Err(Unusable::Endless(place(&pointers[id])));
    }
    let mut count = Count { schemas, total: vec![None; schemas.len()], open: HashSet::new() };
    if count.expanded(0)? > MOST_EXPANDED { Err(Unusable::TooWide) } else { Ok(()) }
}

/// A schema that leads back to itself without going into the value.
fn endless(schemas: &[Compiled]) -> Option<Id> {
    #[derive(Clone, Copy)]
    enum Seen {
        No,
        Open,
        Done,
    }
    let beside = |id: Id| schemas[id].checks.iter().flat_map(same_value).collect::<Vec<_>>().into_iter();
    let mut seen = vec![Seen::No; schemas.len()];
    for first in 0..schemas.len() {
        let mut way = Vec::new();
        if let Seen::No = seen[first] {
            seen[first] = Seen::Open;
            way.push((first, beside(first)));
        }
        while let Some((id, rest)) = way.last_mut() {
            match rest.next().map(|next| (next, seen[next])) {
                None => {
                    seen[*id] = Seen::Done;
                    way.pop();
                }
                Some((next, Seen::No)) => {
                    seen[next] = Seen::Open;
                    way.push((next, beside(next)));
                }
                Some((next, Seen::Open)) => return Some(next),
                Some((_, Seen::Done)) => {}
            }
        }
    }
    None
}

/// How many sub-schemas one comes to. Products of a shared sub-schema are computed once; a reference that leads back
/// to where it stands counts as one, because how often it is followed is up to the value.
struct Count<'c> {
    schemas: &'c [Compiled],
    total: Vec<Option<u64>>,
    open: HashSet<Id>,
}

impl Count<'_> {
    fn expanded(&mut self, id: Id) -> Result<u64, Unusable> {
        if let Some(total) = self.total[id] {
            return Ok(total);
        }
        if !self.open.insert(id) {
            return Ok(1);
        }
        if self.open.len() > MOST_STEPS {
            return Err(Unusable::TooDeep);
        }
        let mut total: u64 = 1;
        for check in &self.schemas[id].checks {
            for child in same_value(check).into_iter().chain(part_of_value(check)) {
                total = total.saturating_add(self.expanded(child)?);
            }
        }
        self.open.remove(&id);
        self.total[id] = Some(total);
        Ok(total)
    }
}

/// The sub-schemas that look at the same value.
fn same_value(check: &Check) -> Vec<Id> {
    match check {
        Check::AllOf(ids) | Check::AnyOf(ids) | Check::OneOf(ids) => ids.clone(),
        Check::Not(id) | Check::Same(id) => vec![*id],
        Check::If { id, then, otherwise } => [Some(*id), *then, *otherwise].into_iter().flatten().collect(),
        Check::NeedsSchema(needed) => needed.iter().map(|(_, id)| *id).collect(),
        _ => Vec::new(),
    }
}

/// The sub-schemas that look at a part of the value.
fn part_of_value(check: &Check) -> Vec<Id> {
    match check {
        Check::Items { first, rest } => first.iter().copied().chain(*rest).collect(),
        Check::Contains { id, .. } | Check::Names(id) => vec![*id],
        Check::Properties { named, by_pattern, rest } => {
            named.values().copied().chain(by_pattern.iter().map(|(_, id)| *id)).chain(*rest).collect()
        }
        _ => Vec::new(),
    }
}
