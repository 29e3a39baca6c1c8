//! A desk in memory, for tests: the same promises as the real one, time from its caller alone. Nobody ever comes
//! while a call waits, unless `visitor` says who and what.

use super::{Approval, ApprovalId, ApprovalState, CallDigest, Settled, StandingGrant, Verdict};
use crate::ports::{Desk, DeskAnswer};
use crate::words::ServerName;
use std::sync::Mutex;
use uuid::Uuid;

#[derive(Default)]
pub(crate) struct Memory {
    pub questions: Mutex<Vec<Approval>>,
    pub grants: Mutex<Vec<StandingGrant>>,
    /// Answers while a call waits.
    pub visitor: Mutex<Option<Verdict>>,
}

impl Memory {
    fn at<T>(&self, id: ApprovalId, now: u64, then: impl FnOnce(&mut Approval) -> T) -> Option<T> {
        let mut questions = self.questions.lock().expect("not poisoned");
        let found = questions.iter_mut().find(|one| one.id == id)?;
        if found.expires <= now && matches!(found.state, ApprovalState::Open | ApprovalState::Approved(_)) {
            // Only `expire` marks it, so that somebody hears of it.
            return Some(then(&mut Approval { state: ApprovalState::Expired, ..found.clone() }));
        }
        Some(then(found))
    }
}

fn ready<T: Send + 'static>(value: T) -> DeskAnswer<'static, T> {
    Box::pin(std::future::ready(Ok(value)))
}

impl Desk for Memory {
    fn open(&self, asked: Approval) -> DeskAnswer<'_, Approval> {
        let mut questions = self.questions.lock().expect("not poisoned");
        let same = |one: &&Approval| {
            let usable = matches!(one.state, ApprovalState::Open | ApprovalState::Approved(_));
            usable && one.digest == asked.digest && one.by == asked.by && one.expires > asked.asked
        };
        if let Some(found) = questions.iter().find(same) {
            return ready(found.clone());
        }
        questions.push(asked.clone());
        ready(asked)
    }
    fn get(&self, id: ApprovalId, now: u64) -> DeskAnswer<'_, Option<Approval>> {
        ready(self.at(id, now, |one| one.clone()))
    }
    fn list(&self, now: u64, all: bool) -> DeskAnswer<'_, Vec<Approval>> {
        let questions = self.questions.lock().expect("not poisoned");
        let open = |one: &&Approval| all || one.state == ApprovalState::Open && one.expires > now;
        ready(questions.iter().filter(open).cloned().collect())
    }
    fn settle(&self, id: ApprovalId, verdict: Verdict) -> DeskAnswer<'_, Settled> {
        let settled = self.at(id, verdict.at, |one| {
            if one.state != ApprovalState::Open {
                return Settled::Already(one.clone());
            }
            one.state = if verdict.yes { ApprovalState::Approved(verdict) } else { ApprovalState::Denied(verdict) };
            Settled::Now(one.clone())
        });
        ready(settled.unwrap_or(Settled::Unknown))
    }
    fn spend(&self, id: ApprovalId, digest: CallDigest, now: u64) -> DeskAnswer<'_, bool> {
        let spent = self.at(id, now, |one| match (&one.state, one.digest == digest) {
            (ApprovalState::Approved(verdict), true) => {
                one.state = ApprovalState::Spent(verdict.clone());
                true
            }
            _ => false,
        });
        ready(spent.unwrap_or(false))
    }
    fn advance(&self, id: ApprovalId, digest: CallDigest, round: u32, now: u64) -> DeskAnswer<'_, bool> {
        let advanced = self.at(id, now, |one| {
            let fits = matches!(one.state, ApprovalState::Spent(_)) && one.digest == digest && one.rounds == round;
            one.rounds += u32::from(fits);
            fits
        });
        ready(advanced.unwrap_or(false))
    }
    fn wait(&self, id: ApprovalId, until: u64) -> DeskAnswer<'_, Option<Approval>> {
        Box::pin(async move {
            let visitor = self.visitor.lock().expect("not poisoned").take();
            if let Some(verdict) = visitor {
                self.settle(id, Verdict { at: 0, ..verdict }).await?;
                return self.get(id, 0).await;
            }
            self.get(id, until).await
        })
    }
    fn expire(&self, now: u64) -> DeskAnswer<'_, Vec<Approval>> {
        let mut questions = self.questions.lock().expect("not poisoned");
        let late = |one: &&mut Approval| one.state == ApprovalState::Open && one.expires <= now;
        let expired = questions.iter_mut().filter(late).map(|one| {
            one.state = ApprovalState::Expired;
            one.clone()
        });
        ready(expired.collect())
    }
    fn standing(&self, server: &ServerName, tool: &str, now: u64) -> DeskAnswer<'_, Vec<StandingGrant>> {
        let grants = self.grants.lock().expect("not poisoned");
        let fits = |one: &&StandingGrant| one.server == server.as_str() && one.tool == tool && one.until > now;
        ready(grants.iter().filter(fits).cloned().collect())
    }
    fn all_standing(&self, now: u64) -> DeskAnswer<'_, Vec<StandingGrant>> {
        ready(self.grants.lock().expect("not poisoned").iter().filter(|one| one.until > now).cloned().collect())
    }
    fn remember(&self, grant: StandingGrant) -> DeskAnswer<'_, ()> {
        self.grants.lock().expect("not poisoned").push(grant);
        ready(())
    }
    fn revoke(&self, id: Uuid) -> DeskAnswer<'_, bool> {
        let mut grants = self.grants.lock().expect("not poisoned");
        let before = grants.len();
        grants.retain(|one| one.id != id);
        ready(grants.len() < before)
    }
}
