//! `SubscribeRequest` as protobuf: a reader for the six messages that there are.
//!
//! Written by hand because it is this one page: a protobuf package brings a code generator or derive macros for messages that never change.
//! Invariants: never reads beyond a message's end, never recurses deeper than a query may be nested; unknown fields are passed over.

use std::fmt;

use super::query::Joint;
use super::query::Kind;
use super::query::Node;
use super::query::Query;
use super::query::QueryError;
use crate::limits::PEAT_COLLECTIONS_MAX;
use crate::limits::PEAT_QUERY_CLAUSES_MAX;
use crate::limits::PEAT_QUERY_LEVELS_MAX;

/// Why bytes are not a `SubscribeRequest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProtoError {
    Truncated,
    BadVarint,
    BadWireType { wire_type: u8 },
    NotUtf8,
    TooManyCollections,
    Query(QueryError),
}

impl fmt::Display for ProtoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => write!(f, "protobuf message ends in the middle of a field"),
            Self::BadVarint => write!(f, "protobuf varint has more than 10 bytes"),
            Self::BadWireType { wire_type } => {
                write!(f, "protobuf field has wire type {wire_type}")
            }
            Self::NotUtf8 => write!(f, "protobuf string is not UTF-8"),
            Self::TooManyCollections => write!(f, "more than {PEAT_COLLECTIONS_MAX} collections"),
            Self::Query(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ProtoError {}

/// A message's fields, one after the other: number and value.
struct Fields<'a>(&'a [u8]);

enum Value<'a> {
    Bytes(&'a [u8]),
    Other,
}

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, ProtoError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => {
                self.varint()?;
                Value::Other
            }
            1 => self.take(8).map(|_| Value::Other)?,
            2 => {
                let bytes = usize::try_from(self.varint()?).map_err(|_| ProtoError::Truncated)?;
                Value::Bytes(self.take(bytes)?)
            }
            5 => self.take(4).map(|_| Value::Other)?,
            other => {
                return Err(ProtoError::BadWireType {
                    wire_type: u8::try_from(other).unwrap_or(7),
                });
            }
        };
        Ok(Some((tag >> 3, value)))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ProtoError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(ProtoError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, ProtoError> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ProtoError::BadVarint)
    }
}

fn text(bytes: &[u8]) -> Result<String, ProtoError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| ProtoError::NotUtf8)
}

/// Collections, and the query if there is one.
//= peat-node#1.2
//# SubscribeRequest   { repeated string collections=1; optional SubscriptionQuery query=2; }
pub(super) fn subscribe_request(bytes: &[u8]) -> Result<(Vec<String>, Option<Query>), ProtoError> {
    let (mut collections, mut query) = (Vec::new(), None);
    let mut fields = Fields(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (1, Value::Bytes(_)) if collections.len() >= PEAT_COLLECTIONS_MAX => {
                return Err(ProtoError::TooManyCollections);
            }
            (1, Value::Bytes(bytes)) => collections.push(text(bytes)?),
            (2, Value::Bytes(bytes)) => query = Some(node(bytes, 1)?),
            _ => {}
        }
    }
    let query =
        query.map(|node| Query::of_node(node, &mut 0)).transpose().map_err(ProtoError::Query)?;
    Ok((collections, query))
}

//= peat-node#1.2
//# SubscriptionQuery  { oneof q { QueryEq eq=1; QueryCmp lt=2; QueryCmp gt=3; QueryAnd and=4;
//#                                QueryOr or=5; SubscriptionQuery not=6; QueryAll all=7; } }
fn node(bytes: &[u8], level: usize) -> Result<Node, ProtoError> {
    if level > PEAT_QUERY_LEVELS_MAX {
        return Err(ProtoError::Query(QueryError::TooDeep));
    }
    let mut found = Node::Empty;
    let mut fields = Fields(bytes);
    // The last variant of a oneof counts.
    while let Some((number, value)) = fields.next()? {
        let Value::Bytes(bytes) = value else { continue };
        found = match number {
            1 => compare(Kind::Eq, bytes)?,
            2 => compare(Kind::Lt, bytes)?,
            3 => compare(Kind::Gt, bytes)?,
            4 => Node::Join(Joint::And, clauses(bytes, level)?),
            5 => Node::Join(Joint::Or, clauses(bytes, level)?),
            6 => Node::Not(Box::new(node(bytes, level + 1)?)),
            7 => Node::All,
            _ => continue,
        };
    }
    Ok(found)
}

fn compare(kind: Kind, bytes: &[u8]) -> Result<Node, ProtoError> {
    let (mut field, mut value) = (String::new(), String::new());
    let mut fields = Fields(bytes);
    while let Some(found) = fields.next()? {
        match found {
            (1, Value::Bytes(bytes)) => field = text(bytes)?,
            (2, Value::Bytes(bytes)) => value = text(bytes)?,
            _ => {}
        }
    }
    Ok(Node::Compare(kind, field, value))
}

fn clauses(bytes: &[u8], level: usize) -> Result<Vec<Node>, ProtoError> {
    let mut nodes = Vec::new();
    let mut fields = Fields(bytes);
    while let Some(found) = fields.next()? {
        if nodes.len() > PEAT_QUERY_CLAUSES_MAX {
            return Err(ProtoError::Query(QueryError::TooManyClauses));
        }
        if let (1, Value::Bytes(bytes)) = found {
            nodes.push(node(bytes, level + 1)?);
        }
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read() {
        let eq = [0x0a, 1, b'f', 0x12, 1, b'1'];
        let mut query = vec![0x0a, 6];
        query.extend(eq);
        let mut bytes = vec![0x0a, 2, b'a', b'b', 0x0a, 1, b'c', 0x78, 0x96, 0x01, 0x12, 8];
        bytes.extend(query);
        let (collections, query) = subscribe_request(&bytes).unwrap();
        assert_eq!(collections, ["ab", "c"]);
        assert_eq!(query, Some(Query::parse_json(r#"{"eq":{"field":"f","value":"1"}}"#).unwrap()));
        assert_eq!(subscribe_request(&[]), Ok((Vec::new(), None)));
    }

    #[test]
    fn what_is_cut_short_or_wrong_is_refused() {
        assert_eq!(subscribe_request(&[0x0a, 5, b'a']), Err(ProtoError::Truncated));
        assert_eq!(subscribe_request(&[0x80; 11]), Err(ProtoError::BadVarint));
        assert_eq!(subscribe_request(&[0x0b]), Err(ProtoError::BadWireType { wire_type: 3 }));
        assert_eq!(subscribe_request(&[0x0a, 1, 0xff]), Err(ProtoError::NotUtf8));
        assert_eq!(subscribe_request(&[0x12, 0]), Err(ProtoError::Query(QueryError::NoVariant)));
    }

    #[test]
    fn nesting_is_bounded_here_too() {
        let mut query = vec![0x3a, 0];
        for _ in 1..17 {
            let mut outer = vec![0x32, u8::try_from(query.len()).unwrap()];
            outer.extend(&query);
            query = outer;
        }
        let mut bytes = vec![0x12, u8::try_from(query.len()).unwrap()];
        bytes.extend(query);
        assert_eq!(subscribe_request(&bytes), Err(ProtoError::Query(QueryError::TooDeep)));
    }
}
