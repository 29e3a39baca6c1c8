//! The engine as its neighbours see it.

mod campaign;
mod generate;
mod naive;
mod rules;
mod servers;
mod speed;
mod telling;

use super::*;
use crate::catalog::{Facts, Item};
use crate::words::Principal;

/// `OUTCOME by RULE`.
fn said(decision: &Decision) -> String {
    format!("{} by {}", decision.outcome().word(), decision.rule().0)
}

const READS: Facts = Facts { read_only: Some(true), destructive: None, open_world: None };
const HARMLESS: Facts = Facts { read_only: Some(false), destructive: Some(false), open_world: Some(false) };
const UNKNOWN: Facts = Facts { read_only: None, destructive: None, open_world: None };

fn of(item: &Item) -> Case<'_> {
    Case { by: &Principal::Local, item, arguments: None, tainted: false }
}
