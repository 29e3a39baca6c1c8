//! Masking, measured on data not written for it; and where its rules come from.

mod convert;

use crate::Failure;
use std::path::PathBuf;

/// What to do.
#[derive(clap::Args)]
pub struct Flags {
    /// Make the rule data anew from this `builtin_rules.json` of the crate keyspoor, and do nothing else.
    #[arg(long, value_name = "FILE")]
    convert: Option<PathBuf>,
}

/// Runs the chore.
pub fn run(flags: &Flags) -> Result<(), Failure> {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crates/gate/data/rules.tsv");
    if let Some(from) = &flags.convert {
        return convert::convert(from, &data);
    }
    Ok(())
}
