//! The prompts of the workspace, and the completion of their arguments. Not here: reading any file: a prompt names
//! what the model is to read with the tools.

use super::list;
use super::roots::Roots;
use crate::answer::{self, member};
use crate::definition;
use crate::given::{Given, Misasked};
use gate::{Facts, ItemKind, Listed, Unmasked};
use serde_json::{Value, json};

/// The most values of a completion (a bound of the protocol).
const VALUES_MAX: usize = 100;

struct Prompt {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    /// Name, what it is, whether it has to be given.
    arguments: &'static [(&'static str, &'static str, bool)],
}

const PATH: (&str, &str, bool) = ("path", "The file or directory it is about", false);
const CODE: (&str, &str, bool) = ("code", "The code it is about, if it is in no file", false);

const PROMPTS: [Prompt; 4] = [
    Prompt {
        name: "code_review",
        title: "Code review",
        description: "Reviews a file, a directory, a piece of code, or what is not committed yet",
        arguments: &[PATH, CODE, ("focus", "What to look for", false)],
    },
    Prompt {
        name: "refactor",
        title: "Refactor",
        description: "Makes code simpler without changing what it does",
        arguments: &[PATH, CODE, ("goal", "What it is to become", false)],
    },
    Prompt {
        name: "generate_tests",
        title: "Generate tests",
        description: "Writes tests for a file or a piece of code",
        arguments: &[PATH, CODE, ("framework", "With which framework", false)],
    },
    Prompt {
        name: "document",
        title: "Document",
        description: "Documents a file or a piece of code",
        arguments: &[PATH, CODE, ("style", "In which style", false)],
    },
];

/// As the catalog has them.
pub fn listed() -> impl Iterator<Item = Listed> {
    PROMPTS.iter().map(|prompt| {
        let argument = |(name, description, required): &(&str, &str, bool)| {
            json!({"name": name, "description": description, "required": required})
        };
        let arguments: Vec<_> = prompt.arguments.iter().map(argument).collect();
        let rest = json!({"title": prompt.title, "description": prompt.description, "arguments": arguments});
        definition::item(ItemKind::Prompt, prompt.name, prompt.name, Facts::default(), &rest)
    })
}

/// The prompt of a name, filled in.
pub fn get(name: &str, arguments: &[u8]) -> Unmasked {
    let Some(prompt) = PROMPTS.iter().find(|prompt| prompt.name == name) else {
        return answer::error(-32602, &format!("Unknown prompt: {name}"));
    };
    match filled(prompt, arguments) {
        Err(wrong) => answer::error(-32602, &wrong.to_string()),
        Ok(text) => {
            let message = json!({"role": "user", "content": {"type": "text", "text": text}});
            answer::said(&json!({"description": prompt.description, "messages": [message]}))
        }
    }
}

fn filled(prompt: &Prompt, arguments: &[u8]) -> Result<String, Misasked> {
    let mut given = Given::read(arguments)?;
    let (path, code) = (given.text("path")?, given.text("code")?);
    let special = prompt.arguments.last().map(|(name, ..)| *name).unwrap_or_default();
    let wish = given.text(special)?;
    let names: Vec<_> = prompt.arguments.iter().map(|(name, ..)| *name).collect();
    given.nothing_left(&names)?;
    let subject = match (&path, &code) {
        (Some(_), Some(_)) => return Err(Misasked::new("`path` and `code` exclude each other: give one of them")),
        (Some(path), None) => format!("`{path}` (read it with `read_file`, or `list_directory` if it is a directory)"),
        (None, Some(code)) => format!("this code:\n\n```\n{code}\n```"),
        (None, None) if prompt.name == "code_review" => {
            "what is not committed yet (run `git status --short` and `git diff HEAD` with `execute_command`)".to_owned()
        }
        (None, None) => return Err(Misasked::new("`path` or `code` is missing: say what it is about")),
    };
    let wish = wish.unwrap_or_default();
    let or = |default: &str| if wish.is_empty() { default.to_owned() } else { wish.clone() };
    Ok(match prompt.name {
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
    })
}

/// Values for an argument: paths of the workspace that begin as asked.
pub fn complete(roots: &Roots, params: &[u8]) -> Unmasked {
    let params: Value = serde_json::from_slice(params).unwrap_or_default();
    let argument = &params["argument"];
    let values = match (argument["name"].as_str(), argument["value"].as_str()) {
        (Some("path" | "+path"), Some(start)) => paths(roots, start),
        _ => Vec::new(),
    };
    let more = values.len() > VALUES_MAX;
    let values: Vec<_> = values.into_iter().take(VALUES_MAX).collect();
    answer::said(&member("completion", json!({"values": values, "hasMore": more})))
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
        let prompt = PROMPTS.iter().find(|prompt| prompt.name == name).expect(name);
        match (filled(prompt, arguments.as_bytes()), expected) {
            (Ok(text), Ok(expected)) => assert!(text.contains(expected), "{text}"),
            (Err(wrong), Err(expected)) => assert!(wrong.0.contains(expected), "{wrong}"),
            (found, _) => panic!("{name} {arguments}: {found:?}"),
        }
    }

    #[test]
    fn prompts_name_what_they_are_about() {
        check("code_review", "", Ok("not committed yet"));
        check("code_review", r#"{"path":"src/a.rs","focus":"races"}"#, Ok("Look for races"));
        check("refactor", r#"{"code":"fn a() {}"}"#, Ok("fn a() {}"));
        check("generate_tests", r#"{"path":"a","framework":"pytest"}"#, Ok("Use pytest"));
        check("document", "{}", Err("`path` or `code` is missing"));
        check("document", r#"{"path":"a","code":"b"}"#, Err("exclude each other"));
        check("document", r#"{"path":"a","tone":"b"}"#, Err("unknown parameter `tone`"));
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
