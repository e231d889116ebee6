//! Which messages are requests: another protocol's messages, published to `PREFIX/CLIENT/request`.
//!
//! Invariant: a message is a request by its topic alone. Never hears what it says.

use crate::dialect::BY_TOPIC;
use crate::dialect::Context;
use crate::wire::mqtt::PropertyId;
use crate::wire::mqtt::Publish;

/// A request that was published.
#[derive(Debug)]
pub(super) struct Asking {
    /// What its client's topics begin with: `PREFIX/CLIENT`.
    pub(super) base: Box<str>,
    pub(super) payload: Box<[u8]>,
    /// What its client will know the answer by.
    pub(super) correlation: Option<Box<[u8]>>,
}

impl Asking {
    /// The request that a message is, if it is one.
    //= resolvespec#3B
    //# server listens on
    //# `spec/+/request` and takes the **second-to-last topic level** as client id.
    pub(super) fn of(publish: &Publish<'_>, name: &str, context: &Context<'_>) -> Option<Self> {
        let base = name.strip_suffix("/request")?;
        let client = base.strip_prefix(under(context)?)?.strip_prefix('/')?;
        if client.contains('/') {
            return None;
        }
        let correlation = publish.properties.binary(PropertyId::CorrelationData).map(Into::into);
        Some(Self { base: base.into(), payload: publish.payload.into(), correlation })
    }
}

/// What requests are published under; `None`: there are none here.
fn under<'a>(context: &Context<'a>) -> Option<&'a str> {
    if context.tables.is_empty() || !context.views.speak(BY_TOPIC.protocol) {
        return None;
    }
    let under = &*context.views.of_protocol(BY_TOPIC.protocol).published_under;
    (!under.is_empty()).then_some(under)
}
