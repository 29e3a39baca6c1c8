//! Whether a person stands behind this command: at a terminal, or with the approver's secret; and that it is not the
//! agent itself, or what it started, that would answer for its person.
//!
//! What this stops and what it cannot stop is told in `docs/security.md`. Not here: what is confirmed.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Context;
use crate::ui::Failure;
use crate::wire;
use gate::approval::Process;
use gate::{Code, Way};

/// The longest secret file, in bytes.
const MOST_SECRET: u64 = 4096;

/// That a person has said yes. Only this file makes one.
#[derive(Debug)]
pub struct Confirmed(Way);

impl Confirmed {
    /// How it was proved.
    pub fn way(&self) -> Way {
        self.0
    }
}

/// What a person answered when there was something to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Yes.
    Yes,
    /// No.
    No,
    /// Later, or somebody else.
    Skip,
}

/// The terminal that controls this process, whatever its standard streams are.
pub struct Terminal(File);

impl Terminal {
    /// Opens it.
    ///
    /// # Errors
    /// When there is none.
    pub fn open() -> Result<Self, Failure> {
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
        terminal.map(Self).map_err(|error| {
            Failure::new(Code::ApprovalRefused, "there is no terminal to ask a person at")
                .caused_by(error)
                .hint("run this in a terminal, or add `--secret-file FILE` with the approver's secret")
        })
    }

    /// Shows `lines`, whose authors are not trusted, asks for the word `yes`, and takes nothing else for it.
    ///
    /// # Errors
    /// When something else was typed, or nothing.
    pub fn confirm(&mut self, lines: &str, question: &str) -> Result<Confirmed, Failure> {
        let typed = self.ask(lines, &format!("{question} Type `yes`: "))?;
        if typed != "yes" {
            return Err(Failure::new(Code::ApprovalRefused, "not confirmed: nothing was changed"));
        }
        Ok(Confirmed(Way::Terminal))
    }

    /// Shows `lines` and lets the person choose.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn choose(&mut self, lines: &str) -> Result<(Choice, Confirmed), Failure> {
        let mut typed = self.ask(lines, "Approve? [y]es, [n]o, [s]kip: ")?;
        loop {
            let choice = match typed.to_ascii_lowercase().as_str() {
                "y" | "yes" => Choice::Yes,
                "n" | "no" => Choice::No,
                "s" | "skip" => Choice::Skip,
                _ => {
                    typed = self.ask("", "Please type y, n or s: ")?;
                    continue;
                }
            };
            return Ok((choice, Confirmed(Way::Terminal)));
        }
    }

    /// Reads one line that is not shown while it is typed.
    ///
    /// # Errors
    /// When the terminal is gone, or cannot be kept from showing it.
    pub fn hidden(&mut self, prompt: &str) -> Result<String, Failure> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let io = |error: rustix::io::Errno| Failure::io("use the terminal", error.into());
        let before = tcgetattr(&self.0).map_err(io)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&self.0, OptionalActions::Flush, &quiet).map_err(io)?;
        let typed = self.ask("", prompt);
        tcsetattr(&self.0, OptionalActions::Flush, &before).map_err(io)?;
        let _ = writeln!(self.0);
        typed
    }

    fn ask(&mut self, lines: &str, prompt: &str) -> Result<String, Failure> {
        let io = |error| Failure::io("use the terminal", error);
        write!(self.0, "{}", legible(lines)).and_then(|()| self.0.flush()).map_err(io)?;
        // What was typed before the question was shown is no answer to it. What is typed once it asks, is.
        let _ = rustix::termios::tcflush(&self.0, rustix::termios::QueueSelector::IFlush);
        write!(self.0, "{prompt}").and_then(|()| self.0.flush()).map_err(io)?;
        let mut typed = String::new();
        let read = BufReader::new(&self.0).take(1024).read_line(&mut typed).map_err(io)?;
        if read == 0 {
            return Err(Failure::new(Code::ApprovalRefused, "the terminal was closed: nothing was changed"));
        }
        Ok(typed.trim().to_owned())
    }
}

/// Proves a person: by the secret in `secret_file`, or else by asking at the terminal. `requesters` are the
/// processes that ask, the gate first.
///
/// # Errors
/// When nobody can be proved, the secret is wrong, or this process runs beneath those who ask.
pub fn prove(
    cx: &Context,
    secret_file: Option<&Path>,
    requesters: &[Process],
    lines: &str,
    question: &str,
) -> Result<Confirmed, Failure> {
    match secret_file {
        Some(file) => {
            // The secret tells the person from the agent that started this; a server of the gate must not even try.
            not_beneath(cx, &requesters[..requesters.len().min(1)])?;
            check_secret(cx, file)
        }
        None => {
            not_beneath(cx, requesters)?;
            Terminal::open()?.confirm(lines, question)
        }
    }
}

/// That neither a gate nor one of `processes` has started this process.
///
/// # Errors
/// When one has, or when that cannot be told.
pub fn not_beneath(cx: &Context, processes: &[Process]) -> Result<(), Failure> {
    if wire::is_within(&cx.env) {
        return Err(beneath_failure("a gate started this command"));
    }
    let above =
        wire::ancestors().ok_or_else(|| beneath_failure("it cannot be told which processes started this command"))?;
    if let Some(found) = above.iter().find(|process| processes.contains(process)) {
        let pid = found.pid;
        return Err(beneath_failure(&format!(
            "process {pid}, which asks or serves the question, started this command"
        )));
    }
    if let Some(found) = above.iter().find(|process| is_toolgate(process.pid)) {
        return Err(beneath_failure(&format!("process {}, which is toolgate, started this command", found.pid)));
    }
    Ok(())
}

fn beneath_failure(why: &str) -> Failure {
    Failure::new(Code::ApprovalRefused, format!("{why}, so it is not taken for a person's"))
        .hint("run it in a terminal of your own, outside the agent")
}

/// Whether that process runs this very program. One that lets nobody look, as ours do, is known by its name.
fn is_toolgate(pid: u32) -> bool {
    let file = |of: &str| std::fs::metadata(format!("/proc/{of}/exe")).map(|found| (found.dev(), found.ino()));
    let name = |of: &str| std::fs::read(format!("/proc/{of}/comm")).ok();
    let other = pid.to_string();
    match (file("self"), file(&other)) {
        (Ok(own), Ok(found)) => own == found,
        (Ok(_), Err(error)) if error.kind() == ErrorKind::PermissionDenied => name("self") == name(&other),
        _ => false,
    }
}

fn check_secret(cx: &Context, file: &Path) -> Result<Confirmed, Failure> {
    let secret = read_secret(file)?;
    match store::approver::check(&cx.home.join("toolgate"), &secret) {
        Ok(true) => Ok(Confirmed(Way::Secret)),
        Ok(false) => Err(Failure::new(
            Code::ApprovalRefused,
            format!("what is in `{}` is not the approver's secret", file.display()),
        )),
        Err(error) => Err(secret_failure(error)),
    }
}

/// Why a secret cannot be checked or kept.
pub fn secret_failure(error: store::approver::ApproverError) -> Failure {
    let hint = error.hint();
    let failure = Failure::new(Code::ApprovalRefused, "the approver's secret cannot be used").caused_by(error);
    Failure { hint, ..failure }
}

fn read_secret(path: &Path) -> Result<String, Failure> {
    let io = |error| Failure::io(&format!("read the secret file {}", path.display()), error);
    let file = File::open(path).map_err(io)?;
    let mode = file.metadata().map_err(io)?.mode();
    if mode & 0o077 != 0 {
        let message = format!("the secret file `{}` is open to others", path.display());
        return Err(Failure::new(Code::ApprovalRefused, message).hint(format!("chmod 600 {}", path.display())));
    }
    let mut secret = String::new();
    file.take(MOST_SECRET).read_to_string(&mut secret).map_err(io)?;
    Ok(secret)
}

/// The name of the user who runs this, by the system's list and not by the environment.
pub fn user_name() -> String {
    let uid = rustix::process::getuid().as_raw();
    let list = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    named.filter(|name| !name.is_empty()).unwrap_or_else(|| format!("uid {uid}"))
}

/// `text` with all characters made visible that a terminal would obey, hide or turn around; lines stay lines.
pub fn legible(text: &str) -> String {
    text.chars()
        .map(|c| if c != '\n' && is_hidden(c) { format!("\\u{{{:x}}}", u32::from(c)) } else { c.to_string() })
        .collect()
}

/// Whether a character shows as nothing, as a space that is none, or changes what is around it.
pub fn is_hidden(c: char) -> bool {
    let blank = c.is_whitespace() && c != ' ';
    let invisible = matches!(u32::from(c),
        0xAD | 0x34F | 0x61C | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F | 0x2028..=0x202E
        | 0x2060..=0x206F | 0x2800 | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0x1BCA0..=0x1BCA3
        | 0x1D173..=0x1D17A | 0xE000..=0xF8FF | 0xE0000..=0xE0FFF | 0xF0000..=0x10_FFFF);
    c.is_control() || blank || invisible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_or_hide_is_shown() {
        assert_eq!(
            legible("a\x1b[2J\u{202e}b\u{200b}\u{a0}\r\nü 日"),
            "a\\u{1b}[2J\\u{202e}b\\u{200b}\\u{a0}\\u{d}\nü 日"
        );
    }

    #[test]
    fn the_user_has_a_name() {
        assert!(!user_name().is_empty());
    }
}
