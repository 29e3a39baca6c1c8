//! The faces agents speak to.
//!
//! A request becomes a [`gate::Call`], a reply becomes a frame, in either era and on either transport; and what
//! servers say on their own reaches whoever asked for it. Nothing is decided here about who may call what, and
//! no server is known here: both live behind [`gate::Gate`].

mod aim;
mod answer;
mod budget;
mod caller;
mod capable;
mod encode;
mod fixup;
mod front;
mod herald;
mod http;
mod inflight;
mod legacy;
mod level;
mod line;
mod listen;
mod lists;
mod modern;
mod phishing;
mod question;
mod render;
mod rounds;
mod seal;
mod session;
mod stdio;
mod trace;
mod waiting;

pub use self::http::{Approver, Auth, HttpOptions, StatusReport, serve_http};
pub use budget::Budgets;
pub use front::Options;
pub use seal::Seal;
pub use stdio::serve_stdio;
