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
/// Milliseconds that a server waits for the one that is to take over to be ready, and that one for what this one still has; then the first goes on as it was, and
/// the second does not start.
pub const HANDOVER_MS_MAX: u64 = 60_000;
/// Milliseconds that a core may take to give copies of its listeners; then nothing is handed over.
pub const HANDOVER_SHARE_MS_MAX: u64 = 5_000;
/// Sockets that are taken of one server: of each listener one for each core; more are none of a server's.
pub const HANDOVER_SOCKETS_MAX: usize = 4096;
/// Milliseconds after which it is looked again whether the name is free by which those who take over find a server.
pub const HANDOVER_NAME_MS: u64 = 100;
/// How often a process that is to take over looks for a server, so long apart; then there is none.
pub const HANDOVER_ASKS_MAX: u32 = 20;
/// Lines of the log that wait for standard error to take them; one more is lost, and counted.
pub const LOG_LINES_MAX: usize = 512;
/// Bytes of one of them; a longer line is cut.
pub const LOG_LINE_BYTES_MAX: usize = 4096;
/// Milliseconds that a server that ends waits for its last log lines to be written.
pub const LOG_FLUSH_MS: u64 = 1_000;
/// Requests for health, metrics and files that one turn answers; the rest is answered by the next turn.
pub const ADMIN_PER_TURN_MAX: usize = 16;
/// Bytes of a request to revoke tokens; more are refused with 413.
pub const REVOKE_BYTES_MAX: usize = 4096;
