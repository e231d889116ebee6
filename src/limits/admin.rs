//! Bounds of what an operator is told and may ask.

/// Dialects that are counted one by one; more are counted with the last of them.
pub const DIALECTS_COUNTED_MAX: usize = 16;
/// Rows of one answer to an operator; who asks for more gets so many, and where the next ones begin.
pub const ADMIN_ROWS_MAX: usize = 500;
/// Rows of such an answer if nobody says how many.
pub const ADMIN_ROWS_DEFAULT: usize = 100;
/// Places of connections that a shard looks at for one page of them; the answer then says where the next page begins, even if it has no row.
pub const ADMIN_PLACES_MAX: u32 = 65_536;
/// Topics of a connection's subscriptions that its row names; `subscriptions` counts all.
pub const ADMIN_TOPICS_SHOWN: usize = 8;
/// Bytes of what an operator sends besides an event; more is refused with 413.
pub const ADMIN_BYTES_MAX: usize = 4096;
/// Bytes of the reason that an operator gives for a disconnect: a close frame holds no more (RFC 6455, 5.5.1); a longer one is refused.
pub const ADMIN_REASON_BYTES_MAX: usize = 123;
/// Orders of operators (drain, reload, upgrade, log level) that wait for the process to carry them out; one more is refused with 503.
pub const ORDERS_MAX: usize = 8;
/// Bytes of an event with all around it that an operator sends, besides what `message_bytes_max` allows; more is refused with 413.
pub const ADMIN_EVENT_BYTES_MAX: usize = super::PAYLOAD_BYTES_MAX + ADMIN_BYTES_MAX;
