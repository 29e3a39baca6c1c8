//! A gate that drives a Codex CLI without a model.

use super::Setup;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use testkit::client::{Client, Message};

/// Lets the CLI be found among the survivors: it gets no variable that is not named.
pub const MARKED: &str = "[codex]\nenv_vars = [\"TESTKIT_MARK\"]\n";

/// A home with the fake CLI.
pub struct Bridge {
    pub setup: Setup,
    pub program: String,
}

impl Bridge {
    pub fn new(how: &Value) -> Self {
        Self::with("", how)
    }

    /// With text for toolgate.toml.
    pub fn with(toml: &str, how: &Value) -> Self {
        let setup = Setup::new().top(toml);
        let program = setup.home.write("bin/codex", include_str!("../data/fake_codex.py"));
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("ours");
        let bridge = Self { program: program.display().to_string(), setup };
        bridge.behaves(how);
        bridge
    }

    pub fn behaves(&self, how: &Value) {
        self.setup.home.write("fake.json", how.to_string());
    }

    pub fn client_with(&self, env: &[(&str, &str)]) -> Client {
        let mut client = self.started(&[], env);
        client.initialize("2025-11-25", &json!({}));
        client
    }

    pub fn started(&self, flags: &[&str], env: &[(&str, &str)]) -> Client {
        let args = [&["mcp", "serve", "--profile", "bridge"], flags].concat();
        let mut command = self.setup.home.command(super::TOOLGATE, args);
        command.env("CODEX_BIN", &self.program).envs(env.iter().copied());
        Client::spawn(command).patient(Duration::from_secs(60))
    }

    /// What the CLI wrote down, of runs and of their ends.
    pub fn log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.setup.home.codex().join("fake.log")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    pub fn client(&self) -> Client {
        self.client_with(&[])
    }

    /// What the CLI was started with, but for questions about itself.
    pub fn runs(&self) -> Vec<Value> {
        self.log().into_iter().filter(|run| run.get("prompt").is_some()).collect()
    }
}

pub fn arguments(run: &Value) -> String {
    let words: Vec<_> = run["args"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    words.join(" ")
}

pub fn is_thread(value: &Value) -> bool {
    value.as_str().is_some_and(|id| id.len() == 36)
}

pub fn text(answer: &Message) -> String {
    let result = answer.result();
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}")).to_owned()
}

pub fn failed(answer: &Message, expected: &str) {
    let result = answer.result();
    assert_eq!(result["isError"], true, "{result}");
    assert!(text(answer).contains(expected), "{result}");
}
