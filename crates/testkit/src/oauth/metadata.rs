//! What it says of itself.

use axum::body::Body;
use axum::http::Response;
use serde_json::json;

use super::{Fixture, json_answer, redirect};

impl Fixture {
    pub(super) fn metadata(&self, path: &str) -> Response<Body> {
        let missing = || json_answer(404, &json!({"error": "none"}));
        match path.trim_start_matches("/.well-known/") {
            "oauth-protected-resource/mcp" if !self.flags.no_prm => self.resource(),
            "oauth-authorization-server" => match &self.flags.redirect {
                Some(to) => redirect(to),
                None => self.authorization_server(),
            },
            "elsewhere" => self.authorization_server(),
            _ => missing(),
        }
    }

    fn resource(&self) -> Response<Body> {
        let own = format!("{}/mcp", self.base);
        json_answer(
            200,
            &json!({
                "resource": self.flags.resource.as_ref().unwrap_or(&own),
                "authorization_servers": [self.base],
                "scopes_supported": ["mcp.read", "mcp.write"],
            }),
        )
    }

    fn authorization_server(&self) -> Response<Body> {
        let (flags, base) = (&self.flags, &self.base);
        let at = |given: &Option<String>, path: &str| given.clone().unwrap_or_else(|| format!("{base}{path}"));
        let mut metadata = json!({
            "issuer": flags.metadata_issuer.as_ref().unwrap_or(base),
            "authorization_endpoint": at(&flags.authorize, "/authorize"),
            "token_endpoint": at(&flags.token, "/token"),
            "revocation_endpoint": at(&None, "/revoke"),
            "response_types_supported": ["code"],
            "token_endpoint_auth_methods_supported": [flags.method.as_deref().unwrap_or("none")],
            "scopes_supported": ["mcp.read", "mcp.write", "offline_access"],
            "client_id_metadata_document_supported": flags.cimd,
            "authorization_response_iss_parameter_supported": true,
        });
        let mut put = |key: &str, value: serde_json::Value| metadata[key] = value;
        if !flags.no_pkce {
            put("code_challenge_methods_supported", json!(["S256"]));
        }
        if !flags.no_dcr {
            put("registration_endpoint", json!(at(&None, "/register")));
        }
        json_answer(200, &metadata)
    }
}
