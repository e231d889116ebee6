//! Where the server is, as people write it: `http://host:port`, `wss://host/v1/ws`, `host:port`.
//!
//! One text serves every command: only host and port are taken as they are, and each command finds its own path from the base.
//! Never resolves a name, never connects.

use std::fmt;

/// A server's address, and the path under which its routes lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    pub port: u16,
    /// `https` or `wss`: TLS.
    pub is_encrypted: bool,
    /// What stands before `/v1/…`: empty, or a path that begins with `/` and does not end with one.
    pub base: String,
}

/// Why a text is not an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointError {
    Scheme {
        scheme: String,
    },
    NoHost,
    Port {
        text: String,
    },
    /// A name and password before the host.
    UserInfo,
    /// A `?` or `#`: options have switches of their own.
    Query,
    /// A space or control character.
    Character {
        at: usize,
    },
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme { scheme } => {
                write!(f, "scheme `{scheme}` is not known; use `http`, `https`, `ws` or `wss`")
            }
            Self::NoHost => write!(f, "there is no host; write it like http://127.0.0.1:8080"),
            Self::Port { text } => write!(f, "port `{text}` is not a number from 1 to 65535"),
            Self::UserInfo => write!(f, "a user name before the host is not supported"),
            Self::Query => write!(f, "`?` and `#` have no place here: use the switches"),
            Self::Character { at } => write!(f, "a space or control character at byte {at}"),
        }
    }
}

impl std::error::Error for EndpointError {}

impl Endpoint {
    /// Reads what a person wrote.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        if let Some(at) = text.find(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(EndpointError::Character { at });
        }
        let (is_encrypted, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (is_encrypted(scheme)?, rest),
            None => (false, text),
        };
        if rest.contains(['?', '#']) {
            return Err(EndpointError::Query);
        }
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, path),
            None => (rest, ""),
        };
        if authority.contains('@') {
            return Err(EndpointError::UserInfo);
        }
        let (host, port) = split_port(authority, if is_encrypted { 443 } else { 80 })?;
        if host.is_empty() {
            return Err(EndpointError::NoHost);
        }
        Ok(Self { host: host.to_owned(), port, is_encrypted, base: base_of(path) })
    }

    /// The value of a `Host` field.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The request target of one of the server's routes, such as `/v1/ws`.
    #[must_use]
    pub fn target(&self, route: &str) -> String {
        format!("{}{route}", self.base)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.authority(), self.base)
    }
}

fn is_encrypted(scheme: &str) -> Result<bool, EndpointError> {
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "ws" => Ok(false),
        "https" | "wss" => Ok(true),
        _ => Err(EndpointError::Scheme { scheme: scheme.to_owned() }),
    }
}

fn split_port(authority: &str, default: u16) -> Result<(&str, u16), EndpointError> {
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, after)) => match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None => return Err(EndpointError::Port { text: after.to_owned() }),
        },
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    match port {
        None => Ok((host, default)),
        Some(text) => match text.parse() {
            Ok(port) if port > 0 => Ok((host, port)),
            _ => Err(EndpointError::Port { text: text.to_owned() }),
        },
    }
}

/// A path that names one of our routes names the base before it: whoever copies the WebSocket's URL into `publish` means the server.
fn base_of(path: &str) -> String {
    let path = path.trim_end_matches('/');
    let base = ["v1/ws", "v1/sse", "v1/publish", "v1"]
        .iter()
        .find_map(|route| {
            path.strip_suffix(route).filter(|rest| rest.is_empty() || rest.ends_with('/'))
        })
        .unwrap_or(path)
        .trim_end_matches('/');
    if base.is_empty() { String::new() } else { format!("/{base}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, u16, String) {
        let endpoint = Endpoint::parse(text).unwrap();
        (endpoint.host, endpoint.port, endpoint.base)
    }

    #[test]
    fn every_form_that_people_write_names_the_same_server() {
        let same = ("127.0.0.1".to_owned(), 8080, String::new());
        for text in [
            "127.0.0.1:8080",
            "http://127.0.0.1:8080",
            "HTTP://127.0.0.1:8080/",
            "ws://127.0.0.1:8080/v1/ws",
            "http://127.0.0.1:8080/v1/publish/",
            "http://127.0.0.1:8080/v1",
        ] {
            assert_eq!(parsed(text), same, "{text}");
        }
    }

    #[test]
    fn a_port_is_80_and_a_base_is_kept() {
        assert_eq!(parsed("http://example.org"), ("example.org".to_owned(), 80, String::new()));
        assert_eq!(parsed("ws://h:1/live/v1/ws"), ("h".to_owned(), 1, "/live".to_owned()));
        assert_eq!(parsed("http://h/xv1/ws"), ("h".to_owned(), 80, "/xv1/ws".to_owned()));
        let six = Endpoint::parse("http://[::1]:9").unwrap();
        assert_eq!((six.host.as_str(), six.authority().as_str()), ("::1", "[::1]:9"));
    }

    #[test]
    fn an_encrypted_scheme_has_a_port_of_its_own() {
        for (text, expected) in [
            ("https://h", (true, 443)),
            ("WSS://h/v1/ws", (true, 443)),
            ("wss://h:8443", (true, 8443)),
            ("ws://h", (false, 80)),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!((endpoint.is_encrypted, endpoint.port), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, told) in [
            ("ftp://h", "scheme `ftp` is not known; use `http`, `https`, `ws` or `wss`"),
            ("http://", "there is no host; write it like http://127.0.0.1:8080"),
            ("http://:80", "there is no host; write it like http://127.0.0.1:8080"),
            ("h:99999", "port `99999` is not a number from 1 to 65535"),
            ("h:0", "port `0` is not a number from 1 to 65535"),
            ("[::1]x", "port `x` is not a number from 1 to 65535"),
            ("http://me:secret@h", "a user name before the host is not supported"),
            ("http://h/?a", "`?` and `#` have no place here: use the switches"),
            ("http://h /", "a space or control character at byte 8"),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap_err().to_string(), told, "{text}");
        }
    }
}
