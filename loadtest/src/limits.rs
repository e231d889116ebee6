//! Every bound of the load generator, and what happens at it.
//!
//! Invariant: nothing here is read from the outside; a scenario that asks for more is refused when it is read.

/// One process may hold 20,000 descriptors here; the rest are for pipes, epoll and the files of `/proc`. A scenario
/// that needs more subscribers than `workers` times this is refused.
pub(crate) const SUBSCRIBERS_PER_WORKER_MAX: u32 = 19_900;

/// Subscribers that share one source address. The kernel has about 28,000 ephemeral ports an address; past this many
/// the next address of 127.0.0.0/8 is taken.
pub(crate) const SUBSCRIBERS_PER_ADDRESS: u32 = 10_000;

/// The first port that subscribers connect from, each address from as many as it has subscribers: below those that the kernel gives
/// away by itself.
pub(crate) const SOURCE_PORT_MIN: u16 = 10_000;

const _: () = assert!(SOURCE_PORT_MIN as u32 + SUBSCRIBERS_PER_ADDRESS <= 32_768);

/// Worker processes of one run; each names its own source network, 127.0.(1 + index).0.
pub(crate) const WORKERS_MAX: u32 = 64;

/// Handshakes that one worker has under way. At the limit it connects the next only when one is done, so that the
/// listen queue of the subject does not overflow into SYN retries of a second each.
pub(crate) const CONNECTS_UNDER_WAY_MAX: usize = 512;

/// The read buffer that all subscribers of a worker share, to begin with.
pub(crate) const READ_BYTES: usize = 256 * 1024;

/// The longest frame a subject may send; a longer one is a fault of that connection.
pub(crate) const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The longest HTTP response head a subject may answer a handshake with; a longer one is a fault.
pub(crate) const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What one message may inflate to; more is a fault of that connection.
pub(crate) const INFLATED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Readiness reports taken from the kernel at a time.
pub(crate) const READY_MAX: usize = 1024;

/// Ranges of missing numbers remembered for each subscriber and topic; past this the oldest counts as lost for good.
pub(crate) const MISSING_RANGES_MAX: usize = 16;

/// Topics of a scenario: a mark has 24 bits for the topic.
pub(crate) const TOPICS_MAX: u32 = 1 << 20;

/// Topics that one subscriber may listen to; a native subscription takes at most 64.
pub(crate) const MEMBERSHIPS_MAX: u32 = 64;

/// Events published in one write: an open loop that fell behind catches up in steps of this many.
pub(crate) const BURST_MAX: u32 = 256;

/// The longest line that a child process may say; a longer one ends the run.
pub(crate) const LINE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long a subject may take to accept its first connection.
pub(crate) const START_NS_MAX: u64 = 15_000_000_000;

/// How long all subscribers together may take to connect and join.
pub(crate) const CONNECT_NS_MAX: u64 = 120_000_000_000;

/// How long the last deliveries may take after the last publish; what has not come by then is lost.
pub(crate) const DRAIN_NS_MAX: u64 = 10_000_000_000;

/// Where it is unknown how many deliveries are due, this long without any means that there are no more.
pub(crate) const QUIET_NS: u64 = 400_000_000;

/// The longest latency a histogram tells apart, in nanoseconds; longer ones count as this.
pub(crate) const LATENCY_NS_MAX: u64 = 120_000_000_000;

/// One event in so many is timed, by its number and the subscriber's: the same ones in every run, and no subscriber or event
/// more than another.
pub(crate) const TIME_EVERY: u64 = 4;

/// A line of a telemetry file; a longer one is refused when the file is read.
pub(crate) const FEED_LINE_BYTES_MAX: usize = 64 * 1024;

/// Lines kept of a telemetry file; after the last the first comes again.
pub(crate) const FEED_LINES_MAX: usize = 200_000;

/// What the floor keeps for a socket that took less than it was sent; more ends the floor, for then it measures
/// nothing.
pub(crate) const FLOOR_OUTBOX_BYTES_MAX: usize = 64 * 1024 * 1024;

const _: () = assert!(READ_BYTES < FRAME_BYTES_MAX);
const _: () = assert!(CONNECTS_UNDER_WAY_MAX < SUBSCRIBERS_PER_WORKER_MAX as usize);
const _: () = assert!(TOPICS_MAX <= 1 << 24);
const _: () = assert!(WORKERS_MAX < 250);
