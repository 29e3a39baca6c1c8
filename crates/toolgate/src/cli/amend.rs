//! Changing settings of servers in the files: the one way for every command that does. What the files would say is
//! read and decided before any of them is written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Context;
use super::context::unknown_server;
use crate::config::{Change, Config, Edit, Setting, Source, Writer, resolve};
use crate::ui::Failure;
use gate::Code;

/// What was changed.
pub struct Amended {
    /// The configuration of the files as it is now.
    pub config: Config,
    /// Each wanted setting, in the order given.
    pub settings: Vec<Amendment>,
}

/// One setting that was changed, or was so already. No secret is in it.
pub struct Amendment {
    /// The setting's key.
    pub key: String,
    /// What the files said before.
    pub old: Option<String>,
    /// What they say now.
    pub new: Option<String>,
    /// The files where it is written, or was.
    pub files: Vec<PathBuf>,
}

/// Makes settings of servers so, all of them or none.
///
/// # Errors
/// A server that no file knows, or whose entry is in a file that is not toolgate's to write; a change after which
/// a server could not be used.
pub fn amend(wanted: &[(&str, Setting)], cx: &Context) -> Result<Amended, Failure> {
    if !cx.home.is_dir()
        && let Some((server, _)) = wanted.first()
    {
        return Err(unknown_server(server, &cx.files()?));
    }
    let writer = Writer::lock(&cx.home)?;
    let before = cx.files()?;
    let mut edits: BTreeMap<Source, Vec<Edit>> = BTreeMap::new();
    let mut settings = Vec::new();
    for (server, setting) in wanted {
        let (amendment, targets) = target(server, setting, &before, cx)?;
        settings.push(amendment);
        for source in targets {
            edits.entry(source).or_default().push(setting.edit(server));
        }
    }
    let plan = writer.plan(&edits.into_iter().collect::<Vec<_>>())?;
    let config = after(&plan, cx)?;
    for (server, _) in wanted {
        usable(server, &before, &config, cx)?;
        usable_by_codex(server, &plan, cx)?;
    }
    writer.write(plan)?;
    Ok(Amended { config, settings })
}

/// What is to happen to one setting, and in which files.
fn target(server: &str, setting: &Setting, before: &Config, cx: &Context) -> Result<(Amendment, Vec<Source>), Failure> {
    let layers = cx.layers()?;
    let (home, place) = layers.home_of(server).ok_or_else(|| unknown_server(server, before))?;
    let sources = layers.targets(server, setting, home);
    let files: Option<Vec<PathBuf>> = sources.iter().map(|source| source.file(&cx.home)).collect();
    let files = files.ok_or_else(|| {
        let message = format!("the entry of '{server}' is not in a file of `{}`", cx.home.display());
        Failure::new(Code::ArgsInvalid, message).hint(format!("change it by hand: {place}"))
    })?;
    let old = layers.says(server, setting);
    Ok((Amendment { key: setting.key(), old, new: setting.shown(), files }, sources))
}

/// What the configuration becomes.
fn after(plan: &[Change], cx: &Context) -> Result<Config, Failure> {
    Ok(resolve(cx.layers()?.instead(plan), &cx.env))
}

/// Fails if Codex could not read its file any more for what would stand there of a server.
fn usable_by_codex(server: &str, plan: &[Change], cx: &Context) -> Result<(), Failure> {
    let now = cx.layers()?.refused_by_codex(server, &cx.env);
    match cx.layers()?.instead(plan).refused_by_codex(server, &cx.env) {
        Some(why) if now.as_ref() != Some(&why) => {
            let message = format!("Codex could not read config.toml any more for '{server}': {why}");
            Err(Failure::new(Code::ArgsInvalid, message).hint("nothing was written"))
        }
        _ => Ok(()),
    }
}

/// Fails if a server could not be used any more, or if a key means nothing. What else is odd now is told.
fn usable(server: &str, before: &Config, after: &Config, cx: &Context) -> Result<(), Failure> {
    let none = "nothing was written";
    if let Some(bad) = after.bad.iter().find(|bad| bad.name == server) {
        let message = format!("'{server}' could not be used then: {}", bad.problem.message);
        let hint = bad.problem.hint.as_deref().map_or_else(|| none.to_owned(), |hint| format!("{none}; {hint}"));
        return Err(Failure::new(Code::ArgsInvalid, message).hint(hint));
    }
    let known = |message: &str| before.warnings.iter().any(|old| old.message == message);
    for new in after.warnings.iter().filter(|warning| !known(&warning.message)) {
        if let Some(key) = new.message.strip_prefix("unknown key ").and_then(|rest| rest.strip_suffix(" is ignored")) {
            let hint = new.hint.as_deref().map_or_else(|| none.to_owned(), |hint| format!("{none}; {hint}"));
            return Err(Failure::new(Code::Usage, format!("unknown key {key}")).hint(hint));
        }
        cx.ui.warning(&new.to_string(), new.hint.as_deref());
    }
    Ok(())
}
