//! Where a database is, who logs in to it, and how well it must prove itself: `postgres://ada@db.example.org:5432/house`.
//!
//! Invariants: a connection to anywhere but this machine is encrypted and its server's certificate checked, unless the operator turns encryption off in so many words. What is wrong with an address is said without
//! showing a password in it. Never connects.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

pub use crate::outbound::Place;
use crate::outbound::is_here;

/// The port of PostgreSQL.
const PORT: u16 = 5432;

/// How it proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Not at all, and nothing is encrypted.
    None,
    /// By a certificate for its name, from an authority of this file, or of this machine.
    Certificate(Option<PathBuf>),
}

/// A database, and who logs in to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    pub place: Place,
    pub proof: Proof,
    pub user: String,
    pub password: String,
    pub database: String,
    pub application: String,
}

/// Without its password.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("place", &self.place)
            .field("proof", &self.proof)
            .field("user", &self.user)
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// What is wrong with an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressError {
    NoScheme,
    BadPort,
    BadEscape,
    NoUser,
    NoDatabase,
    UnknownParameter(String),
    /// A way of encrypting that does not say who answers, or is none.
    SslMode(String),
    /// More than one host.
    SeveralHosts,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoScheme => f.write_str("it must begin with postgres://"),
            Self::BadPort => f.write_str("its port must be a number from 1 to 65535"),
            Self::BadEscape => f.write_str("what is escaped in it must be UTF-8 without U+0000"),
            Self::NoUser => f.write_str("it must say who logs in: postgres://ada@…"),
            Self::NoDatabase => f.write_str("it must say which database: postgres://…/house"),
            Self::UnknownParameter(name) => write!(
                f,
                "its parameter `{name}` is not one of host, port, user, dbname, sslmode, sslrootcert, application_name"
            ),
            Self::SslMode(mode) => write!(
                f,
                "its sslmode `{mode}` must be `disable` or `verify-full`: what is in between does not say who answers. The authority of a server's own certificate is named by sslrootcert"
            ),
            Self::SeveralHosts => f.write_str("it must name one host"),
        }
    }
}

impl std::error::Error for AddressError {}

/// What stands in an address, still in words.
#[derive(Default)]
struct Words {
    host: String,
    port: String,
    user: String,
    password: String,
    database: String,
    ssl_mode: String,
    ssl_root: String,
    application: String,
}

impl Address {
    /// Reads `postgres://user:password@host:port/database?sslmode=verify-full&sslrootcert=ca.pem`; a socket's folder is `?host=/run/postgresql`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let rest =
            ["postgres://", "postgresql://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let rest = rest.ok_or(AddressError::NoScheme)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let (host, port) = host_and_port(host)?;
        let mut words = Words {
            host: plain(host)?,
            port: port.to_owned(),
            user: plain(user)?,
            password: plain(password)?,
            database: plain(database)?,
            ..Words::default()
        };
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let value = plain(value)?;
            match name {
                "host" => words.host = value,
                "port" => words.port = value,
                "user" => words.user = value,
                "dbname" => words.database = value,
                "sslmode" => words.ssl_mode = value,
                "sslrootcert" => words.ssl_root = value,
                "application_name" => words.application = value,
                other => return Err(AddressError::UnknownParameter(other.to_owned())),
            }
        }
        words.address()
    }

    /// Whether nobody between here and there can read along.
    #[must_use]
    pub fn is_private(&self) -> bool {
        match (&self.proof, &self.place) {
            (Proof::Certificate(_), _) | (_, Place::Socket(_)) => true,
            (Proof::None, Place::Host(host, _)) => is_here(host),
        }
    }

    /// Where it is, as it is said to an operator.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.place {
            Place::Host(host, port) => format!("{host}:{port}/{}", self.database),
            Place::Socket(path) => format!("{}/{}", path.display(), self.database),
        }
    }
}

impl Words {
    fn address(self) -> Result<Address, AddressError> {
        if self.host.contains(',') {
            return Err(AddressError::SeveralHosts);
        }
        let port = match self.port.as_str() {
            "" => PORT,
            text => text.parse().ok().filter(|port| *port > 0).ok_or(AddressError::BadPort)?,
        };
        if self.user.is_empty() {
            return Err(AddressError::NoUser);
        }
        if self.database.is_empty() {
            return Err(AddressError::NoDatabase);
        }
        let place = match self.host.as_str() {
            folder if folder.starts_with('/') => {
                Place::Socket(PathBuf::from(folder).join(format!(".s.PGSQL.{port}")))
            }
            "" => Place::Host("localhost".to_owned(), port),
            host => Place::Host(host.to_owned(), port),
        };
        let root = (!self.ssl_root.is_empty()).then(|| PathBuf::from(&self.ssl_root));
        let proof = match (self.ssl_mode.as_str(), &place) {
            ("disable", _) => Proof::None,
            ("verify-full", Place::Host(..)) => Proof::Certificate(root),
            ("", Place::Host(host, _)) if root.is_some() || !is_here(host) => {
                Proof::Certificate(root)
            }
            ("", _) => Proof::None,
            (mode, _) => return Err(AddressError::SslMode(mode.to_owned())),
        };
        let application =
            if self.application.is_empty() { "fanwire".to_owned() } else { self.application };
        let Self { user, password, database, .. } = self;
        Ok(Address { place, proof, user, password, database, application })
    }
}

fn host_and_port(text: &str) -> Result<(&str, &str), AddressError> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, behind) = rest.split_once(']').ok_or(AddressError::BadPort)?;
        let port = behind.strip_prefix(':').unwrap_or(behind);
        return Ok((host, port));
    }
    Ok(text.rsplit_once(':').unwrap_or((text, "")))
}

fn plain(text: &str) -> Result<String, AddressError> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| AddressError::BadEscape)?;
    if text.contains('\0') {
        return Err(AddressError::BadEscape);
    }
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read() {
        let address = Address::parse("postgres://ada:p%40ss%2F@db.example.org:6000/house").unwrap();
        assert_eq!(address.place, Place::Host("db.example.org".to_owned(), 6000));
        assert_eq!(address.proof, Proof::Certificate(None));
        assert_eq!((&*address.user, &*address.password), ("ada", "p@ss/"));
        assert_eq!(address.shown(), "db.example.org:6000/house");
        assert!(!format!("{address:?}").contains("p@ss"));
        let proof = |text: &str| Address::parse(text).unwrap().proof;
        assert_eq!(proof("postgres://ada@localhost/house"), Proof::None);
        assert_eq!(proof("postgresql://ada@[::1]:5433/house"), Proof::None);
        assert_eq!(proof("postgres://ada@db/house?sslmode=disable"), Proof::None);
        let of_file = Proof::Certificate(Some(PathBuf::from("ca.pem")));
        assert_eq!(proof("postgres://ada@127.0.0.1/house?sslrootcert=ca.pem"), of_file);
        let socket = Address::parse("postgres:///house?host=/run/pg&port=5433&user=ada").unwrap();
        assert_eq!(socket.place, Place::Socket(PathBuf::from("/run/pg/.s.PGSQL.5433")));
        assert_eq!(socket.proof, Proof::None);
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said_without_its_password() {
        for (text, error) in [
            ("mysql://ada:secret@db/house", AddressError::NoScheme),
            ("postgres://ada:secret@db:0/house", AddressError::BadPort),
            ("postgres://ada:secret@db:x/house", AddressError::BadPort),
            ("postgres://[::1/house", AddressError::BadPort),
            ("postgres://ada:%00@db/house", AddressError::BadEscape),
            ("postgres://:secret@db/house", AddressError::NoUser),
            ("postgres://ada:secret@db", AddressError::NoDatabase),
            ("postgres://ada@one,two/house", AddressError::SeveralHosts),
            (
                "postgres://ada@db/house?options=x",
                AddressError::UnknownParameter("options".to_owned()),
            ),
            (
                "postgres://ada@db/house?sslmode=require",
                AddressError::SslMode("require".to_owned()),
            ),
        ] {
            let found = Address::parse(text).unwrap_err();
            assert_eq!(found, error, "{text}");
            assert!(!found.to_string().contains("secret"), "{found}");
        }
    }
}
