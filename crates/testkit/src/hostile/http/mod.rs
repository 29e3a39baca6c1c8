//! The server over HTTP, and the faults of HTTP servers: blocking, a thread a connection.

mod exchange;
mod gate;
mod message;
mod serve;

pub use serve::{Flags, run};
