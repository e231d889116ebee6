//! What certificates from an authority may take (RFC 8555): requests, orders, and how long it is waited between them.
//!
//! Invariant: as of all limits, each is related to what it has to fit at compile time.

/// Names that a certificate is ordered for; more stop the start. Public authorities take no more.
pub const ACME_NAMES_MAX: usize = 100;
/// Seconds that one request to the authority may take; then it has failed.
pub const ACME_REQUEST_S_MAX: u64 = 30;
/// Bytes of an answer of the authority; a larger one has failed.
pub const ACME_ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Seconds that an order may take, from its first request to the certificate; then it has failed, and is tried again.
pub const ACME_ORDER_S_MAX: u64 = 300;
/// Seconds for which an authority may check a name, or make a certificate, before it is asked no more; then the order has failed.
pub const ACME_POLL_S_MAX: u64 = 120;
/// Seconds after which an order that has failed is tried again; they double with each failure.
pub const ACME_RETRY_S_MIN: u64 = 60;
/// Seconds to which they grow. Public authorities take five failures an hour of one name.
pub const ACME_RETRY_S_MAX: u64 = 6 * 60 * 60;
/// Seconds after which the authority is asked again when it would have a certificate renewed, if it does not say (RFC 9773 section 4.3.2).
pub const ACME_WINDOW_S: u64 = 6 * 60 * 60;
/// Seconds that it may say at least, and at most; what is less or more counts as these.
pub const ACME_WINDOW_S_MIN: u64 = 60;
pub const ACME_WINDOW_S_MAX: u64 = 24 * 60 * 60;
/// Seconds after which the clock is looked at again while nothing is due: somebody may set it.
pub const ACME_SLEEP_S_MAX: u64 = 60 * 60;
/// Milliseconds within which every core shows what the authority is to see; then the order has failed.
pub const ACME_SHOW_MS_MAX: u64 = 10_000;
/// Settings that wait for the thread that orders; at the limit whoever reads the configuration anew waits for it.
pub const ACME_SETTINGS_MAX: usize = 1;
/// Accounts that there may be one after another while a server runs, as authorities forget them; at the limit checks by HTTP fail until it is started anew, which is logged.
pub const ACME_ACCOUNTS_MAX: usize = 8;
/// Bytes of the token of a check by HTTP; a longer one is answered with 404 (RFC 8555 section 8.3: they have 22 and more).
pub const ACME_TOKEN_BYTES_MAX: usize = 128;
const _: () = assert!(ACME_RETRY_S_MIN <= ACME_RETRY_S_MAX);
const _: () = assert!(ACME_WINDOW_S_MIN <= ACME_WINDOW_S && ACME_WINDOW_S <= ACME_WINDOW_S_MAX);
const _: () = assert!(ACME_REQUEST_S_MAX + ACME_POLL_S_MAX <= ACME_ORDER_S_MAX);
