//! Fixtures and a hermetic command line for tests.
//!
//! Only tests and the project's chores use this crate; no product crate depends on it.

pub mod reference;
