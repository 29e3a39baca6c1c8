//! What a server last answered over HTTP instead of a message: people who look for the reason want its words.

use arc_swap::ArcSwapOption;
use gate::{Fault, Masks};
use mcp::streamable_http::HttpFailure;
use std::sync::Arc;

/// How much of a body is kept, in characters.
const LONGEST: usize = 200;

/// The last such answer, if there was one.
#[derive(Default)]
pub(crate) struct HttpAnswer(ArcSwapOption<String>);

impl HttpAnswer {
    /// Keeps the status of a refusal and how its body begins.
    pub fn keep(&self, failure: &HttpFailure, masks: &Masks) {
        let text = failure.status.map(|status| Arc::new(told(status, &failure.body, masks)));
        self.0.store(text);
    }

    /// The answer behind `fault`, if it is the reason for it.
    pub fn behind(&self, fault: &Fault) -> Option<String> {
        let text = self.0.load_full()?;
        let status = text.split(':').next().unwrap_or_default();
        fault.what.contains(status).then(|| text.to_string())
    }
}

/// As in `HTTP 403: error code: 1010`. Masked before it is cut, so that no part of a secret is left.
fn told(status: u16, body: &[u8], masks: &Masks) -> String {
    let body = String::from_utf8_lossy(body);
    let masked = masks.text(body.trim());
    let body: String = masked.chars().take(LONGEST).collect();
    if body.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {body}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Faults;
    use gate::Secret;

    #[test]
    fn a_body_is_masked_and_short() {
        let masks = Masks::new(&[Secret::new("token-abcdef")]);
        assert_eq!(told(403, b"error code: 1010\n", &masks), "HTTP 403: error code: 1010");
        assert_eq!(told(500, b" ", &masks), "HTTP 500");
        let long = told(500, format!("{}token-abcdef", "x".repeat(195)).as_bytes(), &masks);
        assert_eq!(long, format!("HTTP 500: {}*****", "x".repeat(195)));
    }

    #[test]
    fn an_answer_stands_behind_a_fault_that_names_its_status() {
        let answer = HttpAnswer::default();
        let faults = Faults("x".into());
        assert_eq!(answer.behind(&faults.auth_required(403)), None);
        answer.0.store(Some(Arc::new("HTTP 403: no".to_owned())));
        assert_eq!(answer.behind(&faults.auth_required(403)).as_deref(), Some("HTTP 403: no"));
        assert_eq!(answer.behind(&faults.auth_required(401)), None);
        assert_eq!(answer.behind(&faults.unavailable("cannot be reached")), None);
    }
}
