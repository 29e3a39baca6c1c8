//! `toolgate audit verify` and `prove`: that the record is as it was written and signed.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::{Context, Where};
use crate::ui::{Failure, Report};
use gate::Code;
use store::{Against, Bad, Proof, ProveError, PublicKey};

/// Arguments of `verify`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  toolgate audit verify
  toolgate audit verify --dir /backup/audit --key audit.pub
  toolgate audit verify --heads /other-disk/heads.log
  toolgate audit verify --proof proof.json --key audit.pub

Ends with 0 if everything holds, with 1 and the place if something does not.")]
pub struct VerifyArgs {
    #[command(flatten)]
    place: Where,
    /// The public key that must have signed [default: `audit.pub` beside the directory].
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A copy of `heads.log` that was kept elsewhere, so that what is missing since is found.
    #[arg(long, value_name = "FILE")]
    heads: Option<PathBuf>,
    /// Check this proof instead of the record.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["heads"])]
    proof: Option<PathBuf>,
}

/// Arguments of `prove`.
#[derive(Debug, Args)]
pub struct ProveArgs {
    /// The id of a call, an approval or a server's start.
    id: String,
    #[command(flatten)]
    place: Where,
}

/// Checks.
pub fn run(args: &VerifyArgs, cx: &Context) -> Result<(), Failure> {
    let dir = args.place.dir(cx);
    let key = key(args.key.as_deref(), &dir)?;
    if let Some(file) = &args.proof {
        return proof(file, key, cx);
    }
    let against = Against { key: key.as_ref(), heads: args.heads.as_deref() };
    let report = store::verify(&dir, against)
        .map_err(|error| Failure::new(Code::Io, "the record cannot be verified").caused_by(error))?;
    if report.segments > 0 && key.is_none() {
        return Err(no_key());
    }
    let bad = report.first_bad.clone();
    cx.ui.report(&Verified {
        schema: "toolgate.audit.verify/1",
        holds: bad.is_none(),
        key: key.map(|key| key.id()),
        report,
    })?;
    bad.map_or(Ok(()), |bad| Err(broken(&bad)))
}

fn broken(bad: &Bad) -> Failure {
    let seq = bad.seq.map_or_else(String::new, |seq| format!(", seq {seq}"));
    let place = format!("{}, line {}{seq}", bad.file.display(), bad.line);
    Failure::new(Code::AuditBroken, format!("the record is not as it was written: {place}: {}", bad.why))
        .hint("keep the files as they are, and compare them with a copy")
}

fn no_key() -> Failure {
    Failure::new(Code::Usage, "there is no public key to verify with").hint("name one with `--key FILE`")
}

/// The key that was named, or the one beside the directory, if there is one.
fn key(named: Option<&Path>, dir: &Path) -> Result<Option<PublicKey>, Failure> {
    let beside = dir.parent().unwrap_or(Path::new(".")).join(store::keys::PUBLIC_FILE);
    let path = match named {
        Some(path) => path,
        None if beside.exists() => &beside,
        None => return Ok(None),
    };
    let key = PublicKey::read(path);
    key.map(Some).map_err(|error| Failure::new(Code::Io, "the public key cannot be read").caused_by(error))
}

#[derive(Serialize)]
struct Verified {
    schema: &'static str,
    holds: bool,
    key: Option<String>,
    #[serde(flatten)]
    report: store::Report,
}

impl Report for Verified {
    fn human(&self) -> String {
        let store::Report { lines, chains, segments, unfinished, checkpoints, unsigned, shortened, .. } = &self.report;
        let store::Report { attempts, open, in_doubt, .. } = &self.report;
        let word = if self.holds { "The record holds" } else { "The record does NOT hold" };
        let key = self.key.as_deref().unwrap_or("none");
        let mut text = format!(
            "{word}: {lines} lines in {segments} segments of {chains} chains, {checkpoints} checkpoints, key {key}\n"
        );
        let notes = [
            (unfinished, "segments are not closed: their writers live, or the next gate closes them"),
            (unsigned, "lines are newer than the last checkpoint"),
            (shortened, "chains have lost their oldest parts to retention, which is on record"),
            (attempts, "calls were attempted"),
            (open, "of them have no end yet"),
            (in_doubt, "of them may have had effects and nobody saw their end: `toolgate audit in-doubt`"),
        ];
        notes.iter().filter(|(count, _)| **count > 0).for_each(|(count, note)| text += &format!("{count:>9} {note}\n"));
        text
    }
}

fn proof(file: &Path, key: Option<PublicKey>, cx: &Context) -> Result<(), Failure> {
    let key = key.ok_or_else(no_key)?;
    let text = std::fs::read(file).map_err(|error| Failure::io("read the proof", error))?;
    let not = |why: String| Failure::new(Code::AuditBroken, format!("the proof does not hold: {why}"));
    let proof = Proof::parse(&text).map_err(not)?;
    let events = proof.check(&key).map_err(not)?;
    let events = events.iter().map(|line| super::row::parse(line.as_bytes())).collect();
    cx.ui.report(&Proved {
        schema: "toolgate.audit.proved/1",
        holds: true,
        key: key.id(),
        id: proof.id.clone(),
        events,
    })
}

#[derive(Serialize)]
struct Proved {
    schema: &'static str,
    holds: bool,
    key: String,
    id: String,
    events: Vec<serde_json::Value>,
}

impl Report for Proved {
    fn human(&self) -> String {
        let id = super::row::clean(&self.id);
        let mut text = format!("The proof holds: these events of {id} were on record when key {} signed.\n", self.key);
        self.events.iter().for_each(|event| text += &format!("{event}\n"));
        text
    }
}

/// Proves.
pub fn prove(args: &ProveArgs, cx: &Context) -> Result<(), Failure> {
    let proof = store::prove(&args.place.dir(cx), &args.id).map_err(|error| match error {
        ProveError::Unknown(_) => Failure::new(Code::Usage, error.to_string()),
        ProveError::Unsigned => Failure::new(Code::Usage, error.to_string())
            .hint("checkpoints are signed every minute, and when a gate ends"),
        ProveError::Broken => Failure::new(Code::AuditBroken, error.to_string()).hint("see `toolgate audit verify`"),
        ProveError::Io(error) => super::unreadable(error),
    })?;
    let text = serde_json::to_string_pretty(&proof).map_err(Failure::bug)?;
    cx.ui.out(&(text + "\n"))
}
