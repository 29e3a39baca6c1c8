//! The reference server as a program: a correct peer over stdio or Streamable HTTP.

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;

use clap::Parser;
use testkit::reference::Era;
use testkit::reference::serve::{HttpOptions, on_http, on_stdio};

/// A correct MCP server, for tests and the conformance suite.
#[derive(Parser)]
struct Arguments {
    /// Serve one client on standard input and output (the default).
    #[arg(long, conflicts_with = "http")]
    stdio: bool,
    /// Serve `/mcp` on this address, and print the URL; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// The protocol revisions to speak.
    #[arg(long, value_enum, default_value = "both")]
    era: Era,
    /// Answer HTTP requests with plain JSON wherever possible, without sessions.
    #[arg(long)]
    json: bool,
    /// Give legacy HTTP clients no session.
    #[arg(long)]
    stateless: bool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments = Arguments::parse();
    let Some(address) = arguments.http else {
        return on_stdio(arguments.era).await;
    };
    let options = HttpOptions { json: arguments.json, stateless: arguments.stateless };
    on_http(arguments.era, address, options, announce).await
}

fn announce(url: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{url}")?;
    stdout.flush()
}
