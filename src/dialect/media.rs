//! Media types: what the body of a call may be written in, and whether a request's own is.
//!
//! Invariant: what a door does not take is refused with what it does take, by the same words for every door (RFC 9110 section 15.5.16). Never
//! looks at a body.

use std::fmt;

use crate::wire::http::Head;
use crate::wire::http::Name;

/// A media type that a door takes.
#[derive(Debug, PartialEq, Eq)]
pub struct MediaType {
    /// As clients are told of it.
    pub name: &'static str,
    /// What else is taken for it; an empty one: a request that does not say.
    pub aliases: &'static [&'static str],
}

/// One JSON text. `curl -d` says that it sends a form unless it is told otherwise, and other clients say nothing.
pub const JSON: MediaType = MediaType {
    name: "application/json",
    aliases: &["text/json", "application/x-www-form-urlencoded", ""],
};

/// One JSON text a line.
pub const LINES: MediaType = MediaType {
    name: "application/x-ndjson",
    aliases: &["application/ndjson", "application/jsonl", "application/x-jsonlines"],
};

/// What body a call takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// None; or whatever its head says of it, for it is looked at all the same.
    Anything,
    /// One of these, not encoded as a whole.
    OneOf(&'static [&'static MediaType]),
}

/// Why a body is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// The body is encoded as a whole.
    Encoded { coding: Box<str> },
    /// The body is of another type, or, if that is empty, does not say of which.
    OtherType { said: Box<str>, taken: &'static [&'static MediaType] },
}

impl Takes {
    /// Which of the types that are taken a request's body is of; `None`: that is not asked here.
    ///
    /// # Errors
    /// The body is of none of the types that are taken.
    pub fn find(self, head: &Head) -> Result<Option<&'static MediaType>, NotTaken> {
        let Self::OneOf(taken) = self else { return Ok(None) };
        let coding = head.value(Name::ContentEncoding).unwrap_or_default();
        if !coding.is_empty() && !coding.eq_ignore_ascii_case("identity") {
            return Err(NotTaken::Encoded { coding: coding.into() });
        }
        let said = head.value(Name::ContentType).unwrap_or_default();
        let said = said.split(';').next().unwrap_or_default().trim();
        let is_said = |name: &&str| name.eq_ignore_ascii_case(said);
        let found =
            taken.iter().find(|media| is_said(&media.name) || media.aliases.iter().any(is_said));
        found
            .map(|media| Some(*media))
            .ok_or_else(|| NotTaken::OtherType { said: said.to_ascii_lowercase().into(), taken })
    }

    /// The names of what is taken, with this between them.
    #[must_use]
    pub fn names(self, between: &str) -> String {
        match self {
            Self::Anything => String::new(),
            Self::OneOf(taken) => names(taken, between),
        }
    }
}

fn names(taken: &[&MediaType], between: &str) -> String {
    let names: Vec<&str> = taken.iter().map(|media| media.name).collect();
    names.join(between)
}

impl NotTaken {
    /// The field of the request's head that is to blame.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Encoded { .. } => "Content-Encoding",
            Self::OtherType { .. } => "Content-Type",
        }
    }

    /// The field of the answer's head that says what is taken instead.
    //= rfc9110#15.5.16
    //# If the problem was caused by an unsupported content coding, the Accept-Encoding response header field (Section 12.5.3) ought to be used
    #[must_use]
    pub fn remedy(&self) -> (&'static str, String) {
        match self {
            Self::Encoded { .. } => ("accept-encoding", "identity".to_owned()),
            Self::OtherType { taken, .. } => ("accept-post", names(taken, ", ")),
        }
    }
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoded { coding } => {
                write!(f, "a body is not to be encoded, and this one is: {coding}")
            }
            Self::OtherType { said, taken } => {
                write!(f, "a body is {}", names(taken, " or "))?;
                match &**said {
                    "" => write!(f, ", and this one says nothing"),
                    said => write!(f, ", not {said}"),
                }
            }
        }
    }
}

impl std::error::Error for NotTaken {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::parse_head;

    const CSV: MediaType = MediaType { name: "text/csv", aliases: &[] };

    fn found(takes: Takes, fields: &str) -> Result<Option<&'static str>, String> {
        let head = format!("POST /a HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        let (head, _) = parse_head(head.as_bytes()).unwrap().unwrap();
        let found = takes.find(&head);
        found.map(|media| media.map(|media| media.name)).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_type_is_found_by_any_of_its_names_in_any_case() {
        let takes = Takes::OneOf(&[&JSON, &LINES]);
        for (said, name) in [
            ("", JSON.name),
            ("Content-Type:\r\n", JSON.name),
            ("Content-Type: Application/JSON; charset=utf-8\r\n", JSON.name),
            ("Content-Type: text/json\r\nContent-Encoding: Identity\r\n", JSON.name),
            ("Content-Type: application/x-www-form-urlencoded\r\n", JSON.name),
            ("Content-Type: application/x-ndjson;x\r\n", LINES.name),
            ("Content-Type: application/JSONL\r\n", LINES.name),
        ] {
            assert_eq!(found(takes, said), Ok(Some(name)), "{said}");
        }
    }

    #[test]
    fn what_is_not_taken_is_said_with_what_is() {
        let takes = Takes::OneOf(&[&JSON, &CSV]);
        let refused = |fields| found(takes, fields).unwrap_err();
        assert_eq!(
            refused("Content-Type: Text/Plain; a=b\r\n"),
            "a body is application/json or text/csv, not text/plain"
        );
        assert_eq!(
            found(Takes::OneOf(&[&CSV]), "").unwrap_err(),
            "a body is text/csv, and this one says nothing"
        );
        assert_eq!(
            refused("Content-Encoding: gzip, br\r\n"),
            "a body is not to be encoded, and this one is: gzip, br"
        );
        assert_eq!(
            found(Takes::Anything, "Content-Type: a/b\r\nContent-Encoding: x\r\n"),
            Ok(None)
        );
    }
}
