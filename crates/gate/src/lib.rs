//! Words, decisions and the one path of a call.
//!
//! Every call of every face goes through [`Gate::call`]: resolve, decide, record the attempt, run, mask,
//! record the end. The gate opens no socket, knows no MCP, reads no clock and touches no file: what it
//! needs of the world comes in through [`ports`]. JSON passes through it as bytes with places ([`Wire`]).

pub mod approval;
pub mod catalog;
pub mod code;
mod gate;
pub mod hub;
pub mod ledger;
pub mod limits;
pub mod mask;
mod pace;
pub mod pin;
pub mod pins;
pub mod policy;
pub mod ports;
pub mod refusal;
pub mod schema;
pub mod state;
mod taint;
pub mod words;

pub use approval::{
    Act, Answer, Approval, ApprovalId, ApprovalRules, ApprovalState, Approvals, ArgPattern, CallDigest, Claim,
    Continuation, NoDesk, People, Process, Settled, StandingGrant, Verdict, Way, Word, Words,
};
pub use catalog::{Catalog, Facts, Item, Listed, Naming, Offer, PrefixStyle, Seen};
pub use code::Code;
pub use gate::{Assembly, Feed, Gate, Permit, Renewal, Restores, StartPermit};
pub use hub::{Hub, Notice};
pub use ledger::{Arguments, EndWriter, KeepArguments, Notes, Reads, Recorder};
pub use limits::Limits;
pub use mask::{Counts, Masks, Secret, Unmasked};
pub use pace::PaceLimits;
pub use pins::{Held, Pins};
pub use policy::{Case, Class, Mode, Policy, PolicySource, RuleId, ServerRules};
pub use refusal::{Delivery, Failure, Fault, Refusal};
pub use state::State;
pub use words::{
    Abilities, Call, CallId, Dialogue, Face, ItemKind, Parts, Place, Principal, Reference, Reply, ReplyKind,
    ServerName, Target, Trace, Wire,
};
