//! What a shard counts apart by a word: by dialect, by the reason of a refusal, by the kind of a table's error, by the status of an answer.
//!
//! Invariant: every list of words is fixed when the server is compiled, so that no topic, user or client makes it longer. Never allocates.

use crate::dialect::DialectId;
use crate::dialect::RefusalCode;
use crate::limits::DIALECTS_COUNTED_MAX;
use crate::tables::ErrorCode;

/// Statuses that are counted one by one.
pub const STATUSES: [u16; 18] =
    [200, 204, 304, 307, 308, 400, 401, 403, 404, 405, 408, 413, 415, 426, 429, 431, 501, 503];

/// What is counted of one dialect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spoken {
    /// `None`: nobody has spoken so many dialects yet.
    pub dialect: Option<DialectId>,
    /// Connections on which the dialect is spoken now.
    pub connections: u64,
    /// Subscriptions that are told in the dialect now.
    pub subscriptions: u64,
}

/// The counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// By dialect, in the order in which they were first spoken.
    pub spoken: [Spoken; DIALECTS_COUNTED_MAX],
    /// What clients asked for and were refused, by its place in `RefusalCode::ALL`.
    pub refused: [u64; RefusalCode::ALL.len()],
    /// What clients asked of tables and were answered with an error, whoever found it, by its place in `ErrorCode::ALL`.
    pub tables_failed: [u64; ErrorCode::ALL.len()],
    /// Answers to requests by their place in `STATUSES`; the last is every other.
    pub answers: [u64; STATUSES.len() + 1],
}

impl Tally {
    /// The counts of one dialect.
    pub(super) fn of(&mut self, dialect: DialectId) -> &mut Spoken {
        let is_it = |spoken: &Spoken| spoken.dialect.is_none_or(|known| known == dialect);
        let place = self.spoken.iter().position(is_it).unwrap_or(DIALECTS_COUNTED_MAX - 1);
        let spoken = &mut self.spoken[place];
        spoken.dialect.get_or_insert(dialect);
        spoken
    }

    /// Something was refused.
    pub(super) fn refuse(&mut self, code: RefusalCode, count: usize) {
        let place = RefusalCode::ALL.iter().position(|known| *known == code);
        self.refused[place.expect("all of them are there")] += count as u64;
    }

    /// A client is answered with a table's error.
    pub(super) fn fail_table(&mut self, code: ErrorCode) {
        let place = ErrorCode::ALL.iter().position(|known| *known == code);
        self.tables_failed[place.expect("all of them are there")] += 1;
    }

    /// A request was answered with these bytes.
    pub(super) fn answer(&mut self, reply: &[u8]) {
        let status = reply.get(STATUS_AT).and_then(|word| std::str::from_utf8(word).ok());
        let status = status.and_then(|word| word.parse().ok()).unwrap_or(0_u16);
        let place = STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len());
        self.answers[place] += 1;
    }
}

/// Where the status stands in a status line.
const STATUS_AT: std::ops::Range<usize> = 9..12;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::native::NATIVE;
    use crate::dialect::native::NATIVE_SSE;

    #[test]
    fn each_dialect_has_its_own_counts_and_more_than_can_be_counted_share_the_last() {
        let mut tally = Tally::default();
        tally.of(NATIVE).connections += 2;
        tally.of(NATIVE_SSE).connections += 3;
        tally.of(NATIVE).subscriptions += 1;
        assert_eq!(
            tally.spoken[..2],
            [
                Spoken { dialect: Some(NATIVE), connections: 2, subscriptions: 1 },
                Spoken { dialect: Some(NATIVE_SSE), connections: 3, subscriptions: 0 },
            ]
        );
        tally.spoken.iter_mut().skip(1).for_each(|spoken| spoken.dialect = Some(NATIVE));
        tally.of(NATIVE_SSE).connections += 5;
        assert_eq!(tally.spoken.last().unwrap().connections, 5);
    }

    #[test]
    fn answers_are_counted_by_their_status() {
        let mut tally = Tally::default();
        for reply in [&b"HTTP/1.1 200 OK"[..], b"HTTP/1.1 503 x", b"HTTP/1.1 599 x", b"HTT"] {
            tally.answer(reply);
        }
        let count = |status: u16| {
            let place = STATUSES.iter().position(|known| *known == status);
            tally.answers[place.unwrap_or(STATUSES.len())]
        };
        assert_eq!((count(200), count(503), count(0)), (1, 1, 2));
    }
}
