//! The layers a configuration is made of: the user's files and command line, what a project brings, and managed files
//! beside them. Reading them, not deciding: what came with a project is believed by nobody here. No `.env` is read.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::env::Env;
use super::json_layer;
use super::managed_files::{self, ManagedFile, Unread};
use super::node::{self, Node, Table, Value};
use super::place::{Place, Problem, Source};
use super::profile;
use super::project::Project;
use super::types::ProjectTrust;

/// What is to be read.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// `$CODEX_HOME`.
    pub home: &'a Path,
    /// A file in place of the one of its layer.
    pub instead: Option<(Source, &'a Path)>,
    /// `KEY=VALUE` of the command line.
    pub overrides: &'a [String],
    /// The profile that is laid on the files.
    pub profile: Option<&'a str>,
    /// Whether the project around the workspace is looked at too.
    pub project: bool,
    /// Where to work; the working directory, if nothing is said.
    pub workspace: Option<&'a Path>,
    /// The environment.
    pub env: &'a Env,
}

impl Asked<'_> {
    fn file(&self, source: Source) -> PathBuf {
        let instead = self.instead.filter(|(replaced, _)| *replaced == source).map(|(_, path)| path.to_owned());
        instead.or_else(|| source.file(self.home)).expect("only layers that are one file are asked for")
    }
}

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
    /// The project that brings layers, if one does.
    pub(super) project: Option<ProjectTrust>,
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
    /// Whether others can read its file.
    pub(super) readable: bool,
}

/// What was asked for on the command line cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayersError {
    /// A `-c` argument that is not `KEY=VALUE`.
    #[error("`-c {argument}` is not of the form KEY=VALUE")]
    Override {
        /// The argument up to where it might hold a secret.
        argument: String,
    },
    /// A profile that nobody wrote.
    #[error("there is no profile `{}`: neither {} nor `[profiles.{}]` in config.toml", name.escape_debug(), file.display(), name.escape_debug())]
    Profile {
        /// Its name.
        name: String,
        /// The file it would be in.
        file: PathBuf,
    },
}

impl LayersError {
    /// What would help.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Override { .. } => "write it like `-c mcp_servers.NAME.command=\"CMD\"`",
            Self::Profile { .. } => "write its servers into one of these, as `[mcp_servers.NAME]` in the file",
        }
    }
}

impl Layers {
    /// Reads the user's own files under `home` (a missing one is an empty one, an unreadable one a problem of its
    /// layer), the managed ones, and the `KEY=VALUE` overrides. Looks at no project.
    ///
    /// # Errors
    /// An override without a key or without `=`.
    pub fn read(home: &Path, overrides: &[String], env: &Env) -> Result<Self, LayersError> {
        Self::read_asked(&Asked { home, instead: None, overrides, profile: None, project: false, workspace: None, env })
    }

    /// Reads all that is asked for.
    ///
    /// # Errors
    /// An override without a key or without `=`; a profile that is not there.
    pub fn read_asked(asked: &Asked<'_>) -> Result<Self, LayersError> {
        let here = || std::env::current_dir().unwrap_or_default();
        let workspace = asked.workspace.map_or_else(here, Path::to_owned);
        let sources = [Source::Json, Source::Codex, Source::Toolgate];
        let mut files: Vec<_> = sources.iter().map(|source| asked.file(*source)).collect();
        let users: Vec<_> = sources.into_iter().zip(&files).map(|(source, path)| guarded(source, path)).collect();
        let profile = asked.profile.map(|name| profile::read(name, asked.home, &users[1])).transpose()?;
        let project = match asked.project {
            true => Project::read(&workspace, asked.home, asked.env, &users[1]),
            false => Project::default(),
        };
        let mut layers = project.layers;
        layers.extend(users);
        if let Some(profile) = profile {
            layers.extend(profile.layers);
            files.push(profile.file);
        }
        layers.push(command_line(asked.overrides)?);
        files.extend(project.files);
        files.extend(managed_files::looked_for(asked.env).map(|(path, ..)| path));
        let managed = managed_files::read(asked.env);
        Ok(Self { home: asked.home.to_owned(), workspace, layers, managed, files, project: project.trust })
    }

    /// What Codex would see of them: its own file, within its own managed files.
    pub fn as_codex(mut self) -> Self {
        self.layers.retain(|layer| layer.source == Source::Codex);
        self.managed.retain(|file| file.dialect == managed_files::Dialect::Codex);
        self
    }

    /// The same from texts instead of files.
    ///
    /// # Errors
    /// An override without a key or without `=`.
    #[cfg(test)]
    pub(super) fn from_texts(config: &str, toolgate: &str, overrides: &[&str]) -> Result<Self, LayersError> {
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
            project: None,
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

/// Reads a file that the user alone should be able to write.
pub(super) fn guarded(source: Source, path: &Path) -> Layer {
    let readable = std::fs::metadata(path).is_ok_and(|found| found.mode() & 0o044 != 0);
    Layer { readable, ..file(source, &path.into(), managed_files::read_guarded(path, false)) }
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
    let read = if source == Source::Json { json_layer::parse } else { node::from_toml };
    let (table, problems) = read(path, &text);
    Layer { source, table, problems: problem.into_iter().chain(problems).collect(), open, readable: false }
}

fn command_line(overrides: &[String]) -> Result<Layer, LayersError> {
    let mut table = Table::new();
    for argument in overrides {
        node::merge(&mut table, parse_override(argument)?);
    }
    Ok(Layer { source: Source::Override, table, problems: Vec::new(), open: false, readable: false })
}

fn parse_override(argument: &str) -> Result<Table, LayersError> {
    let refused = || LayersError::Override { argument: argument.split('=').next().unwrap_or_default().to_owned() };
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
