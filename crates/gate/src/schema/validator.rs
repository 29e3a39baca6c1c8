//! A schema that is ready to check arguments, and a bounded store of them.

use super::check::{Mistake, check};
use super::compile::{Check, Program, Unusable, compile, kind};
use crate::pin::DefinitionHash;
use crate::pin::tree::Node;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A schema that is ready to check arguments.
#[derive(Debug)]
pub struct Validator {
    program: Program,
}

impl Validator {
    /// Compiles a schema, raw JSON. Takes bounded time, at worst some tens of milliseconds (patterns).
    ///
    /// # Errors
    /// Why it is not used. That is a finding about the tool, and no reason to hold it back.
    pub fn compile(schema: &[u8]) -> Result<Self, Unusable> {
        Ok(Self { program: compile(schema)? })
    }

    /// Compiles the `inputSchema` of a tool's definition. `None` if it asks for nothing but an object, which costs
    /// nothing to check.
    ///
    /// # Errors
    /// As [`Validator::compile`].
    pub fn of_tool(definition: &[u8]) -> Result<Option<Self>, Unusable> {
        let tree = Node::parse(definition)?;
        let Some(schema) = tree.get("inputSchema") else { return Ok(None) };
        let validator = Self::compile(schema.json().as_bytes())?;
        Ok(Some(validator).filter(|validator| !validator.asks_for_nothing()))
    }

    /// Whether every object fits.
    fn asks_for_nothing(&self) -> bool {
        let checks = &self.program.schemas[0].checks;
        checks.iter().all(|check| matches!(check, Check::Type(bits) if bits & kind::OBJECT != 0))
    }

    /// Whether something in the schema is not checked: a pattern that no linear engine runs, `unevaluated*`.
    pub fn is_partial(&self) -> bool {
        self.program.partial
    }

    /// Holds `arguments`, raw JSON, against the schema; no arguments count as an empty object.
    ///
    /// # Errors
    /// What is wrong, at most eight mistakes. Arguments that take too long to check are wrong too.
    pub fn check(&self, arguments: &[u8]) -> Result<(), Vec<Mistake>> {
        let arguments = if arguments.is_empty() { b"{}" } else { arguments };
        let value = Node::parse(arguments).map_err(|flaw| {
            vec![Mistake { pointer: String::new(), message: format!("the arguments cannot be read: {flaw}") }]
        })?;
        let mistakes = check(&self.program, &value);
        if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
    }
}

/// What there is to check a tool's arguments with.
#[derive(Debug, Clone)]
pub enum Checker {
    /// The schema asks for nothing.
    Nothing,
    /// This.
    Schema(Arc<Validator>),
    /// The schema is not used.
    Unusable(Unusable),
}

/// Compiled schemas by the hash of the definition they came with, a bounded number of them.
pub struct Validators {
    most: usize,
    /// Two generations: what is asked for moves to the young one, and when that is full the old one is dropped.
    kept: Mutex<[HashMap<DefinitionHash, Checker>; 2]>,
}

impl Validators {
    /// Room for about `most` schemas.
    pub fn new(most: usize) -> Self {
        Self { most: most.max(2), kept: Mutex::default() }
    }

    /// The checker for a definition, if it is there already.
    pub fn get(&self, hash: &DefinitionHash) -> Option<Checker> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept[0].get(hash) {
            return Some(found.clone());
        }
        let found = kept[1].remove(hash)?;
        Self::keep(&mut kept, self.most, *hash, found.clone());
        Some(found)
    }

    /// The checker for a definition, compiled if it is not there yet.
    pub fn of(&self, hash: &DefinitionHash, definition: &[u8]) -> Checker {
        if let Some(found) = self.get(hash) {
            return found;
        }
        // Compiled without the lock: others need not wait, and twice is no harm.
        let checker = match Validator::of_tool(definition) {
            Ok(None) => Checker::Nothing,
            Ok(Some(validator)) => Checker::Schema(Arc::new(validator)),
            Err(unusable) => Checker::Unusable(unusable),
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        Self::keep(&mut kept, self.most, *hash, checker.clone());
        checker
    }

    fn keep(kept: &mut [HashMap<DefinitionHash, Checker>; 2], most: usize, hash: DefinitionHash, checker: Checker) {
        if kept[0].len() >= most / 2 {
            kept.swap(0, 1);
            kept[0].clear();
        }
        kept[0].insert(hash, checker);
    }
}

#[cfg(test)]
mod tests;
