//! Requests to addresses that somebody else named. A server could name the cloud's metadata service, a printer or the
//! database next door, so: https (http only to this machine, for a server on it), public addresses only, checked after
//! resolving and the checked ones connected to, no proxy, no redirects but few within one origin, short answers.

use http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Body, Client, Request, Response, Url};
use sandbox::is_public;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use url::Host;

/// How long a document may take.
const DOCUMENT: Duration = Duration::from_secs(5);
/// How long a grant may take: behind it there may be a person's session to look up.
const GRANT: Duration = Duration::from_secs(30);
/// The longest answer.
const LONGEST: usize = 64 << 10;
/// Redirects of one request.
const REDIRECTS: usize = 3;

/// Why something could not be fetched.
#[derive(Debug, Error)]
pub enum NetError {
    /// Not `https`.
    #[error("{0} is not https")]
    Scheme(String),
    /// An address that is not public.
    #[error("{0} is not a public address, and a server may not send us to others")]
    NotPublic(String),
    /// Too many redirects, or one elsewhere.
    #[error("it is redirected elsewhere")]
    Redirected,
    /// No connection, or it broke.
    #[error("{0} cannot be reached")]
    Unreachable(String),
    /// No answer in time.
    #[error("{0} did not answer in time")]
    Timeout(String),
    /// Too long an answer.
    #[error("the answer is too long")]
    TooLong,
    /// An unexpected status.
    #[error("it was answered with HTTP {0}")]
    Status(u16),
    /// TLS cannot be set up here.
    #[error("a secure connection cannot be set up")]
    Tls,
}

/// An answer.
pub(super) struct Page {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Reaches what the server behind `own` may name.
pub(super) struct Net {
    own: Url,
}

impl Net {
    pub fn new(own: Url) -> Self {
        Self { own }
    }

    /// Whether the server is on this machine: then others on it may be named too.
    fn at_home(&self) -> bool {
        self.own.host().is_some_and(|host| is_loopback(&host))
    }

    /// Refuses an address that must not be used, as far as it shows without resolving.
    pub fn check(&self, url: &Url) -> Result<(), NetError> {
        let origin = origin(url);
        let Some(host) = url.host() else { return Err(NetError::Scheme(origin)) };
        let home = self.at_home() && is_loopback(&host);
        if url.scheme() != "https" && !(url.scheme() == "http" && home) {
            return Err(NetError::Scheme(origin));
        }
        let address = match host {
            Host::Ipv4(ip) => Some(IpAddr::V4(ip)),
            Host::Ipv6(ip) => Some(IpAddr::V6(ip)),
            Host::Domain(name) if name.eq_ignore_ascii_case("localhost") && !home => {
                return Err(NetError::NotPublic(origin));
            }
            Host::Domain(_) => None,
        };
        match address {
            Some(ip) if !self.may_reach(ip, url) => Err(NetError::NotPublic(origin)),
            _ => Ok(()),
        }
    }

    fn may_reach(&self, ip: IpAddr, url: &Url) -> bool {
        // The person configured the server's own origin; it is reached anyway.
        is_public(ip) || (self.at_home() && ip.is_loopback()) || url.origin() == self.own.origin()
    }

    /// Fetches a JSON document.
    pub async fn get(&self, url: &Url) -> Result<Page, NetError> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS {
            let mut request = Request::new(Method::GET, url.clone());
            request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
            request.headers_mut().insert("mcp-protocol-version", HeaderValue::from_static("2025-11-25"));
            let response = self.send(request, DOCUMENT).await?;
            if !response.status().is_redirection() {
                return page(response, DOCUMENT).await;
            }
            let to = response.headers().get(LOCATION).and_then(|to| url.join(to.to_str().ok()?).ok());
            let to = to.filter(|to| to.origin() == url.origin());
            url = to.ok_or(NetError::Redirected)?;
        }
        Err(NetError::Redirected)
    }

    /// Posts a form, with an `Authorization` if there is one.
    pub async fn post_form(
        &self,
        url: &Url,
        form: &[(&str, &str)],
        authorization: Option<HeaderValue>,
    ) -> Result<Page, NetError> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        self.post(url, kind, body, authorization).await
    }

    /// Posts a JSON document.
    pub async fn post_json(&self, url: &Url, body: String) -> Result<Page, NetError> {
        self.post(url, HeaderValue::from_static("application/json"), body, None).await
    }

    async fn post(
        &self,
        url: &Url,
        kind: HeaderValue,
        body: String,
        authorization: Option<HeaderValue>,
    ) -> Result<Page, NetError> {
        let mut request = Request::new(Method::POST, url.clone());
        request.headers_mut().insert(CONTENT_TYPE, kind);
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(value) = authorization {
            request.headers_mut().insert(http::header::AUTHORIZATION, value);
        }
        *request.body_mut() = Some(Body::from(body));
        let response = self.send(request, GRANT).await?;
        if response.status().is_redirection() {
            return Err(NetError::Redirected);
        }
        page(response, GRANT).await
    }

    async fn send(&self, request: Request, time: Duration) -> Result<Response, NetError> {
        self.check(request.url())?;
        let origin = origin(request.url());
        let client = self.client(request.url())?;
        match tokio::time::timeout(time, client.execute(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if is_refused_address(&error) => Err(NetError::NotPublic(origin)),
            Ok(Err(_)) => Err(NetError::Unreachable(origin)),
            Err(_) => Err(NetError::Timeout(origin)),
        }
    }

    /// One for each request: they are rare, and what one may reach depends on where it goes.
    fn client(&self, url: &Url) -> Result<Client, NetError> {
        let resolver = Checked { loopback: self.at_home(), any: url.origin() == self.own.origin() };
        let mut builder = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .http1_only()
            .dns_resolver(Arc::new(resolver));
        if url.scheme() == "http" {
            // Nothing will be verified, so that the system's roots need not be read.
            builder = builder.tls_certs_only([]);
        }
        builder.build().map_err(|_| NetError::Tls)
    }
}

async fn page(mut response: Response, time: Duration) -> Result<Page, NetError> {
    let (status, origin) = (response.status().as_u16(), origin(response.url()));
    let reading = async {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|_| NetError::Unreachable(origin.clone()))? {
            if body.len() + chunk.len() > LONGEST {
                return Err(NetError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Page { status, body })
    };
    let read = tokio::time::timeout(time, reading).await;
    read.unwrap_or_else(|_| Err(NetError::Timeout(origin.clone())))
}

/// An address as it is told: ASCII, without path and query.
fn origin(url: &Url) -> String {
    let mut text = match url.host_str() {
        Some(host) => format!("`{}://{host}`", url.scheme()),
        None => format!("`{}:`", url.scheme()),
    };
    text.truncate(120);
    text
}

/// Resolves names, and nothing to an address that must not be reached.
struct Checked {
    loopback: bool,
    any: bool,
}

/// A name led to an address that must not be reached.
#[derive(Debug, Error)]
#[error("not a public address")]
struct RefusedAddress;

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (loopback, any) = (self.loopback, self.any);
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            // One address that must not be reached spoils the others: which one is connected to would be luck.
            let good = |ip: IpAddr| any || is_public(ip) || (loopback && ip.is_loopback());
            if !found.iter().all(|address| good(address.ip())) {
                return Err(RefusedAddress.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn is_refused_address(error: &reqwest::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.is::<RefusedAddress>() {
            return true;
        }
        cause = error.source();
    }
    false
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    }
}

#[cfg(test)]
mod tests;
