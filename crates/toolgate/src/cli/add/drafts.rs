//! What is to be added, as flags, an address or JSON say it.

use std::fs;
use std::io::{self, Read};

use super::{AddArgs, OAuthArgs, Registration};
use crate::cli::Context;
use crate::config::{Draft, Problem, drafts_from_json};
use crate::ui::{CODEX, Failure};
use gate::Code;

/// The servers to add.
///
/// # Errors
/// JSON that cannot be read or is of another shape; flags that say too little.
pub(super) fn drafts(args: &AddArgs, cx: &Context) -> Result<Vec<Draft>, Failure> {
    if let Some(source) = &args.import {
        let (document, text) = json_text(source)?;
        return drafts_from_json(&document, &text, None).map_err(|problem| refused(&problem));
    }
    let name = args.name.as_deref().unwrap_or_default();
    let draft = match (args.address(), &args.source) {
        (Some(url), _) => from_address(name, url, &args.headers),
        (None, Some(_)) if !args.headers.is_empty() => {
            let failure = Failure::new(Code::Usage, "headers can be given behind an address only");
            return Err(failure.hint("write `NAME https://… HEADER=VALUE`"));
        }
        (None, Some(source)) => from_json(name, source)?,
        (None, None) => from_flags(name, args, cx.ui.program())?,
    };
    Ok(vec![draft])
}

/// The failure of a draft that will not do.
pub(super) fn refused(problem: &Problem) -> Failure {
    // What was said on the command line needs no place.
    let text = problem.to_string();
    let text = text.strip_prefix("argument#: ").unwrap_or(&text);
    Failure { hint: problem.hint.clone(), ..Failure::new(Code::ArgsInvalid, text) }
}

fn from_address(name: &str, url: &str, headers: &[(String, String)]) -> Draft {
    let mut draft = Draft::new(name);
    draft.text("url", url);
    draft.map("http_headers", headers);
    draft
}

fn from_flags(name: &str, args: &AddArgs, program: &str) -> Result<Draft, Failure> {
    let mut draft = Draft::new(name);
    match (args.command.split_first(), &args.url) {
        (Some((command, rest)), _) => {
            draft.text("command", command);
            draft.list("args", rest);
            draft.map("env", &args.env);
        }
        (None, Some(_)) if !args.env.is_empty() => {
            return Err(Failure::new(Code::ArgsInvalid, "command is required")
                .hint("`--env` sets variables of a command that toolgate starts; a URL has none"));
        }
        (None, Some(url)) => {
            draft.text("url", url);
            draft.map("http_headers", &args.header);
            oauth(&mut draft, &args.oauth);
        }
        (None, None) => return Err(nothing(program)),
    }
    for (key, value) in [("cwd", &args.cwd), ("bearer_token_env_var", &args.bearer_token_env_var)] {
        if let Some(value) = value {
            draft.text(key, value);
        }
    }
    Ok(draft)
}

fn oauth(draft: &mut Draft, args: &OAuthArgs) {
    let client = [("client_id", &args.oauth_client_id), ("client_secret", &args.oauth_client_secret)];
    let client = client.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)));
    draft.map("oauth", &client.collect::<Vec<_>>());
    if let Some(resource) = &args.oauth_resource {
        draft.text("oauth_resource", resource);
    }
    match args.oauth_client_registration {
        Some(Registration::Cimd) => draft.text("oauth_registration", "cimd"),
        Some(Registration::Dcr) => draft.text("oauth_registration", "dcr"),
        Some(Registration::Auto) | None => {}
    }
}

/// What the parser would say if it knew that one of several is needed.
fn nothing(program: &str) -> Failure {
    let ways = if program == CODEX { "<COMMAND|--url <URL>>" } else { "<COMMAND|--url <URL>|JSON|URL>" };
    let usage = super::usage(program);
    let message = format!(
        "the following required arguments were not provided:\n  {ways}\n\nUsage: {usage}\n\nFor more information, try '--help'."
    );
    Failure::new(Code::Usage, message)
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
