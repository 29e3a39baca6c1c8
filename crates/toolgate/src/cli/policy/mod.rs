//! `toolgate policy`: what the rules say and why. Decides by the very policy that calls meet, over what servers were
//! last seen to offer; starts and calls nothing.

mod diff;
mod explain;
pub(super) mod lint;
mod test;

use clap::{Args, Subcommand};

use super::Context;
use crate::ui::Failure;
use gate::{Code, Principal};

/// Arguments of `policy`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate policy explain github delete_repo
  toolgate policy lint
  toolgate policy test cases.toml
  toolgate policy diff toolgate.toml.old ~/.codex/toolgate.toml")]
pub struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Say what becomes of a call, by which rule, and why no other rule decided.
    Explain(explain::ExplainArgs),
    /// Find mistakes in the rules and in what they name.
    Lint(lint::LintArgs),
    /// Decide written cases and compare with what is expected.
    Test(test::TestArgs),
    /// Show whose calls of what get another outcome by a change of toolgate.toml.
    Diff(diff::DiffArgs),
}

/// Does it.
pub fn run(args: &PolicyArgs, cx: &Context) -> Result<(), Failure> {
    match &args.command {
        PolicyCommand::Explain(args) => explain::run(args, cx),
        PolicyCommand::Lint(args) => lint::run(args, cx),
        PolicyCommand::Test(args) => test::run(args, cx),
        PolicyCommand::Diff(args) => diff::run(args, cx),
    }
}

/// Everybody who can act.
const PRINCIPALS: [Principal; 3] = [Principal::Local, Principal::Token, Principal::Unauthenticated];

/// Whoever goes by `word`.
fn principal(word: &str) -> Result<Principal, Failure> {
    PRINCIPALS.into_iter().find(|principal| principal.word() == word).ok_or_else(|| {
        let words: Vec<_> = PRINCIPALS.iter().map(Principal::word).collect();
        Failure::new(Code::Usage, format!("nobody acts as `{word}`")).hint(format!("one of: {}", words.join(", ")))
    })
}
