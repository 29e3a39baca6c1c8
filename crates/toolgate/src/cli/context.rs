//! What every command is given: the environment, the printer, and the configuration on demand.

use std::path::{Path, PathBuf};

use crate::config::{
    Asked, Config, Env, Layers, LayersError, Problem, ProjectTrust, RefError, ServerError, Source, VaultError,
    WriteError, resolve, similar,
};
use crate::ui::{Failure, Look, Ui};
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
    profile: Option<String>,
}

impl Context {
    /// Finds the home.
    ///
    /// # Errors
    /// When neither `--home`, `CODEX_HOME` nor `HOME` says where it is.
    pub fn new(
        env: Env,
        ui: Ui,
        home: Option<PathBuf>,
        overrides: Vec<String>,
        profile: Option<String>,
    ) -> Result<Self, Failure> {
        let home = home.and_then(|home| std::path::absolute(home).ok()).or_else(|| env.codex_home());
        let Some(home) = home else {
            return Err(Failure::new(Code::ConfigInvalid, "neither CODEX_HOME nor HOME is set"));
        };
        // Whatever looks for the home in the environment finds the same.
        let env = if env.codex_home().as_ref() == Some(&home) { env } else { env.with("CODEX_HOME", &home) };
        Ok(Self { env, ui, home, overrides, profile })
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
        Ok(resolve(Layers::read_asked(&self.asked())?, &self.env))
    }

    /// The files alone, layer by layer, for a command that edits them.
    ///
    /// # Errors
    /// As [`Context::files`].
    pub fn layers(&self) -> Result<Layers, Failure> {
        Ok(Layers::read_asked(&Asked { overrides: &[], profile: None, ..self.asked() })?)
    }

    /// All that was written, before anything is decided.
    ///
    /// # Errors
    /// As [`Context::config`].
    pub fn all_layers(&self) -> Result<Layers, Failure> {
        Ok(Layers::read_asked(&self.asked())?)
    }

    /// Reads the files alone, without what the command line says, for a command that edits them.
    ///
    /// # Errors
    /// None as of now: what is wrong in a file is part of the answer.
    pub fn files(&self) -> Result<Config, Failure> {
        self.files_at(None)
    }

    /// The same as a gate would read them that is started in `workspace`.
    ///
    /// # Errors
    /// As [`Context::files`].
    pub fn files_at(&self, workspace: Option<&Path>) -> Result<Config, Failure> {
        let asked = Asked { overrides: &[], profile: None, workspace, ..self.asked() };
        Ok(resolve(Layers::read_asked(&asked)?, &self.env))
    }

    /// Reads the files with another one in place of toolgate.toml, for a command that compares.
    ///
    /// # Errors
    /// As [`Context::instead_of`].
    pub fn instead_of_own(&self, path: &Path) -> Result<Config, Failure> {
        self.instead_of(Source::Toolgate, path)
    }

    /// Reads the files with another one in place of that of a layer.
    ///
    /// # Errors
    /// When there is no such file, and as [`Context::config`].
    pub fn instead_of(&self, layer: Source, path: &Path) -> Result<Config, Failure> {
        std::fs::metadata(path).map_err(|error| Failure::io(&format!("read {}", path.display()), error))?;
        let asked = Asked { instead: Some((layer, path)), ..self.asked() };
        Ok(resolve(Layers::read_asked(&asked)?, &self.env))
    }

    fn asked(&self) -> Asked<'_> {
        Asked {
            home: &self.home,
            instead: None,
            overrides: &self.overrides,
            profile: self.profile.as_deref(),
            project: true,
            workspace: None,
            env: &self.env,
        }
    }

    /// Reads the configuration again as [`Context::config`] does, and prints nothing; for later, on any thread.
    pub fn reader(&self) -> impl Fn() -> Result<Config, Failure> + Send + Sync + 'static {
        let ui = Ui::on(Look::default(), Box::new(std::io::sink()), Box::new(std::io::sink()));
        let (env, home, overrides) = (self.env.clone(), self.home.clone(), self.overrides.clone());
        let again = Self { env, ui, home, overrides, profile: self.profile.clone() };
        move || again.read()
    }

    fn warn(&self, config: &Config) {
        for problem in config.broken.iter().map(|broken| &broken.problem).chain(&config.warnings) {
            self.ui.warning(&problem.to_string(), problem.hint.as_deref());
        }
        for bad in &config.bad {
            self.ui.warning(&bad.to_string(), bad.problem.hint.as_deref());
        }
        for project in config.trust.iter().filter(|project| !project.trusted) {
            self.warn_of(project, config);
        }
    }

    fn warn_of(&self, project: &ProjectTrust, config: &Config) {
        let servers = config.servers.values().filter(|server| server.origin.source == Source::Project).count();
        if servers > 0 {
            let s = if servers == 1 { "" } else { "s" };
            let text = format!("{} brings {servers} MCP server{s} and is not trusted", project.root.display());
            self.ui.warning(&text, Some("see what they are with `toolgate config trust`, which asks before it trusts"));
        }
    }
}

impl From<LayersError> for Failure {
    fn from(error: LayersError) -> Self {
        Self::new(Code::Usage, error.to_string()).hint(error.hint())
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        let (code, hint) = match &error {
            VaultError::Name(_) => (Code::ArgsInvalid, None),
            other => (Code::Io, other.hint()),
        };
        Self { hint, ..Self::new(code, error.to_string()) }
    }
}

impl From<RefError> for Failure {
    fn from(error: RefError) -> Self {
        let code = match error {
            RefError::Unset { .. } | RefError::NotKept { .. } => Code::UpstreamAuthRequired,
            _ => Code::ConfigInvalid,
        };
        Self::new(code, error.to_string()).hint(error.hint())
    }
}

/// The failure of a command that was given a name nobody has.
pub fn unknown_server(name: &str, config: &Config) -> Failure {
    let failure = Failure::new(Code::ServerUnknown, format!("No MCP server named '{name}' found."));
    match similar_server(name, config) {
        Some(meant) => failure.hint(format!("{meant} {}", looked_in(config))),
        None => failure.hint(looked_in(config)),
    }
}

/// A question for the server that was meant by `name`, if one is called nearly so.
pub fn similar_server(name: &str, config: &Config) -> Option<String> {
    let names = config.servers.keys().map(String::as_str).chain(config.bad.iter().map(|bad| bad.name.as_str()));
    similar(name, names)
}

/// Where servers may stand. Managed files only bound what others name.
fn looked_in(config: &Config) -> String {
    let managed = |path: &PathBuf| path.file_name().is_some_and(|name| name == "requirements.toml");
    let there = config.files.iter().filter(|path| !managed(path) && path.exists());
    let mut places: Vec<_> = there.map(|path| path.display().to_string()).collect();
    if places.is_empty() {
        places.push(format!("{} (no file is there yet)", config.home.display()));
    }
    format!("looked in {} and `-c`", places.join(", "))
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
            changed @ WriteError::Changed { .. } => Self::new(Code::Io, changed.to_string()).hint("run this again"),
            WriteError::Io { what, path, source } => Self::io(&format!("{what} {}", path.display()), source),
        }
    }
}
