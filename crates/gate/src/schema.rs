//! Schemas: arguments are checked before they leave, changes are told apart, and what is too long is made shorter.
//!
//! Pure: nothing is read, fetched or timed. Draft 2020-12 (also where `$schema` is absent) and draft-07 are checked;
//! a keyword that is not known here holds nobody up, because the server checks for itself.
//!
//! # Arguments
//! ```
//! use gate::schema::Validator;
//! let schema = br#"{"type":"object","properties":{"path":{"type":"string"}},"required":["path"],"additionalProperties":false}"#;
//! let validator = Validator::compile(schema).unwrap();
//! assert!(validator.check(br#"{"path":"a.txt"}"#).is_ok());
//! let mistakes = validator.check(br#"{"pth":"a.txt"}"#).unwrap_err();
//! assert_eq!(mistakes[0].to_string(), "`path` is required and missing; is `pth` meant to be it?");
//! ```
//! In the path of a call: [`Validators::of`] with the definition's hash, then [`Validator::check`]. Both are bounded in
//! time by counting, not by a clock; the first use of a schema with many patterns may take some tens of milliseconds,
//! so warm it up where lists arrive, off the thread that serves.
//!
//! # Changes and length
//! [`Snapshot`] holds what servers offered at one moment, [`diff()`] tells what changed between two and whether that
//! breaks callers, and [`compact()`] makes a definition shorter that is above a budget.

mod changes;
mod check;
mod compact;
mod compile;
mod expand;
mod keywords;
mod pattern;
mod say;
mod snapshot;
mod validator;
mod values;
mod walk;

pub use changes::{ChangeKind, SchemaChange, diff};
pub use check::Mistake;
pub use compact::compact;
pub use compile::{MOST_BYTES, MOST_DEPTH, MOST_EXPANDED, Unusable};
pub use snapshot::{SNAPSHOT, Snapshot, SnapshotFlaw};
pub use validator::{Checker, Validator, Validators};
