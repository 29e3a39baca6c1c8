//! The real binary: the servers of a client go behind the gate, are used there, and come back byte for byte.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::real::Peers;
use common::{TOOLGATE, names};
use serde_json::{Value, json};
use testkit::cli::Home;
use testkit::client::Client;

/// A user with the files of some clients.
struct User {
    home: Home,
}

/// A client, its place below the home of the user, and what it has.
const CLIENTS: [(&str, &str, &str); 5] = [
    ("codex", "../codex/config.toml", include_str!("data/clients/codex.toml")),
    ("claude-code", ".claude.json", include_str!("data/clients/claude-code.json")),
    ("claude-desktop", ".config/Claude/claude_desktop_config.json", include_str!("data/clients/claude-desktop.json")),
    ("cursor", ".cursor/mcp.json", include_str!("data/clients/cursor.json")),
    ("vscode", ".config/Code/User/mcp.json", include_str!("data/clients/vscode.json")),
];

/// A file, or where a link leads.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    File(String, u32),
    Link(PathBuf),
}

impl User {
    fn of(clients: &[&str]) -> Self {
        let user = Self { home: Home::new() };
        let fixture = testkit::bin("fixture-hostile");
        for (client, place, text) in CLIENTS.into_iter().filter(|(client, ..)| clients.contains(client)) {
            let path = user.file(place);
            fs::create_dir_all(path.parent().expect("it is in a directory")).expect("a directory");
            let text = text.replace("@FIXTURE@", &fixture.display().to_string()).replace("@MARK@", user.home.mark());
            fs::write(&path, text).expect("a file");
            let mode = if client == "vscode" { 0o600 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        }
        user
    }

    fn file(&self, place: &str) -> PathBuf {
        self.home.path().join("home").join(place)
    }

    /// All files of the user but what toolgate keeps for itself.
    fn files(&self) -> BTreeMap<PathBuf, Found> {
        let mut found = BTreeMap::new();
        for place in ["home", "codex"] {
            collect(&self.home.path().join(place), &mut found);
        }
        found
    }

    fn run(&self, args: &[&str]) -> testkit::cli::Output {
        self.home.cmd(TOOLGATE, args).run()
    }

    fn ok(&self, args: &[&str]) -> String {
        self.run(args).ok()
    }

    /// Starts what an entry says, in the environment a client starts it in.
    fn start(&self, entry: &Value) -> Client {
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{entry}")).to_owned();
        let args: Vec<_> = entry["args"].as_array().into_iter().flatten().map(text).collect();
        let mut command = self.home.command(text(&entry["command"]), args);
        command.env_remove("CODEX_HOME");
        for (key, value) in entry["env"].as_object().into_iter().flatten() {
            command.env(key, text(value));
        }
        let mut client = Client::spawn(command);
        client.initialize("2025-11-25", &json!({}));
        client
    }
}

fn collect(dir: &Path, found: &mut BTreeMap<PathBuf, Found>) {
    let own = ["codex/toolgate", "codex/log", "codex/toolgate.lock"];
    let ours = |path: &PathBuf| own.iter().any(|own| path.ends_with(own));
    let paths = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    for path in paths.filter(|path| !ours(path)) {
        let kind = fs::symlink_metadata(&path).expect("it is there");
        if kind.is_symlink() {
            let to = fs::read_link(&path).expect("a link");
            found.insert(path, Found::Link(to));
        } else if kind.is_dir() {
            collect(&path, found);
        } else {
            let bytes = fs::read(&path).expect("a file");
            found.insert(path, Found::File(String::from_utf8_lossy(&bytes).into_owned(), kind.permissions().mode()));
        }
    }
}

/// The entries of the gate in a client's file.
fn entries(user: &User, client: &str, place: &str) -> BTreeMap<String, Value> {
    let text = fs::read_to_string(user.file(place)).expect("its file");
    let all: Value = if client == "codex" {
        toml::from_str::<Value>(&text).expect("TOML")["mcp_servers"].clone()
    } else {
        let doc = toolgate::jsonc::Doc::parse(&text).expect("JSON");
        let key = if client == "vscode" { "servers" } else { "mcpServers" };
        doc.value(doc.get(&[key]).expect("its servers"))
    };
    let ours = |entry: &Value| entry["args"][1] == "serve";
    let all = all.as_object().expect("a table").clone().into_iter();
    all.filter(|(_, entry)| ours(entry)).collect()
}

fn round_trip(client: &str, options: &[&str], expected: &[&str]) {
    let user = User::of(&[client]);
    let (_, place, _) = CLIENTS.into_iter().find(|(word, ..)| *word == client).expect("one of the five");
    let before = user.files();
    let dry = user.ok(&[&["connect", client, "--dry-run"], options].concat());
    assert!(dry.contains("@@") && !dry.contains("s3cr3t"), "{dry}");
    assert_eq!(user.files(), before, "a dry run writes nothing");
    user.ok(&[&["connect", client, "--yes"], options].concat());
    let entries = entries(&user, client, place);
    assert_eq!(entries.keys().map(String::as_str).collect::<Vec<_>>(), expected);
    let mut server = user.start(entries.get("files").unwrap_or_else(|| &entries["toolgate"]));
    let listed = names(&server.request("tools/list", &json!({})).result());
    assert!(listed.iter().any(|name| name == "echo" || name == "files__echo"), "{listed:?}");
    drop(server);
    let again = user.ok(&["connect", client, "--yes"]);
    assert!(again.contains("already connected"), "{again}");
    user.ok(&["disconnect", client, "--yes"]);
    assert_eq!(user.files(), before, "{client}");
    let again = user.ok(&["disconnect", client]);
    assert!(again.contains("is not connected"), "{again}");
}

#[test]
fn codex_goes_behind_the_gate_and_back() {
    round_trip("codex", &[], &["docs", "files", "short.name"]);
}

#[test]
fn claude_code_goes_behind_the_gate_and_back() {
    round_trip("claude-code", &[], &["toolgate"]);
}

#[test]
fn claude_desktop_goes_behind_the_gate_and_back() {
    round_trip("claude-desktop", &[], &["toolgate"]);
}

#[test]
fn cursor_goes_behind_the_gate_and_back() {
    round_trip("cursor", &[], &["toolgate"]);
}

#[test]
fn vscode_goes_behind_the_gate_and_back() {
    round_trip("vscode", &[], &["toolgate"]);
}

#[test]
fn each_server_can_have_an_entry_of_its_own() {
    round_trip("cursor", &["--each"], &["docs", "files"]);
    round_trip("vscode", &["--each"], &["docs", "files"]);
}

#[test]
fn all_clients_together_leave_no_trace() {
    let user = User::of(&CLIENTS.map(|(client, ..)| client));
    let before = user.files();
    for (client, ..) in CLIENTS {
        user.ok(&["connect", client, "--yes", "--rename"]);
    }
    // Not in the order in which they came.
    for (client, ..) in CLIENTS {
        user.ok(&["disconnect", client, "--yes"]);
    }
    assert_eq!(user.files(), before);
}

#[test]
fn a_link_stays_a_link() {
    let user = User::of(&["cursor"]);
    let (real, link) = (user.home.work().join("cursor.json"), user.file(".cursor/mcp.json"));
    fs::rename(&link, &real).expect("a file");
    symlink(&real, &link).expect("a link");
    let before = (user.files(), fs::read(&real).expect("the file"));
    user.ok(&["connect", "cursor", "--yes"]);
    assert_eq!(fs::read_link(&link).expect("a link"), real);
    assert!(fs::read_to_string(&real).expect("the file").contains("\"toolgate\""));
    user.ok(&["disconnect", "cursor", "--yes"]);
    assert_eq!((user.files(), fs::read(&real).expect("the file")), before);
}

#[test]
fn nothing_is_written_unless_somebody_says_yes() {
    let user = User::of(&["cursor"]);
    let before = user.files();
    let refused = user.run(&["connect", "cursor"]);
    assert_eq!((refused.status, user.files()), (Some(1), before));
    assert!(refused.stderr.contains("there is no terminal to ask at") && refused.stderr.contains("--yes"));
    user.ok(&["connect", "cursor", "--yes"]);
    let connected = user.files();
    assert_eq!(user.run(&["disconnect", "cursor"]).status, Some(1));
    user.ok(&["disconnect", "cursor", "--dry-run"]);
    assert_eq!(user.files(), connected);
}

#[test]
fn scripts_get_what_is_planned_as_json() {
    let user = User::of(&["vscode"]);
    let plan = user.run(&["connect", "vscode", "--dry-run", "--json"]).json();
    assert_eq!((&plan["schema"], &plan["state"]), (&json!("toolgate.connect/1"), &json!("planned")));
    assert_eq!(plan["moved"][0], json!({"name": "files", "gate": "files", "added": true}));
    assert_eq!(plan["left"][0]["name"], "tracker");
    let changes: Vec<_> = plan["files"].as_array().expect("files").iter().map(|file| &file["change"]).collect();
    assert_eq!(changes, ["created", "changed"]);
    let done = user.run(&["connect", "vscode", "--yes", "--json"]).json();
    assert_eq!((&done["state"], &done["diff"]), (&json!("connected"), &plan["diff"]));
    let done = user.run(&["disconnect", "vscode", "--yes", "--json"]).json();
    assert_eq!((&done["schema"], &done["state"]), (&json!("toolgate.disconnect/1"), &json!("disconnected")));
}

#[test]
fn a_client_that_is_not_there_is_said_so() {
    let user = User::of(&["cursor"]);
    fs::remove_dir_all(user.file(".cursor")).expect("it was there");
    let refused = user.run(&["connect", "cursor", "--yes"]);
    assert_eq!(refused.status, Some(1));
    assert!(refused.stderr.contains("Cursor has no settings here") && refused.stderr.contains("--file PATH"));
}

#[test]
fn an_administrators_list_refuses_first_and_says_what_to_add() {
    let user = User::of(&["cursor"]);
    let list =
        user.home.write("requirements.toml", "[mcp_servers.files]\nidentity = { url = \"https://elsewhere\" }\n");
    let connect = |more: &[&str]| {
        let args = [&["connect", "cursor", "--yes"], more].concat();
        user.home.cmd(TOOLGATE, args).env("CODEX_REQUIREMENTS", &list).run()
    };
    let before = user.files();
    let refused = connect(&[]);
    assert_eq!((refused.status, user.files()), (Some(1), before));
    for text in ["`files` would not run any more", "[mcp_servers.\"docs\"]", "identity = { url = ", "--anyway"] {
        assert!(refused.stderr.contains(text), "{text}: {}", refused.stderr);
    }
    connect(&["--anyway"]).ok();
}

/// How long something takes.
#[expect(clippy::disallowed_methods, reason = "the time it really takes here is what kills are spread over")]
fn length<T>(what: impl FnOnce() -> T) -> Duration {
    let start = std::time::Instant::now();
    what();
    start.elapsed()
}

/// Kills a command after a time, wherever it is.
fn killed(user: &User, args: &[&str], after: Duration) {
    let mut command: Command = user.home.command(TOOLGATE, args);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    // Not waiting for anything: where the blow falls is the point.
    std::thread::sleep(after);
    let _ = child.kill();
    child.wait().expect("it ends");
}

#[test]
fn killed_at_any_moment_it_ends_in_one_of_two_states() {
    let user = User::of(&["codex"]);
    let before = user.files();
    let length = length(|| user.ok(&["connect", "codex", "--yes"]));
    let connected = user.files();
    user.ok(&["disconnect", "codex", "--yes"]);
    let config = user.file("../codex/config.toml");
    let text =
        |files: &BTreeMap<PathBuf, Found>| match files.iter().find(|(path, _)| path.ends_with("codex/config.toml")) {
            Some((_, Found::File(text, _))) => text.clone(),
            _ => panic!("no config.toml"),
        };
    for round in 0..20 {
        // Spread over the whole run.
        let moment = length * round / 20;
        killed(&user, &["connect", "codex", "--yes"], moment);
        let now = fs::read_to_string(&config).expect("it is always there");
        assert!(now == text(&before) || now == text(&connected), "{now}");
        // The next command, whichever it is, brings it to an end first.
        if round % 2 == 0 {
            user.ok(&["connect", "codex", "--yes"]);
            assert_eq!(user.files(), connected, "{round}");
            killed(&user, &["disconnect", "codex", "--yes"], moment);
            let now = fs::read_to_string(&config).expect("it is always there");
            assert!(now == text(&before) || now == text(&connected), "{now}");
        }
        user.ok(&["disconnect", "codex", "--yes"]);
        assert_eq!(user.files(), before, "{round}");
    }
}

#[test]
fn the_real_codex_takes_what_is_written_into_its_file() {
    let Some(peers) = Peers::with(&[Peers::node, Peers::codex]) else { return };
    let user = User::of(&["codex"]);
    let mistake = || {
        let args = [&peers.codex(), "app-server", "--print-startup-config", "--strict-config"];
        let output = user.home.cmd(peers.node(), args).within(Duration::from_secs(120)).run();
        let config: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{output:#?}"));
        config.get("error").cloned()
    };
    assert_eq!(mistake(), None);
    user.ok(&["connect", "codex", "--yes"]);
    assert_eq!(mistake(), None);
    let path = user.file("../codex/config.toml");
    let text = fs::read_to_string(&path).expect("its file");
    fs::write(&path, text.replace("env_vars =", "bogus =")).expect("its file");
    assert!(mistake().is_some(), "it does look");
}
