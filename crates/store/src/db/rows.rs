//! Rows as the words they stand for.

use super::trouble::Trouble;
use gate::{Approval, ApprovalId, ApprovalState, CallDigest, ServerName, StandingGrant, Verdict, Way};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

/// The column of a time: SQLite's integers have a sign.
pub(super) fn time(micros: u64) -> i64 {
    i64::try_from(micros).unwrap_or(i64::MAX)
}

pub(super) fn json(value: &impl Serialize) -> Result<String, Trouble> {
    serde_json::to_string(value).map_err(|error| Trouble::Senseless(error.to_string()))
}

/// A question as it stands at `now`.
pub(super) fn approval(row: &SqliteRow, now: u64) -> Result<Approval, Trouble> {
    let expires = micros(row, "expires")?;
    Ok(Approval {
        id: ApprovalId(id(&text(row, "id")?)?),
        digest: digest(&text(row, "digest")?)?,
        by: text(row, "principal")?,
        client: row.try_get("client")?,
        conversation: row.try_get("conversation")?,
        server: ServerName::from(text(row, "server")?.as_str()),
        tool: text(row, "tool")?,
        definition: text(row, "definition")?,
        class: text(row, "class")?,
        arguments: text(row, "arguments")?,
        arguments_digest: text(row, "arguments_digest")?,
        rule: text(row, "rule")?,
        policy: text(row, "policy")?,
        asked: micros(row, "asked")?,
        expires,
        requesters: from_json(&text(row, "requesters")?)?,
        state: state(row, expires <= now)?,
        rounds: u32::try_from(row.try_get::<i64, _>("rounds")?).map_err(senseless)?,
    })
}

fn state(row: &SqliteRow, late: bool) -> Result<ApprovalState, Trouble> {
    let word = text(row, "state")?;
    match word.as_str() {
        "open" if late => Ok(ApprovalState::Expired),
        "open" => Ok(ApprovalState::Open),
        "expired" => Ok(ApprovalState::Expired),
        "approved" => Ok(ApprovalState::Approved(verdict(row, true)?)),
        "spent" => Ok(ApprovalState::Spent(verdict(row, true)?)),
        "denied" => Ok(ApprovalState::Denied(verdict(row, false)?)),
        _ => Err(Trouble::Senseless(format!("the state {word}"))),
    }
}

fn verdict(row: &SqliteRow, yes: bool) -> Result<Verdict, Trouble> {
    let word = text(row, "way")?;
    let way = [Way::Terminal, Way::Secret, Way::Http, Way::Client].into_iter().find(|way| way.word() == word);
    let way = way.ok_or_else(|| Trouble::Senseless(format!("the way {word}")))?;
    Ok(Verdict { yes, approver: text(row, "approver")?, way, at: micros(row, "settled")? })
}

/// A standing grant.
pub(super) fn grant(row: &SqliteRow) -> Result<StandingGrant, Trouble> {
    let approval: Option<String> = row.try_get("approval")?;
    Ok(StandingGrant {
        id: id(&text(row, "id")?)?,
        by: text(row, "principal")?,
        server: text(row, "server")?,
        tool: text(row, "tool")?,
        definition: text(row, "definition")?,
        arguments: from_json(&text(row, "arguments")?)?,
        conversation: row.try_get("conversation")?,
        until: micros(row, "until")?,
        given: micros(row, "given")?,
        giver: text(row, "giver")?,
        approval: approval.map(|approval| id(&approval).map(ApprovalId)).transpose()?,
    })
}

fn text(row: &SqliteRow, column: &str) -> Result<String, Trouble> {
    Ok(row.try_get(column)?)
}

fn micros(row: &SqliteRow, column: &str) -> Result<u64, Trouble> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(senseless)
}

fn id(text: &str) -> Result<Uuid, Trouble> {
    Uuid::parse_str(text).map_err(senseless)
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, Trouble> {
    serde_json::from_str(text).map_err(senseless)
}

fn digest(hex: &str) -> Result<CallDigest, Trouble> {
    let byte = |at: usize| hex.get(at * 2..at * 2 + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
    let bytes: Option<Vec<u8>> = (hex.len() == 64).then(|| (0..32).map(byte).collect()).flatten();
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map(CallDigest).ok_or_else(|| Trouble::Senseless("a digest".to_owned()))
}

fn senseless(error: impl ToString) -> Trouble {
    Trouble::Senseless(error.to_string())
}
