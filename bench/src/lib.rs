//! What the bench's programs share: payloads, a JSON scanner and the wire.
//!
//! Three programs stand on it: `bench-upstream` (a mock MCP server, as cheap as possible),
//! `bench-passthrough` (the floor a gateway is judged against) and `bench-run` (load, measurement and
//! the table). Nothing of toolgate is linked here: it is judged as a program, from outside.

pub mod clock;
pub mod mock;
pub mod payload;
pub mod rpc;
pub mod scan;
