//! CONNECT (MQTT 5, section 3.1): who a client is, and what it wants of its session.

use super::Version;
use super::fault::Fault;
use super::property::Context;
use super::property::Properties;
use super::publish::QoS;
use super::reason::Reason;
use super::take::Taker;

/// A CONNECT packet: the first of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connect<'a> {
    pub version: Version,
    /// Clean Start: the client wants a session that begins now.
    pub is_clean: bool,
    /// Keep Alive: seconds of silence after which the client is taken to be gone, once half as many again have passed; 0: it may be silent.
    pub keep_alive_s: u16,
    pub properties: Properties<'a>,
    pub client_id: &'a str,
    pub will: Option<Will<'a>>,
    pub user: Option<&'a str>,
    pub password: Option<&'a [u8]>,
}

/// A will: published once a client has gone without DISCONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Will<'a> {
    pub qos: QoS,
    pub is_retained: bool,
    pub properties: Properties<'a>,
    pub topic: &'a str,
    pub payload: &'a [u8],
}

const UNKNOWN_VERSION: Fault =
    Fault::of(Reason::UNSUPPORTED_VERSION, "this server speaks MQTT 3.1.1 and 5");

impl<'a> Connect<'a> {
    pub(super) fn take(bytes: &'a [u8]) -> Result<Self, Fault> {
        let mut taker = Taker(bytes);
        let name = taker.text()?;
        let level = taker.byte()?;
        let version = match (name, level) {
            ("MQTT", 4) => Version::V4,
            ("MQTT", 5) => Version::V5,
            ("MQTT" | "MQIsdp", _) => return Err(UNKNOWN_VERSION),
            _ => return Err(Fault::malformed("the protocol is not called MQTT")),
        };
        let flags = taker.byte()?;
        let has = |bit: u8| flags & 1 << bit != 0;
        let (has_will, has_password, has_user) = (has(2), has(6), has(7));
        let will_qos = QoS::of(flags >> 3 & 0b11).ok_or(Fault::malformed("a will has QoS 3"))?;
        if has(0) {
            return Err(Fault::malformed("a flag of CONNECT that is reserved is set"));
        }
        if !has_will && flags & 0b0011_1000 != 0 {
            return Err(Fault::malformed("flags of a will are set, and there is none"));
        }
        //= mqtt-v3.1.1#3.1.2.9
        //# If the User Name Flag is set to 0, the Password Flag MUST be set to 0
        if version == Version::V4 && has_password && !has_user {
            return Err(Fault::malformed("there is a password without a user name"));
        }
        let keep_alive_s = taker.two()?;
        let properties = match version {
            Version::V4 => Properties::default(),
            Version::V5 => Properties::take(&mut taker, Context::CONNECT)?,
        };
        let client_id = taker.text()?;
        let will = match has_will {
            true => Some(Will::take(&mut taker, version, will_qos, has(5))?),
            false => None,
        };
        let user = if has_user { Some(taker.text()?) } else { None };
        let password = if has_password { Some(taker.binary()?) } else { None };
        if !taker.is_empty() {
            return Err(Fault::malformed("something follows the last field of CONNECT"));
        }
        let is_clean = has(1);
        Ok(Self { version, is_clean, keep_alive_s, properties, client_id, will, user, password })
    }
}

impl<'a> Will<'a> {
    fn take(
        taker: &mut Taker<'a>,
        version: Version,
        qos: QoS,
        is_retained: bool,
    ) -> Result<Self, Fault> {
        let properties = match version {
            Version::V4 => Properties::default(),
            Version::V5 => Properties::take(taker, Context::WILL)?,
        };
        let topic = taker.text()?;
        if !super::topic::is_name(topic) {
            let what = "the topic of a will is empty or holds a wildcard";
            return Err(Fault::of(Reason::TOPIC_NAME_INVALID, what));
        }
        Ok(Self { qos, is_retained, properties, topic, payload: taker.binary()? })
    }
}
