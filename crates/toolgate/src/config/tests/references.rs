//! References in settings: what they stand for, and when.

use std::fs;

use super::super::layers::Layers;
use super::super::*;

const ENV: [(&str, &str); 4] = [("TOKEN", "s3cret-of-mine"), ("DIR", "/data"), ("EMPTY", ""), ("HOME", "/nobody")];

fn expanding(entry: &str) -> Result<Server, RefError> {
    let env = Env::from_iter(ENV);
    let layers = Layers::from_texts("", &format!("[mcp_servers.a]\n{entry}"), &[]).unwrap();
    let config = resolve(layers, &env);
    assert_eq!(config.bad, []);
    expanded(&config.servers["a"], &env)
}

fn args(written: &str) -> String {
    let server = expanding(&format!("command = \"x\"\nargs = ['{written}']")).unwrap();
    let Transport::Stdio(stdio) = server.transport else { panic!("a command") };
    stdio.args.join(" ")
}

#[test]
fn a_reference_stands_for_its_variable() {
    assert_eq!(args("${env:DIR}/x-${env:DIR}"), "/data/x-/data");
    assert_eq!(args("${env:NONE:-other}${env:EMPTY:-e}${env:DIR:-d}"), "othere/data");
    assert_eq!(args("${env:NONE:-}"), "");
}

#[test]
fn what_is_no_reference_stays_as_it_is() {
    for text in
        ["$${env:DIR}", "${DIR}", "${env:}", "${env:A B}", "${env:DIR", "$DIR", "${file:}", "${input:x}", "a$${"]
    {
        assert_eq!(args(text), text.replace("$${", "${"), "{text}");
    }
}

#[test]
fn every_setting_that_may_have_one_is_resolved() {
    let server =
        expanding("command = '${env:DIR}/run'\ncwd = '${env:DIR}'\nenv = { K = 'Bearer ${env:TOKEN}' }").unwrap();
    let Transport::Stdio(stdio) = server.transport else { panic!("a command") };
    assert_eq!((stdio.command.as_str(), stdio.cwd.unwrap().to_str().unwrap()), ("/data/run", "/data"));
    assert_eq!(stdio.env["K"].expose(), "Bearer s3cret-of-mine");
    let server = expanding("url = 'http://h${env:DIR}'\nhttp_headers = { X = '${env:TOKEN}' }").unwrap();
    let Transport::Http(http) = server.transport else { panic!("an address") };
    assert_eq!((http.url.expose(), http.headers["X"].expose()), ("http://h/data", "s3cret-of-mine"));
}

#[test]
fn one_that_stands_for_nothing_is_told_by_its_key() {
    let check = |entry: &str, expected: &str| {
        let error = expanding(entry).unwrap_err();
        assert_eq!(format!("{error} ({})", error.hint()), expected);
    };
    check(
        "command = 'x'\nenv = { K = '${env:NONE}' }",
        "`mcp_servers.a.env.K` names the environment variable NONE, which is not set (export NONE=… and try again)",
    );
    check(
        "command = 'x'\nargs = ['${env:EMPTY}']",
        "`mcp_servers.a.args` names the environment variable EMPTY, which is not set (export EMPTY=… and try again)",
    );
    check(
        "url = '${env:DIR}'",
        "`mcp_servers.a.url` is no http:// or https:// address once its references are resolved (check what the reference names)",
    );
    check(
        "command = 'x'\nargs = ['${file:/dev/null}']",
        "`mcp_servers.a.args` names the file /dev/null, which is no regular file (write the value into that file, and let nobody else read it)",
    );
}

#[test]
fn a_file_is_read_beside_the_entry_and_loses_its_last_line_end() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("token"), "from-the-file\r\n").unwrap();
    fs::write(home.path().join("long"), "x".repeat((64 << 10) + 1)).unwrap();
    let own = "[mcp_servers.a]\ncommand = 'x'\nargs = ['${file:token}']\n[mcp_servers.b]\ncommand = 'x'\nargs = ['${file:long}']";
    fs::write(home.path().join("toolgate.toml"), own).unwrap();
    let env = Env::from_iter(ENV);
    let config = resolve(Layers::read(home.path(), &[], &env).unwrap(), &env);
    let server = expanded(&config.servers["a"], &env).unwrap();
    let Transport::Stdio(stdio) = server.transport else { panic!("a command") };
    assert_eq!(stdio.args, ["from-the-file"]);
    assert!(
        expanded(&config.servers["b"], &env).unwrap_err().to_string().ends_with("which is longer than 65536 bytes")
    );
    let masked: Vec<_> = secrets(&config.servers["a"], &env).iter().map(|secret| secret.expose().to_owned()).collect();
    assert_eq!(masked, ["from-the-file"]);
}

#[test]
fn a_secret_that_is_kept_is_found_by_its_name_and_masked() {
    let home = tempfile::tempdir().unwrap();
    let env = Env::from_iter([("CODEX_HOME", home.path().display().to_string())]);
    vault(&env).unwrap().set("gh", &gate::Secret::new("kept-s3cret")).unwrap();
    let own = "[mcp_servers.a]\nurl = 'http://h'\nheaders = { X = 'Bearer ${keyring:gh}' }\n[mcp_servers.b]\ncommand = 'x'\nargs = ['${keyring:none}', '${keyring:../x}']";
    let config = resolve(Layers::from_texts("", own, &[]).unwrap(), &env);
    let Transport::Http(http) = expanded(&config.servers["a"], &env).unwrap().transport else { panic!("an address") };
    assert_eq!(http.headers["X"].expose(), "Bearer kept-s3cret");
    assert!(secrets(&config.servers["a"], &env).iter().any(|secret| secret.expose() == "kept-s3cret"));
    let error = expanded(&config.servers["b"], &env).unwrap_err();
    assert_eq!(error.to_string(), "`mcp_servers.b.args` names the secret none, which is not kept");
    assert_eq!(error.hint(), "keep it with `toolgate config secret set none`");
}

#[test]
fn what_a_reference_stands_for_is_masked_if_its_name_is_that_of_a_secret() {
    let env = Env::from_iter(ENV);
    let own = "[mcp_servers.a]\ncommand = 'x'\nargs = ['--t=${env:TOKEN}', '${env:DIR}-longer']";
    let config = resolve(Layers::from_texts("", own, &[]).unwrap(), &env);
    let masked: Vec<_> = secrets(&config.servers["a"], &env).iter().map(|secret| secret.expose().to_owned()).collect();
    assert_eq!(masked, ["s3cret-of-mine"]);
}

#[test]
fn codex_does_not_resolve_them_so_they_belong_into_our_file() {
    let env = Env::from_iter(ENV);
    let entry = "[mcp_servers.a]\ncommand = 'x'\nenv = { K = '${env:TOKEN}' }";
    let told = |codex: &str, own: &str| {
        let config = resolve(Layers::from_texts(codex, own, &[]).unwrap(), &env);
        config.warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(told(entry, ""), ["config.toml:3:1: `mcp_servers.a.env`: Codex does not resolve `${…}`"]);
    assert_eq!(told("", entry), [""; 0]);
}

#[test]
fn what_claude_code_writes_is_read_as_we_would() {
    for (theirs, ours) in [
        ("${TOKEN}", "${env:TOKEN}"),
        ("a ${A:-b} ${C}", "a ${env:A:-b} ${env:C}"),
        ("${env:X} $X ${ } ${", "${env:X} $X ${ } ${"),
    ] {
        assert_eq!(super::super::refs::from_claude(theirs), ours);
    }
}
