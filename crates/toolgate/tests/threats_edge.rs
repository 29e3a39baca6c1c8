//! Threats that the whole program has to answer: planted secrets, foreign files, other processes of the same user,
//! credentials of clients, and what a server would like to have opened. `docs/threats.md` says which test is whose.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::up::Up;
use common::{Setup, TOOLGATE};
use serde_json::{Value, json};
use testkit::client::Client;
use testkit::http::Request;
use testkit::{Server, wait};

/// A token that only its form gives away, the `n`th. None stands in this file, so none is found in the sources.
fn token(n: u64) -> String {
    const SIGNS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut state = (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut sign = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(SIGNS[(state >> 33) as usize % SIGNS.len()])
    };
    format!("ghp_{}", (0..36).map(|_| sign()).collect::<String>())
}

/// Secrets with where each was planted, and all that came out.
#[derive(Default)]
struct Hunt {
    planted: Vec<(&'static str, String)>,
    came: Vec<(String, Vec<u8>)>,
}

impl Hunt {
    fn plant(&mut self, place: &'static str) -> String {
        let secret = token(self.planted.len() as u64);
        self.planted.push((place, secret.clone()));
        secret
    }

    fn came(&mut self, whence: impl Into<String>, what: impl Into<Vec<u8>>) {
        self.came.push((whence.into(), what.into()));
    }

    /// Every file below `dir` but those in `but`, which hold secrets because that is what they are for.
    fn files(&mut self, dir: &Path, but: &[PathBuf]) {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            match entry.file_type().unwrap() {
                _ if but.contains(&path) => {}
                kind if kind.is_dir() => self.files(&path, but),
                kind if kind.is_file() => {
                    self.came(path.display().to_string(), fs::read(&path).unwrap());
                }
                _ => {}
            }
        }
    }

    /// Where secrets were found: planted where, found where, and what stood around it.
    fn hits(&self) -> Vec<String> {
        let mut hits = Vec::new();
        for (place, secret) in &self.planted {
            for (whence, what) in &self.came {
                let text = String::from_utf8_lossy(what);
                if let Some(at) = text.find(secret.as_str()) {
                    let from = text.floor_char_boundary(at.saturating_sub(120));
                    let to = text.floor_char_boundary(at + 60);
                    hits.push(format!("{place} in {whence}: …{}…", &text[from..to]));
                }
            }
        }
        hits
    }
}

/// A session with a server that says what it is told to say.
struct Talk<'h> {
    client: Client,
    hunt: &'h mut Hunt,
}

impl Talk<'_> {
    fn ask(&mut self, method: &str, params: &Value) {
        let answer = self.client.request(method, params);
        self.hunt.came(format!("the answer to {method} {params:.60}"), answer.text);
    }

    fn call(&mut self, tool: &str, arguments: &Value) {
        let params = json!({"name": format!("fx__{tool}"), "arguments": arguments, "_meta": {"progressToken": "p"}});
        self.ask("tools/call", &params);
    }

    /// Has the server answer `result`.
    fn says(&mut self, result: &Value) {
        self.call("verbatim", &json!({"json": result.to_string()}));
    }

    fn end(mut self) {
        while let Some(message) = self.client.next_message(std::time::Duration::from_millis(300)) {
            self.hunt.came("a notification", message.text);
        }
        let printed = self.client.stderr();
        self.hunt.came("standard error of the gate", printed);
        assert!(self.client.close().success());
    }
}

/// The arguments with which a shell runs this text, out of a file of its own.
fn script(setup: &Setup, name: &str, text: &str) -> Vec<String> {
    let path = setup.home.path().join("scripts").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    vec![path.display().to_string()]
}

/// The servers: one on a pipe that says anything, one that dies at once, one over HTTP.
fn houses(hunt: &mut Hunt, setup: Setup, far: &str) -> Setup {
    let fixture = testkit::bin("fixture-hostile").display().to_string();
    hunt.planted.push(("the environment of a server", "s3cr3t-of-fx".to_owned()));
    let known =
        json!({"tools": [{"name": "echo", "description": "give s3cr3t-of-fy", "inputSchema": {"type": "object"}}]});
    hunt.planted.push(("a definition", "s3cr3t-of-fy".to_owned()));
    let read = json!({"contents": [
        {"uri": "fixture://text", "text": format!("key {}", hunt.plant("a resource"))},
        {"uri": "fixture://blob", "blob": "AAEC/w=="},
    ]});
    let prompt = json!({"messages": [{"role": "user", "content": {"type": "text", "text": hunt.plant("a prompt")}}]});
    let canned = format!("--canned 'resources/read={read}' --canned 'prompts/get={prompt}'");
    let said = hunt.plant("standard error");
    // What the servers say stands in files of theirs: what stands in a configuration is its owner's to see.
    let noisy = script(&setup, "fx", &format!("echo {said} >&2\nexec {fixture} --resources --prompts {canned}"));
    let poser = script(&setup, "fy", &format!("exec {fixture} --canned 'tools/list={known}'"));
    let dying = script(&setup, "dead", &format!("echo {} >&2\nexit 3", hunt.plant("the last words of a server")));
    let header = hunt.plant("a header of the configuration");
    let top = format!(
        "[approvals]\ntimeout_sec = 1\n[mcp_servers.far]\nurl = {}\nbearer_token_env_var = \"FAR_TOKEN\"\nhttp_headers = {{ X-Key = {} }}\n",
        json!(far),
        json!(header)
    );
    setup
        .entry("fx", "sh", &noisy, "")
        .entry("fy", "sh", &poser, "")
        .entry("dead", "sh", &dying, "startup_timeout_sec = 5")
        .top(&top)
}

/// What a hostile or careless server, or a careless client, may say.
fn say_everything(talk: &mut Talk<'_>) {
    let name = talk.hunt.plant("the name of a client");
    let hello =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": name, "version": "1"}});
    talk.ask("initialize", &hello);
    talk.client.notify("notifications/initialized", &json!({}));
    talk.ask("tools/list", &json!({}));
    let mut secret = |place| talk.hunt.plant(place);
    let results = [
        json!({"content": [{"type": "text", "text": format!("the token is {}", secret("a result"))}]}),
        json!({"content": [], "structuredContent": {"deep": [{"value": secret("structured content")}]}}),
        json!({"content": [], "structuredContent": {secret("a key of structured content"): 1}}),
        json!({"content": [{"type": "resource", "resource": {"uri": "a://b", "text": secret("an embedded resource")}}]}),
        json!({"content": [{"type": "resource_link", "name": "x", "uri": format!("a://b?k={}", secret("a link"))}]}),
        json!({"content": [{"type": "text", "text": secret("a tool error")}], "isError": true}),
        json!({"content": [], "_meta": {"x/y": secret("metadata of a result")}}),
        json!({"content": [{"type": "text", "text": secret("an annotation"), "annotations": {"audience": ["user"]}}]}),
        json!({"content": [{"type": "text", "text": "czNjcjN0LW9mLWZ4 7333637233742d6f662d6678"}]}),
    ];
    talk.hunt.planted.push(("a known secret in base64", "czNjcjN0LW9mLWZ4".to_owned()));
    talk.hunt.planted.push(("a known secret in hexadecimal", "7333637233742d6f662d6678".to_owned()));
    for result in &results {
        talk.says(result);
    }
    let mut secret = |place| talk.hunt.plant(place);
    let calls = [
        ("fail", json!({"text": secret("the text of a failure")})),
        ("rpc_error", json!({"message": format!("no: {}", secret("the message of an error"))})),
        ("rpc_error", json!({"message": "no", "data": {"why": secret("the data of an error")}})),
        ("log", json!({"text": secret("a log line"), "level": "error"})),
        ("garbage", json!({"text": secret("a line that is no message")})),
        ("slow", json!({"ms": 10, "steps": 2, "message": secret("progress")})),
        ("echo", json!({"text": secret("an argument")})),
        ("echo_raw", json!({secret("a key of arguments"): 1})),
        ("write_thing", json!({"text": secret("arguments that wait for an approval")})),
        ("env", json!({})),
    ];
    for (tool, arguments) in &calls {
        talk.call(tool, arguments);
    }
    let (tool, uri) = (talk.hunt.plant("the name of a tool that is not"), talk.hunt.plant("a uri that is not"));
    // The answers tell the client its own words, so they are not looked at; the record is.
    talk.client.call(&format!("fx__{tool}"), &json!({}));
    talk.client.request("resources/read", &json!({"uri": format!("nothing://{uri}")}));
    talk.ask("resources/read", &json!({"uri": "fixture://text"}));
    talk.ask("prompts/get", &json!({"name": "fx__plain"}));
    talk.ask("tools/call", &json!({"name": "dead__x", "arguments": {}}));
    talk.ask("tools/call", &json!({"name": "far__echo", "arguments": {"text": "x"}}));
}

/// Every command that shows something of it.
fn show_everything(hunt: &mut Hunt, setup: &Setup, bearer: &str) {
    let shown: [&[&str]; 15] = [
        &["mcp", "list", "--json"],
        &["mcp", "list"],
        &["mcp", "get", "fx"],
        &["mcp", "get", "far", "--json"],
        &["mcp", "tools", "--json"],
        &["mcp", "status", "--json"],
        &["mcp", "test", "dead"],
        &["mcp", "test", "far", "--json"],
        &["mcp", "activity"],
        &["mcp", "lock"],
        &["audit", "query", "--json"],
        &["audit", "export", "--format", "ocsf"],
        &["approvals", "list", "--all", "--json"],
        &["approvals", "list", "--all"],
        &["policy", "explain", "fx", "echo"],
    ];
    for args in shown {
        let ran = setup.run(args).env("RUST_LOG", "trace").env("FAR_TOKEN", bearer).run();
        hunt.came(format!("{args:?}"), ran.stdout);
        hunt.came(format!("{args:?}, standard error"), ran.stderr);
    }
}

/// Requests that show what they should not, to the gate as a service.
fn knock(hunt: &mut Hunt, setup: &Setup) {
    let up = Up::start(setup, &[]);
    let (wrong, path) = (hunt.plant("a wrong token of a client"), hunt.plant("a path"));
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    for url in [format!("{}/mcp", up.base), format!("{}/mcp/{path}?key={path}", up.base)] {
        for bearer in [format!("Bearer {wrong}"), up.bearer()] {
            let response = Request::mcp(&url, &ping).header("Authorization", &bearer).send().unwrap();
            hunt.came("an answer over HTTP", response.text().unwrap());
        }
    }
    hunt.planted.push(("the token of the clients", up.token.clone()));
    up.terminate();
}

#[test]
fn none_of_thirty_planted_secrets_comes_out_anywhere() {
    let mut hunt = Hunt::default();
    let far = Server::spawn(Command::new(testkit::bin("fixture-http")));
    let setup = houses(&mut hunt, Setup::new(), &far.url);
    let bearer = hunt.plant("a bearer token");
    let keys = setup.home.path().join("approver.secret");
    setup.run(&["approvals", "secret", "--new", "--out", keys.to_str().unwrap()]).run().ok();
    hunt.planted.push(("the approver's secret", fs::read_to_string(&keys).unwrap().trim().to_owned()));

    let mut serve = setup.home.command(TOOLGATE, ["mcp", "serve"]);
    serve.env("RUST_LOG", "trace").env("FAR_TOKEN", &bearer);
    let mut talk = Talk { client: Client::spawn(serve), hunt: &mut hunt };
    say_everything(&mut talk);
    talk.end();
    show_everything(&mut hunt, &setup, &bearer);
    knock(&mut hunt, &setup);

    let state = setup.home.codex();
    // A definition is kept as it was said, or it could not be told from another; nobody else can read it, and what is
    // shown of it is masked.
    let kept = [state.join("toolgate/catalog/fy.json"), state.join("toolgate/definitions")];
    let own = [state.join("toolgate.toml"), state.join("toolgate/token"), keys, setup.home.path().join("scripts")];
    hunt.files(setup.home.path(), &[&own[..], &kept[..]].concat());
    assert!(hunt.planted.len() >= 30, "{}", hunt.planted.len());
    let files: Vec<_> = hunt.came.iter().map(|(whence, _)| whence.as_str()).collect();
    for kept in ["toolgate.db", "toolgate.log", "/audit/", "catalog"] {
        assert!(files.iter().any(|whence| whence.contains(kept)), "no {kept} was looked at: {files:#?}");
    }
    let hits = hunt.hits();
    assert!(hits.is_empty(), "{} came out:\n{}", hits.len(), hits.join("\n"));
}

#[test]
fn nothing_of_a_project_says_what_runs() {
    let setup = Setup::new().server("fx", &[], "");
    let work = setup.home.work();
    let entry = "[mcp_servers.evil]\ncommand = \"touch\"\nargs = [\"ran\"]\n";
    let json = json!({"mcpServers": {"evil": {"command": "touch", "args": ["ran"]}}}).to_string();
    for dir in [".codex", ".toolgate", "toolgate", ".vscode"] {
        fs::create_dir(work.join(dir)).unwrap();
    }
    for file in ["toolgate.toml", ".toolgate.toml", "config.toml", ".codex/config.toml", ".toolgate/toolgate.toml"] {
        fs::write(work.join(file), entry).unwrap();
    }
    for file in [".mcp.json", "mcp.json", ".vscode/mcp.json"] {
        fs::write(work.join(file), &json).unwrap();
    }
    let env = format!("CODEX_HOME={0}/.codex\nHOME={0}\nTOOLGATE_REQUIREMENTS={0}/x.toml\n", work.display());
    fs::write(work.join(".env"), env).unwrap();
    let listed = setup.run(&["mcp", "list", "--json"]).run().json();
    let told = |server: &Value| format!("{} {} {}", server["name"], server["state"], server["disabled_reason"]);
    let told: Vec<_> = listed.as_array().unwrap().iter().map(told).collect();
    assert!(told[0].starts_with("\"evil\" \"disabled\" \"untrusted\""), "{told:?}");
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(setup.run(&["mcp", "test", "evil"]).run().status, Some(4));
    let mut client = setup.client(&[]);
    client.request("tools/list", &json!({}));
    assert!(client.close().success());
    assert!(!work.join("ran").exists());
}

#[test]
fn the_token_of_the_clients_reaches_no_server() {
    let setup = Setup::new();
    let log = setup.home.codex().join("far.log");
    let far = setup.home.command(testkit::bin("fixture-http"), ["--log".as_ref(), log.as_os_str()]);
    let far = Server::spawn(far);
    let setup = setup.top(&format!("[mcp_servers.far]\nurl = {}\n", json!(far.url)));
    let up = Up::start(&setup, &[]);
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": testkit::client::with_meta(
        json!({"name": "echo", "arguments": {"text": "x"}}), &json!({}))});
    let request = Request::modern(&format!("{}/mcp/far", up.base), &call).header("Authorization", &up.bearer());
    let answer = request.header("Cookie", "session=of-the-client").send().unwrap().answer().unwrap();
    assert_eq!(answer["result"]["content"][0]["text"], "x", "{answer}");
    let heard = setup.heard("far");
    let requests: Vec<_> = heard.iter().filter(|line| line["event"] == "request").collect();
    assert!(requests.len() >= 2, "{heard:?}");
    for request in requests {
        let headers = request["headers"].as_object().unwrap();
        assert!(!headers.contains_key("authorization") && !headers.contains_key("cookie"), "{request}");
    }
    assert!(!fs::read_to_string(&log).unwrap().contains(&up.token));
}

#[test]
fn nothing_that_a_server_names_is_opened_or_run() {
    let setup = Setup::new().server("fx", &["--era", "legacy"], "");
    let (bin, ran) = (setup.home.path().join("bin"), setup.home.path().join("ran"));
    fs::create_dir(&bin).unwrap();
    for program in ["xdg-open", "open", "gio", "sensible-browser", "x-www-browser", "firefox", "notify-send", "sh"] {
        let path = bin.join(program);
        fs::write(&path, format!("#!/bin/bash\necho {program} \"$@\" >> {}\n", ran.display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = setup.home.command(TOOLGATE, ["mcp", "serve"]);
    command.env("PATH", format!("{}:/usr/bin:/bin", bin.display())).env("DISPLAY", ":0").env("BROWSER", "firefox");
    let mut client = Client::spawn(command);
    client.initialize("2025-11-25", &json!({"elicitation": {"form": {}, "url": {}}}));
    let urls = ["https://x.example/?$(touch ran)", "file:///c:/x?$(calc)", "javascript:alert(1)", "--upload-pack=x"];
    for url in urls {
        let id = client.start("tools/call", &json!({"name": "fx__elicit", "arguments": {"url": url}}));
        let asked = client.expect("elicitation/create").json();
        assert_eq!(asked["params"]["url"], url, "it is handed on for the client to judge: {asked}");
        client.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "decline"}}).to_string());
        client.answer(id);
    }
    assert!(client.close().success());
    assert_eq!(fs::read_to_string(&ran).ok(), None);
    assert!(!setup.home.work().join("ran").exists());
}

/// Nobody, when root runs the tests: what is denied to others is denied to root by nothing.
const NOBODY: u32 = 65534;

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

/// Gives everything below `dir` to nobody, if root runs the tests.
fn give(dir: &Path) {
    if !is_root() {
        return;
    }
    chown(dir, Some(NOBODY), Some(NOBODY)).unwrap();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => give(&entry.path()),
            false => chown(entry.path(), Some(NOBODY), Some(NOBODY)).unwrap(),
        }
    }
}

/// A command as that user.
fn unprivileged(setup: &Setup, program: &str, args: &[&str]) -> Command {
    if !is_root() {
        return setup.home.command(program, args);
    }
    let nobody = NOBODY.to_string();
    let drop = ["--reuid", &nobody, "--regid", &nobody, "--clear-groups", program];
    setup.home.command("setpriv", drop.iter().chain(args))
}

fn reads(setup: &Setup, path: &str) -> bool {
    let mut command = unprivileged(setup, "head", &["-c1", path]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

#[test]
fn no_process_of_the_same_user_reads_the_gate() {
    let setup = Setup::new().server("fx", &[], "");
    give(setup.home.path());
    let runs = unprivileged(&setup, TOOLGATE, &["--version"]).stdout(Stdio::null()).status();
    if !runs.is_ok_and(|status| status.success()) {
        eprintln!("skipped: {TOOLGATE} cannot be run as another user than root");
        return;
    }
    let mut client = Client::spawn(unprivileged(&setup, TOOLGATE, &["mcp", "serve"]));
    client.initialize("2025-11-25", &json!({}));
    let server: u32 = client.call("fx__pid", &json!({})).text_block().parse().unwrap();
    assert!(reads(&setup, &format!("/proc/{server}/environ")), "a server is as open as any other program");
    for file in ["environ", "maps", "auxv"] {
        assert!(!reads(&setup, &format!("/proc/{}/{file}", client.pid())), "{file}");
    }
    wait::expect("the gate to still answer", || !client.call("fx__echo", &json!({"text": "x"})).text.is_empty());
    assert!(client.close().success());
    let state = setup.home.codex().join("toolgate");
    assert_eq!(open_to_others(&state), [state.join("audit.pub")], "the public key is for everybody");
}

/// What below `dir` others than its owner can use.
fn open_to_others(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let (path, data) = (entry.path(), entry.metadata().unwrap());
        if data.is_dir() {
            found.extend(open_to_others(&path));
        }
        if data.permissions().mode() & 0o077 != 0 {
            found.push(path);
        }
    }
    found
}
