//! The ways to reach the fixture; and the workspace server, which is reached without one.

use std::fmt;

use clap::ValueEnum;

/// A transport and an era of the upstream side; or toolgate as the server itself, in an era.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Cell {
    StdioLegacy,
    HttpLegacy,
    StdioModern,
    HttpModern,
    WorkspaceLegacy,
    WorkspaceModern,
}

impl Cell {
    /// Whether toolgate reaches the fixture over HTTP.
    pub fn is_http(self) -> bool {
        matches!(self, Self::HttpLegacy | Self::HttpModern)
    }

    /// Whether there is no fixture: what is tested is the workspace server.
    pub fn is_workspace(self) -> bool {
        matches!(self, Self::WorkspaceLegacy | Self::WorkspaceModern)
    }

    /// The word for the era, in the fixture's flags and in toolgate's configuration.
    pub fn era(self) -> &'static str {
        match self {
            Self::StdioLegacy | Self::HttpLegacy | Self::WorkspaceLegacy => "legacy",
            Self::StdioModern | Self::HttpModern | Self::WorkspaceModern => "modern",
        }
    }

    /// The requirement set that clients of this cell hold us to.
    pub fn requirements(self) -> &'static str {
        match self {
            Self::StdioLegacy | Self::HttpLegacy | Self::WorkspaceLegacy => "2025-11-25",
            Self::StdioModern | Self::HttpModern | Self::WorkspaceModern => "2026-07-28",
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match (self.is_workspace(), self.is_http()) {
            (true, _) => "workspace",
            (false, true) => "http",
            (false, false) => "stdio",
        };
        f.pad(&format!("{transport}-{}", self.era()))
    }
}
