//! A conversation with a subject over either face: handshake, lists, calls, storms.

use std::time::{Duration, Instant};

use bench::clock::now;
use bench::rpc::{self, Era};
use bench::scan;

use crate::http::Http;
use crate::stdio::Stdio;
use crate::tally::{Plan, Tally};
use crate::work::{Job, excerpt};

/// How long one answer may take at most.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The open conversation.
pub struct Link {
    pub face: Wire,
    pub era: Era,
    /// How long one answer may take here.
    pub patience: Duration,
    next_id: u64,
}

/// What carries it.
pub enum Wire {
    Stdio(Stdio),
    Http(Http),
}

/// When a storm ends: after so much time or so many calls.
#[derive(Clone, Copy)]
pub struct Span {
    pub time: Duration,
    pub calls: u64,
}

impl Link {
    pub fn new(face: Wire, era: Era, patience: Duration) -> Self {
        Link { face, era, patience, next_id: 1 }
    }

    /// The handshake, or the one question a modern client may begin with.
    pub fn hello(&mut self, until: Instant) -> Result<(), String> {
        let id = self.take_ids(1);
        let method = if self.era == Era::Legacy { "initialize" } else { "server/discover" };
        let answer = self.ask(id, method, "", &rpc::hello(self.era, id), until)?.0;
        scan::member(&answer, "result").ok_or_else(|| format!("{method}: {}", excerpt(&answer)))?;
        match (&mut self.face, self.era) {
            (_, Era::Modern) => Ok(()),
            (Wire::Stdio(stdio), _) => stdio.send(rpc::INITIALIZED),
            (Wire::Http(http), _) => http.post("notifications/initialized", "", rpc::INITIALIZED, until).map(drop),
        }
    }

    /// The whole tool list, page by page, as the raw `tools` arrays.
    pub fn list(&mut self, until: Instant) -> Result<Vec<Vec<u8>>, String> {
        let (mut pages, mut cursor): (Vec<Vec<u8>>, Option<String>) = (Vec::new(), None);
        loop {
            let id = self.take_ids(1);
            let request = rpc::list(self.era, id, cursor.as_deref());
            let answer = self.ask(id, "tools/list", "", &request, until)?.0;
            let page = scan::at(&answer, &["result", "tools"]).ok_or_else(|| excerpt(&answer))?;
            pages.push(page.to_vec());
            cursor = scan::at(&answer, &["result", "nextCursor"])
                .and_then(|cursor| String::from_utf8(cursor.to_vec()).ok())
                .filter(|cursor| cursor != "null");
            if cursor.is_none() || pages.len() > 1000 {
                return Ok(pages);
            }
        }
    }

    /// One call; gives its answer and the progress notifications that came on its own stream before.
    pub fn call(&mut self, tool: &str, arguments: &str, progress: bool) -> Result<(Vec<u8>, usize), String> {
        let id = self.take_ids(1);
        let request = rpc::call(self.era, id, tool, arguments, progress);
        self.ask(id, "tools/call", tool, &request, now() + self.patience)
    }

    /// Calls as fast as the callers can.
    pub fn storm(&mut self, job: &Job, callers: u64, span: Span) -> Result<Tally, String> {
        let first = self.take_ids(1);
        let (until, limit) = (now() + span.time, span.calls.max(callers));
        let plan = Plan { job, callers, first, until, limit, patience: self.patience };
        let mut tally = Tally::default();
        match &mut self.face {
            Wire::Stdio(stdio) => stdio.storm(&plan, &mut tally),
            Wire::Http(http) => http.storm(&plan, &mut tally),
        }?;
        self.take_ids(tally.calls());
        Ok(tally)
    }

    fn ask(
        &mut self,
        id: u64,
        method: &str,
        name: &str,
        request: &str,
        until: Instant,
    ) -> Result<(Vec<u8>, usize), String> {
        let http = match &mut self.face {
            Wire::Stdio(stdio) => return stdio.ask(id, request, until),
            Wire::Http(http) => http,
        };
        let mut messages = http.post(method, name, request, until)?;
        let answer = messages.pop().ok_or_else(|| format!("{method}: an empty reply"))?;
        let token = id.to_string();
        let own = |message: &&Vec<u8>| scan::at(message, &["params", "progressToken"]) == Some(token.as_bytes());
        Ok((answer, messages.iter().filter(own).count()))
    }

    fn take_ids(&mut self, count: u64) -> u64 {
        let first = self.next_id;
        self.next_id += count;
        first
    }
}

/// The names in a list's pages.
pub fn names(pages: &[Vec<u8>]) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Named {
        name: String,
    }
    pages
        .iter()
        .filter_map(|page| serde_json::from_slice::<Vec<Named>>(page).ok())
        .flatten()
        .map(|tool| tool.name)
        .collect()
}

/// How many tools there are in a list's pages, counted cheaply.
pub fn count(pages: &[Vec<u8>]) -> usize {
    let each = |page: &Vec<u8>| memchr::memmem::find_iter(page, b"\"inputSchema\"").count();
    pages.iter().map(each).sum()
}
