//! `toolgate up`: the gate as a service over Streamable HTTP.

use std::net::{IpAddr, SocketAddr};

use clap::Args;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Context, runtime, serve};
use crate::control;
use crate::ui::{Failure, Report};
use crate::wire::{self, Approver, Keeper, Log, Token};
use downstream::{Auth, HttpOptions};
use gate::Code;

/// Arguments of `up`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate up
  toolgate up --listen 127.0.0.1:7420
  toolgate up --profile gateway
  curl -s http://127.0.0.1:7420/readyz

Endpoints: /mcp shows all servers as one, /mcp/NAME one server under its bare tool names; /healthz and
/readyz answer without a token. The token is kept in $CODEX_HOME/toolgate/token, readable by you alone.

It follows its configuration while it runs; see `toolgate mcp reload --help`.")]
pub struct UpArgs {
    /// Where to listen [default: `gate.listen` of toolgate.toml, else 127.0.0.1:7420]. Port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// Ask for no token. Possible on a loopback address alone: everybody on this machine can then use your servers.
    #[arg(long)]
    no_auth: bool,
    /// What to serve [default: `gate.profile` of toolgate.toml, else all].
    #[arg(long, value_enum)]
    profile: Option<serve::ProfileArg>,
}

/// Serves until somebody asks us to end.
pub fn run(args: &UpArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    let listen = args.listen.unwrap_or(config.gate.listen);
    let served = serve::profile(args.profile, wire::Manner::default(), &config, &cx.env)?;
    wire::start_logging(&cx.env, &cx.home, Log::File);
    let token = token(args.no_auth, listen, cx)?;
    runtime::block_on(async {
        let listener = TcpListener::bind(listen).await.map_err(|error| busy(listen, error))?;
        let address = listener.local_addr().map_err(|error| Failure::io("listen", error))?;
        let own: Vec<_> = token.iter().map(|token| gate::Secret::new(token.expose())).collect();
        let house = wire::build_with(&config, &cx.env, &served.selection, &own, Approver::Service)?;
        house.warn(&cx.ui);
        if let Err(failure) = wire::require(&house, &config).await {
            house.stop().await;
            return Err(failure);
        }
        let stop = CancellationToken::new();
        let options = wire::face(&config, &house, Approver::Service, served.face)?;
        let approver = Some(wire::http_approver(&config));
        let status = Some(super::status::report(house.live.clone()));
        let http = HttpOptions { approver, status, ..HttpOptions::new(auth(token.as_ref())) };
        cx.ui.report(&Ready { address, token: token.as_ref().map(Token::expose) })?;
        let serving = downstream::serve_http(house.gate.clone(), options, http, listener, stop.clone());
        let keeper = Keeper::new(house.live.clone(), cx.reader());
        let keeping =
            control::attend(&keeper, &config.state_dir()).map_err(|error| Failure::io("listen to signals", error))?;
        let result = runtime::until_asked(serving, keeping, &stop).await;
        drop(keeper);
        house.stop().await;
        result.map_err(|error| Failure::io("serve", error))
    })
}

fn token(no_auth: bool, listen: SocketAddr, cx: &Context) -> Result<Option<Token>, Failure> {
    if !no_auth {
        return Token::load_or_make(&cx.home.join("toolgate")).map(Some);
    }
    if !is_loopback(listen.ip()) {
        return Err(Failure::new(
            Code::Usage,
            format!("`--no-auth` is possible on a loopback address alone, not on {listen}"),
        )
        .hint("leave `--no-auth` away, or listen on 127.0.0.1"));
    }
    cx.ui.warning("no token is asked for: every program on this machine can call your servers", None);
    Ok(None)
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

fn auth(token: Option<&Token>) -> Auth {
    match token {
        Some(token) => Auth::Token(gate::Secret::new(token.expose())),
        None => Auth::None,
    }
}

fn busy(listen: SocketAddr, error: std::io::Error) -> Failure {
    let failure = Failure::io(&format!("listen on {listen}"), error);
    match failure.source.as_ref().and_then(|source| source.downcast_ref::<std::io::Error>()).map(std::io::Error::kind) {
        Some(std::io::ErrorKind::AddrInUse) => failure.hint(
            "another program has this port, perhaps a gate that runs already; end it, or choose another one with `--listen 127.0.0.1:PORT`",
        ),
        _ => failure,
    }
}

#[derive(Serialize)]
struct Ready<'a> {
    #[serde(serialize_with = "endpoint")]
    address: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

fn endpoint<S: serde::Serializer>(address: &SocketAddr, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("http://{address}/mcp"))
}

impl Report for Ready<'_> {
    fn human(&self) -> String {
        let url = format!("http://{}/mcp", self.address);
        let Some(token) = self.token else {
            return format!("toolgate listens on {url}\n\n  claude mcp add --transport http gate {url}\n");
        };
        format!(
            "toolgate listens on {url}

Point a client at it:

  claude mcp add --transport http gate {url} --header \"Authorization: Bearer {token}\"

or, as JSON:

  {{\"mcpServers\":{{\"gate\":{{\"type\":\"http\",\"url\":\"{url}\",\"headers\":{{\"Authorization\":\"Bearer {token}\"}}}}}}}}

or, in Codex's config.toml, with the token in $TOOLGATE_TOKEN:

  [mcp_servers.gate]
  url = \"{url}\"
  bearer_token_env_var = \"TOOLGATE_TOKEN\"

"
        )
    }
}
