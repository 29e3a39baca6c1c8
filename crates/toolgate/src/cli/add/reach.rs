//! Finds out whether a server that was just added can be reached.

use serde::Serialize;

use crate::cli::{Context, content, status};
use crate::ui::Failure;
use gate::state::Status;
use gate::{Code, State};

/// Where a new server stands.
#[derive(Debug, Serialize)]
pub(super) struct Standing {
    state: State,
    /// How many tools it lists, if it was reached.
    tools: Option<usize>,
    reason: Option<String>,
}

/// Connects to the server `name`, which is in the files by now. That it cannot be reached is an answer.
///
/// # Errors
/// When the configuration cannot be read any more.
pub(super) fn reach(name: &str, cx: &Context) -> Result<Standing, Failure> {
    let config = cx.read()?;
    let all = status::ask(&config, Some(name), cx)?;
    let status = all.into_iter().find(|status| status.name == name);
    let status = status.ok_or_else(|| Failure::new(Code::ServerUnknown, format!("'{name}' is gone again")))?;
    Ok(Standing::of(status))
}

impl Standing {
    fn of(status: Status) -> Self {
        Self { state: status.state, tools: status.counts.map(|counts| counts.tools), reason: status.reason }
    }

    /// In one line.
    pub(super) fn text(&self, program: &str, name: &str) -> String {
        match (self.state, self.tools) {
            (State::AuthRequired, _) => format!("needs authentication: {program} mcp login {name}"),
            (state, tools) if state.is_up() => match tools {
                Some(1) => "connected, 1 tool".to_owned(),
                Some(tools) => format!("connected, {tools} tools"),
                None => "connected".to_owned(),
            },
            (state, _) => {
                let why = self.reason.clone().unwrap_or_else(|| state.meaning().to_owned());
                format!("saved, but not reachable: {}", content::visible(&why))
            }
        }
    }
}
