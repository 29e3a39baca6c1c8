//! `toolgate mcp`: which commands there are below it, and who does each. What is said above it is in `cli`.

use std::io::IsTerminal;

use clap::{Args, Subcommand};

use super::Context;
use super::{
    activity, add, approve, caches, call, call_all, complete, configure, describe, get, get_prompt, health, items,
    list, lock, login, logout, print_config, read, refresh, reload, remove, restart, review, run_file, schema, serve,
    status, switch, test, validate,
};
use crate::ui::Failure;
use gate::Code;

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
    Add(Box<add::AddArgs>),
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
    Tools(items::ToolsArgs),
    /// List the prompts the gate shows.
    Prompts(items::PromptsArgs),
    /// List the resources the gate shows.
    Resources(items::ResourcesArgs),
    /// Show everything that one server offers, for people or as documentation.
    Describe(describe::DescribeArgs),
    /// Call a tool.
    Call(call::CallArgs),
    /// Call a tool of every server that has it.
    CallAll(call_all::CallAllArgs),
    /// Run a file of calls, in which later ones use what earlier ones answered.
    Run(run_file::RunArgs),
    /// Read a resource.
    Read(read::ReadArgs),
    /// Get a prompt with its arguments filled in.
    GetPrompt(get_prompt::GetPromptArgs),
    /// Ask a server to complete an argument.
    Complete(complete::CompleteArgs),
    /// Ask servers again for all that they list.
    #[command(visible_alias = "reconnect")]
    Refresh(refresh::RefreshArgs),
    /// Stop servers and start them again, in every gate that runs.
    Restart(restart::RestartArgs),
    /// Have every gate that runs read its configuration again.
    Reload(reload::ReloadArgs),
    /// Ask servers how they are and print all that is known of them.
    Status(status::StatusArgs),
    /// Ask whether every server answers, once or again and again.
    Health(health::HealthArgs),
    /// Show which tools are known, and how each server was found last.
    Caches(caches::CachesArgs),
    /// Show the recent calls.
    Activity(activity::ActivityArgs),
    /// Start one server, shake hands, list, ping, and say how each step went.
    Test(test::TestArgs),
    /// Log in at a server that asks for OAuth.
    Login(login::LoginArgs),
    /// End a login, and delete its tokens.
    Logout(logout::LogoutArgs),
    /// Pin every tool as it is now, or check that nothing differs from its pin.
    Lock(lock::LockArgs),
    /// Show what changed in tools that are held back, and let them run as they are now.
    Approve(approve::ApproveArgs),
    /// Snapshot the schemas of tools, and tell what changed.
    Schema(schema::SchemaArgs),
    /// Show what has to be decided on before a server is used, filled in with what is known of it.
    Review(review::ReviewArgs),
    /// Check a file of servers without adding any.
    Validate(validate::ValidateArgs),
    /// Print what a host has to be told so that it starts this gate.
    PrintConfig(print_config::PrintConfigArgs),
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
        McpCommand::Tools(args) => items::tools(&args, cx),
        McpCommand::Prompts(args) => items::prompts(&args, cx),
        McpCommand::Resources(args) => items::resources(&args, cx),
        McpCommand::Describe(args) => describe::run(&args, cx),
        McpCommand::Call(args) => call::run(&args, cx),
        McpCommand::CallAll(args) => call_all::run(&args, cx),
        McpCommand::Run(args) => run_file::run(&args, cx),
        McpCommand::Read(args) => read::run(&args, cx),
        McpCommand::GetPrompt(args) => get_prompt::run(&args, cx),
        McpCommand::Complete(args) => complete::run(&args, cx),
        McpCommand::Refresh(args) => refresh::run(&args, cx),
        McpCommand::Restart(args) => restart::run(&args, cx),
        McpCommand::Reload(args) => reload::run(&args, cx),
        McpCommand::Status(args) => status::run(&args, cx),
        McpCommand::Health(args) => health::run(&args, cx),
        McpCommand::Caches(args) => caches::run(&args, cx),
        McpCommand::Activity(args) => activity::run(&args, cx),
        McpCommand::Test(args) => test::run(&args, cx),
        McpCommand::Login(args) => login::run(&args, cx),
        McpCommand::Logout(args) => logout::run(&args, cx),
        McpCommand::Lock(args) => lock::run(&args, cx),
        McpCommand::Approve(args) => approve::run(&args, cx),
        McpCommand::Schema(args) => schema::run(&args, cx),
        McpCommand::Review(args) => review::run(&args, cx),
        McpCommand::Validate(args) => validate::run(&args, cx),
        McpCommand::PrintConfig(args) => print_config::run(&args, cx),
        McpCommand::Serve(args) => serve::run(&args, cx),
    }
}

/// An agent that spawns `toolgate mcp` wants a server; a person who types it wants to know what it can do.
fn alone(cx: &Context) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return serve::run(&serve::ServeArgs::default(), cx);
    }
    let mut command = super::command(cx.ui.program());
    command.build();
    if let Some(mcp) = command.find_subcommand_mut("mcp") {
        cx.ui.status(&mcp.render_help().to_string());
    }
    Err(Failure::new(Code::Usage, "`toolgate mcp` needs a command; without a terminal it serves"))
}
