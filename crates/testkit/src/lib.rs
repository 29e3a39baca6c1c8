//! Fixtures and a hermetic command line for tests.
