//! Clients, codes and tokens.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Response;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Asked, Fixture, json_answer, pairs, redirect};
use crate::wait;

/// What was given out.
#[derive(Default)]
pub(super) struct Grants {
    count: u64,
    /// The secret of each client.
    clients: HashMap<String, String>,
    /// What was asked with, by code.
    codes: HashMap<String, Vec<(String, String)>>,
    /// Until when and for what each access token is good.
    pub(super) access: HashMap<String, (Instant, String)>,
    refresh: HashMap<String, String>,
}

impl Grants {
    fn fresh(&mut self, kind: &str) -> String {
        self.count += 1;
        format!("{kind}-{}-{:08x}", self.count, std::process::id())
    }
}

fn error(code: &str) -> Response<Body> {
    json_answer(400, &json!({"error": code, "error_description": "a text of the server"}))
}

impl Fixture {
    pub(super) fn register(&self, body: &[u8]) -> Response<Body> {
        let Ok(mut told) = serde_json::from_slice::<Value>(body) else { return error("invalid_client_metadata") };
        let mut grants = self.grants();
        let (id, secret) = (grants.fresh("client"), grants.fresh("secret"));
        told["client_id"] = json!(id);
        if told["token_endpoint_auth_method"] != "none" {
            told["client_secret"] = json!(secret);
        }
        grants.clients.insert(id, secret);
        json_answer(201, &told)
    }

    pub(super) fn authorize(&self, query: &[(String, String)]) -> Response<Body> {
        let mut back = url::form_urlencoded::Serializer::new(String::new());
        if self.flags.deny {
            back.append_pair("error", "access_denied").append_pair("error_description", "no");
        } else {
            let mut grants = self.grants();
            let code = grants.fresh("code");
            back.append_pair("code", &code);
            grants.codes.insert(code, query.to_vec());
        }
        back.append_pair("state", Asked::get(query, "state"));
        match self.flags.iss.as_deref() {
            Some("none") => {}
            other => drop(back.append_pair("iss", other.unwrap_or(&self.base))),
        }
        redirect(&format!("{}?{}", Asked::get(query, "redirect_uri"), back.finish()))
    }

    pub(super) fn token(&self, asked: &Asked) -> Response<Body> {
        let form = pairs(&asked.body);
        if !self.is_client(asked, &form) {
            return error("invalid_client");
        }
        match Asked::get(&form, "grant_type") {
            "authorization_code" => self.exchange(&form),
            "refresh_token" => self.refresh(&form),
            _ => error("unsupported_grant_type"),
        }
    }

    /// Whether the client proves itself in the one way that is taken.
    fn is_client(&self, asked: &Asked, form: &[(String, String)]) -> bool {
        let get = |key| Asked::get(form, key).to_owned();
        let (id, secret) = match self.flags.method.as_deref() {
            None => return !get("client_id").is_empty() && asked.authorization().is_empty(),
            Some("client_secret_post") => (get("client_id"), get("client_secret")),
            Some(_) => {
                let basic = asked.authorization().strip_prefix("Basic ").unwrap_or_default();
                let both = STANDARD.decode(basic).unwrap_or_default();
                let both = String::from_utf8_lossy(&both).into_owned();
                let (id, secret) = both.split_once(':').unwrap_or_default();
                (id.to_owned(), secret.to_owned())
            }
        };
        self.grants().clients.get(&id) == Some(&secret) || (id == "given" && secret == "given-secret")
    }

    fn exchange(&self, form: &[(String, String)]) -> Response<Body> {
        let get = |key| Asked::get(form, key);
        let Some(asked) = self.grants().codes.remove(get("code")) else { return error("invalid_grant") };
        let before = |key| Asked::get(&asked, key);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(get("code_verifier")));
        let same = before("redirect_uri") == get("redirect_uri") && before("resource") == get("resource");
        if before("code_challenge") != challenge || before("code_challenge_method") != "S256" || !same {
            return error("invalid_grant");
        }
        self.grant(before("scope").to_owned())
    }

    fn refresh(&self, form: &[(String, String)]) -> Response<Body> {
        // Each is good for once, so that whoever comes second with it is logged out.
        let scope = self.grants().refresh.remove(Asked::get(form, "refresh_token"));
        match scope {
            Some(scope) if !self.flags.revoked => self.grant(scope),
            _ => error("invalid_grant"),
        }
    }

    fn grant(&self, scope: String) -> Response<Body> {
        let mut grants = self.grants();
        let (access, refresh) = (grants.fresh("access"), grants.fresh("refresh"));
        let until = wait::now() + Duration::from_secs(self.flags.expires);
        grants.access.insert(access.clone(), (until, scope.clone()));
        let mut granted = json!({
            "access_token": access, "token_type": "Bearer", "expires_in": self.flags.expires, "scope": scope,
        });
        if !self.flags.no_refresh {
            granted["refresh_token"] = json!(refresh);
            grants.refresh.insert(refresh, scope);
        }
        json_answer(200, &granted)
    }

    pub(super) fn revoke(&self, form: &[(String, String)]) -> Response<Body> {
        let token = Asked::get(form, "token");
        let mut grants = self.grants();
        grants.access.remove(token);
        grants.refresh.remove(token);
        json_answer(200, &json!({}))
    }
}
