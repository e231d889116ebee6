//! Any bytes are packets with something wrong behind them, or not; a length is the same whatever part of a packet has come; and a message that
//! was read is written as the same message. What is read of a client another codec reads alike (`alike.rs`).

#[path = "alike.rs"]
mod alike;

use fanwire::wire::mqtt;
use fanwire::wire::mqtt::Packet;
use fanwire::wire::mqtt::PublishHead;
use fanwire::wire::mqtt::Version;

const BYTES_MAX: usize = 4096;

/// Holds the codec to it for one input.
pub(crate) fn hold(input: &[u8]) {
    let read_count = held(input);
    assert!(read_count <= input.len() / 2, "a packet has a header");
}

/// The same; how many packets were read.
pub(crate) fn held(input: &[u8]) -> usize {
    let (mut rest, mut version, mut read_count) = (input, None, 0);
    loop {
        let whole = match mqtt::packet_bytes(rest, BYTES_MAX) {
            Ok(Some(whole)) => whole,
            Ok(None) => {
                assert!(rest.len() < 5, "a header is there");
                return read_count;
            }
            Err(fault) => {
                assert!(fault.reason.is_error());
                return read_count;
            }
        };
        for cut in 0..rest.len().min(6) {
            let known = mqtt::packet_bytes(&rest[..cut], BYTES_MAX);
            assert!(known == Ok(None) || known == Ok(Some(whole)), "{known:?} {whole}");
        }
        let Some((packet, behind)) = rest.split_at_checked(whole) else { return read_count };
        rest = behind;
        let read = mqtt::read(packet, version);
        if let Ok(of) = &read {
            read_count += 1;
            let spoken =
                if let Packet::Connect(connect) = of { Some(connect.version) } else { version };
            alike::hold(packet, of, spoken.expect("nothing is read before CONNECT"));
        }
        match read {
            Err(fault) => {
                assert!(fault.reason.is_error() && !fault.what.is_empty());
                return read_count;
            }
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
