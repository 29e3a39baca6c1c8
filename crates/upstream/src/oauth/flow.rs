//! One login from beginning to end: discover, become a client, send a person to the browser, take the code, keep what
//! it is worth. Opening the browser is the caller's.

use super::callback::{Callback, has_state};
use super::challenge::{Challenge, is_scope};
use super::discovery::{self, Discovered};
use super::error::{LoginError, known};
use super::grant::{self, Grant};
use super::net::Net;
use super::registration::{self, Client};
use super::store::{self, Record, Standing};
use super::{Settings, random};
use base64::Engine;
use gate::Secret;
use gate::ports::Clock;
use http::{HeaderMap, HeaderName, HeaderValue};
use mcp::streamable_http::{Endpoint, EndpointOptions, HopHeaders};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Who wants to log in where.
pub struct Login {
    /// Under which the login is kept.
    pub state_dir: PathBuf,
    /// The configured name of the server.
    pub server: String,
    /// Its URL.
    pub url: String,
    /// The headers its entry has.
    pub headers: Vec<(String, Secret)>,
    /// What its entry says of logins.
    pub settings: Settings,
    /// The scopes to ask for, whatever else names some.
    pub scopes: Option<Vec<String>>,
    /// What the server answered to a request, if it was asked already.
    pub challenge: Option<HeaderValue>,
    /// Tells when what was granted ends.
    pub clock: Arc<dyn Clock>,
}

/// A login that waits for a person.
pub struct Attempt {
    login: Login,
    net: Net,
    found: Discovered,
    client: Client,
    callback: Callback,
    scopes: Vec<String>,
    state: String,
    verifier: String,
    url: Url,
}

/// Prepares a login up to the point where a person has to say yes.
///
/// # Errors
/// [`LoginError`].
pub async fn login(login: Login) -> Result<Attempt, LoginError> {
    let server = Url::parse(&login.url).map_err(|_| LoginError::Url("it is no absolute url"))?;
    let net = Net::new(server.clone());
    net.check(&server).map_err(|_| LoginError::Url("tokens are sent over https only, or to this machine"))?;
    let header = match &login.challenge {
        Some(header) => Some(header.clone()),
        None => probe(&login).await,
    };
    let challenge = Challenge::parse(header.as_ref().and_then(|header| header.to_str().ok()).unwrap_or_default());
    let mut found = discovery::discover(&net, &server, &challenge).await?;
    if let Some(resource) = &login.settings.resource {
        found.resource.clone_from(resource);
    }
    let stored = store::find(&login.state_dir, &login.server, &server)?;
    let stored = stored.filter(|record| record.issuer == found.server.issuer);
    let liked = stored.as_ref().and_then(|record| record.client.redirect.as_deref()).and_then(port_of);
    let callback = Callback::listen(login.settings.callback_port, liked).await?;
    let redirect = callback.redirect();
    let known = stored.as_ref().map(|record| &record.client);
    let client = registration::client(&net, &found.server, &login.settings, known, &redirect).await?;
    let scopes = scopes(&login, &challenge, &found, stored.as_ref());
    let (state, verifier) = (random()?, random()?);
    let url = authorize(&found, &client, &redirect, &scopes, &state, &verifier);
    Ok(Attempt { login, net, found, client, callback, scopes, state, verifier, url })
}

/// What the server answers to somebody without a token. That it does not answer shows later.
async fn probe(login: &Login) -> Option<HeaderValue> {
    let headers: HeaderMap = login
        .headers
        .iter()
        .filter_map(|(name, value)| {
            Some((HeaderName::try_from(name.as_str()).ok()?, HeaderValue::try_from(value.expose()).ok()?))
        })
        .collect();
    let options = EndpointOptions {
        url: login.url.clone(),
        headers,
        limits: mcp::Limits::default(),
        connect_timeout: Duration::from_secs(5),
        proxy: None,
    };
    let endpoint = Endpoint::new(options).ok()?;
    // Not the handshake: some servers let anybody shake hands.
    let question = bytes::Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#);
    let hop = HopHeaders::default();
    let answer = tokio::time::timeout(Duration::from_secs(10), endpoint.post(question, &hop)).await.ok()?;
    answer.err()?.www_authenticate
}

fn port_of(redirect: &str) -> Option<u16> {
    Url::parse(redirect).ok()?.port()
}

/// What was said for this login, else what the server wants now and what was had before, else what it has at all.
fn scopes(login: &Login, challenge: &Challenge, found: &Discovered, stored: Option<&Record>) -> Vec<String> {
    if let Some(scopes) = &login.scopes {
        return scopes.clone();
    }
    let mut scopes = match (&challenge.scopes, &found.scopes) {
        _ if !login.settings.scopes.is_empty() => login.settings.scopes.clone(),
        (Some(wanted), _) => wanted.clone(),
        (None, Some(supported)) => supported.clone(),
        (None, None) => Vec::new(),
    };
    if challenge.wants_more() {
        scopes.extend(stored.into_iter().flat_map(|record| record.scopes.iter().cloned()));
    }
    let offline = "offline_access".to_owned();
    if !scopes.is_empty() && found.server.scopes_supported.contains(&offline) {
        scopes.push(offline);
    }
    let mut seen = std::collections::HashSet::new();
    scopes.retain(|scope| is_scope(scope) && seen.insert(scope.clone()));
    scopes
}

fn authorize(
    found: &Discovered,
    client: &Client,
    redirect: &str,
    scopes: &[String],
    state: &str,
    verifier: &str,
) -> Url {
    let challenge = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    let mut url = Url::clone(&found.server.authorization_endpoint);
    url.set_fragment(None);
    let mut query = url.query_pairs_mut();
    query
        .append_pair("response_type", "code")
        .append_pair("client_id", &client.id)
        .append_pair("redirect_uri", redirect)
        .append_pair("state", state)
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256")
        .append_pair("resource", &found.resource);
    if !scopes.is_empty() {
        query.append_pair("scope", &scopes.join(" "));
    }
    if scopes.iter().any(|scope| scope == "offline_access") {
        query.append_pair("prompt", "consent");
    }
    drop(query);
    url
}

impl Attempt {
    /// What a person opens in a browser; `http` or `https`.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Waits for the browser to come back, and returns with what.
    ///
    /// # Errors
    /// [`LoginError::Listen`].
    pub async fn callback(&self) -> Result<String, LoginError> {
        self.callback.wait(&self.state).await
    }

    /// Takes what the browser came back with, and keeps what it is worth.
    ///
    /// # Errors
    /// [`LoginError`]. What was kept before stays.
    pub async fn finish(self, callback: &str) -> Result<Standing, LoginError> {
        let code = self.code(callback)?;
        let redirect = self.callback.redirect();
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &redirect),
            ("code_verifier", &self.verifier),
            ("resource", &self.found.resource),
        ];
        let granted = grant::ask(&self.net, &self.found.server.token_endpoint, &self.client, &form).await?;
        let record = self.record(granted)?;
        store::keep(&self.login.state_dir, &record)?;
        Ok(record.standing(self.login.clock.wall_micros() / 1000))
    }

    /// The code in a callback, if it is for this login and of its authorization server.
    fn code(&self, callback: &str) -> Result<String, LoginError> {
        let callback = Url::parse(callback.trim()).map_err(|_| LoginError::NoCode)?;
        let get = |key: &str| callback.query_pairs().find(|(name, _)| name == key).map(|(_, value)| value.into_owned());
        if !has_state(&callback, &self.state) {
            return Err(LoginError::State);
        }
        // Before anything else of it is believed, errors included.
        let server = &self.found.server;
        match get("iss") {
            Some(issuer) if issuer != server.issuer => return Err(LoginError::Issuer),
            None if server.authorization_response_iss_parameter_supported => return Err(LoginError::Issuer),
            _ => {}
        }
        if let Some(error) = get("error") {
            return Err(LoginError::Refused { what: "the login", code: known(&error) });
        }
        get("code").ok_or(LoginError::NoCode)
    }

    fn record(&self, granted: Grant) -> Result<Record, LoginError> {
        let now = self.login.clock.wall_micros() / 1000;
        let server = Url::parse(&self.login.url).map_err(|_| LoginError::Url("it is no absolute url"))?;
        let mut record = Record {
            schema: store::SCHEMA.to_owned(),
            server: self.login.server.clone(),
            url: super::canonical(&server),
            issuer: self.found.server.issuer.clone(),
            resource: self.found.resource.clone(),
            token_endpoint: self.found.server.token_endpoint.clone(),
            revocation_endpoint: self.found.server.revocation_endpoint.clone(),
            client: self.client.clone(),
            access: None,
            refresh: None,
            obtained_ms: now,
            expires_ms: None,
            scopes: self.scopes.clone(),
        };
        record.take(granted, now);
        Ok(record)
    }
}

/// Ends the login at a server: tells its authorization server where that is possible, and forgets it in any case.
/// Whether there was one.
///
/// # Errors
/// When what is kept cannot be found or removed.
pub async fn logout(state_dir: &std::path::Path, server: &str, url: &str) -> Result<bool, LoginError> {
    let place = Url::parse(url).map_err(|_| LoginError::Url("it is no absolute url"))?;
    // A file that others could read is no reason to keep it.
    if let Ok(Some(record)) = store::find(state_dir, server, &place) {
        revoke(&Net::new(place), &record).await;
    }
    Ok(store::forget(state_dir, server)?)
}

async fn revoke(net: &Net, record: &Record) {
    let Some(endpoint) = &record.revocation_endpoint else { return };
    let tokens = [("refresh_token", &record.refresh), ("access_token", &record.access)];
    for (kind, token) in tokens {
        let Some(token) = token else { continue };
        let form = [("token", token.as_str()), ("token_type_hint", kind)];
        if let Err(error) = grant::post(net, endpoint, &record.client, &form).await {
            tracing::info!(target: "mcp::manager", server = %record.server, %error, "a token could not be revoked");
        }
    }
}
