//! Putting the servers of a client behind the gate, and putting back what was found. Text in, text out in [`plan`] and
//! `undo`; all that touches files is in `apply` and `journal`. Asking a person and printing are the command's.
//!
//! ```text
//! client's file ─ plan ─▶ Plan (old and new texts) ─ apply ─▶ originals kept, journal, toolgate.toml, client's file
//!                                 disconnect ◀─ undo ─ journal
//! ```
//! Killed at any step, the next connect or disconnect brings all files into one of the two states.

mod apply;
mod client;
mod codex;
pub mod diff;
mod gate_file;
mod journal;
mod json_client;
pub mod mask;
mod places;
mod plan;
mod undo;
mod undo_json;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

use crate::config::{EditError, WriteError};
use crate::jsonc;

pub use apply::{connect, disconnect, recover};
pub use client::{Client, Launch};
pub use journal::{Journal, Moved, State, connected, read as journal};
pub use places::file;
pub use plan::{Ask, Barred, Change, Left, Plan, plan};
pub use undo::{Undo, undo};

/// Why nothing was connected or disconnected.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The variables that say where its file is are not set.
    #[error("where {0} keeps its servers cannot be told")]
    NoPlace(&'static str),
    /// The client was never started here.
    #[error("{title} has no settings here: there is no {path}", path = path.display())]
    NotThere {
        /// The client.
        title: &'static str,
        /// The directory that is missing.
        path: PathBuf,
    },
    /// The client's file is no JSON.
    #[error("{path}:{mistake}", path = path.display())]
    NotJson {
        /// The file.
        path: PathBuf,
        /// Where and what.
        mistake: jsonc::Mistake,
    },
    /// A file says something that cannot be edited.
    #[error("{path}: {what}", path = path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// What it says.
        what: String,
    },
    /// The client's file cannot be edited faithfully.
    #[error(transparent)]
    Json(#[from] jsonc::EditError),
    /// The TOML cannot be edited faithfully.
    #[error(transparent)]
    Toml(#[from] EditError),
    /// The right to write could not be had.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Somebody else wrote in between.
    #[error("{path} was changed meanwhile; nothing was done", path = path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// What is kept about this client cannot be read.
    #[error("{path} is not understood: {why}", path = path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The system would not.
    #[error("cannot {what} {path}", path = path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn failed(what: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> ConnectError + use<> {
    let path = path.to_owned();
    move |source| ConnectError::Io { what, path, source }
}
