use super::super::apply::Draft;
use super::super::parse::parse;
use super::super::steps::killed_at;
use super::super::trees::{NEW, OLD, PATCH, Tree, files};
use super::*;
use std::collections::BTreeMap;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A patch of which all new content is staged, and no file has moved.
fn prepared<'a>(tree: &'a Tree, journals: &'a Path) -> Commit<'a> {
    let mut draft = Draft::default();
    let place = Place { roots: &tree.roots, protected: &tree.protected, journals };
    for change in &parse(PATCH).expect("a patch") {
        draft.add(place, change).expect("it fits");
    }
    Commit::prepare(place, &draft.files).expect("room")
}

fn applied(tree: &Tree) {
    tree.apply(PATCH, false).expect("it fits");
}

/// The tree is whole, old or new, and nothing else is left of the patch; whether it is the new one.
fn is_new(tree: &Tree, moment: usize) -> bool {
    let found = tree.files();
    assert!(found == files(&OLD) || found == files(&NEW), "a mixture at {moment}: {found:?}");
    assert_eq!(tree.plans(), Vec::<PathBuf>::new(), "{moment}");
    let new = found == files(&NEW);
    assert!(new || !tree.root().join("n").exists() && !tree.root().join("moved").exists(), "{moment}");
    new
}

#[test]
fn a_kill_at_any_moment_leaves_one_tree_or_the_other() {
    let mut ends = [0, 0];
    for moment in 0.. {
        let tree = Tree::new(&OLD);
        let killed = killed_at(moment, || applied(&tree));
        tree.recover().expect("a disk");
        let new = is_new(&tree, moment);
        ends[usize::from(new)] += 1;
        assert_eq!(tree.recover().expect("a disk"), 0, "nothing is left to do");
        if !killed {
            assert!(new);
            break;
        }
    }
    assert!(ends.iter().all(|count| *count > 5), "{ends:?}");
}

#[test]
fn a_kill_while_another_is_being_ended_changes_nothing_of_that() {
    for moment in 0.. {
        let mut more = false;
        for again in 0.. {
            let tree = Tree::new(&OLD);
            more = killed_at(moment, || applied(&tree));
            let killed = killed_at(again, || _ = tree.recover().expect("a disk"));
            tree.recover().expect("a disk");
            is_new(&tree, moment);
            if !killed {
                break;
            }
        }
        if !more {
            break;
        }
    }
}

/// The tree of a patch that somebody got in the way of: `gone` holds something else than it should.
fn disturbed(tree: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut expected = files(tree);
    expected.insert("gone".into(), "changed\n".into());
    expected
}

#[test]
fn a_patch_that_cannot_be_ended_is_undone_even_if_that_is_cut_short() {
    for moment in 0.. {
        let tree = Tree::new(&OLD);
        let journals = tree.journals();
        let mut commit = Some(prepared(&tree, &journals));
        std::fs::write(tree.root().join("gone"), "changed\n").expect("written");
        let killed = killed_at(moment, || {
            let error = commit.take().expect("once").run().expect_err("changed meanwhile");
            assert!(error.to_string().contains("somebody else has changed it meanwhile"), "{error}");
        });
        tree.recover().expect("a disk");
        let found = tree.files();
        let ended = found == disturbed(&NEW);
        assert!(found == disturbed(&OLD) || killed && ended, "{moment}: {found:?}");
        assert_eq!(tree.plans(), Vec::<PathBuf>::new(), "{moment}");
        if !killed {
            assert!(!tree.root().join("n").exists());
            break;
        }
    }
}

#[test]
fn a_torn_plan_is_as_good_as_what_of_it_is_whole() {
    let whole = {
        let tree = Tree::new(&OLD);
        drop(prepared(&tree, &tree.journals()));
        std::fs::read(&tree.plans()[0]).expect("there").len()
    };
    let stage = "\"committing\"\n".len();
    for cut in whole - stage..=whole {
        let tree = Tree::new(&OLD);
        drop(prepared(&tree, &tree.journals()));
        let plan = tree.plans().remove(0);
        let text = std::fs::read(&plan).expect("there");
        // What was not yet on the disk may be anything.
        let torn = if cut < whole { [&text[..cut], &[0xff, 0]].concat() } else { text };
        std::fs::write(&plan, torn).expect("written");
        tree.recover().expect("readable");
        assert_eq!(is_new(&tree, cut), cut == whole);
    }
}

#[test]
fn a_plan_that_cannot_be_read_is_kept_and_spoken_of() {
    let tree = Tree::new(&OLD);
    drop(prepared(&tree, &tree.journals()));
    std::fs::write(&tree.plans()[0], "{\"moves\":\n\"committing\"\n").expect("written");
    let error = tree.recover().expect_err("damaged").to_string();
    assert!(error.contains("a damaged plan") && tree.plans().len() == 1, "{error}");
}

#[test]
fn what_somebody_else_changed_since_is_theirs() {
    let tree = Tree::new(&OLD);
    let journals = tree.journals();
    let commit = prepared(&tree, &journals);
    commit.step(0).expect("it goes");
    drop(commit);
    std::fs::write(tree.root().join("gone"), "changed\n").expect("written");
    std::fs::remove_dir_all(tree.root().join("d")).expect("ours");
    tree.recover().expect("a disk");
    let mut expected = disturbed(&NEW);
    expected.remove("d/b");
    assert_eq!(tree.files(), expected);
}

#[test]
fn a_directory_that_has_become_a_way_out_is_left_alone() {
    let tree = Tree::new(&OLD);
    drop(prepared(&tree, &tree.journals()));
    let outside = tree.temp.path().join("outside");
    std::fs::create_dir_all(outside.join("w")).expect("made");
    std::fs::write(outside.join("b"), "bee\n").expect("written");
    for made in ["d", "n/e"] {
        std::fs::remove_dir_all(tree.root().join(made)).expect("ours");
        std::os::unix::fs::symlink(&outside, tree.root().join(made)).expect("linked");
    }
    tree.recover().expect("a disk");
    assert_eq!(std::fs::read_to_string(outside.join("b")).expect("there"), "bee\n");
    assert_eq!(std::fs::read_dir(&outside).expect("there").count(), 2);
}

#[test]
fn directories_that_were_made_are_not_taken_away_outside() {
    let tree = Tree::new(&OLD);
    let journals = tree.journals();
    let commit = prepared(&tree, &journals);
    commit.clean();
    let outside = tree.temp.path().join("outside");
    std::fs::create_dir_all(outside.join("e")).expect("made");
    std::fs::remove_dir_all(tree.root().join("n")).expect("ours");
    std::os::unix::fs::symlink(&outside, tree.root().join("n")).expect("linked");
    commit.plan.unmake(&tree.roots);
    assert!(outside.join("e").exists() && !tree.root().join("moved/to").exists());
}

#[test]
fn a_plan_under_way_is_never_taken_for_a_dead_process_s() {
    let tree = Tree::new(&OLD);
    let journals = tree.journals();
    std::fs::create_dir_all(&journals).expect("made");
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| {
            for _ in 0..200 {
                let journal = Journal::begin(&journals, &Plan { moves: Vec::new(), made: Vec::new() }).expect("room");
                assert_eq!(tree.plans().len(), 1, "it was ended while it was under way");
                journal.done();
            }
        });
        while !busy.is_finished() {
            tree.recover().expect("readable");
        }
        busy.join().expect("none was ended");
    });
}

#[test]
fn what_is_no_file_any_more_is_not_read_to_its_end() {
    let tree = Tree::new(&OLD);
    let journals = tree.journals();
    for place in ["pipe", "huge"] {
        let commit = prepared(&tree, &journals);
        let a = tree.root().join("a");
        std::fs::remove_file(&a).expect("ours");
        if place == "pipe" {
            rustix::fs::mkfifoat(rustix::fs::CWD, &a, Mode::from_raw_mode(0o600)).expect("made");
        } else {
            File::create(&a).expect("made").set_len(1 << 40).expect("sparse");
        }
        commit.run().expect_err("changed meanwhile");
        std::fs::remove_file(&a).expect("ours");
        std::fs::write(&a, "one\ntwo\n").expect("written");
        assert_eq!(tree.files(), files(&OLD));
    }
}

/// A small file system of its own, where that can be had; the tree on it, and its journals.
fn small_disk() -> Option<(Tree, Unmount)> {
    let tree = Tree::new(&[]);
    let mount = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "none"])
        .arg(tree.temp.path())
        .stderr(std::process::Stdio::null())
        .status();
    if !mount.is_ok_and(|status| status.success()) {
        return None;
    }
    let guard = Unmount(tree.temp.path().to_owned());
    std::fs::create_dir(tree.root()).expect("made");
    for (path, text) in OLD {
        let path = tree.root().join(path);
        std::fs::create_dir_all(path.parent().expect("beneath")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    let roots = Roots::open(&[tree.root()]).expect("there");
    Some((Tree { roots, ..tree }, guard))
}

struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Takes what is left of the disk, but for `spare` bytes.
fn fill(tree: &Tree, spare: usize) -> PathBuf {
    let path = tree.temp.path().join("filler");
    let mut file = File::options().create(true).append(true).mode(0o600).open(&path).expect("made");
    while file.write_all(&[1; 4096]).is_ok() {}
    let size = file.metadata().expect("there").len();
    file.set_len(size.saturating_sub(spare as u64)).expect("ours");
    path
}

#[test]
fn on_a_full_disk_a_patch_changes_nothing_and_leaves_nothing() {
    for spare in (0..=16).map(|pages| pages * 4096) {
        let Some((tree, _mounted)) = small_disk() else {
            eprintln!("skipped: only root can mount a small file system");
            return;
        };
        let filler = fill(&tree, spare);
        let done = tree.apply(PATCH, false);
        std::fs::remove_file(filler).expect("ours");
        assert_eq!(is_new(&tree, spare), done.is_ok(), "{done:?}");
        assert!(spare > 0 || done.is_err());
    }
}

#[test]
fn what_a_kill_left_is_ended_on_a_full_disk_too() {
    for moment in 0.. {
        let Some((tree, _mounted)) = small_disk() else {
            eprintln!("skipped: only root can mount a small file system");
            return;
        };
        let killed = killed_at(moment, || applied(&tree));
        let filler = fill(&tree, 0);
        tree.recover().expect("nothing needs room");
        std::fs::remove_file(filler).expect("ours");
        is_new(&tree, moment);
        if !killed {
            break;
        }
    }
}
