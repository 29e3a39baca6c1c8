//! Logins at servers that ask for OAuth: finding out where, logging in, keeping what was granted, renewing it.
//!
//! A login belongs to one configured server and one issuer: [`login`] makes it, [`Tokens`] put it on requests and renew
//! it, [`logout`] and [`forget`] end it. Every address that a server names is reached through `net`, which reaches
//! nothing private. `docs/design/oauth.md`. Not here: opening a browser, talking to a person, what an entry says.

mod callback;
mod challenge;
mod discovery;
mod error;
mod flow;
mod grant;
mod net;
mod registration;
mod store;
mod tokens;

pub use error::LoginError;
pub use flow::{Attempt, Login, login, logout};
pub use net::NetError;
pub use store::{Standing, StoreError, forget, marker, secrets, standing};
pub use tokens::Tokens;

pub(crate) use tokens::Again;

use gate::Secret;
use serde::{Deserialize, Serialize};
use url::Url;

/// What an entry says of logins at its server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// The client id to use: one that the provider gave out, or the URL of a client's metadata document.
    pub client_id: Option<String>,
    /// The secret that belongs to it.
    pub client_secret: Option<Secret>,
    /// The resource that tokens are asked for, instead of the one the server names.
    pub resource: Option<String>,
    /// The scopes to ask for, instead of those the server names.
    pub scopes: Vec<String>,
    /// How we become a client.
    pub registration: Registration,
    /// The port that the browser comes back to; `None` for any that is free.
    pub callback_port: Option<u16>,
}

/// How we become a client of an authorization server where nobody gave us a client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Registration {
    /// By a metadata document where there is one and the server takes it, else by registration.
    #[default]
    Auto,
    /// Only by a metadata document.
    Document,
    /// Only by registration.
    Dynamic,
}

/// A URL in a document.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Address(Url);

impl TryFrom<String> for Address {
    type Error = url::ParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0.into()
    }
}

impl std::ops::Deref for Address {
    type Target = Url;

    fn deref(&self) -> &Url {
        &self.0
    }
}

/// The URL of a server as the name of what is protected: no query, no fragment, no slash at its end. Queries often hold
/// a key, which is none of the authorization server's business.
pub(crate) fn canonical(url: &Url) -> String {
    let mut url = url.clone();
    url.set_fragment(None);
    url.set_query(None);
    let text = String::from(url);
    text.strip_suffix('/').map_or(text.clone(), str::to_owned)
}

/// Random text for states and verifiers, 43 characters of the URL's alphabet.
fn random() -> Result<String, LoginError> {
    use base64::Engine;
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| LoginError::Random)?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_named_without_what_may_be_secret() {
        for (url, want) in [
            ("https://a.example/mcp/?key=1#x", "https://a.example/mcp"),
            ("https://A.example:443/", "https://a.example"),
            ("http://127.0.0.1:9/mcp", "http://127.0.0.1:9/mcp"),
        ] {
            assert_eq!(canonical(&url.parse().unwrap()), want);
        }
    }
}
