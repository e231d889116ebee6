//! What a shard has counted: plain integers, added up over the shards by whoever reads them.

use super::tally::Tally;
use super::transport::Voice;

/// What deflating messages has made of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deflated {
    pub from_bytes: u64,
    pub to_bytes: u64,
}

/// Who is behind, as it was when all connections were last looked at, which takes a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    /// Connections to which something is owed.
    pub connections: u64,
    /// The most bytes that one of them is owed.
    pub bytes_most: u64,
    /// Bytes that all outboxes hold together.
    pub outbox_bytes: u64,
}

/// Sessions whose clients are gone, and what clients share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionsLeft {
    pub sessions: u64,
    pub bytes: u64,
    /// Sessions that have ended since what they waited for was no longer kept.
    pub lost: u64,
    /// Sessions that have ended for want of room.
    pub crowded_out: u64,
    /// Sessions that could not be written to the folder when they were to be.
    pub unkept: u64,
    /// Messages of shared subscriptions that were dropped, since none of those who share them could take them.
    pub unshared: u64,
}

/// Counters since the start, and a few levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Open connections of every kind.
    pub connections: u64,
    pub connections_opened: u64,
    /// Connections that were closed at once, for there are as many as there may be.
    pub connections_refused: u64,
    pub subscriptions: u64,
    pub classes: u64,
    /// Topics at home here.
    pub topics: u64,
    /// Events ordered here.
    pub published: u64,
    pub published_bytes: u64,
    /// Events refused because something was full.
    pub refused_full: u64,
    /// How often events were made to wait for those who listen.
    pub held: u64,
    /// Events refused because their publisher had published too many lately.
    pub refused_rate: u64,
    /// Rows of tables that changed and that nobody could be told of.
    pub rows_untold: u64,
    /// Events fanned out here: every shard sees every event.
    pub events: u64,
    /// Events sent, counted once per connection, whether each has a message of its own or many share one.
    pub deliveries: u64,
    pub sends: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    /// Connections closed because their outbox was full.
    pub slow_disconnects: u64,
    /// Steps that filters took for live events.
    pub filter_steps: u64,
    /// Connections closed because their filters took more work than they may.
    pub filter_work_disconnects: u64,
    /// Events passed over for a newer one of the same key.
    pub skipped: u64,
    /// Events dropped by `drop_oldest`.
    pub dropped: u64,
    /// Connections closed for a violation of their protocol.
    pub violations: u64,
    pub history_events: u64,
    pub history_bytes: u64,
    pub history_keys: u64,
    pub deflate_streams: u64,
    /// Bytes held of what has come in part, or waits for its turn.
    pub input_bytes: u64,
    /// Connections that were refused because of all that held the most of that.
    pub input_refused: u64,
    /// Handshakes of TLS that were done.
    pub tls_handshakes: u64,
    /// Handshakes that failed, and connections whose records were broken.
    pub tls_failures: u64,
    /// Connections closed because all held too many records in part, and they for the longest.
    pub tls_shed: u64,
    /// What is counted apart by a word.
    pub tally: Tally,
    /// Bytes of messages before they were deflated, and after.
    pub deflated: Deflated,
    /// How far those are behind who are.
    pub behind: Behind,
    /// Subscribers that were told of a gap.
    pub gaps: u64,
    pub left: SessionsLeft,
}

impl Stats {
    /// One more subscription stands, on a connection that is spoken to so.
    pub(super) fn add_sub(&mut self, voice: Option<Voice>) {
        self.subscriptions += 1;
        if let Some(voice) = voice {
            self.tally.of(voice.dialect).subscriptions += 1;
        }
    }

    /// So many fewer do.
    pub(super) fn take_subs(&mut self, voice: Option<Voice>, count: usize) {
        self.subscriptions -= count as u64;
        if let Some(voice) = voice {
            self.tally.of(voice.dialect).subscriptions -= count as u64;
        }
    }
}
