//! Counts what a schema comes to before anything runs.

use super::compile::{Check, Compiled, Id, MOST_EXPANDED, MOST_STEPS, Unusable};
use super::keywords::place;
use std::collections::HashSet;

/// That the schemas, of which the first is the whole, come to a bearable number. `pointers` says where each stands.
///
/// # Errors
/// When they do not, or have no end.
pub(super) fn bearable(schemas: &[Compiled], pointers: &[String]) -> Result<(), Unusable> {
    let mut count =
        Count { schemas, pointers, total: vec![None; schemas.len()], in_place: HashSet::new(), open: HashSet::new() };
    if count.expanded(0)? > MOST_EXPANDED { Err(Unusable::TooWide) } else { Ok(()) }
}

/// How many sub-schemas one comes to. Products of a shared sub-schema are computed once; a reference that leads back
/// to where it stands counts as one, because how often it is followed is up to the value.
struct Count<'c> {
    schemas: &'c [Compiled],
    pointers: &'c [String],
    total: Vec<Option<u64>>,
    /// Those on the way here that look at the same value.
    in_place: HashSet<Id>,
    open: HashSet<Id>,
}

impl Count<'_> {
    fn expanded(&mut self, id: Id) -> Result<u64, Unusable> {
        if self.in_place.contains(&id) {
            return Err(Unusable::Endless(place(&self.pointers[id])));
        }
        if let Some(total) = self.total[id] {
            return Ok(total);
        }
        if !self.open.insert(id) {
            return Ok(1);
        }
        if self.open.len() > MOST_STEPS {
            return Err(Unusable::TooDeep);
        }
        self.in_place.insert(id);
        let mut total: u64 = 1;
        for check in &self.schemas[id].checks {
            for child in same_value(check) {
                total = total.saturating_add(self.expanded(child)?);
            }
        }
        // What goes into the value may come back here: the value ends.
        let here = std::mem::take(&mut self.in_place);
        for check in &self.schemas[id].checks {
            for child in part_of_value(check) {
                total = total.saturating_add(self.expanded(child)?);
            }
        }
        self.in_place = here;
        self.in_place.remove(&id);
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
