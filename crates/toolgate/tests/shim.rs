//! The program under the names `codex` and `codex-mcp-server`.

mod common;

use common::{Setup, TOOLGATE};
use serde_json::{Value, json};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Stdio;
use testkit::cli::{Cmd, Home, Output};

/// A home whose PATH has the shim first and then a Codex of this script, if any.
struct Place {
    setup: Setup,
}

impl Place {
    fn new(codex: Option<&str>) -> Self {
        let place = Self { setup: Setup::new() };
        for dir in ["shim", "real"] {
            std::fs::create_dir(place.dir(dir)).expect("a directory");
        }
        for name in ["codex", "codex-mcp-server"] {
            symlink(TOOLGATE, place.dir("shim").join(name)).expect("a link");
        }
        if let Some(script) = codex {
            place.script("real/codex", script);
        }
        place
    }

    fn home(&self) -> &Home {
        &self.setup.home
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.home().path().join(name)
    }

    fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("its mode");
        path
    }

    fn path(&self) -> String {
        format!("{}:{}:/usr/bin:/bin", self.dir("shim").display(), self.dir("real").display())
    }

    fn codex(&self, args: &[&str]) -> Cmd {
        self.home().cmd(self.dir("shim").join("codex"), args).env("PATH", self.path())
    }

    fn toolgate(&self, args: &[&str]) -> Output {
        self.setup.run(args).env("PATH", self.path()).run()
    }
}

/// Says what it was given.
const ECHO: &str = "printf '%s|' real \"$@\"; exit 7";

#[test]
fn what_is_said_of_servers_is_answered_here() {
    let place = Place::new(Some(ECHO));
    let listed = place.codex(&["mcp", "list", "--json"]).run().ok();
    assert_eq!(listed.trim(), "[]");
    let tried = place.codex(&["--config", "mcp_servers.debug.command=\"echo debug\""]).run();
    assert_eq!(tried.status, Some(1), "{tried:?}");
    assert!(tried.stdout.contains("protocol_error") && tried.stdout.contains("debug"), "{tried:?}");
    assert_eq!(place.codex(&["mcp", "serve"]).run().status, Some(0), "nobody speaks to it, so it ends");
}

/// What a server says of itself and its tools.
fn served(server: Cmd) -> (Value, Vec<String>) {
    let hello =
        json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "host", "version": "1"}});
    let lines = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}),
    ];
    let said = server.stdin(lines.map(|line| format!("{line}\n")).concat()).run();
    let answers: Vec<Value> = said.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let answer =
        |id| answers.iter().find(|answer| answer["id"] == id).unwrap_or_else(|| panic!("{said:?}"))["result"].clone();
    let list = answer(2);
    let promised = list["tools"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|tool| format!("{} {}", tool["name"].as_str().unwrap_or_default(), tool["outputSchema"]["required"]));
    (answer(1)["serverInfo"]["name"].clone(), promised.collect())
}

#[test]
fn the_server_that_codex_had_and_the_one_of_the_other_name_are_served_here() {
    let place = Place::new(Some(ECHO));
    let (name, tools) = served(place.codex(&["-m", "o3", "mcp-server"]));
    assert_eq!(name, "codex-mcp-server");
    for tool in ["codex", "codex-reply"] {
        assert!(tools.contains(&format!("{tool} [\"threadId\",\"content\"]")), "{tools:?}");
    }
    let bridge = place.home().cmd(place.dir("shim").join("codex-mcp-server"), &[] as &[&str]).env("PATH", place.path());
    let (name, tools) = served(bridge);
    assert_eq!(name, "codex-mcp-server");
    assert!(tools.contains(&"codex null".to_owned()) && tools.contains(&"listSessions null".to_owned()), "{tools:?}");
}

#[test]
fn all_else_becomes_codex_word_for_word() {
    let place = Place::new(Some(ECHO));
    for args in [&["exec", "say", "mcp list", ""][..], &["--help"], &["-m", "mcp"], &["plugin", "list"]] {
        let output = place.codex(args).run();
        assert_eq!((output.status, output.stdout), (Some(7), format!("real|{}|", args.join("|"))), "{args:?}");
    }
}

#[test]
fn codex_is_the_very_same_process() {
    let place = Place::new(Some("echo $$"));
    let mut command = place.home().command(place.dir("shim").join("codex"), ["exec"]);
    let child = command.env("PATH", place.path()).stdout(Stdio::piped()).spawn().expect("it starts");
    let pid = child.id();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), pid.to_string());
}

#[test]
fn without_a_codex_the_shim_says_how_to_get_one() {
    let place = Place::new(None);
    let output = place.codex(&["exec", "hi"]).run();
    assert_eq!(output.status, Some(127), "{output:?}");
    assert!(output.stderr.contains("npm i -g @openai/codex"), "{output:?}");
    let named = place.script("real/other", ECHO);
    assert_eq!(place.codex(&["exec"]).env("CODEX_BIN", named).run().stdout, "real|exec|");
}

#[test]
fn a_shim_that_leads_to_itself_is_noticed() {
    let place = Place::new(None);
    let again = place.codex(&["exec"]).env("CODEX_BIN", place.dir("shim").join("codex")).run();
    assert!(again.status == Some(2) && again.stderr.contains("this shim again"), "{again:?}");
    place.script("real/codex", "exec codex \"$@\"");
    let circle = place.codex(&["exec"]).run();
    assert!(circle.status == Some(2) && circle.stderr.contains("set CODEX_BIN"), "{circle:?}");
    place.script("real/codex", ECHO);
    assert_eq!(place.codex(&["exec"]).env("TOOLGATE_SHIM", "1").run().stdout, "real|exec|", "Codex within Codex");
}

#[test]
fn the_shim_is_put_in_place_and_taken_away_and_harms_no_file_of_others() {
    let place = Place::new(Some(ECHO));
    let dir = place.dir("new/bin");
    let dir = dir.to_str().expect("text");
    let done = |output: Output| -> Vec<String> {
        let report = output.json();
        assert_eq!(report["schema"], "toolgate.shim/1");
        let links = report["links"].as_array().cloned().unwrap_or_default();
        links.iter().map(|link| link["done"].as_str().expect("a word").to_owned()).collect()
    };
    let install = ["shim", "install", "--dir", dir, "--bridge", "--json"];
    assert_eq!(done(place.toolgate(&install)), ["made", "made"]);
    assert_eq!(done(place.toolgate(&install)), ["kept", "kept"]);
    assert_eq!(done(place.toolgate(&["shim", "remove", "--dir", dir, "--json"])), ["removed", "removed"]);
    assert_eq!(place.toolgate(&["shim", "remove", "--dir", dir]).status, Some(1));

    let real = place.dir("real");
    let real = real.to_str().expect("text");
    for force in [&[][..], &["--force"]] {
        let refused = place.toolgate(&[&["shim", "install", "--dir", real][..], force].concat());
        assert!(refused.status == Some(2) && refused.stderr.contains("not ours"), "{refused:?}");
    }
    symlink("/bin/true", place.dir("new/bin/codex")).expect("a link");
    assert_eq!(place.toolgate(&["shim", "install", "--dir", dir]).status, Some(2));
    assert_eq!(done(place.toolgate(&["shim", "install", "--dir", dir, "--force", "--json"])), ["made"]);
    assert!(place.codex(&["exec"]).run().stdout.starts_with("real|"), "it is still there");
}

#[test]
fn the_state_of_the_shim_is_told() {
    let place = Place::new(Some(ECHO));
    let report = place.toolgate(&["shim", "status", "--json"]).json();
    assert_eq!(report["is_shim"], true);
    assert_eq!(report["codex"], place.dir("real/codex").to_str().expect("text"));
    let text = place.toolgate(&["shim", "status"]).ok();
    assert!(text.contains("(the shim)"), "{text}");
}
