//! The stream on which a server with a handshake sends what belongs to no request.

use crate::http_auth::Refusal;
use crate::http_link::{pause_before_retry, take_event};
use crate::incoming::Via;
use crate::session::{Carrier, Session};
use mcp::streamable_http::EventStream;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Keeps the stream open until the session is over. A server that has none (405) is left in peace.
pub(crate) async fn keep_open(session: Arc<Session>) {
    let Carrier::Http(link) = &session.carrier else { return };
    let mut pause = FIRST_PAUSE;
    let mut last = None;
    loop {
        let wait = match link.door.open_stream(&link.headers(&session), last.as_deref()).await {
            Ok(stream) => {
                pause = FIRST_PAUSE;
                read(&session, stream, &mut last).await
            }
            Err(Refusal { failure, .. }) => match failure.status {
                // Also a lost session: the next call finds out.
                Some(status) if status < 500 && status != 429 => return,
                _ => failure.retry_after,
            },
        };
        sleep(pause_before_retry(wait, pause)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Reads to the end of one stream; how long the server wants us to wait before the next.
async fn read(session: &Arc<Session>, mut stream: EventStream, last: &mut Option<String>) -> Option<Duration> {
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => take_event(session, event, Via::Shared),
            Err(failure) => {
                tracing::debug!(target: "mcp::client", server = %session.shared.options.name, %failure, "stream");
                break;
            }
        }
    }
    if let Some(id) = stream.last_event_id() {
        *last = Some(id.to_owned());
    }
    stream.retry()
}
