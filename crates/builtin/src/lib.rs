//! Tools of our own: a server called `toolgate` that needs no process and no network.
//!
//! It is a source like any other: its tools stand in the catalog, the policy decides on them, the ledger records
//! them. Not here: anything with effects.

mod answer;
pub mod child;
pub mod codex;
mod definition;
mod given;
pub mod handlers;
mod news;
mod results;
mod room;
mod tools;
pub mod workspace;

use answer::{Answer, Invalid};
use bytes::Bytes;
use gate::ports::{BoxFuture, Clock, Readiness, Source};
use gate::{Code, Delivery, Facts, Fault, ItemKind, Listed, Offer, Permit, ServerName, StartPermit, Unmasked};
use std::sync::Arc;
use tools::Tool;

pub use results::{Kept, KeptLimits};

/// The server's name.
pub const NAME: &str = "toolgate";

/// Asked for the configured servers at each call of `servers`: each one's name, and whether it is enabled.
pub type Servers = Arc<dyn Fn() -> Vec<(String, bool)> + Send + Sync>;

/// The server `toolgate`.
pub struct Builtin {
    name: ServerName,
    clock: Arc<dyn Clock>,
    servers: Servers,
}

impl Builtin {
    /// The server, with what it tells about.
    pub fn new(clock: Arc<dyn Clock>, servers: Servers) -> Arc<Self> {
        Arc::new(Self { name: NAME.into(), clock, servers })
    }

    /// What it offers, for the catalog.
    pub fn offer(&self) -> Offer {
        Offer {
            listed: Tool::ALL.iter().map(|tool| listed(*tool)).collect(),
            instructions: Some("Toolgate's own tools. They read what toolgate itself knows and change nothing.".into()),
            capabilities: Some(Bytes::from_static(br#"{"tools":{}}"#)),
            server_info: Some(Bytes::from_static(SERVER_INFO.as_bytes())),
            serves_resources: false,
        }
    }

    fn run(&self, tool: Tool, arguments: &[u8]) -> Result<Answer, Invalid> {
        let arguments = answer::arguments(arguments, tool.parameters())?;
        match tool {
            Tool::Echo => Ok(Answer::text(arguments.string("text")?)),
            Tool::Now => Ok(answer::now(self.clock.wall_micros())),
            Tool::Servers => Ok(answer::servers(&(self.servers)())),
        }
    }
}

/// Why a call of what is in no list of ours cannot be.
fn nothing_called(server: &ServerName, raw: &str) -> Fault {
    Fault {
        code: Code::ToolUnknown,
        server: server.clone(),
        what: format!("has nothing called `{raw}`"),
        hint: None,
        delivery: Delivery::NotDelivered,
        state: gate::State::Connected,
    }
}

const SERVER_INFO: &str =
    concat!(r#"{"name":"toolgate","title":"Toolgate's own tools","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);

fn listed(tool: Tool) -> Listed {
    let (definition, name_at) = tool.definition();
    // What the annotations in the definition say.
    let facts = Facts { read_only: Some(true), destructive: Some(false), open_world: Some(false) };
    Listed { kind: ItemKind::Tool, raw: tool.name().into(), definition: definition.into(), name_at, facts }
}

impl Source for Builtin {
    fn name(&self) -> &ServerName {
        &self.name
    }

    fn readiness(&self) -> Readiness {
        Readiness::Up
    }

    fn start(&self, _: StartPermit) {
        // It is always up.
    }

    fn call(&self, permit: Permit) -> BoxFuture<'_, Result<Unmasked, Fault>> {
        Box::pin(async move {
            let item = permit.item();
            let tool = Tool::ALL.iter().find(|tool| item.kind == ItemKind::Tool && tool.name() == &*item.raw);
            let Some(tool) = tool else { return Err(nothing_called(&self.name, &item.raw)) };
            let wire = permit.wire();
            let answer = self.run(*tool, wire.part(wire.parts.arguments));
            Ok(answer.unwrap_or_else(Answer::from).into_said())
        })
    }
}

#[cfg(test)]
mod tests;
