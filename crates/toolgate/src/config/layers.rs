//! The layers a configuration is made of: two files and the command line, and managed files beside them. Reading them,
//! not deciding. No file of a project is ever read, nor any `.env`: they come with what somebody cloned.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::env::Env;
use super::managed_files::{self, ManagedFile, Unread};
use super::node::{self, Node, Table, Value};
use super::place::{CODEXS, OWN, Place, Problem, Source};

/// What was written, layer by layer, lowest first.
#[derive(Debug)]
pub struct Layers {
    pub(super) home: PathBuf,
    /// Where toolgate was started.
    pub(super) workspace: PathBuf,
    pub(super) layers: Vec<Layer>,
    /// Not layers: they bound what the layers make.
    pub(super) managed: Vec<ManagedFile>,
    /// Every file that was read or looked for.
    pub(super) files: Vec<PathBuf>,
}

/// One layer.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) source: Source,
    pub(super) table: Table,
    /// Why it could not be read whole. Its table must then not be used.
    pub(super) problems: Vec<Problem>,
    /// Whether the problem is that anybody could have written it.
    pub(super) open: bool,
}

/// A `-c` argument that is not `KEY=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`-c {argument}` is not of the form KEY=VALUE")]
pub struct OverrideError {
    /// The argument up to where it might hold a secret.
    pub argument: String,
}

impl Layers {
    /// Reads the files under `home` (a missing one is an empty one, an unreadable one a problem of its layer), the
    /// managed ones, and the `KEY=VALUE` overrides.
    ///
    /// # Errors
    /// An override without a key or without `=`.
    pub fn read(home: &Path, overrides: &[String], env: &Env) -> Result<Self, OverrideError> {
        Self::read_with(home, &home.join(OWN), overrides, env)
    }

    /// The same with the file `own` in place of toolgate.toml.
    ///
    /// # Errors
    /// As [`Layers::read`].
    pub fn read_with(home: &Path, own: &Path, overrides: &[String], env: &Env) -> Result<Self, OverrideError> {
        let mut files = vec![home.join(CODEXS), own.to_owned()];
        let sources = [Source::Codex, Source::Toolgate];
        let mut layers: Vec<_> = sources.into_iter().zip(&files).map(|(source, path)| guarded(source, path)).collect();
        layers.push(command_line(overrides)?);
        let workspace = std::env::current_dir().unwrap_or_default();
        files.extend(managed_files::looked_for(env).map(|(path, ..)| path));
        Ok(Self { home: home.to_owned(), workspace, layers, managed: managed_files::read(env), files })
    }

    /// The same from texts instead of files.
    ///
    /// # Errors
    /// An override without a key or without `=`.
    #[cfg(test)]
    pub(super) fn from_texts(config: &str, toolgate: &str, overrides: &[&str]) -> Result<Self, OverrideError> {
        let layer = |source: Source, name: &str, text: &str| file(source, &Path::new(name).into(), Ok(text.to_owned()));
        let overrides: Vec<_> = overrides.iter().map(|&text| text.to_owned()).collect();
        let layers = vec![
            layer(Source::Codex, "config.toml", config),
            layer(Source::Toolgate, "toolgate.toml", toolgate),
            command_line(&overrides)?,
        ];
        Ok(Self {
            home: "/home".into(),
            workspace: "/work/here".into(),
            layers,
            managed: Vec::new(),
            files: Vec::new(),
        })
    }

    /// Adds managed files of these texts, the first of them Codex's.
    #[cfg(test)]
    pub(super) fn with_managed(mut self, codex: &str, own: &[&str]) -> Self {
        use super::managed_files::{Dialect, parsed};
        self.managed.push(parsed("codex-requirements.toml".into(), Dialect::Codex, codex));
        let name = |index| format!("requirements-{index}.toml").into();
        let own = own.iter().enumerate().map(|(index, text)| parsed(name(index), Dialect::Toolgate, text));
        self.managed.extend(own);
        self
    }
}

fn guarded(source: Source, path: &Path) -> Layer {
    file(source, &path.into(), managed_files::read_guarded(path, false))
}

fn file(source: Source, path: &Arc<Path>, text: Result<String, Unread>) -> Layer {
    let (text, problem, open) = match text {
        Ok(text) => (text, None, false),
        Err(Unread::Io(error)) if error.kind() == io::ErrorKind::NotFound => (String::new(), None, false),
        Err(Unread::Io(error)) => {
            let problem = Problem::new(&Place::at(path, "", 0), format!("cannot be read: {error}"));
            (String::new(), Some(problem), false)
        }
        Err(Unread::Open(problem)) => (String::new(), Some(*problem), true),
    };
    let (table, problems) = node::from_toml(path, &text);
    Layer { source, table, problems: problem.into_iter().chain(problems).collect(), open }
}

fn command_line(overrides: &[String]) -> Result<Layer, OverrideError> {
    let mut table = Table::new();
    for argument in overrides {
        node::merge(&mut table, parse_override(argument)?);
    }
    Ok(Layer { source: Source::Override, table, problems: Vec::new(), open: false })
}

fn parse_override(argument: &str) -> Result<Table, OverrideError> {
    let refused = || OverrideError { argument: argument.split('=').next().unwrap_or_default().to_owned() };
    let (key, text) = argument.split_once('=').ok_or_else(refused)?;
    let (key, text) = (key.trim(), text.trim());
    let segments = dotted(key);
    if segments.iter().any(String::is_empty) {
        return Err(refused());
    }
    let place = Place::Override { key: key.to_owned() };
    let value = node::from_override(&place, text);
    let leaf = Node { place: place.clone(), value };
    let nested = segments.into_iter().rfold(leaf, |inner, segment| Node {
        place: place.clone(),
        value: Value::Table(Table::from([(segment, inner)])),
    });
    match nested.value {
        Value::Table(table) => Ok(table),
        _ => Err(refused()),
    }
}

/// The segments of a dotted key. Quoted segments may hold dots; a key that TOML would not take is split at
/// its dots, as Codex does, so that `mcp_servers.a/b.command` works unquoted.
pub(super) fn dotted(key: &str) -> Vec<String> {
    match toml_edit::Key::parse(key) {
        Ok(keys) => keys.iter().map(|key| key.get().to_owned()).collect(),
        Err(_) => key.split('.').map(str::to_owned).collect(),
    }
}
