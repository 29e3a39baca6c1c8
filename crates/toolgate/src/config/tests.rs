//! What the files say, and what it is taken to mean.

mod bounds;
mod governing;
mod layered;
mod managed;
mod projects;
mod references;

use std::time::Duration;

use expect_test::{Expect, expect};

use super::layers::Layers;
use super::*;

fn read(config: &str, toolgate: &str, overrides: &[&str]) -> Config {
    let env = Env::from_iter([("PATH", "/nowhere")]);
    resolve(Layers::from_texts(config, toolgate, overrides).unwrap(), &env)
}

fn one(config: &Config) -> &Server {
    assert_eq!((config.bad.as_slice(), config.broken.as_slice()), (&[][..], &[][..]));
    config.servers.values().next().unwrap()
}

/// All that was found wrong, one line each.
fn wrong(config: &Config) -> String {
    let hint = |hint: &Option<String>| hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    let mut text = String::new();
    for broken in &config.broken {
        text += &format!("broken: {}{}\n", broken.problem, hint(&broken.problem.hint));
    }
    for bad in &config.bad {
        text += &format!("bad: {bad}{}\n", hint(&bad.problem.hint));
    }
    for warning in &config.warnings {
        text += &format!("warning: {warning}{}\n", hint(&warning.hint));
    }
    for lint in &config.lints {
        text += &format!("lint: {lint}{}\n", hint(&lint.hint));
    }
    text + &format!("usable: {}\n", config.servers.keys().cloned().collect::<Vec<_>>().join(" "))
}

fn check(config: &str, toolgate: &str, overrides: &[&str], expected: &Expect) {
    expected.assert_eq(&wrong(&read(config, toolgate, overrides)));
}

/// One wrong entry beside a good one: the message, and the good one survives.
fn mistake(entry: &str, expected: &str) {
    let found = read(&format!("[mcp_servers.good]\ncommand = \"g\"\n[mcp_servers.x]\n{entry}\n"), "", &[]);
    assert_eq!(found.bad.len(), 1, "{entry}: {}", wrong(&found));
    assert_eq!(found.bad[0].to_string(), expected, "{entry}");
    assert_eq!(found.servers.keys().collect::<Vec<_>>(), ["good"]);
}

#[test]
fn no_files_is_an_empty_configuration_with_defaults() {
    let config = read("", "", &[]);
    assert_eq!(wrong(&config), "usable: \n");
    assert_eq!((config.gate, config.limits), (Gate::default(), Limits::default()));
}

#[test]
fn an_entry_of_one_line_gets_every_default() {
    let config = read("[mcp_servers.a]\ncommand = \"x\"", "", &[]);
    expect![[r#"
        Server {
            name: "a",
            origin: Origin {
                source: Codex,
                place: File {
                    path: "config.toml",
                    line: 1,
                    column: 14,
                },
                added: [],
                shadowed: [],
            },
            label: None,
            version: None,
            enabled: true,
            barred: None,
            required: false,
            transport: Stdio(
                Stdio {
                    command: "x",
                    args: [],
                    env: {},
                    env_vars: [],
                    cwd: None,
                    split: false,
                },
            ),
            declared: [],
            startup: Lazy,
            startup_timeout: 30s,
            tool_timeout: 300s,
            idle_timeout: None,
            written: Written {
                startup_timeout: false,
                tool_timeout: false,
            },
            enabled_tools: None,
            disabled_tools: [],
            default_approval: None,
            tool_approvals: {},
            tools: [],
            scope: Scope {
                workspaces: [],
                teams: [],
            },
            data: ServerData {
                detect: All,
                allow: [],
                handles: false,
                restore: [],
            },
            auth_model: None,
            audit_sink: "ledger",
            read_only: false,
            trust: Trusted,
            protocol: Auto,
            prefix: Always,
            supports_parallel_tool_calls: false,
            sandbox: None,
            limits: ServerLimits {
                max_message_bytes: 16777216,
                max_concurrent_calls: 64,
                max_tools: 2048,
                max_pages: 100,
                max_result_bytes: None,
            },
        }
    "#]]
    .assert_debug_eq(one(&config));
}

const EVERY_KEY: &str = r#"
[mcp_servers.a]
command = "x"
args = ["1", "a b"]
env_vars = ["V", { name = "W", source = "local" }, { name = "R", source = "remote" }]
cwd = "rel"
enabled = false
required = true
startup_timeout_sec = 1.5
startup_timeout_ms = 9
tool_timeout_sec = 4
startup_readiness = "catalog"
default_tools_approval_mode = "writes"
enabled_tools = ["t1"]
disabled_tools = ["t2"]
supports_parallel_tool_calls = true
omit_tools_from = ["direct"]
tool_input_schema_max_bytes = 100
environment_id = "local"
name = "legacy"
[mcp_servers.a.env]
"K" = "hunter2"
[mcp_servers.a.tools.t1]
approval_mode = "approve"
output_token_limit = 10
"#;

const EVERY_OWN_KEY: &str = r#"
[mcp_servers.a]
startup = "eager"
protocol = "modern"
prefix = "never"
trust = "trusted"
read_only = true
idle_timeout_sec = 0.5
version = "1.2"
limits = { max_tools = 5 }
"#;

#[test]
fn every_key_of_a_child_process_is_read() {
    let config = read(EVERY_KEY, EVERY_OWN_KEY, &[]);
    assert_eq!(wrong(&config), "usable: a\n");
    expect![[r#"
        Stdio(
            Stdio {
                command: "x",
                args: [
                    "1",
                    "a b",
                ],
                env: {
                    "K": *****,
                },
                env_vars: [
                    "V",
                    "W",
                ],
                cwd: Some(
                    "rel",
                ),
                split: false,
            },
        )
    "#]]
    .assert_debug_eq(&one(&config).transport);
}

#[test]
fn every_key_of_any_server_is_read() {
    let config = read(EVERY_KEY, EVERY_OWN_KEY, &[]);
    let mut server = one(&config).clone();
    // Shown above.
    server.transport = read("", "[mcp_servers.x]\ncommand = \"x\"", &[]).servers["x"].transport.clone();
    expect![[r#"
        Server {
            name: "a",
            origin: Origin {
                source: Codex,
                place: File {
                    path: "config.toml",
                    line: 2,
                    column: 14,
                },
                added: [
                    File {
                        path: "toolgate.toml",
                        line: 2,
                        column: 14,
                    },
                ],
                shadowed: [],
            },
            label: Some(
                "legacy",
            ),
            version: Some(
                "1.2",
            ),
            enabled: false,
            barred: None,
            required: true,
            transport: Stdio(
                Stdio {
                    command: "x",
                    args: [],
                    env: {},
                    env_vars: [],
                    cwd: None,
                    split: false,
                },
            ),
            declared: [],
            startup: Eager,
            startup_timeout: 1.5s,
            tool_timeout: 4s,
            idle_timeout: Some(
                500ms,
            ),
            written: Written {
                startup_timeout: true,
                tool_timeout: true,
            },
            enabled_tools: Some(
                [
                    "t1",
                ],
            ),
            disabled_tools: [
                "t2",
            ],
            default_approval: Some(
                Writes,
            ),
            tool_approvals: {
                "t1": Approve,
            },
            tools: [
                (
                    "t1",
                    ToolSettings {
                        declared: Declared {
                            read_only: None,
                            high_impact: None,
                        },
                        max_result_bytes: Some(
                            40,
                        ),
                    },
                ),
            ],
            scope: Scope {
                workspaces: [],
                teams: [],
            },
            data: ServerData {
                detect: All,
                allow: [],
                handles: false,
                restore: [],
            },
            auth_model: None,
            audit_sink: "ledger",
            read_only: true,
            trust: Trusted,
            protocol: Modern,
            prefix: Never,
            supports_parallel_tool_calls: true,
            sandbox: None,
            limits: ServerLimits {
                max_message_bytes: 16777216,
                max_concurrent_calls: 64,
                max_tools: 5,
                max_pages: 100,
                max_result_bytes: None,
            },
        }
    "#]]
    .assert_debug_eq(&server);
}

#[test]
fn every_key_of_an_http_server_is_read() {
    let text = r#"
        [mcp_servers.h]
        url = "https://u:pw@h/mcp?token=abc"
        bearer_token_env_var = "T"
        http_headers = { X = "1" }
        env_http_headers = { Y = "Z" }
        http_headers_helper = "print-headers"
        auth = "oauth"
        oauth = { client_id = "c" }
        oauth_resource = "r"
        scopes = ["s"]
    "#;
    let config = read(text, "", &[]);
    assert_eq!((config.bad.len(), config.broken.len(), config.warnings.len()), (0, 0, 0));
    expect![[r#"
        Http(
            Http {
                url: "https://u:*****@h/mcp?token=*****",
                headers: {
                    "X": *****,
                },
                env_headers: {
                    "Y": "Z",
                },
                bearer_token_env_var: Some(
                    "T",
                ),
                headers_helper: Some(
                    *****,
                ),
                oauth: OAuth {
                    client_id: Some(
                        "c",
                    ),
                    client_secret: None,
                    callback_port: None,
                    resource: Some(
                        "r",
                    ),
                    scopes: [
                        "s",
                    ],
                    registration: Auto,
                },
                sse: false,
            },
        )
    "#]]
    .assert_debug_eq(&one(&config).transport);
}

#[test]
fn synonyms_are_the_same_settings() {
    let http = |entry: &str| match &one(&read("", &format!("[mcp_servers.h]\n{entry}"), &[])).transport {
        Transport::Http(http) => http.clone(),
        Transport::Stdio(_) | Transport::Declared | Transport::Handlers(_) => panic!("{entry} is no HTTP server"),
    };
    let plain = http("url = \"http://h\"\nhttp_headers = { A = \"b\" }");
    for transport in ["transport = \"http\"", "type = \"streamable_http\"", "type = \"streamable-http\""] {
        assert_eq!(http(&format!("{transport}\nurl = \"http://h\"\nheaders = {{ A = \"b\" }}")), plain);
    }
    assert!(http("transport = \"sse\"\nurl = \"http://h\"").sse);
    let config = read("", "[mcp_servers.s]\ntransport = \"stdio\"\ncommand = \"x\"", &[]);
    assert!(matches!(one(&config).transport, Transport::Stdio(_)));
}

fn at(place: &str, message: &str) -> String {
    format!("config.toml:{place}: server `x`: {message}")
}

#[test]
fn a_transport_that_is_none_or_two_is_refused() {
    mistake("", &at("3:14", "invalid transport"));
    mistake("enabled = true", &at("3:14", "invalid transport"));
}

#[test]
fn a_wrong_command_is_refused() {
    mistake("command = 1", &at("4:1", "`command`: invalid type: integer, expected a string"));
    mistake("command = \" \"\nargs = []", &at("4:1", "`command` is empty"));
    mistake("command = \"a 'b\"", &at("4:1", "`command`: a quote is not closed"));
    mistake("command = \"a\\u0000\"", &at("4:1", "`command`: a NUL character cannot be passed on"));
}

#[test]
fn keys_of_the_other_transport_are_refused_by_name() {
    mistake("command = \"a\"\nurl = \"http://h\"", &at("5:1", "`url` is not supported for stdio"));
    mistake("command = \"a\"\nhttp_headers = {}", &at("5:1", "`http_headers` is not supported for stdio"));
    mistake("command = \"a\"\nheaders = {}", &at("5:1", "`headers` is not supported for stdio"));
    mistake("command = \"a\"\noauth = {}", &at("5:1", "`oauth` is not supported for stdio"));
    mistake("command = \"a\"\nbearer_token = \"x\"", &at("5:1", "`bearer_token` is not supported for stdio"));
    mistake(
        "url = \"http://h\"\nbearer_token = \"x\"",
        &at("5:1", "`bearer_token` is not supported for streamable_http"),
    );
    for key in ["args = []", "env = {}", "env_vars = []", "cwd = \"/\""] {
        let name = key.split(' ').next().unwrap();
        mistake(
            &format!("url = \"http://h\"\n{key}"),
            &at("5:1", &format!("`{name}` is not supported for streamable_http")),
        );
    }
    mistake("transport = \"http\"\ncommand = \"a\"", &at("5:1", "`command` is not supported for streamable_http"));
    mistake("transport = \"http\"", &at("3:14", "`url` is missing"));
    mistake("transport = \"stdio\"", &at("3:14", "`command` is missing"));
    mistake(
        "transport = \"ws\"\nurl = \"http://h\"",
        &at(
            "4:1",
            "`transport`: unknown variant `ws`, expected one of `stdio`, `http`, `streamable_http`, `streamable-http`, `sse`",
        ),
    );
    mistake("transport = \"http\"\ntype = \"http\"", &at("5:1", "`type` and `transport` are the same setting"));
}

#[test]
fn a_wrong_address_or_header_is_refused() {
    for url in ["", "notaurl", "ftp://h", "http://", "http://:80/", "http://a b/", "http://u:p@"] {
        mistake(&format!("url = \"{url}\""), &at("4:1", "`url` is not an http:// or https:// address"));
    }
    mistake(
        "url = \"http://h\"\nhttp_headers = { \"a b\" = \"x\" }",
        &at("5:1", "`http_headers`: `a b` is no header name"),
    );
    mistake(
        "url = \"http://h\"\nhttp_headers = { A = \"s\\r\\nB: t\" }",
        &at("5:1", "`http_headers`: the value of `A` has a control character"),
    );
    mistake(
        "url = \"http://h\"\nenv_http_headers = { \"\" = \"x\" }",
        &at("5:1", "`env_http_headers`: `` is no header name"),
    );
    mistake("url = \"http://h\"\nhttp_headers_helper = \"\"", &at("5:1", "`http_headers_helper` must not be empty"));
    mistake(
        "url = \"http://h\"\noauth = { client_secret = \"s\" }",
        &at("5:11", "`oauth.client_secret` needs `oauth.client_id`"),
    );
    mistake(
        "url = \"http://h\"\noauth = { callback_port = 70000 }",
        &at("5:11", "`oauth.callback_port`: a port is a number from 1 to 65535"),
    );
    mistake("command = \"a\"\nscopes = [\"s\"]", &at("5:1", "`scopes` is not supported for stdio"));
}

#[test]
fn a_setting_of_the_wrong_kind_is_refused() {
    mistake("command = \"a\"\nargs = \"b\"", &at("5:1", "`args`: invalid type: string, expected an array"));
    mistake("command = \"a\"\nargs = [1]", &at("5:9", "`args`: invalid type: integer, expected a string"));
    mistake("command = \"a\"\nenv = { A = 1 }", &at("5:9", "`env`: invalid type: integer, expected a string"));
    mistake(
        "command = \"a\"\nenv = { \"A=\" = \"b\" }",
        &at("5:1", "the name of a variable may not be empty nor hold `=`"),
    );
    mistake("command = \"a\"\nenv_vars = [\"\"]", &at("5:1", "the name of a variable may not be empty nor hold `=`"));
    mistake(
        "command = \"a\"\nenv_vars = [{ name = \"A\", source = \"x\" }]",
        &at("5:13", "`env_vars`: unsupported source `x`, expected `local` or `remote`"),
    );
    mistake("command = \"a\"\nenabled = \"yes\"", &at("5:1", "`enabled`: invalid type: string, expected a boolean"));
}

#[test]
fn a_setting_out_of_range_is_refused() {
    mistake(
        "command = \"a\"\nstartup_timeout_sec = -1",
        &at(
            "5:1",
            "`startup_timeout_sec`: invalid number of seconds: cannot convert float seconds to Duration: value is negative",
        ),
    );
    mistake(
        "command = \"a\"\ntool_timeout_sec = \"1\"",
        &at("5:1", "`tool_timeout_sec`: invalid type: string, expected a number of seconds"),
    );
    mistake(
        "command = \"a\"\nstartup_timeout_ms = -1",
        &at("5:1", "`startup_timeout_ms`: invalid number of milliseconds: it is negative"),
    );
    mistake(
        "command = \"a\"\ndefault_tools_approval_mode = \"never\"",
        &at(
            "5:1",
            "`default_tools_approval_mode`: unknown variant `never`, expected one of `auto`, `prompt`, `writes`, `approve`, `deny`",
        ),
    );
    mistake(
        "command = \"a\"\ntools = { t = { approval_mode = 1 } }",
        &at("5:17", "`approval_mode`: invalid type: integer, expected a string"),
    );
    mistake(
        "command = \"a\"\nlimits = { max_tools = 0 }",
        &at("5:12", "`max_tools`: invalid value: 0, expected a number above zero"),
    );
    mistake(
        "command = \"a\"\nenvironment_id = \"cloud\"",
        &at("5:1", "`environment_id`: toolgate starts servers in the environment `local` only"),
    );
    mistake(
        "command = \"a\"\nread_only = 1979-05-27",
        &at("5:1", "`read_only`: invalid type: datetime, expected a boolean"),
    );
}

#[test]
fn an_entry_that_is_no_table_is_a_bad_server() {
    check(
        "[mcp_servers]\na = 1\nb = { command = \"x\" }",
        "",
        &[],
        &expect![[r#"
        bad: config.toml:2:1: server `a`: invalid type: integer, expected a table
        usable: b
    "#]],
    );
    check(
        "mcp_servers = 1",
        "[mcp_servers.b]\ncommand = \"x\"",
        &[],
        &expect![[r#"
        broken: config.toml:1:1: `mcp_servers`: invalid type: integer, expected a table
        usable: b
    "#]],
    );
}

#[test]
fn a_file_that_does_not_parse_harms_only_what_it_names() {
    let broken = "[mcp_servers.a]\ncommand = \"x\"\n[mcp_servers.b\n";
    check(
        broken,
        "[mcp_servers.c]\ncommand = \"x\"",
        &[],
        &expect![[r#"
        broken: config.toml:3:15: unclosed table, expected `]`
        bad: config.toml:3:15: server `a`: its file does not parse: unclosed table, expected `]`
        bad: config.toml:3:15: server `b`: its file does not parse: unclosed table, expected `]`
        usable: c
    "#]],
    );
    assert!(read(broken, "", &[]).sound().is_ok());
}

#[test]
fn restrictions_that_cannot_be_read_are_never_dropped_silently() {
    let config = "[mcp_servers.a]\ncommand = \"x\"\n[mcp_servers.c]\ncommand = \"x\"";
    let found = read(config, "[mcp_servers.a]\nread_only = true\n=", &[]);
    expect![[r#"
        broken: toolgate.toml:3:1: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`
        broken: toolgate.toml:3:2: string values must be quoted, expected literal string
        bad: toolgate.toml:3:1: server `a`: its file does not parse: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`
        usable: c
    "#]]
    .assert_eq(&wrong(&found));
    assert!(found.sound().is_err());
    for own in ["[[policy.rules]]\n", "[gate]\nprefix = \"no\"", "[limits]\nmax_tools = 0", "gate = 1"] {
        assert!(read(config, own, &[]).sound().is_err(), "{own}");
    }
    assert!(read(config, "", &["gate.prefix=no"]).sound().is_err());
}

#[test]
fn unknown_keys_are_warned_of_with_what_was_meant() {
    check(
        "[mcp_servers.a]\ncommand = \"x\"\nenabeld = true\n[mcp_servers.a.tools.t]\nmode = \"x\"\n[other]\nx = 1",
        "gaet = 1\nwhatever = 1\n[gate]\nlisten_on = 1\n[limits]\nmax_tool = 1\n[mcp_servers.a]\nlimits = { max_page = 1 }",
        &["model=x"],
        &expect![[r#"
            warning: toolgate.toml:4:1: unknown key `gate.listen_on` is ignored (did you mean `listen`?)
            warning: toolgate.toml:6:1: unknown key `limits.max_tool` is ignored (did you mean `max_tools`?)
            warning: toolgate.toml:1:1: unknown key `gaet` is ignored (did you mean `gate`?)
            warning: toolgate.toml:2:1: unknown key `whatever` is ignored
            warning: config.toml:5:1: unknown key `mcp_servers.a.tools.t.mode` is ignored
            warning: toolgate.toml:8:12: unknown key `mcp_servers.a.limits.max_page` is ignored (did you mean `max_pages`?)
            warning: config.toml:3:1: unknown key `mcp_servers.a.enabeld` is ignored (did you mean `enabled`?)
            usable: a
        "#]],
    );
}

#[test]
fn settings_codex_would_stumble_over_are_honoured_and_warned_of() {
    let config = read(
        "[mcp_servers.a]\ncommand = \"x\"\nread_only = true\ntools = { t = { approval_mode = \"deny\" } }",
        "",
        &[],
    );
    assert!(config.servers["a"].read_only);
    expect![[r#"
        warning: config.toml:3:1: `mcp_servers.a.read_only`: Codex does not know this setting and drops or refuses it (move it to toolgate.toml)
        warning: config.toml:4:1: `mcp_servers.a.tools`: Codex does not know this setting and drops or refuses it (move it to toolgate.toml)
        usable: a
    "#]]
    .assert_eq(&wrong(&config));
}

#[test]
fn the_upper_file_adds_to_a_server_or_replaces_it() {
    let below = "[mcp_servers.a]\ncommand = \"x\"\nargs = [\"1\"]\ndisabled_tools = [\"t\"]";
    let added = read(below, "[mcp_servers.a]\nread_only = true\ntool_timeout_sec = 1", &[]);
    let server = one(&added);
    assert_eq!((server.read_only, server.tool_timeout), (true, Duration::from_secs(1)));
    assert_eq!((server.origin.source, server.origin.added.len()), (Source::Codex, 1));

    let replaced = read(below, "[mcp_servers.a]\nurl = \"http://h\"", &[]);
    let server = one(&replaced);
    assert_eq!(server.disabled_tools, Vec::<String>::new());
    assert_eq!(server.origin.source, Source::Toolgate);
    assert_eq!(server.origin.shadowed[0].to_string(), "config.toml:1:14");
}

#[test]
fn settings_for_a_server_that_is_not_there_suggest_one_that_is() {
    check(
        "[mcp_servers.github]\ncommand = \"x\"",
        "[mcp_servers.githbu]\nread_only = true",
        &[],
        &expect![[r#"
        bad: toolgate.toml:1:14: server `githbu`: invalid transport (did you mean `github`?)
        usable: github
    "#]],
    );
}

fn command(overrides: &[&str]) -> (String, Vec<String>, bool) {
    match &one(&read("", "", overrides)).transport {
        Transport::Stdio(stdio) => (stdio.command.clone(), stdio.args.clone(), stdio.split),
        Transport::Http(_) | Transport::Declared | Transport::Handlers(_) => panic!("not a command"),
    }
}

#[test]
fn a_command_line_in_one_string_is_split_into_words() {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let split = command(&["mcp_servers.t.command=python3 'a b.py' -x"]);
    assert_eq!(split, ("python3".to_owned(), words(&["a b.py", "-x"]), true));
    let quoted = command(&["mcp_servers.t.command=\"echo debug\""]);
    assert_eq!(quoted, ("echo".to_owned(), words(&["debug"]), true));
    let with_args = command(&["mcp_servers.t.command=a b", "mcp_servers.t.args=[\"c\"]"]);
    assert_eq!(with_args, ("a b".to_owned(), words(&["c"]), false));
}

#[test]
fn a_file_with_blanks_in_its_name_is_not_split() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("my server"), "").unwrap();
    let path = dir.path().join("my server").display().to_string();
    assert_eq!(command(&[&format!("mcp_servers.t.command={path}")]), (path, vec![], false));
    let env = Env::from_iter([("PATH", dir.path().display().to_string())]);
    let layers = Layers::from_texts("[mcp_servers.a]\ncommand = \"my server\"", "", &[]).unwrap();
    let config = resolve(layers, &env);
    assert!(matches!(&one(&config).transport, Transport::Stdio(stdio) if !stdio.split));
}

#[test]
fn overrides_win_over_files_key_by_key() {
    let text = "[mcp_servers.a]\ncommand = \"x\"\nargs = [\"1\"]\nenv = { A = \"1\" }";
    let config = read(text, "", &["mcp_servers.a.args=[]", "mcp_servers.a.env.B=two", "mcp_servers.a.enabled=false"]);
    let server = one(&config);
    let Transport::Stdio(stdio) = &server.transport else { panic!("not a command") };
    assert_eq!((stdio.command.as_str(), stdio.args.len(), server.enabled), ("x", 0, false));
    assert_eq!(stdio.env.keys().collect::<Vec<_>>(), ["A", "B"]);
    assert_eq!(stdio.env["B"].expose(), "two");
}

#[test]
fn override_keys_may_be_quoted_or_plain() {
    for key in ["mcp_servers.\"a/b\".command", "mcp_servers.a/b.command"] {
        assert_eq!(one(&read("", "", &[&format!("{key}=x")])).name, "a/b");
    }
    let table = read("", "", &["mcp_servers.x={command=\"c\", args=[\"1\"]}"]);
    assert_eq!(one(&table).name, "x");
}

#[test]
fn an_override_without_key_or_value_is_refused_without_quoting_its_value() {
    for argument in ["nothing", "=secret", "a..b=secret", " =secret"] {
        let error = Layers::from_texts("", "", &[argument]).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn the_gates_own_settings_are_read() {
    let config = read(
        "[mcp_servers.a]\ncommand = \"x\"\n[mcp_servers.b]\ncommand = \"x\"",
        r#"
        [gate]
        listen = "127.0.0.1:1"
        prefix = "conditional"
        tool_names = "mcp"
        profile = "gateway"
        startup = "eager"
        [limits]
        max_message_bytes = 1
        max_concurrent_calls = 2
        max_concurrent_calls_per_server = 3
        max_tools = 4
        max_pages = 5
        max_output_bytes = 6
        [mcp_servers.b]
        startup = "lazy"
        limits = { max_concurrent_calls = 9 }
        "#,
        &["gate.listen=127.0.0.1:2"],
    );
    assert_eq!(wrong(&config), "usable: a b\n");
    expect![[r#"
        (
            Gate {
                listen: 127.0.0.1:2,
                prefix: Conditional,
                tool_names: Mcp,
                profile: Gateway,
                startup: Eager,
                compact_schemas_above: None,
            },
            Limits {
                max_message_bytes: 1,
                max_concurrent_calls: 2,
                max_calls_per_session: None,
                max_repeated_calls: None,
                max_output_bytes: 6,
                server: ServerLimits {
                    max_message_bytes: 1,
                    max_concurrent_calls: 3,
                    max_tools: 4,
                    max_pages: 5,
                    max_result_bytes: None,
                },
            },
        )
    "#]]
    .assert_debug_eq(&(config.gate, config.limits));
    let (a, b) = (&config.servers["a"], &config.servers["b"]);
    assert_eq!((a.startup, a.prefix, a.limits.max_concurrent_calls), (Startup::Eager, Prefix::Conditional, 3));
    assert_eq!((b.startup, b.limits.max_concurrent_calls, b.limits.max_tools), (Startup::Lazy, 9, 4));
}

#[test]
fn listening_needs_an_address_with_a_port() {
    check(
        "",
        "[gate]\nlisten = \"localhost\"",
        &[],
        &expect![[r#"
        broken: toolgate.toml:2:1: `listen` is no address with a port (write it like `127.0.0.1:7420`)
        usable: 
    "#]],
    );
}

#[test]
fn no_debug_output_of_a_configuration_holds_a_secret() {
    let config = read(
        "[mcp_servers.a]\ncommand = \"x\"\nenv = { K = \"s3cret-1\" }\n[mcp_servers.b]\nurl = \"http://u:s3cret-2@h/?key=s3cret-3\"\nhttp_headers = { A = \"s3cret-4\" }\nhttp_headers_helper = \"s3cret-5\"",
        "",
        &[],
    );
    assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
}

fn server(entry: &str) -> Server {
    one(&read(&format!("[mcp_servers.x]\n{entry}"), "", &[])).clone()
}

#[test]
fn a_child_gets_the_listed_variables_then_the_named_then_its_own() {
    let env = Env::from_iter([
        ("PATH", "/bin"),
        ("HOME", "/h"),
        ("LANG", "C"),
        ("OPENAI_API_KEY", "k"),
        ("HTTPS_PROXY", "p"),
        ("CODEX_HOME", "c"),
        ("V", "v"),
    ]);
    let pairs =
        child_env(&server("command = \"x\"\nenv_vars = [\"V\", \"UNSET\"]\nenv = { LANG = \"de\", N = \"1\" }"), &env);
    let lines: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(lines, ["HOME=/h", "LANG=de", "N=1", "PATH=/bin", "V=v"]);
    assert_eq!(child_env(&server("url = \"http://h\""), &env), []);
}

fn check_secrets(entry: &str, expected: &[&str]) {
    let env = Env::from_iter([
        ("TOK", "tok-from-env"),
        ("MY_TOKEN", "my-token"),
        ("PLAIN", "plain-from-env"),
        ("HDR", "Basic dXNlcjpwdw"),
    ]);
    let found = secrets(&server(entry), &env);
    assert_eq!(found.iter().map(gate::Secret::expose).collect::<Vec<_>>(), expected, "{entry}");
}

#[test]
fn what_is_secret_is_known_to_the_masks_and_what_is_not_is_left_alone() {
    check_secrets(
        "command = \"x\"\nenv = { API_KEY = \"abcdef\", DIRS = \"/home/me\", SHORT_TOKEN = \"abc\" }",
        &["abcdef"],
    );
    check_secrets("command = \"x\"\nenv_vars = [\"MY_TOKEN\", \"PLAIN\"]", &["my-token"]);
    check_secrets(
        "command = \"x\"\nenv = { GITHUB_PAT = \" ghp_123456 \", GIT_AUTHOR_NAME = \"Ada Lovelace\" }",
        &["ghp_123456"],
    );
    check_secrets(
        "command = \"x\"\nargs = [\"postgres://u:p%40ssword@h/db\"]\nenv = { DB = \"mysql://u:hunter22@h\" }",
        &["hunter22", "p%40ssword", "p@ssword"],
    );
    check_secrets(
        "url = \"http://h?api_key=query-key\"\nbearer_token_env_var = \"TOK\"\nhttp_headers = { A = \"Bearer abcdef\" }\nenv_http_headers = { B = \"HDR\", C = \"UNSET\" }",
        &["Basic dXNlcjpwdw", "Bearer abcdef", "abcdef", "dXNlcjpwdw", "query-key", "tok-from-env"],
    );
}

#[test]
fn the_home_is_codexs() {
    let home = |pairs: &[(&str, &str)]| pairs.iter().copied().collect::<Env>().codex_home();
    assert_eq!(home(&[("CODEX_HOME", "/c"), ("HOME", "/h")]), Some("/c".into()));
    assert_eq!(home(&[("CODEX_HOME", ""), ("HOME", "/h")]), Some("/h/.codex".into()));
    assert_eq!(home(&[]), None);
}
