//! The floor: one hop that forwards bytes and correlates ids by their prefix, or (`--rewrite`) the
//! least hop that parses, uses its own ids, strips a tool's prefix and checks that the answer is JSON.
//!
//! It trusts both sides, bounds nothing, keeps no record: it is what a hop costs, not what a gate does.

mod downstream_http;
mod hop;
mod stdio;
mod upstream_http;

use std::io;
use std::net::SocketAddr;
use std::process::{Child, Command, ExitCode, Stdio};

use clap::Parser;

#[derive(Parser)]
#[command(about = "The least one hop can cost")]
struct Args {
    /// Serve HTTP here and print the address; without it stdin and stdout
    #[arg(long)]
    http: Option<SocketAddr>,
    /// The upstream's address, when it speaks HTTP
    #[arg(long, conflicts_with_all = ["command", "rewrite"])]
    upstream: Option<SocketAddr>,
    /// Parse and rewrite each message (stdio upstream only)
    #[arg(long)]
    rewrite: bool,
    /// The stdio upstream's command
    #[arg(last = true)]
    command: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn run(args: &Args) -> io::Result<()> {
    match (args.http, args.upstream) {
        (Some(address), Some(upstream)) => upstream_http::serve_http(address, upstream),
        (None, Some(upstream)) => upstream_http::serve_stdio(upstream),
        (Some(address), None) => downstream_http::serve(address, start(args)?, args.rewrite),
        (None, None) if args.rewrite => stdio::rewrite(start(args)?),
        (None, None) => stdio::forward(start(args)?),
    }
}

fn start(args: &Args) -> io::Result<Child> {
    let (program, rest) = args.command.split_first().ok_or_else(|| io::Error::other("an upstream is needed"))?;
    Command::new(program).args(rest).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
}
