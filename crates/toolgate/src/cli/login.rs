//! `toolgate mcp login NAME`: logs a person in at a server that asks for OAuth. The login itself is `upstream`'s; here
//! is what the person sees, and the way to the browser.

use std::io::{BufRead, stdin};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;
use upstream::oauth::{self, Attempt, LoginError, Registration, Standing};

use super::context::unknown_server;
use super::show::moment;
use super::{Context, runtime};
use crate::config::{Config, Env, Server, Transport};
use crate::ui::{Failure, Report};
use crate::wire;
use gate::Code;

/// Arguments of `login`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp login linear
  toolgate mcp login github --scopes repo,read:user
  toolgate mcp login linear --no-browser    (on another machine: paste the address the browser ends at)

The tokens are kept in a file that only you can read, are renewed by themselves, and are used by every gate of this
home. `toolgate mcp logout NAME` ends the login.")]
pub struct LoginArgs {
    /// The server.
    name: String,
    /// Ask for these scopes instead of those the server names.
    #[arg(long, value_name = "SCOPE,…", value_delimiter = ',')]
    scopes: Vec<String>,
    /// Open no browser; also take the address it came back to from standard input.
    #[arg(long)]
    no_browser: bool,
    /// How many seconds to wait for the person.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
    /// How to become a client, instead of what its entry says.
    #[arg(long, value_enum)]
    oauth_client_registration: Option<ClientRegistration>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ClientRegistration {
    /// By a metadata document if one is configured and taken, else by registering.
    Auto,
    /// By a metadata document only.
    Cimd,
    /// By registering only.
    Dcr,
}

/// Logs in, and keeps what was granted.
pub fn run(args: &LoginArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    let name = args.name.as_str();
    let server = config.servers.get(name).ok_or_else(|| unusable(name, &config))?;
    let login = prepare(args, server, &config, cx)?;
    // Only the first in a process can install it, and one is enough.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let standing = runtime::block_on(async {
        let attempt = oauth::login(login).await.map_err(|error| refused(name, error))?;
        announce(name, attempt.url(), cx)?;
        if !args.no_browser {
            open(attempt.url(), &cx.env);
        }
        let callback = answer(&attempt, args).await.map_err(|error| refused(name, error))?;
        let callback = callback.ok_or_else(|| late(args))?;
        attempt.finish(&callback).await.map_err(|error| refused(name, error))
    })?;
    cx.ui.report(&LoggedIn::of(name, standing))
}

fn unusable(name: &str, config: &Config) -> Failure {
    match config.bad.iter().find(|bad| bad.name == name) {
        Some(bad) => bad.into(),
        None => unknown_server(name, config),
    }
}

fn prepare(args: &LoginArgs, server: &Server, config: &Config, cx: &Context) -> Result<oauth::Login, Failure> {
    let Transport::Http(http) = &server.transport else {
        let text = "OAuth login is only supported for streamable HTTP servers.";
        return Err(Failure::new(Code::ArgsInvalid, text));
    };
    if let Some(barred) = &server.barred {
        let text = format!("server `{}` may not be used here: {}", server.name, barred.why);
        return Err(Failure::new(Code::UpstreamDisabled, text));
    }
    if wire::has_token(http) {
        let text = format!("server `{}` is given a token by its entry, so that a login would not be used", server.name);
        let hint = "take `bearer_token_env_var` and the header `Authorization` out of its entry first";
        return Err(Failure::new(Code::ArgsInvalid, text).hint(hint));
    }
    let mut login = wire::login_of(config, server, &cx.env)?;
    if let Some(registration) = args.oauth_client_registration {
        login.settings.registration = match registration {
            ClientRegistration::Auto => Registration::Auto,
            ClientRegistration::Cimd => Registration::Document,
            ClientRegistration::Dcr => Registration::Dynamic,
        };
    }
    login.scopes = (!args.scopes.is_empty()).then(|| args.scopes.clone());
    Ok(login)
}

fn refused(name: &str, error: LoginError) -> Failure {
    let hint = error.hint(name);
    let failure = Failure::new(Code::UpstreamAuthRequired, format!("cannot log in at `{name}`"));
    Failure { hint, ..failure.caused_by(error).exiting(1) }
}

fn late(args: &LoginArgs) -> Failure {
    let text = format!("nobody came back from the browser within {} s", args.timeout);
    let hint = "on another machine, use `--no-browser` and paste the address that the browser ends at";
    Failure::new(Code::UpstreamAuthRequired, text).hint(hint).exiting(1)
}

fn announce(name: &str, url: &str, cx: &Context) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Line<'a> {
        schema: &'static str,
        name: &'a str,
        url: &'a str,
    }
    if cx.ui.json() {
        return cx.ui.line(&Line { schema: "toolgate.login.url/1", name, url });
    }
    cx.ui.out(&format!("Authorize `{name}` by opening this URL in your browser:\n{url}\n\n"))
}

/// What the browser opener gets of our environment.
const BROWSER_ENV: [&str; 10] = [
    "PATH",
    "HOME",
    "LANG",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
    "XDG_CURRENT_DESKTOP",
    "DBUS_SESSION_BUS_ADDRESS",
    "BROWSER",
];

/// Opens the URL where there is a desktop. It was checked to be `http` or `https` and is one argument of no shell. That
/// nothing opens is no failure: the URL stands on the terminal.
fn open(url: &str, env: &Env) {
    if env.filled("DISPLAY").or(env.filled("WAYLAND_DISPLAY")).is_none() {
        return;
    }
    let path = env.filled("PATH").unwrap_or_default();
    let Ok(program) = sandbox::resolve_program("xdg-open".as_ref(), None, path.as_ref()) else { return };
    let mut command = Command::new(program);
    command.arg(url).env_clear().envs(BROWSER_ENV.iter().filter_map(|key| Some((*key, env.filled(key)?))));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Ok(mut child) = command.spawn() {
        drop(tokio::task::spawn_blocking(move || child.wait()));
    }
}

/// What the browser comes back with, by itself or by the person's hand; nothing when the time is over.
async fn answer(attempt: &Attempt, args: &LoginArgs) -> Result<Option<String>, LoginError> {
    let limit = Duration::from_secs(args.timeout);
    let by_hand = async {
        if !args.no_browser {
            std::future::pending::<()>().await;
        }
        match tokio::task::spawn_blocking(typed).await {
            Ok(Some(url)) => url,
            // Nobody types: the browser may still come.
            _ => std::future::pending().await,
        }
    };
    tokio::select! {
        came = attempt.callback() => came.map(Some),
        typed = by_hand => Ok(Some(typed)),
        () = tokio::time::sleep(limit) => Ok(None),
    }
}

/// The first line that is not empty.
fn typed() -> Option<String> {
    stdin().lock().lines().map_while(Result::ok).map(|line| line.trim().to_owned()).find(|line| !line.is_empty())
}

/// The answer.
#[derive(Serialize)]
struct LoggedIn<'a> {
    schema: &'static str,
    name: &'a str,
    issuer: String,
    scopes: Vec<String>,
    /// When the present token ends.
    expires: Option<String>,
    /// Whether the login goes on without a person.
    renews: bool,
}

impl<'a> LoggedIn<'a> {
    fn of(name: &'a str, standing: Standing) -> Self {
        let schema = "toolgate.login/1";
        match standing {
            Standing::LoggedIn { issuer, scopes, expires_ms, renews } => {
                let expires = expires_ms.map(|at| moment(at.saturating_mul(1000)));
                Self { schema, name, issuer, scopes, expires, renews }
            }
            // A token that is granted for no time at all.
            Standing::None | Standing::Over => {
                Self { schema, name, issuer: String::new(), scopes: Vec::new(), expires: None, renews: false }
            }
        }
    }
}

impl Report for LoggedIn<'_> {
    fn human(&self) -> String {
        format!("Successfully logged in to MCP server '{}'.\n", self.name)
    }
}
