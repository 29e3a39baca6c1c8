//! The 21 defects of codex-mcp-server 1.4.10, each a test that it fails and toolgate passes.
//!
//! `TOOLGATE_DEFECTS_OF` names the script of that server; then the same tests try it instead.
//! `cargo xtask bridge-defects` does so and writes down what was seen.

mod common;

use common::bridge::{Bridge, MARKED, arguments};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use testkit::client::{Client, Message};
use testkit::wait;

/// Long enough for a run of the fake CLI on a loaded machine, short enough to wait for what never comes.
const SOON: Duration = Duration::from_secs(12);

/// The other server, if that is what is tried.
#[expect(clippy::disallowed_methods, reason = "the other server is tried with the same tests")]
fn other() -> Option<PathBuf> {
    std::env::var_os("TOOLGATE_DEFECTS_OF").map(PathBuf::from)
}

/// One defect that is looked for, and what was seen of it.
struct Trial {
    bridge: Bridge,
    seen: Vec<String>,
}

impl Trial {
    fn new() -> Self {
        let trial = Self::outside_of_repositories();
        std::fs::create_dir(trial.bridge.setup.home.work().join(".git")).expect("an empty directory");
        trial
    }

    fn outside_of_repositories() -> Self {
        Self { bridge: Bridge::with(MARKED, &json!({})), seen: Vec::new() }
    }

    fn behaves(&self, how: &Value) {
        self.bridge.behaves(how);
    }

    fn client(&self) -> Client {
        self.client_with(&[])
    }

    fn client_with(&self, env: &[(&str, &str)]) -> Client {
        let Some(script) = other() else { return self.bridge.client_with(env) };
        let home = &self.bridge.setup.home;
        let mut command = home.command("node", [script.as_os_str()]);
        let bin = home.codex().join("bin");
        let path =
            command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, path)| path.map(ToOwned::to_owned));
        let path = std::env::split_paths(&path.unwrap_or_default()).collect::<Vec<_>>();
        let path = std::env::join_paths([bin].into_iter().chain(path)).expect("plain paths");
        command.env("PATH", path).envs(env.iter().copied());
        let mut client = Client::spawn(command).patient(Duration::from_secs(60));
        client.initialize("2025-11-25", &json!({}));
        client
    }

    /// What should not have been seen.
    fn unless(&mut self, right: bool, seen: impl Into<String>) {
        if !right {
            self.seen.push(seen.into());
        }
    }

    /// Whether a call went well with this text.
    fn says(&mut self, what: &str, answer: &Message, expected: &str) {
        let (failed, text) = (is_error(answer), text(answer));
        self.unless(!failed && text.trim() == expected, format!("{what}: {}", told(answer)));
    }

    /// Whether a call failed with these words.
    fn fails(&mut self, what: &str, answer: &Message, expected: &str) {
        let right = is_error(answer) && text(answer).contains(expected);
        self.unless(right, format!("{what}: {}", told(answer)));
    }

    #[track_caller]
    fn over(self) {
        assert!(self.seen.is_empty(), "{}", self.seen.join("\n"));
    }
}

fn is_error(answer: &Message) -> bool {
    answer.json().get("error").is_some() || answer.json()["result"]["isError"] == true
}

fn text(answer: &Message) -> String {
    let answer = answer.json();
    let said = answer["result"]["content"][0]["text"].as_str().or(answer["error"]["message"].as_str());
    said.unwrap_or_default().to_owned()
}

/// An answer for people, without what is the same in none two runs.
fn told(answer: &Message) -> String {
    let word = |word: &str| if word.len() == 36 { "UUID".to_owned() } else { word.to_owned() };
    let words = text(answer).split_whitespace().map(word).collect::<Vec<_>>().join(" ");
    let start = words.char_indices().nth(160).map_or(words.clone(), |(end, _)| format!("{}…", &words[..end]));
    let kind = if is_error(answer) { "an error" } else { "a success" };
    match start.is_empty() {
        true => format!("{kind} without words"),
        false => format!("{kind}: {start}"),
    }
}

fn tools(client: &mut Client) -> Vec<Value> {
    client.request("tools/list", &json!({})).result()["tools"].as_array().expect("a list").clone()
}

fn alive(pid: &Value) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim_start().starts_with('Z'))
}

fn answered(client: &mut Client, id: u64) -> Option<Message> {
    let answers = |message: &Message| message.json()["id"] == json!(id);
    wait::for_some(SOON, || client.next_message(Duration::from_millis(100)).filter(answers))
}

#[test]
fn control_a_plain_prompt_is_answered_and_a_session_goes_on() {
    let mut trial = Trial::new();
    let mut client = trial.client();
    for prompt in ["one", "two"] {
        let answer = client.call("codex", &json!({"prompt": prompt, "sessionId": "s"}));
        trial.says("codex", &answer, &format!("answer to: {prompt}"));
    }
    trial.unless(arguments(&trial.bridge.runs()[1]).contains("resume"), "the second turn was a new thread");
    trial.over();
}

#[test]
fn defect_01_an_output_schema_comes_with_structured_content() {
    let mut trial = Trial::new();
    for word in ["", "1"] {
        let mut client = trial.client_with(&[("STRUCTURED_CONTENT_ENABLED", word)]);
        let tools = tools(&mut client);
        for (name, asked) in [
            ("codex", json!({"prompt": "p"})),
            ("review", json!({"prompt": "p"})),
            ("websearch", json!({"query": "q"})),
            ("ping", json!({})),
            ("help", json!({})),
            ("listSessions", json!({})),
        ] {
            let tool = tools.iter().find(|tool| tool["name"] == name).expect(name);
            let result = client.call(name, &asked).result();
            let both = (tool.get("outputSchema").is_some(), result.get("structuredContent").is_some());
            let failed = result["isError"] == true;
            trial.unless(
                both.0 == both.1 || failed,
                format!(
                    "STRUCTURED_CONTENT_ENABLED={word:?}: `{name}` has an outputSchema: {}, structuredContent: {}",
                    both.0, both.1
                ),
            );
        }
    }
    trial.over();
}

#[test]
fn defect_02_structured_content_has_the_answer() {
    let mut trial = Trial::new();
    let mut client = trial.client_with(&[("STRUCTURED_CONTENT_ENABLED", "1")]);
    for (tool, asked) in
        [("codex", json!({"prompt": "p"})), ("review", json!({"prompt": "p"})), ("websearch", json!({"query": "q"}))]
    {
        let result = client.call(tool, &asked).result();
        let answer = &result["content"][0]["text"];
        let has = result["structuredContent"].as_object().is_some_and(|all| all.values().any(|value| value == answer));
        let keys: Vec<_> =
            result["structuredContent"].as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        trial.unless(has, format!("{tool}: structuredContent has {} and not the answer", keys.join(", ")));
    }
    trial.over();
}

#[test]
fn defect_03_a_run_that_fails_is_a_failure() {
    let mut trial = Trial::new();
    let mut client = trial.client();
    for mode in ["auth", "login", "model", "quota", "network", "silent"] {
        trial.behaves(&json!({"mode": mode}));
        let answer = client.call("codex", &json!({"prompt": "p", "sessionId": "s"}));
        trial.unless(is_error(&answer), format!("{mode}: {}", told(&answer)));
    }
    let listed = text(&client.call("listSessions", &json!({})));
    let turns = serde_json::from_str::<Value>(&listed).map_or(0, |list| list[0]["turnCount"].as_u64().unwrap_or(0));
    trial.unless(turns == 0, format!("{turns} turns that failed were kept in the session"));
    trial.over();
}

#[test]
fn defect_04_who_is_not_logged_in_or_names_no_model_is_told_so() {
    let mut trial = Trial::new();
    let mut client = trial.client();
    for (mode, expected) in [
        ("auth", "Authentication failed: Please run `codex login`"),
        ("login", "Authentication failed: Please run `codex login`"),
        ("model", "Invalid model: nope"),
    ] {
        trial.behaves(&json!({"mode": mode}));
        for (tool, asked) in
            [("codex", json!({"prompt": "p", "model": "nope"})), ("review", json!({"prompt": "p", "model": "nope"}))]
        {
            trial.fails(&format!("{tool}, {mode}"), &client.call(tool, &asked), expected);
        }
    }
    trial.over();
}

#[test]
fn defect_05_full_auto_works_where_the_flag_is_gone() {
    let mut trial = Trial::new();
    let mut client = trial.client();
    let answer = client.call("codex", &json!({"prompt": "p", "fullAuto": true}));
    trial.says("fullAuto", &answer, "answer to: p");
    let line = trial.bridge.runs().first().map(arguments).unwrap_or_default();
    trial.unless(line.contains("workspace-write"), "no run had the sandbox workspace-write");
    trial.over();
}

#[test]
fn defect_06_a_review_works_outside_of_repositories_with_a_prompt_and_without_a_subject() {
    let mut trial = Trial::outside_of_repositories();
    let mut client = trial.client();
    for asked in [
        json!({"base": "main"}),
        json!({"uncommitted": true}),
        json!({"base": "main", "prompt": "look for errors"}),
        json!({"commit": "abc", "prompt": "look for errors"}),
        json!({}),
    ] {
        let answer = client.call("review", &asked);
        let right = !is_error(&answer) && text(&answer).starts_with("answer to: ");
        trial.unless(right, format!("review {asked}: {}", told(&answer)));
    }
    trial.over();
}

#[test]
fn defect_07_runs_can_be_cancelled_time_out_take_turns_and_leave_no_orphans() {
    let mut trial = Trial::new();
    let hanging = |trial: &Trial, client: &mut Client| {
        trial.behaves(&json!({"mode": "hang"}));
        let before = trial.bridge.runs().len();
        let id = client.start("tools/call", &json!({"name": "codex", "arguments": {"prompt": "p"}}));
        wait::expect("the run to begin", || trial.bridge.runs().len() > before);
        (id, trial.bridge.runs().pop().expect("it began")["pid"].clone())
    };
    let mut client = trial.client();
    let (id, pid) = hanging(&trial, &mut client);
    client.notify("notifications/cancelled", &json!({"requestId": id}));
    trial.unless(wait::until(SOON, || !alive(&pid)), "the CLI of a cancelled call went on");
    let (_, pid) = hanging(&trial, &mut client);
    let server = rustix::process::Pid::from_raw(client.pid().cast_signed()).expect("a process");
    rustix::process::kill_process(server, rustix::process::Signal::TERM).expect("it runs");
    trial.unless(wait::until(SOON, || !alive(&pid)), "the CLI outlived a server that was told to end");
    let mut client = trial.client_with(&[("CODEX_TOOL_TIMEOUT_MS", "1500")]);
    let (id, _) = hanging(&trial, &mut client);
    trial.unless(answered(&mut client, id).is_some(), "a run that hangs was never ended and never answered");
    let mut client = trial.client();
    trial.behaves(&json!({"mode": "slow"}));
    let before = trial.bridge.runs().len();
    let asked = json!({"name": "codex", "arguments": {"prompt": "p", "sessionId": "s"}});
    let both = [client.start("tools/call", &asked), client.start("tools/call", &asked)];
    both.into_iter().for_each(|id| drop(client.answer(id)));
    let resumed = trial.bridge.runs()[before..].iter().filter(|run| arguments(run).contains("resume")).count();
    trial.unless(resumed == 1, "two calls of one session at a time began two threads");
    trial.over();
}

#[test]
fn defect_08_progress_has_any_token_loses_nothing_and_ends_before_the_result() {
    let mut trial = Trial::new();
    let mut client = trial.client();
    trial.behaves(&json!({"mode": "burst"}));
    for token in [json!("t"), json!(0), json!("")] {
        let asked = json!({"name": "codex", "arguments": {"prompt": "p"}, "_meta": {"progressToken": token}});
        let id = client.start("tools/call", &asked);
        let mut said = String::new();
        loop {
            let message = client.next_message(Duration::from_secs(60)).expect("an answer").json();
            if message["id"] == json!(id) {
                break;
            }
            said += message["params"]["message"].as_str().unwrap_or_default();
        }
        let late = client.next_message(Duration::from_millis(300));
        let lost = (0..5).filter(|step| !said.contains(&format!("step {step}"))).count();
        trial.unless(lost == 0, format!("token {token}: {lost} of 5 steps were not told"));
        trial.unless(late.is_none(), format!("token {token}: progress after the result"));
    }
    trial.over();
}

#[test]
fn defect_09_arguments_may_be_missing() {
    let mut trial = Trial::new();
    let mut client = trial.client();
    for tool in ["ping", "help", "listSessions"] {
        let answer = client.request("tools/call", &json!({"name": tool}));
        trial.unless(!is_error(&answer), format!("{tool} without arguments: {}", told(&answer)));
    }
    trial.over();
}

#[test]
fn defect_10_letters_survive_in_pieces_and_long_answers_whole() {
    let mut trial = Trial::new();
    let mut client = trial.client();
    trial.behaves(&json!({"mode": "split"}));
    let answer = text(&client.call("codex", &json!({"prompt": "p"}))).trim().to_owned();
    trial.unless(answer == "é漢字🙂", format!("written byte by byte, é漢字🙂 was answered as {answer}"));
    trial.behaves(&json!({"mode": "big"}));
    let answer = client.call("codex", &json!({"prompt": "p"}));
    let (length, failed) = (text(&answer).trim().len(), is_error(&answer));
    let marked = failed || text(&answer).contains("left out");
    trial.unless(
        length == 11 << 20 || marked,
        format!("of 11534336 letters {length} were answered, and nothing said so"),
    );
    trial.over();
}

#[test]
fn defect_11_every_prompt_is_a_prompt() {
    let mut trial = Trial::new();
    let mut client = trial.client();
    for prompt in ["--help", "-x", "resume", "help", "two\nlines \"quoted\" $HOME %PATH%"] {
        let answer = client.call("codex", &json!({"prompt": prompt}));
        trial.says(&format!("prompt {prompt:?}"), &answer, &format!("answer to: {prompt}"));
    }
    let long = "y".repeat(1 << 20);
    let answer = client.call("codex", &json!({"prompt": long}));
    trial.says("a prompt of 1 MiB", &answer, &format!("answer to: {}", "y".repeat(60)));
    trial.over();
}

#[test]
fn defect_12_no_value_becomes_a_setting() {
    let mut trial = Trial::new();
    let mut client = trial.client();
    let model = "a\"\nsandbox_mode=\"danger-full-access";
    client.call("review", &json!({"prompt": "p", "model": model}));
    client.call("codex", &json!({"prompt": "p", "model": model, "sessionId": "s"}));
    client.call("codex", &json!({"prompt": "p", "model": model, "sessionId": "s"}));
    for run in trial.bridge.runs() {
        let args: Vec<_> = run["args"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        for pair in args.windows(2).filter(|pair| pair[0] == "-c") {
            let keys = pair[1].parse::<toml::Table>().map_or(0, |table| table.len());
            trial.unless(keys == 1, format!("`-c {}` sets {keys} keys", pair[1].replace('\n', "⏎")));
        }
    }
    trial.over();
}

#[test]
fn defect_13_a_lost_thread_begins_afresh_and_a_resumed_one_keeps_its_sandbox() {
    let mut trial = Trial::new();
    let mut client = trial.client();
    let turn = |prompt: &str| json!({"prompt": prompt, "sessionId": "s", "sandbox": "read-only"});
    client.call("codex", &turn("one"));
    client.call("codex", &turn("two"));
    let line = trial.bridge.runs().last().map(arguments).unwrap_or_default();
    trial.unless(line.contains("read-only"), "the second turn of a session asked read-only was run without a sandbox");
    trial.behaves(&json!({"lost": true}));
    for what in ["the turn after the thread was lost", "the turn after that"] {
        let answer = client.call("codex", &turn("three"));
        let right = !is_error(&answer) && text(&answer).starts_with("answer to: ");
        trial.unless(right, format!("{what}: {}", told(&answer)));
    }
    trial.over();
}

#[test]
fn defect_14_sessions_outlive_the_server() {
    let mut trial = Trial::new();
    let mut client = trial.client();
    client.call("codex", &json!({"prompt": "one", "sessionId": "s"}));
    drop(client);
    let mut client = trial.client();
    let listed = text(&client.call("listSessions", &json!({})));
    trial.unless(listed.contains("\"s\""), format!("after a restart: {listed}"));
    client.call("codex", &json!({"prompt": "two", "sessionId": "s"}));
    let line = trial.bridge.runs().last().map(arguments).unwrap_or_default();
    trial.unless(line.contains("resume"), "after a restart the session was a new thread");
    trial.over();
}

#[test]
fn defect_15_prompts_do_not_go_to_the_hosts_log() {
    let mut trial = Trial::new();
    let mut client = trial.client();
    client.call("codex", &json!({"prompt": "the-secret-plan"}));
    client.call("review", &json!({"prompt": "the-secret-plan"}));
    trial.unless(!client.stderr().contains("the-secret-plan"), "the prompt stands in standard error");
    trial.over();
}

#[test]
fn defect_16_the_server_tells_its_own_version() {
    let mut trial = Trial::new();
    let hello = match other() {
        None => trial.bridge.started(&[], &[]).initialize("2025-11-25", &json!({})),
        Some(script) => {
            let command = trial.bridge.setup.home.command("node", [script.as_os_str()]);
            Client::spawn(command).initialize("2025-11-25", &json!({}))
        }
    };
    let version = other().map_or(env!("CARGO_PKG_VERSION").to_owned(), |script| {
        let package = script.ancestors().nth(2).expect("it is in a package").join("package.json");
        let package: Value = serde_json::from_slice(&std::fs::read(package).expect("its package")).expect("JSON");
        package["version"].as_str().expect("a version").to_owned()
    });
    let said = &hello["serverInfo"]["version"];
    trial.unless(*said == json!(version), format!("version {version} calls itself {said}"));
    trial.over();
}

#[test]
fn defect_17_the_default_model_is_the_one_that_is_announced() {
    let mut trial = Trial::new();
    let mut client = trial.client_with(&[("CODEX_DEFAULT_MODEL", "my-own-model")]);
    for tool in tools(&mut client) {
        let model = &tool["inputSchema"]["properties"]["model"];
        if model.is_null() {
            continue;
        }
        let (name, words) = (&tool["name"], tool.to_string());
        trial.unless(words.contains("my-own-model"), format!("{name} does not tell the default model"));
        trial.unless(!words.contains("gpt-"), format!("{name} names models of its own: {}", model["description"]));
    }
    trial.over();
}

#[test]
fn defect_18_the_thread_is_told() {
    let mut trial = Trial::new();
    let mut client = trial.client();
    let result = client.call("codex", &json!({"prompt": "thread id: made-up"})).result();
    let thread = trial.bridge.log().iter().find_map(|line| line["ended"].as_str().map(str::to_owned)).expect("a run");
    let said = &result["content"][0]["_meta"]["threadId"];
    trial.unless(
        *said == json!(thread),
        match said {
            Value::Null => "no thread is told".to_owned(),
            said => format!("what the model wrote is believed to be the thread: {said}"),
        },
    );
    trial.over();
}

#[test]
fn defect_19_the_callback_reaches_codex_as_its_setting() {
    let mut trial = Trial::new();
    let mut client = trial.client();
    client.call("codex", &json!({"prompt": "p", "callbackUri": "http://127.0.0.1/cb"}));
    let run = &trial.bridge.runs()[0];
    trial.unless(run["env"]["CODEX_MCP_CALLBACK_URI"] == "http://127.0.0.1/cb", "the variable is not set");
    let setting = "mcp_oauth_callback_url=\"http://127.0.0.1/cb\"";
    trial.unless(arguments(run).contains(setting), "only a variable is set, which the CLI does not read");
    trial.over();
}

#[test]
fn defect_20_a_directory_that_is_not_there_is_named() {
    let mut trial = Trial::new();
    let mut client = trial.client();
    for tool in ["codex", "review"] {
        let answer = client.call(tool, &json!({"prompt": "p", "workingDirectory": "/no/where"}));
        trial.fails(tool, &answer, "`workingDirectory` `/no/where`");
    }
    trial.over();
}

#[test]
fn defect_21_unknown_parameters_are_refused() {
    let mut trial = Trial::new();
    let mut client = trial.client();
    for (tool, asked, wrong) in [
        ("codex", json!({"prompt": "p", "cwd": "/tmp"}), "`cwd`"),
        ("review", json!({"prompt": "p", "branch": "main"}), "`branch`"),
        ("ping", json!({"text": "x"}), "`text`"),
    ] {
        trial.fails(&format!("{tool} {asked}"), &client.call(tool, &asked), wrong);
    }
    trial.over();
}
