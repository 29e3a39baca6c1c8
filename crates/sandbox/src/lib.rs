//! A child process under a profile, supervised: the one door through which toolgate starts a program.
//!
//! [`launch`] re-executes the caller's own binary as a small supervisor (see [`supervise_main`]), which starts
//! the program and stays its parent. The two are joined by a socket, the [`Lifeline`]: over it the supervisor
//! reports what happened, and its end of file tells the supervisor that toolgate is no more, however it ended.
//! The supervisor is the subreaper of everything below it, so a process that daemonises is still found and ended.
//!
//! A lifeline is a file descriptor to wait for; [`Watched`] waits for it with tokio. What is *not* here: restarts,
//! protocol, and any reading of configuration. This is the only crate that may contain `unsafe`.
//!
//! Linux only: subreapers, parent-death signals and `close_range` (kernel 5.9) have no equivalent elsewhere.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "`sandbox` needs Linux: without subreapers and parent-death signals it could not promise that \
     nothing it started outlives it"
);

mod conceal;
mod descendants;
mod launch;
mod lifeline;
mod profile;
mod resolve;
mod signals;
mod spawn;
mod supervise;
mod watch;
mod wire;

pub use conceal::conceal;
pub use launch::{Child, Helper, Launch, LaunchError, Stderr, launch};
pub use lifeline::Lifeline;
pub use resolve::{ResolveError, resolve_program};
pub use supervise::supervise_main;
pub use watch::Watched;
pub use wire::{Event, ExitKind};
