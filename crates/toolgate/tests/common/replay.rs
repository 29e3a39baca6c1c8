//! Runs what a page of the documentation shows, and compares what comes out with what the page says.
//!
//! A block of `console` holds commands behind `$ ` and their output; in it, `…` stands for anything within a line, and a
//! line that is only `…` for any lines. `<!-- file: NAME -->` in front of a block writes it to the home under that
//! name, and `<!-- not replayed -->` leaves a block out. `<!-- first terminal -->` runs a block beside all that follow, which
//! begin once a question waits for an answer, and `<!-- says: WORD -->` answers at a terminal where it is asked to.

use regex::Regex;
use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use testkit::cli::Home;
use testkit::wait;

/// A person's home as the pages show it.
const SHOWN: &str = "/home/you";

/// The beginning of a question's id, as the pages show it.
const ID: &str = "01a1fbd5";

/// Somebody who does what a page says.
pub struct Reader {
    home: Home,
    /// The beginning of the id of the question that waits.
    id: RefCell<String>,
}

impl Reader {
    /// Somebody with these programs, by name, and those of the system.
    pub fn new(programs: &[(&str, PathBuf)]) -> Self {
        let home = Home::new();
        let reader = Self { home, id: RefCell::new(ID.to_owned()) };
        for dir in [reader.bin(), reader.path(".codex")] {
            std::fs::create_dir_all(dir).expect("a directory");
        }
        for (name, program) in programs {
            symlink(program, reader.bin().join(name)).expect("a link");
        }
        reader
    }

    /// The same with one more program, which is this script.
    pub fn with(self, name: &str, script: &str) -> Self {
        let path = self.bin().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("its mode");
        self
    }

    fn bin(&self) -> PathBuf {
        self.path("bin")
    }

    /// A file or directory of their home.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join("home").join(name)
    }

    /// Follows the page `docs/NAME`.
    ///
    /// # Panics
    /// When anything comes out that the page does not say.
    pub fn follow(&self, name: &str) {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
        let text = std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        let blocks = blocks(&text);
        assert!(!blocks.is_empty(), "{name} shows nothing");
        let mut beside = Vec::new();
        for block in blocks {
            let shown = if matches!(block.note, Note::File(_)) { Vec::new() } else { commands(&block.text) };
            match block.note {
                Note::File(file) => self.write(&file, &block.text),
                Note::Plain => shown.iter().for_each(|shown| self.compare(name, shown, self.run(&shown.command))),
                Note::Says(word) => shown
                    .iter()
                    .for_each(|shown| self.compare(name, shown, self.run_at_terminal(&shown.command, &word))),
                Note::Beside => beside.extend(shown.into_iter().map(|shown| (self.begin(&shown.command), shown))),
            }
        }
        for (output, shown) in beside {
            wait::expect("the first terminal to be done", || output.with_extension("done").exists());
            let text = std::fs::read_to_string(output).expect("what it said");
            self.compare(name, &shown, self.lines(&text));
        }
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("it is in a directory")).expect("a directory");
        let text = text.replace(&format!("{SHOWN}/"), &self.path("").to_string_lossy());
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    }

    fn compare(&self, page: &str, shown: &Shown, said: Vec<String>) {
        assert!(
            matches(&shown.output, &said),
            "docs/{page}: $ {}\n--- it says\n{}\n--- but it is\n{}\n",
            shown.command,
            shown.output.join("\n"),
            said.join("\n")
        );
    }

    fn search_path(&self) -> OsString {
        std::env::join_paths([self.bin().as_path(), Path::new("/usr/bin"), Path::new("/bin")]).expect("a path")
    }

    /// What a command prints on both streams.
    fn run(&self, command: &str) -> Vec<String> {
        let command = format!("exec 2>&1\n{}", self.meant(command));
        let cmd = self.home.cmd("sh", ["-c", &command]).env("PATH", self.search_path());
        let cmd = cmd.env("CODEX_HOME", self.path(".codex")).current_dir(self.path(""));
        self.lines(&cmd.within(3 * wait::PATIENCE).run().stdout)
    }

    /// A command with the id of the question that waits in the place of the one that is shown.
    fn meant(&self, command: &str) -> String {
        command.replace(ID, &self.id.borrow())
    }

    /// Output as the pages would show it.
    fn lines(&self, text: &str) -> Vec<String> {
        let text = text.replace(&*self.path("").to_string_lossy(), &format!("{SHOWN}/"));
        let text = text.replace(self.id.borrow().as_str(), ID);
        text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect()
    }

    fn command(&self, program: &str, args: [&str; 3]) -> Command {
        let mut command = self.home.command(program, args);
        command.env("PATH", self.search_path()).env("CODEX_HOME", self.path(".codex")).env("NO_COLOR", "1");
        command.current_dir(self.path("")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    /// Starts a command, and waits until it makes a question wait for an answer. What it says is in the file. It is no
    /// child of ours: whoever started the one that asks is not taken for a person.
    fn begin(&self, command: &str) -> PathBuf {
        let output = self.home.path().join("tmp/first-terminal.txt");
        let (path, done) = (output.display(), output.with_extension("done"));
        self.run(&format!("({command} > {path} 2>&1 < /dev/null; touch {}) > /dev/null 2>&1 &", done.display()));
        let open = || {
            let listed = self.run("toolgate approvals list --json");
            let list: serde_json::Value = serde_json::from_str(&listed.join("\n")).ok()?;
            Some(list.as_array()?.first()?["id"].as_str()?.get(..ID.len())?.to_owned())
        };
        let id = wait::for_some(3 * wait::PATIENCE, open).expect("a question");
        *self.id.borrow_mut() = id;
        output
    }

    /// The same at a terminal, where `word` is typed once it is asked for.
    fn run_at_terminal(&self, command: &str, word: &str) -> Vec<String> {
        let mut child =
            self.command("script", ["-qec", &self.meant(command), "/dev/null"]).spawn().expect("a terminal");
        let (mut input, mut output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let (mut seen, mut byte) = (Vec::new(), [0]);
        let asked = format!("Type `{word}`");
        while !String::from_utf8_lossy(&seen).contains(&asked) {
            assert_eq!(output.read(&mut byte).expect("read"), 1, "{}", String::from_utf8_lossy(&seen));
            seen.push(byte[0]);
        }
        input.write_all(format!("{word}\n").as_bytes()).expect("typed");
        output.read_to_end(&mut seen).expect("read");
        child.wait().expect("it ends");
        self.lines(&String::from_utf8_lossy(&seen))
    }
}

struct Block {
    note: Note,
    text: String,
}

/// What is to be done with a block.
enum Note {
    File(String),
    Plain,
    Says(String),
    Beside,
}

struct Shown {
    command: String,
    output: Vec<String>,
}

/// The blocks of a page that do something.
fn blocks(page: &str) -> Vec<Block> {
    let block = Regex::new(r"(?ms)(?:^<!-- ([^\n]*?) -->\n)?^```(\w*)\n(.*?)^```$").expect("a pattern");
    let found = block.captures_iter(page).filter_map(|found| {
        let note = found.get(1).map_or("", |note| note.as_str());
        let text = found[3].to_owned();
        let note = match (note, &found[2]) {
            ("not replayed", _) => return None,
            ("first terminal", _) => Note::Beside,
            (note, kind) => match (note.strip_prefix("file: "), note.strip_prefix("says: ")) {
                (Some(file), _) => Note::File(file.to_owned()),
                (_, Some(word)) => Note::Says(word.to_owned()),
                _ if kind == "console" => Note::Plain,
                _ => return None,
            },
        };
        Some(Block { note, text })
    });
    found.collect()
}

fn commands(block: &str) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), all.last_mut()) {
            (Some(command), _) => all.push(Shown { command: command.to_owned(), output: Vec::new() }),
            (None, Some(shown)) => shown.output.push(line.trim_end().to_owned()),
            (None, None) => panic!("output without a command: {line}"),
        }
    }
    for shown in &mut all {
        while shown.output.last().is_some_and(String::is_empty) {
            shown.output.pop();
        }
    }
    all
}

/// Whether `said` is what `shown` says.
fn matches(shown: &[String], said: &[String]) -> bool {
    match shown.split_first() {
        None => said.is_empty(),
        Some((first, rest)) if first == "…" => (0..=said.len()).any(|skipped| matches(rest, &said[skipped..])),
        Some((first, rest)) => {
            said.split_first().is_some_and(|(line, others)| fits(first, line) && matches(rest, others))
        }
    }
}

fn fits(shown: &str, line: &str) -> bool {
    let pattern = shown.split('…').map(regex::escape).collect::<Vec<_>>().join(".*");
    Regex::new(&format!("^{pattern}$")).is_ok_and(|pattern| pattern.is_match(line))
}
