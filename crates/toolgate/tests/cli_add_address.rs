//! A server that is added by its address is connected to at once, and how that went is told.

mod common;

use common::up::Up;
use common::{Setup, TOOLGATE};
use serde_json::Value;
use testkit::cli::Home;

/// What `mcp add ARGS` says; it never fails.
fn added(home: &Home, args: &[&str]) -> String {
    let output = home.cmd(TOOLGATE, [&["mcp", "add"], args].concat()).run();
    assert_eq!(output.status, Some(0), "{args:?}: {output:#?}");
    output.stdout
}

#[test]
fn one_that_lets_us_in_says_how_many_tools_it_has() {
    let (setup, home) = (Setup::new(), Home::new());
    let up = Up::start(&setup, &["--profile", "gateway"]);
    let header = format!("Authorization={}", up.bearer());
    let text = added(&home, &["web", up.url(), &header, "X-Team=blue and green"]);
    assert_eq!(text, "Added global MCP server 'web'.\nconnected, 0 tools\n", "a gate without servers");
    let config: toml::Table = home.read("config.toml").parse().unwrap();
    let headers = &config["mcp_servers"]["web"]["http_headers"];
    assert_eq!(headers["Authorization"].as_str(), Some(up.bearer().as_str()));
    assert_eq!(headers["X-Team"].as_str(), Some("blue and green"));
}

#[test]
fn one_that_wants_to_know_who_we_are_says_how_to_log_in() {
    let (setup, home) = (Setup::new(), Home::new());
    let up = Up::start(&setup, &[]);
    let text = added(&home, &["web", up.url()]);
    assert_eq!(text, "Added global MCP server 'web'.\nneeds authentication: toolgate mcp login web\n");
}

#[test]
fn one_that_is_not_there_is_saved_all_the_same() {
    let home = Home::new();
    let text = added(&home, &["web", "http://127.0.0.1:9/mcp"]);
    assert!(text.starts_with("Added global MCP server 'web'.\nsaved, but not reachable: "), "{text}");
    assert!(home.read("config.toml").contains("url = \"http://127.0.0.1:9/mcp\""));
    let told: Value =
        serde_json::from_str(&added(&home, &["web", "http://127.0.0.1:9/mcp", "--force", "--json"])).unwrap();
    assert_eq!((&told["schema"], &told["added"][0]["state"]), (&"toolgate.add/1".into(), &"unreachable".into()));
}

#[test]
fn nobody_is_asked_when_that_is_not_wanted() {
    let home = Home::new();
    let login = "MCP server may or may not require login. Run `toolgate mcp login web` to login.\n";
    let text = added(&home, &["web", "http://127.0.0.1:9/mcp", "--no-connect"]);
    assert_eq!(text, format!("Added global MCP server 'web'.\n{login}"));
    let text = added(&home, &["other", "http://127.0.0.1:9/mcp", "--no-connect", "authorization=Bearer x"]);
    assert_eq!(text, "Added global MCP server 'other'.\n");
}
