//! Where log lines go: to standard error as `RUST_LOG` says, and to `$CODEX_HOME/log/toolgate.log`.
//! Every target of ours starts with `mcp`, so `RUST_LOG=mcp=debug` shows all of them.

mod rotate;
mod tail;

use crate::config::Env;
use rotate::Rotating;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
pub use tail::log_tail;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Whether this process keeps a log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// Standard error alone.
    Terminal,
    /// Also the file, for processes that serve.
    File,
}

/// Starts logging. `home` is `$CODEX_HOME`. A log file that cannot be opened is no reason not to serve.
pub fn start_logging(env: &Env, home: &Path, log: Log) {
    let terminal = EnvFilter::new(env.filled("RUST_LOG").unwrap_or("off"));
    let to_terminal = fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_filter(terminal);
    let file = if log == Log::File { Rotating::open(log_file(home)).ok() } else { None };
    let to_file = file.map(|file| {
        let wanted = EnvFilter::new("warn,mcp=info");
        fmt::layer().with_writer(Mutex::new(file)).with_ansi(false).with_filter(wanted)
    });
    // A second start in one process keeps the first one's.
    let _ = tracing_subscriber::registry().with(to_terminal).with(to_file).try_init();
}

/// The file that processes which serve log to; older ones lie beside it, numbered. `home` is `$CODEX_HOME`.
pub fn log_file(home: &Path) -> PathBuf {
    home.join("log").join("toolgate.log")
}
