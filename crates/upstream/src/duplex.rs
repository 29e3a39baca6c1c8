//! A transport with one stream each way: what is sent goes into one queue, and one task reads.

use crate::faults::Faults;
use crate::http_auth;
use crate::incoming::{self, Via};
use crate::session::{Session, Trouble};
use bytes::Bytes;
use mcp::stdio::{Line, LineReader, Outbox, TrySend};
use std::sync::Arc;
use tokio::io::AsyncRead;

/// Lines that are read before others have their turn.
const TURN: u64 = 128;

/// Where messages for the server go.
pub(crate) enum Duplex {
    /// Lines.
    Lines(Outbox),
    /// HTTP+SSE: each message is posted, and answered on the one stream.
    Posts(http_auth::Posts),
}

impl Duplex {
    /// Sends one message, a single line. Waits for room.
    pub async fn send(&self, message: Bytes, faults: &Faults) -> Result<(), Trouble> {
        match self {
            Self::Lines(outbox) => outbox.send(message).await.map_err(|_| faults.died("closed its input").into()),
            Self::Posts(posts) => match Box::pin(posts.post(message)).await {
                Ok(()) => Ok(()),
                Err(refusal) => Err(crate::http_link::trouble(&refusal, faults, false)),
            },
        }
    }

    /// Sends it if that needs no waiting.
    pub fn try_send(&self, message: Bytes) -> bool {
        match self {
            Self::Lines(outbox) => !matches!(outbox.try_send(message), Err(TrySend::Full)),
            Self::Posts(_) => false,
        }
    }
}

/// Reads until the server closes its side.
pub(crate) async fn read<R: AsyncRead + Unpin>(session: Arc<Session>, mut reader: LineReader<R>) {
    for count in 1_u64.. {
        // Thousands of short lines fit into one read: nobody else would have a turn before the last of them, not even
        // whoever ends the connection.
        if count % TURN == 0 {
            tokio::task::yield_now().await;
        }
        match reader.next().await {
            Ok(Line::Frame(line)) => incoming::take(&session, line, Via::Shared),
            Ok(Line::TooLong { head, tail, .. }) => incoming::take_too_long(&session, &head, &tail),
            Ok(Line::Eof) => return,
            Err(error) => {
                tracing::debug!(target: "mcp::client", server = %session.shared.options.name, %error, "cannot read");
                return;
            }
        }
    }
}
