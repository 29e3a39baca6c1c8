//! How items are called on the face that shows everything (`[a-zA-Z0-9_-]`, at most 64 characters).

use crate::words::ServerName;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// Whether the server's name stands in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PrefixStyle {
    /// `server__tool`.
    #[default]
    Always,
    /// `tool` where no other server has one of that name, else `server__tool`.
    Conditional,
    /// `tool`.
    Never,
}

/// The naming rules of the operator.
#[derive(Debug, Clone)]
pub struct Naming {
    /// For servers without a style of their own.
    pub prefix: PrefixStyle,
    /// By server.
    pub per_server: HashMap<ServerName, PrefixStyle>,
    /// The longest name.
    pub max_len: usize,
    /// Whether names start with `mcp__`.
    pub mcp_prefix: bool,
}

impl Default for Naming {
    fn default() -> Self {
        Self { prefix: PrefixStyle::Always, per_server: HashMap::new(), max_len: 64, mcp_prefix: false }
    }
}

impl Naming {
    pub(super) fn style(&self, server: &ServerName) -> PrefixStyle {
        self.per_server.get(server).copied().unwrap_or(self.prefix)
    }

    /// The name with the server in front, legal but perhaps too long.
    pub(super) fn prefixed(&self, server: &ServerName, raw: &str) -> String {
        let mcp = if self.mcp_prefix { "mcp__" } else { "" };
        format!("{mcp}{}__{}", legal(server.as_str()), legal(raw))
    }

    /// `name` itself if it fits, else cut and marked with a digest of what it stands for, so that the same
    /// tool has the same name after every restart.
    pub(super) fn fit(&self, name: String, server: &ServerName, raw: &str) -> String {
        if name.len() <= self.max_len { name } else { self.marked(name, server, raw) }
    }

    /// `name` with a digest of the identity at its end.
    pub(super) fn marked(&self, mut name: String, server: &ServerName, raw: &str) -> String {
        let digest = crate::ledger::hex(&Sha256::digest(format!("{server}\0{raw}"))[..4]);
        name.truncate(self.max_len.saturating_sub(digest.len() + 1));
        format!("{name}_{digest}")
    }
}

/// `raw` with each character that a model's tool name may not have replaced by `_`.
pub(super) fn legal(raw: &str) -> String {
    raw.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' }).collect()
}
