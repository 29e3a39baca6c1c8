//! Calls, each as one row: the attempt or the refusal, joined with the end. Read from the segments as they are;
//! a scan is fast enough that there is no index.

use crate::read::{Filter, read};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::Path;

/// How a call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// An answer came.
    Ok,
    /// The tool ran and said that it failed.
    ToolError,
    /// Something broke.
    Failed,
    /// The caller went away.
    Abandoned,
    /// Nobody saw the end; it only read.
    Lost,
    /// Nobody saw the end, and it may have had effects.
    InDoubt,
    /// It has no end yet.
    Open,
    /// It was refused.
    Denied,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Ok, Self::ToolError, Self::Failed, Self::Abandoned, Self::Lost, Self::InDoubt, Self::Open, Self::Denied];

    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ToolError => "tool_error",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
            Self::Lost => "lost",
            Self::InDoubt => "in_doubt",
            Self::Open => "open",
            Self::Denied => "denied",
        }
    }
}

/// Which calls are wanted. The default wants all.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Not before this time, in microseconds since 1970.
    pub since: Option<u64>,
    /// Before this time.
    pub until: Option<u64>,
    /// A pattern (`*`, `?`) for the tool's own name, or the name it was asked for by.
    pub tool: Option<String>,
    /// A pattern for the server's name.
    pub server: Option<String>,
    /// A pattern for the client's name.
    pub client: Option<String>,
    /// The thread, exactly.
    pub thread: Option<String>,
    /// The call's id, exactly.
    pub id: Option<String>,
    /// One of these; empty means any.
    pub outcomes: Vec<Outcome>,
    /// The newest so many.
    pub limit: Option<usize>,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its attempt or refusal, as it stands in the file.
    pub event: Vec<u8>,
    /// Its end, if there is one.
    pub end: Option<Vec<u8>>,
    /// How it went.
    pub outcome: Outcome,
}

/// The calls in `dir` that are wanted, the oldest first.
///
/// # Errors
/// Something cannot be read. A directory that does not exist has no calls.
pub fn calls(dir: &Path, query: &Query) -> io::Result<Vec<Call>> {
    let mut rows = Rows { query, first: 0, rows: VecDeque::new(), open: HashMap::new(), kept: 0 };
    let literals = query.literals();
    let finders: Vec<_> = literals.iter().map(memchr::memmem::Finder::new).collect();
    let events = ["attempt", "refusal", "end"].map(str::to_owned).to_vec();
    for line in read(dir, Filter { since: query.since, until: None, events })? {
        let line = line?;
        if line.starts_with(b"{\"event\":\"end\"") {
            rows.end(line);
        } else if finders.iter().all(|finder| finder.find(&line).is_some()) {
            rows.begin(line);
        }
    }
    Ok(rows.finish())
}

/// What a row is chosen by.
#[derive(Deserialize)]
struct Subject<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    ts: u64,
    #[serde(borrow, default)]
    asked: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    server: Cow<'a, str>,
    #[serde(borrow, default)]
    client: Cow<'a, str>,
    #[serde(borrow, default)]
    thread: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Ending<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    end: Cow<'a, str>,
    #[serde(default)]
    tool_error: bool,
    #[serde(default)]
    rpc_error: bool,
    #[serde(default)]
    in_doubt: bool,
}

impl Query {
    /// What a line must contain, byte for byte, so that most are never parsed.
    fn literals(&self) -> Vec<Vec<u8>> {
        let plain =
            |text: &&String| !text.contains(['*', '?', '"', '\\']) && text.bytes().all(|b| b.is_ascii_graphic());
        let exact = [&self.thread, &self.id, &self.server, &self.client, &self.tool];
        exact.into_iter().flatten().filter(plain).map(|text| text.as_bytes().to_vec()).collect()
    }

    fn wants(&self, subject: &Subject<'_>) -> bool {
        let like = |pattern: &Option<String>, text: &str| pattern.as_ref().is_none_or(|pattern| matches(pattern, text));
        let same = |wanted: &Option<String>, text: &str| wanted.as_ref().is_none_or(|wanted| wanted == text);
        self.since.is_none_or(|since| subject.ts >= since)
            && self.until.is_none_or(|until| subject.ts < until)
            && (like(&self.tool, &subject.name) || like(&self.tool, &subject.asked))
            && like(&self.server, &subject.server)
            && like(&self.client, &subject.client)
            && same(&self.thread, &subject.thread)
            && same(&self.id, &subject.id)
    }

    fn wants_outcome(&self, outcome: Outcome) -> bool {
        self.outcomes.is_empty() || self.outcomes.contains(&outcome)
    }
}

/// The rows so far, in the order of their beginnings.
struct Rows<'a> {
    query: &'a Query,
    /// The number of the first row that is still kept.
    first: usize,
    rows: VecDeque<Call>,
    /// The rows without an end, by id.
    open: HashMap<Box<str>, usize>,
    /// How many rows have an end and are wanted.
    kept: usize,
}

impl Rows<'_> {
    fn begin(&mut self, line: Vec<u8>) {
        let Ok(subject) = serde_json::from_slice::<Subject<'_>>(&line) else { return };
        if !self.query.wants(&subject) {
            return;
        }
        let outcome = if line.starts_with(b"{\"event\":\"refusal\"") { Outcome::Denied } else { Outcome::Open };
        if outcome == Outcome::Open {
            self.open.insert(subject.id.into(), self.first + self.rows.len());
        } else if !self.query.wants_outcome(outcome) {
            return;
        }
        self.rows.push_back(Call { event: line, end: None, outcome });
        self.count(outcome);
    }

    fn end(&mut self, line: Vec<u8>) {
        if self.open.is_empty() {
            return;
        }
        let Ok(ending) = serde_json::from_slice::<Ending<'_>>(&line) else { return };
        let Some(at) = self.open.remove(&*ending.id).and_then(|number| number.checked_sub(self.first)) else { return };
        let outcome = match &*ending.end {
            "finished" if ending.tool_error || ending.rpc_error => Outcome::ToolError,
            "finished" => Outcome::Ok,
            "abandoned" => Outcome::Abandoned,
            "lost" if ending.in_doubt => Outcome::InDoubt,
            "lost" => Outcome::Lost,
            _ => Outcome::Failed,
        };
        let Some(row) = self.rows.get_mut(at) else { return };
        row.outcome = outcome;
        row.end = Some(line);
        self.count(outcome);
    }

    /// Forgets what is older than the newest that are wanted.
    fn count(&mut self, outcome: Outcome) {
        if outcome == Outcome::Open || !self.query.wants_outcome(outcome) {
            return;
        }
        self.kept += 1;
        while self.query.limit.is_some_and(|limit| self.kept > limit) {
            let Some(row) = self.rows.pop_front() else { return };
            self.first += 1;
            self.kept -= usize::from(row.outcome != Outcome::Open && self.query.wants_outcome(row.outcome));
        }
    }

    fn finish(self) -> Vec<Call> {
        let mut rows: Vec<_> = self.rows.into_iter().filter(|row| self.query.wants_outcome(row.outcome)).collect();
        let most = self.query.limit.unwrap_or(usize::MAX);
        rows.drain(..rows.len().saturating_sub(most));
        rows
    }
}

/// Whether `text` is like `pattern`: `*` stands for any characters, `?` for one.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut to, mut star) = (0, 0, None);
    while to < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, to));
                at += 1;
            }
            Some(c) if *c == '?' || *c == text[to] => (at, to) = (at + 1, to + 1),
            _ => {
                let Some((after, from)) = star else { return false };
                star = Some((after, from + 1));
                (at, to) = (after + 1, from + 1);
            }
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::open_sized;
    use gate::ports::Ledger;
    use tempfile::tempdir;

    /// Five calls: read and done, failed, refused, abandoned, and one without an end whose ledger was closed.
    fn check(query: Query, want: &[&str]) {
        let dir = tempdir().expect("a directory");
        let ledger = open_sized(dir.path(), 1 << 20);
        let begin = |event: &str, id: &str, ts: u64, tool: &str| {
            let event = format!(
                r#"{{"event":"{event}","id":"{id}","ts":{ts},"asked":"s__{tool}","server":"s","name":"{tool}","thread":"t{ts}","client":"c\u0031"}}"#
            );
            ledger.append(event.as_bytes()).expect("room");
        };
        let end = |id: &str, end: &str| {
            let event = format!(r#"{{"event":"end","id":"{id}","ts":9,{end}}}"#);
            ledger.append(event.as_bytes()).expect("room");
        };
        begin("attempt", "a", 1, "echo");
        begin("attempt", "b", 2, "exec");
        end("b", r#""end":"failed""#);
        end("a", r#""end":"finished""#);
        begin("refusal", "c", 3, "echo");
        begin("attempt", "d", 4, "list");
        begin("attempt", "e", 5, "echo");
        end("d", r#""end":"abandoned""#);
        ledger.close().expect("room");
        let rows = calls(dir.path(), &query).expect("readable");
        let words: Vec<_> = rows
            .iter()
            .map(|row| {
                let subject: Subject<'_> = serde_json::from_slice(&row.event).expect("JSON");
                format!("{}:{}", subject.id, row.outcome.as_str())
            })
            .collect();
        assert_eq!(words, want, "{query:?}");
    }

    const ALL: [&str; 5] = ["a:ok", "b:failed", "c:denied", "d:abandoned", "e:in_doubt"];

    #[test]
    fn each_call_is_one_row_with_its_end() {
        check(Query::default(), &ALL);
    }

    #[test]
    fn rows_are_chosen_by_who_what_and_when() {
        let text = |text: &str| Some(text.to_owned());
        check(Query { tool: text("e*o"), ..Query::default() }, &[ALL[0], ALL[2], ALL[4]]);
        check(Query { tool: text("s__l?st"), ..Query::default() }, &[ALL[3]]);
        check(Query { server: text("s"), client: text("c?"), ..Query::default() }, &ALL);
        check(Query { server: text("other"), ..Query::default() }, &[]);
        check(Query { thread: text("t2"), ..Query::default() }, &[ALL[1]]);
        check(Query { id: text("c"), ..Query::default() }, &[ALL[2]]);
        check(Query { since: Some(2), until: Some(4), ..Query::default() }, &[ALL[1], ALL[2]]);
    }

    #[test]
    fn rows_are_chosen_by_how_they_went_and_the_newest_are_kept() {
        check(Query { outcomes: vec![Outcome::Denied, Outcome::InDoubt], ..Query::default() }, &[ALL[2], ALL[4]]);
        check(Query { limit: Some(2), ..Query::default() }, &ALL[3..]);
        check(Query { limit: Some(1), outcomes: vec![Outcome::Failed, Outcome::Ok], ..Query::default() }, &[ALL[1]]);
        check(Query { limit: Some(0), ..Query::default() }, &[]);
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, want) in [
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbXb", false),
            ("", "a", false),
            ("?", "ü", true),
        ] {
            assert_eq!(matches(pattern, text), want, "{pattern} {text}");
        }
    }
}
