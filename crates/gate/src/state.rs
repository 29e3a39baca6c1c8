//! The one list of states a server can be in, what each means for scripts and people, and the report of one server.
//! The same words stand in `list`, `status`, `test`, in events and over HTTP. Not here: finding out the state (that is
//! the link's), or printing it.

mod status;

pub use status::{Auth, Change, Counts, Last, Status, Versions};

use crate::code::Code;
use serde::{Serialize, Serializer};

/// The three words older callers know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// It answers.
    Connected,
    /// It does not.
    Error,
    /// It wants a login or a token.
    Unauthorized,
}

impl Seen {
    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Error => "error",
            Self::Unauthorized => "unauthorized",
        }
    }
}

macro_rules! states {
    ($($(#[$doc:meta])* $name:ident = $word:literal $(because $why:literal)?, exit $exit:literal, $seen:ident,
        $means:literal, next $next:literal;)*) => {
        /// Where a server stands. Never collapsed: what is to be done differs from state to state.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum State { $($(#[$doc])* $name,)* }

        impl State {
            /// All states, in the order of the table.
            pub const ALL: &'static [State] = &[$(State::$name),*];

            /// The stable word. All reasons to be disabled share one.
            pub fn as_str(self) -> &'static str { match self { $(State::$name => $word,)* } }

            /// Who disabled it, if it is disabled.
            pub fn disabled_reason(self) -> Option<&'static str> {
                match self { $(State::$name => states!(@why $($why)?),)* }
            }

            /// The exit status of `test` on a server in this state.
            pub fn exit(self) -> u8 { match self { $(State::$name => $exit,)* } }

            /// The word of the three that older callers know; `None` where nobody tried to reach it.
            pub fn seen(self) -> Option<Seen> { match self { $(State::$name => states!(@seen $seen),)* } }

            /// What it means, as the end of a sentence that begins with the server.
            pub fn meaning(self) -> &'static str { match self { $(State::$name => $means,)* } }

            /// What to do next about `server`.
            pub fn next(self, server: &str) -> String {
                let text = match self { $(State::$name => $next,)* };
                text.replace("NAME", server)
            }
        }
    };
    (@why $why:literal) => { Some($why) };
    (@why) => { None };
    (@seen Untried) => { None };
    (@seen $seen:ident) => { Some(Seen::$seen) };
}

states! {
    /// No server of that name is configured.
    MissingConfig = "missing_config", exit 5, Error, "is not configured",
        next "add it, `toolgate mcp add NAME -- COMMAND` or `--url URL`; `toolgate mcp list` shows the names there are";
    /// Its entry names no way to reach it, or one that does not exist.
    NoTransport = "no_transport", exit 2, Error, "has neither a command nor a URL",
        next "set `command` or `url` under [mcp_servers.NAME]";
    /// Its entry cannot be used as written.
    Misconfigured = "misconfigured", exit 2, Error, "has settings that cannot be used",
        next "correct [mcp_servers.NAME]; `toolgate mcp get NAME` shows where it stands";
    /// Its program is not there, or cannot be executed.
    MissingCommand = "missing_command", exit 1, Error, "has a program that is not installed",
        next "install the program, or give its absolute path as `command` of [mcp_servers.NAME]";
    /// Switched off in its entry.
    DisabledByUser = "disabled" because "user", exit 4, Untried, "is switched off",
        next "remove `enabled = false` from [mcp_servers.NAME]";
    /// A policy rule keeps it from being started.
    DisabledByPolicy = "disabled" because "policy", exit 4, Untried, "may not be started: a policy rule says no",
        next "see the rule with `toolgate policy explain NAME`";
    /// The managed file does not have it among the servers it admits.
    DisabledByRequirements = "disabled" because "requirements", exit 4, Untried, "is not among the servers that are admitted here",
        next "ask whoever manages this machine to admit NAME in requirements.toml";
    /// One of the five decisions was not taken for it.
    DisabledByDecisions = "disabled" because "decisions", exit 1, Untried, "lacks decisions that have to be taken first",
        next "write the missing decisions under [mcp_servers.NAME]";
    /// Neither this directory nor this team is in its scope.
    DisabledByScope = "disabled" because "out_of_scope", exit 4, Untried, "is not meant for this directory or team",
        next "work where it is meant for, or widen `scope` of [mcp_servers.NAME]";
    /// It came with a project or plugin that nobody trusted.
    DisabledByTrust = "disabled" because "untrusted", exit 4, Untried, "came with something that is not trusted",
        next "run `toolgate config trust`: it shows what the project brings, and asks";
    /// Whoever provides it has switched it off.
    DisabledByProvider = "disabled" because "provider", exit 4, Untried, "is switched off by its provider",
        next "see what the provider of NAME asks for";
    /// It is the entry that starts this very gate.
    DisabledAsItself = "disabled" because "itself", exit 4, Untried, "is this gate itself",
        next "nothing: the entry NAME is there for other programs";
    /// Its package has to be approved first.
    NeedsApproval = "needs_approval", exit 8, Untried, "waits for an approval",
        next "look at it and approve it, `toolgate mcp approve NAME`";
    /// Nobody asked it for anything yet.
    NotStarted = "not_started", exit 1, Untried, "has not been started",
        next "nothing: the first call starts it; `toolgate mcp test NAME` tries it now";
    /// It is being started.
    Starting = "starting", exit 1, Untried, "is being started",
        next "wait a moment, then `toolgate mcp status NAME`";
    /// Calls run and everything it lists is known.
    Connected = "connected", exit 0, Connected, "is ready",
        next "nothing";
    /// Calls run, but something it lists is missing.
    Degraded = "degraded", exit 1, Connected, "runs, but a list of it is missing",
        next "`toolgate mcp test NAME` shows which list fails";
    /// Calls run, and it has no tools.
    NoTools = "no_tools", exit 6, Connected, "runs and has no tools",
        next "see in its documentation what it needs to show tools";
    /// Tools of it are held back.
    Quarantined = "quarantined", exit 7, Connected, "has tools that are held back, changed or suspicious",
        next "see what it is, and agree to it or not: `toolgate mcp approve NAME`";
    /// It wants a login or a token.
    AuthRequired = "auth_required", exit 3, Unauthorized, "wants a login or a token",
        next "log in, `toolgate mcp login NAME`, or set the variable its `bearer_token_env_var` names";
    /// It did not answer in time.
    Timeout = "timeout", exit 1, Error, "did not answer in time",
        next "raise `startup_timeout_sec` of [mcp_servers.NAME] if it needs longer";
    /// Its process ended.
    Crashed = "crashed", exit 1, Error, "ended by itself",
        next "see what it wrote to standard error, `toolgate mcp test NAME`";
    /// It does not keep to the protocol.
    ProtocolError = "protocol_error", exit 1, Error, "does not speak the protocol as agreed",
        next "check that the command or URL of [mcp_servers.NAME] is an MCP server, and its version";
    /// Nothing answers at its address.
    Unreachable = "unreachable", exit 1, Error, "cannot be reached",
        next "check `url` of [mcp_servers.NAME], the network, and whether it runs there";
    /// Its start was given up because somebody wanted that.
    Cancelled = "cancelled", exit 130, Untried, "was stopped while it was started",
        next "start it again, `toolgate mcp test NAME`";
    /// The process that would keep it in bounds could not be started.
    SandboxUnavailable = "sandbox_unavailable", exit 9, Error, "was not started, because it could not be kept in bounds",
        next "see which limit or kernel feature is missing; nothing runs without its bounds";
}

impl State {
    /// The failure of a command that needs a server and finds it in this state.
    pub fn code(self) -> Code {
        match self {
            Self::MissingConfig => Code::UpstreamNotConfigured,
            Self::NoTransport | Self::Misconfigured => Code::ConfigInvalid,
            Self::NoTools => Code::UpstreamNoTools,
            Self::AuthRequired => Code::UpstreamAuthRequired,
            Self::NeedsApproval => Code::ApprovalRefused,
            Self::Quarantined => Code::ToolQuarantined,
            Self::Timeout => Code::UpstreamTimeout,
            Self::ProtocolError => Code::UpstreamProtocol,
            Self::Cancelled => Code::Interrupted,
            state if state.is_disabled() => Code::UpstreamDisabled,
            _ => Code::UpstreamUnavailable,
        }
    }

    /// The state of a server that is disabled for this reason.
    pub fn disabled_because(reason: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.disabled_reason() == Some(reason))
    }

    /// Whether calls can run in this state.
    pub fn is_up(self) -> bool {
        self.seen() == Some(Seen::Connected)
    }

    /// Whether trying to start it could change anything.
    pub fn may_be_tried(self) -> bool {
        !self.is_disabled()
            && !matches!(self, Self::MissingConfig | Self::NoTransport | Self::Misconfigured | Self::AuthRequired)
    }

    /// Whether it is switched off, by whomever.
    pub fn is_disabled(self) -> bool {
        self.disabled_reason().is_some()
    }

    /// The word, and who disabled it behind it.
    pub fn label(self) -> String {
        match self.disabled_reason() {
            Some(why) => format!("{} ({why})", self.as_str()),
            None => self.as_str().to_owned(),
        }
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_table_is_what_scripts_rely_on() {
        let line = |state: &State| {
            let (exit, seen) = (state.exit(), state.seen().map_or("-", Seen::as_str));
            format!("{} exit {exit} {seen}\n  `x` {}\n  {}\n", state.label(), state.meaning(), state.next("x"))
        };
        let table: String = State::ALL.iter().map(line).collect();
        expect_test::expect_file!["../states.txt"].assert_eq(&table);
    }

    #[test]
    fn no_two_states_look_the_same() {
        let differ = |texts: Vec<String>| assert_eq!(texts.iter().collect::<HashSet<_>>().len(), texts.len());
        differ(State::ALL.iter().map(|state| state.label()).collect());
        differ(State::ALL.iter().map(|state| state.meaning().to_owned()).collect());
        differ(State::ALL.iter().map(|state| state.next("x")).collect());
    }

    #[test]
    fn a_reason_leads_to_its_state() {
        assert_eq!(State::disabled_because("out_of_scope"), Some(State::DisabledByScope));
        assert_eq!(State::disabled_because("nobody knows"), None);
        assert!(State::ALL.iter().filter(|state| state.is_disabled()).all(|state| state.as_str() == "disabled"));
    }

    #[test]
    fn exit_status_0_is_for_what_can_be_used_and_3_to_6_have_one_meaning() {
        let words = |exit: u8| -> HashSet<_> {
            State::ALL.iter().filter(|state| state.exit() == exit).map(|state| state.as_str()).collect()
        };
        let own = [(0, "connected"), (3, "auth_required"), (4, "disabled"), (5, "missing_config"), (6, "no_tools")];
        for (exit, word) in own {
            assert_eq!(words(exit), HashSet::from([word]));
        }
    }
}
