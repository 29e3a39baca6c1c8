//! `toolgate config`: what the configuration says, what is wrong with it, and which projects are believed. Starts
//! nothing.

mod check;
mod secret;
mod show;
mod trust;

use clap::{Args, Subcommand};

use super::Context;
use crate::ui::Failure;

/// Arguments of `config`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate config show --origin mcp_servers.github
  toolgate config check
  toolgate config trust ~/src/app")]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print every setting that holds.
    Show(show::ShowArgs),
    /// Find mistakes in the files, all at once.
    Check(check::CheckArgs),
    /// Let the servers that a project brings be used, after showing them.
    Trust(trust::TrustArgs),
    /// Take that back.
    Untrust(trust::UntrustArgs),
    /// Keep secrets that settings name.
    Secret(secret::SecretArgs),
}

/// Does it.
pub fn run(args: &ConfigArgs, cx: &Context) -> Result<(), Failure> {
    match &args.command {
        ConfigCommand::Show(args) => show::run(args, cx),
        ConfigCommand::Check(args) => check::run(args, cx),
        ConfigCommand::Trust(args) => trust::run(args, cx),
        ConfigCommand::Untrust(args) => trust::take_back(args, cx),
        ConfigCommand::Secret(args) => secret::run(args, cx),
    }
}
