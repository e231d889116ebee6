//! `Sec-WebSocket-Extensions`: which of a client's offers we take, and what we answer.
//!
//! Invariants: an offer that is malformed or asks for what we cannot do is passed over, and the next one is looked at; what we answer we
//! keep. Never allocates for an offer that it declines.

use crate::wire::http::fields;

/// Bits of the smallest window that zlib can deflate raw data with. It takes 8 to mean 9, which would break an 8-bit promise.
pub const WINDOW_BITS_MIN: u8 = 9;
/// Bits of the largest window, which is the one of an offer that names none.
pub const WINDOW_BITS_MAX: u8 = 15;

/// Which offers may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeflateTerms {
    None,
    /// Offers that ask for a window of ours that we can keep to.
    Any,
    /// Offers that leave us the largest window.
    LargestWindow,
}

/// The parameters agreed with one client. `client_no_context_takeover` is always one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Agreed {
    /// Each message must be deflated in a fresh context.
    pub server_no_context_takeover: bool,
    /// Bits of the window that we may use: 9 to 15.
    pub server_window_bits: u8,
    /// Whether the client named the window, so that the answer has to name it, too.
    names_window: bool,
}

/// The parameters of one offer.
#[derive(Clone, Copy, Debug, Default)]
struct Offer {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_window_bits: Option<u8>,
    client_window_bits_named: bool,
}

/// Takes the first offer that can be taken, of all `Sec-WebSocket-Extensions` fields in their order.
pub fn negotiate<'h>(
    terms: DeflateTerms,
    values: impl Iterator<Item = &'h [u8]>,
) -> Option<Agreed> {
    let is_within = |agreed: &Agreed| match terms {
        DeflateTerms::None => false,
        DeflateTerms::Any => true,
        DeflateTerms::LargestWindow => agreed.server_window_bits == WINDOW_BITS_MAX,
    };
    let mut offers = values.flat_map(|value| fields::split_unquoted(value, b','));
    offers.find_map(|offer| accept(offer).filter(is_within))
}

impl Agreed {
    /// Appends the parameters agreed, as they stand after `Sec-WebSocket-Extensions: `.
    //= rfc7692#7.1.1.2
    //# A server MAY include the "client_no_context_takeover" extension parameter in an extension negotiation response.
    pub fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"permessage-deflate; client_no_context_takeover");
        if self.server_no_context_takeover {
            out.extend_from_slice(b"; server_no_context_takeover");
        }
        if self.names_window {
            out.extend_from_slice(b"; server_max_window_bits=");
            out.extend_from_slice(self.server_window_bits.to_string().as_bytes());
        }
    }
}

fn accept(text: &[u8]) -> Option<Agreed> {
    let mut parts = fields::split_unquoted(text, b';');
    if parts.next()? != b"permessage-deflate" {
        return None;
    }
    let mut offer = Offer::default();
    parts.try_for_each(|parameter| offer.add(parameter))?;
    Some(Agreed {
        server_no_context_takeover: offer.server_no_context_takeover,
        server_window_bits: offer.server_window_bits.unwrap_or(WINDOW_BITS_MAX),
        names_window: offer.server_window_bits.is_some(),
    })
}

impl Offer {
    /// Adds a parameter; `None` if it declines the offer.
    //= rfc7692#7.1
    //# A server MUST decline an extension negotiation offer for this extension if any of the following conditions are met: The negotiation
    //# offer contains an extension parameter not defined for use in an offer, ... with an invalid value, ... multiple extension parameters
    //# with the same name, ... The server doesn't support the offered configuration.
    fn add(&mut self, parameter: &[u8]) -> Option<()> {
        let mut parts = parameter.splitn(2, |&byte| byte == b'=').map(fields::trim);
        let name = parts.next()?;
        let value = match parts.next() {
            Some(value) => Some(Value::read(value)?),
            None => None,
        };
        match (name, value) {
            (b"server_no_context_takeover", None) => once(&mut self.server_no_context_takeover),
            (b"client_no_context_takeover", None) => once(&mut self.client_no_context_takeover),
            (b"server_max_window_bits", Some(value)) if self.server_window_bits.is_none() => {
                self.server_window_bits = Some(value.window_bits()?);
                (WINDOW_BITS_MIN..=WINDOW_BITS_MAX).contains(&value.window_bits()?).then_some(())
            }
            // The hint that the client's window is small may be ignored: the inflater takes windows of any size.
            (b"client_max_window_bits", None) => once(&mut self.client_window_bits_named),
            (b"client_max_window_bits", Some(value)) => {
                value.window_bits()?;
                once(&mut self.client_window_bits_named)
            }
            _ => None,
        }
    }
}

fn once(flag: &mut bool) -> Option<()> {
    (!std::mem::replace(flag, true)).then_some(())
}

/// A parameter's value, unquoted. No valid one has more than two characters.
struct Value {
    bytes: [u8; 2],
    count: usize,
}

impl Value {
    //= rfc6455#9.1
    //# When using the quoted-string syntax variant, the value after quoted-string unescaping MUST conform to the 'token' ABNF.
    fn read(text: &[u8]) -> Option<Self> {
        let quoted = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\""));
        let mut value = Self { bytes: [0; 2], count: 0 };
        let mut bytes = quoted.unwrap_or(text).iter();
        while let Some(&byte) = bytes.next() {
            let byte = if byte == b'\\' && quoted.is_some() { *bytes.next()? } else { byte };
            if !fields::is_token_byte(byte) {
                return None;
            }
            *value.bytes.get_mut(value.count)? = byte;
            value.count += 1;
        }
        (value.count > 0).then_some(value)
    }

    //= rfc7692#7.1.2.1
    //# a decimal integer value without leading zeroes between 8 to 15, inclusive
    fn window_bits(&self) -> Option<u8> {
        match &self.bytes[..self.count] {
            b"8" => Some(8),
            b"9" => Some(9),
            [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer to the fields `values`.
    fn answer(values: &[&str]) -> Option<String> {
        let agreed = negotiate(DeflateTerms::Any, values.iter().map(|value| value.as_bytes()))?;
        let mut out = Vec::new();
        agreed.put(&mut out);
        Some(String::from_utf8(out).unwrap())
    }

    const PLAIN: &str = "permessage-deflate; client_no_context_takeover";

    #[test]
    fn every_parameter_is_answered() {
        let fresh = format!("{PLAIN}; server_no_context_takeover");
        for (offer, expected) in [
            ("permessage-deflate", PLAIN.to_owned()),
            (" permessage-deflate ; client_max_window_bits", PLAIN.to_owned()),
            ("permessage-deflate;client_max_window_bits=8", PLAIN.to_owned()),
            ("permessage-deflate; client_no_context_takeover", PLAIN.to_owned()),
            ("permessage-deflate; server_no_context_takeover", fresh.clone()),
            (
                "permessage-deflate; server_max_window_bits=9",
                format!("{PLAIN}; server_max_window_bits=9"),
            ),
            (
                "permessage-deflate; server_max_window_bits=\"10\"",
                format!("{PLAIN}; server_max_window_bits=10"),
            ),
            (
                r#"permessage-deflate; server_max_window_bits="1\5""#,
                format!("{PLAIN}; server_max_window_bits=15"),
            ),
            (
                "permessage-deflate; server_no_context_takeover; server_max_window_bits = 12; client_max_window_bits; client_no_context_takeover",
                format!("{fresh}; server_max_window_bits=12"),
            ),
        ] {
            assert_eq!(answer(&[offer]), Some(expected), "{offer}");
        }
    }

    #[test]
    fn an_offer_that_cannot_be_taken_is_declined_alone() {
        for declined in [
            "",
            "permessage-deflat",
            "x-webkit-deflate-frame",
            "permessage-deflate; unknown",
            "permessage-deflate;",
            "permessage-deflate; =",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_no_context_takeover=\"\"",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=",
            "permessage-deflate; server_max_window_bits=8",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=09",
            "permessage-deflate; server_max_window_bits=1",
            "permessage-deflate; server_max_window_bits=150",
            "permessage-deflate; server_max_window_bits=-9",
            "permessage-deflate; server_max_window_bits=\"9",
            "permessage-deflate; server_max_window_bits=\"9 \"",
            "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
            "permessage-deflate; client_max_window_bits=16",
            "permessage-deflate; client_max_window_bits=x",
            "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
        ] {
            assert_eq!(answer(&[declined]), None, "{declined}");
            let good = "permessage-deflate; server_no_context_takeover";
            let expected = Some(format!("{PLAIN}; server_no_context_takeover"));
            assert_eq!(answer(&[declined, good]), expected, "{declined}");
            if !declined.contains("\"9") {
                assert_eq!(answer(&[&format!("{declined}, {good}")]), expected, "{declined}");
            }
        }
    }

    #[test]
    fn a_window_that_the_terms_forbid_is_declined() {
        let taken = |terms, offers: &str| negotiate(terms, [offers.as_bytes()].into_iter());
        let (small, plain) =
            ("permessage-deflate; server_max_window_bits=10", "permessage-deflate");
        assert_eq!(taken(DeflateTerms::LargestWindow, small), None);
        let next = taken(DeflateTerms::LargestWindow, &format!("{small}, {plain}")).unwrap();
        assert_eq!(next.server_window_bits, 15);
        assert!(taken(DeflateTerms::Any, small).is_some());
        assert_eq!(taken(DeflateTerms::None, plain), None);
    }

    #[test]
    fn the_first_good_offer_wins() {
        let offers = "permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=10, permessage-deflate";
        assert_eq!(answer(&[offers]), Some(format!("{PLAIN}; server_max_window_bits=10")));
        let quoted = r#"foo; bar="a, permessage-deflate; \" x", permessage-deflate"#;
        assert_eq!(answer(&[quoted]).as_deref(), Some(PLAIN));
        assert_eq!(answer(&[]), None);
    }
}
