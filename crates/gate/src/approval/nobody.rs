//! A desk for gates that ask nobody.

use super::{Approval, ApprovalId, CallDigest, Settled, StandingGrant, Verdict};
use crate::ports::{Desk, DeskAnswer, DeskError};
use crate::words::ServerName;
use uuid::Uuid;

/// Takes no question. A call that needs a person is refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoDesk;

fn nothing<T: Send + 'static>() -> DeskAnswer<'static, T> {
    Box::pin(std::future::ready(Err(DeskError("nobody is asked here".to_owned()))))
}

impl Desk for NoDesk {
    fn open(&self, _: Approval) -> DeskAnswer<'_, Approval> {
        nothing()
    }
    fn get(&self, _: ApprovalId, _: u64) -> DeskAnswer<'_, Option<Approval>> {
        nothing()
    }
    fn list(&self, _: u64, _: bool) -> DeskAnswer<'_, Vec<Approval>> {
        nothing()
    }
    fn settle(&self, _: ApprovalId, _: Verdict) -> DeskAnswer<'_, Settled> {
        nothing()
    }
    fn spend(&self, _: ApprovalId, _: CallDigest, _: u64) -> DeskAnswer<'_, bool> {
        nothing()
    }
    fn advance(&self, _: ApprovalId, _: CallDigest, _: u32, _: u64) -> DeskAnswer<'_, bool> {
        nothing()
    }
    fn wait(&self, _: ApprovalId, _: u64) -> DeskAnswer<'_, Option<Approval>> {
        nothing()
    }
    fn expire(&self, _: u64) -> DeskAnswer<'_, Vec<Approval>> {
        nothing()
    }
    fn standing(&self, _: &ServerName, _: &str, _: u64) -> DeskAnswer<'_, Vec<StandingGrant>> {
        nothing()
    }
    fn all_standing(&self, _: u64) -> DeskAnswer<'_, Vec<StandingGrant>> {
        nothing()
    }
    fn remember(&self, _: StandingGrant) -> DeskAnswer<'_, ()> {
        nothing()
    }
    fn revoke(&self, _: Uuid) -> DeskAnswer<'_, bool> {
        nothing()
    }
}
