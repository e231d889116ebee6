//! Any bytes are packets with something wrong behind them, or not; a length is the same whatever part of a packet has come; and a message that
//! was read is written as the same message.

use fanwire::wire::mqtt;
use fanwire::wire::mqtt::Packet;
use fanwire::wire::mqtt::PublishHead;
use fanwire::wire::mqtt::Version;

const BYTES_MAX: usize = 4096;

/// Holds the codec to it for one input.
pub(crate) fn hold(input: &[u8]) {
    let (mut rest, mut version) = (input, None);
    loop {
        let whole = match mqtt::packet_bytes(rest, BYTES_MAX) {
            Ok(Some(whole)) => whole,
            Ok(None) => return assert!(rest.len() < 5, "a header is there"),
            Err(fault) => return assert!(fault.reason.is_error()),
        };
        for cut in 0..rest.len().min(6) {
            let known = mqtt::packet_bytes(&rest[..cut], BYTES_MAX);
            assert!(known == Ok(None) || known == Ok(Some(whole)), "{known:?} {whole}");
        }
        let Some((packet, behind)) = rest.split_at_checked(whole) else { return };
        rest = behind;
        match mqtt::read(packet, version) {
            Err(fault) => return assert!(fault.reason.is_error() && !fault.what.is_empty()),
            Ok(Packet::Connect(connect)) => version = Some(connect.version),
            Ok(Packet::Publish(publish)) => publish_again(&publish, version.unwrap()),
            Ok(Packet::Subscribe(subscribe)) => assert!(subscribe.filters.iter().count() > 0),
            Ok(Packet::Unsubscribe(of)) => assert!(of.filters.iter().count() > 0),
            Ok(_) => {}
        }
    }
}

fn publish_again(publish: &mqtt::Publish<'_>, version: Version) {
    let head = PublishHead {
        is_again: publish.is_again,
        qos: publish.qos,
        is_retained: publish.is_retained,
        topic: publish.topic,
        id: publish.id,
        properties: publish.properties.as_bytes(),
    };
    let mut again = Vec::new();
    head.put(version, publish.payload.len(), &mut again);
    again.extend_from_slice(publish.payload);
    assert_eq!(mqtt::read(&again, Some(version)), Ok(Packet::Publish(*publish)));
}
