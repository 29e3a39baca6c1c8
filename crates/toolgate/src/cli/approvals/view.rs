//! Questions as people and scripts are shown them. What stands in them was written by others: it is made legible.

use jiff::Timestamp;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::layout::Laid;
use crate::cli::person::legible;
use crate::ui::{Report, Table};
use gate::{Approval, ApprovalState, Verdict};

/// A time as RFC 3339.
pub fn when(micros: u64) -> String {
    let time = i64::try_from(micros).ok().and_then(|micros| Timestamp::from_microsecond(micros).ok());
    time.unwrap_or(Timestamp::MAX).to_string()
}

/// How long until then, in the unit a person would use.
pub fn left(micros: u64, now: u64) -> String {
    let seconds = micros.saturating_sub(now) / 1_000_000;
    match seconds {
        0..100 => format!("{seconds} s"),
        100..6_000 => format!("{} min", seconds / 60),
        6_000..360_000 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn verdict(state: &ApprovalState) -> Option<&Verdict> {
    match state {
        ApprovalState::Approved(verdict) | ApprovalState::Denied(verdict) | ApprovalState::Spent(verdict) => {
            Some(verdict)
        }
        ApprovalState::Open | ApprovalState::Expired => None,
    }
}

/// How a question stands, as a sentence goes on after its name.
pub fn stands(approval: &Approval) -> String {
    let by = verdict(&approval.state)
        .map(|verdict| format!(" by {} ({}) at {}", legible(&verdict.approver), verdict.way.word(), when(verdict.at)));
    let by = by.unwrap_or_default();
    match &approval.state {
        ApprovalState::Open => format!("is open until {}", when(approval.expires)),
        ApprovalState::Approved(_) => format!("was approved{by}, and not used yet"),
        ApprovalState::Denied(_) => format!("was denied{by}"),
        ApprovalState::Spent(_) => format!("was approved{by}, and the call was made"),
        ApprovalState::Expired => format!("expired at {} without an answer", when(approval.expires)),
    }
}

/// A question for scripts.
pub struct Entry<'a> {
    /// The question.
    pub approval: &'a Approval,
    /// The time, in microseconds since 1970.
    pub now: u64,
}

impl Serialize for Entry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.members(&mut map)?;
        map.end()
    }
}

impl Entry<'_> {
    /// Its members alone, for a document that holds more.
    pub fn members<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let (approval, verdict) = (self.approval, verdict(&self.approval.state));
        map.serialize_entry("id", &approval.id)?;
        map.serialize_entry("state", approval.state.word())?;
        map.serialize_entry("server", approval.server.as_str())?;
        map.serialize_entry("tool", &approval.tool)?;
        map.serialize_entry("class", &approval.class)?;
        map.serialize_entry("principal", &approval.by)?;
        map.serialize_entry("client", &approval.client)?;
        map.serialize_entry("conversation", &approval.conversation)?;
        // Byte for byte, where they are JSON: a number read and written again could be another one. Where they were
        // cut they are no JSON any more, but text.
        match serde_json::from_str::<&RawValue>(&approval.arguments) {
            Ok(raw) => map.serialize_entry("arguments", raw)?,
            Err(_) => map.serialize_entry("arguments", &approval.arguments)?,
        }
        map.serialize_entry("arguments_digest", &approval.arguments_digest)?;
        map.serialize_entry("rule", &approval.rule)?;
        map.serialize_entry("asked", &when(approval.asked))?;
        map.serialize_entry("expires", &when(approval.expires))?;
        map.serialize_entry("expires_in_sec", &(approval.expires.saturating_sub(self.now) / 1_000_000))?;
        map.serialize_entry("approver", &verdict.map(|verdict| &verdict.approver))?;
        map.serialize_entry("way", &verdict.map(|verdict| verdict.way.word()))?;
        map.serialize_entry("at", &verdict.map(|verdict| when(verdict.at)))
    }
}

/// Many questions.
pub struct List<'a> {
    /// Oldest first.
    pub asked: &'a [Approval],
    /// The time, in microseconds since 1970.
    pub now: u64,
    /// Whether those that are over are among them.
    pub all: bool,
}

impl Serialize for List<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.asked.iter().map(|approval| Entry { approval, now: self.now }))
    }
}

impl Report for List<'_> {
    fn human(&self) -> String {
        if self.asked.is_empty() {
            return if self.all { "No questions yet.\n" } else { "Nothing waits for an answer.\n" }.to_owned();
        }
        let mut table = Table::new(["Id", "State", "Tool", "Class", "Asked by", "Expires", "Arguments"]);
        for approval in self.asked {
            table.row(self.row(approval));
        }
        table.text()
    }
}

impl List<'_> {
    fn row(&self, approval: &Approval) -> [String; 7] {
        let client = approval.client.as_deref().unwrap_or(&approval.by);
        let expires = match approval.state {
            ApprovalState::Open => format!("in {}", left(approval.expires, self.now)),
            _ => "-".to_owned(),
        };
        [
            approval.id.to_string(),
            approval.state.word().to_owned(),
            legible(&format!("{}.{}", approval.server, approval.tool)),
            approval.class.clone(),
            legible(client),
            expires,
            beginning(&legible(&approval.arguments)),
        ]
    }
}

/// Enough to tell one call from another in a list. Whoever answers is shown the whole.
fn beginning(text: &str) -> String {
    const MOST: usize = 60;
    match text.chars().count() {
        0..=MOST => text.to_owned(),
        count => format!("{}… (+{})", text.chars().take(MOST).collect::<String>(), count - MOST),
    }
}

/// One question, whole.
pub struct Whole<'a> {
    /// The question.
    pub approval: &'a Approval,
    /// The time, in microseconds since 1970.
    pub now: u64,
}

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let approval = self.approval;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("schema", "toolgate.approval/1")?;
        Entry { approval, now: self.now }.members(&mut map)?;
        map.serialize_entry("definition", &approval.definition)?;
        map.serialize_entry("policy", &approval.policy)?;
        map.serialize_entry("digest", &approval.digest.hex())?;
        map.serialize_entry("requesters", &approval.requesters)?;
        map.end()
    }
}

impl Report for Whole<'_> {
    fn human(&self) -> String {
        let approval = self.approval;
        let client = approval.client.as_deref().unwrap_or("a client without a name");
        let conversation = approval.conversation.as_deref().map(|one| format!(", conversation {one}"));
        let laid = Laid::out(&approval.arguments);
        let arguments: String = laid.text.lines().map(|line| format!("    {line}\n")).collect();
        let remark = laid.remark().map(|remark| format!("    ({remark})\n")).unwrap_or_default();
        let lines = [
            ("Question", approval.id.to_string()),
            ("Tool", format!("{}.{}", approval.server, approval.tool)),
            ("Class", approval.class.clone()),
            ("Asked by", format!("{} ({client}{})", approval.by, conversation.unwrap_or_default())),
            ("Rule", approval.rule.clone()),
            ("Definition", approval.definition.clone()),
            ("Asked", when(approval.asked)),
            ("It", stands(approval)),
        ];
        let lines: String =
            lines.iter().map(|(name, value)| format!("{name:<11} {}\n", legible(value).replace('\n', "\\n"))).collect();
        format!(
            "{lines}Arguments   masked, {} bytes; sha256 of the real ones {}\n{arguments}{remark}",
            approval.arguments.len(),
            approval.arguments_digest
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_and_scripts_want_them() {
        assert_eq!(when(1_795_208_400_000_000), "2026-11-20T21:00:00Z");
        assert_eq!(when(u64::MAX), Timestamp::MAX.to_string());
        let check = |seconds: u64, text: &str| assert_eq!(left(seconds * 1_000_000 + 7, 7), text);
        check(0, "0 s");
        check(99, "99 s");
        check(600, "10 min");
        check(8 * 3_600, "8 h");
        check(864_000, "10 days");
        assert_eq!(left(3, 7), "0 s");
    }
}
