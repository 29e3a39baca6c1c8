//! The one table of failure codes: exit status, JSON-RPC code and whose fault it is.

use serde::{Serialize, Serializer};

/// Who has to act on a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Whoever runs toolgate: configuration, environment, login.
    Operator,
    /// Whoever called: arguments, names.
    Downstream,
    /// The gate said no.
    Gate,
    /// The server failed.
    Upstream,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, exit $exit:literal, rpc $rpc:literal, $blame:ident;)*) => {
        /// A stable name for every way to fail.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// All codes, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$name),*];

            /// The stable text.
            pub fn as_str(self) -> &'static str { match self { $(Code::$name => $text,)* } }

            /// The exit status of a command that fails so.
            pub fn exit(self) -> u8 { match self { $(Code::$name => $exit,)* } }

            /// The JSON-RPC error code, where the failure is an error and no tool result.
            pub fn rpc(self) -> i64 { match self { $(Code::$name => $rpc,)* } }

            /// Who has to act.
            pub fn blame(self) -> Blame { match self { $(Code::$name => Blame::$blame,)* } }
        }
    };
}

codes! {
    /// The configuration cannot be read or says something impossible.
    ConfigInvalid = "config.invalid", exit 2, rpc -32603, Operator;
    /// The command line was not understood.
    Usage = "usage", exit 2, rpc -32603, Operator;
    /// A file or a stream cannot be read or written.
    Io = "io", exit 1, rpc -32603, Operator;
    /// The user ended the command.
    Interrupted = "interrupted", exit 130, rpc -32603, Operator;
    /// No server of that name is configured.
    ServerUnknown = "server.unknown", exit 1, rpc -32602, Operator;
    /// No such tool, prompt or resource for this caller.
    ToolUnknown = "tool.unknown", exit 1, rpc -32602, Downstream;
    /// The tool ran and reported an error.
    ToolFailed = "tool.failed", exit 1, rpc -32603, Upstream;
    /// The arguments cannot be right.
    ArgsInvalid = "args.invalid", exit 1, rpc -32602, Downstream;
    /// A rule says no.
    PolicyDenied = "policy.denied", exit 1, rpc -32603, Gate;
    /// A person would have to say yes, and nobody did.
    ApprovalRefused = "approval.refused", exit 1, rpc -32603, Gate;
    /// A person would have had to say yes in time, and nobody answered.
    ApprovalExpired = "approval.expired", exit 1, rpc -32603, Gate;
    /// The tool's definition changed since it was pinned, or is suspicious.
    ToolQuarantined = "tool.quarantined", exit 1, rpc -32603, Gate;
    /// What a server offers is not what the fixtures say.
    SchemaChanged = "schema.changed", exit 1, rpc -32603, Upstream;
    /// Too much is under way.
    LimitBusy = "limit.busy", exit 1, rpc -32603, Gate;
    /// A conversation has used up what it may do.
    LimitBudget = "limit.budget", exit 1, rpc -32603, Gate;
    /// Something is longer than the limit.
    LimitTooLarge = "limit.too_large", exit 1, rpc -32603, Gate;
    /// The server cannot be reached or started.
    UpstreamUnavailable = "upstream.unavailable", exit 1, rpc -32603, Upstream;
    /// The server did not answer in time.
    UpstreamTimeout = "upstream.timeout", exit 1, rpc -32603, Upstream;
    /// The server does not keep to the protocol.
    UpstreamProtocol = "upstream.protocol", exit 1, rpc -32603, Upstream;
    /// The server wants a login or a token.
    UpstreamAuthRequired = "upstream.auth_required", exit 3, rpc -32603, Operator;
    /// The server is switched off.
    UpstreamDisabled = "upstream.disabled", exit 4, rpc -32603, Operator;
    /// A command that needs a server was given the name of none.
    UpstreamNotConfigured = "upstream.not_configured", exit 5, rpc -32603, Operator;
    /// The server runs and has no tools.
    UpstreamNoTools = "upstream.no_tools", exit 6, rpc -32603, Operator;
    /// The ledger cannot be written: no record, no call.
    StoreUnavailable = "store.unavailable", exit 1, rpc -32603, Gate;
    /// The record is not as it was written, or a proof does not hold.
    AuditBroken = "audit.broken", exit 1, rpc -32603, Operator;
    /// The rules have mistakes, or do not decide as was expected of them.
    PolicyFaulty = "policy.faulty", exit 1, rpc -32603, Operator;
    /// A defect of toolgate.
    InternalBug = "internal.bug", exit 70, rpc -32603, Gate;
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_what_scripts_rely_on() {
        let table: String =
            Code::ALL.iter().map(|c| format!("{} {} {} {:?}\n", c.as_str(), c.exit(), c.rpc(), c.blame())).collect();
        expect_test::expect_file!["../codes.txt"].assert_eq(&table);
    }
}
