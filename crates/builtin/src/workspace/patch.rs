//! Patches: what they say (Codex's envelope, or a unified diff), what becomes of the files they name, and putting all
//! of it in place or nothing. Not here: where files may lie.

pub mod apply;
pub mod hunk;
pub mod journal;
pub mod parse;

pub use apply::{Applied, Rejected, apply};
