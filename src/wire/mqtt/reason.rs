//! Reason codes: what a packet of MQTT 5 says became of something, and what 3.1.1 says of it.

/// A reason code (MQTT 5, section 2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reason(pub u8);

impl Reason {
    /// Success; also: normal disconnection, and QoS 0 granted.
    pub const SUCCESS: Self = Self(0x00);
    pub const DISCONNECT_WITH_WILL: Self = Self(0x04);
    pub const NO_MATCHING_SUBSCRIBERS: Self = Self(0x10);
    pub const NO_SUBSCRIPTION_EXISTED: Self = Self(0x11);
    pub const UNSPECIFIED: Self = Self(0x80);
    pub const MALFORMED_PACKET: Self = Self(0x81);
    pub const PROTOCOL_ERROR: Self = Self(0x82);
    pub const IMPLEMENTATION_SPECIFIC: Self = Self(0x83);
    pub const UNSUPPORTED_VERSION: Self = Self(0x84);
    pub const CLIENT_ID_NOT_VALID: Self = Self(0x85);
    pub const BAD_USER_NAME_OR_PASSWORD: Self = Self(0x86);
    pub const NOT_AUTHORIZED: Self = Self(0x87);
    pub const SERVER_UNAVAILABLE: Self = Self(0x88);
    pub const SERVER_BUSY: Self = Self(0x89);
    pub const SERVER_SHUTTING_DOWN: Self = Self(0x8B);
    pub const BAD_AUTHENTICATION_METHOD: Self = Self(0x8C);
    pub const KEEP_ALIVE_TIMEOUT: Self = Self(0x8D);
    pub const SESSION_TAKEN_OVER: Self = Self(0x8E);
    pub const TOPIC_FILTER_INVALID: Self = Self(0x8F);
    pub const TOPIC_NAME_INVALID: Self = Self(0x90);
    pub const PACKET_ID_IN_USE: Self = Self(0x91);
    pub const PACKET_ID_NOT_FOUND: Self = Self(0x92);
    pub const RECEIVE_MAXIMUM_EXCEEDED: Self = Self(0x93);
    pub const TOPIC_ALIAS_INVALID: Self = Self(0x94);
    pub const PACKET_TOO_LARGE: Self = Self(0x95);
    pub const MESSAGE_RATE_TOO_HIGH: Self = Self(0x96);
    pub const QUOTA_EXCEEDED: Self = Self(0x97);
    pub const PAYLOAD_FORMAT_INVALID: Self = Self(0x99);
    pub const RETAIN_NOT_SUPPORTED: Self = Self(0x9A);
    pub const QOS_NOT_SUPPORTED: Self = Self(0x9B);
    pub const USE_ANOTHER_SERVER: Self = Self(0x9C);
    pub const SERVER_MOVED: Self = Self(0x9D);
    pub const SHARED_NOT_SUPPORTED: Self = Self(0x9E);
    pub const SUBSCRIPTION_IDS_NOT_SUPPORTED: Self = Self(0xA1);

    /// What PUBACK and PUBREC may say (MQTT 5, section 3.4.2.1).
    pub(super) const OF_RECEIVERS: &[Self] = &[
        Self::SUCCESS,
        Self::NO_MATCHING_SUBSCRIBERS,
        Self::UNSPECIFIED,
        Self::IMPLEMENTATION_SPECIFIC,
        Self::NOT_AUTHORIZED,
        Self::TOPIC_NAME_INVALID,
        Self::PACKET_ID_IN_USE,
        Self::QUOTA_EXCEEDED,
        Self::PAYLOAD_FORMAT_INVALID,
    ];
    /// What PUBREL and PUBCOMP may say (section 3.6.2.1).
    pub(super) const OF_RELEASES: &[Self] = &[Self::SUCCESS, Self::PACKET_ID_NOT_FOUND];
    /// Whether DISCONNECT may say it, of a client or of a server (section 3.14.2.1).
    pub(super) const fn is_of_disconnect(self) -> bool {
        matches!(
            self.0,
            0x00 | 0x04 | 0x80..=0x83 | 0x87 | 0x89 | 0x8B | 0x8D..=0x90 | 0x93..=0x9F | 0xA0..=0xA2
        )
    }

    /// Whether the reason code is an error (0x80 or greater).
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 >= 0x80
    }

    /// What CONNACK of 3.1.1 says instead (section 3.2.2.3); `None`: it has no word for it, and the connection is closed without one.
    #[must_use]
    pub const fn connect_code(self) -> Option<u8> {
        match self {
            Self::SUCCESS => Some(0),
            Self::UNSUPPORTED_VERSION => Some(1),
            Self::CLIENT_ID_NOT_VALID => Some(2),
            Self::SERVER_UNAVAILABLE | Self::SERVER_BUSY | Self::QUOTA_EXCEEDED => Some(3),
            Self::BAD_USER_NAME_OR_PASSWORD | Self::BAD_AUTHENTICATION_METHOD => Some(4),
            Self::NOT_AUTHORIZED => Some(5),
            _ => None,
        }
    }
}
