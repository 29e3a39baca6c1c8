//! `[mcp_servers.NAME.sandbox]`.

use super::*;
use ::sandbox::{Level, Net};

/// The bounds of a server whose `sandbox` holds `text`.
fn bounds(text: &str) -> Bounds {
    let config = read("[mcp_servers.a]\ncommand = \"x\"", &format!("[mcp_servers.a.sandbox]\n{text}"), &[]);
    one(&config).sandbox.clone().unwrap()
}

#[test]
fn a_bare_table_is_the_tightest_and_none_is_none() {
    assert_eq!(bounds(""), Bounds::default());
    assert_eq!((Bounds::default().level, Bounds::default().net), (Level::S4, Net::Off));
    assert_eq!(one(&read("[mcp_servers.a]\ncommand = \"x\"", "", &[])).sandbox, None);
}

#[test]
fn everything_can_be_said() {
    let said = bounds(
        "level = \"s3\"\nallow_degraded = \"S1\"\nnet = true\nread = [\"/a\"]\nwrite = \"/b\"\nmemory_mb = 2\n\
         cpu_sec = 3\nprocesses = 4\nopen_files = 5",
    );
    assert_eq!((said.level, said.allow_degraded, said.net), (Level::S3, Some(Level::S1), Net::On));
    assert_eq!((said.read, said.write), (vec!["/a".into()], vec!["/b".into()]));
    let limits = said.limits;
    assert_eq!((limits.memory_bytes, limits.cpu_seconds), (Some(2 << 20), Some(3)));
    assert_eq!((limits.processes, limits.open_files), (Some(4), Some(5)));
}

#[test]
fn the_network_is_off_on_or_some_hosts() {
    for (text, expected) in [
        ("net = false", Net::Off),
        ("net = \"off\"", Net::Off),
        ("network = true", Net::On),
        ("net = []", Net::Off),
        (
            "net = [\"a.com\", \"*.b.com:80\"]",
            Net::Hosts(vec!["a.com".parse().unwrap(), "*.b.com:80".parse().unwrap()]),
        ),
    ] {
        assert_eq!(bounds(text).net, expected, "{text}");
    }
}

#[test]
fn what_could_mean_less_than_was_meant_is_a_mistake() {
    let at = "toolgate.toml:5:";
    for (text, expected) in [
        ("levle = \"S4\"", "unknown key `mcp_servers.x.sandbox.levle`"),
        ("level = \"S9\"", "`level`: `S9` is none of S0, S1, S2, S3, S4"),
        ("net = \"api.example.com\"", "`net`: `api.example.com` is none of `off`, `on`"),
        (
            "net = [\"http://a\"]",
            "`net`: `http://a` is no host: write `api.example.com`, `*.example.com` or `host:port`",
        ),
        ("read = \"here\"", "`read`: `here` is not a whole path"),
        ("write = \"~/x\"", "`~` stands for nothing, because HOME is not set"),
        ("net = true\nnetwork = true", "`network` and `net` are the same setting"),
    ] {
        let config = read("", &format!("[mcp_servers.x]\ncommand = \"x\"\n\n[mcp_servers.x.sandbox]\n{text}"), &[]);
        let found = wrong(&config);
        assert!(found.contains(expected) && found.contains("usable: \n"), "{text} {at}: {found}");
    }
}

#[test]
fn what_is_no_process_cannot_be_kept() {
    mistake(
        "url = \"http://x\"\n[mcp_servers.x.sandbox]\nlevel = \"S4\"",
        "config.toml:5:16: server `x`: `sandbox`: there is no process to keep in bounds",
    );
}
