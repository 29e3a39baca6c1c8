//! A command line with places for arguments. No shell ever reads it: a value stays within its word.

use serde_json::{Map, Value};

/// The words of a command line, some of them with places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Vec<Piece>>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Argument(String),
}

/// Why words are no command line.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadTemplate {
    /// There is no program.
    #[error("it names no program")]
    NoProgram,
    /// A caller would choose the program.
    #[error("the program may not depend on an argument")]
    OpenProgram,
    /// A place that is not closed.
    #[error("`{0}`: a `{{{{` has no `}}}}`")]
    Unclosed(String),
    /// A place for an argument that the tool does not have.
    #[error("`{{{{{0}}}}}` is none of the tool's parameters")]
    Unknown(String),
    /// The operating system knows no such words.
    #[error("a word holds a NUL")]
    Nul,
}

impl Template {
    /// Reads `words`; `schema` is the JSON Schema of the arguments, as JSON text.
    ///
    /// # Errors
    /// [`BadTemplate`].
    pub fn new(words: &[String], schema: &str) -> Result<Self, BadTemplate> {
        let template = Self(words.iter().map(|word| pieces(word)).collect::<Result<_, _>>()?);
        match template.0.first().map(Vec::as_slice) {
            None | Some([]) => return Err(BadTemplate::NoProgram),
            Some([Piece::Text(_)]) => {}
            Some(_) => return Err(BadTemplate::OpenProgram),
        }
        let schema: Value = serde_json::from_str(schema).unwrap_or_default();
        let known = |name: &String| schema["properties"].get(name).is_some();
        let arguments = template.0.iter().flatten().filter_map(|piece| match piece {
            Piece::Argument(name) => Some(name),
            Piece::Text(_) => None,
        });
        match { arguments }.find(|name| !known(name)) {
            Some(name) => Err(BadTemplate::Unknown(name.clone())),
            None => Ok(template),
        }
    }

    /// The program, a name or a path.
    pub fn program(&self) -> &str {
        match self.0.first().map(Vec::as_slice) {
            Some([Piece::Text(program)]) => program,
            _ => "",
        }
    }

    /// The words behind the program for these arguments. A word that is nothing but the place of an argument that was
    /// not given is left out.
    ///
    /// # Errors
    /// An argument that cannot stand where it would, in words for whoever gave it.
    pub fn fill(&self, arguments: &Map<String, Value>) -> Result<Vec<String>, String> {
        let (mut words, mut only_operands) = (Vec::new(), false);
        for word in self.0.iter().skip(1) {
            if let [Piece::Argument(name)] = word.as_slice()
                && arguments.get(name).is_none_or(Value::is_null)
            {
                continue;
            }
            let filled: String = word.iter().map(|piece| piece.text(arguments)).collect();
            if filled.contains('\0') {
                return Err("an argument holds a NUL".to_owned());
            }
            if let Some(Piece::Argument(name)) = word.first()
                && filled.starts_with('-')
                && !only_operands
            {
                return Err(format!("`{name}` may not begin with `-`: the program would take it for an option"));
            }
            only_operands |= filled == "--";
            words.push(filled);
        }
        Ok(words)
    }
}

impl Piece {
    fn text(&self, arguments: &Map<String, Value>) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Argument(name) => match arguments.get(name) {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            },
        }
    }
}

fn pieces(word: &str) -> Result<Vec<Piece>, BadTemplate> {
    if word.contains('\0') {
        return Err(BadTemplate::Nul);
    }
    let (mut pieces, mut rest) = (Vec::new(), word);
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, behind) = after.split_once("}}").ok_or_else(|| BadTemplate::Unclosed(word.to_owned()))?;
        pieces.extend((!before.is_empty()).then(|| Piece::Text(before.to_owned())));
        pieces.push(Piece::Argument(name.trim().to_owned()));
        rest = behind;
    }
    // An empty word is a word too, though no program.
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SCHEMA: &str = r#"{"type":"object","properties":{"query":{},"n":{},"on":{}}}"#;

    fn template(words: &[&str]) -> Result<Template, BadTemplate> {
        Template::new(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>(), SCHEMA)
    }

    fn check(words: &[&str], arguments: &Value, expected: Result<&[&str], &str>) {
        let filled = template(words).unwrap().fill(arguments.as_object().unwrap());
        let filled = filled.as_ref().map(|words| words.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(filled.as_ref().map(Vec::as_slice).map_err(|why| why.as_str()), expected, "{words:?} {arguments}");
    }

    #[test]
    fn an_argument_stays_within_its_word() {
        check(
            &["psql", "-c", "{{query}}"],
            &json!({"query": "a b; $(c) 'd' {{n}}"}),
            Ok(&["-c", "a b; $(c) 'd' {{n}}"]),
        );
        check(&["x", "--n={{n}}/{{ on }}"], &json!({"n": 1.50, "on": [true]}), Ok(&["--n=1.5/[true]"]));
        check(&["x", "", "{{n}}", "a{{n}}"], &json!({}), Ok(&["", "a"]));
    }

    #[test]
    fn an_argument_is_never_an_option() {
        let said = json!({"query": "--output=/etc/x"});
        let refused = "`query` may not begin with `-`: the program would take it for an option";
        check(&["grep", "{{query}}"], &said, Err(refused));
        check(&["grep", "--", "{{query}}"], &said, Ok(&["--", "--output=/etc/x"]));
        check(&["grep", "--regexp={{query}}"], &said, Ok(&["--regexp=--output=/etc/x"]));
        check(
            &["grep", "{{n}}{{query}}"],
            &said,
            Err("`n` may not begin with `-`: the program would take it for an option"),
        );
        check(&["grep", "{{query}}"], &json!({"query": "a\0b"}), Err("an argument holds a NUL"));
    }

    #[test]
    fn what_is_no_command_line_is_refused() {
        for (words, why) in [
            (&[][..], BadTemplate::NoProgram),
            (&[""], BadTemplate::NoProgram),
            (&["{{query}}"], BadTemplate::OpenProgram),
            (&["a{{query}}"], BadTemplate::OpenProgram),
            (&["x", "{{query"], BadTemplate::Unclosed("{{query".into())),
            (&["x", "{{other}}"], BadTemplate::Unknown("other".into())),
            (&["x", "a\0"], BadTemplate::Nul),
        ] {
            assert_eq!(template(words), Err(why), "{words:?}");
        }
    }
}
