//! `toolgate audit query` and `in-doubt`: calls, each joined with its end.

use std::path::Path;

use clap::Args;
use serde::{Serialize, Serializer};

use super::row::{self, CALL_HEADINGS};
use super::when::When;
use super::{Context, Where, unreadable};
use crate::ui::{Failure, Report, Table};
use crate::wire::System;
use gate::ports::Clock;
use store::{Call, Outcome, Query};

/// Arguments of `query`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate audit query --tool 'git*' --since 1h
  toolgate audit query --outcome in-doubt --json | jq '.[].event'")]
pub struct QueryArgs {
    /// A pattern for the tool's own name, or for the name it was asked for by.
    #[arg(long, value_name = "GLOB")]
    tool: Option<String>,
    /// A pattern for the server's name.
    #[arg(long, value_name = "GLOB")]
    server: Option<String>,
    /// How it went; `allowed` is all that was not denied.
    #[arg(long, value_enum)]
    outcome: Vec<Wanted>,
    /// Not before then: `90s`, `30m`, `1h`, `2d`, `1w` ago, or RFC 3339.
    #[arg(long, value_name = "TIME")]
    since: Option<When>,
    /// Before then.
    #[arg(long, value_name = "TIME")]
    until: Option<When>,
    /// The thread of the conversation.
    #[arg(long)]
    thread: Option<String>,
    /// A pattern for the client's name.
    #[arg(long, value_name = "GLOB")]
    client: Option<String>,
    /// The call's id.
    #[arg(long)]
    id: Option<String>,
    /// The newest so many; 0 for all.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    place: Where,
}

/// What `--outcome` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Wanted {
    /// Everything that was let through.
    Allowed,
    /// It was refused.
    Denied,
    /// An answer came.
    Ok,
    /// The tool said that it failed.
    ToolError,
    /// Something broke.
    Failed,
    /// The caller went away.
    Abandoned,
    /// Nobody saw the end; it only read.
    Lost,
    /// Nobody saw the end, and it may have had effects.
    InDoubt,
    /// It has no end yet.
    Open,
}

impl Wanted {
    fn outcomes(self) -> Vec<Outcome> {
        let one = match self {
            Self::Allowed => return Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::Denied).collect(),
            Self::Denied => Outcome::Denied,
            Self::Ok => Outcome::Ok,
            Self::ToolError => Outcome::ToolError,
            Self::Failed => Outcome::Failed,
            Self::Abandoned => Outcome::Abandoned,
            Self::Lost => Outcome::Lost,
            Self::InDoubt => Outcome::InDoubt,
            Self::Open => Outcome::Open,
        };
        vec![one]
    }
}

/// Finds calls.
pub fn run(args: &QueryArgs, cx: &Context) -> Result<(), Failure> {
    let now = System.wall_micros();
    let query = Query {
        since: args.since.map(|when| when.micros(now)),
        until: args.until.map(|when| when.micros(now)),
        tool: args.tool.clone(),
        server: args.server.clone(),
        client: args.client.clone(),
        thread: args.thread.clone(),
        id: args.id.clone(),
        outcomes: args.outcome.iter().flat_map(|wanted| wanted.outcomes()).collect(),
        limit: (args.limit > 0).then_some(args.limit),
    };
    let calls = calls(&args.place.dir(cx), &query)?;
    cx.ui.report(&calls)?;
    if args.limit > 0 && calls.0.len() == args.limit {
        cx.ui.hint(&format!("these are the newest {}; `--limit 0` shows all", args.limit));
    }
    Ok(())
}

/// Lists what may have happened.
pub fn in_doubt(place: &Where, cx: &Context) -> Result<(), Failure> {
    let query = Query { outcomes: vec![Outcome::InDoubt], ..Query::default() };
    let calls = calls(&place.dir(cx), &query)?;
    cx.ui.report(&calls)?;
    if !calls.0.is_empty() {
        cx.ui.hint("the gate died before it saw their ends: look at what they changed before you repeat them");
    }
    Ok(())
}

/// The calls that are wanted.
///
/// # Errors
/// When the record cannot be read.
pub fn calls(dir: &Path, query: &Query) -> Result<Calls, Failure> {
    store::calls(dir, query).map(Calls).map_err(unreadable)
}

/// Calls, the oldest first.
pub struct Calls(pub Vec<Call>);

impl Serialize for Calls {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(row::call_json))
    }
}

impl Report for Calls {
    fn human(&self) -> String {
        if self.0.is_empty() {
            return "No calls on record.\n".to_owned();
        }
        let mut table = Table::new(CALL_HEADINGS);
        self.0.iter().for_each(|call| table.row(row::call_cells(call)));
        table.text()
    }
}
