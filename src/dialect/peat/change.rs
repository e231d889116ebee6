//! One `DocumentChange`, as proto3-JSON and as protobuf.

use crate::dialect::json::string;
use crate::event::Event;
use crate::event::Op;

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
pub(super) fn json(event: &Event, payload: &[u8], collection: &str, out: &mut Vec<u8>) {
    out.reserve(payload.len() + payload.len() / 4 + collection.len() + event.key.len() + 96);
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
    match std::str::from_utf8(payload) {
        Ok(payload) => string(payload, out),
        Err(_) => unreachable!("a payload is UTF-8, checked where it entered"),
    }
    out.push(b'}');
}

pub(super) fn proto(event: &Event, payload: &[u8], collection: &str, out: &mut Vec<u8>) {
    out.reserve(payload.len() + collection.len() + event.key.len() + 32);
    put_bytes(TAG_COLLECTION, collection.as_bytes(), out);
    if !event.key.is_empty() {
        put_bytes(TAG_DOC_ID, event.key.as_bytes(), out);
    }
    let is_delete = event.op == Op::Delete;
    out.extend_from_slice(&[TAG_CHANGE_TYPE, if is_delete { DELETE } else { UPSERT }]);
    if !is_delete {
        put_bytes(TAG_JSON_DATA, payload, out);
    }
}

fn put_bytes(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    let mut rest = bytes.len();
    while rest >= 0x80 {
        out.push(u8::try_from(rest & 0x7f).unwrap_or(0) | 0x80);
        rest >>= 7;
    }
    out.push(u8::try_from(rest).unwrap_or(0));
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::event::ShardId;
    use crate::event::TopicName;

    fn event(key: &str, op: Op, payload: &'static str) -> Event {
        Event {
            topic: TopicName::new("platforms").unwrap(),
            key: Arc::from(key),
            op,
            home: ShardId(0),
            offset: 1,
            time_us: 1,
            payload: Bytes::from_static(payload.as_bytes()),
            fields: crate::event::Fields::default(),
            before: None,
        }
    }

    fn said(key: &str, op: Op, payload: &'static str) -> String {
        let mut out = Vec::new();
        json(&event(key, op, payload), payload.as_bytes(), "platforms", &mut out);
        String::from_utf8(out).unwrap()
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
        let mut out = Vec::new();
        proto(&event("k", Op::Upsert, "{}"), b"{}", "c", &mut out);
        assert_eq!(out, [0x0a, 1, b'c', 0x12, 1, b'k', 0x18, 1, 0x22, 2, b'{', b'}']);
        out.clear();
        proto(&event("k", Op::Delete, "{}"), b"{}", "c", &mut out);
        assert_eq!(out, [0x0a, 1, b'c', 0x12, 1, b'k', 0x18, 2]);
        out.clear();
        put_bytes(TAG_JSON_DATA, &[b'x'; 300], &mut out);
        assert_eq!(&out[..3], [0x22, 0xac, 0x02]);
    }
}
