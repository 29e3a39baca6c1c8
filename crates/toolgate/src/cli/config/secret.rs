//! `toolgate config secret`: secrets that settings name with `${keyring:NAME}`. None is ever printed.

use std::io::{self, IsTerminal, Read};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::super::Context;
use super::super::person::{self, Terminal};
use crate::config::{self, Vault};
use crate::ui::{Failure, Report};
use gate::{Code, Secret};

/// Arguments of `config secret`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate config secret set github
  pass show github | toolgate config secret set github
  toolgate config secret rm github

A setting names it: `http_headers = { Authorization = \"Bearer ${keyring:github}\" }` in toolgate.toml. It is kept in the
desktop's keyring where `secret-tool` works, else in a file of $CODEX_HOME/toolgate/secrets that you alone can read.")]
pub struct SecretArgs {
    #[command(subcommand)]
    command: SecretCommand,
}

#[derive(Debug, Subcommand)]
enum SecretCommand {
    /// Keep a secret: typed at the terminal without being shown, or read from standard input.
    Set {
        /// What settings call it.
        name: String,
    },
    /// Forget a secret.
    Rm {
        /// What settings call it.
        name: String,
    },
}

/// Does it.
pub fn run(args: &SecretArgs, cx: &Context) -> Result<(), Failure> {
    person::not_beneath(cx, &[])?;
    let no_home = || Failure::new(Code::ConfigInvalid, "neither CODEX_HOME nor HOME is set");
    let vault = config::vault(&cx.env).ok_or_else(no_home)?;
    match &args.command {
        SecretCommand::Set { name } => {
            let secret = typed(name)?;
            vault.set(name, &secret)?;
            cx.ui.report(&Told { schema: "toolgate.config.secret/1", name, kept: true })
        }
        SecretCommand::Rm { name } => forget(&*vault, name, cx),
    }
}

fn forget(vault: &dyn Vault, name: &str, cx: &Context) -> Result<(), Failure> {
    if !vault.remove(name)? {
        return Err(Failure::new(Code::ArgsInvalid, format!("no secret `{name}` is kept")));
    }
    cx.ui.report(&Told { schema: "toolgate.config.secret/1", name, kept: false })
}

/// The longest secret, in bytes.
const LONGEST: u64 = 64 << 10;

fn typed(name: &str) -> Result<Secret, Failure> {
    let mut text = String::new();
    if io::stdin().is_terminal() {
        text = Terminal::open()?.hidden(&format!("The secret `{name}` (it is not shown): "))?;
    } else {
        let read = io::stdin().take(LONGEST + 1).read_to_string(&mut text);
        read.map_err(|error| Failure::io("read the secret", error))?;
    }
    let text = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if text.is_empty() || text.len() as u64 > LONGEST {
        let message = if text.is_empty() { "the secret is empty" } else { "this is too long for a secret" };
        return Err(Failure::new(Code::ArgsInvalid, message));
    }
    Ok(Secret::new(text))
}

#[derive(Serialize)]
struct Told<'a> {
    schema: &'static str,
    name: &'a str,
    kept: bool,
}

impl Report for Told<'_> {
    fn human(&self) -> String {
        match self.kept {
            true => format!("Kept. Name it with `${{keyring:{}}}`.\n", self.name),
            false => format!("Forgot the secret '{}'.\n", self.name),
        }
    }
}
