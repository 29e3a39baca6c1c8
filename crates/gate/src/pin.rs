//! Pins: a tool runs as it was agreed to, or it is held back until a person has seen what changed.
//!
//! Pure: no file is read and no clock. `toolgate.lock` lies with `store::lock`, which also keeps old definitions.
//!
//! # How the parts are used
//!
//! When lists arrive, for each tool:
//! ```
//! use gate::pin::{self, Lock, Verdict};
//! let lock = Lock::default();
//! let definition = br#"{"name":"add","description":"Adds two numbers.","inputSchema":{"type":"object"}}"#;
//! match pin::compare(lock.pin("maths", "add"), definition) {
//!     Verdict::Pinned { .. } => {}                     // runs
//!     Verdict::New { hash, findings } => {             // may be pinned on first use, unless `lock` is demanded
//!         assert_eq!(hash, pin::DefinitionHash::of(definition).unwrap());
//!         assert!(findings.is_empty());                // only notes: shown, nothing is held back
//!     }
//!     Verdict::Flagged { findings, .. } => drop(findings),  // quarantined: new, and something speaks against it
//!     Verdict::Changed { findings, .. } => drop(findings),  // quarantined: not what was agreed to
//! }
//! ```
//! [`Verdict::holds`] says whether calls may go through. What can only be seen with all servers side by side
//! (look-alike names, one server speaking of another's tools, too many tools) comes from [`across`]; a finding of
//! severity [`Severity::Quarantine`] there counts for tools that are not pinned. [`scan`] does for prompts, resources
//! and any other definition, [`scan_text`] for a server's instructions.
//!
//! At call time the hash of the item's definition is compared with the pin again ([`Lock::pin`], [`Pin::hash`]): the
//! hash is computed once per definition, with the verdict. [`canonical`] also serves digests of arguments.
//!
//! For people: [`diff`] shows what changed, [`visible`] and [`elided`] make the texts of others fit to print.

mod across;
mod canonical;
mod diff;
mod finding;
mod hash;
mod hidden_text;
mod lexer;
mod lock;
mod lock_text;
mod names;
mod rules;
mod scan;
pub(crate) mod tree;
mod verdict;
mod visible;

pub use across::{Across, Claim, across};
pub use canonical::{MOST_DEPTH, canonical};
pub use diff::{Change, diff};
pub use finding::{Finding, Severity};
pub use hash::{DefinitionHash, NotAHash};
pub use lexer::Flaw;
pub(crate) use lexer::meant;
pub use lock::{Lock, Pin, PinClass, ServerPin, Version};
pub use lock_text::LockFlaw;
pub use names::{alike, skeleton};
pub use scan::{scan, scan_text};
pub use verdict::{Verdict, compare};
pub use visible::{elided, hidden, visible};
