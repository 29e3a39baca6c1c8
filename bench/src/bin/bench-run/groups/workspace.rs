//! What the workspace's own tools cost, beside calls that do next to nothing.

use super::{Group, one};
use crate::report::{Report, Target};
use crate::rounds::{Bench, CPU, Contestant, P50, Place, Task, compare};
use crate::subject::{Kind, Side, Spec};
use crate::work::Work;

pub fn groups() -> Vec<Group> {
    [("workspace read_file 4KiB c1", Place::Free), ("workspace read_file 4KiB c1 one CPU", Place::OneCpu)]
        .into_iter()
        .map(|(name, place)| Group::new(name, move |bench, name, report| rows(bench, name, place, report)))
        .collect()
}

fn rows(bench: &Bench, name: &str, place: Place, report: &mut Report) {
    let plain = one(Kind::Toolgate, Side::Stdio, Side::Stdio);
    let own = Spec { workspace: true, ..plain.clone() };
    let entry = |label, spec: &Spec, work| Contestant {
        label,
        spec: spec.clone(),
        task: Task::Calls { work, callers: 1, spread: false },
    };
    let outcomes = bench.run(
        &[
            entry("read_file", &own, Work::Read { bytes: 4096 }),
            entry("of nothing", &own, Work::Read { bytes: 0 }),
            entry("echo", &plain, Work::Echo),
        ],
        place,
    );
    let [read, nothing, echo] = [&outcomes[0], &outcomes[1], &outcomes[2]];
    for metric in [CPU, P50] {
        compare(report, name, metric, (read, echo), Target::RatioAtMost(3.0));
        compare(report, name, metric, (read, nothing), Target::RatioAtMost(3.0));
    }
}
