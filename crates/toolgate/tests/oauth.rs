//! Logins at a server that asks for OAuth: made, used, renewed, refused and ended by the real program.

mod common;

use common::{Setup, TOOLGATE};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use testkit::http::Request;
use testkit::{Server, bin, wait};

/// A home with the server `x` that wants a login.
struct Case {
    setup: Setup,
    server: Server,
}

/// The fixture with these flags, and further keys of its entry.
fn case(flags: &[&str], keys: &str) -> Case {
    let setup = Setup::new();
    let mut args = vec!["--log".to_owned(), setup.home.codex().join("oauth.log").display().to_string()];
    args.extend(flags.iter().map(|flag| (*flag).to_owned()));
    let server = Server::spawn(setup.home.command(bin("fixture-oauth"), args));
    let entry = format!("[mcp_servers.x]\nurl = \"{}\"\ndefault_tools_approval_mode = \"approve\"\n{keys}", server.url);
    Case { setup: setup.top(&entry), server }
}

/// How a login ended.
struct Ended {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Case {
    /// `toolgate mcp login x`, with this test as the person and its browser.
    fn login(&self, args: &[&str]) -> Ended {
        self.login_by(args, |callback, _| {
            let page = Request::new("GET", callback).send().expect("the program listens");
            assert_eq!(page.status, 200);
        })
    }

    fn login_by(&self, args: &[&str], back: impl FnOnce(&str, &mut dyn Write)) -> Ended {
        let all = ["mcp", "login", "x"].iter().chain(args);
        let mut command = self.setup.home.command(TOOLGATE, all);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("it is piped");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut stdout = String::new();
        while lines.read_line(&mut stdout).expect("text") > 0 {
            let Some(url) = stdout.lines().last().filter(|line| line.starts_with("http")) else { continue };
            let page = Request::new("GET", url).send().expect("the fixture answers");
            back(page.header("location").expect("it sends the browser back"), &mut stdin);
            break;
        }
        drop(stdin);
        lines.read_to_string(&mut stdout).expect("text");
        let mut stderr = String::new();
        child.stderr.take().expect("it is piped").read_to_string(&mut stderr).expect("text");
        Ended { status: child.wait().expect("it ends").code(), stdout, stderr }
    }

    fn logged_in(self) -> Self {
        let ended = self.login(&[]);
        assert_eq!(ended.status, Some(0), "{}{}", ended.stdout, ended.stderr);
        self
    }

    fn call(&self, tool: &str) -> testkit::Output {
        self.setup.run(&["mcp", "call", &format!("x__{tool}")]).run()
    }

    /// What the fixture was asked at `path`, as pairs of a form.
    fn asked(&self, path: &str) -> Vec<Value> {
        let text = self.setup.home.read("oauth.log");
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line"));
        lines.filter(|line| line["path"] == path).collect()
    }

    fn refreshes(&self) -> usize {
        let is_refresh = |line: &Value| line["body"].as_str().is_some_and(|b| b.contains("grant_type=refresh_token"));
        self.asked("/token").iter().filter(|line| is_refresh(line)).count()
    }

    /// The one file with a login.
    fn kept(&self) -> PathBuf {
        let dir = std::fs::read_dir(self.setup.home.codex().join("toolgate/oauth")).expect("the folder of logins");
        let files =
            dir.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "json"));
        let files: Vec<_> = files.collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }

    /// Lets the token that is kept have ended long ago.
    fn expire(&self) -> String {
        let path = self.kept();
        let mut record: Value = serde_json::from_slice(&std::fs::read(&path).expect("a file")).expect("JSON");
        record["obtained_ms"] = json!(0);
        record["expires_ms"] = json!(1);
        std::fs::write(path.with_extension("new"), record.to_string()).expect("written");
        std::fs::set_permissions(path.with_extension("new"), PermissionsExt::from_mode(0o600)).expect("set");
        std::fs::rename(path.with_extension("new"), &path).expect("renamed");
        record["access"].as_str().expect("a token").to_owned()
    }

    #[track_caller]
    fn needs_a_login(&self) {
        let tested = self.setup.run(&["mcp", "test", "x", "--json"]).run();
        let report: Value = serde_json::from_str(&tested.stdout).expect("a report whatever happened");
        assert_eq!((tested.status, &report["state"]), (Some(3), &json!("auth_required")), "{report}");
    }

    fn auth_status(&self) -> Value {
        let listed = self.setup.run(&["mcp", "list", "--json"]).run().json();
        listed.as_array().expect("a list").iter().find(|server| server["name"] == "x").expect("x")["auth_status"]
            .clone()
    }
}

#[test]
fn a_person_logs_in_calls_and_logs_out() {
    let case = case(&[], "");
    assert_eq!(case.auth_status(), "unknown");
    let before = case.setup.run(&["mcp", "test", "x"]).run();
    assert_eq!(before.status, Some(3), "{before:?}");
    let ended = case.login(&[]);
    assert!(
        ended.stdout.starts_with("Authorize `x` by opening this URL in your browser:\nhttp://127"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.ends_with("Successfully logged in to MCP server 'x'.\n"), "{}{}", ended.stdout, ended.stderr);
    let called = case.call("whoami");
    assert!(called.stdout.contains("called with access-"), "{called:?}");
    assert_eq!(case.auth_status(), "o_auth");

    let path = case.kept();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let authorize = &case.asked("/authorize")[0]["query"];
    assert_eq!(
        (&authorize["code_challenge_method"], &authorize["resource"]),
        (&json!("S256"), &json!(case.server.url))
    );
    assert_eq!(authorize["scope"], "mcp.read offline_access", "what the challenge wants, and to stay");
    let token = case.asked("/token")[0]["body"].as_str().unwrap().to_owned();
    assert!(token.contains("resource=http") && token.contains("code_verifier="), "{token}");
    let register: Value = serde_json::from_str(case.asked("/register")[0]["body"].as_str().unwrap()).unwrap();
    assert_eq!(register["application_type"], "native");

    let out = case.setup.run(&["mcp", "logout", "x"]).run();
    assert_eq!((out.status, out.stdout.as_str()), (Some(0), "Removed OAuth credentials for 'x'.\n"));
    assert_eq!(case.asked("/revoke").len(), 2);
    let again = case.setup.run(&["mcp", "logout", "x"]).run();
    assert_eq!((again.status, again.stdout.as_str()), (Some(0), "No OAuth credentials stored for 'x'.\n"));
    case.needs_a_login();
}

#[test]
fn tokens_are_seen_nowhere() {
    let case = case(&[], "").logged_in();
    let record: Value = serde_json::from_slice(&std::fs::read(case.kept()).unwrap()).unwrap();
    let secrets = [record["access"].as_str().unwrap(), record["refresh"].as_str().unwrap()];
    let mut texts = String::new();
    for args in [
        &["mcp", "call", "x__whoami"][..],
        &["mcp", "status", "x"],
        &["mcp", "list", "--verbose"],
        &["mcp", "get", "x"],
    ] {
        let output = case.setup.run(args).run();
        texts += &format!("{}{}", output.stdout, output.stderr);
    }
    let dir = case.setup.home.codex();
    for place in ["toolgate/catalog", "toolgate/seen", "toolgate/audit", "log"] {
        let Ok(files) = std::fs::read_dir(dir.join(place)) else { continue };
        files.flatten().for_each(|file| texts += &std::fs::read_to_string(file.path()).unwrap_or_default());
    }
    assert!(texts.contains("called with access-"), "{texts}");
    for secret in secrets {
        assert!(!texts.contains(secret), "{texts}");
    }
}

#[test]
fn a_server_that_says_its_token_is_masked_and_so_it_is_with_a_new_one() {
    let case = case(&[], "").logged_in();
    let mut client = case.setup.client(&[]);
    let call = json!({"name": "x__leak", "arguments": {}});
    let mut leaks = || client.request("tools/call", &call).text.contains("token is access-");
    assert!(!leaks());
    case.expire();
    leaks();
    assert_eq!(case.refreshes(), 1);
    wait::expect("the new token to be masked", || !leaks());
}

#[test]
fn a_token_that_ends_is_renewed_without_anybody() {
    let case = case(&[], "").logged_in();
    let old = case.expire();
    assert!(case.call("whoami").stdout.contains("called with access-"));
    let record: Value = serde_json::from_slice(&std::fs::read(case.kept()).unwrap()).unwrap();
    assert_ne!(record["access"], old);
    assert_eq!(case.refreshes(), 1);
    assert!(case.call("whoami").stdout.contains("called with access-"));
    assert_eq!(case.refreshes(), 1);
}

#[test]
fn processes_that_need_a_new_token_at_once_fetch_one() {
    let case = case(&[], "").logged_in();
    case.expire();
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..4).map(|_| scope.spawn(|| case.call("whoami"))).collect();
        for call in calls {
            let output = call.join().expect("no panic");
            assert!(output.stdout.contains("called with access-"), "{output:?}");
        }
    });
    assert_eq!(case.refreshes(), 1);
}

#[test]
fn a_login_that_cannot_be_renewed_is_over_and_says_what_to_do() {
    for flags in [&["--revoked"][..], &["--no-refresh"]] {
        let case = case(flags, "").logged_in();
        case.expire();
        if flags == ["--no-refresh"] {
            let path = case.kept();
            let text = std::fs::read_to_string(&path).unwrap().replace("\"access\":\"access", "\"access\":\"stale");
            std::fs::write(&path, text).unwrap();
        }
        let output = case.call("whoami");
        assert_eq!(output.status, Some(3), "{output:?}");
        assert!(output.stderr.contains("toolgate mcp login x"), "{output:?}");
        case.needs_a_login();
        assert_eq!(case.auth_status(), "not_logged_in");
    }
}

#[test]
fn a_gate_that_runs_uses_a_login_made_beside_it() {
    let case = case(&[], "");
    let mut client = case.setup.client(&[]);
    let call = json!({"name": "x__whoami", "arguments": {}});
    let refused = client.request("tools/call", &call);
    assert!(refused.text.contains("toolgate mcp login x"), "{refused:?}");
    let case = case.logged_in();
    let answer = client.request("tools/call", &call);
    assert!(answer.text.contains("called with access-"), "{answer:?}");
    let out = case.setup.run(&["mcp", "logout", "x"]).run();
    assert_eq!(out.status, Some(0));
    let refused = client.request("tools/call", &call);
    assert!(refused.text.contains("login"), "{refused:?}");
}

#[test]
fn more_scopes_are_asked_for_by_name() {
    let case = case(&[], "").logged_in();
    let output = case.call("write");
    assert_eq!(output.status, Some(3), "{output:?}");
    let wanted = "toolgate mcp login x --scopes mcp.read,offline_access,mcp.write";
    assert!(output.stderr.contains(wanted), "{output:?}");
    let ended = case.login(&["--scopes", "mcp.read,offline_access,mcp.write"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(case.call("write").stdout.contains("called with access-"));
    assert_eq!(case.asked("/register").len(), 1, "who we are there is remembered");
}

#[track_caller]
fn check(flags: &[&str], keys: &str, says: &str) {
    let case = case(flags, keys);
    let ended = case.login(&[]);
    assert_eq!(ended.status, Some(1), "{flags:?}: {}", ended.stdout);
    assert!(ended.stderr.contains(says), "{flags:?}: {}", ended.stderr);
    assert!(!ended.stderr.contains("a text of the server"), "{}", ended.stderr);
    assert!(!case.setup.home.codex().join("toolgate/oauth").exists(), "{flags:?}: something was kept");
    assert!(case.asked("/token").is_empty() || says.contains("refused the code"), "{flags:?}: a code was redeemed");
}

#[test]
fn a_login_is_refused_when_anything_about_it_is_wrong() {
    check(&["--iss", "https://evil.example"], "", "`iss` is wrong or missing");
    check(&["--iss", "none"], "", "`iss` is wrong or missing");
    check(&["--metadata-issuer", "https://evil.example"], "", "names another issuer");
    check(&["--resource", "https://evil.example/mcp"], "", "another resource");
    check(&["--no-pkce"], "", "PKCE");
    check(&["--deny"], "", "refused the login: access_denied");
    check(&["--no-dcr"], "", "oauth = { client_id");
    check(&["--authorize", "javascript:alert(1)"], "", "is not https");
    check(&["--authorize", "file:///etc/passwd"], "", "is not https");
    check(&["--authorize=--x"], "", "cannot be used");
    check(&["--token", "http://2852039166/token"], "", "is not https");
    check(&["--token", "https://2852039166/token"], "", "is not a public address");
    check(&["--token", "https://[::ffff:169.254.169.254]/token"], "", "is not a public address");
    check(&["--redirect", "http://169.254.169.254/latest"], "", "redirected elsewhere");
    check(&["--method", "client_secret_post"], "oauth = { client_id = \"wrong\" }", "refused the code: invalid_client");
}

#[test]
fn a_redirect_within_the_origin_is_followed() {
    let ended = case(&["--redirect", "/.well-known/elsewhere"], "").login(&[]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
}

#[test]
fn every_way_to_be_a_client_works() {
    let given = "oauth = { client_id = \"given\", client_secret = \"given-secret\" }";
    for method in ["client_secret_basic", "client_secret_post"] {
        for (flags, keys) in [(&["--no-dcr"][..], given), (&[], "")] {
            let flags: Vec<_> = flags.iter().copied().chain(["--method", method]).collect();
            let case = case(&flags, keys).logged_in();
            assert!(case.call("whoami").stdout.contains("called with access-"), "{flags:?}");
            case.expire();
            assert!(case.call("whoami").stdout.contains("called with access-"), "{flags:?}");
        }
    }
    let document = "oauth = { client_id = \"https://client.example/toolgate.json\" }";
    let case = case(&["--no-dcr", "--cimd"], document).logged_in();
    assert_eq!(case.asked("/authorize")[0]["query"]["client_id"], "https://client.example/toolgate.json");
}

#[test]
fn a_server_without_metadata_of_its_own_is_its_own_issuer() {
    let case = case(&["--no-prm"], "").logged_in();
    assert!(case.call("whoami").stdout.contains("called with access-"));
}

#[test]
fn the_address_can_be_pasted_and_that_of_another_login_is_refused() {
    let case = case(&[], "");
    let ended =
        case.login_by(&["--no-browser"], |callback, stdin| writeln!(stdin, "\n {callback} ").expect("it reads"));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let ended = case.login_by(&["--no-browser"], |callback, stdin| {
        let other = callback.replace("state=", "state=0");
        // Over the network the wrong one is turned away, and the right one still waited for.
        assert_eq!(Request::new("GET", &other).send().expect("it listens").status, 404);
        writeln!(stdin, "{other}").expect("it reads");
    });
    assert_eq!(ended.status, Some(1));
    assert!(ended.stderr.contains("another login"), "{}", ended.stderr);
    assert!(case.call("whoami").stdout.contains("called with access-"), "the login before is still there");
}

#[test]
fn removing_a_server_forgets_its_login_unless_told_not_to() {
    for (args, left) in [(&["mcp", "remove", "x"][..], 0), (&["mcp", "remove", "x", "--keep-auth"], 1)] {
        let case = case(&[], "").logged_in();
        assert_eq!(case.setup.run(args).run().status, Some(0));
        let files = std::fs::read_dir(case.setup.home.codex().join("toolgate/oauth")).unwrap().flatten();
        assert_eq!(files.filter(|file| file.path().extension().is_some_and(|e| e == "json")).count(), left, "{args:?}");
    }
}

#[test]
fn who_cannot_log_in_is_told_in_the_words_of_codex() {
    let setup = Setup::new().top("[mcp_servers.s]\ncommand = \"a\"\n[mcp_servers.t]\nurl = \"http://127.0.0.1:9/mcp\"\nbearer_token_env_var = \"T\"");
    for (args, says) in [
        (["login", "s"], "OAuth login is only supported for streamable HTTP servers."),
        (["login", "nobody"], "No MCP server named 'nobody' found."),
        (["login", "t"], "bearer_token_env_var"),
        (["logout", "s"], "OAuth logout is only supported for streamable_http transports."),
        (["logout", "nobody"], "No MCP server named 'nobody' found in configuration."),
    ] {
        let output = setup.run(&["mcp", args[0], args[1]]).run();
        assert_eq!(output.status, Some(1), "{output:?}");
        assert!(output.stderr.contains(says), "{output:?}");
    }
}

#[test]
fn nobody_is_waited_for_without_end() {
    let case = case(&[], "");
    let output = case.setup.run(&["mcp", "login", "x", "--no-browser", "--timeout", "1"]).run();
    assert_eq!(output.status, Some(1), "{output:?}");
    assert!(output.stderr.contains("nobody came back"), "{output:?}");
    wait::expect("nothing left", || case.setup.home.codex().join("toolgate/oauth").read_dir().is_err());
}
