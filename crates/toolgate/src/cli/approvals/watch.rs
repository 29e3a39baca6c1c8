//! `toolgate approvals watch`: questions as they come.

use std::collections::HashSet;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rustix::event::{PollFd, PollFlags, poll};

use super::answer::{Answering, give, must_be_open};
use super::no_desk;
use super::view::{Entry, Whole, stands};
use crate::cli::Context;
use crate::cli::person::{self, Choice, Terminal, user_name};
use crate::cli::runtime::block_on;
use crate::config::Config;
use crate::ui::{Failure, Report};
use crate::wire::{self, System};
use gate::ports::{Clock, Desk};
use gate::{Approval, ApprovalId, ApprovalState, Verdict};

const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Arguments of `watch`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate approvals watch
  toolgate approvals watch --no-ask
  toolgate approvals watch --json | jq .

With `--json` each question is a line when it is asked, and once more when it is over.")]
pub struct WatchArgs {
    /// Show only, do not ask for answers.
    #[arg(long)]
    no_ask: bool,
}

/// Watches until it is interrupted, or nobody reads any more.
pub fn run(args: &WatchArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    let at_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let terminal = match at_terminal && !args.no_ask && !cx.ui.json() {
        true => Some(Terminal::open()?),
        false => None,
    };
    cx.ui.status("Waiting for questions. Ctrl-C ends.");
    let desk = wire::desk(&config);
    let mut watch = Watch { cx, config: &config, desk, terminal, open: HashSet::new() };
    block_on(async {
        while !nobody_reads() {
            watch.look().await?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    })
}

/// A pipe whose reader has gone would otherwise be noticed with the next question only.
fn nobody_reads() -> bool {
    let out = std::io::stdout();
    let mut fds = [PollFd::from_borrowed_fd(out.as_fd(), PollFlags::empty())];
    let _ = poll(&mut fds, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 }));
    fds[0].revents().contains(PollFlags::ERR)
}

struct Watch<'a> {
    cx: &'a Context,
    config: &'a Config,
    desk: Arc<dyn Desk>,
    terminal: Option<Terminal>,
    /// What was shown and is not over yet, as far as we know.
    open: HashSet<ApprovalId>,
}

impl Watch<'_> {
    async fn look(&mut self) -> Result<(), Failure> {
        let now = System.wall_micros();
        let open = self.desk.list(now, false).await.map_err(no_desk)?;
        let ids: HashSet<ApprovalId> = open.iter().map(|approval| approval.id).collect();
        let over: Vec<ApprovalId> = self.open.difference(&ids).copied().collect();
        for id in over {
            self.open.remove(&id);
            if let Some(approval) = self.desk.get(id, now).await.map_err(no_desk)? {
                self.ended(&approval, now)?;
            }
        }
        for approval in open {
            if self.open.insert(approval.id) {
                self.asked(approval).await?;
            }
        }
        Ok(())
    }

    fn ended(&self, approval: &Approval, now: u64) -> Result<(), Failure> {
        match self.cx.ui.json() {
            true => self.cx.ui.line(&Entry { approval, now }),
            false => self.cx.ui.out(&format!("{} {}\n", approval.id, stands(approval))),
        }
    }

    async fn asked(&mut self, approval: Approval) -> Result<(), Failure> {
        // Others may have been answered at length before it.
        let now = System.wall_micros();
        if self.cx.ui.json() {
            return self.cx.ui.line(&Entry { approval: &approval, now });
        }
        let whole = Whole { approval: &approval, now }.human();
        let Some(terminal) = &mut self.terminal else { return self.cx.ui.out(&format!("{whole}\n")) };
        let (choice, proof) = terminal.choose(&format!("\n{whole}"))?;
        let yes = match choice {
            Choice::Skip => return Ok(()),
            Choice::Yes => true,
            Choice::No => false,
        };
        let answered = match person::not_beneath(self.cx, &approval.requesters) {
            Ok(()) => {
                let verdict = Verdict { yes, approver: user_name(), way: proof.way(), at: System.wall_micros() };
                self.answer(approval, verdict).await
            }
            Err(failure) => Err(failure),
        };
        // One answer that does not count ends nothing.
        if let Err(failure) = answered {
            self.cx.ui.failure(&failure);
        }
        Ok(())
    }

    async fn answer(&mut self, approval: Approval, verdict: Verdict) -> Result<(), Failure> {
        let id = approval.id;
        let now = self.desk.get(id, verdict.at).await.map_err(no_desk)?;
        if let Some(now) = now.filter(|now| now.state != ApprovalState::Open) {
            self.open.remove(&id);
            return must_be_open(&now);
        }
        let to = Answering { config: self.config, desk: self.desk.clone() };
        let answered = give(&to, approval, verdict, None).await;
        self.open.remove(&id);
        self.cx.ui.report(&answered?)
    }
}
