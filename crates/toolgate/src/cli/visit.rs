//! A gate for the length of one command: built, used, and stopped whatever came of it.

use super::{Context, runtime};
use crate::config::Config;
use crate::ui::Failure;
use crate::wire::{self, Approver, House, Log, Selection};

/// Lets `work` use a gate for `selection`. Nothing of it is left afterwards.
///
/// # Errors
/// What [`wire::build`] or `work` fails with.
pub fn visit<T>(
    config: &Config,
    cx: &Context,
    selection: &Selection,
    work: impl AsyncFnOnce(&House) -> Result<T, Failure>,
) -> Result<T, Failure> {
    visit_with(config, cx, selection, Approver::Elsewhere(std::time::Duration::ZERO), work)
}

/// The same, with somebody to ask when a call needs a person.
///
/// # Errors
/// As [`visit`].
pub fn visit_with<T>(
    config: &Config,
    cx: &Context,
    selection: &Selection,
    approver: Approver,
    work: impl AsyncFnOnce(&House) -> Result<T, Failure>,
) -> Result<T, Failure> {
    wire::start_logging(&cx.env, &cx.home, Log::Terminal);
    runtime::block_on(async {
        let house = wire::build_with(config, &cx.env, selection, &[], approver)?;
        house.warn(&cx.ui);
        let result = work(&house).await;
        house.stop().await;
        result
    })
}
