//! With which codes the server closes a WebSocket.

/// Close codes, RFC 6455 section 7.4.1 and ours.
pub(super) const CLOSE_NORMAL: u16 = 1000;
pub(super) const CLOSE_GOING_AWAY: u16 = 1001;
pub(super) const CLOSE_POLICY: u16 = 1008;
pub(super) const CLOSE_SILENT: u16 = 1011;
/// There is another server for the meantime, which the reason names; only for dialects that have a word for it.
pub(super) const CLOSE_ELSEWHERE: u16 = 4011;
/// The close code of a client that is sent to another server for good.
pub(super) const CLOSE_MOVED: u16 = 4012;
