//! Which host a URL leads to, where every reader of it agrees; what they may read differently has none.

use url::{Host, Url};

/// The host of a URL, in lower case, as the network knows it. `None` if the text is no URL with a host, or one that
/// readers differ on: a backslash, spaces or control characters, two `@`, a missing slash.
pub(super) fn host_of(text: &str) -> Option<String> {
    let doubtful = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if !named || authority.is_empty() || authority.matches('@').count() > 1 || text.contains(doubtful) {
        return None;
    }
    normal(Url::parse(text).ok()?.host_str()?)
}

/// One spelling for each host: as browsers take it (IDNA, odd forms of IPv4), without the final dot.
fn normal(host: &str) -> Option<String> {
    let host = Host::parse(host).ok()?.to_string();
    let host = host.strip_suffix('.').unwrap_or(&host);
    (!host.is_empty()).then(|| host.to_owned())
}

/// A host that a rule names, or all below one.
#[derive(Debug)]
pub(super) enum HostPattern {
    Exact(String),
    /// With the dot in front.
    Below(String),
    /// Any.
    Any,
    /// A text that no host can be.
    Nothing,
}

impl HostPattern {
    pub(super) fn new(text: &str) -> Self {
        let (below, host) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        let bare = if host.contains(':') && !host.starts_with('[') { &format!("[{host}]") } else { host };
        match normal(bare) {
            _ if text == "*" => Self::Any,
            Some(host) if below => Self::Below(format!(".{host}")),
            Some(host) => Self::Exact(host),
            None => Self::Nothing,
        }
    }

    pub(super) fn fits(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == host,
            Self::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
            Self::Any => true,
            Self::Nothing => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_what_every_reader_takes_for_it() {
        for (url, want) in [
            ("https://good.com/x", Some("good.com")),
            ("HTTPS://GOOD.com:8443/", Some("good.com")),
            ("https://good.com.", Some("good.com")),
            ("https://good.com@evil.com/", Some("evil.com")),
            ("https://u:p@good.com", Some("good.com")),
            ("https://a@b@good.com", None),
            ("https://evil.com\\@good.com", None),
            ("https:good.com", None),
            ("https:///good.com", None),
            ("good.com", None),
            ("//good.com", None),
            ("https://go od.com", None),
            ("https://good.com\t", None),
            ("https://", None),
            ("mailto:a@good.com", None),
            ("git@good.com:org/repo", None),
            ("ssh://git@GOOD.com/x", Some("good.com")),
            ("http://[::1]:80/", Some("[::1]")),
            ("http://127.1/", Some("127.0.0.1")),
            ("http://0x7f.0.0.1/", Some("127.0.0.1")),
            ("https://bücher.de/", Some("xn--bcher-kva.de")),
            ("https://good%2ecom/", Some("good.com")),
        ] {
            assert_eq!(host_of(url).as_deref(), want, "{url}");
        }
    }

    #[test]
    fn a_pattern_names_a_host_or_all_below_it() {
        for (pattern, host, want) in [
            ("good.com", "good.com", true),
            ("GOOD.com.", "good.com", true),
            ("good.com", "a.good.com", false),
            ("*.good.com", "a.b.good.com", true),
            ("*.good.com", "good.com", false),
            ("*.good.com", "evilgood.com", false),
            ("::1", "[::1]", true),
            ("[::1]", "[::1]", true),
            ("bücher.de", "xn--bcher-kva.de", true),
            ("good.com:80", "good.com", false),
            ("", "good.com", false),
            ("*", "good.com", true),
        ] {
            assert_eq!(HostPattern::new(pattern).fits(host), want, "{pattern} {host}");
        }
    }
}
