//! The layers of the configuration as a person meets them: projects and trust, profiles, `config.json`, references,
//! and the commands that show and check all of it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::real::Peers;
use common::{Setup, TOOLGATE};
use serde_json::{Value, json};
use testkit::cli::Home;

fn listed(home: &Home, args: &[&str]) -> Vec<(String, String)> {
    let all = home.cmd(TOOLGATE, args).run().json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let one = |server: &Value| (text(&server["name"]), text(&server["state"]));
    all.as_array().unwrap().iter().map(one).collect()
}

fn pair(name: &str, state: &str) -> (String, String) {
    (name.to_owned(), state.to_owned())
}

/// Codex itself, where it is installed, reads what was written and means the same by it.
fn accepted_by_codex(home: &Home) {
    if let Some(peers) = Peers::with(&[Peers::codex, Peers::node]) {
        let codex = home.cmd(peers.node(), [peers.codex().as_str(), "mcp", "list", "--json"]).run();
        assert!(codex.clone().json().as_array().is_some_and(|servers| servers.iter().any(|one| one["name"] == "own")));
        assert!(!codex.stderr.contains("trust"), "{codex:?}");
    }
}

#[test]
fn a_project_is_listed_shown_trusted_and_forgotten_again() {
    let home = Home::new();
    let log = home.path().join("fx.log");
    let program = testkit::bin("fixture-hostile");
    let entry = json!({"command": program, "args": ["--log", log], "env_vars": ["GITHUB_TOKEN"]});
    fs::create_dir_all(home.work().join(".codex")).unwrap();
    let file = json!({"mcp_servers": {"fx": entry}}).to_string();
    fs::write(home.work().join(".codex/config.json"), file).unwrap();
    let before = "# mine\nmodel = \"m\" # the best\n\n[mcp_servers.own]\nurl = \"http://127.0.0.1:9\"\n";
    home.write("config.toml", before);

    let list = home.cmd(TOOLGATE, ["mcp", "list", "--json"]).run();
    assert!(list.stderr.contains("brings 1 MCP server and is not trusted"), "{}", list.stderr);
    let server = list.json()[0].clone();
    assert_eq!(
        (&server["name"], &server["state"], &server["disabled_reason"]),
        (&json!("fx"), &json!("disabled"), &json!("untrusted"))
    );
    assert_ne!(home.cmd(TOOLGATE, ["mcp", "call", "fx__echo"]).run().status, Some(0));
    home.cmd(TOOLGATE, ["mcp", "tools", "--json"]).run().ok();
    assert!(!log.exists(), "nothing of the project ran");

    let enabled = home.cmd(TOOLGATE, ["mcp", "enable", "fx"]).run();
    assert_eq!(enabled.status, Some(1));
    assert!(enabled.stderr.contains("'fx' stays disabled: it came with a project that is not trusted"), "{enabled:?}");
    assert!(!home.codex().join("toolgate.toml").exists());

    let trusted = home.cmd(TOOLGATE, ["config", "trust", "--yes"]).run();
    assert!(
        trusted.stderr.contains("fixture-hostile") && trusted.stderr.contains("gets your variables GITHUB_TOKEN"),
        "{trusted:?}"
    );
    assert!(trusted.ok().ends_with("is trusted.\n"));
    let after = home.read("config.toml");
    assert!(after.starts_with(before) && after.ends_with("]\ntrust_level = \"trusted\"\n"), "{after}");
    let again = home.cmd(TOOLGATE, ["config", "trust", "--yes", "--json"]).run().json();
    assert_eq!((&again["changed"], &again["servers"][0]["variables"]), (&json!(false), &json!(["GITHUB_TOKEN"])));
    accepted_by_codex(&home);
    let called = home.cmd(TOOLGATE, ["mcp", "test", "fx", "--json"]).run();
    assert_eq!(called.status, Some(0), "{called:?}");
    assert!(log.exists());

    home.cmd(TOOLGATE, ["config", "untrust"]).run().ok();
    assert_eq!(home.read("config.toml"), before);
    assert_eq!(listed(&home, &["mcp", "list", "--json"])[0], pair("fx", "disabled"));
}

#[test]
fn who_brings_nothing_cannot_be_trusted_and_a_gate_trusts_nobody() {
    let home = Home::new();
    let none = home.cmd(TOOLGATE, ["config", "trust", "--yes"]).run();
    assert_eq!(none.status, Some(1));
    assert!(none.stderr.contains("no project here that brings MCP servers"), "{}", none.stderr);
    fs::write(home.work().join(".mcp.json"), r#"{"mcpServers": {"x": {"command": "true"}}}"#).unwrap();
    let beneath = home.cmd(TOOLGATE, ["config", "trust", "--yes"]).env("TOOLGATE_WITHIN", "/elsewhere").run();
    assert_eq!(beneath.status, Some(1), "a server of a gate must not widen what runs");
    assert!(!home.codex().join("config.toml").exists());
}

#[test]
fn two_profiles_list_different_servers() {
    let home = Home::new();
    home.write("config.toml", "[profiles.work.mcp_servers.tracker]\nurl = \"http://127.0.0.1:9\"\n");
    home.write("home.config.toml", "[mcp_servers.lamp]\nurl = \"http://127.0.0.1:9\"\n");
    let names = |args: &[&str]| listed(&home, args).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(&["mcp", "list", "--json", "-p", "work"]), ["tracker"]);
    assert_eq!(names(&["--profile", "home", "mcp", "list", "--json"]), ["lamp"]);
    assert_eq!(names(&["mcp", "list", "--json"]), [""; 0]);
    let nobody = home.cmd(TOOLGATE, ["mcp", "list", "-p", "nobody"]).run();
    assert_eq!(nobody.status, Some(2));
    assert!(nobody.stderr.contains("nobody.config.toml nor `[profiles.nobody]` in config.toml"), "{}", nobody.stderr);
}

#[test]
fn config_json_is_read_written_and_never_overwritten_when_it_is_corrupt() {
    let home = Home::new();
    let add = ["mcp", "add", "far", "--config-json", "--url", "http://127.0.0.1:9/mcp", "--header", "X-Key=k", "--yes"];
    home.cmd(TOOLGATE, add).run().ok();
    let path = home.codex().join("config.json");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let entry =
        json!({"transport": "http", "url": "http://127.0.0.1:9/mcp", "headers": {"X-Key": "k"}, "enabled": true});
    let read: Value = serde_json::from_str(&home.read("config.json")).unwrap();
    assert_eq!(read, json!({"mcp_servers": {"far": entry}}));
    assert_eq!(home.cmd(TOOLGATE, ["mcp", "test", "far"]).run().status, Some(1));

    let text = "{\n  \"theme\": \"dark\", // mine\n  \"mcp_servers\": {\n    \"a\": {\"transport\": \"http\", \"url\": \"http://127.0.0.1:9\", \"enabled\": true},\n    \"b\": {\"transport\": \"carrier\", \"url\": \"http://h\"}\n  }\n}\n";
    home.write("config.json", text);
    home.cmd(TOOLGATE, ["mcp", "disable", "a"]).run().ok();
    assert_eq!(home.read("config.json"), text.replace("true", "false"));
    assert_eq!(listed(&home, &["mcp", "list", "--json"])[0], pair("a", "disabled"));
    let odd = home.cmd(TOOLGATE, ["mcp", "list"]).run();
    assert!(
        odd.stderr.contains("config.json:5:11: server `b`: `transport`: unknown variant `carrier`"),
        "{}",
        odd.stderr
    );
    home.cmd(TOOLGATE, ["mcp", "remove", "a"]).run().ok();
    assert!(!home.read("config.json").contains("\"a\"") && home.read("config.json").contains("// mine"));

    home.write("config.json", "{\"mcp_servers\": {oops");
    for args in [&add[..], &["mcp", "remove", "far"]] {
        let ran = home.cmd(TOOLGATE, args).run();
        assert_ne!(ran.status, Some(0));
        assert!(ran.stderr.contains("config.json:1:18"), "{}", ran.stderr);
    }
    assert_eq!(home.read("config.json"), "{\"mcp_servers\": {oops");
}

#[test]
fn a_reference_is_shown_resolved_for_the_server_and_masked_in_what_it_says() {
    let setup = Setup::new();
    let program = testkit::bin("fixture-hostile");
    let text = format!("[mcp_servers.fx]\ncommand = {}\nenv = {{ PLAIN = \"${{env:MY_TOKEN}}\" }}\n", json!(program));
    setup.home.write("toolgate.toml", text);
    let get = setup.run(&["mcp", "get", "fx"]).env("MY_TOKEN", "s3cret-of-mine").run().ok();
    assert!(get.contains("${env:MY_TOKEN}") && !get.contains("s3cret-of-mine"), "{get}");
    let call = ["mcp", "call", "fx__echo", "--args", r#"{"text": "it is s3cret-of-mine"}"#];
    let said = setup.run(&call).env("MY_TOKEN", "s3cret-of-mine").run().ok();
    assert!(said.contains("it is ") && !said.contains("s3cret-of-mine"), "{said}");
    let unset = setup.run(&["mcp", "test", "fx"]).run();
    assert_eq!(unset.status, Some(3), "{unset:?}");
    let told = format!("{}{}", unset.stdout, unset.stderr);
    assert!(
        told.contains("`mcp_servers.fx.env.PLAIN` names the environment variable MY_TOKEN, which is not set"),
        "{told}"
    );
    assert_eq!(listed(&setup.home, &["mcp", "list", "--json"]), [pair("fx", "auth_required")]);
}

#[test]
fn a_secret_is_kept_used_and_forgotten_and_never_shown() {
    let home = Home::new();
    // Nothing but this program is found, so the machine's own keyring is left alone.
    let alone = |args: &[&str]| home.cmd(TOOLGATE, args).env("PATH", "/nowhere");
    let set = alone(&["config", "secret", "set", "gh"]).stdin("kept-s3cret\n").run();
    assert_eq!(set.ok(), "Kept. Name it with `${keyring:gh}`.\n");
    let path = home.codex().join("toolgate/secrets/gh");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(&path).unwrap(), "kept-s3cret");
    home.write(
        "toolgate.toml",
        "[mcp_servers.a]\nurl = \"http://127.0.0.1:9\"\nhttp_headers = { X = \"${keyring:gh}\" }\n",
    );
    let state = |home: &Home| {
        home.cmd(TOOLGATE, ["mcp", "list", "--json"]).env("PATH", "/nowhere").run().json()[0]["state"].clone()
    };
    assert_eq!(state(&home), "not_started");
    alone(&["config", "secret", "rm", "gh"]).run().ok();
    assert_eq!(state(&home), "auth_required");
    assert_eq!(alone(&["config", "secret", "rm", "gh"]).run().status, Some(1));
    assert_eq!(alone(&["config", "secret", "set", "../x"]).stdin("x").run().status, Some(1));
}

#[test]
fn what_names_a_variable_is_not_written_where_codex_would_take_it_for_a_value() {
    let home = Home::new();
    let add = ["mcp", "add", "far", "--url", "http://127.0.0.1:9", "--header", "X-Key=${env:KEY}", "--yes"];
    home.cmd(TOOLGATE, add).run().ok();
    assert!(!home.codex().join("config.toml").exists());
    assert!(home.read("toolgate.toml").contains("${env:KEY}"));
}

#[test]
fn every_setting_is_shown_with_its_origin() {
    let home = Home::new();
    home.write("config.toml", "[mcp_servers.a]\ncommand = \"x\"\nenv = { T = \"hunter22\" }\n");
    home.write("toolgate.toml", "[mcp_servers.a]\nenabled = false\n");
    let show = |args: &[&str]| home.cmd(TOOLGATE, [&["config", "show"], args].concat()).run().ok();
    let codex = home.codex().display().to_string();
    let text = show(&["--origin", "mcp_servers.a", "-c", "mcp_servers.a.enabled=true"]).replace(&codex, "HOME");
    expect_test::expect![[r#"
        mcp_servers.a.command = "x"  # HOME/config.toml:2:1
        mcp_servers.a.enabled = true  # -c mcp_servers.a.enabled, hides HOME/toolgate.toml:2:1
        mcp_servers.a.env.T = "*****"  # HOME/config.toml:3:9
    "#]]
    .assert_eq(&text);
    assert!(show(&["--origin"]).contains("gate.listen = \"127.0.0.1:7420\"  # default\n"));
    assert!(show(&["--show-secrets"]).contains("hunter22"));
    let all: Value = serde_json::from_str(&show(&["--json"])).unwrap();
    assert_eq!(all["schema"], "toolgate.config/1");
    let command = all["settings"].as_array().unwrap().iter().find(|one| one["key"] == "mcp_servers.a.command").unwrap();
    assert_eq!(command["origin"]["source"], "codex");
    let nothing = home.cmd(TOOLGATE, ["config", "show", "mcp_servers.b"]).run();
    assert_eq!(nothing.status, Some(1));
}

#[test]
fn check_tells_every_mistake_with_its_place() {
    let home = Home::new();
    let check = |args: &[&str]| home.cmd(TOOLGATE, [&["config", "check"], args].concat()).run();
    assert_eq!(check(&[]).ok(), "Nothing is wrong with the configuration.\n");
    home.write(
        "toolgate.toml",
        "[gate]\nlisten = \"here\"\n[mcp_servers.a]\nurl = 1\n[mcp_servers.b]\nurl = \"http://h\"\nenabeld = true\n",
    );
    let told = check(&[]);
    assert_eq!(told.status, Some(1));
    let codex = home.codex().display().to_string();
    expect_test::expect![[r#"
        HOME/toolgate.toml:2:1: error: `listen` is no address with a port
          hint: write it like `127.0.0.1:7420`
        HOME/toolgate.toml:4:1: error: `url`: invalid type: integer, expected a string
        HOME/toolgate.toml:7:1: warning: unknown key `mcp_servers.b.enabeld` is ignored
          hint: did you mean `enabled`?
    "#]]
    .assert_eq(&told.stdout.replace(&codex, "HOME"));
    let found: Value = serde_json::from_str(&check(&["--json"]).stdout).unwrap();
    assert_eq!(
        (&found["ok"], &found["problems"][1]["line"], &found["problems"][1]["level"]),
        (&json!(false), &json!(4), &json!("error"))
    );
    let other = home.path().join("other.toml");
    fs::write(&other, "[gate]\nlistne = 1\n").unwrap();
    assert_eq!(check(&[other.to_str().unwrap()]).status, Some(0), "a warning is no error");
    assert_eq!(check(&["--strict", other.to_str().unwrap()]).status, Some(1));
}

#[test]
fn a_file_with_a_secret_in_it_that_others_can_read_is_told_of() {
    let home = Home::new();
    let token = format!("ghp_{}", "a1B2".repeat(9));
    let path = home.write("toolgate.toml", format!("[mcp_servers.a]\ncommand = \"x\"\nenv = {{ T = \"{token}\" }}\n"));
    let told = |mode| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        home.cmd(TOOLGATE, ["mcp", "list"]).run().stderr.contains("others can read it")
    };
    assert!(told(0o644) && told(0o640));
    assert!(!told(0o600));
}
