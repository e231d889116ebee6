//! Requests that proxies have passed on: whom they are from, as far as the operator trusts those who say it.
//!
//! Invariants: a field is read only of a connection whose far end is trusted, and only as far as every hop is; so whatever a client writes itself is never reached. Whoever
//! was passed on is never taken for a client on this machine.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::Shard;
use super::input::ConnId;
use crate::auth::Networks;
use crate::limits::PROXY_HOPS_MAX;
use crate::wire::http::ForwardedBy;
use crate::wire::http::Head;
use crate::wire::http::Hop;

/// Who is trusted to say whom a request is from, and by which field they say it.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    pub trusted: Arc<Networks>,
    pub by: ForwardedBy,
}

/// Why nobody can say whom a request is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotSaid {
    Unreadable(ForwardedBy),
    TooManyHops(ForwardedBy),
}

impl fmt::Display for NotSaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(by) => {
                write!(f, "header field {} names no address where it must", by.as_str())
            }
            Self::TooManyHops(by) => write!(
                f,
                "header field {} names more than {PROXY_HOPS_MAX} trusted proxies",
                by.as_str()
            ),
        }
    }
}

impl Proxies {
    /// Whom a request is from that has come by a trusted proxy: the nearest hop that is not trusted itself, or the last that anybody names.
    fn client(&self, proxy: IpAddr, head: &Head) -> Result<IpAddr, NotSaid> {
        let mut client = proxy;
        // It may have been trusted only when it connected.
        if !self.trusted.contain(proxy) {
            return Ok(client);
        }
        for (passed, hop) in self.by.hops(head.headers(self.by.as_str())).enumerate() {
            match hop {
                Hop::Address(address) => client = address,
                Hop::Hidden => return Ok(client),
                Hop::Unreadable => return Err(NotSaid::Unreadable(self.by)),
            }
            if !self.trusted.contain(client) {
                return Ok(client);
            }
            if passed + 1 == PROXY_HOPS_MAX {
                return Err(NotSaid::TooManyHops(self.by));
            }
        }
        Ok(client)
    }
}

impl Shard {
    /// Finds out whom a request is from, if it comes by a proxy that is trusted to say so. One connection of a proxy may carry requests of many.
    pub(super) fn find_client(&mut self, id: ConnId, head: &Head) -> Result<(), NotSaid> {
        let Some(conn) = self.conns.find_mut(id) else { return Ok(()) };
        let Some(proxy) = conn.caller.proxy() else { return Ok(()) };
        let client = self.settings.access.proxies.client(proxy, head)?;
        if client != conn.caller.peer {
            conn.caller.peer = client;
            self.recount_held(id);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::parse_head;

    fn client(trusted: &[&str], by: ForwardedBy, fields: &str) -> String {
        let trusted = Arc::new(Networks::parse(trusted.iter().copied()).unwrap());
        let text = format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        let (head, _) = parse_head(text.as_bytes()).unwrap().unwrap();
        match (Proxies { trusted, by }).client("10.0.0.1".parse().unwrap(), &head) {
            Ok(address) => address.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_a_client_writes_itself_is_never_reached() {
        let ours = ["10.0.0.0/8", "127.0.0.1"];
        let by = ForwardedBy::XForwardedFor;
        for (fields, expected) in [
            ("", "10.0.0.1"),
            ("X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9"),
            ("X-Forwarded-For: 127.0.0.1, 203.0.113.9\r\n", "203.0.113.9"),
            ("X-Forwarded-For: 127.0.0.1\r\nx-forwarded-for: 203.0.113.9\r\n", "203.0.113.9"),
            ("X-Forwarded-For: 198.51.100.1, 203.0.113.9, 10.0.0.7\r\n", "203.0.113.9"),
            ("X-Forwarded-For: 203.0.113.9, ::ffff:10.0.0.7\r\n", "203.0.113.9"),
            ("X-Forwarded-For: ::ffff:203.0.113.9\r\n", "203.0.113.9"),
            ("X-Forwarded-For: \u{00ff}, garbage, 203.0.113.9:4711\r\n", "203.0.113.9"),
            ("X-Forwarded-For: 10.0.0.9\r\n", "10.0.0.9"),
            ("X-Forwarded-For: 203.0.113.9, unknown, 10.0.0.7\r\n", "10.0.0.7"),
            // The field that this proxy does not write is its client's own.
            ("Forwarded: for=127.0.0.1\r\n", "10.0.0.1"),
            ("Forwarded: for=127.0.0.1\r\nX-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9"),
            ("X-Real-IP: 127.0.0.1\r\n", "10.0.0.1"),
        ] {
            assert_eq!(client(&ours, by, fields), expected, "{fields}");
        }
        let by = ForwardedBy::Forwarded;
        for (fields, expected) in [
            ("Forwarded: for=127.0.0.1, for=203.0.113.9;proto=https\r\n", "203.0.113.9"),
            ("Forwarded: for=\"evil\r\nForwarded: for=203.0.113.9\r\n", "203.0.113.9"),
            ("X-Forwarded-For: 127.0.0.1\r\n", "10.0.0.1"),
        ] {
            assert_eq!(client(&ours, by, fields), expected, "{fields}");
        }
    }

    #[test]
    fn what_nobody_can_read_is_refused_and_counts_for_nobody() {
        let ours = ["10.0.0.0/8"];
        let field = |value: &str| format!("X-Forwarded-For: {value}\r\n");
        let by = ForwardedBy::XForwardedFor;
        let message = "header field X-Forwarded-For names no address where it must";
        let field_of_stranger = "X-Forwarded-For: 203.0.113.9\r\n";
        assert_eq!(client(&["192.0.2.0/24"], by, field_of_stranger), "10.0.0.1");
        for value in ["", "localhost", "203.0.113.9,", "203.0.113.9, 10.0.0.7, x"] {
            assert_eq!(client(&ours, by, &field(value)), message, "{value}");
        }
        let hops = |count: usize| field(&vec!["10.0.0.7"; count].join(", "));
        assert_eq!(client(&ours, by, &hops(PROXY_HOPS_MAX - 1)), "10.0.0.7");
        let message = "header field X-Forwarded-For names more than 16 trusted proxies";
        assert_eq!(client(&ours, by, &hops(PROXY_HOPS_MAX)), message);
        let cut = "Forwarded: for=\"evil, for=203.0.113.9\r\n";
        let message = "header field Forwarded names no address where it must";
        assert_eq!(client(&ours, ForwardedBy::Forwarded, cut), message);
    }
}
