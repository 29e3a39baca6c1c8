//! Why a command failed, as people and scripts are told. What may be logged about it is not here.

use std::error::Error;
use std::fmt;
use std::io;

use serde::{Serialize, Serializer};

use gate::Code;

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
    /// The exit status, where it says more than the code's.
    pub exit: Option<u8>,
}

impl Failure {
    /// A failure with nothing behind it.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, source: None, exit: None }
    }

    /// The same with a hint.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same with an exit status of its own.
    pub fn exiting(self, exit: u8) -> Self {
        Self { exit: Some(exit), ..self }
    }

    /// The exit status of a command that fails so.
    pub fn exit(&self) -> u8 {
        self.exit.unwrap_or(self.code.exit())
    }

    /// The same with what is behind it.
    pub fn caused_by(self, source: impl Error + Send + Sync + 'static) -> Self {
        Self { source: Some(Box::new(source)), ..self }
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

impl From<gate::Failure> for Failure {
    fn from(failure: gate::Failure) -> Self {
        Self { hint: failure.hint(), ..Self::new(failure.code(), failure.to_string()) }
    }
}

impl From<gate::Refusal> for Failure {
    fn from(refusal: gate::Refusal) -> Self {
        gate::Failure::from(refusal).into()
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
