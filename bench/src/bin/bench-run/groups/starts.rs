//! From the start of the process to the first complete `tools/list`.

use std::path::Path;
use std::time::Duration;

use super::{Group, many, one, side};
use crate::report::{Report, Row, Target};
use crate::rounds::Bench;
use crate::subject::{Kind, Side, Spec};
use crate::tally::median;

/// One start in milliseconds.
type Start<'a> = &'a dyn Fn() -> Result<f64, String>;

pub fn groups() -> Vec<Group> {
    let warm = [(Side::Stdio, Target::AtMost(30.0)), (Side::Http, Target::None)].map(|(face, target)| {
        Group::new(format!("start 50 servers, warm catalog, {}", side(face)), move |bench, name, report| {
            warm_row(bench, name, face, target, report);
        })
    });
    let mut groups: Vec<Group> = warm.into();
    groups.push(Group::new("start 1 server, cold", |bench, name, report| {
        let own = || fresh(bench, &many(Side::Stdio, 1), 20);
        let floor = || fresh(bench, &one(Kind::Passthrough, Side::Stdio, Side::Stdio), 20);
        report.add(interleave(bench, name, Target::RatioAtMost(3.0), &own, &floor));
    }));
    groups.push(Group::new("start 10 servers, cold", |bench, name, report| {
        let own = || fresh(bench, &many(Side::Stdio, 10), 200);
        let floor = || fresh(bench, &one(Kind::Direct, Side::Stdio, Side::Stdio), 20);
        report.add(interleave(bench, name, Target::FloorPlus(100.0), &own, &floor));
    }));
    groups.push(Group::new("start 10 servers, one hangs, one exits", |bench, name, report| {
        let faulty = Spec { faulty: true, ..many(Side::Stdio, 10) };
        let own = || fresh(bench, &faulty, 160);
        let healthy = || fresh(bench, &many(Side::Stdio, 8), 160);
        report.add(interleave(bench, name, Target::FloorPlus(1000.0), &own, &healthy));
    }));
    groups
}

fn warm_row(bench: &Bench, name: &str, face: Side, target: Target, report: &mut Report) {
    let spec = many(face, 50);
    let row = match tempfile::tempdir() {
        Err(error) => Row::failed(name, "ms", target, error.to_string()),
        Ok(home) => match warm_up(bench, &spec, home.path()) {
            Err(why) => Row::failed(name, "ms", target, why),
            Ok(()) => {
                let own = || first_list(bench, &spec, 1000, Some(home.path()));
                let direct = Spec { tools: 1000, ..one(Kind::Direct, face, face) };
                interleave(bench, name, target, &own, &|| fresh(bench, &direct, 1000))
            }
        },
    };
    report.add(row);
}

/// Lists until all servers have told their tools once, and gives the catalog time to be written.
fn warm_up(bench: &Bench, spec: &Spec, home: &Path) -> Result<(), String> {
    let mut running = bench.programs.start_in(spec, home)?;
    let settled = running.settle(running.expected_tools());
    settled.map_err(|why| format!("{why} {}", running.last_words()))?;
    std::thread::sleep(Duration::from_millis(500));
    Ok(())
}

fn fresh(bench: &Bench, spec: &Spec, expected: usize) -> Result<f64, String> {
    first_list(bench, spec, expected, None)
}

fn first_list(bench: &Bench, spec: &Spec, expected: usize, home: Option<&Path>) -> Result<f64, String> {
    let started = match home {
        Some(home) => bench.programs.start_in(spec, home),
        None => bench.programs.start(spec),
    };
    let mut running = started?;
    let expected = expected.min(running.expected_tools());
    let took = running.settle(expected);
    let took = took.map_err(|why| format!("{why} {}", running.last_words()))?;
    Ok(took.as_secs_f64() * 1000.0)
}

fn interleave(bench: &Bench, name: &str, target: Target, own: Start<'_>, floor: Start<'_>) -> Row {
    let (mut owns, mut floors, mut row) = (Vec::new(), Vec::new(), Row::new(name, "ms", target));
    for _ in 0..bench.effort.rounds {
        match (own(), floor()) {
            (Ok(own), Ok(floor)) => {
                owns.push(own);
                floors.push(floor);
            }
            (own, floor) => {
                floors.extend(floor.as_ref().ok());
                row.note = [own.err(), floor.err()].into_iter().flatten().collect::<Vec<_>>().join("; ");
                break;
            }
        }
    }
    row.ratio = median(owns.iter().zip(&floors).map(|(own, floor)| own / floor));
    row.subject = median(owns);
    row.floor = median(floors);
    row
}
