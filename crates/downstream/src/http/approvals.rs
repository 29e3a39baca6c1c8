//! `/approvals`: what people are asked, and their answers, for whoever has the approver's secret. The token of
//! clients opens nothing here, for who asks is not who answers. How an answer counts is the gate's matter.

use super::Server;
use super::body::Reply;
use super::guard::single;
use super::status::{json, not_allowed};
use bytes::Bytes;
use gate::ports::Clock;
use gate::{Approval, ApprovalId, ApprovalState, Failure, Settled, Verdict, Way};
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use mcp::view;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

const PATH: &str = "/approvals";
/// The longest answer that is read, in bytes.
const MOST_ANSWER: usize = 4 << 10;
/// So many wrong secrets are heard in a row; then one in each [`PAUSE`], and the right one no sooner.
const MOST_WRONG: u32 = 10;
const PAUSE: Duration = Duration::from_secs(5);

/// Who answers questions over HTTP.
#[derive(Clone)]
pub struct Approver {
    /// Whether this is the approver's secret. It has to take as long whatever it is given.
    pub knows: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    /// Whose secret it is, for the record.
    pub name: String,
    /// Says when an answer was given.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for Approver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Approver").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How many wrong secrets were shown lately. Held for single operations only.
pub(super) struct Attempts(Mutex<(u32, Instant)>);

impl Attempts {
    /// None so far.
    pub fn new() -> Self {
        Self(Mutex::new((0, Instant::now())))
    }

    fn may_try(&self) -> bool {
        let mut state = self.0.lock().expect("arithmetic does not panic");
        let forgiven = state.1.elapsed().as_secs() / PAUSE.as_secs();
        if forgiven > 0 {
            *state = (state.0.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX)), Instant::now());
        }
        state.0 < MOST_WRONG
    }

    fn failed(&self) {
        let mut state = self.0.lock().expect("arithmetic does not panic");
        if state.0 == 0 {
            state.1 = Instant::now();
        }
        state.0 += 1;
    }
}

/// Answers a request to `/approvals`. None if that is not what it asks for, or nobody answers over HTTP.
pub(super) async fn handle(server: &Server, request: Request<Incoming>) -> Result<Reply, Request<Incoming>> {
    let (Some(approver), Some(rest)) = (&server.options.approver, request.uri().path().strip_prefix(PATH)) else {
        return Err(request);
    };
    let id = match rest.strip_prefix('/') {
        None if !rest.is_empty() => return Err(request),
        None | Some("") => None,
        Some(id) => Some(id.parse::<ApprovalId>()),
    };
    if let Some(refused) = refused(server, approver, request.headers()) {
        return Ok(refused);
    }
    let now = approver.clock.wall_micros();
    Ok(match (request.method(), id) {
        (_, Some(Err(_))) => unknown(),
        (&Method::GET, None) => list(server, now).await,
        (&Method::GET, Some(Ok(id))) => show(server, id, now).await,
        (&Method::POST, Some(Ok(id))) => settle(server, approver, id, request).await,
        (_, None) => not_allowed("GET"),
        (_, Some(_)) => not_allowed("GET, POST"),
    })
}

/// What is answered to somebody without the approver's secret.
fn refused(server: &Server, approver: &Approver, headers: &HeaderMap) -> Option<Reply> {
    if !server.attempts.may_try() {
        let mut reply = error(StatusCode::TOO_MANY_REQUESTS, "too many wrong secrets; try again shortly");
        reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from(PAUSE.as_secs()));
        return Some(reply);
    }
    let shown = single(headers, &AUTHORIZATION).ok().flatten().and_then(|shown| shown.split_once(' '));
    let secret = shown.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, secret)| secret.trim());
    // The clients' token is never the secret, whatever the operator set.
    let right = secret.is_some_and(|secret| (approver.knows)(secret)) && !server.guard.is_token(headers);
    if right {
        return None;
    }
    if secret.is_some() {
        server.attempts.failed();
        tracing::warn!(target: "mcp::approvals", "somebody without the approver's secret tried to answer a question");
    }
    let mut reply = error(StatusCode::UNAUTHORIZED, "the approver's secret is required; clients' tokens are not it");
    let challenge = HeaderValue::from_static(r#"Bearer realm="toolgate approvals""#);
    reply.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    Some(reply)
}

async fn list(server: &Server, now: u64) -> Reply {
    match server.root.gate.desk().list(now, false).await {
        Ok(open) => {
            let open: Vec<String> = open.iter().map(written).collect();
            json(StatusCode::OK, format!("[{}]", open.join(",")).into())
        }
        Err(broken) => unavailable(&broken.to_string()),
    }
}

async fn show(server: &Server, id: ApprovalId, now: u64) -> Reply {
    match server.root.gate.desk().get(id, now).await {
        Ok(Some(approval)) => json(StatusCode::OK, written(&approval).into()),
        Ok(None) => unknown(),
        Err(broken) => unavailable(&broken.to_string()),
    }
}

async fn settle(server: &Server, approver: &Approver, id: ApprovalId, request: Request<Incoming>) -> Reply {
    let yes = match answer(server, request).await {
        Ok(yes) => yes,
        Err((status, what)) => return error(status, what),
    };
    let verdict = Verdict { yes, approver: approver.name.clone(), way: Way::Http, at: approver.clock.wall_micros() };
    match server.root.gate.settle(id, verdict).await {
        Ok(Settled::Now(approval)) => json(StatusCode::OK, written(&approval).into()),
        Ok(Settled::Already(approval)) => json(StatusCode::CONFLICT, written(&approval).into()),
        Ok(Settled::Unknown) => unknown(),
        Err(failure) => unavailable(&told(&failure)),
    }
}

/// Whether the answer in a body is yes.
async fn answer(server: &Server, request: Request<Incoming>) -> Result<bool, (StatusCode, &'static str)> {
    let kind = single(request.headers(), &CONTENT_TYPE).ok().flatten().unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be `application/json`"));
    }
    let what = r#"the body must be {"answer":"approve"} or {"answer":"deny"}"#;
    let malformed = (StatusCode::BAD_REQUEST, what);
    let body = Limited::new(request.into_body(), MOST_ANSWER).collect();
    let body = match tokio::time::timeout(server.options.body_wait, body).await {
        Ok(body) => body.map_err(|_| malformed)?.to_bytes(),
        Err(_) => return Err((StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")),
    };
    let text = std::str::from_utf8(&body).unwrap_or_default();
    match view::member(text, "answer").and_then(view::string).as_deref() {
        Some("approve") => Ok(true),
        Some("deny") => Ok(false),
        _ => Err(malformed),
    }
}

/// A question as JSON. Its arguments are a text, for what is left out of long ones makes them none.
fn written(approval: &Approval) -> String {
    let text = |text: &str| view::quoted(text);
    let maybe = |one: &Option<String>| one.as_deref().map_or_else(|| "null".to_owned(), view::quoted);
    let members = [
        ("id", text(&approval.id.to_string())),
        ("state", text(approval.state.word())),
        ("by", text(&approval.by)),
        ("client", maybe(&approval.client)),
        ("conversation", maybe(&approval.conversation)),
        ("server", text(approval.server.as_str())),
        ("tool", text(&approval.tool)),
        ("definition", text(&approval.definition)),
        ("class", text(&approval.class)),
        ("arguments", text(&approval.arguments)),
        ("arguments_digest", text(&approval.arguments_digest)),
        ("rule", text(&approval.rule)),
        ("policy", text(&approval.policy)),
        ("asked", approval.asked.to_string()),
        ("expires", approval.expires.to_string()),
        ("verdict", verdict(&approval.state)),
    ];
    let members: Vec<String> = members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn verdict(state: &ApprovalState) -> String {
    let (ApprovalState::Approved(verdict) | ApprovalState::Denied(verdict) | ApprovalState::Spent(verdict)) = state
    else {
        return "null".to_owned();
    };
    let (approver, way) = (view::quoted(&verdict.approver), verdict.way.word());
    format!(r#"{{"yes":{},"approver":{approver},"way":"{way}","at":{}}}"#, verdict.yes, verdict.at)
}

fn unknown() -> Reply {
    error(StatusCode::NOT_FOUND, "there is no such question")
}

fn unavailable(what: &str) -> Reply {
    error(StatusCode::SERVICE_UNAVAILABLE, what)
}

fn told(failure: &Failure) -> String {
    match failure.hint() {
        Some(hint) => format!("{failure}\nhint: {hint}"),
        None => failure.to_string(),
    }
}

fn error(status: StatusCode, what: &str) -> Reply {
    json(status, Bytes::from(format!(r#"{{"error":{}}}"#, view::quoted(what))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wrong_secrets_are_heard_so_often_and_no_more() {
        let attempts = Attempts::new();
        for _ in 0..MOST_WRONG {
            assert!(attempts.may_try());
            attempts.failed();
        }
        assert!(!attempts.may_try());
        let ago = Instant::now().checked_sub(PAUSE * 2).expect("the clock runs for longer");
        attempts.0.lock().expect("not poisoned").1 = ago;
        assert!(attempts.may_try(), "two are forgiven");
        attempts.failed();
        assert!(attempts.may_try());
        attempts.failed();
        assert!(!attempts.may_try());
    }
}
