//! Tools of our own.
