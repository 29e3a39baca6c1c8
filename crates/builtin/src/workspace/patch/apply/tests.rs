use super::super::trees::{NEW, OLD, PATCH, Tree, files};
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_patch_changes_everything_it_names() {
    let tree = Tree::new(&OLD);
    std::fs::set_permissions(tree.root().join("d/b"), std::fs::Permissions::from_mode(0o751)).expect("ours");
    let planned = tree.apply(PATCH, true).expect("it fits");
    assert_eq!(tree.files(), files(&OLD), "nothing is written on trial");
    let applied = tree.apply(PATCH, false).expect("it fits");
    assert_eq!((applied.files.clone(), applied.dry_run), (planned.files, false));
    assert_eq!(tree.files(), files(&NEW));
    let actions: Vec<_> = applied.files.iter().map(|file| (file.action, file.added, file.removed)).collect();
    assert_eq!(actions, [("updated", 1, 1), ("moved", 1, 1), ("deleted", 0, 1), ("added", 1, 0), ("added", 1, 0)]);
    let mode = tree.root().join("moved/to/b").metadata().expect("there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o751);
    assert_eq!(std::fs::read_dir(tree.journals()).expect("made").count(), 0);
}

#[test]
fn one_file_that_does_not_fit_keeps_all_as_they_were() {
    for (extra, expected) in [
        ("*** Update File: a\n-nowhere\n+x\n", "a: change 1 does not fit"),
        ("*** Add File: a\n+x\n", "a: there is such a file already"),
        ("*** Delete File: nothing\n", "nothing: there is no such file"),
        ("*** Add File: z\n+x\n", "z: the patch names this file twice"),
        ("*** Add File: ./z\n+x\n", "./z: the patch names this file twice"),
        ("*** Update File: a\n*** Move to: d/b\n-one\n+x\n", "it cannot move: there is a file `d/b` already"),
    ] {
        let tree = Tree::new(&OLD);
        let patch = format!("*** Begin Patch\n*** Add File: z\n+zed\n{extra}*** End Patch\n");
        let rejected = tree.apply(&patch, false).expect_err(extra).to_string();
        assert!(rejected.contains(expected), "{rejected}");
        assert_eq!(tree.files(), files(&OLD), "{extra}");
    }
}

#[test]
fn no_path_leads_out_or_to_what_is_protected() {
    for path in [
        "../out",
        "/etc/evil",
        "d/../../out",
        "link/x",
        "abs/x",
        ".git/hooks/pre-commit",
        "d/.git/config",
        ".codex/config.toml",
        "d/../.codex/x",
        ".GIT/hooks/x",
        ".env",
        ".env.production",
        "AGENTS.md",
        "hooks/x",
        "new/../../out",
        "sym",
        ".toolgate-1/x",
        ".mcp.json",
        ".vscode/tasks.json",
        "nodir/../x/../../y",
    ] {
        let tree = Tree::new(&OLD);
        std::fs::create_dir(tree.root().join(".git")).expect("made");
        for (link, to) in [("link", ".."), ("abs", "/tmp"), ("hooks", ".git"), ("sym", "a")] {
            std::os::unix::fs::symlink(to, tree.root().join(link)).expect("linked");
        }
        let add = format!("*** Begin Patch\n*** Add File: {path}\n+x\n*** End Patch\n");
        let moved = format!("*** Begin Patch\n*** Update File: a\n*** Move to: {path}\n*** End Patch\n");
        let diff = format!("--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n");
        let before = std::fs::read_dir(tree.temp.path()).expect("there").count();
        for patch in [add, moved, diff] {
            // A link within the workspace is no way out, but no file either.
            tree.apply(&patch, false).expect_err(&patch);
        }
        assert_eq!(std::fs::read_dir(tree.temp.path()).expect("there").count(), before, "{path}");
    }
}

#[test]
fn a_file_may_be_changed_in_several_parts_but_not_in_two_ways() {
    let twice = "*** Update File: a\n-one\n+1\n*** Update File: a\n-1\n+uno\n*** Add File: z\n+z\n*** Update File: ./z\n-z\n+zed\n";
    let tree = Tree::new(&OLD);
    tree.apply(&format!("*** Begin Patch\n{twice}*** End Patch\n"), false).expect("it fits");
    let found = tree.files();
    assert_eq!((found["a"].as_str(), found["z"].as_str()), ("uno\ntwo\n", "zed\n"));
    for ways in [
        "*** Delete File: a\n*** Update File: a\n-uno\n+1\n",
        "*** Update File: a\n*** Move to: b\n-uno\n+1\n*** Update File: a\n-1\n+2\n",
        "*** Update File: a\n*** Move to: b\n*** Update File: b\n*** Move to: c\n",
        "*** Update File: a\n-uno\n+1\n*** Delete File: d/../a\n",
    ] {
        let rejected =
            tree.apply(&format!("*** Begin Patch\n{ways}*** End Patch\n"), false).expect_err(ways).to_string();
        assert!(rejected.contains("[twice]") || rejected.contains("[missing]"), "{rejected}");
    }
    assert_eq!(tree.files(), found);
}

#[test]
fn a_diff_takes_away_only_what_it_shows() {
    let gone = |lines: &str| format!("--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n{lines}");
    for (text, lines, expected) in
        [("x\n", "-y\n", "does not fit"), ("x\ny\n", "-x\n", "more than the patch takes away"), ("x\n", "-x\n", "")]
    {
        let tree = Tree::new(&[("gone", text)]);
        match tree.apply(&gone(lines), false) {
            Ok(_) => assert!(expected.is_empty() && tree.files().is_empty()),
            Err(rejected) => assert!(!expected.is_empty() && rejected.to_string().contains(expected), "{rejected}"),
        }
    }
    let tree = Tree::new(&[("full", "x\n"), ("empty", "")]);
    let diff = |name: &str| format!("diff --git a/{name} b/{name}\ndeleted file mode 100644\nindex e69de29..0000000\n");
    tree.apply(&diff("full"), false).expect_err("it is not empty");
    tree.apply(&diff("empty"), false).expect("it is empty");
    assert_eq!(tree.files(), files(&[("full", "x\n")]));
}

#[test]
fn a_file_that_gets_new_words_loses_its_owners_rights() {
    let tree = Tree::new(&[("a", "x\n")]);
    let file = tree.root().join("a");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o6755)).expect("ours");
    tree.apply("*** Begin Patch\n*** Update File: a\n-x\n+y\n*** End Patch\n", false).expect("it fits");
    assert_eq!(file.metadata().expect("there").permissions().mode() & 0o7777, 0o755);
}

#[test]
fn what_is_too_much_is_refused_before_it_is_read() {
    let tree = Tree::new(&OLD);
    std::fs::File::create(tree.root().join("huge")).expect("made").set_len(1 << 40).expect("sparse");
    let many: String = (0..1_001).map(|number| format!("*** Add File: f{number}\n+x\n")).collect();
    for (body, expected) in [("*** Delete File: huge\n", "[too_much]"), (many.as_str(), "at most 1000 files")] {
        let rejected = tree.apply(&format!("*** Begin Patch\n{body}*** End Patch\n"), false).expect_err(expected);
        assert!(rejected.to_string().contains(expected), "{rejected}");
    }
    std::fs::remove_file(tree.root().join("huge")).expect("ours");
    assert_eq!(tree.files(), files(&OLD));
}
