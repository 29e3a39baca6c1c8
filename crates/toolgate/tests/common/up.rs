//! The gate as a service.

use super::{Setup, TOOLGATE};
use serde_json::Value;
use std::process::ExitStatus;
use testkit::Server;

/// `toolgate up` on a free loopback port. It ends when this is dropped.
pub struct Up {
    server: Server,
    /// `http://127.0.0.1:PORT`.
    pub base: String,
    /// The bearer token; empty with `--no-auth`.
    pub token: String,
}

impl Up {
    /// Starts it with further arguments and waits until it listens.
    pub fn start(setup: &Setup, args: &[&str]) -> Self {
        let args = ["up", "--listen", "127.0.0.1:0", "--json"].iter().chain(args);
        let command = setup.home.command(TOOLGATE, args);
        let ready = |text: &str| serde_json::from_str::<Value>(text).ok();
        let server = Server::announced(command, |text| ready(text)?["address"].as_str().map(str::to_owned));
        let token =
            ready(&server.printed).expect("it was read before")["token"].as_str().unwrap_or_default().to_owned();
        let base = server.url.strip_suffix("/mcp").expect("the address of the face").to_owned();
        Self { server, base, token }
    }

    /// Where all servers are.
    pub fn url(&self) -> &str {
        &self.server.url
    }

    /// The header that lets one in.
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// Asks it to end and waits for that.
    pub fn terminate(self) -> ExitStatus {
        self.server.terminate()
    }
}
