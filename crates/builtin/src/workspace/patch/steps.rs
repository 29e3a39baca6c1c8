//! The moments between two steps of a patch. At each of them the process may be killed, so tests end everything there,
//! one moment after the other. Outside of tests this is nothing.

/// A moment between two steps.
#[cfg(not(test))]
pub const fn between() {}

#[cfg(test)]
pub use kills::{between, killed_at};

#[cfg(test)]
mod kills {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    thread_local! {
        static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    }

    struct Killed;

    /// A moment between two steps; perhaps the last one.
    pub fn between() {
        match LEFT.get() {
            Some(0) => resume_unwind(Box::new(Killed)),
            left => LEFT.set(left.map(|left| left - 1)),
        }
    }

    /// Does something as far as its moment `number`, from 0; whether there is such a moment.
    pub fn killed_at(number: usize, mut what: impl FnMut()) -> bool {
        LEFT.set(Some(number));
        let done = catch_unwind(AssertUnwindSafe(&mut what));
        LEFT.set(None);
        match done {
            Ok(()) => false,
            Err(killed) if killed.is::<Killed>() => true,
            Err(panic) => resume_unwind(panic),
        }
    }
}
