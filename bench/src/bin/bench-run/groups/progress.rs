//! Whether every progress notification comes on its own request's stream, before the result.

use bench::payload::PROGRESS_STEPS;
use bench::rpc::Era;

use super::{Group, one, side};
use crate::report::{Report, Row, Target};
use crate::rounds::Bench;
use crate::subject::{Kind, Side, Spec};

pub fn groups() -> Vec<Group> {
    let mut groups = Vec::new();
    for (revision, era) in [("2025-11-25", Era::Legacy), ("2026-07-28", Era::Modern)] {
        for face in [Side::Stdio, Side::Http] {
            for back in [Side::Stdio, Side::Http] {
                let name = format!("progress {}-{} {revision}", side(face), side(back));
                groups.push(Group::new(name, move |bench, name, report| row(bench, name, (face, back), era, report)));
            }
        }
    }
    groups
}

fn row(bench: &Bench, name: &str, (face, back): (Side, Side), era: Era, report: &mut Report) {
    let calls = if bench.effort.quick { 5 } else { 50 };
    let all = (calls * PROGRESS_STEPS) as f64;
    let count = |kind| delivered(bench, &Spec { era, ..one(kind, face, back) }, calls);
    let mut row = Row::new(name, "", Target::AtLeast(all));
    match count(Kind::Toolgate) {
        Ok(delivered) => row.subject = Some(delivered as f64),
        Err(why) => row.note = why,
    }
    row.floor = count(Kind::Passthrough).ok().map(|delivered| delivered as f64);
    report.add(row);
}

fn delivered(bench: &Bench, spec: &Spec, calls: usize) -> Result<usize, String> {
    let mut running = bench.programs.start(spec)?;
    running.settle(running.expected_tools())?;
    let slow = running.names_of("slow")?.remove(0);
    let mut delivered = 0;
    for _ in 0..calls {
        let (answer, progress) = running.link.call(&slow, "{}", true)?;
        if !bench::scan::contains(&answer, b"slow done") {
            return Err(crate::work::excerpt(&answer));
        }
        delivered += progress;
    }
    Ok(delivered)
}
