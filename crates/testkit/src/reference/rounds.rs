//! Multi-round-trip requests: what is still wanted, and what state travels with the question.

use rmcp::ErrorData;
use rmcp::model::{
    ClientCapabilities, InputRequest, InputRequests, InputRequiredResult, InputResponses, RequestMetaObject,
    RequestStateCodec, SealOptions,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::catalogue::Rounds;

/// Not a secret: it only has to differ from whatever a tampering client makes up.
const KEY: &[u8] = b"the reference fixture seals its request state with this key";

/// What a request that may want input first comes to.
pub(super) enum Turn {
    Ask(InputRequiredResult),
    /// The text of the final answer.
    Done(String),
}

/// One request, as far as rounds are concerned.
pub(super) struct Visit<'a> {
    pub name: &'a str,
    pub responses: Option<&'a InputResponses>,
    pub state: Option<&'a str>,
    pub meta: &'a RequestMetaObject,
}

#[derive(Serialize, Deserialize)]
struct Asked {
    round: usize,
}

impl Rounds {
    /// Asks the next question, or the same one again where the answer is missing.
    pub fn turn(&self, visit: &Visit<'_>) -> Result<Turn, ErrorData> {
        let round = match self.asked(visit)? {
            Some(round) if self.answered(round, visit) => round + 1,
            Some(round) => round,
            None => 0,
        };
        let Some(wanted) = self.rounds.get(round) else {
            return Ok(Turn::Done(self.closing(visit)));
        };
        let wanted = self.answerable(wanted, visit.meta);
        if wanted.is_empty() {
            return Ok(Turn::Done(self.done.clone()));
        }
        let state = self.sealed.then(|| seal(visit.name, round)).transpose()?;
        Ok(Turn::Ask(InputRequiredResult::new(Some(wanted), state)))
    }

    /// The round whose answers this request carries; an error when its state was tampered with.
    fn asked(&self, visit: &Visit<'_>) -> Result<Option<usize>, ErrorData> {
        match (self.sealed, visit.state) {
            (true, Some(state)) => open(visit.name, state).map(Some),
            (true, None) => Ok(None),
            (false, _) => Ok(visit.responses.map(|_| 0)),
        }
    }

    fn answered(&self, round: usize, visit: &Visit<'_>) -> bool {
        let Some(wanted) = self.rounds.get(round) else {
            return false;
        };
        self.answerable(wanted, visit.meta).keys().all(|key| answer(visit.responses, key).is_some())
    }

    fn answerable(&self, wanted: &InputRequests, meta: &RequestMetaObject) -> InputRequests {
        if !self.by_capability {
            return wanted.clone();
        }
        let capabilities = meta.client_capabilities().unwrap_or_default();
        let can = |request: &InputRequest| can_answer(&capabilities, request);
        wanted.iter().filter(|(_, request)| can(request)).map(|(key, request)| (key.clone(), request.clone())).collect()
    }

    fn closing(&self, visit: &Visit<'_>) -> String {
        let answers = serde_json::to_string(&visit.responses).expect("JSON values are JSON");
        format!("{}: {answers}", self.done)
    }
}

/// An answer counts when it is an object; all else is asked for again.
pub(super) fn answer<'a>(
    responses: Option<&'a InputResponses>,
    key: &str,
) -> Option<&'a serde_json::Map<String, Value>> {
    responses?.get(key)?.as_object()
}

fn can_answer(capabilities: &ClientCapabilities, request: &InputRequest) -> bool {
    match request {
        InputRequest::CreateMessage(_) => capabilities.sampling.is_some(),
        InputRequest::Elicitation(_) => capabilities.elicitation.is_some(),
        InputRequest::ListRoots(_) => capabilities.roots.is_some(),
        _ => false,
    }
}

/// The state is bound to the tool, so that it cannot be replayed at another.
fn seal(name: &str, round: usize) -> Result<String, ErrorData> {
    let options = SealOptions::new().associated_data(name.as_bytes());
    RequestStateCodec::new_unchecked(KEY)
        .seal_json_with(&Asked { round }, &options)
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

fn open(name: &str, state: &str) -> Result<usize, ErrorData> {
    RequestStateCodec::new_unchecked(KEY)
        .open_json_with::<Asked>(state, name.as_bytes())
        .map(|asked| asked.round)
        .map_err(|_| ErrorData::invalid_params("requestState failed its integrity check", None))
}
