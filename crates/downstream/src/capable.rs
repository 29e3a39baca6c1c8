//! What a face says it can do: no more than its servers can.

use crate::front::Front;
use gate::Offer;
use mcp::view;
use std::sync::Arc;

/// What is said while some server was never seen: it may turn out to have anything.
const EVERYTHING: &str = r#"{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"completions":{},"logging":{}}"#;

/// The face's capabilities object. Tools and logging are ours to serve, whoever has any.
pub(crate) fn capabilities(front: &Front) -> String {
    let catalog = front.gate.catalog();
    let offers: Option<Vec<Arc<Offer>>> =
        catalog.servers(&front.face).iter().map(|server| catalog.offer(server)).collect();
    match offers {
        Some(offers) if offers.iter().all(|offer| offer.capabilities.is_some()) => {
            union(&offers, catalog.keeps_results())
        }
        _ => EVERYTHING.to_owned(),
    }
}

/// What some of them can. Whole results are resources, whoever has any.
fn union(offers: &[Arc<Offer>], keeps_results: bool) -> String {
    let raw = |offer: &Offer| offer.capabilities.as_deref().and_then(|raw| String::from_utf8(raw.to_vec()).ok());
    let all: Vec<String> = offers.iter().filter_map(|offer| raw(offer)).collect();
    let any = |path: &[&str], want: Option<&str>| {
        all.iter().filter_map(|raw| view::path(raw, path)).any(|found| want.is_none_or(|want| found == want))
    };
    let mut parts = vec![r#""tools":{"listChanged":true}"#.to_owned()];
    if any(&["prompts"], None) {
        parts.push(r#""prompts":{"listChanged":true}"#.to_owned());
    }
    if any(&["resources"], None) {
        let subscribe = if any(&["resources", "subscribe"], Some("true")) { r#""subscribe":true,"# } else { "" };
        parts.push(format!(r#""resources":{{{subscribe}"listChanged":true}}"#));
    } else if keeps_results {
        parts.push(r#""resources":{}"#.to_owned());
    }
    if any(&["completions"], None) {
        parts.push(r#""completions":{}"#.to_owned());
    }
    parts.push(r#""logging":{}"#.to_owned());
    format!("{{{}}}", parts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(servers: &[&str], want: &str) {
        let offer = |raw: &&str| Arc::new(Offer { capabilities: Some((*raw).to_owned().into()), ..Offer::default() });
        let offers: Vec<_> = servers.iter().map(offer).collect();
        assert_eq!(union(&offers, false), want);
    }

    #[test]
    fn whole_results_can_be_read_where_no_server_has_resources() {
        assert_eq!(union(&[], true), r#"{"tools":{"listChanged":true},"resources":{},"logging":{}}"#);
    }

    #[test]
    fn a_face_can_what_some_server_can() {
        check(&[], r#"{"tools":{"listChanged":true},"logging":{}}"#);
        check(
            &[r#"{"tools":{}}"#, r#"{"resources":{"subscribe":false},"prompts":{}}"#],
            r#"{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true},"logging":{}}"#,
        );
        check(
            &[r#"{"resources":{}}"#, r#"{"resources":{"subscribe":true},"completions":{}}"#],
            r#"{"tools":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"completions":{},"logging":{}}"#,
        );
    }
}
