//! One `DocumentChange`, as proto3-JSON and as protobuf.

use crate::dialect::json::string;
use crate::event::Event;
use crate::event::Op;
use crate::event::Payload;
use crate::event::Text;
use crate::event::text::Coding;

//= peat-node#1.2
//# DocumentChange { string collection=1; string doc_id=2; ChangeType change_type=3; optional string json_data=4; }
const TAG_COLLECTION: u8 = 1 << 3 | 2;
const TAG_DOC_ID: u8 = 2 << 3 | 2;
const TAG_CHANGE_TYPE: u8 = 3 << 3;
const TAG_JSON_DATA: u8 = 4 << 3 | 2;
const UPSERT: u8 = 1;
const DELETE: u8 = 2;

//= peat-node#1.2
//# implicit-presence fields equal to their default are **omitted** (empty `docId` disappears);
//# `jsonData` has explicit presence: present for upserts (even `""`), **absent for deletes**;
pub(super) fn json(event: &Event, payload: Payload<'_>, collection: &str, text: &mut Text) {
    text.reserve(payload.len() + payload.len() / 4 + collection.len() + event.key.len() + 96);
    let out = &mut text.bytes;
    out.extend_from_slice(br#"{"collection":"#);
    string(collection, out);
    if !event.key.is_empty() {
        out.extend_from_slice(br#","docId":"#);
        string(&event.key, out);
    }
    if event.op == Op::Delete {
        out.extend_from_slice(br#","changeType":"CHANGE_TYPE_DELETE"}"#);
        return;
    }
    out.extend_from_slice(br#","changeType":"CHANGE_TYPE_UPSERT","jsonData":"#);
    let payload = payload.contiguous();
    if !text.keep(&payload, Coding::JsonString) {
        match std::str::from_utf8(&payload) {
            Ok(payload) => string(payload, &mut text.bytes),
            Err(_) => unreachable!("a payload is UTF-8, checked where it entered"),
        }
    }
    text.bytes.push(b'}');
}

pub(super) fn proto(event: &Event, payload: Payload<'_>, collection: &str, text: &mut Text) {
    text.reserve(payload.len() + collection.len() + event.key.len() + 32);
    let out = &mut text.bytes;
    put_bytes(TAG_COLLECTION, collection.as_bytes(), out);
    if !event.key.is_empty() {
        put_bytes(TAG_DOC_ID, event.key.as_bytes(), out);
    }
    let is_delete = event.op == Op::Delete;
    out.extend_from_slice(&[TAG_CHANGE_TYPE, if is_delete { DELETE } else { UPSERT }]);
    if !is_delete {
        let payload = payload.contiguous();
        put_length(TAG_JSON_DATA, payload.len(), out);
        text.put(&payload);
    }
}

fn put_bytes(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    put_length(tag, bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn put_length(tag: u8, bytes: usize, out: &mut Vec<u8>) {
    out.push(tag);
    let mut rest = bytes;
    while rest >= 0x80 {
        out.push(u8::try_from(rest & 0x7f).unwrap_or(0) | 0x80);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap_or(0));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::event::HomeId;
    use crate::event::TopicName;

    fn event(key: &str, op: Op, payload: &'static str) -> Event {
        Event {
            topic: TopicName::new("platforms").unwrap(),
            key: Arc::from(key),
            op,
            home: HomeId(0),
            offset: 1,
            previous: 0,
            time_us: 1,
            payload: Bytes::from_static(payload.as_bytes()),
            fields: crate::event::Fields::default(),
            before: None,
            meta: None,
        }
    }

    fn said(key: &str, op: Op, payload: &'static str) -> String {
        let mut out = Text::default();
        let event = event(key, op, payload);
        json(&event, Payload::Whole(&event.payload), "platforms", &mut out);
        String::from_utf8(out.bytes).unwrap()
    }

    #[test]
    fn a_change_is_its_proto3_json_byte_for_byte() {
        assert_eq!(
            said("alpha-agent", Op::Upsert, r#"{"a":1}"#),
            r#"{"collection":"platforms","docId":"alpha-agent","changeType":"CHANGE_TYPE_UPSERT","jsonData":"{\"a\":1}"}"#
        );
        assert_eq!(
            said("a:b", Op::Delete, "{}"),
            r#"{"collection":"platforms","docId":"a:b","changeType":"CHANGE_TYPE_DELETE"}"#
        );
        assert_eq!(
            said("", Op::Event, "{}"),
            r#"{"collection":"platforms","changeType":"CHANGE_TYPE_UPSERT","jsonData":"{}"}"#
        );
    }

    #[test]
    fn json_data_holds_the_text_as_it_was_published() {
        let payload = "{\"q\":\"\\\"\\\\\",\"u\":\"\u{2028}\",\"nul\":\"\\u0000\",\"lone\":\"\\ud800\",\n\t\"n\":1.0}";
        let frame = said("k", Op::Upsert, payload);
        let back: serde_json::Value = serde_json::from_str(&frame).unwrap();
        assert_eq!(back["jsonData"], payload);
        assert!(frame.contains("\u{2028}"), "as serde_json writes it, and so the origin");
        assert!(!frame.contains('\n'), "one line, so that it is one line of SSE data");
    }

    #[test]
    fn the_same_as_protobuf() {
        let said = |op| {
            let (event, mut out) = (event("k", op, "{}"), Text::default());
            proto(&event, Payload::Whole(&event.payload), "c", &mut out);
            out.bytes
        };
        assert_eq!(said(Op::Upsert), [0x0a, 1, b'c', 0x12, 1, b'k', 0x18, 1, 0x22, 2, b'{', b'}']);
        assert_eq!(said(Op::Delete), [0x0a, 1, b'c', 0x12, 1, b'k', 0x18, 2]);
        let mut out = Vec::new();
        put_bytes(TAG_JSON_DATA, &[b'x'; 300], &mut out);
        assert_eq!(&out[..3], [0x22, 0xac, 0x02]);
    }
}
