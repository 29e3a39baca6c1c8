//! `toolgate connect CLIENT` and `toolgate disconnect CLIENT`: shows what would change, asks, and does it. How it is
//! done is `connect`'s.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::Context;
use crate::config::Writer;
use crate::connect::{self, Ask, Barred, Change, Client, ConnectError, Launch, Left, Moved, Plan, State, Undo};
use crate::ui::{Failure, Report};
use crate::wire::System;
use gate::Code;
use gate::ports::Clock;

/// Arguments of `connect`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate connect codex --dry-run
  toolgate connect claude-code
  toolgate connect cursor --each
  toolgate connect vscode --file .vscode/mcp.json
  toolgate disconnect codex

Moves the servers of a client into $CODEX_HOME/toolgate.toml and leaves the client with the gate: one entry for all servers, or, for Codex, one for each under its old name. Shows what will change and asks before it writes. What was there is kept, and `toolgate disconnect CLIENT` puts it back byte for byte. No server is started.

Exit status: 0, also when there is nothing to do; 1 when it was not confirmed, or could not be done.")]
pub struct ConnectArgs {
    /// The client.
    client: Client,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// The client's file, where it is not at its usual place.
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Give each server an entry of its own, under its old name.
    #[arg(long)]
    each: bool,
    /// Put a server whose name is taken in the gate there under another one.
    #[arg(long)]
    rename: bool,
    /// Go on although a managed file will keep servers from running.
    #[arg(long)]
    anyway: bool,
}

/// Arguments of `disconnect`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate disconnect cursor --dry-run
  toolgate disconnect cursor

Puts back what `toolgate connect` found, byte for byte. In a file that was changed since, only what connecting did is taken back, and all else stays.

Exit status: 0, also when the client is not connected; 1 when it was not confirmed, or could not be done.")]
pub struct DisconnectArgs {
    /// The client.
    client: Client,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Connects.
pub fn connect(args: &ConnectArgs, cx: &Context) -> Result<(), Failure> {
    let ask = ask(args, cx)?;
    mend(args.client, args.dry_run, cx)?;
    let plan = connect::plan(&ask)?;
    let mut answer = Answer::of_plan(&plan);
    if plan.files.is_empty() {
        let known = connect::journal(&cx.home, args.client)?.is_some();
        answer.state = if known { "already_connected" } else { "nothing_to_do" };
        return cx.ui.report(&answer);
    }
    if let Some(refusal) = refusal(&plan).filter(|_| !args.anyway && !args.dry_run) {
        return Err(refusal);
    }
    if args.dry_run {
        return cx.ui.report(&answer);
    }
    confirm(&answer, args.yes, "Connect?", cx)?;
    let writer = Writer::lock(&cx.home)?;
    // A person may have taken a while to answer.
    if connect::plan(&ask)? != plan {
        return Err(ConnectError::Changed { path: ask.file }.into());
    }
    connect::connect(&writer, &cx.home, &plan, System.wall_micros())?;
    answer.state = "connected";
    cx.ui.report(&answer)?;
    let word = args.client.word();
    cx.ui.hint(&format!("{}; `toolgate disconnect {word}` puts everything back", args.client.restart()));
    if let Some(moved) = plan.moved.first() {
        cx.ui.hint(&format!("try a server with `toolgate mcp test {}`", moved.gate));
    }
    Ok(())
}

/// Disconnects.
pub fn disconnect(args: &DisconnectArgs, cx: &Context) -> Result<(), Failure> {
    mend(args.client, args.dry_run, cx)?;
    if connect::journal(&cx.home, args.client)?.is_none() {
        return cx.ui.report(&Answer::new(args.client, "not_connected", "toolgate.disconnect/1"));
    }
    let undo = connect::undo(&cx.home, args.client)?;
    let mut answer = Answer::of_undo(args.client, &undo);
    if args.dry_run {
        return cx.ui.report(&answer);
    }
    confirm(&answer, args.yes, "Disconnect?", cx)?;
    let writer = Writer::lock(&cx.home)?;
    let again = connect::undo(&cx.home, args.client)?;
    if let Some(changed) = again.files.iter().find(|change| !undo.files.contains(change)) {
        return Err(ConnectError::Changed { path: changed.path.clone() }.into());
    }
    connect::disconnect(&writer, &cx.home, args.client, &again)?;
    answer.state = "disconnected";
    cx.ui.report(&answer)?;
    cx.ui.hint(args.client.restart());
    Ok(())
}

fn ask<'a>(args: &ConnectArgs, cx: &'a Context) -> Result<Ask<'a>, Failure> {
    let usual = || {
        let file = connect::file(args.client, &cx.home, &cx.env);
        file.ok_or_else(|| Failure::from(ConnectError::NoPlace(args.client.title())).hint("name it with `--file PATH`"))
    };
    let file = match &args.file {
        Some(path) => std::path::absolute(path).map_err(|error| Failure::io("find the file", error))?,
        None => usual()?,
    };
    Ok(Ask {
        client: args.client,
        file,
        home: &cx.home,
        env: &cx.env,
        launch: Launch::of(&cx.home, &cx.env),
        each: args.each,
        rename: args.rename,
    })
}

/// Ends what an earlier run was killed in.
fn mend(client: Client, dry_run: bool, cx: &Context) -> Result<(), Failure> {
    let broken_off = |state| state != State::Connected;
    match connect::journal(&cx.home, client)? {
        Some(journal) if broken_off(journal.state) && dry_run => {
            let message = format!("an earlier change of {} was broken off", client.title());
            Err(Failure::new(Code::Io, message).hint("run this without `--dry-run`: it is brought to an end first"))
        }
        Some(_) if !dry_run => {
            let writer = Writer::lock(&cx.home)?;
            if connect::recover(&writer, &cx.home, client)? {
                cx.ui.status("an earlier change was broken off; it was brought to an end first");
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn refusal(plan: &Plan) -> Option<Failure> {
    let first = plan.barred.first()?;
    let message = format!("`{}` would not run any more: {}", first.name, first.why);
    let lines: Vec<_> = plan.barred.iter().map(|barred| barred.line.as_str()).collect();
    let hint = format!("an administrator has to add:\n{}\n`--anyway` connects all the same", lines.join("\n"));
    Some(Failure::new(Code::PolicyDenied, message).hint(hint))
}

fn confirm(answer: &Answer, yes: bool, question: &str, cx: &Context) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        let failure = Failure::new(Code::ApprovalRefused, "not confirmed: there is no terminal to ask at");
        return Err(failure.hint("look at it with `--dry-run`, then add `--yes`"));
    }
    cx.ui.status(&answer.human());
    cx.ui.status(&format!("{question} [y/N]"));
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(|error| Failure::io("read the answer", error))?;
    match line.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new(Code::ApprovalRefused, "not confirmed: nothing was changed")),
    }
}

#[derive(Serialize)]
struct File {
    path: String,
    change: &'static str,
}

#[derive(Serialize)]
struct Answer {
    schema: &'static str,
    client: Client,
    state: &'static str,
    files: Vec<File>,
    moved: Vec<Moved>,
    left: Vec<Left>,
    notes: Vec<String>,
    barred: Vec<Barred>,
    diff: String,
}

impl Answer {
    fn new(client: Client, state: &'static str, schema: &'static str) -> Self {
        let (files, moved, left, notes, barred) = Default::default();
        Self { schema, client, state, files, moved, left, notes, barred, diff: String::new() }
    }

    fn of_plan(plan: &Plan) -> Self {
        Self {
            files: plan.files.iter().map(file).collect(),
            moved: plan.moved.clone(),
            left: plan.left.clone(),
            notes: plan.notes.clone(),
            barred: plan.barred.clone(),
            diff: plan.files.iter().map(difference).collect(),
            ..Self::new(plan.client, "planned", "toolgate.connect/1")
        }
    }

    fn of_undo(client: Client, undo: &Undo) -> Self {
        let changes = || undo.files.iter().filter(|change| change.before != change.after);
        Self {
            files: changes().map(file).collect(),
            notes: undo.notes.clone(),
            diff: changes().map(difference).collect(),
            ..Self::new(client, "planned", "toolgate.disconnect/1")
        }
    }
}

fn file(change: &Change) -> File {
    let what = match (&change.before, &change.after) {
        (None, _) => "created",
        (_, None) => "removed",
        _ => "changed",
    };
    File { path: change.path.display().to_string(), change: what }
}

/// What changes, without secrets.
fn difference(change: &Change) -> String {
    let mask = if change.path.extension().is_some_and(|kind| kind == "toml") {
        connect::mask::toml
    } else {
        connect::mask::json
    };
    let [before, after] = [&change.before, &change.after].map(|text| text.as_deref().map(mask));
    connect::diff::unified(&change.path.display().to_string(), before.as_deref(), after.as_deref())
}

impl Report for Answer {
    fn human(&self) -> String {
        let title = self.client.title();
        let mut out = match self.state {
            "planned" => self.diff.clone(),
            "connected" => format!("{title} is connected.\n"),
            "already_connected" => format!("{title} is already connected; there is nothing to do.\n"),
            "disconnected" => format!("{title} is disconnected.\n"),
            "not_connected" => format!("{title} is not connected; there is nothing to do.\n"),
            _ => format!("{title} has no servers to put behind the gate.\n"),
        };
        for moved in &self.moved {
            let name = if moved.name == moved.gate { String::new() } else { format!(" as {}", moved.gate) };
            let how = if moved.added { "" } else { " (the gate has the same one)" };
            out.push_str(&format!("behind the gate: {}{name}{how}\n", moved.name));
        }
        self.left.iter().for_each(|left| out.push_str(&format!("stays where it is: {}: {}\n", left.name, left.why)));
        self.notes.iter().for_each(|note| out.push_str(&format!("note: {note}\n")));
        for barred in &self.barred {
            out.push_str(&format!(
                "will not run: {}: {}\nan administrator has to add:\n{}\n",
                barred.name, barred.why, barred.line
            ));
        }
        out
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let hint = match &error {
            ConnectError::Write(_) => None,
            ConnectError::NotThere { .. } => Some("start it once, or name its file with `--file PATH`"),
            ConnectError::NotJson { .. } | ConnectError::Shape { .. } => {
                Some("nothing was written; mend the file by hand")
            }
            ConnectError::Changed { .. } => Some("close the program that writes to it and run this again"),
            ConnectError::Json(_) | ConnectError::Toml(_) => Some("nothing was written"),
            ConnectError::NoPlace(_) | ConnectError::Journal { .. } | ConnectError::Io { .. } => None,
        };
        let code = match &error {
            ConnectError::NotJson { .. } | ConnectError::Shape { .. } | ConnectError::Journal { .. } => {
                Code::ConfigInvalid
            }
            _ => Code::Io,
        };
        let failure = match error {
            ConnectError::Write(error) => error.into(),
            ConnectError::Io { what, path, source } => Self::io(&format!("{what} {}", path.display()), source),
            other => Self::new(code, other.to_string()),
        };
        Self { hint: failure.hint.or(hint.map(str::to_owned)), ..failure }
    }
}
