//! A gate that drives a Codex CLI without a model.

use super::Setup;
use super::real::Peers;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use testkit::client::{Client, Message};

/// Lets the CLI be found among the survivors: it gets no variable that is not named.
pub const MARKED: &str = "[codex]\nenv_vars = [\"TESTKIT_MARK\"]\n";

/// A home with the fake CLI.
pub struct Bridge {
    pub setup: Setup,
    pub program: String,
    /// The gate, if it is not the one that was built with the tests.
    pub toolgate: String,
}

impl Bridge {
    pub fn new(how: &Value) -> Self {
        Self::with("", how)
    }

    /// With text for toolgate.toml.
    pub fn with(toml: &str, how: &Value) -> Self {
        let setup = Setup::new().top(toml);
        let program = setup.home.write("bin/codex", include_str!("../data/fake_codex.py"));
        setup.home.write("bin/fake_appserver.py", include_str!("../data/fake_appserver.py"));
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("ours");
        let bridge = Self { program: program.display().to_string(), setup, toolgate: super::TOOLGATE.to_owned() };
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
        let mut command = self.setup.home.command(&self.toolgate, args);
        command.env("CODEX_BIN", &self.program).envs(env.iter().copied());
        Client::spawn(command).patient(Duration::from_secs(60))
    }

    /// What the CLI wrote down, of runs and of their ends.
    pub fn log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.setup.home.codex().join("fake.log")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The pinned release in the place of the one without a model; its model answers at `url`, and MODEL_KEY is its key.
    pub fn use_the_real_codex(&mut self, peers: &Peers, url: &str) {
        self.setup.home.write(
            "config.toml",
            format!(
                "model = \"scripted\"\nmodel_provider = \"scripted\"\n[model_providers.scripted]\nname = \"scripted\"\n\
                 base_url = \"{url}\"\nwire_api = \"responses\"\nenv_key = \"MODEL_KEY\"\nrequest_max_retries = 0\nstream_max_retries = 0\n\
                 supports_websockets = false\n[features]\nenable_request_compression = false\n\
                 [analytics]\nenabled = false\n"
            ),
        );
        // Its package starts with whatever `node` is on PATH, which may be too old for it.
        let script = format!("#!/bin/sh\nexec '{}' '{}' \"$@\"\n", peers.node(), peers.codex());
        let program = self.setup.home.write("real/codex", script);
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("ours");
        self.program = program.display().to_string();
    }

    /// What each thread of the real Codex was asked, by its own record.
    pub fn rollouts(&self) -> BTreeMap<String, Vec<String>> {
        let mut found = BTreeMap::new();
        let mut places = vec![self.setup.home.codex().join("sessions")];
        while let Some(place) = places.pop() {
            for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
                let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
                match name.strip_suffix(".jsonl").and_then(|name| name.get(name.len() - 36..)) {
                    Some(thread) => drop(found.insert(thread.to_owned(), asked(&path))),
                    None => places.push(path),
                }
            }
        }
        found
    }

    pub fn client(&self) -> Client {
        self.client_with(&[])
    }

    /// What the CLI was started with, but for questions about itself.
    pub fn runs(&self) -> Vec<Value> {
        self.log().into_iter().filter(|run| run.get("prompt").is_some()).collect()
    }
}

fn asked(rollout: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(rollout).unwrap_or_default();
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let said = events.filter(|event| event["type"] == "response_item" && event["payload"]["role"] == "user");
    let said = said.filter_map(|event| Some(event["payload"]["content"][0]["text"].as_str()?.to_owned()));
    // What Codex tells of the surroundings is no prompt.
    said.filter(|text| !text.trim_start().starts_with('<')).collect()
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
