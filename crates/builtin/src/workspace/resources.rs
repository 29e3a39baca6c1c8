//! What there is to know about the workspace, to read: its files, git, the system, toolgate's own settings.
//! Not here: subscriptions.

use super::ask::{Command, Words};
use super::files::{self, Encoding, Wanted};
use super::{READ_MAX, Workspace, exec};
use crate::answer;
use crate::definition;
use gate::{Facts, ItemKind, Listed, Unmasked};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// The files of the workspace.
const FILES: &str = "project:///";
/// git runs nothing of the repository's: no hook, no pager, no program that shows differences. Filters of its
/// attributes cannot be switched off, but run in the sandbox, where they reach nothing.
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

/// URI, name, what it is, type.
const RESOURCES: [(&str, &str, &str, &str); 6] = [
    ("git://status", "git status", "What is changed, staged and untracked, and the branch", "text/plain"),
    ("git://log", "git log", "The last fifty commits", "text/plain"),
    ("git://diff", "git diff", "What is not committed yet", "text/x-diff"),
    ("git://branch", "git branches", "The branches", "text/plain"),
    ("system://environment", "environment", "The system that commands run on", "application/json"),
    ("config://toolgate", "settings", "Toolgate's settings for this workspace", "application/json"),
];

/// As the catalog has them.
pub fn listed() -> impl Iterator<Item = Listed> {
    let fixed = RESOURCES.iter().map(|(uri, name, description, mime)| {
        let rest = json!({"uri": uri, "description": description, "mimeType": mime});
        definition::item(ItemKind::Resource, uri, name, Facts::default(), &rest)
    });
    let template = format!("{FILES}{{+path}}");
    let rest = json!({"uriTemplate": template, "description": "A file of the workspace, by its path"});
    fixed.chain([definition::item(ItemKind::Template, &template, "file", Facts::default(), &rest)])
}

fn git(uri: &str) -> Option<&'static [&'static str]> {
    Some(match uri {
        "git://status" => &["status", "--short", "--branch", "--no-renames"],
        "git://log" => &["log", "--max-count=50", "--format=%h %ad %an: %s", "--date=iso-strict"],
        "git://diff" => &["diff", "--no-ext-diff", "--no-textconv", "HEAD"],
        "git://branch" => &["branch", "--all", "--verbose", "--no-abbrev"],
        _ => return None,
    })
}

impl Workspace {
    pub(super) async fn resource(&self, uri: &str) -> Unmasked {
        let contents = match (uri, git(uri), uri.strip_prefix(FILES)) {
            (_, Some(words), _) => self.git(words).await.map(|text| json!({"text": text, "mimeType": "text/plain"})),
            ("system://environment", ..) => {
                Ok(json!({"text": environment().to_string(), "mimeType": "application/json"}))
            }
            ("config://toolgate", ..) => Ok(json!({"text": self.settings.told, "mimeType": "application/json"})),
            (_, _, Some(path)) => self.file(path).await,
            _ => Err("there is no such resource".to_owned()),
        };
        match contents {
            Ok(mut contents) => {
                contents["uri"] = uri.into();
                answer::said(&json!({"contents": [contents]}))
            }
            Err(why) => answer::error(-32002, &format!("Resource not found: {why}")),
        }
    }

    async fn file(&self, path: &str) -> Result<Value, String> {
        let path = percent_decoded(path).ok_or("its path cannot be read")?;
        let roots = self.roots.clone();
        let wanted = Wanted { offset: None, limit: None, encoding: None, most: READ_MAX };
        let named = path.clone();
        let part = self.tasks.spawn_blocking(move || files::read(&roots, &path, wanted)).await;
        let part = part.map_err(|_| "toolgate is stopping".to_owned())?.map_err(|astray| astray.to_string())?;
        if part.truncated {
            return Err(format!("it is larger than {READ_MAX} bytes: read it in parts, with `read_file`"));
        }
        Ok(match part.encoding {
            Encoding::Utf8 => json!({"text": part.content, "mimeType": mime(&named)}),
            Encoding::Base64 => json!({"blob": part.content, "mimeType": "application/octet-stream"}),
        })
    }

    async fn git(&self, words: &[&str]) -> Result<String, String> {
        let words = GIT.iter().chain(words).map(|word| (*word).to_owned()).collect();
        let env = [("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_TERMINAL_PROMPT", "0")];
        let command = Command {
            words: Words::Argv(words),
            cwd: ".".to_owned(),
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            stdin: String::new(),
            timeout_ms: Some(20_000),
        };
        let stop = CancellationToken::new();
        let ended = exec::run(&self.helper, &self.settings, &self.roots, command, &mut |_, _| (), stop).await;
        let ended = ended.map_err(|unrun| unrun.to_string())?;
        match ended.exit_code {
            Some(0) => Ok(ended.stdout),
            _ => Err(format!("git says: {}", ended.stderr.trim())),
        }
    }
}

fn environment() -> Value {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    json!({"os": std::env::consts::OS, "arch": std::env::consts::ARCH, "cores": cores, "toolgate": env!("CARGO_PKG_VERSION")})
}

fn percent_decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn mime(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "md" => "text/markdown",
        "html" | "htm" => "text/html",
        "json" => "application/json",
        "css" => "text/css",
        "csv" => "text/csv",
        "xml" => "application/xml",
        _ => "text/plain",
    }
}

#[cfg(test)]
mod tests {
    use super::percent_decoded;

    #[test]
    fn paths_of_uris_are_decoded_once() {
        for (uri, expected) in [
            ("a/b", Some("a/b")),
            ("a%20b", Some("a b")),
            ("%252e", Some("%2e")),
            ("a%2", None),
            ("%zz", None),
            ("%ff", None),
        ] {
            assert_eq!(percent_decoded(uri).as_deref(), expected, "{uri}");
        }
    }
}
