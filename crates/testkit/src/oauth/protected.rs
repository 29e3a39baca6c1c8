//! The MCP endpoint behind the login: a few methods of the handshake's era.

use axum::body::Body;
use axum::http::Response;
use serde_json::{Value, json};

use super::{Asked, Fixture, json_answer};
use crate::wait;

/// The scope that the tool `write` needs.
const WRITE: &str = "mcp.write";

impl Fixture {
    pub(super) fn protected(&self, asked: &Asked) -> Response<Body> {
        let token = asked.authorization().strip_prefix("Bearer ").unwrap_or_default();
        let granted = self.grants().access.get(token).filter(|(until, _)| wait::now() < *until).cloned();
        let Some((_, scope)) = granted else {
            let error = if token.is_empty() { "" } else { "error=\"invalid_token\", " };
            return self.challenge(401, error, "mcp.read");
        };
        match asked.method.as_str() {
            "POST" => self.message(&asked.body, token, &scope),
            "DELETE" => json_answer(200, &json!({})),
            _ => json_answer(405, &json!({})),
        }
    }

    fn challenge(&self, status: u16, error: &str, scope: &str) -> Response<Body> {
        let place = format!("{}/.well-known/oauth-protected-resource/mcp", self.base);
        let mut challenge = format!("Bearer {error}scope=\"{scope}\"");
        if !self.flags.no_prm {
            challenge += &format!(", resource_metadata=\"{place}\"");
        }
        let mut answer = json_answer(status, &json!({"error": "no"}));
        answer.headers_mut().insert("www-authenticate", challenge.parse().expect("printable"));
        answer
    }

    fn message(&self, body: &[u8], token: &str, scope: &str) -> Response<Body> {
        let Ok(message) = serde_json::from_slice::<Value>(body) else { return json_answer(400, &json!({})) };
        if message.get("id").is_none() {
            return Response::builder().status(202).body(Body::empty()).expect("a plain answer");
        }
        let params = &message["params"];
        let result = match message["method"].as_str().unwrap_or_default() {
            "initialize" => json!({
                "protocolVersion": params["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "oauth-fixture", "version": "1"},
            }),
            "tools/list" => json!({"tools": [tool("whoami"), tool("write"), tool("leak")]}),
            "tools/call" if params["name"] == "write" && !scope.split(' ').any(|one| one == WRITE) => {
                return self.challenge(403, "error=\"insufficient_scope\", ", WRITE);
            }
            "tools/call" if params["name"] == "leak" => {
                json!({"content": [{"type": "text", "text": format!("the token is {token} and that is all")}]})
            }
            "tools/call" => {
                let digits: String = token.split('-').take(2).collect::<Vec<_>>().join("-");
                json!({"content": [{"type": "text", "text": format!("called with {digits}")}]})
            }
            "ping" => json!({}),
            _ => {
                let error = json!({"code": -32601, "message": "no such method"});
                return json_answer(200, &json!({"jsonrpc": "2.0", "id": message["id"], "error": error}));
            }
        };
        json_answer(200, &json!({"jsonrpc": "2.0", "id": message["id"], "result": result}))
    }
}

fn tool(name: &str) -> Value {
    let schema = json!({"type": "object", "properties": {}});
    json!({"name": name, "description": name, "inputSchema": schema, "annotations": {"readOnlyHint": true}})
}
