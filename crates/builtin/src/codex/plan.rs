//! What was decided about a call of the CLI, and how it is run by that: by `exec`, or by the server. Not here: who
//! decides.

use super::approvals::{Asks, Policy};
use super::appserver::{self, Chat};
use super::argv::{self, Decided, Line};
use super::ask::Turn;
use super::cli::Cli;
use super::run::Run;
use super::settings::{Sandbox, Settings};
use std::path::PathBuf;
use std::sync::Arc;

/// The answer of a turn that says nothing.
pub const NO_OUTPUT: &str = "No output from Codex";

/// What goes into the environment of the CLI for the callback URI.
const CALLBACK: &str = "CODEX_MCP_CALLBACK_URI";

/// What was decided about a call of the CLI, and the CLI.
pub struct Plan {
    /// The CLI.
    pub cli: Arc<Cli>,
    /// Where it works.
    pub dir: PathBuf,
    /// Whether the caller said where.
    pub dir_given: bool,
    /// Which model; none leaves it to Codex.
    pub model: Option<String>,
    /// What its commands may do; none leaves it to Codex.
    pub sandbox: Option<Sandbox>,
    /// Handed to it.
    pub callback: Option<String>,
    /// Whoever is asked, if Codex may ask, and under which of its policies.
    pub asks: Option<(Arc<Asks>, Option<&'static str>)>,
}

impl Plan {
    /// For the command line.
    pub fn decided(&self) -> Decided<'_> {
        Decided {
            model: self.model.as_deref(),
            sandbox: self.sandbox,
            dir: &self.dir,
            dir_given: self.dir_given,
            callback: self.callback.as_deref(),
        }
    }

    /// The same; Codex may ask, where operator and caller want it and the release can.
    pub fn asking(self, settings: &Settings, turn: &Turn, asks: Arc<Asks>) -> Self {
        match Policy::of(settings, turn) {
            Policy::Server(policy) if self.cli.can.app_server => Self { asks: Some((asks, policy)), ..self },
            _ => self,
        }
    }

    /// The turn by the server, under a policy of Codex, or the one that it is configured with.
    pub fn chat(
        &self,
        turn: &Turn,
        resume: Option<&str>,
        prompt: &str,
        (asks, policy): (Arc<Asks>, Option<&'static str>),
    ) -> Chat {
        let run = self.run(Line::default(), NO_OUTPUT);
        Chat {
            cli: run.cli,
            args: argv::server(turn, &self.decided()),
            dir: run.dir,
            model: run.model,
            env: run.env,
            opening: appserver::opening(&self.decided(), policy, resume),
            resume: resume.map(str::to_owned),
            prompt: prompt.to_owned(),
            asks,
        }
    }

    /// What `exec` is run with; `nothing` is the answer when it says nothing.
    pub fn run(&self, line: Line, nothing: &'static str) -> Run {
        Run {
            cli: self.cli.clone(),
            line,
            dir: self.dir.clone(),
            model: self.model.clone(),
            nothing,
            env: self.callback.iter().map(|uri| (CALLBACK.to_owned(), uri.clone())).collect(),
        }
    }
}
