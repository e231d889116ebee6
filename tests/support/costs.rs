//! What a core's work takes, in virtual time.

/// What a core's work takes, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    pub send_ns: u64,
    /// Each KiB that is sent.
    pub kib_ns: u64,
    /// The fan-out of an event.
    pub event_ns: u64,
    /// A step of a filter.
    pub step_ns: u64,
}

/// What this machine takes, about.
impl Default for Costs {
    fn default() -> Self {
        Self { send_ns: 4_000, kib_ns: 1_000, event_ns: 1_000, step_ns: 1 }
    }
}
