//! Why a login did not come about, in our own words: nothing that a server wrote is in them but known error codes.

use super::net::NetError;
use super::store::StoreError;
use thiserror::Error;

/// Why a login did not come about.
#[derive(Debug, Error)]
pub enum LoginError {
    /// The server's own URL cannot be used.
    #[error("its url cannot be used for a login: {0}")]
    Url(&'static str),
    /// Something that is needed could not be fetched.
    #[error("cannot fetch {what}")]
    Fetch {
        /// What.
        what: &'static str,
        /// Why not.
        #[source]
        why: NetError,
    },
    /// The server does not say where to log in.
    #[error("it does not say where to log in: no metadata of an authorization server was found")]
    NoMetadata,
    /// A document lacks something, or says something impossible.
    #[error("{what} cannot be used: {why}")]
    Document {
        /// Which one.
        what: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// The metadata is of another resource.
    #[error("its metadata is about another resource, so a token of that place could be meant for somebody else")]
    OtherResource,
    /// The metadata is of another issuer.
    #[error("the metadata of its authorization server names another issuer")]
    OtherIssuer,
    /// The authorization server does not protect codes.
    #[error("its authorization server does not offer PKCE with S256, without which a login is not safe")]
    NoPkce,
    /// There is no client id and no way to one.
    #[error("its authorization server gives out no client ids by itself")]
    NoClient,
    /// It wants a document of the client, and none is configured.
    #[error("its authorization server takes no metadata document as client id, or none is configured")]
    NoDocument,
    /// The authorization server refused.
    #[error("its authorization server refused {what}: {code}")]
    Refused {
        /// What it refused.
        what: &'static str,
        /// Its error code, if it is a known one.
        code: &'static str,
    },
    /// The callback belongs to another login.
    #[error("the answer belongs to another login (its `state` is not ours)")]
    State,
    /// The callback comes from another authorization server.
    #[error("the answer does not come from the authorization server that was asked (its `iss` is wrong or missing)")]
    Issuer,
    /// The callback holds neither a code nor an error.
    #[error("the answer holds neither a code nor an error")]
    NoCode,
    /// Nobody can come back to us.
    #[error("cannot listen for the answer of the browser")]
    Listen(#[source] std::io::Error),
    /// There is no randomness.
    #[error("the system gives no random numbers")]
    Random,
    /// What was granted cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LoginError {
    /// What would help, for the server of this name.
    pub fn hint(&self, server: &str) -> Option<String> {
        let client = format!(
            "ask its provider for a client id, then set `oauth = {{ client_id = \"…\" }}` in [mcp_servers.{server}]"
        );
        match self {
            Self::NoClient | Self::NoDocument => Some(client),
            Self::NoMetadata => Some(format!(
                "if it takes a token, name its variable in `bearer_token_env_var` of [mcp_servers.{server}]"
            )),
            Self::Refused { code: "invalid_client" | "unauthorized_client", .. } => Some(client),
            Self::Refused { code: "invalid_scope", .. } => {
                Some(format!("choose others with `toolgate mcp login {server} --scopes a,b`"))
            }
            Self::State => Some("use the URL that was printed last".to_owned()),
            Self::Store(error) => error.hint(),
            _ => None,
        }
    }
}

/// Error codes of OAuth that are told as they are; whatever else a server writes is its own text.
const CODES: [&str; 16] = [
    "access_denied",
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_scope",
    "invalid_target",
    "invalid_redirect_uri",
    "invalid_client_metadata",
    "unapproved_software_statement",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
    "server_error",
    "temporarily_unavailable",
    "login_required",
    "consent_required",
];

/// A code as it is told.
pub(super) fn known(code: &str) -> &'static str {
    CODES.into_iter().find(|known| *known == code).unwrap_or("with an error that is not known here")
}
