//! Every group of rows by name, and the topologies they share.

mod calls;
mod lists;
mod memory;
mod progress;
mod starts;
mod workspace;

use bench::rpc::Era;

use crate::report::Report;
use crate::rounds::Bench;
use crate::subject::{Kind, Side, Spec};

/// Measures; is given the group's name.
type Run = dyn Fn(&Bench, &str, &mut Report);

/// Rows that are measured together.
pub struct Group {
    pub name: String,
    pub run: Box<Run>,
}

impl Group {
    fn new(name: impl Into<String>, run: impl Fn(&Bench, &str, &mut Report) + 'static) -> Self {
        Group { name: name.into(), run: Box::new(run) }
    }
}

/// All groups in the order they run.
pub fn all() -> Vec<Group> {
    [calls::groups(), lists::groups(), starts::groups(), memory::groups(), progress::groups(), workspace::groups()]
        .into_iter()
        .flatten()
        .collect()
}

/// One healthy server of twenty tools, in the era of the handshake.
fn one(kind: Kind, face: Side, back: Side) -> Spec {
    Spec { kind, face, back, era: Era::Legacy, servers: 1, tools: 20, faulty: false, approve: false, workspace: false }
}

/// So many stdio servers behind toolgate.
fn many(face: Side, servers: usize) -> Spec {
    Spec { servers, ..one(Kind::Toolgate, face, Side::Stdio) }
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Stdio => "stdio",
        Side::Http => "http",
    }
}
