//! `toolgate doctor`: everything that can be looked at without starting a server, at once, and what to do about what is
//! wrong. What is looked at is in `doctor/`: the home, the servers one by one, and what Codex makes of their tools.

mod bounds;
mod home;
mod probe;
mod schemas;
mod servers;

use clap::Args;
use serde::Serialize;

use super::content::visible;
use super::{Context, runtime, unknown_server};
use crate::config::Config;
use crate::ui::{Failure, Report};
use gate::Code;

/// Arguments of `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate doctor
  toolgate doctor github --start
  toolgate doctor --json | jq -r '.checks[] | select(.level != \"ok\") | .what'

No server is started, unless --start says so: what is known of their tools is what was seen last. Remarks about their
schemas, which are for those who write servers, are told of servers that are named.

Exit status: 0 nothing is wrong; 1 something is; warnings are not.")]
pub struct DoctorArgs {
    /// Look at these servers alone.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Also start the servers, and tell how that went.
    #[arg(long)]
    start: bool,
}

/// Looks.
pub fn run(args: &DoctorArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.read()?;
    let known = |name: &str| config.servers.contains_key(name) || config.bad.iter().any(|bad| bad.name == name);
    if let Some(name) = args.names.iter().find(|name| !known(name)) {
        return Err(unknown_server(name, &config));
    }
    let patient = Patient { config: &config, cx, names: &args.names };
    let mut checks = home::checks(&patient);
    checks.extend(runtime::block_on(async {
        let (home, servers) = futures_util::join!(home::slow_checks(&patient), servers::checks(&patient));
        Ok([home, servers].concat())
    })?);
    checks.extend(schemas::checks(&patient));
    checks.extend(bounds::checks(&patient));
    if args.start {
        checks.extend(servers::started(&patient)?);
    }
    let wrong = checks.iter().filter(|check| check.level == Level::Fail).count();
    cx.ui.report(&Doctor { schema: "toolgate.doctor/1", ok: wrong == 0, checks })?;
    let s = if wrong == 1 { "" } else { "s" };
    match wrong {
        0 => Ok(()),
        _ => Err(Failure::new(Code::ConfigInvalid, format!("{wrong} problem{s} found")).exiting(1)),
    }
}

/// Who is looked at.
struct Patient<'a> {
    config: &'a Config,
    cx: &'a Context,
    /// The servers that were named; all are meant if there are none.
    names: &'a [String],
}

impl Patient<'_> {
    fn means(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|named| named == name)
    }
}

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize)]
struct Check {
    /// Which thing; stays the same from version to version.
    id: &'static str,
    level: Level,
    /// The server it is about, if it is about one.
    server: Option<String>,
    /// What was found.
    what: String,
    /// What would help.
    fix: Option<String>,
}

impl Check {
    fn new(id: &'static str, level: Level, what: impl Into<String>) -> Self {
        Self { id, level, server: None, what: what.into(), fix: None }
    }

    fn ok(id: &'static str, what: impl Into<String>) -> Self {
        Self::new(id, Level::Ok, what)
    }

    fn warn(id: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..Self::new(id, Level::Warn, what) }
    }

    fn fail(id: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..Self::new(id, Level::Fail, what) }
    }

    fn about(self, server: &str) -> Self {
        Self { server: Some(server.to_owned()), ..self }
    }
}

#[derive(Serialize)]
struct Doctor {
    schema: &'static str,
    ok: bool,
    checks: Vec<Check>,
}

impl Report for Doctor {
    fn human(&self) -> String {
        let line = |check: &Check| {
            let level = match check.level {
                Level::Ok => "ok  ",
                Level::Warn => "warn",
                Level::Fail => "FAIL",
            };
            let server = check.server.as_ref().map(|server| format!(" `{server}`")).unwrap_or_default();
            let fix = check.fix.as_ref().filter(|fix| !fix.is_empty());
            let fix = fix.map(|fix| format!("\n      {}", fix.replace('\n', "\n      "))).unwrap_or_default();
            visible(&format!("{level}  {}{server}: {}{fix}\n", check.id, check.what))
        };
        self.checks.iter().map(line).collect()
    }
}
