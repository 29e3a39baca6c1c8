//! What can break between us and a server, in our own words. No text of a server gets in here.

use crate::oauth::Again;
use gate::{Code, Delivery, Fault, ServerName, State};
use sandbox::{ExitKind, ResolveError};
use std::io;
use std::time::Duration;

/// Makes the faults of one server.
#[derive(Debug, Clone)]
pub(crate) struct Faults(pub ServerName);

impl Faults {
    fn fault(&self, code: Code, what: impl Into<String>, hint: Option<String>) -> Fault {
        let state = match code {
            Code::UpstreamTimeout => State::Timeout,
            Code::UpstreamProtocol => State::ProtocolError,
            Code::UpstreamAuthRequired => State::AuthRequired,
            Code::InternalBug => State::Crashed,
            _ => State::Unreachable,
        };
        Fault { code, server: self.0.clone(), what: what.into(), hint, delivery: Delivery::NotDelivered, state }
    }

    fn key(&self, key: &str) -> String {
        format!("`{key}` of [mcp_servers.{}]", self.0)
    }

    /// It cannot be reached or started; `what` continues "server `x` …".
    pub fn unavailable(&self, what: impl Into<String>) -> Fault {
        self.fault(Code::UpstreamUnavailable, what, None)
    }

    /// What it was configured with cannot be used.
    pub fn misconfigured(&self, what: impl Into<String>) -> Fault {
        Fault { state: State::Misconfigured, ..self.unavailable(what) }
    }

    /// Nobody started it.
    pub fn not_running(&self) -> Fault {
        Fault { state: State::NotStarted, ..self.unavailable("is not running") }
    }

    /// The process that starts programs and keeps them in bounds could not be used.
    pub fn not_supervised(&self, why: &str) -> Fault {
        let fault = self.unavailable(format!("could not be started: {why}"));
        Fault { state: State::SandboxUnavailable, ..fault }
    }

    /// It could not be launched at all.
    pub fn not_launched(&self, why: &sandbox::LaunchError) -> Fault {
        use sandbox::LaunchError::{Cwd, EnvName, Home, NotConfined, Nul, Pipes, Supervisor, Unavailable};
        let source = std::error::Error::source(why).map(|source| format!(": {source}")).unwrap_or_default();
        let text = format!("{why}{source}");
        match why {
            Nul { .. } | EnvName { .. } | Cwd { .. } => self.misconfigured(format!("could not be started: {text}")),
            NotConfined { step, source } => {
                let errno = source.as_ref().and_then(std::io::Error::raw_os_error);
                self.not_confined(*step, errno.unwrap_or(0))
            }
            Pipes(_) | Home { .. } | Supervisor { .. } => self.not_supervised(&text),
            Unavailable(why) => self.not_within_bounds(&text, &why.hint),
        }
    }

    /// The bounds it was to run in could not be built after all.
    pub fn not_confined(&self, step: sandbox::Step, errno: i32) -> Fault {
        let errno = match errno {
            0 => String::new(),
            errno => format!(": {}", std::io::Error::from_raw_os_error(errno)),
        };
        let hint = match step {
            sandbox::Step::Cwd => format!("name it in {}", self.key("sandbox.read")),
            _ => "`toolgate doctor` shows what this machine can hold".to_owned(),
        };
        self.not_within_bounds(&format!("its sandbox could not be built: {step}{errno}"), &hint)
    }

    fn not_within_bounds(&self, why: &str, hint: &str) -> Fault {
        let allow = self.key("sandbox.allow_degraded");
        Fault { hint: Some(format!("{hint}; or let it run with less by {allow}")), ..self.not_supervised(why) }
    }

    /// It broke the protocol.
    pub fn protocol(&self, what: impl Into<String>) -> Fault {
        Fault { delivery: Delivery::Unknown, ..self.fault(Code::UpstreamProtocol, what, None) }
    }

    /// Something of ours is wrong.
    pub fn bug(&self, what: impl Into<String>) -> Fault {
        self.fault(Code::InternalBug, what, None)
    }

    /// Nothing came back to `method` while it was being started.
    pub fn start_timeout(&self, method: &str, limit: Duration) -> Fault {
        let what = format!("did not answer `{method}` within {}", seconds(limit));
        let hint = format!("raise {} if it needs longer to start", self.key("startup_timeout_sec"));
        self.fault(Code::UpstreamTimeout, what, Some(hint))
    }

    /// A call had no answer in time.
    pub fn call_timeout(&self, limit: Duration) -> Fault {
        let what = format!("did not answer the call within {}; it was cancelled", seconds(limit));
        let hint = format!("raise {} if calls may take longer", self.key("tool_timeout_sec"));
        let fault = self.fault(Code::UpstreamTimeout, what, Some(hint));
        Fault { delivery: Delivery::Unknown, ..fault }
    }

    /// A call never got its turn.
    pub fn queue_timeout(&self, limit: Duration, calls: usize) -> Fault {
        let what = format!("was busy with {calls} other calls for {}; this one was not sent", seconds(limit));
        let hint = format!("raise {} or call less at once", self.key("limits.max_concurrent_calls"));
        self.fault(Code::UpstreamTimeout, what, Some(hint))
    }

    /// The process ended.
    pub fn exited(&self, exit: ExitKind) -> Fault {
        let what = match exit {
            ExitKind::Code(code) => format!("ended with exit status {code}"),
            ExitKind::Signal(signal) => format!("was ended by signal {signal}{}", signal_name(signal)),
        };
        self.died(what)
    }

    /// The process is gone in some other way.
    pub fn died(&self, what: impl Into<String>) -> Fault {
        let hint = format!("`toolgate mcp test {}` shows what it wrote to standard error", self.0);
        Fault { state: State::Crashed, ..self.fault(Code::UpstreamUnavailable, what, Some(hint)) }
    }

    /// The program ended before the handshake, and what it printed says that it is no server.
    pub fn no_server(&self, end: &Fault) -> Fault {
        let what = format!("{} before it answered `initialize`; what it printed is no MCP message", end.what);
        let hint = format!(
            "is {} an MCP server? `toolgate mcp test {}` shows what it printed on standard output",
            self.key("command"),
            self.0
        );
        self.fault(Code::UpstreamProtocol, what, Some(hint))
    }

    /// The program cannot be executed, though it is there; `path` is the child's `PATH`.
    pub fn not_started(&self, program: &str, errno: i32, path: &str) -> Fault {
        let system = io::Error::from_raw_os_error(errno);
        let (why, hint) = match errno {
            2 => ("its interpreter or the file itself does not exist".to_owned(), None),
            8 => ("it is not a program for this machine and has no `#!` line".to_owned(), None),
            13 => (system.to_string(), Some(may_not(program, path))),
            _ => (system.to_string(), None),
        };
        let what = if errno == 13 { "may not be executed" } else { "cannot be executed" };
        let fault = self.unavailable(format!("could not be started: `{program}` {what}: {why}"));
        Fault { state: State::MissingCommand, hint, ..fault }
    }

    /// The program was not found.
    pub fn not_found(&self, why: &ResolveError, path: &str) -> Fault {
        let hint = match why {
            ResolveError::NotFound { .. } => {
                format!("looked in PATH `{path}`; give an absolute path as {}", self.key("command"))
            }
            ResolveError::NotAFile { .. } => format!("name the program itself as {}", self.key("command")),
            ResolveError::NotExecutable { path: program } => may_not(&program.to_string_lossy(), path),
        };
        let fault = self.unavailable(format!("could not be started: {why}"));
        Fault { hint: Some(hint), state: State::MissingCommand, ..fault }
    }

    /// It wants a login or another token.
    pub fn auth_required(&self, status: u16) -> Fault {
        let what = match status {
            401 => "wants a login: it answered HTTP 401".to_owned(),
            status => format!("refuses these credentials: it answered HTTP {status}"),
        };
        let hint = format!(
            "set a valid token ({} or `http_headers`), or run `toolgate mcp login {}`",
            self.key("bearer_token_env_var"),
            self.0
        );
        self.fault(Code::UpstreamAuthRequired, what, Some(hint))
    }

    /// The login there is does not do.
    pub fn login_refused(&self, status: u16, again: &Again) -> Fault {
        let login = format!("toolgate mcp login {}", self.0);
        let (what, hint) = match again {
            Again::Over => ("wants a new login: the old one is over".to_owned(), format!("log in with `{login}`")),
            Again::Scopes(scopes) => {
                let asked = if scopes.is_empty() { String::new() } else { format!(" --scopes {}", scopes.join(",")) };
                let what = "wants more than this login allows: it answered HTTP 403 for want of a scope";
                (what.to_owned(), format!("log in for more with `{login}{asked}`"))
            }
            Again::Yes | Again::Never | Again::No => {
                let what = format!("refuses this login: it answered HTTP {status}");
                (what, format!("log in anew with `{login}`, or ask its provider for access"))
            }
        };
        self.fault(Code::UpstreamAuthRequired, what, Some(hint))
    }

    /// It failed too often to be started again now.
    pub fn backoff(&self, why: &Fault, wait: Duration) -> Fault {
        let what = format!("failed too often and is tried again in {}; at last it {}", seconds(wait), why.what);
        Fault { what, delivery: Delivery::NotDelivered, ..why.clone() }
    }

    /// It is being stopped.
    pub fn stopping(&self) -> Fault {
        Fault { state: State::Cancelled, ..self.unavailable("is being stopped") }
    }

    /// Its session is over; a new one has to be opened.
    pub fn session_lost(&self) -> Fault {
        self.unavailable("no longer knows our session")
    }
}

/// The same fault for a request that was already written when it happened.
pub(crate) fn in_flight(fault: &Fault) -> Fault {
    Fault { delivery: Delivery::Unknown, what: format!("{} before it answered", fault.what), ..fault.clone() }
}

/// What helps where the system forbids to execute `program`.
fn may_not(program: &str, path: &str) -> String {
    let user = rustix::process::geteuid().as_raw();
    format!(
        "run `chmod +x {program}`; its directory and interpreter have to be open to user {user} too, as which it runs, \
         with PATH `{path}`"
    )
}

/// A duration as people write it: whole seconds without a fraction, at least a tenth.
pub(crate) fn seconds(duration: Duration) -> String {
    let tenths = duration.as_millis().div_ceil(100).max(1);
    match tenths % 10 {
        0 => format!("{} s", tenths / 10),
        rest => format!("{}.{rest} s", tenths / 10),
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        2 => " (SIGINT)",
        6 => " (SIGABRT)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        15 => " (SIGTERM)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(fault: &Fault, want: Expect) {
        let hint = fault.hint.as_deref().unwrap_or("-");
        want.assert_eq(&format!("{} {:?}\n{fault}\n{hint}", fault.code.as_str(), fault.delivery));
    }

    #[test]
    fn a_fault_names_the_server_and_the_key_to_turn() {
        let faults = Faults("git".into());
        check(
            &faults.start_timeout("initialize", Duration::from_secs(30)),
            expect![[r#"
                upstream.timeout NotDelivered
                server `git` did not answer `initialize` within 30 s
                raise `startup_timeout_sec` of [mcp_servers.git] if it needs longer to start"#]],
        );
        check(
            &faults.call_timeout(Duration::from_millis(250)),
            expect![[r#"
                upstream.timeout Unknown
                server `git` did not answer the call within 0.3 s; it was cancelled
                raise `tool_timeout_sec` of [mcp_servers.git] if calls may take longer"#]],
        );
        check(
            &faults.no_server(&faults.exited(ExitKind::Code(0))),
            expect![[r#"
                upstream.protocol NotDelivered
                server `git` ended with exit status 0 before it answered `initialize`; what it printed is no MCP message
                is `command` of [mcp_servers.git] an MCP server? `toolgate mcp test git` shows what it printed on standard output"#]],
        );
        check(
            &in_flight(&faults.exited(ExitKind::Signal(9))),
            expect![[r#"
                upstream.unavailable Unknown
                server `git` was ended by signal 9 (SIGKILL) before it answered
                `toolgate mcp test git` shows what it wrote to standard error"#]],
        );
        check(
            &faults.backoff(&faults.exited(ExitKind::Code(1)), Duration::from_secs(30)),
            expect![[r#"
                upstream.unavailable NotDelivered
                server `git` failed too often and is tried again in 30 s; at last it ended with exit status 1
                `toolgate mcp test git` shows what it wrote to standard error"#]],
        );
    }

    #[test]
    fn what_may_not_be_executed_is_told_from_what_is_not_there() {
        let faults = Faults("git".into());
        let refused = faults.not_started("/opt/git-mcp", 13, "/bin");
        assert_eq!(
            refused.to_string(),
            "server `git` could not be started: `/opt/git-mcp` may not be executed: Permission denied (os error 13)"
        );
        let hint = refused.hint.expect("what helps");
        assert!(hint.starts_with("run `chmod +x /opt/git-mcp`;") && hint.ends_with("with PATH `/bin`"), "{hint}");
        let found = |why| faults.not_found(&why, "/bin");
        let same = found(ResolveError::NotExecutable { path: "/opt/git-mcp".into() });
        assert_eq!((same.what, same.hint), (refused.what, Some(hint)));
        let directory = found(ResolveError::NotAFile { path: "/".into() });
        assert_eq!(directory.what, "could not be started: `/` is a directory, not a program");
        let missing = found(ResolveError::NotFound { program: "git-mcp".into() });
        assert_eq!(missing.what, "could not be started: program `git-mcp` was not found");
    }
}
