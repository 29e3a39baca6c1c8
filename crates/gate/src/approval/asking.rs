//! How a question becomes leave: by a standing grant, by what a repeated call brings along, or by waiting for a
//! person, in the client or out of band. Every way ends in time, and every end but a person's yes is a no.

use super::{Answer, Approval, ApprovalId, ApprovalState, ArgPattern, CallDigest, Claim, Continuation, Process};
use super::{Settled, StandingGrant, Verdict, Way, Words, within};
use crate::catalog::Item;
use crate::ledger::{Phase, Recorder};
use crate::mask::Masks;
use crate::pin::canonical;
use crate::policy::{Grant, Question, RuleId};
use crate::ports::{Bell, Clock, Desk, DeskError, Ids};
use crate::refusal::{Refusal, Unapproved, Why};
use crate::words::{Call, Dialogue};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tokio::sync::oneshot;

/// The longest copy of a call's arguments that a question holds, in bytes.
const MOST_ARGUMENTS: usize = 256 << 10;

/// How long a standing grant "for this conversation" holds at most.
const CONVERSATION_MICROS: u64 = 8 * 3600 * 1_000_000;

/// How questions are dealt with.
#[derive(Debug, Clone)]
pub struct ApprovalRules {
    /// How long a question stays open, in microseconds.
    pub lifetime: u64,
    /// How long a call waits whose client cannot show the question, in microseconds; the question outlives it.
    pub patience: u64,
    /// How many questions may be open; one more is refused, so that nobody is worn down by them.
    pub most_open: usize,
    /// The processes whose descendants may not answer.
    pub requesters: Vec<Process>,
}

impl Default for ApprovalRules {
    fn default() -> Self {
        Self { lifetime: 600_000_000, patience: 20_000_000, most_open: 64, requesters: Vec::new() }
    }
}

/// Asks people.
pub struct Approvals {
    pub(crate) desk: Arc<dyn Desk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    /// How questions are dealt with.
    pub rules: ApprovalRules,
    bell: Option<Arc<dyn Bell>>,
}

/// Leave that a person gave, and what the call may be continued as.
pub(crate) struct Leave {
    pub grant: Grant,
    pub continuation: Option<Continuation>,
}

/// One call on its way through [`Approvals::ask`].
pub(crate) struct Asking<'a> {
    pub call: &'a Call,
    pub item: &'a Item,
    pub question: Question,
    pub policy: &'a str,
    pub recorder: &'a Recorder,
    pub masks: &'a Masks,
    /// The question in words of its own; it waits for as long as it is open.
    pub words: Option<&'a Words>,
}

impl Approvals {
    /// Approvals that lie on `desk`.
    pub fn new(desk: Arc<dyn Desk>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>, rules: ApprovalRules) -> Self {
        Self { desk, clock, ids, rules, bell: None }
    }

    /// The same; `bell` rings when a question is laid down.
    #[must_use]
    pub fn ringing(self, bell: Option<Arc<dyn Bell>>) -> Self {
        Self { bell, ..self }
    }

    /// Approvals of a gate that asks nobody: what needs a person is refused.
    pub fn nobody(clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self::new(Arc::new(super::NoDesk), clock, ids, ApprovalRules::default())
    }

    /// Waits for a person's word on a call. Dropping the future leaves the question open until it expires.
    pub(crate) async fn ask(&self, asking: &Asking<'_>) -> Result<Leave, Refusal> {
        let arguments = canonical_arguments(asking.call);
        let digest = digest(asking, &arguments);
        if let Some(claim) = &asking.call.claim {
            return self.claimed(asking, claim, digest, &arguments).await;
        }
        if let Some(grant) = self.standing(asking, &arguments).await? {
            let rule = RuleId(format!("grant {} by {}", grant.id, grant.giver).into());
            return Ok(Leave { grant: Grant::by_person(&asking.question, rule), continuation: None });
        }
        let approval = self.lay_down(asking, digest, &arguments).await?;
        match approval.state {
            ApprovalState::Approved(_) => self.spend(asking, approval, digest).await,
            _ => self.wait(asking, approval, digest).await,
        }
    }

    /// Answers a question in the name of somebody who is not its caller, on the record.
    pub(crate) async fn settle(
        &self,
        recorder: &Recorder,
        id: ApprovalId,
        verdict: Verdict,
    ) -> Result<Settled, Refusal> {
        let settled = self.desk.settle(id, verdict.clone()).await.map_err(no_desk)?;
        if let Settled::Now(approval) = &settled {
            let recorded = recorder.approval(self.ids.fresh(), approval, Phase::of(verdict.yes));
            if recorded.is_err() && verdict.yes {
                // Used up: it shall not count later either, when the record can be written again.
                self.desk.spend(id, approval.digest, verdict.at).await.map_err(no_desk)?;
            }
            recorded?;
        }
        Ok(settled)
    }

    /// A call repeated with what we gave its client along: an answer, or a further round of an approved call.
    async fn claimed(
        &self,
        asking: &Asking<'_>,
        claim: &Claim,
        digest: CallDigest,
        arguments: &[u8],
    ) -> Result<Leave, Refusal> {
        let now = self.clock.wall_micros();
        if let Some(round) = claim.round {
            let fresh = self.desk.advance(claim.approval, digest, round, now).await.map_err(no_desk)?;
            let rule = RuleId(format!("approval {}, continued", claim.approval).into());
            let continuation = Some(Continuation { approval: claim.approval, round: round + 1 });
            return match fresh {
                true => Ok(Leave { grant: Grant::by_person(&asking.question, rule), continuation }),
                false => Err(refused(asking, None, Why::Misfit)),
            };
        }
        let approval = self.desk.get(claim.approval, now).await.map_err(no_desk)?;
        let fits = |approval: &Approval| approval.digest == digest && approval.by == asking.call.by.word();
        let Some(approval) = approval.filter(fits) else { return Err(refused(asking, None, Why::Misfit)) };
        match (&approval.state, claim.answer) {
            (ApprovalState::Open, Some(answer)) if asking.call.abilities.approves => {
                let approval = self.answered(asking, approval, answer, arguments).await?;
                self.concluded(asking, approval, digest).await
            }
            (ApprovalState::Open, _) => self.wait(asking, approval, digest).await,
            _ => self.concluded(asking, approval, digest).await,
        }
    }

    async fn standing(&self, asking: &Asking<'_>, arguments: &[u8]) -> Result<Option<StandingGrant>, Refusal> {
        if asking.question.class.high_impact {
            return Ok(None);
        }
        let (item, call) = (asking.item, asking.call);
        let now = self.clock.wall_micros();
        let grants = self.desk.standing(&item.server, &item.raw, now).await.map_err(no_desk)?;
        let arguments_digest = crate::ledger::hex(&Sha256::digest(arguments));
        let covers = |grant: &StandingGrant| {
            grant.by == call.by.word()
                && grant.until > now
                && grant.definition == item.definition_hash()
                && grant.conversation.as_deref().is_none_or(|one| call.conversation.as_deref() == Some(one))
                && grant.arguments.fits(arguments, &arguments_digest)
        };
        Ok(grants.into_iter().find(covers))
    }

    pub(super) async fn lay_down(
        &self,
        asking: &Asking<'_>,
        digest: CallDigest,
        arguments: &[u8],
    ) -> Result<Approval, Refusal> {
        let now = self.clock.wall_micros();
        for late in self.desk.expire(now).await.map_err(no_desk)? {
            asking.recorder.approval(self.ids.fresh(), &late, Phase::Expired)?;
        }
        let open = self.desk.list(now, false).await.map_err(no_desk)?;
        if open.len() >= self.rules.most_open && !open.iter().any(|other| other.digest == digest) {
            return Err(refused(asking, None, Why::TooMany { open: open.len() }));
        }
        let asked = self.question(asking, digest, arguments, now);
        let id = asked.id;
        let approval = self.desk.open(asked).await.map_err(no_desk)?;
        if approval.id == id {
            within::record(asking, &approval)?;
            self.bell.iter().for_each(|bell| bell.ring(&approval));
        }
        Ok(approval)
    }

    fn question(&self, asking: &Asking<'_>, digest: CallDigest, arguments: &[u8], now: u64) -> Approval {
        let (call, item) = (asking.call, asking.item);
        let mut shown = asking.masks.arguments(call.wire.part(call.wire.parts.arguments)).into_owned();
        if shown.len() > MOST_ARGUMENTS {
            shown = elided(&shown, MOST_ARGUMENTS);
        }
        Approval {
            id: ApprovalId(self.ids.fresh()),
            digest,
            by: call.by.word().to_owned(),
            client: call.trace.client.as_deref().map(|name| asking.masks.text(name).into_owned()),
            conversation: call.conversation.as_deref().map(str::to_owned),
            server: item.server.clone(),
            tool: item.raw.to_string(),
            definition: item.definition_hash().to_owned(),
            class: asking.question.class.word().to_owned(),
            arguments: shown,
            arguments_digest: crate::ledger::hex(&Sha256::digest(arguments)),
            rule: asking.question.rule.0.to_string(),
            policy: asking.policy.to_owned(),
            asked: now,
            expires: now.saturating_add(self.rules.lifetime),
            requesters: self.rules.requesters.clone(),
            state: ApprovalState::Open,
            rounds: 0,
        }
    }

    /// Waits for whoever is first: the client's user, where that counts, or anybody out of band.
    pub(super) async fn wait(
        &self,
        asking: &Asking<'_>,
        approval: Approval,
        digest: CallDigest,
    ) -> Result<Leave, Refusal> {
        let abilities = &asking.call.abilities;
        let mut client = None;
        match abilities.dialogue {
            Dialogue::Rounds if abilities.approves => return Err(Refusal::Pending(Box::new(approval))),
            Dialogue::Live if abilities.approves => client = within::put(asking, &approval),
            Dialogue::None | Dialogue::Live | Dialogue::Rounds => {}
        }
        // Kept until there is an answer: a caller that hears nothing for long gives up.
        let (_waiting, over) = oneshot::channel();
        if let Some(listener) = &asking.call.listener {
            listener.waits(over);
        }
        let patience = if asking.words.is_some() { u64::MAX } else { self.rules.patience };
        let patient = self.clock.wall_micros().saturating_add(patience).min(approval.expires);
        if let Some(receiver) = client {
            let settled = self.desk.wait(approval.id, approval.expires);
            tokio::select! {
                biased;
                answer = receiver => match answer {
                    Ok(answer) => {
                        let arguments = canonical_arguments(asking.call);
                        let approval = self.answered(asking, approval, answer, &arguments).await?;
                        return self.concluded(asking, approval, digest).await;
                    }
                    // The client could not show it after all: whoever else is there may still answer.
                    Err(_) => tracing::debug!(target: "mcp::approvals", "the client could not be asked"),
                },
                settled = settled => return self.waited(asking, approval, settled, digest).await,
            }
        }
        let settled = self.desk.wait(approval.id, patient).await;
        self.waited(asking, approval, settled, digest).await
    }

    async fn waited(
        &self,
        asking: &Asking<'_>,
        approval: Approval,
        settled: Result<Option<Approval>, DeskError>,
        digest: CallDigest,
    ) -> Result<Leave, Refusal> {
        let now = settled.map_err(no_desk)?.unwrap_or(Approval { state: ApprovalState::Expired, ..approval });
        self.concluded(asking, now, digest).await
    }

    /// The client's user has answered. How the question stands now.
    async fn answered(
        &self,
        asking: &Asking<'_>,
        approval: Approval,
        answer: Answer,
        arguments: &[u8],
    ) -> Result<Approval, Refusal> {
        let yes = match answer {
            Answer::Yes | Answer::YesForConversation => true,
            Answer::No => false,
            Answer::Dismissed => return Err(refused(asking, Some(approval), Why::Dismissed)),
        };
        let approver = format!("user of {}", approval.client.as_deref().unwrap_or("the client"));
        let verdict = Verdict { yes, approver, way: Way::Client, at: self.clock.wall_micros() };
        let settled = self.settle(asking.recorder, approval.id, verdict).await?;
        let (Settled::Now(now) | Settled::Already(now)) = settled else {
            return Err(refused(asking, None, Why::Misfit));
        };
        let lasts = answer == Answer::YesForConversation && !asking.question.class.high_impact;
        if lasts && matches!(now.state, ApprovalState::Approved(_)) {
            self.remember(asking, &now, arguments).await?;
        }
        Ok(now)
    }

    async fn remember(&self, asking: &Asking<'_>, approval: &Approval, arguments: &[u8]) -> Result<(), Refusal> {
        // Without a conversation there is nothing for it to last as long as.
        let Some(conversation) = approval.conversation.clone() else { return Ok(()) };
        let given = self.clock.wall_micros();
        let grant = StandingGrant {
            id: self.ids.fresh(),
            by: approval.by.clone(),
            server: approval.server.to_string(),
            tool: approval.tool.clone(),
            definition: approval.definition.clone(),
            arguments: ArgPattern::Exact(crate::ledger::hex(&Sha256::digest(arguments))),
            conversation: Some(conversation),
            until: given.saturating_add(CONVERSATION_MICROS),
            given,
            giver: format!("user of {}", approval.client.as_deref().unwrap_or("the client")),
            approval: Some(approval.id),
        };
        asking.recorder.grant(&grant)?;
        self.desk.remember(grant).await.map_err(no_desk)
    }

    /// What follows of how the question stands.
    async fn concluded(&self, asking: &Asking<'_>, approval: Approval, digest: CallDigest) -> Result<Leave, Refusal> {
        let why = match &approval.state {
            ApprovalState::Approved(_) => return self.spend(asking, approval, digest).await,
            ApprovalState::Denied(verdict) => Why::Declined { by: verdict.approver.clone() },
            ApprovalState::Spent(_) => Why::Spent,
            ApprovalState::Open if approval.expires > self.clock.wall_micros() => Why::Unanswered,
            ApprovalState::Open | ApprovalState::Expired => Why::Expired,
        };
        if why == Why::Expired {
            for late in self.desk.expire(self.clock.wall_micros()).await.map_err(no_desk)? {
                asking.recorder.approval(self.ids.fresh(), &late, Phase::Expired)?;
            }
        }
        Err(refused(asking, Some(approval), why))
    }

    async fn spend(&self, asking: &Asking<'_>, approval: Approval, digest: CallDigest) -> Result<Leave, Refusal> {
        let now = self.clock.wall_micros();
        if !self.desk.spend(approval.id, digest, now).await.map_err(no_desk)? {
            let why = if approval.expires <= now { Why::Expired } else { Why::Spent };
            return Err(refused(asking, Some(approval), why));
        }
        let by = match &approval.state {
            ApprovalState::Approved(verdict) => format!(" by {} ({})", verdict.approver, verdict.way.word()),
            _ => String::new(),
        };
        let rule = RuleId(format!("approval {}{by}", approval.id).into());
        let continuation = Some(Continuation { approval: approval.id, round: 0 });
        Ok(Leave { grant: Grant::by_person(&asking.question, rule), continuation })
    }
}

fn refused(asking: &Asking<'_>, approval: Option<Approval>, why: Why) -> Refusal {
    Refusal::Unapproved(Box::new(Unapproved { question: asking.question.clone(), approval, why }))
}

fn no_desk(error: DeskError) -> Refusal {
    Refusal::NoDesk(error.to_string())
}

/// The arguments in the one spelling that equal arguments share; as they are if they cannot be read, so that
/// nothing unreadable equals anything else.
pub(super) fn canonical_arguments(call: &Call) -> Vec<u8> {
    let raw = call.wire.part(call.wire.parts.arguments);
    let raw = if raw.is_empty() { b"{}" } else { raw };
    canonical(raw).unwrap_or_else(|_| raw.to_vec())
}

/// Each part is preceded by its length, so that no two calls run together into the same bytes.
pub(super) fn digest(asking: &Asking<'_>, arguments: &[u8]) -> CallDigest {
    let (call, item) = (asking.call, asking.item);
    let parts: [&[u8]; 7] = [
        call.by.word().as_bytes(),
        call.target.word().as_bytes(),
        item.server.as_str().as_bytes(),
        item.raw.as_bytes(),
        item.definition_hash().as_bytes(),
        arguments,
        asking.policy.as_bytes(),
    ];
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    CallDigest(hash.finalize().into())
}

fn elided(text: &str, most: usize) -> String {
    let half = most / 2;
    let (head, tail) = (text.floor_char_boundary(half), text.ceil_char_boundary(text.len() - half));
    format!("{} … [{} bytes left out] … {}", &text[..head], tail - head, &text[tail..])
}
