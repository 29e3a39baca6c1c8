use super::*;

const NOW: Can = Can {
    events: Some("--json"),
    skip_git_check: true,
    cd: true,
    full_auto: false,
    resume: true,
    exec_review: true,
    review: true,
    search: true,
    app_server: false,
};

fn decided() -> Decided<'static> {
    Decided {
        model: Some("m"),
        sandbox: Some(Sandbox::ReadOnly),
        dir: Path::new("/w"),
        dir_given: false,
        callback: None,
    }
}

fn check(line: &Line, args: &str, stdin: &str) {
    let given = line.args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
    assert_eq!((given.as_str(), line.stdin.as_str()), (args, stdin));
}

fn asked(prompt: &str) -> Turn {
    Turn { prompt: prompt.into(), ..Turn::default() }
}

#[test]
fn a_prompt_is_read_from_standard_input_whatever_it_says() {
    for prompt in ["--help", "resume", "-", "a\nb \"c\" %d%"] {
        let line = turn(NOW, &asked(prompt), &decided(), None, prompt.into());
        check(&line, "exec --json -c model=\"m\" -s read-only --skip-git-repo-check -", prompt);
    }
}

#[test]
fn a_thread_is_resumed_with_all_that_holds_for_it() {
    let turn_ = Turn { effort: Some("high".into()), full_auto: true, ..asked("p") };
    let decided = Decided { sandbox: Some(Sandbox::WorkspaceWrite), dir_given: true, ..decided() };
    let line = turn(NOW, &turn_, &decided, Some("t-1"), "p".into());
    let expected = "exec --json -c model=\"m\" -s workspace-write -C /w --skip-git-repo-check \
        -c model_reasoning_effort=\"high\" -c approval_policy=\"never\" resume t-1 -";
    check(&line, expected, "p");
}

#[test]
fn nothing_is_said_that_is_left_to_codex() {
    let line = turn(NOW, &asked("p"), &Decided { model: None, sandbox: None, ..decided() }, None, "p".into());
    check(&line, "exec --json --skip-git-repo-check -", "p");
}

#[test]
fn every_combination_of_a_review_can_be_run() {
    let of = |subject, prompt: Option<&str>, title: Option<&str>| {
        let review_ =
            Review { subject, prompt: prompt.map(Into::into), title: title.map(Into::into), model: None, dir: None };
        review(NOW, &review_, &Decided { model: None, sandbox: Some(Sandbox::DangerFullAccess), ..decided() })
    };
    let head = "exec --json -s read-only --skip-git-repo-check review";
    check(&of(Subject::Uncommitted, None, None), &format!("{head} --uncommitted"), "");
    check(&of(Subject::Base("--main".into()), None, None), &format!("{head} --base=--main"), "");
    check(&of(Subject::Commit("abc".into()), None, Some("-T")), &format!("{head} --commit=abc --title=-T"), "");
    check(&of(Subject::Prompt, Some("errors"), None), &format!("{head} -"), "errors");
    let line = of(Subject::Base("main".into()), Some("look for errors"), None);
    check(&line, &format!("{head} -"), &line.stdin);
    assert!(line.stdin.contains("against `main`") && line.stdin.contains("look for errors"), "{}", line.stdin);
}

#[test]
fn a_cli_without_a_review_is_asked_in_words() {
    let old = Can { exec_review: false, ..NOW };
    let review_ = Review {
        subject: Subject::Commit("abc".into()),
        prompt: None,
        title: Some("T".into()),
        model: None,
        dir: None,
    };
    let line = review(old, &review_, &decided());
    assert!(line.stdin.contains("`git show abc`") && line.stdin.contains("titled: T"), "{}", line.stdin);
    assert_eq!(line.args.last().map(|arg| arg.to_string_lossy().into_owned()).as_deref(), Some("-"));
}

#[test]
fn a_search_is_switched_on_before_the_command() {
    let line =
        search(NOW, &Search { query: "q".into(), results: 3, full: true }, &Decided { model: None, ..decided() });
    let words = "Search for: q. Provide 3 key findings. Include detailed analysis and context.";
    let expected =
        "--search exec --json -s read-only --skip-git-repo-check -c tools.web_search=true -c web_search=\"live\" -";
    check(&line, expected, words);
}
