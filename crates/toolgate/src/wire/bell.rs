//! A notification on the desktop when a question waits for a person, where there is a desktop. It says which tool of
//! which server, and how to look at the question; nothing of the arguments, which may be anything.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::Env;
use gate::approval::Approval;
use gate::pin::visible;
use gate::ports::Bell;

/// What a desktop is reached through; without one of these there is none.
const DESKTOPS: [&str; 3] = ["DBUS_SESSION_BUS_ADDRESS", "WAYLAND_DISPLAY", "DISPLAY"];

/// What else the program gets of our environment.
const BESIDES: [&str; 5] = ["PATH", "HOME", "LANG", "XDG_RUNTIME_DIR", "XAUTHORITY"];

/// Rings with `notify-send`, which all common desktops bring.
pub struct Desktop {
    program: PathBuf,
    env: Vec<(OsString, OsString)>,
    /// One at a time: a desktop that does not answer costs one waiting thread, and no call.
    ringing: Arc<AtomicBool>,
}

impl Desktop {
    /// The desktop of this environment, if it has one.
    pub fn of(env: &Env) -> Option<Self> {
        DESKTOPS.iter().find_map(|key| env.filled(key))?;
        let path = env.filled("PATH")?;
        let program = sandbox::resolve_program("notify-send".as_ref(), None, path.as_ref()).ok()?;
        let given = |key: &&str| Some(((*key).into(), env.filled(key)?.into()));
        let env = DESKTOPS.iter().chain(&BESIDES).filter_map(given).collect();
        Some(Self { program, env, ringing: Arc::default() })
    }
}

impl Bell for Desktop {
    fn ring(&self, question: &Approval) {
        if self.ringing.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut command = Command::new(&self.program);
        command.args(arguments(question)).env_clear().envs(self.env.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Started at once, in a millisecond: a command line that refuses what it asked about ends right after.
        let ringing = self.ringing.clone();
        match command.spawn() {
            Ok(mut child) => drop(tokio::task::spawn_blocking(move || {
                let _ = child.wait();
                ringing.store(false, Ordering::Release);
            })),
            Err(error) => {
                ringing.store(false, Ordering::Release);
                tracing::warn!(target: "mcp::approval", %error, "no notification could be shown");
            }
        }
    }
}

fn arguments(question: &Approval) -> [String; 4] {
    let (tool, server) = (visible(&question.tool), visible(question.server.as_str()));
    let id = question.id.to_string();
    let title = format!("toolgate: {server} waits for your word");
    let body = format!("`{tool}` asks to run. Look at it with: toolgate approvals show {id}");
    // Many desktops read the body as markup.
    let body = body.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    ["--app-name=toolgate".to_owned(), "--".to_owned(), title, body]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Env {
        pairs.iter().copied().collect()
    }

    #[test]
    fn there_is_no_bell_without_a_desktop_or_its_program() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().display().to_string();
        assert!(Desktop::of(&env(&[("DISPLAY", ":0"), ("PATH", &path)])).is_none(), "no program");
        let program = dir.path().join("notify-send");
        std::fs::write(&program, "#!/bin/sh\n").expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).expect("executable");
        assert!(Desktop::of(&env(&[("PATH", &path)])).is_none(), "no desktop");
        let desktop = Desktop::of(&env(&[("DISPLAY", ":0"), ("PATH", &path), ("TOKEN", "x")])).expect("both");
        let given: Vec<_> = desktop.env.iter().map(|(key, _)| key.to_str().expect("text")).collect();
        assert_eq!(given, ["DISPLAY", "PATH"]);
    }
}
