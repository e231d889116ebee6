//! Which web pages may talk to this server through a visitor's browser.
//!
//! Invariants: a browser sends `Origin` and a page cannot forge it; who sends none is no browser, and tokens
//! are what counts. A page is of the same origin only if the server knows the host by that name: otherwise
//! anyone could point a name of their own at this address and be "the same" (DNS rebinding). Comparison is of
//! whole scheme, host and port, never of a prefix.

use std::fmt;
use std::net::IpAddr;
use std::net::Ipv6Addr;

use crate::limits::ORIGINS_MAX;

/// Why an entry of the allow-list is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginError {
    TooMany {
        count: usize,
    },
    /// Not `scheme://host` or `scheme://host:port`.
    NotAnOrigin {
        entry: Box<str>,
    },
    /// `*` anywhere but alone or as the first label of a host that has two more.
    Wildcard {
        entry: Box<str>,
    },
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { count } => {
                write!(f, "{count} origins; at most {ORIGINS_MAX} are allowed")
            }
            Self::NotAnOrigin { entry } => {
                write!(f, "{entry:?} is not an origin such as `https://app.example.com`")
            }
            Self::Wildcard { entry } => {
                write!(
                    f,
                    "{entry:?}: `*` may stand alone or for the first label, as in `https://*.example.com`"
                )
            }
        }
    }
}

impl std::error::Error for OriginError {}

/// A scheme, host and port, lower-case, with the scheme's own port left in. Schemes of apps have none, and perhaps no host either.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    scheme: Box<str>,
    host: Box<str>,
    port: Option<u16>,
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let known_port = match scheme.as_str() {
            "http" | "ws" => Some(80),
            "https" | "wss" => Some(443),
            _ => None,
        };
        //= rfc3986#3.1
        //# scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )
        let is_named = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        // What an app shows comes from `file://` or `capacitor://localhost`: from nowhere on the net, and by no port.
        let (host, port) = match split_host(authority) {
            None if authority.is_empty() && known_port.is_none() => (String::new(), None),
            split => split?,
        };
        is_named.then_some(Self {
            scheme: scheme.into(),
            host: host.into(),
            port: port.or(known_port),
        })
    }
}

/// `host[:port]` -> the host in lower case and the port. Nothing else may be in it: no user, path or space.
fn split_host(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match authority.rsplit_once(':') {
        // The colons of an IPv6 address stand before its bracket.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let port = match port {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok()?)
        }
        Some(_) => return None,
        None => None,
    };
    let in_brackets = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let good = match in_brackets {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._*".contains(&byte))
        }
    };
    good.then(|| (host.to_ascii_lowercase(), port))
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum OriginRule {
    Any,
    /// `null`: pages without an origin, such as files and sandboxed frames.
    Null,
    Exactly(Origin),
    /// Any host that ends in `.host`.
    Below(Origin),
}

impl OriginRule {
    fn parse(text: &str) -> Result<Self, OriginError> {
        match text {
            "*" => return Ok(Self::Any),
            "null" => return Ok(Self::Null),
            _ => {}
        }
        let origin =
            Origin::parse(text).ok_or_else(|| OriginError::NotAnOrigin { entry: text.into() })?;
        if !origin.host.contains('*') {
            return Ok(Self::Exactly(origin));
        }
        let wildcard = || OriginError::Wildcard { entry: text.into() };
        let below = origin.host.strip_prefix("*.").ok_or_else(wildcard)?;
        // `https://*.com` would allow half the web.
        if below.contains('*') || !below.contains('.') {
            return Err(wildcard());
        }
        Ok(Self::Below(Origin { host: below.into(), ..origin }))
    }

    fn allows(&self, origin: Option<&Origin>) -> bool {
        match (self, origin) {
            (Self::Any, _) | (Self::Null, None) => true,
            (Self::Exactly(entry), Some(origin)) => entry == origin,
            (Self::Below(entry), Some(origin)) => {
                let label =
                    origin.host.strip_suffix(&*entry.host).and_then(|rest| rest.strip_suffix('.'));
                label.is_some_and(|label| !label.is_empty())
                    && entry.scheme == origin.scheme
                    && entry.port == origin.port
            }
            (_, _) => false,
        }
    }
}

/// The allow-list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    entries: Vec<OriginRule>,
    hosts: Vec<Box<str>>,
}

impl Origins {
    /// Origins of other sites that are allowed (`https://app.example.com`, `https://*.example.com`, `null`,
    /// `*`), and the names of hosts under which this server is known, whose own pages are. Empty: this
    /// machine's names and addresses only.
    ///
    /// # Errors
    /// An entry is not an origin, or they are too many.
    pub fn new(entries: &[&str], hosts: &[&str]) -> Result<Self, OriginError> {
        let count = entries.len() + hosts.len();
        if count > ORIGINS_MAX {
            return Err(OriginError::TooMany { count });
        }
        let entries =
            entries.iter().map(|text| OriginRule::parse(text)).collect::<Result<_, _>>()?;
        Ok(Self {
            entries,
            hosts: hosts.iter().map(|host| host.to_ascii_lowercase().into()).collect(),
        })
    }

    /// Whether a request with these `Origin` and `Host` headers is allowed, over a connection that is
    /// encrypted or not.
    #[must_use]
    pub fn allows(&self, origin: Option<&str>, host: Option<&str>, encrypted: bool) -> bool {
        let Some(text) = origin else { return true };
        let origin = Origin::parse(text);
        // An origin that is neither `null` nor readable is nobody's.
        if origin.is_none() && text != "null" {
            return self.entries.contains(&OriginRule::Any);
        }
        self.entries.iter().any(|entry| entry.allows(origin.as_ref()))
            || origin.is_some_and(|origin| self.is_own(&origin, host, encrypted))
    }

    fn is_own(&self, origin: &Origin, host: Option<&str>, encrypted: bool) -> bool {
        let (scheme, known_port) = if encrypted { ("https", 443) } else { ("http", 80) };
        let Some((host, port)) = host.and_then(split_host) else { return false };
        let same = *origin.host == *host && origin.port == Some(port.unwrap_or(known_port));
        // A proxy in front may have taken the encryption off; the port then tells nothing either.
        let same =
            same && (*origin.scheme == *scheme || (!encrypted && *origin.scheme == *"https"));
        same && (self.hosts.iter().any(|own| **own == *host)
            || host == "localhost"
            || is_address(&host))
    }
}

/// Whether a host is an address and not a name: an address cannot be pointed elsewhere.
fn is_address(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(entries: &[&str], origin: &str) -> bool {
        Origins::new(entries, &[]).unwrap().allows(Some(origin), Some("fan.example.org"), true)
    }

    #[test]
    fn an_entry_allows_its_origin_and_no_other() {
        let entries = ["https://app.example.com", "http://dev.example.com:8080"];
        assert!(allowed(&entries, "https://app.example.com"));
        assert!(allowed(&entries, "https://app.example.com:443"));
        assert!(allowed(&entries, "HTTPS://App.Example.com"));
        assert!(allowed(&entries, "http://dev.example.com:8080"));
        for origin in [
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.net",
            "https://evil-app.example.com",
            "https://app.example.com@evil.net",
            "https://app.example.com/",
            "http://dev.example.com",
            "null",
            "",
            "app.example.com",
        ] {
            assert!(!allowed(&entries, origin), "{origin}");
        }
    }

    #[test]
    fn a_wildcard_stands_for_labels_in_front() {
        let entries = ["https://*.example.com"];
        assert!(allowed(&entries, "https://a.example.com"));
        assert!(allowed(&entries, "https://a.b.example.com"));
        for origin in [
            "https://example.com",
            "https://.example.com",
            "https://aexample.com",
            "http://a.example.com",
            "https://a.example.com:1",
        ] {
            assert!(!allowed(&entries, origin), "{origin}");
        }
        assert!(allowed(&["*"], "https://anywhere.net") && allowed(&["*"], "null"));
        assert!(allowed(&["null"], "null") && !allowed(&["null"], "https://a.net"));
    }

    #[test]
    fn an_apps_own_scheme_is_an_origin() {
        let entries = [
            "capacitor://localhost",
            "ionic://localhost",
            "tauri://localhost",
            "app://.",
            "app://obsidian.md",
            "capacitor-electron://-",
            "file://",
            "chrome-extension://aapocclcgogkmnckokdopfmhonfmgoek",
            "moz-extension://0a4b6a5e-9f0a-4c4e-8a3a-0d0f0a4b6a5e",
            "vscode-webview://1lkvcv8u6nq4d7kcjqrb9j8d",
            "custom+app.x://host:99",
            "null",
        ];
        for entry in entries {
            for other in entries {
                assert_eq!(allowed(&[entry], other), entry == other, "{entry} {other}");
            }
            assert!(!allowed(&[entry], "https://localhost") && !allowed(&[entry], ""));
            if entry != "null" {
                let louder = entry.to_ascii_uppercase();
                assert!(allowed(&[entry], &louder), "{entry}");
                assert!(!allowed(&[entry], &format!("{entry}.evil.net")), "{entry}");
                assert!(!allowed(&[entry], &format!("{entry}/")), "{entry}");
                let with_port = format!("{}:80", entry.trim_end_matches(":99"));
                assert!(!allowed(&[entry], &with_port), "{entry}");
            }
        }
        // A page without an origin of its own is not the server's, whatever host it names.
        let own = Origins::new(&[], &["localhost"]).unwrap();
        for origin in ["capacitor://localhost", "file://", "null", "tauri://localhost"] {
            assert!(!own.allows(Some(origin), Some("localhost"), false), "{origin}");
        }
    }

    #[test]
    fn without_an_origin_it_is_no_browser() {
        assert!(Origins::default().allows(None, None, false));
    }

    #[test]
    fn a_servers_own_pages_are_allowed_if_it_knows_its_name() {
        let known = Origins::new(&[], &["Fan.Example.org"]).unwrap();
        assert!(known.allows(Some("https://fan.example.org"), Some("fan.example.org"), true));
        assert!(known.allows(
            Some("https://fan.example.org:8443"),
            Some("fan.example.org:8443"),
            true
        ));
        assert!(
            known.allows(Some("https://fan.example.org:8443"), Some("fan.example.org:8443"), false),
            "behind a proxy"
        );
        assert!(!known.allows(Some("http://fan.example.org:443"), Some("fan.example.org"), true));
        assert!(!known.allows(Some("https://evil.net"), Some("fan.example.org"), true));
        let local = Origins::default();
        assert!(local.allows(Some("http://localhost:9000"), Some("localhost:9000"), false));
        assert!(local.allows(Some("http://127.0.0.1:9000"), Some("127.0.0.1:9000"), false));
        assert!(local.allows(Some("http://[::1]:9000"), Some("[::1]:9000"), false));
        assert!(
            !local.allows(Some("http://localhost:3000"), Some("localhost:9000"), false),
            "another server's page"
        );
        assert!(
            !local.allows(Some("http://evil.net:9000"), Some("evil.net:9000"), false),
            "a name pointed at us"
        );
        assert!(!local.allows(Some("http://localhost:9000"), None, false));
    }

    #[test]
    fn an_entry_that_means_nothing_or_too_much_is_refused() {
        for entry in [
            "",
            "example.com",
            "https://",
            "https://a b",
            "https://a/b",
            "://a",
            "1app://a",
            "app:a",
            "app://a/b",
            "app://a b",
            "capacitor://localhost,ionic://localhost",
            "https://a:99999",
            "https://a:",
        ] {
            assert!(
                matches!(Origins::new(&[entry], &[]), Err(OriginError::NotAnOrigin { .. })),
                "{entry}"
            );
        }
        for entry in [
            "https://*",
            "https://*.com",
            "https://a.*.com",
            "https://*.*.com",
            "https://a*.example.com",
        ] {
            assert!(
                matches!(Origins::new(&[entry], &[]), Err(OriginError::Wildcard { .. })),
                "{entry}"
            );
        }
        assert!(matches!(
            Origins::new(&["*"; ORIGINS_MAX + 1], &[]),
            Err(OriginError::TooMany { .. })
        ));
    }
}
