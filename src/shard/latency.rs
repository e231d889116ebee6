//! How long events take from their stamp to the sockets of those in step: stamps travel with what is gathered, fly with its flight, and have landed when it has.
//!
//! Invariant: at most `FLUSH_FRAMES_MAX` stamps and one gather are under way, as many as a flight has events. Never looks at a clock: whoever runs the shard
//! does, and asks for what has landed.

/// Stamps of events that somebody here wanted, in microseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Latency {
    gathered: Vec<u64>,
    flying: Vec<u64>,
    landed: Vec<u64>,
}

impl Latency {
    /// A turn begins; what had landed before was asked for, or is of no interest.
    pub(super) fn begin_turn(&mut self) {
        self.landed.clear();
    }

    /// Notes that somebody here wants an event with this stamp.
    pub(super) fn gather(&mut self, time_us: u64) {
        self.gathered.push(time_us);
    }

    /// Notes that what was gathered takes off.
    pub(super) fn launch(&mut self) {
        self.flying.append(&mut self.gathered);
    }

    /// Notes that all that flew was sent.
    pub(super) fn land(&mut self) {
        self.landed.append(&mut self.flying);
    }

    /// The stamps of events that were sent in this turn to everyone in step who wanted them.
    pub(super) fn landed(&self) -> &[u64] {
        &self.landed
    }
}
