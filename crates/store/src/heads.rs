//! The side file that remembers what was signed last of every chain, so that a chain that lost its end is missed.
//!
//! One line per checkpoint, as in the segments but unchained: `heads.log`. Its lines are signed, so they can be
//! deleted but not forged; the first line of every chain names the last ones too, so that a deletion is missed.

use crate::checkpoint::Checkpoint;
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file's name in the audit directory.
pub(crate) const HEADS: &str = "heads.log";

/// The last lines of the file that are looked at for the last chains.
const TAIL_BYTES: u64 = 64 * 1024;

pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join(HEADS)
}

/// Adds checkpoints to the file, whole or not at all.
pub(crate) fn post(dir: &Path, checkpoints: &[Checkpoint<'_>]) -> io::Result<()> {
    if checkpoints.is_empty() {
        return Ok(());
    }
    let mut file = locked(dir)?;
    let end = file.seek(SeekFrom::End(0))?;
    let written = file.write_all(&lines(checkpoints));
    if written.is_err() {
        file.set_len(end)?;
    }
    written
}

fn lines<'a>(checkpoints: impl IntoIterator<Item = &'a Checkpoint<'a>>) -> Vec<u8> {
    let mut lines = Vec::new();
    for checkpoint in checkpoints {
        serde_json::to_writer(&mut lines, checkpoint).expect("strings and numbers");
        lines.push(b'\n');
    }
    lines
}

/// The file, locked, under its name.
fn locked(dir: &Path) -> io::Result<File> {
    loop {
        let path = path(dir);
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path)?;
        file.lock()?;
        let ours = file.metadata()?;
        if std::fs::metadata(&path).is_ok_and(|there| there.ino() == ours.ino()) {
            return Ok(file);
        }
        // Somebody rewrote it before we had the lock.
    }
}

/// All lines with their numbers; `None` where a line is not what was written. Half a line at the end is left out.
pub(crate) fn read(dir: &Path) -> io::Result<Vec<Numbered>> {
    read_file(&path(dir))
}

/// A line's number, and what it says.
pub(crate) type Numbered = (u64, Option<Checkpoint<'static>>);

/// The same, of a copy of the file.
pub(crate) fn read_file(path: &Path) -> io::Result<Vec<Numbered>> {
    let text = match std::fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        text => text?,
    };
    let whole = text.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    Ok(whole.zip(1..).map(|(line, number)| (number, parse(line))).collect())
}

fn parse(line: &[u8]) -> Option<Checkpoint<'static>> {
    serde_json::from_slice::<Checkpoint<'_>>(line).ok().map(Checkpoint::into_owned)
}

/// The newest checkpoint of each of the last `count` chains, the newest first.
pub(crate) fn last(dir: &Path, count: usize) -> io::Result<Vec<Checkpoint<'static>>> {
    let mut file = match File::open(path(dir)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let mut seen = HashSet::new();
    let newest = text.rsplit(|byte| *byte == b'\n').filter_map(parse);
    Ok(newest.filter(|checkpoint| seen.insert(checkpoint.chain.clone())).take(count).collect())
}

/// Forgets all but the newest checkpoint of each chain, and of those the ones that `keep` does not want.
pub(crate) fn forget(dir: &Path, keep: impl Fn(&Checkpoint<'_>) -> bool) -> io::Result<()> {
    let old = locked(dir)?;
    let mut seen = HashSet::new();
    let all = read(dir)?.into_iter().filter_map(|(_, checkpoint)| checkpoint);
    let mut kept: Vec<_> = all.collect::<Vec<_>>().into_iter().rev().collect();
    kept.retain(|checkpoint| seen.insert(checkpoint.chain.clone()) && keep(checkpoint));
    kept.reverse();
    let draft = dir.join(format!("{HEADS}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(&lines(&kept))?;
    file.sync_all()?;
    std::fs::rename(&draft, path(dir))?;
    drop(old);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Signer;
    use crate::tree::Frontier;
    use tempfile::tempdir;

    fn head(chain: &str, lines: u8) -> Checkpoint<'static> {
        let mut tree = Frontier::default();
        (0..lines).for_each(|line| tree.push(&[b'0' + line; 64]));
        Checkpoint::sign(&Signer::from_seed(&[1; 32]), chain, &tree, lines.into())
    }

    #[test]
    fn the_newest_of_each_chain_is_found_from_the_end() {
        let dir = tempdir().expect("a directory");
        assert!(last(dir.path(), 2).expect("nothing").is_empty() && read(dir.path()).expect("nothing").is_empty());
        for (chain, lines) in [("a", 1), ("b", 1), ("a", 2), ("c", 3), ("b", 4)] {
            post(dir.path(), &[head(chain, lines)]).expect("room");
        }
        assert_eq!(last(dir.path(), 2).expect("there"), [head("b", 4), head("c", 3)]);
        assert_eq!(read(dir.path()).expect("there").len(), 5);
        forget(dir.path(), |head| head.chain != "c").expect("room");
        assert_eq!(read(dir.path()).expect("there"), [(1, Some(head("a", 2))), (2, Some(head("b", 4)))]);
    }

    #[test]
    fn nothing_is_lost_between_those_who_add_and_one_who_forgets() {
        let dir = tempdir().expect("a directory");
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let dir = dir.path();
                scope.spawn(move || {
                    for round in 0..20 {
                        post(dir, &[head(&format!("{thread}-{round}"), 1)]).expect("room");
                    }
                });
            }
            (0..20).for_each(|_| forget(dir.path(), |_| true).expect("room"));
        });
        assert_eq!(read(dir.path()).expect("there").len(), 80);
    }
}
