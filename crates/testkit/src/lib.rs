//! Fixtures and a hermetic command line for tests.
//!
//! Only tests and the project's chores use this crate; no product crate depends on it.

pub mod cli;
pub mod client;
pub mod hostile;
pub mod http;
pub mod model;
pub mod oauth;
mod programs;
pub mod reference;
mod server;
pub mod wait;

pub use cli::{Home, Output};
pub use client::Client;
pub use model::Model;
pub use programs::{bin, survivors};
pub use server::Server;
