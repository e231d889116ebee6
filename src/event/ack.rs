//! When a publisher is told that its event was taken.

/// What an acknowledgement says. Each says more than the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ack {
    /// The publisher is told that the event is on its way to its home, and no more: the event may still be refused in silence.
    None,
    /// The publisher is told that the event has its place in its topic. Of a durable topic the place is final only once the event is stored, so there the answer says that, too.
    #[default]
    Ordered,
    /// The publisher is told that the event survives the end of the process.
    Stored,
    /// The publisher is told that the event survives the loss of power.
    Durable,
}

impl Ack {
    /// All acknowledgements, weakest first.
    pub const ALL: [Self; 4] = [Self::None, Self::Ordered, Self::Stored, Self::Durable];

    /// The word for it on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Ordered => "ordered",
            Self::Stored => "stored",
            Self::Durable => "durable",
        }
    }

    /// The acknowledgement that a word names.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ack| ack.name() == name)
    }

    /// Whether only a store can give it.
    #[must_use]
    pub const fn needs_store(self) -> bool {
        matches!(self, Self::Stored | Self::Durable)
    }
}
