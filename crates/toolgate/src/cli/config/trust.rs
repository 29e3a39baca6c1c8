//! `toolgate config trust` and `untrust`: whether the servers that a project brings may be used. What is trusted is
//! the directory: servers that come into its files later are believed too.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::super::Context;
use super::super::content::visible;
use super::super::person::{self, Terminal};
use super::super::show::Shown;
use crate::config::{self, Config, Edit, ProjectTrust, Server, Source, Writer};
use crate::ui::{Failure, Report};
use gate::Code;

/// Arguments of `config trust`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate config trust
  toolgate config trust ~/src/app --yes

Writes `[projects.\"DIR\"] trust_level = \"trusted\"` to $CODEX_HOME/config.toml, where Codex sees it too and loads the
project's .codex/config.toml. Servers that come into the project's files later are believed without another question.")]
pub struct TrustArgs {
    /// A directory in the project [default: the working directory].
    dir: Option<PathBuf>,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
}

/// Arguments of `config untrust`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate config untrust
  toolgate config untrust ~/src/app")]
pub struct UntrustArgs {
    /// A directory in the project [default: the working directory].
    dir: Option<PathBuf>,
}

/// Shows what the project brings, asks, and writes the word down.
pub fn run(args: &TrustArgs, cx: &Context) -> Result<(), Failure> {
    person::not_beneath(cx, &[])?;
    let config = read(args.dir.as_deref(), cx)?;
    let Some(project) = config.trust.first() else {
        return Err(Failure::new(Code::ArgsInvalid, "there is no project here that brings MCP servers")
            .hint("looked for .codex/config.toml, .codex/config.json, .mcp.json and .fw_data/config.json"));
    };
    let brought = brought(&config, cx);
    if !project.trusted {
        for problem in config.broken.iter().filter(|broken| broken.source == Source::Project) {
            cx.ui.warning(&problem.problem.to_string(), None);
        }
        confirm(args, project, &brought, cx)?;
        write(project.root.as_path(), Some("trusted"), cx)?;
    }
    let (root, changed) = (project.root.clone(), !project.trusted);
    cx.ui.report(&Trust { schema: "toolgate.config.trust/1", root, trusted: true, changed, servers: brought })
}

/// Takes the word back.
pub fn take_back(args: &UntrustArgs, cx: &Context) -> Result<(), Failure> {
    let here = std::env::current_dir().unwrap_or_default();
    let dir = args.dir.as_deref().unwrap_or(&here);
    let root = config::project_root(dir, &cx.home, &cx.env).ok_or_else(|| {
        Failure::new(Code::ArgsInvalid, format!("{} is no project", dir.display()))
            .hint("name a directory that is there, and neither your home nor around $CODEX_HOME")
    })?;
    let changed = cx.home.is_dir() && write(&root, None, cx)?;
    cx.ui.report(&Trust { schema: "toolgate.config.trust/1", root, trusted: false, changed, servers: Vec::new() })
}

fn read(dir: Option<&Path>, cx: &Context) -> Result<Config, Failure> {
    if let Some(dir) = dir {
        std::fs::read_dir(dir).map_err(|error| Failure::io(&format!("read {}", dir.display()), error))?;
    }
    let dir = dir.and_then(|dir| std::path::absolute(dir).ok());
    cx.files_at(dir.as_deref())
}

fn write(root: &Path, level: Option<&'static str>, cx: &Context) -> Result<bool, Failure> {
    let name = root.to_str().ok_or_else(|| {
        Failure::new(Code::ArgsInvalid, format!("{} is not UTF-8 and cannot be written down", root.display()))
    })?;
    let edit = Edit::Project { root: name.to_owned(), level };
    Ok(!Writer::lock(&cx.home)?.edit(&[(Source::Codex, vec![edit])])?.is_empty())
}

fn confirm(args: &TrustArgs, project: &ProjectTrust, brought: &[Brought], cx: &Context) -> Result<(), Failure> {
    let mut lines = format!("{} brings:\n", project.root.display());
    brought.iter().for_each(|server| lines.push_str(&server.lines()));
    if args.yes {
        cx.ui.status(&lines);
        return Ok(());
    }
    let mut terminal = Terminal::open().map_err(|_| {
        cx.ui.status(&lines);
        Failure::new(Code::ApprovalRefused, "there is no terminal to ask at, so nothing was trusted")
            .hint("look at what the project brings, then add `--yes`")
    })?;
    let question = "Commands run with all your rights. Trust this project?";
    terminal.confirm(&lines, question).map(|_| ())
}

fn brought(config: &Config, cx: &Context) -> Vec<Brought> {
    let projects = config.servers.values().filter(|server| server.origin.source == Source::Project);
    projects.map(|server| Brought::of(server, cx)).collect()
}

/// A server that a project brings.
#[derive(Serialize)]
struct Brought {
    name: String,
    place: String,
    reach: String,
    /// The variables of the user that it gets.
    variables: Vec<String>,
}

impl Brought {
    fn of(server: &Server, cx: &Context) -> Self {
        let reach = Shown { secrets: false, env: &cx.env }.reach(server);
        let (name, place) = (server.name.clone(), server.origin.place.to_string());
        Self { name, place, reach, variables: config::variables(server) }
    }

    fn lines(&self) -> String {
        let mut text = format!("  {}: {}\n    written in {}\n", self.name, self.reach, self.place);
        if !self.variables.is_empty() {
            text.push_str(&format!("    gets your variables {}\n", self.variables.join(", ")));
        }
        text
    }
}

#[derive(Serialize)]
struct Trust {
    schema: &'static str,
    root: PathBuf,
    trusted: bool,
    changed: bool,
    servers: Vec<Brought>,
}

impl Report for Trust {
    fn human(&self) -> String {
        let root = visible(&self.root.display().to_string());
        match (self.trusted, self.changed) {
            (true, true) => format!("{root} is trusted.\n"),
            (true, false) => format!("{root} is trusted already.\n"),
            (false, true) => format!("{root} is not trusted any more.\n"),
            (false, false) => format!("{root} was not trusted.\n"),
        }
    }
}
