//! Which processes ask: the gate, and the client that started it. Whoever runs beneath them may not answer for the
//! person they ask.

use gate::approval::Process;

/// Programs that merely start others; behind one of these the client is looked for further up.
const LAUNCHERS: [&str; 12] = ["sh", "bash", "dash", "zsh", "fish", "ksh", "env", "npx", "npm", "uvx", "uv", "node"];

/// How far up a client is looked for.
const MOST_LAUNCHERS: usize = 4;

/// This process, and (`with_client`) the one that started it, with whatever launcher stands between.
pub fn of_this_process(with_client: bool) -> Vec<Process> {
    let own = std::process::id();
    let mut found: Vec<Process> = read(own).map(|stat| stat.process).into_iter().collect();
    let mut parent = read(own).map(|stat| stat.parent).filter(|_| with_client);
    for _ in 0..MOST_LAUNCHERS {
        let Some(stat) = parent.filter(|pid| *pid > 1).and_then(read) else { break };
        let launches = LAUNCHERS.contains(&&*stat.name);
        if launches && stat.terminal && stat.session == stat.process.pid {
            // A shell that leads the session of a terminal is a person's: neither it nor what is above it calls.
            break;
        }
        found.push(stat.process);
        parent = launches.then_some(stat.parent);
    }
    found
}

/// The processes above this one, its parent first. None if that cannot be told: whoever asks must take it for a no.
pub fn ancestors() -> Option<Vec<Process>> {
    // A parent that ends meanwhile leaves us with another one.
    (0..3).find_map(|_| above(std::process::id()))
}

fn above(pid: u32) -> Option<Vec<Process>> {
    let mut found = Vec::new();
    let mut parent = read(pid)?.parent;
    while parent > 0 {
        let stat = read(parent)?;
        found.push(stat.process);
        parent = stat.parent;
    }
    Some(found)
}

/// What `/proc` says of a process.
struct Stat {
    process: Process,
    name: String,
    parent: u32,
    session: u32,
    terminal: bool,
}

fn read(pid: u32) -> Option<Stat> {
    parse(pid, &std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Fields are counted from the end of the name, which may hold anything (proc_pid_stat(5)).
fn parse(pid: u32, stat: &str) -> Option<Stat> {
    let (head, tail) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let small = |field: usize| u32::try_from(number(field)?).ok();
    Some(Stat {
        process: Process { pid, started: number(22)? },
        name: head.split_once('(')?.1.to_owned(),
        parent: small(4)?,
        session: small(6)?,
        terminal: fields.get(7 - 3)?.parse::<i64>().ok()? != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_those_of_the_manual() {
        let stat = "42 (a) b) S 7 8 9 0 -1 4194304 98 0 0 0 1 2 3 4 20 0 1 0 1112140 3133440 384";
        let stat = parse(42, stat).expect("whole");
        assert_eq!((stat.process, &*stat.name), (Process { pid: 42, started: 1_112_140 }, "a) b"));
        assert_eq!((stat.parent, stat.session), (7, 9));
        assert!(parse(42, "42 (a) S 7").is_none());
    }

    #[test]
    fn this_process_and_the_one_that_started_it_ask() {
        let asking = of_this_process(true);
        assert_eq!(asking[0].pid, std::process::id());
        assert!(asking.len() >= 2 || std::os::unix::process::parent_id() <= 1, "{asking:?}");
        assert_eq!(of_this_process(false).len(), 1);
        let above = ancestors().expect("/proc is there");
        assert_eq!(above.first().map(|process| process.pid), Some(std::os::unix::process::parent_id()));
        assert!(asking[1..].iter().all(|process| above.contains(process)), "{asking:?} {above:?}");
    }
}
