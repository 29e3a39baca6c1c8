//! Becoming a client of an authorization server: by an id its provider gave out, by a metadata document, or by
//! registering. What was registered at one issuer is never used at another.

use super::discovery::AuthServer;
use super::error::{LoginError, known};
use super::net::{Net, Page};
use super::{Registration, Settings};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Who we are at an authorization server.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
pub(super) struct Client {
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    pub method: Method,
    /// Where the browser comes back to, as it was registered; none for an id that somebody configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
}

/// How a client proves to be one at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Method {
    /// It cannot: anybody can read what is installed here.
    None,
    /// Id and secret in `Authorization`.
    ClientSecretBasic,
    /// Id and secret in the form.
    ClientSecretPost,
}

impl Method {
    const ALL: [Self; 3] = [Self::None, Self::ClientSecretBasic, Self::ClientSecretPost];

    fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
        }
    }

    fn is_in(self, words: &[String]) -> bool {
        words.iter().any(|word| word == self.word())
    }

    /// The way for a client with or without a secret, among those the server takes.
    fn choose(has_secret: bool, server: &AuthServer) -> Self {
        match &server.token_endpoint_auth_methods_supported {
            _ if !has_secret => Self::None,
            Some(words) if !Self::ClientSecretBasic.is_in(words) && Self::ClientSecretPost.is_in(words) => {
                Self::ClientSecretPost
            }
            _ => Self::ClientSecretBasic,
        }
    }
}

/// Whether a client id is the URL of a metadata document.
fn is_document(id: &str) -> bool {
    id.starts_with("https://")
}

/// The client to be at `server`. `stored` was registered there before.
pub(super) async fn client(
    net: &Net,
    server: &AuthServer,
    settings: &Settings,
    stored: Option<&Client>,
    redirect: &str,
) -> Result<Client, LoginError> {
    match &settings.client_id {
        Some(id) if !is_document(id) => return Ok(given(id, settings, server)),
        Some(id) if server.client_id_metadata_document_supported && settings.registration != Registration::Dynamic => {
            return Ok(Client { id: id.clone(), secret: None, method: Method::None, redirect: None });
        }
        _ if settings.registration == Registration::Document => return Err(LoginError::NoDocument),
        _ => {}
    }
    if let Some(stored) = stored.filter(|stored| stored.redirect.as_deref() == Some(redirect)) {
        return Ok(stored.clone());
    }
    register(net, server, redirect).await
}

fn given(id: &str, settings: &Settings, server: &AuthServer) -> Client {
    let secret = settings.client_secret.as_ref().map(|secret| secret.expose().to_owned());
    let method = Method::choose(secret.is_some(), server);
    Client { id: id.to_owned(), secret, method, redirect: None }
}

/// What a registration is answered with.
#[derive(Deserialize)]
struct Registered {
    client_id: String,
    client_secret: Option<String>,
    token_endpoint_auth_method: Option<String>,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: String,
}

const WHAT: &str = "the registration";

async fn register(net: &Net, server: &AuthServer, redirect: &str) -> Result<Client, LoginError> {
    let Some(endpoint) = &server.registration_endpoint else { return Err(LoginError::NoClient) };
    let wanted = match &server.token_endpoint_auth_methods_supported {
        Some(words) => Method::ALL.into_iter().find(|method| method.is_in(words)).unwrap_or(Method::None),
        None => Method::None,
    };
    let body = json!({
        "client_name": "toolgate",
        "application_type": "native",
        "redirect_uris": [redirect],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": wanted.word(),
    });
    let page = net.post_json(endpoint, body.to_string()).await;
    let page = page.map_err(|why| LoginError::Fetch { what: "the answer to the registration", why })?;
    if !matches!(page.status, 200 | 201) {
        return Err(LoginError::Refused { what: WHAT, code: code_of(&page) });
    }
    let bad = LoginError::Document { what: "the answer to the registration", why: "it holds no client id" };
    let registered: Registered = serde_json::from_slice(&page.body).map_err(|_| bad)?;
    let told = registered.token_endpoint_auth_method.as_deref();
    let told = Method::ALL.into_iter().find(|method| Some(method.word()) == told).unwrap_or(wanted);
    let has_secret = registered.client_secret.is_some();
    let method = match told {
        Method::None if wanted == Method::None => Method::None,
        Method::ClientSecretBasic | Method::ClientSecretPost if has_secret => told,
        _ => Method::choose(has_secret, server),
    };
    Ok(Client {
        id: registered.client_id,
        secret: registered.client_secret,
        method,
        redirect: Some(redirect.to_owned()),
    })
}

/// The error code of a refusal, as it is told.
pub(super) fn code_of(page: &Page) -> &'static str {
    let body: Option<ErrorBody> = serde_json::from_slice(&page.body).ok();
    known(body.as_ref().map_or("", |body| &body.error))
}
