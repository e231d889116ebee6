//! What is found in a payload, and what is not.

use super::*;
use crate::event::Arrays;
use crate::event::FieldPath;

fn interest(paths: &[(&[&str], Arrays)]) -> Interest {
    let paths: Vec<FieldPath> =
        paths.iter().map(|(steps, arrays)| FieldPath::new(steps, *arrays).unwrap()).collect();
    Interest::of(&paths)
}

fn found(payload: &str, steps: &[&str], arrays: Arrays) -> String {
    let fields =
        extract(payload.as_bytes(), &mut Scratch::default(), &interest(&[(steps, arrays)]))
            .unwrap();
    let shown: Vec<String> = fields
        .iter()
        .map(|(_, value)| match value {
            Value::Number(number) => number.to_string(),
            other => format!("{other:?}"),
        })
        .collect();
    shown.join(" ")
}

#[test]
fn a_path_finds_its_values() {
    use Arrays::Through;
    use Arrays::Whole;
    for (payload, steps, arrays, expected) in [
        (r#"{"a":1}"#, &["a"][..], Through, "1"),
        (r#"{"a":1}"#, &["b"], Through, ""),
        (r#"{"a":{"b":null}}"#, &["a", "b"], Through, "Null"),
        (r#"{"a":{"b":1}}"#, &["a"], Through, "Other"),
        (r#"{"a":[1,"x",[2,[]]]}"#, &["a"], Through, "1 Text(\"x\") 2 Other"),
        (r#"{"a":[]}"#, &["a"], Through, "Other"),
        (r#"{"a":[{"b":1},{"c":2},{"b":[3]}]}"#, &["a", "b"], Through, "1 3"),
        (r#"{"a":1,"a":2}"#, &["a"], Through, "2"),
        (r#"{"a":{"b":1},"a":{"c":2}}"#, &["a", "b"], Through, ""),
        (r#"{"a.b":1,"a":{"b":2}}"#, &["a.b"], Whole, "1"),
        (r#"{"a":[{"b":1}]}"#, &["a", "b"], Whole, ""),
        (
            r#"{"a":{"z":1.0,"b":[true,{}],"b":[]}}"#,
            &["a"],
            Whole,
            r#"Json("{\"b\":[],\"z\":1.0}")"#,
        ),
        (r#"{"a":"\u00e9\n"}"#, &["a"], Through, "Text(\"é\\n\")"),
        (r#"{"a":"\ud800","b":"\ud83d\ude00"}"#, &["a"], Through, "Text(\"\u{fffd}\")"),
        (r#"{"a":123456789012345678901234567890}"#, &["a"], Through, "1.2345678901234568e29"),
        (r#"{"a":-1e999}"#, &["a"], Through, "-1.7976931348623157e308"),
        (r#"{"a":18446744073709551615}"#, &["a"], Through, "18446744073709551615"),
    ] {
        assert_eq!(found(payload, steps, arrays), expected, "{payload}");
    }
}

#[test]
fn several_paths_are_found_in_one_parse_in_their_order() {
    let both = interest(&[
        (&["b"], Arrays::Through),
        (&["a", "x"], Arrays::Through),
        (&["a"], Arrays::Whole),
    ]);
    let fields = extract(br#"{"b":true,"a":{"x":7}}"#, &mut Scratch::default(), &both).unwrap();
    let values: Vec<_> = fields.iter().collect();
    assert_eq!(values.len(), 3);
    assert_eq!(values[0].1, Value::Json(r#"{"x":7}"#));
    assert_eq!(values[1].1, Value::Number(Number::from_i64(7)));
    assert_eq!(values[2].1, Value::Bool(true));
    assert!(values.is_sorted_by_key(|(place, _)| *place));
}

#[test]
fn a_bad_payload_is_refused_with_the_byte() {
    let mut scratch = Scratch::default();
    for (payload, at, problem) in [
        (&b"[1]"[..], 0, JsonProblem::NotAnObject),
        (b" 1", 1, JsonProblem::NotAnObject),
        (b"", 0, JsonProblem::Unfinished),
        (b"{\"a\":tru}", 5, JsonProblem::ValueExpected),
        (b"{\"a\":\"\xff\"}", 6, JsonProblem::NotUtf8),
        (b"{}x", 2, JsonProblem::Trailing),
        (b"{\"a\":1 \"b\":2}", 7, JsonProblem::CommaExpected),
    ] {
        assert_eq!(
            check_payload(payload, &mut scratch),
            Err(JsonError { at, problem }),
            "{payload:?}"
        );
    }
    assert_eq!(check_payload(b" {\"a\":[{}]} ", &mut scratch), Ok(()));
    for depth in [JSON_DEPTH_MAX - 1, JSON_DEPTH_MAX, 2000] {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        let expected = if depth < JSON_DEPTH_MAX {
            Ok(())
        } else {
            Err(JsonError { at: 5 + JSON_DEPTH_MAX - 1, problem: JsonProblem::TooDeep })
        };
        assert_eq!(check_payload(deep.as_bytes(), &mut scratch), expected);
    }
}

#[test]
fn a_key_is_text_or_a_number_as_written() {
    let key = |payload: &str, field: &str| {
        extract_with_key(payload.as_bytes(), &mut Scratch::default(), &Interest::default(), field)
            .unwrap()
            .1
    };
    assert_eq!(key(r#"{"icao24":"4067f2"}"#, "icao24"), KeyField::Text(Arc::from("4067f2")));
    assert_eq!(key(r#"{"x":{"id":1},"id": 7.50e2}"#, "id"), KeyField::Text(Arc::from("7.50e2")));
    assert_eq!(
        key(r#"{"id":1,"\u0069d":02}"#.replace("02", "2").as_str(), "id"),
        KeyField::Text(Arc::from("2"))
    );
    assert_eq!(
        key(r#"{"id":123456789012345678901234567890}"#, "id"),
        KeyField::Text(Arc::from("123456789012345678901234567890"))
    );
    assert_eq!(key(r#"{"id":[1]}"#, "id"), KeyField::NotScalar);
    for half in [r"\ud800", r"\udbff", r"a\uDC00b", r"\ud800\ud800", r"\ufffd\udfff"] {
        let payload = format!(r#"{{"id":"{half}"}}"#);
        assert_eq!(key(&payload, "id"), KeyField::NotText, "{half}");
    }
    for (text, expected) in [
        (r"\ufffd", "\u{fffd}"),
        (r"\uFFFD", "\u{fffd}"),
        ("\u{fffd}", "\u{fffd}"),
        (r"\ud83d\ude00\ufffd", "😀\u{fffd}"),
    ] {
        let payload = format!(r#"{{"id":"{text}"}}"#);
        assert_eq!(key(&payload, "id"), KeyField::Text(Arc::from(expected)), "{text}");
    }
    assert_eq!(
        key(r#"{"id":"\ud800","id":"b\ufffd"}"#, "id"),
        KeyField::Text(Arc::from("b\u{fffd}"))
    );
    assert_eq!(key(r#"{"id":"a","b":{"id":"c"}}"#, "b.id"), KeyField::Missing);
}

#[test]
fn canonical_text_is_the_same_for_equal_values() {
    let mut scratch = Scratch::default();
    assert_eq!(
        canonical_json(r#" {"b":1,"a":[ 2.0 ]} "#, &mut scratch).unwrap(),
        r#"{"a":[2.0],"b":1}"#
    );
    assert_eq!(canonical_json("1e2", &mut scratch).unwrap(), "100.0");
    assert_eq!(
        canonical_json("[1,]", &mut scratch),
        Err(JsonError { at: 3, problem: JsonProblem::ValueExpected })
    );
}
