//! `--enable` and `--disable` of Codex, which its users may have in their scripts.

use clap::Args;

/// Features of Codex. They mean nothing to toolgate, so nothing reads them.
#[derive(Debug, Args)]
pub struct Features {
    /// Accepted as Codex does, and without effect; may be given more than once.
    #[arg(long, value_name = "FEATURE")]
    enable: Vec<String>,
    /// Accepted as Codex does, and without effect; may be given more than once.
    #[arg(long, value_name = "FEATURE")]
    disable: Vec<String>,
}
