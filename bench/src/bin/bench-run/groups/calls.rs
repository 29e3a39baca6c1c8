//! What a call costs: each topology, large results, ten servers, the newer era, the durable path.

use bench::rpc::Era;

use super::{Group, many, one, side};
use crate::report::{Report, Row, Target};
use crate::rounds::{Bench, CPU, Contestant, Outcome, P50, P99, Place, RATE, Task, compare};
use crate::subject::{Kind, Side, Spec};
use crate::work::Work;

/// The targets of one topology, against the pass-through.
#[derive(Clone, Copy)]
struct Hop {
    face: Side,
    back: Side,
    callers: u64,
    cpu: Target,
    p50: Target,
    rate: Target,
}

const NO: Target = Target::None;
const MOST: fn(f64) -> Target = Target::RatioAtMost;
const LEAST: fn(f64) -> Target = Target::RatioAtLeast;

pub fn groups() -> Vec<Group> {
    let free = hops().into_iter().map(|hop| hop_group(hop, Place::Free));
    let alone = hops().into_iter().filter(|hop| hop.callers == 1);
    let one_cpu = alone.map(|hop| hop_group(hop, Place::OneCpu));
    free.chain(one_cpu).chain(big_groups()).chain(spread_groups()).chain(era_groups()).chain(durable_groups()).collect()
}

fn hops() -> Vec<Hop> {
    use Side::{Http, Stdio};
    let hop = |face, back, callers, (cpu, p50, rate)| Hop { face, back, callers, cpu, p50, rate };
    vec![
        hop(Stdio, Stdio, 1, (MOST(3.0), MOST(2.0), NO)),
        hop(Stdio, Stdio, 32, (NO, NO, LEAST(0.4))),
        hop(Http, Stdio, 1, (MOST(2.5), MOST(1.6), NO)),
        hop(Http, Stdio, 32, (MOST(3.0), NO, LEAST(0.5))),
        hop(Http, Http, 1, (MOST(3.0), MOST(1.6), NO)),
        hop(Http, Http, 32, (MOST(3.0), NO, LEAST(0.5))),
        hop(Stdio, Http, 1, (MOST(3.0), MOST(2.0), NO)),
    ]
}

fn hop_group(hop: Hop, place: Place) -> Group {
    let suffix = if place == Place::OneCpu { " one CPU" } else { "" };
    let name = format!("{}-{} c{}{suffix}", side(hop.face), side(hop.back), hop.callers);
    Group::new(name, move |bench, name, report| hop_rows(bench, name, hop, place, report))
}

fn echo(callers: u64) -> Task {
    Task::Calls { work: Work::Echo, callers, spread: false }
}

fn hop_rows(bench: &Bench, name: &str, hop: Hop, place: Place, report: &mut Report) {
    let entry = |label, kind| Contestant { label, spec: one(kind, hop.face, hop.back), task: echo(hop.callers) };
    let mut contestants =
        vec![entry("direct", Kind::Direct), entry("passthrough", Kind::Passthrough), entry("toolgate", Kind::Toolgate)];
    if hop.back == Side::Stdio {
        contestants.push(entry("rewrite", Kind::Rewrite));
    }
    let outcomes = bench.run(&contestants, place);
    let [direct, floor, subject] = [&outcomes[0], &outcomes[1], &outcomes[2]];
    compare(report, name, CPU, (subject, floor), hop.cpu);
    compare(report, name, P50, (subject, floor), hop.p50);
    compare(report, name, RATE, (subject, floor), hop.rate);
    if let Some(rewrite) = outcomes.get(3) {
        let small = hop.face == Side::Stdio && hop.callers == 1;
        compare(report, name, CPU, (subject, rewrite), if small { MOST(2.0) } else { NO });
    }
    compare(report, name, P50, (subject, direct), NO);
    if hop.callers == 32 {
        report.add(memory_row(name, subject));
    }
}

fn memory_row(name: &str, subject: &Outcome) -> Row {
    let target = Target::AtMost(24.0);
    let name = format!("{name} RSS of the first process");
    match subject.memory.root_rss {
        0 => Row::failed(name, "MiB", target, subject.failure.clone().unwrap_or_default()),
        kib => Row::new(name, "MiB", target).subject(kib as f64 / 1024.0),
    }
}

fn big_groups() -> Vec<Group> {
    let mut groups = Vec::new();
    for face in [Side::Stdio, Side::Http] {
        for (size, bytes) in [("100KiB", 100 * 1024), ("5MiB", 5 * 1024 * 1024)] {
            for (shape, structured) in [("text", false), ("structured", true)] {
                let name = format!("{size} {shape} {}-stdio c1", side(face));
                groups.push(Group::new(name, move |bench, name, report| {
                    big_rows(bench, name, face, Work::Big { bytes, structured }, report);
                }));
            }
        }
    }
    groups
}

fn big_rows(bench: &Bench, name: &str, face: Side, work: Work, report: &mut Report) {
    let task = Task::Calls { work, callers: 1, spread: false };
    let entry = |label, kind| Contestant { label, spec: one(kind, face, Side::Stdio), task: task.clone() };
    let outcomes = bench.run(
        &[entry("rewrite", Kind::Rewrite), entry("toolgate", Kind::Toolgate), entry("passthrough", Kind::Passthrough)],
        Place::OneCpu,
    );
    let [rewrite, subject, passthrough] = [&outcomes[0], &outcomes[1], &outcomes[2]];
    compare(report, name, CPU, (subject, rewrite), MOST(1.5));
    compare(report, name, P50, (subject, rewrite), NO);
    compare(report, name, CPU, (subject, passthrough), NO);
}

fn spread_groups() -> Vec<Group> {
    [(Side::Http, 1), (Side::Http, 32), (Side::Stdio, 32)]
        .into_iter()
        .map(|(face, callers)| {
            let name = format!("ten servers {}-stdio c{callers}", side(face));
            Group::new(name, move |bench, name, report| spread_rows(bench, name, face, callers, report))
        })
        .collect()
}

fn spread_rows(bench: &Bench, name: &str, face: Side, callers: u64, report: &mut Report) {
    let entry = |label, spread| Contestant {
        label,
        spec: many(face, 10),
        task: Task::Calls { work: Work::Echo, callers, spread },
    };
    let place = if callers == 1 { Place::OneCpu } else { Place::Free };
    let outcomes = bench.run(&[entry("toolgate", true), entry("one of them", false)], place);
    compare(report, name, CPU, (&outcomes[0], &outcomes[1]), MOST(1.15));
    compare(report, name, RATE, (&outcomes[0], &outcomes[1]), NO);
}

fn era_groups() -> Vec<Group> {
    [(Side::Stdio, Side::Stdio), (Side::Http, Side::Stdio), (Side::Http, Side::Http)]
        .into_iter()
        .map(|(face, back)| {
            let name = format!("2026-07-28 {}-{} c1", side(face), side(back));
            Group::new(name, move |bench, name, report| era_rows(bench, name, face, back, report))
        })
        .collect()
}

fn era_rows(bench: &Bench, name: &str, face: Side, back: Side, report: &mut Report) {
    let entry = |label, kind, era| Contestant { label, spec: Spec { era, ..one(kind, face, back) }, task: echo(1) };
    let outcomes = bench.run(
        &[
            entry("toolgate", Kind::Toolgate, Era::Modern),
            entry("2025-11-25", Kind::Toolgate, Era::Legacy),
            entry("passthrough", Kind::Passthrough, Era::Modern),
        ],
        Place::OneCpu,
    );
    compare(report, name, CPU, (&outcomes[0], &outcomes[1]), MOST(1.2));
    compare(report, name, CPU, (&outcomes[0], &outcomes[2]), NO);
    compare(report, name, P50, (&outcomes[0], &outcomes[2]), NO);
}

fn durable_groups() -> Vec<Group> {
    [1, 32]
        .into_iter()
        .map(|callers| {
            Group::new(format!("durable http-stdio c{callers}"), move |bench, name, report| {
                durable_rows(bench, name, callers, report);
            })
        })
        .collect()
}

fn durable_rows(bench: &Bench, name: &str, callers: u64, report: &mut Report) {
    let entry = |label, kind| Contestant {
        label,
        spec: Spec { approve: true, ..one(kind, Side::Http, Side::Stdio) },
        task: Task::Calls { work: Work::Write, callers, spread: false },
    };
    let outcomes =
        bench.run(&[entry("toolgate", Kind::Toolgate), entry("passthrough", Kind::Passthrough)], Place::Free);
    let target = if callers == 1 { Target::AtMost(15.0) } else { NO };
    compare(report, name, P99, (&outcomes[0], &outcomes[1]), target);
    compare(report, name, RATE, (&outcomes[0], &outcomes[1]), NO);
}
