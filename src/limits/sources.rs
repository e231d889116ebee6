//! The bounds of sources: far ends that events are fetched from.

#[path = "brokers.rs"]
mod brokers;

pub use brokers::*;

use super::RUN_BYTES_MAX;
use super::RUN_EVENTS_MAX;

/// Messages that a source fetches at a time; further ones stay at the far end until those are stored.
pub const SOURCE_BATCH_MESSAGES_MAX: usize = 4 * RUN_EVENTS_MAX;
/// Bytes of such messages, but for the last one; further ones stay at the far end likewise.
pub const SOURCE_BATCH_BYTES_MAX: usize = RUN_BYTES_MAX;
/// Bytes of one message, before it is split; a larger one is skipped as unusable, or ends the connection where it cannot be passed over.
pub const SOURCE_MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of what a far end calls a message; what is longer is known by its hash.
pub const SOURCE_ID_BYTES_MAX: usize = 48;
/// Bytes of where a far end is asked to go on from; a source that needs more is not gone on with, and says so in the log.
pub const SOURCE_RESUME_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a file with a secret or with certificates; a larger one stops the start.
pub const SOURCE_SECRET_BYTES_MAX: u64 = 1024 * 1024;
/// Sources of one server; more stop the start. Each is a thread and a party of the mesh.
pub const SOURCES_MAX: usize = 64;
/// Milliseconds that a connector may wait for messages before its source looks whether it is to stop.
pub const SOURCE_FETCH_MS: u64 = 100;
/// Milliseconds that connecting may take.
pub const SOURCE_CONNECT_MS_MAX: u64 = 5_000;
/// Milliseconds that acknowledging, or closing, may take.
pub const SOURCE_STORED_MS_MAX: u64 = 5_000;
/// Milliseconds until a far end is connected to again at first; twice as long each time.
pub const SOURCE_BACKOFF_MS_MIN: u64 = 100;
/// Milliseconds until it is connected to again at most.
pub const SOURCE_BACKOFF_MS_MAX: u64 = 30_000;
/// Steps of a JSON pointer in a mapping; more stop the start.
pub const SOURCE_POINTER_STEPS_MAX: usize = 16;
/// Bytes of a text of a mapping; a longer one stops the start.
pub const SOURCE_TEMPLATE_BYTES_MAX: usize = 4 * 1024;
/// Elements into which one message is split; one that has more is unusable.
pub const SOURCE_PARTS_MAX: usize = 16 * 1024;
/// Faults of messages that are told one by one in the log, of each source and in each minute; further ones are only counted.
pub const SOURCE_FAULTS_TOLD_MAX: u32 = 5;
/// Events that are recognised after a crash, of each source: those that were stored after its position was. Of more the rest is told twice.
pub const SOURCE_RECOGNISED_MAX: usize = 64 * 1024;
/// Microseconds by which the moment after which they are looked for lies before the one at which the position was kept: so far a clock may be set back in between.
pub const SOURCE_CLOCK_US: u64 = 100_000;
/// Milliseconds after which a position is kept again though nothing has come: what was stored since is gone through at the next start.
pub const SOURCE_NOTED_MS: u64 = 10_000;
/// Milliseconds after which a position is synced: with the power one that is so old is lost, and what was stored since is recognised.
pub const SOURCE_SYNCED_MS: u64 = 1_000;
/// Milliseconds that a source waits for room before it tries again.
pub const SOURCE_RETRY_MS: u64 = 5;
/// Milliseconds that a source that is to stop waits for what it has handed on; then nothing of it is acknowledged, and its far end says it again.
pub const SOURCE_STOP_MS_MAX: u64 = 2_000;
/// Milliseconds after which a connection counts as steady: when it is lost, it is looked for again at once.
pub const SOURCE_STEADY_MS: u64 = 10_000;
/// Events that a source hands to one home at a time, but for those of a single message.
pub const SOURCE_RUN_EVENTS_MAX: usize = SOURCE_BATCH_MESSAGES_MAX;
/// Settings read anew that wait for a source; at the limit whoever reads them waits, for `RELOAD_MS_MAX` at most.
pub const SOURCE_RENEWALS_MAX: usize = 2;
/// Bytes that are read of a file or a pipe at a time.
pub const SOURCE_READ_BYTES: usize = 64 * 1024;
/// Bytes of a file's first line by which it is known.
pub const SOURCE_FILE_HEAD_BYTES: usize = 1024;
/// Milliseconds after which a file is looked at again though the system has not said that anything was written.
pub const SOURCE_FILE_POLL_MS: u64 = 50;
/// Milliseconds for which a file that was put aside is still read: whoever writes may have it open.
pub const SOURCE_FILE_SETTLED_MS: u64 = 1_000;
/// Files beside one that is not there any more that are looked at, to find where it was put.
pub const SOURCE_FILES_LOOKED_AT_MAX: usize = 1024;
/// Bytes of events that one message may become; what it would become beyond them is unusable.
pub const SOURCE_MAPPED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes that a source holds at most, its connector's own among them: a piece of its stream, a batch, what that becomes, and what is recognised.
pub const SOURCE_BYTES: u64 =
    (4 * SOURCE_MESSAGE_BYTES_MAX + SOURCE_RECOGNISED_MAX * (SOURCE_ID_BYTES_MAX + 80)) as u64;
/// Descriptors of a source: its bell, and what its connector opens.
pub const FDS_SOURCE: u64 = 8;

const _: () = assert!(SOURCE_BATCH_BYTES_MAX <= SOURCE_MESSAGE_BYTES_MAX);
const _: () = assert!(SOURCE_BACKOFF_MS_MIN < SOURCE_BACKOFF_MS_MAX);
/// Messages that `fanwire source try` shows.
pub const SOURCE_TRIED_MAX: usize = 10;
