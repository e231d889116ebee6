//! What peat-node's readers take is a filter, means the same as protobuf, and answers as a plain reading of the query would; what they refuse
//! has a reason. Nothing makes them panic.

use std::sync::Arc;

use bytes::Bytes;
use fanwire::dialect::View;
use fanwire::dialect::peat::Query;
use fanwire::dialect::peat::Request;
use fanwire::dialect::peat::connect;
use fanwire::event::Event;
use fanwire::event::Fields;
use fanwire::event::HomeId;
use fanwire::event::Op;
use fanwire::event::TopicName;
use serde_json::Value;

/// Holds every reader of a request to it for one input.
pub(crate) fn hold(input: &[u8]) {
    for media in connect::TYPES {
        let terms = connect::Terms::of(Some(media), Some("1"));
        if let Err(error) = connect::request(terms, input) {
            assert!(!error.to_string().is_empty());
        }
    }
    match Request::of_proto(input) {
        Ok(request) => check(&request),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(request) = Request::of_json(text) {
        check(&request);
    }
    match Query::parse_json(text) {
        Ok(query) => check(&Request { query: Some(query), ..Request::default() }),
        Err(error) => {
            assert!(error.to_string().starts_with("invalid subscription query: "), "{error}");
        }
    }
}

fn check(request: &Request) {
    let mut bytes = Vec::new();
    put_request(request, &mut bytes);
    assert_eq!(Request::of_proto(&bytes).as_ref(), Ok(request));
    let Some(query) = &request.query else { return };
    let filter = query.filter().expect("a query within its limits is a filter within its own");
    for document in [
        r#"{}"#,
        r#"{"a":1,"b":"x","c":null,"d":true,"e":[1,"x"],"f":{"g":1}}"#,
        r#"{"a":"1","b":2.5,"c":"","d":false,"a.b":7}"#,
        r#"{"a":1.0,"b":"y","e":[],"f":{}}"#,
    ] {
        let value: Value = serde_json::from_str(document).expect("it is JSON");
        assert!(filter.evaluate(&event(Op::Delete, document)), "a delete passes");
        if let Some(expected) = passes(query, &value) {
            let passed = filter.evaluate(&event(Op::Upsert, document));
            assert_eq!(passed, expected, "{query:?} of {document}");
        }
    }
    assert!(request.subscription(&View::default()).is_none_or(|sub| !sub.topics.is_empty()));
}

/// What the specification's table says, read as plainly as it is written. `None`: a number that serde_json does not keep as it stands.
fn passes(query: &Query, document: &Value) -> Option<bool> {
    let both = |comparison: &fanwire::dialect::peat::Comparison| {
        if !is_plain(&comparison.value) {
            return None;
        }
        let value: Value = serde_json::from_str(&comparison.value).expect("it was checked");
        Some((document.get(&*comparison.field).cloned(), value))
    };
    Some(match query {
        Query::All => true,
        Query::Eq(comparison) => {
            let (found, value) = both(comparison)?;
            found == Some(value)
        }
        Query::Lt(comparison) => {
            let (found, value) = both(comparison)?;
            ordered(found.as_ref(), &value).is_some_and(std::cmp::Ordering::is_lt)
        }
        Query::Gt(comparison) => {
            let (found, value) = both(comparison)?;
            ordered(found.as_ref(), &value).is_some_and(std::cmp::Ordering::is_gt)
        }
        Query::And(clauses) => {
            let all: Option<Vec<bool>> = clauses.iter().map(|one| passes(one, document)).collect();
            all?.into_iter().all(|one| one)
        }
        Query::Or(clauses) => {
            let all: Option<Vec<bool>> = clauses.iter().map(|one| passes(one, document)).collect();
            all?.into_iter().any(|one| one)
        }
        Query::Not(clause) => !passes(clause, document)?,
    })
}

fn ordered(found: Option<&Value>, value: &Value) -> Option<std::cmp::Ordering> {
    match (found?, value) {
        (Value::String(found), Value::String(value)) => {
            Some(found.as_bytes().cmp(value.as_bytes()))
        }
        (Value::Number(found), Value::Number(value)) => {
            found.as_f64()?.partial_cmp(&value.as_f64()?)
        }
        _ => None,
    }
}

/// Numbers beyond what a double holds, and a negative zero, are kept by us as they are written and by serde_json as doubles; members that
/// stand twice, and lone surrogates, are read differently, too.
fn is_plain(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    digits <= 12 && !value.contains(['e', 'E', '\\', '{']) && !value.contains("-0")
}

fn event(op: Op, document: &'static str) -> Event {
    Event {
        topic: TopicName::new("a").expect("a topic"),
        key: Arc::from("k"),
        op,
        home: HomeId(0),
        offset: 1,
        previous: 0,
        time_us: 1,
        payload: Bytes::from_static(document.as_bytes()),
        fields: Fields::default(),
        before: None,
        meta: None,
    }
}

fn put_request(request: &Request, out: &mut Vec<u8>) {
    for collection in &request.collections {
        put(1, collection.as_bytes(), out);
    }
    if let Some(query) = &request.query {
        put_message(2, |out| put_query(query, out), out);
    }
}

fn put_query(query: &Query, out: &mut Vec<u8>) {
    let comparison =
        |number, comparison: &fanwire::dialect::peat::Comparison, out: &mut Vec<u8>| {
            put_message(
                number,
                |out| {
                    put(1, comparison.field.as_bytes(), out);
                    put(2, comparison.value.as_bytes(), out);
                },
                out,
            );
        };
    let clauses = |number, clauses: &[Query], out: &mut Vec<u8>| {
        put_message(
            number,
            |out| {
                for clause in clauses {
                    put_message(1, |out| put_query(clause, out), out);
                }
            },
            out,
        );
    };
    match query {
        Query::Eq(one) => comparison(1, one, out),
        Query::Lt(one) => comparison(2, one, out),
        Query::Gt(one) => comparison(3, one, out),
        Query::And(all) => clauses(4, all, out),
        Query::Or(all) => clauses(5, all, out),
        Query::Not(one) => put_message(6, |out| put_query(one, out), out),
        Query::All => put(7, b"", out),
    }
}

fn put_message(number: u8, write: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
    let mut message = Vec::new();
    write(&mut message);
    put(number, &message, out);
}

fn put(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(number << 3 | 2);
    let mut rest = bytes.len();
    while rest >= 0x80 {
        out.push(u8::try_from(rest & 0x7f).expect("seven bits") | 0x80);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).expect("seven bits"));
    out.extend_from_slice(bytes);
}
