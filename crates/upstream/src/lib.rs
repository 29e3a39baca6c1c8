//! Links to the MCP servers we call.
