//! SUBSCRIBE and UNSUBSCRIBE (MQTT 5, sections 3.8 and 3.10).

use super::Version;
use super::fault::Fault;
use super::property::Context;
use super::property::Properties;
use super::publish::QoS;
use super::reason::Reason;
use super::take::Taker;
use super::topic;
use crate::limits::MQTT_FILTERS_MAX;

/// A SUBSCRIBE packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    pub id: u16,
    pub properties: Properties<'a>,
    pub filters: Filters<'a>,
}

/// An UNSUBSCRIBE packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    pub id: u16,
    pub properties: Properties<'a>,
    pub filters: Filters<'a>,
}

/// Topic filters, checked to be strings with options that there are; whether each is a filter is asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filters<'a> {
    bytes: &'a [u8],
    has_options: bool,
}

/// What a client wants of a filter's messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub qos: QoS,
    /// No Local: the client does not want its own messages.
    pub no_local: bool,
    /// Retain As Published: the client is told of each message whether it was published to be retained.
    pub retain_as_published: bool,
    pub retain_handling: RetainHandling,
}

/// When retained messages are sent for a subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetainHandling {
    #[default]
    Always,
    IfNew,
    Never,
}

impl Options {
    fn take(taker: &mut Taker<'_>) -> Result<Self, Fault> {
        let byte = taker.byte()?;
        let qos = QoS::of(byte & 0b11).ok_or(Fault::malformed("a subscription has QoS 3"))?;
        let retain_handling = match byte >> 4 & 0b11 {
            0 => RetainHandling::Always,
            1 => RetainHandling::IfNew,
            2 => RetainHandling::Never,
            _ => return Err(Fault::protocol("a subscription has retain handling 3")),
        };
        if byte & 0b1100_0000 != 0 {
            return Err(Fault::malformed("an option of a subscription that is reserved is set"));
        }
        Ok(Self {
            qos,
            no_local: byte & 0b100 != 0,
            retain_as_published: byte & 0b1000 != 0,
            retain_handling,
        })
    }
}

impl<'a> Filters<'a> {
    fn take(taker: Taker<'a>, version: Option<Version>) -> Result<Self, Fault> {
        let (mut rest, mut count) = (taker, 0);
        while !rest.is_empty() {
            let filter = rest.text()?;
            count += 1;
            if let Some(version) = version {
                let options = Options::take(&mut rest)?;
                let plain = Options { qos: options.qos, ..Options::default() };
                if version == Version::V4 && options != plain {
                    return Err(Fault::malformed("a subscription of 3.1.1 has options of 5"));
                }
                //= mqtt-v5.0#3.8.3.1
                //# It is a Protocol Error to set the No Local bit to 1 on a Shared Subscription
                if options.no_local && topic::shared(filter).is_some() {
                    let what = "a shared subscription does not want its client's own messages";
                    return Err(Fault::protocol(what));
                }
            }
        }
        if count == 0 {
            return Err(Fault::protocol("no topic filter is named"));
        }
        if count > MQTT_FILTERS_MAX {
            return Err(Fault::of(Reason::QUOTA_EXCEEDED, "a packet names too many topic filters"));
        }
        Ok(Self { bytes: taker.0, has_options: version.is_some() })
    }

    /// Each topic filter with its options.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, Options)> {
        let mut rest = Taker(self.bytes);
        std::iter::from_fn(move || {
            let filter = rest.text().ok()?;
            let options = match self.has_options {
                true => Options::take(&mut rest).ok()?,
                false => Options::default(),
            };
            Some((filter, options))
        })
    }
}

fn properties<'a>(
    taker: &mut Taker<'a>,
    version: Version,
    context: Context,
) -> Result<Properties<'a>, Fault> {
    match version {
        Version::V4 => Ok(Properties::default()),
        Version::V5 => Properties::take(taker, context),
    }
}

impl<'a> Subscribe<'a> {
    pub(super) fn take(bytes: &'a [u8], version: Version) -> Result<Self, Fault> {
        let mut taker = Taker(bytes);
        let id = taker.id()?;
        let properties = properties(&mut taker, version, Context::SUBSCRIBE)?;
        Ok(Self { id, properties, filters: Filters::take(taker, Some(version))? })
    }
}

impl<'a> Unsubscribe<'a> {
    pub(super) fn take(bytes: &'a [u8], version: Version) -> Result<Self, Fault> {
        let mut taker = Taker(bytes);
        let id = taker.id()?;
        let properties = properties(&mut taker, version, Context::UNSUBSCRIBE)?;
        Ok(Self { id, properties, filters: Filters::take(taker, None)? })
    }
}
