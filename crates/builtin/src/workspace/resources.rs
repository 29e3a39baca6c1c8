//! What there is to know about the workspace, to read: its files, git, the system, toolgate's own settings.
//! Not here: how git is asked, or who is told of changes.

use super::ask::{Command, Words};
use super::exec::{self, Access};
use super::files::{self, Encoding, Part, Wanted};
use super::git::{self, Question};
use super::list;
use super::roots::Roots;
use super::{Settings, Workspace};
use crate::answer;
use crate::definition;
use gate::{Facts, ItemKind, Listed, Unmasked};
use rustix::system::uname;
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The files of the workspace.
pub const FILES: &str = "project:///";
/// The most bytes of a file that is read as a resource: nothing of it can be read later.
const FILE_MAX: usize = 4 << 20;
/// Files that are listed by name; all others are read by the template.
const LISTED_MAX: usize = 200;
/// Levels down to which files are listed by name.
const LISTED_DEPTH: usize = 8;

/// URI, name, what it is, type.
const RESOURCES: [(&str, &str, &str, &str); 6] = [
    ("git://status", "git status", "What is changed, staged and untracked, and the branch", "text/plain"),
    ("git://log", "git log", "The last fifty commits", "text/plain"),
    ("git://diff", "git diff", "What is not committed yet", "text/x-diff"),
    ("git://branch", "git branches", "The branches", "text/plain"),
    ("system://environment", "environment", "The system that commands run on, and its tools", "application/json"),
    ("config://toolgate", "settings", "Toolgate's settings for this workspace", "application/json"),
];

/// Tools whose versions are told, and how each is asked for its.
const VERSIONS: &str = r#"for tool in git python3 node npm cargo rustc go java gcc make; do
command -v $tool >/dev/null 2>&1 || continue
case $tool in go) flag=version;; java) flag=-version;; *) flag=--version;; esac
printf '%s\t%s\n' $tool "$($tool $flag 2>&1 | head -n 1)"
done"#;

/// As the catalog has them.
pub fn listed(files: &[Named]) -> impl Iterator<Item = Listed> {
    let fixed = RESOURCES.iter().map(|(uri, name, description, mime)| {
        let rest = json!({"uri": uri, "description": description, "mimeType": mime});
        definition::item(ItemKind::Resource, uri, name, Facts::default(), &rest)
    });
    let files = files.iter().map(|file| {
        let uri = uri(&file.path);
        let rest = json!({"uri": uri, "mimeType": mime(&file.path), "size": file.size});
        definition::item(ItemKind::Resource, &uri, &file.path, Facts::default(), &rest)
    });
    let template = format!("{FILES}{{+path}}");
    let about = "A file of the workspace: by its path from the first root, or by an absolute one";
    let rest = json!({"uriTemplate": template, "description": about});
    let template = definition::item(ItemKind::Template, &template, "file", Facts::default(), &rest);
    fixed.chain(files).chain([template])
}

/// Whether what is read there depends on whose roots it is read by.
pub fn is_of_roots(uri: &str) -> bool {
    uri.starts_with(FILES) || question(uri).is_some() || uri == "system://environment"
}

/// A file that is listed by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// From the root.
    pub path: String,
    size: u64,
}

/// The files of the first root that git does not ignore: as many levels of them as fit.
pub fn named(roots: &Roots) -> Vec<Named> {
    let (mut found, protected) = (Vec::new(), exec::protected());
    for depth in 1..=LISTED_DEPTH {
        let wanted = list::Wanted { depth, gitignore: true, most: 10 * LISTED_MAX };
        let Ok(listing) = list::list(roots, ".", wanted) else { break };
        let files = listing.entries.into_iter().filter_map(|entry| Some(Named { size: entry.size?, path: entry.path }));
        // While a command runs, empty files stand where protected ones would be.
        let stands_in = |file: &Named| file.size == 0 && protected.covers(file.path.as_ref());
        let files: Vec<_> = files.filter(|file| !stands_in(file)).collect();
        if files.len() > LISTED_MAX || listing.truncated {
            break;
        }
        found = files;
    }
    found
}

impl Workspace {
    pub(super) async fn resource(&self, uri: &str, roots: Arc<Roots>) -> Unmasked {
        let text = |text: String, mime: &str| json!({"text": text, "mimeType": mime});
        let contents = match (question(uri), uri) {
            (Some(asked), _) => self.git(asked, &roots).await.map(|said| text(said, fixed_mime(uri))),
            (_, "system://environment") => Ok(text(self.environment(&roots).await.to_string(), "application/json")),
            (_, "config://toolgate") => Ok(text(self.settings.told.clone(), "application/json")),
            _ => match uri.strip_prefix(FILES) {
                Some(path) => self.file(path, roots).await,
                None => Err("there is no such resource".to_owned()),
            },
        };
        match contents {
            Ok(mut contents) => {
                contents["uri"] = uri.into();
                answer::said(&json!({"contents": [contents]}))
            }
            Err(why) => answer::no_resource(uri, &why),
        }
    }

    pub(super) async fn git(&self, question: Question, roots: &Roots) -> Result<String, String> {
        git::ask(&self.helper, &self.settings, roots, question).await
    }

    async fn file(&self, path: &str, roots: Arc<Roots>) -> Result<Value, String> {
        let path = percent_decoded(path).ok_or("its path cannot be read")?;
        let part = self.part(path, roots, FILE_MAX).await?;
        if part.truncated {
            return Err(format!("it is larger than {FILE_MAX} bytes: read it in parts, with `read_file`"));
        }
        Ok(contents(part))
    }

    /// The beginning of a file.
    pub(super) async fn part(&self, path: String, roots: Arc<Roots>, most: usize) -> Result<Part, String> {
        let wanted = Wanted { offset: None, limit: None, encoding: None, most };
        let part = self.tasks.spawn_blocking(move || files::read(&roots, &path, wanted)).await;
        part.map_err(|_| "toolgate is stopping".to_owned())?.map_err(|astray| astray.to_string())
    }

    async fn environment(&self, roots: &Roots) -> Value {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut told = json!({
            "os": std::env::consts::OS,
            "kernel": uname().release().to_string_lossy(),
            "arch": std::env::consts::ARCH,
            "cores": cores,
            "toolgate": env!("CARGO_PKG_VERSION"),
            "roots": roots.dirs().collect::<Vec<_>>(),
        });
        match versions(&self.helper, &self.settings, roots).await {
            Ok(tools) => told["tools"] = tools.into(),
            Err(why) => told["tools_unknown"] = why.into(),
        }
        told
    }
}

async fn versions(helper: &sandbox::Helper, settings: &Settings, roots: &Roots) -> Result<Map<String, Value>, String> {
    let command = Command {
        words: Words::Line(VERSIONS.to_owned()),
        cwd: ".".to_owned(),
        env: Vec::new(),
        stdin: String::new(),
        timeout_ms: Some(20_000),
    };
    let (stop, heard) = (CancellationToken::new(), &mut |_, _: &[u8]| ());
    let ended = exec::run(helper, settings, roots, command, Access::Read, heard, stop).await;
    let ended = ended.map_err(|unrun| unrun.to_string())?;
    let pair = |line: &str| line.split_once('\t').map(|(tool, version)| (tool.to_owned(), version.into()));
    Ok(ended.stdout.lines().filter_map(pair).collect())
}

fn question(uri: &str) -> Option<Question> {
    Some(match uri {
        "git://status" => Question::Status,
        "git://log" => Question::Log,
        "git://diff" => Question::Diff,
        "git://branch" => Question::Branches,
        _ => return None,
    })
}

fn fixed_mime(uri: &str) -> &'static str {
    RESOURCES.iter().find(|known| known.0 == uri).map_or("text/plain", |known| known.3)
}

/// A whole file as the contents of a resource, but for its URI.
pub fn contents(part: Part) -> Value {
    let mime = mime(&part.path);
    match part.encoding {
        Encoding::Utf8 => json!({"text": part.content, "mimeType": mime}),
        Encoding::Base64 if is_text(mime) => json!({"blob": part.content, "mimeType": "application/octet-stream"}),
        Encoding::Base64 => json!({"blob": part.content, "mimeType": mime}),
    }
}

/// Where a file is read: the path from the first root, or an absolute one.
pub fn uri(path: &str) -> String {
    path.bytes().fold(FILES.to_owned(), |mut uri, byte| {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing into a string does not fail.
            let _ = write!(uri, "%{byte:02X}");
        }
        uri
    })
}

pub(super) fn percent_decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                // A number may have a sign, an octet may not.
                let digits = std::str::from_utf8(&digits).ok().filter(|digits| !digits.contains('+'))?;
                u8::from_str_radix(digits, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn is_text(mime: &str) -> bool {
    mime.starts_with("text/") || matches!(mime, "application/json" | "application/toml" | "application/yaml")
}

/// By the end of the name; what is not known is taken for text.
pub fn mime(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.rsplit_once('.').map_or("", |(_, end)| end) {
        "md" => "text/markdown",
        "html" | "htm" => "text/html",
        "css" => "text/css",
        "csv" => "text/csv",
        "js" | "mjs" | "cjs" => "text/javascript",
        "ts" | "tsx" => "text/x-typescript",
        "rs" => "text/x-rust",
        "py" => "text/x-python",
        "go" => "text/x-go",
        "java" => "text/x-java",
        "c" | "h" => "text/x-c",
        "cc" | "cpp" | "hpp" => "text/x-c++",
        "sh" => "text/x-shellscript",
        "diff" | "patch" => "text/x-diff",
        "json" => "application/json",
        "toml" => "application/toml",
        "yaml" | "yml" => "application/yaml",
        "xml" => "text/xml",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        _ => "text/plain",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_uris_are_decoded_once() {
        for (uri, expected) in [
            ("a/b", Some("a/b")),
            ("a%20b", Some("a b")),
            ("%252e", Some("%2e")),
            ("a%2", None),
            ("%zz", None),
            ("%+a", None),
            ("%ff", None),
        ] {
            assert_eq!(percent_decoded(uri).as_deref(), expected, "{uri}");
        }
    }

    #[test]
    fn the_uri_of_a_path_leads_back_to_it() {
        for path in ["a/b.rs", "a b/ü%20?#.md", "/abs/x"] {
            let uri = uri(path);
            assert!(!uri[FILES.len()..].contains([' ', '?', '#']), "{uri}");
            assert_eq!(percent_decoded(&uri[FILES.len()..]).as_deref(), Some(path));
        }
    }

    #[test]
    fn files_are_listed_by_name_as_many_levels_as_fit() {
        let temp = tempfile::tempdir().expect("temporary");
        let many = temp.path().join("many/below");
        std::fs::create_dir_all(&many).expect("made");
        std::fs::write(temp.path().join("top.md"), "12345").expect("written");
        std::fs::write(temp.path().join("many/x"), "").expect("written");
        let roots = Roots::open(&[temp.path().to_owned()]).expect("there");
        let paths = |roots| named(roots).into_iter().map(|file| (file.path, file.size)).collect::<Vec<_>>();
        assert_eq!(paths(&roots), [("many/x".to_owned(), 0), ("top.md".to_owned(), 5)]);
        (0..LISTED_MAX).for_each(|at| std::fs::write(many.join(at.to_string()), "").expect("written"));
        assert_eq!(paths(&roots).len(), 2, "what lies deeper is left to the template");
    }

    #[test]
    fn the_end_of_a_name_says_what_it_holds() {
        for (path, expected) in [
            ("a.rs", "text/x-rust"),
            ("x.tar.gz", "application/gzip"),
            ("dir.md/file", "text/plain"),
            ("Makefile", "text/plain"),
        ] {
            assert_eq!(mime(path), expected, "{path}");
        }
    }
}
