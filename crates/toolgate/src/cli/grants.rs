//! `toolgate grants`: leave that lasts, shown and taken back. It is given with `approvals approve --remember`, or in
//! a client.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::Context;
use super::approvals::{Record, chosen, existing_desk, no_desk, when};
use super::person::{self, legible, user_name};
use super::runtime::block_on;
use crate::ui::{Failure, Report, Table};
use crate::wire::System;
use gate::ports::Clock;
use gate::{ArgPattern, Code, StandingGrant};

/// Arguments of `grants`.
#[derive(Debug, Args)]
pub struct GrantsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the grants that hold.
    List(ListArgs),
    /// Take a grant back.
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate grants list
  toolgate grants list --json | jq -r '.[].id'")]
struct ListArgs {}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate grants revoke 019a83c4
  toolgate grants revoke --all")]
struct RevokeArgs {
    /// The grant's id, or its first characters (6 at least).
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    id: Option<String>,
    /// Every one of them.
    #[arg(long)]
    all: bool,
}

/// Runs one of them.
pub fn run(args: &GrantsArgs, cx: &Context) -> Result<(), Failure> {
    match &args.command {
        Command::List(_) => cx.ui.report(&List(standing(cx)?)),
        Command::Revoke(args) => revoke(args, cx),
    }
}

fn standing(cx: &Context) -> Result<Vec<StandingGrant>, Failure> {
    let Some(desk) = existing_desk(&cx.config()?) else { return Ok(Vec::new()) };
    block_on(async { desk.all_standing(System.wall_micros()).await.map_err(no_desk) })
}

/// Taking leave back needs no proof, like a no: it can only stop calls.
fn revoke(args: &RevokeArgs, cx: &Context) -> Result<(), Failure> {
    person::not_beneath(cx, &[])?;
    let all = standing(cx)?;
    let grants = match &args.id {
        Some(id) => vec![chosen(all, id, "grant", |grant| grant.id.to_string())?],
        None => all,
    };
    let config = cx.config()?;
    let revoked = block_on(async {
        let mut revoked = Vec::new();
        let Some(desk) = existing_desk(&config).filter(|_| !grants.is_empty()) else { return Ok(revoked) };
        let record = Record::open(&config)?;
        for grant in grants {
            record.grant(&grant, "revoked", &user_name()).await?;
            if desk.revoke(grant.id).await.map_err(no_desk)? {
                revoked.push(grant);
            }
        }
        Ok(revoked)
    })?;
    if revoked.is_empty() && !args.all {
        return Err(Failure::new(Code::ApprovalRefused, "the grant was taken back already"));
    }
    cx.ui.report(&Revoked(revoked))
}

fn arguments(pattern: &ArgPattern) -> String {
    match pattern {
        ArgPattern::Any => "any".to_owned(),
        ArgPattern::Exact(digest) => format!("exactly {}", digest.get(..12).unwrap_or(digest)),
        ArgPattern::Where(keys) => {
            keys.iter().map(|(key, pattern)| format!("{key}={pattern}")).collect::<Vec<_>>().join(" ")
        }
    }
}

struct List(Vec<StandingGrant>);

impl Serialize for List {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|grant| {
            json!({
                "id": grant.id,
                "server": grant.server,
                "tool": grant.tool,
                "principal": grant.by,
                "definition": grant.definition,
                "arguments": grant.arguments,
                "conversation": grant.conversation,
                "given": when(grant.given),
                "until": when(grant.until),
                "giver": grant.giver,
                "approval": grant.approval,
            })
        }))
    }
}

impl Report for List {
    fn human(&self) -> String {
        if self.0.is_empty() {
            return "No grants: every call that needs a person asks for one.\n".to_owned();
        }
        let mut table = Table::new(["Id", "Tool", "Arguments", "Conversation", "Until", "Given by"]);
        for grant in &self.0 {
            table.row([
                grant.id.to_string(),
                legible(&format!("{}.{}", grant.server, grant.tool)),
                legible(&arguments(&grant.arguments)),
                legible(grant.conversation.as_deref().unwrap_or("any")),
                when(grant.until),
                legible(&grant.giver),
            ]);
        }
        table.text()
    }
}

struct Revoked(Vec<StandingGrant>);

impl Serialize for Revoked {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ids: Vec<_> = self.0.iter().map(|grant| grant.id).collect();
        json!({ "schema": "toolgate.revoked/1", "revoked": ids }).serialize(serializer)
    }
}

impl Report for Revoked {
    fn human(&self) -> String {
        if self.0.is_empty() {
            return "There were no grants.\n".to_owned();
        }
        self.0
            .iter()
            .map(|grant| format!("Revoked: {}.\n", legible(&format!("{}.{}", grant.server, grant.tool))))
            .collect()
    }
}
