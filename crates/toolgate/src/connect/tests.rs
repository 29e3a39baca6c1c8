//! Connecting and disconnecting, on files as people have them, whatever happens in between.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use expect_test::{Expect, expect};
use tempfile::TempDir;

use super::apply::{Connecting, Disconnecting};
use super::*;
use crate::config::{Env, Writer};

struct Home {
    dir: TempDir,
    env: Env,
    each: bool,
    rename: bool,
}

/// Files with their modes.
type Files = BTreeMap<PathBuf, (String, u32)>;

impl Home {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        for place in [".codex", ".cursor", ".config/Claude", ".config/Code/User"] {
            fs::create_dir_all(dir.path().join(place)).unwrap();
        }
        let env = Env::from_iter([("HOME", dir.path().to_str().unwrap()), ("PATH", "/usr/bin")]);
        Self { dir, env, each: false, rename: false }
    }

    fn with(client: Client, text: &str) -> Self {
        let home = Self::new();
        home.write(client, text);
        home
    }

    fn codex(&self) -> PathBuf {
        self.dir.path().join(".codex")
    }

    fn path(&self, client: Client) -> PathBuf {
        places::file(client, &self.codex(), &self.env).unwrap()
    }

    fn write(&self, client: Client, text: &str) {
        fs::write(self.path(client), text).unwrap();
        fs::set_permissions(self.path(client), fs::Permissions::from_mode(0o640)).unwrap();
    }

    fn text(&self, client: Client) -> String {
        fs::read_to_string(self.path(client)).unwrap()
    }

    fn own(&self) -> PathBuf {
        self.codex().join("toolgate.toml")
    }

    fn plan(&self, client: Client) -> Result<Plan, ConnectError> {
        let launch = Launch { program: std::env::current_exe().unwrap(), home: None };
        let (home, file) = (self.codex(), self.path(client));
        let ask = Ask { client, file, home: &home, env: &self.env, launch, each: self.each, rename: self.rename };
        plan(&ask)
    }

    fn lock(&self) -> Writer {
        Writer::lock(&self.codex()).unwrap()
    }

    fn connect(&self, client: Client) -> Plan {
        let plan = self.plan(client).unwrap();
        connect(&self.lock(), &self.codex(), &plan, 7).unwrap();
        plan
    }

    fn disconnect(&self, client: Client) -> Vec<String> {
        let undo = undo(&self.codex(), client).unwrap();
        disconnect(&self.lock(), &self.codex(), client, &undo).unwrap();
        assert_eq!(journal(&self.codex(), client).unwrap(), None);
        undo.notes
    }

    fn recover(&self, client: Client) -> bool {
        recover(&self.lock(), &self.codex(), client).unwrap()
    }

    /// All files but what toolgate keeps for itself.
    fn files(&self) -> Files {
        let mut found = Files::new();
        collect(self.dir.path(), &self.codex().join("toolgate"), &mut found);
        found
    }
}

fn collect(dir: &Path, but: &Path, found: &mut Files) {
    for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path != but) {
        if entry.is_dir() {
            collect(&entry, but, found);
        } else {
            let mode = fs::metadata(&entry).unwrap().permissions().mode();
            found.insert(entry.clone(), (fs::read_to_string(&entry).unwrap(), mode));
        }
    }
}

const TOML: &str = r#"# mine
model = "gpt-5.2"

# the first
[mcp_servers.files]
command = "npx" # quick
args = ["-y", "files"]
startup_timeout_sec = 20 # slow
cwd = "/srv"

[mcp_servers.files.env]
API_TOKEN = "s3cr3t-value"

# remote
[mcp_servers.docs]
url = "https://docs.example/mcp"
bearer_token_env_var = "DOCS_TOKEN"
env_http_headers = { X-Team = "TEAM" }
enabled = false

[mcp_servers.docs.tools.search]
approval_mode = "approve"

[projects."/p"]
trust_level = "trusted"
"#;

const JSON: &str = r#"{
  // mine
  "theme": "dark",
  "mcpServers": {
    "files": { "command": "npx", "args": ["-y", "files"], "env": { "API_TOKEN": "s3cr3t-value" } },

    // remote
    "docs": {
      "type": "http",
      "url": "https://docs.example/mcp", // fast
      "headers": { "X-Team": "core" },
    },
    "ours alone": { "command": "x" }
  },
  "last": [1, 2]
}"#;

fn sample(client: Client) -> String {
    match client {
        Client::Codex => TOML.to_owned(),
        Client::Vscode => JSON.replace("mcpServers", "servers"),
        _ => JSON.to_owned(),
    }
}

#[test]
fn what_was_found_comes_back_byte_for_byte() {
    for client in Client::ALL {
        for each in [false, true] {
            let text = sample(client);
            for text in [text.replace('\n', "\r\n"), format!("\u{feff}{text}"), text] {
                let home = Home { each, ..Home::with(client, &text) };
                let before = home.files();
                let plan = home.connect(client);
                assert_eq!(plan.moved.len(), 2, "{client:?}: {plan:#?}");
                assert_ne!(home.files(), before);
                assert!(home.plan(client).unwrap().files.is_empty(), "{client:?}: connecting twice changes nothing");
                assert_eq!(home.disconnect(client), Vec::<String>::new());
                assert_eq!(home.files(), before, "{client:?}");
            }
        }
    }
}

#[test]
fn a_file_that_was_not_there_goes_again() {
    for client in [Client::ClaudeCode, Client::ClaudeDesktop, Client::Cursor, Client::Vscode] {
        for text in [None, Some(""), Some("{}"), Some("{\"mcpServers\": {}}\n")] {
            let home = Home::new();
            if let Some(text) = text {
                home.write(client, text);
            }
            let before = home.files();
            assert_eq!(home.connect(client).files.len(), 1);
            assert!(home.text(client).contains("\"toolgate\""));
            home.disconnect(client);
            assert_eq!(home.files(), before, "{client:?} {text:?}");
        }
    }
}

#[test]
fn a_connect_that_is_killed_at_any_step_ends_in_one_of_two_states() {
    for client in Client::ALL {
        for killed_after in 0..=5 {
            let home = Home::with(client, &sample(client));
            let before = home.files();
            let plan = home.plan(client).unwrap();
            let (codex, text) = (home.codex(), home.text(client));
            let mut connecting = Connecting::of(&codex, &plan, 7).unwrap();
            let steps = connecting.steps();
            assert_eq!(steps.len(), 5);
            steps.into_iter().take(killed_after).for_each(|step| connecting.run(step).unwrap());
            drop(connecting);
            let after = plan.files[1].after.clone().unwrap();
            assert!([&text, &after].contains(&&home.text(client)), "{client:?}, {killed_after}");
            let mended = home.recover(client);
            assert_eq!(mended, (2..=4).contains(&killed_after), "{client:?}, {killed_after}");
            assert!(!home.recover(client), "there is nothing left to do");
            let done = journal(&codex, client).unwrap().map(|journal| journal.state);
            if killed_after >= 4 {
                assert_eq!((done, home.text(client)), (Some(State::Connected), after));
                home.disconnect(client);
            } else {
                assert_eq!(done, None);
            }
            assert_eq!(home.files(), before, "{client:?}, {killed_after}");
        }
    }
}

#[test]
fn a_disconnect_that_is_killed_at_any_step_is_ended_by_the_next_command() {
    for client in Client::ALL {
        for killed_after in 0..=5 {
            let home = Home::with(client, &sample(client));
            let before = home.files();
            home.connect(client);
            let connected = home.files();
            let (codex, undo) = (home.codex(), undo(&home.codex(), client).unwrap());
            let mut disconnecting = Disconnecting::of(&codex, client, &undo).unwrap().unwrap();
            let steps = disconnecting.steps();
            assert_eq!(steps.len(), 5);
            steps.into_iter().take(killed_after).for_each(|step| disconnecting.run(step).unwrap());
            let mended = home.recover(client);
            assert_eq!(mended, (1..=4).contains(&killed_after), "{client:?}, {killed_after}");
            let expected = if killed_after == 0 { &connected } else { &before };
            assert_eq!(&home.files(), expected, "{client:?}, {killed_after}");
        }
    }
}

#[test]
fn a_half_written_file_is_cleared_away() {
    let home = Home::with(Client::Cursor, JSON);
    let before = home.files();
    let plan = home.plan(Client::Cursor).unwrap();
    let codex = home.codex();
    let mut connecting = Connecting::of(&codex, &plan, 7).unwrap();
    let steps = connecting.steps();
    steps[..3].iter().for_each(|step| connecting.run(*step).unwrap());
    fs::write(home.path(Client::Cursor).with_file_name(".mcp.json.toolgate-new"), "half").unwrap();
    assert!(home.recover(Client::Cursor));
    assert_eq!(home.files(), before);
}

#[test]
fn nothing_is_written_over_what_somebody_else_wrote_meanwhile() {
    let home = Home::with(Client::Cursor, JSON);
    let plan = home.plan(Client::Cursor).unwrap();
    home.write(Client::Cursor, "{\"new\": true}");
    let before = home.files();
    let error = connect(&home.lock(), &home.codex(), &plan, 7).unwrap_err();
    assert!(error.to_string().ends_with("mcp.json was changed meanwhile; nothing was done"), "{error}");
    assert_eq!(home.files(), before);
    assert_eq!(journal(&home.codex(), Client::Cursor).unwrap(), None);
}

/// Connects, lets somebody edit, disconnects: what the client's file is then, and what is said about it.
fn after_edits(client: Client, before: &str, edit: fn(&Home), expected: &Expect) {
    let home = Home::with(client, before);
    home.connect(client);
    edit(&home);
    let notes = home.disconnect(client);
    let own = fs::read_to_string(home.own()).map_or_else(|_| "-\n".to_owned(), |text| format!("---\n{text}"));
    let root = home.dir.path().to_str().unwrap();
    let notes: String = notes.iter().map(|note| format!("note: {}\n", note.replace(root, "~"))).collect();
    expected.assert_eq(&format!("{}\n{notes}{own}", home.text(client)));
}

fn replace(path: &Path, pairs: &[(&str, &str)]) {
    let text = fs::read_to_string(path).unwrap();
    let edited = pairs.iter().fold(text.clone(), |text, (from, to)| {
        assert!(text.contains(from), "{from}: {text}");
        text.replace(from, to)
    });
    fs::write(path, edited).unwrap();
}

#[test]
fn edits_made_since_stay_in_a_clients_json() {
    // As a client does that reads all of it and writes all of it.
    after_edits(
        Client::ClaudeCode,
        r#"{
  "numStartups": 5,
  "mcpServers": {
    "files": {
      "command": "npx",
      "args": [
        "-y"
      ]
    },
    "my own": {
      "command": "y"
    },
    "docs": {
      "type": "http",
      "url": "https://docs.example/mcp"
    }
  },
  "projects": {
    "/p": {
      "history": ["\ud800 hello"],
      "mcpServers": {
        "local": {}
      }
    }
  }
}
"#,
        |home| {
            let path = home.path(Client::ClaudeCode);
            replace(
                &path,
                &[
                    ("\"numStartups\": 5", "\"numStartups\": 6"),
                    ("\"my own\": {", "\"newer\": {\n      \"command\": \"z\"\n    },\n    \"my own\": {"),
                ],
            );
        },
        &expect![[r#"
            {
              "numStartups": 6,
              "mcpServers": {
                "files": {
                  "command": "npx",
                  "args": [
                    "-y"
                  ]
                },
                "newer": {
                  "command": "z"
                },
                "docs": {
                  "type": "http",
                  "url": "https://docs.example/mcp"
                },
                "my own": {
                  "command": "y"
                }
              },
              "projects": {
                "/p": {
                  "history": ["\ud800 hello"],
                  "mcpServers": {
                    "local": {}
                  }
                }
              }
            }

            note: ~/.claude.json was changed since; those changes stay
            -
        "#]],
    );
}

#[test]
fn edits_made_since_stay_in_codexs_file() {
    after_edits(
        Client::Codex,
        TOML,
        |home| {
            let path = home.path(Client::Codex);
            replace(&path, &[("gpt-5.2", "gpt-5.3"), ("enabled = false\n", "enabled = true\n")]);
            fs::write(&path, home.text(Client::Codex) + "\n[mcp_servers.newer]\ncommand = \"n\"\n").unwrap();
        },
        &expect![[r##"
            # mine
            model = "gpt-5.3"

            # the first
            [mcp_servers.files]
            command = "npx" # quick
            args = ["-y", "files"]
            startup_timeout_sec = 20 # slow
            cwd = "/srv"
            env = { API_TOKEN = "s3cr3t-value" }

            # remote
            [mcp_servers.docs]
            enabled = true
            bearer_token_env_var = "DOCS_TOKEN"
            env_http_headers = { X-Team = "TEAM" }
            url = "https://docs.example/mcp"

            [mcp_servers.docs.tools.search]
            approval_mode = "approve"

            [projects."/p"]
            trust_level = "trusted"

            [mcp_servers.newer]
            command = "n"

            note: ~/.codex/config.toml was changed since; those changes stay
            -
        "##]],
    );
}

#[test]
fn entries_of_the_gate_that_were_changed_since_stay() {
    after_edits(
        Client::Cursor,
        r#"{"mcpServers": {"files": {"command": "npx"}, "docs": {"url": "https://docs.example/mcp"}}}"#,
        |home| {
            replace(&home.own(), &[("command = \"npx\"", "command = \"npx\"\nread_only = true")]);
            fs::write(home.own(), fs::read_to_string(home.own()).unwrap() + "\n[gate]\nprefix = \"never\"\n").unwrap();
        },
        &expect![[r#"
            {"mcpServers": {"files": {"command": "npx"}, "docs": {"url": "https://docs.example/mcp"}}}
            note: ~/.codex/toolgate.toml was changed since; those changes stay
            note: `files` in toolgate.toml was changed since and stays; `toolgate mcp remove files` takes it out
            ---
            [mcp_servers.files]
            command = "npx"
            read_only = true

            [gate]
            prefix = "never"
        "#]],
    );
}

#[test]
fn what_a_person_took_over_is_left_alone() {
    after_edits(
        Client::Cursor,
        r#"{"mcpServers": {"files": {"command": "npx"}}}"#,
        |home| {
            home.write(
                Client::Cursor,
                r#"{"mcpServers": {"toolgate": {"command": "other"}, "files": {"command": "mine"}}}"#,
            )
        },
        &expect![[r#"
            {"mcpServers": {"toolgate": {"command": "other"}, "files": {"command": "mine"}}}
            note: ~/.cursor/mcp.json was changed since; those changes stay
            note: `toolgate` was set to something else since and stays so
            note: `files` stands there again and stays so
            -
        "#]],
    );
    after_edits(
        Client::Codex,
        "[mcp_servers.a]\ncommand = \"x\"\n[mcp_servers.b]\ncommand = \"y\"\n",
        |home| home.write(Client::Codex, "[mcp_servers.a]\ncommand = \"other\"\n"),
        &expect![[r#"
            [mcp_servers.a]
            command = "other"

            note: ~/.codex/config.toml was changed since; those changes stay
            note: `a` was set to something else since and stays so
            note: `b` was taken out since and stays so
            -
        "#]],
    );
}

#[test]
fn servers_added_since_are_moved_by_the_next_connect() {
    for client in Client::ALL {
        let home = Home::with(client, &sample(client));
        home.connect(client);
        if client == Client::Codex {
            home.write(client, &(home.text(client) + "\n# newer\n[mcp_servers.newer]\ncommand = \"n\"\n"));
        } else {
            let path = home.path(client);
            replace(
                &path,
                &[("    \"ours alone\"", "    \"newer\": { \"command\": \"n\" }, // newer\n    \"ours alone\"")],
            );
        }
        let between = home.files();
        let plan = home.connect(client);
        assert_eq!(plan.moved.iter().map(|moved| moved.name.as_str()).collect::<Vec<_>>(), ["newer"], "{client:?}");
        // As far as the first connect, the file was changed: what was added since stays.
        let undo = undo(&home.codex(), client).unwrap();
        assert_eq!(undo.notes.len(), 1, "{client:?}: {:?}", undo.notes);
        disconnect(&home.lock(), &home.codex(), client, &undo).unwrap();
        assert!(!home.own().exists(), "{client:?}");
        let text = home.text(client);
        assert!(text.contains("newer") && text.contains("docs.example") && !text.contains("\"serve\""), "{text}");
        assert_ne!(home.files(), between);
    }
}

#[test]
fn what_nobody_else_could_read_stays_so_in_the_gates_file() {
    for client in Client::ALL {
        let home = Home::with(client, &sample(client));
        fs::write(home.own(), "# mine\n").unwrap();
        fs::set_permissions(home.own(), fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(home.path(client), fs::Permissions::from_mode(0o600)).unwrap();
        let before = home.files();
        home.connect(client);
        assert!(fs::read_to_string(home.own()).unwrap().contains("s3cr3t-value"), "{client:?}");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&home.own()), 0o600, "{client:?}");
        home.disconnect(client);
        assert_eq!(home.files(), before, "{client:?}");
    }
}

#[test]
fn a_gate_that_serves_less_than_all_takes_nobodys_place() {
    let own = std::env::current_exe().unwrap();
    let check = |args: &str, expected: &[&str]| {
        let entry = format!(r#"{{"command": "{}", "args": {args}}}"#, own.display());
        let text = format!(r#"{{"mcpServers": {{"mine": {entry}, "files": {{"command": "npx"}}}}}}"#);
        let home = Home::with(Client::Cursor, &text);
        home.connect(Client::Cursor);
        let now: serde_json::Value = serde_json::from_str(&home.text(Client::Cursor)).unwrap();
        let keys: Vec<_> = now["mcpServers"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, expected, "{args}");
        assert!(home.plan(Client::Cursor).unwrap().files.is_empty(), "{args}: connecting twice changes nothing");
        home.disconnect(Client::Cursor);
        assert_eq!(home.text(Client::Cursor), text);
    };
    check(r#"["mcp", "serve"]"#, &["mine"]);
    check(r#"["mcp", "serve", "--profile=gateway"]"#, &["mine"]);
    check(r#"["mcp", "serve", "--only", "other"]"#, &["mine", "files"]);
    check(r#"["mcp", "serve", "--only=other"]"#, &["mine", "files"]);
    check(r#"["mcp", "serve", "--profile", "bridge"]"#, &["mine", "toolgate"]);
    check("[]", &["mine", "toolgate"]);
}

#[test]
fn clients_share_servers_and_part_in_any_order() {
    for order in [[Client::Cursor, Client::ClaudeDesktop], [Client::ClaudeDesktop, Client::Cursor]] {
        let home = Home::with(Client::Cursor, JSON);
        home.write(Client::ClaudeDesktop, r#"{"mcpServers": {"files": {"command": "npx", "args": ["-y", "files"], "env": {"API_TOKEN": "s3cr3t-value"}}, "own": {"command": "o"}}}"#);
        let before = home.files();
        home.connect(Client::Cursor);
        let plan = home.connect(Client::ClaudeDesktop);
        let moved: Vec<_> = plan.moved.iter().map(|moved| (moved.name.as_str(), moved.added)).collect();
        assert_eq!(moved, [("files", false), ("own", true)]);
        let notes = home.disconnect(order[0]);
        let own = fs::read_to_string(home.own()).unwrap();
        assert!(own.contains("[mcp_servers.files]"), "the other client uses it: {own}");
        assert_eq!(notes.is_empty(), order[0] == Client::ClaudeDesktop, "{notes:?}");
        home.disconnect(order[1]);
        assert_eq!(home.files(), before, "{order:?}");
    }
}

/// What a plan for a client says: what moves, what stays and why.
fn said(home: &Home, client: Client, expected: &Expect) {
    let text = match home.plan(client) {
        Err(error) => format!("error: {error}\n"),
        Ok(plan) => {
            let mut out = String::new();
            for moved in &plan.moved {
                out += &format!("{} -> {}{}\n", moved.name, moved.gate, if moved.added { "" } else { " (shared)" });
            }
            plan.left.iter().for_each(|left| out += &format!("{}: {}\n", left.name, left.why));
            plan.notes.iter().for_each(|note| out += &format!("note: {note}\n"));
            plan.barred
                .iter()
                .for_each(|barred| out += &format!("barred: {}: {}\n{}\n", barred.name, barred.why, barred.line));
            out
        }
    };
    let text = text.replace(home.dir.path().to_str().unwrap(), "~");
    expected.assert_eq(&text.replace(std::env::current_exe().unwrap().to_str().unwrap(), "/toolgate"));
}

#[test]
fn what_the_gate_cannot_stand_in_for_stays_with_a_reason() {
    let json = r#"{"servers": {
        "a": {"command": "x", "args": ["${input:token}"]},
        "b": {"command": "x", "cwd": "${workspaceFolder}/b"},
        "c": {"command": "x", "envFile": ".env"},
        "d": {"command": "x", "env": {"T": "${env:T}", "H": "${userHome}/x"}},
        "e": {"type": "ftp", "url": "http://h"},
        "f": {"url": "nowhere"},
        "g": 5,
        "two words": {"command": "x"},
        "h": {"type": "sse", "url": "http://h/sse", "dev": {"watch": "x"}},
        "toolgate": {"command": "other"}
    }, "inputs": []}"#;
    let home = Home { each: true, ..Home::with(Client::Vscode, json) };
    said(
        &home,
        Client::Vscode,
        &expect![[r#"
        d -> d
        h -> h
        a: only VS Code can fill in `${input:token}`
        b: only VS Code can fill in `${workspaceFolder}`
        c: the gate reads no `envFile`
        e: `type`: unknown variant `ftp`, expected one of `stdio`, `http`, `streamable_http`, `streamable-http`, `sse`
        f: `url` is not an http:// or https:// address
        g: invalid type: integer, expected an object
        two words: invalid server name 'two words' (use letters, numbers, '-', '_', ':', '@', '/', '.')
        toolgate: this is the name of the gate's own entry; give the server another one
        note: `h`: unknown key `mcp_servers.h.dev` is ignored
    "#]],
    );
    said(
        &Home::with(Client::Vscode, json),
        Client::Vscode,
        &expect![[r#"
        error: ~/.config/Code/User/mcp.json: `servers.toolgate` is another program; give it another name, or use `--each`
    "#]],
    );
    let json = r#"{"mcpServers": {
        "a": {"command": "${BIN}", "args": ["${A}x${B}"]},
        "b": {"command": "x", "args": ["${A:-b}", "${A:+b}"]},
        "d": {"command": "x", "args": ["${A:-b}"]},
        "c": {"command": "x", "args": ["$A", "${"]}
    }, "projects": {"/p": {"mcpServers": {"x": {}, "y": {}}}, "/q": {"mcpServers": {}}}}"#;
    let home = Home::with(Client::ClaudeCode, json);
    said(
        &home,
        Client::ClaudeCode,
        &expect![[r#"
            a -> a
            d -> d
            c -> c
            b: only Claude Code can fill in `${A:+b}`
            note: left where they are: x, y of the project /p
        "#]],
    );
    home.connect(Client::ClaudeCode);
    home.write(Client::ClaudeDesktop, r#"{"mcpServers": {"plain": {"command": "x", "args": ["${env:A}"]}}}"#);
    home.connect(Client::ClaudeDesktop);
    expect![[r#"
        [mcp_servers.a]
        command = "${env:BIN}"
        args = ["${env:A}x${env:B}"]

        [mcp_servers.d]
        command = "x"
        args = ["${env:A:-b}"]

        [mcp_servers.c]
        command = "x"
        args = ["$A", "${"]

        [mcp_servers.plain]
        command = "x"
        args = ["$${env:A}"]
    "#]]
    .assert_eq(&fs::read_to_string(home.own()).unwrap());
}

#[test]
fn what_a_client_will_see_beyond_its_own_is_said() {
    let json = r#"{"mcpServers": {"files": {"command": "npx"}}}"#;
    let home = Home::with(Client::Cursor, json);
    fs::write(home.own(), "[mcp_servers.more]\ncommand = \"m\"\n[mcp_servers.off]\ncommand = \"m\"\nenabled = false\n")
        .unwrap();
    said(
        &home,
        Client::Cursor,
        &expect![[r#"
        files -> files
        note: Cursor will see these servers of the gate too: more; `--each` gives it its own alone
    "#]],
    );
    said(
        &Home { each: true, ..home },
        Client::Cursor,
        &expect![[r#"
        files -> files
    "#]],
    );
}

#[test]
fn codexs_entries_that_cannot_move_stay_with_a_reason() {
    let home = Home::with(
        Client::Codex,
        r#"
[mcp_servers.bad]
command = 5
[mcp_servers.helped]
url = "https://h/mcp"
http_headers_helper = "print-headers"
[mcp_servers.oauth]
url = "https://h/mcp"
scopes = ["a"]
[mcp_servers.taken]
command = "x"
[mcp_servers.narrow]
command = "x"
tools = { a = { approval_mode = "approve" } }
"#,
    );
    fs::write(home.own(), "[mcp_servers.taken]\ncommand = \"other\"\n[mcp_servers.narrow]\nread_only = true\ntools = { b = { read_only = true } }\n").unwrap();
    said(
        &home,
        Client::Codex,
        &expect![[r#"
        oauth -> oauth
        narrow -> narrow
        bad: `command`: invalid type: integer, expected a string
        helped: the gate does not run its `http_headers_helper`
        taken: `taken` is already behind the gate with another definition; `--rename` adds it as `taken-codex`
        note: `oauth` was logged in to by Codex: run `toolgate mcp login oauth`
    "#]],
    );
    let home = Home { rename: true, ..home };
    said(
        &home,
        Client::Codex,
        &expect![[r#"
        oauth -> oauth
        taken -> taken-codex
        narrow -> narrow
        bad: `command`: invalid type: integer, expected a string
        helped: the gate does not run its `http_headers_helper`
        note: `oauth` was logged in to by Codex: run `toolgate mcp login oauth`
    "#]],
    );
    home.connect(Client::Codex);
    expect![[r#"
        [mcp_servers.taken]
        command = "other"
        [mcp_servers.narrow]
        read_only = true
        command = "x"

        [mcp_servers.narrow.tools]
        a = { approval_mode = "approve" }
        b = { read_only = true }

        [mcp_servers.oauth]
        url = "https://h/mcp"
        scopes = ["a"]

        [mcp_servers.taken-codex]
        command = "x"
    "#]]
    .assert_eq(&fs::read_to_string(home.own()).unwrap());
}

#[test]
fn codexs_entries_keep_their_place_and_what_codex_goes_by() {
    let home = Home::with(Client::Codex, TOML);
    home.connect(Client::Codex);
    let text = home.text(Client::Codex).replace(std::env::current_exe().unwrap().to_str().unwrap(), "/toolgate");
    expect![[r##"
        # mine
        model = "gpt-5.2"

        # the first
        [mcp_servers.files]
        command = "/toolgate" # quick
        args = ["mcp", "serve", "--only", "files"]
        startup_timeout_sec = 20 # slow
        env_vars = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"]

        # remote
        [mcp_servers.docs]
        enabled = false
        command = "/toolgate"
        args = ["mcp", "serve", "--only", "docs"]
        env_vars = ["DOCS_TOKEN", "TEAM", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"]

        [mcp_servers.docs.tools.search]
        approval_mode = "approve"

        [projects."/p"]
        trust_level = "trusted"
    "##]].assert_eq(&text);
    expect![[r#"
        [mcp_servers.files]
        command = "npx"
        args = ["-y", "files"]
        startup_timeout_sec = 20
        cwd = "/srv"

        [mcp_servers.files.env]
        API_TOKEN = "s3cr3t-value"

        [mcp_servers.docs]
        url = "https://docs.example/mcp"
        bearer_token_env_var = "DOCS_TOKEN"
        env_http_headers = { X-Team = "TEAM" }
        enabled = false

        [mcp_servers.docs.tools.search]
        approval_mode = "approve"
    "#]]
    .assert_eq(&fs::read_to_string(home.own()).unwrap());
}

#[test]
fn a_managed_list_that_would_bar_what_is_written_is_found_before() {
    let mut home = Home::with(Client::Codex, TOML);
    let list = home.dir.path().join("requirements.toml");
    fs::write(&list, "[mcp_servers.files]\nidentity = { command = \"npx\" }\n[mcp_servers.docs]\nidentity = { url = \"https://docs.example/mcp\" }\n").unwrap();
    let vars = [("HOME", home.dir.path()), ("PATH", Path::new("/usr/bin")), ("CODEX_REQUIREMENTS", &list)];
    home.env = vars.iter().map(|(key, value)| (*key, value.to_str().unwrap())).collect();
    said(
        &home,
        Client::Codex,
        &expect![[r#"
        files -> files
        docs -> docs
        barred: files: its command or address is not the one allowed under this name by ~/requirements.toml
        [mcp_servers."files"]
        identity = { command = "/toolgate" }
        barred: docs: its command or address is not the one allowed under this name by ~/requirements.toml
        [mcp_servers."docs"]
        identity = { command = "/toolgate" }
    "#]],
    );
    home.write(Client::Cursor, r#"{"mcpServers": {"files": {"command": "npx"}, "else": {"command": "x"}}}"#);
    fs::remove_file(home.path(Client::Codex)).unwrap();
    said(
        &home,
        Client::Cursor,
        &expect![[r#"
        files -> files
        else -> else
        barred: else: it is not among the servers allowed by ~/requirements.toml
        [mcp_servers."else"]
        identity = { command = "x" }
    "#]],
    );
}

#[test]
fn files_that_cannot_be_edited_are_refused() {
    let check = |client, text: &str, expected: &Expect| said(&Home::with(client, text), client, expected);
    check(
        Client::Cursor,
        "{\"mcpServers\": {\n  \"a\": {},\n  \"a\": {}}}",
        &expect![[r#"
        error: ~/.cursor/mcp.json:3:3: this key stands here twice
    "#]],
    );
    check(
        Client::Cursor,
        "[]",
        &expect![[r#"
        error: ~/.cursor/mcp.json: it is no object
    "#]],
    );
    check(
        Client::Cursor,
        "{\"mcpServers\": []}",
        &expect![[r#"
        error: ~/.cursor/mcp.json: `mcpServers` is no object
    "#]],
    );
    check(
        Client::Codex,
        "[mcp_servers\n",
        &expect![[r#"
        error: ~/.codex/config.toml: unclosed table, expected `]`
    "#]],
    );
    let home = Home::new();
    fs::remove_dir(home.dir.path().join(".cursor")).unwrap();
    said(
        &home,
        Client::Cursor,
        &expect![[r#"
        error: Cursor has no settings here: there is no ~/.cursor
    "#]],
    );
}
