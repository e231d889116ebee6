//! What a publisher has said of an event besides its payload, in a dialect that can.
//!
//! Invariant: it is carried as it came; only the dialect that wrote them reads its properties.

use std::sync::Arc;

use super::trace::TraceContext;

/// What was said of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Who published it, as a hash of what the client calls itself; 0: nobody said so.
    pub publisher: u64,
    /// The quality of service that it was published with.
    pub qos: u8,
    /// The event is the state of its topic from then on.
    pub is_retained: bool,
    /// Seconds after which nobody is to be told of it any more.
    pub expiry_s: Option<u32>,
    /// Which request of the publisher's it belongs to.
    pub trace: Option<TraceContext>,
    /// Of which message of which source the event was made; `None`: it was published, or is of a topic that is not kept on disk.
    pub origin: Option<Box<Origin>>,
    /// Further properties, as the dialect writes them.
    pub properties: Box<[u8]>,
}

/// Of which message of a source an event was made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The source's number, which follows from its name.
    pub source: u64,
    /// What its far end calls the message, and which part of that it is.
    pub id: Box<[u8]>,
}

impl Meta {
    /// Of an event of which its publisher has said this and nothing else; `None`: it has said nothing.
    #[must_use]
    pub fn of_trace(trace: Option<TraceContext>) -> Option<Arc<Self>> {
        trace.map(|trace| Arc::new(Self { trace: Some(trace), ..Self::default() }))
    }

    /// Whether a dialect has said it that has words of its own for it.
    #[must_use]
    pub fn is_of_dialect(&self) -> bool {
        self.publisher != 0 || !self.properties.is_empty()
    }

    /// Bytes that it keeps alive.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let of_origin = |origin: &Origin| size_of::<Origin>() + origin.id.len();
        let origin_bytes = self.origin.as_deref().map_or(0, of_origin);
        size_of::<Self>() + self.properties.len() + origin_bytes + COUNTS_BYTES
    }

    /// Seconds that are left of an event's time, ordered at one moment and told at another, both in microseconds since 1970; `None`: it has no end.
    #[must_use]
    pub fn left_s(&self, ordered_us: u64, now_us: u64) -> Option<u32> {
        let age_s = now_us.saturating_sub(ordered_us) / 1_000_000;
        let expiry_s = self.expiry_s?;
        Some(expiry_s.saturating_sub(u32::try_from(age_s).unwrap_or(u32::MAX)))
    }
}

/// Bytes of the counts of those who hold it.
const COUNTS_BYTES: usize = 2 * size_of::<usize>();
