//! How commands speak to the gates that run: one socket per gate, one line of JSON each way. What can be ordered
//! through it is no more than the gate does by itself: to read its configuration again, and to stop and start servers
//! that run, where policy lets them start. The words are here, the gate's end in `socket`, the command's in `speak`.

mod order;
mod socket;
mod speak;

pub use socket::attend;
pub use speak::{Gates, Spoken};

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What a gate is told to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// Read the configuration again.
    Reload,
    /// The same, then stop and start these servers; all unless named.
    Restart {
        /// Their names.
        servers: Option<Vec<String>>,
    },
    /// Say how the servers are.
    Status,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Whether all that was ordered was done.
    pub ok: bool,
    /// The gate's process.
    pub pid: u32,
    /// The servers it is about.
    #[serde(default)]
    pub servers: Vec<Restarted>,
    /// What a new configuration changed, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<String>,
    /// What is wrong with what is written: it is not in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<String>,
    /// Settings that take effect at the next start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
    /// Why the order was not understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One server before and after an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restarted {
    /// Its name.
    pub name: String,
    /// Its process before, if it had one.
    pub old_pid: Option<u32>,
    /// Its process now, if it has one.
    pub new_pid: Option<u32>,
    /// Its state now, in the words of `toolgate mcp status`.
    pub state: String,
    /// Whether it was stopped and started.
    pub restarted: bool,
    /// Whether that went well.
    pub ok: bool,
}

/// The longest line either end takes, in bytes.
const LONGEST: u64 = 1 << 20;

/// Where the sockets are. `state` is toolgate's directory in `$CODEX_HOME`.
fn directory(state: &Path) -> PathBuf {
    state.join("run")
}
