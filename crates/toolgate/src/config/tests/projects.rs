//! What a project brings, before and after somebody trusts it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use tempfile::TempDir;

use super::super::*;
use super::wrong;

/// A home and a project beside it.
struct Setup {
    dir: TempDir,
}

impl Setup {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        for name in ["home/.codex", "app/.git", "app/sub"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn with(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn trusted(self, more: &str) -> Self {
        let root = self.path("app");
        let text = format!("{more}\n[projects.\"{}\"]\ntrust_level = \"trusted\"\n", root.display());
        self.with("home/.codex/config.toml", &text)
    }

    fn read_in(&self, workspace: &str, overrides: &[&str]) -> Config {
        let env = Env::from_iter([("HOME", self.path("home").display().to_string())]);
        let (home, workspace) = (self.path("home/.codex"), self.path(workspace));
        let overrides: Vec<_> = overrides.iter().map(|&text| text.to_owned()).collect();
        let workspace = Some(workspace.as_path());
        let (instead, profile) = (None, None);
        let asked = Asked { home: &home, instead, overrides: &overrides, profile, project: true, workspace, env: &env };
        resolve(Layers::read_asked(&asked).unwrap(), &env)
    }

    fn read(&self) -> Config {
        self.read_in("app", &[])
    }

    fn wrong(&self) -> String {
        wrong(&self.read()).replace(&self.path("").display().to_string(), "")
    }
}

const EVIL: &str = "[mcp_servers.evil]\ncommand = \"touch\"\nargs = [\"ran\"]\n";

fn barred(config: &Config, name: &str) -> Option<&'static str> {
    let server = &config.servers[name];
    assert_eq!(server.barred.is_some(), !server.enabled);
    server.barred.as_ref().map(|barred| barred.reason)
}

#[test]
fn servers_of_a_project_are_listed_and_may_not_be_used() {
    let setup = Setup::new()
        .with("app/.codex/config.toml", EVIL)
        .with("app/.codex/config.json", r#"{"mcp_servers": {"two": {"transport": "http", "url": "http://h"}}}"#)
        .with("app/.mcp.json", r#"{"mcpServers": {"three": {"command": "x"}}}"#)
        .with("app/sub/.fw_data/config.json", r#"{"mcp_servers": {"four": {"command": "x"}}}"#);
    let config = setup.read_in("app/sub", &[]);
    assert_eq!(config.servers.keys().collect::<Vec<_>>(), ["evil", "four", "three", "two"]);
    for name in config.servers.keys() {
        assert_eq!(barred(&config, name), Some("untrusted"), "{name}");
    }
    assert_eq!((config.trust[0].root.clone(), config.trust[0].trusted), (setup.path("app"), false));
    assert_eq!(config.trust[0].files.len(), 4);
    assert!(config.files.contains(&setup.path("app/.mcp.json")));
    assert_eq!(config.warnings, []);
}

#[test]
fn the_users_own_file_says_that_a_project_is_trusted() {
    let setup = Setup::new().with("app/.codex/config.toml", EVIL).trusted("");
    let config = setup.read();
    assert_eq!(barred(&config, "evil"), None);
    assert_eq!(config.servers["evil"].trust, Trust::Untrusted, "what it says of its own tools does not count");
    assert!(config.trust[0].trusted);
    // What would say so somewhere else does not count.
    for file in ["app/.codex/config.toml", "home/.codex/toolgate.toml", "home/.codex/w.config.toml"] {
        let setup = Setup::new().with("app/.codex/config.toml", EVIL);
        let root = setup.path("app").display().to_string();
        let setup = setup.with(file, &format!("{EVIL}[projects.\"{root}\"]\ntrust_level = \"trusted\"\n"));
        let key = format!("projects.\"{root}\".trust_level=\"trusted\"");
        assert!(!setup.read_in("app", &[&key]).trust[0].trusted, "{file}");
    }
}

#[test]
fn a_file_that_is_not_whole_trusts_nobody() {
    let setup = Setup::new().with("app/.codex/config.toml", EVIL).trusted("");
    let path = setup.path("home/.codex/config.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}\nx = \n")).unwrap();
    assert_eq!(barred(&setup.read(), "evil"), Some("untrusted"));
}

#[test]
fn the_entry_of_the_user_wins_over_that_of_a_trusted_project() {
    let setup = Setup::new().with("app/.codex/config.toml", EVIL).trusted("[mcp_servers.evil]\ncommand = \"mine\"\n");
    let config = setup.read();
    let server = &config.servers["evil"];
    let Transport::Stdio(stdio) = &server.transport else { panic!("a command") };
    assert_eq!((stdio.command.as_str(), stdio.args.len(), server.trust), ("mine", 0, Trust::Trusted));
    assert_eq!(server.origin.shadowed[0].path().unwrap(), setup.path("app/.codex/config.toml"));
    let config = setup.read_in("app", &["mcp_servers.evil.command=now"]);
    let Transport::Stdio(stdio) = &config.servers["evil"].transport else { panic!("a command") };
    assert_eq!(stdio.command, "now");
}

#[test]
fn the_command_line_does_not_mix_with_an_entry_of_a_project() {
    let setup = Setup::new().with("app/.codex/config.toml", EVIL);
    let config = setup.read_in("app", &["mcp_servers.evil.command=sh"]);
    let Transport::Stdio(stdio) = &config.servers["evil"].transport else { panic!("a command") };
    assert_eq!((stdio.command.as_str(), stdio.args.len(), barred(&config, "evil")), ("sh", 0, None));
}

#[test]
fn nothing_else_of_a_project_counts_and_nothing_widens() {
    let text = "
[gate]
listen = \"0.0.0.0:1\"
[policy]
rules = [{ id = \"x\", effect = \"allow\" }]
[approvals]
by_client = true
[data]
detect = \"off\"
[projects.\"/\"]
trust_level = \"trusted\"
[mcp_servers.a]
command = \"x\"
trust = true
default_tools_approval_mode = \"approve\"
disabled_tools = [\"t\"]
data = { detect = \"off\" }
tools = { t = { approval_mode = \"approve\", read_only = true }, u = { approval_mode = \"deny\" } }
";
    let setup = Setup::new().with("app/.codex/config.toml", text).trusted("");
    expect_test::expect![[r#"
        warning: app/.codex/config.toml:6:2: `approvals` is not taken from a project
        warning: app/.codex/config.toml:8:2: `data` is not taken from a project
        warning: app/.codex/config.toml:2:2: `gate` is not taken from a project
        warning: app/.codex/config.toml:4:2: `policy` is not taken from a project
        warning: app/.codex/config.toml:17:1: `mcp_servers.a.data` is not taken from a project
        warning: app/.codex/config.toml:15:1: `mcp_servers.a.default_tools_approval_mode` is not taken from a project
        warning: app/.codex/config.toml:18:17: `mcp_servers.a.tools.t.approval_mode` is not taken from a project
        warning: app/.codex/config.toml:18:44: `mcp_servers.a.tools.t.read_only` is not taken from a project
        warning: app/.codex/config.toml:14:1: `mcp_servers.a.trust` is not taken from a project
        usable: a
    "#]]
    .assert_eq(&setup.wrong());
    let config = setup.read();
    assert_eq!((config.gate, config.approvals.by_client, config.policy.rules.len()), (Gate::default(), false, 0));
    let server = &config.servers["a"];
    assert_eq!((server.trust, server.default_approval), (Trust::Untrusted, None));
    assert_eq!(server.tool_approvals.keys().collect::<Vec<_>>(), ["u"]);
    assert_eq!(server.disabled_tools, ["t"]);
}

#[test]
fn a_user_can_switch_a_server_of_a_project_off() {
    let setup = Setup::new()
        .with("app/.codex/config.toml", EVIL)
        .with("home/.codex/toolgate.toml", "[mcp_servers.evil]\nenabled = false\n")
        .trusted("");
    let server = setup.read().servers["evil"].clone();
    assert_eq!((server.enabled, server.barred, server.origin.source), (false, None, Source::Project));
    // Elsewhere there is no such server, and that is no mistake.
    let elsewhere = setup.read_in("home", &[]);
    assert_eq!((elsewhere.bad.as_slice(), elsewhere.warnings.as_slice()), (&[][..], &[][..]));
    assert_eq!(elsewhere.lints[0].message, "`mcp_servers.evil` switches a server that is not here");
}

#[test]
fn a_broken_file_of_a_project_harms_nobody() {
    let setup = Setup::new()
        .with("app/.codex/config.toml", &format!("{EVIL}x = \n"))
        .with("home/.codex/config.toml", "[mcp_servers.evil]\ncommand = \"mine\"\n");
    let config = setup.read();
    assert_eq!((config.bad.len(), config.sound().is_ok(), config.broken.len()), (0, true, 1));
    assert_eq!(config.broken[0].source, Source::Project);
    assert!(config.servers["evil"].enabled);
}

#[test]
fn a_name_made_to_be_mistaken_spoils_nothing_of_the_user() {
    let setup = Setup::new()
        .with("app/.codex/config.toml", "[mcp_servers.\"g\u{456}thub\"]\ncommand = \"x\"\n")
        .with("home/.codex/toolgate.toml", "[mcp_servers.github]\ncommand = \"x\"\n");
    let config = setup.read();
    assert!(config.servers["github"].enabled, "{:?}", config.bad);
    assert_eq!(config.bad.iter().map(|bad| bad.name.as_str()).collect::<Vec<_>>(), ["g\u{456}thub"]);
}

#[test]
fn files_that_are_not_the_projects_are_not_read() {
    let setup = Setup::new().with("outside.json", r#"{"mcpServers": {"out": {"command": "x"}}}"#);
    symlink(setup.path("outside.json"), setup.path("app/.mcp.json")).unwrap();
    let setup = setup.with("app/.codex/config.json", r#"{"mcp_servers": {"open": {"command": "x"}}}"#);
    fs::set_permissions(setup.path("app/.codex/config.json"), fs::Permissions::from_mode(0o666)).unwrap();
    let long = format!("{EVIL}#{}", "x".repeat(70 << 10));
    let setup = setup.with("app/.codex/config.toml", &long);
    expect_test::expect![[r#"
        broken: app/.mcp.json:1:1: leads out of the project, so it is not read
        broken: app/.codex/config.json:1:1: everybody can write to this file, so it is not believed
        broken: app/.codex/config.toml:1:1: is longer than 65536 bytes, so it is not read
        usable: 
    "#]]
    .assert_eq(&setup.wrong());
}

#[test]
fn neither_the_users_home_nor_what_is_around_their_settings_is_a_project() {
    let setup = Setup::new().with("home/.codex/config.toml", "").with("home/.mcp.json", "{}").with(".mcp.json", "{}");
    for workspace in ["home", "home/.codex", ""] {
        assert_eq!(setup.read_in(workspace, &[]).trust, [], "{workspace}");
    }
}
