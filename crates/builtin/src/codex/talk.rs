//! What each tool does, from what is asked to what is answered. Not here: command lines, processes, words of failures.

use super::approvals::Asks;
use super::appserver::{Chat, Failed};
use super::argv;
use super::ask::{Review, Search, Subject, Turn};
use super::cli::{self, Cli};
use super::plan::{NO_OUTPUT, Plan};
use super::rollouts::{self, Wanted};
use super::run::{Done, Run};
use super::sessions::{Hold, Session};
use super::settings::{Contract, DefaultModel, Sandbox};
use super::tools::Tool;
use super::trouble::{Setback, Trouble};
use super::{Bridge, queue};
use crate::answer::Answer;
use crate::news::News;
use mcp::view::quoted;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::sync::Arc;

impl Bridge {
    pub(super) async fn turn(&self, tool: Tool, turn: Turn, owner: &str, news: Arc<News>, asks: Arc<Asks>) -> Answer {
        let plan = match self.plan_turn(&turn).await {
            Ok(plan) => plan.asking(&self.runner.settings, &turn, asks),
            Err(trouble) => return self.lacking(&turn, trouble.into(), None),
        };
        news.say("Starting Codex execution...");
        match self.converse(&plan, &turn, owner, news).await {
            Ok(talked) => talked.answer(tool, self.runner.settings.contract),
            Err(setback) => self.lacking(&turn, setback, Some(&plan.cli)),
        }
    }

    /// A turn without an answer.
    fn lacking(&self, turn: &Turn, Setback { why, thread }: Setback, cli: Option<&Cli>) -> Answer {
        let words = match (&why, &turn.thread) {
            (Trouble::NoThread(_), Some(thread)) => format!("Session not found for thread_id: {thread}"),
            _ => why.text(cli),
        };
        if self.runner.settings.contract != Contract::Codex {
            return Answer::failure(&words);
        }
        // That server told the thread of what failed too.
        let thread = turn.thread.clone().or(thread).unwrap_or_default();
        Answer::failed_with(&words, &json!({"threadId": thread, "content": words}))
    }

    async fn plan_turn(&self, turn: &Turn) -> Result<Plan, Trouble> {
        let sandbox = self.sandbox(turn)?;
        let plan = self.plan(turn.model.as_deref(), turn.dir.as_deref()).await?;
        let callback = turn.callback.clone().or_else(|| self.runner.settings.callback_uri.clone());
        Ok(Plan { sandbox, callback, ..plan })
    }

    async fn plan(&self, model: Option<&str>, dir: Option<&str>) -> Result<Plan, Trouble> {
        let settings = &self.runner.settings;
        let model = match (model, &settings.default_model) {
            (Some(model), _) => Some(model.to_owned()),
            (None, DefaultModel::Named(model)) => Some(model.clone()),
            (None, DefaultModel::Inherit) => None,
        };
        let place = self.place(dir)?;
        let cli = self.finder.find(settings, &self.runner.helper).await?;
        Ok(Plan { cli, dir: place, dir_given: dir.is_some(), model, sandbox: None, callback: None, asks: None })
    }

    /// Where to work: beneath one of the roots, wherever links may lead.
    fn place(&self, dir: Option<&str>) -> Result<PathBuf, Trouble> {
        let settings = &self.runner.settings;
        let Some(dir) = dir else { return Ok(settings.cwd.clone()) };
        let named = settings.cwd.join(dir);
        let refused = |why: String| Trouble::Refused(format!("`workingDirectory` {why}"));
        let real = named.canonicalize().map_err(|error| refused(format!("`{}`: {error}", named.display())))?;
        if !real.is_dir() {
            return Err(refused(format!("`{}` is not a directory", named.display())));
        }
        let roots = settings.roots.iter().filter_map(|root| root.canonicalize().ok());
        match roots.into_iter().any(|root| real.starts_with(root)) {
            true => Ok(real),
            false => Err(refused(format!(
                "`{}` is not beneath a directory this server may work in; whoever runs it can add one to `roots` of \
                 `[codex]` in toolgate.toml",
                real.display()
            ))),
        }
    }

    fn sandbox(&self, turn: &Turn) -> Result<Option<Sandbox>, Trouble> {
        let settings = &self.runner.settings;
        let wanted = turn.sandbox.or(turn.full_auto.then_some(Sandbox::WorkspaceWrite));
        match wanted {
            Some(wanted) if wanted > settings.ceiling => Err(Trouble::Refused(format!(
                "sandbox `{}` is more than this server allows, which is `{}`; whoever runs it can raise \
                 `sandbox_ceiling` of `[codex]` in toolgate.toml",
                wanted.word(),
                settings.ceiling.word()
            ))),
            Some(wanted) => Ok(Some(wanted)),
            // Codex's own choice may come from a file of the project, so below the ceiling nothing is left to it.
            None if settings.ceiling == Sandbox::DangerFullAccess => Ok(None),
            None => Ok(Some(settings.default_sandbox.unwrap_or(Sandbox::ReadOnly).min(settings.ceiling))),
        }
    }

    async fn converse(&self, plan: &Plan, turn: &Turn, owner: &str, news: Arc<News>) -> Result<Talked, Setback> {
        let settings = &self.runner.settings;
        let id = turn.session.clone().or_else(|| {
            let begins = settings.auto_session && turn.thread.is_none();
            begins.then(|| uuid::Uuid::from_bytes(self.random()).to_string())
        });
        let Some(id) = id else { return self.without_session(plan, turn, news).await };
        let hold = self.sessions.hold(owner, &id).await.map_err(unkept)?;
        let now = self.now();
        // What cannot be read is as good as gone: the conversation begins afresh.
        let kept = match turn.reset {
            // What cannot be removed is written over.
            true => self.sessions.remove(owner, &id).await.ok().and(None),
            false => self.sessions.get(owner, &id, self.keep, now).await.ok().flatten(),
        };
        let mut session = kept.unwrap_or_else(|| Session::new(&id, now));
        let (done, forgot) = self.next(plan, turn, &session, news, &hold).await?;
        session.thread = done.thread.clone().or(session.thread);
        session.add(&turn.prompt, &done.answer, self.now());
        let kept = self.sessions.put(owner, session, self.keep).await;
        drop(hold);
        let note = match (forgot, kept) {
            (_, Err(why)) => Some(format!("the session was not kept: {why}")),
            (true, _) => Some("the conversation was gone and began afresh with its last turns".to_owned()),
            _ => None,
        };
        Ok(Talked { done, model: plan.model.clone(), session: Some(id), callback: plan.callback.clone(), note })
    }

    async fn without_session(&self, plan: &Plan, turn: &Turn, news: Arc<News>) -> Result<Talked, Setback> {
        let done = self.once(plan, turn, turn.thread.as_deref(), turn.prompt.clone(), news, Arc::new(())).await?;
        let note = turn.reset.then(|| "resetSession does nothing without sessionId".to_owned());
        Ok(Talked { done, model: plan.model.clone(), session: None, callback: plan.callback.clone(), note })
    }

    /// The next turn of a session; whether it had to begin afresh.
    async fn next(
        &self,
        plan: &Plan,
        turn: &Turn,
        session: &Session,
        news: Arc<News>,
        hold: &Hold,
    ) -> Result<(Done, bool), Setback> {
        if let Some(thread) = session.thread.as_deref().filter(|_| plan.cli.can.resume) {
            let again = self.once(plan, turn, Some(thread), turn.prompt.clone(), news.clone(), hold.clone());
            match again.await {
                Err(Setback { why: Trouble::NoThread(_), .. }) => {}
                done => return Ok((done?, false)),
            }
        }
        let forgot = session.thread.is_some() && plan.cli.can.resume;
        let done = self.once(plan, turn, None, session.recalled(&turn.prompt), news, hold.clone()).await?;
        Ok((done, forgot))
    }

    async fn once(
        &self,
        plan: &Plan,
        turn: &Turn,
        resume: Option<&str>,
        prompt: String,
        news: Arc<News>,
        held: Hold,
    ) -> Result<Done, Setback> {
        if let Some((asks, policy)) = &plan.asks {
            let chat = plan.chat(turn, resume, &prompt, (asks.clone(), *policy));
            match self.through_server(chat, news.clone(), held.clone()).await {
                Err(Failed::TooOld) => {}
                Err(Failed::Setback(setback)) => return Err(setback),
                Ok(done) => return same(resume, done),
            }
        }
        let began = self.now();
        let line = argv::turn(plan.cli.can, turn, &plan.decided(), resume, prompt.clone());
        let mut done = self.through(plan.run(line, NO_OUTPUT), news, held).await?;
        if done.thread.is_none() {
            let wanted = Wanted { began, thread: resume.map(str::to_owned), prompt };
            done.thread = rollouts::thread(&self.runner.settings, wanted).await;
        }
        same(resume, done)
    }

    async fn through_server(&self, chat: Chat, news: Arc<News>, held: Hold) -> Result<Done, Failed> {
        let turn = self.queue.enter().await.map_err(|queue::Full(waiting)| Trouble::Busy(waiting))?;
        self.runner.converse(chat, news, (turn, held)).await
    }

    /// Waits for a turn among all runs, and runs.
    async fn through(&self, run: Run, news: Arc<News>, held: Hold) -> Result<Done, Setback> {
        let turn = self.queue.enter().await.map_err(|queue::Full(waiting)| Trouble::Busy(waiting))?;
        self.runner.run(run, news, (turn, held)).await
    }

    pub(super) async fn review(&self, review: Review, news: Arc<News>) -> Answer {
        let plan = match self.plan(review.model.as_deref(), review.dir.as_deref()).await {
            Ok(plan) => plan,
            Err(trouble) => return self.failed(&trouble, None),
        };
        news.say("Starting code review...");
        let line = argv::review(plan.cli.can, &review, &plan.decided());
        let done = match self.through(plan.run(line, "No review output from Codex"), news, Arc::new(())).await {
            Ok(done) => done,
            Err(setback) => return self.failed(&setback.why, Some(&plan.cli)),
        };
        let mut facts = Map::new();
        note(&mut facts, "model", plan.model.as_deref());
        match &review.subject {
            Subject::Base(branch) => note(&mut facts, "base", Some(branch)),
            Subject::Commit(commit) => note(&mut facts, "commit", Some(commit)),
            Subject::Uncommitted | Subject::Prompt => {}
        }
        answered(&done.answer, facts, None, self.structured())
    }

    pub(super) async fn search(&self, search: Search, news: Arc<News>) -> Answer {
        let mut plan = match self.plan(None, None).await {
            Ok(plan) => plan,
            Err(trouble) => return self.failed(&trouble, None),
        };
        plan.sandbox = Some(Sandbox::ReadOnly);
        news.say(&format!("Searching for: {}...", search.query));
        let line = argv::search(plan.cli.can, &search, &plan.decided());
        match self.through(plan.run(line, "No search output from Codex"), news, Arc::new(())).await {
            Err(setback) => self.failed(&setback.why, Some(&plan.cli)),
            Ok(done) => {
                let mut facts = Map::new();
                note(&mut facts, "query", Some(&search.query));
                facts.insert("numResults".to_owned(), json!(search.results));
                note(&mut facts, "searchDepth", Some(if search.full { "full" } else { "basic" }));
                note(&mut facts, "timestamp", Some(&time(self.now())));
                answered(&done.answer, facts, None, self.structured())
            }
        }
    }

    pub(super) async fn list(&self, owner: &str) -> Answer {
        match self.sessions.list(owner, self.keep, self.now()).await {
            Err(why) => Answer::failure(&format!("The sessions cannot be read: {why}")),
            Ok(sessions) if sessions.is_empty() => Answer::text(&quoted("No active sessions")),
            Ok(sessions) => {
                let each = sessions.iter().map(|session| {
                    json!({
                        "id": session.id,
                        "createdAt": time(session.created),
                        "lastAccessedAt": time(session.accessed),
                        "turnCount": session.count,
                    })
                });
                let list = Value::Array(each.collect());
                Answer::text(&quoted(&serde_json::to_string_pretty(&list).expect("plain values can be written")))
            }
        }
    }

    pub(super) async fn help(&self) -> Answer {
        let settings = &self.runner.settings;
        let cli = match self.finder.find(settings, &self.runner.helper).await {
            Ok(cli) => cli,
            Err(why) => return self.failed(&why.into(), None),
        };
        match cli::output(settings, &self.runner.helper, &cli.program, &["--help"]).await {
            Err(why) => self.failed(&why.into(), Some(&cli)),
            Ok(text) if text.trim().is_empty() => Answer::text(&quoted("No help information available")),
            Ok(text) => Answer::text(&quoted(&text)),
        }
    }

    fn structured(&self) -> bool {
        self.runner.settings.contract == Contract::Documented { structured: true }
    }

    /// A random id of version 4.
    pub(super) fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        // Without randomness an id that is only unique will do: it is a name, and no secret.
        if getrandom::fill(&mut bytes).is_err() {
            return *self.ids.fresh().as_bytes();
        }
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        bytes
    }
}

/// A name it does not know makes Codex begin a new thread without a word.
fn same(asked: Option<&str>, done: Done) -> Result<Done, Setback> {
    match asked {
        Some(asked) if done.thread.as_deref() != Some(asked) => {
            Err(Trouble::NoThread(format!("no thread `{asked}`")).into())
        }
        _ => Ok(done),
    }
}

/// A turn that went well.
struct Talked {
    done: Done,
    model: Option<String>,
    session: Option<String>,
    callback: Option<String>,
    note: Option<String>,
}

impl Talked {
    fn answer(self, tool: Tool, contract: Contract) -> Answer {
        let mut facts = Map::new();
        note(&mut facts, "threadId", self.done.thread.as_deref());
        note(&mut facts, "model", self.model.as_deref());
        note(&mut facts, "sessionId", self.session.as_deref());
        note(&mut facts, "callbackUri", self.callback.as_deref());
        if contract == Contract::Codex || tool == Tool::Reply {
            let thread = self.done.thread.unwrap_or_default();
            let said = json!({"threadId": thread, "content": self.done.answer});
            return told(&self.done.answer, &facts, self.note.as_deref(), Some(said));
        }
        answered(&self.done.answer, facts, self.note.as_deref(), contract == Contract::Documented { structured: true })
    }
}

fn answered(text: &str, facts: Map<String, Value>, remark: Option<&str>, structured: bool) -> Answer {
    // With the answer: some clients show nothing but this.
    let structure = structured.then(|| {
        let mut all = facts.clone();
        note(&mut all, "content", Some(text));
        Value::Object(all)
    });
    told(text, &facts, remark, structure)
}

fn told(text: &str, facts: &Map<String, Value>, remark: Option<&str>, structure: Option<Value>) -> Answer {
    let mut meta = facts.clone();
    note(&mut meta, "note", remark);
    let mut result = json!({"content": [{"type": "text", "text": text, "_meta": meta}]});
    if let Some(structure) = structure {
        result["structuredContent"] = structure;
    }
    Answer::result(&result)
}

fn note(facts: &mut Map<String, Value>, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        facts.insert(key.to_owned(), value.into());
    }
}

fn unkept(why: super::sessions::Unkept) -> Trouble {
    Trouble::Failed(format!("the session cannot be used: {why}"))
}

/// RFC 3339, in UTC, with milliseconds.
fn time(millis: u64) -> String {
    let time = i64::try_from(millis).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    time.map_or_else(String::new, |time| format!("{time:.3}"))
}
