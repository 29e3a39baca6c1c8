//! One gate in a home of its own, with the hostile fixture behind it.

#![expect(dead_code, reason = "each test program uses its own part of this")]

pub mod bridge;
pub mod real;
pub mod replay;
pub mod up;
pub mod workspace;

use serde_json::{Value, json};
use testkit::cli::{Cmd, Home};
use testkit::client::Client;

/// The program under test.
pub const TOOLGATE: &str = env!("CARGO_BIN_EXE_toolgate");

/// A home with servers.
pub struct Setup {
    pub home: Home,
    config: String,
}

impl Setup {
    /// No servers yet.
    pub fn new() -> Self {
        Self { home: Home::new(), config: String::new() }
    }

    /// The hostile fixture under `name`, with its flags and further keys of its entry. It marks its processes,
    /// and logs what it hears to `NAME.log` beside the configuration.
    pub fn server(self, name: &str, flags: &[&str], keys: &str) -> Self {
        let log = self.home.codex().join(format!("{name}.log"));
        let mut args = vec!["--log".to_owned(), log.display().to_string()];
        args.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let program = testkit::bin("fixture-hostile");
        self.entry(name, &program.display().to_string(), &args, keys)
    }

    /// Any program under `name`.
    pub fn entry(mut self, name: &str, command: &str, args: &[String], keys: &str) -> Self {
        let mark = self.home.mark().to_owned();
        self.config.push_str(&format!(
            "[mcp_servers.{name}]\ncommand = {}\nargs = {}\n{keys}\n[mcp_servers.{name}.env]\nTESTKIT_MARK = {}\nAPI_TOKEN = \"s3cr3t-of-{name}\"\n\n",
            json!(command),
            json!(args),
            json!(mark),
        ));
        self.home.write("toolgate.toml", &self.config);
        self
    }

    /// Text in front of all entries, such as `[gate]`.
    pub fn top(mut self, text: &str) -> Self {
        self.config.insert_str(0, &format!("{text}\n"));
        self.home.write("toolgate.toml", &self.config);
        self
    }

    /// `toolgate ARGS`, run to its end.
    pub fn run(&self, args: &[&str]) -> Cmd {
        self.home.cmd(TOOLGATE, args)
    }

    /// `toolgate mcp serve ARGS`, spoken to.
    pub fn serve(&self, args: &[&str]) -> Client {
        let args = ["mcp", "serve"].iter().chain(args);
        Client::spawn(self.home.command(TOOLGATE, args))
    }

    /// The same after a handshake.
    pub fn client(&self, args: &[&str]) -> Client {
        let mut client = self.serve(args);
        client.initialize("2025-11-25", &json!({}));
        client
    }

    /// What the server `name` logged, line by line.
    pub fn heard(&self, name: &str) -> Vec<Value> {
        let path = self.home.codex().join(format!("{name}.log"));
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Every event in the ledger, in the order of its files.
    pub fn events(&self) -> Vec<Value> {
        let mut files: Vec<_> = std::fs::read_dir(self.home.codex().join("toolgate/audit"))
            .map(|dir| dir.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        files.sort();
        let texts = files.iter().filter_map(|path| std::fs::read_to_string(path).ok());
        texts
            .flat_map(|text| text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<_>>())
            .collect()
    }

    /// The processes of this home that are still there.
    pub fn survivors(&self) -> Vec<u32> {
        testkit::survivors(self.home.mark())
    }
}

/// The names in a list's answer.
pub fn names(list: &Value) -> Vec<String> {
    let items = list["tools"].as_array().cloned().unwrap_or_default();
    items.iter().filter_map(|item| item["name"].as_str().map(str::to_owned)).collect()
}
