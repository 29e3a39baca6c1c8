//! MCP on the wire: frames, revisions, transports.
