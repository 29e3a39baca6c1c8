//! A desk in memory and a clock that a test turns by hand: what waits is woken by either.

use gate::ports::{Clock, Desk, DeskAnswer};
use gate::{Approval, ApprovalId, ApprovalState, CallDigest, ServerName, Settled, StandingGrant, Verdict};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

/// Questions on paper.
pub struct Paper {
    pub questions: Mutex<Vec<Approval>>,
    grants: Mutex<Vec<StandingGrant>>,
    micros: AtomicU64,
    turned: watch::Sender<()>,
}

impl Paper {
    pub fn new() -> Self {
        let micros = AtomicU64::new(1_000_000);
        Self { questions: Mutex::default(), grants: Mutex::default(), micros, turned: watch::Sender::new(()) }
    }

    /// Time passes.
    pub fn pass(&self, time: Duration) {
        self.micros.fetch_add(time.as_micros() as u64, Ordering::Relaxed);
        self.turned.send_replace(());
    }

    fn at<T>(&self, id: ApprovalId, now: u64, then: impl FnOnce(&mut Approval) -> T) -> Option<T> {
        let mut questions = self.questions.lock().unwrap();
        let found = questions.iter_mut().find(|one| one.id == id)?;
        if late(found, now) {
            return Some(then(&mut Approval { state: ApprovalState::Expired, ..found.clone() }));
        }
        Some(then(found))
    }
}

fn late(one: &Approval, now: u64) -> bool {
    one.expires <= now && matches!(one.state, ApprovalState::Open | ApprovalState::Approved(_))
}

fn ready<T: Send + 'static>(value: T) -> DeskAnswer<'static, T> {
    Box::pin(std::future::ready(Ok(value)))
}

impl Clock for Paper {
    fn wall_micros(&self) -> u64 {
        self.micros.load(Ordering::Relaxed)
    }
    fn mono_micros(&self) -> u64 {
        self.wall_micros()
    }
}

impl Desk for Paper {
    fn open(&self, asked: Approval) -> DeskAnswer<'_, Approval> {
        let mut questions = self.questions.lock().unwrap();
        let same = questions.iter().find(|one| {
            let usable = matches!(one.state, ApprovalState::Open | ApprovalState::Approved(_));
            usable && one.digest == asked.digest && one.by == asked.by && one.expires > asked.asked
        });
        if let Some(same) = same {
            return ready(same.clone());
        }
        questions.push(asked.clone());
        ready(asked)
    }

    fn get(&self, id: ApprovalId, now: u64) -> DeskAnswer<'_, Option<Approval>> {
        ready(self.at(id, now, |one| one.clone()))
    }

    fn list(&self, now: u64, all: bool) -> DeskAnswer<'_, Vec<Approval>> {
        let shown = |one: &&Approval| all || one.state == ApprovalState::Open && one.expires > now;
        ready(self.questions.lock().unwrap().iter().filter(shown).cloned().collect())
    }

    fn settle(&self, id: ApprovalId, verdict: Verdict) -> DeskAnswer<'_, Settled> {
        let settled = self.at(id, verdict.at, |one| {
            if one.state != ApprovalState::Open {
                return Settled::Already(one.clone());
            }
            let yes = verdict.yes;
            one.state = if yes { ApprovalState::Approved(verdict) } else { ApprovalState::Denied(verdict) };
            Settled::Now(one.clone())
        });
        self.turned.send_replace(());
        ready(settled.unwrap_or(Settled::Unknown))
    }

    fn spend(&self, id: ApprovalId, digest: CallDigest, now: u64) -> DeskAnswer<'_, bool> {
        let spent = self.at(id, now, |one| match one.state.clone() {
            ApprovalState::Approved(verdict) if one.digest == digest => {
                one.state = ApprovalState::Spent(verdict);
                true
            }
            _ => false,
        });
        ready(spent.unwrap_or(false))
    }

    fn advance(&self, id: ApprovalId, digest: CallDigest, round: u32, now: u64) -> DeskAnswer<'_, bool> {
        let advanced = self.at(id, now, |one| {
            let next = matches!(one.state, ApprovalState::Spent(_)) && one.digest == digest && one.rounds == round;
            one.rounds += u32::from(next);
            next
        });
        ready(advanced.unwrap_or(false))
    }

    fn wait(&self, id: ApprovalId, until: u64) -> DeskAnswer<'_, Option<Approval>> {
        Box::pin(async move {
            let mut turned = self.turned.subscribe();
            loop {
                let now = self.wall_micros();
                let state = self.at(id, now, |one| one.clone());
                if now >= until || state.as_ref().is_none_or(|one| one.state != ApprovalState::Open) {
                    return Ok(state);
                }
                let _ = turned.changed().await;
            }
        })
    }

    fn expire(&self, now: u64) -> DeskAnswer<'_, Vec<Approval>> {
        let mut questions = self.questions.lock().unwrap();
        let expired = questions.iter_mut().filter(|one| late(one, now)).map(|one| {
            one.state = ApprovalState::Expired;
            one.clone()
        });
        ready(expired.collect())
    }

    fn standing(&self, server: &ServerName, tool: &str, now: u64) -> DeskAnswer<'_, Vec<StandingGrant>> {
        let fits = |one: &&StandingGrant| one.server == server.as_str() && one.tool == tool && one.until > now;
        ready(self.grants.lock().unwrap().iter().filter(fits).cloned().collect())
    }

    fn all_standing(&self, now: u64) -> DeskAnswer<'_, Vec<StandingGrant>> {
        ready(self.grants.lock().unwrap().iter().filter(|one| one.until > now).cloned().collect())
    }

    fn remember(&self, grant: StandingGrant) -> DeskAnswer<'_, ()> {
        self.grants.lock().unwrap().push(grant);
        ready(())
    }

    fn revoke(&self, id: Uuid) -> DeskAnswer<'_, bool> {
        let mut grants = self.grants.lock().unwrap();
        let before = grants.len();
        grants.retain(|one| one.id != id);
        ready(grants.len() < before)
    }
}
