//! Patches: what they say (Codex's envelope, or a unified diff), what becomes of the files they name, and putting all
//! of it in place or nothing. Not here: where files may lie.

mod apply;
mod hunk;
pub mod journal;
mod parse;

pub use apply::{Place, Rejected, apply};
