//! Runs what a page of the documentation shows, and compares what comes out with what the page says.
//!
//! A block of `console` holds commands behind `$ ` and their output; in it, `…` stands for anything within a line, and a
//! line that is only `…` for any lines. `<!-- file: NAME -->` in front of a block writes it to the home under that
//! name, and `<!-- not replayed -->` leaves a block out.

use regex::Regex;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use testkit::cli::Home;

/// A person's home as the pages show it.
const SHOWN: &str = "/home/you";

/// Somebody who does what a page says.
pub struct Reader {
    home: Home,
}

impl Reader {
    /// Somebody with these programs, by name, and those of the system.
    pub fn new(programs: &[(&str, PathBuf)]) -> Self {
        let home = Home::new();
        let reader = Self { home };
        for dir in [reader.bin(), reader.path(".codex")] {
            std::fs::create_dir_all(dir).expect("a directory");
        }
        for (name, program) in programs {
            symlink(program, reader.bin().join(name)).expect("a link");
        }
        reader
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
        for block in blocks {
            match block.file {
                Some(file) => self.write(&file, &block.text),
                None => commands(&block.text).iter().for_each(|shown| self.does(name, shown)),
            }
        }
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("it is in a directory")).expect("a directory");
        let text = text.replace(&format!("{SHOWN}/"), &self.path("").to_string_lossy());
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    }

    fn does(&self, page: &str, shown: &Shown) {
        let said = self.run(&shown.command);
        assert!(
            matches(&shown.output, &said),
            "docs/{page}: $ {}\n--- it says\n{}\n--- but it is\n{}\n",
            shown.command,
            shown.output.join("\n"),
            said.join("\n")
        );
    }

    /// What a command prints on both streams, as the pages would show it.
    fn run(&self, command: &str) -> Vec<String> {
        let system = std::env::join_paths([self.bin().as_path(), Path::new("/usr/bin"), Path::new("/bin")]);
        let output = self
            .home
            .cmd("sh", ["-c", &format!("exec 2>&1\n{command}")])
            .env("PATH", system.expect("a path"))
            .env("CODEX_HOME", self.path(".codex"))
            .current_dir(self.path(""))
            .run();
        let shown = output.stdout.replace(&*self.path("").to_string_lossy(), &format!("{SHOWN}/"));
        shown.trim_end().lines().map(|line| line.trim_end().to_owned()).collect()
    }
}

struct Block {
    file: Option<String>,
    text: String,
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
        let file = note.strip_prefix("file: ").map(str::to_owned);
        let runs = &found[2] == "console" && note != "not replayed";
        (file.is_some() || runs).then(|| Block { file, text: found[3].to_owned() })
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
