//! Runs contestants round by round, each round all of them, so that a noisy moment strikes them alike.

use std::time::Duration;

use bench::clock::now;

use crate::link::{Span, count};
use crate::pin::Pin;
use crate::report::{Report, Row, Target};
use crate::subject::{Programs, Running, Spec};
use crate::tally::{Tally, median};
use crate::tree::Memory;
use crate::work::{Job, Work};

/// How much to measure.
pub struct Effort {
    pub rounds: usize,
    /// How long one contestant runs in one round.
    pub slice: Duration,
    pub quick: bool,
}

/// The bench: the programs, the effort, and what must hold over the whole run.
pub struct Bench {
    pub programs: Programs,
    pub effort: Effort,
    pub wrong: std::cell::Cell<u64>,
    pub verified: std::cell::Cell<u64>,
}

/// What a contestant does in its slice.
#[derive(Clone, Debug)]
pub enum Task {
    /// Calls by so many callers, over all servers in turn or to the first.
    Calls { work: Work, callers: u64, spread: bool },
    /// Whole tool lists, one after another.
    List,
}

/// One who runs.
#[derive(Clone, Debug)]
pub struct Contestant {
    pub label: &'static str,
    pub spec: Spec,
    pub task: Task,
}

/// Where the processes of one call run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where the scheduler puts them.
    Free,
    /// All on one CPU: steadier on a busy machine, and stricter, for a floor without wake-ups is lower.
    OneCpu,
}

/// One contestant's slice.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub cpu_us: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub per_s: f64,
}

/// All slices of a contestant, `None` where it failed.
#[derive(Debug)]
pub struct Outcome {
    pub label: &'static str,
    pub samples: Vec<Option<Sample>>,
    pub failure: Option<String>,
    /// After the last round.
    pub memory: Memory,
}

/// A figure of a sample.
#[derive(Clone, Copy)]
pub struct Metric {
    pub name: &'static str,
    pub unit: &'static str,
    pub of: fn(&Sample) -> f64,
}

pub const CPU: Metric = Metric { name: "CPU/call", unit: "µs", of: |sample| sample.cpu_us };
pub const P50: Metric = Metric { name: "p50", unit: "ms", of: |sample| sample.p50_ms };
pub const P99: Metric = Metric { name: "p99", unit: "ms", of: |sample| sample.p99_ms };
pub const RATE: Metric = Metric { name: "calls/s", unit: "/s", of: |sample| sample.per_s };

struct Runner<'a> {
    running: Running<'a>,
    job: Option<Job>,
    outcome: Outcome,
}

impl Bench {
    /// Starts all contestants, runs them in turn, and tells how each did.
    pub fn run(&self, contestants: &[Contestant], place: Place) -> Vec<Outcome> {
        let pin = (place == Place::OneCpu).then(Pin::take).flatten();
        let mut entries: Vec<Result<Runner<'_>, Outcome>> =
            contestants.iter().map(|contestant| self.enter(contestant, pin.as_ref())).collect();
        for round in 0..self.effort.rounds {
            for turn in 0..entries.len() {
                let index = (turn + round) % entries.len();
                if let Ok(runner) = &mut entries[index] {
                    self.slice(runner, &contestants[index].task);
                }
            }
        }
        entries.into_iter().map(finish).collect()
    }

    fn enter(&self, contestant: &Contestant, pin: Option<&Pin>) -> Result<Runner<'_>, Outcome> {
        let failed = |why: String| Outcome {
            label: contestant.label,
            samples: Vec::new(),
            failure: Some(why),
            memory: Memory::default(),
        };
        let started = Pin::suspended(pin, || self.programs.start(&contestant.spec));
        let mut running = started.map_err(failed)?;
        let job = prepare(&mut running, &contestant.task)
            .map_err(|why| failed(format!("{why} {}", running.last_words()).trim().to_owned()))?;
        let outcome = Outcome { failure: None, ..failed(String::new()) };
        let mut runner = Runner { running, job, outcome };
        if let Some(pin) = pin {
            pin.hold(&runner.running.processes());
        }
        let warm = Span { time: self.effort.slice / 3, calls: 2000 };
        self.work(&mut runner, &contestant.task, warm).map_err(failed)?;
        Ok(runner)
    }

    fn slice(&self, runner: &mut Runner<'_>, task: &Task) {
        let span = Span { time: self.effort.slice, calls: u64::MAX };
        let sample = match runner.outcome.failure {
            Some(_) => None,
            None => match self.work(runner, task, span) {
                Ok(sample) => Some(sample),
                Err(why) => {
                    runner.outcome.failure = Some(why);
                    None
                }
            },
        };
        runner.outcome.samples.push(sample);
    }

    fn work(&self, runner: &mut Runner<'_>, task: &Task, span: Span) -> Result<Sample, String> {
        let Runner { running, job, .. } = runner;
        let (cpu, began) = (running.tree.cpu(), now());
        let tally = match (task, job) {
            (Task::Calls { callers, .. }, Some(job)) => running.link.storm(job, *callers, span),
            _ => lists(running, span),
        };
        let (took, cpu) = (now() - began, running.tree.cpu().saturating_sub(cpu));
        let mut tally = tally.inspect_err(|_| running.note_late(began + span.time + running.link.patience))?;
        self.judge(running.spec.kind == self.programs.stand_in, &tally);
        match tally.first_wrong.take() {
            Some(why) => Err(format!("{} of {} wrong: {why}", tally.wrong, tally.calls())),
            None => Ok(sample(&mut tally, took, cpu)),
        }
    }

    /// Adds to what is counted over the whole run when this was the judged subject.
    pub fn judge(&self, judged: bool, tally: &Tally) {
        if judged {
            self.wrong.set(self.wrong.get() + tally.wrong);
            self.verified.set(self.verified.get() + tally.calls());
        }
    }
}

fn prepare(running: &mut Running<'_>, task: &Task) -> Result<Option<Job>, String> {
    running.settle(running.expected_tools())?;
    let Task::Calls { work, spread, .. } = task else {
        return Ok(None);
    };
    let mut names = running.names_of(work.tool())?;
    if !spread {
        names.truncate(1);
    }
    Ok(Some(Job::new(running.spec.era, work.clone(), names)))
}

fn lists(running: &mut Running<'_>, span: Span) -> Result<Tally, String> {
    let expected = running.expected_tools();
    let (mut tally, until) = (Tally::default(), now() + span.time);
    while tally.calls() == 0 || (now() < until && tally.calls() < span.calls) {
        let began = now();
        let pages = running.link.list(began + running.link.patience)?;
        let took = now() - began;
        let listed = count(&pages);
        let right = listed == expected;
        tally.add(took, right.then_some(()).ok_or_else(|| format!("{listed} of {expected} tools")));
    }
    Ok(tally)
}

fn sample(tally: &mut Tally, took: Duration, cpu: u64) -> Sample {
    let calls = tally.calls() as f64;
    Sample {
        cpu_us: cpu as f64 / 1000.0 / calls,
        p50_ms: tally.quantile(0.5),
        p99_ms: tally.quantile(0.99),
        per_s: calls / took.as_secs_f64(),
    }
}

fn finish(entry: Result<Runner<'_>, Outcome>) -> Outcome {
    let mut runner = match entry {
        Ok(runner) => runner,
        Err(outcome) => return outcome,
    };
    runner.outcome.memory = runner.running.tree.memory();
    if let Some(why) = &mut runner.outcome.failure {
        why.push_str(&runner.running.last_words());
    }
    runner.outcome
}

/// The row that holds `metric` of `subject` against that of `floor`.
pub fn compare(
    report: &mut Report,
    group: &str,
    metric: Metric,
    (subject, floor): (&Outcome, &Outcome),
    target: Target,
) {
    let against = if floor.label == "passthrough" { String::new() } else { format!(" ÷ {}", floor.label) };
    let mut row = Row::new(format!("{group} {}{against}", metric.name), metric.unit, target);
    let figure = |outcome: &Outcome| median(outcome.samples.iter().flatten().map(metric.of));
    let pairs = subject.samples.iter().zip(&floor.samples);
    row.subject = figure(subject);
    row.floor = figure(floor);
    row.ratio = median(
        pairs.filter_map(|(subject, floor)| Some((metric.of)(subject.as_ref()?) / (metric.of)(floor.as_ref()?))),
    );
    let failures =
        [subject, floor].map(|outcome| outcome.failure.as_ref().map(|why| format!("{}: {why}", outcome.label)));
    row.note = failures.into_iter().flatten().collect::<Vec<_>>().join("; ");
    report.add(row);
}
