//! Finding out where to log in: the server's metadata (RFC 9728), then its authorization server's (RFC 8414, OIDC).

use super::challenge::Challenge;
use super::net::{Net, NetError, Page};
use super::{Address, LoginError as Error, canonical};
use serde::Deserialize;
use url::Url;

/// Where to log in, and for what.
pub(super) struct Discovered {
    /// What tokens are asked for.
    pub resource: String,
    /// Its authorization server.
    pub server: AuthServer,
    /// The scopes the server says it has.
    pub scopes: Option<Vec<String>>,
}

/// The metadata of a protected resource.
#[derive(Deserialize)]
struct ResourceMetadata {
    resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
    scopes_supported: Option<Vec<String>>,
}

/// The metadata of an authorization server.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct AuthServer {
    pub issuer: String,
    pub authorization_endpoint: Address,
    pub token_endpoint: Address,
    pub registration_endpoint: Option<Address>,
    pub revocation_endpoint: Option<Address>,
    #[serde(default)]
    pub scopes_supported: Vec<String>,
    #[serde(default)]
    code_challenge_methods_supported: Vec<String>,
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    pub client_id_metadata_document_supported: bool,
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

/// Finds out where to log in at the server of this URL, which challenged so.
pub(super) async fn discover(net: &Net, server: &Url, challenge: &Challenge) -> Result<Discovered, Error> {
    let Some(metadata) = resource_metadata(net, server, challenge).await? else {
        // Servers of before there was such metadata are their own authorization servers, or share its origin.
        let origin = server.origin().ascii_serialization();
        let auth = auth_server(net, &origin, &[&origin, &format!("{origin}/")]).await?;
        return Ok(Discovered { resource: canonical(server), server: auth, scopes: None });
    };
    if !covers(&metadata.resource, server) {
        return Err(Error::OtherResource);
    }
    let Some(issuer) = metadata.authorization_servers.first() else {
        return Err(Error::Document { what: RESOURCE, why: "it names no authorization server" });
    };
    let auth = auth_server(net, issuer, &[issuer]).await?;
    Ok(Discovered { resource: metadata.resource, server: auth, scopes: metadata.scopes_supported })
}

const RESOURCE: &str = "the server's metadata";
const SERVER: &str = "the metadata of its authorization server";

async fn resource_metadata(net: &Net, server: &Url, challenge: &Challenge) -> Result<Option<ResourceMetadata>, Error> {
    let fetch = async |url: &Url| net.get(url).await.map_err(|why| Error::Fetch { what: RESOURCE, why });
    if let Some(told) = &challenge.resource_metadata {
        let url = Url::parse(told).map_err(|_| Error::Document { what: RESOURCE, why: "its address is no url" })?;
        let page = fetch(&url).await?;
        if page.status != 200 {
            return Err(Error::Fetch { what: RESOURCE, why: NetError::Status(page.status) });
        }
        return read(&page, RESOURCE).map(Some);
    }
    for path in well_known(server, "oauth-protected-resource", true) {
        let page = fetch(&path).await?;
        if page.status == 200 {
            return read(&page, RESOURCE).map(Some);
        }
    }
    Ok(None)
}

fn read<'a, T: Deserialize<'a>>(page: &'a Page, what: &'static str) -> Result<T, Error> {
    serde_json::from_slice(&page.body).map_err(|_| Error::Document { what, why: "it lacks something or is no JSON" })
}

/// The places of a well-known document: with the path behind its name, and without.
fn well_known(url: &Url, name: &str, at_root: bool) -> Vec<Url> {
    let path = url.path().trim_end_matches('/');
    let place = |path: String| {
        let mut place = url.clone();
        place.set_query(None);
        place.set_fragment(None);
        place.set_path(&path);
        place
    };
    let mut places = vec![place(format!("/.well-known/{name}{path}"))];
    if at_root && !path.is_empty() {
        places.push(place(format!("/.well-known/{name}")));
    }
    places
}

/// Whether a token for `resource` is one for the server at `url`: the same origin, and a path at or above its own.
fn covers(resource: &str, url: &Url) -> bool {
    let Ok(resource) = Url::parse(resource) else { return false };
    let (above, path) = (resource.path().trim_end_matches('/'), url.path());
    let below = path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    resource.origin() == url.origin() && resource.fragment().is_none() && below
}

/// Fetches and checks the metadata of an issuer, which may call itself by one of `names`.
async fn auth_server(net: &Net, issuer: &str, names: &[&str]) -> Result<AuthServer, Error> {
    let bad = |why| Error::Document { what: SERVER, why };
    let url = Url::parse(issuer).map_err(|_| bad("its issuer is no url"))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("its issuer has a query or a fragment"));
    }
    // What is wrong with a document says more than that there is none elsewhere.
    let mut wrong = Error::NoMetadata;
    for place in places_of(&url) {
        let page = net.get(&place).await.map_err(|why| Error::Fetch { what: SERVER, why })?;
        if page.status != 200 {
            continue;
        }
        let server = match read::<AuthServer>(&page, SERVER) {
            Ok(server) => server,
            Err(error) => {
                wrong = error;
                continue;
            }
        };
        // The exact text: whoever may write the document of another issuer must not pass for this one.
        if names.contains(&server.issuer.as_str()) {
            return usable(net, server);
        }
        wrong = Error::OtherIssuer;
    }
    Err(wrong)
}

fn places_of(issuer: &Url) -> Vec<Url> {
    let mut places = well_known(issuer, "oauth-authorization-server", false);
    places.extend(well_known(issuer, "openid-configuration", false));
    let path = issuer.path().trim_end_matches('/');
    if !path.is_empty() {
        let mut appended = issuer.clone();
        appended.set_path(&format!("{path}/.well-known/openid-configuration"));
        places.push(appended);
    }
    places
}

fn usable(net: &Net, server: AuthServer) -> Result<AuthServer, Error> {
    if !server.code_challenge_methods_supported.iter().any(|method| method == "S256") {
        return Err(Error::NoPkce);
    }
    let named = [Some(&server.authorization_endpoint), Some(&server.token_endpoint)];
    let others = [server.registration_endpoint.as_ref(), server.revocation_endpoint.as_ref()];
    for url in named.into_iter().chain(others).flatten() {
        net.check(url).map_err(|why| Error::Fetch { what: "what its authorization server names", why })?;
    }
    Ok(server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_covers(resource: &str, url: &str, want: bool) {
        assert_eq!(covers(resource, &url.parse().unwrap()), want, "{resource} {url}");
    }

    #[test]
    fn a_token_is_for_this_server_or_what_is_above_it() {
        check_covers("https://a.example/mcp", "https://a.example/mcp", true);
        check_covers("https://a.example", "https://a.example/mcp", true);
        check_covers("https://a.example/", "https://a.example/mcp?key=1", true);
        check_covers("https://a.example/mcp/", "https://a.example/mcp", true);
        check_covers("https://a.example/mc", "https://a.example/mcp", false);
        check_covers("https://a.example/mcp/x", "https://a.example/mcp", false);
        check_covers("https://b.example/mcp", "https://a.example/mcp", false);
        check_covers("http://a.example/mcp", "https://a.example/mcp", false);
        check_covers("https://a.example:8443/mcp", "https://a.example/mcp", false);
        check_covers("a.example", "https://a.example/mcp", false);
    }

    fn texts(urls: Vec<Url>) -> Vec<String> {
        urls.into_iter().map(String::from).collect()
    }

    #[test]
    fn documents_are_looked_for_where_the_standards_say() {
        assert_eq!(
            texts(well_known(&"https://a.example/x/mcp?k=1".parse().unwrap(), "oauth-protected-resource", true)),
            [
                "https://a.example/.well-known/oauth-protected-resource/x/mcp",
                "https://a.example/.well-known/oauth-protected-resource"
            ]
        );
        assert_eq!(
            texts(places_of(&"https://a.example/t1/".parse().unwrap())),
            [
                "https://a.example/.well-known/oauth-authorization-server/t1",
                "https://a.example/.well-known/openid-configuration/t1",
                "https://a.example/t1/.well-known/openid-configuration"
            ]
        );
        assert_eq!(texts(places_of(&"https://a.example".parse().unwrap())).len(), 2);
    }
}
