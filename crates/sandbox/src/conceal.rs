//! What other processes of the same user may see of this one.

use std::io;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Keeps this process to itself: no other process of its user may trace it, read its memory or its environment, and
/// it leaves no core file. Programs it starts are as open as any other. Root, and who may trace all (`CAP_SYS_PTRACE`),
/// still can.
///
/// # Errors
/// What the system says where it forbids the call.
pub fn conceal() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_concealed_process_is_not_to_be_read() {
        // Undone at the end: where tests share a process, others start programs and read what they are.
        conceal().expect("nobody forbids it");
        let found = rustix::process::dumpable_behavior().expect("it is known");
        let _ = set_dumpable_behavior(DumpableBehavior::Dumpable);
        assert_eq!(found, DumpableBehavior::NotDumpable);
    }
}
