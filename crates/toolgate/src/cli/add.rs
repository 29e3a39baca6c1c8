//! `toolgate mcp add NAME ...`: writes a new server's entry. Nothing is started, except to find out whether an address
//! that was given can be reached.

mod drafts;
mod reach;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::Context;
use super::features::Features;
use super::show::Shown;
use crate::config::{Config, Draft, Edit, Http, Server, Source, Transport, Writer};
use crate::ui::{CODEX, Failure, Report};
use gate::Code;
use reach::Standing;

/// Arguments of `add`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate mcp add everything -- npx -y @modelcontextprotocol/server-everything stdio
  toolgate mcp add github --env API_TOKEN=... -- npx -y @scope/server
  toolgate mcp add docs --url https://example.com/mcp --bearer-token-env-var DOCS_TOKEN
  toolgate mcp add docs https://example.com/mcp \"Authorization=Bearer ...\"
  toolgate mcp add db ./database.json
  toolgate mcp add time '{\"command\": \"uvx\", \"args\": [\"mcp-server-time\"]}'
  toolgate mcp add --import ~/.cursor/mcp.json

The entry goes to $CODEX_HOME/config.toml, where Codex sees it too; settings that only toolgate knows go to toolgate.toml beside it. Only add servers that you trust: their code runs with your rights.

Nothing is started, but a server that is given as NAME URL is connected to at once, to tell whether that works.")]
pub struct AddArgs {
    /// What to call the server.
    #[arg(required_unless_present = "import")]
    name: Option<String>,
    /// A JSON file, `-` for standard input, or JSON itself: one server's object, or a document with `mcpServers`. Or
    /// the address of a server, which is then connected to.
    #[arg(value_name = "JSON|URL", conflicts_with_all = ["command", "url", "import"])]
    source: Option<String>,
    /// Headers to send to the address with every request.
    #[arg(value_name = "HEADER=VALUE", value_parser = header_pair, requires = "source")]
    headers: Vec<(String, String)>,
    /// Do not connect to the address that was given.
    #[arg(long, requires = "source")]
    no_connect: bool,
    /// Add every server of a JSON document with `mcpServers`: a file, or `-` for standard input.
    #[arg(long, value_name = "JSON", conflicts_with_all = ["name", "command", "url"])]
    import: Option<String>,
    /// The address of a server reached over HTTP.
    #[arg(long, conflicts_with = "command")]
    url: Option<String>,
    /// A variable to set for the command; may be given more than once.
    #[arg(long, value_name = "KEY=VALUE", value_parser = env_pair, conflicts_with_all = ["source", "import"])]
    env: Vec<(String, String)>,
    /// The directory to run the command in.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["url", "source", "import"])]
    cwd: Option<String>,
    /// The variable that holds the bearer token for the URL.
    #[arg(long, value_name = "VAR", conflicts_with_all = ["command", "source", "import"])]
    bearer_token_env_var: Option<String>,
    /// A header to send with every request; may be given more than once.
    #[arg(long, value_name = "NAME=VALUE", value_parser = header_pair, conflicts_with_all = ["command", "source", "import"])]
    header: Vec<(String, String)>,
    #[command(flatten)]
    oauth: OAuthArgs,
    /// Write to toolgate.toml alone, so that clients reach the server only through the gate.
    #[arg(long)]
    gate_only: bool,
    /// Write to config.json, for programs that keep their servers there.
    #[arg(long, conflicts_with = "gate_only")]
    config_json: bool,
    /// Replace a server of the same name.
    #[arg(long, visible_alias = "replace")]
    force: bool,
    /// Do not say what will run.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    features: Features,
    /// The command that starts the server, and its arguments.
    #[arg(last = true)]
    command: Vec<String>,
}

/// How to log in to the URL.
#[derive(Debug, Args)]
struct OAuthArgs {
    /// The client that the authorization server knows us as.
    #[arg(long, value_name = "CLIENT_ID", requires = "url", conflicts_with_all = ["command", "source", "import"])]
    oauth_client_id: Option<String>,
    /// The secret of that client.
    #[arg(long, value_name = "CLIENT_SECRET", requires = "oauth_client_id")]
    oauth_client_secret: Option<String>,
    /// How to become known to the authorization server.
    #[arg(long, value_name = "AUTO|CIMD|DCR", requires = "url", conflicts_with_all = ["command", "source", "import"])]
    oauth_client_registration: Option<Registration>,
    /// The resource to ask a token for.
    #[arg(long, value_name = "RESOURCE", requires = "url", conflicts_with_all = ["command", "source", "import"])]
    oauth_resource: Option<String>,
}

/// How a client becomes known to an authorization server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Registration {
    /// Whichever it understands.
    Auto,
    /// By a document about the client.
    Cimd,
    /// By registering with it.
    Dcr,
}

/// How the command is typed, for `program`.
pub fn usage(program: &str) -> &'static str {
    if program == CODEX {
        return "codex mcp add [OPTIONS] <NAME> (--url <URL> | -- <COMMAND>...)";
    }
    "toolgate mcp add [OPTIONS] <NAME> (-- <COMMAND>... | --url <URL> | <JSON> | <URL> [HEADER=VALUE]...)
       toolgate mcp add [OPTIONS] --import <JSON>"
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

impl AddArgs {
    /// The address given in the place of JSON.
    fn address(&self) -> Option<&str> {
        let source = self.source.as_deref()?;
        let lower = source.to_ascii_lowercase();
        (lower.starts_with("http://") || lower.starts_with("https://")).then_some(source)
    }

    /// Whether to find out if the server can be reached.
    fn connects(&self) -> bool {
        self.address().is_some() && !self.no_connect
    }
}

/// Checks all that is to be added, then writes all of it or nothing.
pub fn run(args: &AddArgs, cx: &Context) -> Result<(), Failure> {
    let mut checked = Vec::new();
    for mut draft in drafts::drafts(args, cx)? {
        let (server, warnings) = draft.check(&cx.env).map_err(|error| drafts::refused(&error.problem))?;
        for warning in &warnings {
            cx.ui.warning(&warning.to_string(), warning.hint.as_deref());
        }
        checked.push((draft, server));
    }
    let writer = Writer::lock(&cx.home)?;
    let config = cx.files()?;
    let json_there = Source::Json.file(&cx.home).is_some_and(|path| path.exists());
    let mut plan = Plan { json_there, ..Plan::default() };
    for (draft, server) in &checked {
        plan.add(args, draft, server, &config, cx)?;
        announce(args, server, cx);
    }
    // The restrictions first: an entry must never stand without them.
    let Plan { codex, toolgate, json, mut added, .. } = plan;
    writer.edit(&[(Source::Toolgate, toolgate), (Source::Codex, codex), (Source::Json, json)])?;
    for added in &mut added {
        // What was listed under this name before is another server's.
        upstream::forget_catalog(&cx.home.join("toolgate"), &added.name.as_str().into())
            .map_err(|error| Failure::io("forget what a server of this name listed", error))?;
        if args.connects() {
            added.standing = Some(reach::reach(&added.name, cx)?);
        }
    }
    cx.ui.report(&Additions { schema: "toolgate.add/1", program: cx.ui.program(), added })
}

fn announce(args: &AddArgs, server: &Server, cx: &Context) {
    if args.yes {
        return;
    }
    let reach = Shown { secrets: false, env: &cx.env }.reach(server);
    let what = match &server.transport {
        Transport::Stdio(_) | Transport::Handlers(_) => "will run",
        Transport::Http(_) => "will connect to",
        Transport::Declared => return declared(server, cx),
    };
    cx.ui.status(&format!("{what}: {reach}"));
    cx.ui.status(match &server.transport {
        Transport::Handlers(_) => {
            "once for each call, in a sandbox; see `[mcp_servers.NAME.sandbox]` for what it may reach"
        }
        _ => "it gets what your agent sends to its tools; a command also has all your rights",
    });
    if let Some(hint) = super::show::known_pitfall(server) {
        cx.ui.hint(hint);
    }
}

/// Tells of tools that are only declared.
fn declared(server: &Server, cx: &Context) {
    let names = super::show::declared(server);
    cx.ui.status(&format!("nothing runs these tools, so they are listed and cannot be called: {names}"));
}

/// What is to be written.
#[derive(Default)]
struct Plan {
    codex: Vec<Edit>,
    toolgate: Vec<Edit>,
    json: Vec<Edit>,
    /// Whether there is a config.json.
    json_there: bool,
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
        let login = matches!(&server.transport, Transport::Http(http) if may_want_login(http)) && !args.connects();
        self.added.push(Added { name: draft.name.clone(), file, replaced: exists, login, standing: None });
        Ok(())
    }

    fn write(&mut self, args: &AddArgs, draft: &Draft, server: &Server, old: Option<&Server>) -> Source {
        let name = draft.name.clone();
        let home = self.home(args, draft, server, old);
        match home {
            Source::Json => self.json.push(Edit::Put { name, table: draft.whole() }),
            Source::Toolgate => self.toolgate.push(Edit::Put { name, table: draft.whole() }),
            _ => {
                let own = draft.own_part();
                if !own.is_empty() {
                    self.toolgate.push(Edit::Add { name: name.clone(), table: own });
                }
                self.codex.push(Edit::Put { name, table: draft.codex_part() });
            }
        }
        home
    }

    /// A replaced entry stays in the file it was in; a server given by its address goes where programs that add
    /// them so keep them. Codex knows neither the old SSE transport nor references.
    fn home(&self, args: &AddArgs, draft: &Draft, server: &Server, old: Option<&Server>) -> Source {
        let sse = matches!(&server.transport, Transport::Http(Http { sse: true, .. }));
        let no_server = matches!(server.transport, Transport::Declared | Transport::Handlers(_));
        let old = old.map(|old| old.origin.source);
        let address = old.is_none() && self.json_there && args.address().is_some();
        match old {
            _ if args.config_json => Source::Json,
            _ if args.gate_only => Source::Toolgate,
            Some(home @ (Source::Json | Source::Toolgate)) => home,
            _ if address => Source::Json,
            _ if sse || no_server || draft.has_references() => Source::Toolgate,
            _ => Source::Codex,
        }
    }
}

fn explain_replacement(old: &Server, new: &Server, cx: &Context) {
    let shown = Shown { secrets: false, env: &cx.env };
    cx.ui.status(&format!("replaces: {} -> {}", shown.reach(old), shown.reach(new)));
    for place in &old.origin.added {
        cx.ui.warning(&format!("{place}: settings of '{}' there stay in effect", old.name), None);
    }
}

/// Whether nothing is configured that would let us in without a login.
fn may_want_login(http: &Http) -> bool {
    let authorization = |name: &String| name.eq_ignore_ascii_case("authorization");
    let given = http.headers.keys().chain(http.env_headers.keys()).any(authorization);
    http.bearer_token_env_var.is_none() && http.headers_helper.is_none() && !given
}

#[derive(Serialize)]
struct Added {
    name: String,
    file: Option<String>,
    replaced: bool,
    /// Whether somebody may have to log in first.
    #[serde(skip)]
    login: bool,
    #[serde(flatten)]
    standing: Option<Standing>,
}

#[derive(Serialize)]
struct Additions {
    schema: &'static str,
    #[serde(skip)]
    program: &'static str,
    added: Vec<Added>,
}

impl Report for Additions {
    fn human(&self) -> String {
        self.added.iter().map(|added| self.one(added)).collect()
    }
}

impl Additions {
    fn one(&self, added: &Added) -> String {
        let mut text = format!("Added global MCP server '{}'.\n", added.name);
        if added.login {
            let login = format!("{} mcp login {}", self.program, added.name);
            text.push_str(&format!("MCP server may or may not require login. Run `{login}` to login.\n"));
        }
        text.extend(added.standing.as_ref().map(|standing| format!("{}\n", standing.text(self.program, &added.name))));
        text
    }
}
