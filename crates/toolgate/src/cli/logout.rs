//! `toolgate mcp logout NAME`: ends a login. The tokens here are deleted whether or not the server can be told.

use clap::Args;
use serde::Serialize;
use upstream::oauth;

use super::{Context, runtime};
use crate::config::Transport;
use crate::ui::{Failure, Report};
use gate::Code;

/// Arguments of `logout`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp logout linear")]
pub struct LogoutArgs {
    /// The server.
    name: String,
}

/// Tells the authorization server where that is possible, and deletes what is kept.
pub fn run(args: &LogoutArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    let name = args.name.as_str();
    let Some(server) = config.servers.get(name) else {
        let failure = super::unknown_server(name, &config);
        return Err(Failure { message: format!("No MCP server named '{name}' found in configuration."), ..failure });
    };
    let expanded = crate::config::expanded(server, &cx.env)?;
    let Transport::Http(http) = &expanded.transport else {
        let text = "OAuth logout is only supported for streamable_http transports.";
        return Err(Failure::new(Code::ArgsInvalid, text));
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let state_dir = config.state_dir();
    let removed = runtime::block_on(async {
        let done = oauth::logout(&state_dir, name, http.url.expose()).await;
        done.map_err(|error| Failure::new(Code::Io, format!("cannot log out of `{name}`")).caused_by(error))
    })?;
    cx.ui.report(&LoggedOut { schema: "toolgate.logout/1", name, removed })
}

#[derive(Serialize)]
struct LoggedOut<'a> {
    schema: &'static str,
    name: &'a str,
    removed: bool,
}

impl Report for LoggedOut<'_> {
    fn human(&self) -> String {
        match self.removed {
            true => format!("Removed OAuth credentials for '{}'.\n", self.name),
            false => format!("No OAuth credentials stored for '{}'.\n", self.name),
        }
    }
}
