//! Counting the processes of one program where the kernel's own limit does not count, which is for root: in a control
//! group of its own. Not here: any other use of those.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;

/// What groups of ours are called.
const PREFIX: &str = "toolgate-";
/// The supervisor, `bwrap` and the first process of the namespace count too.
const OURS: u64 = 3;

/// A group that this process is in, with all that it starts from now on. Left and removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Group {
    dir: PathBuf,
    /// Where this process was before.
    before: PathBuf,
}

/// Whether such a group can be made here.
pub(crate) fn is_possible() -> bool {
    places().iter().any(|(parent, _)| match make(parent, u64::MAX >> 1) {
        Ok(dir) => fs::remove_dir(dir).is_ok(),
        Err(_) => false,
    })
}

/// Enters a group of at most `processes`; `None` where there can be none.
pub(crate) fn enter(processes: u64) -> Option<Group> {
    places().into_iter().find_map(|(parent, before)| {
        clean(&parent);
        let dir = make(&parent, processes.saturating_add(OURS)).ok()?;
        match join(&dir) {
            Ok(()) => Some(Group { dir, before }),
            Err(_) => {
                _ = fs::remove_dir(&dir);
                None
            }
        }
    })
}

impl Drop for Group {
    fn drop(&mut self) {
        _ = join(&self.before);
        _ = fs::remove_dir(&self.dir);
    }
}

/// Moves this process, which has one thread. Where threads move one by one that is done at once; moving a process the
/// kernel waits for all processors, which takes ten times what all else here does.
fn join(dir: &Path) -> io::Result<()> {
    const MYSELF: &str = "0";
    let enter = |file: &str| File::options().write(true).open(dir.join(file))?.write_all(MYSELF.as_bytes());
    enter("tasks").or_else(|_| enter("cgroup.procs"))
}

fn make(parent: &Path, processes: u64) -> io::Result<PathBuf> {
    let dir = parent.join(format!("{PREFIX}{}", process::id()));
    match fs::create_dir(&dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    match fs::write(dir.join("pids.max"), processes.min(1 << 22).to_string()) {
        Ok(()) => Ok(dir),
        Err(error) => {
            _ = fs::remove_dir(&dir);
            Err(error)
        }
    }
}

/// Removes groups whose supervisors were killed by force: only what is empty can be.
fn clean(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)) {
            _ = fs::remove_dir(entry.path());
        }
    }
}

/// Where a group could be made, and the group this process is in: in the hierarchy for counts alone, else beside our
/// own in the common one, for in that a group with processes has no groups below it.
fn places() -> Vec<(PathBuf, PathBuf)> {
    let Ok(text) = fs::read_to_string("/proc/self/cgroup") else { return Vec::new() };
    text.lines().filter_map(place).collect()
}

fn place(line: &str) -> Option<(PathBuf, PathBuf)> {
    let mut fields = line.splitn(3, ':');
    let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?.trim_start_matches('/'));
    if controllers.split(',').any(|controller| controller == "pids") {
        let own = Path::new("/sys/fs/cgroup/pids").join(path);
        return Some((own.clone(), own));
    }
    let own = Path::new("/sys/fs/cgroup").join(path);
    let parent = if path.is_empty() { own.clone() } else { own.parent()?.to_owned() };
    controllers.is_empty().then_some((parent, own))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<(&str, &str)>) {
        let found = place(line);
        assert_eq!(found, expected.map(|(parent, own)| (parent.into(), own.into())), "{line}");
    }

    #[test]
    fn a_group_is_made_where_processes_are_counted() {
        check("7:pids:/a", Some(("/sys/fs/cgroup/pids/a", "/sys/fs/cgroup/pids/a")));
        check("7:pids:/", Some(("/sys/fs/cgroup/pids/", "/sys/fs/cgroup/pids/")));
        check("4:cpu,cpuacct:/a", None);
        check("0::/a.slice/b.service", Some(("/sys/fs/cgroup/a.slice", "/sys/fs/cgroup/a.slice/b.service")));
        check("0::/", Some(("/sys/fs/cgroup/", "/sys/fs/cgroup/")));
        check("nonsense", None);
    }
}
