//! What the calling commands are given alike: the arguments of a tool, and who says yes where a person has to.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value};

use super::Context;
use super::asked::Person;
use crate::config::Config;
use crate::ui::Failure;
use crate::wire::Approver;
use gate::Code;
use mcp::view;

/// The arguments of a tool.
#[derive(Debug, Args, Default)]
pub struct Given {
    /// Its arguments, one JSON object; `-` reads them from standard input, `@FILE` from a file.
    #[arg(long, value_name = "JSON", conflicts_with = "arg")]
    args: Option<String>,
    /// One argument; the value is JSON, or else a literal string. May be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    arg: Vec<String>,
}

impl Given {
    /// The arguments as raw JSON text, so that numbers reach the server as they were typed.
    ///
    /// # Errors
    /// No JSON object, a file that cannot be read, a pair without `=`.
    pub fn text(&self) -> Result<String, Failure> {
        let Some(text) = &self.args else { return Ok(Value::Object(pairs(&self.arg)?).to_string()) };
        let text = match text.strip_prefix('@') {
            Some(path) => std::fs::read_to_string(path).map_err(|error| Failure::io(&format!("read {path}"), error))?,
            None if text == "-" => stdin()?,
            None => text.clone(),
        };
        if text.trim().is_empty() {
            return Ok("{}".to_owned());
        }
        match view::members(text.trim()) {
            Ok(_) => Ok(text.trim().to_owned()),
            Err(flaw) => Err(Failure::new(Code::ArgsInvalid, format!("`--args`: {flaw}"))
                .hint("give one JSON object, such as `--args '{\"path\": \"/tmp\"}'`, or use `--arg KEY=VALUE`")),
        }
    }
}

fn stdin() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| Failure::io("read standard input", error))?;
    Ok(text)
}

/// `KEY=VALUE` pairs as an object; a value is JSON, or else a literal string.
///
/// # Errors
/// A pair without `=`.
pub fn pairs(pairs: &[String]) -> Result<Map<String, Value>, Failure> {
    let value = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
    pairs.iter().map(|pair| split(pair).map(|(key, text)| (key.to_owned(), value(text)))).collect()
}

/// `KEY=VALUE` pairs as an object of strings.
///
/// # Errors
/// A pair without `=`.
pub fn texts(pairs: &[String]) -> Result<Map<String, Value>, Failure> {
    pairs.iter().map(|pair| split(pair).map(|(key, text)| (key.to_owned(), text.into()))).collect()
}

fn split(pair: &str) -> Result<(&str, &str), Failure> {
    pair.split_once('=').ok_or_else(|| Failure::new(Code::Usage, format!("`--arg {pair}` is not KEY=VALUE")))
}

/// Who says yes to a call that needs a person.
#[derive(Debug, Args, Default)]
pub struct Consent {
    /// Approve what needs a person: asks at the terminal, or proves the approver by `--secret-file`.
    #[arg(long)]
    approve: bool,
    /// A file with the approver's secret, instead of asking at the terminal.
    #[arg(long, value_name = "FILE", requires = "approve")]
    secret_file: Option<PathBuf>,
    /// How long to wait for an approval from elsewhere when there is no terminal, in seconds [default:
    /// `approvals.timeout_sec` where it is set, else not at all].
    #[arg(long, value_name = "SECONDS", conflicts_with = "approve")]
    wait: Option<u64>,
}

impl Consent {
    /// Who is asked: whoever wants it approved, or else whoever watches the terminal; and how long others have.
    ///
    /// # Errors
    /// When the secret is wrong, or there is nobody who could approve.
    pub fn given(&self, config: &Config, cx: &Context) -> Result<(Option<Person>, Approver), Failure> {
        let person = self.person(cx)?;
        let approver = if person.is_some() { Approver::Terminal } else { Approver::Elsewhere(self.patience(config)) };
        Ok((person, approver))
    }

    fn person(&self, cx: &Context) -> Result<Option<Person>, Failure> {
        if self.approve {
            return Person::who_approves(cx, self.secret_file.as_deref()).map(Some);
        }
        let watched = self.wait.is_none() && std::io::stderr().is_terminal();
        Ok(if watched { Person::at_terminal(cx) } else { None })
    }

    fn patience(&self, config: &Config) -> Duration {
        let written = config.approvals.timeout_written.then_some(config.approvals.timeout);
        self.wait.map(Duration::from_secs).or(written).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: Option<&str>, arg: &[&str], want: &str) {
        let given = Given { args: raw.map(str::to_owned), arg: arg.iter().map(|a| (*a).to_owned()).collect() };
        assert_eq!(given.text().unwrap_or_else(|failure| failure.to_string()), want);
    }

    #[test]
    fn arguments_reach_the_server_as_they_were_typed() {
        check(None, &[], "{}");
        check(
            Some(r#" {"n": 1.10, "big": 18446744073709551617} "#),
            &[],
            r#"{"n": 1.10, "big": 18446744073709551617}"#,
        );
        check(None, &["a=1", "b=x y", "c=[true]"], r#"{"a":1,"b":"x y","c":[true]}"#);
        check(Some("[1]"), &[], "`--args`: not an object");
        check(None, &["a"], "`--arg a` is not KEY=VALUE");
    }

    #[test]
    fn texts_stay_texts() {
        let object = texts(&["n=1".to_owned(), "url=a=b".to_owned()]).map(|object| Value::Object(object).to_string());
        assert_eq!(object.unwrap_or_default(), r#"{"n":"1","url":"a=b"}"#);
    }
}
