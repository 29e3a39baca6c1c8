//! A hand-written MCP server that misbehaves on request.
//!
//! `fixture-hostile` puts it on stdio, `fixture-http` on HTTP. It shares no code with the product
//! and none with rmcp, starts at once and stays small, so that hundreds of tests can start it.
//! What a correct peer does is in [`crate::reference`].

mod ask;
mod behaviour;
mod catalogue;
mod handler;
pub mod http;
mod journal;
mod outlet;
mod process;
pub mod stdio;
mod subscribe;
mod tools;
mod wire;

pub use behaviour::{Behaviour, Era};
pub use handler::Handler;
pub use journal::Journal;
