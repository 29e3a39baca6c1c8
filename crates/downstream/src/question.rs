//! How a client's user is asked whether a call may run, and how the answer is read. The same words in both eras;
//! how they travel is the line's and the rounds' matter.

use gate::pin::{elided, visible};
use gate::{Answer, Approval, Words};
use mcp::view;

/// The longest text in the arguments that is shown whole, in characters.
const MOST_TEXT: usize = 400;
/// How much of the arguments is shown, in lines: so many from the beginning, and so many from the end.
const MOST_LINES: usize = 40;
/// Further in, values are not unfolded.
const DEPTH: usize = 6;
/// How much of a name of others is shown, in characters.
const MOST_NAME: usize = 120;

/// Tools of this class are asked for each time.
const HIGH_IMPACT: &str = "high_impact";

/// The parameters of the `elicitation/create` that asks; `mode` is said in the revisions that know others than
/// forms.
pub(crate) fn params(question: &Approval, mode: bool) -> String {
    let mode = if mode { r#""mode":"form","# } else { "" };
    format!(r#"{{{mode}"message":{},"requestedSchema":{}}}"#, view::quoted(&message(question)), schema(question))
}

/// The same for an act, in its own words: a host that knows what goes along goes by that. Nothing of it may take the
/// place of what is ours.
pub(crate) fn params_in_words(question: &Approval, words: &Words, mode: bool) -> String {
    let own = ["mode", "message", "requestedSchema"];
    let beside = members(&words.beside).unwrap_or_default();
    let beside = beside.into_iter().filter_map(|(key, value)| key.map(|key| (key, value)));
    let beside = beside.filter(|(key, _)| !own.iter().any(|own| view::is_key(key, own)));
    let beside: String = beside.map(|(key, value)| format!(",{key}:{value}")).collect();
    let message = format!("{}\n{}", words.text, fate(question));
    let mode = if mode { r#""mode":"form","# } else { "" };
    let schema = r#"{"type":"object","properties":{}}"#;
    format!(r#"{{{mode}"message":{},"requestedSchema":{schema}{beside}}}"#, view::quoted(&message))
}

/// Until when it can be answered, and where all of it is.
fn fate(question: &Approval) -> String {
    let minutes = question.expires.saturating_sub(question.asked).div_ceil(60_000_000);
    format!("The question expires in {minutes} min; all of it: `toolgate approvals show {}`", question.id)
}

/// Whether a yes may be offered that lasts for the conversation.
pub(crate) fn may_last(question: &Approval) -> bool {
    question.class != HIGH_IMPACT && question.conversation.is_some()
}

/// Nothing has to be filled in: to accept is enough.
fn schema(question: &Approval) -> &'static str {
    if may_last(question) {
        r#"{"type":"object","properties":{"remember":{"type":"string","title":"Remember","description":"conversation: calls with these very arguments run without asking until this conversation ends","enum":["no","conversation"],"default":"no"}}}"#
    } else {
        r#"{"type":"object","properties":{}}"#
    }
}

fn message(question: &Approval) -> String {
    let name = |text: &str| elided(text, MOST_NAME);
    let client =
        question.client.as_deref().map_or_else(|| "A client".to_owned(), |client| format!("`{}`", name(client)));
    format!(
        "{client} ({}) wants to call the tool `{}` of the server `{}`.\n\
         What it can do: {}\n\
         Asked because of: {}\n\
         Arguments: {}\n\
         To accept is to let this call run once. {}",
        name(&question.by),
        name(&question.tool),
        name(question.server.as_str()),
        class(&question.class),
        name(&question.rule),
        arguments(&question.arguments),
        fate(question),
    )
}

fn class(word: &str) -> String {
    match word {
        "read" => "reads only".to_owned(),
        "write" => "has effects".to_owned(),
        HIGH_IMPACT => "high impact: it may delete, run, publish or pay".to_owned(),
        other => visible(other),
    }
}

/// The arguments over several lines, nothing of them hidden that is not counted.
fn arguments(json: &str) -> String {
    let mut unfolded = String::new();
    unfold(json, 0, &mut unfolded);
    let lines: Vec<&str> = unfolded.lines().collect();
    if lines.len() <= 2 * MOST_LINES {
        return unfolded;
    }
    let left = lines.len() - 2 * MOST_LINES;
    let (head, tail) = (&lines[..MOST_LINES], &lines[lines.len() - MOST_LINES..]);
    format!("{}\n… {left} lines left out …\n{}", head.join("\n"), tail.join("\n"))
}

fn unfold(raw: &str, depth: usize, out: &mut String) {
    let raw = raw.trim();
    let (open, close, parts) = match raw.as_bytes().first() {
        Some(b'{') if depth < DEPTH => ('{', '}', members(raw)),
        Some(b'[') if depth < DEPTH => ('[', ']', elements(raw)),
        _ => (' ', ' ', None),
    };
    let Some(parts) = parts.filter(|parts| !parts.is_empty()) else {
        out.push_str(&elided(raw, MOST_TEXT));
        return;
    };
    out.push(open);
    for (at, (key, value)) in parts.iter().enumerate() {
        out.push_str(if at > 0 { ",\n" } else { "\n" });
        out.push_str(&"  ".repeat(depth + 1));
        if let Some(key) = key {
            out.push_str(&elided(key, MOST_TEXT));
            out.push_str(": ");
        }
        unfold(value, depth + 1, out);
    }
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
    out.push(close);
}

type Parts<'a> = Vec<(Option<&'a str>, &'a str)>;

fn members(raw: &str) -> Option<Parts<'_>> {
    let members = view::members(raw).ok()?;
    Some(members.iter().map(|member| (Some(member.key.of(raw)), member.value.of(raw))).collect())
}

fn elements(raw: &str) -> Option<Parts<'_>> {
    Some(view::elements(raw).ok()?.iter().map(|span| (None, span.of(raw))).collect())
}

/// What a client answered: a raw elicitation result. What is no answer is none.
pub(crate) fn answer(result: &str, may_last: bool) -> Answer {
    let action = view::member(result, "action").and_then(view::string);
    match action.as_deref() {
        Some("accept") => {
            let remember = view::path(result, &["content", "remember"]).and_then(view::string);
            match remember.as_deref() {
                Some("conversation") if may_last => Answer::YesForConversation,
                _ => Answer::Yes,
            }
        }
        Some("decline") => Answer::No,
        _ => Answer::Dismissed,
    }
}

/// What a client answered to a question in words: hosts of Codex's own server put the decision beside the action.
pub(crate) fn answer_in_words(result: &str) -> Answer {
    let decision = view::member(result, "decision");
    let said = decision.map(|raw| view::string(raw).unwrap_or_default());
    let decided = match said.as_deref() {
        None => return answer(result, false),
        Some("approved" | "approved_for_session") => Answer::Yes,
        Some("denied") => Answer::No,
        Some(_) => Answer::Dismissed,
    };
    // Whoever says both has to mean the same.
    match (decided, view::member(result, "action").is_some().then(|| answer(result, false))) {
        (Answer::Yes, Some(action)) => action,
        (decided, _) => decided,
    }
}

/// Whether a client said that its user can be shown a form. Without a word on modes it means forms.
pub(crate) fn can_show(capabilities: Option<&[u8]>) -> bool {
    let text = capabilities.and_then(|raw| std::str::from_utf8(raw).ok());
    let Some(modes) = text.and_then(|text| view::member(text, "elicitation")) else { return false };
    let Ok(members) = view::members(modes) else { return false };
    members.is_empty() || view::find(modes, &members, "form").is_some_and(|form| form.value.of(modes).starts_with('{'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gate::approval::CallDigest;
    use gate::{ApprovalId, ApprovalState};

    fn question(class: &str, arguments: &str) -> Approval {
        Approval {
            id: ApprovalId(uuid::Uuid::from_u128(1)),
            digest: CallDigest([0; 32]),
            by: "local".to_owned(),
            client: Some("cli\u{202e}ent".to_owned()),
            conversation: Some("c".to_owned()),
            server: "files".into(),
            tool: "delete".to_owned(),
            definition: String::new(),
            class: class.to_owned(),
            arguments: arguments.to_owned(),
            arguments_digest: String::new(),
            rule: "policy.rules[0]".to_owned(),
            policy: String::new(),
            asked: 0,
            expires: 600_000_000,
            requesters: Vec::new(),
            state: ApprovalState::Open,
            rounds: 0,
        }
    }

    #[test]
    fn a_question_says_who_what_and_why_and_hides_nothing() {
        let text = message(&question("write", r#"{"path":"/tmp/x","deep":{"a":[1,"\u001b[2J"]}}"#));
        for part in ["`cli\\u{202e}ent` (local)", "`delete`", "`files`", "has effects", "policy.rules[0]", "in 10 min"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.contains("{\n  \"path\": \"/tmp/x\",\n  \"deep\": {\n    \"a\": [\n      1,"), "{text}");
        assert!(!text.contains(['\u{1b}', '\u{202e}']));
    }

    #[test]
    fn the_end_of_long_arguments_is_shown_and_what_is_left_out_counted() {
        let padded = format!(r#"{{"text":"{}rm -rf /"}}"#, " ".repeat(200_000));
        let text = message(&question("write", &padded));
        assert!(text.len() < 4_000 && text.contains("rm -rf /") && text.contains("characters left out"), "{text}");
        let many: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
        let text = message(&question("write", &format!(r#"{{"list":[{}],"last":"here"}}"#, many.join(","))));
        assert!(text.len() < 8_000 && text.contains("lines left out") && text.contains(r#""last": "here""#), "{text}");
        let text = message(&question("write", "no json \u{200b}"));
        assert!(text.contains("no json \\u{200b}"), "{text}");
    }

    #[test]
    fn nothing_has_to_be_filled_in_and_only_some_calls_can_be_remembered() {
        let check = |question: &Approval, remembered: bool| {
            let params: serde_json::Value = serde_json::from_str(&params(question, true)).expect("JSON");
            let schema = &params["requestedSchema"];
            assert!(schema.get("required").is_none() && params["mode"] == "form");
            assert_eq!(schema["properties"].get("remember").is_some(), remembered);
        };
        check(&question("write", "{}"), true);
        check(&question("read", "{}"), true);
        check(&question(HIGH_IMPACT, "{}"), false);
        check(&Approval { conversation: None, ..question("write", "{}") }, false);
    }

    #[test]
    fn only_a_clear_yes_is_one() {
        let check = |result: &str, want: Answer| assert_eq!(answer(result, true), want, "{result}");
        check(r#"{"action":"accept"}"#, Answer::Yes);
        check(r#"{"action":"accept","content":{}}"#, Answer::Yes);
        check(r#"{"action":"accept","content":{"remember":"no"}}"#, Answer::Yes);
        check(r#"{"content":{"remember":"conversation"},"action":"accept"}"#, Answer::YesForConversation);
        check(r#"{"action":"decline","content":{"remember":"conversation"}}"#, Answer::No);
        for garbage in ["", "null", "[]", "7", r#""accept""#, "{}", r#"{"action":true}"#, r#"{"action":"ACCEPT"}"#] {
            check(garbage, Answer::Dismissed);
        }
        check(r#"{"action":"cancel"}"#, Answer::Dismissed);
        check(r#"{"action":"decline","action":"accept"}"#, Answer::Dismissed);
        assert_eq!(answer(r#"{"action":"accept","content":{"remember":"conversation"}}"#, false), Answer::Yes);
    }

    #[test]
    fn a_question_in_words_has_its_words_and_what_goes_along_but_nothing_of_ours_twice() {
        let beside = r#"{"codex_command":["a","b"],"message":"evil","m\u006fde":"url"}"#.to_owned();
        let words = Words { text: "Allow Codex to run `a b`?".to_owned(), beside };
        let params = params_in_words(&question("high_impact", "{}"), &words, true);
        let read: serde_json::Value = serde_json::from_str(&params).expect("JSON");
        assert_eq!((&read["codex_command"][1], &read["mode"]), (&"b".into(), &"form".into()), "{params}");
        let message = read["message"].as_str().expect("text");
        assert!(message.starts_with("Allow Codex to run `a b`?\nThe question expires in 10 min"), "{params}");
        assert!(!params.contains("evil") && !params.contains("url"), "{params}");
    }

    #[test]
    fn hosts_of_codexs_own_server_put_the_decision_beside_the_action() {
        let check = |result: &str, want: Answer| assert_eq!(answer_in_words(result), want, "{result}");
        check(r#"{"action":"accept","content":{},"decision":"approved"}"#, Answer::Yes);
        check(r#"{"decision":"approved_for_session"}"#, Answer::Yes);
        check(r#"{"action":"accept","decision":"denied"}"#, Answer::No);
        check(r#"{"action":"accept","decision":"abort"}"#, Answer::Dismissed);
        check(r#"{"action":"accept","decision":7}"#, Answer::Dismissed);
        check(r#"{"action":"decline","decision":"approved"}"#, Answer::No);
        check(r#"{"action":"accept"}"#, Answer::Yes);
        check(r#"{"action":"cancel"}"#, Answer::Dismissed);
        check("{}", Answer::Dismissed);
    }

    #[test]
    fn a_client_that_shows_forms_says_so() {
        let check = |raw: &str, want: bool| assert_eq!(can_show(Some(raw.as_bytes())), want, "{raw}");
        check(r#"{"elicitation":{}}"#, true);
        check(r#"{"elicitation":{"form":{}}}"#, true);
        check(r#"{"elicitation":{"form":{},"url":{}}}"#, true);
        check(r#"{"elicitation":{"url":{}}}"#, false);
        check(r#"{"elicitation":true}"#, false);
        check(r#"{"elicitation":null}"#, false);
        check(r#"{"sampling":{}}"#, false);
        check("{}", false);
        assert!(!can_show(None));
    }
}
