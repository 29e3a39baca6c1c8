//! Ways out of the workspace, tried: hostile paths and patches, special files, and directories and files that a
//! second thread exchanges for links to the outside while tools work on them.
//!
//! A sample runs by default. With `TOOLGATE_ESCAPE=full` all of it runs, and each campaign prints a line beginning with
//! `ESCAPE` for the report that `cargo xtask escape` writes.

#![expect(clippy::disallowed_methods, reason = "a campaign is sized by the environment and timed")]

use super::files::{self, Encoding, Wanted, WriteMode};
use super::list;
use super::patch::{Place, Rejected, apply};
use super::roots::{PROTECTED, Protected, Roots};
use rustix::fs::{CWD, FileType, Mode, RenameFlags, mkfifoat, renameat_with};
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tempfile::TempDir;

const SECRET: &str = "canary";
const ALL: Wanted = Wanted { offset: None, limit: None, encoding: None, most: 1 << 20 };
const LIST: list::Wanted = list::Wanted { depth: 9, gitignore: true, most: 1_000 };

/// A workspace beside what must not be reached.
struct Scene {
    temp: TempDir,
    roots: Roots,
    protected: Protected,
}

/// Of one entry: what it is, its rights, its links, its size, and its content or where it leads.
type Seen = (FileType, u32, u64, u64, Vec<u8>);

impl Scene {
    fn new() -> Self {
        // Where nothing waits for a disk a race is closer.
        let shared = Path::new("/dev/shm");
        let temp = if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() };
        let temp = temp.expect("temporary");
        let at = |path: &str| temp.path().join(path);
        for dir in ["ws/d", "ws/.git/hooks", "outside/deep", "ws-evil"] {
            std::fs::create_dir_all(at(dir)).expect("made");
        }
        let files = [
            ("ws/a", "one\ntwo\n"),
            ("ws/d/b", "bee\n"),
            ("ws/.git/config", "[core]\n"),
            ("outside/canary", "canary\n"),
            ("outside/deep/canary", "canary\n"),
            ("ws-evil/canary", "canary\n"),
        ];
        for (path, text) in files {
            std::fs::write(at(path), text).expect("written");
        }
        for (link, to) in [
            ("out", "../outside"),
            ("abs", "/tmp"),
            ("chain", "d/next"),
            ("d/next", "../out"),
            ("canary", "../outside/canary"),
            ("dangling", "../outside/new"),
            ("sym", "a"),
            ("hooks", ".git/hooks"),
            ("fd", "/proc/self/fd"),
            ("root", "/proc/self/root"),
        ] {
            symlink(to, at("ws").join(link)).expect("linked");
        }
        let roots = Roots::open(&[at("ws")]).expect("there");
        Self { roots, protected: Protected::new(PROTECTED), temp }
    }

    fn root(&self) -> PathBuf {
        self.temp.path().join("ws")
    }

    fn read(&self, path: &str) -> Result<String, String> {
        files::read(&self.roots, path, ALL).map(|part| part.content).map_err(|astray| astray.to_string())
    }

    fn write(&self, path: &str, mode: WriteMode, create_dirs: bool) -> Result<u64, String> {
        let written = files::write(&self.roots, path, b"inside\n", mode, create_dirs, &self.protected);
        written.map(|written| written.bytes).map_err(|astray| astray.to_string())
    }

    fn list(&self, path: &str) -> Result<Vec<String>, String> {
        let listing = list::list(&self.roots, path, LIST).map_err(|astray| astray.to_string())?;
        Ok(listing.entries.into_iter().map(|entry| entry.path).collect())
    }

    fn patch(&self, patch: &str) -> Result<(), Rejected> {
        let journals = self.temp.path().join("journals");
        let place = Place { roots: &self.roots, protected: &self.protected, journals: &journals };
        apply(place, patch, false).map(drop)
    }

    /// Everything beneath `top`, its own journals aside.
    fn all(&self, top: &str) -> BTreeMap<PathBuf, Seen> {
        let (mut seen, mut dirs) = (BTreeMap::new(), vec![self.temp.path().join(top)]);
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).expect("there").flatten() {
                let (path, metadata) = (entry.path(), entry.metadata().expect("there"));
                let kind = FileType::from_raw_mode(metadata.mode());
                let (mut size, mut content) = (metadata.len(), Vec::new());
                match kind {
                    FileType::Directory if path.ends_with("journals") => continue,
                    FileType::Directory => {
                        dirs.push(path.clone());
                        size = 0;
                    }
                    FileType::Symlink => {
                        content = std::fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes()
                    }
                    FileType::RegularFile if size < 1 << 20 => content = std::fs::read(&path).expect("ours"),
                    _ => {}
                }
                seen.insert(path, (kind, metadata.mode(), metadata.nlink(), size, content));
            }
        }
        seen
    }
}

fn full() -> bool {
    std::env::var("TOOLGATE_ESCAPE").is_ok_and(|size| size == "full")
}

fn report(what: &str, count: usize, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    println!("ESCAPE {}", serde_json::json!({ "what": what, "count": count, "seconds": seconds }));
}

#[test]
fn hostile_patches_change_nothing_and_say_why() {
    let begun = Instant::now();
    let corpus = include_str!("../../tests/data/hostile-patches.txt");
    let (mut count, mut wrong) = (0, Vec::new());
    for entry in corpus.split("\n#### ").skip(1) {
        let (head, patch) = entry.split_once('\n').expect("a head");
        let (code, name) = head.split_once(' ').expect("a code and a name");
        let scene = Scene::new();
        special_files(&scene);
        std::fs::write(scene.root().join("same"), "x\n".repeat(20_000)).expect("written");
        let root = scene.root().display().to_string();
        let many: String = (0..1_001).map(|number| format!("*** Add File: f{number}\n+x\n")).collect();
        let patch = patch
            .replace("{ROOT}", &root)
            .replace("{LONG}", &"n".repeat(300))
            .replace("{NUL}", "\0")
            .replace("{SAME}", &"-x\n".repeat(10_000))
            .replace("{MANY}", &many);
        let before = scene.all("");
        match scene.patch(&patch) {
            Ok(()) => wrong.push(format!("{name}: it was applied")),
            Err(refused) if refused.to_string().contains(&format!("[{code}]")) => {}
            Err(refused) => wrong.push(format!("{name}: not [{code}]: {refused}")),
        }
        if scene.all("") != before {
            wrong.push(format!("{name}: something changed"));
        }
        count += 1;
    }
    assert!(wrong.is_empty() && count >= 60, "{count}: {}", wrong.join("\n"));
    report("hostile patches, each refused with the word expected, nothing changed", count, begun);
}

const WAYS_OUT: [&str; 30] = [
    "..",
    "../outside",
    "../outside/canary",
    "./../outside/canary",
    "d/../../outside/canary",
    "d//..//..//outside/canary",
    "out",
    "out/",
    "out/canary",
    "out/deep/canary",
    "out/../outside/canary",
    "chain/canary",
    "d/next/canary",
    "canary",
    "dangling",
    "abs/x",
    "root/etc/passwd",
    "root/proc/self/root/etc/passwd",
    "fd/0",
    "/etc/passwd",
    "/proc/self/root/etc/passwd",
    "/proc/self/fd/0",
    "/proc/self/cwd/x",
    "/proc/1/environ",
    "/dev/fd/0",
    "/dev/zero",
    "{ROOT}-evil/canary",
    "{ROOT}/../ws-evil/canary",
    "{ROOT}/../outside/canary",
    "{ROOT}/out/canary",
];

#[test]
fn no_path_leads_any_tool_out() {
    let begun = Instant::now();
    let scene = Scene::new();
    let before = scene.all("");
    let mut count = 0;
    for way in WAYS_OUT {
        let path = way.replace("{ROOT}", &scene.root().display().to_string());
        scene.read(&path).expect_err(way);
        scene.list(&path).expect_err(way);
        scene.roots.dir_path(&path).expect_err(way);
        for mode in [WriteMode::Overwrite, WriteMode::Append, WriteMode::CreateNew] {
            for create_dirs in [false, true] {
                scene.write(&path, mode, create_dirs).expect_err(way);
            }
        }
        for patch in [
            format!("*** Begin Patch\n*** Add File: {path}\n+x\n*** End Patch"),
            format!("*** Begin Patch\n*** Delete File: {path}\n*** End Patch"),
            format!("*** Begin Patch\n*** Update File: a\n*** Move to: {path}\n*** End Patch"),
            format!("*** Begin Patch\n*** Update File: {path}\n*** Move to: mine\n*** End Patch"),
            format!("--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-canary\n+evil\n"),
        ] {
            scene.patch(&patch).expect_err(&patch);
            count += 1;
        }
        count += 9;
        assert!(scene.all("") == before, "{way} changed something");
    }
    report("ways out (prefixes, links, `/proc`, open files), each through every tool: none led out", count, begun);
}

#[test]
fn names_that_are_none_are_refused_in_words() {
    let scene = Scene::new();
    let before = scene.all("");
    for path in ["", "a\0b", &"n".repeat(300), &"d/".repeat(5_000), &"../".repeat(2_000), "a/b", "a/", "d/b/"] {
        scene.read(path).expect_err(path);
        scene.list(path).expect_err(path);
        if path != "d/b/" {
            scene.write(path, WriteMode::Overwrite, false).expect_err(path);
        }
    }
    assert!(scene.all("") == before);
}

/// Whatever a file system may hold besides files and directories.
fn special_files(scene: &Scene) {
    let root = scene.root();
    mkfifoat(CWD, root.join("pipe"), Mode::from_raw_mode(0o600)).expect("made");
    drop(std::os::unix::net::UnixListener::bind(root.join("socket")).expect("bound"));
    std::fs::File::create(root.join("huge")).expect("made").set_len(1 << 40).expect("sparse");
    std::fs::write(root.join("bytes"), [0xff, 0, 1]).expect("written");
    std::fs::hard_link(scene.temp.path().join("outside/canary"), root.join("hard")).expect("linked");
    // Only root may; elsewhere there is one kind less.
    let device = rustix::fs::makedev(1, 5);
    _ = rustix::fs::mknodat(CWD, root.join("zero"), FileType::CharacterDevice, Mode::from_raw_mode(0o666), device);
}

#[test]
fn pipes_sockets_and_devices_keep_nobody_waiting() {
    let scene = Scene::new();
    special_files(&scene);
    // A pipe at whose other end somebody is.
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NONBLOCK;
    let _held = rustix::fs::open(scene.root().join("pipe"), flags, Mode::empty()).expect("both ends");
    let before = scene.all("");
    for path in ["pipe", "socket", "zero"] {
        scene.read(path).expect_err(path);
        scene.list(path).expect_err(path);
        for mode in [WriteMode::Overwrite, WriteMode::Append, WriteMode::CreateNew] {
            let device_may_be_missing = path == "zero" && !scene.root().join("zero").exists();
            assert!(device_may_be_missing || scene.write(path, mode, false).is_err(), "{path}");
        }
    }
    scene.write("hard", WriteMode::Append, false).expect_err("it has a name outside");
    if scene.root().join("zero").exists() {
        assert!(scene.all("") == before);
    }
    let listed = scene.list(".").expect("listed");
    assert!(listed.contains(&"pipe".to_owned()) && listed.contains(&"socket".to_owned()), "{listed:?}");
}

#[test]
fn a_gigabyte_is_read_in_parts_in_constant_memory() {
    let begun = Instant::now();
    let scene = Scene::new();
    std::fs::File::create(scene.root().join("big")).expect("made").set_len(1 << 30).expect("sparse");
    let peak = || {
        let status = std::fs::read_to_string("/proc/self/status").expect("proc");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line").to_owned();
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    let part = |offset, encoding, limit| {
        let wanted = Wanted { offset, limit, encoding, most: 256 << 10 };
        files::read(&scene.roots, "big", wanted).map(|part| (part.content.len(), part.truncated))
    };
    part(Some(0), None, None).expect("readable");
    let (before, mut count) = (peak(), 0);
    for offset in (0..1_u64 << 30).step_by(7 << 20) {
        part(Some(offset), None, Some(100_000)).expect("readable");
        count += 1;
    }
    assert_eq!(part(Some((1 << 30) - 3), None, None).expect("readable"), (4, false));
    assert_eq!(part(None, Some(Encoding::Utf8), None).expect("readable").0, 256 << 10);
    // As text it is one line; behind it there is nothing.
    _ = part(Some(2), Some(Encoding::Utf8), None);
    let grown = peak() - before;
    assert!(grown < 8 << 10, "{grown} KiB");
    report(&format!("parts of a sparse file of 1 GiB; memory grew by {grown} KiB"), count, begun);
}

/// Exchanges a directory and a file for links to the outside and back, as fast as it goes, until told to stop.
fn exchange(root: &Path, stop: &AtomicBool) -> usize {
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        for (one, other) in [("d", "out"), ("f", "canary"), ("x/y", "x/out")] {
            let done = renameat_with(CWD, root.join(one), CWD, root.join(other), RenameFlags::EXCHANGE);
            count += usize::from(done.is_ok());
        }
    }
    count
}

/// Which tool is tried how often, of a million tries.
const TRIES: [(&str, usize); 5] = [
    ("read_file", 400_000),
    ("list_directory", 200_000),
    ("write_file", 200_000),
    ("append", 100_000),
    ("apply_patch", 100_000),
];

fn attempt(scene: &Scene, tool: &str, number: usize) -> bool {
    let paths = ["d/f", "f", "x/y/f", "d/../d/f", "out/f", "x/out/f", "canary"];
    let path = paths[number % paths.len()];
    let dir = ["d", "x/y", "out", "x"][number % 4];
    match tool {
        "read_file" => scene.read(path).is_ok_and(|text| {
            assert!(text.starts_with("inside"), "{path} led out: {text}");
            true
        }),
        "list_directory" => scene.list(dir).is_ok_and(|names| {
            assert!(names.iter().all(|name| !name.contains(SECRET)), "{dir} led out: {names:?}");
            true
        }),
        "write_file" => scene.write(path, WriteMode::Overwrite, false).is_ok(),
        "append" => {
            // So that they do not grow for ever.
            let mode = if number % 100 < paths.len() { WriteMode::Overwrite } else { WriteMode::Append };
            scene.write(path, mode, false).is_ok()
        }
        _ => {
            let body = match number % 3 {
                0 => format!("*** Add File: {dir}/new/n\n+inside\n"),
                1 => format!("*** Delete File: {dir}/new/n\n"),
                _ => format!("*** Update File: {path}\n inside\n-{}\n+{}\n", number % 2, (number + 1) % 2),
            };
            scene.patch(&format!("*** Begin Patch\n{body}*** End Patch\n")).is_ok()
        }
    }
}

#[test]
fn what_is_exchanged_for_a_link_meanwhile_leads_nowhere() {
    for (tool, tries) in TRIES {
        let begun = Instant::now();
        let scene = Scene::new();
        let root = scene.root();
        std::fs::create_dir_all(root.join("x/y")).expect("made");
        symlink("../../outside", root.join("x/out")).expect("linked");
        for path in ["d/f", "f", "x/y/f"] {
            std::fs::write(root.join(path), "inside\n0\n").expect("written");
        }
        std::fs::write(scene.temp.path().join("outside/f"), "canary\n").expect("written");
        let before = scene.all("outside");
        let tries = if full() { tries } else { tries / 200 };
        let stop = AtomicBool::new(false);
        let (well, swaps) = std::thread::scope(|scope| {
            let racer = scope.spawn(|| exchange(&root, &stop));
            let well = (0..tries).filter(|number| attempt(&scene, tool, *number)).count();
            stop.store(true, Ordering::Relaxed);
            (well, racer.join().expect("it goes on"))
        });
        assert!(scene.all("outside") == before, "{tool} changed what is outside");
        assert!(swaps > 0 && (!full() || well > tries / 100 && well < tries), "{tool}: {well} of {tries}, {swaps}");
        let what = format!("`{tool}` while {swaps} exchanges went on: {well} did their work, the others were refused");
        report(&what, tries, begun);
    }
}
