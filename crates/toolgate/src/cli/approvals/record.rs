//! What people decide goes on record before it counts.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use crate::config::Config;
use crate::ui::Failure;
use crate::wire::{self, System};
use gate::ports::{Clock, Ids, Ledger, LedgerError};
use gate::{Approval, Code, StandingGrant, Verdict};

/// Longer texts of others are cut: a line of the record is bounded.
const MOST_TEXT: usize = 512;

/// The record, open for this command.
pub struct Record(Arc<store::Segments>);

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event<'a> {
    Approval {
        id: Uuid,
        ts: u64,
        approval: String,
        phase: &'a str,
        by: Cow<'a, str>,
        server: Cow<'a, str>,
        name: Cow<'a, str>,
        definition: Cow<'a, str>,
        digest: String,
        rule: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        client: Option<Cow<'a, str>>,
        expires: u64,
        approver: Cow<'a, str>,
        way: &'a str,
    },
    Grant {
        id: Uuid,
        ts: u64,
        phase: &'a str,
        by: Cow<'a, str>,
        server: Cow<'a, str>,
        name: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        conversation: Option<Cow<'a, str>>,
        until: u64,
        approver: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        approval: Option<String>,
    },
    Approver {
        id: Uuid,
        ts: u64,
        phase: &'a str,
        approver: &'a str,
        way: Option<&'a str>,
    },
}

impl Record {
    /// Opens it. Nothing is written yet.
    ///
    /// # Errors
    /// When there can be none, and so no decision either.
    pub fn open(config: &Config) -> Result<Self, Failure> {
        wire::ledger(config).map(Self)
    }

    /// A verdict about to be given.
    ///
    /// # Errors
    /// When it is not on the disk; then the verdict must not be given.
    pub async fn verdict(&self, approval: &Approval, verdict: &Verdict) -> Result<(), Failure> {
        let phase = if verdict.yes { "approved" } else { "denied" };
        self.write(&about(approval, phase, verdict)).await
    }

    /// A verdict on record that did not count, since somebody was faster or it was too late.
    ///
    /// # Errors
    /// When it is not on the disk.
    pub async fn too_late(&self, approval: &Approval, verdict: &Verdict) -> Result<(), Failure> {
        self.write(&about(approval, "too_late", verdict)).await
    }

    /// A standing grant about to be given (`phase` is `given`) or taken back (`revoked`) by `approver`.
    ///
    /// # Errors
    /// When it is not on the disk; then nothing must change.
    pub async fn grant(&self, grant: &StandingGrant, phase: &str, approver: &str) -> Result<(), Failure> {
        self.write(&Event::Grant {
            id: grant.id,
            ts: System.wall_micros(),
            phase,
            by: bounded(&grant.by),
            server: bounded(&grant.server),
            name: bounded(&grant.tool),
            conversation: grant.conversation.as_deref().map(bounded),
            until: grant.until,
            approver: bounded(approver),
            approval: grant.approval.map(|approval| approval.to_string()),
        })
        .await
    }

    /// The approver's secret is about to be made or replaced.
    ///
    /// # Errors
    /// When it is not on the disk; then nothing must change.
    pub async fn secret(&self, phase: &str, approver: &str, way: Option<&str>) -> Result<(), Failure> {
        self.write(&Event::Approver { id: System.fresh(), ts: System.wall_micros(), phase, approver, way }).await
    }

    async fn write(&self, event: &Event<'_>) -> Result<(), Failure> {
        let event = serde_json::to_vec(event).map_err(Failure::bug)?;
        let position = self.0.append(&event).map_err(no_record)?;
        self.0.durable(position).await.map_err(no_record)
    }
}

fn about<'a>(approval: &'a Approval, phase: &'a str, verdict: &'a Verdict) -> Event<'a> {
    Event::Approval {
        id: System.fresh(),
        ts: System.wall_micros(),
        approval: approval.id.to_string(),
        phase,
        by: bounded(&approval.by),
        server: bounded(approval.server.as_str()),
        name: bounded(&approval.tool),
        definition: bounded(&approval.definition),
        digest: approval.digest.hex(),
        rule: bounded(&approval.rule),
        client: approval.client.as_deref().map(bounded),
        expires: approval.expires,
        approver: bounded(&verdict.approver),
        way: verdict.way.word(),
    }
}

fn bounded(text: &str) -> Cow<'_, str> {
    if text.len() <= MOST_TEXT {
        return text.into();
    }
    format!("{}… ({} bytes)", &text[..text.floor_char_boundary(MOST_TEXT)], text.len()).into()
}

fn no_record(error: LedgerError) -> Failure {
    Failure::new(Code::StoreUnavailable, "the decision cannot be recorded, so it is not made")
        .caused_by(error)
        .hint("check permissions and space of the `toolgate/audit` directory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_begins_with_what_it_is_and_long_texts_are_cut() {
        let event = Event::Approver { id: Uuid::nil(), ts: 1, phase: "made", approver: "alice", way: None };
        let text = serde_json::to_string(&event).expect("json");
        assert!(
            text.starts_with(r#"{"event":"approver","id":"00000000-0000-0000-0000-000000000000","ts":1,"#),
            "{text}"
        );
        assert!(bounded(&"ü".repeat(100_000)).len() < 600);
    }
}
