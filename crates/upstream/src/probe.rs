//! Asking a server for what nobody has, to see whether it says so. What is asked for is made up and fixed, so nothing of
//! what the server lists is run; that takes a permit.

use crate::session::error_code;
use mcp::revision::code;
use mcp::{Frame, Kind};
use std::fmt;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// A method that no protocol has.
    Method,
    /// A tool that no server lists.
    Tool,
}

/// A tool that no server lists.
pub(crate) const NO_TOOL: &str = "toolgate_no_such_tool";

impl Probe {
    /// The method, and the members of its parameters.
    pub(crate) fn request(self) -> (&'static str, String) {
        match self {
            Self::Method => ("toolgate/no-such-method", String::new()),
            Self::Tool => ("tools/call", format!(r#""name":"{NO_TOOL}","arguments":{{}}"#)),
        }
    }
}

/// What a server said to a [`Probe`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probed {
    /// A JSON-RPC error of this code.
    Error(i64),
    /// A result that calls itself an error.
    ToolError,
    /// A result, as if there were such a thing.
    Result,
}

impl Probed {
    pub(crate) fn of(frame: &Frame) -> Self {
        match (frame.kind(), error_code(frame)) {
            (Kind::Error, code) => Self::Error(code.unwrap_or_default()),
            _ if frame.get("isError") == Some("true") => Self::ToolError,
            _ => Self::Result,
        }
    }

    /// Whether that is what the protocol wants said.
    pub fn is_right(self, probe: Probe) -> bool {
        match probe {
            Probe::Method => self == Self::Error(code::METHOD_NOT_FOUND),
            Probe::Tool => matches!(self, Self::Error(code::INVALID_PARAMS) | Self::ToolError),
        }
    }
}

impl fmt::Display for Probed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(code) => write!(f, "answered with the error {code}"),
            Self::ToolError => f.write_str("answered with a result that is an error"),
            Self::Result => f.write_str("answered as if there were such a thing"),
        }
    }
}
