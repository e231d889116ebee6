//! The header fields that this server reads, and how often and in which bytes each may come.
//!
//! Invariant: in a `Head`, a field from the list below is absent or can be read. One that is present and cannot be read refuses the request
//! with 400: it never counts as absent, for whoever sent it meant something by it. Fields that nobody here reads may hold any bytes.

use crate::wire::http::error::HttpError;
use crate::wire::http::head::Head;

/// A field with one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    AccessControlRequestMethod,
    Authorization,
    ConnectProtocolVersion,
    ContentEncoding,
    ContentType,
    FanwireKey,
    Host,
    LastEventId,
    Origin,
}

impl Name {
    /// All known fields.
    pub const ALL: [Self; 9] = [
        Self::AccessControlRequestMethod,
        Self::Authorization,
        Self::ConnectProtocolVersion,
        Self::ContentEncoding,
        Self::ContentType,
        Self::FanwireKey,
        Self::Host,
        Self::LastEventId,
        Self::Origin,
    ];

    /// The field's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessControlRequestMethod => "Access-Control-Request-Method",
            Self::Authorization => "Authorization",
            Self::ConnectProtocolVersion => "Connect-Protocol-Version",
            Self::ContentEncoding => "Content-Encoding",
            Self::ContentType => "Content-Type",
            Self::FanwireKey => "Fanwire-Key",
            Self::Host => "Host",
            Self::LastEventId => "Last-Event-ID",
            Self::Origin => "Origin",
        }
    }
}

/// Fields that are lists of tokens, and may be spread over several lines (RFC 9110 section 5.3). The WebSocket's own are judged where a
/// connection is upgraded.
const LISTS: [&str; 4] = ["Connection", "Expect", "Transfer-Encoding", "Upgrade"];

/// The value of a known field in a head: absent, readable or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup<'a> {
    Absent,
    Value(&'a str),
    /// The field is there, and its value cannot be read.
    Unreadable(HttpError),
}

impl<'a> Lookup<'a> {
    /// Looks a known field up among all fields of a head.
    pub(super) fn of(name: Name, mut values: impl Iterator<Item = &'a [u8]>) -> Self {
        let Some(value) = values.next() else { return Self::Absent };
        if values.next().is_some() {
            return Self::Unreadable(HttpError::FieldRepeated { name: name.as_str() });
        }
        match std::str::from_utf8(value) {
            Ok(value) => Self::Value(value),
            Err(_) => Self::Unreadable(HttpError::FieldNotText { name: name.as_str() }),
        }
    }
}

/// The names of all fields that are read: those with one value, then the lists.
const READ: [&str; Name::ALL.len() + LISTS.len()] = {
    let mut read = [""; Name::ALL.len() + LISTS.len()];
    let mut place = 0;
    while place < read.len() {
        read[place] = match place.checked_sub(Name::ALL.len()) {
            None => Name::ALL[place].as_str(),
            Some(of_lists) => LISTS[of_lists],
        };
        place += 1;
    }
    read
};

/// Refuses a head with a known field whose value cannot be read. Goes through the fields once.
pub(super) fn check(head: &Head) -> Result<(), HttpError> {
    let mut seen = [false; Name::ALL.len()];
    for (field, value) in head.raw_fields() {
        let is_it = |name: &&str| name.as_bytes().eq_ignore_ascii_case(field);
        let Some(place) = READ.iter().position(is_it) else { continue };
        let name = READ[place];
        let is_text = match seen.get_mut(place) {
            Some(seen) => {
                if std::mem::replace(seen, true) {
                    return Err(HttpError::FieldRepeated { name });
                }
                std::str::from_utf8(value).is_ok()
            }
            None => value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')),
        };
        if !is_text {
            return Err(HttpError::FieldNotText { name });
        }
    }
    Ok(())
}

/// Fields that a proxy adds, and a client that speaks to this server itself has no use for. Those that begin so with `-` at the end stand
/// for all that begin with it.
const OF_PROXIES: [&str; 20] = [
    "Forwarded",
    "Via",
    "X-Forwarded",
    "X-Forwarded-",
    "X-Original-",
    "X-Real-IP",
    "X-Real-",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "X-ProxyUser-IP",
    "X-Envoy-",
    "X-Amzn-",
    "X-Azure-",
    "X-Appengine-",
    "Client-IP",
    "True-Client-IP",
    "CF-",
    "CDN-",
    "Fastly-",
    "Fly-",
];

/// The first letters of those names, one bit each: most names begin with another letter and need no comparison.
const INITIALS: u32 = {
    let mut initials = 0;
    let mut place = 0;
    while place < OF_PROXIES.len() {
        initials |= 1 << (OF_PROXIES[place].as_bytes()[0].to_ascii_lowercase() - b'a');
        place += 1;
    }
    initials
};

/// Whether a field of this name says that a proxy has passed the request on, whatever its value is.
pub(super) fn is_of_proxy(name: &[u8]) -> bool {
    let Some(initial @ b'a'..=b'z') = name.first().map(u8::to_ascii_lowercase) else {
        return false;
    };
    if INITIALS & (1 << (initial - b'a')) == 0 {
        return false;
    }
    OF_PROXIES.iter().map(|known| known.as_bytes()).any(|known| {
        let begins = name.get(..known.len()).is_some_and(|start| start.eq_ignore_ascii_case(known));
        begins && (known.ends_with(b"-") || name.len() == known.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::parse_head;

    fn parse(fields: &[u8]) -> Result<Head, HttpError> {
        let mut input = b"POST /a HTTP/1.1\r\n".to_vec();
        if !fields.to_ascii_lowercase().starts_with(b"host:") {
            input.extend_from_slice(b"Host: h\r\n");
        }
        input.extend_from_slice(fields);
        input.extend_from_slice(b"\r\n");
        parse_head(&input).map(|found| found.unwrap().0)
    }

    fn field(name: &str, value: &[u8]) -> Vec<u8> {
        [name.as_bytes(), b": ", value, b"\r\n"].concat()
    }

    #[test]
    fn a_field_that_is_there_and_cannot_be_read_is_never_absent() {
        for name in Name::ALL {
            let text = name.as_str();
            let one = field(text, b"h");
            assert_eq!(parse(&one).unwrap().look_up(name), Lookup::Value("h"), "{text}");
            assert_eq!(parse(&one.to_ascii_lowercase()).unwrap().value(name), Some("h"));
            let expected = match name {
                Name::Host => HttpError::HostInvalid,
                _ => HttpError::FieldNotText { name: text },
            };
            for bytes in [&b"\xff"[..], b"a\xfcb", b"\xff, a", b"\xed\xa0\x80", b"a\xc3"] {
                assert_eq!(parse(&field(text, bytes)), Err(expected), "{text}");
            }
            let expected = match name {
                Name::Host => HttpError::HostRepeated,
                _ => HttpError::FieldRepeated { name: text },
            };
            for second in [&b"h"[..], b"", b"\xff"] {
                let two = [one.clone(), field(&text.to_ascii_uppercase(), second)].concat();
                assert_eq!(parse(&two), Err(expected), "{text}");
            }
            if name != Name::Host {
                assert_eq!(parse(b"X: y\r\n").unwrap().look_up(name), Lookup::Absent, "{text}");
                let umlaut = field(text, "ü".as_bytes());
                assert_eq!(parse(&umlaut).unwrap().value(name), Some("ü"), "{text}");
            }
        }
    }

    #[test]
    fn a_list_may_come_again_and_is_text() {
        for name in LISTS {
            let bad = field(name, b"\xff");
            assert_eq!(parse(&bad), Err(HttpError::FieldNotText { name }), "{name}");
            let good = [field("Connection", b"close"), field("connection", b"x")].concat();
            assert!(parse(&good).is_ok_and(|head| !head.keep_alive));
        }
        assert!(parse(b"X: \xff\r\nX: \xfe\r\nCookie: \xfd\r\n").is_ok(), "nobody reads these");
    }

    #[test]
    fn a_proxy_is_seen_whatever_it_wrote() {
        for name in [
            "Forwarded",
            "via",
            "X-Forwarded-For",
            "x-forwarded-proto",
            "X-FORWARDED-HOST",
            "X-Real-IP",
            "X-Original-Forwarded-For",
            "CF-Connecting-IP",
            "True-Client-IP",
            "X-Envoy-External-Address",
        ] {
            for value in [&b"203.0.113.9"[..], b"", b"\xff, 203.0.113.9", b"\xff"] {
                let head = parse(&field(name, value)).unwrap();
                assert_eq!(head.passed_on_by(), Some(name), "{name}");
            }
            let two = [field(name, b"\xff"), field(name, b"1")].concat();
            assert!(parse(&two).unwrap().passed_on_by().is_some());
        }
        for name in ["X-Forward", "Viaduct", "Forwarded2", "X-Request-ID", "Accept"] {
            assert_eq!(parse(&field(name, b"1")).unwrap().passed_on_by(), None, "{name}");
        }
    }
}
