//! What a client's certificate says of who holds it: names, and from when to when it is good (RFC 5280).
//!
//! Reads certificates whose signatures somebody else has checked. Invariants: a name is what stands there as a whole (nothing ends it early, and one that is no text is no
//! name); of a certificate with more than `CERTIFICATE_NAMES_MAX` names none counts. Never says whether a certificate is to be trusted, or in force.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use crate::limits::CERTIFICATE_NAMES_MAX;

/// What is read of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Each with its kind in front: `subject:CN=feeder,O=Example`, `cn:feeder`, `dns:feeder.example.org`, `uri:…`, `email:…`, `ip:…`.
    names: Vec<Box<str>>,
    /// Seconds since 1970.
    pub begins_at_s: u64,
    /// The last second in which it is good, since 1970.
    pub ends_at_s: u64,
}

/// A certificate in which not everything that is needed can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadCertificate;

impl std::fmt::Display for BadCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the client's certificate cannot be read")
    }
}

impl std::error::Error for BadCertificate {}

/// Kinds of names that there are.
pub const NAME_KINDS: [&str; 6] = ["subject", "cn", "dns", "uri", "email", "ip"];

// Tags of DER (X.690).
const INTEGER: u8 = 0x02;
const OBJECT_ID: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const BOOLEAN: u8 = 0x01;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// Context-specific tags of a certificate: its version and its extensions.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// Tags of a certificate's other names (RFC 5280 section 4.2.1.6).
const EMAIL_NAME: u8 = 0x81;
const DNS_NAME: u8 = 0x82;
const URI_NAME: u8 = 0x86;
const IP_NAME: u8 = 0x87;

/// 2.5.29.17.
const ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// What the parts of a subject are called (RFC 4514 section 3); others are their object identifiers.
const PARTS: [(&[u8], &str); 9] = [
    (COMMON_NAME, "CN"),
    (&[0x55, 0x04, 0x05], "serialNumber"),
    (&[0x55, 0x04, 0x06], "C"),
    (&[0x55, 0x04, 0x07], "L"),
    (&[0x55, 0x04, 0x08], "ST"),
    (&[0x55, 0x04, 0x0a], "O"),
    (&[0x55, 0x04, 0x0b], "OU"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01], "UID"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19], "DC"),
];

impl Certificate {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// If it is none, or has more names than are looked at.
    pub fn read(der: &[u8]) -> Result<Self, BadCertificate> {
        Self::read_all(der).ok_or(BadCertificate)
    }

    fn read_all(der: &[u8]) -> Option<Self> {
        let mut outer = Der(Der(der).take(SEQUENCE)?);
        let mut inner = Der(outer.take(SEQUENCE)?);
        if inner.next_tag() == Some(VERSION) {
            inner.take(VERSION)?;
        }
        inner.take(INTEGER)?; // Its serial number,
        inner.take(SEQUENCE)?; // what it is signed with,
        inner.take(SEQUENCE)?; // and by whom.
        let mut validity = Der(inner.take(SEQUENCE)?);
        let (begins_at_s, ends_at_s) = (validity.take_time()?, validity.take_time()?);
        let mut names = Names::default();
        names.add_subject(inner.take(SEQUENCE)?)?;
        inner.take(SEQUENCE)?; // Its key.
        while let Some((tag, content)) = inner.take_any()? {
            if tag == EXTENSIONS {
                names.add_alternatives(content)?;
            }
        }
        Some(Self { names: names.0, begins_at_s, ends_at_s })
    }

    /// Whether the certificate has this name, which is written with its kind in front. Names of hosts have no case, and `*.` at the beginning of a wanted one stands for
    /// any one label.
    #[must_use]
    pub fn is(&self, wanted: &str) -> bool {
        self.names.iter().any(|name| {
            let (Some(name), Some(wanted)) =
                (name.strip_prefix("dns:"), wanted.strip_prefix("dns:"))
            else {
                return **name == *wanted;
            };
            let rest =
                |name: &'_ str| name.split_once('.').map(|(_, rest)| rest.to_ascii_lowercase());
            name.eq_ignore_ascii_case(wanted)
                || wanted
                    .strip_prefix("*.")
                    .is_some_and(|zone| rest(name) == Some(zone.to_ascii_lowercase()))
        })
    }

    /// Every name, with its kind in front.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }
}

#[derive(Default)]
struct Names(Vec<Box<str>>);

impl Names {
    fn add(&mut self, kind: &str, name: &str) -> Option<()> {
        self.0.push(format!("{kind}:{name}").into());
        (self.0.len() <= CERTIFICATE_NAMES_MAX).then_some(())
    }

    /// The subject as RFC 4514 writes it, the most specific part first, and its common names.
    fn add_subject(&mut self, content: &[u8]) -> Option<()> {
        let (mut sets, mut parts, mut is_text) = (Der(content), Vec::new(), true);
        while let Some((tag, content)) = sets.take_any()? {
            let mut set = Der((tag == SET).then_some(content)?);
            let mut joined = String::new();
            while let Some((tag, content)) = set.take_any()? {
                let mut part = Der((tag == SEQUENCE).then_some(content)?);
                let id = part.take(OBJECT_ID)?;
                let (tag, value) = part.take_any()??;
                let Some(value) = text(tag, value) else {
                    is_text = false;
                    continue;
                };
                if id == COMMON_NAME {
                    self.add("cn", value)?;
                }
                let plus = if joined.is_empty() { "" } else { "+" };
                let known = PARTS.iter().find(|(known, _)| *known == id);
                let name = known.map_or_else(|| dotted(id), |(_, name)| (*name).to_owned());
                joined.push_str(&format!("{plus}{name}={}", escaped(value)));
            }
            parts.push(joined);
        }
        if is_text && !parts.is_empty() {
            parts.reverse();
            self.add("subject", &parts.join(","))?;
        }
        Some(())
    }

    fn add_alternatives(&mut self, content: &[u8]) -> Option<()> {
        let mut extensions = Der(Der(content).take(SEQUENCE)?);
        while let Some((tag, content)) = extensions.take_any()? {
            let mut extension = Der((tag == SEQUENCE).then_some(content)?);
            let id = extension.take(OBJECT_ID)?;
            if extension.next_tag() == Some(BOOLEAN) {
                extension.take(BOOLEAN)?;
            }
            let value = extension.take(OCTET_STRING)?;
            if id != ALTERNATIVE_NAME {
                continue;
            }
            let mut names = Der(Der(value).take(SEQUENCE)?);
            while let Some((tag, name)) = names.take_any()? {
                let kind = match tag {
                    DNS_NAME => "dns",
                    URI_NAME => "uri",
                    EMAIL_NAME => "email",
                    IP_NAME => {
                        if let Some(address) = address(name) {
                            self.add("ip", &address.to_string())?;
                        }
                        continue;
                    }
                    _ => continue,
                };
                if let Some(name) = text(IA5_STRING, name) {
                    self.add(kind, name)?;
                }
            }
        }
        Some(())
    }
}

/// A run of values, each with its tag and length in front.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn next_tag(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next value; `Some(None)`: there is no more, `None`: it is not whole.
    #[expect(clippy::option_option, reason = "the end is not a fault")]
    fn take_any(&mut self) -> Option<Option<(u8, &'a [u8])>> {
        let Some((&tag, rest)) = self.0.split_first() else { return Some(None) };
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                (length, rest)
            }
            // 0x80 is a length that is not said, which DER has not; and nothing here is longer than three bytes can say.
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(Some((tag, value)))
    }

    /// The next value, if it has this tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, value) = self.take_any()??;
        (found == tag).then_some(value)
    }

    /// A moment, in seconds since 1970.
    //= rfc5280#4.1.2.5.1
    //# Where YY is greater than or equal to 50, the year SHALL be
    //# interpreted as 19YY; and
    fn take_time(&mut self) -> Option<u64> {
        let (tag, value) = self.take_any()??;
        let digits = value.strip_suffix(b"Z")?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let two = |at: usize| {
            let pair = digits.get(at..at + 2)?;
            Some(u64::from(pair[0] - b'0') * 10 + u64::from(pair[1] - b'0'))
        };
        let (year, at) = match (tag, digits.len()) {
            (UTC_TIME, 12) => (two(0)? + if two(0)? >= 50 { 1900 } else { 2000 }, 2),
            (GENERALIZED_TIME, 14) => (two(0)? * 100 + two(2)?, 4),
            _ => return None,
        };
        let (month, day) = (two(at)?, two(at + 2)?);
        let (hour, minute, second) = (two(at + 4)?, two(at + 6)?, two(at + 8)?);
        let is_a_moment = (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && hour < 24
            && minute < 60
            && second < 61;
        if !is_a_moment {
            return None;
        }
        Some((days_since_1970(year, month, day)? * 24 + hour) * 3600 + minute * 60 + second)
    }
}

/// Of a date in the Gregorian calendar; `None`: before 1970.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    // A year that begins in March has its leap day at its end.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let of_years = year * 365 + year / 4 - year / 100 + year / 400;
    let of_months = (month * 153 + 2) / 5;
    // Days from the first of March of the year 0 to the first of January of 1970.
    (of_years + of_months + day - 1).checked_sub(719_468)
}

fn text(tag: u8, value: &[u8]) -> Option<&str> {
    let text = match tag {
        UTF8_STRING => std::str::from_utf8(value).ok()?,
        PRINTABLE_STRING | IA5_STRING if value.is_ascii() => std::str::from_utf8(value).ok()?,
        _ => return None,
    };
    (!text.chars().any(char::is_control)).then_some(text)
}

fn address(value: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(value) {
        return Some(Ipv4Addr::from(four).into());
    }
    <[u8; 16]>::try_from(value).ok().map(|sixteen| Ipv6Addr::from(sixteen).into())
}

/// An object identifier as numbers with dots between them (X.690 section 8.19).
fn dotted(id: &[u8]) -> String {
    let (mut dotted, mut number) = (String::new(), 0_u64);
    for byte in id {
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        if dotted.is_empty() {
            let first = (number / 40).min(2);
            dotted.push_str(&first.to_string());
            number -= first * 40;
        }
        dotted.push_str(&format!(".{number}"));
        number = 0;
    }
    dotted
}

/// A value in a subject (RFC 4514 section 2.4).
fn escaped(value: &str) -> String {
    let mut escaped = String::new();
    let last = value.chars().count().saturating_sub(1);
    for (at, letter) in value.chars().enumerate() {
        let is_special = matches!(letter, '"' | '+' | ',' | ';' | '<' | '>' | '\\')
            || at == 0 && matches!(letter, ' ' | '#')
            || at == last && letter == ' ';
        if is_special {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use rcgen::CertificateParams;
    use rcgen::DnType;
    use rcgen::DnValue;
    use rcgen::KeyPair;
    use rcgen::SanType;
    use rcgen::date_time_ymd;

    use super::*;

    fn made(fill: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.not_before = date_time_ymd(2024, 2, 29);
        params.not_after = date_time_ymd(2031, 12, 31);
        fill(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn names_and_times_are_what_the_certificate_says() {
        let der = made(|params| {
            let subject = &mut params.distinguished_name;
            subject.push(DnType::CountryName, "CH");
            subject.push(DnType::OrganizationName, "Rail, Post + Co");
            subject.push(DnType::CustomDnType(vec![1, 3, 6, 1, 4, 1, 311]), "x");
            subject.push(DnType::CommonName, "feeder 7");
            params.subject_alt_names = vec![
                SanType::DnsName("Feeder.example.org".try_into().unwrap()),
                SanType::URI("spiffe://example.org/feeder".try_into().unwrap()),
                SanType::Rfc822Name("ops@example.org".try_into().unwrap()),
                SanType::IpAddress("2001:db8::7".parse().unwrap()),
            ];
        });
        let read = Certificate::read(&der).unwrap();
        let names: Vec<&str> = read.names().collect();
        assert_eq!(
            names,
            [
                "cn:feeder 7",
                r"subject:CN=feeder 7,1.3.6.1.4.1.311=x,O=Rail\, Post \+ Co,C=CH",
                "dns:Feeder.example.org",
                "uri:spiffe://example.org/feeder",
                "email:ops@example.org",
                "ip:2001:db8::7",
            ]
        );
        // `date --utc --date=2024-02-29 +%s`, and of 2031-12-31.
        assert_eq!((read.begins_at_s, read.ends_at_s), (1_709_164_800, 1_956_441_600));
        assert!(read.is("dns:feeder.EXAMPLE.org") && read.is("dns:*.example.org"));
        assert!(read.is("cn:feeder 7") && !read.is("cn:Feeder 7") && !read.is("feeder 7"));
        for other in ["dns:example.org", "dns:*.org", "dns:*", "cn:feeder", "email:feeder 7"] {
            assert!(!read.is(other), "{other}");
        }
    }

    #[test]
    fn what_is_no_text_is_no_name() {
        let der = made(|params| {
            params.distinguished_name.push(DnType::CommonName, "admin\0.example.org");
            let bmp = DnValue::BmpString("x".try_into().unwrap());
            params.distinguished_name.push(DnType::OrganizationName, bmp);
        });
        // A subject of which a part cannot be read has no name as a whole, for that would be another's.
        assert_eq!(Certificate::read(&der).unwrap().names().count(), 0);
    }

    #[test]
    fn of_too_many_names_none_counts() {
        let with = |count: usize| {
            made(|params| {
                let name = |at| SanType::DnsName(format!("h{at}.example").try_into().unwrap());
                params.subject_alt_names = (0..count).map(name).collect();
            })
        };
        let read = Certificate::read(&with(CERTIFICATE_NAMES_MAX)).unwrap();
        assert_eq!(read.names().count(), CERTIFICATE_NAMES_MAX);
        assert_eq!(Certificate::read(&with(CERTIFICATE_NAMES_MAX + 1)), Err(BadCertificate));
    }

    #[test]
    fn days_are_counted_as_calendars_do() {
        for (date, days) in [
            ((1970, 1, 1), Some(0)),
            ((1969, 12, 31), None),
            ((2000, 2, 29), Some(11_016)),
            ((2000, 3, 1), Some(11_017)),
            ((2100, 3, 1), Some(47_541)),
        ] {
            assert_eq!(days_since_1970(date.0, date.1, date.2), days, "{date:?}");
        }
    }

    #[test]
    fn cut_off_anywhere_it_is_no_certificate() {
        let der = made(|params| params.distinguished_name.push(DnType::CommonName, "a"));
        for end in 0..der.len() {
            assert_eq!(Certificate::read(&der[..end]), Err(BadCertificate), "{end}");
        }
    }
}
