//! MCP on the wire: frames, revisions, transports.
//!
//! A frame is the received bytes plus the places of what a hop owns; whatever a hop does not own crosses
//! untouched. There is no policy here and no model of MCP's types: a reader that needs a member asks
//! [`view`] for it, a writer that changes one says so to [`splice`].

mod escape;
pub mod frame;
pub mod headers;
pub mod http_sse;
pub mod json;
pub mod limits;
mod lookalike;
pub mod revision;
mod salvage;
pub mod splice;
pub mod sse;
pub mod stdio;
pub mod streamable_http;
pub mod view;

pub use frame::{BadFrame, Frame, Kind};
pub use json::{Member, Span};
pub use limits::Limits;
pub use lookalike::lookalike;
pub use revision::{Era, Revision};
