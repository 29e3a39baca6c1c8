//! What people wrote, read and decided: `config.json`, `config.toml` and `toolgate.toml` of `$CODEX_HOME`, a profile and
//! `-c`, and below them what a project brings, within what managed files leave open, become one [`Config`]. What happened (calls, catalogs, tokens) is not here, it is the store's.
//!
//! ```text
//! files, -c ─ Layers::read ─▶ Layers (trees that know their places) ─ resolve ─▶ Config
//!                             └ managed files ─ Managed (bounds) ────────┘
//! ```
//! One bad entry harms no other; a mistake names its file, line and column; a secret never prints.

mod bounds;
mod codex;
mod decisions;
mod declared;
mod draft;
mod edit;
mod env;
mod fields;
mod govern;
mod governing;
mod identity;
mod json_edit;
mod json_layer;
mod layers;
mod lint;
mod managed;
mod managed_files;
mod node;
mod oauth;
mod place;
mod profile;
mod project;
mod refs;
mod resolve;
mod rules;
mod secret;
mod sections;
mod server;
mod setting;
mod settings;
mod strict;
mod transport;
mod types;
mod vault;
mod workspace;
mod write;

#[cfg(test)]
mod tests;

pub use bounds::Bounds;
pub use codex::{Codex, CodexApprovals, CodexSandbox};
pub use decisions::UNDECIDED;
pub use declared::DeclaredTool;
pub use draft::{Draft, check_name, drafts_from_json, drafts_from_toml};
pub use edit::{Edit, EditError, apply as apply_edits};
pub use env::{Env, child_env, secrets};
pub use govern::{
    Approvals, Audit, AuditArgs, AuthModel, Barred, Data, DataPattern, Detect, PolicySettings, Scope, ServerData,
    ToolSettings,
};
pub use identity::identity_line;
pub use layers::{Asked, Layers, LayersError};
pub(crate) use lint::is_token;
pub use managed_files::managed_stamp;
pub use oauth::{OAuth, Registration};
pub use place::{Origin, Place, Problem, ServerError, Source, similar};
pub use project::root as project_root;
pub use refs::{RefError, expanded, is_reference, variables};
pub use resolve::resolve;
pub(crate) use secret::looks_secret;
pub use secret::{Address, mask_urls, mask_words};
pub use setting::{Setting, SettingError};
pub use settings::{Effective, settings};
pub use transport::NO_TRANSPORT;
pub use types::{
    ApprovalMode, Broken, Config, Gate, Http, Limits, Prefix, Profile, ProjectTrust, Protocol, Server, ServerLimits,
    Startup, Stdio, ToolNames, Transport, Trust, Written,
};
pub use vault::{Vault, VaultError, vault};
pub use workspace::{ClientRoots, Workspace};
pub use write::{Change, WriteError, Writer, followed};
