//! Every command of a recorded session of Codex, given to toolgate under the name `codex`. What it answers differently
//! is exactly what `docs/codex-compat.md` lists.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use common::TOOLGATE;
use testkit::cli::Home;

const RECORDED: &str = include_str!("data/codex-0.169.0.txt");
const DOCUMENT: &str = include_str!("../../../docs/codex-compat.md");

/// One command and what it answered.
#[derive(Debug, Default, Clone, PartialEq)]
struct Step {
    section: String,
    command: String,
    out: Vec<String>,
    err: Vec<String>,
    status: i32,
}

impl Step {
    fn key(&self) -> (String, String) {
        (self.section.clone(), self.command.clone())
    }
}

fn recorded() -> Vec<Step> {
    let (mut steps, mut section) = (Vec::<Step>::new(), String::new());
    for line in RECORDED.lines() {
        if let Some(name) = line.strip_prefix("##### ") {
            section = name.to_owned();
        } else if let Some(command) = line.strip_prefix("$ codex ") {
            steps.push(Step { section: section.clone(), command: command.to_owned(), ..Step::default() });
        } else if line == "--- config.toml" {
            steps.push(Step { section: section.clone(), command: CONFIG.to_owned(), ..Step::default() });
        } else if let Some(step) = steps.last_mut() {
            match line.trim_start().split_at(4) {
                ("out|" | "cfg|", text) => step.out.push(text[1..].to_owned()),
                ("err|", text) => step.err.push(text[1..].to_owned()),
                _ => step.status = line.trim_start().strip_prefix("rc=").unwrap().parse().unwrap(),
            }
        }
    }
    steps
}

/// In the place of a command: the file as it is by then.
const CONFIG: &str = "config.toml";

/// What is written over the configuration before the steps of a section, the last one before all that are left.
fn configurations(section: &str) -> &'static [&'static str] {
    match section {
        "every key in get" => &[EVERY_KEY],
        "broken configs" => &[
            "[mcp_servers.a\ncommand=1\n",
            "[mcp_servers.a\ncommand=1\n",
            "[mcp_servers.a]\ncommand=1\n",
            "[mcp_servers.a]\nargs=[\"x\"]\n",
            "[mcp_servers.a]\ncommand=\"x\"\nurl=\"y\"\n",
            "[mcp_servers.a]\nurl=\"http://x/\"\nbearer_token=\"abc\"\n",
            "[mcp_servers]\na=\"x\"\n",
            "[mcp_servers.a]\ncommand=\"foo\"\nbogus=1\n",
            "[mcp_servers.a]\ncommand=\"foo\"\nbogus=1\n",
            "[mcp_servers.\"bad name\"]\ncommand=\"x\"\n",
        ],
        "usage" => &[""],
        _ => &[],
    }
}

const EVERY_KEY: &str = r#"[mcp_servers.keep]
command = "a"
args = ["1"]
cwd = "/tmp"
env = { B = "2", A = "1" }
env_vars = ["V"]
startup_timeout_ms = 1500
tool_timeout_sec = 4.5
enabled_tools = ["t1"]
disabled_tools = ["t2"]
default_tools_approval_mode = "prompt"
required = true
[mcp_servers.keep.tools.t1]
approval_mode = "approve"
output_token_limit = 9
[mcp_servers.h]
url = "http://127.0.0.1:9/mcp"
http_headers = { X = "1" }
env_http_headers = { Y = "Z" }
http_headers_helper = "h"
[mcp_servers.off]
command = "x"
enabled = false
"#;

struct Lab {
    home: Home,
    codex: PathBuf,
}

impl Lab {
    fn new() -> Self {
        let home = Home::new();
        let codex = home.path().join("codex-name").join("codex");
        std::fs::create_dir(codex.parent().unwrap()).unwrap();
        symlink(TOOLGATE, &codex).unwrap();
        Self { home, codex }
    }

    fn step(&self, section: &str, command: &str) -> Step {
        let (out, err, status) = if command == CONFIG {
            (self.home.read(CONFIG), String::new(), 0)
        } else {
            let output = self.home.cmd(&self.codex, shlex::split(command).unwrap()).run();
            (output.stdout, output.stderr, output.status.unwrap())
        };
        let place = self.home.codex().display().to_string();
        let lines = |text: String| text.replace(&place, "LAB/cli").lines().map(str::to_owned).collect::<Vec<_>>();
        let mut err = lines(err);
        err.retain(|line| !ADDED.iter().any(|added| line.starts_with(added)));
        Step { section: section.to_owned(), command: command.to_owned(), out: lines(out), err, status }
    }
}

/// Lines on standard error that Codex does not have, whatever the command: the document says so once for all.
const ADDED: [&str; 5] = ["will run: ", "will connect to: ", "it gets what your agent", "hint: ", "warning: "];

/// What the document lists.
fn listed() -> BTreeSet<(String, String)> {
    let (_, table) = DOCUMENT.split_once("```differences\n").expect("a list of differences");
    let (table, _) = table.split_once("```").unwrap();
    let cells = |line: &str| {
        let mut cells = line.splitn(3, " | ").map(str::trim).map(str::to_owned);
        let key = (cells.next().unwrap(), cells.next().expect("a command"));
        assert!(cells.next().is_some_and(|reason| reason.len() > 10), "no reason: {line}");
        key
    };
    table.lines().map(cells).collect()
}

#[test]
fn toolgate_answers_as_codex_does_except_where_the_document_says_so() {
    let lab = Lab::new();
    let (mut different, mut shown) = (BTreeSet::new(), String::new());
    let (mut section, mut index) = (String::new(), 0);
    for step in recorded() {
        if step.section != section {
            (section, index) = (step.section.clone(), 0);
        }
        let texts = configurations(&section);
        if let Some(text) = texts.get(index) {
            lab.home.write(CONFIG, text);
            // What Codex does not know stays there when its file is written over.
            lab.home.write("toolgate.toml", "");
        }
        index += 1;
        let ours = lab.step(&step.section, &step.command);
        if ours != step {
            shown.push_str(&format!("wanted {step:#?}\nfound {ours:#?}\n"));
            different.insert(step.key());
        }
    }
    let listed = listed();
    let unlisted: Vec<_> = different.difference(&listed).collect();
    let outdated: Vec<_> = listed.difference(&different).collect();
    assert!(unlisted.is_empty() && outdated.is_empty(), "unlisted {unlisted:#?}\noutdated {outdated:#?}\n{shown}");
}

#[test]
fn by_its_own_name_toolgate_says_toolgate() {
    let home = Home::new();
    let empty = home.cmd(TOOLGATE, ["mcp", "list"]).run();
    assert!(empty.stdout.contains("`toolgate mcp add my-tool -- my-command`"), "{empty:#?}");
    let nothing = home.cmd(TOOLGATE, ["mcp", "add", "nothing"]).run();
    assert_eq!(nothing.status, Some(2));
    assert!(nothing.stderr.contains("Usage: toolgate mcp add [OPTIONS] <NAME> (-- <COMMAND>... | "), "{nothing:#?}");
}

#[test]
fn the_features_of_codex_are_accepted_everywhere() {
    let lab = Lab::new();
    for command in [
        "mcp add a --enable x -- foo",
        "mcp list --enable x --disable y",
        "mcp get a --enable x",
        "mcp remove a --disable y",
    ] {
        let output = lab.home.cmd(&lab.codex, shlex::split(command).unwrap()).run();
        assert_eq!(output.status, Some(0), "{command}: {output:#?}");
    }
}
