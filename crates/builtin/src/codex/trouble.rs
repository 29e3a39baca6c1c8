//! What went wrong with a run, in the words that codex-mcp-server promises, and what to do about it with the CLI that
//! is installed. Not here: how a run is followed.

use super::cli::{Cli, NoCli};
use crate::child::{Ending, NotRun};
use sandbox::ExitKind;
use std::time::Duration;

/// The longest piece of Codex's own words in an error.
const QUOTE_MAX: usize = 2_000;

/// A run without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setback {
    /// Why there is none.
    pub why: Trouble,
    /// The thread, if it had begun.
    pub thread: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// No CLI.
    NoCli(String),
    /// Nobody is logged in.
    Auth(String),
    /// The variable with the key of the configured provider is not set.
    NoKey {
        /// Which variable, as Codex names it.
        variable: String,
        /// Codex's words.
        said: String,
    },
    /// There is no such model, for this user.
    Model {
        /// Which.
        model: String,
        /// Codex's words.
        said: String,
    },
    /// Too much was asked for.
    Quota(String),
    /// Nobody could be reached.
    Network(String),
    /// The thread to resume is not there.
    NoThread(String),
    /// It took too long.
    Overdue {
        /// Longer than this.
        limit: Duration,
        /// What Codex had to complain of last, if anything.
        said: String,
    },
    /// Something else.
    Failed(String),
    /// Too many calls wait.
    Busy(usize),
    /// The caller is gone, or we are stopping.
    Stopped,
    /// What was asked for is not to be had.
    Refused(String),
}

impl Trouble {
    /// What a run that ended like this means; `said` is what it said, `model` which model was asked for.
    pub fn of(ending: Ending, said: &str, model: Option<&str>, limit: Duration) -> Self {
        match ending {
            Ending::Overdue => return Self::Overdue { limit, said: quote(said) },
            Ending::Stopped => return Self::Stopped,
            Ending::NotStarted(errno) => {
                return Self::NoCli(format!("it cannot be started: {}", std::io::Error::from_raw_os_error(errno)));
            }
            Ending::NotConfined(step, _) => return Self::NoCli(format!("its sandbox could not be built: {step}")),
            Ending::Exited(_) | Ending::Filled | Ending::Lost => {}
        }
        let quote = quote(said);
        let low = said.to_lowercase();
        let has = |needles: &[&str]| needles.iter().any(|needle| low.contains(needle));
        if has(&["no rollout found", "no saved session found", "session not found", "thread not found"]) {
            Self::NoThread(quote)
        } else if let Some(variable) = missing_variable(said) {
            Self::NoKey { variable, said: quote }
        } else if has(&[
            "401 unauthorized",
            "not logged in",
            "not signed in",
            "invalid api key",
            "incorrect api key",
            "codex login",
        ]) {
            Self::Auth(quote)
        } else if low.contains("model") && has(&["does not exist", "not found", "not supported", "model_not_found"]) {
            Self::Model { model: model.unwrap_or("Codex's default").to_owned(), said: quote }
        } else if has(&["429", "rate limit", "usage limit", "quota"]) {
            Self::Quota(quote)
        } else if has(&[
            "waiting for network",
            "error sending request",
            "connection refused",
            "dns error",
            "stream disconnected",
        ]) {
            Self::Network(quote)
        } else {
            Self::Failed(if quote.is_empty() { ending.to_string() } else { format!("{ending}: {quote}") })
        }
    }

    /// For the model, and whoever looks over its shoulder.
    pub fn text(&self, cli: Option<&Cli>) -> String {
        match self {
            Self::NoCli(why) => format!(
                "Failed to execute codex command: {why}. Install the Codex CLI (`npm install -g @openai/codex`), or say \
                 where it is with CODEX_BIN."
            ),
            Self::Auth(said) => format!(
                "Authentication failed: Please run `codex login`{}. Codex said: {said}",
                cli.map(login).unwrap_or_default()
            ),
            Self::NoKey { variable, said } => format!(
                "Authentication failed: the key of the configured model provider is not there. Set {variable} where this \
                 server is started (in most clients: `env` of its entry), or configure another provider in config.toml. \
                 Codex said: {said}"
            ),
            Self::Model { model, said } => format!("Invalid model: {model}. Codex said: {said}"),
            Self::Quota(said) => {
                format!(
                    "Failed to execute codex command: a limit of the account is reached; try again later. Codex said: {said}"
                )
            }
            Self::Network(said) => format!(
                "Failed to execute codex command: the model could not be reached; check the network, and the proxy \
                 variables. Codex said: {said}"
            ),
            Self::NoThread(said) => {
                format!("Failed to execute codex command: the conversation is gone. Codex said: {said}")
            }
            Self::Overdue { limit, said } => format!(
                "Failed to execute codex command: it took longer than {} s and was ended (`timeout_sec` of `[codex]`, \
                 CODEX_TOOL_TIMEOUT_MS){}",
                limit.as_secs_f64(),
                if said.is_empty() { String::new() } else { format!(". The last that Codex said: {said}") }
            ),
            Self::Failed(why) => format!("Failed to execute codex command: {why}"),
            Self::Busy(waiting) => {
                format!("Failed to execute codex command: {waiting} calls wait already; try again when some have ended")
            }
            Self::Stopped => "Failed to execute codex command: it was stopped".to_owned(),
            Self::Refused(why) => why.clone(),
        }
    }
}

/// The variable that a provider's `env_key` names and nobody has set.
fn missing_variable(said: &str) -> Option<String> {
    let (_, rest) = said.rsplit_once("Missing environment variable: ")?;
    let name = rest.trim_start_matches('`').split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// How one logs in with this version.
fn login(cli: &Cli) -> String {
    let minor = cli.version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    match minor {
        // The key as an argument was taken away in favour of standard input.
        Some(minor) if minor >= 50 => {
            " (with an API key: `printenv OPENAI_API_KEY | codex login --with-api-key`)".to_owned()
        }
        _ => " (with an API key: `codex login --api-key KEY`)".to_owned(),
    }
}

/// The end of what was said: that is where reasons stand.
fn quote(said: &str) -> String {
    let said = said.trim();
    let length = said.chars().count();
    match length > QUOTE_MAX {
        true => format!("…{}", said.chars().skip(length - QUOTE_MAX).collect::<String>()),
        false => said.to_owned(),
    }
}

impl From<Trouble> for Setback {
    fn from(why: Trouble) -> Self {
        Self { why, thread: None }
    }
}

impl From<NotRun> for Setback {
    fn from(why: NotRun) -> Self {
        Trouble::from(why).into()
    }
}

impl From<NoCli> for Trouble {
    fn from(why: NoCli) -> Self {
        Self::NoCli(why.to_string())
    }
}

impl From<NotRun> for Trouble {
    fn from(why: NotRun) -> Self {
        match why {
            NotRun::Stopping => Self::Stopped,
            why => Self::Failed(why.to_string()),
        }
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(ExitKind::Code(code)) => write!(f, "it exited with code {code}"),
            Self::Exited(ExitKind::Signal(signal)) => write!(f, "it was ended by signal {signal}"),
            Self::Overdue => f.write_str("it took too long"),
            Self::Stopped => f.write_str("it was stopped"),
            Self::Filled => f.write_str("it left too little of the disk"),
            Self::NotStarted(errno) => write!(f, "it was not started ({})", std::io::Error::from_raw_os_error(*errno)),
            Self::NotConfined(step, _) => write!(f, "its sandbox could not be built: {step}"),
            Self::Lost => f.write_str("how it ended is not known"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: &str, expected: &str) {
        let trouble = Trouble::of(Ending::Exited(ExitKind::Code(1)), said, Some("m-1"), Duration::from_secs(1));
        let text = trouble.text(None);
        assert!(text.starts_with(expected), "{said}: {text}");
    }

    #[test]
    fn each_failure_has_its_text() {
        check(
            "unexpected status 401 Unauthorized: bad key, url: http://x",
            "Authentication failed: Please run `codex login`",
        );
        check("Error: Not logged in", "Authentication failed: Please run `codex login`");
        check(
            "Missing environment variable: `SOME_KEY`. Get one.",
            "Authentication failed: the key of the configured model provider is not there. Set SOME_KEY where",
        );
        check("The model `m-1` does not exist", "Invalid model: m-1.");
        check("exceeded retry limit, last status: 429 Too Many Requests", "Failed to execute codex command: a limit");
        check("Reconnecting... waiting for network", "Failed to execute codex command: the model could not be reached");
        check(
            "thread/resume failed: no rollout found for thread id 0",
            "Failed to execute codex command: the conversation",
        );
        check("", "Failed to execute codex command: it exited with code 1");
        check("boom", "Failed to execute codex command: it exited with code 1: boom");
    }

    #[test]
    fn a_run_that_took_too_long_says_what_it_waited_for() {
        let text = |said| Trouble::of(Ending::Overdue, said, None, Duration::from_millis(1500)).text(None);
        assert!(text("").ends_with("CODEX_TOOL_TIMEOUT_MS)"), "{}", text(""));
        assert!(text("Reconnecting... waiting for network").ends_with("said: Reconnecting... waiting for network"));
    }

    #[test]
    fn the_command_that_works_for_the_version_is_named() {
        let cli = |version: &str| Cli { program: "codex".into(), version: version.into(), can: Default::default() };
        let text = |version| Trouble::Auth("x".into()).text(Some(&cli(version)));
        assert!(text("0.169.0").contains("--with-api-key"));
        assert!(text("0.39.0").contains("--api-key KEY"));
    }
}
