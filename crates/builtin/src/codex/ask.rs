//! What a caller asks of Codex, read from the arguments of a call. Not here: whether it may be had.

use super::settings::Sandbox;
use super::tools::Tool;
use crate::given::{Given, Misasked};
use serde_json::{Map, Value};

/// The efforts that Codex knows.
pub const EFFORTS: [&str; 6] = ["none", "minimal", "low", "medium", "high", "xhigh"];

/// The longest session id.
pub const SESSION_ID_MAX: usize = 256;

/// What is said of a call that asks for nothing.
pub const NO_PROMPT: &str = "`prompt` is missing: say what Codex is to do";
/// What is said of a message to no conversation.
pub const NO_THREAD: &str = "`threadId` is missing: say which conversation goes on";

/// What Codex's old server let its callers configure and that changes no more than how the model thinks and talks.
const HARMLESS: [&str; 9] = [
    "hide_agent_reasoning",
    "model_context_window",
    "model_max_output_tokens",
    "model_reasoning_effort",
    "model_reasoning_summary",
    "model_verbosity",
    "personality",
    "service_tier",
    "show_raw_agent_reasoning",
];

/// One turn of a conversation with Codex.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turn {
    /// What to do.
    pub prompt: String,
    /// Which session it belongs to.
    pub session: Option<String>,
    /// Whether the session begins anew.
    pub reset: bool,
    /// The thread to go on with, where the caller keeps count itself.
    pub thread: Option<String>,
    /// Which model.
    pub model: Option<String>,
    /// How hard it thinks.
    pub effort: Option<String>,
    /// What its commands may do.
    pub sandbox: Option<Sandbox>,
    /// Whether it acts without asking.
    pub full_auto: bool,
    /// Where it works.
    pub dir: Option<String>,
    /// Handed to it in its environment.
    pub callback: Option<String>,
    /// When it asks for leave, in Codex's word.
    pub approval: Option<&'static str>,
    /// More configuration: key, and value as TOML.
    pub config: Vec<(String, String)>,
}

/// What is reviewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// What is not committed yet.
    Uncommitted,
    /// What came since the branch left this one.
    Base(String),
    /// One commit.
    Commit(String),
    /// Whatever the prompt says.
    Prompt,
}

/// A review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// Of what.
    pub subject: Subject,
    /// What to look for.
    pub prompt: Option<String>,
    /// What the change is called.
    pub title: Option<String>,
    /// Which model.
    pub model: Option<String>,
    /// In which repository.
    pub dir: Option<String>,
}

/// A search of the web.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// For what.
    pub query: String,
    /// How many findings.
    pub results: u64,
    /// Whether analysis is wanted.
    pub full: bool,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// A turn of a conversation.
    Turn(Turn),
    /// A review.
    Review(Review),
    /// A search of the web.
    Search(Search),
    /// The sessions.
    Sessions,
    /// An echo.
    Ping(String),
    /// What Codex can do.
    Help,
}

impl Ask {
    /// What `tool` is asked with `arguments`, a JSON object or nothing.
    ///
    /// # Errors
    /// [`Misasked`] names the parameter.
    pub fn read(tool: Tool, arguments: &[u8]) -> Result<Self, Misasked> {
        let mut given = Given::read(arguments)?;
        let ask = match tool {
            Tool::Codex => Self::Turn(turn(&mut given)?),
            Tool::Reply => Self::Turn(reply(&mut given)?),
            Tool::Review => Self::Review(review(&mut given)?),
            Tool::Search => Self::Search(search(&mut given)?),
            Tool::Sessions => Self::Sessions,
            Tool::Ping => Self::Ping(given.string("message")?.unwrap_or_else(|| "pong".to_owned())),
            Tool::Help => Self::Help,
        };
        given.nothing_left(tool.parameters())?;
        Ok(ask)
    }
}

fn turn(given: &mut Given) -> Result<Turn, Misasked> {
    let prompt = given.text("prompt")?.ok_or_else(|| wrong(NO_PROMPT))?;
    let approval = given.one_of("approval-policy", &["untrusted", "on-failure", "on-request", "never"])?;
    Ok(Turn {
        prompt,
        session: session(given)?,
        reset: given.flag("resetSession")?,
        thread: None,
        model: given.text("model")?,
        effort: given.one_of("reasoningEffort", &EFFORTS)?,
        sandbox: given.one_of("sandbox", &Sandbox::ALL.map(Sandbox::word))?.and_then(|word| Sandbox::of(&word)),
        full_auto: given.flag("fullAuto")?,
        dir: given.either("workingDirectory", "cwd")?,
        callback: given.text("callbackUri")?,
        // The second is gone; who asked for it wanted to be asked.
        approval: approval.map(|word| match &*word {
            "untrusted" => "untrusted",
            "never" => "never",
            _ => "on-request",
        }),
        config: settings(given)?,
    })
}

fn reply(given: &mut Given) -> Result<Turn, Misasked> {
    let prompt = given.text("prompt")?.ok_or_else(|| wrong(NO_PROMPT))?;
    let thread = given.either("threadId", "conversationId")?;
    let thread = thread.ok_or_else(|| wrong(NO_THREAD))?;
    Ok(Turn { prompt, thread: Some(thread), ..Turn::default() })
}

fn review(given: &mut Given) -> Result<Review, Misasked> {
    let (prompt, title) = (given.text("prompt")?, given.text("title")?);
    let (model, dir) = (given.text("model")?, given.text("workingDirectory")?);
    let subjects = [
        given.flag("uncommitted")?.then_some(Subject::Uncommitted),
        given.text("base")?.map(Subject::Base),
        given.text("commit")?.map(Subject::Commit),
    ];
    let mut subjects = subjects.into_iter().flatten();
    let subject = match (subjects.next(), subjects.next()) {
        (Some(_), Some(_)) => {
            return Err(wrong("only one of `uncommitted`, `base` and `commit` can be reviewed at a time"));
        }
        (Some(subject), None) => subject,
        (None, _) if prompt.is_some() => Subject::Prompt,
        (None, _) => Subject::Uncommitted,
    };
    if subject == Subject::Uncommitted && prompt.is_some() {
        return Err(wrong(
            "The review prompt cannot be combined with uncommitted=true. Use a base/commit review or omit the prompt.",
        ));
    }
    if title.is_some() && !matches!(subject, Subject::Commit(_)) {
        return Err(wrong("`title` is the title of a commit: give `commit` as well"));
    }
    Ok(Review { subject, prompt, title, model, dir })
}

fn search(given: &mut Given) -> Result<Search, Misasked> {
    let query = given.text("query")?.ok_or_else(|| wrong("`query` is missing: Search query cannot be empty"))?;
    let results = match given.take("numResults") {
        None => 10,
        Some(value) => match value.as_u64().filter(|count| (1..=50).contains(count)) {
            Some(count) => count,
            None => return Err(wrong("`numResults` is not a whole number from 1 to 50")),
        },
    };
    let full = given.one_of("searchDepth", &["basic", "full"])?.is_some_and(|depth| depth == "full");
    Ok(Search { query, results, full })
}

fn session(given: &mut Given) -> Result<Option<String>, Misasked> {
    let Some(id) = given.string("sessionId")? else { return Ok(None) };
    if id.len() > SESSION_ID_MAX {
        return Err(wrong("`sessionId`: Session ID must be 256 characters or fewer"));
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    match !id.is_empty() && id.bytes().all(legal) {
        true => Ok(Some(id)),
        false => Err(wrong("`sessionId`: Session ID can only contain letters, numbers, hyphens, and underscores")),
    }
}

/// What goes into Codex's configuration.
fn settings(given: &mut Given) -> Result<Vec<(String, String)>, Misasked> {
    // The CLI takes a file in the place of its own instructions, never a text; as the developer's they are heard.
    let told = [given.text("base-instructions")?, given.text("developer-instructions")?];
    let told = told.into_iter().flatten().collect::<Vec<_>>().join("\n\n");
    let texts = [("developer_instructions", Some(told)), ("compact_prompt", given.text("compact-prompt")?)];
    let texts = texts.into_iter().filter_map(|(key, text)| Some((key, text.filter(|text| !text.is_empty())?)));
    let texts = texts.filter_map(|(key, text)| Some((key.to_owned(), toml(&Value::String(text))?)));
    let table = match given.take("config") {
        None => Map::new(),
        Some(Value::Object(table)) => table,
        Some(_) => return Err(wrong("`config` is not an object")),
    };
    let more: Vec<_> = table.into_iter().map(|(key, value)| setting(key, &value)).collect::<Result<_, _>>()?;
    Ok(texts.chain(more).collect())
}

fn setting(key: String, value: &Value) -> Result<(String, String), Misasked> {
    if !HARMLESS.contains(&key.as_str()) {
        return Err(wrong(format!(
            "`config.{key}` is not for callers to set (these are: `{}`); whoever runs this server can set it in config.toml",
            HARMLESS.join("`, `")
        )));
    }
    let value = toml(value).ok_or_else(|| wrong(format!("`config.{key}` is neither text, number nor boolean")))?;
    Ok((key, value))
}

/// A plain value as TOML, so that nothing in it can become another setting.
pub fn toml(value: &Value) -> Option<String> {
    match value {
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        // A JSON string is a TOML string but for DEL, which TOML wants escaped, and `\/`, which serde_json never writes.
        Value::String(_) => Some(value.to_string().replace('\u{7f}', "\\u007f")),
        _ => None,
    }
}

fn wrong(what: impl Into<String>) -> Misasked {
    Misasked(what.into())
}

#[cfg(test)]
mod tests;
