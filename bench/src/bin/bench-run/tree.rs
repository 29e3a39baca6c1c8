//! What a subject costs the machine: its process tree without the upstreams, read from `/proc`.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

/// Whose tree to look at.
#[derive(Clone, Debug)]
pub struct Tree {
    pub root: u32,
    /// Processes of this program are upstreams, they and their children do not count.
    pub upstream: PathBuf,
    /// A process outside the tree counts when its environment names this directory.
    pub home: PathBuf,
}

/// Memory of a tree in KiB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Resident size of the first process alone.
    pub root_rss: u64,
    /// Highest resident size the first process ever had.
    pub root_peak: u64,
    /// Resident sizes added up: pages shared by two processes count twice.
    pub rss: u64,
    /// Proportional sizes added up: a shared page counts once in all.
    pub pss: u64,
}

impl Tree {
    /// The subject's own processes.
    pub fn own(&self) -> Vec<u32> {
        self.walk(false)
    }

    /// The subject's processes and the upstreams it started.
    pub fn all(&self) -> Vec<u32> {
        self.walk(true)
    }

    /// CPU time so far in nanoseconds, that of ended and reaped children included.
    pub fn cpu(&self) -> u64 {
        self.own().into_iter().map(|pid| cpu_of(pid) + reaped_cpu_of(pid)).sum()
    }

    /// Memory now.
    pub fn memory(&self) -> Memory {
        let status = fs::read_to_string(format!("/proc/{}/status", self.root)).unwrap_or_default();
        let mut memory =
            Memory { root_rss: field(&status, "VmRSS:"), root_peak: field(&status, "VmHWM:"), ..Memory::default() };
        for pid in self.own() {
            let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            memory.rss += field(&rollup, "Rss:");
            memory.pss += field(&rollup, "Pss:");
        }
        memory
    }

    fn walk(&self, with_upstreams: bool) -> Vec<u32> {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        let mut strays = Vec::new();
        for pid in pids() {
            let parent = stat_field(pid, 1).unwrap_or(0) as u32;
            children.entry(parent).or_default().push(pid);
            if parent == 1 && self.is_ours(pid) {
                strays.push(pid);
            }
        }
        let (mut seen, mut todo) = (HashSet::new(), vec![self.root]);
        todo.extend(strays);
        while let Some(pid) = todo.pop() {
            let upstream = pid != self.root && is_program(pid, &self.upstream);
            if (upstream && !with_upstreams) || !seen.insert(pid) {
                continue;
            }
            todo.extend(children.get(&pid).into_iter().flatten());
        }
        seen.into_iter().collect()
    }

    fn is_ours(&self, pid: u32) -> bool {
        let home = self.home.as_os_str().as_encoded_bytes();
        fs::read(format!("/proc/{pid}/environ")).is_ok_and(|env| bench::scan::contains(&env, home))
    }
}

/// Whether `pid` still runs (a zombie does not).
pub fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| !stat.starts_with(") Z"))
}

fn pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn is_program(pid: u32, program: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program)
}

fn cpu_of(pid: u32) -> u64 {
    let clock = clock_getcpuclockid(Pid::from_raw(pid as i32)).and_then(|clock| clock.now());
    clock.map_or(0, |time| time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}

/// Ticks are 10 ms on every Linux this runs on, but what is asked for here is rare and long.
fn reaped_cpu_of(pid: u32) -> u64 {
    let ticks = stat_field(pid, 13).unwrap_or(0) + stat_field(pid, 14).unwrap_or(0);
    ticks * 10_000_000
}

/// `/proc/PID/stat` from the parenthesis that closes the program's name.
fn stat(pid: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rfind(')').map(|at| text[at..].to_owned())
}

/// Field `index` after the state: 1 is the parent, 13 and 14 the reaped children's times.
fn stat_field(pid: u32, index: usize) -> Option<u64> {
    stat(pid)?.split_whitespace().nth(index + 1)?.parse().ok()
}

fn field(text: &str, name: &str) -> u64 {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Tree {
        Tree { root: std::process::id(), upstream: "/nowhere".into(), home: "/no/such/home".into() }
    }

    #[test]
    fn a_process_finds_itself_and_its_memory() {
        assert!(me().own().contains(&std::process::id()));
        let memory = me().memory();
        assert!(memory.root_rss > 0 && memory.pss > 0 && memory.root_peak >= memory.root_rss / 2);
    }

    #[test]
    fn busy_time_shows_in_the_cpu_figure() {
        let before = me().cpu();
        let until = bench::clock::now() + std::time::Duration::from_millis(30);
        while bench::clock::now() < until {}
        assert!(me().cpu() - before >= 5_000_000);
    }

    #[test]
    fn an_upstream_does_not_count() {
        let mut sleeper = std::process::Command::new("sleep").arg("30").spawn().expect("sleep starts");
        let exe = || fs::read_link(format!("/proc/{}/exe", sleeper.id())).ok();
        while exe().is_none_or(|exe| !exe.ends_with("sleep")) {
            std::thread::yield_now();
        }
        let tree = Tree { upstream: exe().expect("checked above"), ..me() };
        assert!(!tree.own().contains(&sleeper.id()) && tree.all().contains(&sleeper.id()));
        assert!(is_alive(sleeper.id()));
        sleeper.kill().expect("it runs");
        assert!(!is_alive(sleeper.id()) || sleeper.wait().is_ok());
    }
}
