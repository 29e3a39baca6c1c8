//! What the `toolgate` binary is made of. Nothing outside this package depends on it.

pub mod cli;
pub mod config;
pub mod connect;
pub mod control;
pub mod jsonc;
pub mod shim;
pub mod ui;
pub mod wire;

/// With this first argument the binary is the supervisor of one child process, which `sandbox` starts so.
pub const SUPERVISE: &str = "__supervise";
