//! How important a log line is (RFC 5424, as MCP spells it).

use mcp::view;

/// From least to most important.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Level {
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

const NAMES: [(&str, Level); 8] = [
    ("debug", Level::Debug),
    ("info", Level::Info),
    ("notice", Level::Notice),
    ("warning", Level::Warning),
    ("error", Level::Error),
    ("critical", Level::Critical),
    ("alert", Level::Alert),
    ("emergency", Level::Emergency),
];

impl Level {
    /// What a session hears before it chose a level.
    pub const DEFAULT: Level = Level::Info;

    /// The level a raw JSON value names.
    pub fn of_raw(raw: &str) -> Option<Level> {
        let name = view::string(raw)?;
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, level)| *level)
    }

    /// The level of the raw `params` of a log notification. What names none is passed as if it were important.
    pub fn of_params(params: &str) -> Level {
        view::member(params, "level").and_then(Level::of_raw).unwrap_or(Level::Emergency)
    }

    /// Back from what [`Level`] is as a number.
    pub fn from_number(number: u8) -> Level {
        NAMES.get(usize::from(number)).map_or(Level::Emergency, |(_, level)| *level)
    }
}
