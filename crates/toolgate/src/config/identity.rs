//! The servers a managed file allows, by name and identity, in the shape Codex has for it.

use std::collections::BTreeMap;

use super::fields::{Fields, FromNode};
use super::node::{Node, Value};
use super::place::Problem;
use super::types::{Server, Transport};

/// The servers one managed file allows; all others are barred.
#[derive(Debug)]
pub(super) struct AllowList(BTreeMap<String, Identity>);

/// What an allowed server has to be.
#[derive(Debug)]
enum Identity {
    /// This program; with arguments given, these and no others.
    Command { command: Text, args: Option<Vec<Text>> },
    /// This address.
    Url(Text),
}

/// What a text has to be.
#[derive(Debug)]
enum Text {
    Exact(String),
    Prefix(String),
    Regex(regex::Regex),
}

impl Text {
    fn fits(&self, text: &str) -> bool {
        match self {
            Self::Exact(wanted) => wanted == text,
            Self::Prefix(prefix) => text.starts_with(prefix),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

impl AllowList {
    /// Reads `[mcp_servers]` of a managed file. An entry that is not understood is a mistake: it would allow nothing,
    /// or too much.
    pub(super) fn read(node: Node) -> Result<Self, Problem> {
        let entries = BTreeMap::<String, Node>::from_node(node).map_err(|problem| problem.in_key("mcp_servers"))?;
        let one = |(name, node): (String, Node)| {
            let place = node.place.clone();
            let mut fields = Fields::of(format!("mcp_servers.{name}"), node)?;
            let identity = fields.node("identity").ok_or_else(|| {
                let problem = Problem::new(&place, format!("`mcp_servers.{name}`: `identity` is missing"));
                problem.hint("write `identity = { command = \"…\" }` or `identity = { url = \"…\" }`")
            })?;
            Ok((name, self::identity(identity).map_err(|problem| problem.in_key("identity"))?))
        };
        entries.into_iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// What speaks against a server, as the beginning of a sentence that ends with the file; nothing if it is allowed.
    pub(super) fn objection(&self, name: &str, transport: &Transport) -> Option<&'static str> {
        match self.0.get(name) {
            None => Some("it is not among the servers allowed by"),
            Some(identity) if identity.fits(transport) => None,
            Some(_) => Some("its command or address is not the one allowed under this name by"),
        }
    }
}

impl Identity {
    fn fits(&self, transport: &Transport) -> bool {
        match (self, transport) {
            (Self::Command { command, args }, Transport::Stdio(stdio)) => {
                let same = |args: &Vec<Text>| {
                    args.len() == stdio.args.len() && args.iter().zip(&stdio.args).all(|(text, arg)| text.fits(arg))
                };
                command.fits(&stdio.command) && args.as_ref().is_none_or(same)
            }
            (Self::Url(url), Transport::Http(http)) => url.fits(http.url.expose()),
            _ => false,
        }
    }
}

fn identity(node: Node) -> Result<Identity, Problem> {
    let place = node.place.clone();
    let mut fields = Fields::of("identity", node)?;
    let identity = match (fields.get::<Text>("command")?, fields.get::<Text>("url")?) {
        (Some(command), None) => Identity::Command { command, args: fields.get("args")? },
        (None, Some(url)) => Identity::Url(url),
        _ => return Err(Problem::new(&place, "one of `command` and `url` has to be given")),
    };
    fields.finish(&["command", "args", "url"])?;
    Ok(identity)
}

impl FromNode for Text {
    fn from_node(node: Node) -> Result<Self, Problem> {
        if !matches!(node.value, Value::Table(_)) {
            return String::from_node(node).map(Self::Exact);
        }
        let place = node.place.clone();
        let mut fields = Fields::of("", node)?;
        let how: Option<String> = fields.get("match")?;
        let value: String = fields.get("value")?.ok_or_else(|| Problem::new(&place, "`value` is missing"))?;
        fields.finish(&["match", "value"])?;
        match how.as_deref() {
            Some("exact") => Ok(Self::Exact(value)),
            Some("prefix") => Ok(Self::Prefix(value)),
            Some("regex") => whole(&value).map(Self::Regex).map_err(|why| Problem::new(&place, why)),
            _ => Err(Problem::new(&place, "`match`: expected one of `exact`, `prefix`, `regex`")),
        }
    }
}

/// A pattern that has to match all of a text.
fn whole(pattern: &str) -> Result<regex::Regex, String> {
    regex::Regex::new(&format!("^(?:{pattern})$")).map_err(|_| "`value` is no regular expression".to_owned())
}

/// The line an administrator would add to allow this server, without anything secret in it.
pub fn identity_line(server: &Server) -> String {
    let identity = match &server.transport {
        Transport::Stdio(stdio) => format!("command = {:?}", stdio.command),
        Transport::Http(http) => format!("url = {:?}", http.url.to_string()),
        // No list can allow a server that is none.
        Transport::Declared | Transport::Handlers(_) => String::new(),
    };
    format!("[mcp_servers.{:?}]\nidentity = {{ {identity} }}", server.name)
}
