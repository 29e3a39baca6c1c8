use super::*;
use gate::ServerName;
use gate::pin::{Pin, PinClass};
use std::os::unix::fs::PermissionsExt;

struct Noon;

impl Clock for Noon {
    fn wall_micros(&self) -> u64 {
        1_767_268_800_000_000
    }
    fn mono_micros(&self) -> u64 {
        0
    }
}

struct Home {
    directory: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    fn file(&self) -> LockFile {
        LockFile::new(self.directory.path(), &self.directory.path().join("toolgate"))
    }

    fn text(&self) -> String {
        fs::read_to_string(self.directory.path().join("toolgate.lock")).expect("a lock file")
    }
}

fn definition(text: &str) -> String {
    format!(r#"{{"name":"t","description":"{text}"}}"#)
}

fn pin(text: &str) -> Pin {
    let hash = DefinitionHash::of(definition(text).as_bytes()).expect("JSON");
    Pin { hash, class: PinClass::Read, exposed: "s__t".into(), since: "2026-01-01T00:00:00Z".into() }
}

#[test]
fn what_was_written_is_read() {
    let home = Home::new();
    assert_eq!(home.file().read().expect("an empty lock"), Lock::default());
    home.file().update(|lock| lock.set("s", "t", pin("a"))).expect("written");
    assert_eq!(home.file().read().expect("a lock").pin("s", "t"), Some(&pin("a")));
    assert!(home.text().starts_with("# Written by toolgate"));
    let left: Vec<_> = fs::read_dir(home.directory.path()).expect("a directory").flatten().collect();
    assert_eq!(left.len(), 2, "the lock file and the state directory, nothing temporary: {left:?}");
}

#[test]
fn many_writers_at_once_lose_nothing() {
    let home = Home::new();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let file = home.file();
            scope.spawn(move || {
                for tool in 0..5 {
                    let name = format!("tool{tool}");
                    file.update(|lock| lock.set(&format!("server{writer}"), &name, pin(&name))).expect("written");
                }
            });
        }
    });
    let lock = home.file().read().expect("a lock");
    assert_eq!(lock.servers.values().map(|server| server.tools.len()).collect::<Vec<_>>(), [5; 8]);
}

#[test]
fn a_file_that_cannot_be_understood_is_left_as_it_is() {
    let home = Home::new();
    fs::write(home.file().path(), "format = 1\n<<<<<<< ours\n").expect("written");
    let error = home.file().update(|lock| lock.set("s", "t", pin("a"))).expect_err("flawed");
    assert!(matches!(&error, LockError::Flawed { flaw, .. } if flaw.line == 2), "{error}");
    assert!(error.hint().contains("version control"));
    assert!(home.text().contains("<<<<<<<"));
}

#[test]
fn a_link_to_a_file_under_version_control_stays_a_link() {
    let home = Home::new();
    let elsewhere = tempfile::tempdir().expect("a directory");
    let target = elsewhere.path().join("pins.lock");
    fs::write(&target, "").expect("written");
    std::os::unix::fs::symlink(&target, home.file().path()).expect("a link");
    home.file().update(|lock| lock.set("s", "t", pin("a"))).expect("written");
    assert!(fs::symlink_metadata(home.file().path()).expect("there").is_symlink());
    assert!(fs::read_to_string(&target).expect("a file").contains("[servers.s.tools.t]"));
}

#[test]
fn a_definition_is_kept_for_its_owner_and_not_believed_when_it_was_changed() {
    let home = Home::new();
    let (text, hash) = (definition("a"), pin("a").hash);
    assert_eq!(home.file().definition(&hash), None);
    home.file().keep_definition(&hash, text.as_bytes()).expect("kept");
    assert_eq!(home.file().definition(&hash).as_deref(), Some(text.as_bytes()));
    let path = home.file().definition_path(&hash);
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    fs::write(&path, definition("b")).expect("written");
    assert_eq!(home.file().definition(&hash), None);
    home.file().keep_definition(&hash, text.as_bytes()).expect("kept again");
    assert_eq!(home.file().definition(&hash).as_deref(), Some(text.as_bytes()));
}

fn first(server: &str, text: &str) -> FirstPin {
    let definition = bytes_of(text);
    FirstPin {
        server: ServerName::from(server),
        tool: "t".into(),
        definition,
        pin: Pin { since: "".into(), ..pin(text) },
    }
}

fn bytes_of(text: &str) -> bytes::Bytes {
    definition(text).into_bytes().into()
}

#[test]
fn first_pins_are_kept_with_their_time_and_never_replace_one() {
    let home = Home::new();
    let (keeper, lock) = Keeper::open(home.file(), Arc::new(Noon)).expect("opened");
    assert_eq!(lock, Lock::default());
    keeper.keep(vec![first("a", "1")]);
    keeper.keep(vec![first("a", "2"), first("b", "3")]);
    drop(keeper);
    let lock = home.file().read().expect("a lock");
    assert_eq!(lock.pin("a", "t").map(|pin| pin.hash), Some(pin("1").hash));
    assert_eq!(lock.pin("b", "t").map(|pin| &*pin.since), Some("2026-01-01T12:00:00Z"));
    assert!(home.file().definition(&pin("3").hash).is_some());
}

#[test]
fn what_another_process_wrote_is_seen_once() {
    let home = Home::new();
    let (keeper, _) = Keeper::open(home.file(), Arc::new(Noon)).expect("opened");
    assert_eq!(keeper.reload(), None);
    home.file().update(|lock| lock.set("s", "t", pin("a"))).expect("written");
    assert_eq!(keeper.reload().and_then(|lock| lock.pin("s", "t").cloned()), Some(pin("a")));
    assert_eq!(keeper.reload(), None);
    fs::write(home.file().path(), "no lock").expect("written");
    assert_eq!(keeper.reload(), None, "what cannot be read changes nothing");
    home.file().read().expect_err("and is no lock");
}

#[test]
fn a_lock_that_is_gone_or_broken_agrees_to_nothing() {
    let home = Home::new();
    home.file().update(|lock| lock.set("s", "t", pin("a"))).expect("written");
    let (keeper, _) = Keeper::open(home.file(), Arc::new(Noon)).expect("opened");
    fs::remove_file(home.file().path()).expect("removed");
    assert_eq!(keeper.reload(), None, "what was pinned before stands");
    home.file().update(|lock| lock.set("s", "t", pin("b"))).expect("written");
    assert_eq!(keeper.reload().and_then(|lock| lock.pin("s", "t").cloned()), Some(pin("b")));
    for broken in ["format = 2", "<<<<<<< HEAD", "\u{feff}format = 1\n[servers.s.tools.t]\nhash = 1"] {
        fs::write(home.file().path(), broken).expect("written");
        assert_eq!(keeper.reload(), None, "{broken}");
        assert!(Keeper::open(home.file(), Arc::new(Noon)).is_err(), "{broken}");
        assert!(home.file().update(|lock| lock.set("s", "t", pin("c"))).is_err(), "{broken}");
    }
    fs::remove_file(home.file().path()).expect("removed");
    fs::create_dir(home.file().path()).expect("created");
    assert!(matches!(home.file().read(), Err(LockError::Io { .. })), "no file at all");
}

#[test]
fn a_change_of_the_file_is_asked_about_once_in_a_second() {
    struct Ticks(AtomicU64);
    impl Clock for Ticks {
        fn wall_micros(&self) -> u64 {
            0
        }
        fn mono_micros(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }
    }
    let (home, ticks) = (Home::new(), Arc::new(Ticks(AtomicU64::new(7))));
    let (keeper, _) = Keeper::open(home.file(), ticks.clone()).expect("opened");
    assert!(!keeper.may_have_changed());
    home.file().update(|lock| lock.set("s", "t", pin("a"))).expect("written");
    assert!(!keeper.may_have_changed(), "looked a moment ago");
    ticks.0.store(1_000_007, Ordering::Relaxed);
    assert!(keeper.may_have_changed());
    assert!(keeper.reload().is_some());
    ticks.0.store(2_000_007, Ordering::Relaxed);
    assert!(!keeper.may_have_changed());
}

#[test]
fn a_server_that_lists_too_much_does_not_make_the_file_unreadable() {
    let home = Home::new();
    home.file().update(|lock| lock.set("s", "t", pin("a"))).expect("written");
    let name = "x".repeat(1 << 20);
    let too_much = home.file().update(|lock| (0..20).for_each(|n| lock.set("s", &format!("{name}{n}"), pin("b"))));
    assert!(matches!(too_much, Err(LockError::Io { .. })));
    assert_eq!(home.file().read().expect("a lock").pin("s", "t"), Some(&pin("a")), "as it was");
}
