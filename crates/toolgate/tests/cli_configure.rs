//! The real binary changes single settings of servers: where they are written, what is refused.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::TOOLGATE;
use serde_json::Value;
use testkit::cli::Home;

const CONFIG: &str = "# mine
[mcp_servers.foo]
command = 'x' # why
env = { TOKEN = 'abc' }

[mcp_servers.web]
url = 'http://127.0.0.1:9/'
";

struct Lab(Home);

impl Lab {
    fn new(own: &str) -> Self {
        let home = Home::new();
        home.write("config.toml", CONFIG);
        if !own.is_empty() {
            home.write("toolgate.toml", own);
        }
        Self(home)
    }

    fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.0.codex().join(file)).unwrap_or_default()
    }

    fn run(&self, args: &[&str]) -> testkit::cli::Output {
        self.0.cmd(TOOLGATE, [&["mcp"], args].concat()).run()
    }

    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status, Some(0), "{args:?}: {output:#?}");
        output.stdout
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(args)).unwrap()
    }

    /// Fails with this status and these words, and leaves the files as they are.
    fn refused(&self, args: &[&str], status: i32, words: &str) {
        let before = (self.text("config.toml"), self.text("toolgate.toml"));
        let output = self.run(args);
        assert_eq!(output.status, Some(status), "{args:?}: {output:#?}");
        assert!(output.stderr.contains(words), "{args:?}: {}", output.stderr);
        assert_eq!((self.text("config.toml"), self.text("toolgate.toml")), before);
    }
}

#[test]
fn a_setting_is_changed_and_told_of() {
    let lab = Lab::new("");
    assert_eq!(lab.ok(&["configure", "foo", "enabled=false"]), "foo: enabled: (not set) -> false\n");
    assert_eq!(lab.json(&["get", "foo", "--json"])["enabled"], false);
    assert_eq!(lab.ok(&["set", "foo", "enabled=true"]), "foo: enabled: false -> true\n");
    assert_eq!(lab.text("config.toml"), CONFIG.replace("'abc' }\n", "'abc' }\nenabled = true\n"));
    assert_eq!(lab.ok(&["configure", "foo", "enabled="]), "foo: enabled: true -> (not set)\n");
    assert_eq!(lab.text("config.toml"), CONFIG);
}

#[test]
fn what_codex_does_not_know_goes_to_the_file_that_it_does_not_read() {
    let lab = Lab::new("");
    lab.ok(&["configure", "foo", "read_only=true", "tools.drop.approval_mode=deny", "tools.a.approval_mode=prompt"]);
    let own: toml::Table = lab.text("toolgate.toml").parse().unwrap();
    assert_eq!(own["mcp_servers"]["foo"]["read_only"].as_bool(), Some(true));
    assert_eq!(own["mcp_servers"]["foo"]["tools"]["drop"]["approval_mode"].as_str(), Some("deny"));
    let codexs: toml::Table = lab.text("config.toml").parse().unwrap();
    assert_eq!(codexs["mcp_servers"]["foo"]["tools"]["a"]["approval_mode"].as_str(), Some("prompt"));
    assert!(codexs["mcp_servers"]["foo"].get("read_only").is_none());
}

#[test]
fn a_setting_is_written_where_it_counts() {
    let lab = Lab::new("[mcp_servers.foo]\ntool_timeout_sec = 5 # short\n");
    let told = lab.json(&["configure", "foo", "tool_timeout_sec=9", "--json"]);
    assert_eq!(told["schema"], "toolgate.configure/1");
    assert_eq!((&told["changes"][0]["old"], &told["changes"][0]["new"]), (&"5".into(), &"9".into()));
    assert!(told["changes"][0]["files"][0].as_str().unwrap().ends_with("toolgate.toml"));
    assert_eq!(lab.text("toolgate.toml"), "[mcp_servers.foo]\ntool_timeout_sec = 9 # short\n");
    assert_eq!(lab.json(&["get", "foo", "--json"])["tool_timeout_sec"], 9.0);
}

#[test]
fn secrets_are_written_and_never_shown() {
    let lab = Lab::new("");
    let output = lab.run(&["configure", "foo", "env.TOKEN=s3cr3t", "env.PORT=8080", "--json"]);
    assert_eq!(output.status, Some(0), "{output:#?}");
    assert!(!output.stdout.contains("s3cr3t") && !output.stderr.contains("s3cr3t") && !output.stdout.contains("abc"));
    assert!(
        lab.text("config.toml").contains("env = { TOKEN = \"s3cr3t\" , PORT = \"8080\" }"),
        "{}",
        lab.text("config.toml")
    );
}

#[test]
fn nothing_is_written_unless_all_of_it_will_do() {
    let lab = Lab::new("");
    lab.refused(&["configure", "foo", "enabled=false", "bogus=1"], 2, "unknown key `bogus`");
    lab.refused(&["configure", "foo", "enbled=false"], 2, "did you mean `enabled`?");
    lab.refused(&["configure", "foo", "enabled"], 2, "not of the form KEY=VALUE");
    lab.refused(&["configure", "foo", "tools.t.aproval_mode=deny"], 2, "did you mean `approval_mode`?");
    lab.refused(&["configure", "foo", "enabled=maybe"], 1, "'foo' could not be used then: `enabled`: invalid type");
    lab.refused(&["configure", "foo", "url=http://h/"], 1, "`url` is not supported for stdio");
    lab.refused(&["configure", "foo", "command="], 1, "invalid transport");
    lab.refused(&["configure", "fo", "enabled=false"], 1, "No MCP server named 'fo' found.");
    lab.refused(&["configure", "foo"], 2, "required arguments");
}

#[test]
fn an_entry_may_change_to_the_other_transport_at_once() {
    let lab = Lab::new("");
    lab.ok(&["configure", "foo", "command=", "env=", "url=http://127.0.0.1:9/mcp"]);
    assert_eq!(lab.json(&["get", "foo", "--json"])["transport"]["url"], "http://127.0.0.1:9/mcp");
}

#[test]
fn a_broken_entry_is_mended() {
    let lab = Lab::new("");
    lab.0.write("config.toml", "[mcp_servers.foo]\ncommand = 1\n");
    assert_eq!(lab.ok(&["configure", "foo", "command=x"]), "foo: command: 1 -> \"x\"\n");
    assert_eq!(lab.json(&["get", "foo", "--json"])["transport"]["command"], "x");
}

const JSON: &str = r#"{
  // mine
  "mcpServers": {
    "js": { "command": "x" }, // a script
    "old": { "url": "http://127.0.0.1:9/" }
  }
}
"#;

#[test]
fn an_entry_in_json_is_changed_and_removed_there() {
    let lab = Lab::new("");
    lab.0.write("config.json", JSON);
    assert_eq!(lab.ok(&["configure", "js", "enabled=false"]), "js: enabled: (not set) -> false\n");
    assert_eq!(lab.text("config.json"), JSON.replace("\"x\" }", "\"x\", \"enabled\": false }"));
    assert_eq!(lab.json(&["get", "js", "--json"])["enabled"], false);
    assert_eq!(lab.ok(&["enable", "js"]), "'js' is enabled.\n");
    lab.ok(&["configure", "js", "enabled=", "read_only=true"]);
    assert_eq!(lab.text("config.json"), JSON.replace("\"x\" }", "\"x\", \"read_only\": true }"));
    lab.ok(&["remove", "js"]);
    assert_eq!(lab.text("config.json"), JSON.replace("    \"js\": { \"command\": \"x\" }, // a script\n", ""));
    assert_eq!((lab.text("config.toml").as_str(), lab.text("toolgate.toml").as_str()), (CONFIG, ""));
}

#[test]
fn an_address_goes_to_the_json_file_if_there_is_one() {
    let lab = Lab::new("");
    lab.0.write("config.json", JSON);
    lab.ok(&["add", "new", "http://127.0.0.1:9/mcp", "X-A=b c", "--no-connect"]);
    let file: Value =
        serde_json::from_str(&lab.text("config.json").replace("// mine", "").replace("// a script", "")).unwrap();
    let entry = serde_json::json!({
        "url": "http://127.0.0.1:9/mcp", "transport": "http", "headers": {"X-A": "b c"}, "enabled": true
    });
    assert_eq!(file["mcpServers"]["new"], entry);
    assert_eq!(lab.json(&["get", "new", "--json"])["transport"]["type"], "streamable_http");
    lab.ok(&["add", "old", "--force", "--url", "http://127.0.0.1:9/new"]);
    assert!(lab.text("config.json").contains("http://127.0.0.1:9/new"), "a replaced entry stays in its file");
    assert_eq!(lab.text("config.toml"), CONFIG);
}

#[test]
fn what_codex_would_refuse_never_comes_into_its_file() {
    for setting in [
        "auth=none",
        "startup_readiness=soon",
        "omit_tools_from=[\"x\"]",
        "tool_input_schema_max_bytes=0",
        "oauth.token_endpoint_auth_method=x",
        "oauth.redirect_uri=x",
    ] {
        let lab = Lab::new("");
        lab.ok(&["configure", "web", setting]);
        assert_eq!(lab.text("config.toml"), CONFIG, "{setting}");
    }
    let lab = Lab::new("");
    lab.refused(&["configure", "web", "oauth.authorization_server_issuer=x"], 1, "requires `auth = \"ema_auth\"`");
    lab.ok(&["add", "new", r#"{"url": "http://127.0.0.1:9/", "auth": "none", "tool_input_schema_max_bytes": 0}"#]);
    assert!(!lab.text("config.toml").contains("none"), "{}", lab.text("config.toml"));
    // The entry above counts for toolgate, the one below still for Codex.
    let lab = Lab::new("[mcp_servers.foo]\nurl = 'http://127.0.0.1:9/'\n");
    lab.refused(&["configure", "foo", "command="], 1, "Codex could not read config.toml any more");
}

#[test]
fn secrets_among_arguments_are_not_shown() {
    let lab = Lab::new("");
    let args = r#"args=["--header", "Authorization: Bearer s3cr3t1", "--key=s3cr3t2", "-e", "A_TOKEN=s3cr3t3", "--password", "s3cr3t4"]"#;
    assert!(!lab.ok(&["configure", "foo", args]).contains("s3cr3t"));
    for args in [&["get", "foo"][..], &["get", "foo", "--json"], &["list"], &["list", "--json"], &["list", "--verbose"]]
    {
        let shown = lab.ok(args);
        assert!(!shown.contains("s3cr3t") && shown.contains("--password"), "{args:?}: {shown}");
    }
    for args in [&["config", "show"][..], &["config", "show", "--json"], &["connect", "codex", "--dry-run"]] {
        let shown = lab.0.cmd(TOOLGATE, args).run().stdout;
        assert!(!shown.contains("s3cr3t") && shown.contains("--password"), "{args:?}: {shown}");
    }
    assert!(lab.ok(&["get", "foo", "--show-secrets"]).contains("s3cr3t1"));
}

#[test]
fn what_a_reference_stands_for_is_not_told_when_its_server_cannot_start() {
    let lab = Lab::new(
        "[mcp_servers.a]\ncommand = '/nowhere/${file:kept}'\n[mcp_servers.b]\ncommand = 'sh'\ncwd = '/nowhere/${file:kept}'\n",
    );
    lab.0.write("kept", "s3cr3t-of-a-file\n");
    for server in ["a", "b"] {
        let output = lab.run(&["test", server]);
        assert_ne!(output.status, Some(0), "{output:#?}");
        assert!(!format!("{output:?}").contains("s3cr3t"), "{output:#?}");
        assert!(output.stderr.contains("could not be started"), "{output:#?}");
    }
}
