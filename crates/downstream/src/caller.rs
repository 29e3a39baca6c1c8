//! Who sent a request, in which era, and where its messages go.

use crate::line::Out;
use crate::session::Session;
use gate::Principal;
use std::sync::Arc;

/// The sender of one request.
#[derive(Clone)]
pub(crate) struct Caller {
    /// Who acts.
    pub by: Principal,
    /// Its conversation: on stdio always there, over HTTP in the era with a handshake alone.
    pub session: Option<Arc<Session>>,
    /// Where what is said before the answer goes.
    pub out: Out,
}
