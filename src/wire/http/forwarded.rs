//! For whom proxies say that they have passed a request on: `X-Forwarded-For`, and `Forwarded` (RFC 7239).
//!
//! Invariants: the nearest hop comes first, however many lines the field has; what cannot be read ends the list with that, for what is written beyond it may be anything.
//! Never decides which proxy is believed.

use std::net::IpAddr;

use crate::limits::HEAD_FIELDS_MAX;

/// The header field: `X-Forwarded-For` or `Forwarded`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedBy {
    #[default]
    XForwardedFor,
    Forwarded,
}

/// A hop: from whom a proxy has had the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    Address(IpAddr),
    /// The proxy does not say (`unknown`, `_name`).
    Hidden,
    /// The element cannot be read as a hop.
    Unreadable,
}

impl ForwardedBy {
    /// The field's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::XForwardedFor => "X-Forwarded-For",
            Self::Forwarded => "Forwarded",
        }
    }

    /// The hops that the field's lines name, in their order, the nearest first.
    pub fn hops<'a>(self, lines: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = Hop> {
        let lines: Vec<&[u8]> = lines.take(HEAD_FIELDS_MAX).collect();
        let of_line = move |line: &'a [u8]| -> Box<dyn Iterator<Item = Hop> + 'a> {
            match self {
                Self::XForwardedFor => {
                    Box::new(line.rsplit(|byte| *byte == b',').map(|part| hop(part.trim_ascii())))
                }
                Self::Forwarded => Box::new(elements(line).into_iter().rev()),
            }
        };
        lines.into_iter().rev().flat_map(of_line)
    }
}

/// The elements of a line of `Forwarded`, in the order in which they stand. A line that is not written as the field is has one, which is unreadable:
/// where it was cut short nobody can say.
//= rfc7239#4
//# Forwarded   = 1#forwarded-element
fn elements(line: &[u8]) -> Vec<Hop> {
    let mut elements = Vec::new();
    let mut rest = line;
    loop {
        let Some((element, after)) = element(rest) else { return vec![Hop::Unreadable] };
        elements.extend(element);
        match after {
            Some(after) => rest = after,
            None => return elements,
        }
    }
}

/// One element of `Forwarded`: its hop, `None` if the element is empty; and the text behind its comma, `None` if it is the last.
type Element<'a> = (Option<Hop>, Option<&'a [u8]>);

fn element(text: &[u8]) -> Option<Element<'_>> {
    let mut found = None;
    let mut is_empty = true;
    let mut rest = text;
    loop {
        rest = rest.trim_ascii_start();
        let name_bytes = rest.iter().take_while(|byte| is_token_byte(**byte)).count();
        let (name, after) = rest.split_at(name_bytes);
        rest = after;
        if name_bytes > 0 {
            is_empty = false;
            let (value, after) = value(rest.strip_prefix(b"=")?)?;
            rest = after;
            if name.eq_ignore_ascii_case(b"for") && found.replace(hop(&value)).is_some() {
                return None;
            }
        }
        rest = rest.trim_ascii_start();
        match rest.split_first() {
            Some((b';', after)) => rest = after,
            Some((b',', after)) => return Some((element_of(found, is_empty), Some(after))),
            None => return Some((element_of(found, is_empty), None)),
            Some(_) => return None,
        }
    }
}

/// An element that names nobody was written by a proxy that hides whom it speaks for.
fn element_of(found: Option<Hop>, is_empty: bool) -> Option<Hop> {
    match found {
        None if is_empty => None,
        None => Some(Hop::Hidden),
        found => found,
    }
}

/// Reads a token or a quoted string; returns its text and the rest.
fn value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(mut quoted) = text.strip_prefix(b"\"") else {
        let bytes = text.iter().take_while(|byte| is_token_byte(**byte)).count();
        let (token, rest) = text.split_at(bytes);
        return (bytes > 0).then(|| (token.to_vec(), rest));
    };
    let mut value = Vec::new();
    loop {
        match quoted {
            [b'"', rest @ ..] => return Some((value, rest)),
            [b'\\', byte, rest @ ..] | [byte, rest @ ..] => {
                value.push(*byte);
                quoted = rest;
            }
            [] => return None,
        }
    }
}

/// Whether a byte may stand in a token (RFC 9110 section 5.6.2).
const fn is_token_byte(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
        || byte.is_ascii_alphanumeric()
}

/// Reads one hop: an address, with or without a port, or an obfuscated name.
//= rfc7239#6
//# node     = nodename [ ":" node-port ]
fn hop(text: &[u8]) -> Hop {
    let Ok(text) = std::str::from_utf8(text) else { return Hop::Unreadable };
    if let Ok(address) = text.parse::<IpAddr>() {
        return Hop::Address(address.to_canonical());
    }
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, port)) => (name, port),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let is_bracketed = text.starts_with('[');
    let is_end = |port: &str| {
        let is_port = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        port.is_empty()
            || port
                .strip_prefix(':')
                .is_some_and(|port| !port.is_empty() && port.bytes().all(is_port))
    };
    if !is_end(port) {
        return Hop::Unreadable;
    }
    match name.parse::<IpAddr>() {
        Ok(address) if address.is_ipv6() == is_bracketed => Hop::Address(address.to_canonical()),
        Ok(_) => Hop::Unreadable,
        Err(_) if is_bracketed => Hop::Unreadable,
        Err(_) if name.eq_ignore_ascii_case("unknown") => Hop::Hidden,
        Err(_) if name.len() > 1 && name.starts_with('_') => Hop::Hidden,
        Err(_) => Hop::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hops(by: ForwardedBy, lines: &[&str]) -> Vec<String> {
        let hops = by.hops(lines.iter().map(|line| line.as_bytes()));
        hops.map(|hop| match hop {
            Hop::Address(address) => address.to_string(),
            other => format!("{other:?}"),
        })
        .collect()
    }

    #[test]
    fn the_nearest_hop_comes_first_over_all_lines() {
        let lines = ["203.0.113.9, 10.0.0.1", "10.0.0.2:4711 ,[2001:db8::7]:80"];
        let expected = ["2001:db8::7", "10.0.0.2", "10.0.0.1", "203.0.113.9"];
        assert_eq!(hops(ForwardedBy::XForwardedFor, &lines), expected);
        let lines = [
            "for=203.0.113.9;proto=http;by=10.0.0.9, For=\"10.0.0.1:4711\"",
            "proto=https; FOR=\"[2001:db8::7]\" , for=\"\\[::ffff:192.0.2.4]:80\"",
        ];
        let expected = ["192.0.2.4", "2001:db8::7", "10.0.0.1", "203.0.113.9"];
        assert_eq!(hops(ForwardedBy::Forwarded, &lines), expected);
    }

    #[test]
    fn what_a_proxy_hides_is_hidden_and_what_is_no_hop_unreadable() {
        for (text, expected) in [
            ("unknown", "Hidden"),
            ("_hidden", "Hidden"),
            ("_", "Unreadable"),
            ("", "Unreadable"),
            ("localhost", "Unreadable"),
            ("203.0.113.9.", "Unreadable"),
            ("203.0.113.9:", "Unreadable"),
            ("203.0.113.9:80:90", "Unreadable"),
            ("[203.0.113.9]:80", "Unreadable"),
            ("[2001:db8::7", "Unreadable"),
            ("0x7f.1", "Unreadable"),
            ("127.1", "Unreadable"),
            ("2130706433", "Unreadable"),
            ("::ffff:127.0.0.1", "127.0.0.1"),
        ] {
            assert_eq!(hops(ForwardedBy::XForwardedFor, &[text]), [expected], "{text}");
        }
        assert_eq!(hops(ForwardedBy::Forwarded, &["proto=https"]), ["Hidden"]);
        assert_eq!(hops(ForwardedBy::Forwarded, &["", ", ,"]), [""; 0]);
    }

    #[test]
    fn a_line_that_is_cut_short_says_nothing_at_all() {
        for line in [
            "for=\"203.0.113.9, for=10.0.0.1",
            "for=\"203.0.113.9\\",
            "for=203.0.113.9 for=10.0.0.1",
            "for, for=10.0.0.1",
            "for=203.0.113.9;for=10.0.0.1",
            "for=[2001:db8::7]",
            "for =203.0.113.9",
            "=203.0.113.9",
        ] {
            assert_eq!(hops(ForwardedBy::Forwarded, &[line]), ["Unreadable"], "{line}");
        }
        // Of another line it says nothing either way.
        let lines = ["for=\"evil", "for=203.0.113.9"];
        assert_eq!(hops(ForwardedBy::Forwarded, &lines), ["203.0.113.9", "Unreadable"]);
    }
}
