//! Warm `tools/list` of many servers against one server that lists as many itself.

use super::{Group, many, one, side};
use crate::report::{Report, Target};
use crate::rounds::{Bench, CPU, Contestant, P50, Place, Task, compare};
use crate::subject::{Kind, Side, Spec};

pub fn groups() -> Vec<Group> {
    let mut groups = Vec::new();
    for face in [Side::Stdio, Side::Http] {
        for servers in [10, 50] {
            groups.push(Group::new(format!("list {servers}x20 {}", side(face)), move |bench, name, report| {
                rows(bench, name, face, servers, report);
            }));
        }
    }
    groups
}

fn rows(bench: &Bench, name: &str, face: Side, servers: usize, report: &mut Report) {
    let direct = Spec { tools: servers * 20, ..one(Kind::Direct, face, face) };
    let outcomes = bench.run(
        &[
            Contestant { label: "toolgate", spec: many(face, servers), task: Task::List },
            Contestant { label: "direct", spec: direct, task: Task::List },
        ],
        Place::OneCpu,
    );
    compare(report, name, P50, (&outcomes[0], &outcomes[1]), Target::RatioAtMost(3.0));
    compare(report, name, CPU, (&outcomes[0], &outcomes[1]), Target::None);
}
