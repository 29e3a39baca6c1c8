//! The real binary, in an empty environment and a home of its own: list, get, add, remove.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use expect_test::{Expect, expect};
use serde_json::Value;
use tempfile::TempDir;

struct Home(TempDir);

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Home {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn with(config: &str) -> Self {
        let home = Self::new();
        fs::write(home.path("config.toml"), config).unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, "")
    }

    fn run_with(&self, args: &[&str], stdin: &str) -> Ran {
        let mut child = Command::new(env!("CARGO_BIN_EXE_toolgate"))
            .args(args)
            .env_clear()
            .env("CODEX_HOME", self.0.path())
            .current_dir(self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The child may not read it at all.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(&self.0.path().display().to_string(), "HOME");
        Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {}", ran.err);
        ran.out
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(args)).unwrap()
    }

    fn check(&self, args: &[&str], expected: &Expect) {
        let ran = self.run(args);
        expected.assert_eq(&format!("{}{}= {}\n", ran.out, ran.err, ran.code));
    }
}

const THREE: &str = r#"model = "gpt-5.2"

# files
[mcp_servers.filesystem]
command = "npx"
args = ["-y", "@modelcontextprotocol/server-filesystem"]
env = { ALLOWED_DIRS = "/home/me" }

[mcp_servers.github]
command = "npx"
args = ["-y", "@modelcontextprotocol/server-github"]
[mcp_servers.github.env]
"GITHUB_TOKEN" = "ghp_1234567890"

[mcp_servers.docs]
url = "https://me:secret@docs.example/mcp"
bearer_token_env_var = "DOCS_TOKEN"
http_headers = { X-Team = "blue" }
startup_timeout_sec = 5
"#;

#[test]
fn an_empty_configuration_says_what_to_do() {
    let home = Home::new();
    home.check(
        &["mcp", "list"],
        &expect![[r#"
            No MCP servers configured yet. Try `toolgate mcp add my-tool -- my-command`.
            = 0
        "#]],
    );
    assert_eq!(home.json(&["mcp", "list", "--json"]), serde_json::json!([]));
    assert_eq!(fs::read_dir(home.0.path()).unwrap().count(), 0, "looking leaves nothing behind");
}

#[test]
fn list_shows_every_server_with_its_secrets_masked() {
    Home::with(THREE).check(
        &["mcp", "list"],
        &expect![[r#"
            Name        Command  Args                                        Env                 Cwd  Status   State            Auth
            filesystem  npx      -y @modelcontextprotocol/server-filesystem  ALLOWED_DIRS=*****  -    enabled  missing_command  Unsupported
            github      npx      -y @modelcontextprotocol/server-github      GITHUB_TOKEN=*****  -    enabled  missing_command  Unsupported

            Name  Url                                Bearer Token Env Var  Status   State          Auth
            docs  https://me:*****@docs.example/mcp  DOCS_TOKEN            enabled  auth_required  Bearer token
            = 0
        "#]],
    );
}

#[test]
fn list_as_json_has_codexs_shape() {
    let home = Home::with(THREE);
    let list = home.json(&["mcp", "list", "--json"]);
    assert_eq!(list.as_array().unwrap().len(), 3);
    expect![[r#"
        [
          {
            "name": "docs",
            "enabled": true,
            "disabled_reason": null,
            "transport": {
              "type": "streamable_http",
              "url": "https://me:*****@docs.example/mcp",
              "bearer_token_env_var": "DOCS_TOKEN",
              "http_headers": {
                "X-Team": "*****"
              },
              "env_http_headers": null,
              "http_headers_helper": null
            },
            "startup_timeout_sec": 5.0,
            "tool_timeout_sec": null,
            "auth_status": "bearer_token",
            "state": "auth_required",
            "reason": "wants a token, and the environment variable DOCS_TOKEN that would hold it is not set",
            "next": "export DOCS_TOKEN=… and try again"
          },
          {
            "name": "filesystem",
            "enabled": true,
            "disabled_reason": null,
            "transport": {
              "type": "stdio",
              "command": "npx",
              "args": [
                "-y",
                "@modelcontextprotocol/server-filesystem"
              ],
              "env": {
                "ALLOWED_DIRS": "*****"
              },
              "env_vars": [],
              "cwd": null
            },
            "startup_timeout_sec": null,
            "tool_timeout_sec": null,
            "auth_status": "unsupported",
            "state": "missing_command",
            "reason": "could not be started: program `npx` was not found",
            "next": "looked in PATH ``; give an absolute path as `command` of [mcp_servers.filesystem]"
          },
          {
            "name": "github",
            "enabled": true,
            "disabled_reason": null,
            "transport": {
              "type": "stdio",
              "command": "npx",
              "args": [
                "-y",
                "@modelcontextprotocol/server-github"
              ],
              "env": {
                "GITHUB_TOKEN": "*****"
              },
              "env_vars": [],
              "cwd": null
            },
            "startup_timeout_sec": null,
            "tool_timeout_sec": null,
            "auth_status": "unsupported",
            "state": "missing_command",
            "reason": "could not be started: program `npx` was not found",
            "next": "looked in PATH ``; give an absolute path as `command` of [mcp_servers.github]"
          }
        ]
    "#]]
    .assert_eq(&home.ok(&["mcp", "list", "--json"]));
}

#[test]
fn a_server_is_switched_off_and_on_and_its_entry_stays() {
    let home = Home::with("# mine\n[mcp_servers.a]\ncommand = 'x' # why\n\n[mcp_servers.b]\ncommand = 'y'\n");
    fs::write(home.path("toolgate.toml"), "[mcp_servers.b]\nenabled = true\n").unwrap();
    let enabled = |name: &str| {
        let told: Value = serde_json::from_str(&home.ok(&["mcp", "get", name, "--json"])).unwrap();
        told["enabled"].as_bool().unwrap()
    };
    assert_eq!(home.ok(&["mcp", "disable", "a", "b"]), "'a' is disabled.\n'b' is disabled.\n");
    assert!(!enabled("a") && !enabled("b"));
    assert!(home.text("config.toml").starts_with("# mine\n[mcp_servers.a]\ncommand = 'x' # why\nenabled = false\n"));
    assert_eq!(home.ok(&["mcp", "disable", "a"]), "'a' is disabled already.\n");
    assert_eq!(home.ok(&["mcp", "enable", "b", "a"]), "'b' is enabled.\n'a' is enabled.\n");
    assert!(enabled("a") && enabled("b"));
    let before = home.text("config.toml");
    let refused = home.run(&["mcp", "disable", "a", "bb"]);
    assert_eq!(refused.code, 1, "{}", refused.err);
    assert_eq!(home.text("config.toml"), before, "all or none");
}

#[test]
fn secrets_are_printed_only_when_asked_for() {
    let home = Home::with(THREE);
    for args in [&["mcp", "list", "--json"][..], &["mcp", "get", "github"], &["mcp", "get", "docs", "--json"]] {
        let masked = home.ok(args);
        assert!(!masked.contains("ghp_") && !masked.contains("me:secret") && !masked.contains("blue"), "{masked}");
        let clear = home.ok(&[args, &["--show-secrets"]].concat());
        assert!(clear.contains("ghp_") || clear.contains("me:secret"), "{clear}");
    }
}

#[test]
fn get_shows_one_server_whole() {
    let home = Home::with(THREE);
    home.check(
        &["mcp", "get", "docs"],
        &expect![[r#"
            docs
              enabled: true
              state: auth_required
              why: wants a token, and the environment variable DOCS_TOKEN that would hold it is not set
              transport: streamable_http
              url: https://me:*****@docs.example/mcp
              bearer_token_env_var: DOCS_TOKEN
              http_headers: X-Team=*****
              env_http_headers: -
              http_headers_helper: -
              startup_timeout_sec: 5
              source: HOME/config.toml:15:14
              remove: toolgate mcp remove docs
            = 0
        "#]],
    );
    let docs = home.json(&["mcp", "get", "docs", "--json"]);
    assert_eq!(docs["startup_timeout_sec"], 5.0);
    assert_eq!(docs["tool_timeout_sec"], Value::Null);
    assert_eq!(docs["source"]["path"], "HOME/config.toml");
}

#[test]
fn a_name_nobody_has_is_refused_with_the_one_that_was_meant() {
    let home = Home::with(THREE);
    home.check(
        &["mcp", "get", "githbu"],
        &expect![[r#"
            error: No MCP server named 'githbu' found.
            hint: did you mean `github`? looked in HOME/config.toml and `-c`
            = 1
        "#]],
    );
    home.check(
        &["mcp", "remove", "githbu", "--json"],
        &expect![[r#"
            {"schema":"toolgate.error/1","code":"server.unknown","message":"No MCP server named 'githbu' found.","hint":"did you mean `github`? looked in HOME/config.toml and `-c`"}
            = 1
        "#]],
    );
}

#[test]
fn a_bad_entry_is_listed_and_hides_no_other() {
    let home = Home::with("[mcp_servers.bad]\ncommand = 1\n[mcp_servers.good]\ncommand = \"g\"\n");
    home.check(
        &["mcp", "list"],
        &expect![[r#"
            Name  Command  Args  Env  Cwd  Status   State            Auth
            good  g        -     -    -    enabled  missing_command  Unsupported

            Name  Status   State          Problem
            bad   invalid  misconfigured  HOME/config.toml:2:1: `command`: invalid type: integer, expected a string
            warning: HOME/config.toml:2:1: server `bad`: `command`: invalid type: integer, expected a string
            = 0
        "#]],
    );
    let list = home.json(&["mcp", "list", "--json"]);
    assert_eq!(list[0]["transport"], Value::Null);
    assert_eq!(home.run(&["mcp", "get", "bad"]).code, 2);
}

#[test]
fn a_file_that_does_not_parse_is_reported_and_never_touched() {
    let broken = "[mcp_servers.a]\ncommand = \"x\"\n[mcp_servers.b\n";
    let home = Home::with(broken);
    home.check(
        &["mcp", "list"],
        &expect![[r#"
            Name  Status   State          Problem
            a     invalid  misconfigured  HOME/config.toml:3:15: its file does not parse: unclosed table, expected `]`
            b     invalid  misconfigured  HOME/config.toml:3:15: its file does not parse: unclosed table, expected `]`
            warning: HOME/config.toml:3:15: unclosed table, expected `]`
            warning: HOME/config.toml:3:15: server `a`: its file does not parse: unclosed table, expected `]`
            warning: HOME/config.toml:3:15: server `b`: its file does not parse: unclosed table, expected `]`
            = 0
        "#]],
    );
    for args in
        [&["mcp", "add", "c", "--", "x"][..], &["mcp", "remove", "a"], &["mcp", "add", "a", "--force", "--", "x"]]
    {
        let ran = home.run(args);
        assert_eq!(ran.code, 2, "{args:?} {}", ran.err);
        assert!(ran.err.contains("HOME/config.toml:3:15: does not parse"), "{}", ran.err);
        assert_eq!(home.text("config.toml"), broken);
    }
}

#[test]
fn an_edit_of_both_files_changes_none_when_one_is_broken() {
    let home = Home::with("[mcp_servers.a]\ncommand = \"x\"\n");
    fs::write(home.path("toolgate.toml"), "[").unwrap();
    assert_eq!(home.run(&["mcp", "remove", "a"]).code, 2);
    assert_eq!(home.text("config.toml"), "[mcp_servers.a]\ncommand = \"x\"\n");
}

#[test]
fn every_way_to_add_a_server_leads_to_the_same_entry() {
    let home = Home::new();
    fs::write(home.path("one.json"), r#"{"command": "npx", "args": ["-y", "srv"], "env": {"K": "v"}}"#).unwrap();
    fs::write(
        home.path("many.json"),
        r#"{"mcpServers": {"e": {"command": "npx", "args": ["-y", "srv"], "env": {"K": "v"}}}}"#,
    )
    .unwrap();
    let inline = home.text("one.json");
    home.ok(&["mcp", "add", "a", "--env", "K=v", "--", "npx", "-y", "srv"]);
    home.ok(&["mcp", "add", "b", "./one.json"]);
    home.ok(&["mcp", "add", "c", &inline]);
    assert_eq!(home.run_with(&["mcp", "add", "d", "-"], &inline).code, 0);
    home.ok(&["mcp", "add", "--import", "many.json"]);
    home.ok(&["mcp", "add", "f", "many.json"]);
    let transports: Vec<_> = ["a", "b", "c", "d", "e", "f"]
        .iter()
        .map(|name| home.json(&["mcp", "get", name, "--json"])["transport"].clone())
        .collect();
    assert!(transports.iter().all(|transport| *transport == transports[0]), "{transports:?}");
    assert_eq!(transports[0]["args"], serde_json::json!(["-y", "srv"]));
    assert_eq!(home.text("toolgate.toml"), "");
}

#[test]
fn add_says_on_standard_error_what_will_run() {
    let home = Home::new();
    home.check(
        &["mcp", "add", "db", "--", "srv", "postgres://u:hunter22@h/a b"],
        &expect![[r#"
            Added global MCP server 'db'.
            will run: srv 'postgres://u:*****@h/a b'
            it gets what your agent sends to its tools; a command also has all your rights
            = 0
        "#]],
    );
    home.check(
        &["mcp", "add", "web", "--yes", "--url", "https://h/mcp", "--header", "X-K=v", "--bearer-token-env-var", "T"],
        &expect![[r#"
            Added global MCP server 'web'.
            = 0
        "#]],
    );
    expect![[r#"
        [mcp_servers.db]
        command = "srv"
        args = ["postgres://u:hunter22@h/a b"]

        [mcp_servers.web]
        url = "https://h/mcp"
        bearer_token_env_var = "T"

        [mcp_servers.web.http_headers]
        X-K = "v"
    "#]]
    .assert_eq(&home.text("config.toml"));
}

#[test]
fn new_files_are_for_their_owner_alone() {
    let home = Home::new();
    home.ok(&["mcp", "add", "a", r#"{"command": "x", "read_only": true}"#]);
    let mode = |name: &str| fs::metadata(home.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("config.toml"), mode("toolgate.toml"), mode("toolgate")), (0o600, 0o600, 0o700));
    fs::set_permissions(home.path("config.toml"), fs::Permissions::from_mode(0o640)).unwrap();
    home.ok(&["mcp", "add", "b", "--", "x"]);
    assert_eq!(mode("config.toml"), 0o640, "an old file keeps its mode");
}

#[test]
fn a_linked_file_stays_a_link() {
    let home = Home::new();
    fs::write(home.path("real.toml"), "# mine\n").unwrap();
    symlink("real.toml", home.path("config.toml")).unwrap();
    home.ok(&["mcp", "add", "a", "--", "x"]);
    assert!(fs::symlink_metadata(home.path("config.toml")).unwrap().is_symlink());
    assert_eq!(home.text("real.toml"), "# mine\n\n[mcp_servers.a]\ncommand = \"x\"\n");
}

#[test]
fn settings_only_toolgate_knows_go_to_its_own_file() {
    let home = Home::new();
    let entry = r#"{"name": "tools", "version": "1.0.0", "command": "x", "trust": "trusted", "default_tools_approval_mode": "deny"}"#;
    let ran = home.run(&["mcp", "add", "a", entry]);
    assert!(ran.err.contains("it calls itself 'tools' and is added as 'a'"), "{}", ran.err);
    expect![[r#"
        [mcp_servers.a]
        command = "x"
        name = "tools"
        ---
        [mcp_servers.a]
        default_tools_approval_mode = "deny"
        trust = "trusted"
        version = "1.0.0"
    "#]]
    .assert_eq(&format!("{}---\n{}", home.text("config.toml"), home.text("toolgate.toml")));
    let shown = home.json(&["mcp", "get", "a", "--json"]);
    assert_eq!((&shown["version"], &shown["gate"]["trust"]), (&"1.0.0".into(), &"trusted".into()));
    home.ok(&["mcp", "remove", "a"]);
    assert_eq!((home.text("config.toml"), home.text("toolgate.toml")), (String::new(), String::new()));
}

#[test]
fn a_gate_only_server_and_one_codex_cannot_reach_stay_out_of_codexs_file() {
    let home = Home::new();
    home.ok(&["mcp", "add", "a", "--gate-only", "--", "x"]);
    home.ok(&["mcp", "add", "b", r#"{"type": "sse", "url": "http://h/sse"}"#]);
    assert_eq!(home.text("config.toml"), "");
    assert_eq!(home.json(&["mcp", "get", "b", "--json"])["transport"]["type"], "sse");
    home.ok(&["mcp", "add", "a", "--force", "--", "y"]);
    assert_eq!(home.text("config.toml"), "", "a replaced entry stays where it was");
}

#[test]
fn what_will_not_do_is_refused_and_nothing_is_written() {
    let home = Home::with(THREE);
    fs::write(home.path("bad.json"), "{\n  \"command\": }").unwrap();
    let refused = |args: &[&str], code: i32, words: &str| {
        let ran = home.run(&[&["mcp", "add"], args].concat());
        assert!(
            ran.code == code && ran.err.contains(words) && ran.out.is_empty(),
            "{args:?}: {} {}",
            ran.code,
            ran.err
        );
        assert_eq!(home.text("config.toml"), THREE);
        assert!(!home.path("toolgate.toml").exists());
    };
    refused(&["github", "--", "x"], 1, "an MCP server named 'github' exists already");
    refused(&["bad name", "--", "x"], 1, "invalid server name 'bad name' (use letters");
    refused(&["", "--", "x"], 1, "invalid server name ''");
    refused(&["a__b", "--", "x"], 1, "invalid server name 'a__b'");
    refused(&[&"x".repeat(65), "--", "x"], 1, "longer than 64");
    refused(&["a", "missing.json"], 1, "cannot read missing.json");
    refused(&["a", "bad.json"], 1, "bad.json:2:14: not JSON: expected value");
    refused(&["a", r#"{"command": ["x"]}"#], 1, "argument#/command: `command`: invalid type: array, expected a string");
    refused(&["a", r#"{"command": "x", "env": {"A": 1}}"#], 1, "argument#/env/A: `env`: invalid type");
    refused(
        &["a", r#"{"mcpServers": {"p": {"command": "x"}, "q": {"command": "x"}}}"#],
        1,
        "has no server 'a', but: p, q",
    );
    refused(
        &["a", r#"{"mcpServers": {"a": 1}}"#],
        1,
        "argument#/mcpServers/a: invalid type: integer, expected an object",
    );
    refused(&["--import", "bad.json"], 1, "not JSON");
    refused(&["a", "--url", "notaurl"], 1, "`url` is not an http:// or https:// address");
    refused(&["a"], 2, "the following required arguments were not provided:\n  <COMMAND|--url <URL>|JSON|URL>");
    refused(&["a", "bad.json", "A=b"], 2, "headers can be given behind an address only");
    refused(&["a", "https://h/", "A"], 2, "headers must be in NAME=VALUE form");
    refused(&["a", "https://"], 1, "`url` is not an http:// or https:// address");
    refused(&["a", "--url", "http://h", "--", "x"], 2, "cannot be used with");
    refused(&["a", "--env", "FOO", "--", "x"], 2, "environment entries must be in KEY=VALUE form");
    refused(&["a", "--env", "=x", "--", "x"], 2, "environment entries must be in KEY=VALUE form");
    refused(&["a", "--env", "A=b", "--url", "http://h"], 1, "command is required");
    refused(&["a", "--oauth-client-secret", "s", "--url", "http://h"], 2, "--oauth-client-id <CLIENT_ID>");
    refused(&["a", "--oauth-resource", "r", "--", "x"], 2, "cannot be used with");
    refused(&["a", "--bearer-token-env-var", "A", "--", "x"], 2, "cannot be used with");
}

#[test]
fn force_replaces_and_tells_old_from_new() {
    let home = Home::with(THREE);
    let ran = home.run(&["mcp", "add", "github", "--force", "--yes", "--", "new", "--flag"]);
    assert_eq!(ran.code, 0);
    assert!(ran.err.contains("replaces: npx -y @modelcontextprotocol/server-github -> new --flag"), "{}", ran.err);
    assert!(!home.text("config.toml").contains("ghp_"), "nothing of the old entry is left");
}

#[test]
fn remove_takes_out_one_table_and_nothing_else() {
    let home = Home::with(THREE);
    home.check(
        &["mcp", "remove", "github"],
        &expect![[r#"
            Removed global MCP server 'github'.
            = 0
        "#]],
    );
    let (before, rest) = THREE.split_once("[mcp_servers.github]").unwrap();
    let after = &rest[rest.find("[mcp_servers.docs]").unwrap()..];
    assert_eq!(home.text("config.toml"), format!("{before}{after}"));
    home.check(
        &["mcp", "remove", "github"],
        &expect![[r#"
            error: No MCP server named 'github' found.
            hint: looked in HOME/config.toml and `-c`
            = 1
        "#]],
    );
    home.check(
        &["mcp", "remove", "github", "--if-exists"],
        &expect![[r#"
            No MCP server named 'github' found.
            = 0
        "#]],
    );
}

#[test]
fn an_override_adds_a_server_for_this_run_alone() {
    let home = Home::with(THREE);
    let over = "mcp_servers.t.command=python3 fxs.py";
    for args in [["-c", over, "mcp", "list", "--json"], ["mcp", "list", "--json", "--config", over]] {
        let list = home.json(&args);
        let entry = list.as_array().unwrap().iter().find(|server| server["name"] == "t").unwrap();
        assert_eq!(entry["transport"]["args"], serde_json::json!(["fxs.py"]));
    }
    let both = home.json(&["-c", over, "mcp", "get", "t", "--json", "-c", "mcp_servers.t.enabled=false"]);
    assert_eq!(both["enabled"], false);
    assert_eq!(home.text("config.toml"), THREE);
    assert_eq!(home.run(&["mcp", "list", "-c", "nonsense"]).code, 2);
}

#[test]
fn usage_mistakes_exit_with_two_and_help_with_zero() {
    let home = Home::new();
    for args in [&["bogus"][..], &["mcp", "bogus"], &["mcp", "list", "extra"], &["mcp", "get"], &["mcp", "remove"]] {
        assert_eq!(home.run(args).code, 2, "{args:?}");
    }
    let failure: Value = serde_json::from_str(&home.run(&["mcp", "bogus", "--json"]).err).unwrap();
    assert_eq!(failure["code"], "usage");
    assert!(home.ok(&["mcp", "add", "--help"]).contains("Examples:"));
}

#[test]
fn many_writers_at_once_lose_nothing() {
    let home = Home::new();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let home = &home;
            scope.spawn(move || home.ok(&["mcp", "add", &format!("s{n}"), "--", "x"]));
        }
    });
    assert_eq!(home.json(&["mcp", "list", "--json"]).as_array().unwrap().len(), 8);
}

#[test]
fn a_reader_who_leaves_early_is_no_error() {
    let home = Home::with(THREE);
    let mut child = Command::new(env!("CARGO_BIN_EXE_toolgate"))
        .args(["mcp", "list"])
        .env_clear()
        .env("CODEX_HOME", home.0.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &[][..]));
}

#[test]
fn without_any_home_the_command_says_so() {
    let output = Command::new(env!("CARGO_BIN_EXE_toolgate")).args(["mcp", "list"]).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "error: neither CODEX_HOME nor HOME is set\n");
}
