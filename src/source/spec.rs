//! What a source is made of: its settings, what it goes on from, and its place in the mesh.
//!
//! Never does anything.

use super::connector::Connector;
use super::mapping::Mapping;
use super::position::Position;
use super::position::Recognised;
use crate::clock::Clock;
use crate::conn::Party;
use crate::event::Ack;
use crate::event::Homes;
use crate::shard::Mesh;
use crate::shard::PartyId;

/// A source as it is set.
pub struct Spec {
    pub name: String,
    pub connector: Box<dyn Connector>,
    pub mapping: Mapping,
    /// What is waited for of durable topics.
    pub ack: Ack,
    /// A message of which no event can be made ends the source.
    pub stops_at_faults: bool,
    pub is_required: bool,
}

impl std::fmt::Debug for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spec").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a source goes on from.
#[derive(Clone, Debug, Default)]
pub struct Past {
    pub position: Option<Position>,
    pub recognised: Recognised,
}

/// Where a source has its place in the mesh.
#[derive(Debug)]
pub struct Seat {
    pub party: Party<Mesh>,
    /// Which party it is.
    pub id: PartyId,
    pub homes: Homes,
    /// Who keeps positions, if anything outlasts a restart.
    pub store: Option<PartyId>,
    pub clock: Clock,
}
