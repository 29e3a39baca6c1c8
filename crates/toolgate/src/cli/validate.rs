//! `toolgate mcp validate FILE`: the checks of `add`, without adding anything.

use std::io::Read;
use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::{Context, content};
use crate::config::{Draft, Problem, Server, Transport, check_name, drafts_from_json, drafts_from_toml};
use crate::ui::{Failure, Report};
use gate::Code;

/// A configuration beyond this is a mistake.
const LARGEST: u64 = 16 << 20;

/// Arguments of `validate`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp validate my-server.json
  toolgate mcp validate .mcp.json --json | jq '.servers[] | select(.ok | not)'
  generate-config | toolgate mcp validate -

A `.toml` file is read like config.toml, all else as JSON: one server, or many under `mcpServers`, `mcp_servers` or
`servers`. Nothing is written, started or connected to.

Exit status: 0 if every server can be used as written, else 1.")]
pub struct ValidateArgs {
    /// The file; `-` for JSON on standard input.
    file: String,
}

/// Validates.
pub fn run(args: &ValidateArgs, cx: &Context) -> Result<(), Failure> {
    let text = read(&args.file)?;
    let drafts = drafts(&args.file, &text);
    let servers: Vec<_> =
        drafts.as_ref().map_or(&[][..], |drafts| drafts).iter().map(|draft| judge(draft, cx)).collect();
    let problem = drafts.err().map(|problem| Mistake::of(&problem));
    let ok = problem.is_none() && servers.iter().all(|server| server.ok);
    let report = Validated { schema: "toolgate.validate/1", file: args.file.clone(), ok, problem, servers };
    cx.ui.report(&report)?;
    if report.ok { Ok(()) } else { Err(report.failure()) }
}

fn read(file: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = match file {
        "-" => std::io::stdin().take(LARGEST).read_to_string(&mut text),
        path => std::fs::File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut text)),
    };
    read.map_err(|error| Failure::io(&format!("read {file}"), error))?;
    Ok(text)
}

fn drafts(file: &str, text: &str) -> Result<Vec<Draft>, Problem> {
    let path = Path::new(file);
    if path.extension().is_some_and(|end| end == "toml") {
        return drafts_from_toml(path, text);
    }
    // A lone object says nothing of what it will be called.
    let stem = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| check_name(stem).is_ok());
    drafts_from_json(file, text, Some(stem.filter(|_| file != "-").unwrap_or("server")))
}

fn judge(draft: &Draft, cx: &Context) -> Judged {
    let name = draft.name.clone();
    match draft.clone().check(&cx.env) {
        Ok((server, warnings)) => Judged {
            name,
            ok: true,
            transport: Some(transport(&server)),
            problem: None,
            warnings: warnings.iter().map(Mistake::of).collect(),
        },
        Err(error) => {
            let problem = Some(Mistake::of(&error.problem));
            Judged { name, ok: false, transport: None, problem, warnings: Vec::new() }
        }
    }
}

fn transport(server: &Server) -> &'static str {
    match &server.transport {
        Transport::Stdio(_) => "stdio",
        Transport::Http(http) if http.sse => "sse",
        Transport::Http(_) => "streamable_http",
        Transport::Declared => "declared",
        Transport::Handlers(_) => "handlers",
    }
}

#[derive(Serialize)]
struct Validated {
    schema: &'static str,
    file: String,
    ok: bool,
    /// Why nothing of it can be read.
    problem: Option<Mistake>,
    servers: Vec<Judged>,
}

#[derive(Serialize)]
struct Judged {
    name: String,
    ok: bool,
    transport: Option<&'static str>,
    problem: Option<Mistake>,
    warnings: Vec<Mistake>,
}

#[derive(Serialize)]
struct Mistake {
    place: String,
    message: String,
    hint: Option<String>,
}

impl Mistake {
    fn of(problem: &Problem) -> Self {
        Self { place: problem.place.to_string(), message: problem.message.clone(), hint: problem.hint.clone() }
    }

    fn lines(&self) -> String {
        let hint = self.hint.as_ref().map(|hint| format!("  ({hint})")).unwrap_or_default();
        content::visible(&format!("{}: {}{hint}", self.place, self.message)) + "\n"
    }
}

impl Validated {
    fn failure(&self) -> Failure {
        let bad = self.servers.iter().filter(|server| !server.ok).count();
        let message = match &self.problem {
            Some(_) => format!("{} cannot be read as servers", self.file),
            None => format!("{bad} of {} servers of {} cannot be used as written", self.servers.len(), self.file),
        };
        Failure::new(Code::ConfigInvalid, message).exiting(1)
    }
}

impl Report for Validated {
    fn human(&self) -> String {
        let mut text = self.problem.as_ref().map(Mistake::lines).unwrap_or_default();
        for server in &self.servers {
            let name = content::visible(&server.name);
            match (&server.problem, server.transport) {
                (Some(problem), _) => text += &format!("{name}: FAILED\n  {}", problem.lines()),
                (None, transport) => text += &format!("{name}: ok ({})\n", transport.unwrap_or("-")),
            }
            server.warnings.iter().for_each(|warning| text += &format!("  warning: {}", warning.lines()));
        }
        text
    }
}
