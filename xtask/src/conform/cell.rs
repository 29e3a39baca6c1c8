//! The ways to reach the fixture.

use std::fmt;

use clap::ValueEnum;

/// A transport and an era of the upstream side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Cell {
    StdioLegacy,
    HttpLegacy,
    StdioModern,
    HttpModern,
}

impl Cell {
    /// Whether toolgate reaches the fixture over HTTP.
    pub fn is_http(self) -> bool {
        matches!(self, Self::HttpLegacy | Self::HttpModern)
    }

    /// The word for the era, in the fixture's flags and in toolgate's configuration.
    pub fn era(self) -> &'static str {
        match self {
            Self::StdioLegacy | Self::HttpLegacy => "legacy",
            Self::StdioModern | Self::HttpModern => "modern",
        }
    }

    /// The requirement set that clients of this cell hold us to.
    pub fn requirements(self) -> &'static str {
        match self {
            Self::StdioLegacy | Self::HttpLegacy => "2025-11-25",
            Self::StdioModern | Self::HttpModern => "2026-07-28",
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = if self.is_http() { "http" } else { "stdio" };
        f.pad(&format!("{transport}-{}", self.era()))
    }
}
