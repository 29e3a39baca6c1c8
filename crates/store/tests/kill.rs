//! Real writers that are really killed, two writers on one directory, and a disk that is really full.

mod common;

use common::{appender, check, door, verify};
use gate::ports::Ledger;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use store::{Filter, Segments, read, recover};
use tempfile::tempdir;

fn open(dir: &Path) -> Arc<Segments> {
    Segments::open(dir, door()).expect("a directory")
}

/// Kills the writer after `count` acknowledgements and returns all that it managed to print.
fn kill_after(mut child: Child, count: usize) -> Vec<String> {
    let mut said = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut acknowledged: Vec<String> = said.by_ref().take(count).map(|line| line.expect("text")).collect();
    child.kill().expect("ours");
    child.wait().expect("ours");
    acknowledged.extend(said.map_while(Result::ok).filter(|line| line.len() == 36));
    acknowledged
}

#[test]
fn a_killed_writer_loses_nothing_it_acknowledged() {
    for round in 0..25 {
        let dir = tempdir().expect("a directory");
        // Small parts, so that some are killed while they change to the next one.
        let segment_bytes = if round % 2 == 0 { 20_000 } else { 1 << 26 };
        let acknowledged = kill_after(appender(dir.path(), segment_bytes, None), 1 + round * 11);
        check(dir.path(), &acknowledged);
    }
}

#[test]
fn two_writers_share_a_directory_and_one_may_die() {
    let dir = tempdir().expect("a directory");
    let (one, other) = (appender(dir.path(), 100_000, None), appender(dir.path(), 100_000, None));
    let mut acknowledged = kill_after(one, 300);
    let done = recover(dir.path(), &door()).expect("listed");
    assert!(done.closed > 0 && done.failed.is_empty() && done.damaged.is_empty(), "{done:?}");
    let report = verify(dir.path());
    assert_eq!((report.first_bad, report.chains), (None, 2));
    assert!(report.unfinished > 0, "one of them lives");
    acknowledged.extend(kill_after(other, 300));
    check(dir.path(), &acknowledged);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it is timed")]
fn a_really_full_disk_refuses_and_recovers() {
    let begun = std::time::Instant::now();
    let dir = tempdir().expect("a directory");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=4m", "none"])
        .arg(dir.path())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !mounted {
        println!("skipped: only root can mount a small file system");
        return;
    }
    let audit = dir.path().join("audit");
    let ledger = open(&audit);
    let event = |id: usize| format!(r#"{{"event":"attempt","id":"{id}","padding":"{}"}}"#, "x".repeat(20_000));
    let full = (0..1_000).find_map(|id| ledger.append(event(id).as_bytes()).err().map(|error| (id, error)));
    let (attempts, error) = full.expect("4 MiB are not enough");
    ledger.append(event(2_000).as_bytes()).expect_err("still full");
    // Somebody else takes what is left; what was promised to the ends is still there.
    let greedy = std::fs::write(dir.path().join("other"), vec![0; 4 << 20]);
    let end = |id: usize| format!(r#"{{"event":"end","id":"{id}","end":"finished"}}"#).into_bytes();
    let ended = ledger.append_all(&(0..attempts).map(end).collect::<Vec<_>>());
    let while_full = verify(&audit);
    ledger.append(event(3_000).as_bytes()).expect_err("still full");
    Command::new("mount").args(["-o", "remount,size=16m"]).arg(dir.path()).status().expect("mount runs");
    let after = ledger.append(event(4_000).as_bytes());
    drop(ledger);
    let report = verify(&audit);
    Command::new("umount").arg(dir.path()).status().expect("umount runs");
    let message = error.to_string();
    assert!(message.contains("audit file") && message.contains("space") && attempts > 10, "{attempts}: {message}");
    greedy.expect_err("there is less");
    ended.expect("the room was promised");
    after.expect("there is room again");
    assert_eq!((while_full.first_bad, while_full.open), (None, 0));
    assert_eq!((report.first_bad, report.unfinished, report.in_doubt), (None, 0, 1));
    let what =
        "calls under way when a disk was really full: new ones refused, their ends written, new ones taken again";
    println!(
        "AUDIT {}",
        serde_json::json!({ "what": what, "count": attempts, "seconds": begun.elapsed().as_secs_f64() })
    );
}

#[tokio::test]
async fn what_is_durable_can_be_read_back() {
    let dir = tempdir().expect("a directory");
    let ledger = open(dir.path());
    let position = ledger.append(br#"{"event":"attempt","id":"a"}"#).expect("room");
    ledger.durable(position).await.expect("a disk");
    let lines: Vec<_> = read(dir.path(), Filter::default()).expect("listed").collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(verify(dir.path()).first_bad, None);
}

#[test]
fn the_recipe_in_the_documentation_is_true() {
    let source = include_str!("../src/lib.rs");
    let script: String = source
        .lines()
        .skip_while(|line| *line != "//! ```python")
        .skip(1)
        .take_while(|line| *line != "//! ```")
        .map(|line| format!("{}\n", line.trim_start_matches("//!").strip_prefix(' ').unwrap_or_default()))
        .collect();
    let dir = tempdir().expect("a directory");
    let ledger = open(dir.path());
    ledger.append(r#"{"event":"attempt","id":"a","asked":"ünï\u0000"}"#.as_bytes()).expect("room");
    drop(ledger);
    let mut files = std::fs::read_dir(dir.path()).expect("there").map(|entry| entry.expect("readable").path());
    // The heads lie beside the segment.
    let file = files.find(|path| path.extension().is_some_and(|ending| ending == "jsonl")).expect("a segment");
    let run = || Command::new("python3").arg("-c").arg(&script).arg(&file).output();
    let Ok(sound) = run() else {
        println!("skipped: there is no python3");
        return;
    };
    assert_eq!(String::from_utf8_lossy(&sound.stdout), "5 lines\n", "{}", String::from_utf8_lossy(&sound.stderr));
    let text = std::fs::read_to_string(&file).expect("text").replace("\"lost\"", "\"fine\"");
    std::fs::write(&file, text).expect("ours");
    let changed = run().expect("it ran before");
    assert!(String::from_utf8_lossy(&changed.stderr).contains("line 3 was changed"));
}

#[test]
fn the_recipe_with_python_and_openssl_is_true() {
    let design = include_str!("../../../docs/design/ledger.md");
    let script = design.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a script");
    let dir = tempdir().expect("a directory");
    let audit = dir.path().join("audit");
    let options = store::Options { segment_bytes: 2_000, ..store::Options::default() };
    let ledger = Segments::open_with(&audit, door(), options).expect("a directory");
    for id in 0..20 {
        ledger.append(format!(r#"{{"event":"attempt","id":"{id}","asked":"ünï"}}"#).as_bytes()).expect("room");
    }
    drop(ledger);
    let key = dir.path().join("audit.pub");
    std::fs::write(&key, door().signer.public().to_pem()).expect("room");
    let entries = std::fs::read_dir(&audit).expect("there").map(|entry| entry.expect("readable").path());
    let mut parts: Vec<_> = entries.filter(|path| path.extension().is_some_and(|ext| ext == "jsonl")).collect();
    parts.sort();
    let run = || Command::new("python3").arg("-c").arg(script).arg(&key).args(&parts).output();
    let openssl = Command::new("openssl").arg("version").output();
    let (Ok(sound), Ok(_)) = (run(), openssl) else {
        println!("skipped: there is no python3 or no openssl");
        return;
    };
    let lines = verify(&audit).lines;
    let said = String::from_utf8_lossy(&sound.stdout).into_owned();
    assert_eq!(
        said,
        format!("{lines} lines, signed up to line {lines}\n"),
        "{}",
        String::from_utf8_lossy(&sound.stderr)
    );
    assert!(parts.len() > 2);
    // A statement with another time has another signature.
    let last = parts.last().expect("parts");
    let text = std::fs::read_to_string(last).expect("text");
    let (rest, checkpoint) = text.trim_end().rsplit_once('\n').expect("lines");
    let changed = checkpoint.replacen("\"ts\":1", "\"ts\":2", 1);
    let body = &changed[..changed.len() - 75];
    let hash = Command::new("python3")
        .args(["-c", "import hashlib,sys; print(hashlib.sha256(sys.argv[1].encode()).hexdigest(), end='')", body])
        .output()
        .expect("it ran before");
    let hash = String::from_utf8(hash.stdout).expect("text");
    std::fs::write(last, format!("{rest}\n{body},\"hash\":\"{hash}\"}}\n")).expect("ours");
    let changed = run().expect("it ran before");
    assert!(String::from_utf8_lossy(&changed.stderr).contains("is not signed by this key"));
}
