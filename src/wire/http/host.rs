//! `Host`, and the authority of a target that is a URL: a name or an address, and perhaps a port.
//!
//! Never resolves a name, never decides which names are ours.

use std::net::Ipv6Addr;

/// Whether text is `uri-host [ ":" port ]`.
//= rfc9110#7.2
//# Host = uri-host [ ":" port ]
pub(super) fn is_valid(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    match text.strip_prefix('[') {
        Some(rest) => rest
            .split_once(']')
            .is_some_and(|(address, port)| address.parse::<Ipv6Addr>().is_ok() && is_port(port)),
        None => {
            let name_bytes = text.find(':').unwrap_or(text.len());
            let (name, port) = text.split_at(name_bytes);
            is_name(name.as_bytes()) && is_port(port)
        }
    }
}

/// Whether text is empty, or a colon and a port's number.
//= rfc3986#3.2.3
//# port = *DIGIT
fn is_port(text: &str) -> bool {
    let Some(digits) = text.strip_prefix(':') else { return text.is_empty() };
    // A colon without digits is the scheme's own port.
    digits.is_empty()
        || (digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok())
}

//= rfc3986#3.2.2
//# reg-name = *( unreserved / pct-encoded / sub-delims )
fn is_name(name: &[u8]) -> bool {
    let mut rest = name;
    while let Some((&byte, after)) = rest.split_first() {
        rest = match (byte, after) {
            (b'%', [high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                after
            }
            (b'-' | b'.' | b'_' | b'~', _) => after,
            (b'!' | b'$' | b'&'..=b',' | b';' | b'=', _) => after,
            _ if byte.is_ascii_alphanumeric() => after,
            _ => return false,
        };
    }
    //= rfc9110#4.2.1
    //# A recipient that processes such a URI reference MUST reject it as invalid.
    !name.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_from_what_is_none() {
        for good in [
            "a",
            "A.b-c_d~e",
            "a:1",
            "a:",
            "a:65535",
            "127.0.0.1:9",
            "[::1]",
            "[::1]:80",
            "[2001:db8::1]",
            "%c3%bc",
            "a!$&'()*+,;=b",
        ] {
            assert!(is_valid(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            ":",
            ":80",
            "[",
            "]",
            "[]",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]:x",
            "[g]",
            "[v1.x]",
            "[127.0.0.1]",
            "[::1%eth0]",
            "a:b",
            "a:1:2",
            "a:65536",
            "a:99999999",
            "x:-1",
            "a:+1",
            "%zz",
            "%",
            "%4",
            "a b",
            "a/b",
            "a?b",
            "a#b",
            "a@b",
            "a\\b",
            "\"a\"",
            "<a>",
            "a|b",
            "{a}",
            "^",
            "`",
            "ü",
        ] {
            assert!(!is_valid(bad.as_bytes()), "{bad}");
        }
    }
}
