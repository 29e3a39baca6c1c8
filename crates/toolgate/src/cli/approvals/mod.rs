//! `toolgate approvals`: the questions that wait for a person, and a person's answers.
//!
//! Who counts as a person is `cli::person`'s matter; where questions lie is the desk's.

mod answer;
mod lasting;
mod layout;
mod record;
mod secret;
mod view;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};

pub use record::Record;
pub use view::when;

use super::Context;
use super::person::legible;
use super::runtime::block_on;
use crate::config::Config;
use crate::ui::Failure;
use crate::wire::{self, System};
use gate::ports::{Clock, Desk, DeskError};
use gate::{Approval, Code};

/// Arguments of `approvals`.
#[derive(Debug, Args)]
pub struct ApprovalsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the questions that are open.
    List(ListArgs),
    /// Show one question with all of its arguments.
    Show(ShowArgs),
    /// Say yes: the call may run, once.
    Approve(answer::ApproveArgs),
    /// Say no.
    Deny(answer::DenyArgs),
    /// Show questions as they come; at a terminal, ask for an answer to each.
    Watch(watch::WatchArgs),
    /// Make the secret that stands for a person where there is no terminal.
    Secret(secret::SecretArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate approvals list
  toolgate approvals list --all
  toolgate approvals list --json | jq -r '.[].id'")]
struct ListArgs {
    /// Also list what was answered or has expired, for 30 days.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate approvals show 019a83c4
  toolgate approvals show 019a83c4 | less")]
struct ShowArgs {
    /// The question's id, or its first characters (6 at least).
    id: String,
}

/// Runs one of them.
pub fn run(args: &ApprovalsArgs, cx: &Context) -> Result<(), Failure> {
    match &args.command {
        Command::List(args) => list(args, cx),
        Command::Show(args) => show(args, cx),
        Command::Approve(args) => answer::approve(args, cx),
        Command::Deny(args) => answer::deny(args, cx),
        Command::Watch(args) => watch::run(args, cx),
        Command::Secret(args) => secret::run(args, cx),
    }
}

fn list(args: &ListArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    let now = System.wall_micros();
    let asked = match existing_desk(&config) {
        Some(desk) => block_on(async { desk.list(now, args.all).await.map_err(no_desk) })?,
        None => Vec::new(),
    };
    cx.ui.report(&view::List { asked: &asked, now, all: args.all })
}

fn show(args: &ShowArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    let now = System.wall_micros();
    let approval = block_on(async { find(&config, &args.id, now).await })?.1;
    cx.ui.report(&view::Whole { approval: &approval, now })
}

/// The desk, if there ever was one: looking for questions makes no database.
pub fn existing_desk(config: &Config) -> Option<Arc<dyn Desk>> {
    database(config).exists().then(|| wire::desk(config))
}

fn database(config: &Config) -> PathBuf {
    config.state_dir().join(store::db::FILE)
}

/// The desk cannot say.
pub fn no_desk(error: DeskError) -> Failure {
    Failure::new(Code::StoreUnavailable, error.to_string())
}

/// The shortest beginning of an id that is taken for it.
const SHORTEST_ID: usize = 6;

/// The one of `all` whose id begins with `id`. `what` they are is said in the failure.
///
/// # Errors
/// When there is none, or more than one, or `id` is too short to mean one.
pub fn chosen<T>(all: Vec<T>, id: &str, what: &str, id_of: impl Fn(&T) -> String) -> Result<T, Failure> {
    let wanted = plain(id);
    if wanted.len() < SHORTEST_ID {
        let message = format!("`{}` is too short: {SHORTEST_ID} characters of an id are needed at least", legible(id));
        return Err(Failure::new(Code::Usage, message));
    }
    let mut found: Vec<T> = all.into_iter().filter(|one| plain(&id_of(one)).starts_with(&wanted)).collect();
    if found.len() > 1 {
        let ids: Vec<String> = found.iter().take(10).map(&id_of).collect();
        let message = format!("`{}` is the beginning of {} {what}s", legible(id), found.len());
        return Err(Failure::new(Code::Usage, message).hint(format!("say more of it: {}", ids.join(", "))));
    }
    found.pop().ok_or_else(|| Failure::new(Code::ApprovalRefused, format!("there is no {what} `{}`", legible(id))))
}

fn plain(id: &str) -> String {
    id.trim().chars().filter(|c| *c != '-').flat_map(char::to_lowercase).collect()
}

/// The desk and the question with this id.
async fn find(config: &Config, id: &str, now: u64) -> Result<(Arc<dyn Desk>, Approval), Failure> {
    let desk = existing_desk(config);
    let all = match &desk {
        Some(desk) => desk.list(now, true).await.map_err(no_desk)?,
        None => Vec::new(),
    };
    let approval = chosen(all, id, "question", |approval| approval.id.to_string());
    let approval = approval.map_err(|failure| match failure.hint {
        Some(_) => failure,
        None => failure.hint("see `toolgate approvals list`"),
    })?;
    Ok((desk.expect("what was found lies there"), approval))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(id: &str, found: Result<&str, Code>) {
        let all = vec!["019a83c4-aaaa", "019a83c4-bbbb", "029a83c4-cccc"];
        let chosen = chosen(all, id, "question", |id| (*id).to_owned());
        assert_eq!(chosen.map_err(|failure| failure.code), found, "{id}");
    }

    #[test]
    fn the_beginning_of_an_id_is_enough_if_it_is_the_only_one() {
        check("029a83", Ok("029a83c4-cccc"));
        check(" 029A83C4cc", Ok("029a83c4-cccc"));
        check("019a83c4-b", Ok("019a83c4-bbbb"));
        check("019a83", Err(Code::Usage));
        check("029a8", Err(Code::Usage));
        check("", Err(Code::Usage));
        check("039a83", Err(Code::ApprovalRefused));
    }
}
