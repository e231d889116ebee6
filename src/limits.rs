//! Every bound of the server, related to one another at compile time.
//!
//! Invariant: a server that starts can hold everything these limits allow. Nothing here is ever changed at run time; what an
//! operator may set is in `config`, whose defaults come from here.

// By their paths, since the models of `tests/model` take this file in, too.
#[path = "limits/access.rs"]
mod access;
#[path = "limits/acme.rs"]
mod acme;
#[path = "limits/admin.rs"]
mod admin;
#[path = "limits/cache.rs"]
mod cache;
#[path = "limits/dialects.rs"]
mod dialects;
#[path = "limits/filters.rs"]
mod filters;
#[path = "limits/hooks.rs"]
mod hooks;
#[path = "limits/mqtt.rs"]
mod mqtt;
#[path = "limits/past.rs"]
mod past;
#[path = "limits/sources.rs"]
mod sources;
#[path = "limits/tables.rs"]
mod tables;
#[path = "limits/tls.rs"]
mod tls;

pub use access::*;
pub use acme::*;
pub use admin::*;
pub use cache::*;
pub use dialects::*;
pub use filters::*;
pub use hooks::*;
pub use mqtt::*;
pub use past::*;
pub use sources::*;
pub use tables::*;
pub use tls::*;

/// Bytes of a topic name; a longer one is refused with `bad_topic`.
pub const TOPIC_BYTES_MAX: usize = 255;
/// Segments of a topic name or pattern; more are refused with `bad_topic`.
pub const TOPIC_SEGMENTS_MAX: usize = 16;
/// Bytes of an event's key; a longer one is refused with `too_large`.
pub const KEY_BYTES_MAX: usize = 255;
/// Bytes of one event's payload; a larger one is refused with `too_large`.
pub const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of what a publisher says of an event besides, as its dialect writes it (properties of an MQTT message); more is refused in the dialect's words.
pub const META_BYTES_MAX: usize = 256 * 1024;

/// Subscriptions of one connection; one more is refused with `too_many_subscriptions`. A set of them is one `u64`.
pub const SUBSCRIPTIONS_MAX: usize = 64;
/// Topics of one subscription; more are refused with `bad_field`.
pub const SUBSCRIPTION_TOPICS_MAX: usize = 64;
/// Members of one subscription's `fields`; more are refused with `bad_field`.
pub const SUBSCRIPTION_FIELDS_MAX: usize = 64;
/// Bytes of a subscription's or a message's id; a longer one is refused with `bad_field`.
pub const ID_BYTES_MAX: usize = 64;
/// Events of one `batch` message that a subscriber may ask for; more are refused with `bad_field`.
pub const BATCH_EVENTS_MAX: u16 = 1024;
/// Longest delay that a subscriber may ask for, in milliseconds; more is refused with `bad_field`.
pub const BATCH_DELAY_MS_MAX: u32 = 10_000;
/// Bytes at which an open `batch` message is closed, whatever was asked for.
pub const BATCH_BYTES_MAX: usize = 256 * 1024;

/// Events that travel between two shards as one message; a longer run is cut.
pub const RUN_EVENTS_MAX: usize = 256;
/// Bytes of events that travel between two shards as one message, but for a single larger event; a longer run is cut.
pub const RUN_BYTES_MAX: usize = 1024 * 1024;
/// Messages that wait for one other party, in each lane. At the limit what can be refused is refused at its source with `full`: publishes,
/// questions to the registrar, revocations. What cannot be is kept, and there is at most one of it for each connection of
/// the party that asked: an answer to a publish, to a question or to a handshake, a request for all topics, a farewell to the registrar; and for each
/// subscription and home one request for a page. Pages themselves are read only once there is room.
pub const MESH_PENDING_MAX: usize = 1024;
/// Bytes that wait for one other party, in each lane; at the limit as above. Events that wait for several parties exist once.
pub const MESH_PENDING_BYTES_MAX: usize = 4 * 1024 * 1024;
/// One such part of the bytes that may wait for other parties, or to be fanned out, is for pages of the past, the rest for what is new: so nobody is
/// refused on account of those who read the past. At its limit pages are not read before there is room.
pub const MESH_PAST_SHARE: usize = 4;
/// Pages of the past that wait for one other party; at the limit as above.
pub const MESH_PAGES_MAX: usize = 256;
/// Messages in a party's inbox, in each lane; at the limit senders keep theirs, and then refuse.
pub const INBOX_MESSAGES_MAX: usize = 512;
/// Bytes in a party's inbox, in each lane, but for a single larger message; at the limit senders keep theirs, and then refuse.
pub const INBOX_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Pages of history that a home reads between two rounds of fanning out; at the limit requests wait for the next round, so that many who
/// reconnect at once do not hold up a revocation.
pub const PAGES_PER_TURN_MAX: usize = 16;
/// Events of a home of durable topics that lie with the store and are not stored; at the limit publishes to these topics are refused with `full`.
pub const STORE_LINE_EVENTS_MAX: usize = 16 * 1024;
/// Bytes of such events, but for one run; at the limit likewise.
pub const STORE_LINE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Milliseconds that a publisher waits for the store; then it is told that nobody knows what becomes of its events, and until the store has answered
/// further publishes to durable topics are refused with `unavailable`.
pub const STORE_RUN_MS_MAX: u64 = 30_000;
/// Pages that a home has asked the store for, or that have come from there and are not on their way; at the limit further requests wait, of which there
/// is one for each subscription and home.
pub const STORE_PAGES_MAX: usize = 16;
/// Milliseconds that a reader waits for a page of the store; then it is told of a gap, and goes on with what memory holds.
pub const STORE_PAGE_MS_MAX: u64 = 10_000;
/// How often a page of last events is asked for again since the store read it before what memory still holds; then its reader is told of a gap.
pub const STORE_PAGE_RETRIES_MAX: u8 = 3;

/// When a shard holds too much of what has come in part, those that hold the most let go of theirs until one such part of the budget is free: looking for
/// them costs a pass over all.
pub const INPUT_FREED_SHARE: usize = 8;

/// Bytes of frames that one flush may hold for all classes, and bytes of them that are copied side by side; at the limit the shard flushes before it takes
/// the next event, what the same event adds is in pieces, and frames are put side by side as they are sent.
pub const FLUSH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes that one class's members are sent at a time, and so what each may be owed at once; at the limit the shard flushes. Sixty-four
/// frames of telemetry cost little more to send than one.
pub const CLASS_BYTES_MAX: usize = 64 * 1024;
/// Frames that one class may hold between two flushes; at the limit the shard flushes.
pub const FLUSH_FRAMES_MAX: usize = 1024;
/// Bytes of a payload from which an event is large: its frames are sent in pieces, of which the payload is one that lies in memory once.
pub const LARGE_BYTES: usize = 32 * 1024;
/// Bytes of a part of a large payload that is not worth a piece of its own; it is copied.
pub const PART_BYTES_MIN: usize = 256;
/// Bytes of deflated texts of large events that may wait in a shard for those who are behind; at the limit further ones are sent plain.
pub const LARGE_TEXTS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Pieces that are handed to a socket in one call; more take another call.
pub const PIECES_PER_SEND_MAX: usize = 64;
/// Bytes of pieces up to which copying them into one run is cheaper than handing them to the kernel one by one.
pub const PIECES_COPIED_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a chunk that a solo connection is sent at a time, and at which it yields to the others.
pub const SOLO_CHUNK_BYTES: usize = 64 * 1024;
/// Bytes of events that a connection's outbox may hold by default; at the limit the subscription's slow policy applies.
pub const OUTBOX_BYTES_MAX: usize = 1024 * 1024;
/// An outbox cannot be filled in fewer rounds, and so turns, than this: whoever reads has so many chances to take what waits before it is too much.
pub const OUTBOX_ROUNDS_MIN: usize = 8;
/// Bytes of events that a connection's outbox may hold even if those of all others have used up what the shard has for them.
pub const OUTBOX_SPARE_BYTES: usize = 4 * 1024;
/// When all outboxes of a shard together hold more than they may, those give way that hold more than their share, the largest first, until one such part
/// of the budget is free: looking for them costs a pass over all connections.
pub const OUTBOXES_FREED_SHARE: usize = 8;
/// Milliseconds until they are looked for again if none was found.
pub const OUTBOXES_RELIEF_MS: u64 = 100;
/// One such part of the bytes of outboxes is for batches that are being filled, and for the events in them; at the limit those that are due next are sent
/// before their time, and nothing of them is lost.
pub const BATCHES_SHARE: u64 = 8;
/// Bytes of a connection that is idle, everything counted.
pub const CONNECTION_BYTES: u64 = 512;
/// The memory that is left when what does not depend on any setting is taken away is divided into so many shares; what each is for stands in
/// `server/memory`, and the operator may set each otherwise. At its limit each has a behaviour of its own, which stands there, too.
pub const MEMORY_SHARES: u64 = 64;
/// What part of the memory is not counted, because it is lost between what is allocated: a fifth, so a quarter of what is counted.
pub const MEMORY_SLACK_SHARE: u64 = 5;
/// Bytes of the place that a connection has where users and addresses are counted: two tables as empty as they may be, and the name of a user.
pub const PLACE_BYTES: u64 = 768;
/// Bytes of the process when nothing is connected: its code, its own threads' stacks, the keys that tokens are checked with. `tests/command/idle_memory.rs`
/// measures it and the next.
pub const PROCESS_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes of a shard when nothing is connected to it, besides its read buffer: its thread, runtime, scratch buffers and tables.
pub const SHARD_BYTES: u64 = 512 * 1024;
/// Bytes of what is remembered of forgotten topics that nobody asked for.
pub const TOPICS_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;
/// Bytes of rates, revocations and the like that nobody asked for.
pub const TABLES_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;
/// Bytes of history that nobody asked for.
pub const HISTORY_BYTES_DEFAULT: u64 = 512 * 1024 * 1024;
/// Bytes of last events per key that nobody asked for.
pub const LAST_BYTES_DEFAULT: u64 = 256 * 1024 * 1024;
/// Topics whose dropped events one connection may have to announce at a time; at the limit it is closed with 4008.
pub const GAP_TOPICS_MAX: usize = 1024;
/// Sets of subscriptions for which one connection counts apart what was passed over; at the limit a notice names more of them than it was for.
pub const SKIPPED_SETS_MAX: usize = 64;
/// Microseconds by which a position may lie ahead of the clock: stamps run ahead of it when many events come in one moment. One that lies
/// further ahead is none of this server's, and its client is told of a gap.
pub const POSITION_AHEAD_US: u64 = 1_000_000;
/// Names that are looked at to find the topics of a pattern; of more the events are gone through in their order instead.
pub const SELECT_NAMES_MAX: usize = 1024;
/// Events that one tick lets go of because they are too old; the rest waits for the next one, so that a clock that is set forward stops nobody for
/// longer than some milliseconds.
pub const EXPIRE_PER_TICK_MAX: usize = 16 * 1024;
/// Topics that one tick forgets; the rest waits for the next one, or for the want of memory. Forgetting one takes about a microsecond, so that
/// a million of them take some thousandths of a core for minutes.
pub const FORGET_PER_TICK_MAX: usize = 256;

/// Bytes of a block's summary or body in the log, unpacked; a head that says more is none. An event as large as it may be fits, with the one before it and what is said of it besides.
pub const LOG_BLOCK_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of events at which a block of the log is closed and the next one begun: what a reader unpacks at a time.
pub const LOG_BLOCK_BYTES: usize = 256 * 1024;
/// Events of one block of the log; the next ones are in another.
pub const LOG_BLOCK_EVENTS_MAX: usize = 4096;
/// Bytes between two places of a segment that are known without reading it; a reader goes through what lies between.
pub const LOG_PLACE_BYTES: u64 = 256 * 1024;
/// Bytes at which a segment of the log is sealed and the next one begun, unless it is said otherwise.
pub const LOG_SEGMENT_BYTES: u64 = 16 * 1024 * 1024;
/// Events of one class that may lie in the log without being synced; at the limit they are synced before the next one is written, whatever
/// the operator asked for. After a loss of power offsets go on so far behind, so that none is given twice.
pub const LOG_UNSYNCED_EVENTS_MAX: u64 = 1_000_000;
/// Offsets left out for a byte of the log whose events nobody knows: an event takes 6 bytes at least, and lz4 makes 255 of one at most.
pub const LOG_SKIP_PER_BYTE: u64 = 64;
/// Bytes of last events per key that the tools for a folder carry over from segments that are unlinked; at the limit those unchanged the longest go. A server's share of the memory says how many.
pub const LOG_CARRIED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of the buffer in which a group is put together that are kept for the next one; a larger one is made anew.
pub const LOG_BUFFER_KEPT_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a last event that are reckoned with before it is read.
pub const LOG_LAST_EVENT_BYTES: usize = 512;
/// Bytes that the tools for a folder take to know which event of each key is its newest, and a server at most; at the limit an eighth of the keys, those unchanged the longest, are
/// forgotten, and `since: last` says of them that they are gone.
pub const LOG_KEYS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Segments of a class that are open for reading at a time; at the limit the one that was not asked for the longest is closed.
pub const LOG_SEGMENTS_OPEN_MAX: usize = 8;
/// Steps that are taken for one page of the log, but for those of the block at hand: at the limit it ends there, however few events are on it.
pub const LOG_PAGE_WORK_MAX: usize = 16 * 1024;
/// Steps of reading a block, besides those of its events.
pub const LOG_BLOCK_WORK: usize = 64;
/// Topics of which one page of the log says that something is gone; at the limit it ends there, and the next one goes on.
pub const LOG_LOST_MAX: usize = 1024;

/// Events that the store writes at a time; the next group has the rest. Also the runs that may wait for it: at the limit they stay in its inbox, and then with their homes, who
/// refuse with `full`.
pub const STORE_GROUP_EVENTS_MAX: usize = 8 * 1024;
/// Bytes of events that the store writes at a time, but for a single larger run; twice as many may wait.
pub const STORE_GROUP_BYTES_MAX: usize = RUN_BYTES_MAX;
/// Deletes of one group whose keys' last events their homes have forgotten, so that the store looks them up, but for those of a single run; further ones wait for the next group. Each may cost
/// reading a block, about a millisecond.
pub const STORE_BEFORES_MAX: usize = 32;
/// Bytes of events that are looked up for one group; those beyond it are not known to anybody, and whoever is confined by a filter is not told of their keys' end.
pub const STORE_BEFORES_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Wishes to read that wait for the store; one more is answered with `Busy`, and its reader is told of a gap.
pub const STORE_PAGES_ASKED_MAX: usize = 64 * 1024;
/// Milliseconds that what was written may lie unsynced, unless it is said otherwise.
pub const STORE_SYNC_MS: u64 = 200;
/// Milliseconds that it may be let lie by the configuration.
pub const STORE_SYNC_MS_MAX: u64 = 60_000;
/// Bytes of the store besides what its share of the memory is for: its lanes, the group that is written, sessions that are, the blocks that are read.
pub const STORE_BYTES: usize = 27 * 1024 * 1024;
/// The store has one such part of the memory for history, if there is one: to know which event of each key is its newest, for last events that outlive their segments,
/// for what was revoked, and for blocks that were read of late. It is divided into so many again.
pub const STORE_SHARE: u64 = 4;
/// The store has one such part of its share of the memory to find sessions in the folder; at the limit further ones are not written: the client that waits for it is refused with 0x97.
pub const STORE_SESSIONS_SHARE: usize = 16;
/// Microseconds after which the store looks again for segments that may be let go of, and for room if there was none.
pub const STORE_TIDY_US: u64 = 1_000_000;
/// Microseconds that it lets segments lie beyond that as long as somebody reads.
pub const STORE_TIDY_LATE_US: u64 = 10_000_000;
/// Microseconds between two looks of the store at what it has counted.
pub const STORE_FIGURES_US: u64 = 100_000;
/// Bytes that are written to see whether a disk that was full has room again.
pub const STORE_PROBE_BYTES: usize = 256 * 1024;
const _: () = assert!(
    2 * INBOX_BYTES_MAX
        + 3 * STORE_GROUP_BYTES_MAX
        + STORE_BEFORES_BYTES_MAX
        + 2 * LOG_BLOCK_BYTES_MAX
        + LOG_BUFFER_KEPT_BYTES_MAX
        + 3 * SESSIONS_GROUP_BYTES_MAX
        <= STORE_BYTES
);

/// Deflate streams that the classes of one shard may own (about 315 KB each); classes beyond it send plain frames.
pub const DEFLATE_STREAMS_MAX: usize = 16;
/// Messages after which a class's shared deflate stream starts anew, so that those out of step may join it.
pub const DEFLATE_EPOCH_MESSAGES: u32 = 64;
/// Bytes below which a message is not worth deflating on its own.
pub const DEFLATE_ALONE_BYTES_MIN: usize = 300;

/// Bytes read from a socket at a time; one buffer per shard.
pub const READ_BYTES: usize = 64 * 1024;

/// Connections that wait to be accepted; beyond it the kernel lets clients try again.
pub const BACKLOG: u32 = 4096;
/// Seconds after which a connection is accepted that has not said anything; one that has is accepted at once.
pub const DEFER_S: u16 = 1;
/// Events that one turn of a core takes from epoll; the rest is taken by the next turn.
pub const EPOLL_EVENTS_MAX: usize = 1024;
/// Connections that one turn accepts; the rest is accepted by the next turn.
pub const ACCEPTS_PER_TURN_MAX: usize = 256;
/// Reads of one connection in one turn; at the limit the others have their turn first.
pub const READS_PER_TURN_MAX: usize = 4;
/// Units of work that a turn of a shard does before everything else has its turn, until its core knows how long a unit takes: some 5 ms' worth.
pub const UNITS_TURN: u64 = 1_000 * UNITS_SEND;
/// Units that a turn does at least, whatever its core believes: some for members, some for those who are solo.
pub const UNITS_TURN_MIN: u64 = FLIGHT_UNITS_SHARE * UNITS_SEND;
/// Units that a turn does at most, however fast a core believes to be.
pub const UNITS_TURN_MAX: u64 = 20 * UNITS_TURN;
/// Microseconds that a turn's work is meant to take.
pub const WORK_US: u64 = 5_000;
/// One in so many units of a turn is for connections that are not in step: an answer does not wait until ten thousand members were sent to.
pub const FLIGHT_UNITS_SHARE: u64 = 4;
/// Units of one `send` of few bytes, which costs some 5 us: so a unit is about 50 ns.
pub const UNITS_SEND: u64 = 100;
/// Bytes sent that take one more unit: 64 KiB take the kernel some 13 us.
pub const UNIT_BYTES: usize = 256;
/// Units of matching and encoding an event.
pub const UNITS_EVENT: u64 = 20;
/// Units of letting go of an event, or of a topic: about a microsecond.
pub const UNITS_GONE: u64 = 20;
/// Units of encoding an event for one connection.
pub const UNITS_ENCODED: u64 = 8;
/// Units of an event for one more class or outbox.
pub const UNITS_QUEUED: u64 = 2;
/// Data messages of other parties that one turn takes; the rest is taken by the next turn. Control messages are all taken.
pub const INBOX_PER_TURN_MAX: usize = 256;
/// A core under load waits for more events for one such part of what telling the last ones took.
pub const RUSH_SHARE: u64 = 16;
/// Rounds without company after which it expects none.
pub const RUSH_ROUNDS: u8 = 8;
/// Microseconds that it waits at most.
pub const RUSH_WAIT_US_MAX: u64 = 4_000;
/// Microseconds below which it does not wait: putting a thread to sleep and waking it costs some of them.
pub const RUSH_WAIT_US_MIN: u64 = 50;
/// Microseconds for which a core that was busy waits at its sockets before it sleeps in its runtime.
pub const NAP_US: u64 = 1_000;
/// Milliseconds between two ticks of a shard.
pub const TICK_MS: u64 = 100;
/// Words about listeners that wait for a core; at the limit whoever reads the configuration anew waits for it.
pub const RELISTEN_MAX: usize = 2;
/// Milliseconds within which a core has opened listeners that were added; then the configuration is not taken.
pub const RELISTEN_MS_MAX: u64 = 10_000;
/// Milliseconds between two complaints of a core that can accept nothing; those in between are left out.
pub const SHORTAGE_TOLD_MS: u64 = 60_000;
/// Milliseconds after which a core whose message did not fit another's inbox tries again.
pub const MESH_RETRY_MS: u64 = 1;
/// Seconds after which a peer that acknowledges nothing may be given up, at least: the kernel tries again some times within that.
pub const PEER_TIMEOUT_S_MIN: u64 = 4;
/// Milliseconds that a closed socket waits for its peer to close too; then it goes anyway.
pub const LINGER_MS: u64 = 2_000;
/// Closed sockets of a core that wait for their peers; at the limit the oldest goes at once.
pub const LINGERING_MAX: usize = 16_384;
/// Reads that throw away a closed socket's input, per tick; the rest waits for the next one.
pub const LINGER_READS_MAX: usize = 8;
/// Connections of a server whose operator has not said how many, if the limit on open files and the memory allow them; one more is closed at once.
pub const CONNECTIONS_DEFAULT: u64 = 100_000;
/// Descriptors of each table that are not for connections, whatever is started: standard streams, key fetching, ports that are held while
/// the server starts. Beyond them, and those below as far as they are configured, accepting rests until something closes.
pub const FDS_RESERVED: u64 = 24;
/// Descriptors that each shard needs for itself, besides one for each of its listeners: its runtime, doorbell, epoll instance, timer, and what its sockets are handed over by.
pub const FDS_RESERVED_SHARD: u64 = 11;
/// Addresses that one dialect's own listeners have; more stop the start.
pub const LISTENS_MAX: usize = 8;
/// Descriptors of each connection to a file of SQLite: the file, its log of writes, and what both share.
pub const FDS_SQLITE: u64 = 3;
/// Descriptors of each connection of ours that may be open to a database, a cache or whoever answers hooks: one that is given up lives on for a moment beside the next.
pub const FDS_OUTBOUND: u64 = 2;
/// Descriptors of what is kept on disk: the folder's lock, and the copies of the ledger.
pub const FDS_STORE: u64 = 8;
/// Descriptors of each table of durable topics: its segments that are open, the one that is written, and its folder.
pub const FDS_STORE_CLASS: u64 = LOG_SEGMENTS_OPEN_MAX as u64 + 4;
/// Bytes of one shared deflate stream, about: what zlib-rs allocates at a window of 15 bits.
pub const DEFLATE_STREAM_BYTES: usize = 320 * 1024;

const _: () = assert!(SUBSCRIPTIONS_MAX <= u64::BITS as usize, "a set of subscriptions is one u64");
const _: () = assert!(
    LOG_BLOCK_BYTES + 2 * (PAYLOAD_BYTES_MAX + KEY_BYTES_MAX) + META_BYTES_MAX + 64
        <= LOG_BLOCK_BYTES_MAX
        && LOG_BLOCK_EVENTS_MAX * (TOPIC_BYTES_MAX + 64) <= LOG_BLOCK_BYTES_MAX,
    "whatever a block is given fits it"
);
const _: () = assert!(PART_BYTES_MIN <= LARGE_BYTES && LARGE_BYTES <= CLASS_BYTES_MAX);
const _: () = assert!(BATCH_BYTES_MAX <= FLUSH_BYTES_MAX, "one closed batch must fit a flush");
const _: () = assert!(PAGE_BYTES_MAX <= OUTBOX_BYTES_MAX, "a page must fit an outbox");
const _: () = assert!(OUTBOX_SPARE_BYTES <= OUTBOX_BYTES_MAX);
const _: () =
    assert!(INBOX_PER_TURN_MAX <= INBOX_MESSAGES_MAX, "a turn takes no more than an inbox holds");
const _: () = assert!(RUN_BYTES_MAX <= INBOX_BYTES_MAX && RUN_BYTES_MAX <= MESH_PENDING_BYTES_MAX);
const _: () = assert!(PAGE_BYTES_MAX <= INBOX_BYTES_MAX, "a page fits an inbox");
const _: () = assert!(STORE_PAGE_MS_MAX < STORE_RUN_MS_MAX);

/// Bytes of a request head, request line and fields together; more are refused with 431.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Seconds that a browser may keep what it was told about the requests of a page of another origin; then it asks again.
pub const PREFLIGHT_KEPT_S: u32 = 600;
/// Fields of a request head; more are refused with 431.
pub const HEAD_FIELDS_MAX: usize = 100;
/// Bytes of a request line (RFC 9112 section 3 recommends at least 8000); more are refused with 414.
pub const REQUEST_LINE_BYTES_MAX: usize = 8 * 1024;
/// Bytes that a chunked body may spend on chunk extensions and trailers, in all; more are refused with 431.
pub const BODY_OVERHEAD_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a WebSocket message, also after inflating, that a listener may be configured to take; more close with 1009.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Frames of one WebSocket message: 65,536 with something in them, and the empty one that some senders end with (Autobahn's cases 9.3.1
/// and 9.4.1 among them); more close with 1009.
pub const MESSAGE_FRAMES_MAX: u32 = 65_536 + 1;
/// Ended deflate streams within one compressed message; more close with 1007. An honest sender ends one.
pub const INFLATE_STREAMS_MAX: u32 = 64;
/// Buffers of what clients send, and of long batches, have room for one such part more than they hold, rather than for twice as much, when they grow.
pub const INPUT_GROWTH_SHARE: usize = 4;
/// Bytes by which such a buffer grows at least.
pub const INPUT_GROWTH_BYTES_MIN: usize = 4 * 1024;
/// Bytes inflated between two looks at the message limit and at the UTF-8; bounds what a hostile message costs beyond both.
pub const INFLATE_STEP_BYTES: usize = 32 * 1024;
/// Half-received messages whose buffers a shard keeps for the next one; further ones are freed.
pub const PARTIAL_SPARES_MAX: usize = 64;
/// Bytes of such a buffer; a larger one is freed.
pub const PARTIAL_SPARE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of each of the two buffers into which a shard inflates, kept between two messages; larger ones are freed with their message.
pub const INFLATED_KEPT_BYTES_MAX: usize = 1024 * 1024;

// A head's parts are addressed with 16 bits.
const _: () = assert!(HEAD_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(REQUEST_LINE_BYTES_MAX < HEAD_BYTES_MAX);
// Lengths of a message are counted in 32 bits.
const _: () = assert!(MESSAGE_BYTES_MAX <= u32::MAX as usize / 2);

/// Events that have arrived at a shard and wait to be fanned out; at the limit its home refuses publishes with `full`, and it
/// takes nothing more from its inbox.
pub const ARRIVED_EVENTS_MAX: usize = 4096;
/// Pages of the past that wait so; at the limit no more of them are read for its own connections.
pub const ARRIVED_PAGES_MAX: usize = 256;
/// Bytes of events and pages that have arrived at a shard and wait to be fanned out; at the limit as above.
pub const ARRIVED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Milliseconds from one wish of a shard for fresh keys to its next; tokens with unknown keys in between wish for nothing.
pub const KEYS_WISH_MS: u64 = 100;
/// Shards of a process; sets of them are one `u64`.
pub const SHARDS_MAX: u16 = 64;
/// If not even one in so many of those who were told something keeps up, while events come faster than they are told, the core is the bottleneck
/// and not they: it then takes no new events for a while.
pub const BRAKE_SHARE: usize = 16;
/// A connection that is behind is taken to read for so long after its socket last moved, in milliseconds: a client with thousands of
/// connections takes seconds to come round to each.
pub const BRAKE_MOVED_MS: u64 = 10_000;
/// Whoever has not taken one in so many parts of what its outbox may hold keeps up still.
pub const BRAKE_UNREAD_SHARE: usize = 8;
/// Milliseconds for which a shard is held at most before it tells something again.
pub const BRAKE_HELD_MS_MAX: u64 = 2_000;

const _: () = assert!(2 * SHARDS_MAX as u32 <= u128::BITS, "a set of homes is one u128");

/// Bytes that a connection may have left unread, events and all, before nothing more of what it says is carried out or read.
pub const OUTBOX_INPUT_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of answers that it may have left unread before that; what it has said beyond waits as bytes, of which there is one read.
pub const ANSWERS_BYTES_MAX: usize = 64 * 1024;
/// Bytes of drafts that one connection publishes at once, each counted with `DRAFT_BYTES` more; what it says beyond them is carried out once
/// they have their places. One draft may go beyond it.
pub const DRAFTS_BYTES_MAX: usize = 256 * 1024;
/// Bytes that a draft takes besides its topic, key and payload, its answer among them.
pub const DRAFT_BYTES: usize = 256;
/// Questions of one connection that are not answered; at the limit nothing more of what it says is heard until they are. Questions about events are
/// bounded by the drafts' bytes before; this is for those that bring none.
pub const TICKETS_MAX: usize = 2048;
const _: () =
    assert!(DRAFTS_BYTES_MAX / DRAFT_BYTES < TICKETS_MAX, "a run is bounded by its bytes first");
/// Bytes of drafts that all connections of a shard publish in one turn of it; what they say beyond them is carried out in the next.
pub const HEARD_BYTES_MAX: usize = 1024 * 1024;
/// Subscriptions that a shard looks at in one turn as connections begin, change or end some: all that such a connection has then. What is said beyond
/// them is carried out in the next turn; one message may go beyond it.
pub const SUBSCRIBED_MAX: usize = 256;
const _: () = assert!(DRAFTS_BYTES_MAX < HEARD_BYTES_MAX, "a turn takes a run of anyone");
const _: () = assert!(
    HEARD_BYTES_MAX / DRAFT_BYTES <= ARRIVED_EVENTS_MAX,
    "what a turn takes is not refused for want of room if all that arrived before was told"
);
const _: () = assert!(ANSWERS_BYTES_MAX <= OUTBOX_INPUT_BYTES_MAX);
/// Bytes of an upload that are looked at between two looks at how much it publishes at once.
pub const UPLOAD_STEP_BYTES: usize = 4 * 1024;
/// Faulty lines of one upload that are reported one by one; further ones are only counted.
pub const UPLOAD_ERRORS_MAX: usize = 100;
/// How long an upload waits for a full server before it is told so, in milliseconds.
pub const UPLOAD_HELD_MS_MAX: u64 = 2000;
/// How long it waits between two attempts, in milliseconds.
pub const UPLOAD_RETRY_MS: u64 = 5;
/// How long an upload whose publisher has reached `publish_per_s` waits between two attempts, in milliseconds.
pub const UPLOAD_RATE_RETRY_MS: u64 = 50;
/// As that, if nothing was taken at the last attempt: in another rhythm, so that of two uploads of one user neither always comes second.
pub const UPLOAD_RATE_EMPTY_RETRY_MS: u64 = 20;
/// A publisher's rate is handed out to the shards in portions, each so many parts of a second's worth; what is left of one after
/// `PUBLISH_PORTION_MS` is lost.
pub const PUBLISH_PORTIONS_PER_S: u32 = 32;
/// How long a portion may be used up, in milliseconds.
pub const PUBLISH_PORTION_MS: u64 = 1000;
/// What a refused publisher is asked to wait, in seconds (`Retry-After`).
pub const RETRY_AFTER_S: u32 = 1;

/// Event types that one Provisioning client may name (its own limit); more are answered with `subscription limit exceeded`.
pub const PROVISIONING_TYPES_MAX: usize = 50;
/// Members in a Provisioning filter; more are answered with an error.
pub const PROVISIONING_FILTERS_MAX: usize = 16;
/// Events in one post; more are refused with 400.
pub const PROVISIONING_POST_EVENTS_MAX: usize = RUN_EVENTS_MAX;
/// Bytes of one post; more are refused with 413.
pub const PROVISIONING_POST_BYTES_MAX: usize = 4 * PAYLOAD_BYTES_MAX;
/// Seconds that a Provisioning client has to say who it is; then it is closed with 1008.
pub const PROVISIONING_AUTH_S: u32 = 10;
const _: () = assert!(PROVISIONING_TYPES_MAX <= SUBSCRIPTIONS_MAX);
/// Log entries of its own that one shard publishes a second; further ones are in the log only.
pub const OWN_LOGS_PER_S: u32 = 10;

/// Bytes of the header that a proxy writes before everything else (PROXY protocol); a longer one closes the connection.
pub const PROXY_HEADER_BYTES_MAX: usize = 2048;
/// Proxies that a request may have passed, of those that are trusted to say so; one that has passed more is refused with 400.
pub const PROXY_HOPS_MAX: usize = 16;
const _: () = assert!(PROXY_HEADER_BYTES_MAX <= TLS_HANDSHAKE_INPUT_BYTES_MAX);

/// Milliseconds after which a client that is sent away is asked to come back at the earliest: what a server needs to start again.
pub const RETURN_MS_MIN: u64 = 500;
/// Clients that are asked to come back in a second, as long as `return_spread_s` allows; at that bound more come in a second.
pub const RETURNS_PER_S: u64 = 1000;
/// Settings read anew that wait for a core; at the limit whoever reads them waits, for `RELOAD_MS_MAX` at most.
pub const SETTINGS_RENEWALS_MAX: usize = 4;
/// Milliseconds that a core may take to hear of settings that were read anew; then that is said in the log, and it hears of the next ones.
pub const RELOAD_MS_MAX: u64 = 5_000;
