//! Many calls at a time over many sessions and several gates of one home, while callers change their minds and
//! processes are killed; and what a gate adds to one run.
//!
//! A sample runs by default. With `TOOLGATE_BRIDGE_LOAD=full` everything runs, and each campaign prints a line beginning
//! with `LOAD` for the report that `cargo xtask bridge-load` writes. `TOOLGATE_BIN` names another toolgate.

#![expect(clippy::disallowed_methods, reason = "a campaign is sized by the environment and timed")]

mod common;

use common::bridge::{Bridge, MARKED, text};
use common::real::Peers;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use testkit::client::{Client, Message};
use testkit::model::Model;
use testkit::wait;

/// For the slowest round on a loaded machine.
const LONG: Duration = Duration::from_secs(400);

fn full() -> bool {
    std::env::var("TOOLGATE_BRIDGE_LOAD").is_ok_and(|size| size == "full")
}

fn bridge(toml: &str, how: &Value) -> Bridge {
    let bridge = Bridge::with(toml, how);
    // What `python3` is may be a script that looks for one, which takes longer than all the rest.
    let python = bridge.setup.home.cmd("python3", ["-c", "import sys; print(sys.executable)"]).run().ok();
    let script = std::fs::read_to_string(&bridge.program).expect("ours");
    std::fs::write(&bridge.program, script.replacen("/usr/bin/env python3", python.trim(), 1)).expect("ours");
    match std::env::var("TOOLGATE_BIN") {
        Ok(toolgate) => Bridge { toolgate, ..bridge },
        Err(_) => bridge,
    }
}

#[expect(clippy::print_stdout, reason = "it is what the chore reads")]
fn report(what: &str, facts: &Value) {
    println!("LOAD {}", json!({"what": what, "facts": facts}));
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// How much is done.
#[derive(Clone, Copy)]
struct Size {
    calls: usize,
    sessions: usize,
    gates: usize,
    rounds: usize,
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq)]
enum Fate {
    Waiting,
    Answered {
        thread: String,
        afresh: bool,
    },
    Failed(String),
    Cancelled,
    /// Its gate was killed.
    Unknown,
}

struct Call {
    session: String,
    prompt: String,
    gate: usize,
    id: u64,
    fate: Fate,
}

struct Load {
    bridge: Bridge,
    gates: Vec<Client>,
    calls: Vec<Call>,
    dice: Dice,
    killed: [usize; 3],
}

const ENV: [(&str, &str); 2] = [("CODEX_DEFAULT_MODEL", "inherit"), ("MODEL_KEY", "none")];

impl Load {
    fn new(bridge: Bridge, size: Size) -> Self {
        let gates = (0..size.gates).map(|_| bridge.client_with(&ENV)).collect();
        Self { bridge, gates, calls: Vec::new(), dice: Dice(0x9e37_79b9_7f4a_7c15), killed: [0; 3] }
    }

    /// All calls at once; then whatever happens, until every call has its fate.
    fn round(&mut self, number: usize, size: Size) {
        for call in 0..size.calls {
            let session = format!("s-{}", call % size.sessions);
            let prompt = format!("round {number} call {call} of {session}");
            let gate = self.dice.below(self.gates.len());
            let asked = json!({"name": "codex", "arguments": {"prompt": prompt, "sessionId": session}});
            let id = self.gates[gate].start("tools/call", &asked);
            self.calls.push(Call { session, prompt, gate, id, fate: Fate::Waiting });
        }
        let end = Instant::now() + LONG;
        let (cancels, clis) = (self.killed[0] + size.calls / 6, self.killed[1] + size.calls / 6);
        let mut doomed = Some(1 + self.dice.below(self.gates.len() - 1));
        while self.calls.iter().any(|call| call.fate == Fate::Waiting) {
            assert!(Instant::now() < end, "these never ended: {:?}", self.waiting());
            (0..self.gates.len()).for_each(|gate| self.listen(gate));
            match self.dice.below(60) {
                0 | 1 if self.killed[0] < cancels => self.cancel(),
                2 | 3 if self.killed[1] < clis => self.kill_a_cli(),
                // Some while into the round, so that there is something to lose; the first gate lives on.
                4 if self.waiting().len() < size.calls * 3 / 4 => {
                    doomed.take().into_iter().for_each(|gate| self.kill_a_gate(gate))
                }
                _ => {}
            }
        }
    }

    fn waiting(&self) -> Vec<usize> {
        (0..self.calls.len()).filter(|index| self.calls[*index].fate == Fate::Waiting).collect()
    }

    fn listen(&mut self, gate: usize) {
        while let Some(message) = self.gates[gate].next_message(Duration::from_millis(2)) {
            let id = message.json()["id"].as_u64();
            let mine = |call: &&mut Call| call.gate == gate && Some(call.id) == id && call.fate == Fate::Waiting;
            if let Some(call) = self.calls.iter_mut().find(mine) {
                call.fate = fate(&message);
            }
        }
    }

    fn cancel(&mut self) {
        let waiting = self.waiting();
        let Some(index) = waiting.get(self.dice.below(waiting.len().max(1))) else { return };
        let call = &mut self.calls[*index];
        self.gates[call.gate].notify("notifications/cancelled", &json!({"requestId": call.id}));
        call.fate = Fate::Cancelled;
        self.killed[0] += 1;
    }

    fn kill_a_cli(&mut self) {
        let clis: Vec<_> = self.bridge.setup.survivors().into_iter().filter(|pid| runs(*pid, "codex")).collect();
        let Some(pid) = clis.get(self.dice.below(clis.len().max(1))) else { return };
        // It may have ended meanwhile, which is as good.
        if kill_process(pid_of(*pid), Signal::KILL).is_ok() {
            self.killed[1] += 1;
        }
    }

    fn kill_a_gate(&mut self, gate: usize) {
        kill_process(pid_of(self.gates[gate].pid()), Signal::KILL).expect("it runs");
        self.killed[2] += 1;
        // What it said before it died counts.
        self.listen(gate);
        for call in self.calls.iter_mut().filter(|call| call.gate == gate && call.fate == Fate::Waiting) {
            call.fate = Fate::Unknown;
        }
        self.gates[gate] = self.bridge.client_with(&ENV);
        // Its numbers begin again, and are no answers to what the dead one was asked.
        self.calls.iter_mut().filter(|call| call.gate == gate).for_each(|call| call.id = u64::MAX);
    }

    /// Nothing of any run is left but the gates.
    fn nothing_is_left(&self) {
        let gates =
            |pid: &u32| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.ends_with("toolgate"));
        let left = || self.bridge.setup.survivors().into_iter().filter(|pid| !gates(pid)).collect::<Vec<_>>();
        let lines = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let gone = wait::until(Duration::from_secs(60), || left().is_empty());
        assert!(gone, "left over: {:?}", left().into_iter().map(lines).collect::<Vec<_>>());
    }

    /// How many calls had which fate.
    fn tally(&self) -> Value {
        let count = |is: fn(&Fate) -> bool| self.calls.iter().filter(|call| is(&call.fate)).count();
        json!({
            "calls": self.calls.len(),
            "answered": count(|fate| matches!(fate, Fate::Answered { .. })),
            "failed": count(|fate| matches!(fate, Fate::Failed(_))),
            "cancelled": self.killed[0],
            "clis killed": self.killed[1],
            "gates killed": self.killed[2],
            "of unknown fate": count(|fate| *fate == Fate::Unknown),
        })
    }

    /// What each thread took in, by Codex's own record, must be what its callers were told.
    fn judge(&mut self, ended: impl Fn(&str) -> Vec<String>, completed: &BTreeMap<String, usize>) {
        let listed = text(&self.gates[0].call("listSessions", &json!({})));
        let listed: Vec<Value> = serde_json::from_str(&listed).unwrap_or_default();
        let mut answered = BTreeMap::<&str, Vec<(&Call, &str)>>::new();
        for call in &self.calls {
            let times = completed.get(&call.prompt).copied().unwrap_or(0);
            assert!(times <= 1, "`{}` was done {times} times", call.prompt);
            match &call.fate {
                Fate::Answered { thread, afresh } => {
                    assert!(!afresh, "`{}`: nothing was lost, and yet the session began afresh", call.prompt);
                    assert_eq!(times, 1, "`{}` was answered, and never done", call.prompt);
                    answered.entry(&call.session).or_default().push((call, thread));
                }
                Fate::Failed(why) => assert!(why.contains("it was ended by signal 9"), "`{}`: {why}", call.prompt),
                _ => {}
            }
        }
        for (session, calls) in answered {
            let thread = calls[0].1;
            let took = ended(thread);
            for (call, own) in &calls {
                assert_eq!(*own, thread, "`{}` went to another thread of {session}", call.prompt);
                let times = took.iter().filter(|prompt| **prompt == call.prompt).count();
                assert_eq!(times, 1, "`{}` in {thread}: {took:?}", call.prompt);
            }
            let of_session = |call: &&Call| call.session == session && completed.contains_key(&call.prompt);
            let most = self.calls.iter().filter(of_session).count();
            let kept = listed.iter().find(|kept| kept["id"] == session).unwrap_or_else(|| panic!("no {session}"));
            let kept = kept["turnCount"].as_u64().expect("a count") as usize;
            assert!((calls.len()..=most).contains(&kept), "{session} has {kept} turns, not {}..={most}", calls.len());
        }
    }
}

fn fate(message: &Message) -> Fate {
    let result = message.result();
    if result["isError"] == true {
        return Fate::Failed(text(message));
    }
    let meta = &result["content"][0]["_meta"];
    let thread = meta["threadId"].as_str().expect("a thread").to_owned();
    Fate::Answered { thread, afresh: meta.get("note").is_some() }
}

fn pid_of(pid: u32) -> Pid {
    Pid::from_raw(pid.cast_signed()).expect("a process")
}

/// Whether a process runs the CLI; what supervises it is toolgate.
fn runs(pid: u32, name: &str) -> bool {
    let toolgate = std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.ends_with("toolgate"));
    let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let named = line.split('\0').any(|word| Path::new(word).file_name().is_some_and(|file| file == name));
    !toolgate && named && line.contains("exec")
}

/// The processes of toolgate at and below `pid`.
fn gate_and_helpers(pid: u32) -> Vec<u32> {
    let exe = |pid: u32| std::fs::read_link(format!("/proc/{pid}/exe")).ok();
    let own = exe(pid);
    let stat = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    let parent = |pid: u32| stat(pid)?.rsplit(')').next()?.split_whitespace().nth(1)?.parse::<u32>().ok();
    let all = std::fs::read_dir("/proc").expect("there").flatten();
    let all: Vec<u32> = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    let mut found = vec![pid];
    loop {
        let next = |one: &&u32| {
            !found.contains(one) && parent(**one).is_some_and(|parent| found.contains(&parent)) && exe(**one) == own
        };
        let Some(next) = all.iter().find(next) else { return found };
        found.push(*next);
    }
}

/// In KiB, of toolgate's processes at and below `pid`: their share of all memory, and what nobody else could use, which
/// leaves out the pages of the program itself.
fn memory(pid: u32) -> [u64; 2] {
    let texts = gate_and_helpers(pid).into_iter();
    let texts: Vec<_> =
        texts.filter_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()).collect();
    ["Pss:", "Private_Dirty:"].map(|key| {
        let lines = texts.iter().flat_map(|text| text.lines()).filter_map(|line| line.strip_prefix(key));
        lines.filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok()).sum()
    })
}

fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|load| load.parse().ok()).unwrap_or_default()
}

fn files(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("there").count()
}

/// Prompts of turns that came to their end, and how often, as the fake CLI wrote them down.
fn completed(bridge: &Bridge) -> BTreeMap<String, usize> {
    let mut completed = BTreeMap::new();
    for line in bridge.log().iter().filter(|line| line.get("ended").is_some()) {
        let said = line["said"].as_str().expect("a prompt");
        *completed.entry(said.rsplit("Task: ").next().expect("one").to_owned()).or_default() += 1;
    }
    completed
}

#[test]
fn no_turn_is_lost_or_done_twice_and_nothing_is_left_over() {
    let size = match full() {
        true => Size { calls: 200, sessions: 50, gates: 4, rounds: 6 },
        false => Size { calls: 24, sessions: 6, gates: 2, rounds: 1 },
    };
    let mut load = Load::new(bridge(MARKED, &json!({"mode": "busy"})), size);
    let first = load.gates[0].pid();
    let mut sizes = Vec::new();
    for round in 0..size.rounds {
        load.round(round, size);
        load.nothing_is_left();
        sizes.push((memory(first)[0], files(first)));
    }
    let threads = load.bridge.setup.home.codex().join("threads");
    let overlaps: Vec<_> = load.bridge.log().into_iter().filter(|line| line.get("overlap").is_some()).collect();
    assert!(overlaps.is_empty(), "two turns at a time in one thread: {overlaps:?}");
    let ended = |thread: &str| {
        let text = std::fs::read_to_string(threads.join(thread)).expect("its turns");
        let prompts = text.lines().map(|line| serde_json::from_str::<String>(line).expect("a prompt"));
        prompts.map(|prompt| prompt.rsplit("Task: ").next().expect("one").to_owned()).collect()
    };
    let completed = completed(&load.bridge);
    load.judge(ended, &completed);
    let turns = load.bridge.setup.home.codex().join("toolgate/codex-turns");
    drop(load.bridge.client_with(&ENV).call("codex", &json!({"prompt": "tidies up", "sessionId": "last"})));
    assert_eq!(std::fs::read_dir(turns).expect("turns were taken").count(), 0, "files of turns are left");
    // What the second round needed, with some room: a leak of a kilobyte a call would show.
    if let (Some(early), Some(late)) = (sizes.get(1), sizes.last()) {
        assert!(late.0 <= early.0 + 2048 && late.1 <= early.1 + 4, "it grows: {sizes:?}");
    }
    let mut facts = load.tally();
    facts["sessions"] = json!(size.sessions);
    facts["gates"] = json!(size.gates);
    facts["rounds"] = json!(size.rounds);
    facts["memory, KiB"] = json!(sizes.iter().map(|size| size.0).collect::<Vec<_>>());
    facts["open files"] = json!(sizes.iter().map(|size| size.1).collect::<Vec<_>>());
    report("a stand-in for the CLI", &facts);
    let Load { gates, bridge, .. } = load;
    gates.into_iter().for_each(|gate| assert!(gate.close().success()));
    wait::expect("nothing to be left", || bridge.setup.survivors().is_empty());
}

#[test]
fn the_real_codex_bears_it_too() {
    let Some(peers) = Peers::with(&[Peers::node, Peers::codex]) else { return };
    let size = match full() {
        true => Size { calls: 40, sessions: 10, gates: 3, rounds: 1 },
        false => Size { calls: 6, sessions: 2, gates: 2, rounds: 1 },
    };
    let model = Model::start([]);
    let mut bridge = bridge(MARKED, &json!({}));
    bridge.use_the_real_codex(&peers, &model.url);
    let mut load = Load::new(bridge, size);
    load.round(0, size);
    load.nothing_is_left();
    let rollouts = load.bridge.rollouts();
    let ended = |thread: &str| rollouts.get(thread).cloned().unwrap_or_default();
    let mut completed = BTreeMap::new();
    // A thread that was stopped has what it was asked as well, so a prompt may stand there and never be answered.
    for prompt in rollouts.values().flatten() {
        *completed.entry(prompt.clone()).or_default() += 1;
    }
    load.judge(ended, &completed);
    report("Codex CLI of the pinned release", &load.tally());
    let Load { gates, bridge, .. } = load;
    drop(gates);
    wait::expect("nothing to be left", || bridge.setup.survivors().is_empty());
}

/// A CLI that costs as little as a process can.
const CHEAP: &str = r#"#!/bin/sh
case "$*" in
  --version) echo "codex-cli 0.169.0"; exit ;;
  --help) echo "Codex CLI"; exit ;;
  "exec --help") printf 'Commands:\n  resume  Resume\n  review  Review\n\nOptions:\n  -C, --cd <DIR>\n      --json\n      --skip-git-repo-check\n'; exit ;;
esac
read -r prompt
printf '%s\n' "$@" >"$CODEX_HOME/argv"
thread=01999999-0000-7000-8000-000000000000
echo "{\"type\":\"thread.started\",\"thread_id\":\"$thread\"}"
case "$prompt" in hold*) sleep 3 ;; esac
echo "{\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"text\":\"done\"}}"
echo "{\"type\":\"turn.completed\",\"usage\":{}}"
"#;

/// One run without a gate: the same program, arguments, input and environment.
fn directly(bridge: &Bridge, argv: &[String]) -> Duration {
    let mut command: Command = bridge.setup.home.command(&bridge.program, argv);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let begun = Instant::now();
    let mut child = command.spawn().expect("it runs");
    child.stdin.take().expect("piped").write_all(b"p\n").expect("it reads");
    let mut said = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut said).expect("text");
    assert!(child.wait().expect("it ends").success() && said.contains("turn.completed"), "{said}");
    begun.elapsed()
}

fn quantiles(mut times: Vec<Duration>) -> [f64; 2] {
    times.sort();
    [times.len() / 2, times.len() * 95 / 100].map(|index| times[index].as_secs_f64() * 1e3)
}

#[test]
fn what_a_gate_adds_to_one_run_is_little() {
    let count = if full() { 300 } else { 10 };
    let bridge = bridge(MARKED, &json!({}));
    std::fs::write(&bridge.program, CHEAP).expect("ours");
    let mut client = bridge.client_with(&ENV);
    let mut through = |arguments: Value| {
        let begun = Instant::now();
        assert_eq!(text(&client.call("codex", &arguments)), "done");
        begun.elapsed()
    };
    let alone = json!({"prompt": "p\n"});
    let session = json!({"prompt": "p\n", "sessionId": "s"});
    for arguments in [&alone, &session] {
        through(arguments.clone());
    }
    let argv = |bridge: &Bridge| bridge.setup.home.read("argv").lines().map(str::to_owned).collect::<Vec<_>>();
    let (mut times, mut words) = ([const { Vec::new() }; 3], Vec::new());
    for _ in 0..count {
        times[0].push(through(alone.clone()));
        words = argv(&bridge);
        times[1].push(directly(&bridge, &words));
        times[2].push(through(session.clone()));
    }
    assert!(words.contains(&"exec".to_owned()), "{words:?}");
    let [gate, bare, kept] = times.map(quantiles);
    let idle = memory(client.pid());
    let ids =
        [1, 2, 3].map(|_| client.start("tools/call", &json!({"name": "codex", "arguments": {"prompt": "hold\n"}})));
    wait::expect("three runs", || bridge.setup.survivors().iter().filter(|pid| runs(**pid, "codex")).count() >= 3);
    let busy = memory(client.pid());
    ids.into_iter().for_each(|id| drop(client.answer(id)));
    let (added_memory, own) = ((busy[0].saturating_sub(idle[0])) / 3, idle[1] + busy[1].saturating_sub(idle[1]) / 3);
    // Unoptimized, or beside others who want the processors, it takes longer: then the figures judge the machine.
    let cores = std::thread::available_parallelism().map_or(1, |count| count.get()) as f64;
    let most = if full() && load_average() <= cores + 1.0 { 15.0 } else { 1_000.0 };
    let kib = if full() { 10 << 10 } else { 1 << 20 };
    let added = [0, 1].map(|index| gate[index] - bare[index]);
    let added_kept = [0, 1].map(|index| kept[index] - bare[index]);
    report(
        "what toolgate adds",
        &json!({"runs": count, "directly, ms": bare, "through toolgate, ms": gate, "in a session, ms": kept, "added, ms": added,
            "added in a session, ms": added_kept, "memory added by a run, KiB": added_memory,
            "memory of its own with one run, KiB": own, "with the pages of the program, at rest, KiB": idle[0],
            "with the pages of the program and three runs, KiB": busy[0], "load of the machine": load_average()}),
    );
    assert!(added[0] <= most && added_kept[0] <= most, "{gate:?} and {kept:?} against {bare:?} ms");
    assert!(added_memory <= kib && own <= kib, "{added_memory} KiB a run, {own} KiB with one run");
}
