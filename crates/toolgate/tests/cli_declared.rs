//! Files that declare tools: what is kept of them, what is listed, what a call of them comes to.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::TOOLGATE;
use serde_json::{Value, json};
use testkit::cli::{Home, Output};

const CUSTOM: &str = r#"{
  "name": "custom-tools",
  "version": "1.0.0",
  "tools": [
    {
      "name": "query-database",
      "description": "Execute read-only database queries",
      "parameters": {
        "query": "string",
        "database": "string"
      }
    }
  ]
}
"#;

struct Lab(Home);

impl Lab {
    /// A home, and `files` where programs run.
    fn new(files: &[(&str, &str)]) -> Self {
        let home = Home::new();
        for (name, text) in files {
            let path = home.work().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self(home)
    }

    fn run(&self, args: &[&str]) -> Output {
        self.0.cmd(TOOLGATE, [&["mcp"], args].concat()).run()
    }

    fn ok(&self, args: &[&str]) -> Output {
        let output = self.run(args);
        assert_eq!(output.status, Some(0), "{args:?}: {output:#?}");
        output
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(args).stdout).unwrap()
    }
}

#[test]
fn declared_tools_are_kept_listed_and_cannot_be_called() {
    let lab = Lab::new(&[("custom-tools.json", CUSTOM)]);
    let added = lab.ok(&["add", "custom-tools", "./custom-tools.json"]);
    assert!(added.stderr.contains("cannot be called: query-database"), "{added:#?}");
    let tools = lab.json(&["tools", "custom-tools", "--json"]);
    let tool = &tools["tools"][0];
    assert_eq!((&tool["rawName"], &tool["declared"]), (&json!("query-database"), &json!(true)));
    let schema = &tool["definition"]["inputSchema"];
    assert_eq!(schema["properties"]["query"]["type"], "string");
    assert_eq!(schema["required"], json!(["query", "database"]));
    assert!(lab.ok(&["tools"]).stdout.contains("custom-tools__query-database  declared"));
    assert_eq!(lab.json(&["list", "--json"])[0]["state"], "no_transport");
    let call = lab.run(&["call", "custom-tools__query-database", "--args", "{}"]);
    let why = "error: server 'custom-tools' declares tools but has no command, url or handler\n";
    assert!(call.status != Some(0) && call.stderr.starts_with(why), "{call:#?}");
    let test = lab.run(&["test", "custom-tools"]);
    assert!(test.status != Some(0) && test.stdout.contains("no_transport"), "{test:#?}");
    assert_eq!(std::fs::read_to_string(lab.0.work().join("custom-tools.json")).unwrap(), CUSTOM);
    assert!(!lab.0.codex().join("config.toml").exists(), "Codex would not start with such an entry");
}

#[test]
fn name_and_version_are_kept_and_another_name_is_warned_of() {
    let lab = Lab::new(&[("custom-tools.json", CUSTOM)]);
    let added = lab.ok(&["add", "x", "custom-tools.json"]);
    assert!(added.stderr.contains("it calls itself 'custom-tools' and is added as 'x'"), "{added:#?}");
    let one = lab.json(&["get", "x", "--json"]);
    assert_eq!((&one["version"], &one["label"]), (&json!("1.0.0"), &json!("custom-tools")));
    assert_eq!(one["transport"], json!({"type": "declared", "tools": ["query-database"]}));
    assert!(lab.ok(&["list", "--verbose"]).stdout.contains("1.0.0"));
    let _ = lab.ok(&["remove", "x"]);
    assert_eq!(lab.json(&["list", "--json"]), json!([]));
}

#[test]
fn the_six_examples_are_added_and_listed() {
    let examples = [
        ("db-tools", "mcp-servers/database.json"),
        ("aws-tools", "mcp-servers/aws.json"),
        ("jira", "mcp-servers/jira.json"),
        ("slack", "mcp-servers/slack.json"),
        ("deploy-tools", "mcp-servers/deploy.json"),
        ("monitoring", "mcp-servers/datadog.json"),
    ];
    let lab = Lab::new(&examples.map(|(_, file)| (file, CUSTOM)));
    for (name, file) in examples {
        let _ = lab.ok(&["add", name, &format!("./{file}")]);
    }
    let listed = lab.json(&["list", "--json"]);
    let mut names: Vec<_> = listed.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["aws-tools", "db-tools", "deploy-tools", "jira", "monitoring", "slack"]);
    let tools = lab.json(&["tools", "--json"]);
    assert_eq!(tools["tools"].as_array().unwrap().len(), 6);
}

#[test]
fn a_file_may_say_how_its_server_is_reached_too() {
    let mut file: Value = serde_json::from_str(CUSTOM).unwrap();
    file["command"] = "x".into();
    let lab = Lab::new(&[("tools.json", &file.to_string())]);
    let _ = lab.ok(&["add", "custom-tools", "tools.json"]);
    let config: toml::Table = lab.0.read("config.toml").parse().unwrap();
    let entry = config["mcp_servers"]["custom-tools"].as_table().unwrap();
    assert_eq!(entry.keys().collect::<Vec<_>>(), ["command", "name"], "what Codex knows");
    assert_eq!(lab.json(&["get", "custom-tools", "--json"])["transport"]["type"], "stdio");
}

/// Tools with programs, in the file of a server.
fn handlers() -> String {
    let parameters = json!({"text": "string"});
    let tool = |name: &str, exec: &[&str]| json!({"name": name, "parameters": parameters, "exec": exec});
    let tools = [
        tool("say", &["printf", "%s|%s", "--", "{{text}}"]),
        tool("fail", &["sh", "-c", "echo out; echo \"$1\" >&2; exit 3", "sh", "{{text}}"]),
        tool("reach", &["sh", "-c", "echo x > \"$1\"", "sh", "{{text}}"]),
        json!({"name": "bare", "parameters": parameters}),
    ];
    json!({"name": "mine", "version": "2.1", "tools": tools, "env": {"GREETING": "hi"}}).to_string()
}

#[test]
fn a_tool_with_a_program_is_called_in_a_sandbox() {
    let lab = Lab::new(&[("mine.json", &handlers())]);
    let added = lab.ok(&["add", "mine", "mine.json"]);
    assert!(added.stderr.contains("will run: say: printf"), "{added:#?}");
    let call = |tool: &str, text: &str| {
        let args = json!({"text": text}).to_string();
        let unasked = "mcp_servers.mine.default_tools_approval_mode=approve";
        lab.run(&["call", &format!("mine__{tool}"), "--args", &args, "-c", unasked])
    };
    let said = call("say", "a b; $(id) 'c'");
    assert_eq!((said.status, said.stdout.as_str()), (Some(0), "--|a b; $(id) 'c'\n"), "{said:#?}");
    let failed = call("fail", "why");
    assert_ne!(failed.status, Some(0));
    assert!(failed.stdout.contains("out\nwhy\n[it exited with code 3]"), "{failed:#?}");
    let target = lab.0.work().join("written");
    let reached = call("reach", target.to_str().unwrap());
    assert!(reached.status != Some(0) && !target.exists(), "{reached:#?}");
    let option = call("say", "-n");
    assert_eq!(option.stdout, "--|-n\n", "behind `--` it is no option: {option:#?}");
    let bare = call("bare", "x");
    assert!(bare.stdout.contains("declared and has no `exec`"), "{bare:#?}");
    let test = lab.ok(&["test", "mine"]);
    assert!(test.stdout.contains("4 tools") && test.stdout.contains("as declared"), "{test:#?}");
    assert_eq!(lab.json(&["get", "mine", "--json"])["transport"]["type"], "handlers");
    let missing = lab.run(&["configure", "mine", "env.PATH=/nowhere"]);
    assert_eq!(missing.status, Some(0), "{missing:#?}");
    let doctor = lab.0.cmd(TOOLGATE, ["doctor", "mine"]).run();
    assert!(doctor.stdout.contains("the program `printf` of its tool `say` was not found"), "{doctor:#?}");
    let record = lab.0.cmd(TOOLGATE, ["audit", "query", "--json"]).run();
    let calls: Vec<Value> = serde_json::from_str(&record.stdout).unwrap();
    assert!(calls.iter().all(|call| call["event"]["sandbox"] == "S4") && calls.len() == 5, "{calls:#?}");
}

#[test]
fn a_program_that_a_caller_could_choose_is_refused() {
    for (exec, why) in [
        (json!(["{{text}}"]), "the program may not depend on an argument"),
        (json!(["x", "{{other}}"]), "`{{other}}` is none of the tool's parameters"),
        (json!([]), "it names no program"),
    ] {
        let file = json!({"tools": [{"name": "t", "parameters": {"text": "string"}, "exec": exec}]});
        let lab = Lab::new(&[("wrong.json", &file.to_string())]);
        let output = lab.run(&["add", "wrong", "wrong.json"]);
        assert_ne!(output.status, Some(0), "{exec}");
        assert!(output.stderr.contains(why), "{output:#?}");
        assert!(!lab.0.codex().join("toolgate.toml").exists());
    }
}

#[test]
fn a_wrong_file_is_refused_with_the_place() {
    let wrong = CUSTOM.replace("\"database\": \"string\"", "\"database\": \"strng\"");
    let lab = Lab::new(&[("wrong.json", &wrong)]);
    let output = lab.run(&["add", "custom-tools", "wrong.json"]);
    assert_eq!(output.status, Some(1));
    assert!(output.stderr.contains("wrong.json#/tools/0/parameters/database: unknown type `strng`"), "{output:#?}");
    assert!(!lab.0.codex().join("toolgate.toml").exists());
}
