//! Where a broker is, as an operator writes it: `nats://ada@one.example.org:4222,two.example.org/…?tls=off`.
//!
//! Invariants: the scheme says whether it is encrypted; an address holds no password; a password goes to another machine in the clear only where the address says `tls=off` in so many words. Never connects.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use rustls::ClientConfig;

use super::Wording;
use super::encryption_by;
use super::line::Line;
use super::line::Place;
use super::line::is_here;
use crate::limits::BROKER_HOSTS_MAX;

const WORDING: Wording = Wording {
    like: "nats://broker.example.org",
    what: "events are fetched",
    whose: "the broker's",
};

/// How a kind of broker is written and where it listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheme {
    /// In the clear: `nats`, and its port.
    pub plain: (&'static str, u16),
    /// Encrypted: `tls`, and its port.
    pub encrypted: (&'static str, u16),
}

/// Where a broker is, and who is there by what name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAddress {
    /// Each is as good as the others.
    pub places: Vec<Place>,
    pub is_encrypted: bool,
    pub user: String,
    /// What stands behind the host, without the `/`.
    pub path: String,
    is_open: bool,
    authority: Option<PathBuf>,
}

/// What is wrong with an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerAddressError {
    Scheme(Scheme),
    NoHost,
    TooManyHosts,
    BadPort,
    BadEscape,
    Password,
    UnknownParameter(String),
    Tls(String),
}

impl fmt::Display for BrokerAddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme(scheme) => write!(
                f,
                "it must begin with {}:// or, encrypted, {}://",
                scheme.plain.0, scheme.encrypted.0
            ),
            Self::NoHost => f.write_str("it names no host"),
            Self::TooManyHosts => write!(f, "it names more than {BROKER_HOSTS_MAX} hosts"),
            Self::BadPort => f.write_str("its port must be a number from 1 to 65535"),
            Self::BadEscape => f.write_str("what is escaped in it must be UTF-8 without U+0000"),
            Self::Password => f.write_str("a password stands in a file, not in the address"),
            Self::UnknownParameter(name) => {
                write!(f, "its parameter `{name}` is not one of tls, ca")
            }
            Self::Tls(value) => write!(
                f,
                "its parameter tls can only be `off`, not `{value}`: the scheme says what is encrypted"
            ),
        }
    }
}

impl std::error::Error for BrokerAddressError {}

impl BrokerAddress {
    /// Reads `scheme://user@host:port,host:port/path?tls=off&ca=ca.pem`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, scheme: Scheme) -> Result<Self, BrokerAddressError> {
        let (word, rest) = text.split_once("://").ok_or(BrokerAddressError::Scheme(scheme))?;
        let (is_encrypted, port) = match word {
            word if word == scheme.plain.0 => (false, scheme.plain.1),
            word if word == scheme.encrypted.0 => (true, scheme.encrypted.1),
            _ => return Err(BrokerAddressError::Scheme(scheme)),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        if user.contains(':') {
            return Err(BrokerAddressError::Password);
        }
        let places: Vec<Place> =
            hosts.split(',').map(|host| place(host, port)).collect::<Result<_, _>>()?;
        if places.len() > BROKER_HOSTS_MAX {
            return Err(BrokerAddressError::TooManyHosts);
        }
        let (user, path) = (decoded(user)?, decoded(path)?);
        let mut address =
            Self { places, is_encrypted, user, path, is_open: false, authority: None };
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match (name, decoded(value)?) {
                ("tls", value) if value == "off" && !is_encrypted => address.is_open = true,
                ("tls", value) => return Err(BrokerAddressError::Tls(value)),
                ("ca", value) => address.authority = Some(PathBuf::from(value)),
                (name, _) => return Err(BrokerAddressError::UnknownParameter(name.to_owned())),
            }
        }
        Ok(address)
    }

    /// Whether a password may be said there: nobody in between can read along, or the operator wants it so.
    #[must_use]
    pub fn may_hear_secrets(&self, is_encrypted: bool) -> bool {
        let is_own = |place: &Place| match place {
            Place::Host(host, _) => is_here(host),
            Place::Socket(_) => true,
        };
        is_encrypted || self.is_open || self.places.iter().all(is_own)
    }

    /// How it is encrypted, if it is or may have to be.
    ///
    /// # Errors
    /// If it must be, and there is no authority to check it with.
    pub fn encryption(&self) -> io::Result<Option<Arc<ClientConfig>>> {
        if self.is_open {
            return Ok(None);
        }
        match encryption_by(self.authority.as_deref(), WORDING) {
            Ok(tls) => Ok(Some(tls)),
            Err(error) if self.is_encrypted || self.authority.is_some() => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Connects to the first of its hosts that answers, beginning with this one; which that was.
    ///
    /// # Errors
    /// If none does.
    pub fn connect(&self, first: usize, most: Duration) -> io::Result<(Line, usize)> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for turn in 0..self.places.len() {
            let index = first.wrapping_add(turn) % self.places.len();
            match self.places.get(index).map(|place| Line::open(place, most)) {
                Some(Ok(line)) => return Ok((line, index)),
                Some(Err(error)) => last = error,
                None => {}
            }
        }
        Err(last)
    }

    /// The name that the host with this number must prove to have.
    #[must_use]
    pub fn host(&self, index: usize) -> &str {
        match self.places.get(index) {
            Some(Place::Host(host, _)) => host,
            _ => "",
        }
    }
}

/// Where it is, as it is said to an operator.
impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, place) in self.places.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{place}")?;
        }
        Ok(())
    }
}

fn place(text: &str, default: u16) -> Result<Place, BrokerAddressError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']').ok_or(BrokerAddressError::BadPort)?;
            (host, behind.strip_prefix(':').unwrap_or(behind))
        }
        None => text.rsplit_once(':').unwrap_or((text, "")),
    };
    let port = match port {
        "" => default,
        port => port.parse().ok().filter(|port| *port > 0).ok_or(BrokerAddressError::BadPort)?,
    };
    let host = decoded(host)?;
    if host.is_empty() { Err(BrokerAddressError::NoHost) } else { Ok(Place::Host(host, port)) }
}

fn decoded(text: &str) -> Result<String, BrokerAddressError> {
    let text = percent_decode_str(text).decode_utf8();
    let text = text.map_err(|_| BrokerAddressError::BadEscape)?;
    if text.contains('\0') { Err(BrokerAddressError::BadEscape) } else { Ok(text.into_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NATS: Scheme = Scheme { plain: ("nats", 4222), encrypted: ("tls", 4222) };

    fn host(host: &str, port: u16) -> Place {
        Place::Host(host.to_owned(), port)
    }

    #[test]
    fn an_address_is_read_with_all_its_hosts() {
        let address = BrokerAddress::parse("nats://a%40b@one,two:1,[::1]:2,[::1]/x", NATS).unwrap();
        let places = [host("one", 4222), host("two", 1), host("::1", 2), host("::1", 4222)];
        assert_eq!(address.places, places);
        assert_eq!((&*address.user, &*address.path), ("a@b", "x"));
        assert_eq!(address.to_string(), "one:4222,two:1,[::1]:2,[::1]:4222");
        assert!(!address.is_encrypted);
        assert!(BrokerAddress::parse("tls://one", NATS).unwrap().is_encrypted);
    }

    #[test]
    fn a_password_is_said_where_nobody_reads_along_or_where_it_is_wanted() {
        let may = |text, is_encrypted| {
            BrokerAddress::parse(text, NATS).unwrap().may_hear_secrets(is_encrypted)
        };
        assert!(may("nats://localhost", false));
        assert!(may("nats://127.0.0.1,[::1]", false));
        assert!(!may("nats://localhost,db.example.org", false));
        assert!(!may("nats://localhost.example.org", false));
        assert!(may("nats://broker", true));
        assert!(may("nats://broker?tls=off", false));
    }

    #[test]
    fn what_is_wrong_is_said() {
        use BrokerAddressError as Error;
        let many = format!("nats://{}", vec!["a"; BROKER_HOSTS_MAX + 1].join(","));
        for (text, error) in [
            ("nats", Error::Scheme(NATS)),
            ("http://a", Error::Scheme(NATS)),
            ("nats://", Error::NoHost),
            ("nats://a,,b", Error::NoHost),
            ("nats://a:0", Error::BadPort),
            ("nats://a:x", Error::BadPort),
            ("nats://[::1", Error::BadPort),
            ("nats://%00", Error::BadEscape),
            ("nats://%ff", Error::BadEscape),
            ("nats://ada:secret@a", Error::Password),
            ("nats://a?x=1", Error::UnknownParameter("x".to_owned())),
            ("nats://a?tls=on", Error::Tls("on".to_owned())),
            ("tls://a?tls=off", Error::Tls("off".to_owned())),
            (&many, Error::TooManyHosts),
        ] {
            assert_eq!(BrokerAddress::parse(text, NATS), Err(error), "{text}");
        }
    }
}
