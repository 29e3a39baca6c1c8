//! What is looked at once for all servers: the configuration, the files beside it, the disk, the record, gates and clients
//! that were left half-way, and the Codex CLI.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};

use super::probe;
use super::{Check, Level, Patient};
use crate::cli::policy::lint;
use crate::config::Profile;
use crate::connect::{self, State};
use crate::shim;
use crate::wire;
use gate::policy::Level as Found;
use store::{Against, PublicKey};

/// Files of the state that nobody else may read.
const SECRETS: [&str; 5] = ["token", "audit.key", "audit.hmac", "seal.key", "approver.json"];

/// Bytes that should be free where the record is written; with less than the second nothing may run soon.
const ROOM: u64 = 200 << 20;
const LEAST_ROOM: u64 = 10 << 20;

/// What is known at once.
pub fn checks(patient: &Patient<'_>) -> Vec<Check> {
    let state = patient.config.state_dir();
    let mut checks = configuration(patient);
    checks.extend(secrets(&state));
    checks.push(writable("state", &state, "without its record nothing runs"));
    let log = wire::log_file(&patient.config.home);
    checks.push(writable("log", log.parent().unwrap_or(&log), "gates serve without a log too"));
    checks.extend(space(&patient.config.home));
    checks.extend(sockets(&state));
    checks.extend(clients(&patient.config.home));
    checks
}

/// What takes its time.
pub async fn slow_checks(patient: &Patient<'_>) -> Vec<Check> {
    let (record, codex) = futures_util::join!(record(patient), codex(patient));
    vec![record, codex]
}

fn configuration(patient: &Patient<'_>) -> Vec<Check> {
    let findings = lint::findings(patient.config, &patient.cx.env);
    if findings.is_empty() {
        let count = patient.config.servers.len();
        let s = if count == 1 { "" } else { "s" };
        return vec![Check::ok("config", format!("{count} server{s}, and no mistake in the files"))];
    }
    let check = |row: lint::Row| {
        let level = if row.level == Found::Error { Level::Fail } else { Level::Warn };
        let place = row.place.map(|place| format!("{place}: ")).unwrap_or_default();
        let rule = row.rule.map(|rule| format!("rule `{rule}` ")).unwrap_or_default();
        Check { fix: row.hint, ..Check::new("config", level, format!("{place}{rule}{}", row.text)) }
    };
    findings.into_iter().map(check).collect()
}

fn mode(path: &Path) -> Option<u32> {
    Some(std::fs::metadata(path).ok()?.permissions().mode() & 0o777)
}

fn secrets(state: &Path) -> Vec<Check> {
    let paths = SECRETS.map(|name| state.join(name));
    let open = paths.iter().filter_map(|path| Some((path, mode(path)?))).filter(|(_, mode)| mode & 0o077 != 0);
    let mut checks: Vec<_> = open
        .map(|(path, mode)| {
            let what = format!("{} can be read by others (mode {mode:03o})", path.display());
            Check::fail("secrets", what, format!("chmod 600 {}", path.display()))
        })
        .collect();
    if checks.is_empty() {
        checks.push(Check::ok("secrets", "the keys of the state are readable by you alone"));
    }
    checks
}

/// Whether we can write into a directory, or make it.
fn writable(id: &'static str, dir: &Path, else_what: &str) -> Check {
    let there: &Path = dir.ancestors().find(|dir| dir.exists()).unwrap_or(dir);
    match access(there, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) if there.is_dir() => Check::ok(id, format!("{} can be written", dir.display())),
        Ok(()) => Check::fail(id, format!("{} is no directory", there.display()), "put it elsewhere"),
        Err(error) => {
            let error = std::io::Error::from(error);
            let what = format!("{} cannot be written: {error}; {else_what}", there.display());
            Check::fail(id, what, format!("make it yours, `chown` and `chmod u+rwx {}`", there.display()))
        }
    }
}

fn space(home: &Path) -> Option<Check> {
    let there = home.ancestors().find(|dir| dir.exists())?;
    let disk = statvfs(there).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let what = format!("{} MiB free under {}", free >> 20, there.display());
    let fix = "make room: what cannot be recorded does not run; `[audit] retention_days` bounds the record";
    Some(match free {
        0..LEAST_ROOM => Check::fail("disk", what, fix),
        LEAST_ROOM..ROOM => Check::warn("disk", what, fix),
        _ => Check::ok("disk", what),
    })
}

/// Sockets whose gate was killed. Whoever speaks to gates next takes them away.
fn sockets(state: &Path) -> Vec<Check> {
    let dead = |path: &PathBuf| {
        let refused = |error: std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
        std::os::unix::net::UnixStream::connect(path).is_err_and(refused)
    };
    let dead: Vec<_> = crate::control::Gates::of(state).paths().filter(dead).collect();
    let check = |path: PathBuf| {
        let what = format!("{} was left behind by a gate that was killed", path.display());
        Check::warn("socket", what, "`toolgate mcp reload` takes it away")
    };
    dead.into_iter().map(check).collect()
}

fn clients(home: &Path) -> Vec<Check> {
    let journals = match connect::connected(home) {
        Ok(journals) => journals,
        Err(error) => return vec![Check::fail("connect", error.to_string(), "look at the file, or put it elsewhere")],
    };
    let check = |journal: connect::Journal| {
        let (title, word) = (journal.client.title(), journal.client.word());
        let (way, order) = match journal.state {
            State::Connected => return Check::ok("connect", format!("{title} is behind the gate")),
            State::Connecting => ("connecting", "connect"),
            State::Disconnecting => ("disconnecting", "disconnect"),
        };
        let what = format!("{way} {title} was interrupted half-way");
        Check::fail("connect", what, format!("run `toolgate {order} {word}`, which finishes it"))
    };
    journals.into_iter().map(check).collect()
}

/// Whether the record is as it was written.
async fn record(patient: &Patient<'_>) -> Check {
    let state = patient.config.state_dir();
    let audit = state.join("audit");
    if !audit.exists() {
        return Check::ok("record", "nothing was recorded yet");
    }
    let verify = tokio::task::spawn_blocking(move || {
        let key = PublicKey::read(&state.join(store::keys::PUBLIC_FILE)).map_err(|error| error.to_string())?;
        let report = store::verify(&audit, Against { key: Some(&key), heads: None });
        let report = report.map_err(|error| error.to_string())?;
        match report.first_bad {
            Some(bad) => Err(format!("{}, line {}: {}", bad.file.display(), bad.line, bad.why)),
            None => Ok(report.lines),
        }
    });
    match tokio::time::timeout(probe::PATIENCE, verify).await {
        Ok(Ok(Ok(lines))) => Check::ok("record", format!("the record holds: {lines} lines")),
        Ok(Ok(Err(why))) => {
            let fix = "`toolgate audit verify` tells all; keep the files as they are, and compare them with a copy";
            Check::fail("record", format!("the record cannot be trusted: {why}"), fix)
        }
        Ok(Err(error)) => Check::fail("record", format!("the record could not be looked at: {error}"), ""),
        Err(_) => Check::ok("record", "the record is long; `toolgate audit verify` looks at all of it"),
    }
}

/// The Codex CLI and the shim in front of it.
async fn codex(patient: &Patient<'_>) -> Check {
    let env = &patient.cx.env;
    let shimmed = shim::on_path(env).first().is_some_and(|first| shim::is_us(first));
    let Some(program) = shim::real_codex(env) else {
        let fix = "install it, `npm i -g @openai/codex`, or set CODEX_BIN";
        return match shimmed {
            true => Check::warn("codex", "the shim is first on PATH, and there is no Codex CLI behind it", fix),
            false => Check::ok("codex", "there is no Codex CLI here; nothing else needs it"),
        };
    };
    let path = env.get("PATH").unwrap_or_default();
    let behind = if shimmed { ", behind the shim" } else { "" };
    match probe::version(&program, path, env.get("HOME")).await {
        Ok(version) => {
            let tools = match patient.config.gate.profile {
                Profile::All | Profile::Bridge => "; `mcp serve` offers it as tools",
                Profile::Gateway | Profile::Workspace => "",
            };
            Check::ok("codex", format!("{version} at {}{behind}{tools}", program.display()))
        }
        Err(why) => {
            let what = format!("{} does not tell its version: {why}", program.display());
            Check::warn("codex", what, "install it anew, or set CODEX_BIN to another one")
        }
    }
}
