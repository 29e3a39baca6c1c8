//! A mock MCP server, as cheap as possible: what it costs must not hide what a gateway costs.

mod http;
mod stdio;

use std::net::SocketAddr;

use bench::mock::{Eras, Mock};
use clap::Parser;

#[derive(Parser)]
#[command(about = "The mock MCP server of the bench")]
struct Args {
    /// Serve on stdin and stdout (the default)
    #[arg(long, conflicts_with = "http")]
    stdio: bool,
    /// Serve Streamable HTTP here and print the address; port 0 picks one
    #[arg(long)]
    http: Option<SocketAddr>,
    /// How many tools to list
    #[arg(long, default_value_t = 20)]
    tools: usize,
    /// Which eras to understand
    #[arg(long, value_enum, default_value_t = Eras::Both)]
    era: Eras,
    /// Read everything, answer nothing
    #[arg(long)]
    hang: bool,
    /// End at once with exit code 9
    #[arg(long)]
    exit: bool,
}

fn main() -> std::process::ExitCode {
    let args = Args::parse();
    if args.exit {
        return std::process::ExitCode::from(9);
    }
    let outcome = match args.http {
        _ if args.hang => stdio::swallow(),
        Some(address) => http::serve(address, Mock::new(args.tools, args.era)),
        None => stdio::serve(Mock::new(args.tools, args.era)),
    };
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(_) => std::process::ExitCode::FAILURE,
    }
}
