//! Writes what the program can say of itself into the documentation and the plugin for Claude Code.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::peers::root;
use crate::{Failure, say};

/// Where a generated part of a file begins and ends.
const BEGIN: &str = "<!-- generated: mcp -->\n";
const END: &str = "<!-- end of generated -->";

/// The plugin as it is published.
const PLUGIN: &str = "codex";

/// What to write.
#[derive(clap::Args)]
pub struct Flags {
    /// Also write the plugin under this name: OpenAI's own is called `codex` too.
    #[arg(long, value_name = "NAME")]
    plugin_name: Option<String>,
}

/// Writes `docs/cli.md` and `plugins/`.
pub fn run(flags: &Flags) -> Result<(), Failure> {
    let reference = format!(
        "# The command line\n\nWritten by `cargo xtask docs` from the program itself.\n\n{}\n",
        said(&["reference", "cli"])?.trim_end()
    );
    write(&root().join("docs/cli.md"), &reference)?;
    let plugin = root().join("plugins").join(PLUGIN);
    let page = plugin.join("commands/mcp.md");
    let text = filled(&std::fs::read_to_string(&page)?, &said(&["reference", "mcp"])?)?;
    write(&page, &text)?;
    match &flags.plugin_name {
        Some(name) => copy(&plugin, name, &text),
        None => Ok(()),
    }
}

/// The same plugin under another name.
fn copy(plugin: &Path, name: &str, page: &str) -> Result<(), Failure> {
    if !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') || name.is_empty() {
        return Err("a plugin's name has lower-case letters, digits and `-`".into());
    }
    let manifest = std::fs::read_to_string(plugin.join(".claude-plugin/plugin.json"))?;
    let mut manifest: serde_json::Value = serde_json::from_str(&manifest)?;
    manifest["name"] = name.into();
    let other = root().join("plugins").join(name);
    write(&other.join(".claude-plugin/plugin.json"), &format!("{}\n", serde_json::to_string_pretty(&manifest)?))?;
    write(&other.join("commands/mcp.md"), &page.replace("/codex:mcp", &format!("/{name}:mcp")))
}

/// `text` with `generated` in its place.
fn filled(text: &str, generated: &str) -> Result<String, Failure> {
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or("the page has no place for what is generated")?;
    Ok(format!("{before}{BEGIN}{generated}{END}{after}"))
}

fn said(args: &[&str]) -> Result<String, Failure> {
    let run = ["run", "--quiet", "--locked", "--package", "toolgate", "--"];
    let output = Command::new("cargo").args(run).args(args).current_dir(root()).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn write(path: &PathBuf, text: &str) -> Result<(), Failure> {
    if std::fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    std::fs::write(path, text)?;
    say(&format!("wrote {}", path.display()));
    Ok(())
}
