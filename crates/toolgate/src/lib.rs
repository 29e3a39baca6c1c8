//! What the `toolgate` binary is made of. Nothing outside this package depends on it.

pub mod cli;
pub mod config;
pub mod ui;
