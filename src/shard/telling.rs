//! What `work` works with: what is gathered, what is on its way to those in step, those who are not, what is held back for the slow by choice, and
//! how much of all that a turn does.
//!
//! Invariant: members and solo connections share one budget for what they have yet to take. Never knows who listens: classes do.

use std::rc::Rc;
use std::sync::Arc;

use super::classes::Classes;
use super::codec::Codec;
use super::conns::ClassId;
use super::encoded::Encoded;
use super::flight::Flight;
use super::gathered::Gathered;
use super::input::ConnId;
use super::latency::Latency;
use super::past_room::PastRoom;
use super::plays::Plays;
use super::settings::Settings;
use super::shaping::Shapings;
use super::solos::Solos;
use super::stats::Deflated;
use super::turn::Turn;
use crate::batch::Budget;

/// The parts of a shard that tell: what `work` works with.
#[derive(Debug)]
pub(super) struct Telling {
    pub(super) turn: Turn,
    pub(super) gathered: Gathered,
    pub(super) flight: Flight,
    pub(super) solos: Solos,
    pub(super) shapings: Shapings,
    /// How long events take to those in step.
    pub(super) latency: Latency,
    /// What all replays may hold together, and who waits.
    pub(super) past_room: PastRoom,
    /// When playbacks are to be looked at.
    pub(super) plays: Plays,
    /// Buffers that live from event to event; `None` while they are used. What is taken and put back for each event is a pointer.
    buffers: Option<Box<FanoutBuffers>>,
    /// What events are encoded with that are for one connection of a class of its own, likewise.
    alone: Option<Box<Encoded>>,
    codec: Rc<Codec>,
}

/// Buffers of a fan-out: what one event is for whom.
#[derive(Debug, Default)]
pub(super) struct FanoutBuffers {
    /// Classes that want the event.
    pub(super) classes: Vec<ClassId>,
    pub(super) encoded: Encoded,
    /// Classes for whose subscriptions more is forced than was matched.
    pub(super) forced: Vec<(ClassId, u64)>,
    /// Connections that have a class of their own, and which of their subscriptions wanted the event.
    pub(super) alone: Vec<(ConnId, u64)>,
}

impl Telling {
    /// Nothing to tell, of that many homes.
    pub(super) fn new(settings: &Settings, home_count: usize, epoch: Arc<str>) -> Self {
        let codec = Rc::new(Codec::new(Arc::clone(&settings.views)));
        let outboxes = Budget::new(settings.outboxes_bytes_max);
        Self {
            turn: Turn::default(),
            gathered: Gathered::new(
                epoch,
                home_count,
                &codec,
                (&outboxes, settings.memory.batches_bytes_max),
            ),
            flight: Flight::default(),
            solos: Solos::new(outboxes, &codec),
            latency: Latency::default(),
            past_room: PastRoom::new(settings.memory.replays_bytes_max),
            plays: Plays::default(),
            shapings: Shapings::new(settings.memory.shaping_bytes_max),
            buffers: Some(Box::new(FanoutBuffers {
                encoded: Encoded::new(&codec),
                ..FanoutBuffers::default()
            })),
            alone: Some(Box::new(Encoded::new(&codec))),
            codec,
        }
    }

    /// What deflating has made of messages.
    pub(super) fn deflated(&self) -> Deflated {
        self.codec.deflaters.deflated()
    }

    /// Something to encode events with.
    pub(super) fn encoded(&self) -> Encoded {
        Encoded::new(&self.codec)
    }

    /// What events are fanned out with, which is to be put back.
    pub(super) fn take_buffers(&mut self) -> Box<FanoutBuffers> {
        self.buffers.take().unwrap_or_default()
    }

    pub(super) fn put_back_buffers(&mut self, buffers: Box<FanoutBuffers>) {
        self.buffers = Some(buffers);
    }

    /// What events are encoded with that are for one connection, which is to be put back.
    pub(super) fn take_alone(&mut self) -> Box<Encoded> {
        self.alone.take().unwrap_or_default()
    }

    pub(super) fn put_back_alone(&mut self, alone: Box<Encoded>) {
        self.alone = Some(alone);
    }

    /// Begins to send what was gathered to those of the slab's places.
    pub(super) fn launch(&mut self, classes: &mut Classes, places: u32) {
        self.flight.launch(&mut self.gathered, classes, places);
        self.latency.launch();
    }
}
