//! What managed files demand, and that nothing a user writes relaxes it.

use std::os::unix::fs::PermissionsExt;

use expect_test::expect;

use super::*;

fn managed(user: &str, codex: &str, own: &[&str]) -> Config {
    let env = Env::from_iter([("PATH", "/nowhere"), ("CODEX_TEAM", "mine")]);
    resolve(Layers::from_texts("", user, &[]).unwrap().with_managed(codex, own), &env)
}

fn why(config: &Config) -> String {
    config.sound().unwrap_err().to_string()
}

#[test]
fn managed_rules_ask_and_deny_and_never_allow() {
    let config = managed(
        "",
        "",
        &["[[policy.rules]]\ntool = \"rm\"\noutcome = \"deny\"", "[[policy.rules]]\noutcome = \"ask\""],
    );
    let ids: Vec<_> = config.policy.managed.iter().map(|rule| (&*rule.id.0, rule.place.as_str())).collect();
    assert_eq!(
        ids,
        [
            ("managed.policy.rules[0]", "requirements-0.toml:1:1"),
            ("managed.policy.rules[1]", "requirements-1.toml:1:1")
        ]
    );
    assert_eq!((config.sound(), config.policy.rules.len()), (Ok(()), 0));
    let allows = managed("", "", &["[[policy.rules]]\ntool = \"rm\"\noutcome = \"allow\""]);
    assert_eq!(why(&allows), "requirements-0.toml:3:1: a managed rule cannot allow, only `ask` and `deny`");
}

#[test]
fn a_managed_file_that_is_not_understood_stops_everything() {
    assert!(why(&managed("", "", &["[policy"])).starts_with("requirements-0.toml:1:8"));
    assert!(why(&managed("", "=", &[])).starts_with("codex-requirements.toml:1:1"));
    assert_eq!(why(&managed("", "", &["polcy = 1"])), "requirements-0.toml:1:1: unknown key `polcy`");
    assert_eq!(
        why(&managed("", "", &["[data]\ndetekt = \"all\""])),
        "requirements-0.toml:2:1: unknown key `data.detekt`"
    );
    assert_eq!(managed("", "allowed_sandbox_modes = []", &[]).sound(), Ok(()));
}

#[test]
fn users_stay_within_what_is_left_open() {
    let user = r#"
[approvals]
by_client = true
timeout_sec = 1000
[data]
detect = "off"
allow = ["email", "phone"]
handles = true
[audit]
args = "none"
retention_days = 5
reads_when_broken = true
[mcp_servers.a]
command = "x"
data = { detect = "off", allow = ["email", "iban"], handles = true }
"#;
    let demand = r#"
require_decisions = false
high_impact = ["pay*"]
team = "theirs"
[approvals]
by_client = false
timeout_sec = 60
[data]
detect = "known"
allow = ["email"]
handles = false
[audit]
args = "masked"
retention_days = 90
strict = true
reads_when_broken = false
"#;
    let free = managed(user, "", &[]);
    assert_eq!(
        (free.data.detect, free.approvals.by_client, free.policy.team.as_deref()),
        (Detect::Off, true, Some("mine"))
    );
    let config = managed(user, "", &["[data]\nallow = [\"email\", \"iban\"]", demand]);
    assert_eq!(wrong(&config), "usable: a\n");
    assert_eq!((config.approvals.by_client, config.approvals.timeout), (false, Duration::from_secs(60)));
    let data = &config.servers["a"].data;
    assert_eq!((data.detect, &data.allow[..], data.handles), (Detect::Known, &["email".to_owned()][..], false));
    assert_eq!((config.data.detect, &config.data.allow[..]), (Detect::Known, &["email".to_owned()][..]));
    expect![[r#"
        Audit {
            args: Masked,
            retention_days: Some(
                90,
            ),
            max_bytes: None,
            strict: true,
            reads_when_broken: false,
        }
    "#]]
    .assert_debug_eq(&config.audit);
    assert_eq!((config.policy.team.as_deref(), config.policy.high_impact.len()), (Some("theirs"), 0));
    assert_eq!(config.policy.managed_high_impact, ["pay*"]);
}

#[test]
fn what_may_pass_is_within_the_patterns_of_the_managed_file() {
    let passing = |own: &str, demand: &str| {
        managed(&format!("[data]\nallow = [{own}]"), "", &[&format!("[data]\nallow = [{demand}]")]).data.allow
    };
    assert_eq!(passing("\"slack-bot-token\", \"slack-*\", \"email\"", "\"slack-*\""), ["slack-bot-token", "slack-*"]);
    assert_eq!(passing("\"*\"", "\"email\""), Vec::<String>::new());
    assert_eq!(passing("\"*\"", "\"*\""), ["*"]);
}

#[test]
fn decisions_required_above_are_required_below() {
    for demand in
        ["require_decisions = true", "[policy]\nrequire_decisions = true", "[governance]\nrequire_decisions = true"]
    {
        let config = managed("[policy]\nrequire_decisions = false\n[mcp_servers.a]\ncommand = \"x\"", "", &[demand]);
        assert_eq!(config.bad.len(), 1, "{demand}");
    }
}

fn allowed(identity: &str, server: &str) -> bool {
    let list = format!("[mcp_servers.a]\nidentity = {identity}");
    let config = managed(&format!("[mcp_servers.a]\n{server}"), &list, &[]);
    assert_eq!(wrong(&config), "usable: a\n");
    let server = &config.servers["a"];
    assert_eq!(server.enabled, server.barred.is_none());
    assert!(server.barred.as_ref().is_none_or(|barred| barred.reason == "requirements"));
    server.enabled
}

#[test]
fn a_server_has_to_be_the_one_that_is_allowed() {
    let command = "command = \"npx\"\nargs = [\"-y\", \"pkg@1\"]";
    assert!(allowed("{ command = \"npx\" }", command));
    assert!(allowed("{ command = \"npx\", args = [\"-y\", { match = \"prefix\", value = \"pkg@\" }] }", command));
    assert!(allowed("{ command = { match = \"regex\", value = \"np[xm]\" } }", command));
    assert!(!allowed("{ command = { match = \"regex\", value = \"p\" } }", command));
    assert!(!allowed("{ command = \"node\" }", command));
    assert!(!allowed("{ command = \"npx\", args = [\"-y\"] }", command));
    assert!(!allowed("{ url = \"http://h\" }", command));
    assert!(allowed("{ url = \"http://h/mcp\" }", "url = \"http://h/mcp\""));
    assert!(allowed("{ url = { match = \"prefix\", value = \"http://h/\" } }", "url = \"http://h/mcp\""));
    assert!(!allowed("{ url = \"http://h/other\" }", "url = \"http://h/mcp\""));
}

#[test]
fn a_server_that_is_on_no_list_is_barred_and_every_list_counts() {
    let user = "[mcp_servers.a]\ncommand = \"x\"\n[mcp_servers.b]\ncommand = \"x\"";
    let list = "[mcp_servers.a]\nidentity = { command = \"x\" }";
    let config = managed(user, list, &[]);
    expect![[r#"
        Some(
            Barred {
                rule: "requirements (codex-requirements.toml)",
                why: "it is not among the servers allowed by codex-requirements.toml",
                reason: "requirements",
            },
        )
    "#]]
    .assert_debug_eq(&config.servers["b"].barred);
    assert!(config.servers["a"].barred.is_none());
    let wider = "[mcp_servers.a]\nidentity = { command = \"x\" }\n[mcp_servers.b]\nidentity = { command = \"x\" }";
    assert!(managed(user, list, &[wider]).servers["b"].barred.is_some());
    assert!(managed(user, "[mcp_servers]", &[]).servers["a"].barred.is_some());
    assert!(why(&managed(user, "[mcp_servers.a]\nenabled = true", &[])).contains("`identity` is missing"));
}

/// Files on the disk: what `write` gives each, and what is read of them.
fn on_disk(config: (&str, u32), own: (&str, u32), demand: Option<(&str, u32)>) -> Config {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, (text, mode): (&str, u32)| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    write("config.toml", config);
    write("toolgate.toml", own);
    let named = demand.map_or_else(|| "".to_owned(), |demand| write("req.toml", demand));
    let env = Env::from_iter([("PATH", "/nowhere"), ("TOOLGATE_REQUIREMENTS", named.as_str())]);
    resolve(Layers::read(dir.path(), &[], &env).unwrap(), &env)
}

const ONE: &str = "[mcp_servers.a]\ncommand = \"x\"";

#[test]
fn a_file_that_anybody_can_write_is_not_believed() {
    assert_eq!(on_disk((ONE, 0o644), ("", 0o664), Some(("", 0o644))).sound(), Ok(()));
    for found in [
        on_disk((ONE, 0o666), ("", 0o600), None),
        on_disk(("", 0o600), (ONE, 0o602), None),
        on_disk(("", 0o600), (ONE, 0o600), Some(("", 0o666))),
    ] {
        let problem = found.sound().unwrap_err();
        assert!(problem.message.contains("everybody can write"), "{problem}");
        assert!(problem.hint.as_ref().unwrap().contains("chmod o-w"), "{problem:?}");
    }
    let found = on_disk((ONE, 0o666), ("", 0o600), None);
    assert_eq!(found.servers.len(), 0);
}

#[test]
fn a_managed_file_that_is_named_has_to_be_there() {
    let env = Env::from_iter([("CODEX_REQUIREMENTS", "/nowhere/req.toml")]);
    let dir = tempfile::tempdir().unwrap();
    let config = resolve(Layers::read(dir.path(), &[], &env).unwrap(), &env);
    assert!(why(&config).starts_with("/nowhere/req.toml:1:1: this managed file cannot be read"), "{}", why(&config));
}
