//! A call of the command line that needs a person: the one who typed it is asked at the terminal, or has proved
//! themselves with the approver's secret. What is answered counts like any other answer, and is recorded alike.

use std::path::Path;
use std::sync::Arc;

use super::Context;
use super::person::{Choice, Terminal, not_beneath, prove, user_name};
use crate::ui::Failure;
use crate::wire::System;
use gate::ports::Clock;
use gate::{Approval, Code, Gate, Verdict, Way};

/// Who answers for this command.
pub enum Person {
    /// Whoever sits at the terminal; asked each time.
    AtTerminal,
    /// Whoever has proved to be the approver, and said that this call may run.
    Proved(Way),
}

impl Person {
    /// The one at the terminal, if there is one and it is not an agent's.
    pub fn at_terminal(cx: &Context) -> Option<Self> {
        let asked = not_beneath(cx, &[]).and_then(|()| Terminal::open());
        asked.is_ok().then_some(Self::AtTerminal)
    }

    /// The one who wants the call approved: proved by the secret in `secret_file`, else to be asked at the terminal.
    ///
    /// # Errors
    /// When the secret is wrong, there is no terminal, or an agent or a gate started this command.
    pub fn who_approves(cx: &Context, secret_file: Option<&Path>) -> Result<Self, Failure> {
        if let Some(file) = secret_file {
            return Ok(Self::Proved(prove(cx, Some(file), &[], "", "")?.way()));
        }
        not_beneath(cx, &[])?;
        Terminal::open().map(|_| Self::AtTerminal)
    }

    /// Answers the question that a call of this process waits for. `false` if there is none.
    ///
    /// # Errors
    /// When the question cannot be read or answered, or nobody answers at the terminal.
    pub async fn answer(&self, gate: &Gate, message: &str) -> Result<bool, Failure> {
        let open = gate.desk().list(System.wall_micros(), false).await;
        let open = open.map_err(|error| Failure::new(Code::StoreUnavailable, error.to_string()))?;
        let own = std::process::id();
        let asked = |one: &Approval| one.requesters.first().is_some_and(|requester| requester.pid == own);
        let Some(question) = open.into_iter().find(asked) else { return Ok(false) };
        let (yes, way) = match self {
            Self::Proved(way) => (true, *way),
            Self::AtTerminal => at_terminal(message.to_owned()).await?,
        };
        let verdict = Verdict { yes, approver: user_name(), way, at: System.wall_micros() };
        // Whoever was faster has answered: the call hears of it all the same.
        gate.settle(question.id, verdict).await?;
        Ok(true)
    }
}

async fn at_terminal(message: String) -> Result<(bool, Way), Failure> {
    let asking = tokio::task::spawn_blocking(move || Terminal::open()?.choose(&format!("\n{message}\n\n")));
    let (choice, confirmed) = asking.await.map_err(Failure::bug)??;
    // To skip is to say that it shall not run now.
    Ok((choice == Choice::Yes, confirmed.way()))
}

/// A person, and the gate whose questions it answers.
pub struct Answering {
    /// Who.
    pub person: Person,
    /// Of which gate.
    pub gate: Arc<Gate>,
}
