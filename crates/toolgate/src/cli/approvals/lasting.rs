//! `approve --remember`: for which calls besides this one, and until when.

use std::collections::BTreeMap;

use clap::Args;
use jiff::Timestamp;

use crate::ui::Failure;
use gate::ports::Ids;
use gate::{Approval, ArgPattern, Code, StandingGrant};

const HOUR: u64 = 3_600_000_000;

/// How long a grant lasts when nobody says.
const USUAL: u64 = 8 * HOUR;

/// How much of a yes is remembered.
#[derive(Debug, Default, Args)]
pub struct Lasting {
    /// Also allow this call from now on: with the same arguments, in the same conversation, for 8 hours, unless
    /// said otherwise.
    #[arg(long)]
    remember: bool,
    /// How long it lasts, such as `30m`, `8h` or `7d`.
    #[arg(long = "for", value_name = "TIME", requires = "remember", conflicts_with = "until")]
    lasts: Option<String>,
    /// Until when it lasts, such as `2027-01-01T00:00:00Z`.
    #[arg(long, value_name = "TIME", requires = "remember")]
    until: Option<Timestamp>,
    /// In this conversation only (the default).
    #[arg(long, requires = "remember", conflicts_with = "any_session")]
    session: bool,
    /// In any conversation of the same principal.
    #[arg(long, requires = "remember")]
    any_session: bool,
    /// With which arguments: `exact` (the default), `any`, or those in which KEY fits PATTERN (`*` and `?`), which
    /// may be repeated. KEY is a top-level key, or a JSON pointer such as `/options/path`.
    #[arg(long, value_name = "exact|any|KEY=PATTERN", requires = "remember")]
    args: Vec<String>,
}

impl Lasting {
    /// The grant that goes with a yes to `approval` by `giver`, if it is to last.
    ///
    /// # Errors
    /// What cannot be meant, and high-impact tools: those are asked for each time.
    pub fn grant(
        &self,
        approval: &Approval,
        giver: &str,
        now: u64,
        ids: &dyn Ids,
    ) -> Result<Option<StandingGrant>, Failure> {
        if !self.remember {
            return Ok(None);
        }
        if approval.class == "high_impact" {
            return Err(Failure::new(Code::ApprovalRefused, "a high-impact tool is asked for each time")
                .hint("approve this call without `--remember`"));
        }
        Ok(Some(StandingGrant {
            id: ids.fresh(),
            by: approval.by.clone(),
            server: approval.server.to_string(),
            tool: approval.tool.clone(),
            definition: approval.definition.clone(),
            arguments: self.arguments(approval)?,
            conversation: self.conversation(approval)?,
            until: self.end(now)?,
            given: now,
            giver: giver.to_owned(),
            approval: Some(approval.id),
        }))
    }

    fn arguments(&self, approval: &Approval) -> Result<ArgPattern, Failure> {
        let [] = self.args.as_slice() else { return self.pattern(approval) };
        Ok(ArgPattern::Exact(approval.arguments_digest.clone()))
    }

    fn pattern(&self, approval: &Approval) -> Result<ArgPattern, Failure> {
        match self.args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["exact"] => return Ok(ArgPattern::Exact(approval.arguments_digest.clone())),
            ["any"] => return Ok(ArgPattern::Any),
            _ => {}
        }
        let pair = |arg: &String| match arg.split_once('=') {
            Some((key, pattern)) if !key.is_empty() => Ok((key.to_owned(), pattern.to_owned())),
            _ => Err(Failure::new(Code::Usage, format!("`--args {arg}` is not `exact`, `any` or `KEY=PATTERN`"))),
        };
        self.args.iter().map(pair).collect::<Result<BTreeMap<_, _>, _>>().map(ArgPattern::Where)
    }

    fn conversation(&self, approval: &Approval) -> Result<Option<String>, Failure> {
        match &approval.conversation {
            _ if self.any_session => Ok(None),
            Some(conversation) => Ok(Some(conversation.clone())),
            None => Err(Failure::new(Code::Usage, "the call belongs to no conversation that could be told")
                .hint("add `--any-session` to allow it in all of them")),
        }
    }

    fn end(&self, now: u64) -> Result<u64, Failure> {
        let until = match (&self.lasts, self.until) {
            (Some(lasts), _) => now.saturating_add(micros(lasts).ok_or_else(|| {
                Failure::new(Code::Usage, format!("`--for {lasts}` is no time"))
                    .hint("write it like `30m`, `8h` or `7d`")
            })?),
            (None, Some(until)) => u64::try_from(until.as_microsecond()).unwrap_or(0),
            (None, None) => now.saturating_add(USUAL),
        };
        if until <= now {
            return Err(Failure::new(Code::Usage, "the time until which it lasts has passed"));
        }
        Ok(until)
    }
}

fn micros(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1_000_000,
        "m" => HOUR / 60,
        "h" => HOUR,
        "d" => 24 * HOUR,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit).filter(|micros| *micros > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::System;
    use gate::{ApprovalId, ApprovalState, CallDigest};
    use uuid::Uuid;

    const NOW: u64 = 1_795_208_400_000_000;

    fn question() -> Approval {
        Approval {
            id: ApprovalId(Uuid::nil()),
            digest: CallDigest([0; 32]),
            by: "local".to_owned(),
            client: None,
            conversation: Some("c-1".to_owned()),
            server: "files".into(),
            tool: "write".to_owned(),
            definition: "d".to_owned(),
            class: "write".to_owned(),
            arguments: "{}".to_owned(),
            arguments_digest: "a1".to_owned(),
            rule: "r".to_owned(),
            policy: "p".to_owned(),
            asked: NOW,
            expires: NOW + HOUR,
            requesters: Vec::new(),
            state: ApprovalState::Open,
            rounds: 0,
        }
    }

    fn remember() -> Lasting {
        Lasting { remember: true, ..Lasting::default() }
    }

    fn given(lasting: &Lasting, approval: &Approval) -> Result<StandingGrant, Code> {
        lasting.grant(approval, "alice", NOW, &System).map(|grant| grant.expect("remembered")).map_err(|f| f.code)
    }

    #[test]
    fn what_is_remembered_is_narrow_unless_said_otherwise() {
        assert_eq!(Lasting::default().grant(&question(), "alice", NOW, &System).expect("nothing"), None);
        let grant = given(&remember(), &question()).expect("given");
        assert_eq!(grant.arguments, ArgPattern::Exact("a1".to_owned()));
        assert_eq!((grant.conversation.as_deref(), grant.until), (Some("c-1"), NOW + 8 * HOUR));
        assert_eq!((&*grant.by, &*grant.definition, &*grant.giver), ("local", "d", "alice"));
        let wide =
            Lasting { any_session: true, args: vec!["any".to_owned()], lasts: Some("2d".to_owned()), ..remember() };
        let grant = given(&wide, &question()).expect("given");
        assert_eq!((grant.arguments, grant.conversation, grant.until), (ArgPattern::Any, None, NOW + 48 * HOUR));
    }

    #[test]
    fn arguments_are_matched_by_key() {
        let by_key = Lasting { args: vec!["path=/tmp/*".to_owned(), "/o/p=a=b".to_owned()], ..remember() };
        let grant = given(&by_key, &question()).expect("given");
        let expected = [("path".to_owned(), "/tmp/*".to_owned()), ("/o/p".to_owned(), "a=b".to_owned())];
        assert_eq!(grant.arguments, ArgPattern::Where(expected.into()));
        for bad in [&["some"][..], &["=x"], &["any", "a=b"], &["exact", "any"]] {
            let bad = Lasting { args: bad.iter().map(|arg| (*arg).to_owned()).collect(), ..remember() };
            assert_eq!(given(&bad, &question()), Err(Code::Usage), "{bad:?}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let high = Approval { class: "high_impact".to_owned(), ..question() };
        assert_eq!(given(&remember(), &high), Err(Code::ApprovalRefused));
        let alone = Approval { conversation: None, ..question() };
        assert_eq!(given(&remember(), &alone), Err(Code::Usage));
        for lasts in ["", "h", "8", "0h", "-1h", "8 h", "99999999999999999d", "8w", "ü"] {
            assert_eq!(
                given(&Lasting { lasts: Some(lasts.to_owned()), ..remember() }, &question()),
                Err(Code::Usage),
                "{lasts}"
            );
        }
        let past = Lasting { until: Some(Timestamp::UNIX_EPOCH), ..remember() };
        assert_eq!(given(&past, &question()), Err(Code::Usage));
    }
}
