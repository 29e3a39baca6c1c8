//! What every command is given: the environment, the printer, and the configuration on demand.

use std::path::{Path, PathBuf};

use crate::config::{Config, Env, Layers, OverrideError, Problem, ServerError, WriteError, resolve, similar};
use crate::ui::{Failure, Ui};
use gate::Code;

/// What every command is given.
pub struct Context {
    /// The environment toolgate was started with.
    pub env: Env,
    /// The printer.
    pub ui: Ui,
    /// `$CODEX_HOME`, absolute; it may not exist yet.
    pub home: PathBuf,
    overrides: Vec<String>,
}

impl Context {
    /// Finds the home.
    ///
    /// # Errors
    /// When neither `--home`, `CODEX_HOME` nor `HOME` says where it is.
    pub fn new(env: Env, ui: Ui, home: Option<PathBuf>, overrides: Vec<String>) -> Result<Self, Failure> {
        let home = home.and_then(|home| std::path::absolute(home).ok()).or_else(|| env.codex_home());
        let Some(home) = home else {
            return Err(Failure::new(Code::ConfigInvalid, "neither CODEX_HOME nor HOME is set"));
        };
        Ok(Self { env, ui, home, overrides })
    }

    /// Reads the configuration with its overrides and warns of all that is wrong in it.
    ///
    /// # Errors
    /// An override that is not `KEY=VALUE`. What is wrong in a file is a warning here; a command that runs
    /// tools asks [`Config::sound`] too.
    pub fn config(&self) -> Result<Config, Failure> {
        let config = self.read()?;
        self.warn(&config);
        Ok(config)
    }

    /// The same without a word about what is wrong, for whoever reads it again.
    ///
    /// # Errors
    /// As [`Context::config`].
    pub fn read(&self) -> Result<Config, Failure> {
        self.read_with(&self.overrides)
    }

    /// Reads the files alone, for a command that edits them.
    ///
    /// # Errors
    /// As [`Context::config`].
    pub fn files(&self) -> Result<Config, Failure> {
        self.read_with(&[])
    }

    /// Reads the files with another one in place of toolgate.toml, for a command that compares.
    ///
    /// # Errors
    /// When there is no such file, and as [`Context::config`].
    pub fn instead_of_own(&self, path: &Path) -> Result<Config, Failure> {
        std::fs::metadata(path).map_err(|error| Failure::io(&format!("read {}", path.display()), error))?;
        let layers = Layers::read_with(&self.home, path, &self.overrides, &self.env).map_err(not_key_value)?;
        Ok(resolve(layers, &self.env))
    }

    /// The files alone, layer by layer, for a command that edits them.
    ///
    /// # Errors
    /// As [`Context::config`].
    pub fn layers(&self) -> Result<Layers, Failure> {
        Layers::read(&self.home, &[], &self.env).map_err(not_key_value)
    }

    fn read_with(&self, overrides: &[String]) -> Result<Config, Failure> {
        let layers = Layers::read(&self.home, overrides, &self.env).map_err(not_key_value)?;
        Ok(resolve(layers, &self.env))
    }

    fn warn(&self, config: &Config) {
        for problem in config.broken.iter().map(|broken| &broken.problem).chain(&config.warnings) {
            self.ui.warning(&problem.to_string(), problem.hint.as_deref());
        }
        for bad in &config.bad {
            self.ui.warning(&bad.to_string(), bad.problem.hint.as_deref());
        }
    }
}

fn not_key_value(error: OverrideError) -> Failure {
    Failure::new(Code::Usage, error.to_string()).hint("write it like `-c mcp_servers.NAME.command=\"CMD\"`")
}

/// The failure of a command that was given a name nobody has.
pub fn unknown_server(name: &str, config: &Config) -> Failure {
    let failure = Failure::new(Code::ServerUnknown, format!("No MCP server named '{name}' found."));
    let names = config.servers.keys().map(String::as_str).chain(config.bad.iter().map(|bad| bad.name.as_str()));
    match similar(name, names) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self { hint: problem.hint.clone(), ..Self::new(Code::ConfigInvalid, problem.to_string()) }
    }
}

impl From<&ServerError> for Failure {
    fn from(error: &ServerError) -> Self {
        Self { hint: error.problem.hint.clone(), ..Self::new(Code::ConfigInvalid, error.to_string()) }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Text(problem) => problem.into(),
            WriteError::Io { what, path, source } => Self::io(&format!("{what} {}", path.display()), source),
        }
    }
}
