//! What there is to know about the workspace, in both eras: resources and who hears of their changes, prompts and what
//! comes with them, whole outputs; and whose roots it all goes by.

mod common;

use common::workspace::{Workspace, holds, refused, structure};
use serde_json::{Value, json};
use std::time::Duration;
use testkit::client::{Client, with_meta};
use testkit::wait;

const MAIN: &str = "project:///src/main.rs";

/// A client with an era of its own.
struct Era {
    client: Client,
    modern: bool,
}

impl Era {
    /// One after the other: the second begins when the first is done.
    fn both(workspace: &Workspace) -> impl Iterator<Item = Self> {
        [false, true].into_iter().map(|modern| {
            let client = if modern { workspace.silent("workspace") } else { workspace.client() };
            Self { client, modern }
        })
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        let answer = match self.modern {
            true => self.client.modern(method, params, &json!({})),
            false => self.client.request(method, &params),
        };
        let answer = answer.json();
        answer.get("result").or(answer.get("error")).cloned().unwrap_or(answer)
    }

    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.ask("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    fn read(&mut self, uri: &str) -> Value {
        self.ask("resources/read", json!({"uri": uri}))
    }

    fn text(&mut self, uri: &str) -> String {
        let read = self.read(uri);
        read["contents"][0]["text"].as_str().unwrap_or_else(|| panic!("{uri}: {read}")).to_owned()
    }

    /// Wants to hear of changes of a resource, and of lists of them.
    fn watch(&mut self, uri: &str) {
        if self.modern {
            let wanted = json!({"notifications": {"resourceSubscriptions": [uri], "resourcesListChanged": true}});
            self.client.start("subscriptions/listen", &with_meta(wanted, &json!({})));
            self.client.expect("notifications/subscriptions/acknowledged");
            // A subscription is acknowledged before its server has agreed; what came first was told by then.
            self.text("config://toolgate");
        } else {
            assert_eq!(self.ask("resources/subscribe", json!({"uri": uri})), json!({}));
        }
    }
}

#[test]
fn files_are_listed_with_size_and_type_and_those_who_watch_hear_of_changes() {
    let workspace = Workspace::new();
    for mut era in Era::both(&workspace) {
        let listed = era.ask("resources/list", json!({}));
        let files = listed["resources"].as_array().expect("a list").iter();
        let main = files.clone().find(|file| file["uri"] == MAIN).unwrap_or_else(|| panic!("{listed}"));
        assert_eq!((&main["mimeType"], &main["size"]), (&json!("text/x-rust"), &json!(13)), "{main}");
        era.watch(MAIN);
        let file = workspace.root.join("src/main.rs");
        // Whether the watch had begun is not told in the newer era, so it is written until it is heard.
        let heard = (0..200).find_map(|round| {
            std::fs::write(&file, format!("// {round}\n")).expect("written");
            let end = wait::now() + Duration::from_millis(300);
            std::iter::from_fn(|| era.client.next_message(end.saturating_duration_since(wait::now())))
                .find(|message| message.method() == "notifications/resources/updated")
        });
        assert_eq!(heard.expect("the change is told").json()["params"]["uri"], MAIN);
        std::fs::write(&file, "fn main() {}\n").expect("written");
        era.call("write_file", json!({"path": "later", "content": "x"}));
        era.client.expect("notifications/resources/list_changed");
        assert!(era.ask("resources/list", json!({})).to_string().contains("project:///later"));
        std::fs::remove_file(workspace.root.join("later")).expect("removed");
    }
}

#[test]
fn what_cannot_be_watched_is_refused_and_nobody_hears_after_the_end() {
    let workspace = Workspace::new();
    std::os::unix::fs::symlink("/etc/hostname", workspace.root.join("out")).expect("linked");
    let mut client = workspace.client();
    for uri in ["project:///out", "project:///../x", "project:///absent", "git://status", "system://environment"] {
        let error = client.request("resources/subscribe", &json!({"uri": uri})).error();
        assert_eq!(error["code"], -32002, "{uri}: {error}");
    }
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        assert_eq!(client.request(method, &json!({"uri": MAIN})).result(), json!({}));
    }
    std::fs::write(workspace.root.join("src/main.rs"), "changed").expect("written");
    let told = std::iter::from_fn(|| client.next_message(Duration::from_millis(600)));
    assert_eq!(told.filter(|message| message.method().ends_with("updated")).count(), 0);
}

#[test]
fn the_whole_of_an_output_that_was_cut_can_be_read_by_whoever_called() {
    let workspace = Workspace::with("[workspace]\nmax_output_bytes = 1000\n");
    for mut era in Era::both(&workspace) {
        if !holds(&mut workspace.client()) {
            return;
        }
        let ran = era.call("execute_command", json!({"command": "seq 1 5000; echo short >&2"}));
        let (structure, link) = (&ran["structuredContent"], &ran["content"][1]);
        assert!(structure["stdout_left_out"].as_u64().is_some_and(|bytes| bytes > 20_000), "{structure}");
        let uri = structure["stdout_uri"].as_str().expect("a link").to_owned();
        assert_eq!(
            (&link["type"], &link["uri"], &link["name"]),
            (&json!("resource_link"), &json!(uri), &json!("stdout"))
        );
        assert!(ran["content"][0]["text"].as_str().expect("text").ends_with(&format!("[all of stdout: {uri}]")));
        assert_eq!(structure["stderr_uri"], Value::Null);
        let whole: String = (1..=5000).map(|line| format!("{line}\n")).collect();
        assert_eq!(era.text(&uri), whole);
        assert!(era.read("toolgate://results/0")["code"].is_i64());
    }
}

#[test]
fn a_secret_in_an_output_that_is_kept_whole_is_masked_there_too() {
    let token = ["ghp", "_", "16C7e42F292c6912E7710c838347Ae178B4a"].concat();
    let workspace = Workspace::with("[workspace]\nmax_output_bytes = 1000\n");
    let mut client = workspace.client();
    if !holds(&mut client) {
        return;
    }
    let script = format!("seq 1 500; echo {}''{}; seq 1 500", &token[..6], &token[6..]);
    let ran = structure(&client.call("execute_command", &json!({"command": script})));
    let uri = ran["stdout_uri"].as_str().expect("a link").to_owned();
    let read = client.request("resources/read", &json!({"uri": uri})).result().to_string();
    assert!(!read.contains(&token) && read.contains("499"), "{}", &read[..200]);
}

#[test]
fn git_is_read_without_running_what_a_repository_wants_to_run() {
    let workspace = Workspace::new();
    if !holds(&mut workspace.client()) {
        return;
    }
    let mark = workspace.root.join("pwned");
    workspace.git(&["init", "-q", "-b", "main"]);
    let touch = format!("sh -c 'touch {}; cat'", mark.display());
    for key in [
        "core.fsmonitor",
        "core.hooksPath",
        "diff.external",
        "core.pager",
        "filter.evil.clean",
        "filter.evil.process",
        "filter.a=b.clean",
        "diff.evil.textconv",
        "gpg.program",
    ] {
        workspace.git(&["config", key, &touch]);
    }
    workspace.git(&["config", "filter.evil.required", "true"]);
    workspace.git(&["config", "log.showSignature", "true"]);
    let mut era = Era { client: workspace.client(), modern: false };
    assert_eq!(era.text("git://log"), "No commits yet\n");
    std::fs::write(workspace.root.join(".gitattributes"), "*.rs filter=evil diff=evil\n*.md filter=a=b\n")
        .expect("written");
    // Committed without any of it.
    workspace.git(&[
        "-c",
        "core.hooksPath=/dev/null",
        "-c",
        "core.fsmonitor=false",
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@example.com",
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        "first",
    ]);
    workspace.git(&[
        "-c",
        "core.fsmonitor=false",
        "update-index",
        "--add",
        "--cacheinfo",
        "100644,e69de29bb2d1d6434b8b29ae775ad8c2e48c5391,src/main.rs",
    ]);
    assert!(!mark.exists());
    assert!(era.text("git://status").contains("src/main.rs"));
    assert!(!era.text("git://status").contains(".codex"), "nothing stands in for protected names");
    assert!(era.text("git://log").contains("first"));
    assert!(era.text("git://diff").contains("+fn main() {}"));
    assert!(era.text("git://branch").contains("main"));
    assert!(!mark.exists(), "something of the repository's was run");
}

#[test]
fn prompts_bring_the_file_the_directory_or_the_changes_along() {
    let workspace = Workspace::new();
    let git = holds(&mut workspace.client());
    workspace.git(&["init", "-q"]);
    for mut era in Era::both(&workspace) {
        let mut get =
            |name: &str, arguments: Value| era.ask("prompts/get", json!({"name": name, "arguments": arguments}));
        let file = get("refactor", json!({"path": "src/main.rs", "language": "Rust"}));
        let resource = &file["messages"][1]["content"]["resource"];
        assert_eq!((&resource["uri"], &resource["text"]), (&json!(MAIN), &json!("fn main() {}\n")), "{file}");
        assert!(file["messages"][0]["content"]["text"].as_str().is_some_and(|text| text.contains("in Rust")), "{file}");
        let directory = get("generate_tests", json!({"path": "src", "framework": "pytest"}));
        assert!(
            directory["messages"][1]["content"]["resource"]["text"].as_str().is_some_and(|t| t.contains("main.rs"))
        );
        if git {
            let changes = get("code_review", json!({}));
            assert_eq!(changes["messages"][1]["content"]["resource"]["uri"], "git://diff", "{changes}");
        }
        for arguments in [json!({"path": "absent"}), json!({"path": "../x"}), json!({"path": "src", "code": "x"})] {
            assert_eq!(get("document", arguments.clone())["code"], -32602, "{arguments}");
        }
        let complete = json!({"ref": {"type": "ref/resource", "uri": "project:///{+path}"}, "argument": {"name": "path", "value": "src/m"}});
        assert_eq!(era.ask("completion/complete", complete)["completion"]["values"], json!(["src/main.rs"]));
    }
}

#[test]
fn a_client_narrows_the_workspace_by_its_roots_and_widens_nothing() {
    let workspace = Workspace::new();
    let mut client = workspace.silent("workspace");
    client.initialize("2025-11-25", &json!({"roots": {"listChanged": true}}));
    let root = workspace.root.canonicalize().expect("there");
    let read = |client: &mut Client, path: &str, roots: Option<&[&str]>| {
        let id = client.start("tools/call", &json!({"name": "read_file", "arguments": {"path": path}}));
        if let Some(roots) = roots {
            let asked = client.expect("roots/list").json()["id"].clone();
            let roots: Vec<_> = roots.iter().map(|root| json!({"uri": format!("file://{root}")})).collect();
            client.send(&json!({"jsonrpc": "2.0", "id": asked, "result": {"roots": roots}}).to_string());
        }
        client.answer(id)
    };
    let (within, outside) = (root.join("src").display().to_string(), root.join("src/main.rs").display().to_string());
    // What is named outside is not heard; once asked, it is not asked again.
    structure(&read(&mut client, "src/main.rs", Some(&["/etc", "/"])));
    refused(&read(&mut client, "/etc/hostname", None), "outside the workspace");
    client.notify("notifications/roots/list_changed", &json!({}));
    structure(&read(&mut client, "main.rs", Some(&["/etc", &within])));
    std::fs::write(root.join("above"), "x").expect("written");
    refused(&read(&mut client, &root.join("above").display().to_string(), None), "outside the workspace");
    structure(&read(&mut client, &outside, None));
    if holds(&mut workspace.client()) {
        let ran = structure(&client.call("execute_command", &json!({"command": "pwd; echo x > ../above"})));
        assert_eq!(ran["stdout"], format!("{within}\n"));
        assert_eq!(std::fs::read_to_string(root.join("above")).expect("there"), "x", "commands are narrowed too");
    }
}

#[test]
fn in_the_newer_era_a_call_brings_the_roots_along() {
    let workspace = Workspace::new();
    let mut client = workspace.silent("workspace");
    let roots = json!({"roots": {}});
    let call = json!({"name": "read_file", "arguments": {"path": "main.rs"}});
    let asked = client.modern("tools/call", call.clone(), &roots).result();
    assert_eq!(asked["inputRequests"]["roots"]["method"], "roots/list", "{asked}");
    let mut with = |root: &str| {
        let mut call = call.clone();
        call["inputResponses"] = json!({"roots": {"roots": [{"uri": format!("file://{root}")}]}});
        client.modern("tools/call", call, &roots)
    };
    let src = workspace.root.join("src").display().to_string();
    assert_eq!(structure(&with(&src))["content"], "fn main() {}\n");
    refused(&with("/etc"), "No such file");
}

#[test]
fn an_operator_decides_whether_the_roots_of_clients_are_heard() {
    let elsewhere = tempfile::tempdir().expect("a directory");
    std::fs::write(elsewhere.path().join("x"), "elsewhere").expect("written");
    let read = |setting: &str| {
        let workspace = Workspace::with(&format!("[workspace]\nclient_roots = \"{setting}\"\n"));
        let mut client = workspace.silent("workspace");
        let path = elsewhere.path().join("x").canonicalize().expect("there").display().to_string();
        let mut call = json!({"name": "read_file", "arguments": {"path": path}});
        let uri = format!("file://{}", elsewhere.path().display());
        call["inputResponses"] = json!({"roots": {"roots": [{"uri": uri}]}});
        client.modern("tools/call", call, &json!({"roots": {}})).result()["structuredContent"]["content"].clone()
    };
    assert_eq!(read("ignore"), Value::Null);
    assert_eq!(read("narrow"), Value::Null);
    assert_eq!(read("accept"), "elsewhere");
}

#[test]
fn a_gate_that_was_started_at_home_works_where_an_accepted_client_says() {
    let workspace = Workspace::with("[workspace]\nclient_roots = \"accept\"\n");
    let home = workspace.setup.home.path().join("home");
    let mut command = workspace.setup.home.command(common::TOOLGATE, ["mcp", "serve", "--profile", "workspace"]);
    command.current_dir(&home);
    let mut client = Client::spawn(command).patient(Duration::from_secs(60));
    let read = json!({"name": "read_file", "arguments": {"path": "src/main.rs"}});
    let nowhere = client.modern("tools/call", read.clone(), &json!({}));
    refused(&nowhere, "no workspace");
    let mut within = read;
    within["inputResponses"] = json!({"roots": {"roots": [{"uri": format!("file://{}", workspace.root.display())}]}});
    structure(&client.modern("tools/call", within, &json!({"roots": {}})));
}
