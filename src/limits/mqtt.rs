//! What a client that speaks MQTT may take: what its packets hold, and what is kept for them.
//!
//! Invariant: as of all limits, each is related to what it has to fit at compile time.

use super::LARGE_BYTES;
use super::META_BYTES_MAX;
use super::OUTBOX_BYTES_MAX;

/// Bytes of a packet's type, flags and remaining length at most (MQTT 5, section 2.1).
pub const MQTT_HEADER_BYTES_MAX: usize = 5;
/// Topic filters in one SUBSCRIBE or UNSUBSCRIBE; a packet with more is answered with DISCONNECT and 0x97, Quota exceeded.
pub const MQTT_FILTERS_MAX: usize = 256;
/// Properties of one packet, user properties among them; a packet with more is malformed here.
pub const MQTT_PROPERTIES_MAX: usize = 256;
/// Bytes of what a message says of itself and goes on with it (content type, response topic, correlation data, user properties); more are refused with 0x97,
/// Quota exceeded. They are copied for each client that is told in words of its own, as a small payload is, and no large one.
pub const MQTT_PROPERTIES_BYTES_MAX: usize = 16 * 1024;
const _: () = assert!(
    MQTT_PROPERTIES_BYTES_MAX <= LARGE_BYTES && MQTT_PROPERTIES_BYTES_MAX <= META_BYTES_MAX
);
/// Bytes of a client identifier; a longer one is refused with 0x85, Client Identifier not valid.
pub const MQTT_CLIENT_ID_BYTES_MAX: usize = 255;
/// Bytes of a will's payload and properties; a larger one is refused with 0x97, Quota exceeded. It lies in memory for as long as its client is connected.
pub const MQTT_WILL_BYTES_MAX: usize = 4096;
/// Bytes of a topic filter, an expression in it included; a longer one is refused with 0x8F, Topic Filter invalid.
pub const MQTT_FILTER_BYTES_MAX: usize = 4096;
/// Topic aliases that one client may set; a greater one is answered with DISCONNECT and 0x94, Topic Alias invalid.
pub const MQTT_TOPIC_ALIASES_MAX: u16 = 32;
/// Messages that one client has been sent and has not acknowledged, if it takes so many; further ones wait in its outbox, and those of QoS 0 do not wait for them.
pub const MQTT_SEND_MAX: u16 = 256;
/// Bytes of messages that one client has been sent and has not acknowledged, but for a single larger one; further ones wait in its outbox. When outboxes and
/// windows together hold more than they may, less is in flight, and those that hold the most are closed.
pub const WINDOW_BYTES_MAX: usize = OUTBOX_BYTES_MAX;
/// Bytes of a session whose client is gone, with its place among them, without its client identifier, its subscriptions and what is in flight.
pub const BOOKMARK_BYTES: usize = 320;
/// One in so many bytes of what sessions may take is free again once some have ended for want of room, so that not each one that is left ends another.
pub const BOOKMARKS_FREED_SHARE: usize = 64;
/// Bytes that sessions take whose clients are gone, if nobody has said how many: some 150,000 of them. Beyond it those end first that would end first, of the user who has left
/// the most; their clients hear Session Present 0.
pub const SESSIONS_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;
/// Bytes of a session in a folder that outlasts a restart: filters and what is in flight. What takes more is not written, and its client hears Session Present 0 after a restart.
pub const SESSION_RECORD_BYTES_MAX: usize = 256 * 1024;
/// Bytes of a session's name there: of a user and of a client identifier.
pub const SESSION_NAME_BYTES_MAX: usize = 8 * 1024;
/// Bytes of a session in the table that finds it in the folder, besides its name.
pub const SESSION_SPOT_BYTES: usize = 96;
/// Bytes of sessions that are written together.
pub const SESSIONS_GROUP_BYTES_MAX: usize = 1024 * 1024;
/// Sessions that wait for the store; of one more nothing is written: the client that waits for it is refused with 0x97, one that is gone hears Session Present 0 after a restart.
pub const SESSIONS_WAITING_MAX: usize = 16 * 1024;
/// Seconds after which the position of a session whose client is there and has acknowledged something is written.
pub const SESSION_NOTED_S: u32 = 1;
/// Seconds after which it is written though its client has acknowledged nothing: what was let go of meanwhile it did not want.
pub const SESSION_AT_REST_S: u32 = 60;
/// Seconds for which a client waits until its session is written; then it is refused with 0x97.
pub const SESSION_KEPT_MS_MAX: u64 = 10_000;
/// Groups that share a subscription, of those that are kept at one shard; whoever would begin one more is sent DISCONNECT 0x97.
pub const SHARED_GROUPS_MAX: usize = 256;
/// Clients in one of them; one more is sent DISCONNECT 0x97.
pub const SHARED_MEMBERS_EACH_MAX: usize = 256;
/// Clients in all of them together; one more is sent DISCONNECT 0x97.
pub const SHARED_MEMBERS_MAX: usize = 4096;
/// Bytes of a member in its group and at its connection, with the list of what it was handed, besides the group's name.
pub const SHARED_MEMBER_BYTES: usize = 384 + 2 * SHARED_AHEAD_MAX as usize * 48;
/// Groups have one such part of what sessions may take at a shard, and sessions what is left; beyond it a client that joins is sent DISCONNECT 0x97, and the oldest that waits in the group
/// with the most is dropped.
pub const SHARED_SHARE: usize = 4;
/// Messages that a member of a group has been handed and is not done with, if it takes so many; others are handed the next ones. What filters of one member take in a second is bounded as what
/// those of one connection do: beyond it the member is passed over.
pub const SHARED_AHEAD_MAX: u16 = 32;
/// Bytes of messages of a group that none of its members could take yet; beyond it the oldest are dropped (`fanwire_shared_dropped_total`).
pub const SHARED_BACKLOG_BYTES_MAX: usize = 1024 * 1024;
/// Messages of those that are looked at in one turn when a member can take one; the next turn goes on.
pub const SHARED_LOOKS_MAX: usize = 64;
/// Seconds for which a session may outlast its connection: a year.
pub const SESSION_S_MAX: u64 = 365 * 24 * 60 * 60;
/// Seconds for which one does, at most, if nobody has said otherwise.
pub const SESSION_S_DEFAULT: u64 = 24 * 60 * 60;
/// Publications of QoS 2 that one client has begun and not released; one more is answered with DISCONNECT and 0x93, Receive Maximum exceeded.
pub const MQTT_RECEIVE_MAX: u16 = 256;
