//! The last lines of the log that are about one server.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Looked through at the end of the file, in bytes: what is further back is no news.
const RECENT: u64 = 256 << 10;

/// The last `most` lines that processes which serve logged about `server`, oldest first. `home` is `$CODEX_HOME`.
/// None where there is no log, or nothing in it that is recent.
pub fn log_tail(home: &Path, server: &str, most: usize) -> Vec<String> {
    let field = format!(" server={server}");
    let mut lines = VecDeque::new();
    for line in recent(&super::log_file(home)).lines().filter(|line| is_about(line, &field)) {
        lines.push_back(line.to_owned());
        if lines.len() > most {
            lines.pop_front();
        }
    }
    lines.into()
}

/// The end of a file, from the beginning of a line. Empty where it cannot be read.
fn recent(path: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let from = file.metadata()?.len().saturating_sub(RECENT);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(RECENT).read_to_end(&mut bytes)?;
        let cut = if from == 0 { 0 } else { bytes.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1) };
        Ok(bytes.split_off(cut))
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

/// Fields stand behind the message, the server's among them.
fn is_about(line: &str, field: &str) -> bool {
    line.rfind(field).is_some_and(|at| matches!(line.as_bytes().get(at + field.len()), None | Some(b' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(log: &str, server: &str, want: &[&str]) {
        let home = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(home.path().join("log")).expect("made");
        std::fs::write(super::super::log_file(home.path()), log).expect("written");
        assert_eq!(log_tail(home.path(), server, 2), want);
    }

    #[test]
    fn only_the_last_lines_of_the_server_itself_are_found() {
        let log =
            "INFO one server=a\nINFO two server=ab\nWARN three server=a n=1\nINFO four server=b\nWARN five server=a\n";
        check(log, "a", &["WARN three server=a n=1", "WARN five server=a"]);
        check(log, "ab", &["INFO two server=ab"]);
        check(log, "c", &[]);
        check("", "a", &[]);
    }

    #[test]
    fn a_long_log_is_read_from_its_end_and_from_the_beginning_of_a_line() {
        let log = format!("{}\nlast server=a\n", "x server=a ".repeat(40_000));
        check(&log, "a", &["last server=a"]);
    }

    #[test]
    fn no_log_has_no_lines() {
        let home = tempfile::tempdir().expect("a directory");
        assert!(log_tail(home.path(), "a", 3).is_empty());
    }
}
