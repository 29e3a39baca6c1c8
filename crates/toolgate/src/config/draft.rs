//! A server somebody wants to add: from flags or from JSON, checked before anything is written.

use std::path::Path;
use std::sync::Arc;

use toml_edit::{Array, InlineTable, Item};

use super::declared;
use super::env::Env;
use super::node::{self, Node, Table, Value};
use super::place::{Origin, Place, Problem, ServerError, Source};
use super::server::{self, Context, is_own};
use super::strict;
use super::types::{Gate, Http, Limits, Server, Transport};

/// A server that is not written yet.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The name it will have.
    pub name: String,
    place: Place,
    table: Table,
}

impl Draft {
    /// A draft without settings, to be filled from flags.
    pub fn new(name: &str) -> Self {
        let place = Place::Json { document: "argument".into(), pointer: String::new() };
        Self { name: name.to_owned(), place, table: Table::new() }
    }

    /// The same server under another name.
    #[must_use]
    pub fn renamed(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// Sets a text.
    pub fn text(&mut self, key: &str, value: &str) {
        self.put(key, Value::Text(value.to_owned()));
    }

    /// Sets a flag.
    pub fn flag(&mut self, key: &str, value: bool) {
        self.put(key, Value::Bool(value));
    }

    /// Sets a list of texts; an empty one sets nothing.
    pub fn list(&mut self, key: &str, values: &[String]) {
        if !values.is_empty() {
            let node = |text: &String| Node { place: self.place.clone(), value: Value::Text(text.clone()) };
            self.put(key, Value::Array(values.iter().map(node).collect()));
        }
    }

    /// Sets a table of texts; an empty one sets nothing.
    pub fn map(&mut self, key: &str, pairs: &[(String, String)]) {
        if !pairs.is_empty() {
            let node = |text: &String| Node { place: self.place.clone(), value: Value::Text(text.clone()) };
            self.put(key, Value::Table(pairs.iter().map(|(key, value)| (key.clone(), node(value))).collect()));
        }
    }

    fn put(&mut self, key: &str, value: Value) {
        self.table.insert(key.to_owned(), Node { place: self.place.clone(), value });
    }

    /// The name its author wrote into it, if any.
    pub fn label(&self) -> Option<&str> {
        match &self.table.get("name")?.value {
            Value::Text(label) => Some(label),
            _ => None,
        }
    }

    /// Reads it as if it stood in the files, and brings it into the form to be written: one spelling per
    /// setting, a command line split into words, no setting that says what is plain anyway.
    ///
    /// # Errors
    /// A name or a setting that will not do; nothing may be written then.
    pub fn check(&mut self, env: &Env) -> Result<(Server, Vec<Problem>), ServerError> {
        let spoilt = |problem| ServerError { name: self.name.clone(), problem };
        check_name(&self.name).map_err(|reason| spoilt(Problem::new(&self.place, reason)))?;
        let node = Node { place: self.place.clone(), value: Value::Table(self.table.clone()) };
        let source = Source::Codex;
        let origin = Origin { source, place: self.place.clone(), added: Vec::new(), shadowed: Vec::new() };
        let (gate, limits) = (Gate::default(), Limits::default());
        // What managed files and the other settings say is asked when the server is used, not when it is added.
        let (data, policy, managed) = Default::default();
        let context =
            Context { env, gate: &gate, limits: &limits.server, data: &data, policy: &policy, managed: &managed };
        let (server, warnings) = server::read(&self.name, node, origin, &context).map_err(spoilt)?;
        self.tidy(&server);
        Ok((server, warnings))
    }

    fn tidy(&mut self, server: &Server) {
        for synonym in ["transport", "type"] {
            self.table.remove(synonym);
        }
        if let Some(headers) = self.table.remove("headers") {
            self.table.insert("http_headers".to_owned(), headers);
        }
        self.table.remove("description");
        self.table.retain(|key, _| server::is_known(key));
        match &server.transport {
            Transport::Stdio(stdio) if stdio.split => {
                self.text("command", &stdio.command);
                self.list("args", &stdio.args);
            }
            Transport::Http(Http { sse: true, .. }) => self.text("transport", "sse"),
            _ => {}
        }
    }

    /// Whether a setting names a variable or a file instead of its value, which Codex would not resolve.
    pub fn has_references(&self) -> bool {
        self.table.iter().any(|(key, node)| server::has_references(key, node))
    }

    /// What Codex understands of it, as a TOML table. Call after [`Draft::check`].
    pub fn codex_part(&self) -> toml_edit::Table {
        to_toml(self.table.iter().filter(|(key, node)| !self.is_own(key, node)))
    }

    /// What only toolgate understands of it, as a TOML table; empty when there is nothing. Call after [`Draft::check`].
    pub fn own_part(&self) -> toml_edit::Table {
        to_toml(self.table.iter().filter(|(key, node)| self.is_own(key, node)))
    }

    /// Whether Codex would stumble over this setting, beside the others.
    fn is_own(&self, key: &str, node: &Node) -> bool {
        is_own(key, node) || strict::clashes(&self.table, key)
    }

    /// All of it as a TOML table. Call after [`Draft::check`].
    pub fn whole(&self) -> toml_edit::Table {
        to_toml(self.table.iter())
    }
}

/// Whether a new server may have this name. Codex's rule, and two of ours: `__` parts a server from its tool
/// in tool names, and a name longer than 64 leaves no room for a tool.
///
/// # Errors
/// Why not.
pub fn check_name(name: &str) -> Result<(), String> {
    let shown = name.escape_debug();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_:@/.".contains(c);
    if name.is_empty() || !name.chars().all(allowed) {
        return Err(format!("invalid server name '{shown}' (use letters, numbers, '-', '_', ':', '@', '/', '.')"));
    }
    if name.contains("__") {
        return Err(format!("invalid server name '{shown}' ('__' parts a server from its tool in tool names)"));
    }
    if name.len() > 64 {
        return Err(format!("invalid server name '{shown}' (longer than 64 characters)"));
    }
    Ok(())
}

/// Reads JSON: one server's object, or a document with `mcpServers`, `mcp_servers` or `servers`. `document` says in
/// messages where it came from, `name` is what a lone object is called.
///
/// # Errors
/// No JSON (with line and column), or not of that shape (with a JSON pointer).
pub fn drafts_from_json(document: &str, text: &str, name: Option<&str>) -> Result<Vec<Draft>, Problem> {
    let mut root = serde_json::from_str(text).map_err(|error| not_json(document, &error))?;
    let place = Place::Json { document: document.into(), pointer: String::new() };
    declared::expand(&mut root, &place)?;
    let root = node::from_json(place, root);
    let place = root.place.clone();
    let Value::Table(mut table) = root.value else {
        return Err(Problem::new(&place, format!("invalid type: {}, expected an object", root.value.kind())));
    };
    let key = ["mcpServers", "mcp_servers", "servers"].into_iter().find(|key| table.contains_key(*key));
    match (key.and_then(|key| table.remove(key)), name) {
        (Some(servers), _) => many(servers),
        (None, Some(name)) => Ok(vec![draft(name.to_owned(), place, table)]),
        (None, None) => Err(Problem::new(&place, "no `mcpServers` in it").hint("give the server a name")),
    }
}

/// Reads TOML: a document with `mcp_servers`, as in config.toml. `path` says in messages where it came from.
///
/// # Errors
/// No TOML, or no table of that name, with line and column.
pub fn drafts_from_toml(path: &Path, text: &str) -> Result<Vec<Draft>, Problem> {
    let path: Arc<Path> = path.into();
    let (mut root, problems) = node::from_toml(&path, text);
    if let Some(problem) = problems.into_iter().next() {
        return Err(problem);
    }
    match root.remove("mcp_servers") {
        Some(servers) => many(servers),
        None => Err(Problem::new(&Place::at(&path, text, 0), "no `mcp_servers` in it")),
    }
}

fn not_json(document: &str, error: &serde_json::Error) -> Problem {
    let path: Arc<Path> = Path::new(document).into();
    let place = Place::File { path, line: error.line(), column: error.column() };
    let text = error.to_string();
    let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
    Problem::new(&place, format!("not JSON: {reason}"))
}

fn many(servers: Node) -> Result<Vec<Draft>, Problem> {
    let Value::Table(servers) = servers.value else {
        return Err(Problem::new(
            &servers.place,
            format!("invalid type: {}, expected an object", servers.value.kind()),
        ));
    };
    servers
        .into_iter()
        .map(|(name, node)| match node.value {
            Value::Table(table) => Ok(draft(name, node.place, table)),
            other => Err(Problem::new(&node.place, format!("invalid type: {}, expected an object", other.kind()))),
        })
        .collect()
}

fn draft(name: String, place: Place, mut table: Table) -> Draft {
    // Other clients write `disabled`.
    if let Some(Node { place, value: Value::Bool(disabled) }) = table.get("disabled").cloned() {
        table.remove("disabled");
        table.insert("enabled".to_owned(), Node { place, value: Value::Bool(!disabled) });
    }
    Draft { name, place, table }
}

/// The order in which Codex writes the keys; all others follow by name.
const ORDER: [&str; 8] = ["command", "args", "url", "bearer_token_env_var", "env_vars", "cwd", "enabled", "required"];

fn to_toml<'a>(entries: impl Iterator<Item = (&'a String, &'a Node)>) -> toml_edit::Table {
    let rank = |key: &str| ORDER.iter().position(|known| *known == key).unwrap_or(ORDER.len());
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by_key(|(key, _)| (rank(key), *key));
    let mut table = toml_edit::Table::new();
    for (key, node) in entries {
        if let Some(item) = to_item(&node.value) {
            table.insert(key, item);
        }
    }
    table
}

fn to_item(value: &Value) -> Option<Item> {
    match value {
        Value::Table(table) => Some(Item::Table(to_toml(table.iter()))),
        other => to_value(other).map(Item::Value),
    }
}

/// A value as TOML; nothing for what TOML has no word for.
pub(super) fn to_value(value: &Value) -> Option<toml_edit::Value> {
    match value {
        Value::Text(text) => Some(text.as_str().into()),
        Value::Integer(number) => Some((*number).into()),
        Value::Float(number) => Some((*number).into()),
        Value::Bool(flag) => Some((*flag).into()),
        Value::Array(items) => {
            let items: Option<Array> = items.iter().map(|node| to_value(&node.value)).collect();
            items.map(toml_edit::Value::Array)
        }
        Value::Table(table) => {
            let pairs = table.iter().map(|(key, node)| Some((key, to_value(&node.value)?)));
            let inline: Option<InlineTable> = pairs.collect();
            inline.map(toml_edit::Value::InlineTable)
        }
        Value::Other(_) => None,
    }
}
