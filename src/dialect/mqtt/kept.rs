//! What a session remembers between two connections: messages of QoS 2 that were taken and not released, and subscriptions, each as the SUBSCRIBE that
//! would make it anew.
//!
//! Invariant: what was written is read as it was, by this version of the server and by later ones. Never knows what a subscription means.

use std::collections::BTreeSet;

use crate::dialect::terms::TERMS;
use crate::wire::mqtt::Options;
use crate::wire::mqtt::Property;
use crate::wire::mqtt::PropertyId;
use crate::wire::mqtt::Subscribe;
use crate::wire::mqtt::packet_bytes;
use crate::wire::mqtt::put_header;
use crate::wire::mqtt::put_subscribe;

/// The SUBSCRIBE that asks for one filter of another as that does.
pub(super) fn alone(subscribe: &Subscribe<'_>, filter: &str, options: Options) -> Box<[u8]> {
    let (mut properties, mut out) = (Vec::new(), Vec::new());
    for property in subscribe.properties.iter() {
        let is_meant = match property {
            Property::User(name, _) => TERMS.contains(&name),
            _ => property.id() == PropertyId::SubscriptionId,
        };
        if is_meant {
            property.put(&mut properties);
        }
    }
    put_subscribe((filter, options), &properties, &mut out);
    out.into()
}

/// What a session remembers, written.
pub(super) fn written<'p>(
    taken: impl ExactSizeIterator<Item = u16>,
    packets: impl Iterator<Item = &'p [u8]>,
) -> Box<[u8]> {
    let count = u16::try_from(taken.len()).expect("they are bounded far below");
    let mut out = count.to_be_bytes().to_vec();
    taken.for_each(|id| out.extend_from_slice(&id.to_be_bytes()));
    packets.for_each(|packet| out.extend_from_slice(packet));
    out.into()
}

/// What a packet begins with that is a request of another protocol's: as none of a client's does that is kept.
const REQUEST: u8 = 0xf0;

/// Appends a request of another protocol's, behind which there was a subscription: how many of them there had been, what its client's topics begin with, and what was said.
pub(super) fn put_request((count, base, said): (u64, &str, &[u8]), out: &mut Vec<u8>) {
    let mut body = count.to_be_bytes().to_vec();
    let base_bytes = u16::try_from(base.len()).expect("topics are bounded far below");
    body.extend_from_slice(&base_bytes.to_be_bytes());
    body.extend_from_slice(base.as_bytes());
    body.extend_from_slice(said);
    put_header(REQUEST, body.len(), out);
    out.extend_from_slice(&body);
}

/// The same, if a packet is one.
pub(super) fn request_of(packet: &[u8]) -> Option<(u64, &str, &[u8])> {
    let (first, rest) = packet.split_first()?;
    let length_bytes = 1 + rest.iter().position(|byte| *byte < 0x80)?;
    let (count, rest) = rest.get(length_bytes..)?.split_first_chunk()?;
    let (base_bytes, rest) = rest.split_first_chunk()?;
    let (base, said) = rest.split_at_checked(usize::from(u16::from_be_bytes(*base_bytes)))?;
    let base = std::str::from_utf8(base).ok()?;
    (*first == REQUEST).then_some((u64::from_be_bytes(*count), base, said))
}

/// The same, read; what cannot be is left out.
pub(super) fn read(words: &[u8]) -> (BTreeSet<u16>, Vec<&[u8]>) {
    let Some((count, mut rest)) = words.split_first_chunk() else { return Default::default() };
    let mut taken = BTreeSet::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let Some((id, behind)) = rest.split_first_chunk() else { break };
        taken.insert(u16::from_be_bytes(*id));
        rest = behind;
    }
    let mut packets = Vec::new();
    while let Ok(Some(bytes)) = packet_bytes(rest, rest.len())
        && let Some((packet, behind)) = rest.split_at_checked(bytes)
    {
        packets.push(packet);
        rest = behind;
    }
    (taken, packets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_requests_and_all() {
        let taken = BTreeSet::from([7, 300]);
        let mut request = Vec::new();
        put_request((3, "spec/c", b"{\"id\":1}"), &mut request);
        let subscribe = [0x82, 5, 0, 1, 0, 0, 0];
        let packets = [&subscribe[..], &request];
        let words = written(taken.iter().copied(), packets.into_iter());
        assert_eq!(read(&words), (taken, packets.to_vec()));
        assert_eq!(request_of(&request), Some((3, "spec/c", &b"{\"id\":1}"[..])));
        assert_eq!(request_of(&subscribe), None);
        for cut in 0..request.len() {
            let cut = request_of(&request[..cut]);
            assert!(cut.is_none_or(|(count, base, _)| (count, base) == (3, "spec/c")));
        }
    }
}
