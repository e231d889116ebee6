//! What a publisher has said of an event besides its payload, as it lies behind the event's record.
//!
//! Invariant: every meta has one form, and whatever bytes are read are that form or nothing. Never looks into the properties, which belong to the dialect that wrote them.

use super::bytes::Taker;
use super::bytes::put_run;
use super::bytes::put_varint;
use crate::event::Meta;
use crate::event::Origin;
use crate::event::TRACE_BYTES;
use crate::event::TraceContext;
use crate::limits::META_BYTES_MAX;
use crate::limits::SOURCE_ID_BYTES_MAX;

/// Bytes of the number of a part, behind a message's id.
const PART_BYTES: usize = 4;

const QOS_BITS: u8 = 0b00_0011;
const IS_RETAINED: u8 = 0b00_0100;
const HAS_PUBLISHER: u8 = 0b00_1000;
const HAS_EXPIRY: u8 = 0b01_0000;
const HAS_TRACE: u8 = 0b10_0000;
const HAS_ORIGIN: u8 = 0b100_0000;
const ALL_BITS: u8 = QOS_BITS | IS_RETAINED | HAS_PUBLISHER | HAS_EXPIRY | HAS_TRACE | HAS_ORIGIN;

/// Puts it behind its record.
pub(super) fn put_meta(out: &mut Vec<u8>, meta: &Meta) {
    let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
    out.push(
        meta.qos & QOS_BITS
            | flag(meta.is_retained, IS_RETAINED)
            | flag(meta.publisher != 0, HAS_PUBLISHER)
            | flag(meta.expiry_s.is_some(), HAS_EXPIRY)
            | flag(meta.trace.is_some(), HAS_TRACE)
            | flag(meta.origin.is_some(), HAS_ORIGIN),
    );
    if meta.publisher != 0 {
        out.extend_from_slice(&meta.publisher.to_le_bytes());
    }
    if let Some(expiry_s) = meta.expiry_s {
        put_varint(out, u64::from(expiry_s));
    }
    if let Some(trace) = meta.trace {
        out.extend_from_slice(&trace.to_bytes());
    }
    if let Some(origin) = &meta.origin {
        out.extend_from_slice(&origin.source.to_le_bytes());
        put_run(out, &origin.id);
    }
    put_run(out, &meta.properties);
}

/// What was said of a record, not yet copied.
#[derive(Clone, Copy, Debug)]
pub(super) struct MetaRef<'a> {
    publisher: u64,
    qos: u8,
    is_retained: bool,
    expiry_s: Option<u32>,
    trace: Option<TraceContext>,
    origin: Option<(u64, &'a [u8])>,
    properties: &'a [u8],
}

impl MetaRef<'_> {
    pub(super) fn to_meta(self) -> Meta {
        let Self { publisher, qos, is_retained, expiry_s, trace, origin, properties } = self;
        let origin = origin.map(|(source, id)| Box::new(Origin { source, id: id.into() }));
        let properties = properties.into();
        Meta { publisher, qos, is_retained, expiry_s, trace, origin, properties }
    }
}

/// Takes it from behind its record.
pub(super) fn take_meta<'a>(taker: &mut Taker<'a>) -> Option<MetaRef<'a>> {
    let bits = taker.byte()?;
    let qos = bits & QOS_BITS;
    if bits & !ALL_BITS != 0 || qos == QOS_BITS {
        return None;
    }
    let publisher = match bits & HAS_PUBLISHER {
        0 => 0,
        _ => taker.u64().filter(|publisher| *publisher != 0)?,
    };
    let expiry_s = match bits & HAS_EXPIRY {
        0 => None,
        _ => Some(u32::try_from(taker.varint()?).ok()?),
    };
    let trace = match bits & HAS_TRACE {
        0 => None,
        _ => Some(TraceContext::from_bytes(taker.bytes(TRACE_BYTES)?.first_chunk()?)?),
    };
    let origin = match bits & HAS_ORIGIN {
        0 => None,
        _ => Some((taker.u64()?, taker.run(SOURCE_ID_BYTES_MAX + PART_BYTES)?)),
    };
    let properties = taker.run(META_BYTES_MAX)?;
    let is_retained = bits & IS_RETAINED != 0;
    Some(MetaRef { publisher, qos, is_retained, expiry_s, trace, origin, properties })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_meta_comes_back_and_nothing_else_is_one() {
        let plain = Meta::default();
        let full = Meta {
            publisher: 0x0102_0304_0506_0708,
            qos: 2,
            is_retained: true,
            expiry_s: Some(u32::MAX),
            trace: TraceContext::from_bytes(&[3; TRACE_BYTES]),
            origin: Some(Box::new(Origin { source: 7, id: (*b"\x00id").into() })),
            properties: (*b"\x03\x00\x04text").into(),
        };
        let traced = Meta { trace: full.trace, ..Meta::default() };
        for meta in [plain, traced, Meta { expiry_s: Some(0), ..full.clone() }, full] {
            let mut out = Vec::new();
            put_meta(&mut out, &meta);
            let mut taker = Taker(&out);
            assert_eq!(take_meta(&mut taker).map(MetaRef::to_meta), Some(meta.clone()));
            assert!(taker.is_empty(), "{meta:?}");
            for cut in 0..out.len() {
                assert!(take_meta(&mut Taker(&out[..cut])).is_none(), "{meta:?} cut to {cut}");
            }
        }
        // A quality of service that is none, a bit that means nothing, a publisher that is nobody, an end after more seconds than there are, and a trace that is none.
        let [nobody, late] =
            [[8, 0, 0, 0, 0, 0, 0, 0, 0, 0], [16, 0x80, 0x80, 0x80, 0x80, 0x10, 0, 0, 0, 0]];
        let mut no_trace = [0; 27];
        no_trace[0] = 32;
        for wrong in [&[3, 0][..], &[128, 0], &nobody, &late, &no_trace] {
            assert!(take_meta(&mut Taker(wrong)).is_none(), "{wrong:?}");
        }
    }
}
