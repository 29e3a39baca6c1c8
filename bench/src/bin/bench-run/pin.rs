//! Keeps one call at a time on one CPU.
//!
//! With a single caller nothing runs beside anything, but the scheduler may or may not put the next
//! process of the chain on an idle CPU, and waking that one can cost more than the hop itself. On a
//! busy machine figures then fall into two heaps and a ratio of two of them says little.

use std::fs;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// While it lives, the load generator itself stays on the chosen CPU.
pub struct Pin {
    before: CpuSet,
    chosen: CpuSet,
}

impl Pin {
    /// Moves this process to the last CPU it may use; `None` where that is not possible.
    pub fn take() -> Option<Pin> {
        let own = Pid::from_raw(0);
        let before = sched_getaffinity(own).ok()?;
        let last = (0..CpuSet::count()).rev().find(|cpu| before.is_set(*cpu).unwrap_or(false))?;
        let mut chosen = CpuSet::new();
        chosen.set(last).ok()?;
        sched_setaffinity(own, &chosen).ok()?;
        Some(Pin { before, chosen })
    }

    /// Lets a new process start as it would anywhere, with all CPUs in sight.
    pub fn suspended<T>(pin: Option<&Pin>, start: impl FnOnce() -> T) -> T {
        let own = Pid::from_raw(0);
        pin.map(|pin| sched_setaffinity(own, &pin.before));
        let outcome = start();
        pin.map(|pin| sched_setaffinity(own, &pin.chosen));
        outcome
    }

    /// Moves every thread of these processes to the same CPU.
    pub fn hold(&self, pids: &[u32]) {
        for pid in pids {
            let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
            for task in tasks.flatten() {
                let id = task.file_name().to_str().and_then(|id| id.parse().ok());
                if let Some(id) = id {
                    sched_setaffinity(Pid::from_raw(id), &self.chosen).ok();
                }
            }
        }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        sched_setaffinity(Pid::from_raw(0), &self.before).ok();
    }
}
