//! A child process under a profile, supervised.
