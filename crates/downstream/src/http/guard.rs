//! Who may come in: the names the face is called by, the pages that call it, and the token.
//!
//! A page of any site can make a browser call a loopback port. Its `Origin` gives it away, and so does the `Host`
//! when it let its own name point here; the token keeps out everybody else.

use super::HttpOptions;
use super::status::Refused;
use gate::{Principal, Secret};
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, StatusCode, Uri};
use std::io;
use std::net::SocketAddr;
use subtle::ConstantTimeEq;

/// What a request has to show.
#[derive(Debug, Clone)]
pub enum Auth {
    /// This bearer token.
    Token(Secret),
    /// Nothing. Possible on loopback alone.
    None,
}

/// The names of this machine to itself.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

pub(super) struct Guard {
    auth: Auth,
    /// Lower case, with or without a port.
    hosts: Vec<String>,
    /// Lower case.
    origins: Vec<String>,
}

impl Guard {
    /// The guard of a face that listens on `address`.
    ///
    /// # Errors
    /// `InvalidInput` if anybody on the network could call without a proof.
    pub fn new(options: &HttpOptions, address: SocketAddr) -> io::Result<Self> {
        if matches!(options.auth, Auth::None) && !address.ip().is_loopback() {
            let what = format!("{address} is not a loopback address, and calls without a token are taken there alone");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let lower = |texts: &[String]| texts.iter().map(|text| text.to_ascii_lowercase()).collect::<Vec<_>>();
        let mut hosts = lower(&options.allowed_hosts);
        hosts.extend(LOOPBACK.map(str::to_owned));
        if !address.ip().is_unspecified() {
            hosts.push(bracketed(address));
        }
        let mut origins = lower(&options.allowed_origins);
        origins.extend(LOOPBACK.map(|host| format!("http://{host}:{}", address.port())));
        Ok(Self { auth: options.auth.clone(), hosts, origins })
    }

    /// Whether the request is meant for us and comes from no foreign page.
    ///
    /// # Errors
    /// What to answer instead.
    pub fn admit(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refused> {
        let foreign_host = || Refused::new(StatusCode::FORBIDDEN, "this host name is not one of this server's");
        let host = single(headers, &HOST).ok().flatten().ok_or_else(foreign_host)?;
        if !self.is_own_host(host) || uri.authority().is_some_and(|own| !self.is_own_host(own.as_str())) {
            return Err(foreign_host());
        }
        let foreign_page = || Refused::new(StatusCode::FORBIDDEN, "pages of this origin may not call this server");
        match single(headers, &ORIGIN).map_err(|_| foreign_page())? {
            Some(origin) if self.origins.contains(&origin.to_ascii_lowercase()) => Ok(()),
            None if matches!(single(headers, &FETCH_SITE), Ok(site) if site != Some("cross-site")) => Ok(()),
            _ => Err(foreign_page()),
        }
    }

    /// Who acts.
    ///
    /// # Errors
    /// What to answer to somebody without the token.
    pub fn principal(&self, headers: &HeaderMap) -> Result<Principal, Refused> {
        let Auth::Token(token) = &self.auth else { return Ok(Principal::Unauthenticated) };
        let token = token.expose().as_bytes();
        let Ok(Some(shown)) = single(headers, &AUTHORIZATION) else {
            return Err(Refused::unauthorized(r#"Bearer realm="toolgate""#));
        };
        let bearer = shown.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        if bearer.is_some_and(|(_, shown)| !token.is_empty() && bool::from(shown.trim().as_bytes().ct_eq(token))) {
            return Ok(Principal::Token);
        }
        Err(Refused::unauthorized(r#"Bearer realm="toolgate", error="invalid_token""#))
    }

    /// Whether the request shows the clients' token.
    pub fn is_token(&self, headers: &HeaderMap) -> bool {
        matches!(self.principal(headers), Ok(Principal::Token))
    }

    fn is_own_host(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let (name, whole) = (authority.host().to_ascii_lowercase(), host.to_ascii_lowercase());
        !host.contains('@') && self.hosts.iter().any(|own| *own == name || *own == whole)
    }
}

fn bracketed(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    }
}

/// A header that is there more than once, or is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotSingle;

/// The one value of a header.
pub(super) fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, NotSingle> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(one), None) => one.to_str().map(Some).map_err(|_| NotSingle),
        (Some(_), Some(_)) => Err(NotSingle),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn guard(auth: Auth) -> Guard {
        let mut options = HttpOptions::new(auth);
        options.allowed_hosts = vec!["Gate.example".to_owned(), "proxy.example:8443".to_owned()];
        options.allowed_origins = vec!["https://app.example".to_owned()];
        Guard::new(&options, "127.0.0.1:8080".parse().expect("an address")).expect("loopback")
    }

    fn headers(pairs: &[(&HeaderName, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append((*name).clone(), HeaderValue::from_str(value).expect("a value"));
        }
        map
    }

    fn check(pairs: &[(&HeaderName, &str)], admitted: bool) {
        let uri = Uri::from_static("/mcp");
        assert_eq!(guard(Auth::None).admit(&uri, &headers(pairs)).is_ok(), admitted, "{pairs:?}");
    }

    #[test]
    fn only_our_own_names_are_answered_to() {
        for host in [
            "localhost:8080",
            "LOCALHOST",
            "127.0.0.1:9",
            "[::1]:8080",
            "gate.example",
            "GATE.example:1",
            "proxy.example:8443",
        ] {
            check(&[(&HOST, host)], true);
        }
        for host in [
            "evil.com",
            "127.0.0.1.evil.com",
            "localhost:8080@evil.com",
            "evil@localhost:8080",
            "localhost.",
            "proxy.example",
            "proxy.example:1",
            "127.0.0.2",
            "0.0.0.0",
            "",
            " ",
            "[::1",
            "xn--localhost",
        ] {
            check(&[(&HOST, host)], false);
        }
        check(&[], false);
        check(&[(&HOST, "localhost"), (&HOST, "localhost")], false);
        let foreign = Uri::from_static("http://evil.com/mcp");
        assert!(guard(Auth::None).admit(&foreign, &headers(&[(&HOST, "localhost")])).is_err());
    }

    #[test]
    fn pages_of_other_origins_are_kept_out() {
        let host = (&HOST, "localhost:8080");
        for origin in ["http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080", "https://app.example"] {
            check(&[host, (&ORIGIN, origin)], true);
        }
        for origin in [
            "null",
            "http://evil.com",
            "http://localhost",
            "http://localhost:8081",
            "https://localhost:8080",
            "http://localhost:8080.evil.com",
            "http://a@localhost:8080",
            "https://app.example.evil.com",
            "",
        ] {
            check(&[host, (&ORIGIN, origin)], false);
        }
        let own = (&ORIGIN, "http://localhost:8080");
        check(&[host, own, own], false);
        check(&[host, (&FETCH_SITE, "cross-site")], false);
        check(&[host, (&FETCH_SITE, "same-origin")], true);
    }

    #[test]
    fn the_token_is_asked_for_whole_and_once() {
        let guard = guard(Auth::Token(Secret::new("s3cret-token")));
        let check = |shown: &[&str], want: bool| {
            let pairs: Vec<_> = shown.iter().map(|value| (&AUTHORIZATION, *value)).collect();
            assert_eq!(guard.principal(&headers(&pairs)).is_ok(), want, "{shown:?}");
        };
        check(&["Bearer s3cret-token"], true);
        check(&["bearer  s3cret-token"], true);
        for wrong in ["Bearer s3cret-toke", "Bearer s3cret-token2", "Bearer", "Basic s3cret-token", "s3cret-token", ""]
        {
            check(&[wrong], false);
        }
        check(&[], false);
        check(&["Bearer s3cret-token", "Bearer s3cret-token"], false);
    }

    #[test]
    fn an_empty_token_lets_nobody_in() {
        let guard = guard(Auth::Token(Secret::new("")));
        assert!(guard.principal(&headers(&[(&AUTHORIZATION, "Bearer ")])).is_err());
    }

    #[test]
    fn without_a_token_only_loopback_is_listened_on() {
        for (address, ok) in [("127.0.0.1:1", true), ("[::1]:1", true), ("0.0.0.0:1", false), ("192.0.2.1:1", false)] {
            let options = HttpOptions::new(Auth::None);
            assert_eq!(Guard::new(&options, address.parse().expect("an address")).is_ok(), ok, "{address}");
        }
    }
}
