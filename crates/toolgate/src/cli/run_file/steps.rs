//! A file of steps, read and checked before the first call: what can be known to be wrong is said then.

use std::collections::HashSet;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::refs::{Missing, Reference, Scope, references};
use crate::ui::Failure;
use gate::Code;

/// A file beyond this is a mistake, in bytes.
const LONGEST: u64 = 4 << 20;

/// Steps after one another.
#[derive(Debug)]
pub struct Workflow {
    /// In their order; at least one.
    pub steps: Vec<Step>,
}

/// One call.
#[derive(Debug)]
pub struct Step {
    /// What later steps call it.
    pub id: String,
    /// The tool, as `toolgate mcp tools` prints it.
    pub call: String,
    /// Its arguments, with references.
    pub args: Map<String, Value>,
    /// Whether it is called at all.
    pub when: Option<When>,
    /// What becomes of the rest when it fails.
    pub on_error: OnError,
}

/// What becomes of the rest when a step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// It is not called.
    #[default]
    Stop,
    /// It goes on.
    Continue,
}

/// A condition.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    value: Value,
    equals: Option<Value>,
    not_equals: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    steps: Vec<WrittenStep>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStep {
    id: Option<String>,
    call: String,
    #[serde(default)]
    args: Map<String, Value>,
    when: Option<When>,
    #[serde(default)]
    on_error: OnError,
}

impl Workflow {
    /// Reads and checks a file that is to be run with `given` arguments.
    ///
    /// # Errors
    /// A file that cannot be read, and a reference to an argument that is not given or a step that is not before.
    pub fn read(path: &Path, given: &Map<String, Value>) -> Result<Self, Failure> {
        let io = |error| Failure::io(&format!("read {}", path.display()), error);
        if std::fs::metadata(path).map_err(io)?.len() > LONGEST {
            return Err(Failure::new(Code::Usage, format!("{} is too long", path.display())));
        }
        let text = std::fs::read_to_string(path).map_err(io)?;
        Self::parse(&path.display().to_string(), &text, given).map_err(|reason| {
            Failure::new(Code::Usage, reason).hint("`toolgate mcp run --help` shows how a file is written")
        })
    }

    fn parse(file: &str, text: &str, given: &Map<String, Value>) -> Result<Self, String> {
        let written: WrittenFile = if file.ends_with(".toml") {
            toml::from_str(text).map_err(|error| {
                let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
                format!("{file}:{line}: {}", error.message())
            })?
        } else {
            serde_json::from_str(text).map_err(|error| {
                let reason = error.to_string();
                let reason = reason.rsplit_once(" at line ").map_or(reason.as_str(), |(reason, _)| reason);
                format!("{file}:{}:{}: {reason}", error.line(), error.column())
            })?
        };
        let numbered = written.steps.into_iter().enumerate().map(|(index, step)| step.numbered(index + 1));
        let workflow = Self { steps: numbered.collect() };
        workflow.check(given).map_err(|reason| format!("{file}: {reason}"))?;
        Ok(workflow)
    }

    fn check(&self, given: &Map<String, Value>) -> Result<(), String> {
        if self.steps.is_empty() {
            return Err("there are no `steps`".to_owned());
        }
        let mut before = HashSet::new();
        for step in &self.steps {
            step.check(&before, given).map_err(|reason| format!("step `{}`: {reason}", step.id))?;
            if !before.insert(step.id.as_str()) {
                return Err(format!("two steps are called `{}`", step.id));
            }
        }
        Ok(())
    }
}

impl WrittenStep {
    fn numbered(self, number: usize) -> Step {
        let Self { id, call, args, when, on_error } = self;
        Step { id: id.unwrap_or_else(|| number.to_string()), call, args, when, on_error }
    }
}

impl Step {
    fn check(&self, before: &HashSet<&str>, given: &Map<String, Value>) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if self.id.is_empty() || !self.id.chars().all(plain) {
            return Err("an `id` is made of letters, digits, `_` and `-`".to_owned());
        }
        let when = self.when.as_ref().map_or(Value::Null, When::shown);
        let used = references(&json!([self.args, when])).map_err(|error| error.to_string())?;
        for reference in used {
            match reference {
                Reference::Arg(name) if !given.contains_key(&name) => {
                    return Err(format!("`${{args.{name}}}` is not given; add `--arg {name}=VALUE`"));
                }
                Reference::Step { id, .. } if !before.contains(id.as_str()) => {
                    return Err(format!("`${{steps.{id}…}}` refers to no step before it"));
                }
                Reference::Arg(_) | Reference::Step { .. } => {}
            }
        }
        Ok(())
    }

    /// Whether it is to be called.
    ///
    /// # Errors
    /// A reference whose value is not there.
    pub fn holds(&self, scope: &Scope) -> Result<bool, Missing> {
        self.when.as_ref().map_or(Ok(true), |when| when.holds(scope))
    }
}

impl When {
    /// As it was written.
    pub fn shown(&self) -> Value {
        let mut shown = json!({"value": self.value});
        for (key, value) in [("equals", &self.equals), ("not_equals", &self.not_equals)] {
            if let Some(value) = value {
                shown[key] = value.clone();
            }
        }
        shown
    }

    fn holds(&self, scope: &Scope) -> Result<bool, Missing> {
        let value = scope.fill(&self.value)?;
        let same = |other: &Option<Value>| other.as_ref().map(|other| Ok(scope.fill(other)? == value)).transpose();
        let (equals, differs) = (same(&self.equals)?, same(&self.not_equals)?);
        if equals.is_none() && differs.is_none() {
            return Ok(!matches!(value, Value::Null | Value::Bool(false)) && value != json!("") && value != json!(0));
        }
        Ok(equals.unwrap_or(true) && !differs.unwrap_or(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, text: &str, want: Result<usize, &str>) {
        let given = Map::from_iter([("repo".to_owned(), json!("octo/cat"))]);
        let got = Workflow::parse(file, text, &given).map(|workflow| workflow.steps.len());
        assert_eq!(got.as_ref().map_err(String::as_str), want.as_ref().map_err(|text| *text), "{text}");
    }

    #[test]
    fn a_file_is_read_as_json_or_toml() {
        check("f", r#"{"steps":[{"id":"a","call":"x__y"},{"call":"x__z","args":{"t":"${steps.a.text}"}}]}"#, Ok(2));
        check("f.toml", "[[steps]]\ncall = \"x__y\"\nargs = { r = \"${args.repo}\" }\non_error = \"continue\"", Ok(1));
        check("f", "{\n\"steps\": 7}", Err("f:2:10: invalid type: integer `7`, expected a sequence"));
        check("f", r#"{"steps":[]}"#, Err("f: there are no `steps`"));
        check(
            "f.toml",
            "[[steps]]\ncal = 1",
            Err("f.toml:2: unknown field `cal`, expected one of `id`, `call`, `args`, `when`, `on_error`"),
        );
    }

    #[test]
    fn what_can_be_known_to_be_wrong_is_said_before_the_first_call() {
        let later = r#"{"steps":[{"id":"a","call":"x","args":{"t":["${steps.b.text}"]}},{"id":"b","call":"y"}]}"#;
        check("f", later, Err("f: step `a`: `${steps.b…}` refers to no step before it"));
        check(
            "f",
            r#"{"steps":[{"id":"a","call":"x","when":{"value":"${steps.a.text}"}}]}"#,
            Err("f: step `a`: `${steps.a…}` refers to no step before it"),
        );
        check(
            "f",
            r#"{"steps":[{"call":"x","args":{"a":"${args.user}"}}]}"#,
            Err("f: step `1`: `${args.user}` is not given; add `--arg user=VALUE`"),
        );
        check("f", r#"{"steps":[{"id":"a","call":"x"},{"id":"a","call":"x"}]}"#, Err("f: two steps are called `a`"));
        check(
            "f",
            r#"{"steps":[{"id":"a b","call":"x"}]}"#,
            Err("f: step `a b`: an `id` is made of letters, digits, `_` and `-`"),
        );
    }

    fn holds(when: Value, want: bool) {
        let mut scope = Scope::new(Map::new());
        scope.keep("a", r#"{"structuredContent":{"n":2,"none":0,"list":[]}}"#);
        let when: When = serde_json::from_value(when).unwrap();
        assert_eq!(when.holds(&scope), Ok(want), "{when:?}");
    }

    #[test]
    fn a_condition_compares_or_asks_whether_there_is_anything() {
        holds(json!({"value": "${steps.a.structuredContent.n}", "equals": 2}), true);
        holds(json!({"value": "${steps.a.structuredContent.n}", "not_equals": 2}), false);
        holds(json!({"value": "${steps.a.structuredContent.n}", "not_equals": "2"}), true);
        holds(json!({"value": "${steps.a.structuredContent.none}"}), false);
        holds(json!({"value": "${steps.a.structuredContent.list}"}), true);
        holds(json!({"value": "n=${steps.a.structuredContent.n}", "equals": "n=2"}), true);
    }
}
