//! Logins on disk.

use super::super::registration::Method;
use super::*;
use std::os::unix::fs::PermissionsExt;
use tempfile::tempdir;

const URL: &str = "https://mcp.example/mcp";

fn record(server: &str, issuer: &str) -> Record {
    Record {
        schema: SCHEMA.to_owned(),
        server: server.to_owned(),
        url: URL.to_owned(),
        issuer: issuer.to_owned(),
        resource: URL.to_owned(),
        token_endpoint: Address::try_from("https://as.example/token".to_owned()).unwrap(),
        revocation_endpoint: None,
        client: Client { id: "id".into(), secret: None, method: Method::None, redirect: None },
        access: Some("access-token".into()),
        refresh: Some("refresh-token".into()),
        obtained_ms: 1_000,
        expires_ms: Some(61_000),
        scopes: vec!["read".into()],
    }
}

fn found(dir: &Path, server: &str, url: &str) -> Option<Record> {
    find(dir, server, &url.parse().unwrap()).unwrap()
}

#[test]
fn a_login_belongs_to_one_server_at_one_place() {
    let dir = tempdir().unwrap();
    keep(dir.path(), &record("a", "https://as.example")).unwrap();
    assert!(found(dir.path(), "a", URL).is_some());
    assert!(found(dir.path(), "a", "https://mcp.example/mcp?key=1").is_some());
    assert!(found(dir.path(), "b", URL).is_none());
    assert!(found(dir.path(), "a", "https://other.example/mcp").is_none());
    assert!(!forget(dir.path(), "b").unwrap());
    assert!(forget(dir.path(), "a").unwrap());
    assert!(found(dir.path(), "a", URL).is_none());
}

#[test]
fn another_issuer_takes_the_place_of_the_first_and_shares_nothing_with_it() {
    let dir = tempdir().unwrap();
    let (one, two) = (record("a", "https://one.example"), record("a", "https://two.example"));
    assert_ne!(one.path(dir.path()), two.path(dir.path()));
    keep(dir.path(), &one).unwrap();
    keep(dir.path(), &record("b", "https://one.example")).unwrap();
    keep(dir.path(), &two).unwrap();
    assert_eq!(found(dir.path(), "a", URL).unwrap().issuer, "https://two.example");
    assert!(!one.path(dir.path()).exists());
    assert!(found(dir.path(), "b", URL).is_some());
}

#[test]
fn only_the_owner_reads_it_and_what_others_could_read_is_refused() {
    let dir = tempdir().unwrap();
    let record = record("a", "https://as.example");
    keep(dir.path(), &record).unwrap();
    let path = record.path(dir.path());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let refused = find(dir.path(), "a", &URL.parse().unwrap());
    assert!(matches!(refused, Err(StoreError::Exposed(_))));
    assert_eq!(standing(dir.path(), "a", URL, 0), Standing::None);
    assert!(forget(dir.path(), "a").unwrap());
}

#[test]
fn a_login_stands_until_it_ends_and_nothing_renews_it() {
    let check = |change: fn(&mut Record), now, logged_in: bool| {
        let mut record = record("a", "https://as.example");
        change(&mut record);
        assert_eq!(matches!(record.standing(now), Standing::LoggedIn { .. }), logged_in);
    };
    check(|_| {}, 60_000, true);
    check(|_| {}, 61_000, true);
    check(|record| record.refresh = None, 60_000, true);
    check(|record| record.refresh = None, 61_000, false);
    check(|record| record.expires_ms = None, u64::MAX, true);
    check(Record::end, 0, false);
}

#[test]
fn a_broken_file_harms_no_other() {
    let dir = tempdir().unwrap();
    keep(dir.path(), &record("a", "https://as.example")).unwrap();
    fs::write(folder(dir.path()).join("x.json"), "{").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder(dir.path()).join("y.json")).unwrap();
    assert!(found(dir.path(), "a", URL).is_some());
    let told: Vec<_> = secrets(dir.path(), "a").iter().map(|secret| secret.expose().to_owned()).collect();
    assert_eq!(told, ["access-token", "refresh-token"]);
}
