//! Forbidden operations, tried by programs of four kinds at every level that holds something: what is observed is
//! what the level declares. What a kind of program cannot try is skipped, and counted.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "what is skipped is said")]

mod common;

use std::fs::{self, File};
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Marker, helper, plan};
use sandbox::{Launch, LaunchError, Level, Namespaces, Profile, Stderr, runtime_roots};

/// Each row: what is tried, and the lowest level that holds it.
const ROWS: [(&str, Level); 34] = [
    ("read_outside", Level::S2),
    ("list_outside", Level::S2),
    ("read_through_link", Level::S2),
    ("read_masked", Level::S2),
    ("write_outside", Level::S2),
    ("truncate_outside", Level::S2),
    ("create_outside", Level::S2),
    ("make_dir_outside", Level::S2),
    ("link_symbolic_outside", Level::S2),
    ("remove_outside", Level::S2),
    ("move_outside", Level::S2),
    ("link_outside", Level::S2),
    ("write_read_only", Level::S2),
    ("execute_outside", Level::S2),
    ("write_kernel_settings", Level::S2),
    ("connect_tcp", Level::S2),
    ("listen_tcp", Level::S2),
    ("connect_abstract", Level::S2),
    ("signal", Level::S2),
    ("send_udp", Level::S3),
    ("connect_unix", Level::S3),
    ("send_unix", Level::S3),
    ("enter_namespace", Level::S3),
    ("open_mount", Level::S3),
    ("use_io_uring", Level::S3),
    ("use_keys", Level::S3),
    ("stat_outside", Level::S4),
    ("chmod_outside", Level::S4),
    ("touch_outside", Level::S4),
    ("write_protected", Level::S4),
    ("create_protected", Level::S4),
    ("create_protected_file", Level::S4),
    ("replace_protected", Level::S4),
    ("see_process", Level::S4),
];

/// Files, sockets and a process that nobody may reach.
struct Bait {
    dir: tempfile::TempDir,
    arguments: Vec<String>,
    _open: (TcpListener, UdpSocket, UnixListener, UnixDatagram, UnixListener),
}

impl Bait {
    fn set() -> Bait {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for name in ["work/.git", "read/secret", "outside/dir/within"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        let files = ["outside/canary", "outside/removable", "read/file", "read/secret/key", "work/.git/config"];
        for name in files.into_iter().chain(["outside/empty", "work/mine"]) {
            fs::write(root.join(name), "untouched").unwrap();
        }
        fs::write(root.join("outside/program"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(root.join("outside/program"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink(root.join("outside/canary"), root.join("work/link")).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let numbers = [tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port()];
        let mut arguments = vec![root.to_str().unwrap().to_owned()];
        arguments.extend(numbers.map(|number| number.to_string()));
        arguments.push(std::process::id().to_string());
        let hidden = SocketAddr::from_abstract_name(root.as_os_str().as_bytes()).unwrap();
        let open = (
            tcp,
            udp,
            UnixListener::bind(root.join("outside/stream")).unwrap(),
            UnixDatagram::bind(root.join("outside/datagram")).unwrap(),
            UnixListener::bind_addr(&hidden).unwrap(),
        );
        Bait { dir, arguments, _open: open }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// A kind of program: how it is started, and what it has to read for that.
struct Runtime {
    name: &'static str,
    program: PathBuf,
    script: Option<(&'static str, &'static str)>,
}

/// Where a program really is that may be found through a shim, by its own word.
fn asked(program: &str, flag: &str, question: &str) -> Result<PathBuf, String> {
    let answer = Command::new(program).args([flag, question]).output().map_err(|_| format!("no `{program}`"))?;
    let path = PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim());
    path.canonicalize().map_err(|_| format!("`{program}` does not run"))
}

fn compiled(dir: &Path) -> Result<PathBuf, String> {
    let (source, program) = (dir.join("probe.c"), dir.join("probe"));
    fs::write(&source, include_str!("probes/probe.c")).unwrap();
    let built = Command::new("gcc").args(["-static", "-O1", "-o"]).args([&program, &source]).output();
    match built.map_err(|_| "no `gcc`".to_owned())? {
        output if output.status.success() => Ok(program),
        output => Err(format!("`gcc -static` failed: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// Those that are here; why not, of the others.
fn runtimes(dir: &Path) -> Vec<Result<Runtime, String>> {
    let of = |name, program: Result<PathBuf, String>, script| {
        program.map(|program| Runtime { name, program, script }).map_err(|why| format!("{name}: {why}"))
    };
    vec![
        of("sh", Ok("/bin/sh".into()), Some(("probe.sh", include_str!("probes/probe.sh")))),
        of(
            "python",
            asked("python3", "-c", "import sys; print(sys.executable)"),
            Some(("probe.py", include_str!("probes/probe.py"))),
        ),
        of("node", asked("node", "-p", "process.execPath"), Some(("probe.mjs", include_str!("probes/probe.mjs")))),
        of("C", compiled(dir), None),
    ]
}

/// What a program says under a profile, or that its level is out of reach.
fn said(runtime: &Runtime, level: Level, namespaces: Namespaces) -> Result<String, LaunchError> {
    let bait = Bait::set();
    let mut args: Vec<String> = Vec::new();
    if let Some((name, text)) = runtime.script {
        fs::write(bait.at("read").join(name), text).unwrap();
        args.push(bait.at("read").join(name).to_str().unwrap().to_owned());
    }
    args.extend(bait.arguments.clone());
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let marker = Marker::new();
    let plan = plan(&marker, runtime.program.to_str().unwrap(), &args);
    let mut read = runtime_roots(&runtime.program, &[], None);
    read.push(bait.at("read"));
    let profile =
        Profile { read, write: vec![bait.at("work")], namespaces, ..Profile::new(level, vec![bait.at("read/secret")]) };
    let child = sandbox::launch(&helper(), &Launch { profile: Some(profile), stderr: Stderr::Piped, ..plan })?;
    let (mut text, mut errors) = (String::new(), String::new());
    File::from(child.stdout).read_to_string(&mut text).unwrap();
    File::from(child.stderr.unwrap()).read_to_string(&mut errors).unwrap();
    assert!(errors.is_empty() || runtime.name == "sh", "{}: {errors}", runtime.name);
    drop(child.lifeline);
    marker.await_gone();
    let left: Vec<_> = fs::read_dir(bait.at("work")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(level < Level::S4 || !left.iter().any(|name| name == ".codex" || name == ".mcp.json"), "{left:?}");
    Ok(text)
}

fn check(runtime: &Runtime, level: Level, namespaces: Namespaces) -> [usize; 2] {
    let said = match said(runtime, level, namespaces) {
        Ok(said) => said,
        Err(LaunchError::Unavailable(why)) => {
            println!("skipped {} at {level} ({namespaces:?}): {why}; {}", runtime.name, why.hint);
            return [0, ROWS.len()];
        }
        Err(other) => panic!("{other}"),
    };
    let mut wrong = Vec::new();
    let mut skipped = 0;
    for (row, held_from) in ROWS {
        let declared = if level >= held_from { "held" } else { "open" };
        let line = said.lines().find_map(|line| line.strip_prefix(row)?.strip_prefix(' '));
        match line.and_then(|line| line.split(' ').next()) {
            Some("skipped") => skipped += 1,
            Some(observed) if observed == declared => {}
            other => wrong.push((row, declared, other.map(str::to_owned))),
        }
    }
    assert!(wrong.is_empty(), "{} at {level} ({namespaces:?}): {wrong:?}\n{said}", runtime.name);
    [ROWS.len() - skipped, skipped]
}

#[test]
fn what_is_observed_is_what_is_declared() {
    let dir = tempfile::tempdir().unwrap();
    let levels = [
        (Level::S2, Namespaces::Auto),
        (Level::S3, Namespaces::Auto),
        (Level::S4, Namespaces::Bwrap),
        (Level::S4, Namespaces::Own),
    ];
    let mut total = [0, 0];
    for runtime in runtimes(dir.path()) {
        for (level, namespaces) in levels {
            let counted = match &runtime {
                Ok(runtime) => check(runtime, level, namespaces),
                Err(why) => {
                    println!("skipped {why}");
                    [0, ROWS.len()]
                }
            };
            let name = runtime.as_ref().map_or("-", |runtime| runtime.name);
            println!("{name} at {level} ({namespaces:?}): {} as declared, {} skipped", counted[0], counted[1]);
            total = [total[0] + counted[0], total[1] + counted[1]];
        }
    }
    println!("all: {} as declared, {} skipped", total[0], total[1]);
    assert!(total[0] > 0);
}
