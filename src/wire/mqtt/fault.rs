//! What is wrong with a client's packet: in words, and as the standard's reason code.

use std::fmt;

use super::reason::Reason;

/// The fault of a packet that cannot be taken; the connection of its client ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub reason: Reason,
    /// What is wrong, and where.
    pub what: &'static str,
}

impl Fault {
    /// A packet that cannot be read (MQTT 5, section 4.13.1).
    #[must_use]
    pub const fn malformed(what: &'static str) -> Self {
        Self { reason: Reason::MALFORMED_PACKET, what }
    }

    /// A packet that can be read and may not be sent.
    #[must_use]
    pub const fn protocol(what: &'static str) -> Self {
        Self { reason: Reason::PROTOCOL_ERROR, what }
    }

    /// The same with another reason code.
    #[must_use]
    pub const fn of(reason: Reason, what: &'static str) -> Self {
        Self { reason, what }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (0x{:02X})", self.what, self.reason.0)
    }
}

impl std::error::Error for Fault {}
