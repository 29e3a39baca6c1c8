use super::*;

fn ask(tool: Tool, arguments: &str) -> Result<Ask, String> {
    Ask::read(tool, arguments.as_bytes()).map_err(|wrong| wrong.0)
}

fn refused(tool: Tool, arguments: &str, expected: &str) {
    let wrong = ask(tool, arguments).expect_err(arguments);
    assert!(wrong.contains(expected), "{arguments}: {wrong}");
}

fn turn(arguments: &str) -> Turn {
    match ask(Tool::Codex, arguments) {
        Ok(Ask::Turn(turn)) => turn,
        other => panic!("{arguments}: {other:?}"),
    }
}

fn review_of(arguments: &str) -> Review {
    match ask(Tool::Review, arguments) {
        Ok(Ask::Review(review)) => review,
        other => panic!("{arguments}: {other:?}"),
    }
}

#[test]
fn the_documented_examples_are_understood() {
    assert_eq!(turn(r#"{"prompt":"Explain this"}"#).prompt, "Explain this");
    let asked = turn(r#"{"prompt":"p","model":"gpt-5.1-codex-max","reasoningEffort":"high"}"#);
    assert_eq!((asked.model.as_deref(), asked.effort.as_deref()), (Some("gpt-5.1-codex-max"), Some("high")));
    let asked = turn(r#"{"prompt":"p","sessionId":"s_1-A","resetSession":true}"#);
    assert_eq!((asked.session.as_deref(), asked.reset), (Some("s_1-A"), true));
    let asked =
        turn(r#"{"prompt":"p","sandbox":"workspace-write","fullAuto":true,"workingDirectory":"/x","callbackUri":"u"}"#);
    assert_eq!((asked.sandbox, asked.full_auto), (Some(Sandbox::WorkspaceWrite), true));
    assert_eq!((asked.dir.as_deref(), asked.callback.as_deref()), (Some("/x"), Some("u")));
}

#[test]
fn missing_arguments_are_no_arguments() {
    for nothing in ["", "{}", " "] {
        assert_eq!(ask(Tool::Sessions, nothing), Ok(Ask::Sessions));
        assert_eq!(ask(Tool::Help, nothing), Ok(Ask::Help));
        assert_eq!(ask(Tool::Ping, nothing), Ok(Ask::Ping("pong".into())));
    }
    assert_eq!(ask(Tool::Ping, r#"{"message":""}"#), Ok(Ask::Ping(String::new())));
}

#[test]
fn what_is_not_understood_is_named() {
    refused(Tool::Codex, "{}", "`prompt` is missing");
    refused(Tool::Codex, r#"{"prompt":" \n"}"#, "`prompt` is empty");
    refused(Tool::Codex, r#"{"prompt":1}"#, "`prompt` is not a string");
    refused(Tool::Codex, r#"{"prompt":"a\u0000b"}"#, "`prompt` contains a NUL");
    refused(Tool::Codex, r#"{"prompt":"p","resetSession":"yes"}"#, "`resetSession` is not a boolean");
    refused(Tool::Codex, r#"{"prompt":"p","reasoningEffort":"huge"}"#, "`reasoningEffort` is `huge`; it can be");
    refused(Tool::Codex, r#"{"prompt":"p","sandbox":"none"}"#, "`sandbox` is `none`; it can be");
    refused(Tool::Codex, r#"{"prompt":"p","sessionId":""}"#, "can only contain letters");
    refused(Tool::Codex, r#"{"prompt":"p","sessionId":"a b"}"#, "can only contain letters");
    refused(Tool::Codex, &format!(r#"{{"prompt":"p","sessionId":"{}"}}"#, "x".repeat(257)), "256 characters or fewer");
    refused(Tool::Codex, r#"{"prompt":"p","dir":"/x"}"#, "unknown parameter `dir` (known: `prompt`, ");
    refused(Tool::Codex, r#"{"prompt":"p","prompt":"q"}"#, "cannot be read");
    refused(Tool::Codex, "[1]", "cannot be read");
    refused(Tool::Sessions, r#"{"all":true}"#, "unknown parameter `all` (there are none)");
    refused(Tool::Reply, r#"{"prompt":"p"}"#, "`threadId` is missing");
    refused(Tool::Search, r#"{"query":""}"#, "`query` is empty");
    refused(Tool::Search, r#"{"query":"q","numResults":51}"#, "`numResults` is not a whole number from 1 to 50");
    refused(Tool::Search, r#"{"query":"q","numResults":1.5}"#, "`numResults` is not a whole number");
}

#[test]
fn one_thing_is_reviewed_at_a_time() {
    assert_eq!(review_of("{}").subject, Subject::Uncommitted);
    assert_eq!(review_of(r#"{"prompt":"errors"}"#).subject, Subject::Prompt);
    assert_eq!(review_of(r#"{"base":"main","prompt":"errors"}"#).subject, Subject::Base("main".into()));
    assert_eq!(review_of(r#"{"commit":"abc","title":"T"}"#).subject, Subject::Commit("abc".into()));
    assert_eq!(review_of(r#"{"uncommitted":false,"commit":"abc"}"#).subject, Subject::Commit("abc".into()));
    refused(Tool::Review, r#"{"uncommitted":true,"prompt":"p"}"#, "cannot be combined with uncommitted=true");
    refused(Tool::Review, r#"{"base":"a","commit":"b"}"#, "only one of");
    refused(Tool::Review, r#"{"uncommitted":true,"title":"t"}"#, "`title`");
}

#[test]
fn callers_of_the_old_server_are_understood() {
    let asked = turn(
        r#"{"prompt":"p","cwd":"/x","approval-policy":"on-request","config":{"model_verbosity":"low"},
            "base-instructions":"be brief","developer-instructions":"be kind","compact-prompt":"sum up"}"#,
    );
    assert_eq!(asked.dir.as_deref(), Some("/x"));
    let expected = [
        ("developer_instructions", r#""be brief\n\nbe kind""#),
        ("compact_prompt", r#""sum up""#),
        ("model_verbosity", r#""low""#),
    ];
    assert_eq!(asked.config, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    refused(Tool::Codex, r#"{"prompt":"p","cwd":"/x","workingDirectory":"/y"}"#, "mean the same");
}

#[test]
fn a_caller_cannot_widen_what_the_operator_set() {
    for key in [
        "sandbox_mode",
        "approval_policy",
        "mcp_servers",
        "notify",
        "model_providers.x.base_url",
        "shell_environment_policy",
    ] {
        refused(Tool::Codex, &format!(r#"{{"prompt":"p","config":{{"{key}":"x"}}}}"#), "is not for callers to set");
    }
    refused(Tool::Codex, r#"{"prompt":"p","config":{"model_verbosity":{"a":1}}}"#, "neither text, number nor boolean");
}

#[test]
fn no_text_breaks_out_of_its_quotes() {
    let hostile = "a\" \nsandbox_mode=\"danger-full-access\u{7f}\\";
    let value = toml(&Value::String(hostile.into())).expect("a string has a form");
    assert!(!value.contains('\n') && !value.contains('\u{7f}'), "{value}");
    let back: String = serde_json::from_str(&value).expect("the form is a JSON string as well");
    assert_eq!(back, hostile);
}
