//! What the server offers and how it misbehaves, as command-line flags.
//!
//! Only what holds on every transport; faults of a process are in `stdio`, of a connection in `http`.

use clap::{Args, ValueEnum};

/// The protocol revisions to speak, or the way to fail at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Era {
    /// Only the handshake; `server/discover` is an unknown method.
    Legacy,
    /// Only self-describing requests; `initialize` is an unknown method.
    Modern,
    /// Both.
    Dual,
    /// Legacy, and the process ends with code 1 when asked `server/discover`.
    ExitOnDiscover,
    /// Legacy, and requests with modern metadata are never answered.
    SilentOnDiscover,
}

/// Flags that hold on every transport; they compose.
#[derive(Debug, Clone, Args)]
pub struct Behaviour {
    /// The protocol revisions to speak.
    #[arg(long, value_enum, default_value = "dual")]
    pub era: Era,
    /// Answer `initialize` with this version, whatever was asked for.
    #[arg(long, value_name = "V")]
    pub protocol_version: Option<String>,
    /// The name in `serverInfo`.
    #[arg(long, default_value = "fixture-hostile")]
    pub name: String,
    /// The version in `serverInfo`; unless 1, `echo` describes itself differently, too.
    #[arg(long, value_name = "V", default_value = "1")]
    pub version: String,
    /// List exactly N tools: the named ones first, then `tool_0`, `tool_1`, which echo. 0 offers none.
    #[arg(long, value_name = "N")]
    pub tools: Option<usize>,
    /// Put this in front of every tool's name.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub tool_prefix: String,
    /// Make every input schema at least N bytes long.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub schema_bytes: usize,
    /// List an invalid tool among the good ones.
    #[arg(long)]
    pub bad_tool: bool,
    /// Offer resources.
    #[arg(long)]
    pub resources: bool,
    /// The scheme of the resources' URIs.
    #[arg(long, value_name = "SCHEME", default_value = "fixture")]
    pub scheme: String,
    /// Offer prompts.
    #[arg(long)]
    pub prompts: bool,
    /// Split every list into K pages.
    #[arg(long, value_name = "K", default_value_t = 1)]
    pub pages: usize,
    /// The cursor of the second page is the empty string.
    #[arg(long)]
    pub empty_cursor: bool,
    /// Every page names a next one.
    #[arg(long)]
    pub endless_cursor: bool,
    /// Announce a change after the first `tools/list`; the list has one tool more from then on.
    #[arg(long)]
    pub list_changed: bool,
    /// Announce N changes of the tool list after the first `tools/list`, without any.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub list_changed_storm: usize,
    /// End the process with code 1 instead of answering the K-th tool call.
    #[arg(long, value_name = "K")]
    pub crash_on_call: Option<u64>,
    /// Answer the first tool call with half a message, then end the connection.
    #[arg(long)]
    pub crash_mid_line: bool,
    /// Answer the first tool call with a single message of N bytes.
    #[arg(long, value_name = "N")]
    pub line_bytes: Option<u64>,
    /// Answer tool calls under an id nobody asked with.
    #[arg(long)]
    pub wrong_id: bool,
    /// Answer tool calls twice.
    #[arg(long)]
    pub duplicate_answer: bool,
    /// Answer calls that were cancelled as soon as they are.
    #[arg(long)]
    pub answer_after_cancel: bool,
    /// Ask for the roots after the handshake, and fail tool calls until MS after they were told.
    #[arg(long, value_name = "MS")]
    pub roots_at_start: Option<u64>,
    /// Never answer tool calls.
    #[arg(long)]
    pub hang_on_call: bool,
    /// Answer requests of METHOD with exactly this JSON text as the whole result. May be given for several methods.
    #[arg(long, value_name = "METHOD=JSON")]
    pub canned: Vec<String>,
    /// Send `notifications/message` without pause after the first tool call arrived.
    #[arg(long)]
    pub flood: bool,
}

impl Behaviour {
    /// What a server without any flag does.
    pub fn plain() -> Self {
        #[derive(clap::Parser)]
        struct Flags {
            #[command(flatten)]
            behaviour: Behaviour,
        }
        <Flags as clap::Parser>::parse_from(["fixture"]).behaviour
    }
}
