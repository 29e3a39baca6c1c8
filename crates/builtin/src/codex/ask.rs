//! What a caller asks for, read from the arguments of a call. Whatever is not understood is refused by name: a
//! parameter that is silently ignored is a request that was silently changed. Not here: whether it may be had.

use super::settings::Sandbox;
use super::tools::Tool;
use serde_json::{Map, Value};

/// What is wrong with the arguments, for the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misasked(pub String);

/// The efforts that Codex knows.
pub const EFFORTS: [&str; 6] = ["none", "minimal", "low", "medium", "high", "xhigh"];

/// The longest session id.
pub const SESSION_ID_MAX: usize = 256;

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
        given.nothing_left(tool)?;
        Ok(ask)
    }
}

fn turn(given: &mut Given) -> Result<Turn, Misasked> {
    let prompt = given.text("prompt")?.ok_or_else(|| wrong("`prompt` is missing: say what Codex is to do"))?;
    given.approval_policy()?;
    Ok(Turn {
        prompt,
        session: given.session()?,
        reset: given.flag("resetSession")?,
        thread: None,
        model: given.text("model")?,
        effort: given.one_of("reasoningEffort", &EFFORTS)?,
        sandbox: given.one_of("sandbox", &Sandbox::ALL.map(Sandbox::word))?.and_then(|word| Sandbox::of(&word)),
        full_auto: given.flag("fullAuto")?,
        dir: given.either("workingDirectory", "cwd")?,
        callback: given.text("callbackUri")?,
        config: given.settings()?,
    })
}

fn reply(given: &mut Given) -> Result<Turn, Misasked> {
    let prompt = given.text("prompt")?.ok_or_else(|| wrong("`prompt` is missing: say what Codex is to do"))?;
    let thread = given.either("threadId", "conversationId")?;
    let thread = thread.ok_or_else(|| wrong("`threadId` is missing: say which conversation goes on"))?;
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

/// The arguments that were not looked at yet.
struct Given(Map<String, Value>);

impl Given {
    fn read(arguments: &[u8]) -> Result<Self, Misasked> {
        if arguments.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(Map::new()));
        }
        let text = std::str::from_utf8(arguments).map_err(|_| wrong("the arguments are not valid UTF-8"))?;
        // Of a parameter that is given twice one would win, and nobody could say which.
        mcp::view::members(text).map_err(|flaw| wrong(format!("the arguments cannot be read: {flaw}")))?;
        serde_json::from_str(text).map(Self).map_err(|error| wrong(format!("the arguments are not an object: {error}")))
    }

    /// What is given under a name; null is as good as nothing.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    fn string(&mut self, name: &str) -> Result<Option<String>, Misasked> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.contains('\0') => {
                Err(wrong(format!("`{name}` contains a NUL character")))
            }
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(format!("`{name}` is not a string"))),
        }
    }

    /// A string that says something.
    fn text(&mut self, name: &str) -> Result<Option<String>, Misasked> {
        match self.string(name)? {
            Some(text) if text.trim().is_empty() => Err(wrong(format!("`{name}` is empty"))),
            text => Ok(text),
        }
    }

    fn either(&mut self, name: &str, old: &str) -> Result<Option<String>, Misasked> {
        match (self.text(name)?, self.text(old)?) {
            (Some(_), Some(_)) => Err(wrong(format!("`{name}` and `{old}` mean the same: give one of them"))),
            (new, old) => Ok(new.or(old)),
        }
    }

    fn flag(&mut self, name: &str) -> Result<bool, Misasked> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(wrong(format!("`{name}` is not a boolean"))),
        }
    }

    fn one_of(&mut self, name: &str, words: &[&str]) -> Result<Option<String>, Misasked> {
        match self.string(name)? {
            Some(word) if !words.contains(&word.as_str()) => {
                Err(wrong(format!("`{name}` is `{word}`; it can be `{}`", words.join("`, `"))))
            }
            word => Ok(word),
        }
    }

    fn session(&mut self) -> Result<Option<String>, Misasked> {
        let Some(id) = self.string("sessionId")? else { return Ok(None) };
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
    fn settings(&mut self) -> Result<Vec<(String, String)>, Misasked> {
        // The CLI takes a file in the place of its own instructions, never a text; as the developer's they are heard.
        let told = [self.text("base-instructions")?, self.text("developer-instructions")?];
        let told = told.into_iter().flatten().collect::<Vec<_>>().join("\n\n");
        let texts = [("developer_instructions", Some(told)), ("compact_prompt", self.text("compact-prompt")?)];
        let texts = texts.into_iter().filter_map(|(key, text)| Some((key, text.filter(|text| !text.is_empty())?)));
        let texts = texts.filter_map(|(key, text)| Some((key.to_owned(), toml(&Value::String(text))?)));
        Ok(texts.chain(self.config()?).collect())
    }

    /// Codex asks nobody when it is driven like this, so every policy comes down to `never`.
    fn approval_policy(&mut self) -> Result<(), Misasked> {
        self.one_of("approval-policy", &["untrusted", "on-failure", "on-request", "never"]).map(drop)
    }

    fn config(&mut self) -> Result<Vec<(String, String)>, Misasked> {
        let table = match self.take("config") {
            None => return Ok(Vec::new()),
            Some(Value::Object(table)) => table,
            Some(_) => return Err(wrong("`config` is not an object")),
        };
        table.into_iter().map(|(key, value)| setting(key, &value)).collect()
    }

    fn nothing_left(self, tool: Tool) -> Result<(), Misasked> {
        let Some(name) = self.0.keys().next() else { return Ok(()) };
        let known = tool.parameters();
        let known =
            if known.is_empty() { "there are none".to_owned() } else { format!("known: `{}`", known.join("`, `")) };
        Err(wrong(format!("unknown parameter `{name}` ({known})")))
    }
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
