//! Whatever `add` and `configure` write into Codex's file, the real Codex takes it under its strict check.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::time::Duration;

use common::TOOLGATE;
use common::real::Peers;
use serde_json::Value;
use testkit::cli::Home;

/// Settings as they may be written, right and wrong, known to Codex, to toolgate or to nobody.
const SETTINGS: &str = include_str!("data/settings.txt");

/// What Codex has against its file, if anything.
fn mistake(peers: &Peers, home: &Home) -> Option<Value> {
    let args = [&peers.codex(), "app-server", "--print-startup-config", "--strict-config"];
    let output = home.cmd(peers.node(), args).within(Duration::from_secs(120)).run();
    let config: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{output:#?}"));
    config.get("error").cloned()
}

/// Both kinds of servers.
const REACHES: [(&str, &str); 2] = [("c", "command = 'foo'"), ("u", "url = 'http://127.0.0.1:9/mcp'")];

/// Adds servers and changes settings of others, one per setting and kind; how many of them were taken.
fn written(home: &Home) -> usize {
    let settings = || SETTINGS.lines().enumerate().flat_map(|one| REACHES.map(|reach| (one, reach)));
    let there = settings().map(|((index, _), (kind, reach))| format!("[mcp_servers.{kind}{index}-set]\n{reach}\n"));
    home.write("config.toml", there.collect::<String>());
    let mut taken = 0;
    for ((index, setting), (kind, reach)) in settings() {
        let entry: toml::Table = format!("{reach}\n{setting}").parse().unwrap();
        let entry = serde_json::to_string(&entry).unwrap();
        let mut run = |args: &[&str]| {
            let output = home.cmd(TOOLGATE, [&["mcp"], args].concat()).run();
            taken += usize::from(output.status == Some(0));
        };
        run(&["add", &format!("{kind}{index}"), &entry, "--yes", "--no-connect"]);
        run(&["configure", &format!("{kind}{index}-set"), setting]);
    }
    taken
}

#[test]
fn codex_takes_whatever_add_and_configure_write_into_its_file() {
    let Some(peers) = Peers::with(&[Peers::node, Peers::codex]) else { return };
    let home = Home::new();
    let taken = written(&home);
    let config: toml::Table = home.read("config.toml").parse().unwrap();
    let servers = config["mcp_servers"].as_table().unwrap().len();
    assert!(taken > 200 && servers > 300, "only {taken} were taken, and {servers} stand in Codex's file");
    assert_eq!(mistake(&peers, &home), None, "{}", home.read("config.toml"));
    home.write(
        "config.toml",
        format!("{}\n[mcp_servers.last]\ncommand = \"x\"\nbogus = 1\n", home.read("config.toml")),
    );
    assert!(mistake(&peers, &home).is_some(), "it does look");
}
