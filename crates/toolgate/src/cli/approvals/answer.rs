//! `toolgate approvals approve|deny`: a person's answer, proved, recorded, and then given.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use serde::ser::SerializeMap;

use super::lasting::Lasting;
use super::record::Record;
use super::view::{Entry, Whole, stands, when};
use super::{find, no_desk};
use crate::cli::Context;
use crate::cli::person::{self, user_name};
use crate::cli::runtime::block_on;
use crate::config::Config;
use crate::ui::{Failure, Report};
use crate::wire::System;
use gate::ports::{Clock, Desk};
use gate::{Approval, ApprovalState, Code, Settled, StandingGrant, Verdict, Way};

/// Arguments of `approve`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate approvals approve 019a83c4
  toolgate approvals approve 019a83c4 --remember
  toolgate approvals approve 019a83c4 --remember --for 30m --args 'path=/home/me/project/*'
  toolgate approvals approve 019a83c4 --secret-file ~/approver.secret

A yes is asked for at the terminal, or proved with the approver's secret. A process that the agent or the gate
started cannot give it at a terminal.")]
pub struct ApproveArgs {
    /// The question's id, or its first characters (6 at least).
    id: String,
    /// A file with the approver's secret, instead of asking at the terminal.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    #[command(flatten)]
    lasting: Lasting,
}

/// Arguments of `deny`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate approvals deny 019a83c4

A no needs no proof: it can do nothing but stop a call.")]
pub struct DenyArgs {
    /// The question's id, or its first characters (6 at least).
    id: String,
    /// A file with the approver's secret, so that the record can say who it was.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

/// Says yes.
pub fn approve(args: &ApproveArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    let answered = block_on(async {
        let now = System.wall_micros();
        let (desk, approval) = find(&config, &args.id, now).await?;
        must_be_open(&approval)?;
        let user = user_name();
        let grant = args.lasting.grant(&approval, &user, now, &System)?;
        let lines = format!("{}\n{}", Whole { approval: &approval, now }.human(), scope(grant.as_ref()));
        let question = "Approve this call?";
        let proof = person::prove(cx, args.secret_file.as_deref(), &approval.requesters, &lines, question)?;
        let verdict = Verdict { yes: true, approver: user, way: proof.way(), at: System.wall_micros() };
        give(&Answering { config: &config, desk }, approval, verdict, grant).await
    })?;
    cx.ui.report(&answered)
}

/// Says no. That nobody's word is needed for it is on purpose: whoever can run this could also end the gate.
pub fn deny(args: &DenyArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    let answered = block_on(async {
        let (desk, approval) = find(&config, &args.id, System.wall_micros()).await?;
        must_be_open(&approval)?;
        let verdict = match &args.secret_file {
            Some(file) => {
                let proof = person::prove(cx, Some(file), &approval.requesters, "", "")?;
                Verdict { yes: false, approver: user_name(), way: proof.way(), at: System.wall_micros() }
            }
            None => {
                person::not_beneath(cx, &approval.requesters[..approval.requesters.len().min(1)])?;
                unproved(System.wall_micros())
            }
        };
        give(&Answering { config: &config, desk }, approval, verdict, None).await
    })?;
    cx.ui.report(&answered)
}

fn unproved(at: u64) -> Verdict {
    Verdict { yes: false, approver: format!("{}, unproved", user_name()), way: Way::Terminal, at }
}

/// Where an answer goes.
pub struct Answering<'a> {
    /// Whose record.
    pub config: &'a Config,
    /// Whose questions.
    pub desk: Arc<dyn Desk>,
}

/// Records the answer, gives it, and keeps the grant that goes with it.
///
/// # Errors
/// When it cannot be recorded or given, somebody was faster, or it is too late.
pub async fn give(
    to: &Answering<'_>,
    approval: Approval,
    verdict: Verdict,
    grant: Option<StandingGrant>,
) -> Result<Answered, Failure> {
    let record = Record::open(to.config)?;
    record.verdict(&approval, &verdict).await?;
    let approval = match to.desk.settle(approval.id, verdict.clone()).await.map_err(no_desk)? {
        Settled::Now(approval) => approval,
        Settled::Already(now) => {
            record.too_late(&now, &verdict).await?;
            return Err(must_be_open(&now).err().unwrap_or_else(|| gone(&now)));
        }
        Settled::Unknown => {
            record.too_late(&approval, &verdict).await?;
            return Err(gone(&approval));
        }
    };
    if let Some(grant) = &grant {
        record.grant(grant, "given", &grant.giver).await?;
        to.desk.remember(grant.clone()).await.map_err(no_desk)?;
    }
    Ok(Answered { approval, grant, now: verdict.at })
}

fn gone(approval: &Approval) -> Failure {
    Failure::new(Code::ApprovalRefused, format!("the question {} is not there any more", approval.id))
}

/// That a question can still be answered.
///
/// # Errors
/// When it cannot, with how it stands.
pub fn must_be_open(approval: &Approval) -> Result<(), Failure> {
    let code = match approval.state {
        ApprovalState::Open => return Ok(()),
        ApprovalState::Expired => Code::ApprovalExpired,
        ApprovalState::Approved(_) | ApprovalState::Denied(_) | ApprovalState::Spent(_) => Code::ApprovalRefused,
    };
    Err(Failure::new(code, format!("the question {} {}", approval.id, stands(approval))))
}

fn scope(grant: Option<&StandingGrant>) -> String {
    match grant {
        None => "The call may run once.\n".to_owned(),
        Some(grant) => format!("From now on: {}.\n", lasts(grant)),
    }
}

/// What a grant allows, in words.
pub fn lasts(grant: &StandingGrant) -> String {
    use gate::ArgPattern;
    let arguments = match &grant.arguments {
        ArgPattern::Any => "any arguments".to_owned(),
        ArgPattern::Exact(_) => "exactly these arguments".to_owned(),
        ArgPattern::Where(keys) => {
            let keys: Vec<_> = keys.iter().map(|(key, pattern)| format!("{key}={pattern}")).collect();
            keys.join(" ")
        }
    };
    let conversation = match &grant.conversation {
        Some(_) => "in this conversation",
        None => "in any conversation",
    };
    format!("{}.{} with {arguments}, {conversation}, until {}", grant.server, grant.tool, when(grant.until))
}

/// An answer that counts.
pub struct Answered {
    approval: Approval,
    grant: Option<StandingGrant>,
    now: u64,
}

impl Serialize for Answered {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("schema", "toolgate.answer/1")?;
        Entry { approval: &self.approval, now: self.now }.members(&mut map)?;
        map.serialize_entry("grant", &self.grant.as_ref().map(|grant| grant.id))?;
        map.end()
    }
}

impl Report for Answered {
    fn human(&self) -> String {
        let tool = person::legible(&format!("{}.{}", self.approval.server, self.approval.tool));
        let grant = self.grant.as_ref().map(|grant| {
            format!(
                "Grant {}: {}. Take it back with `toolgate grants revoke`.\n",
                grant.id,
                person::legible(&lasts(grant))
            )
        });
        match self.approval.state {
            ApprovalState::Approved(_) => {
                format!("Approved: {tool} may run once.\n{}", grant.unwrap_or_default())
            }
            _ => format!("Denied: {tool} will not run.\n"),
        }
    }
}
