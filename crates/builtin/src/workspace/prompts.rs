//! The prompts of the workspace, and the completion of their arguments. What a prompt is about comes with it, as far as
//! it fits. Not here: how files are read, or git is asked.

use super::files::Part;
use super::git::Question;
use super::list;
use super::resources;
use super::roots::Roots;
use super::{LIST_MAX, Workspace};
use crate::answer::{self, member};
use crate::definition;
use crate::given::{Given, Misasked};
use gate::{Facts, ItemKind, Listed, Unmasked};
use serde_json::{Value, json};
use std::sync::Arc;

/// The most values of a completion (a bound of the protocol).
const VALUES_MAX: usize = 100;
/// The most bytes of a file or of changes that come with a prompt.
const PULLED_MAX: usize = 128 << 10;

struct Prompt {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    /// What it is given beside what it is about: name, what it is, and what it could be.
    special: (&'static str, &'static str, &'static [&'static str]),
}

const ABOUT: [(&str, &str); 3] = [
    ("path", "The file or directory it is about"),
    ("code", "The code it is about, if it is in no file"),
    ("language", "The language, if it does not show"),
];

const LANGUAGES: [&str; 15] = [
    "C",
    "C++",
    "C#",
    "Go",
    "Java",
    "JavaScript",
    "Kotlin",
    "PHP",
    "Python",
    "Ruby",
    "Rust",
    "Shell",
    "SQL",
    "Swift",
    "TypeScript",
];

const PROMPTS: [Prompt; 4] = [
    Prompt {
        name: "code_review",
        title: "Code review",
        description: "Reviews a file, a directory, a piece of code, or what is not committed yet",
        special: (
            "focus",
            "What to look for",
            &["concurrency", "correctness", "error handling", "performance", "readability", "security", "tests"],
        ),
    },
    Prompt {
        name: "refactor",
        title: "Refactor",
        description: "Makes code simpler without changing what it does",
        special: (
            "focus",
            "What it is to become",
            &["clearer names", "easier to test", "less code", "no duplication", "smaller functions"],
        ),
    },
    Prompt {
        name: "generate_tests",
        title: "Generate tests",
        description: "Writes tests for a file or a piece of code",
        special: (
            "framework",
            "With which framework",
            &[
                "cargo test",
                "go test",
                "Jest",
                "JUnit",
                "Mocha",
                "node:test",
                "PHPUnit",
                "pytest",
                "RSpec",
                "unittest",
                "Vitest",
                "xUnit",
            ],
        ),
    },
    Prompt {
        name: "document",
        title: "Document",
        description: "Documents a file or a piece of code",
        special: (
            "style",
            "In which style",
            &["Doxygen", "Google", "Javadoc", "JSDoc", "NumPy", "reStructuredText", "rustdoc", "TSDoc"],
        ),
    },
];

impl Prompt {
    fn named(name: &str) -> Option<&'static Self> {
        PROMPTS.iter().find(|prompt| prompt.name == name)
    }
}

/// As the catalog has them.
pub fn listed() -> impl Iterator<Item = Listed> {
    PROMPTS.iter().map(|prompt| {
        let (name, about, _) = prompt.special;
        let argument =
            |(name, description): (&str, &str)| json!({"name": name, "description": description, "required": false});
        let arguments: Vec<_> = ABOUT.into_iter().chain([(name, about)]).map(argument).collect();
        let rest = json!({"title": prompt.title, "description": prompt.description, "arguments": arguments});
        definition::item(ItemKind::Prompt, prompt.name, prompt.name, Facts::default(), &rest)
    })
}

/// What a prompt is about.
#[derive(Debug, PartialEq, Eq)]
enum Subject {
    Path(String),
    Code(String),
    /// What is not committed yet.
    Changes,
}

/// A prompt's arguments.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    subject: Subject,
    language: Option<String>,
    special: Option<String>,
}

/// What comes with a prompt: how it is spoken of, and a message that holds it.
type Pulled = (String, Option<Value>);

impl Workspace {
    /// The prompt of a name, filled in, with what it is about.
    pub(super) async fn prompt(&self, name: &str, arguments: &[u8], roots: Arc<Roots>) -> Unmasked {
        let Some(prompt) = Prompt::named(name) else {
            return answer::error(-32602, &format!("Unknown prompt: {name}"));
        };
        let asked = match asked(prompt, arguments) {
            Ok(asked) => asked,
            Err(wrong) => return answer::error(-32602, &wrong.to_string()),
        };
        let (subject, pulled) = match self.pulled(&asked.subject, roots).await {
            Ok(pulled) => pulled,
            Err(why) => return answer::error(-32602, &why),
        };
        let said = |content: Value| json!({"role": "user", "content": content});
        let text = json!({"type": "text", "text": text(prompt, &subject, &asked)});
        let messages: Vec<_> = [text].into_iter().chain(pulled).map(said).collect();
        answer::said(&json!({"description": prompt.description, "messages": messages}))
    }

    async fn pulled(&self, subject: &Subject, roots: Arc<Roots>) -> Result<Pulled, String> {
        match subject {
            Subject::Code(code) => Ok((format!("this code:\n\n```\n{code}\n```"), None)),
            Subject::Changes => Ok(self.changes(&roots).await),
            Subject::Path(path) => match self.directory(path, roots.clone()).await {
                Some(listing) => Ok(directory(path, &listing)),
                None => Ok(file(path, self.part(path.clone(), roots, PULLED_MAX).await?)),
            },
        }
    }

    async fn directory(&self, path: &str, roots: Arc<Roots>) -> Option<list::Listing> {
        let path = path.to_owned();
        let wanted = list::Wanted { depth: usize::MAX, gitignore: true, most: LIST_MAX };
        self.tasks.spawn_blocking(move || list::list(&roots, &path, wanted).ok()).await.ok()?
    }

    async fn changes(&self, roots: &Roots) -> Pulled {
        let by_hand = "(run `git status --short` and `git diff HEAD` with `execute_command`)";
        match self.git(Question::Diff, roots).await {
            Ok(diff) if diff.len() <= PULLED_MAX => {
                let resource = json!({"uri": "git://diff", "mimeType": "text/x-diff", "text": diff});
                let about = "what is not committed yet (the changes follow; `git status --short` names new files)";
                (about.to_owned(), Some(embedded(&resource)))
            }
            Ok(_) => (format!("what is not committed yet, which is too long to be shown here {by_hand}"), None),
            Err(_) => (format!("what is not committed yet {by_hand}"), None),
        }
    }
}

fn embedded(resource: &Value) -> Value {
    json!({"type": "resource", "resource": resource})
}

fn directory(path: &str, listing: &list::Listing) -> Pulled {
    let resource = json!({"uri": resources::uri(path), "mimeType": "text/plain", "text": listing.text()});
    (format!("`{path}` (what is in it follows; read the files with `read_file`)"), Some(embedded(&resource)))
}

fn file(path: &str, part: Part) -> Pulled {
    let about = match part.next_offset {
        None => format!("`{path}` (it follows)"),
        Some(next) => format!("`{path}` (its beginning follows; the rest with `read_file`, from offset {next})"),
    };
    let mut resource = resources::contents(part);
    resource["uri"] = resources::uri(path).into();
    (about, Some(embedded(&resource)))
}

fn asked(prompt: &Prompt, arguments: &[u8]) -> Result<Asked, Misasked> {
    let mut given = Given::read(arguments)?;
    let (path, code) = (given.text("path")?, given.text("code")?);
    let (language, special) = (given.text("language")?, given.text(prompt.special.0)?);
    given.nothing_left(&["path", "code", "language", prompt.special.0])?;
    let subject = match (path, code) {
        (Some(_), Some(_)) => return Err(Misasked::new("`path` and `code` exclude each other: give one of them")),
        (Some(path), None) => Subject::Path(path),
        (None, Some(code)) => Subject::Code(code),
        (None, None) if prompt.name == "code_review" => Subject::Changes,
        (None, None) => return Err(Misasked::new("`path` or `code` is missing: say what it is about")),
    };
    Ok(Asked { subject, language, special })
}

fn text(prompt: &Prompt, subject: &str, asked: &Asked) -> String {
    let subject = match &asked.language {
        Some(language) => format!("{subject}\n\nIt is written in {language}"),
        None => subject.to_owned(),
    };
    let or = |default: &str| asked.special.clone().unwrap_or_else(|| default.to_owned());
    match prompt.name {
        "code_review" => format!(
            "Review {subject}.\n\nLook for {}. For each finding say how grave it is, where it is (file and line), what goes \
             wrong and how to mend it. The gravest first; nothing that is a matter of taste. If it is sound, say so.",
            or("errors, data that gets lost, security, races, and what is needlessly complicated")
        ),
        "refactor" => format!(
            "Refactor {subject}.\n\nThe goal: {}. What it does must not change: say how you made sure of it, and run the tests \
             if there are any. Change files with `apply_patch`, in small steps.",
            or("less code, clearer names, one level of meaning in each function")
        ),
        "generate_tests" => format!(
            "Write tests for {subject}.\n\nUse {}. Each test has one reason to fail and says in its name what holds. Cover the \
             ordinary case, the edges, and what must be refused. Write them with `apply_patch` and run them.",
            or("the framework that the project uses already")
        ),
        _ => format!(
            "Document {subject}.\n\nStyle: {}. Say what goes in and out, which errors there are, and why it is as it is where \
             that is not plain; never repeat what the code says. Change files with `apply_patch`.",
            or("that of the language's own documentation tool")
        ),
    }
}

/// Values for an argument that begin as asked: paths of the workspace, and what is usual for the others.
pub fn complete(roots: &Roots, params: &[u8]) -> Unmasked {
    let params: Value = serde_json::from_slice(params).unwrap_or_default();
    let (argument, of) = (&params["argument"], params["ref"]["name"].as_str().unwrap_or_default());
    let values = match (argument["name"].as_str(), argument["value"].as_str()) {
        (Some("path" | "+path"), Some(start)) => paths(roots, start),
        (Some(name), Some(start)) => usual(of, name, start),
        _ => Vec::new(),
    };
    let (total, more) = (values.len(), values.len() > VALUES_MAX);
    let values: Vec<_> = values.into_iter().take(VALUES_MAX).collect();
    answer::said(&member("completion", json!({"values": values, "total": total, "hasMore": more})))
}

fn usual(prompt: &str, argument: &str, start: &str) -> Vec<String> {
    let special = Prompt::named(prompt).map(|prompt| prompt.special).filter(|(name, ..)| *name == argument);
    let all = match (special, argument) {
        (Some((.., values)), _) => values,
        (None, "language") => &LANGUAGES[..],
        _ => &[],
    };
    let begins = |value: &&&str| value.to_lowercase().starts_with(&start.to_lowercase());
    all.iter().filter(begins).map(|value| (*value).to_owned()).collect()
}

fn paths(roots: &Roots, start: &str) -> Vec<String> {
    let (dir, _) = start.rsplit_once('/').unwrap_or((".", start));
    let wanted = list::Wanted { depth: 1, gitignore: true, most: 10_000 };
    let Ok(listing) = list::list(roots, if dir.is_empty() { "/" } else { dir }, wanted) else { return Vec::new() };
    let before = start.rfind('/').map_or("", |slash| &start[..=slash]);
    let path = |entry: &list::Entry| {
        let end = if entry.kind == "directory" { "/" } else { "" };
        format!("{before}{}{end}", entry.path)
    };
    listing.entries.iter().map(path).filter(|path| path.starts_with(start)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, arguments: &str, expected: Result<&str, &str>) {
        let prompt = Prompt::named(name).expect(name);
        match (asked(prompt, arguments.as_bytes()), expected) {
            (Ok(asked), Ok(expected)) => {
                let text = text(prompt, "IT", &asked);
                assert!(text.contains(expected), "{text}");
            }
            (Err(wrong), Err(expected)) => assert!(wrong.0.contains(expected), "{wrong}"),
            (found, _) => panic!("{name} {arguments}: {found:?}"),
        }
    }

    #[test]
    fn prompts_say_what_is_wanted() {
        check("code_review", "", Ok("Review IT"));
        check("code_review", r#"{"path":"src/a.rs","focus":"races"}"#, Ok("Look for races"));
        check("refactor", r#"{"code":"fn a() {}","language":"Rust"}"#, Ok("written in Rust"));
        check("generate_tests", r#"{"path":"a","framework":"pytest"}"#, Ok("Use pytest"));
        check("document", "{}", Err("`path` or `code` is missing"));
        check("document", r#"{"path":"a","code":"b"}"#, Err("exclude each other"));
        check("document", r#"{"path":"a","tone":"b"}"#, Err("unknown parameter `tone`"));
    }

    #[test]
    fn what_is_usual_is_completed() {
        assert_eq!(usual("generate_tests", "framework", "PY"), ["pytest"]);
        assert_eq!(usual("document", "language", "ru"), ["Ruby", "Rust"]);
        assert_eq!(usual("document", "framework", ""), [""; 0]);
    }

    #[test]
    fn paths_are_completed() {
        let temp = tempfile::tempdir().expect("temporary");
        std::fs::create_dir_all(temp.path().join("src/deep")).expect("made");
        std::fs::write(temp.path().join("src/main.rs"), "").expect("written");
        let roots = Roots::open(&[temp.path().to_owned()]).expect("there");
        assert_eq!(paths(&roots, "s"), ["src/"]);
        assert_eq!(paths(&roots, "src/"), ["src/deep/", "src/main.rs"]);
        assert_eq!(paths(&roots, "src/m"), ["src/main.rs"]);
        assert!(paths(&roots, "../").is_empty());
    }
}
