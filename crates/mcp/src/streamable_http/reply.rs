//! What an HTTP response means. Every body read here is bounded.

use super::failure::{FailureKind, HttpFailure, broken_off, short};
use super::stream::EventStream;
use super::{EVENTS, JSON, PostedBody};
use crate::limits::Limits;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, Url};
use std::time::Duration;

/// How much of a failure's body is kept, in bytes.
const FAILURE_BYTES: usize = 64 << 10;

/// How long the body of a failure, or one that is not needed, is waited for: what counts is known without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// The answer to a POST.
pub(super) async fn read(response: Response, url: &Url, limits: &Limits) -> Result<PostedBody, HttpFailure> {
    if matches!(response.status().as_u16(), 202 | 204) {
        return accepted(response, url).await.map(|()| PostedBody::Accepted);
    }
    let mut response = successful(response, url).await?;
    let kind = essence(response.headers(), CONTENT_TYPE);
    if kind.eq_ignore_ascii_case(EVENTS.as_bytes()) {
        return Ok(PostedBody::Events(EventStream::new(response, limits)));
    }
    if !kind.eq_ignore_ascii_case(JSON.as_bytes()) {
        let body = some_of(&mut response).await;
        let kind = FailureKind::ContentType(short(&String::from_utf8_lossy(kind_of(&response))));
        // Some servers say 200 where 202 is meant.
        return if body.is_empty() { Ok(PostedBody::Accepted) } else { Err(failure(kind, &response, body)) };
    }
    match whole(&mut response, limits.frame_bytes).await? {
        body if body.is_empty() => Ok(PostedBody::Accepted),
        body => Ok(PostedBody::Json(body)),
    }
}

/// The answer to a GET.
pub(super) async fn stream(response: Response, url: &Url, limits: &Limits) -> Result<EventStream, HttpFailure> {
    let mut response = successful(response, url).await?;
    if essence(response.headers(), CONTENT_TYPE).eq_ignore_ascii_case(EVENTS.as_bytes()) {
        return Ok(EventStream::new(response, limits));
    }
    let kind = FailureKind::ContentType(short(&String::from_utf8_lossy(kind_of(&response))));
    let body = some_of(&mut response).await;
    Err(failure(kind, &response, body))
}

/// An answer of which only the status matters.
pub(super) async fn accepted(response: Response, url: &Url) -> Result<(), HttpFailure> {
    let mut response = successful(response, url).await?;
    // Read to its end, or else the connection cannot be used again.
    some_of(&mut response).await;
    Ok(())
}

/// The response, if its status is a success and its body can be read.
async fn successful(mut response: Response, url: &Url) -> Result<Response, HttpFailure> {
    let status = response.status();
    let encoding = essence(response.headers(), CONTENT_ENCODING);
    let kind = if status.is_redirection() {
        FailureKind::Redirect(destination(response.headers(), url))
    } else if !status.is_success() {
        FailureKind::Status(status.as_u16())
    } else if !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity") {
        FailureKind::ContentEncoding(short(&String::from_utf8_lossy(encoding)))
    } else {
        return Ok(response);
    };
    let body = some_of(&mut response).await;
    Err(failure(kind, &response, body))
}

fn failure(kind: FailureKind, response: &Response, body: Bytes) -> HttpFailure {
    HttpFailure {
        status: Some(response.status().as_u16()),
        body,
        www_authenticate: challenges(response.headers()),
        retry_after: retry_after(response.headers()),
        ..HttpFailure::new(kind, true)
    }
}

/// The origin a redirect leads to.
fn destination(headers: &HeaderMap, url: &Url) -> String {
    let target = headers.get(LOCATION).and_then(|value| value.to_str().ok()).and_then(|text| url.join(text).ok());
    target.map_or_else(|| "nowhere".to_owned(), |target| short(&target.origin().ascii_serialization()))
}

/// A header's value without parameters; empty if there is none.
fn essence(headers: &HeaderMap, name: HeaderName) -> &[u8] {
    let value = headers.get(name).map_or(&b""[..], HeaderValue::as_bytes);
    value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

fn kind_of(response: &Response) -> &[u8] {
    response.headers().get(CONTENT_TYPE).map_or(b"none", HeaderValue::as_bytes)
}

fn challenges(headers: &HeaderMap) -> Option<HeaderValue> {
    let all: Vec<&[u8]> = headers.get_all(WWW_AUTHENTICATE).iter().map(HeaderValue::as_bytes).collect();
    if all.is_empty() { None } else { HeaderValue::from_bytes(&all.join(&b", "[..])).ok() }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim_ascii().parse().ok().map(Duration::from_secs)
}

/// The whole body, uncopied if it comes in one piece.
async fn whole(response: &mut Response, most: usize) -> Result<Bytes, HttpFailure> {
    let status = response.status().as_u16();
    let too_long = || HttpFailure { status: Some(status), ..HttpFailure::new(FailureKind::TooLong(most), true) };
    let announced = usize::try_from(response.content_length().unwrap_or(0)).unwrap_or(usize::MAX);
    if announced > most {
        return Err(too_long());
    }
    let Some(first) = piece(response).await? else { return Ok(Bytes::new()) };
    let mut body = match piece(response).await? {
        None if first.len() > most => return Err(too_long()),
        None => return Ok(first),
        Some(second) => {
            let mut body = BytesMut::with_capacity(announced.max(2 * (first.len() + second.len())));
            body.extend_from_slice(&first);
            body.extend_from_slice(&second);
            body
        }
    };
    while body.len() <= most {
        let Some(next) = piece(response).await? else { return Ok(body.freeze()) };
        body.extend_from_slice(&next);
    }
    Err(too_long())
}

async fn piece(response: &mut Response) -> Result<Option<Bytes>, HttpFailure> {
    let status = response.status().as_u16();
    response.chunk().await.map_err(|error| broken_off(&error, status))
}

/// The beginning of a body that is only to be shown, as far as it comes soon.
async fn some_of(response: &mut Response) -> Bytes {
    let mut body = BytesMut::new();
    let reading = async {
        while body.len() < FAILURE_BYTES {
            let Ok(Some(next)) = response.chunk().await else { return };
            body.extend_from_slice(&next[..next.len().min(FAILURE_BYTES - body.len())]);
        }
    };
    // Running out of patience leaves what came so far.
    let _ = tokio::time::timeout(PATIENCE, reading).await;
    body.freeze()
}
