//! What the Codex CLI says of a run: JSON events, one a line, in the form of today and in the two of its first
//! releases; and its plain output where it has no events. Not here: what is made of a failure.

use serde_json::Value;

/// The longest line that is read as an event.
const LINE_MAX: usize = 16 << 20;
/// The longest message of progress, in characters.
const NEWS_MAX: usize = 400;

/// What is known of a run so far.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its thread.
    pub thread: Option<String>,
    /// The last message of the agent.
    pub answer: Option<String>,
    /// What went wrong, by Codex's own account.
    pub error: Option<String>,
    /// The turn came to its end, or its agent spoke after the last thing that went wrong: the first releases tell of
    /// no end.
    pub completed: bool,
    /// Tokens, as the CLI spelled them.
    pub usage: Option<Value>,
}

/// Reads events out of bytes that come in any pieces.
#[derive(Debug, Default)]
pub struct Events {
    told: Told,
    line: Vec<u8>,
    /// Within a line that is too long.
    skipping: bool,
}

impl Events {
    /// Takes more bytes; `news` is given what a person may want to hear.
    pub fn push(&mut self, mut bytes: &[u8], news: &mut dyn FnMut(String)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.extend(&bytes[..end]);
            self.end_of_line(news);
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
    }

    /// What was told, once nothing more comes.
    pub fn over(mut self, news: &mut dyn FnMut(String)) -> Told {
        self.end_of_line(news);
        self.told
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.skipping |= self.line.len() + bytes.len() > LINE_MAX;
        if !self.skipping {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_of_line(&mut self, news: &mut dyn FnMut(String)) {
        if !std::mem::take(&mut self.skipping)
            && let Ok(event) = serde_json::from_slice::<Value>(&self.line)
            && let Some(heard) = self.told.hear(&event)
        {
            news(shortened(&heard));
        }
        self.line.clear();
    }
}

impl Told {
    /// Takes one event in; what a person may want to hear of it.
    pub fn hear(&mut self, event: &Value) -> Option<String> {
        match event.get("msg") {
            Some(message) => self.hear_old(message),
            None => self.hear_new(event),
        }
    }

    fn hear_new(&mut self, event: &Value) -> Option<String> {
        match event["type"].as_str()? {
            "thread.started" => self.started(&event["thread_id"]),
            "session.created" => self.started(&event["session_id"]),
            "turn.started" => Some("Processing output from Codex...".to_owned()),
            "turn.completed" => {
                self.completed = true;
                self.usage = event.get("usage").cloned();
                None
            }
            "turn.failed" => self.failed(&event["error"]["message"]),
            // Codex goes on after these: only a turn that fails has failed. What was said last is why.
            "error" => self.wrong(&event["message"]),
            "item.started" => doing(&event["item"]),
            "item.completed" => self.done(&event["item"]),
            _ => None,
        }
    }

    fn started(&mut self, thread: &Value) -> Option<String> {
        self.thread = text(thread);
        Some("Codex has started".to_owned())
    }

    fn spoke(&mut self, words: &Value) -> Option<String> {
        self.completed = true;
        self.answer = text(words);
        self.answer.clone()
    }

    fn wrong(&mut self, message: &Value) -> Option<String> {
        let message = text(message)?;
        self.completed = false;
        self.error = Some(message.clone());
        Some(message)
    }

    fn failed(&mut self, message: &Value) -> Option<String> {
        self.completed = false;
        self.error = text(message).or(self.error.take()).or_else(|| Some("the turn failed".to_owned()));
        None
    }

    fn done(&mut self, item: &Value) -> Option<String> {
        match kind(item)? {
            "agent_message" | "assistant_message" => self.spoke(&item["text"]),
            "reasoning" => text(&item["text"]),
            "command_execution" => {
                let command = text(&item["command"])?;
                Some(match item["exit_code"].as_i64() {
                    Some(code) => format!("exit {code}: {command}"),
                    None => format!("done: {command}"),
                })
            }
            "file_change" => changed(item),
            "mcp_tool_call" => Some(format!("called {}", tool(item)?)),
            "web_search" => Some(format!("searched {}", item["query"].as_str()?)),
            "error" => text(&item["message"]),
            _ => None,
        }
    }

    /// Before 0.4x each event was `{"id", "msg": {"type", …}}`.
    fn hear_old(&mut self, message: &Value) -> Option<String> {
        match message["type"].as_str()? {
            "session_configured" => self.started(&message["session_id"]),
            "task_started" => Some("Processing output from Codex...".to_owned()),
            "agent_message" => self.spoke(&message["message"]),
            "agent_reasoning" => text(&message["text"]),
            "exec_command_begin" => Some(words(&message["command"])),
            "task_complete" => {
                self.completed = true;
                self.answer = text(&message["last_agent_message"]).or(self.answer.take());
                None
            }
            "error" | "stream_error" => self.wrong(&message["message"]),
            _ => None,
        }
    }
}

/// What an item is; for a few releases the key had another name.
fn kind(item: &Value) -> Option<&str> {
    item["type"].as_str().or_else(|| item["item_type"].as_str())
}

fn doing(item: &Value) -> Option<String> {
    match kind(item)? {
        "command_execution" => text(&item["command"]),
        "mcp_tool_call" => Some(format!("calling {}", tool(item)?)),
        _ => None,
    }
}

fn tool(item: &Value) -> Option<String> {
    Some(format!("{} of {}", item["tool"].as_str()?, item["server"].as_str()?))
}

fn changed(item: &Value) -> Option<String> {
    let paths: Vec<_> = item["changes"].as_array()?.iter().filter_map(|change| change["path"].as_str()).collect();
    Some(format!("changed {}", paths.join(", ")))
}

fn words(command: &Value) -> String {
    let words = command.as_array().into_iter().flatten().filter_map(Value::as_str);
    words.collect::<Vec<_>>().join(" ")
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// As much of it as progress says.
pub fn shortened(text: &str) -> String {
    match text.char_indices().nth(NEWS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The thread that plain output names, in the header that Codex writes to standard error. Only the header counts:
/// what follows it is the model's, which may say anything.
pub fn thread_in_header(stderr: &str) -> Option<String> {
    let header = stderr.split("\nuser\n").next().unwrap_or_default();
    let named = |line: &str| {
        let (key, value) = line.split_once(':')?;
        let key = key.trim().to_ascii_lowercase().replace('_', " ");
        let known = ["session id", "conversation id", "thread id", "sessionid", "conversationid", "threadid"];
        let id = value.trim();
        let legal = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        (known.contains(&key.as_str()) && legal).then(|| id.to_owned())
    };
    header.lines().find_map(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &str, expected: Told, expected_news: &[&str]) {
        for piece in [1, 7, lines.len()] {
            let (mut events, mut news) = (Events::default(), Vec::new());
            lines.as_bytes().chunks(piece).for_each(|bytes| events.push(bytes, &mut |heard| news.push(heard)));
            let told = events.over(&mut |heard| news.push(heard));
            assert_eq!(
                (told, &news[..]),
                (expected.clone(), &expected_news.iter().map(|n| n.to_string()).collect::<Vec<_>>()[..])
            );
        }
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_run_is_followed_whatever_pieces_it_comes_in() {
        let lines = concat!(
            "{\"type\":\"thread.started\",\"thread_id\":\"t-1\"}\n{\"type\":\"turn.started\"}\n",
            "not an event\n{\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"text\":\"é🙂\"}}\n",
            "{\"type\":\"turn.completed\",\"usage\":{\"input_tokens\":1}}"
        );
        let usage = Some(serde_json::json!({"input_tokens": 1}));
        let told = Told { thread: some("t-1"), answer: some("é🙂"), completed: true, usage, error: None };
        check(lines, told, &["Codex has started", "Processing output from Codex...", "é🙂"]);
    }

    #[test]
    fn the_events_of_the_first_releases_are_understood() {
        let lines = concat!(
            "{\"id\":\"0\",\"msg\":{\"type\":\"session_configured\",\"session_id\":\"s\"}}\n",
            "{\"id\":\"1\",\"msg\":{\"type\":\"agent_message\",\"message\":\"hi\"}}\n",
            "{\"id\":\"1\",\"msg\":{\"type\":\"task_complete\",\"last_agent_message\":\"hi\"}}\n"
        );
        let told = Told { thread: some("s"), answer: some("hi"), completed: true, ..Told::default() };
        check(lines, told, &["Codex has started", "hi"]);
        let lines = concat!(
            "{\"type\":\"session.created\",\"session_id\":\"s\"}\n",
            "{\"type\":\"item.completed\",\"item\":{\"item_type\":\"assistant_message\",\"text\":\"hi\"}}\n"
        );
        let told = Told { thread: some("s"), answer: some("hi"), completed: true, ..Told::default() };
        check(lines, told, &["Codex has started", "hi"]);
    }

    #[test]
    fn what_went_wrong_counts_until_the_agent_speaks_again() {
        let wrong = "{\"id\":\"0\",\"msg\":{\"type\":\"stream_error\",\"message\":\"again\"}}\n";
        let spoken = "{\"id\":\"0\",\"msg\":{\"type\":\"agent_message\",\"message\":\"hi\"}}\n";
        let told = |completed| Told { answer: some("hi"), error: some("again"), completed, ..Told::default() };
        check(&[wrong, spoken].concat(), told(true), &["again", "hi"]);
        check(&[spoken, wrong].concat(), told(false), &["hi", "again"]);
    }

    #[test]
    fn a_turn_that_fails_says_why() {
        let lines = concat!(
            "{\"type\":\"error\",\"message\":\"401\"}\n",
            "{\"type\":\"turn.failed\",\"error\":{\"message\":\"401 Unauthorized\"}}\n"
        );
        check(lines, Told { error: some("401 Unauthorized"), ..Told::default() }, &["401"]);
    }

    #[test]
    fn a_model_cannot_name_the_thread() {
        let header = "OpenAI Codex v0.39\n--------\nsession id: abc-1\n--------\nuser\nsession id: evil";
        assert_eq!(thread_in_header(header), some("abc-1"));
        assert_eq!(thread_in_header("Conversation ID: x_9\n"), some("x_9"));
        assert_eq!(thread_in_header("workdir: /\nuser\nthread id: evil"), None);
    }
}
