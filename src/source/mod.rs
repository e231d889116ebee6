//! Where events come from besides publishers: far ends that are connected to, and what their messages become.
//!
//! A *source* is one `[[source]]` of the configuration, a *kind* what sort of far end it has, a *connector* what speaks with that, and a *mapping* what a message becomes. Each source is a party of the mesh with
//! a thread of its own ([decisions/0068](../../docs/decisions/0068-a-source-is-a-party.md)). Invariants: one batch of a source is underway at a time, and the next is fetched only when it is stored, so
//! whatever is full stops the fetching and nothing is dropped; a far end is told that something is stored only once it is.

#[cfg(any(
    feature = "postgres",
    feature = "source-mqtt",
    feature = "source-nats",
    feature = "source-redis"
))]
mod broker;
mod connector;
mod figures;
mod file;
mod http;
mod keeping;
mod kind;
mod lines;
mod mapping;
#[cfg(feature = "source-mqtt")]
mod mqtt;
#[cfg(feature = "source-nats")]
mod nats;
mod party;
mod peat;
mod position;
#[cfg(feature = "postgres")]
mod postgres;
mod pull;
#[cfg(feature = "source-redis")]
mod redis;
mod spec;
mod sse;
mod stdin;
mod supervision;
#[cfg(test)]
mod tests;
mod underway;

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
pub use figures::Count;
pub use figures::Figures;
pub use kind::Kind;
pub use kind::Setting;
pub use kind::Takes;
pub use kind::Unfit;
pub use kind::Value;
pub use kind::Values;
pub use mapping::MapFault;
pub use mapping::Mapped;
pub use mapping::Mapping;
pub use mapping::MappingError;
pub use mapping::MappingText;
pub use mapping::PayloadText;
pub use party::SourceParty;
pub use position::Position;
pub use position::Recognised;
pub use position::number_of;
pub use spec::Past;
pub use spec::Seat;
pub use spec::Spec;

/// All kinds of sources, in the order in which they are listed.
pub static KINDS: &[&Kind] = &[
    &stdin::KIND,
    &file::KIND,
    &http::KIND,
    &peat::KIND,
    #[cfg(feature = "source-nats")]
    &nats::NATS,
    #[cfg(feature = "source-nats")]
    &nats::JETSTREAM,
    #[cfg(feature = "source-redis")]
    &redis::REDIS,
    #[cfg(feature = "source-redis")]
    &redis::REDIS_STREAM,
    #[cfg(feature = "source-mqtt")]
    &mqtt::MQTT,
    #[cfg(feature = "postgres")]
    &postgres::POSTGRES,
];
