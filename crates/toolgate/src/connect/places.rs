//! Where clients keep their files.

use std::path::{Path, PathBuf};

use super::client::Client;
use crate::config::Env;

/// The file in which a client's servers stand; none when the variables that say where are not set. `home` is
/// `$CODEX_HOME`.
pub fn file(client: Client, home: &Path, env: &Env) -> Option<PathBuf> {
    let user = || env.filled("HOME").map(PathBuf::from);
    match client {
        Client::Codex => Some(home.join("config.toml")),
        Client::ClaudeCode => {
            Some(env.filled("CLAUDE_CONFIG_DIR").map(PathBuf::from).or_else(user)?.join(".claude.json"))
        }
        Client::ClaudeDesktop => Some(applications(env)?.join("Claude/claude_desktop_config.json")),
        Client::Cursor => Some(user()?.join(".cursor/mcp.json")),
        Client::Vscode => Some(applications(env)?.join("Code/User/mcp.json")),
    }
}

/// Where applications with windows keep their settings.
#[cfg(not(any(target_os = "macos", windows)))]
fn applications(env: &Env) -> Option<PathBuf> {
    let written = env.filled("XDG_CONFIG_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    written.or_else(|| Some(Path::new(env.filled("HOME")?).join(".config")))
}

#[cfg(target_os = "macos")]
fn applications(env: &Env) -> Option<PathBuf> {
    Some(Path::new(env.filled("HOME")?).join("Library/Application Support"))
}

#[cfg(windows)]
fn applications(env: &Env) -> Option<PathBuf> {
    env.filled("APPDATA").map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn every_client_has_its_place() {
        let check = |client, vars: &[(&str, &str)], expected: &str| {
            let env: Env = vars.iter().copied().collect();
            let found = file(client, Path::new("/ch"), &env);
            assert_eq!(found.as_deref().map(Path::to_string_lossy).as_deref().unwrap_or("-"), expected, "{client:?}");
        };
        let home = [("HOME", "/u")];
        check(Client::Codex, &[], "/ch/config.toml");
        check(Client::ClaudeCode, &home, "/u/.claude.json");
        check(Client::ClaudeCode, &[("HOME", "/u"), ("CLAUDE_CONFIG_DIR", "/cc")], "/cc/.claude.json");
        check(Client::ClaudeDesktop, &home, "/u/.config/Claude/claude_desktop_config.json");
        check(Client::Cursor, &home, "/u/.cursor/mcp.json");
        check(Client::Vscode, &home, "/u/.config/Code/User/mcp.json");
        check(Client::Vscode, &[("HOME", "/u"), ("XDG_CONFIG_HOME", "/x")], "/x/Code/User/mcp.json");
        check(Client::Vscode, &[("HOME", "/u"), ("XDG_CONFIG_HOME", "x")], "/u/.config/Code/User/mcp.json");
        check(Client::Cursor, &[], "-");
    }
}
