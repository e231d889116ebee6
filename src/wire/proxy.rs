//! What a proxy writes before everything else on a connection, so that the server knows for whom it is: the PROXY protocol, versions 1 and 2.
//!
//! Invariants: what is read is the same however its bytes were cut; at most `PROXY_HEADER_BYTES_MAX` bytes are waited for. Never decides who may write one.

use std::fmt;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use crate::limits::PROXY_HEADER_BYTES_MAX;

/// A complete PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    /// The client's address; `None`: the connection is the proxy's own, or the header has no address.
    pub source: Option<IpAddr>,
    /// Bytes of the header.
    pub length: usize,
}

/// Bytes that are no PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeaderError {
    /// The bytes begin as neither version does.
    Missing,
    TooLong,
    /// A line of version 1 that breaks its grammar.
    BadLine,
    /// A version, command or length that version 2 does not have.
    BadBlock,
}

impl fmt::Display for ProxyHeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the PROXY header is missing"),
            Self::TooLong => write!(f, "the PROXY header has over {PROXY_HEADER_BYTES_MAX} bytes"),
            Self::BadLine => f.write_str("the PROXY header's line cannot be read"),
            Self::BadBlock => f.write_str("the PROXY header's block cannot be read"),
        }
    }
}

impl std::error::Error for ProxyHeaderError {}

/// The bytes with which version 1 begins.
const LINE: &[u8] = b"PROXY ";
/// Bytes of the longest line of version 1, with its end (section 2.1 of the protocol).
const LINE_BYTES_MAX: usize = 107;
/// The bytes with which version 2 begins.
const BLOCK: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes in front of version 2's addresses.
const BLOCK_HEAD_BYTES: usize = 16;

/// Reads a PROXY header at the start of the bytes that have come: `None` if the header is not complete yet.
///
/// # Errors
/// When no further bytes could complete a header.
pub fn parse_proxy_header(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyHeaderError> {
    let begins = |with: &[u8]| {
        let common = bytes.len().min(with.len());
        bytes[..common] == with[..common]
    };
    if begins(LINE) {
        return line(bytes);
    }
    if begins(BLOCK) {
        return block(bytes);
    }
    Err(ProxyHeaderError::Missing)
}

fn line(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyHeaderError> {
    let visible = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = visible.windows(2).position(|two| two == b"\r\n") else {
        let is_over = visible.len() == LINE_BYTES_MAX;
        return if is_over { Err(ProxyHeaderError::BadLine) } else { Ok(None) };
    };
    let text = std::str::from_utf8(&visible[..end]).map_err(|_| ProxyHeaderError::BadLine)?;
    let words: Vec<&str> = text.split(' ').collect();
    let source = match words[..] {
        // The bytes behind `UNKNOWN` are ignored, as the protocol asks.
        ["PROXY", "UNKNOWN", ..] => None,
        ["PROXY", family, source, target, source_port, target_port] => {
            let is_family = |address: &IpAddr| match family {
                "TCP4" => address.is_ipv4(),
                "TCP6" => address.is_ipv6(),
                _ => false,
            };
            let address = |text: &str| text.parse().ok().filter(is_family);
            let are_ports = is_port(source_port) && is_port(target_port);
            let both = address(source).zip(address(target)).filter(|_| are_ports);
            Some(both.ok_or(ProxyHeaderError::BadLine)?.0.to_canonical())
        }
        _ => return Err(ProxyHeaderError::BadLine),
    };
    Ok(Some(ProxyHeader { source, length: end + 2 }))
}

fn is_port(text: &str) -> bool {
    let is_plain = text == "0" || !text.starts_with('0');
    is_plain && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

fn block(bytes: &[u8]) -> Result<Option<ProxyHeader>, ProxyHeaderError> {
    let Some(head) = bytes.get(..BLOCK_HEAD_BYTES) else { return Ok(None) };
    let [version_command, family, high, low] = [head[12], head[13], head[14], head[15]];
    let is_local = match version_command {
        0x20 => true,
        0x21 => false,
        _ => return Err(ProxyHeaderError::BadBlock),
    };
    let length = BLOCK_HEAD_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if length > PROXY_HEADER_BYTES_MAX {
        return Err(ProxyHeaderError::TooLong);
    }
    let Some(rest) = bytes.get(BLOCK_HEAD_BYTES..length) else { return Ok(None) };
    let source = match family {
        // The command LOCAL: the connection is the proxy's own and names no client.
        _ if is_local => None,
        0x11 => {
            let four = rest.first_chunk::<12>().ok_or(ProxyHeaderError::BadBlock)?;
            Some(Ipv4Addr::new(four[0], four[1], four[2], four[3]).into())
        }
        0x21 => {
            let six = rest.first_chunk::<36>().ok_or(ProxyHeaderError::BadBlock)?;
            let source = six.first_chunk::<16>().expect("it is shorter");
            Some(IpAddr::from(Ipv6Addr::from(*source)).to_canonical())
        }
        // An unspecified family, or one without an IP address: datagrams, Unix sockets.
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => None,
        _ => return Err(ProxyHeaderError::BadBlock),
    };
    Ok(Some(ProxyHeader { source, length }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_block(version_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [BLOCK, &[version_command, family], &length, rest].concat()
    }

    fn four() -> Vec<u8> {
        of_block(0x21, 0x11, &[203, 0, 113, 9, 10, 0, 0, 1, 0x30, 0x39, 0, 80])
    }

    fn six(source: &str) -> Vec<u8> {
        let source: Ipv6Addr = source.parse().unwrap();
        let mut rest = source.octets().to_vec();
        rest.extend_from_slice(&[0; 20]);
        // And something of a type that is not known here, which is passed over.
        rest.extend_from_slice(&[0xee, 0, 3, 1, 2, 3]);
        of_block(0x21, 0x21, &rest)
    }

    #[test]
    fn both_versions_say_where_the_client_is() {
        for (bytes, source) in [
            (b"PROXY TCP4 203.0.113.9 10.0.0.1 12345 80\r\n".to_vec(), Some("203.0.113.9")),
            (b"PROXY TCP6 2001:db8::9 ::1 0 65535\r\n".to_vec(), Some("2001:db8::9")),
            (b"PROXY TCP6 ::ffff:203.0.113.9 ::1 1 2\r\n".to_vec(), Some("203.0.113.9")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 x 1 2\r\n".to_vec(), None),
            (four(), Some("203.0.113.9")),
            (six("2001:db8::9"), Some("2001:db8::9")),
            (six("::ffff:203.0.113.9"), Some("203.0.113.9")),
            (of_block(0x20, 0x11, &[127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), None),
            (of_block(0x20, 0, &[]), None),
            (of_block(0x21, 0, &[]), None),
            (of_block(0x21, 0x31, &[b'/'; 216]), None),
        ] {
            let length = bytes.len();
            let source: Option<IpAddr> = source.map(|text| text.parse().unwrap());
            let expected = Ok(Some(ProxyHeader { source, length }));
            assert_eq!(parse_proxy_header(&bytes), expected, "{}", bytes.escape_ascii());
            // Whatever follows, and however it was cut.
            let more = [&bytes[..], b"GET / HTTP/1.1\r\n"].concat();
            assert_eq!(parse_proxy_header(&more), expected);
            for end in 0..length {
                assert_eq!(parse_proxy_header(&bytes[..end]), Ok(None), "{end}");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_refused_as_soon_as_that_is_known() {
        let long = of_block(0x21, 0x11, &[0; PROXY_HEADER_BYTES_MAX]);
        for (bytes, error) in [
            (&b"GET / HTTP/1.1\r\n"[..], ProxyHeaderError::Missing),
            (b"PROXX", ProxyHeaderError::Missing),
            (b"\r\n\r\n\0\r\nQUIX", ProxyHeaderError::Missing),
            (b"proxy TCP4 ", ProxyHeaderError::Missing),
            (b"PROXY TCP4 203.0.113.9 10.0.0.1 12345\r\n", ProxyHeaderError::BadLine),
            (b"PROXY TCP4 203.0.113.9 10.0.0.1 1 2 3\r\n", ProxyHeaderError::BadLine),
            (b"PROXY TCP4  203.0.113.9 10.0.0.1 1 2\r\n", ProxyHeaderError::BadLine),
            (b"PROXY TCP4 203.0.113.9 10.0.0.1 01 2\r\n", ProxyHeaderError::BadLine),
            (b"PROXY TCP4 203.0.113.9 10.0.0.1 1 65536\r\n", ProxyHeaderError::BadLine),
            (b"PROXY TCP4 203.0.113.9 10.0.0.1 1 +2\r\n", ProxyHeaderError::BadLine),
            (b"PROXY TCP4 2001:db8::9 ::1 1 2\r\n", ProxyHeaderError::BadLine),
            (b"PROXY TCP6 203.0.113.9 10.0.0.1 1 2\r\n", ProxyHeaderError::BadLine),
            (b"PROXY UDP4 203.0.113.9 10.0.0.1 1 2\r\n", ProxyHeaderError::BadLine),
            (b"PROXY TCP4 203.0.113.09 10.0.0.1 1 2\r\n", ProxyHeaderError::BadLine),
            (b"PROXY \r\n", ProxyHeaderError::BadLine),
            (b"PROXY TCP4 \xff\r\n", ProxyHeaderError::BadLine),
            (&[&b"PROXY UNKNOWN "[..], &[b'x'; 100]].concat(), ProxyHeaderError::BadLine),
            (&of_block(0x11, 0x11, &[0; 12]), ProxyHeaderError::BadBlock),
            (&of_block(0x22, 0x11, &[0; 12]), ProxyHeaderError::BadBlock),
            (&of_block(0x21, 0x41, &[0; 12]), ProxyHeaderError::BadBlock),
            (&of_block(0x21, 0x11, &[0; 11]), ProxyHeaderError::BadBlock),
            (&of_block(0x21, 0x21, &[0; 35]), ProxyHeaderError::BadBlock),
            (&long[..BLOCK_HEAD_BYTES], ProxyHeaderError::TooLong),
        ] {
            assert_eq!(parse_proxy_header(bytes), Err(error), "{}", bytes.escape_ascii());
        }
        let message = ProxyHeaderError::TooLong.to_string();
        assert_eq!(message, "the PROXY header has over 2048 bytes");
    }
}
