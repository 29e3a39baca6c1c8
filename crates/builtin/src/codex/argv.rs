//! The command lines. A caller's words are never a flag, a command or a piece of TOML: prompts go in on standard
//! input, values stand behind an `=` or are quoted. Not here: what may be asked for.

use super::ask::{Review, Search, Subject, Turn, toml};
use super::cli::Can;
use super::settings::Sandbox;
use serde_json::Value;
use std::ffi::OsString;
use std::path::Path;

/// A command line, and what it reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// Without the program.
    pub args: Vec<OsString>,
    /// Standard input.
    pub stdin: String,
}

/// What was decided about a run.
#[derive(Debug, Clone, Copy)]
pub struct Decided<'a> {
    /// Which model; none leaves it to Codex.
    pub model: Option<&'a str>,
    /// What its commands may do; none leaves it to Codex.
    pub sandbox: Option<Sandbox>,
    /// Where it works.
    pub dir: &'a Path,
    /// Whether the caller said where.
    pub dir_given: bool,
    /// Handed to it.
    pub callback: Option<&'a str>,
}

impl Line {
    fn arg(&mut self, arg: impl Into<OsString>) -> &mut Self {
        self.args.push(arg.into());
        self
    }

    fn set(&mut self, key: &str, value: &str) -> &mut Self {
        self.arg("-c").arg(format!("{key}={value}"))
    }

    fn set_text(&mut self, key: &str, text: &str) -> &mut Self {
        let value = toml(&Value::String(text.to_owned())).expect("a string has a form");
        self.set(key, &value)
    }

    /// `exec` with all that has to stand before what it does.
    fn exec(can: Can, decided: &Decided<'_>) -> Self {
        let mut line = Self::default();
        line.arg("exec");
        if let Some(flag) = can.events {
            line.arg(flag);
        }
        if let Some(model) = decided.model {
            line.set_text("model", model);
        }
        if let Some(sandbox) = decided.sandbox {
            line.arg("-s").arg(sandbox.word());
        }
        if decided.dir_given && can.cd {
            line.arg("-C").arg(decided.dir);
        }
        if can.skip_git_check {
            line.arg("--skip-git-repo-check");
        }
        line
    }
}

/// The server that has a turn. What can be said of the turn itself is not said here.
pub fn server(turn: &Turn, decided: &Decided<'_>) -> Vec<OsString> {
    let mut line = Line::default();
    line.arg("app-server");
    if let Some(effort) = &turn.effort {
        line.set_text("model_reasoning_effort", effort);
    }
    if let Some(uri) = decided.callback {
        line.set_text("mcp_oauth_callback_url", uri);
    }
    for (key, value) in &turn.config {
        line.set(key, value);
    }
    line.args
}

/// A turn, as a new thread or (`resume`) in an old one.
pub fn turn(can: Can, turn: &Turn, decided: &Decided<'_>, resume: Option<&str>, prompt: String) -> Line {
    let mut line = Line::exec(can, decided);
    if let Some(effort) = &turn.effort {
        line.set_text("model_reasoning_effort", effort);
    }
    if turn.full_auto {
        // What `--full-auto` was short for, where it is gone. The sandbox is decided already.
        line.set_text("approval_policy", "never");
    }
    if let Some(uri) = decided.callback {
        line.set_text("mcp_oauth_callback_url", uri);
    }
    for (key, value) in &turn.config {
        line.set(key, value);
    }
    if let Some(thread) = resume {
        line.arg("resume").arg(thread);
    }
    line.arg("-");
    Line { stdin: prompt, ..line }
}

/// A review. A CLI that has no review, or none of this subject together with a prompt, is asked in words.
pub fn review(can: Can, review: &Review, decided: &Decided<'_>) -> Line {
    let decided = Decided { sandbox: Some(Sandbox::ReadOnly), ..*decided };
    let mut line = Line::exec(can, &decided);
    if let Some(model) = decided.model.filter(|_| can.exec_review) {
        // For some releases reviews had a model of their own.
        line.set_text("review_model", model);
    }
    if !can.exec_review || (review.prompt.is_some() && review.subject != Subject::Prompt) {
        let prompt = in_words(review);
        if can.exec_review {
            line.arg("review");
        }
        line.arg("-");
        return Line { stdin: prompt, ..line };
    }
    line.arg("review");
    match &review.subject {
        Subject::Uncommitted => line.arg("--uncommitted"),
        Subject::Base(branch) => line.arg(format!("--base={branch}")),
        Subject::Commit(commit) => line.arg(format!("--commit={commit}")),
        Subject::Prompt => line.arg("-"),
    };
    if let Some(title) = &review.title {
        line.arg(format!("--title={title}"));
    }
    Line { stdin: review.prompt.clone().unwrap_or_default(), ..line }
}

/// The review as a prompt.
fn in_words(review: &Review) -> String {
    let subject = match &review.subject {
        Subject::Uncommitted => "the changes that are not committed yet: staged, unstaged and untracked \
            (`git status --short`, `git diff HEAD`)"
            .to_owned(),
        Subject::Base(branch) => format!(
            "the changes of this branch against `{branch}`: the output of `git diff $(git merge-base {branch} HEAD)` \
             is the subject, nothing else"
        ),
        Subject::Commit(commit) => {
            format!(
                "the changes of the commit `{commit}`: the output of `git show {commit}` is the subject, nothing else"
            )
        }
        Subject::Prompt => return review.prompt.clone().unwrap_or_default(),
    };
    let title = review.title.as_ref().map(|title| format!("\nThe commit is titled: {title}")).unwrap_or_default();
    let focus = review.prompt.as_ref().map(|prompt| format!("\n\n{prompt}")).unwrap_or_default();
    format!(
        "Review {subject}. Change no files. Report each finding with its priority, file and line, the most important \
         first; if there is nothing to say, say so.{title}{focus}"
    )
}

/// A search of the web.
pub fn search(can: Can, search: &Search, decided: &Decided<'_>) -> Line {
    let mut line = Line::exec(can, decided);
    if can.search {
        // A flag of the CLI itself, so it stands before `exec`.
        line.args.insert(0, "--search".into());
    }
    // That flag never reaches `exec`: without the settings no release looks further than its own memory. The first is
    // that of the early ones, which do not know the second.
    line.set("tools.web_search", "true").set_text("web_search", "live");
    line.arg("-");
    let detail = if search.full { " Include detailed analysis and context." } else { "" };
    Line { stdin: format!("Search for: {}. Provide {} key findings.{detail}", search.query, search.results), ..line }
}

#[cfg(test)]
mod tests;
