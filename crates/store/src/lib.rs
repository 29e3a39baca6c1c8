//! Where the ledger's segments lie: append-only files of JSON lines, one hash chain per writing process.
//!
//! [`Segments`] writes them behind `gate::ports::Ledger`, [`recover()`] finishes what a dead writer left open,
//! [`verify()`] proves that nothing was changed, and [`read()`] shows the lines. Not here: what an event says (the
//! gate writes it) and when recovery runs (its caller decides).
//!
//! # The files
//!
//! A process that records something creates `<time>-<uuid>-0001.jsonl`, holds an exclusive `flock` on it for as
//! long as it lives, and goes on in `…-0002.jsonl` when a part is full or a day old. A part that is finished is
//! renamed to `….closed.jsonl`. The first line of a part is a `segment` event; `carried` events name the attempts
//! that an earlier part opened; `checkpoint` events are signed; a chain ends with a `close` event and its checkpoint.
//! `heads.log` beside them repeats the checkpoints.
//!
//! # The recipe
//!
//! A line is the event's members, then `seq`, `prev` and `hash`, always last and always in this order. `hash` is
//! the SHA-256, in lower-case hex, of the line's bytes before `,"hash":"`, that is of all but the last 75 bytes
//! (newline not counted). `prev` is the hash of the line before it, over the parts of one chain; 64 zeros at the
//! beginning of a chain. `seq` counts the lines of a chain from 1. For a chain of one part:
//!
//! ```python
//! import hashlib, json, sys
//! prev, seq = "0" * 64, 0
//! for number, line in enumerate(open(sys.argv[1], "rb"), 1):
//!     line = line.rstrip(b"\n")
//!     event = json.loads(line)
//!     seq += 1
//!     assert event["hash"] == hashlib.sha256(line[:-75]).hexdigest(), f"line {number} was changed"
//!     assert event["prev"] == prev and event["seq"] == seq, f"the chain breaks at line {number}"
//!     prev = event["hash"]
//! print(seq, "lines")
//! ```
//!
//! The last line alone, by hand: `tail -n1 FILE | tr -d '\n' | head -c -75 | sha256sum`.
//!
//! How signatures are checked by hand, and what all of this cannot show, is in `docs/design/ledger.md`.

pub mod approver;
mod chain;
mod checkpoint;
pub mod db;
mod disk;
mod draft;
mod events;
mod heads;
pub mod keys;
pub mod lock;
mod names;
mod pieces;
mod prove;
mod prune;
mod query;
mod read;
mod recover;
mod segments;
mod synced;
mod tail;
mod tree;
mod verify;

pub use chain::MAX_LINE_BYTES;
pub use keys::{KeyError, PublicKey, Signer, load_or_make};
pub use prove::{PROOF_SCHEMA, Proof, ProveError, prove};
pub use prune::Retention;
pub use query::{Call, Outcome, Query, calls};
pub use read::{Filter, Lines, read};
pub use recover::{RecoverError, Recovered, recover};
pub use segments::{Door, OpenError, Options, SEGMENT_BYTES, Segments};
pub use tail::{Tail, TailLine};
pub use verify::{Against, Bad, Report, VerifyError, verify};

#[cfg(test)]
mod testing;
