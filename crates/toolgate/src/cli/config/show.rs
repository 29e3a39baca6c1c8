//! `toolgate config show`: every setting that holds, and where it was written.

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::Context;
use super::super::content::visible;
use crate::config::{self, Config, Effective, resolve};
use crate::ui::{Failure, Report};
use gate::Code;

/// Arguments of `config show`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate config show --origin
  toolgate config show mcp_servers.github
  toolgate config show --json | jq '.settings[] | select(.origin.source != \"default\")'

From the weakest to the strongest: a project's files, $CODEX_HOME/config.json, config.toml, toolgate.toml, the profile of
`-p`, `-c`. Managed files bound all of them; what they demand comes last.")]
pub struct ShowArgs {
    /// Only settings at or below this dotted key.
    prefix: Option<String>,
    /// Say where each setting was written, and what it hides.
    #[arg(long)]
    origin: bool,
    /// Print secrets in clear.
    #[arg(long)]
    show_secrets: bool,
}

/// Shows.
pub fn run(args: &ShowArgs, cx: &Context) -> Result<(), Failure> {
    let layers = cx.all_layers()?;
    let mut settings = config::settings(&layers, args.show_secrets);
    let config = resolve(layers, &cx.env);
    if let Some(prefix) = &args.prefix {
        settings.retain(|setting| at_or_below(&setting.key, prefix));
        if settings.is_empty() {
            return Err(Failure::new(Code::ArgsInvalid, format!("nothing is set at `{prefix}`"))
                .hint("print all settings with `toolgate config show`"));
        }
    }
    let broken = config.broken.len() + config.bad.len();
    if broken > 0 {
        let text = format!("{broken} mistake{} left out", if broken == 1 { " is" } else { "s are" });
        cx.ui.warning(&text, Some("see `toolgate config check`"));
    }
    cx.ui.report(&Settings { settings, config, origin: args.origin })
}

fn at_or_below(key: &str, prefix: &str) -> bool {
    key.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

struct Settings {
    settings: Vec<Effective>,
    config: Config,
    origin: bool,
}

fn source(setting: &Effective) -> &'static str {
    setting.source.map_or("default", config::Source::word)
}

fn origin(setting: &Effective) -> String {
    let place = setting.place.as_ref().map_or_else(|| "default".to_owned(), ToString::to_string);
    let hidden = setting.shadowed.iter().map(|place| format!(", hides {place}"));
    format!("{place}{}", hidden.collect::<String>())
}

impl Serialize for Settings {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let setting = |setting: &Effective| {
            let shadowed: Vec<_> = setting.shadowed.iter().map(ToString::to_string).collect();
            let place = setting.place.as_ref().map(ToString::to_string);
            let origin = json!({ "source": source(setting), "place": place });
            json!({ "key": setting.key, "value": setting.value, "origin": origin, "shadowed": shadowed })
        };
        let servers = self.config.servers.values().map(|server| {
            let origin = &server.origin;
            let reason = server.barred.as_ref().map(|barred| barred.reason);
            json!({ "name": server.name, "source": origin.source.word(), "place": origin.place.to_string(),
                "enabled": server.enabled, "disabled_reason": reason })
        });
        let projects = self
            .config
            .trust
            .iter()
            .map(|project| json!({ "root": project.root, "trusted": project.trusted, "files": project.files }));
        let all = json!({
            "schema": "toolgate.config/1",
            "settings": self.settings.iter().map(setting).collect::<Vec<Value>>(),
            "servers": servers.collect::<Vec<Value>>(),
            "projects": projects.collect::<Vec<Value>>(),
            "files": self.config.files,
        });
        all.serialize(serializer)
    }
}

impl Report for Settings {
    fn human(&self) -> String {
        let line = |setting: &Effective| {
            let line = format!("{} = {}", setting.key, setting.text);
            let line = if self.origin { format!("{line}  # {}", origin(setting)) } else { line };
            format!("{}\n", visible(&line).replace('\n', "\\n"))
        };
        self.settings.iter().map(line).collect()
    }
}
