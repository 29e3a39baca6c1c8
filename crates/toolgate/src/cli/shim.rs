//! `toolgate shim`: puts this program in front of Codex under Codex's own name, and takes it away again.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::Context;
use crate::config::Env;
use crate::shim::{BRIDGE, CODEX, is_us, on_path, real_codex};
use crate::ui::{Failure, Report};
use gate::Code;

/// What is said after `toolgate shim`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate shim install --dir ~/.local/toolgate-bin
  toolgate shim status
  toolgate shim remove --dir ~/.local/toolgate-bin

The shim is a link called `codex`. As `codex mcp …` it is toolgate; everything else goes to the next `codex` on PATH, or to
the one that CODEX_BIN names, in the same process.")]
pub struct ShimArgs {
    #[command(subcommand)]
    command: ShimCommand,
}

#[derive(Debug, Subcommand)]
enum ShimCommand {
    /// Put the link `codex` into a directory.
    Install {
        /// The directory, which has to come first on PATH. It is made if there is none.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Also put the link `codex-mcp-server`, which serves the tools that drive Codex.
        #[arg(long)]
        bridge: bool,
        /// Replace a link of that name that leads elsewhere. A file is never replaced.
        #[arg(long)]
        force: bool,
    },
    /// Take our links out of a directory.
    Remove {
        /// The directory.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Say which `codex` comes first, and which is the real one.
    Status,
}

/// Installs, removes or looks.
pub fn run(args: &ShimArgs, cx: &Context) -> Result<(), Failure> {
    let links = match &args.command {
        ShimCommand::Install { dir, bridge, force } => install(dir, *bridge, *force)?,
        ShimCommand::Remove { dir } => remove(dir)?,
        ShimCommand::Status => Vec::new(),
    };
    let found = Found::of(&cx.env);
    let report = Shim { schema: "toolgate.shim/1", links, found };
    cx.ui.report(&report)?;
    if let ShimCommand::Install { dir, .. } = &args.command
        && !report.found.is_shim
    {
        cx.ui.hint(&format!("put it first on PATH: export PATH=\"{}:$PATH\"", absolute(dir).display()));
    }
    Ok(())
}

fn absolute(dir: &Path) -> PathBuf {
    std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned())
}

fn install(dir: &Path, bridge: bool, force: bool) -> Result<Vec<Link>, Failure> {
    let own = std::env::current_exe().map_err(|error| Failure::io("find this program", error))?;
    let dir = absolute(dir);
    std::fs::create_dir_all(&dir).map_err(|error| Failure::io(&format!("make {}", dir.display()), error))?;
    let names = [Some(CODEX), bridge.then_some(BRIDGE)];
    // All of them are looked at before the first is made.
    let paths: Vec<_> = names.into_iter().flatten().map(|name| dir.join(name)).collect();
    for path in &paths {
        may_be_made(path, force)?;
    }
    paths.into_iter().map(|path| link(&own, path)).collect()
}

fn may_be_made(path: &Path, force: bool) -> Result<(), Failure> {
    let there = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::io(&format!("look at {}", path.display()), error)),
        Ok(there) => there,
    };
    if is_us(path) || force && there.is_symlink() {
        return Ok(());
    }
    let failure = Failure::new(Code::Usage, format!("{} is there already, and not ours", path.display()));
    Err(if there.is_symlink() {
        failure.hint("choose another directory, or replace the link with `--force`")
    } else {
        failure.hint("choose a directory of its own; a file is never replaced")
    })
}

/// The new link takes the place of an old one in one step.
fn link(own: &Path, path: PathBuf) -> Result<Link, Failure> {
    if is_us(&path) {
        return Ok(Link { path, done: "kept" });
    }
    let mut aside = path.clone().into_os_string();
    aside.push(format!(".{}", std::process::id()));
    let made = symlink(own, &aside).and_then(|()| std::fs::rename(&aside, &path));
    made.map_err(|error| Failure::io(&format!("make the link {}", path.display()), error))?;
    Ok(Link { path, done: "made" })
}

fn remove(dir: &Path) -> Result<Vec<Link>, Failure> {
    let dir = absolute(dir);
    let ours = [CODEX, BRIDGE].map(|name| dir.join(name)).into_iter().filter(|path| path.is_symlink() && is_us(path));
    let mut links = Vec::new();
    for path in ours {
        std::fs::remove_file(&path).map_err(|error| Failure::io(&format!("remove {}", path.display()), error))?;
        links.push(Link { path, done: "removed" });
    }
    if links.is_empty() {
        let failure = Failure::new(Code::Usage, format!("none of the links in {} is ours", dir.display()));
        return Err(failure.hint("`toolgate shim status` tells where the shim is").exiting(1));
    }
    Ok(links)
}

#[derive(Serialize)]
struct Shim {
    schema: &'static str,
    links: Vec<Link>,
    #[serde(flatten)]
    found: Found,
}

#[derive(Serialize)]
struct Link {
    path: PathBuf,
    /// `made`, `kept` or `removed`.
    done: &'static str,
}

/// What a shell finds.
#[derive(Serialize)]
struct Found {
    /// The first `codex` on PATH.
    first: Option<PathBuf>,
    /// Whether that is this program.
    is_shim: bool,
    /// The real one, which the shim would become.
    codex: Option<PathBuf>,
}

impl Found {
    fn of(env: &Env) -> Self {
        let first = on_path(env).into_iter().next();
        Self { is_shim: first.as_deref().is_some_and(is_us), first, codex: real_codex(env) }
    }
}

impl Report for Shim {
    fn human(&self) -> String {
        let mut lines: Vec<_> =
            self.links.iter().map(|link| format!("{} {}", link.done, link.path.display())).collect();
        let shown = |path: &Option<PathBuf>| path.as_ref().map_or("none".to_owned(), |path| path.display().to_string());
        let whose = if self.found.is_shim { " (the shim)" } else { "" };
        lines.push(format!("first `codex` on PATH: {}{whose}", shown(&self.found.first)));
        lines.push(format!("the real Codex: {}", shown(&self.found.codex)));
        lines.join("\n") + "\n"
    }
}
