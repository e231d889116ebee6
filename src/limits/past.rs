//! Bounds of the past: its pages, those who are told of it, and playback, which tells it at a pace of its own time.
//!
//! Invariant: what one playback holds ahead of its time is a page of each home shard, counted in what all replays may hold.

/// Bytes of one page of replayed events.
pub const PAGE_BYTES_MAX: usize = 256 * 1024;
/// Bytes of one page at least, however little room there is for pages.
pub const PAGE_BYTES_MIN: usize = 2 * 1024;
/// A page may take such a part of the room that is left for pages: the less there is, the smaller they are.
pub const PAGE_ROOM_SHARE: usize = 16;
/// Bytes that a connection's replays may hold even if those of all others have used up what the shard has for them; more waits in line.
pub const REPLAY_SPARE_BYTES: usize = 4 * 1024;
/// Bytes of a replay when it begins, and for each home shard that it asks.
pub const REPLAY_BYTES: usize = 512;
/// Bytes of a topic or key that a replay remembers, without its text, in a table as empty as it may be.
pub const REPLAY_KEY_BYTES: usize = 96;
/// Milliseconds for which those who wait for room see none before it is taken from others: from those who have not taken anything for as long.
pub const REPLAY_STALLED_MS: u64 = 5_000;
/// Milliseconds in which a page is taken while others wait for room; who takes longer may be closed, too.
pub const PAGE_MS_MAX: u64 = 60_000;
const _: () = assert!(PAGE_BYTES_MIN * 2 <= REPLAY_SPARE_BYTES);
/// Events of one page of replayed events.
pub const PAGE_EVENTS_MAX: usize = 1024;
/// Events, keys and topics that are looked at for one page; at the limit it ends there, however few events are on it, and the next one goes on.
pub const PAGE_WORK_MAX: usize = 8 * 1024;
/// The slowest and the fastest that the past is told at, as multiples of its own time; other speeds are refused with `bad_field`.
pub const PLAYBACK_SPEED_MIN: f64 = 0.01;
/// As above.
pub const PLAYBACK_SPEED_MAX: f64 = 10_000.0;
/// Milliseconds to which a silence of the past may be asked to be shortened; longer ones are refused with `bad_field`.
pub const PLAYBACK_GAP_MS_MAX: u32 = 86_400_000;
/// Bytes of a page that is read ahead of the moment at which it is told; a larger one is read in parts.
pub const PLAYBACK_PAGE_BYTES: usize = 64 * 1024;
/// Bytes of a playback when it begins, and for each home shard that it asks.
pub const PLAYBACK_BYTES: usize = 256;
/// Milliseconds of its reader's time that a playback reads ahead; what is due later is read again when its time has come.
pub const PLAYBACK_AHEAD_MS: u64 = 4_000;
/// Milliseconds before it is due that a page is asked for.
pub const PLAYBACK_LEAD_MS: u64 = 50;
/// Milliseconds between two looks at one playback at least: what is due between them goes together.
pub const PLAYBACK_STEP_MS: u64 = 10;
/// As above, however long its batches may wait.
pub const PLAYBACK_STEP_MS_MAX: u64 = 1_000;
/// A playback that is later than so many milliseconds, since its reader or this shard was slow, does not hurry: its clock is set back.
pub const PLAYBACK_LATE_MS: u64 = 1_000;
/// What is due within so many milliseconds is told at once if nothing lies behind it: there playback meets the present.
pub const PLAYBACK_NEAR_MS: u64 = 100;
const _: () = assert!(
    PLAYBACK_AHEAD_MS < REPLAY_STALLED_MS,
    "nobody is closed for want of the room that is held by what is not due yet"
);
const _: () = assert!(PLAYBACK_PAGE_BYTES <= PAGE_BYTES_MAX);
