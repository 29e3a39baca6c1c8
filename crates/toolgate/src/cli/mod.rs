//! The command line: what can be said, and who does it. One file per command; how answers look on a terminal is
//! `ui`'s, what the files mean is `config`'s.

mod activity;
mod add;
mod agent;
mod amend;
mod approvals;
mod approve;
mod asked;
mod audit;
mod bare;
mod caches;
mod call;
mod call_all;
mod complete;
mod config;
mod configure;
mod connect;
mod content;
mod context;
mod declared;
mod demo;
mod describe;
mod doctor;
mod features;
mod get;
mod get_prompt;
mod given;
mod grants;
mod health;
mod help;
mod items;
mod list;
mod lock;
mod login;
mod logout;
mod mcp;
mod observed;
mod person;
mod policy;
mod print_config;
mod read;
mod reference;
mod refresh;
mod reload;
mod remove;
mod restart;
mod review;
mod run_file;
mod runtime;
mod schema;
mod serve;
mod shim;
mod show;
mod status;
mod strict;
mod switch;
mod test;
mod up;
mod validate;
mod visit;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use context::{Context, similar_server, unknown_server};
pub use serve::face_options;

use crate::config::Env;
use crate::ui::{CODEX, Failure, Look, Ui};
use gate::Code;

/// The one gate between coding agents and their tools.
#[derive(Debug, Parser)]
#[command(name = "toolgate", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
struct Global {
    /// Override a setting for this run, such as `mcp_servers.NAME.command="CMD"`. The key is a dotted path; the
    /// value is TOML, or else a literal string.
    #[arg(short, long = "config", value_name = "KEY=VALUE", global = true)]
    config: Vec<String>,
    /// Lay the servers of a profile on the others: `$CODEX_HOME/NAME.config.toml` and `[profiles.NAME.mcp_servers]`.
    /// Also `--profile NAME`.
    #[arg(short = 'p', value_name = "NAME", global = true)]
    layer: Option<String>,
    /// Print the answer as JSON; failures and warnings become JSON lines on standard error.
    #[arg(long, global = true)]
    json: bool,
    /// Print no status and no hints.
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Use this directory instead of `$CODEX_HOME` (default `~/.codex`).
    #[arg(long, value_name = "DIR", global = true, hide = true)]
    home: Option<std::path::PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// [Experimental] Manage MCP servers, use them, and be one. MCP integration may change.
    Mcp(mcp::Mcp),
    /// Run the gate as a service over Streamable HTTP.
    Up(up::UpArgs),
    /// Show, find, verify, prove and export what is on record.
    Audit(audit::AuditArgs),
    /// Say who may call what and why; check, test and compare rules.
    Policy(policy::PolicyArgs),
    /// Show what holds and where it was written, find mistakes, trust a project's servers.
    Config(config::ConfigArgs),
    /// Show the main job on real input: a gate, a real server behind it, one call, its record.
    Demo(demo::DemoArgs),
    /// Answer the questions that wait for a person.
    Approvals(approvals::ApprovalsArgs),
    /// Show and take back the leave that lasts.
    Grants(grants::GrantsArgs),
    /// Look at everything at once, and say what to do about what is wrong.
    Doctor(doctor::DoctorArgs),
    /// Put this program in front of Codex, under its name.
    Shim(shim::ShimArgs),
    /// Put the servers of a client behind the gate.
    Connect(connect::ConnectArgs),
    /// Put back what `connect` found.
    Disconnect(connect::DisconnectArgs),
    /// Print completions for a shell.
    Completions {
        /// The shell to complete for.
        shell: clap_complete::Shell,
    },
    /// Print or write man pages.
    Man(reference::ManArgs),
    /// What `cargo xtask docs` asks.
    #[command(hide = true)]
    Reference(reference::ReferenceArgs),
}

/// Runs the command line `args` (the program's name first) in the environment `env`.
pub fn main(args: Vec<OsString>, env: Env) -> ExitCode {
    let Hoisted { overrides, profile, rest: args } = Hoisted::from(args);
    let color = Look::color_wanted(&env);
    let json = args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--json");
    let as_codex = args.first().and_then(|path| Path::new(path).file_name()).is_some_and(|name| name == CODEX);
    let early = Ui::new(Look { json, color, quiet: false, as_codex });
    let matches = command(early.program()).try_get_matches_from(args);
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return finish(&early, unparsed(&early, &error)),
    };
    let Global { config, layer, json, quiet, home } = cli.global;
    let ui = Ui::new(Look { json, quiet, color, as_codex });
    let overrides = overrides.into_iter().chain(config).collect();
    let cx = match Context::new(env, ui, home, overrides, profile.or(layer)) {
        Ok(cx) => cx,
        Err(failure) => return finish(&early, Err(failure)),
    };
    let result = match cli.command {
        Some(command) => dispatch(command, &cx),
        None => bare::run(&cx),
    };
    finish(&cx.ui, result)
}

/// The whole command line, in texts called `program`.
fn command(program: &'static str) -> clap::Command {
    let command = Cli::command();
    let command =
        command.mut_subcommand("mcp", |mcp| mcp.mut_subcommand("add", |add| add.override_usage(add::usage(program))));
    help::filled(command, program)
}

fn dispatch(command: Command, cx: &Context) -> Result<(), Failure> {
    match command {
        Command::Mcp(args) => mcp::run(args, cx),
        Command::Up(args) => up::run(&args, cx),
        Command::Audit(args) => audit::run(&args, cx),
        Command::Policy(args) => policy::run(&args, cx),
        Command::Config(args) => config::run(&args, cx),
        Command::Demo(args) => demo::run(&args, cx),
        Command::Approvals(args) => approvals::run(&args, cx),
        Command::Grants(args) => grants::run(&args, cx),
        Command::Doctor(args) => doctor::run(&args, cx),
        Command::Shim(args) => shim::run(&args, cx),
        Command::Connect(args) => connect::connect(&args, cx),
        Command::Disconnect(args) => connect::disconnect(&args, cx),
        Command::Man(args) => reference::man(&args, cx),
        Command::Reference(args) => reference::reference(&args, cx),
        Command::Completions { shell } => completions(shell, cx),
    }
}

fn completions(shell: clap_complete::Shell, cx: &Context) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "toolgate", &mut script);
    cx.ui.out(&String::from_utf8_lossy(&script))
}

/// Help and version are answers; all else the parser says is a usage failure, worded by the parser.
fn unparsed(ui: &Ui, error: &clap::Error) -> Result<(), Failure> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ui.out(&error.to_string()),
        _ => {
            let text = error.to_string();
            let text = text.trim_end().trim_start_matches("error: ");
            Err(Failure::new(Code::Usage, text))
        }
    }
}

fn finish(ui: &Ui, result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            ui.failure(&failure);
            ExitCode::from(failure.exit())
        }
    }
}

/// The words of the command line, without those that mean the same wherever they stand before a `--`. The parser alone
/// would keep only those of the innermost command it meets them in.
#[derive(Default)]
struct Hoisted {
    /// Of `-c KEY=VALUE` in all its spellings.
    overrides: Vec<String>,
    /// Of `-p NAME` and `--profile NAME`; the last one counts.
    profile: Option<String>,
    rest: Vec<OsString>,
}

/// What `--profile` means by itself to `mcp serve` and `up`.
const SERVED: [&str; 4] = ["gateway", "workspace", "bridge", "all"];

impl Hoisted {
    fn from(args: Vec<OsString>) -> Self {
        let mut hoisted = Self::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            match arg.to_str() {
                Some("--") => {
                    hoisted.rest.push(arg);
                    hoisted.rest.extend(args.by_ref());
                }
                Some("-c" | "--config" | "-p" | "--profile") => match args.next().map(OsString::into_string) {
                    Some(Ok(value)) => hoisted.take(arg, value),
                    Some(Err(value)) => hoisted.rest.extend([arg, value]),
                    None => hoisted.rest.push(arg),
                },
                Some(text) => hoisted.joined(text.to_owned(), arg),
                None => hoisted.rest.push(arg),
            }
        }
        hoisted
    }

    fn take(&mut self, arg: OsString, value: String) {
        if arg == "-c" || arg == "--config" {
            self.overrides.push(value);
        } else if arg == "--profile" && self.is_served(&value) {
            self.rest.extend([arg, value.into()]);
        } else {
            self.profile = Some(value);
        }
    }

    fn joined(&mut self, text: String, arg: OsString) {
        if let Some(value) = joined_override(&text) {
            self.overrides.push(value.to_owned());
        } else if let Some(value) = joined_profile(&text).filter(|value| !self.is_served(value)) {
            self.profile = Some(value.to_owned());
        } else {
            self.rest.push(arg);
        }
    }

    fn is_served(&self, value: &str) -> bool {
        SERVED.contains(&value) && self.rest.iter().any(|word| word == "serve" || word == "up")
    }
}

fn joined_profile(arg: &str) -> Option<&str> {
    let short = || arg.strip_prefix("-p").map(|value| value.strip_prefix('=').unwrap_or(value));
    arg.strip_prefix("--profile=").or_else(short)
}

fn joined_override(arg: &str) -> Option<&str> {
    if let Some(value) = arg.strip_prefix("--config=") {
        return Some(value);
    }
    let value = arg.strip_prefix("-c")?;
    Some(value.strip_prefix('=').unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command("toolgate").debug_assert();
    }

    fn check(line: &str, overrides: &[&str], rest: &str) {
        let words = line.split(' ').map(OsString::from).collect();
        let hoisted = Hoisted::from(words);
        let (found, left) = (hoisted.overrides, hoisted.rest);
        let left: Vec<_> = left.iter().map(|word| word.to_str().unwrap()).collect();
        assert_eq!(
            (found.iter().map(String::as_str).collect::<Vec<_>>(), left.join(" ")),
            (overrides.to_vec(), rest.to_owned())
        );
    }

    #[test]
    fn overrides_are_found_before_and_after_the_command() {
        check(
            "toolgate -c a=1 mcp --config b=2 list -cc=3 --config=d=4",
            &["a=1", "b=2", "c=3", "d=4"],
            "toolgate mcp list",
        );
        check("toolgate mcp list -c", &[], "toolgate mcp list -c");
        check("toolgate mcp add x -- sh -c a=1", &[], "toolgate mcp add x -- sh -c a=1");
    }
    #[test]
    fn a_profile_is_found_wherever_it_stands_but_what_is_served_is_the_command_s() {
        let check = |line: &str, profile: Option<&str>, rest: &str| {
            let hoisted = Hoisted::from(line.split(' ').map(OsString::from).collect());
            let left: Vec<_> = hoisted.rest.iter().map(|word| word.to_str().unwrap()).collect();
            assert_eq!((hoisted.profile.as_deref(), left.join(" ").as_str()), (profile, rest), "{line}");
        };
        check("t -p work mcp list", Some("work"), "t mcp list");
        check("t mcp list --profile=work", Some("work"), "t mcp list");
        check("t mcp list -pwork", Some("work"), "t mcp list");
        check("t mcp serve --profile gateway", None, "t mcp serve --profile gateway");
        check("t mcp serve --profile=all --profile home", Some("home"), "t mcp serve --profile=all");
        check("t mcp list --profile all", Some("all"), "t mcp list");
        check("t mcp add x -- sh -p a", None, "t mcp add x -- sh -p a");
    }
}
