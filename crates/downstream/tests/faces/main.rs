//! The faces as their clients see them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on is a failed test")]

mod approvals;
mod client;
mod common;
mod desk;
mod http;
mod stdio;
