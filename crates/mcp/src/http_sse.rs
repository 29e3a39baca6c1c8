//! The client end of HTTP+SSE (2024-11-05): a GET stream names an endpoint, messages are posted there, and
//! their answers arrive on the stream.

use crate::streamable_http::{Endpoint, EventStream, FailureKind, HopHeaders, HttpFailure};
use bytes::Bytes;

/// How many other events may come before the one that names the endpoint, which should be the first.
const EVENTS_BEFORE: usize = 8;

/// Where messages of one connection are posted. Clones share the connection pool.
#[derive(Debug, Clone)]
pub struct Poster(Endpoint);

/// Opens the stream at `endpoint` and waits for the endpoint it names. The stream then carries everything the
/// server sends, as `message` events.
///
/// # Errors
/// [`HttpFailure`]; an endpoint of another origin is refused.
pub async fn connect(endpoint: &Endpoint, hop: &HopHeaders) -> Result<(Poster, EventStream), HttpFailure> {
    let mut stream = endpoint.open_stream(hop, None).await?;
    for _ in 0..EVENTS_BEFORE {
        let Some(event) = stream.next().await.transpose()? else { break };
        if event.event.as_deref() != Some("endpoint") {
            continue;
        }
        let reference = std::str::from_utf8(&event.data).map_err(|_| stream.failure(FailureKind::NoEndpoint))?;
        let endpoint = endpoint.at(reference).map_err(|kind| stream.failure(kind))?;
        return Ok((Poster(endpoint), stream));
    }
    Err(stream.failure(FailureKind::NoEndpoint))
}

impl Poster {
    /// Sends one message; its answer, if any, arrives on the stream.
    ///
    /// # Errors
    /// [`HttpFailure`]; its `delivered` says whether the server may have seen the message.
    pub async fn post(&self, body: Bytes, hop: &HopHeaders) -> Result<(), HttpFailure> {
        self.0.post_only(body, hop).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streamable_http::tests::{Server, Then, events, in_time, reply};

    const HOP: fn() -> HopHeaders = HopHeaders::default;

    async fn connected(stream: &str) -> Result<(Poster, EventStream), HttpFailure> {
        let server = Server::new(vec![(events(stream), Then::Close)]).await;
        in_time(connect(&server.endpoint(), &HOP())).await
    }

    async fn check_failure(stream: &str, want: FailureKind) {
        assert_eq!(connected(stream).await.expect_err("no usable endpoint").kind, want);
    }

    #[tokio::test]
    async fn messages_go_to_the_endpoint_the_stream_names() {
        let stream = events(": hi\n\nevent: endpoint\ndata: /messages?id=7\n\nevent: message\ndata: {\"r\":1}\n\n");
        let replies = vec![(stream, Then::Close), (reply("202 Accepted", "", "Accepted"), Then::Keep)];
        let server = Server::new(replies).await;
        let (poster, mut stream) = in_time(connect(&server.endpoint(), &HOP())).await.expect("an endpoint");
        let event = in_time(stream.next()).await.expect("an event").expect("no failure");
        assert_eq!(event.data, "{\"r\":1}");
        in_time(poster.post(Bytes::from_static(b"{}"), &HOP())).await.expect("accepted");
        let requests = server.requests();
        assert!(requests[0].starts_with("GET /mcp HTTP/1.1\r\n"));
        assert!(requests[1].starts_with("POST /messages?id=7 HTTP/1.1\r\n"));
    }

    #[tokio::test]
    async fn an_absolute_endpoint_of_the_same_origin_is_taken() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("bound"));
        let endpoint = crate::streamable_http::tests::endpoint(&format!("{origin}/sse"), crate::Limits::default());
        assert!(endpoint.at(&format!(" {origin}/post\n")).is_ok());
        assert!(endpoint.at("//other.example/post").is_err());
    }

    #[tokio::test]
    async fn an_endpoint_of_another_origin_is_refused() {
        for (reference, origin) in [
            ("http://evil.example/x", "http://evil.example"),
            ("//evil.example/x", "http://evil.example"),
            ("https://127.0.0.1/x", "https://127.0.0.1"),
            ("http://127.0.0.1:1/x", "http://127.0.0.1:1"),
            ("file:///etc/passwd", "null"),
        ] {
            let stream = format!("event: endpoint\ndata: {reference}\n\n");
            check_failure(&stream, FailureKind::ForeignEndpoint(origin.to_owned())).await;
        }
    }

    #[tokio::test]
    async fn a_stream_without_an_endpoint_is_a_failure() {
        check_failure("", FailureKind::NoEndpoint).await;
        check_failure(&"data: {}\n\n".repeat(20), FailureKind::NoEndpoint).await;
        check_failure("event: endpoint\ndata: http://[\n\n", FailureKind::NoEndpoint).await;
    }

    #[tokio::test]
    async fn a_server_without_a_stream_is_a_failure() {
        let server = Server::new(vec![(reply("404 Not Found", "", ""), Then::Close)]).await;
        let failure = in_time(connect(&server.endpoint(), &HOP())).await.expect_err("404");
        assert_eq!(failure.kind, FailureKind::Status(404));
    }
}
