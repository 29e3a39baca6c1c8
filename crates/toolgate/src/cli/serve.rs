//! `toolgate mcp serve`: the gate on standard input and output, as an agent spawns it.

use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio_util::sync::CancellationToken;

use super::{Context, runtime};
use crate::config::{Config, Env, Profile};
use crate::control;
use crate::shim::BRIDGE;
use crate::ui::Failure;
use crate::wire::{self, Approver, Keeper, Log, Manner, Own, Selection};
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

/// Whose results the tools that drive Codex give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Contract {
    /// Those of codex-mcp-server.
    #[default]
    Documented,
    /// Those of Codex's own server, which Codex no longer has.
    Codex,
}

impl From<Contract> for Manner {
    fn from(contract: Contract) -> Self {
        match contract {
            Contract::Documented => Self::Documented,
            Contract::Codex => Self::Codex,
        }
    }
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
    /// Whose results the tools that drive Codex give.
    #[arg(long, value_enum, default_value_t, hide = true)]
    contract: Contract,
    /// Be a whole gate, even if one runs already. For now every process is one.
    #[arg(long)]
    standalone: bool,
}

/// Serves until the client hangs up or somebody asks us to end.
pub fn run(args: &ServeArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    let served = match &args.only {
        Some(name) => Served {
            selection: Selection::Only(name.clone()),
            face: Face::Only(ServerName::from(name.as_str())),
            name: OURS,
        },
        None => profile(args.profile, args.contract.into(), &config, &cx.env)?,
    };
    wire::start_logging(&cx.env, &cx.home, Log::File);
    runtime::block_on(async {
        let house = wire::build_with(&config, &cx.env, &served.selection, &[], Approver::Configured)?;
        house.warn(&cx.ui);
        if let Err(failure) = wire::require(&house, &config).await {
            house.stop().await;
            return Err(failure);
        }
        let stop = CancellationToken::new();
        let options = wire::face(&config, &house, Approver::Configured, served.face)?;
        let options = downstream::Options { name: served.name.to_owned(), ..options };
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

/// What a profile makes of a gate: which servers it has, and under which names they are shown.
///
/// # Errors
/// A profile for which there is nothing here.
pub fn profile(asked: Option<ProfileArg>, contract: Manner, config: &Config, env: &Env) -> Result<Served, Failure> {
    let asked = asked.unwrap_or(match config.gate.profile {
        Profile::Gateway => ProfileArg::Gateway,
        Profile::Workspace => ProfileArg::Workspace,
        Profile::Bridge => ProfileArg::Bridge,
        Profile::All => ProfileArg::All,
    });
    let bridge = Own::Codex(contract);
    Ok(match asked {
        ProfileArg::Gateway => Served { selection: Selection::Enabled, face: Face::All, name: OURS },
        ProfileArg::Bridge => {
            let face = Face::Only(bridge.name().into());
            Served { selection: Selection::Own(vec![bridge]), face, name: BRIDGE }
        }
        ProfileArg::All => {
            // Tools that could only say that there is nothing for them are of no use to anybody.
            let bridge = wire::has_cli(env).then_some(bridge);
            let workspace = wire::has_workspace(config, env).then_some(Own::Workspace);
            let own = workspace.into_iter().chain(bridge).collect();
            Served { selection: Selection::With(own), face: Face::All, name: OURS }
        }
        ProfileArg::Workspace if !wire::has_workspace(config, env) => {
            return Err(Failure::new(
                Code::Usage,
                "there is no workspace here: this is a whole home or a whole system",
            )
            .hint("start in a project's directory, or name directories in `roots` of `[workspace]` in toolgate.toml"));
        }
        ProfileArg::Workspace => {
            let face = Face::Only(Own::Workspace.name().into());
            Served { selection: Selection::Own(vec![Own::Workspace]), face, name: OURS }
        }
    })
}

/// What is served, under which name.
pub struct Served {
    /// Which servers.
    pub selection: Selection,
    /// Under which names of tools.
    pub face: Face,
    /// What we call ourselves.
    pub name: &'static str,
}

const OURS: &str = "toolgate";

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
