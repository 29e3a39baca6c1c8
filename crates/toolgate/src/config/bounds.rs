//! `[mcp_servers.NAME.sandbox]`: what a server that is a child process is kept in. Not here: keeping it there.

use std::path::PathBuf;

use sandbox::{Host, Level, Limits, Net};

use super::fields::{Fields, FromNode, Many};
use super::node::{Node, Value};
use super::place::Problem;
use super::rules::{at_home, homeless};
use super::server::Context;
use super::types::Transport;

/// `[mcp_servers.NAME.sandbox]`: what a server is kept in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// The level that has to be reached.
    pub level: Level,
    /// The lowest level that will do where that cannot be.
    pub allow_degraded: Option<Level>,
    /// What of the network it may reach.
    pub net: Net,
    /// What it may read beside the system, its program and its working directory.
    pub read: Vec<PathBuf>,
    /// What it may write.
    pub write: Vec<PathBuf>,
    /// What it may use up.
    pub limits: Limits,
}

/// More processes and threads than any server is known to need: what has no bound can take the machine with it.
const PROCESSES: u64 = 1024;

/// The tightest, which is what a bare `[mcp_servers.NAME.sandbox]` means.
impl Default for Bounds {
    fn default() -> Self {
        Self {
            level: Level::S4,
            allow_degraded: None,
            net: Net::Off,
            read: Vec::new(),
            write: Vec::new(),
            limits: limits(Level::S4),
        }
    }
}

/// What holds if nothing is said. Below S4 processes are not counted.
fn limits(level: Level) -> Limits {
    Limits { processes: (level == Level::S4).then_some(PROCESSES), ..Limits::default() }
}

const KEYS: [&str; 9] =
    ["level", "net", "read", "write", "allow_degraded", "memory_mb", "cpu_sec", "processes", "open_files"];

/// Takes `sandbox` of the server `name`. Nothing in it may be misspelled: it would be less than was meant.
pub(super) fn read(
    name: &str,
    fields: &mut Fields,
    transport: &Transport,
    context: &Context<'_>,
) -> Result<Option<Bounds>, Problem> {
    let Some(node) = fields.node("sandbox") else {
        return Ok(None);
    };
    if let Transport::Http(_) = transport {
        let problem = Problem::new(&node.place, "`sandbox`: there is no process to keep in bounds");
        return Err(problem.hint("`sandbox` is for servers with `command`"));
    }
    let mut fields = Fields::of(format!("mcp_servers.{name}.sandbox"), node)?;
    let defaults = Bounds::default();
    let level = fields.or("level", defaults.level)?;
    let usual = limits(level);
    let mut number = |key| fields.get::<usize>(key).map(|found| found.map(|number| number as u64));
    let limits = Limits {
        processes: number("processes")?.or(usual.processes),
        open_files: number("open_files")?,
        memory_bytes: number("memory_mb")?.map(|mebibytes| mebibytes.saturating_mul(1 << 20)),
        cpu_seconds: number("cpu_sec")?,
        ..usual
    };
    let bounds = Bounds {
        level,
        allow_degraded: fields.get("allow_degraded")?,
        net: fields.either("net", "network")?.unwrap_or_default(),
        read: paths(&mut fields, "read", "fs_read", context)?,
        write: paths(&mut fields, "write", "fs_write", context)?,
        limits,
    };
    fields.finish(&KEYS)?;
    Ok(Some(bounds))
}

/// Whole paths, or such that begin at home: what a relative one begins at is not what everybody expects.
fn paths(fields: &mut Fields, key: &str, synonym: &str, context: &Context<'_>) -> Result<Vec<PathBuf>, Problem> {
    let place = fields.place_of(if fields.has(key) { key } else { synonym });
    let Many(written) = fields.either(key, synonym)?.unwrap_or(Many(Vec::new()));
    let whole = |path: String| {
        let path = PathBuf::from(at_home(path, context.env.filled("HOME")).ok_or_else(|| homeless(&place))?);
        match path.is_absolute() {
            true => Ok(path),
            false => {
                let message = format!("`{key}`: `{}` is not a whole path", path.display().to_string().escape_debug());
                Err(Problem::new(&place, message).hint("begin it with `/` or `~/`"))
            }
        }
    };
    written.into_iter().map(whole).collect()
}

impl FromNode for Level {
    fn from_node(node: Node) -> Result<Self, Problem> {
        let place = node.place.clone();
        String::from_node(node)?.parse().map_err(|error: sandbox::NoLevel| Problem::new(&place, error.to_string()))
    }
}

/// `false`, `true`, `"off"`, `"on"`, or a list of hosts.
impl FromNode for Net {
    fn from_node(node: Node) -> Result<Self, Problem> {
        let place = node.place.clone();
        match node.value {
            Value::Bool(granted) => Ok(if granted { Net::On } else { Net::Off }),
            Value::Text(_) => match String::from_node(node)?.as_str() {
                "off" => Ok(Net::Off),
                "on" => Ok(Net::On),
                other => Err(Problem::new(&place, format!("`{}` is none of `off`, `on`", other.escape_debug()))
                    .hint("a host stands in a list, `net = [\"api.example.com\"]`")),
            },
            _ => Vec::from_node(node).map(|hosts| if hosts.is_empty() { Net::Off } else { Net::Hosts(hosts) }),
        }
    }
}

impl FromNode for Host {
    fn from_node(node: Node) -> Result<Self, Problem> {
        let place = node.place.clone();
        String::from_node(node)?.parse().map_err(|error: sandbox::NoHost| Problem::new(&place, error.to_string()))
    }
}
