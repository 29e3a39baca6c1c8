//! Patches: what they say (Codex's envelope, or a unified diff), what becomes of the files they name, and putting all
//! of it in place or nothing. Not here: where files may lie.

mod apply;
mod commit;
mod hunk;
pub mod journal;
mod parse;
mod steps;
#[cfg(test)]
mod trees;

pub use apply::{Place, Rejected, apply};

/// The largest file that a patch changes, in bytes.
const FILE_MAX: u64 = 32 << 20;
