//! The walls of the house, as tests: who may know whom, and what no file may do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root").to_owned()
}

/// What each crate of ours depends on, outside tests.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().expect("metadata");
    let normal = |package: &cargo_metadata::Package| {
        let names = package.dependencies.iter().filter(|dep| dep.kind == DependencyKind::Normal);
        names.map(|dep| dep.name.to_string()).collect()
    };
    metadata.packages.iter().map(|package| (package.name.to_string(), normal(package))).collect()
}

const ROOMS: [&str; 9] =
    ["mcp", "gate", "sandbox", "store", "upstream", "downstream", "builtin", "toolgate", "testkit"];

#[test]
fn arrows_point_down_and_adapters_do_not_know_each_other() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("mcp", &[][..]),
        ("gate", &[]),
        ("sandbox", &[]),
        ("store", &["gate"]),
        ("upstream", &["gate", "mcp", "sandbox"]),
        ("downstream", &["gate", "mcp"]),
        ("builtin", &["gate", "mcp", "sandbox"]),
        ("toolgate", &["mcp", "gate", "sandbox", "store", "upstream", "downstream", "builtin"]),
        ("testkit", &[]),
    ]);
    for (room, depends) in arrows() {
        let Some(allowed) = allowed.get(room.as_str()) else { continue };
        let ours: Vec<_> = depends.iter().filter(|name| ROOMS.contains(&name.as_str())).collect();
        assert!(
            ours.iter().all(|name| allowed.contains(&name.as_str())),
            "`{room}` knows {ours:?}, may know {allowed:?}"
        );
    }
}

#[test]
fn the_gate_does_no_io_of_its_own_kind() {
    let arrows = arrows();
    for (room, banned) in [
        ("gate", &["sqlx", "hyper", "reqwest", "rmcp", "clap", "axum", "rustix"][..]),
        ("mcp", &["sqlx", "rmcp", "clap", "axum"]),
    ] {
        let found: Vec<_> = banned.iter().filter(|name| arrows[room].contains(**name)).collect();
        assert!(found.is_empty(), "`{room}` depends on {found:?}");
    }
    let rmcp: Vec<_> = arrows.iter().filter(|(room, deps)| *room != "testkit" && deps.contains("rmcp")).collect();
    assert!(rmcp.is_empty(), "rmcp is a peer of tests: {rmcp:?}");
}

/// Every source file of ours: path, text.
fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut dirs = vec![root().join("crates"), root().join("xtask"), root().join("bench")];
    while let Some(dir) = dirs.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let text = std::fs::read_to_string(&path).expect("readable");
                files.push((path, text));
            }
        }
    }
    assert!(files.len() > 50, "the sources were not found");
    files
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs")
}

/// Fails with the places where `wrong` finds something to say.
fn check(wrong: impl Fn(&Path, &str) -> Option<String>) {
    let found: Vec<_> = sources()
        .iter()
        .filter_map(|(path, text)| Some(format!("{}: {}", path.display(), wrong(path, text)?)))
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn every_module_says_what_it_is() {
    check(|path, text| {
        let excused = is_test(path) || text.starts_with("//!");
        (!excused).then(|| "has no `//!` at its head".to_owned())
    });
}

#[test]
fn files_stay_below_four_hundred_lines() {
    check(|path, text| {
        if is_test(path) {
            return None;
        }
        let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
        (lines > 400).then(|| format!("{lines} lines before its tests"))
    });
}

#[test]
fn nothing_is_left_undone() {
    let stubs =
        [["to", "do!("].concat(), ["unimple", "mented!("].concat(), ["#[ig", "nore]"].concat(), ["FIX", "ME"].concat()];
    check(|_, text| stubs.iter().find(|stub| text.contains(stub.as_str())).map(|stub| format!("has `{stub}`")));
}

#[test]
fn unsafe_code_stays_in_the_sandbox() {
    let word = ["uns", "afe "].concat();
    check(|path, text| {
        let excused =
            path.components().any(|part| part.as_os_str() == "sandbox") || path.ends_with("xtask/tests/tidy.rs");
        let code = text.lines().any(|line| line.trim_start().starts_with(&word) || line.contains(&format!("= {word}")));
        (!excused && code).then(|| "has unsafe code".to_owned())
    });
}
