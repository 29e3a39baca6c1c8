//! A program in namespaces: what it sees of itself, how its end is told, and that nothing is left of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "what is skipped is said")]

mod common;

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::{Marker, PATH, events, helper, next, plan, proc_file, read_ready, started, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use sandbox::{
    Child, Event, ExitKind, Gap, Launch, LaunchError, Level, Limits, Namespaces, Net, Profile, Stderr, Step,
};

/// The ways to S4 that this machine has; why not, of the others.
fn makers() -> Vec<Namespaces> {
    let works = |namespaces: &Namespaces| {
        let profile = Profile { namespaces: *namespaces, ..Profile::new(Level::S4, Vec::new()) };
        let launch = Launch { profile: Some(profile), ..plan(&Marker::new(), "true", &[]) };
        match sandbox::launch(&helper(), &launch) {
            Ok(child) => events(&child).contains(&Event::Exited(ExitKind::Code(0))),
            Err(error) => {
                println!("skipped: {namespaces:?}: {error}");
                false
            }
        }
    };
    [Namespaces::Bwrap, Namespaces::Own].into_iter().filter(works).collect()
}

/// Each way to S4, and S3.
fn profiles() -> Vec<Profile> {
    let apart = |namespaces| Profile { namespaces, ..Profile::new(Level::S4, Vec::new()) };
    makers().into_iter().map(apart).chain([Profile::new(Level::S3, Vec::new())]).collect()
}

fn bound(profile: &Profile, marker: &Marker, script: &str) -> Launch {
    Launch { profile: Some(profile.clone()), stderr: Stderr::Piped, ..plan(marker, "sh", &["-c", script]) }
}

fn launched(launch: &Launch) -> Child {
    sandbox::launch(&helper(), launch).unwrap()
}

fn read(fd: std::os::fd::OwnedFd) -> String {
    let mut text = String::new();
    File::from(fd).read_to_string(&mut text).unwrap();
    text
}

/// What a shell says in bounds, on both streams; returns when nothing of it is left.
fn said(profile: &Profile, script: &str) -> String {
    let Child { stdout, stderr, lifeline, .. } = launched(&bound(profile, &Marker::new(), script));
    let text = read(stdout) + &read(stderr.unwrap());
    while !matches!(next(&lifeline), Event::Gone | Event::Lost) {}
    text
}

/// A directory to work in, which is not where temporary files are hidden.
fn workspace() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap();
    (dir, path)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn how_it_ends_is_told_as_it_was() {
    for profile in profiles() {
        for (script, expected) in [
            ("exit 0", ExitKind::Code(0)),
            ("exit 7", ExitKind::Code(7)),
            ("kill -SEGV $$", ExitKind::Signal(11)),
            ("kill -KILL $$", ExitKind::Signal(9)),
        ] {
            let child = launched(&bound(&profile, &Marker::new(), script));
            let events = events(&child);
            assert!(matches!(events[0], Event::Started { .. }), "{events:?}");
            assert_eq!(events[1..], [Event::Exited(expected), Event::Gone], "{script}: {:?}", profile.namespaces);
        }
    }
}

#[test]
fn what_cannot_be_executed_is_told_as_ever() {
    for profile in profiles() {
        let launch = Launch { profile: Some(profile), ..plan(&Marker::new(), "/nowhere/at-all", &[]) };
        let events = events(&launched(&launch));
        let refused = |event: &Event| matches!(event, Event::NotStarted { errno: 2 | 13 });
        assert!(refused(&events[0]) && events[1..] == [Event::Gone], "{events:?}");
    }
}

#[test]
fn bytes_pass_and_its_number_is_known_outside() {
    for profile in profiles() {
        let marker = Marker::new();
        let child = launched(&bound(&profile, &marker, "echo ready; exec sleep 1000"));
        let program = started(&child);
        read_ready(&child);
        // While it becomes another program it has none for a moment.
        wait_until("its environment", || proc_file(program, "environ").contains("SANDBOX_TEST_MARKER"));
        child.lifeline.kill();
        assert_eq!(events(&child), [Event::Exited(ExitKind::Signal(9)), Event::Gone]);
        marker.await_gone();
    }
}

#[test]
fn it_has_only_its_standard_descriptors_and_no_privilege() {
    for profile in profiles() {
        let text = said(&profile, "ls /proc/self/fd; grep -E 'NoNewPrivs|Seccomp:|CapEff|CapBnd' /proc/self/status");
        let lines: Vec<_> = text.split_whitespace().collect();
        // The fourth is that of the directory which is being listed.
        assert_eq!(lines[..4], ["0", "1", "2", "3"], "{text}");
        assert!(text.contains("NoNewPrivs:\t1") && text.contains("Seccomp:\t2"), "{text}");
        assert!(text.contains("CapEff:\t0000000000000000"), "{text}");
    }
}

#[test]
fn its_home_and_temporary_directory_are_its_own_and_gone_with_it() {
    for profile in profiles() {
        let text = said(&profile, "echo x > $TMPDIR/file && echo x > $HOME/file && echo $TMPDIR $HOME; ls /tmp");
        let places: Vec<_> = text.lines().next().unwrap().split(' ').collect();
        assert!(places.iter().all(|place| !Path::new(place).join("file").exists()), "{text}");
        match profile.level {
            Level::S4 => assert_eq!(text, "/tmp /tmp/home\nfile\nhome\n"),
            _ => assert!(!Path::new(places[0]).exists(), "{text}"),
        }
    }
}

#[test]
fn a_home_that_lasts_is_made_and_kept() {
    let (_dir, base) = workspace();
    let profiles = profiles();
    let each = "more\n".repeat(profiles.len());
    for profile in profiles {
        let home = base.join("a/home");
        let profile = Profile { home: Some(home.clone()), ..profile };
        let text = said(&profile, "echo more >> $HOME/file; echo $HOME");
        assert_eq!(text.trim_end(), home.to_str().unwrap());
    }
    assert_eq!(fs::read_to_string(base.join("a/home/file")).unwrap(), each);
}

#[test]
fn it_starts_where_it_was_told_if_that_is_granted() {
    let (_dir, work) = workspace();
    for profile in profiles() {
        let at = |profile: Profile| Launch { cwd: Some(work.clone()), ..bound(&profile, &Marker::new(), "pwd") };
        let granted = Profile { read: vec![work.clone()], ..profile.clone() };
        assert_eq!(read(launched(&at(granted)).stdout).trim_end(), work.to_str().unwrap());
        if profile.level == Level::S4 {
            let refused = events(&launched(&at(profile)));
            assert_eq!(refused, [Event::NotConfined { step: Step::Cwd, errno: 2 }, Event::Gone]);
        }
    }
}

#[test]
fn a_name_with_a_link_in_it_works_within() {
    let (_dir, base) = workspace();
    fs::create_dir(base.join("real")).unwrap();
    fs::write(base.join("real/file"), "hello").unwrap();
    std::os::unix::fs::symlink("real", base.join("link")).unwrap();
    for profile in profiles() {
        let profile = Profile { read: vec![base.join("link")], ..profile };
        let script = format!("cat {}", base.join("link/file").display());
        assert_eq!(said(&profile, &script), "hello");
    }
}

#[test]
fn sigterm_reaches_it_and_its_grace_is_its_own() {
    for profile in profiles() {
        let marker = Marker::new();
        let script = r#"trap "sleep 0.1; exit 5" TERM; echo ready; while :; do sleep 0.01; done"#;
        let child = launched(&bound(&profile, &marker, script));
        started(&child);
        read_ready(&child);
        child.lifeline.terminate();
        assert_eq!(events(&child), [Event::Exited(ExitKind::Code(5)), Event::Gone]);
        marker.await_gone();
    }
}

/// A program with a daemon that is deaf to SIGTERM.
const DAEMON: &str = r#"(setsid sh -c 'trap "" TERM; sleep 1000; sleep 1000' &); echo ready; exec sleep 1000"#;

#[test]
fn its_end_is_the_end_of_all_it_started() {
    for profile in profiles() {
        for end in [sandbox::Lifeline::terminate, sandbox::Lifeline::kill] {
            let marker = Marker::new();
            let launch = Launch { grace: Duration::from_millis(50), ..bound(&profile, &marker, DAEMON) };
            let child = launched(&launch);
            started(&child);
            read_ready(&child);
            end(&child.lifeline);
            assert_eq!(events(&child).last(), Some(&Event::Gone));
            assert_eq!(marker.alive(), Vec::<String>::new());
        }
    }
}

#[test]
fn nothing_outlives_its_owner_that_was_killed_by_force() {
    for level in ["S3", "S4"] {
        let marker = Marker::new();
        let (name, value) = marker.variable();
        let mut owner = Command::new(helper().exe);
        owner.env_clear().env("PATH", PATH).env(name, value).args(["bound", level, "sh", "-c", DAEMON]);
        let mut owner = owner.spawn().unwrap();
        // The owner, its helper, the program, and the two of the daemon.
        wait_until("all of it to run, or none", || marker.alive().len() >= 5 || owner_ended(&marker));
        owner.kill().unwrap();
        owner.wait().unwrap();
        marker.await_gone();
    }
}

/// Where the level cannot be reached the owner ends, and with it its last process.
fn owner_ended(marker: &Marker) -> bool {
    marker.alive().is_empty()
}

#[test]
fn nothing_outlives_a_supervisor_that_was_killed_by_force() {
    for namespaces in makers() {
        let marker = Marker::new();
        let profile = Profile { namespaces, ..Profile::new(Level::S4, Vec::new()) };
        let child = launched(&bound(&profile, &marker, DAEMON));
        started(&child);
        read_ready(&child);
        let supervisor = Pid::from_raw(child.lifeline.supervisor_pid().cast_signed()).unwrap();
        kill_process(supervisor, Signal::KILL).unwrap();
        marker.await_gone();
    }
}

#[test]
fn missing_protected_names_cannot_be_made_and_leave_nothing() {
    let (_dir, work) = workspace();
    fs::write(work.join("AGENTS.md"), "mine").unwrap();
    for namespaces in makers() {
        let profile = Profile { namespaces, write: vec![work.clone()], ..Profile::new(Level::S4, Vec::new()) };
        let script = format!(
            "cd {}; for n in .git .codex .env .mcp.json; do mkdir $n; echo x > $n; rm -rf $n; mv $n y; ln -s z $n; done; \
             mv .git/../.git y; echo x > AGENTS.md; rm AGENTS.md; echo x > ok; mkdir -p sub/.git; ls -A",
            work.display()
        );
        let text = said(&profile, &script);
        assert!(text.contains("ok\n"), "{text}");
        assert_eq!(names(&work), ["AGENTS.md", "ok", "sub"], "{text}");
        assert_eq!(fs::read_to_string(work.join("AGENTS.md")).unwrap(), "mine");
    }
}

#[test]
fn protected_names_further_down_are_not_written_where_they_are() {
    let (_dir, work) = workspace();
    fs::create_dir_all(work.join("a/b/.git/hooks")).unwrap();
    fs::write(work.join("a/AGENTS.md"), "mine").unwrap();
    for namespaces in makers() {
        let write = vec![work.clone()];
        let profile = Profile { namespaces, write, ..Profile::new(Level::S4, Vec::new()) };
        let script = format!(
            "cd {}/a; echo x > b/.git/hooks/pre-commit; rm -rf b; mv b/.git b/y; echo x > AGENTS.md; rm AGENTS.md; \
             mv b c; echo x > c/.git/x; mv c b; echo x > ok; cat AGENTS.md; find . -type f",
            work.display()
        );
        let text = said(&profile, &script);
        assert!(text.contains("mine./") && text.contains("Read-only"), "{text}");
        assert_eq!(names(&work.join("a")), ["AGENTS.md", "b", "ok"], "{text}");
        assert_eq!(names(&work.join("a/b/.git")), ["hooks"], "{text}");
        assert_eq!(names(&work.join("a/b/.git/hooks")), [""; 0], "{text}");
        let opened = Profile { write: vec![work.clone(), work.join("a/b/.git")], ..profile };
        assert_eq!(said(&opened, &format!("echo x > {0}/x; rm {0}/x", work.join("a/b/.git").display())), "");
    }
}

#[test]
fn a_held_name_is_there_for_as_long_as_anybody_needs_it() {
    let (_dir, work) = workspace();
    for namespaces in makers() {
        let profile = Profile { namespaces, write: vec![work.clone()], ..Profile::new(Level::S4, Vec::new()) };
        let children = [(); 2].map(|()| {
            let child = launched(&bound(&profile, &Marker::new(), "echo ready; exec sleep 1000"));
            started(&child);
            read_ready(&child);
            child
        });
        for (left, child) in children.iter().enumerate().rev() {
            assert!(work.join(".git").is_dir(), "{left}");
            child.lifeline.kill();
            events(child);
        }
        assert_eq!(names(&work), [""; 0]);
    }
}

#[test]
fn a_protected_link_is_told_of() {
    let (_dir, work) = workspace();
    std::os::unix::fs::symlink("AGENTS.md", work.join("CLAUDE.md")).unwrap();
    for namespaces in makers() {
        let profile = Profile { namespaces, write: vec![work.clone()], ..Profile::new(Level::S4, Vec::new()) };
        let child = launched(&bound(&profile, &Marker::new(), "true"));
        assert_eq!(child.effective.as_ref().unwrap().gaps, [Gap::ProtectedLink]);
        events(&child);
    }
}

#[test]
fn what_it_may_use_up_is_bounded() {
    let limits = Limits {
        open_files: Some(64),
        file_bytes: Some(1 << 20),
        memory_bytes: Some(256 << 20),
        cpu_seconds: Some(1000),
        nice: 5,
        ..Limits::default()
    };
    for profile in profiles() {
        let profile = Profile { limits, ..profile };
        let nice = rustix::process::getpriority_process(None).unwrap() + 5;
        let expected = format!("64\n2048\n262144\n1000\n{}\n", nice.min(19));
        assert_eq!(said(&profile, "ulimit -n; ulimit -f; ulimit -d; ulimit -t; nice"), expected);
        let text = said(&profile, "dd if=/dev/zero of=$TMPDIR/x bs=1M count=2 2>&1; ls -l $TMPDIR/x | cut -d' ' -f5");
        assert!(text.contains("1048576"), "{text}");
    }
}

#[test]
fn a_program_gives_way_as_a_whole() {
    if !Path::new("/proc/self/autogroup").exists() {
        println!("skipped: this kernel counts no sessions");
        return;
    }
    let limits = Limits { nice: 7, ..Limits::default() };
    for profile in profiles() {
        let script = "until grep -q 'nice 7' /proc/self/autogroup; do sleep 0.05; done; echo settled";
        assert_eq!(said(&Profile { limits, ..profile }, script), "settled\n");
    }
}

#[test]
fn a_fork_bomb_stays_small() {
    for namespaces in makers() {
        let limits = Limits { processes: Some(32), ..Limits::default() };
        let profile = Profile { namespaces, limits, ..Profile::new(Level::S4, Vec::new()) };
        // A shell that may not fork ends; what it started before does not.
        let script = "(i=0; while [ $i -lt 200 ]; do sleep 1000 & i=$((i+1)); done) & exec sleep 1000";
        let marker = Marker::new();
        let child = launched(&bound(&profile, &marker, script));
        if child.effective.as_ref().unwrap().gaps.contains(&Gap::ProcessCount) {
            println!("skipped: processes cannot be counted here");
            continue;
        }
        started(&child);
        wait_until("it to have what it can get", || marker.alive().len() > 20);
        let most = marker.alive().len();
        assert!(most <= 32 + 4, "{most}");
        child.lifeline.kill();
        events(&child);
        assert_eq!(marker.alive(), Vec::<String>::new());
    }
}

#[test]
fn its_temporary_files_are_bounded() {
    for namespaces in makers() {
        let profile = Profile { namespaces, tmp_bytes: 1 << 20, ..Profile::new(Level::S4, Vec::new()) };
        let text = said(&profile, "head -c 3000000 /dev/zero > /tmp/x; wc -c < /tmp/x");
        assert!(text.contains("1048576") && text.contains("No space left"), "{text}");
    }
}

#[test]
fn variables_that_steer_programs_do_not_arrive() {
    for profile in profiles() {
        let mut launch = bound(&profile, &Marker::new(), "env");
        launch.env.extend([("LD_PRELOAD".into(), "/x".into()), ("MINE".into(), "1".into())]);
        let text = read(launched(&launch).stdout);
        assert!(text.contains("MINE=1\n") && !text.contains("LD_PRELOAD"), "{text}");
    }
}

#[test]
fn a_profile_that_cannot_be_held_starts_nothing() {
    let net = Net::Hosts(vec!["example.com".parse().unwrap()]);
    let profile = Profile { net, ..Profile::new(Level::S3, Vec::new()) };
    let marker = Marker::new();
    let error = sandbox::launch(&helper(), &bound(&profile, &marker, "sleep 1000")).unwrap_err();
    assert!(matches!(error, LaunchError::Unavailable(_)), "{error}");
    assert_eq!(marker.alive(), Vec::<String>::new());
}

#[test]
fn its_only_way_out_is_handed_to_its_owner() {
    let net = Net::Hosts(vec!["example.com".parse().unwrap()]);
    for namespaces in makers() {
        let profile = Profile { namespaces, net: net.clone(), ..Profile::new(Level::S4, Vec::new()) };
        let script = "exec bash -c 'exec 3<>/dev/tcp/127.0.0.1/3128; echo hello >&3; cat <&3'";
        let child = launched(&bound(&profile, &Marker::new(), script));
        let listener = child.egress.unwrap().listener().unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        let mut heard = [0; 6];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hello\n");
        std::io::Write::write_all(&mut stream, b"welcome").unwrap();
        drop(stream);
        assert_eq!(read(child.stdout), "welcome");
    }
}

#[test]
fn a_helper_that_is_told_nothing_does_nothing() {
    for words in
        [&["--within"][..], &["--within", "3", "4", "0", "--", "true"], &["--within", "0", "1", "2", "--", "true"]]
    {
        let helper = helper();
        let ended = Command::new(&helper.exe).arg(helper.argument).args(words).output().unwrap();
        assert_eq!((ended.status.code(), ended.stdout), (Some(2), Vec::new()), "{words:?}");
    }
}
