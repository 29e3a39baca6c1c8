use super::*;
use crate::profile::Protected;
use expect_test::{Expect, expect};
use std::os::unix::fs::symlink;

/// `work/` with `.git/`, `notes/` with `secret`, `home -> work`.
fn tree() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("work/.git")).unwrap();
    fs::create_dir_all(root.path().join("notes")).unwrap();
    fs::write(root.path().join("notes/secret"), "").unwrap();
    symlink("work", root.path().join("home")).unwrap();
    root
}

fn protected() -> Vec<Protected> {
    let of = |name: &str, kind| Protected { name: name.to_owned(), kind };
    vec![of(".git", Kind::Dir), of(".codex", Kind::Dir), of(".env", Kind::File)]
}

fn effective(level: Level) -> Effective {
    Effective { demanded: level, level, gaps: Vec::new() }
}

/// What of a plan concerns the tree, which is `@`.
fn check(level: Level, make: impl FnOnce(&Path, Profile) -> Profile, expected: Expect) {
    let root = tree();
    let base = root.path().canonicalize().unwrap();
    let profile = make(&base, Profile { protected: protected(), ..Profile::new(level, Vec::new()) });
    let drawing = draw(&profile, &effective(level), Some(&Maker::Own), base.join("tmp"));
    let mounts = drawing.plan.apart.into_iter().flat_map(|apart| apart.mounts).map(|mount| format!("{mount:?}"));
    let rules = drawing.plan.rules.into_iter().flatten().map(|rule| format!("{rule:?}"));
    let held = drawing.plan.held.iter().map(|held| format!("held {held:?}"));
    let gaps = drawing.gaps.iter().map(|gap| format!("gap {gap}"));
    let base = base.to_str().unwrap();
    let lines: Vec<_> = mounts.chain(rules).chain(held).filter(|line| line.contains(base)).chain(gaps).collect();
    expected.assert_eq(&format!("{}\n", lines.join("\n").replace(base, "@")));
}

#[test]
fn a_writable_root_has_its_protected_names_sealed_and_the_missing_ones_held() {
    check(
        Level::S4,
        |base, profile| Profile { write: vec![base.join("work")], ..profile },
        expect![[r#"
            Bind { at: "@/work", write: true }
            Guard { at: "@/work/.git" }
            Guard { at: "@/work/.codex" }
            Guard { at: "@/work/.env" }
            Rule { path: "@/work", write: true }
            held ("@/work/.codex", Dir)
            held ("@/work/.env", File)
        "#]],
    );
}

#[test]
fn a_root_that_is_reached_by_a_link_keeps_its_name() {
    check(
        Level::S4,
        |base, profile| Profile { read: vec![base.join("home")], ..profile },
        expect![[r#"
            Bind { at: "@/work", write: false }
            Link { target: "work", at: "@/home" }
        "#]],
    );
}

#[test]
fn what_is_masked_is_hidden_unless_it_is_granted_itself() {
    let masked = |base: &Path| vec![base.join("notes/secret"), base.join("nowhere"), base.join("work/.git")];
    check(
        Level::S4,
        |base, profile| Profile { read: vec![base.join("notes")], masked: masked(base), ..profile },
        expect![[r#"
            Bind { at: "@/notes", write: false }
            Hide { at: "@/notes/secret", kind: File }
        "#]],
    );
    check(
        Level::S4,
        |base, profile| Profile { read: vec![base.join("notes/secret")], masked: masked(base), ..profile },
        expect![[r#"
            Bind { at: "@/notes/secret", write: false }
        "#]],
    );
}

#[test]
fn a_protected_link_is_a_gap() {
    check(
        Level::S4,
        |base, profile| {
            symlink("x", base.join("work/.codex")).unwrap();
            Profile { write: vec![base.join("work")], ..profile }
        },
        expect![[r#"
            Bind { at: "@/work", write: true }
            Guard { at: "@/work/.git" }
            Guard { at: "@/work/.env" }
            Rule { path: "@/work", write: true }
            held ("@/work/.env", File)
            gap protected_link
        "#]],
    );
}

#[test]
fn below_namespaces_rules_alone_say_what_is_granted() {
    check(
        Level::S3,
        |base, profile| Profile {
            read: vec![base.join("notes")],
            write: vec![base.join("work")],
            masked: vec![base.join("notes/secret")],
            ..profile
        },
        expect![[r#"
            Rule { path: "@/work", write: true }
            Rule { path: "@/tmp", write: true }
        "#]],
    );
}

#[test]
fn the_loosest_levels_have_no_plan_but_limits() {
    for level in [Level::S0, Level::S1] {
        let profile = Profile::new(level, Vec::new());
        let drawing = draw(&profile, &effective(level), None, PathBuf::new());
        assert!(drawing.plan.rules.is_none() && drawing.plan.apart.is_none() && !drawing.plan.filter);
    }
}

#[test]
fn processes_are_counted_only_where_they_are_its_own() {
    for (level, expected) in [(Level::S0, None), (Level::S3, None), (Level::S4, Some(9))] {
        let limits = Limits { processes: Some(9), ..Limits::default() };
        let profile = Profile { limits, ..Profile::new(level, Vec::new()) };
        let drawing = draw(&profile, &effective(level), Some(&Maker::Own), PathBuf::new());
        assert_eq!(drawing.plan.limits.processes, expected, "{level}");
    }
}
