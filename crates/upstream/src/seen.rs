//! How a server was found last, in one small file per server: its versions, for noticing that it became another one, and
//! its state, for who lists servers without asking them. A file that cannot be read is as good as none.

use crate::catalog_file::{file, hex, replace};
use gate::state::{Change, Last, Versions};
use gate::{ItemKind, Offer, ServerName, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;

const SCHEMA: &str = "toolgate.seen/1";

/// A version is kept up to this length, in bytes.
const LONGEST: usize = 200;

#[derive(Serialize, Deserialize)]
struct File {
    schema: String,
    /// `None` until it was up once.
    versions: Option<Versions>,
    state: String,
    reason: Option<String>,
    at_micros: u64,
    /// What it answered over HTTP, if that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
}

fn load(state_dir: &Path, server: &ServerName) -> Option<File> {
    let text = fs::read(file(state_dir, "seen", server)).ok()?;
    serde_json::from_slice::<File>(&text).ok().filter(|file| file.schema == SCHEMA)
}

/// How an earlier run, or an earlier start, found `server`.
pub fn last_seen(state_dir: &Path, server: &ServerName) -> Option<Last> {
    let file = load(state_dir, server)?;
    let state = State::ALL.iter().copied().find(|state| state.as_str() == file.state)?;
    Some(Last { state, reason: file.reason, at_micros: file.at_micros })
}

/// What `server` answered over HTTP when it was found not to work, if that is why: the status and how the body begins,
/// masked. The body is the server's words.
pub fn last_answer(state_dir: &Path, server: &ServerName) -> Option<String> {
    load(state_dir, server)?.answer
}

/// Keeps how it is found now. With its versions, gives back what changed since they were seen last.
pub(crate) fn note(
    state_dir: &Path,
    server: &ServerName,
    now: &Last,
    versions: Option<Versions>,
    answer: Option<String>,
) -> Option<Change> {
    let before = load(state_dir, server).and_then(|file| file.versions);
    let after = versions.map(|after| Versions {
        // What could not be listed has not changed.
        tools: after.tools.or_else(|| before.as_ref().and_then(|before| before.tools.clone())),
        ..after
    });
    let change = before.as_ref().zip(after.as_ref()).and_then(|(was, is)| Change::between(server.as_str(), was, is));
    let state = now.state.as_str().to_owned();
    let (reason, at_micros) = (now.reason.clone(), now.at_micros);
    let file = File { schema: SCHEMA.to_owned(), versions: after.or(before), state, reason, at_micros, answer };
    write(state_dir, server, &file);
    change
}

fn write(state_dir: &Path, server: &ServerName, content: &File) {
    let path = file(state_dir, "seen", server);
    let written = serde_json::to_vec(content).map_err(Into::into).and_then(|text| replace(&path, &text));
    if let Err(error) = written {
        let path = path.display();
        tracing::warn!(target: "mcp::manager", %server, %path, %error, "cannot keep how it was found");
    }
}

/// `version` of a raw `serverInfo`, if it is one.
pub(crate) fn server_version(info: Option<&[u8]>) -> Option<String> {
    let info: Value = serde_json::from_slice(info?).ok()?;
    let version = info.get("version")?.as_str()?;
    Some(version[..version.floor_char_boundary(LONGEST)].to_owned())
}

/// A digest over the definitions of the tools: the same whatever the order of tools and members.
pub(crate) fn tools_digest(offer: &Offer) -> String {
    let tools = offer.listed.iter().filter(|item| item.kind == ItemKind::Tool);
    let mut each: Vec<_> = tools.map(|tool| one_digest(&tool.definition)).collect();
    each.sort_unstable();
    hex(&Sha256::digest(each.concat()))
}

fn one_digest(definition: &[u8]) -> [u8; 32] {
    let sorted = serde_json::from_slice::<Value>(definition).map(|mut value| {
        value.sort_all_objects();
        value.to_string()
    });
    // What is nested too deep for that has the digest of its bytes.
    sorted.map_or_else(|_| Sha256::digest(definition).into(), |text| Sha256::digest(text).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::read_item;

    fn offer(tools: &[&str]) -> Offer {
        let read = |text: &&str| read_item(ItemKind::Tool, text.as_bytes().to_vec().into()).expect("a tool");
        Offer { listed: tools.iter().map(read).collect(), ..Offer::default() }
    }

    #[test]
    fn order_is_no_change_of_the_tools_and_anything_else_is() {
        let (a, b) = (r#"{"name":"a","inputSchema":{"type":"object","x":1}}"#, r#"{"name":"b","inputSchema":{}}"#);
        let turned = r#"{"inputSchema":{"x":1,"type":"object"}, "name":"a"}"#;
        assert_eq!(tools_digest(&offer(&[a, b])), tools_digest(&offer(&[b, turned])));
        let other = r#"{"name":"a","inputSchema":{"type":"object","x":2}}"#;
        assert_ne!(tools_digest(&offer(&[a, b])), tools_digest(&offer(&[other, b])));
        assert_ne!(tools_digest(&offer(&[a, b])), tools_digest(&offer(&[a])));
    }

    #[test]
    fn a_change_is_told_once_and_a_failure_forgets_no_version() {
        let dir = tempfile::tempdir().expect("a directory");
        let server = ServerName::from("x");
        let last = |state| Last { state, reason: None, at_micros: 7 };
        let version = |text: &str| Some(Versions { server: Some(text.to_owned()), ..Versions::default() });
        let note =
            |state, versions| note(dir.path(), &server, &last(state), versions, None).map(|change| change.text());
        assert_eq!(note(State::Connected, version("1")), None, "the first time there is nothing to compare with");
        assert_eq!(note(State::Connected, version("1")), None);
        assert_eq!(note(State::Crashed, None), None);
        assert_eq!(note(State::Connected, version("2")).as_deref(), Some("serverInfo.version 1 -> 2"));
        assert_eq!(note(State::NoTools, version("2")), None);
        assert_eq!(last_seen(dir.path(), &server), Some(last(State::NoTools)));
        assert_eq!(last_seen(dir.path(), &"y".into()), None);
    }

    #[test]
    fn a_version_is_text_and_not_endless() {
        assert_eq!(server_version(Some(br#"{"version":"1.2"}"#)).as_deref(), Some("1.2"));
        assert_eq!(server_version(Some(br#"{"version":7}"#)), None);
        assert_eq!(server_version(None), None);
        let long = format!(r#"{{"version":"{}"}}"#, "é".repeat(500));
        assert_eq!(server_version(Some(long.as_bytes())).map(|text| text.len()), Some(LONGEST));
    }
}
