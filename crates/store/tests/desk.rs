//! What every desk has to do, and what the database does beyond: many processes on one file, kills, damage.

use gate::ports::{Clock, Desk};
use gate::{
    Approval, ApprovalId, ApprovalState, ArgPattern, CallDigest, Process, Settled, StandingGrant, Verdict, Way,
};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::db::Db;
use tempfile::{TempDir, tempdir};
use tokio::task::JoinSet;
use uuid::Uuid;

const NOW: u64 = 1_795_208_400_000_000;
const MINUTE: u64 = 60_000_000;

/// Nothing here takes longer, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Still(AtomicU64);

impl Clock for Still {
    fn wall_micros(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
    fn mono_micros(&self) -> u64 {
        self.wall_micros()
    }
}

struct Place {
    dir: TempDir,
    clock: Arc<Still>,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempdir().expect("a directory"), clock: Arc::new(Still(NOW.into())) }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("toolgate").join("toolgate.db")
    }

    /// As another process would have it.
    fn desk(&self) -> Arc<dyn Desk> {
        Arc::new(Db::at(self.path(), self.clock.clone()))
    }

    async fn fails(&self) -> String {
        self.desk().list(NOW, true).await.expect_err("unusable").to_string()
    }
}

fn question(seed: u8) -> Approval {
    Approval {
        id: ApprovalId(Uuid::now_v7()),
        digest: CallDigest([seed; 32]),
        by: "local".to_owned(),
        client: Some("codex 1.2".to_owned()),
        conversation: Some("c-1".to_owned()),
        server: "files".into(),
        tool: "wrïte\u{202e}\n".to_owned(),
        definition: "d".repeat(64),
        class: "write".to_owned(),
        arguments: r#"{"path":"/tmp/x'; DROP TABLE approvals; --"}"#.to_owned(),
        arguments_digest: "a".repeat(64),
        rule: "policy.rules[3]".to_owned(),
        policy: "p".repeat(64),
        asked: NOW,
        expires: NOW + 10 * MINUTE,
        requesters: vec![Process { pid: 17, started: u64::MAX }, Process { pid: u32::MAX, started: 0 }],
        state: ApprovalState::Open,
        rounds: 0,
    }
}

fn says(yes: bool, at: u64) -> Verdict {
    Verdict { yes, approver: "alice (terminal)".to_owned(), way: Way::Terminal, at }
}

fn grant(tool: &str, until: u64) -> StandingGrant {
    StandingGrant {
        id: Uuid::now_v7(),
        by: "local".to_owned(),
        server: "files".to_owned(),
        tool: tool.to_owned(),
        definition: "d".to_owned(),
        arguments: ArgPattern::Where([("path".to_owned(), "/tmp/*".to_owned())].into()),
        conversation: Some("c-1".to_owned()),
        until,
        given: NOW,
        giver: "alice".to_owned(),
        approval: Some(ApprovalId(Uuid::now_v7())),
    }
}

async fn approved(desk: &dyn Desk, seed: u8) -> Approval {
    let asked = desk.open(question(seed)).await.expect("room");
    match desk.settle(asked.id, says(true, NOW + 1)).await.expect("room") {
        Settled::Now(approval) => approval,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_question_comes_back_as_it_was_laid_down() {
    let place = Place::new();
    let asked = question(1);
    assert_eq!(place.desk().open(asked.clone()).await.expect("room"), asked);
    assert_eq!(place.desk().get(asked.id, NOW).await.expect("there"), Some(asked.clone()));
    assert_eq!(place.desk().list(NOW, false).await.expect("there"), [asked]);
    assert_eq!(place.desk().get(question(1).id, NOW).await.expect("none"), None);
}

#[tokio::test]
async fn the_same_call_finds_its_question_until_that_is_over() {
    let place = Place::new();
    let desk = place.desk();
    let first = desk.open(question(1)).await.expect("room");
    assert_eq!(desk.open(question(1)).await.expect("found").id, first.id);
    let other = Approval { by: "token".to_owned(), ..question(1) };
    assert_ne!(desk.open(other).await.expect("room").id, first.id, "another principal");
    assert_ne!(desk.open(question(2)).await.expect("room").id, first.id, "another call");
    desk.settle(first.id, says(true, NOW + 1)).await.expect("room");
    let again = desk.open(question(1)).await.expect("found");
    assert_eq!((again.id, again.state), (first.id, ApprovalState::Approved(says(true, NOW + 1))));
    assert!(desk.spend(first.id, first.digest, NOW + 2).await.expect("room"));
    assert_ne!(desk.open(question(1)).await.expect("room").id, first.id, "spent");
}

#[tokio::test]
async fn a_denied_or_expired_question_is_asked_anew() {
    let place = Place::new();
    let desk = place.desk();
    let denied = desk.open(question(1)).await.expect("room");
    desk.settle(denied.id, says(false, NOW + 1)).await.expect("room");
    assert_ne!(desk.open(question(1)).await.expect("room").id, denied.id);
    let old = desk.open(question(2)).await.expect("room");
    let late = Approval { asked: old.expires, expires: old.expires + MINUTE, ..question(2) };
    assert_ne!(desk.open(late).await.expect("room").id, old.id);
}

#[tokio::test]
async fn an_answer_counts_once_and_not_too_late() {
    let place = Place::new();
    let desk = place.desk();
    let asked = desk.open(question(1)).await.expect("room");
    assert_eq!(desk.settle(question(9).id, says(true, NOW)).await.expect("said"), Settled::Unknown);
    let denied = Approval { state: ApprovalState::Denied(says(false, NOW + 5)), ..asked.clone() };
    assert_eq!(desk.settle(asked.id, says(false, NOW + 5)).await.expect("said"), Settled::Now(denied.clone()));
    assert_eq!(desk.settle(asked.id, says(true, NOW + 6)).await.expect("said"), Settled::Already(denied));
    let late = desk.open(question(2)).await.expect("room");
    let expired = Approval { state: ApprovalState::Expired, ..late.clone() };
    assert_eq!(desk.settle(late.id, says(true, late.expires)).await.expect("said"), Settled::Already(expired));
}

#[tokio::test]
async fn an_approval_is_spent_once_by_its_own_call_in_its_time() {
    let place = Place::new();
    let desk = place.desk();
    let open = desk.open(question(1)).await.expect("room");
    assert!(!desk.spend(open.id, open.digest, NOW).await.expect("said"), "not approved yet");
    let yes = approved(&*desk, 2).await;
    assert!(!desk.spend(yes.id, CallDigest([3; 32]), NOW).await.expect("said"), "another call");
    assert!(!desk.spend(yes.id, yes.digest, yes.expires).await.expect("said"), "too late");
    assert!(desk.spend(yes.id, yes.digest, yes.expires - 1).await.expect("said"));
    assert!(!desk.spend(yes.id, yes.digest, NOW).await.expect("said"), "twice");
    let state = desk.get(yes.id, NOW).await.expect("there").expect("there").state;
    assert_eq!(state, ApprovalState::Spent(says(true, NOW + 1)));
    desk.settle(open.id, says(false, NOW)).await.expect("said");
    assert!(!desk.spend(open.id, open.digest, NOW).await.expect("said"), "denied");
}

#[tokio::test]
async fn each_round_of_a_spent_approval_goes_on_once() {
    let place = Place::new();
    let desk = place.desk();
    let yes = approved(&*desk, 1).await;
    let go = async |digest, round| desk.advance(yes.id, digest, round, NOW).await.expect("said");
    assert!(!go(yes.digest, 0).await, "it has not begun");
    assert!(desk.spend(yes.id, yes.digest, NOW).await.expect("said"));
    assert!(!go(CallDigest([2; 32]), 0).await, "another call");
    assert!(!go(yes.digest, 1).await, "there was no first round");
    assert!(go(yes.digest, 0).await);
    assert!(!go(yes.digest, 0).await, "twice");
    assert!(go(yes.digest, 1).await);
    assert_eq!(desk.get(yes.id, NOW).await.expect("there").expect("there").rounds, 2);
}

#[tokio::test]
async fn what_nobody_answered_expires_once() {
    let place = Place::new();
    let (desk, other) = (place.desk(), place.desk());
    let asked = desk.open(question(1)).await.expect("room");
    let yes = approved(&*desk, 2).await;
    assert_eq!(desk.expire(asked.expires - 1).await.expect("said"), []);
    let expired = Approval { state: ApprovalState::Expired, ..asked.clone() };
    assert_eq!(desk.list(asked.expires, false).await.expect("said"), [], "expired though nobody marked it");
    assert_eq!(desk.get(asked.id, asked.expires).await.expect("there"), Some(expired.clone()));
    let (one, two) = tokio::join!(desk.expire(asked.expires), other.expire(asked.expires));
    assert_eq!([one.expect("said"), two.expect("said")].concat(), [expired], "to one of the two");
    let word = desk.get(yes.id, yes.expires).await.expect("there").expect("there").state.word();
    assert_eq!(word, "approved", "it was answered");
}

#[tokio::test]
async fn what_is_long_over_is_forgotten_and_what_is_open_never() {
    let place = Place::new();
    let desk = place.desk();
    let yes = approved(&*desk, 1).await;
    let open = desk.open(question(2)).await.expect("room");
    let later = NOW + 60 * 24 * 60 * MINUTE;
    let new = desk.open(Approval { asked: later, expires: later + MINUTE, ..question(3) }).await.expect("room");
    let kept: Vec<_> = desk.list(later, true).await.expect("said").iter().map(|approval| approval.id).collect();
    assert_eq!(kept, [open.id, new.id], "and not {}", yes.id);
}

#[tokio::test]
async fn grants_hold_for_their_tool_and_time_until_they_are_taken_back() {
    let place = Place::new();
    let desk = place.desk();
    let mut grants = [grant("write", NOW + 10), grant("write", NOW + 20), grant("read", NOW + 20)];
    grants[1].given += 1;
    grants[2].given += 2;
    for grant in &grants {
        desk.remember(grant.clone()).await.expect("room");
    }
    let server = "files".into();
    let [one, two, three] = grants;
    let other = place.desk();
    assert_eq!(other.standing(&server, "write", NOW).await.expect("said"), [two.clone(), one.clone()]);
    assert_eq!(other.standing(&server, "write", NOW + 10).await.expect("said"), std::slice::from_ref(&two));
    assert_eq!(other.standing(&"mail".into(), "write", NOW).await.expect("said"), []);
    assert!(other.revoke(two.id).await.expect("said"));
    assert!(!desk.revoke(two.id).await.expect("said"));
    assert_eq!(desk.all_standing(NOW).await.expect("said"), [three, one]);
}

#[tokio::test]
async fn of_many_who_answer_one_succeeds() {
    let place = Place::new();
    for round in 0..10 {
        let asked = place.desk().open(question(round)).await.expect("room");
        let mut racers = JoinSet::new();
        for racer in 0..8 {
            let desk = place.desk();
            racers.spawn(async move { desk.settle(asked.id, says(racer % 2 == 0, NOW + racer)).await });
        }
        let settled: Vec<_> = racers.join_all().await.into_iter().map(|settled| settled.expect("said")).collect();
        let winners: Vec<_> =
            settled.iter().filter_map(|s| if let Settled::Now(approval) = s { Some(approval) } else { None }).collect();
        assert_eq!(winners.len(), 1, "{settled:?}");
        let same = |s: &Settled| matches!(s, Settled::Now(a) | Settled::Already(a) if a == winners[0]);
        assert!(settled.iter().all(same), "all are told the same: {settled:?}");
    }
}

#[tokio::test]
async fn of_many_who_spend_one_succeeds() {
    let place = Place::new();
    for round in 0..10 {
        let yes = approved(&*place.desk(), round).await;
        let mut racers = JoinSet::new();
        for _ in 0..8 {
            let desk = place.desk();
            racers.spawn(async move { desk.spend(yes.id, yes.digest, NOW).await });
        }
        let spent = racers.join_all().await.into_iter().filter(|spent| *spent.as_ref().expect("said")).count();
        assert_eq!(spent, 1);
    }
}

#[tokio::test]
async fn of_many_who_ask_the_same_all_get_one_question() {
    let place = Place::new();
    let mut racers = JoinSet::new();
    for _ in 0..8 {
        let desk = place.desk();
        racers.spawn(async move { desk.open(question(1)).await.expect("room").id });
    }
    let ids = racers.join_all().await;
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

async fn wakes(waiting: Arc<dyn Desk>, answering: Arc<dyn Desk>) {
    let asked = waiting.open(question(1)).await.expect("room");
    let mut waiters = JoinSet::new();
    for _ in 0..20 {
        let waiting = waiting.clone();
        waiters.spawn(async move { waiting.wait(asked.id, asked.expires).await.expect("said").expect("there").state });
    }
    // A change that is no answer wakes nobody for good.
    answering.open(question(2)).await.expect("room");
    tokio::task::yield_now().await;
    answering.settle(asked.id, says(true, NOW + 1)).await.expect("room");
    let states = tokio::time::timeout(PATIENCE, waiters.join_all()).await.expect("all are woken");
    assert!(states.iter().all(|state| *state == ApprovalState::Approved(says(true, NOW + 1))), "{states:?}");
}

#[tokio::test]
async fn waiting_ends_with_an_answer_given_here() {
    let desk = Place::new();
    wakes(desk.desk(), desk.desk()).await;
    let desk = desk.desk();
    wakes(desk.clone(), desk).await;
}

#[tokio::test]
async fn waiting_ends_with_an_answer_given_by_another_process() {
    let place = Place::new();
    let desk = place.desk();
    // The other process has a clock of its own, and by that the question must not be over.
    let asked = desk.open(Approval { expires: u64::MAX / 2, ..question(1) }).await.expect("room");
    let waiter = tokio::time::timeout(PATIENCE, desk.wait(asked.id, asked.expires));
    let answer = tokio::task::spawn_blocking({
        let path = place.path();
        move || settler(&path, &asked.id.to_string()).wait_with_output().expect("ours").stdout
    });
    let (state, said) = tokio::join!(waiter, answer);
    assert_eq!(String::from_utf8_lossy(&said.expect("no panic")), format!("now {}\n", asked.id));
    assert_eq!(state.expect("in time").expect("said").expect("there").state.word(), "approved");
}

#[tokio::test]
async fn waiting_ends_when_its_time_has_come() {
    let place = Place::new();
    let desk = place.desk();
    let asked = desk.open(question(1)).await.expect("room");
    assert_eq!(desk.wait(asked.id, NOW).await.expect("said"), Some(asked.clone()), "not open any more, or until");
    assert_eq!(desk.wait(question(3).id, NOW + MINUTE).await.expect("said"), None, "there is no such question");
    place.clock.0.store(asked.expires + 5, Ordering::Relaxed);
    let late = desk.wait(asked.id, asked.expires).await.expect("said").expect("there");
    assert_eq!(late.state, ApprovalState::Expired);
    place.clock.0.store(NOW, Ordering::Relaxed);
    let mut waiter = JoinSet::new();
    waiter.spawn(async move { desk.wait(asked.id, NOW + 50_000).await.expect("said").expect("there").state });
    tokio::task::yield_now().await;
    place.clock.0.store(NOW + 50_000, Ordering::Relaxed);
    let patient = tokio::time::timeout(PATIENCE, waiter.join_next()).await.expect("in time");
    assert_eq!(patient.expect("one").expect("no panic"), ApprovalState::Open);
}

#[tokio::test]
async fn a_waiter_who_gives_up_leaves_the_others_waiting_well() {
    let place = Place::new();
    let (waiting, answering) = (place.desk(), place.desk());
    let asked = waiting.open(question(1)).await.expect("room");
    for _ in 0..20 {
        // The one who looks out on behalf of all is among those who give up.
        tokio::select! {
            _ = waiting.wait(asked.id, asked.expires) => panic!("nobody answered"),
            () = tokio::task::yield_now() => {}
        }
    }
    let waiter = waiting.wait(asked.id, asked.expires);
    let (state, _) = tokio::join!(tokio::time::timeout(PATIENCE, waiter), answering.settle(asked.id, says(false, NOW)));
    assert_eq!(state.expect("in time").expect("said").expect("there").state.word(), "denied");
}

fn settler(path: &Path, what: &str) -> Child {
    let mut program = Command::new(env!("CARGO_BIN_EXE_store-settler"));
    program.arg(path).arg(what).stdout(Stdio::piped()).spawn().expect("the test binary starts")
}

/// What it said of each question, and said last.
fn collect(said: impl Iterator<Item = String>, into: &mut HashMap<ApprovalId, String>) {
    for line in said {
        if let Some((word, id)) = line.split_once(' ')
            && let Ok(id) = id.parse()
        {
            into.insert(id, word.to_owned());
        }
    }
}

#[tokio::test]
async fn many_processes_come_first_together() {
    let place = Place::new();
    let children: Vec<_> = (0..6).map(|_| settler(&place.path(), "5")).collect();
    let mut said = HashMap::new();
    for child in children {
        let output = child.wait_with_output().expect("ours");
        assert!(output.status.success());
        collect(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned), &mut said);
    }
    let all = place.desk().list(NOW, true).await.expect("said");
    assert_eq!((all.len(), said.len()), (30, 30));
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&place.path()), mode(place.path().parent().expect("one"))), (0o600, 0o700));
    let left: Vec<_> = std::fs::read_dir(place.path().parent().expect("one")).expect("there").flatten().collect();
    assert!(left.iter().all(|file| !file.file_name().to_string_lossy().contains(".new")), "{left:?}");
}

#[tokio::test]
async fn a_killed_process_loses_no_answer_it_acknowledged() {
    let place = Place::new();
    for round in 0..12 {
        let mut children: Vec<_> = (0..2).map(|_| settler(&place.path(), "100000")).collect();
        let mut said = HashMap::new();
        for child in &mut children {
            let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
            collect(lines.by_ref().take(1 + round * 3), &mut said);
            let pid = Pid::from_raw(child.id().cast_signed()).expect("a process");
            kill_process(pid, Signal::KILL).expect("ours");
            collect(lines, &mut said);
        }
        for child in &mut children {
            child.wait().expect("ours");
        }
        let stand: HashMap<_, _> =
            place.desk().list(NOW, true).await.expect("said").into_iter().map(|a| (a.id, a.state.word())).collect();
        for (id, word) in said {
            let now = stand.get(&id).copied();
            let at_least: &[&str] = match word.as_str() {
                "spent" => &["spent"],
                "settled" => &["approved", "spent"],
                _ => &["open", "approved", "spent"],
            };
            assert!(now.is_some_and(|now| at_least.contains(&now)), "{id} was {word}, is {now:?}");
        }
    }
}

/// Waits until the last connection has written what it still had: it does so in a thread of its own.
fn quiet(path: &Path) {
    let wal = PathBuf::from(format!("{}-wal", path.display()));
    let closed = (0..PATIENCE.as_millis() / 10).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        !wal.exists()
    });
    assert!(closed, "nobody holds it");
}

#[tokio::test]
async fn a_damaged_file_is_named_and_never_made_anew() {
    let place = Place::new();
    place.desk().open(question(1)).await.expect("room");
    quiet(&place.path());
    let damage: [(&str, &[u8]); 3] = [("garbage", &[0x5a; 8192]), ("nothing", b""), ("text", b"not a database")];
    for (what, bytes) in damage {
        std::fs::write(place.path(), bytes).expect("ours");
        let message = place.fails().await;
        let path = place.path().display().to_string();
        assert!(message.contains(&path) && message.contains(&format!("mv {path} ")), "{what}: {message}");
        assert!(message.contains("grants in it are lost, the record of calls is not"), "{what}: {message}");
        assert_eq!(std::fs::read(place.path()).expect("there"), bytes, "{what}: left as it was");
    }
}

#[tokio::test]
async fn a_file_that_was_moved_away_is_followed_by_a_new_one() {
    let place = Place::new();
    let (desk, other) = (place.desk(), place.desk());
    desk.open(question(1)).await.expect("room");
    for side in ["", "-wal", "-shm"] {
        let from = format!("{}{side}", place.path().display());
        let _ = std::fs::rename(&from, format!("{from}.damaged"));
    }
    let asked = other.open(question(2)).await.expect("room");
    assert_eq!(desk.list(NOW, true).await.expect("said"), [asked], "both are in the new one");
}

#[tokio::test]
async fn a_newer_file_is_refused_with_what_to_do() {
    let place = Place::new();
    place.desk().open(question(1)).await.expect("room");
    let connect = sqlx::sqlite::SqliteConnectOptions::new().filename(place.path());
    let mut connection = sqlx::ConnectOptions::connect(&connect).await.expect("it is sound");
    sqlx::Executor::execute(&mut connection, "UPDATE meta SET schema_version = 1000").await.expect("ours");
    let message = place.fails().await;
    assert!(message.contains("1000") && message.contains("update toolgate"), "{message}");
}

#[tokio::test]
async fn others_cannot_read_the_file_however_it_was_left() {
    let place = Place::new();
    place.desk().open(question(1)).await.expect("room");
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o644)).expect("ours");
    place.desk().list(NOW, true).await.expect("said");
    let mode = std::fs::metadata(place.path()).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

#[tokio::test]
async fn a_full_disk_is_said_and_recovered_from() {
    let dir = tempdir().expect("a directory");
    let mount = |args: &[&str]| {
        let mut mount = Command::new("mount");
        mount.args(args).arg(dir.path()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    if !mount(&["-t", "tmpfs", "-o", "size=256k", "none"]) {
        println!("skipped: only root can mount a small file system");
        return;
    }
    let desk = Db::at(dir.path().join("toolgate.db"), Arc::new(Still(NOW.into())));
    let asked = desk.open(question(0)).await;
    let mut full = None;
    for seed in 1..200 {
        let long = Approval { arguments: "x".repeat(20_000), ..question(seed) };
        if let Err(error) = desk.open(long).await {
            full = Some(error.to_string());
            break;
        }
    }
    let settled = match &asked {
        Ok(asked) => desk.get(asked.id, NOW).await.map(|found| found.is_some()),
        Err(error) => Err(error.clone()),
    };
    mount(&["-o", "remount,size=4m"]);
    let after = desk.open(question(250)).await;
    drop(desk);
    // The connection closes in a thread of its own.
    let unmounted = (0..600).any(|_| {
        let done = Command::new("umount").arg(dir.path()).stderr(Stdio::null()).status().is_ok_and(|s| s.success());
        if !done {
            std::thread::sleep(Duration::from_millis(50));
        }
        done
    });
    assert!(unmounted, "nobody holds it");
    let full = full.expect("256 KiB are not enough");
    assert!(full.contains("make room") || full.contains("No space"), "{full}");
    assert_eq!(settled.ok(), Some(true), "what was acknowledged can be read");
    after.expect("there is room again");
}

#[tokio::test]
async fn nothing_is_made_before_it_is_needed() {
    let place = Place::new();
    let desk = place.desk();
    assert!(!place.path().exists() && !place.path().parent().expect("one").exists());
    desk.list(NOW, false).await.expect("said");
    assert!(place.path().exists());
}
