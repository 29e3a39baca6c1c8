//! `x-mcp-header`: arguments of a tool that its server wants to see as headers.

use super::PARAM_PREFIX;
use super::value::{decode_value, encode_value};
use crate::json::Flaw;
use crate::view;
use http::{HeaderName, HeaderValue};
use std::borrow::Cow;
use thiserror::Error;

const ANNOTATION: &str = "x-mcp-header";

/// What an annotated argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// Text.
    String,
    /// A whole number, compared numerically.
    Integer,
    /// `true` or `false`.
    Boolean,
}

/// One annotated argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamHeader {
    /// The whole header name, `mcp-param-` included.
    pub name: HeaderName,
    /// The keys from `arguments` to the value.
    pub path: Vec<String>,
    /// What the schema says the value is.
    pub kind: ParamKind,
}

/// An annotation that makes a tool unusable over HTTP: drop the tool, or strip the annotation on re-export.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidAnnotation {
    /// The schema cannot be read.
    #[error("the input schema cannot be read")]
    Unreadable,
    /// The annotation's value is no header token.
    #[error("`x-mcp-header` at `{0}` is not a non-empty header token")]
    NotAToken(String),
    /// The annotated property is no string, integer or boolean.
    #[error("`x-mcp-header` at `{0}` is on something that is not a string, an integer or a boolean")]
    NotPrimitive(String),
    /// The annotated schema is not reached through `properties` alone.
    #[error("`x-mcp-header` at `{0}` cannot be reached through `properties` alone")]
    Unreachable(String),
    /// Two annotations give the same header, case aside.
    #[error("`x-mcp-header` gives `{0}` twice")]
    Repeated(String),
}

/// The headers an input schema asks for.
///
/// # Errors
/// [`InvalidAnnotation`], the first one found.
pub fn params_of(input_schema_raw: &str) -> Result<Vec<ParamHeader>, InvalidAnnotation> {
    // Nearly no schema has an annotation; an escaped spelling of the key would hold a backslash.
    if !input_schema_raw.contains(ANNOTATION) && !input_schema_raw.contains('\\') {
        return Ok(Vec::new());
    }
    let mut search = Search::default();
    search.schema(input_schema_raw, true)?;
    Ok(search.found)
}

/// The headers for one call's raw `arguments`. Absent and null arguments give none.
pub fn values(params: &[ParamHeader], arguments_raw: &str) -> Vec<(HeaderName, HeaderValue)> {
    let header = |param: &ParamHeader| Some((param.name.clone(), encode_value(&argument(param, arguments_raw)?)));
    params.iter().filter_map(header).collect()
}

/// The text the argument of `param` is mirrored as; none if it is absent, null, or no primitive value.
pub(super) fn argument(param: &ParamHeader, arguments_raw: &str) -> Option<String> {
    let keys: Vec<&str> = param.path.iter().map(String::as_str).collect();
    match view::path(arguments_raw, &keys)? {
        raw @ ("true" | "false") => Some(raw.to_owned()),
        raw if raw.starts_with('"') => view::string(raw).map(Cow::into_owned),
        raw if raw.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => {
            Some(whole(raw).map_or_else(|| raw.to_owned(), |number| number.to_string()))
        }
        _ => None,
    }
}

/// Whether a header's value says what the argument `text` says.
pub(super) fn agrees(param: &ParamHeader, value: &HeaderValue, text: &str) -> Option<bool> {
    let said = decode_value(value).ok()?;
    let numbers = || Some(whole(&said)? == whole(text)?);
    Some(said == text || param.kind == ParamKind::Integer && numbers().unwrap_or(false))
}

/// The whole number that a JSON number stands for, in the range in which a double is exact.
fn whole(raw: &str) -> Option<i64> {
    const SAFE: i64 = (1 << 53) - 1;
    let number = match raw.parse::<i64>() {
        Ok(number) => number,
        Err(_) => {
            let number = raw.parse::<f64>().ok().filter(|number| number.fract() == 0.0)?;
            // A saturating cast; what lies outside is refused below.
            number as i64
        }
    };
    (-SAFE..=SAFE).contains(&number).then_some(number)
}

/// Keywords whose values are data, in which a key of our name means nothing.
const DATA_KEYWORDS: [&str; 5] = ["const", "default", "enum", "examples", "example"];

/// Keywords whose value maps names to schemas, so that a key of our name is a name.
const NAMED_SCHEMAS: [&str; 6] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"];

#[derive(Default)]
struct Search {
    found: Vec<ParamHeader>,
    path: Vec<String>,
}

impl Search {
    /// Looks through one schema; `reachable` if `properties` alone lead here.
    fn schema(&mut self, raw: &str, reachable: bool) -> Result<(), InvalidAnnotation> {
        if raw.starts_with('[') {
            let elements = view::elements(raw).map_err(unreadable)?;
            return elements.iter().try_for_each(|element| self.schema(element.of(raw), false));
        }
        if !raw.starts_with('{') {
            return Ok(());
        }
        for (key, value) in members(raw)? {
            match &*key {
                ANNOTATION => self.annotation(raw, value, reachable)?,
                "properties" => self.properties(value, reachable)?,
                key if NAMED_SCHEMAS.contains(&key) => self.properties(value, false)?,
                key if DATA_KEYWORDS.contains(&key) => {}
                _ => self.schema(value, false)?,
            }
        }
        Ok(())
    }

    fn properties(&mut self, raw: &str, reachable: bool) -> Result<(), InvalidAnnotation> {
        if !raw.starts_with('{') {
            return self.schema(raw, false);
        }
        for (name, schema) in members(raw)? {
            self.path.push(name.into_owned());
            self.schema(schema, reachable)?;
            self.path.pop();
        }
        Ok(())
    }

    fn annotation(&mut self, schema: &str, value: &str, reachable: bool) -> Result<(), InvalidAnnotation> {
        let place = || self.path.join(".");
        if !reachable || self.path.is_empty() {
            return Err(InvalidAnnotation::Unreachable(place()));
        }
        let kind =
            view::member(schema, "type").and_then(kind).ok_or_else(|| InvalidAnnotation::NotPrimitive(place()))?;
        let token = view::string(value).ok_or_else(|| InvalidAnnotation::NotAToken(place()))?;
        let name = header_name(&token).ok_or_else(|| InvalidAnnotation::NotAToken(place()))?;
        if self.found.iter().any(|param| param.name == name) {
            return Err(InvalidAnnotation::Repeated(name.as_str().to_owned()));
        }
        self.found.push(ParamHeader { name, path: self.path.clone(), kind });
        Ok(())
    }
}

fn members(raw: &str) -> Result<impl Iterator<Item = (Cow<'_, str>, &str)>, InvalidAnnotation> {
    let members = view::members(raw).map_err(unreadable)?;
    let read = move |member: crate::json::Member| {
        (view::string(member.key.of(raw)).unwrap_or(Cow::Borrowed("")), member.value.of(raw))
    };
    Ok(members.into_iter().map(read))
}

fn unreadable(_: Flaw) -> InvalidAnnotation {
    InvalidAnnotation::Unreadable
}

fn kind(raw: &str) -> Option<ParamKind> {
    match &*view::string(raw)? {
        "string" => Some(ParamKind::String),
        "integer" => Some(ParamKind::Integer),
        "boolean" => Some(ParamKind::Boolean),
        _ => None,
    }
}

fn header_name(token: &str) -> Option<HeaderName> {
    // `http` takes what RFC 9110 calls a token and lower-cases it, which makes names comparable.
    let name = HeaderName::from_bytes(format!("{PARAM_PREFIX}{token}").as_bytes()).ok()?;
    (!token.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &str, want: &[(&str, &str, ParamKind)]) {
        let found = params_of(schema).expect("valid annotations");
        let found: Vec<_> = found.iter().map(|p| (p.name.as_str(), p.path.join("/"), p.kind)).collect();
        let want: Vec<_> = want.iter().map(|(name, path, kind)| (*name, (*path).to_owned(), *kind)).collect();
        assert_eq!(found, want);
    }

    fn check_invalid(schema: &str, want: &str) {
        let error = params_of(schema).expect_err("an invalid annotation");
        assert!(error.to_string().contains(want), "{error}");
    }

    const SCHEMA: &str = r#"{"type": "object", "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "deep": {"type": "object", "properties": {"limit": {"x-mcp-header": "limit", "type": "integer"}}},
        "dry": {"type": "boolean", "x-mcp-header": "Dry-Run"},
        "query": {"type": "string"}}}"#;

    #[test]
    fn annotations_are_found_through_properties() {
        check(r#"{"type":"object"}"#, &[]);
        check("true", &[]);
        check(
            SCHEMA,
            &[
                ("mcp-param-region", "region", ParamKind::String),
                ("mcp-param-limit", "deep/limit", ParamKind::Integer),
                ("mcp-param-dry-run", "dry", ParamKind::Boolean),
            ],
        );
    }

    #[test]
    fn an_annotation_spelled_with_escapes_is_found() {
        let schema = r#"{"properties":{"a":{"type":"string","x-mcp-head\u0065r":"A"}}}"#;
        check(schema, &[("mcp-param-a", "a", ParamKind::String)]);
    }

    #[test]
    fn a_property_of_that_name_and_data_are_no_annotations() {
        check(r#"{"properties":{"x-mcp-header":{"type":"string"}}}"#, &[]);
        check(r#"{"properties":{"a":{"default":{"x-mcp-header":"A"},"enum":[{"x-mcp-header":""}]}}}"#, &[]);
        check(r#"{"$defs":{"x-mcp-header":{"type":"string"}}}"#, &[]);
    }

    #[test]
    fn invalid_annotations_are_named() {
        let property = |text: &str| format!(r#"{{"properties":{{"a":{text}}}}}"#);
        check_invalid(&property(r#"{"type":"string","x-mcp-header":""}"#), "`a` is not a non-empty header token");
        for value in ["\"a b\"", "\"a\\r\\nb\"", "\"a:b\"", "\"é\"", "7", "null"] {
            check_invalid(&property(&format!(r#"{{"type":"string","x-mcp-header":{value}}}"#)), "header token");
        }
        for kind in ["\"number\"", "\"object\"", "\"array\"", "[\"string\",\"null\"]", "null"] {
            check_invalid(&property(&format!(r#"{{"type":{kind},"x-mcp-header":"A"}}"#)), "not a string");
        }
        check_invalid(&property(r#"{"x-mcp-header":"A"}"#), "not a string");
        check_invalid(r#"{"type":"string","x-mcp-header":"A"}"#, "cannot be reached");
        check_invalid("{\"x-mcp-header\"", "cannot be read");
    }

    #[test]
    fn annotations_off_the_straight_path_are_invalid() {
        let annotated = r#"{"type":"string","x-mcp-header":"A"}"#;
        for schema in [
            format!(r#"{{"properties":{{"a":{{"items":{annotated}}}}}}}"#),
            format!(r#"{{"properties":{{"a":{{"anyOf":[{annotated}]}}}}}}"#),
            format!(r#"{{"oneOf":[{{"properties":{{"a":{annotated}}}}}]}}"#),
            format!(r#"{{"if":{{"properties":{{"a":{annotated}}}}}}}"#),
            format!(r##"{{"properties":{{"a":{{"$ref":"#/$defs/b"}}}},"$defs":{{"b":{annotated}}}}}"##),
            format!(r#"{{"patternProperties":{{"a":{annotated}}}}}"#),
            format!(r#"{{"additionalProperties":{annotated}}}"#),
            format!(r#"{{"properties":{{"a":{{"items":{{"properties":{{"b":{annotated}}}}}}}}}}}"#),
        ] {
            check_invalid(&schema, "cannot be reached");
        }
    }

    #[test]
    fn names_are_unique_case_aside() {
        check_invalid(
            r#"{"properties":{"a":{"type":"string","x-mcp-header":"Same"},"b":{"type":"string","x-mcp-header":"sAME"}}}"#,
            "`mcp-param-same` twice",
        );
    }

    fn check_values(arguments: &str, want: &[(&str, &str)]) {
        let found = values(&params_of(SCHEMA).expect("valid"), arguments);
        let found: Vec<_> = found.iter().map(|(n, v)| (n.as_str(), v.to_str().expect("ASCII"))).collect();
        assert_eq!(found, want);
    }

    #[test]
    fn arguments_are_mirrored() {
        check_values(
            r#"{"region":"us-west1","dry":false,"deep":{"limit":-7},"query":"x"}"#,
            &[("mcp-param-region", "us-west1"), ("mcp-param-limit", "-7"), ("mcp-param-dry-run", "false")],
        );
        check_values(r#"{"region":"世"}"#, &[("mcp-param-region", "=?base64?5LiW?=")]);
        check_values(r#"{"deep":{"limit":42.0}}"#, &[("mcp-param-limit", "42")]);
        check_values(r#"{"deep":{"limit":4e2}}"#, &[("mcp-param-limit", "400")]);
    }

    #[test]
    fn absent_null_and_compound_arguments_give_no_header() {
        check_values("{}", &[]);
        check_values("null", &[]);
        check_values(r#"{"region":null,"deep":null,"dry":{}}"#, &[]);
        check_values(r#"{"deep":[{"limit":1}],"region":["x"]}"#, &[]);
    }
}
