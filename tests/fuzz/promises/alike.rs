//! What our codec reads of a client, another one reads alike: that of `rumqttc`, which shares no code with it.
//!
//! What the other takes and ours refuses is not looked at: ours checks more (strings, flags, properties and reason codes).

use bytes::BytesMut;
use fanwire::wire::mqtt::AckKind;
use fanwire::wire::mqtt::Packet;
use fanwire::wire::mqtt::QoS;
use fanwire::wire::mqtt::RetainHandling;
use fanwire::wire::mqtt::Version;
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

const BYTES_MAX: usize = 1 << 20;

/// A filter, its quality of service, and in version 5 its other options.
type Wanted = (String, u8, Option<(bool, bool, u8)>);

/// What both codecs say of a packet.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Connect { keep_alive_s: u16, is_clean: bool, client: String, will: Option<Will>, user: String },
    Publish { flags: (bool, u8, bool), id: u16, topic: Vec<u8>, payload: Vec<u8> },
    Subscribe { id: u16, filters: Vec<Wanted> },
    Unsubscribe { id: u16, filters: Vec<String> },
    Ack { kind: &'static str, id: u16 },
    Ping,
    Disconnect,
}

/// A will's topic, message, quality of service, and whether it is retained.
type Will = (Vec<u8>, Vec<u8>, u8, bool);

/// Holds both to it for one packet that ours has read.
pub(crate) fn hold(bytes: &[u8], packet: &Packet<'_>, version: Version) {
    let Some(own) = own(packet, version) else { return };
    let mut stream = BytesMut::from(bytes);
    let other = match version {
        Version::V4 => {
            v4::Packet::read(&mut stream, BYTES_MAX).map(of_v4).map_err(|why| format!("{why:?}"))
        }
        Version::V5 => {
            let max = u32::try_from(BYTES_MAX).ok();
            v5::Packet::read(&mut stream, max).map(of_v5).map_err(|why| format!("{why:?}"))
        }
    };
    // DISCONNECT of version 5 may have nothing behind its header (section 3.14.2.1), which the other does not know.
    if matches!((&own, &other, bytes), (Said::Disconnect, Err(_), [0xE0, 0])) {
        return;
    }
    assert_eq!(Ok(Some(own)), other, "{bytes:02x?}");
}

/// What ours says; `None`: there is nothing that both know.
fn own(packet: &Packet<'_>, version: Version) -> Option<Said> {
    Some(match packet {
        // The other's passwords are texts.
        Packet::Connect(connect)
            if connect.password.is_some_and(|password| std::str::from_utf8(password).is_err()) =>
        {
            return None;
        }
        Packet::Connect(connect) => Said::Connect {
            keep_alive_s: connect.keep_alive_s,
            is_clean: connect.is_clean,
            client: connect.client_id.to_owned(),
            will: connect.will.as_ref().map(|will| {
                (will.topic.into(), will.payload.into(), will.qos as u8, will.is_retained)
            }),
            user: connect.user.unwrap_or_default().to_owned(),
        },
        Packet::Publish(publish) => Said::Publish {
            flags: (publish.is_again, publish.qos as u8, publish.is_retained),
            id: publish.id,
            topic: publish.topic.into(),
            payload: publish.payload.into(),
        },
        Packet::Subscribe(subscribe) => Said::Subscribe {
            id: subscribe.id,
            filters: subscribe
                .filters
                .iter()
                .map(|(filter, options)| {
                    let handling = match options.retain_handling {
                        RetainHandling::Always => 0,
                        RetainHandling::IfNew => 1,
                        RetainHandling::Never => 2,
                    };
                    let further = (options.no_local, options.retain_as_published, handling);
                    (
                        filter.to_owned(),
                        options.qos as u8,
                        (version == Version::V5).then_some(further),
                    )
                })
                .collect(),
        },
        Packet::Unsubscribe(unsubscribe) => Said::Unsubscribe {
            id: unsubscribe.id,
            filters: unsubscribe.filters.iter().map(|(filter, _)| filter.to_owned()).collect(),
        },
        // Not all reason codes of ours are among the other's.
        Packet::Ack(ack) if ack.reason.0 == 0 => {
            let kind = match ack.kind {
                AckKind::Taken => "puback",
                AckKind::Received => "pubrec",
                AckKind::Released => "pubrel",
                AckKind::Complete => "pubcomp",
            };
            Said::Ack { kind, id: ack.id }
        }
        Packet::Ping => Said::Ping,
        Packet::Disconnect { reason, .. } if reason.0 == 0 => Said::Disconnect,
        Packet::Ack(_) | Packet::Disconnect { .. } | Packet::Auth { .. } => return None,
    })
}

fn of_v4(packet: v4::Packet) -> Option<Said> {
    Some(match packet {
        v4::Packet::Connect(connect) => Said::Connect {
            keep_alive_s: connect.keep_alive,
            is_clean: connect.clean_session,
            client: connect.client_id,
            will: connect.last_will.map(|will| {
                (will.topic.into_bytes(), will.message.into(), will.qos as u8, will.retain)
            }),
            user: connect.login.map(|login| login.username).unwrap_or_default(),
        },
        v4::Packet::Publish(publish) => Said::Publish {
            flags: (publish.dup, publish.qos as u8, publish.retain),
            id: publish.pkid,
            topic: publish.topic.into_bytes(),
            payload: publish.payload.into(),
        },
        v4::Packet::Subscribe(subscribe) => Said::Subscribe {
            id: subscribe.pkid,
            filters: subscribe
                .filters
                .into_iter()
                .map(|of| (of.path, of.qos as u8, None))
                .collect(),
        },
        v4::Packet::Unsubscribe(of) => Said::Unsubscribe { id: of.pkid, filters: of.topics },
        v4::Packet::PubAck(ack) => Said::Ack { kind: "puback", id: ack.pkid },
        v4::Packet::PubRec(ack) => Said::Ack { kind: "pubrec", id: ack.pkid },
        v4::Packet::PubRel(ack) => Said::Ack { kind: "pubrel", id: ack.pkid },
        v4::Packet::PubComp(ack) => Said::Ack { kind: "pubcomp", id: ack.pkid },
        v4::Packet::PingReq => Said::Ping,
        v4::Packet::Disconnect => Said::Disconnect,
        _ => return None,
    })
}

fn of_v5(packet: v5::Packet) -> Option<Said> {
    Some(match packet {
        v5::Packet::Connect(connect, will, login) => Said::Connect {
            keep_alive_s: connect.keep_alive,
            is_clean: connect.clean_start,
            client: connect.client_id,
            will: will
                .map(|will| (will.topic.into(), will.message.into(), will.qos as u8, will.retain)),
            user: login.map(|login| login.username).unwrap_or_default(),
        },
        v5::Packet::Publish(publish) => Said::Publish {
            flags: (publish.dup, publish.qos as u8, publish.retain),
            id: publish.pkid,
            topic: publish.topic.into(),
            payload: publish.payload.into(),
        },
        v5::Packet::Subscribe(subscribe) => Said::Subscribe {
            id: subscribe.pkid,
            filters: subscribe
                .filters
                .into_iter()
                .map(|of| {
                    let handling = match of.retain_forward_rule {
                        v5::RetainForwardRule::OnEverySubscribe => 0,
                        v5::RetainForwardRule::OnNewSubscribe => 1,
                        v5::RetainForwardRule::Never => 2,
                    };
                    (of.path, of.qos as u8, Some((of.nolocal, of.preserve_retain, handling)))
                })
                .collect(),
        },
        v5::Packet::Unsubscribe(of) => Said::Unsubscribe { id: of.pkid, filters: of.filters },
        v5::Packet::PubAck(ack) => Said::Ack { kind: "puback", id: ack.pkid },
        v5::Packet::PubRec(ack) => Said::Ack { kind: "pubrec", id: ack.pkid },
        v5::Packet::PubRel(ack) => Said::Ack { kind: "pubrel", id: ack.pkid },
        v5::Packet::PubComp(ack) => Said::Ack { kind: "pubcomp", id: ack.pkid },
        v5::Packet::PingReq(_) => Said::Ping,
        v5::Packet::Disconnect(_) => Said::Disconnect,
        _ => return None,
    })
}

/// What both call a quality of service is the same number.
const _: () = assert!(QoS::ExactlyOnce as u8 == rumqttc::QoS::ExactlyOnce as u8);
