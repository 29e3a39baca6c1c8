//! `toolgate policy explain`: what becomes of one call, by which rule, and what kept the others from deciding.

use std::path::Path;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::Context;
use super::super::context::unknown_server;
use super::principal;
use crate::config::Config;
use crate::ui::{Failure, Report, Table};
use crate::wire::{Known, imagined};
use gate::policy::{Explanation, Layer, Matched};
use gate::{Case, Code, Facts, Item, Principal};

/// Arguments of `policy explain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate policy explain github__create_issue
  toolgate policy explain github create_issue --args '{\"repo\":\"me/site\"}'
  toolgate policy explain fs write_file --as token --tainted --json
  toolgate policy explain call.json

Without --args it says what the mildest arguments would get, as lists of tools do. A file holds an object with
`server`, `tool` and, if wanted, `principal` and `args`.")]
pub struct ExplainArgs {
    /// An exposed name, a server and its tool, or a `.json` file that holds a call.
    #[arg(required = true, num_args = 1..=2, value_name = "TOOL")]
    tool: Vec<String>,
    /// The arguments of the call, a JSON object.
    #[arg(long, value_name = "JSON")]
    args: Option<String>,
    /// Who calls: local, token or unauthenticated [default: local].
    #[arg(long = "as", value_name = "PRINCIPAL")]
    principal: Option<String>,
    /// As if the conversation had read what strangers wrote.
    #[arg(long)]
    tainted: bool,
}

/// Explains.
pub fn run(args: &ExplainArgs, cx: &Context) -> Result<(), Failure> {
    let call = Asked::of(args)?;
    let config = cx.config()?;
    config.sound().map_err(|problem| Failure::from(problem.clone()))?;
    let known = Known::load(&config, &cx.env);
    let (item, seen) = call.item(&known, &config)?;
    let by = principal(call.principal.as_deref().unwrap_or("local"))?;
    let arguments = call.arguments()?;
    let case = Case { by: &by, item: &item, arguments: arguments.map(str::as_bytes), tainted: args.tainted };
    let explanation = known.policy.explain(&case);
    cx.ui.report(&Explained { by, item: &item, seen, tainted: args.tainted, given: arguments.is_some(), explanation })
}

/// The call that is asked about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    principal: Option<String>,
    server: Option<String>,
    tool: String,
    args: Option<Box<RawValue>>,
}

impl Asked {
    fn of(args: &ExplainArgs) -> Result<Self, Failure> {
        let given = args.args.as_deref().map(object).transpose()?;
        let mut call = match &args.tool[..] {
            [file] if Path::new(file).extension().is_some_and(|end| end == "json") => from_file(file)?,
            [tool] => Self { principal: None, server: None, tool: tool.clone(), args: None },
            [server, tool] => Self { principal: None, server: Some(server.clone()), tool: tool.clone(), args: None },
            _ => return Err(Failure::new(Code::Usage, "one tool at a time")),
        };
        call.principal = args.principal.clone().or(call.principal);
        call.args = given.or(call.args);
        Ok(call)
    }

    fn arguments(&self) -> Result<Option<&str>, Failure> {
        match &self.args {
            Some(args) if args.get().trim_start().starts_with('{') => Ok(Some(args.get())),
            Some(_) => Err(Failure::new(Code::Usage, "`args` is not a JSON object")),
            None => Ok(None),
        }
    }

    /// The tool, and whether it was ever seen.
    fn item(&self, known: &Known, config: &Config) -> Result<(Item, bool), Failure> {
        let seen = match &self.server {
            None => known.exposed(&self.tool),
            Some(server) => known.raw(server, &self.tool),
        };
        if let Some(item) = seen {
            return Ok(((*item).clone(), true));
        }
        let (server, tool) = match &self.server {
            Some(server) => (server.as_str(), self.tool.as_str()),
            None => known.guess(&self.tool).ok_or_else(|| {
                let failure = Failure::new(Code::ToolUnknown, format!("no server has a tool called `{}`", self.tool));
                failure.hint("give the server and the tool: `toolgate policy explain SERVER TOOL`")
            })?,
        };
        if !known.has_server(server) {
            return Err(unknown_server(server, config));
        }
        Ok((imagined(server, tool, Facts::default()), false))
    }
}

fn object(text: &str) -> Result<Box<RawValue>, Failure> {
    let wrong = |error| Failure::new(Code::Usage, format!("`--args` is not a JSON object: {error}"));
    serde_json::from_str(text).map_err(wrong)
}

fn from_file(path: &str) -> Result<Asked, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::io(&format!("read {path}"), error))?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::new(Code::Usage, format!("{path} holds no call: {error}"))
            .hint("write it like {\"server\": \"github\", \"tool\": \"create_issue\", \"args\": {}}")
    })
}

struct Explained<'a> {
    by: Principal,
    item: &'a Item,
    seen: bool,
    tainted: bool,
    given: bool,
    explanation: Explanation,
}

impl Serialize for Explained<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut document = serde_json::Map::new();
        let mut put = |key: &str, value: Value| document.insert(key.to_owned(), value);
        put("schema", "toolgate.policy.explain/1".into());
        put("principal", self.by.word().into());
        put("server", self.item.server.as_str().into());
        put("tool", (*self.item.raw).into());
        put("seen", self.seen.into());
        put("tainted", self.tainted.into());
        put("arguments_given", self.given.into());
        let explanation = serde_json::to_value(&self.explanation).map_err(serde::ser::Error::custom)?;
        if let Value::Object(members) = explanation {
            document.extend(members);
        }
        document.serialize(serializer)
    }
}

impl Explained<'_> {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let why = &self.explanation;
        let place = why.place.as_ref().map(|place| format!(", {place}")).unwrap_or_default();
        let mut lines = vec![("rule", format!("{} ({}{place})", why.rule.0, layer(why.layer)))];
        let high = why.high_impact.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        lines.push(("class", format!("{}{high}", why.class.word().replace('_', " "))));
        if !self.seen {
            let unknown = "never seen, so nothing is known of what it claims; `toolgate mcp tools` asks its server";
            lines.push(("facts", unknown.to_owned()));
        }
        if !self.given {
            lines.push(("args", "none given: what the mildest would get".to_owned()));
        }
        lines.extend(why.told.clone().map(|told| ("told", told)));
        lines.extend(why.hint.clone().map(|hint| ("hint", hint)));
        lines
    }
}

impl Report for Explained<'_> {
    fn human(&self) -> String {
        let why = &self.explanation;
        let Item { server, raw, .. } = self.item;
        let tainted = if self.tainted { ", in a conversation that read what strangers wrote" } else { "" };
        let mut text =
            format!("{}: `{raw}` of `{server}`, called by {}{tainted}\n", why.outcome.word(), self.by.word());
        for (name, line) in self.lines() {
            text += &format!("  {name:<6} {line}\n");
        }
        if why.considered.is_empty() {
            return text;
        }
        let mut table = Table::new(["Rule", "Layer", "Says", "Matches", "Why not"]);
        for one in &why.considered {
            table.row([
                one.rule.0.to_string(),
                layer(one.layer).to_owned(),
                one.outcome.word().to_owned(),
                matched(one.matched).to_owned(),
                one.why_not.clone().unwrap_or_default(),
            ]);
        }
        text + "\n" + &table.text()
    }
}

fn layer(layer: Layer) -> &'static str {
    match layer {
        Layer::Managed => "managed",
        Layer::Operator => "operator",
        Layer::Shipped => "shipped",
    }
}

fn matched(matched: Matched) -> &'static str {
    match matched {
        Matched::Yes => "yes",
        Matched::No => "no",
        Matched::Depends => "depends",
    }
}
