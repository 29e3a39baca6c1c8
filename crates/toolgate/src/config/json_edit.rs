//! Changing `config.json` by as few bytes as possible: the same changes as those of TOML files, in the spelling that
//! other programs read. Pure: files and locks are in `write`.

use serde_json::{Map, Value as Json, json};
use toml_edit::{DocumentMut, Table, Value};

use super::edit::{Edit, EditError};
use super::json_layer::KEYS;
use crate::jsonc::Doc;

/// Applies the changes in order; all else stays as it is, comments too.
///
/// # Errors
/// When the text is no JSON or cannot be edited faithfully.
pub(super) fn apply(text: &str, edits: &[Edit]) -> Result<String, EditError> {
    let empty = text.trim().is_empty();
    let start = if empty { "{}\n" } else { text };
    let edited = edits.iter().try_fold(start.to_owned(), one)?;
    Ok(if empty && edited == start { text.to_owned() } else { edited })
}

fn one(text: String, edit: &Edit) -> Result<String, EditError> {
    match edit {
        Edit::Put { name, table } => put(&text, name, &entry(values(table))),
        Edit::Add { name, table } => {
            values(table).into_iter().try_fold(text, |text, (key, value)| set(&text, name, &[key], Some(value)))
        }
        Edit::Set { name, path, value } => set(&text, name, path, value.as_ref().map(plain)),
        Edit::Remove { name } => {
            let doc = parse(&text)?;
            Ok(home(&doc, name).map(|key| doc.remove(&[key, name])).transpose()?.unwrap_or(text))
        }
        // Codex's own file says who is trusted.
        Edit::Project { .. } => Ok(text),
    }
}

fn parse(text: &str) -> Result<Doc, EditError> {
    Doc::parse(text)
        .map_err(|mistake| EditError::Syntax { offset: mistake.offset, message: format!("not JSON: {}", mistake.what) })
}

/// The table that has the server; the better name wins where both have it.
fn home(doc: &Doc, name: &str) -> Option<&'static str> {
    KEYS.into_iter().rev().find(|key| doc.get(&[key, name]).is_some())
}

fn put(text: &str, name: &str, entry: &Json) -> Result<String, EditError> {
    let doc = parse(text)?;
    if let Some(key) = home(&doc, name) {
        return Ok(doc.replace(&[key, name], &doc.spell(&[key], entry))?);
    }
    if let Some(key) = KEYS.into_iter().rev().find(|key| doc.get(&[key]).is_some()) {
        return Ok(doc.insert(&[key], name, &doc.spell(&[key], entry))?);
    }
    let key = KEYS[KEYS.len() - 1];
    Ok(doc.insert(&[], key, &doc.spell(&[], &json!({ name: entry })))?)
}

/// One setting; without a value it is taken out.
fn set(text: &str, name: &str, path: &[String], value: Option<Json>) -> Result<String, EditError> {
    let doc = parse(text)?;
    let Some(home) = home(&doc, name) else {
        return match value {
            Some(value) => put(text, name, &nested(path, value)),
            None => Ok(text.to_owned()),
        };
    };
    let at = |key: &str| doc.get(&[home, name, key]).is_some();
    if path == ["enabled"] && at("disabled") {
        return set(&doc.remove(&[home, name, "disabled"])?, name, path, value);
    }
    // The same setting goes by two names.
    let first = if path[0] == "http_headers" && at("headers") { "headers" } else { path[0].as_str() };
    let path: Vec<&str> = [home, name, first].into_iter().chain(path[1..].iter().map(String::as_str)).collect();
    let there = (2..=path.len()).rev().find(|&length| doc.get(&path[..length]).is_some()).unwrap_or(2);
    match value {
        None if there == path.len() => Ok(doc.remove(&path)?),
        None => Ok(text.to_owned()),
        Some(value) if there == path.len() => Ok(doc.replace(&path, &doc.spell(&path[..there - 1], &value))?),
        Some(value) => {
            let (above, below) = (&path[..there], &path[there + 1..]);
            let below: Vec<String> = below.iter().map(|&key| key.to_owned()).collect();
            Ok(doc.insert(above, path[there], &doc.spell(above, &nested(&below, value)))?)
        }
    }
}

fn nested(path: &[String], value: Json) -> Json {
    path.iter().rev().fold(value, |inner, key| json!({ key: inner }))
}

/// The entry as other programs write it: how it is reached comes first, headers go by their short name.
fn entry(mut table: Map<String, Json>) -> Json {
    if let Some(url) = table.remove("url") {
        let kind = table.remove("transport").unwrap_or_else(|| "http".into());
        let headers = table.remove("http_headers").or_else(|| table.remove("headers"));
        let headers = headers.unwrap_or_else(|| json!({}));
        let enabled = table.remove("enabled").unwrap_or(Json::Bool(true));
        table.extend([
            ("transport".to_owned(), kind),
            ("url".to_owned(), url),
            ("headers".to_owned(), headers),
            ("enabled".to_owned(), enabled),
        ]);
    }
    Json::Object(table)
}

fn values(table: &Table) -> Map<String, Json> {
    let text = DocumentMut::from(table.clone()).to_string();
    toml::from_str(&text).expect("a table that was built is TOML")
}

fn plain(value: &Value) -> Json {
    match value {
        Value::String(text) => text.value().as_str().into(),
        Value::Integer(number) => (*number.value()).into(),
        Value::Float(number) => (*number.value()).into(),
        Value::Boolean(flag) => (*flag.value()).into(),
        Value::Datetime(date) => date.value().to_string().into(),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::InlineTable(table) => {
            Json::Object(table.iter().map(|(key, value)| (key.to_owned(), plain(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{
  // mine
  "theme": "dark",
  "mcp_servers": {
    "a": {"transport": "http", "url": "http://h", "headers": {"X": "1"}, "disabled": true}, // why
  }
}
"#;

    fn table(text: &str) -> Table {
        text.parse::<DocumentMut>().unwrap().as_table().clone()
    }

    fn put_edit(name: &str, text: &str) -> Edit {
        Edit::Put { name: name.to_owned(), table: table(text) }
    }

    fn set_edit(path: &str, value: Option<&str>) -> Edit {
        let path = path.split('.').map(str::to_owned).collect();
        Edit::Set { name: "a".to_owned(), path, value: value.map(|text| text.parse().unwrap()) }
    }

    fn check(edit: &Edit, from: &str, to: &str) {
        assert!(FILE.contains(from));
        assert_eq!(apply(FILE, std::slice::from_ref(edit)).unwrap(), FILE.replace(from, to));
    }

    #[test]
    fn a_server_is_written_with_four_keys() {
        let text = apply("", &[put_edit("a", "url = 'http://h'\n[http_headers]\nX = '1'")]).unwrap();
        let entry = json!({"transport": "http", "url": "http://h", "headers": {"X": "1"}, "enabled": true});
        let read: Json = serde_json::from_str(&text).unwrap();
        assert_eq!(read, json!({"mcp_servers": {"a": entry}}));
        assert!(text.starts_with("{\n  \"mcp_servers\": {\n    \"a\": {\n      \""), "{text}");
        let command = apply("{}", &[put_edit("a", "command = 'x'\nargs = ['1']")]).unwrap();
        let read: Json = serde_json::from_str(&command).unwrap();
        assert_eq!(read["mcp_servers"]["a"], json!({"command": "x", "args": ["1"]}));
    }

    #[test]
    fn what_is_not_edited_stays() {
        let entry = r#"{"transport": "http", "url": "http://h", "headers": {"X": "1"}, "disabled": true}"#;
        check(&set_edit("enabled", Some("true")), "\"disabled\"", "\"enabled\"");
        check(&set_edit("http_headers.X", Some("'2'")), r#""X": "1""#, r#""X": "2""#);
        check(&set_edit("headers.X", None), r#"{"X": "1"}"#, "{}");
        check(&set_edit("cwd", None), "", "");
        check(
            &set_edit("tools.t.mode", Some("'x'")),
            "\"disabled\": true",
            r#""disabled": true, "tools": {"t": {"mode": "x"}}"#,
        );
        check(&Edit::Remove { name: "b".to_owned() }, "", "");
        let added = Edit::Add { name: "a".to_owned(), table: table("enabled = true") };
        check(&added, "\"disabled\"", "\"enabled\"");
        let gone = apply(FILE, &[Edit::Remove { name: "a".to_owned() }]).unwrap();
        assert!(gone.contains("// mine") && !gone.contains(entry), "{gone}");
        let back = apply(FILE, &[put_edit("b", "command = 'x'"), Edit::Remove { name: "b".to_owned() }]).unwrap();
        assert_eq!(back, FILE);
    }

    #[test]
    fn what_is_no_json_is_left_alone() {
        let error = apply("{oops", &[put_edit("a", "command = 'x'")]).unwrap_err();
        assert!(error.to_string().starts_with("does not parse: not JSON: "), "{error}");
        let error = apply("{\"mcp_servers\": []}", &[put_edit("a", "command = 'x'")]).unwrap_err();
        assert_eq!(error.to_string(), "there is no object at `mcp_servers`");
    }
}
