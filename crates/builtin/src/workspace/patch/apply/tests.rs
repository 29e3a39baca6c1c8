use super::super::super::roots::PROTECTED;
use super::super::journal;
use super::*;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

struct Tree {
    temp: tempfile::TempDir,
    roots: Roots,
    protected: Protected,
}

impl Tree {
    fn new(files: &[(&str, &str)]) -> Self {
        let temp = tempfile::tempdir().expect("temporary");
        let root = temp.path().join("ws");
        std::fs::create_dir(&root).expect("made");
        for (path, text) in files {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().expect("beneath")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        let roots = Roots::open(&[root]).expect("there");
        Self { temp, roots, protected: Protected::new(PROTECTED) }
    }

    fn root(&self) -> PathBuf {
        self.temp.path().join("ws")
    }

    fn journals(&self) -> PathBuf {
        self.temp.path().join("journals")
    }

    fn apply(&self, patch: &str, dry_run: bool) -> Result<Applied, Rejected> {
        apply(Place { roots: &self.roots, protected: &self.protected, journals: &self.journals() }, patch, dry_run)
    }

    /// Everything that is there, whatever its name.
    fn files(&self) -> BTreeMap<String, String> {
        let (mut files, mut dirs) = (BTreeMap::new(), vec![self.root()]);
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).expect("there").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    dirs.push(path);
                } else {
                    let name = path.strip_prefix(self.root()).expect("beneath").display().to_string();
                    files.insert(name, std::fs::read_to_string(path).expect("text"));
                }
            }
        }
        files
    }
}

fn files(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

const OLD: [(&str, &str); 3] = [("a", "one\ntwo\n"), ("d/b", "bee\n"), ("gone", "x\n")];
const NEW: [(&str, &str); 4] = [("a", "one\n2\n"), ("moved/to/b", "Bee\n"), ("n/e/w", "new\n"), ("z", "zed\n")];
const PATCH: &str = "*** Begin Patch\n*** Update File: a\n@@\n one\n-two\n+2\n*** Update File: d/b\n*** Move to: moved/to/b\n\
    -bee\n+Bee\n*** Delete File: gone\n*** Add File: n/e/w\n+new\n*** Add File: z\n+zed\n*** End Patch\n";

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

/// Puts the patch in place as far as `steps`, and is then no more.
fn killed_after(tree: &Tree, steps: usize) {
    let mut draft = Draft::default();
    let journals = tree.journals();
    let place = Place { roots: &tree.roots, protected: &tree.protected, journals: &journals };
    for change in &parse(PATCH).expect("a patch") {
        draft.add(place, change).expect("it fits");
    }
    let commit = Commit::prepare(place, &draft.files).expect("room");
    (0..steps).for_each(|step| commit.step(step).expect("it goes"));
}

#[test]
fn a_kill_between_any_two_files_leaves_one_tree_or_the_other() {
    for steps in 0..=6 {
        let tree = Tree::new(&OLD);
        killed_after(&tree, steps);
        assert_eq!(journal::recover(&tree.journals(), &tree.roots).expect("readable"), 1);
        assert_eq!(tree.files(), files(&NEW), "{steps}");
        assert_eq!(journal::recover(&tree.journals(), &tree.roots).expect("readable"), 0);
    }
}

#[test]
fn a_kill_before_the_first_file_leaves_the_old_tree() {
    let tree = Tree::new(&OLD);
    killed_after(&tree, 0);
    let entry = std::fs::read_dir(tree.journals()).expect("made").next().expect("one").expect("readable").path();
    let text = std::fs::read_to_string(&entry).expect("text");
    // As it stands while content is still being written beside the files, the last line half written.
    let staging = text.lines().next().expect("a line");
    std::fs::write(&entry, format!("{staging}\n{{\"stage\":\"comm")).expect("written");
    journal::recover(&tree.journals(), &tree.roots).expect("readable");
    assert_eq!(tree.files(), files(&OLD));
    assert!(!tree.root().join("n").exists() && !tree.root().join("moved").exists());
}

#[test]
fn what_somebody_else_changed_since_is_theirs() {
    let tree = Tree::new(&OLD);
    killed_after(&tree, 1);
    std::fs::write(tree.root().join("gone"), "mine\n").expect("written");
    journal::recover(&tree.journals(), &tree.roots).expect("readable");
    assert_eq!(tree.files().get("gone").map(String::as_str), Some("mine\n"));
    assert_eq!(tree.files().get("a").map(String::as_str), Some("one\n2\n"));
}

#[test]
fn a_patch_that_cannot_be_ended_is_undone() {
    let tree = Tree::new(&OLD);
    let mut draft = Draft::default();
    let journals = tree.journals();
    let place = Place { roots: &tree.roots, protected: &tree.protected, journals: &journals };
    for change in &parse(PATCH).expect("a patch") {
        draft.add(place, change).expect("it fits");
    }
    let commit = Commit::prepare(place, &draft.files).expect("room");
    std::fs::write(tree.root().join("gone"), "changed\n").expect("written");
    let error = commit.run().expect_err("changed meanwhile");
    assert!(error.to_string().contains("somebody else has changed it meanwhile"), "{error}");
    let mut expected = files(&OLD);
    expected.insert("gone".into(), "changed\n".into());
    assert_eq!(tree.files(), expected);
    assert!(!tree.root().join("n").exists());
}
