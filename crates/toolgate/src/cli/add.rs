//! `toolgate mcp add NAME ...`: writes a new server's entry. Nothing is started.

use std::fs;
use std::io::{self, Read};

use clap::Args;
use serde::Serialize;

use super::Context;
use super::show::Shown;
use crate::config::{Config, Draft, Edit, Http, Server, Source, Transport, Writer, drafts_from_json};
use crate::ui::{Failure, Report};
use gate::Code;

/// Arguments of `add`.
#[derive(Debug, Args)]
#[command(
    override_usage = "toolgate mcp add [OPTIONS] <NAME> (-- <COMMAND>... | --url <URL> | <JSON>)
       toolgate mcp add [OPTIONS] --import <JSON>",
    after_help = "Examples:
  toolgate mcp add everything -- npx -y @modelcontextprotocol/server-everything stdio
  toolgate mcp add github --env API_TOKEN=... -- npx -y @scope/server
  toolgate mcp add docs --url https://example.com/mcp --bearer-token-env-var DOCS_TOKEN
  toolgate mcp add db ./database.json
  toolgate mcp add time '{\"command\": \"uvx\", \"args\": [\"mcp-server-time\"]}'
  toolgate mcp add --import ~/.cursor/mcp.json

The entry goes to $CODEX_HOME/config.toml, where Codex sees it too; settings that only toolgate knows go to toolgate.toml beside it. Only add servers that you trust: their code runs with your rights."
)]
pub struct AddArgs {
    /// What to call the server.
    #[arg(required_unless_present = "import")]
    name: Option<String>,
    /// A JSON file, `-` for standard input, or JSON itself: one server's object, or a document with `mcpServers`.
    #[arg(value_name = "JSON", conflicts_with_all = ["command", "url", "import"])]
    json_source: Option<String>,
    /// Add every server of a JSON document with `mcpServers`: a file, or `-` for standard input.
    #[arg(long, value_name = "JSON", conflicts_with_all = ["name", "command", "url"])]
    import: Option<String>,
    /// The address of a server reached over HTTP.
    #[arg(long, conflicts_with = "command")]
    url: Option<String>,
    /// A variable to set for the command; may be given more than once.
    #[arg(long, value_name = "KEY=VALUE", value_parser = env_pair, conflicts_with_all = ["url", "json_source", "import"])]
    env: Vec<(String, String)>,
    /// The directory to run the command in.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["url", "json_source", "import"])]
    cwd: Option<String>,
    /// The variable that holds the bearer token for the URL.
    #[arg(long, value_name = "VAR", conflicts_with_all = ["command", "json_source", "import"])]
    bearer_token_env_var: Option<String>,
    /// A header to send with every request; may be given more than once.
    #[arg(long, value_name = "NAME=VALUE", value_parser = header_pair, conflicts_with_all = ["command", "json_source", "import"])]
    header: Vec<(String, String)>,
    /// Write to toolgate.toml alone, so that clients reach the server only through the gate.
    #[arg(long)]
    gate_only: bool,
    /// Replace a server of the same name.
    #[arg(long, visible_alias = "replace")]
    force: bool,
    /// Do not say what will run.
    #[arg(short, long)]
    yes: bool,
    /// The command that starts the server, and its arguments.
    #[arg(last = true)]
    command: Vec<String>,
}

fn env_pair(text: &str) -> Result<(String, String), &'static str> {
    pair(text).ok_or("environment entries must be in KEY=VALUE form")
}

fn header_pair(text: &str) -> Result<(String, String), &'static str> {
    pair(text).ok_or("headers must be in NAME=VALUE form")
}

fn pair(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once('=')?;
    let key = key.trim();
    (!key.is_empty()).then(|| (key.to_owned(), value.to_owned()))
}

/// Checks all that is to be added, then writes all of it or nothing.
pub fn run(args: &AddArgs, cx: &Context) -> Result<(), Failure> {
    let mut checked = Vec::new();
    for mut draft in drafts(args)? {
        let (server, warnings) = draft.check(&cx.env).map_err(|error| refused(&error.problem))?;
        for warning in &warnings {
            cx.ui.warning(&warning.to_string(), warning.hint.as_deref());
        }
        checked.push((draft, server));
    }
    let writer = Writer::lock(&cx.home)?;
    let config = cx.files()?;
    let mut plan = Plan::default();
    for (draft, server) in &checked {
        plan.add(args, draft, server, &config, cx)?;
        announce(args, server, cx);
    }
    // The restrictions first: an entry must never stand without them.
    writer.edit(&[(Source::Toolgate, plan.toolgate), (Source::Codex, plan.codex)])?;
    cx.ui.report(&Additions { schema: "toolgate.add/1", added: plan.added })
}

fn drafts(args: &AddArgs) -> Result<Vec<Draft>, Failure> {
    if let Some(source) = &args.import {
        let (document, text) = json_text(source)?;
        return drafts_from_json(&document, &text, None).map_err(|problem| refused(&problem));
    }
    let name = args.name.as_deref().unwrap_or_default();
    let draft = match &args.json_source {
        Some(source) => from_json(name, source)?,
        None => from_flags(name, args)?,
    };
    Ok(vec![draft])
}

fn refused(problem: &crate::config::Problem) -> Failure {
    // What was said on the command line needs no place.
    let text = problem.to_string();
    let text = text.strip_prefix("argument#: ").unwrap_or(&text);
    Failure { hint: problem.hint.clone(), ..Failure::new(Code::ArgsInvalid, text) }
}

fn from_flags(name: &str, args: &AddArgs) -> Result<Draft, Failure> {
    let mut draft = Draft::new(name);
    match (args.command.split_first(), &args.url) {
        (Some((command, rest)), _) => {
            draft.text("command", command);
            draft.list("args", rest);
            draft.map("env", &args.env);
        }
        (None, Some(url)) => {
            draft.text("url", url);
            draft.map("http_headers", &args.header);
        }
        (None, None) => {
            return Err(Failure::new(Code::Usage, format!("nothing says how to reach '{name}'"))
                .hint("give a command after `--`, a `--url`, or JSON"));
        }
    }
    for (key, value) in [("cwd", &args.cwd), ("bearer_token_env_var", &args.bearer_token_env_var)] {
        if let Some(value) = value {
            draft.text(key, value);
        }
    }
    Ok(draft)
}

fn from_json(name: &str, source: &str) -> Result<Draft, Failure> {
    let (document, text) = json_text(source)?;
    let mut drafts = drafts_from_json(&document, &text, Some(name)).map_err(|problem| refused(&problem))?;
    if let Some(at) = drafts.iter().position(|draft| draft.name == name) {
        return Ok(drafts.swap_remove(at));
    }
    if drafts.len() == 1 {
        return Ok(drafts.swap_remove(0).renamed(name));
    }
    let names: Vec<_> = drafts.iter().map(|draft| draft.name.as_str()).collect();
    Err(Failure::new(Code::ArgsInvalid, format!("{document} has no server '{name}', but: {}", names.join(", ")))
        .hint("add them all with `--import`"))
}

/// A configuration beyond this is a mistake.
const LARGEST_JSON: u64 = 16 << 20;

/// The JSON meant by `source`, and what to call it in messages.
fn json_text(source: &str) -> Result<(String, String), Failure> {
    let mut text = String::new();
    if source.trim_start().starts_with('{') {
        return Ok(("argument".to_owned(), source.to_owned()));
    }
    let read = match source {
        "-" => io::stdin().take(LARGEST_JSON).read_to_string(&mut text),
        path => fs::File::open(path).and_then(|file| file.take(LARGEST_JSON).read_to_string(&mut text)),
    };
    let hint = "to add a command, write it after `--`";
    read.map_err(|error| Failure::io(&format!("read {source}"), error).hint(hint))?;
    Ok((source.to_owned(), text))
}

fn announce(args: &AddArgs, server: &Server, cx: &Context) {
    if args.yes {
        return;
    }
    let reach = Shown { secrets: false, env: &cx.env }.reach(server);
    let what = match &server.transport {
        Transport::Stdio(_) => "will run",
        Transport::Http(_) => "will connect to",
    };
    cx.ui.status(&format!("{what}: {reach}"));
    cx.ui.status("it gets what your agent sends to its tools; a command also has all your rights");
    if let Some(hint) = super::show::known_pitfall(server) {
        cx.ui.hint(hint);
    }
}

/// What is to be written.
#[derive(Default)]
struct Plan {
    codex: Vec<Edit>,
    toolgate: Vec<Edit>,
    added: Vec<Added>,
}

impl Plan {
    fn add(
        &mut self,
        args: &AddArgs,
        draft: &Draft,
        server: &Server,
        config: &Config,
        cx: &Context,
    ) -> Result<(), Failure> {
        // What a project brings is not the user's, and gives way to what is.
        let old = config.servers.get(&draft.name).filter(|old| old.origin.source != Source::Project);
        let exists = old.is_some() || config.bad.iter().any(|bad| bad.name == draft.name);
        if exists && !args.force {
            return Err(Failure::new(
                Code::ArgsInvalid,
                format!("an MCP server named '{}' exists already", draft.name),
            )
            .hint("replace it with `--force`"));
        }
        if let Some(old) = old {
            explain_replacement(old, server, cx);
        }
        if let Some(label) = draft.label()
            && label != draft.name
        {
            cx.ui.warning(&format!("it calls itself '{label}' and is added as '{}'", draft.name), None);
        }
        let target = self.write(args, draft, server, old);
        let file = target.file(&cx.home).map(|path| path.display().to_string());
        self.added.push(Added { name: draft.name.clone(), file, replaced: exists });
        Ok(())
    }

    /// A replaced entry stays in the file it was in. Codex knows neither the old SSE transport nor references.
    fn write(&mut self, args: &AddArgs, draft: &Draft, server: &Server, old: Option<&Server>) -> Source {
        let name = draft.name.clone();
        let sse = matches!(&server.transport, Transport::Http(Http { sse: true, .. }));
        if args.gate_only
            || sse
            || draft.has_references()
            || old.is_some_and(|old| old.origin.source == Source::Toolgate)
        {
            self.toolgate.push(Edit::Put { name, table: draft.whole() });
            return Source::Toolgate;
        }
        let own = draft.own_part();
        if !own.is_empty() {
            self.toolgate.push(Edit::Add { name: name.clone(), table: own });
        }
        self.codex.push(Edit::Put { name, table: draft.codex_part() });
        Source::Codex
    }
}

fn explain_replacement(old: &Server, new: &Server, cx: &Context) {
    let shown = Shown { secrets: false, env: &cx.env };
    cx.ui.status(&format!("replaces: {} -> {}", shown.reach(old), shown.reach(new)));
    for place in &old.origin.added {
        cx.ui.warning(&format!("{place}: settings of '{}' there stay in effect", old.name), None);
    }
}

#[derive(Serialize)]
struct Added {
    name: String,
    file: Option<String>,
    replaced: bool,
}

#[derive(Serialize)]
struct Additions {
    schema: &'static str,
    added: Vec<Added>,
}

impl Report for Additions {
    fn human(&self) -> String {
        self.added.iter().map(|added| format!("Added global MCP server '{}'.\n", added.name)).collect()
    }
}
