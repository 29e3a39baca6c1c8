//! `toolgate` without a command. With servers given by `-c` these are tried; without, there is nothing to do but to say
//! what could be done.

use std::collections::BTreeSet;

use super::{Context, test};
use crate::config::{Config, Place};
use crate::ui::Failure;
use gate::Code;

/// Tries the servers that the command line names.
pub fn run(cx: &Context) -> Result<(), Failure> {
    let config = cx.config()?;
    let names = named(&config);
    if names.is_empty() {
        cx.ui.status(&super::command(cx.ui.program()).render_help().to_string());
        return Err(Failure::new(Code::Usage, "a command is needed"));
    }
    let mut failures = Vec::new();
    for name in names {
        failures.extend(test::run(&test::TestArgs::of(&name), cx).err());
    }
    let last = failures.pop();
    failures.iter().for_each(|failure| cx.ui.failure(failure));
    last.map_or(Ok(()), |failure| Err(failure.exiting(1)))
}

/// The servers of which an override says something.
fn named(config: &Config) -> BTreeSet<String> {
    let given = |place: &Place| matches!(place, Place::Override { .. });
    let good = config.servers.values().filter(|server| {
        let origin = &server.origin;
        given(&origin.place) || origin.added.iter().any(given)
    });
    let bad = config.bad.iter().filter(|bad| given(&bad.problem.place)).map(|bad| bad.name.clone());
    good.map(|server| server.name.clone()).chain(bad).collect()
}
