//! Links to the MCP servers we call.
//!
//! An [`Upstream`] is a handle: it implements [`gate::ports::Source`], takes permitted calls and waits for
//! their answers. Behind it stands one task per generation of the link, which owns the transport and the
//! child process, heals what can be healed and tells the catalog what the server lists. Calls write to the
//! transport themselves and one reader hands the answers out in the order they came, so that no call
//! passes through the task.
//!
//! What is *not* here: policy, the record of a call, names under which agents see tools (all in `gate`),
//! and the transports' bytes (in `mcp`).

mod asks;
mod catalog_file;
mod chatter;
mod duplex;
mod faults;
mod http_answer;
mod http_auth;
mod http_link;
mod http_requests;
mod http_stream;
mod incoming;
mod lifecycle;
mod lists;
pub mod oauth;
mod offences;
mod options;
mod outgoing;
mod pending;
mod probe;
mod seen;
mod session;
mod start;
mod status;
mod stderr;
mod stdio_link;
mod subscriptions;
mod supervisor;
mod upstream;

pub use catalog_file::{forget_catalog, load_catalog};
pub use lifecycle::{LinkState, Toolset};
pub use options::{ClientInfo, HttpOptions, Options, Protocol, Root, StdioOptions, Transport, WithinOptions, World};
pub use probe::{Probe, Probed};
pub use seen::{last_answer, last_seen};
pub use status::at_rest;
pub use upstream::Upstream;
