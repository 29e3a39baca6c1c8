//! The workspace as a server, over stdio.

use super::{Setup, TOOLGATE};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use testkit::client::{Client, Message};

/// A project in a home of its own.
pub struct Workspace {
    pub setup: Setup,
    pub root: PathBuf,
}

impl Workspace {
    /// With nothing configured.
    pub fn new() -> Self {
        Self::with("")
    }

    /// With these lines of `toolgate.toml`.
    pub fn with(toml: &str) -> Self {
        let setup = Setup::new().top(toml);
        let root = setup.home.work().join("project");
        std::fs::create_dir_all(root.join("src")).expect("made");
        std::fs::write(root.join("src/main.rs"), "fn main() {}\n").expect("written");
        Self { setup, root }
    }

    /// A conversation with a profile of it.
    pub fn serve(&self, profile: &str) -> Client {
        let mut client = self.silent(profile);
        client.initialize("2025-11-25", &json!({}));
        client
    }

    /// A conversation with the workspace alone.
    pub fn client(&self) -> Client {
        self.serve("workspace")
    }

    /// A client that has said nothing yet.
    pub fn silent(&self, profile: &str) -> Client {
        let mut command = self.setup.home.command(TOOLGATE, ["mcp", "serve", "--profile", profile]);
        command.current_dir(&self.root);
        Client::spawn(command).patient(Duration::from_secs(60))
    }

    /// git in the project.
    pub fn git(&self, args: &[&str]) {
        let mut command = self.setup.home.command("git", args);
        assert!(command.current_dir(&self.root).status().expect("git").success(), "{args:?}");
    }
}

/// What a tool answered, as what it is.
#[track_caller]
pub fn structure(answer: &Message) -> Value {
    let result = answer.result();
    assert_eq!(result.get("isError"), None, "{result}");
    result["structuredContent"].clone()
}

/// Checks that a tool refused in such words.
#[track_caller]
pub fn refused(answer: &Message, expected: &str) {
    let result = answer.result();
    assert_eq!(result["isError"], true, "{result}");
    let text = result["content"][0]["text"].as_str().expect("text");
    assert!(text.contains(expected), "{text}");
}

/// Whether commands can be held here as they have to be; else says so.
pub fn holds(client: &mut Client) -> bool {
    let answer = client.call("execute_command", &json!({"command": "true"})).result();
    let text = answer["content"][0]["text"].as_str().unwrap_or_default();
    if text.contains("sandbox_unavailable") {
        #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
        {
            eprintln!("skipped: no sandbox here: {text}");
        }
        return false;
    }
    true
}
