//! Why a command failed, as people and scripts are told. What may be logged about it is not here.

use std::error::Error;
use std::fmt;
use std::io;

use serde::{Serialize, Serializer};

/// What kind of failure it is: a stable word for scripts, and an exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// A file or an override is wrong.
    ConfigInvalid,
    /// The command line is wrong.
    Usage,
    /// An argument is well-formed and will not do.
    ArgsInvalid,
    /// No server of that name is configured.
    ServerUnknown,
    /// No tool of that name is visible.
    ToolUnknown,
    /// A rule said no.
    PolicyDenied,
    /// A person said no.
    ApprovalRefused,
    /// Nobody answered in time.
    ApprovalExpired,
    /// Too much at once.
    LimitBusy,
    /// Too big.
    LimitTooLarge,
    /// A server cannot be reached or started.
    UpstreamUnavailable,
    /// A server did not answer in time.
    UpstreamTimeout,
    /// A server broke the protocol.
    UpstreamProtocol,
    /// A tool ran and reported an error.
    ToolFailed,
    /// A server wants a login.
    UpstreamAuthRequired,
    /// A server is switched off.
    UpstreamDisabled,
    /// No server is configured at all.
    UpstreamNotConfigured,
    /// A server offers no tools.
    UpstreamNoTools,
    /// What happens cannot be recorded.
    StoreUnavailable,
    /// A file or a stream cannot be read or written.
    Io,
    /// toolgate is wrong.
    InternalBug,
}

impl Code {
    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConfigInvalid => "config.invalid",
            Self::Usage => "usage",
            Self::ArgsInvalid => "args.invalid",
            Self::ServerUnknown => "server.unknown",
            Self::ToolUnknown => "tool.unknown",
            Self::PolicyDenied => "policy.denied",
            Self::ApprovalRefused => "approval.refused",
            Self::ApprovalExpired => "approval.expired",
            Self::LimitBusy => "limit.busy",
            Self::LimitTooLarge => "limit.too_large",
            Self::UpstreamUnavailable => "upstream.unavailable",
            Self::UpstreamTimeout => "upstream.timeout",
            Self::UpstreamProtocol => "upstream.protocol",
            Self::ToolFailed => "tool.failed",
            Self::UpstreamAuthRequired => "upstream.auth_required",
            Self::UpstreamDisabled => "upstream.disabled",
            Self::UpstreamNotConfigured => "upstream.not_configured",
            Self::UpstreamNoTools => "upstream.no_tools",
            Self::StoreUnavailable => "store.unavailable",
            Self::Io => "io",
            Self::InternalBug => "internal.bug",
        }
    }

    /// The exit status of a command that fails so.
    pub fn exit(self) -> u8 {
        match self {
            Self::ConfigInvalid | Self::Usage => 2,
            Self::UpstreamAuthRequired => 3,
            Self::UpstreamDisabled => 4,
            Self::UpstreamNotConfigured => 5,
            Self::UpstreamNoTools => 6,
            Self::InternalBug => 70,
            _ => 1,
        }
    }
}

/// Why a command failed. Prints as one lower-case fragment, its causes behind colons.
#[derive(Debug)]
pub struct Failure {
    /// What kind of failure it is.
    pub code: Code,
    /// What went wrong.
    pub message: String,
    /// What would help.
    pub hint: Option<String>,
    /// The error behind it.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure with nothing behind it.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, source: None }
    }

    /// The same with a hint.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The system would not.
    pub fn io(what: &str, error: io::Error) -> Self {
        Self { source: Some(Box::new(error)), ..Self::new(Code::Io, format!("cannot {what}")) }
    }

    /// What cannot happen, has.
    pub fn bug(error: impl Error + Send + Sync + 'static) -> Self {
        Self { source: Some(Box::new(error)), ..Self::new(Code::InternalBug, "internal error") }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|error| error as _)
    }
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire<'a> {
            schema: &'static str,
            code: &'static str,
            message: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            hint: Option<&'a str>,
        }
        let hint = self.hint.as_deref();
        Wire { schema: "toolgate.error/1", code: self.code.as_str(), message: self.to_string(), hint }
            .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_its_causes_once() {
        let failure = Failure::io("write x", io::Error::other("disk full"));
        assert_eq!(failure.to_string(), "cannot write x: disk full");
        assert_eq!(failure.code.exit(), 1);
    }
}
