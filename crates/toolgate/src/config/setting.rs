//! One setting of one server, as a person types it: `KEY=VALUE`, and which file it belongs into. Writing is
//! `edit`'s and `write`'s.

use std::sync::Arc;

use super::draft::to_value;
use super::edit::Edit;
use super::json_layer;
use super::layers::{Layers, dotted};
use super::node::{self, Node, Table, Value};
use super::place::{Place, Source, similar};
use super::secret::mask_urls;
use super::server::{self, defines_transport};
use super::settings::mask_args;
use super::write::Change;
use gate::mask::MASK;

/// What a setting of a server is to become.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    path: Vec<String>,
    value: Option<Value>,
}

/// Why a text is no setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// It is not `KEY=VALUE`, or a part of the key is empty.
    #[error("`{key}` is not of the form KEY=VALUE")]
    Shape {
        /// The text up to where it might hold a secret.
        key: String,
    },
    /// No server has such a setting.
    #[error("unknown key `{key}`")]
    Unknown {
        /// The key.
        key: String,
        /// One that looks like it, as a hint.
        hint: Option<String>,
    },
    /// It is a value that no file can hold.
    #[error("`{key}`: no setting is a {kind}")]
    Value {
        /// The key.
        key: String,
        /// What it is.
        kind: &'static str,
    },
}

impl Setting {
    /// Reads `KEY=VALUE`: the key is a dotted path within the server's entry, the value is TOML or else a literal
    /// text; no value at all takes the setting out.
    ///
    /// # Errors
    /// [`SettingError`], which never quotes the value.
    pub fn parse(text: &str) -> Result<Self, SettingError> {
        let key = text.split('=').next().unwrap_or_default().trim();
        let shape = || SettingError::Shape { key: key.to_owned() };
        let (_, value) = text.split_once('=').ok_or_else(shape)?;
        let path = dotted(key);
        if path.iter().any(String::is_empty) {
            return Err(shape());
        }
        if !server::is_known(&path[0]) {
            return Err(SettingError::Unknown { key: key.to_owned(), hint: similar(&path[0], server::keys()) });
        }
        let value = value.trim();
        let value = (!value.is_empty()).then(|| read(&path, value));
        match &value {
            Some(value) if to_value(value).is_none() => {
                Err(SettingError::Value { key: key.to_owned(), kind: value.kind() })
            }
            _ => Ok(Self { path, value }),
        }
    }

    /// A flag at the top of the entry.
    pub fn flag(key: &str, on: bool) -> Self {
        Self { path: vec![key.to_owned()], value: Some(Value::Bool(on)) }
    }

    /// The key as it would be written in a file.
    pub fn key(&self) -> String {
        let segments = self.path.iter().map(|segment| toml_edit::Key::new(segment.as_str()).to_string());
        segments.collect::<Vec<_>>().join(".")
    }

    /// What it becomes, without secrets; nothing when it is taken out.
    pub fn shown(&self) -> Option<String> {
        self.value.as_ref().map(|value| shown(&self.path, value))
    }

    /// The change that makes it so.
    pub fn edit(&self, server: &str) -> Edit {
        let value = self.value.as_ref().and_then(to_value);
        Edit::Set { name: server.to_owned(), path: self.path.clone(), value }
    }

    /// Whether Codex would stumble over it.
    fn is_own(&self) -> bool {
        let Some(value) = &self.value else { return false };
        let node = |value| Node { place: Place::Override { key: String::new() }, value };
        let (key, below) = self.path.split_first().expect("a path is never empty");
        let wrap = |inner, segment: &String| node(Value::Table(Table::from([(segment.clone(), inner)])));
        server::is_own(key, &below.iter().rev().fold(node(value.clone()), wrap))
    }
}

/// Tables whose members are texts, whatever they look like.
const TEXTS: [&str; 4] = ["env", "http_headers", "headers", "env_http_headers"];

fn read(path: &[String], text: &str) -> Value {
    let place = Place::Override { key: String::new() };
    match node::from_override(&place, text) {
        Value::Text(text) => Value::Text(text),
        _ if path.len() == 2 && TEXTS.contains(&path[0].as_str()) => Value::Text(text.to_owned()),
        value => value,
    }
}

/// Settings whose values nobody is shown.
const SECRET: [&str; 5] = ["env", "http_headers", "headers", "http_headers_helper", "bearer_token"];

/// The value as it would be written, with secrets masked.
fn shown(path: &[String], value: &Value) -> String {
    match value {
        Value::Table(table) => {
            let member = |(key, node): (&String, &Node)| {
                let path: Vec<_> = path.iter().chain([key]).cloned().collect();
                format!("{} = {}", toml_edit::Key::new(key.as_str()), shown(&path, &node.value))
            };
            format!("{{ {} }}", table.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        _ if SECRET.contains(&path[0].as_str()) || path.ends_with(&["client_secret".to_owned()]) => MASK.to_owned(),
        Value::Array(items) if path == ["args"] => {
            let mut items = items.clone();
            mask_args(&mut items);
            to_value(&Value::Array(items)).map_or_else(|| MASK.to_owned(), |value| value.to_string())
        }
        value => mask_urls(&to_value(value).map_or_else(|| value.kind().to_owned(), |value| value.to_string())),
    }
}

/// What a command that changes settings asks of the files.
impl Layers {
    /// The file that says how a server is reached, or else one that says anything of it; the topmost of several.
    /// Nothing when no file knows the server.
    pub fn home_of(&self, server: &str) -> Option<(Source, Place)> {
        let entries = self.layers.iter().rev().filter(|layer| layer.source != Source::Override);
        let entries: Vec<_> = entries.filter_map(|layer| Some((layer.source, entry(&layer.table, server)?))).collect();
        let defining = entries.iter().find(|(_, node)| defines_transport(node));
        let (source, node) = defining.or(entries.first())?;
        // What a project says is added to in the user's own file.
        let source = if *source == Source::Project { Source::Toolgate } else { *source };
        Some((source, node.place.clone()))
    }

    /// The files to change so that a setting counts: the one above the entry's own that says it already, or
    /// toolgate's for a setting that Codex does not know, or the entry's own, which is `home`. To take a setting
    /// out, all that have it.
    pub fn targets(&self, server: &str, setting: &Setting, home: Source) -> Vec<Source> {
        let saying = self.layers.iter().filter(|layer| layer.source != Source::Override);
        let saying: Vec<_> = saying
            .filter(|layer| at(&layer.table, server, &setting.path).is_some())
            .map(|layer| layer.source)
            .collect();
        match (&setting.value, saying.iter().rev().find(|source| **source > home)) {
            (None, _) => saying,
            (_, Some(above)) => vec![*above],
            _ if setting.is_own() && home == Source::Codex => vec![Source::Toolgate],
            _ => vec![home],
        }
    }

    /// What the files say of a setting now, without secrets.
    pub fn says(&self, server: &str, setting: &Setting) -> Option<String> {
        let said = self.layers.iter().rev().find_map(|layer| at(&layer.table, server, &setting.path));
        said.map(|node| shown(&setting.path, &node.value))
    }

    /// The same layers with files as they are about to become.
    #[must_use]
    pub fn instead(mut self, changes: &[Change]) -> Self {
        for change in changes {
            for layer in self.layers.iter_mut().filter(|layer| layer.source == change.source) {
                let read = if change.source == Source::Json { json_layer::parse } else { node::from_toml };
                (layer.table, layer.problems) = read(&Arc::from(change.path.as_path()), &change.text);
            }
        }
        self
    }
}

fn entry<'a>(layer: &'a Table, server: &str) -> Option<&'a Node> {
    match &layer.get("mcp_servers")?.value {
        Value::Table(servers) => servers.get(server),
        _ => None,
    }
}

fn at<'a>(layer: &'a Table, server: &str, path: &[String]) -> Option<&'a Node> {
    path.iter().try_fold(entry(layer, server)?, |node, key| match &node.value {
        Value::Table(table) => table.get(key),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, key: &str, shown: Option<&str>) {
        let setting = Setting::parse(text).unwrap();
        assert_eq!((setting.key().as_str(), setting.shown().as_deref()), (key, shown), "{text}");
    }

    #[test]
    fn a_value_is_toml_or_else_the_text_itself() {
        check("enabled=false", "enabled", Some("false"));
        check("tool_timeout_sec = 4.5", "tool_timeout_sec", Some("4.5"));
        check("command=my server", "command", Some("\"my server\""));
        check("args=[\"a\", \"b\"]", "args", Some("[\"a\", \"b\"]"));
        check("tools.\"a.b\".approval_mode=deny", "tools.\"a.b\".approval_mode", Some("\"deny\""));
        check("cwd=", "cwd", None);
        assert_eq!(Setting::parse("env.PORT=8080").unwrap().value, Some(Value::Text("8080".to_owned())));
        assert_eq!(Setting::parse("env.PORT='8080'").unwrap().value, Some(Value::Text("8080".to_owned())));
    }

    #[test]
    fn a_secret_is_never_shown() {
        check("env.TOKEN=abc", "env.TOKEN", Some("*****"));
        check("env={ A = \"abc\" }", "env", Some("{ A = ***** }"));
        check("oauth.client_secret=abc", "oauth.client_secret", Some("*****"));
        check("url=https://me:abc@host/", "url", Some("\"https://me:*****@host/\""));
        let error = Setting::parse("bogus=abc").unwrap_err();
        assert_eq!(error.to_string(), "unknown key `bogus`");
    }

    #[test]
    fn what_is_no_setting_is_refused() {
        for text in ["enabled", "=1", "env.=1", ""] {
            assert!(matches!(Setting::parse(text), Err(SettingError::Shape { .. })), "{text}");
        }
        let Err(SettingError::Unknown { hint, .. }) = Setting::parse("enbled=1") else { panic!() };
        assert_eq!(hint.as_deref(), Some("did you mean `enabled`?"));
    }

    fn targets(config: &str, own: &str, setting: &str) -> Vec<Source> {
        let layers = Layers::from_texts(config, own, &[]).unwrap();
        let (home, _) = layers.home_of("a").unwrap();
        layers.targets("a", &Setting::parse(setting).unwrap(), home)
    }

    #[test]
    fn a_setting_goes_where_it_counts() {
        let (entry, more) = ("[mcp_servers.a]\ncommand = 'x'\n", "[mcp_servers.a]\nenabled = true\n");
        assert_eq!(targets(entry, "", "enabled=false"), [Source::Codex]);
        assert_eq!(targets(entry, more, "enabled=false"), [Source::Toolgate]);
        assert_eq!(targets(entry, more, "required=true"), [Source::Codex]);
        assert_eq!(targets(entry, "", "read_only=true"), [Source::Toolgate]);
        assert_eq!(targets(entry, "", "tools.t.approval_mode=deny"), [Source::Toolgate]);
        assert_eq!(targets(entry, "", "tools.t.approval_mode=prompt"), [Source::Codex]);
        assert_eq!(targets("", entry, "enabled=false"), [Source::Toolgate]);
        assert_eq!(targets(entry, more, "enabled="), [Source::Toolgate]);
        assert_eq!(targets(entry, entry, "command="), [Source::Codex, Source::Toolgate]);
    }
}
