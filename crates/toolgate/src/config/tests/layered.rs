//! Which layer wins, and how every setting tells where it is from.

use std::fs;

use expect_test::expect;
use tempfile::TempDir;

use super::super::*;
use super::wrong;

fn home(files: &[(&str, &str)]) -> TempDir {
    let home = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(home.path().join(name), text).unwrap();
    }
    home
}

fn layers(home: &TempDir, profile: Option<&str>, overrides: &[&str]) -> Result<Layers, LayersError> {
    let overrides: Vec<_> = overrides.iter().map(|&text| text.to_owned()).collect();
    let (instead, workspace, project) = (None, None, false);
    let (overrides, env) = (&overrides, &Env::default());
    Layers::read_asked(&Asked { home: home.path(), instead, overrides, profile, project, workspace, env })
}

fn read(home: &TempDir, profile: Option<&str>) -> Config {
    resolve(layers(home, profile, &[]).unwrap(), &Env::default())
}

fn url(config: &Config, name: &str) -> String {
    match &config.servers[name].transport {
        Transport::Http(http) => http.url.expose().to_owned(),
        Transport::Stdio(_) | Transport::Declared | Transport::Handlers(_) => panic!("not an address"),
    }
}

fn entry(name: &str, url: &str) -> String {
    format!("[mcp_servers.{name}]\nurl = \"http://{url}\"\n")
}

#[test]
fn the_order_of_the_layers() {
    let json = r#"{"mcp_servers": {"a": {"url": "http://json"}, "b": {"url": "http://json"}}}"#;
    let home = home(&[
        ("config.json", json),
        ("config.toml", &(entry("b", "codex") + &entry("c", "codex"))),
        ("toolgate.toml", &(entry("c", "own") + &entry("d", "own"))),
        ("w.config.toml", &(entry("d", "profile") + &entry("e", "profile"))),
    ]);
    let found = resolve(layers(&home, Some("w"), &["mcp_servers.e.url=http://here"]).unwrap(), &Env::default());
    let urls: Vec<_> = found.servers.keys().map(|name| format!("{name} {}", url(&found, name))).collect();
    assert_eq!(urls, ["a http://json", "b http://codex", "c http://own", "d http://profile", "e http://here"]);
    assert_eq!(found.servers["a"].origin.source, Source::Json);
    assert_eq!(found.servers["b"].origin.shadowed[0].path(), Some(home.path().join("config.json").as_path()));
    assert!(found.files.contains(&home.path().join("config.json")));
    assert!(found.files.contains(&home.path().join("w.config.toml")));
}

#[test]
fn a_hand_written_json_file_is_honoured() {
    let json = r#"{
  // comments are fine
  "mcp_servers": {
    "one": {"transport": "http", "url": "http://h/mcp", "headers": {"X-Key": "k"}, "enabled": true},
    "off": {"command": "x", "disabled": true},
    "odd": {"transport": "pigeon", "url": "http://h"},
  },
  "mcpServers": {"two": {"command": "x", "args": ["a"], "env": {}, "cwd": null}}
}"#;
    let home = home(&[("config.json", json)]);
    let config = read(&home, None);
    expect![[r#"
        bad: config.json:6:13: server `odd`: `transport`: unknown variant `pigeon`, expected one of `stdio`, `http`, `streamable_http`, `streamable-http`, `sse`
        usable: off one two
    "#]]
    .assert_eq(&wrong(&config).replace(&format!("{}/", home.path().display()), ""));
    let Transport::Http(http) = &config.servers["one"].transport else { panic!("an address") };
    assert_eq!((http.headers["X-Key"].expose(), http.sse), ("k", false));
    assert!(!config.servers["off"].enabled);
}

#[test]
fn a_corrupt_json_file_is_told_of_and_stops_nothing() {
    let home = home(&[("config.json", "{\n  \"mcp_servers\": {oops"), ("config.toml", &entry("a", "h"))]);
    let config = read(&home, None);
    expect![[r#"
        broken: config.json:2:19: not JSON: a key in double quotes was expected
        usable: a
    "#]]
    .assert_eq(&wrong(&config).replace(&format!("{}/", home.path().display()), ""));
    assert!(config.sound().is_ok());
}

#[test]
fn each_profile_has_its_own_servers() {
    let config =
        entry("all", "h") + "[profiles.work.mcp_servers.tracker]\nurl = \"http://t\"\n[profiles.home]\nmodel = 1\n";
    let home = home(&[("config.toml", &config), ("home.config.toml", &entry("lamp", "l")), ("bad.config.toml", "x =")]);
    let names = |profile| read(&home, profile).servers.into_keys().collect::<Vec<_>>().join(" ");
    assert_eq!(
        (names(None), names(Some("work")), names(Some("home"))),
        ("all".into(), "all tracker".into(), "all lamp".into())
    );
    for missing in ["nobody", "", "../home", "a.b"] {
        let error = layers(&home, Some(missing), &[]).unwrap_err();
        assert!(error.to_string().starts_with(&format!("there is no profile `{missing}`")), "{error}");
    }
    assert!(read(&home, Some("bad")).sound().is_err(), "who asks for it must get all of it");
}

#[test]
fn only_the_users_own_file_governs() {
    let policy = "[gate]\nprefix = \"never\"\n[[policy.rules]]\nid = \"x\"\neffect = \"allow\"\n";
    let home = home(&[("config.toml", policy), ("w.config.toml", policy)]);
    let config = read(&home, Some("w"));
    assert_eq!((config.gate.prefix, config.policy.rules.len()), (Prefix::Always, 0));
}

#[test]
fn every_setting_tells_where_it_was_written() {
    let home = home(&[
        ("config.json", r#"{"mcp_servers": {"a": {"url": "http://json", "headers": {"X": "secret"}}}}"#),
        ("config.toml", "[mcp_servers.a]\nurl = \"http://u:pw@codex\"\n[mcp_servers.a.env_http_headers]\nY = \"V\"\n"),
        (
            "toolgate.toml",
            "[mcp_servers.a]\nenabled = false\nhttp_headers = { Z = \"${env:Z}\", \"q r\" = \"k\" }\n[limits]\nmax_tools = 7\n",
        ),
    ]);
    let layers = layers(&home, None, &["mcp_servers.a.enabled=true"]).unwrap();
    let all = settings(&layers, false);
    let line = |setting: &Effective| {
        let place = setting.place.as_ref().map_or_else(String::new, ToString::to_string);
        let shadowed: Vec<_> = setting.shadowed.iter().map(ToString::to_string).collect();
        let source = setting.source.map_or("default", Source::word);
        format!("{} = {} | {source} {place} {}\n", setting.key, setting.text, shadowed.join(" "))
    };
    let written = |setting: &&Effective| setting.source.is_some() || setting.key.starts_with("gate.l");
    let text: String = all.iter().filter(written).map(line).collect();
    expect![[r#"
        gate.listen = "127.0.0.1:7420" | default  
        limits.max_tools = 7 | toolgate toolgate.toml:5:1 
        mcp_servers.a.enabled = true | override -c mcp_servers.a.enabled toolgate.toml:2:1
        mcp_servers.a.env_http_headers.Y = "V" | codex config.toml:4:1 
        mcp_servers.a.http_headers."q r" = "*****" | toolgate toolgate.toml:3:34 
        mcp_servers.a.http_headers.Z = "${env:Z}" | toolgate toolgate.toml:3:18 
        mcp_servers.a.url = "http://u:*****@codex" | codex config.toml:2:1 config.json:1:24
    "#]]
    .assert_eq(&text.replace(&format!("{}/", home.path().display()), ""));
    let own = "[mcp_servers.a]\nurl = 'http://h'\noauth = { client_id = 'me', client_secret = 'hunter22' }\nbearer_token = 'hunter22'\napi_key = 'hunter22'\n";
    let masked = settings(&Layers::from_texts("", own, &[]).unwrap(), false);
    assert!(masked.iter().all(|setting| !setting.text.contains("hunter22")), "{masked:?}");
    let clear = settings(&layers, true);
    assert!(clear.iter().any(|setting| setting.value == "http://u:pw@codex"));
}
