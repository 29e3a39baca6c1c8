//! Memory and CPU of a gate at rest, after large results, and over many calls.

use std::thread::sleep;
use std::time::Duration;

use bench::clock::now;

use super::{Group, many, one, side};
use crate::link::Span;
use crate::report::{Report, Row, Target};
use crate::rounds::Bench;
use crate::subject::{Kind, Running, Side, Spec};
use crate::work::{Job, Work};

const MIB: f64 = 1024.0;

pub fn groups() -> Vec<Group> {
    let idle = [(Side::Stdio, 1, 12.0), (Side::Stdio, 10, 16.0), (Side::Stdio, 50, 32.0), (Side::Http, 10, 16.0)];
    let mut groups: Vec<Group> = idle
        .into_iter()
        .map(|(face, servers, most)| {
            Group::new(format!("idle {servers} servers {}", side(face)), move |bench, name, report| {
                or_failed(idle_rows(bench, name, face, servers, most, report), name, "MiB", report);
            })
        })
        .collect();
    groups.push(Group::new("memory after 5MiB results", |bench, name, report| {
        or_failed(peak_rows(bench, name, report), name, "MiB", report);
    }));
    groups.push(Group::new("memory growth", |bench, name, report| {
        or_failed(growth_row(bench, name, report), name, "MiB", report);
    }));
    groups
}

fn or_failed(outcome: Result<(), String>, name: &str, unit: &'static str, report: &mut Report) {
    if let Err(why) = outcome {
        report.add(Row::failed(name, unit, Target::AtMost(0.0), why));
    }
}

/// Starts `spec` with every server called once, so that all of them run.
fn awake<'a>(bench: &'a Bench, spec: &Spec) -> Result<Running<'a>, String> {
    let mut running = bench.programs.start(spec)?;
    running.settle(running.expected_tools())?;
    for name in running.names_of("echo")? {
        running.link.call(&name, r#"{"text":"awake"}"#, false)?;
    }
    Ok(running)
}

fn idle_rows(
    bench: &Bench,
    name: &str,
    face: Side,
    servers: usize,
    most: f64,
    report: &mut Report,
) -> Result<(), String> {
    let running = awake(bench, &many(face, servers))?;
    let (settle, watch) = if bench.effort.quick { (500, 1000) } else { (2000, 4000) };
    sleep(Duration::from_millis(settle));
    let (cpu, began) = (running.tree.cpu(), now());
    sleep(Duration::from_millis(watch));
    let (cpu, took) = (running.tree.cpu().saturating_sub(cpu), now() - began);
    let (memory, own) = (running.tree.memory(), running.tree.own().len());
    let floor = one(Kind::Passthrough, face, Side::Stdio);
    let floor = awake(bench, &floor).map(|floor| floor.tree.memory()).unwrap_or_default();
    let mib = |name: String, kib: u64, floor: u64, target| Row {
        floor: Some(floor as f64 / MIB).filter(|floor| *floor > 0.0),
        ..Row::new(name, "MiB", target).subject(kib as f64 / MIB)
    };
    let target = Target::AtMost(most);
    report.add(mib(format!("{name} RSS of the first process"), memory.root_rss, floor.root_rss, target));
    report.add(Row {
        note: format!("{own} processes"),
        ..mib(format!("{name} PSS of its processes"), memory.pss, floor.pss, target)
    });
    report.add(mib(format!("{name} RSS added up"), memory.rss, floor.rss, Target::None));
    let busy = cpu as f64 / 1e6 / took.as_secs_f64();
    report.add(Row::new(format!("{name} CPU at rest"), "ms/s", Target::AtMost(0.5)).subject(busy));
    Ok(())
}

/// Peak within idle + 5 × the result, and back within twice idle.
fn peak_rows(bench: &Bench, name: &str, report: &mut Report) -> Result<(), String> {
    const RESULT: usize = 5 * 1024 * 1024;
    let mut running = awake(bench, &many(Side::Http, 1))?;
    let idle = running.tree.memory();
    let work = Work::Big { bytes: RESULT, structured: false };
    let job = Job::new(running.spec.era, work, running.names_of("big")?);
    let tally = running.link.storm(&job, 1, Span { time: Duration::from_secs(10), calls: 20 })?;
    bench.judge(true, &tally);
    sleep(Duration::from_secs(2));
    let after = running.tree.memory();
    let idle = idle.root_rss as f64 / MIB;
    let peak = Target::AtMost(idle + 5.0 * 5.0);
    report.add(Row {
        floor: Some(idle),
        ..Row::new(format!("{name} peak RSS"), "MiB", peak).subject(after.root_peak as f64 / MIB)
    });
    let mut back = Row::new(format!("{name} RSS afterwards"), "MiB", Target::RatioAtMost(2.0))
        .subject(after.root_rss as f64 / MIB);
    back.floor = Some(idle);
    back.ratio = Some(after.root_rss as f64 / MIB / idle);
    back.note = "floor: idle before".to_owned();
    report.add(back);
    Ok(())
}

fn growth_row(bench: &Bench, name: &str, report: &mut Report) -> Result<(), String> {
    let mut running = awake(bench, &many(Side::Http, 1))?;
    let job = Job::new(running.spec.era, Work::Echo, running.names_of("echo")?);
    let (first, last) = if bench.effort.quick { (500, 2500) } else { (10_000, 50_000) };
    let mut rss = Vec::new();
    for calls in [first, last - first] {
        let tally = running.link.storm(&job, 8, Span { time: Duration::from_secs(60), calls })?;
        bench.judge(true, &tally);
        if let Some(why) = tally.first_wrong {
            return Err(why);
        }
        rss.push(running.tree.memory().root_rss as f64 / MIB);
    }
    let mut row = Row::new(format!("{name}, call {first} to {last}"), "MiB", Target::FloorPlus(1.0));
    row.subject = Some(rss[1]);
    row.floor = Some(rss[0]);
    row.note = format!("floor: after call {first}");
    report.add(row);
    Ok(())
}
