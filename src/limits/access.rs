//! Who may come in, and how often: tokens, keys, revocations, rates.
//!
//! Invariant: as of all limits, each is related to what it has to fit at compile time.

/// Bytes of a token; a longer one is refused before anything in it is looked at.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Roles that one token may name; a token with more is refused.
pub const TOKEN_ROLES_MAX: usize = 32;
/// Audiences that one token may name; a token with more is refused.
pub const TOKEN_AUDIENCES_MAX: usize = 32;
/// Topic patterns of one list of a token (`subscribe`, `publish`); a token with more is refused.
pub const TOKEN_PATTERNS_MAX: usize = 64;
/// Bytes of a user's name; a token with a longer one is refused.
pub const USER_BYTES_MAX: usize = 255;
/// Seconds by which clocks may differ; a larger setting is refused at start.
pub const TOKEN_LEEWAY_S_MAX: u64 = 300;
/// Seconds that a token may live, from its issue to its expiry, unless set otherwise: 400 days. One that lives longer is
/// refused, so that a revocation need not be kept for ever.
pub const TOKEN_LIFETIME_S: u64 = 400 * 24 * 3600;
/// Keys that tokens are checked against, from settings and key sets together; a set with more is refused as a whole.
pub const KEYS_MAX: usize = 64;
/// Keys tried for a token that does not say which signed it; those beyond are not tried. Bounds what one handshake can cost.
pub const KEYS_TRIED_MAX: usize = 4;
/// Bytes of a key set (JWKS) as text; a longer one is refused and the former stays.
pub const JWKS_BYTES_MAX: usize = 256 * 1024;
/// Seconds between fetches of a key set whose answer does not say how long it is good for.
pub const JWKS_REFRESH_S: u64 = 3600;
/// Seconds between fetches at least, however short the answer says it is good for.
pub const JWKS_REFRESH_S_MIN: u64 = 60;
/// Seconds between fetches at most, so that a withdrawn key is gone after a day.
pub const JWKS_REFRESH_S_MAX: u64 = 24 * 3600;
/// Seconds from a fetch to the next one because of a token with an unknown key: wishes that come sooner wait till then.
pub const JWKS_WISH_S_MIN: u64 = 30;
/// Seconds from a failed fetch to the next; doubled each time.
pub const JWKS_RETRY_S_MIN: u64 = 1;
/// Seconds from a failed fetch to the next at most.
pub const JWKS_RETRY_S_MAX: u64 = 300;
/// Seconds that one fetch may take from beginning to end; then it has failed.
pub const JWKS_FETCH_S_MAX: u64 = 10;
/// Revocations remembered; at the limit a new one is refused and says so, for to forget one would let its token in again.
pub const REVOCATIONS_MAX: usize = 100_000;
/// Bytes of what a folder remembers of revocations; at the limit a new one is refused and says so. A server's share of the memory says how many.
pub const LEDGER_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of the store's share of the memory where no topic is durable, so that what was revoked is all that it keeps; a half of them are for notes, as above.
pub const LEDGER_ALONE_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of a note in a folder's ledger besides its name.
pub const LEDGER_NOTE_BYTES: usize = 96;
/// Bytes of a note's name; one that is longer is not kept. That of every revocation fits.
pub const LEDGER_NAME_BYTES_MAX: usize = 4096 + 64;
/// Notes that wait for the store; one more is answered with `Busy`.
pub const LEDGER_WAITING_MAX: usize = 1024;
/// Rates remembered by user or address; at the limit those at rest are forgotten, and if there are none the newcomer is refused.
pub const RATES_MAX: usize = 65_536;
/// Bytes of a rate with the name of whom it is about, in a table as empty as it may be.
pub const RATE_BYTES: usize = 256;
/// Bytes of who is on a connection (name, roles, what they may hear and say, filters) that every connection may have; what is beyond them comes out of
/// its shard's part of `memory.tokens_bytes_max`, and whoever finds no room there is refused with 503.
pub const WHO_SPARE_BYTES: usize = 512;
/// Bytes of a revocation, likewise.
pub const REVOCATION_BYTES: usize = 384;
/// Origins and hosts in the allow-list for browsers; more are refused at start.
pub const ORIGINS_MAX: usize = 256;
/// Connections of one user, unless set otherwise; the next is refused with 429.
pub const USER_CONNECTIONS: u32 = 10;
/// Connections from one address, unless set otherwise; the next is refused with 429.
pub const ADDRESS_CONNECTIONS: u32 = 1_000;
/// Connections beyond those that one address may have open on one shard, so that they are told why they may not stay; one more is closed at once. Counted
/// from the moment a connection is accepted, whatever it says.
pub const ADDRESS_CONNECTIONS_SPARE: u32 = 64;
/// Handshakes a second from one address, unless set otherwise; the next is refused with 429.
pub const HANDSHAKES_PER_S: u32 = 100;
/// Messages a second on one connection, unless set otherwise; the next closes it with 1008.
pub const MESSAGES_PER_S: u32 = 100;
/// Events a second that one client may publish, unless set otherwise; the next is refused and not taken.
pub const PUBLISH_PER_S: u32 = 10_000;

const _: () = assert!(JWKS_REFRESH_S_MIN <= JWKS_REFRESH_S && JWKS_REFRESH_S <= JWKS_REFRESH_S_MAX);
const _: () = assert!(JWKS_RETRY_S_MIN > 0 && JWKS_RETRY_S_MIN < JWKS_RETRY_S_MAX);
const _: () = assert!(KEYS_TRIED_MAX <= KEYS_MAX);
const _: () = assert!(TOKEN_LEEWAY_S_MAX < TOKEN_LIFETIME_S);
const _: () = assert!(USER_BYTES_MAX < TOKEN_BYTES_MAX);
