//! The command line described by itself: man pages, the reference page and the table of the plugin for Claude Code. So
//! none of them can say what the program does not do.

use std::path::{Path, PathBuf};

use clap::{Arg, Args, Command, Subcommand};

use super::Context;
use crate::ui::Failure;

/// Columns of the texts in the reference.
const WIDTH: usize = 100;

/// Arguments of `man`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate man > toolgate.1
  toolgate man --out /usr/local/share/man/man1")]
pub struct ManArgs {
    /// Write a page for every command into this directory, instead of the first one to standard output.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints or writes man pages.
pub fn man(args: &ManArgs, cx: &Context) -> Result<(), Failure> {
    if let Some(dir) = &args.out {
        return pages(dir).map_err(|error| Failure::io(&format!("write into {}", dir.display()), error));
    }
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(tree()).render(&mut page);
    rendered.map_err(|error| Failure::io("write the page", error))?;
    cx.ui.out(&String::from_utf8_lossy(&page))
}

fn pages(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    clap_mangen::generate_to(tree(), dir)
}

/// What is said after `toolgate reference`.
#[derive(Debug, Args)]
pub struct ReferenceArgs {
    #[command(subcommand)]
    which: Which,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Which {
    /// Every command with its help, as Markdown.
    Cli,
    /// The commands below `mcp`, as a Markdown table.
    Mcp,
}

/// Prints a reference.
pub fn reference(args: &ReferenceArgs, cx: &Context) -> Result<(), Failure> {
    let mut tree = tree();
    tree.build();
    match args.which {
        Which::Cli => {
            let mut text = String::new();
            section(&mut tree, &mut text);
            cx.ui.out(&text)
        }
        Which::Mcp => cx.ui.out(&table(&tree)),
    }
}

fn tree() -> Command {
    super::command("toolgate").term_width(WIDTH)
}

/// A command and all below it. What every command has is said of the first alone.
fn section(command: &mut Command, text: &mut String) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let help = command.render_help().to_string();
    text.push_str(&format!("## `{name}`\n\n```text\n{}\n```\n\n", help.trim_end()));
    let shown = |inner: &&mut Command| !inner.is_hide_set() && inner.get_name() != "help";
    for inner in command.get_subcommands_mut().filter(shown) {
        let everywhere = |arg: Arg| if arg.is_global_set() { arg.hide(true) } else { arg };
        *inner = std::mem::take(inner).mut_args(everywhere);
        section(inner, text);
    }
}

fn table(tree: &Command) -> String {
    let mcp = tree.get_subcommands().find(|command| command.get_name() == "mcp");
    let shown = |command: &&Command| !command.is_hide_set() && command.get_name() != "help";
    let row = |command: &Command| {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        format!("| `codex mcp {}` | {} |\n", command.get_name(), about.replace('|', "\\|"))
    };
    let rows: String = mcp.into_iter().flat_map(Command::get_subcommands).filter(shown).map(row).collect();
    format!("| command | what it does |\n|---|---|\n{rows}")
}
