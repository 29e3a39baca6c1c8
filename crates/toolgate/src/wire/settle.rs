//! Waiting until a server has shown what it is.

use gate::{Delivery, Fault};
use upstream::{LinkState, Upstream};

/// Waits until `up` has listed everything, or cannot. Whoever waits bounds the wait.
///
/// # Errors
/// Why it is not usable, or why a list of it is missing.
pub async fn settled(up: &Upstream) -> Result<mcp::Revision, Fault> {
    let mut states = up.state();
    loop {
        let state = states.borrow_and_update().clone();
        match state {
            LinkState::Ready(toolset) => {
                return match &toolset.trouble {
                    Some(fault) => Err((**fault).clone()),
                    None => Ok(toolset.revision),
                };
            }
            LinkState::AuthRequired(fault) | LinkState::Failed(fault) | LinkState::Backoff { why: fault, .. } => {
                return Err((*fault).clone());
            }
            LinkState::Idle | LinkState::Draining => return Err(ended(up)),
            LinkState::Starting | LinkState::Connected => {}
        }
        if states.changed().await.is_err() {
            return Err(ended(up));
        }
    }
}

fn ended(up: &Upstream) -> Fault {
    use gate::ports::Source;
    Fault {
        code: gate::Code::UpstreamUnavailable,
        server: up.name().clone(),
        what: "ended before it had listed anything".to_owned(),
        hint: Some("run `toolgate mcp test` with its name to see what it prints".to_owned()),
        delivery: Delivery::NotDelivered,
        state: gate::State::Crashed,
    }
}
