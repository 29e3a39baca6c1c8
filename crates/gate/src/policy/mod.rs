//! Who may call what. Pure: facts in, a decision out, and every decision names its rule.
//!
//! `model` are the words, `compile` makes them ready, `plan` keeps what is known of each tool, `decide` decides.
//! `explain`, `lint` and `diff` tell people about it. Nothing here reads a file or a clock.

mod arguments;
mod class;
mod compile;
mod decide;
mod decision;
mod diff;
mod digest;
mod explain;
mod host;
mod lint;
mod model;
mod number;
mod pattern;
mod plan;
mod predicate;
mod strangers;

pub use compile::Policy;
pub use decision::{Asker, Decision, Denial, Grant, Question};
pub use diff::{Change, Reach, diff};
pub use explain::{Considered, Explanation, Matched};
pub use lint::{Finding, Level, lint};
pub use model::{
    ArgPath, Barred, Case, Class, Declared, Layer, Mode, Outcome, PolicySource, Predicate, Rule, RuleId, ServerRules,
    When,
};
pub use pattern::matches;

#[cfg(test)]
mod tests;
