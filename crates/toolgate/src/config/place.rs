//! Where a setting was written, and what went wrong there.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a setting was written. Prints as `file:line:col`, `-c KEY` or `file#/json/pointer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a file; line and column count from 1, the column in characters.
    File {
        /// The file, absolute when the home is.
        path: Arc<Path>,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
    },
    /// In a JSON document, by its JSON pointer.
    Json {
        /// What was read: a path, `-` or `argument`.
        document: Arc<str>,
        /// RFC 6901 pointer, empty for the whole document.
        pointer: String,
    },
    /// On the command line, as `-c KEY=...`.
    Override {
        /// The dotted key.
        key: String,
    },
}

impl Place {
    /// The file this place is in, if it is in one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } => Some(path),
            Self::Json { .. } | Self::Override { .. } => None,
        }
    }

    /// The place that prints as `text`: rules carry theirs as people are told it.
    pub(super) fn parse(text: &str) -> Self {
        let file = |text: &str| {
            let (rest, column) = text.rsplit_once(':')?;
            let (path, line) = rest.rsplit_once(':')?;
            Some(Self::File { path: Path::new(path).into(), line: line.parse().ok()?, column: column.parse().ok()? })
        };
        let key = text.strip_prefix("-c ").unwrap_or(text);
        file(text).unwrap_or_else(|| Self::Override { key: key.to_owned() })
    }

    /// The place of byte `offset` of a file with this text.
    pub(super) fn at(path: &Arc<Path>, text: &str, offset: usize) -> Self {
        let before = &text[..text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        Self::File {
            path: Arc::clone(path),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// The place of a key inside this one: only a JSON document tells them apart here.
    pub(super) fn inside(&self, key: &str) -> Self {
        match self {
            Self::Json { document, pointer } => Self::Json {
                document: Arc::clone(document),
                pointer: format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
            },
            other => other.clone(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Json { document, pointer } => write!(f, "{document}#{pointer}"),
            Self::Override { key } => write!(f, "-c {key}"),
        }
    }
}

/// The file that Codex reads too.
pub(super) const CODEXS: &str = "config.toml";

/// The file that toolgate alone reads.
pub(super) const OWN: &str = "toolgate.toml";

/// The file that older programs keep servers in.
pub(super) const JSON: &str = "config.json";

/// Which layer a setting came from; a later one wins over an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A file of the project that toolgate was started in: it came with what somebody cloned.
    Project,
    /// `$CODEX_HOME/config.json`.
    Json,
    /// `$CODEX_HOME/config.toml`, which Codex reads too.
    Codex,
    /// `$CODEX_HOME/toolgate.toml`, read by toolgate alone.
    Toolgate,
    /// What `--profile NAME` adds: `$CODEX_HOME/NAME.config.toml` and `[profiles.NAME]` of `config.toml`.
    Profile,
    /// `-c KEY=VALUE` on the command line.
    Override,
    /// A managed file: bounds what all others say.
    Managed,
}

impl Source {
    /// The file of this layer under `home`; none for a layer that is not one file there.
    pub fn file(self, home: &Path) -> Option<PathBuf> {
        match self {
            Self::Codex => Some(home.join(CODEXS)),
            Self::Toolgate => Some(home.join(OWN)),
            Self::Json => Some(home.join(JSON)),
            Self::Project | Self::Profile | Self::Override | Self::Managed => None,
        }
    }

    /// The word that stands for this layer.
    pub fn word(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Json => "json",
            Self::Codex => "codex",
            Self::Toolgate => "toolgate",
            Self::Profile => "profile",
            Self::Override => "override",
            Self::Managed => "managed",
        }
    }
}

/// A mistake at one place: what is wrong, and what would help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, as a lower-case fragment that never quotes a value that may be secret.
    pub message: String,
    /// What would help, when something is known to.
    pub hint: Option<String>,
}

impl Problem {
    pub(super) fn new(place: &Place, message: impl Into<String>) -> Self {
        Self { place: place.clone(), message: message.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The entry of one server cannot be used. It harms no other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: server `{name}`: {message}", place = problem.place, message = problem.message)]
pub struct ServerError {
    /// The server's name.
    pub name: String,
    /// Where and why.
    pub problem: Problem,
}

/// The name out of `known` that `word` most looks like, as a hint.
pub fn similar<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(word, name), name))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| format!("did you mean `{name}`?"))
}

/// Where a server's entry stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// The layer that says how to reach it.
    pub source: Source,
    /// The place of that entry.
    pub place: Place,
    /// Entries of other layers that add settings to it.
    pub added: Vec<Place>,
    /// Entries of the same name in lower layers that are not used at all.
    pub shadowed: Vec<Place>,
}
