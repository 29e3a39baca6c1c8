//! `toolgate approvals secret --new`: the secret that stands for a person where there is no terminal.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use clap::Args;
use serde::Serialize;

use super::record::Record;
use crate::cli::Context;
use crate::cli::person::{self, secret_failure, user_name};
use crate::cli::runtime::block_on;
use crate::ui::{Failure, Report};

const SECRET_BYTES: usize = 32;

/// Arguments of `secret`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate approvals secret --new --out ~/approver.secret
  toolgate approvals secret --new --out new.secret --secret-file old.secret

Keep the file where no agent can read it: of another user, or outside of what its sandbox shows. toolgate itself
keeps only a hash of it.")]
pub struct SecretArgs {
    /// Make a new one. An earlier one does not count any more.
    #[arg(long, required = true)]
    new: bool,
    /// Where to put it. The file must not exist yet.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A file with the secret that is replaced, instead of asking at the terminal.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

/// Makes it.
pub fn run(args: &SecretArgs, cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    let state_dir = config.state_dir();
    person::not_beneath(cx, &[])?;
    let replaces = store::approver::exists(&state_dir).map_err(secret_failure)?;
    let proof = match replaces {
        true => Some(person::prove(
            cx,
            args.secret_file.as_deref(),
            &[],
            "There is an approver's secret already. With a new one it does not count any more.\n",
            "Replace it?",
        )?),
        false => None,
    };
    let secret = fresh()?;
    let out = std::path::absolute(&args.out).unwrap_or_else(|_| args.out.clone());
    write(&out, &secret).map_err(|error| Failure::io(&format!("make {}", out.display()), error))?;
    let kept = block_on(async {
        let phase = if replaces { "replaced" } else { "made" };
        let way = proof.as_ref().map(|proof| proof.way().word());
        Record::open(&config)?.secret(phase, &user_name(), way).await?;
        store::approver::keep(&state_dir, &secret).map_err(secret_failure)
    });
    if kept.is_err() {
        // It would be no secret of anybody.
        let _ = std::fs::remove_file(&out);
    }
    kept?;
    cx.ui.report(&Made { schema: "toolgate.approver/1", file: out.display().to_string(), replaced: replaces })
}

fn fresh() -> Result<String, Failure> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| Failure::io("make a secret", io::Error::other(error)))?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

fn write(path: &Path, secret: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = writeln!(file, "{secret}").and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = std::fs::remove_file(path);
    }
    written
}

#[derive(Serialize)]
struct Made {
    schema: &'static str,
    file: String,
    replaced: bool,
}

impl Report for Made {
    fn human(&self) -> String {
        let what = if self.replaced { "The earlier secret does not count any more. " } else { "" };
        format!(
            "{what}The approver's secret is in {}. Keep it where no agent can read it.\n",
            person::legible(&self.file)
        )
    }
}
