//! Tools that somebody wrote down instead of a server listing them: read from JSON files, kept in the entry's setting
//! `declared`, read from there. Running them is not here.

use serde_json::{Map, Value as Json, json};

use super::fields::{Fields, FromNode};
use super::node::Node;
use super::place::{Place, Problem};
use builtin::handlers::Template;

/// A tool as it was declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredTool {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The JSON Schema of its arguments, an object, as JSON text.
    pub input_schema: String,
    /// What is run for a call of it: a program and its arguments, in which `{{NAME}}` stands for an argument of the
    /// call. No shell reads it.
    pub exec: Option<Vec<String>>,
}

impl DeclaredTool {
    /// Its definition as a server would list it, as JSON text.
    pub fn definition(&self) -> String {
        let schema: Json = serde_json::from_str(&self.input_schema).unwrap_or_else(|_| json!({"type": "object"}));
        let mut definition = Map::from_iter([("name".to_owned(), self.name.as_str().into())]);
        definition.extend(self.description.as_deref().map(|text| ("description".to_owned(), text.into())));
        definition.insert("inputSchema".to_owned(), schema);
        Json::Object(definition).to_string()
    }
}

/// What the setting is called.
pub(super) const KEY: &str = "declared";

/// Types that one word stands for.
const TYPES: [&str; 6] = ["string", "number", "integer", "boolean", "array", "object"];

/// Brings the declared tools of JSON entries into the form in which they are kept: all that stand in `document`, which
/// is one server's object or holds several.
///
/// # Errors
/// A tool that is none, with its JSON pointer.
pub(super) fn expand(document: &mut Json, place: &Place) -> Result<(), Problem> {
    let Json::Object(root) = document else { return Ok(()) };
    entry(root, place)?;
    for key in ["mcpServers", "mcp_servers", "servers"] {
        let place = place.inside(key);
        let Some(Json::Object(servers)) = root.get_mut(key) else { continue };
        for (name, server) in servers {
            if let Json::Object(server) = server {
                entry(server, &place.inside(name))?;
            }
        }
    }
    Ok(())
}

fn entry(entry: &mut Map<String, Json>, place: &Place) -> Result<(), Problem> {
    // As an object it holds settings of single tools.
    let Some(Json::Array(tools)) = entry.get("tools") else { return Ok(()) };
    let place = place.inside("tools");
    let declared = tools.iter().enumerate().map(|(index, one)| tool(one, &place.inside(&index.to_string())));
    let declared = declared.collect::<Result<Vec<_>, _>>()?;
    entry.remove("tools");
    entry.insert(KEY.to_owned(), Json::Array(declared));
    Ok(())
}

fn tool(tool: &Json, place: &Place) -> Result<Json, Problem> {
    let Json::Object(tool) = tool else {
        return Err(Problem::new(place, "invalid type: expected an object with `name` and `parameters`"));
    };
    let name = tool.get("name").ok_or_else(|| Problem::new(place, "`name` is missing"))?;
    let schema = match (tool.get("inputSchema"), tool.get("parameters")) {
        (Some(_), Some(_)) => {
            return Err(Problem::new(
                &place.inside("inputSchema"),
                "`inputSchema` and `parameters` are the same setting",
            ));
        }
        (Some(schema), None) => schema.clone(),
        (None, Some(parameters)) => parameters_schema(parameters, &place.inside("parameters"))?,
        (None, None) => json!({"type": "object", "properties": {}}),
    };
    let mut declared = Map::from_iter([("name".to_owned(), name.clone())]);
    declared.extend(tool.get("description").map(|text| ("description".to_owned(), text.clone())));
    declared.insert("input_schema".to_owned(), schema.to_string().into());
    declared.extend(tool.get("exec").map(|words| ("exec".to_owned(), words.clone())));
    Ok(Json::Object(declared))
}

/// A schema is taken as it is; otherwise each member is a parameter, and all of them are needed.
fn parameters_schema(parameters: &Json, place: &Place) -> Result<Json, Problem> {
    let Json::Object(members) = parameters else {
        return Err(Problem::new(place, "invalid type: expected an object, a type for each parameter"));
    };
    let whole = members.get("type").is_some_and(|kind| kind == "object")
        || members.get("properties").is_some_and(Json::is_object);
    if whole {
        return Ok(parameters.clone());
    }
    let property = |(name, kind): (&String, &Json)| match kind {
        Json::String(word) if TYPES.contains(&word.as_str()) => Ok((name.clone(), json!({ "type": word }))),
        Json::Object(_) => Ok((name.clone(), kind.clone())),
        Json::String(word) => {
            let problem = Problem::new(&place.inside(name), format!("unknown type `{}`", word.escape_debug()));
            Err(problem.hint(format!("one of `{}`, or a JSON Schema", TYPES.join("`, `"))))
        }
        _ => Err(Problem::new(&place.inside(name), "expected the name of a type, or a JSON Schema")),
    };
    let properties: Map<String, Json> = members.iter().map(property).collect::<Result<_, _>>()?;
    let required: Vec<&String> = members.keys().collect();
    Ok(json!({"type": "object", "properties": properties, "required": required}))
}

/// Takes the declared tools of an entry.
///
/// # Errors
/// One that cannot be used as written.
pub(super) fn read(fields: &mut Fields) -> Result<Vec<DeclaredTool>, Problem> {
    let place = fields.place_of(KEY);
    let tools: Vec<DeclaredTool> = fields.or(KEY, Vec::new())?;
    for (index, tool) in tools.iter().enumerate() {
        if tools[..index].iter().any(|other| other.name == tool.name) {
            return Err(Problem::new(&place, format!("`{KEY}`: the tool `{}` stands there twice", tool.name)));
        }
    }
    Ok(tools)
}

impl FromNode for DeclaredTool {
    fn from_node(node: Node) -> Result<Self, Problem> {
        let place = node.place.clone();
        let mut fields = Fields::of("", node)?;
        let name: String = fields.get("name")?.ok_or_else(|| Problem::new(&place, "`name` is missing"))?;
        if name.is_empty() || name.len() > 128 || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(Problem::new(&place, format!("`{}` is no name of a tool", name.escape_debug())));
        }
        let description = fields.get("description")?;
        let schema_place = fields.place_of("input_schema");
        let input_schema: String = fields.or("input_schema", r#"{"type":"object"}"#.to_owned())?;
        if !serde_json::from_str::<Json>(&input_schema).is_ok_and(|schema| schema.is_object()) {
            return Err(Problem::new(&schema_place, format!("the schema of the tool `{name}` is no JSON object")));
        }
        let exec_place = fields.place_of("exec");
        let exec: Option<Vec<String>> = fields.get("exec")?;
        if let Some(words) = &exec {
            Template::new(words, &input_schema).map_err(|why| {
                Problem::new(&exec_place, format!("`exec` of the tool `{name}`: {why}"))
                    .hint("a program and its arguments, such as [\"psql\", \"-c\", \"{{query}}\"]")
            })?;
        }
        fields.finish(&["name", "description", "input_schema", "exec"])?;
        Ok(Self { name, description, input_schema, exec })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<Json, Problem> {
        let mut document = serde_json::from_str(text).unwrap();
        expand(&mut document, &Place::Json { document: "f.json".into(), pointer: String::new() }).map(|()| document)
    }

    fn schema(parameters: &str) -> String {
        let text = format!(r#"{{"tools": [{{"name": "t", "parameters": {parameters}}}]}}"#);
        expanded(&text).unwrap()["declared"][0]["input_schema"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_word_stands_for_a_type_and_every_parameter_is_needed() {
        assert_eq!(
            schema(r#"{"query": "string", "database": "integer"}"#),
            r#"{"type":"object","properties":{"query":{"type":"string"},"database":{"type":"integer"}},"required":["query","database"]}"#
        );
        assert_eq!(
            schema(r#"{"a": {"enum": [1]}}"#),
            r#"{"type":"object","properties":{"a":{"enum":[1]}},"required":["a"]}"#
        );
    }

    #[test]
    fn a_schema_is_taken_as_it_is() {
        for whole in [r#"{"type":"object"}"#, r#"{"properties":{"z":{},"a":{}},"required":[]}"#] {
            assert_eq!(schema(whole), whole);
        }
        let tools = expanded(r#"{"tools": [{"name": "t", "inputSchema": {"type": "object", "x": null}}]}"#).unwrap();
        assert_eq!(tools["declared"][0]["input_schema"], r#"{"type":"object","x":null}"#);
    }

    #[test]
    fn a_mistake_has_its_pointer() {
        for (tool, words) in [
            (r#"{"name": "t", "parameters": {"a": "strng"}}"#, "f.json#/tools/0/parameters/a: unknown type `strng`"),
            (r#"{"name": "t", "parameters": {"a": 1}}"#, "f.json#/tools/0/parameters/a: expected the name"),
            (r#"{"name": "t", "parameters": []}"#, "f.json#/tools/0/parameters: invalid type"),
            (r#"{"parameters": {}}"#, "f.json#/tools/0: `name` is missing"),
            ("1", "f.json#/tools/0: invalid type"),
        ] {
            let problem = expanded(&format!(r#"{{"tools": [{tool}]}}"#)).unwrap_err().to_string();
            assert!(problem.starts_with(words), "{problem}");
        }
    }

    #[test]
    fn settings_of_tools_are_no_declarations() {
        let text = r#"{"tools":{"t":{"approval_mode":"deny"}}}"#;
        assert_eq!(expanded(text).unwrap().to_string(), text);
        let many = expanded(r#"{"mcpServers": {"a": {"tools": [{"name": "t"}]}}}"#).unwrap();
        assert_eq!(many["mcpServers"]["a"]["declared"][0]["name"], "t");
    }
}
