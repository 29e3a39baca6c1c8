//! The report of one server: its state, why, since when, and what is known of it.

use super::{Seen, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How we authenticate at a server, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Auth {
    /// Nothing is known.
    #[default]
    Unknown,
    /// There is nothing to log in at: a child process.
    Unsupported,
    /// It wants a login and there is none, or it is over.
    NotLoggedIn,
    /// A token of the configuration.
    BearerToken,
    /// A login of a person.
    OAuth,
}

impl Auth {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Unsupported => "unsupported",
            Self::NotLoggedIn => "not logged in",
            Self::BearerToken => "bearer token",
            Self::OAuth => "OAuth",
        }
    }
}

/// How much a server lists, before policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Tools.
    pub tools: usize,
    /// Prompts.
    pub prompts: usize,
    /// Resources.
    pub resources: usize,
    /// Resource templates.
    pub templates: usize,
}

/// A state that was, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Last {
    /// The state.
    pub state: State,
    /// Why, in our own words.
    pub reason: Option<String>,
    /// When it began, in microseconds since 1970 UTC.
    pub at_micros: u64,
}

/// What tells one version of a server from another.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Versions {
    /// `serverInfo.version`.
    pub server: Option<String>,
    /// `version` of its entry.
    pub config: Option<String>,
    /// The revision of the protocol spoken with it.
    pub protocol: Option<String>,
    /// A digest over the definitions of its tools, in no order. `None` while they could not be listed.
    pub tools: Option<String>,
}

/// A server is another one than when it was seen last. Reported once, as `version_changed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Whose.
    pub server: String,
    /// What changed, by the names of [`Versions`].
    pub changed: Vec<&'static str>,
    /// As seen last.
    pub before: Versions,
    /// As seen now.
    pub after: Versions,
}

impl Change {
    /// What differs, if anything does.
    pub fn between(server: &str, before: &Versions, after: &Versions) -> Option<Self> {
        let pairs = [
            ("server", &before.server, &after.server),
            ("config", &before.config, &after.config),
            ("protocol", &before.protocol, &after.protocol),
            ("tools", &before.tools, &after.tools),
        ];
        let changed: Vec<_> = pairs.iter().filter(|(_, was, is)| was != is).map(|(what, _, _)| *what).collect();
        let change = Self { server: server.to_owned(), changed, before: before.clone(), after: after.clone() };
        (!change.changed.is_empty()).then_some(change)
    }

    /// The change in one line.
    pub fn text(&self) -> String {
        let of = |versions: &Versions, what: &str| {
            let value = match what {
                "server" => versions.server.as_deref(),
                "config" => versions.config.as_deref(),
                "protocol" => versions.protocol.as_deref(),
                _ => versions.tools.as_deref().map(|digest| &digest[..digest.floor_char_boundary(12)]),
            };
            value.unwrap_or("none").to_owned()
        };
        let name = |what: &str| match what {
            "server" => "serverInfo.version",
            "config" => "version of its entry",
            "protocol" => "protocol version",
            _ => "tool definitions",
        };
        let part = |what: &&str| format!("{} {} -> {}", name(what), of(&self.before, what), of(&self.after, what));
        self.changed.iter().map(part).collect::<Vec<_>>().join(", ")
    }
}

/// All that is known of one server. What is not known is `None`, and `null` in JSON; no field is ever left away.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Its configured name.
    pub name: String,
    /// Where it stands.
    pub state: State,
    /// Who disabled it, if it is disabled.
    pub disabled_reason: Option<&'static str>,
    /// One of the three words older callers know; `None` where nobody tried to reach it.
    pub status: Option<Seen>,
    /// Why, in our own words.
    pub reason: Option<String>,
    /// Since when, in microseconds since 1970 UTC; `None` for what holds as long as the configuration does.
    pub since_micros: Option<u64>,
    /// The last lines it wrote to standard error, masked, oldest first.
    pub stderr: Vec<String>,
    /// What to do next.
    pub next: String,
    /// The process, while there is one.
    pub pid: Option<u32>,
    /// What it says it is.
    pub server_info: Option<Value>,
    /// The capabilities it declares.
    pub capabilities: Option<Value>,
    /// The revision of the protocol spoken with it.
    pub protocol: Option<String>,
    /// How much it lists, as last seen.
    pub counts: Option<Counts>,
    /// Its tools by their own names, as last seen and before policy.
    pub tools: Option<Vec<String>>,
    /// Its resources by URI.
    pub resources: Option<Vec<String>>,
    /// Its resource templates by URI template.
    pub templates: Option<Vec<String>>,
    /// Why its tools are not known, or no longer as it has them.
    pub tools_error: Option<String>,
    /// How we authenticate at it.
    pub auth_status: Auth,
    /// The last failure of this run, whatever came after it.
    pub last_error: Option<Last>,
    /// How an earlier run found it.
    pub last_seen: Option<Last>,
    /// It is another one than when it was seen last.
    pub version_changed: Option<Change>,
    /// Tools that are held back because they changed.
    pub quarantined: Vec<String>,
    /// What it is kept in bounds by: the level it runs at and what that leaves open, else the level that is demanded.
    /// `None` where nothing of the kind is configured.
    pub sandbox: Option<String>,
}

impl Status {
    /// A server of which nothing is known but its state.
    pub fn new(name: impl Into<String>, state: State) -> Self {
        let name = name.into();
        Self {
            next: state.next(&name),
            name,
            state,
            disabled_reason: state.disabled_reason(),
            status: state.seen(),
            reason: None,
            since_micros: None,
            stderr: Vec::new(),
            pid: None,
            server_info: None,
            capabilities: None,
            protocol: None,
            counts: None,
            tools: None,
            resources: None,
            templates: None,
            tools_error: None,
            auth_status: Auth::default(),
            last_error: None,
            last_seen: None,
            version_changed: None,
            quarantined: Vec::new(),
            sandbox: None,
        }
    }

    /// The same server in another state; what is known of it stays, and why and what next go with the state.
    #[must_use]
    pub fn in_state(self, state: State, reason: Option<String>) -> Self {
        let (disabled_reason, status, next) = (state.disabled_reason(), state.seen(), state.next(&self.name));
        Self { state, disabled_reason, status, reason, next, ..self }
    }

    /// The same with a next step that fits better than that of the state.
    #[must_use]
    pub fn with_next(self, next: Option<String>) -> Self {
        Self { next: next.unwrap_or(self.next), ..self }
    }

    /// The same with tools that are held back. A server that runs is `quarantined` while there is one; what fails
    /// otherwise stays what it is.
    #[must_use]
    pub fn with_quarantined(mut self, tools: Vec<String>) -> Self {
        if tools.is_empty() {
            return self;
        }
        if self.state.is_up() {
            let all = self.counts.map_or(String::new(), |counts| format!(" of {}", counts.tools));
            let mut reason = format!("has {}{all} tools that are held back: {}", tools.len(), tools.join(", "));
            // What else is not well stays said.
            if let Some(before) = self.reason.take() {
                reason = format!("{reason}; {before}");
            }
            self = self.in_state(State::Quarantined, Some(reason));
        }
        Self { quarantined: tools, ..self }
    }

    /// The state in one sentence.
    pub fn sentence(&self) -> String {
        let what = self.reason.as_deref().unwrap_or(self.state.meaning());
        format!("server `{}` {what}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_null_and_never_left_away() {
        let json = serde_json::to_value(Status::new("x", State::NotStarted)).expect("it serialises");
        for key in ["serverInfo", "capabilities", "tools", "resources", "templates", "toolsError", "protocol", "counts"]
        {
            assert_eq!(json.get(key), Some(&Value::Null), "{key}");
        }
        assert_eq!(json["state"], "not_started");
        assert_eq!(json["status"], Value::Null);
        assert_eq!(json["authStatus"], "unknown");
    }

    #[test]
    fn words_for_authentication_are_those_of_interfaces() {
        let words = [Auth::Unknown, Auth::Unsupported, Auth::NotLoggedIn, Auth::BearerToken, Auth::OAuth];
        let json = serde_json::to_string(&words).expect("it serialises");
        assert_eq!(json, r#"["unknown","unsupported","notLoggedIn","bearerToken","oAuth"]"#);
    }

    #[test]
    fn a_tool_held_back_shows_on_a_server_that_runs_and_hides_no_failure() {
        let held = vec!["a".to_owned()];
        let counts = Counts { tools: 3, ..Counts::default() };
        let up = Status { counts: Some(counts), ..Status::new("x", State::Connected) }.with_quarantined(held.clone());
        assert_eq!((up.state, up.state.exit()), (State::Quarantined, 7));
        assert_eq!(up.reason.as_deref(), Some("has 1 of 3 tools that are held back: a"));
        let ill = Status::new("x", State::Connected).in_state(State::Degraded, Some("lists no prompts".to_owned()));
        let ill = ill.with_quarantined(held.clone());
        assert_eq!(ill.reason.as_deref(), Some("has 1 tools that are held back: a; lists no prompts"));
        let down = Status::new("x", State::Crashed).with_quarantined(held);
        assert_eq!((down.state, down.quarantined.len()), (State::Crashed, 1));
        assert_eq!(Status::new("x", State::Connected).with_quarantined(Vec::new()).state, State::Connected);
    }

    #[test]
    fn a_change_names_what_differs_and_nothing_else() {
        let one = Versions { server: Some("1".into()), protocol: Some("2025-11-25".into()), ..Versions::default() };
        assert_eq!(Change::between("x", &one, &one), None);
        let two = Versions { server: Some("2".into()), tools: Some("0123456789abcdef".into()), ..one.clone() };
        let change = Change::between("x", &one, &two).expect("it differs");
        assert_eq!(change.changed, ["server", "tools"]);
        assert_eq!(change.text(), "serverInfo.version 1 -> 2, tool definitions none -> 0123456789ab");
    }
}
