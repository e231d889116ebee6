//! Where events come from besides publishers: far ends that are connected to, and what their messages become.
//!
//! A *source* is one `[[source]]` of the configuration, a *kind* what sort of far end it has, a *connector* what speaks with that, and a *mapping* what a message becomes. Each source is a party of the mesh with
//! a thread of its own ([decisions/0068](../../docs/decisions/0068-a-source-is-a-party.md)). Invariants: one batch of a source is underway at a time, and the next is fetched only when it is stored, so
//! whatever is full stops the fetching and nothing is dropped; a far end is told that something is stored only once it is.

mod broker;
mod connector;
mod kind;
mod mqtt;
mod nats;
#[cfg(feature = "postgres")]
mod postgres;
mod redis;

pub use connector::Batch;
pub use connector::Connected;
pub use connector::Connector;
pub use connector::Fault;
pub use connector::FaultKind;
pub use connector::Gap;
pub use connector::Message;
pub use connector::MessageId;
pub use connector::Resume;
pub use connector::Unusable;
pub use kind::Kind;
pub use kind::Setting;
pub use kind::Takes;
pub use kind::Unfit;
pub use kind::Value;
pub use kind::Values;

/// All kinds of sources, in the order in which they are listed.
pub static KINDS: &[&Kind] = &[&nats::NATS, &nats::JETSTREAM, &redis::REDIS, &redis::REDIS_STREAM, &mqtt::MQTT, #[cfg(feature = "postgres")] &postgres::POSTGRES];
