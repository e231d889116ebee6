//! The bounds of brokers and databases as sources.

use super::super::POSTGRES_MESSAGE_BYTES_MAX;
use super::SOURCE_BATCH_MESSAGES_MAX;
use super::SOURCE_MESSAGE_BYTES_MAX;

/// Hosts in the address of one broker; more stop the start.
pub const BROKER_HOSTS_MAX: usize = 16;
/// Subjects, channels, streams or topics of one source; more stop the start.
pub const SOURCE_SUBJECTS_MAX: usize = 64;
/// Bytes that are read from a broker at a time.
pub const BROKER_READ_BYTES: usize = 64 * 1024;
/// Milliseconds for which a broker may say nothing while it is listened to; it is asked for a sign of life after half of them, and its connection is lost after all.
pub const BROKER_SILENCE_MS_MAX: u64 = 30_000;
/// Bytes of a line of NATS, what a server says of itself included; a longer one is none, and ends the connection.
pub const NATS_LINE_BYTES_MAX: usize = 64 * 1024;
/// Messages that a consumer of JetStream is asked for at a time; it is asked again once half of them have come.
pub const NATS_PULL_MESSAGES_MAX: usize = 2 * SOURCE_BATCH_MESSAGES_MAX;
/// Bytes of them, so that a server never has more underway to us than it would cut us off for (64 MB by itself); a single larger message is asked for alone.
pub const NATS_PULL_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Milliseconds after which such a request ends by itself, to be made anew.
pub const NATS_PULL_MS_MAX: u64 = 30_000;
/// Milliseconds after which a consumer goes away that nobody asks any more; one that went because we were full for longer is made anew.
pub const NATS_CONSUMER_IDLE_MS: u64 = 300_000;
const _: () =
    assert!(NATS_PULL_MS_MAX < NATS_CONSUMER_IDLE_MS && 2 * NATS_PULL_BYTES_MAX < 64_000_000);
/// Bytes of one answer of Redis, or of one entry of a stream, which is read by itself; a larger entry is passed over as unusable, any other answer ends the connection.
pub const REDIS_ANSWER_BYTES_MAX: usize = SOURCE_MESSAGE_BYTES_MAX;
/// Levels of lists within lists in an answer of Redis; more are none, and end the connection.
pub const REDIS_DEPTH_MAX: usize = 8;
/// Entries that a stream of Redis is asked for at a time; further ones are asked for when those were taken.
pub const REDIS_READ_ENTRIES_MAX: usize = SOURCE_BATCH_MESSAGES_MAX;
/// Milliseconds for which such a read waits for an entry before it is asked anew; less than the silence after which a server is taken for gone.
pub const REDIS_BLOCK_MS: u64 = 10_000;
const _: () = assert!(REDIS_BLOCK_MS < BROKER_SILENCE_MS_MAX / 2);
/// Bytes of a row of an outbox as JSON; a larger one is passed over as unusable. Rows that come together have as many bytes as a batch, but for the last one.
pub const OUTBOX_ROW_BYTES_MAX: usize = POSTGRES_MESSAGE_BYTES_MAX - 64 * 1024;
const _: () = assert!(OUTBOX_ROW_BYTES_MAX <= SOURCE_MESSAGE_BYTES_MAX);
/// Milliseconds that a statement on an outbox may take; then the connection is made anew.
pub const OUTBOX_STATEMENT_MS_MAX: u64 = 10_000;
/// Milliseconds until it is looked again for rows of which somebody has said that they are there, at first; twice as long each time.
pub const OUTBOX_RETRY_MS_MIN: u64 = 5;
/// Milliseconds between two looks for rows of which nobody has said anything, if nobody says how many.
pub const OUTBOX_POLL_MS_DEFAULT: u64 = 1_000;
/// Milliseconds between two such looks at most.
pub const OUTBOX_POLL_MS_MAX: u64 = 60_000;
/// Bytes of a topic's name or filter of MQTT, by its standard.
pub const TOPIC_OF_MQTT_BYTES_MAX: usize = 65_535;
/// Messages that a broker of MQTT may have sent us before we acknowledge one; further ones wait there.
pub const MQTT_SOURCE_RECEIVE_MAX: u16 = 1024;
