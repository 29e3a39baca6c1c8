//! Ways out of the workspace through the program itself: git's arguments and places, and patches of which the process is
//! killed. Ways through single tools are tried within the crate `builtin`.
//!
//! Few kills by default, `TOOLGATE_KILLS` if that is set; each campaign prints a line beginning with `ESCAPE` for the
//! report that `cargo xtask escape` writes.

#![expect(clippy::disallowed_methods, reason = "a campaign is sized by the environment")]

mod common;

use common::workspace::{Workspace, holds, structure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use testkit::wait;

/// How many kills there are to be.
fn rounds() -> usize {
    std::env::var("TOOLGATE_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(25)
}

#[expect(clippy::print_stdout, reason = "it is what the chore reads")]
fn report(what: &str, count: usize, took: Duration) {
    println!("ESCAPE {}", json!({ "what": what, "count": count, "seconds": took.as_secs_f64() }));
}

/// Every file beneath a directory, whatever its name, and every directory.
fn tree(top: &Path) -> BTreeMap<String, String> {
    let (mut seen, mut dirs) = (BTreeMap::new(), vec![top.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = path.strip_prefix(top).expect("beneath").display().to_string();
            if path.is_dir() {
                seen.insert(format!("{name}/"), String::new());
                dirs.push(path);
            } else {
                // It may move while we look.
                seen.insert(name, std::fs::read_to_string(&path).unwrap_or_default());
            }
        }
    }
    seen
}

#[test]
fn git_is_not_led_out_by_what_a_caller_says() {
    let begun = wait::now();
    let workspace = Workspace::new();
    workspace.git(&["init", "-q"]);
    let outside = workspace.setup.home.path().join("outside");
    std::fs::create_dir(&outside).expect("made");
    std::fs::write(outside.join("canary"), "canary\n").expect("written");
    let git = |root: &Path| tree(&root.join(".git"));
    let (before, repository) = (tree(&outside), git(&workspace.root));
    let out = outside.display().to_string();
    let mut client = workspace.client();
    let mut count = 0;
    for uri in [
        format!("git://diff?--output={out}/evil"),
        format!("git://diff/--output={out}/evil"),
        format!("git://diff --output={out}/evil"),
        format!("git://diff#--output={out}/evil"),
        format!("git://{out}"),
        "git://log/../../outside".to_owned(),
        "git://show".to_owned(),
        "git://".to_owned(),
        "project:///../outside/canary".to_owned(),
        "project:///%2e%2e/outside/canary".to_owned(),
        format!("project://{out}/canary"),
        format!("project:///{out}/canary"),
        format!("file://{out}/canary"),
    ] {
        let answer = client.request("resources/read", &json!({ "uri": uri }));
        assert!(!answer.text.contains("canary\\n"), "{uri}: {}", answer.text);
        answer.error();
        count += 1;
    }
    for prompt in ["code_review", "document"] {
        for path in [format!("--output={out}/evil"), format!("{out}/canary"), "../outside/canary".to_owned()] {
            let answer = client.request("prompts/get", &json!({"name": prompt, "arguments": {"path": path}}));
            assert!(!answer.text.contains("canary\\n"), "{}", answer.text);
            count += 1;
        }
    }
    if !holds(&mut client) {
        return;
    }
    let status = structure(&client.call("execute_command", &json!({"command": ["git", "status"]})));
    assert_eq!(status["exit_code"], 0, "git works here: {status}");
    let words = |text: &str| text.replace("OUT", &out).split(' ').map(str::to_owned).collect::<Vec<_>>();
    for command in [
        "git diff --output=OUT/evil",
        "git diff --no-index --output=OUT/evil src/main.rs /dev/null",
        "git log --output=OUT/evil",
        "git archive --output=OUT/evil HEAD",
        "git init OUT/new",
        "git init --bare OUT/bare",
        "git init --separate-git-dir=OUT/apart sub",
        "git -C OUT init",
        "git --git-dir=OUT/.git init",
        "git --work-tree=OUT checkout -f",
        "git clone . OUT/clone",
        "git worktree add OUT/tree",
        "git add ../outside/canary",
        "git add OUT/canary",
        "git config core.fsmonitor evil",
        "git config --file .git/hooks/pre-commit a.b c",
        "git init --template=OUT .",
        "git bundle create OUT/evil HEAD",
        "git format-patch -o OUT HEAD",
    ] {
        client.call("execute_command", &json!({"command": words(command)})).result();
        assert_eq!(tree(&outside), before, "{command}");
        assert_eq!(git(&workspace.root), repository, "{command}");
        count += 1;
    }
    let what = "arguments and places given to git (`--output=`, `init` anywhere, other repositories): nothing outside, nothing in `.git` changed";
    report(what, count, wait::now() - begun);
}

const FILES: usize = 8;

/// Lays the tree out that the patch is for.
fn lay(root: &Path) -> BTreeMap<String, String> {
    // The root itself stays: it is held open.
    for entry in std::fs::read_dir(root).expect("there").flatten() {
        let path = entry.path();
        if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.expect("ours");
    }
    for number in 0..FILES {
        for kind in ["changes", "moves", "goes"] {
            let dir = root.join(format!("d{}", number % 3));
            std::fs::create_dir_all(&dir).expect("made");
            std::fs::write(dir.join(format!("{kind}{number}")), format!("{kind} {number}\nold\n")).expect("written");
        }
    }
    tree(root)
}

/// Eight files of each kind: they change, move, go and come, some of them into new directories.
fn patch() -> String {
    let one = |number: usize| {
        let dir = format!("d{}", number % 3);
        format!(
            "*** Update File: {dir}/changes{number}\n-old\n+new\n*** Update File: {dir}/moves{number}\n\
             *** Move to: to/{number}/moved\n-old\n+new\n*** Delete File: {dir}/goes{number}\n\
             *** Add File: {dir}/n/{number}/comes\n+new\n"
        )
    };
    format!("*** Begin Patch\n{}*** End Patch\n", (0..FILES).map(one).collect::<String>())
}

/// Waits for so long, to the microsecond: it is the moment of a kill.
fn pass(time: Duration) {
    let until = wait::now() + time;
    while wait::now() < until {
        std::hint::spin_loop();
    }
}

#[test]
fn a_killed_toolgate_leaves_the_old_tree_or_the_new_one() {
    let begun = wait::now();
    let workspace = Workspace::new();
    let journals = workspace.setup.home.codex().join("toolgate/patches");
    let arguments = json!({ "patch": patch() });
    let old = lay(&workspace.root);
    let mut client = workspace.client();
    client.call("list_directory", &json!({})).result();
    let mut took = Duration::MAX;
    for _ in 0..3 {
        lay(&workspace.root);
        let start = wait::now();
        structure(&client.call("apply_patch", &arguments));
        took = took.min(wait::now() - start);
    }
    let new = tree(&workspace.root);
    assert!(new.len() > old.len() && journals.exists());
    let rounds = rounds();
    let (mut random, mut mixed, mut ends) = (0x9e37_79b9_u64, 0, [0, 0]);
    for round in 0..rounds {
        lay(&workspace.root);
        let mut client = workspace.client();
        client.call("list_directory", &json!({})).result();
        client.start("tools/call", &json!({"name": "apply_patch", "arguments": arguments}));
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        pass(took.mul_f64((random >> 33) as f64 / f64::from(u32::MAX >> 1) * 1.2));
        let pid = Pid::from_raw(i32::try_from(client.pid()).expect("a number")).expect("a process");
        kill_process(pid, Signal::KILL).expect("ours");
        drop(client);
        let left = tree(&workspace.root);
        mixed += usize::from(left != old && left != new);
        // Nothing but the next use of the workspace.
        let mut next = workspace.client();
        next.call("list_directory", &json!({})).result();
        let found = tree(&workspace.root);
        assert!(found == old || found == new, "round {round}: {found:#?}");
        assert_eq!(std::fs::read_dir(&journals).expect("there").count(), 0, "round {round}");
        ends[usize::from(found == new)] += 1;
    }
    let [olds, news] = ends;
    let what = format!(
        "kills of toolgate while it applied a patch to {} files: {mixed} left a mixture, of which the next use made the \
         old tree ({olds} in all) or the new one ({news})",
        4 * FILES
    );
    report(&what, rounds, wait::now() - begun);
    assert!(mixed > 0, "no kill came between two files: {what}");
}
