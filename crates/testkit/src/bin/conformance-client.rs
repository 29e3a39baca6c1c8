//! The client that the official conformance suite drives through its scenarios of authorization: the real toolgate, its
//! person and her browser. `conformance-client TOOLGATE URL`; the suite adds the URL, and says the rest in variables.

use std::io::{BufRead, BufReader, Error, Read, Write};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use clap::Parser;
use serde_json::Value;
use testkit::cli::{Cmd, Home};
use testkit::http::Request;

/// How often the person logs in at most.
const LOGINS: u32 = 3;
/// The metadata document that the suite takes for a client's.
const DOCUMENT: &str = "https://conformance-test.local/client-metadata.json";
/// What toolgate exits with when it wants a login.
const WANTS_LOGIN: i32 = 3;

#[derive(Parser)]
struct Flags {
    toolgate: PathBuf,
    url: String,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    let home = Home::new();
    home.write("toolgate.toml", configuration(&flags.url));
    match (Person { toolgate: flags.toolgate, home, logins: 0 }).use_everything() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever reads the suite's report wants to know; nobody else is told.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the suite says it in no other way")]
fn told(what: &str) -> String {
    std::env::var(format!("MCP_CONFORMANCE_{what}")).unwrap_or_default()
}

/// A home with the suite's server as `x`.
fn configuration(url: &str) -> String {
    let era = if told("PROTOCOL_VERSION").starts_with("2026") { "modern" } else { "legacy" };
    let context: Value = serde_json::from_str(&told("CONTEXT")).unwrap_or_default();
    let oauth = match (&context["client_id"], &context["client_secret"]) {
        (Value::String(id), Value::String(secret)) => format!("{{ client_id = {id:?}, client_secret = {secret:?} }}"),
        _ if told("SCENARIO").ends_with("cimd") => format!("{{ client_id = {DOCUMENT:?} }}"),
        _ => "{}".to_owned(),
    };
    format!(
        "[mcp_servers.x]\nurl = {url:?}\nprotocol = \"{era}\"\ndefault_tools_approval_mode = \"approve\"\noauth = {oauth}\n"
    )
}

/// Whoever sits in front of it.
struct Person {
    toolgate: PathBuf,
    home: Home,
    logins: u32,
}

impl Person {
    /// Lists, calls each tool, and lists again: a server may have changed its mind.
    fn use_everything(&mut self) -> Result<(), Error> {
        self.patiently(&["mcp", "test", "x"])?;
        let listed: Value = serde_json::from_str(&self.patiently(&["mcp", "tools", "x", "--json"])?)?;
        let tools = listed["tools"].as_array().or(listed["items"].as_array()).cloned().unwrap_or_default();
        for tool in tools.iter().filter_map(|tool| tool["name"].as_str()) {
            self.patiently(&["mcp", "call", tool])?;
        }
        self.patiently(&["mcp", "test", "x"]).map(drop)
    }

    fn run(&self, args: &[&str]) -> Cmd {
        self.home.cmd(&self.toolgate, args)
    }

    /// Runs a command, logging in as often as it wants that.
    fn patiently(&mut self, args: &[&str]) -> Result<String, Error> {
        loop {
            let output = self.run(args).run();
            match output.status {
                Some(0) => return Ok(output.stdout),
                Some(WANTS_LOGIN) if self.logins < LOGINS => {
                    let scopes = output.stderr.split("--scopes ").nth(1);
                    let scopes = scopes.and_then(|rest| rest.split(['`', ' ', '\n', '"']).next());
                    self.login(scopes)?;
                }
                status => return Err(Error::other(format!("{args:?} ended with {status:?}: {}", output.stderr))),
            }
        }
    }

    /// Logs in, with a browser that says yes to everything.
    fn login(&mut self, scopes: Option<&str>) -> Result<(), Error> {
        self.logins += 1;
        let scopes = scopes.map(|scopes| ["--scopes", scopes]);
        let args = ["mcp", "login", "x"].into_iter().chain(scopes.into_iter().flatten());
        let mut command: Command = self.home.command(&self.toolgate, args);
        let mut login = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut out = BufReader::new(login.stdout.take().ok_or(Error::other("no standard output"))?);
        let mut text = String::new();
        while out.read_line(&mut text)? > 0 {
            let Some(url) = text.lines().last().filter(|line| line.starts_with("http")) else { continue };
            let page = Request::new("GET", &url.replace("http://localhost:", "http://127.0.0.1:")).send()?;
            let back = page.header("location").ok_or(Error::other("the browser is sent nowhere"))?;
            Request::new("GET", back).send()?;
            break;
        }
        out.read_to_string(&mut text)?;
        if login.wait()?.success() { Ok(()) } else { Err(Error::other("the login did not come about")) }
    }
}
