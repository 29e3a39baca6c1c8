//! The lists: tools, resources, prompts, and how they are cut into pages.

use serde_json::{Value, json};

use super::behaviour::Behaviour;
use super::wire::{Answer, Refusal, Request};

/// Arguments of a tool: name and JSON type.
type Properties<'a> = &'a [(&'a str, &'a str)];
/// Name, description, arguments and hint of a tool.
type Named = (&'static str, &'static str, Properties<'static>, Hint);

/// The tools with a behaviour of their own.
const TOOLS: [Named; 24] = [
    ("echo", "Answers its text", &[("text", "string")], Hint::Reads),
    ("echo_raw", "Answers its arguments byte for byte as structured content", &[], Hint::Reads),
    ("write_thing", "Writes a thing", &[("text", "string")], Hint::None),
    ("delete_thing", "Deletes a thing", &[("text", "string")], Hint::Destroys),
    ("slow", "Answers after `ms`, in `steps` of progress", &[("ms", "integer"), ("steps", "integer")], Hint::Reads),
    ("big", "Answers `bytes` of text", &[("bytes", "integer")], Hint::Reads),
    ("fail", "Answers that it failed", &[("text", "string")], Hint::Reads),
    ("rpc_error", "Answers a JSON-RPC error", &[("code", "integer"), ("message", "string")], Hint::Reads),
    ("env", "Answers the environment of the process as JSON", &[], Hint::Reads),
    ("pid", "Answers the id of the process", &[], Hint::Reads),
    ("verbatim", "Answers exactly this JSON text as its whole result", &[("json", "string")], Hint::Reads),
    ("elicit", "Asks the user", &[("message", "string"), ("url", "string")], Hint::Reads),
    ("sample", "Asks the client's model", &[("prompt", "string")], Hint::Reads),
    ("roots", "Asks for the client's roots", &[], Hint::Reads),
    (
        "log",
        "Logs `text` at `level`, `count` times",
        &[("level", "string"), ("text", "string"), ("count", "integer")],
        Hint::Reads,
    ),
    ("touch", "Announces a change of the resource `uri`", &[("uri", "string")], Hint::Reads),
    ("grow", "Adds a tool and announces it", &[], Hint::Reads),
    ("hang", "Never answers", &[], Hint::Reads),
    ("noise", "Writes `bytes` to standard error", &[("bytes", "integer")], Hint::Reads),
    ("garbage", "Sends `text` as a line of its own", &[("text", "string")], Hint::Reads),
    ("crash", "Ends the process with `code`", &[("code", "integer")], Hint::Destroys),
    ("litter", "Leaves `count` dead children behind", &[("count", "integer")], Hint::Destroys),
    ("daemon", "Leaves a living process behind, out of its session", &[], Hint::Destroys),
    ("calls", "Answers how many tool calls came so far", &[], Hint::Reads),
];

#[derive(Clone, Copy)]
enum Hint {
    Reads,
    Destroys,
    None,
}

impl Hint {
    fn json(self) -> Option<Value> {
        match self {
            Self::Reads => Some(json!({"readOnlyHint": true})),
            Self::Destroys => Some(json!({"readOnlyHint": false, "destructiveHint": true})),
            Self::None => None,
        }
    }
}

/// Answers `tools/list`. `grown` tools were added since the start.
pub(super) fn tools(behaviour: &Behaviour, grown: usize, request: &Request<'_>) -> Answer {
    let listed = behaviour.tools.unwrap_or(TOOLS.len());
    let named = TOOLS.iter().take(listed).map(|&(name, about, properties, hint)| {
        tool(behaviour, name, &describe(behaviour, name, about), properties, hint)
    });
    let generated = (0..listed.saturating_sub(TOOLS.len())).map(|index| format!("tool_{index}"));
    let grown = (0..grown).map(|index| format!("grown_{index}"));
    let echoes =
        generated.chain(grown).map(|name| tool(behaviour, &name, "Echoes", &[("text", "string")], Hint::Reads));
    let mut tools: Vec<_> = named.chain(echoes).collect();
    if behaviour.bad_tool {
        let bad = json!({"name": format!("{}bad_tool", behaviour.tool_prefix), "description": 7});
        tools.insert(tools.len() / 2, bad);
    }
    page(behaviour, "tools", &tools, request)
}

/// A new version describes its first tool anew, as a server does that was tampered with.
fn describe(behaviour: &Behaviour, name: &str, about: &str) -> String {
    if name == "echo" && behaviour.version != "1" {
        return format!("{about} (version {})", behaviour.version);
    }
    about.into()
}

fn tool(behaviour: &Behaviour, name: &str, about: &str, properties: Properties<'_>, hint: Hint) -> Value {
    let property = |&(name, kind): &(&str, &str)| (name.to_owned(), json!({"type": kind}));
    let mut schema = json!({
        "type": "object",
        "properties": properties.iter().map(property).collect::<serde_json::Map<_, _>>(),
    });
    if behaviour.schema_bytes > 0 {
        schema["description"] = "x".repeat(behaviour.schema_bytes).into();
    }
    let name = format!("{}{name}", behaviour.tool_prefix);
    let mut tool = json!({"name": name, "description": about, "inputSchema": schema});
    if let Some(hint) = hint.json() {
        tool["annotations"] = hint;
    }
    tool
}

/// Answers `resources/list`.
pub(super) fn resources(behaviour: &Behaviour, request: &Request<'_>) -> Answer {
    let resource = |name: &str, kind: &str| json!({"uri": format!("{}://{name}", behaviour.scheme), "name": name, "mimeType": kind});
    let resources = [
        resource("text", "text/plain"),
        resource("binary", "application/octet-stream"),
        resource("watched", "text/plain"),
    ];
    page(behaviour, "resources", &resources, request)
}

/// Answers `resources/templates/list`.
pub(super) fn templates(behaviour: &Behaviour, request: &Request<'_>) -> Answer {
    let uri = format!("{}://item/{{id}}", behaviour.scheme);
    let templates = [json!({"uriTemplate": uri, "name": "item", "mimeType": "text/plain"})];
    page(behaviour, "resourceTemplates", &templates, request)
}

/// Answers `resources/read`.
pub(super) fn read(behaviour: &Behaviour, request: &Request<'_>) -> Answer {
    let uri = request.params.uri.as_str();
    let path = uri.strip_prefix(&behaviour.scheme).and_then(|rest| rest.strip_prefix("://"));
    let (member, content) = match path {
        Some("text") => ("text", "The text.".to_owned()),
        Some("binary") => ("blob", "AAEC/w==".to_owned()),
        Some("watched") => ("text", "The watched text.".to_owned()),
        Some(path) if path.starts_with("item/") => ("text", format!("Item {}.", &path[5..])),
        _ => return not_found(request, uri),
    };
    let contents = json!([{"uri": uri, member: content}]);
    request.cacheable(&format!(r#""contents":{contents}"#))
}

fn not_found(request: &Request<'_>, uri: &str) -> Answer {
    let code = if request.modern { -32602 } else { -32002 };
    Answer::Error(Refusal::new(code, format!("no resource {uri}")).with(&json!({ "uri": uri })))
}

/// Answers `prompts/list`.
pub(super) fn prompts(behaviour: &Behaviour, request: &Request<'_>) -> Answer {
    let prompts = [
        json!({"name": "plain", "description": "Says hello"}),
        json!({"name": "greet", "description": "Greets", "arguments": [{"name": "name", "required": true}]}),
    ];
    page(behaviour, "prompts", &prompts, request)
}

/// Answers `prompts/get`.
pub(super) fn prompt(request: &Request<'_>) -> Answer {
    let arguments = request.params.arguments.map_or("{}", |raw| raw.get());
    let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
    let text = match request.params.name.as_str() {
        "plain" => "Hello!".to_owned(),
        "greet" => match arguments["name"].as_str() {
            Some(name) => format!("Hello, {name}!"),
            None => return Answer::Error(Refusal::params("greet needs a name")),
        },
        name => return Answer::Error(Refusal::params(format!("no prompt {name}"))),
    };
    let messages = json!([{"role": "user", "content": {"type": "text", "text": text}}]);
    request.complete(&format!(r#""messages":{messages}"#))
}

/// Answers `completion/complete`.
pub(super) fn complete(request: &Request<'_>) -> Answer {
    let argument = request.params.argument.map_or("{}", |raw| raw.get());
    let argument: Value = serde_json::from_str(argument).unwrap_or_default();
    let typed = argument["value"].as_str().unwrap_or_default();
    let fits = |value: &&str| value.starts_with(typed);
    let values: Vec<_> = ["alpha", "beta", "gamma"].into_iter().filter(fits).collect();
    let completion = json!({"values": values, "total": values.len(), "hasMore": false});
    request.complete(&format!(r#""completion":{completion}"#))
}

/// One page of a list. A cursor is the number of the page, or as the flags have it.
fn page(behaviour: &Behaviour, member: &str, items: &[Value], request: &Request<'_>) -> Answer {
    let number = match request.params.cursor.as_deref() {
        None => 0,
        Some("") if behaviour.empty_cursor => 1,
        Some(cursor) => match cursor.strip_prefix("page-").and_then(|number| number.parse().ok()) {
            Some(number) => number,
            None => return Answer::Error(Refusal::params(format!("no cursor {cursor}"))),
        },
    };
    let pages = behaviour.pages.max(1);
    let size = items.len().div_ceil(pages).max(1);
    let shown = items.chunks(size).nth(number % pages).unwrap_or_default();
    let cursor = match number + 1 {
        1 if behaviour.empty_cursor && pages > 1 => Some(String::new()),
        next if next < pages || behaviour.endless_cursor => Some(format!("page-{next}")),
        _ => None,
    };
    let cursor = cursor.map(|cursor| format!(r#","nextCursor":{}"#, json!(cursor))).unwrap_or_default();
    let items = json!(shown);
    request.cacheable(&format!(r#""{member}":{items}{cursor}"#))
}
