//! The one place that prints. Standard output carries the answer and nothing else; all that is said about it
//! (status, warnings, hints, failures) goes to standard error. What is said is decided elsewhere.

mod failure;
mod table;

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

pub use failure::Failure;
pub use table::Table;

use crate::config::Env;

/// The name of this program.
pub const OURS: &str = "toolgate";

/// The name of the program that toolgate may stand in for.
pub const CODEX: &str = "codex";

/// An answer: one JSON document, or text for people.
pub trait Report: Serialize {
    /// The answer as text, its last line ended.
    fn human(&self) -> String;
}

/// How to print, decided once.
#[derive(Debug, Clone, Copy, Default)]
pub struct Look {
    /// Answers as JSON, failures and warnings as JSON lines.
    pub json: bool,
    /// No status and no hints.
    pub quiet: bool,
    /// Colour on standard error.
    pub color: bool,
    /// As the program whose place toolgate takes: its name in texts, its shapes of answers.
    pub as_codex: bool,
}

impl Look {
    /// Colour when standard error is a terminal and nothing speaks against it (`NO_COLOR`, `TERM=dumb`).
    pub fn color_wanted(env: &Env) -> bool {
        io::stderr().is_terminal() && env.filled("NO_COLOR").is_none() && env.get("TERM") != Some("dumb")
    }
}

/// Prints. A reader who has gone away is no error: what is left is dropped.
pub struct Ui {
    look: Look,
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Box<dyn Write + Send>>,
}

impl Ui {
    /// On the standard streams.
    pub fn new(look: Look) -> Self {
        Self::on(look, Box::new(io::stdout()), Box::new(io::stderr()))
    }

    /// On any two streams.
    pub fn on(look: Look, out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Self {
        Self { look, out: Mutex::new(out), err: Mutex::new(err) }
    }

    /// Whether answers are JSON.
    pub fn json(&self) -> bool {
        self.look.json
    }

    /// Whether toolgate stands in the place of Codex.
    pub fn as_codex(&self) -> bool {
        self.look.as_codex
    }

    /// What people typed to get here.
    pub fn program(&self) -> &'static str {
        if self.look.as_codex { CODEX } else { OURS }
    }

    /// Prints the answer of a command.
    ///
    /// # Errors
    /// When standard output cannot be written (a full disk, not a closed pipe).
    pub fn report(&self, report: &impl Report) -> Result<(), Failure> {
        let text = if self.look.json { document(report)? } else { report.human() };
        self.out(&text)
    }

    /// Prints one line of an answer that streams (NDJSON).
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn line(&self, line: &impl Serialize) -> Result<(), Failure> {
        let mut text = serde_json::to_string(line).map_err(Failure::bug)?;
        text.push('\n');
        self.out(&text)
    }

    /// Prints text that is the answer as it is, such as help.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn out(&self, text: &str) -> Result<(), Failure> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::io("write the answer", error)),
            _ => Ok(()),
        }
    }

    /// Says what is being done.
    pub fn status(&self, text: &str) {
        if !self.look.quiet && !self.look.json {
            self.err(&format!("{}\n", self.lines(text)));
        }
    }

    /// Says what is odd.
    pub fn warning(&self, text: &str, hint: Option<&str>) {
        #[derive(Serialize)]
        struct Warning<'a> {
            schema: &'static str,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            hint: Option<&'a str>,
        }
        if self.look.json {
            self.err_json(&Warning { schema: "toolgate.warning/1", message: text, hint });
            return;
        }
        self.err(&format!("{} {}\n", self.paint("warning:", "1;33"), self.lines(text)));
        if let Some(hint) = hint {
            self.hint(hint);
        }
    }

    /// Says what would help.
    pub fn hint(&self, text: &str) {
        if !self.look.quiet && !self.look.json {
            self.err(&format!("{} {}\n", self.paint("hint:", "1;36"), self.lines(text)));
        }
    }

    /// Says why the command failed.
    pub fn failure(&self, failure: &Failure) {
        if self.look.json {
            self.err_json(failure);
            return;
        }
        // Codex writes what its parser says small, and what its commands say large.
        let word = if self.look.as_codex && failure.exit() == 1 { "Error:" } else { "error:" };
        self.err(&format!("{} {}\n", self.paint(word, "1;31"), self.lines(&failure.to_string())));
        if let Some(hint) = failure.hint.as_deref() {
            self.hint(hint);
        }
    }

    /// The text without what would move the cursor, with commands as they are typed here.
    fn lines(&self, text: &str) -> String {
        let text = lines(text);
        if self.look.as_codex { text.replace("`toolgate mcp ", "`codex mcp ") } else { text }
    }

    fn paint(&self, word: &str, style: &str) -> String {
        if self.look.color { format!("\x1b[{style}m{word}\x1b[0m") } else { word.to_owned() }
    }

    fn err_json(&self, value: &impl Serialize) {
        if let Ok(text) = serde_json::to_string(value) {
            self.err(&format!("{text}\n"));
        }
    }

    /// Standard error is the last resort: when it fails too, there is nobody left to tell.
    fn err(&self, text: &str) {
        let mut err = self.err.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
    }
}

/// The text without characters that would move the cursor: parts of it were written by others.
fn lines(text: &str) -> String {
    text.lines().map(table::plain).collect::<Vec<_>>().join("\n")
}

fn document(value: &impl Serialize) -> Result<String, Failure> {
    let mut text = serde_json::to_string_pretty(value).map_err(Failure::bug)?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expect_test::{Expect, expect};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Gone(io::ErrorKind);

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[derive(Serialize)]
    struct Answer {
        number: u8,
    }

    impl Report for Answer {
        fn human(&self) -> String {
            format!("number {}\n", self.number)
        }
    }

    fn check(look: Look, expected: &Expect) {
        let (out, err) = (Paper::default(), Paper::default());
        let ui = Ui::on(look, Box::new(out.clone()), Box::new(err.clone()));
        ui.report(&Answer { number: 7 }).unwrap();
        ui.status("working");
        ui.warning("odd", Some("look"));
        ui.failure(&Failure::new(gate::Code::ServerUnknown, "no such server").hint("add it"));
        let text = |paper: &Paper| String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        expected.assert_eq(&format!("{}---\n{}", text(&out), text(&err)));
    }

    #[test]
    fn people_get_lines() {
        check(
            Look::default(),
            &expect![[r#"
                number 7
                ---
                working
                warning: odd
                hint: look
                error: no such server
                hint: add it
            "#]],
        );
    }

    #[test]
    fn scripts_get_json_on_both_streams() {
        check(
            Look { json: true, ..Look::default() },
            &expect![[r#"
                {
                  "number": 7
                }
                ---
                {"schema":"toolgate.warning/1","message":"odd","hint":"look"}
                {"schema":"toolgate.error/1","code":"server.unknown","message":"no such server","hint":"add it"}
            "#]],
        );
    }

    #[test]
    fn quiet_keeps_only_what_is_wrong() {
        check(
            Look { quiet: true, ..Look::default() },
            &expect![[r#"
                number 7
                ---
                warning: odd
                error: no such server
            "#]],
        );
    }

    #[test]
    fn a_reader_who_left_is_no_error_but_a_full_disk_is() {
        let on = |kind| Ui::on(Look::default(), Box::new(Gone(kind)), Box::new(io::sink()));
        assert!(on(io::ErrorKind::BrokenPipe).out("x").is_ok());
        assert_eq!(on(io::ErrorKind::StorageFull).out("x").unwrap_err().code, gate::Code::Io);
    }
}
