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
    taken: &BTreeSet<u16>,
    packets: impl Iterator<Item = &'p [u8]>,
) -> Box<[u8]> {
    let count = u16::try_from(taken.len()).expect("they are bounded far below");
    let mut out = count.to_be_bytes().to_vec();
    taken.iter().for_each(|id| out.extend_from_slice(&id.to_be_bytes()));
    packets.for_each(|packet| out.extend_from_slice(packet));
    out.into()
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
