//! What TLS may take: handshakes, records, certificates, files.
//!
//! Invariant: as of all limits, each is related to what it has to fit at compile time.

use super::READ_BYTES;

/// Handshakes of TLS that a core has underway, and connections of which a proxy's header is awaited; at the limit one that has waited for its
/// client for a while goes, and if there is none, nobody is accepted on these listeners before one has ended.
pub const TLS_HANDSHAKES_MAX: usize = 256;
/// Milliseconds that a handshake may take; one that takes longer is closed.
pub const TLS_HANDSHAKE_MS_MAX: u64 = 10_000;
/// Milliseconds for which a handshake that waits for its client is let wait even if there is no place for others.
pub const TLS_HANDSHAKE_PATIENCE_MS: u64 = 1_000;
/// Steps of handshakes that one turn of a core takes, each of which may cost a signature; the rest is taken by the next turn.
pub const TLS_STEPS_PER_TURN_MAX: usize = 16;
/// Bytes of one client's side of a handshake that have come and are not yet made use of; more closes it.
pub const TLS_HANDSHAKE_INPUT_BYTES_MAX: usize = 16 * 1024;
/// Bytes of one handshake: what has come, our answer, and the library's own state.
pub const TLS_HANDSHAKE_BYTES: usize = 32 * 1024;
/// Bytes of one connection's TLS when it is idle: keys, sequence numbers, and the library's state around them.
pub const TLS_CONNECTION_BYTES: u64 = 4 * 1024;
/// Bytes of one connection's TLS beyond those if clients may show certificates: the library keeps what was shown.
pub const TLS_CLIENT_BYTES: u64 = TLS_CLIENT_CHAIN_BYTES_MAX as u64 + 1024;
/// Bytes of plaintext in one record that we send (RFC 8446 section 5.1).
pub const TLS_RECORD_BYTES: usize = 16 * 1024;
/// Bytes of a record beyond its plaintext at most: five of header, and what keys and paddings add (RFC 5246 section 6.2.3).
pub const TLS_OVERHEAD_BYTES: usize = 2048 + 5;
/// Bytes that a connection may hold of records that have come in part; more than one record is no TLS, and closes it.
pub const TLS_CARRY_BYTES_MAX: usize = TLS_RECORD_BYTES + TLS_OVERHEAD_BYTES;
/// Bytes of our records that a connection may hold because its socket does not take them: what is left of one, and answers to the peer's own
/// messages; more of those closes the connection.
pub const TLS_REST_BYTES_MAX: usize = TLS_RECORD_BYTES + TLS_OVERHEAD_BYTES + 2048;
/// What part of the memory for outboxes is for records that have come or gone in part, if there is TLS.
pub const TLS_RECORDS_SHARE: u64 = 4;
/// Seconds after which certificates' files are looked at again.
pub const TLS_FILES_S: u64 = 2;
/// Milliseconds after which it is looked again whether every core has taken what an authority is to see.
pub const TLS_TAKEN_MS: u64 = 10;
/// New configurations of TLS that wait for a core; at the limit the newest waits with whoever made it.
pub const TLS_RENEWALS_MAX: usize = 1;
/// Certificates that may be configured; more stop the start.
pub const TLS_CERTIFICATES_MAX: usize = 64;
/// Clients that may be known by a certificate; more stop the start.
pub const TLS_CLIENTS_MAX: usize = 1024;
/// Bytes of a client's certificate and of those that it was signed with, together; a client with more is refused in its handshake.
pub const TLS_CLIENT_CHAIN_BYTES_MAX: usize = 8 * 1024;
/// Names of a client's certificate; one with more is known by none of them, and refused.
pub const CERTIFICATE_NAMES_MAX: usize = 64;
/// Days for which a certificate that the server has signed itself is good.
pub const TLS_SELF_SIGNED_DAYS: u64 = 30;
const _: () =
    assert!(TLS_CARRY_BYTES_MAX < READ_BYTES, "what is held is read on behind in the one buffer");
const _: () = assert!(TLS_HANDSHAKE_INPUT_BYTES_MAX <= TLS_CARRY_BYTES_MAX);
