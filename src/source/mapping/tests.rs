//! What messages become: by examples, and by chance.

use std::sync::Arc;

use bytes::Bytes;

use super::*;

const NOW_US: u64 = 1_758_880_800_000_000;

fn text(topic: &str) -> MappingText {
    MappingText { topic: topic.to_owned(), ..MappingText::default() }
}

fn message(payload: &str) -> Message {
    Message {
        subject: Some("orders.eu.7".into()),
        key: Some(Bytes::from_static(b"[\"k\",2]")),
        headers: vec![(Arc::from("ce-type"), Bytes::from_static(b"created"))],
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        ..Message::default()
    }
}

fn mapped(text: &MappingText, message: &Message) -> Mapped {
    let mut out = Mapped::default();
    Mapping::new("shop", text).unwrap().map(message, NOW_US, &mut out);
    out
}

/// The one event that a message becomes: topic, key, operation and payload.
fn event(text: &MappingText, message: &Message) -> (String, String, Op, String) {
    let mut out = mapped(text, message);
    assert!(out.faults.is_empty(), "{:?}", out.faults);
    let (_, draft) = out.drafts.pop().unwrap();
    let payload = String::from_utf8(draft.payload.to_vec()).unwrap();
    (draft.topic.as_str().to_owned(), draft.key.to_string(), draft.op, payload)
}

fn fault(text: &MappingText, payload: &str) -> String {
    let out = mapped(text, &message(payload));
    assert!(out.drafts.is_empty());
    out.faults[0].to_string()
}

fn one(text: &str) -> PayloadText {
    PayloadText::One(text.to_owned())
}

#[test]
fn a_message_becomes_what_its_mapping_says() {
    let payload = r#"{"a":{"b":[1.50,"x\"y"]},"n":null,"t":true}"#;
    let plain = event(&text("t"), &message(payload));
    let wanted = ("t".to_owned(), "[\"k\",2]".to_owned(), Op::Event, payload.to_owned());
    assert_eq!(plain, wanted, "by itself the payload, byte for byte, and the key");
    let mapping = MappingText {
        topic: "{source}/{subject.1}/{/a/b/0}".to_owned(),
        key: "{key/0}-{header.CE-Type}".to_owned(),
        op: "{header.ce-type}".to_owned(),
        ops: vec!["created=upsert".to_owned()],
        payload: PayloadText::Object(vec![
            ("raw".to_owned(), "{/a/b}".to_owned()),
            ("said".to_owned(), "{/a/b/1} of {subject}".to_owned()),
            ("path".to_owned(), "{path}".to_owned()),
            ("at".to_owned(), "{time}".to_owned()),
            ("no".to_owned(), "{/zebra|}".to_owned()),
            ("some".to_owned(), "{/zebra|7}".to_owned()),
            ("word".to_owned(), "{/zebra|7 of}".to_owned()),
            ("null".to_owned(), "{/n}".to_owned()),
            ("whole".to_owned(), "{text}".to_owned()),
        ]),
        ..MappingText::default()
    };
    let (topic, key, op, made) = event(&mapping, &message(payload));
    assert_eq!((&*topic, &*key, op), ("shop/eu/1.50", "k-created", Op::Upsert));
    let whole = serde_json::to_string(payload).unwrap();
    let wanted = format!(
        r#"{{"raw":[1.50,"x\"y"],"said":"x\"y of orders.eu.7","path":"orders/eu/7","at":"2025-09-26T10:00:00Z","some":7,"word":"7 of","null":null,"whole":{whole}}}"#
    );
    assert_eq!(made, wanted);
}

#[test]
fn a_string_with_json_in_it_becomes_a_payload() {
    let mapping = MappingText {
        topic: "peat/{/collection}".to_owned(),
        key: "{/docId|}".to_owned(),
        op: "{/changeType}".to_owned(),
        ops: vec!["CHANGE_TYPE_UPSERT=upsert".to_owned(), "CHANGE_TYPE_DELETE=delete".to_owned()],
        payload: one("{/jsonData|}"),
        ..MappingText::default()
    };
    let upsert = r#"{"collection":"p","docId":"d0","changeType":"CHANGE_TYPE_UPSERT","jsonData":"{\"i\":1.50}"}"#;
    let wanted = ("peat/p".to_owned(), "d0".to_owned(), Op::Upsert, r#"{"i":1.50}"#.to_owned());
    assert_eq!(event(&mapping, &message(upsert)), wanted);
    let delete = r#"{"collection":"p","docId":"d0","changeType":"CHANGE_TYPE_DELETE"}"#;
    let wanted = ("peat/p".to_owned(), "d0".to_owned(), Op::Delete, "{}".to_owned());
    assert_eq!(event(&mapping, &message(delete)), wanted);
}

#[test]
fn the_state_of_a_key_that_is_nothing_is_its_end() {
    let upsert = MappingText { op: "upsert".to_owned(), ..text("t") };
    for payload in ["", "null"] {
        let (_, key, op, payload) = event(&upsert, &message(payload));
        assert_eq!((&*key, op, &*payload), ("[\"k\",2]", Op::Delete, "{}"));
    }
    assert_eq!(fault(&text("t"), ""), "`payload`: there is none");
    let keyless = MappingText { key: "{/k|}".to_owned(), ..upsert };
    assert_eq!(fault(&keyless, ""), "`payload`: there is none");
}

#[test]
fn an_array_is_split_and_each_part_stands_for_itself() {
    let mapping = MappingText {
        topic: "t/{/id}".to_owned(),
        key: "{whole/of}".to_owned(),
        split: "{/items}".to_owned(),
        ..MappingText::default()
    };
    let payload = r#"{"of":"x","items":[{"id":1},{"it":2},{"id":"a b/c"},{"id":3}]}"#;
    let out = mapped(&mapping, &message(payload));
    let told: Vec<_> =
        out.drafts.iter().map(|(part, draft)| (*part, draft.topic.as_str())).collect();
    assert_eq!(told, [(0, "t/1"), (2, "t/a b/c"), (3, "t/3")]);
    assert!(out.drafts.iter().all(|(_, draft)| &*draft.key == "x"));
    let said: Vec<String> = out.faults.iter().map(MapFault::to_string).collect();
    assert_eq!(said, ["`topic`: `{/id}` is not there (part 1)"]);
    assert_eq!(&out.drafts[0].1.payload[..], b"{\"id\":1}");
    assert_eq!(mapped(&mapping, &message(r#"{"items":[]}"#)).drafts.len(), 0);
    assert_eq!(
        fault(&mapping, r#"{"items":{}}"#),
        "`split`: `{/items}` is no array of 16384 elements at most"
    );
    assert_eq!(fault(&mapping, r#"{"item":[]}"#), "`split`: `{/items}` is not there");
    let whole = MappingText { split: "{payload}".to_owned(), ..text("t") };
    assert_eq!(mapped(&whole, &message(r#"[{"a":1},{"a":2}]"#)).drafts.len(), 2);
    let optional = MappingText { split: "{/items|}".to_owned(), ..text("t") };
    let out = mapped(&optional, &message("{}"));
    assert!(out.drafts.is_empty() && out.faults.is_empty());
}

#[test]
fn what_a_message_becomes_is_bounded() {
    let payload = PayloadText::Object(vec![("all".to_owned(), "{whole}".to_owned())]);
    let mapping = MappingText { split: "{/items}".to_owned(), payload, ..text("t") };
    let items = format!("{{\"items\":[{}1],\"x\":\"{}\"}}", "1,".repeat(999), "x".repeat(100_000));
    let out = mapped(&mapping, &message(&items));
    assert!((30..60).contains(&out.drafts.len()), "{}", out.drafts.len());
    assert_eq!(out.faults.len(), 1);
    assert!(
        out.faults[0].to_string().starts_with("`split`: it becomes more than 4194304 bytes (part ")
    );
}

#[test]
fn the_engines_filters_and_age_keep_out() {
    let mapping = MappingText { filter: "speed > 10".to_owned(), ..text("t") };
    for (payload, dropped) in [(r#"{"speed":11}"#, 0), (r#"{"speed":9}"#, 1), ("{}", 1)] {
        let out = mapped(&mapping, &message(payload));
        assert_eq!((out.dropped, out.drafts.len() as u64), (dropped, 1 - dropped), "{payload}");
    }
    let mapping = MappingText { time: "{/at}".to_owned(), age_s_max: 60, ..text("t") };
    let now_s = NOW_US / 1_000_000;
    for (at, dropped) in [
        (format!("{now_s}"), 0),
        (format!("{}", now_s - 61), 1),
        (format!("{}.5", now_s - 60), 0),
        (format!("{}", (now_s - 61) * 1_000), 1),
        (format!("{}", (now_s - 59) * 1_000_000), 0),
        (format!("{}", (now_s - 61) * 1_000_000_000), 1),
        ("\"2025-09-26T12:00:00+02:00\"".to_owned(), 0),
        ("\"2025-09-26T10:00:00+02:00\"".to_owned(), 1),
    ] {
        let out = mapped(&mapping, &message(&format!("{{\"at\":{at}}}")));
        assert!(out.faults.is_empty(), "{:?}", out.faults);
        assert_eq!(out.dropped, dropped, "{at}");
    }
    assert_eq!(fault(&mapping, r#"{"at":"soon"}"#), "`time`: `soon` is no moment since 1970");
}

#[test]
fn what_does_not_fit_is_said_with_its_place() {
    for (mapping, payload, said) in [
        (text("t/{/a}"), r#"{"a":{}}"#, "`topic`: `{/a}` is an object, and no text"),
        (text("t/{/a}"), r#"{"a":""}"#, "`topic`: `t/`: "),
        (
            text("t/{/a}"),
            r#"{"a":1"#,
            "`topic`: `{/a}`: not JSON: the text ends within a value at byte 6",
        ),
        (text("t"), r#"[1]"#, "`payload`: not an object at byte 0"),
        (text("t"), r#"{"a":tru}"#, "`payload`: "),
        (
            MappingText { op: "{/o}".to_owned(), ..text("t") },
            r#"{"o":"x"}"#,
            "`op`: `x` is no operation",
        ),
        (MappingText { key: "{/k}".to_owned(), ..text("t") }, "{}", "`key`: `{/k}` is not there"),
        (MappingText { payload: one("{/p}"), ..text("t") }, "{}", "`payload`: `{/p}` is not there"),
    ] {
        let found = fault(&mapping, payload);
        assert!(found.starts_with(said), "{found}");
    }
    let mut odd = message("{}");
    odd.payload = Bytes::from_static(b"\xff");
    let out = mapped(&text("t"), &odd);
    assert_eq!(out.faults[0].to_string(), "`payload`: `{payload}`: the payload is not UTF-8");
    let long = format!("{{\"k\":\"{}\"}}", "x".repeat(KEY_BYTES_MAX + 1));
    let mapping = MappingText { key: "{/k}".to_owned(), ..text("t") };
    assert_eq!(fault(&mapping, &long), "`key`: it has 256 bytes, and may have 255");
}

#[test]
fn a_mapping_that_cannot_be_is_refused() {
    let wrong = |text: &MappingText| {
        let error = Mapping::new("s", text).unwrap_err();
        format!("{}: {}", error.member, error.why)
    };
    for (mapping, said) in [
        (text("a//b"), "topic: `a//b`: "),
        (text("{x"), "topic: `{x`: a `{` that is not closed"),
        (MappingText { op: "put".to_owned(), ..text("t") }, "op: `put` is no operation"),
        (MappingText { ops: vec!["put".to_owned()], ..text("t") }, "ops: `put` must be like"),
        (MappingText { ops: vec!["a=put".to_owned()], ..text("t") }, "ops: `a=put`: `put` is no"),
        (
            MappingText { split: "x{/a}".to_owned(), ..text("t") },
            "split: `x{/a}` must be one reference",
        ),
        (MappingText { filter: "a >".to_owned(), ..text("t") }, "filter: `a >`: "),
        (MappingText { payload: one("{/a}{/b}"), ..text("t") }, "payload: "),
    ] {
        let found = wrong(&mapping);
        assert!(found.starts_with(said), "{found}");
    }
}

/// What JSON is made of, and what it is not.
const PIECES: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "a",
    "b",
    "\\",
    "\\u0041",
    "1",
    "-",
    "1e9",
    "true",
    "null",
    " ",
    "\"a\":",
    "{\"a\":{\"b\":[",
    "é",
    "\u{0}",
    "/",
    "+",
    "#",
];

/// Whatever stands in a message, it becomes events, is kept out, or is a fault with its place; and each event is one that a home takes.
#[test]
fn no_message_is_too_odd() {
    let mut random = fastrand::Rng::with_seed(17);
    let mappings = [
        text("t/{/a}"),
        MappingText {
            key: "{/a/b/0|x}".to_owned(),
            split: "{/a|}".to_owned(),
            ..text("t/{subject}")
        },
        MappingText {
            op: "{/a|upsert}".to_owned(),
            time: "{/b|0}".to_owned(),
            payload: PayloadText::Object(vec![("x".to_owned(), "{payload|}".to_owned())]),
            filter: "x.a = 1 or x exists".to_owned(),
            ..text("t")
        },
        MappingText { payload: one("{/a}"), ..text("{path}") },
    ];
    let mut mappings: Vec<Mapping> =
        mappings.iter().filter_map(|text| Mapping::new("s", text).ok()).collect();
    assert_eq!(mappings.len(), 4);
    let mut told = 0;
    for _ in 0..30_000 {
        let count = random.usize(0..12);
        let mut payload: String =
            (0..count).map(|_| PIECES[random.usize(0..PIECES.len())]).collect();
        if random.u8(0..4) > 0 {
            let values =
                ["1", "\"x\"", "null", "[]", "[{\"a\":1},{}]", "{\"b\":[\"k\",2]}", &payload];
            let [a, b] = [(); 2].map(|()| values[random.usize(0..values.len())]);
            payload = format!("{{\"a\":{a},\"b\":{b}}}");
        }
        let mut message = message(&payload);
        if random.u8(0..8) == 0 {
            message.payload = std::iter::repeat_with(|| random.u8(..)).take(count).collect();
        }
        let mapping = &mut mappings[random.usize(0..4)];
        let mut out = Mapped::default();
        mapping.map(&message, NOW_US, &mut out);
        for (_, draft) in &out.drafts {
            assert!(check_payload(&draft.payload, &mut Scratch::default()).is_ok());
            assert!(
                TopicName::new(draft.topic.as_str()).is_ok() && draft.key.len() <= KEY_BYTES_MAX
            );
            told += 1;
        }
        assert!(out.faults.iter().all(|fault| !fault.member.is_empty() && !fault.why.is_empty()));
    }
    assert!(told > 100, "{told} of 30,000 were of any use");
}
