//! Trace context: which request of a publisher's an event belongs to, as traces of distributed systems know it (W3C Trace Context).
//!
//! Invariants: a text that is none counts as none, as the standard says; one of a later version is told in this one, by the parts that are known. Never looked at otherwise: it is told to
//! those who ask for it.

/// A trace, the step of it that has published, and its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 16],
    parent_id: [u8; 8],
    flags: u8,
}

/// The name of the header field, the member and the user property.
pub const TRACEPARENT: &str = "traceparent";
/// Bytes of its text.
const TRACEPARENT_BYTES: usize = 55;
/// Bytes of what it says.
pub const TRACE_BYTES: usize = 25;
/// Flags that have a meaning: sampled, and random.
const FLAGS: u8 = 0b11;

impl TraceContext {
    /// What a text says; `None`: it says nothing.
    ///
    /// W3C Trace Context section 3.2.2: `version "-" trace-id "-" parent-id "-" trace-flags` in lower case; all zeros are no identifier, version `ff` is none, and what follows in a later
    /// version begins with a dash.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (known, rest) = text.split_at_checked(TRACEPARENT_BYTES)?;
        let (version, known) = (&known[..3], &known[3..]);
        let version = match version {
            [version @ .., b'-'] => hex::<1>(version)?[0],
            _ => return None,
        };
        let is_later = rest.first() == Some(&b'-');
        if version == 0xff || !(rest.is_empty() || (version > 0 && is_later)) {
            return None;
        }
        let (trace_id, known) = (&known[..32], &known[32..]);
        let (parent_id, flags) = (known.get(1..17)?, known.get(18..)?);
        if known.first() != Some(&b'-') || known.get(17) != Some(&b'-') {
            return None;
        }
        let (trace_id, parent_id, [flags]) = (hex(trace_id)?, hex(parent_id)?, hex(flags)?);
        let is_one = trace_id != [0; 16] && parent_id != [0; 8];
        is_one.then_some(Self { trace_id, parent_id, flags: flags & FLAGS })
    }

    /// What the only one of these says; none or several say nothing.
    pub fn parse_only<'a>(mut texts: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let only = texts.next()?;
        if texts.next().is_some() { None } else { Self::parse(only) }
    }

    /// Appends its text.
    pub fn put_into(&self, out: &mut Vec<u8>) {
        let parts: [&[u8]; 4] = [&[0], &self.trace_id, &self.parent_id, &[self.flags]];
        for (index, part) in parts.into_iter().enumerate() {
            if index > 0 {
                out.push(b'-');
            }
            out.extend(part.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]));
        }
    }

    /// The text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = Vec::with_capacity(TRACEPARENT_BYTES);
        self.put_into(&mut out);
        out.into_iter().map(char::from).collect()
    }

    /// What it says, in so many bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; TRACE_BYTES] {
        let mut bytes = [0; TRACE_BYTES];
        bytes[..16].copy_from_slice(&self.trace_id);
        bytes[16..24].copy_from_slice(&self.parent_id);
        bytes[24] = self.flags;
        bytes
    }

    /// The one of which these are the bytes; `None`: they are of none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; TRACE_BYTES]) -> Option<Self> {
        let (trace_id, rest) = bytes.split_first_chunk::<16>()?;
        let (parent_id, rest) = rest.split_first_chunk::<8>()?;
        let (trace_id, parent_id, flags) = (*trace_id, *parent_id, *rest.first()?);
        let is_one = trace_id != [0; 16] && parent_id != [0; 8] && flags & !FLAGS == 0;
        is_one.then_some(Self { trace_id, parent_id, flags })
    }
}

/// A digit of hexadecimal.
const fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

/// So many bytes, two digits each, in lower case.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    let pairs = text.chunks_exact(2);
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the standard, section 3.2.3.
    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn said(text: &str) -> Option<String> {
        TraceContext::parse(text.as_bytes()).map(|trace| trace.to_text())
    }

    #[test]
    fn what_is_one_comes_back_as_it_was() {
        assert_eq!(said(EXAMPLE).as_deref(), Some(EXAMPLE));
        let trace = TraceContext::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(TraceContext::from_bytes(&trace.to_bytes()), Some(trace));
        for flags in ["00", "02", "03"] {
            let text = EXAMPLE.replace("-01", &format!("-{flags}"));
            assert_eq!(said(&text), Some(text));
        }
        // Flags without a meaning are not passed on.
        assert_eq!(said(&EXAMPLE.replace("-01", "-fd")).as_deref(), Some(EXAMPLE));
    }

    #[test]
    fn what_is_of_a_later_version_is_told_in_this_one() {
        let later = EXAMPLE.replacen("00", "cc", 1);
        for text in [later.clone(), format!("{later}-"), format!("{later}-what-the-future.will-be")]
        {
            assert_eq!(said(&text).as_deref(), Some(EXAMPLE), "{text}");
        }
        for text in [format!("{later}x"), format!("{later}.x"), format!("{EXAMPLE}-x")] {
            assert_eq!(said(&text), None, "{text}");
        }
    }

    #[test]
    fn what_is_none_says_nothing() {
        let zero_trace = EXAMPLE.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32));
        let zero_parent = EXAMPLE.replace("00f067aa0ba902b7", &"0".repeat(16));
        let version = EXAMPLE.replacen("00", "ff", 1);
        let wrong =
            [zero_trace, zero_parent, version, EXAMPLE.to_uppercase(), format!(" {EXAMPLE}")];
        for text in
            wrong.iter().map(String::as_str).chain(["", "00", EXAMPLE.strip_suffix("1").unwrap()])
        {
            assert_eq!(said(text), None, "{text}");
        }
        // Any one of its characters changed to one that cannot stand there.
        for place in 0..EXAMPLE.len() {
            for other in ["g", "-", "A", "\0", "é"] {
                let mut text = EXAMPLE.to_owned();
                text.replace_range(place..=place, other);
                assert_eq!(said(&text).is_some(), text == EXAMPLE, "{text}");
            }
        }
        assert_eq!(TraceContext::from_bytes(&[0; TRACE_BYTES]), None);
        assert_eq!(TraceContext::from_bytes(&[9; TRACE_BYTES]), None, "flags without a meaning");
    }

    #[test]
    fn two_say_nothing() {
        let one = EXAMPLE.as_bytes();
        assert!(TraceContext::parse_only([one].into_iter()).is_some());
        assert_eq!(TraceContext::parse_only([one, one].into_iter()), None);
        assert_eq!(TraceContext::parse_only(std::iter::empty()), None);
    }
}
