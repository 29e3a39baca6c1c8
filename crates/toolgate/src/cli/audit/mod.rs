//! `toolgate audit`: what was done, who said yes, and the proof that it is all there. Reads the files alone; what
//! they mean is the store's to say.

mod export;
mod query;
mod row;
mod tail;
mod verify;
mod when;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::Context;
use crate::ui::{Failure, Report};
use gate::Code;

pub use query::{Calls, calls};
pub use row::call_json;
pub use tail::follow;

/// Arguments of `audit`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate audit tail -f
  toolgate audit query --since 1h --outcome denied
  toolgate audit verify
  toolgate audit prove 0199b3a2-6a3c-7f70-a5ff-4a2ddae8f0c1 > proof.json
  toolgate audit verify --proof proof.json --key audit.pub
  toolgate audit export --format ocsf --since 24h")]
pub struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Show the newest events.
    Tail(tail::TailArgs),
    /// Find calls, each joined with its end.
    Query(query::QueryArgs),
    /// List calls that may have had effects and whose end nobody saw.
    InDoubt(Where),
    /// Check that the record, or a proof, is as it was written and signed.
    Verify(verify::VerifyArgs),
    /// Print a proof that an event is on record, which can be checked with the public key alone.
    Prove(verify::ProveArgs),
    /// Print events for other tools.
    Export(export::ExportArgs),
    /// Print the public key that the record is signed with.
    Key,
}

/// Where the record lies.
#[derive(Debug, Args)]
pub struct Where {
    /// The directory of the segments [default: `toolgate/audit` in `$CODEX_HOME`].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Where {
    /// The directory.
    pub fn dir(&self, cx: &Context) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| of_home(cx))
    }
}

/// The directory of this home's record.
pub fn of_home(cx: &Context) -> PathBuf {
    state(cx).join("audit")
}

fn state(cx: &Context) -> PathBuf {
    cx.home.join("toolgate")
}

/// Does what was asked.
pub fn run(args: &AuditArgs, cx: &Context) -> Result<(), Failure> {
    match &args.command {
        AuditCommand::Tail(args) => tail::run(args, cx),
        AuditCommand::Query(args) => query::run(args, cx),
        AuditCommand::InDoubt(place) => query::in_doubt(place, cx),
        AuditCommand::Verify(args) => verify::run(args, cx),
        AuditCommand::Prove(args) => verify::prove(args, cx),
        AuditCommand::Export(args) => export::run(args, cx),
        AuditCommand::Key => key(cx),
    }
}

/// The segments cannot be read.
pub fn unreadable(error: std::io::Error) -> Failure {
    Failure::io("read the record", error)
}

#[derive(Serialize)]
struct Key {
    schema: &'static str,
    id: String,
    public_key: String,
}

impl Report for Key {
    fn human(&self) -> String {
        self.public_key.clone()
    }
}

fn key(cx: &Context) -> Result<(), Failure> {
    let signer = store::Signer::load_or_make(&state(cx)).map_err(|error| {
        Failure::new(Code::StoreUnavailable, "the key that signs the record cannot be used").caused_by(error)
    })?;
    let public = signer.public();
    cx.ui.report(&Key { schema: "toolgate.audit.key/1", id: public.id(), public_key: public.to_pem() })
}
