//! A child process under a profile, supervised: the one door through which toolgate starts a program.
//!
//! [`launch`] re-executes the caller's own binary as a small supervisor (see [`supervise_main`]), which starts
//! the program and stays its parent. The two are joined by a socket, the [`Lifeline`]: over it the supervisor
//! reports what happened, and its end of file tells the supervisor that toolgate is no more, however it ended.
//! The supervisor is the subreaper of everything below it, so a process that daemonises is still found and ended.
//!
//! Under a [`Profile`] the program is kept in bounds: the same helper builds them, at one of five [`Level`]s, and then
//! becomes the program. Who asks for a level gets it, or what it allows in its place and is told of, or an error.
//! [`observe`] tries what is forbidden, from within, and says what was held.
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

mod address;
mod bounds;
mod bwrap;
mod calls;
mod cgroup;
mod conceal;
mod confined;
mod deep;
mod descendants;
mod draw;
mod egress;
mod env;
mod fork;
mod guard;
mod hold;
mod init;
mod landlocked;
mod launch;
mod level;
mod lifeline;
mod namespaces;
mod net;
mod observe;
mod plan;
mod profile;
mod proxy;
mod reach;
mod rehearse;
mod resolve;
mod roots;
mod seatbelt;
mod share;
mod signals;
mod spawn;
mod status;
mod supervise;
mod view;
mod watch;
mod wire;

pub use address::is_public;
pub use conceal::conceal;
pub use egress::Egress;
pub use launch::{Child, Helper, Launch, LaunchError, Stderr, launch};
pub use level::{Effective, Gap, Level, NoLevel};
pub use lifeline::Lifeline;
pub use net::{Host, Net, NoHost};
pub use observe::{Observation, Observed, Operation, Outcome, observe};
pub use profile::{
    DENIED_ENV, Kind, Limits, Namespaces, Profile, Protected, credential_paths, is_denied, protected_names,
};
pub use proxy::serve_egress;
pub use reach::{Maker, Means, NoNamespaces, Unavailable};
pub use resolve::{ResolveError, resolve_program};
pub use roots::runtime_roots;
pub use seatbelt::seatbelt;
pub use supervise::supervise_main;
pub use watch::Watched;
pub use wire::{Event, ExitKind, Step};
