//! `toolgate mcp serve`: the gate on standard input and output, as an agent spawns it.

use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio_util::sync::CancellationToken;

use super::{Context, runtime};
use crate::config::{Config, Profile};
use crate::control;
use crate::ui::Failure;
use crate::wire::{self, Approver, Keeper, Log, Selection};
use gate::Code;
use gate::{Face, ServerName};

/// How long a list waits for servers that were never seen before.
const LIST_WAIT: Duration = Duration::from_secs(1);

/// What is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProfileArg {
    /// The configured servers.
    Gateway,
    /// Built-in workspace tools.
    Workspace,
    /// Tools that drive the Codex CLI.
    Bridge,
    /// All of them.
    All,
}

/// Arguments of `serve`.
#[derive(Debug, Args, Default)]
#[command(after_help = "Examples:
  toolgate mcp serve
  toolgate mcp serve --only github
  claude mcp add gate -- toolgate mcp serve
  npx @modelcontextprotocol/inspector toolgate mcp serve

Standard output carries the protocol alone; logs go to $CODEX_HOME/log/toolgate.log and, with
RUST_LOG=mcp=debug, to standard error.")]
pub struct ServeArgs {
    /// What to serve [default: `gate.profile` of toolgate.toml, else all].
    #[arg(long, value_enum)]
    profile: Option<ProfileArg>,
    /// Serve one server alone, under its tools' bare names.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Be a whole gate, even if one runs already. For now every process is one.
    #[arg(long)]
    standalone: bool,
}

/// Serves until the client hangs up or somebody asks us to end.
pub fn run(args: &ServeArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    check_profile(args.profile, &config)?;
    wire::start_logging(&cx.env, &cx.home, Log::File);
    let (selection, face) = match &args.only {
        Some(name) => (Selection::Only(name.clone()), Face::Only(ServerName::from(name.as_str()))),
        None => (Selection::Enabled, Face::All),
    };
    runtime::block_on(async {
        let house = wire::build_with(&config, &cx.env, &selection, &[], Approver::Configured)?;
        house.warn(&cx.ui);
        if let Err(failure) = wire::require(&house, &config).await {
            house.stop().await;
            return Err(failure);
        }
        let stop = CancellationToken::new();
        let options = wire::face(&config, &house, Approver::Configured, face)?;
        let (stdin, stdout) = (mcp::stdio::process::stdin(), mcp::stdio::process::stdout());
        let (stdin, stdout) = (io("open standard input", stdin)?, io("open standard output", stdout)?);
        let serving = downstream::serve_stdio(house.gate.clone(), options, stdin, stdout, stop.clone());
        let keeper = Keeper::new(house.live.clone(), cx.reader());
        let keeping =
            control::attend(&keeper, &config.state_dir()).map_err(|error| Failure::io("listen to signals", error))?;
        let result = runtime::until_asked(serving, keeping, &stop).await.map_err(|error| Failure::io("serve", error));
        drop(keeper);
        house.stop().await;
        result
    })
}

fn io<T>(what: &str, result: std::io::Result<T>) -> Result<T, Failure> {
    result.map_err(|error| Failure::io(what, error))
}

/// Refuses a profile that this version does not have, in plain words.
pub fn check_profile(asked: Option<ProfileArg>, config: &Config) -> Result<(), Failure> {
    let missing = match (asked, config.gate.profile) {
        (Some(ProfileArg::Workspace), _) | (None, Profile::Workspace) => "workspace",
        (Some(ProfileArg::Bridge), _) | (None, Profile::Bridge) => "bridge",
        _ => return Ok(()),
    };
    Err(Failure::new(Code::Usage, format!("this version has no `{missing}` profile yet"))
        .hint("use `--profile gateway`, which serves the configured servers"))
}

/// What every face of ours says of itself.
pub fn face_options(face: Face) -> downstream::Options {
    downstream::Options {
        name: "toolgate".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        face,
        limits: mcp::Limits::default(),
        list_wait: LIST_WAIT,
        instructions: None,
        approvals_by_client: false,
        seal: downstream::Seal::fleeting(std::sync::Arc::new(wire::System)),
        budgets: None,
        compact_above: None,
    }
}
