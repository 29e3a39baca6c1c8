//! What an entry says of logins at its server: Codex's `oauth`, `oauth_resource` and `scopes`, and our
//! `oauth_registration`. Logging in is `upstream`'s.

use super::fields::Fields;
use super::place::Problem;
use gate::Secret;

/// What an entry says of logins at its server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OAuth {
    /// `oauth.client_id`: an id that the provider gave out, or the URL of a client's metadata document.
    pub client_id: Option<String>,
    /// `oauth.client_secret`, which belongs to it.
    pub client_secret: Option<Secret>,
    /// `oauth.callback_port`: where the browser comes back to.
    pub callback_port: Option<u16>,
    /// `oauth_resource`: what tokens are asked for, instead of what the server names.
    pub resource: Option<String>,
    /// `scopes`: what is asked for, instead of what the server names.
    pub scopes: Vec<String>,
    /// `oauth_registration`: how we become a client.
    pub registration: Registration,
}

/// How we become a client of an authorization server where no client id was given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Registration {
    /// By a metadata document if one is configured and taken, else by registering.
    #[default]
    Auto,
    /// By a metadata document only.
    Cimd,
    /// By registering only.
    Dcr,
}

impl OAuth {
    /// Takes the keys. What else `oauth` may hold is for Codex's kinds of login.
    pub(super) fn read(fields: &mut Fields) -> Result<Self, Problem> {
        let mut oauth = Self {
            resource: fields.get("oauth_resource")?,
            scopes: fields.or("scopes", Vec::new())?,
            registration: fields.or("oauth_registration", Registration::default())?,
            ..Self::default()
        };
        let Some(node) = fields.node("oauth") else { return Ok(oauth) };
        let mut fields = Fields::of("oauth", node).map_err(|problem| problem.in_key("oauth"))?;
        let secret = fields.place_of("client_secret");
        let port = fields.place_of("callback_port");
        oauth.client_id = fields.get("client_id")?;
        oauth.client_secret = fields.get("client_secret")?;
        if oauth.client_secret.is_some() && oauth.client_id.is_none() {
            return Err(Problem::new(&secret, "`oauth.client_secret` needs `oauth.client_id`"));
        }
        if let Some(number) = fields.get::<usize>("callback_port")? {
            let wrong = Problem::new(&port, "`oauth.callback_port`: a port is a number from 1 to 65535");
            oauth.callback_port = Some(u16::try_from(number).ok().filter(|port| *port > 0).ok_or(wrong)?);
        }
        Ok(oauth)
    }
}
