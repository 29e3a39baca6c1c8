//! What of the network a program may reach: nothing, all, or some hosts. Not here: the proxy that lets it reach them.

use std::fmt;
use std::str::FromStr;

/// What of the network a program may reach.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Net {
    /// Nothing.
    #[default]
    Off,
    /// All that toolgate itself may.
    On,
    /// These, through a proxy that the caller of [`crate::launch`] runs; see [`crate::Egress`].
    Hosts(Vec<Host>),
}

/// One host that may be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The lower-case name or address, without brackets.
    name: String,
    /// It stands for every name below it too (`*.example.com`), and not for itself.
    below: bool,
    port: u16,
}

/// The port where none is written.
const HTTPS: u16 = 443;

/// Why a host cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no host: write `api.example.com`, `*.example.com` or `host:port`")]
pub struct NoHost(String);

impl Host {
    /// Whether it stands for `name` at `port`.
    #[must_use]
    pub fn matches(&self, name: &str, port: u16) -> bool {
        let name = name.to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        let same = match self.below {
            true => name.strip_suffix(&self.name).is_some_and(|below| below.len() > 1 && below.ends_with('.')),
            false => name == self.name,
        };
        same && port == self.port
    }

    /// Its name, if it stands for that alone.
    #[must_use]
    pub fn exact_name(&self) -> Option<&str> {
        (!self.below).then_some(self.name.as_str())
    }
}

impl FromStr for Host {
    type Err = NoHost;

    fn from_str(text: &str) -> Result<Self, NoHost> {
        let refused = || NoHost(text.to_owned());
        let (host, port) = split_port(text).ok_or_else(refused)?;
        let (name, below) = match host.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (host, false),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
        if name.is_empty() || name.starts_with('.') || !name.bytes().all(plain) || port == 0 {
            return Err(refused());
        }
        Ok(Self { name: name.to_ascii_lowercase(), below, port })
    }
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`.
fn split_port(text: &str) -> Option<(&str, u16)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        return match port.strip_prefix(':') {
            Some(port) => Some((host, port.parse().ok()?)),
            None => port.is_empty().then_some((host, HTTPS)),
        };
    }
    match text.split_once(':') {
        Some((host, port)) => Some((host, port.parse().ok()?)),
        None => Some((text, HTTPS)),
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.below { "*." } else { "" };
        match self.name.contains(':') {
            true => write!(f, "[{}]:{}", self.name, self.port),
            false => write!(f, "{star}{}:{}", self.name, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: &str, yes: &[(&str, u16)], no: &[(&str, u16)]) {
        let host: Host = rule.parse().unwrap();
        yes.iter().for_each(|(name, port)| assert!(host.matches(name, *port), "{rule} and {name}:{port}"));
        no.iter().for_each(|(name, port)| assert!(!host.matches(name, *port), "{rule} and {name}:{port}"));
    }

    #[test]
    fn a_host_stands_for_itself_at_its_port() {
        let no = [("api.example.com", 80), ("x.api.example.com", 443), ("api.example.com.evil.org", 443)];
        check("api.example.com", &[("API.example.com.", 443), ("api.example.com", 443)], &no);
        check("localhost:8080", &[("localhost", 8080)], &[("localhost", 443)]);
        check("[::1]:80", &[("::1", 80)], &[("::2", 80)]);
    }

    #[test]
    fn a_star_stands_for_what_is_below() {
        let no = [("example.com", 443), ("evilexample.com", 443), (".example.com", 443)];
        check("*.example.com", &[("a.example.com", 443), ("a.b.example.com", 443)], &no);
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in ["", "*", "*.", "a b", "a:x", "a:0", "http://a", "a/b", "u@a", "[::1", "[::1]x", "é.com"] {
            assert!(text.parse::<Host>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_host_is_shown_as_it_is_read() {
        for text in ["a.com:443", "*.a.com:80", "[::1]:80"] {
            assert_eq!(text.parse::<Host>().unwrap().to_string(), text);
        }
    }
}
