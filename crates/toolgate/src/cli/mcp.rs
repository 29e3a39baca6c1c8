//! `toolgate mcp`: which commands there are below it, and who does each. What is said above it is in `cli`.

use std::io::IsTerminal;

use clap::{Args, CommandFactory, Subcommand};

use super::{Cli, Context};
use super::{
    activity, add, approve, call, configure, get, help, items, list, lock, read, remove, schema, serve, status, switch,
    test,
};
use crate::ui::Failure;
use gate::{Code, ItemKind};

/// What is said after `toolgate mcp`.
#[derive(Debug, Args)]
pub struct Mcp {
    #[command(subcommand)]
    command: Option<McpCommand>,
}

#[derive(Debug, Subcommand)]
enum McpCommand {
    /// List the configured servers.
    List(list::ListArgs),
    /// Show one server.
    Get(get::GetArgs),
    /// Add a server.
    Add(add::AddArgs),
    /// Remove a server.
    Remove(remove::RemoveArgs),
    /// Change single settings of a server.
    #[command(visible_alias = "set")]
    Configure(configure::ConfigureArgs),
    /// Let servers be used that were disabled.
    Enable(switch::SwitchArgs),
    /// Keep servers from being used, without taking their entries out.
    Disable(switch::SwitchArgs),
    /// List the tools the gate shows.
    Tools(items::ItemsArgs),
    /// List the prompts the gate shows.
    Prompts(items::ItemsArgs),
    /// List the resources the gate shows.
    Resources(items::ItemsArgs),
    /// Call a tool.
    Call(call::CallArgs),
    /// Read a resource.
    Read(read::ReadArgs),
    /// Ask servers how they are and print all that is known of them.
    Status(status::StatusArgs),
    /// Show the recent calls.
    Activity(activity::ActivityArgs),
    /// Start one server, shake hands, list, ping, and say how each step went.
    Test(test::TestArgs),
    /// Pin every tool as it is now, or check that nothing differs from its pin.
    Lock(lock::LockArgs),
    /// Show what changed in tools that are held back, and let them run as they are now.
    Approve(approve::ApproveArgs),
    /// Snapshot the schemas of tools, and tell what changed.
    Schema(schema::SchemaArgs),
    /// Serve the gate on standard input and output.
    Serve(serve::ServeArgs),
}

/// Runs the command below `toolgate mcp`, or what the bare words mean.
pub fn run(args: Mcp, cx: &Context) -> Result<(), Failure> {
    match args.command {
        Some(command) => dispatch(command, cx),
        None => alone(cx),
    }
}

fn dispatch(command: McpCommand, cx: &Context) -> Result<(), Failure> {
    match command {
        McpCommand::List(args) => list::run(&args, cx),
        McpCommand::Get(args) => get::run(&args, cx),
        McpCommand::Add(args) => add::run(&args, cx),
        McpCommand::Remove(args) => remove::run(&args, cx),
        McpCommand::Configure(args) => configure::run(&args, cx),
        McpCommand::Enable(args) => switch::run(&args, true, cx),
        McpCommand::Disable(args) => switch::run(&args, false, cx),
        McpCommand::Tools(args) => items::run(&args, ItemKind::Tool, cx),
        McpCommand::Prompts(args) => items::run(&args, ItemKind::Prompt, cx),
        McpCommand::Resources(args) => items::run(&args, ItemKind::Resource, cx),
        McpCommand::Call(args) => call::run(&args, cx),
        McpCommand::Read(args) => read::run(&args, cx),
        McpCommand::Status(args) => status::run(&args, cx),
        McpCommand::Activity(args) => activity::run(&args, cx),
        McpCommand::Test(args) => test::run(&args, cx),
        McpCommand::Lock(args) => lock::run(&args, cx),
        McpCommand::Approve(args) => approve::run(&args, cx),
        McpCommand::Schema(args) => schema::run(&args, cx),
        McpCommand::Serve(args) => serve::run(&args, cx),
    }
}

/// An agent that spawns `toolgate mcp` wants a server; a person who types it wants to know what it can do.
fn alone(cx: &Context) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return serve::run(&serve::ServeArgs::default(), cx);
    }
    let mut command = help::filled(Cli::command());
    command.build();
    if let Some(mcp) = command.find_subcommand_mut("mcp") {
        cx.ui.status(&mcp.render_help().to_string());
    }
    Err(Failure::new(Code::Usage, "`toolgate mcp` needs a command; without a terminal it serves"))
}
