//! What is generated from the program is as the program says, and what the plugin tells to run exists.

mod common;

use common::Setup;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn said(args: &[&str]) -> String {
    Setup::new().run(args).run().ok()
}

#[test]
fn the_plugin_is_called_codex_and_its_front_matter_is_as_published() {
    let manifest: Value = serde_json::from_str(&read("plugins/codex/.claude-plugin/plugin.json")).expect("JSON");
    assert_eq!((&manifest["name"], &manifest["version"]), (&"codex".into(), &env!("CARGO_PKG_VERSION").into()));
    assert!(manifest["description"].is_string() && manifest["author"]["name"].is_string());
    let market: Value = serde_json::from_str(&read(".claude-plugin/marketplace.json")).expect("JSON");
    assert_eq!((&market["name"], &market["plugins"][0]["name"]), (&"toolgate".into(), &"codex".into()));
    let source = market["plugins"][0]["source"].as_str().expect("a path");
    assert!(source.starts_with("./") && root().join(source).join(".claude-plugin/plugin.json").exists(), "{source}");

    let page = read("plugins/codex/commands/mcp.md");
    let (matter, text) = page.strip_prefix("---\n").and_then(|rest| rest.split_once("---\n")).expect("front matter");
    let fields: Vec<_> = matter.lines().filter_map(|line| line.split_once(": ")).collect();
    let description = "Manage and configure MCP (Model Context Protocol) servers for enhanced Codex capabilities";
    assert_eq!(fields, [("description", description), ("disable-model-invocation", "false")]);
    for says in
        ["# Codex MCP Management", "[Experimental]", "/codex:mcp [subcommand]", "(list, add, remove, configure)"]
    {
        assert!(text.contains(says), "{says}");
    }
}

#[test]
fn what_is_generated_is_what_the_program_says() {
    let stale = "`cargo xtask docs` writes it anew";
    let page = read("plugins/codex/commands/mcp.md");
    assert!(page.contains(&said(&["reference", "mcp"])), "the table of the plugin: {stale}");
    assert!(read("docs/cli.md").contains(said(&["reference", "cli"]).trim_end()), "docs/cli.md: {stale}");
}

#[test]
fn every_command_the_plugin_names_exists() {
    let page = read("plugins/codex/commands/mcp.md");
    let words = page.match_indices("codex mcp ").filter_map(|(at, said)| {
        let word = page[at + said.len()..].split(|c: char| !c.is_ascii_lowercase() && c != '-').next()?;
        (!word.is_empty()).then_some(word)
    });
    let named: BTreeSet<_> = words.collect();
    assert!(named.len() > 6, "{named:?}");
    let setup = Setup::new();
    let missing: Vec<_> =
        named.iter().filter(|word| setup.run(&["mcp", word, "--help"]).run().status != Some(0)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn man_pages_and_completions_know_every_command() {
    let page = said(&["man"]);
    assert!(page.contains(".TH") && page.contains("mcp") && page.contains("approvals"), "{page}");
    let setup = Setup::new();
    let out = setup.home.path().join("man");
    setup.run(&["man", "--out", out.to_str().expect("text")]).run().ok();
    assert!(out.join("toolgate-mcp-configure.1").exists());
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = setup.run(&["completions", shell]).run().ok();
        assert!(script.contains("configure") && script.contains("approvals"), "{shell}");
    }
}
