//! The thread of a run of a CLI that does not tell it, as the first releases do not: Codex's own files have it.
//! Not here: any release that says which thread it runs.

use super::settings::Settings;
use serde_json::Value;
use std::fs::{DirEntry, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// Years, months, days.
const DEPTH: usize = 3;
/// How much earlier than the clock says a file may seem to have been written.
const LEEWAY: Duration = Duration::from_secs(1);

/// Which thread is looked for.
pub struct Wanted {
    /// When its run began, in milliseconds since 1970.
    pub began: u64,
    /// The one that was to go on; otherwise a new one.
    pub thread: Option<String>,
    /// What was asked.
    pub prompt: String,
}

/// The thread, if there is exactly one that it can be.
pub async fn thread(settings: &Settings, wanted: Wanted) -> Option<String> {
    let home = settings.env.iter().find(|(name, _)| name == "CODEX_HOME")?;
    let root = PathBuf::from(&home.1).join("sessions");
    tokio::task::spawn_blocking(move || find(&root, &wanted)).await.ok().flatten()
}

fn find(root: &Path, wanted: &Wanted) -> Option<String> {
    let mut files = Vec::new();
    written_since(root, DEPTH, wanted, &mut files);
    let mut found = files.iter().filter_map(|path| Some((id(path)?, path)));
    if let Some(asked) = &wanted.thread {
        return found.find(|(id, _)| id == asked).map(|(id, _)| id);
    }
    let found = found.filter(|(id, _)| !older(id, wanted.began));
    let mut found = found.filter(|(_, path)| prompts(path).is_some_and(|all| all == [wanted.prompt.trim()]));
    match (found.next(), found.next()) {
        (Some((id, _)), None) => Some(id),
        _ => None,
    }
}

fn written_since(dir: &Path, depth: usize, wanted: &Wanted, files: &mut Vec<PathBuf>) {
    let since = (UNIX_EPOCH + Duration::from_millis(wanted.began)).checked_sub(LEEWAY).unwrap_or(UNIX_EPOCH);
    let fresh =
        |entry: &DirEntry| entry.metadata().and_then(|metadata| metadata.modified()).is_ok_and(|at| at >= since);
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => written_since(&entry.path(), depth - 1, wanted, files),
            Ok(kind) if kind.is_file() && fresh(&entry) => files.push(entry.path()),
            _ => {}
        }
    }
}

/// Of `rollout-2026-01-31T12-00-00-UUID.jsonl`.
fn id(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.strip_prefix("rollout-")?.strip_suffix(".jsonl")?;
    let id = name.get("2026-01-31T12-00-00-".len()..)?;
    uuid::Uuid::try_parse(id).is_ok().then(|| id.to_owned())
}

/// Whether a thread is older than that, if its id tells when it began.
fn older(id: &str, began: u64) -> bool {
    let id = uuid::Uuid::try_parse(id).ok().filter(|id| id.get_version_num() == 7);
    id.is_some_and(|id| id.as_u128() >> 80 < u128::from(began))
}

/// What the user said in it.
fn prompts(path: &Path) -> Option<Vec<String>> {
    let events = BufReader::new(File::open(path).ok()?).lines().map_while(Result::ok);
    let events = events.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    let said = events.filter(|event| event["payload"]["type"] == "user_message");
    Some(said.filter_map(|event| Some(event["payload"]["message"].as_str()?.trim().to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "01a1fd4c-669c-7832-8910-d429fcd2e45f";
    const B: &str = "01a1fd4c-669c-7832-8910-d429fcd2e460";

    fn check(said: &[(&str, &[&str])], wanted: &Wanted, expected: Option<&str>) {
        let root = tempfile::tempdir().expect("a directory");
        let day = root.path().join("2026/11/21");
        std::fs::create_dir_all(&day).expect("directories");
        for (id, prompts) in said {
            let line = |said: &&str| {
                format!("{}\n", serde_json::json!({"payload": {"type": "user_message", "message": said}}))
            };
            let text: String = prompts.iter().map(line).collect();
            std::fs::write(day.join(format!("rollout-2026-11-21T08-50-05-{id}.jsonl")), text).expect("a file");
        }
        assert_eq!(find(root.path(), wanted).as_deref(), expected);
    }

    fn wanted(thread: Option<&str>, prompt: &str) -> Wanted {
        Wanted { began: 0, thread: thread.map(str::to_owned), prompt: prompt.to_owned() }
    }

    #[test]
    fn a_new_thread_is_known_by_its_only_prompt() {
        check(&[(A, &["one\n"]), (B, &["two"])], &wanted(None, "one"), Some(A));
        check(&[(A, &["zero", "one"]), (B, &["one"])], &wanted(None, "one"), Some(B));
        let later = "01a1fd4c-66a0-7832-8910-d429fcd2e45f";
        let since = Wanted { began: 0x01a1_fd4c_669d, ..wanted(None, "one") };
        check(&[(A, &["one"]), (later, &["one"])], &since, Some(later));
    }

    #[test]
    fn a_thread_that_is_one_of_several_is_nobodys() {
        check(&[(A, &["one"]), (B, &["one"])], &wanted(None, "one"), None);
        check(&[], &wanted(None, "one"), None);
    }

    #[test]
    fn a_thread_that_went_on_is_known_by_its_name_and_its_time() {
        check(&[(A, &["zero", "one"]), (B, &["one"])], &wanted(Some(A), "one"), Some(A));
        check(&[(B, &["one"])], &wanted(Some(A), "one"), None);
        let later = Wanted { began: u64::MAX >> 20, ..wanted(Some(A), "one") };
        check(&[(A, &["one"])], &later, None);
    }
}
