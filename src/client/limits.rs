//! The bounds of a client; the server's are in `crate::limits`.
//!
//! They stand apart because a client that is too generous harms only itself: nothing here is part of the server's memory budget.

use std::time::Duration;

/// How long a connection may take to be made, handshakes included; after it the attempt has come to nothing.
pub(crate) const CONNECT_WAIT_MAX: Duration = Duration::from_secs(10);
/// Bytes of what a server says that refuses a handshake; the rest is not read.
pub(crate) const REFUSAL_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a message from the server; a longer one ends the connection. A batch is at most 256 KiB and one event beyond.
pub(crate) const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Silence after which a connection that is only listened to counts as lost: the server pings every 30 s.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(75);
/// Silence after which a client asks whether the server is there, and again after which it gives the connection up.
pub(crate) const SILENCE_USUAL: Duration = Duration::from_secs(20);
/// A connection that has been open for so long has not failed: waits begin anew with the next.
pub(crate) const STEADY_USUAL: Duration = Duration::from_secs(5);
/// The ceiling of the first wait before another attempt, and the highest; the ceiling doubles in between.
pub(crate) const BACKOFF_MIN: Duration = Duration::from_millis(100);
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// The longest that a server that says when to come back is obeyed; more is cut to this.
pub(crate) const ADVICE_MAX: Duration = Duration::from_secs(3600);
/// Topics whose offsets a position remembers. Events of further topics are told, but may be repeated after a lost connection.
pub(crate) const POSITION_TOPICS_MAX: usize = 65_536;

/// What waits to be read of one subscription; at the limit it ends on the server, and goes on from its position once half of it has been read.
pub(crate) const QUEUE_MAX: usize = 1024;
/// What waits besides, which is not what the server tells: moves of the position. At the limit the subscription ends with `queue_full`.
pub(crate) const QUEUE_MOVES_MAX: usize = 64;
/// Publishes and pings that wait for a connection or an answer; one more fails with `queue_full`.
pub(crate) const REQUESTS_MAX: usize = 10_000;
/// What handles have asked of the client and it has not taken up; at the limit whoever asks waits.
pub(crate) const COMMANDS_MAX: usize = 1024;
/// Messages of the server that were read and not looked at; at the limit the connection is not read.
pub(crate) const HEARD_MAX: usize = 64;
/// Messages to the server that were not written yet: at the limit the connection counts as lost.
pub(crate) const SAID_MAX: usize = 16 * 1024;
/// Gaps that are told together with `live`; the server tells no more of one connection.
pub(crate) const GAPS_MAX: usize = 1024;
/// Tokens that one connection shows, after each the last was refused; then the client is closed.
pub(crate) const TOKEN_TRIES_MAX: u32 = 3;
/// How long the last words of a connection may take.
pub(crate) const GOODBYE_MAX: Duration = Duration::from_secs(1);

const _: () = assert!(SILENCE_MAX.as_secs() > 2 * 30, "two of the server's pings must be missing");
const _: () =
    assert!(SAID_MAX > REQUESTS_MAX + 4 * COMMANDS_MAX, "what waited for a connection fits");
