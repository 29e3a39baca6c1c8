//! What git knows of the workspace, read by the git program in the sandbox with nothing writable, and with everything
//! switched off that a repository could have it run: hooks, filters, pagers, programs that show or check something.
//! Not here: under which names it is read.

use super::Settings;
use super::ask::{Command, Words};
use super::exec::{self, Access};
use super::roots::Roots;
use sandbox::Helper;
use std::collections::BTreeSet;
use tokio_util::sync::CancellationToken;

const GIT: [&str; 9] = [
    "git",
    "--no-pager",
    "--no-optional-locks",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "diff.external=",
];
const ENV: [(&str, &str); 4] =
    [("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_TERMINAL_PROMPT", "0"), ("LC_ALL", "C")];
/// The tree with nothing in it: what everything is new to.
const NOTHING: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
const TIMEOUT_MS: u64 = 20_000;

const DIFF: [&str; 5] = ["diff", "--no-ext-diff", "--no-textconv", "--ignore-submodules=all", "--no-color"];

/// What can be asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// What is changed.
    Status,
    /// The last commits.
    Log,
    /// What is not committed, line by line.
    Diff,
    /// The branches.
    Branches,
}

impl Question {
    fn words(self) -> Vec<&'static str> {
        match self {
            Self::Status => {
                vec![
                    "status",
                    "--short",
                    "--branch",
                    "--no-renames",
                    "--untracked-files=all",
                    "--ignore-submodules=all",
                ]
            }
            Self::Log => vec![
                "log",
                "--max-count=50",
                "--no-show-signature",
                "--format=%h %ad %an: %s",
                "--date=iso-strict",
                "--no-color",
            ],
            Self::Diff => [&DIFF[..], &["HEAD"]].concat(),
            Self::Branches => vec!["branch", "--all", "--verbose", "--no-abbrev", "--no-color", "--no-column"],
        }
    }

    /// What is true before there is a first commit.
    fn at_first(self) -> Option<Vec<&'static str>> {
        (self == Self::Diff).then(|| [&DIFF[..], &[NOTHING]].concat())
    }
}

/// What git says.
///
/// # Errors
/// Why it says nothing, for people.
pub async fn ask(helper: &Helper, settings: &Settings, roots: &Roots, question: Question) -> Result<String, String> {
    let git = Git { helper, settings, roots };
    let off = git.filters_off().await?;
    match git.says(&question.words(), &off).await? {
        Ok(text) => Ok(text),
        Err(why) if is_unborn(&why) => match question.at_first() {
            Some(words) => git.says(&words, &off).await?.map_err(told),
            None => Ok("No commits yet\n".to_owned()),
        },
        Err(why) => Err(told(why)),
    }
}

struct Git<'a> {
    helper: &'a Helper,
    settings: &'a Settings,
    roots: &'a Roots,
}

impl Git<'_> {
    /// What it says, or what it says is wrong.
    async fn says(&self, words: &[&str], env: &[(String, String)]) -> Result<Result<String, String>, String> {
        let words = GIT.iter().chain(words).map(|word| (*word).to_owned()).collect();
        let fixed = ENV.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let command = Command {
            words: Words::Argv(words),
            cwd: ".".to_owned(),
            env: fixed.chain(env.iter().cloned()).collect(),
            stdin: String::new(),
            timeout_ms: Some(TIMEOUT_MS),
        };
        let (stop, heard) = (CancellationToken::new(), &mut |_, _: &[u8]| ());
        let ended = exec::run(self.helper, self.settings, self.roots, command, Access::Read, heard, stop).await;
        let ended = ended.map_err(|unrun| unrun.to_string())?;
        Ok(if ended.exit_code == Some(0) { Ok(ended.stdout) } else { Err(ended.stderr.trim().to_owned()) })
    }

    /// Settings that empty every filter the repository's own settings define. They are handed over in the environment,
    /// where no name of a filter can mean anything else.
    async fn filters_off(&self) -> Result<Vec<(String, String)>, String> {
        let names = self.says(&["config", "--null", "--name-only", "--get-regexp", "^filter\\."], &[]).await?;
        // It ends badly where there are none.
        Ok(emptied(&names.unwrap_or_default()))
    }
}

fn emptied(names: &str) -> Vec<(String, String)> {
    let driver = |name: &str| Some(name.strip_prefix("filter.")?.rsplit_once('.')?.0.to_owned());
    let drivers: BTreeSet<String> = names.split('\0').filter_map(driver).collect();
    let keys = drivers.iter().flat_map(|driver| {
        [("clean", ""), ("smudge", ""), ("process", ""), ("required", "false")]
            .map(|(key, value)| (format!("filter.{driver}.{key}"), value.to_owned()))
    });
    let keys: Vec<_> = keys.collect();
    let count = ("GIT_CONFIG_COUNT".to_owned(), keys.len().to_string());
    let pairs = keys.into_iter().enumerate().flat_map(|(at, (key, value))| {
        [(format!("GIT_CONFIG_KEY_{at}"), key), (format!("GIT_CONFIG_VALUE_{at}"), value)]
    });
    std::iter::once(count).chain(pairs).collect()
}

fn is_unborn(why: &str) -> bool {
    why.contains("does not have any commits yet") || why.contains("ambiguous argument 'HEAD'")
}

fn told(why: String) -> String {
    match why.is_empty() {
        true => "git does not answer".to_owned(),
        false => format!("git says: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::emptied;

    #[test]
    fn every_filter_is_emptied_whatever_it_is_called() {
        let env = emptied("filter.lfs.clean\0filter.lfs.smudge\0filter.a=b.c\nd.process\0");
        let pairs: Vec<_> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(pairs[0], "GIT_CONFIG_COUNT=8");
        for expected in ["filter.lfs.clean", "filter.lfs.process", "filter.a=b.c\nd.clean", "filter.a=b.c\nd.required"]
        {
            assert!(pairs.iter().any(|pair| pair.ends_with(&format!("={expected}"))), "{expected}: {pairs:?}");
        }
        assert_eq!(emptied(""), [("GIT_CONFIG_COUNT".to_owned(), "0".to_owned())]);
    }
}
