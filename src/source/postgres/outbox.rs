//! A table that is followed: asked for its next rows whenever somebody says that there are some, and every so often besides.
//!
//! Invariants: rows come in the order of their transactions' ids and of their own; those of a transaction that one still underway may come before wait until it has ended. A row that is too large to be taken is told of, and
//! passed over.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::place::Extent;
use super::place::Place;
use crate::backend::postgres::Address;
use crate::backend::postgres::FollowError;
use crate::backend::postgres::RowFollower;
use crate::clock::Clock;
use crate::limits::OUTBOX_RETRY_MS_MIN;
use crate::limits::OUTBOX_ROW_BYTES_MAX;
use crate::limits::OUTBOX_STATEMENT_MS_MAX;
use crate::limits::SOURCE_BATCH_BYTES_MAX;
use crate::limits::SOURCE_BATCH_MESSAGES_MAX;
use crate::source::Batch;
use crate::source::Connected;
use crate::source::Connector;
use crate::source::Fault;
use crate::source::FaultKind;
use crate::source::Message;
use crate::source::Resume;
use crate::source::broker::Deadline;
use crate::source::broker::Name;
use crate::source::broker::garbled;

/// A column of a row, as text.
type Column = Option<Bytes>;

/// Which table, and how it is followed.
#[derive(Debug)]
pub(super) struct Table {
    /// As the operator writes it.
    pub(super) name: String,
    /// As it stands in SQL, with its columns.
    pub(super) quoted: String,
    pub(super) id: String,
    pub(super) transaction: String,
    pub(super) channel: String,
    pub(super) poll_ms: u64,
    pub(super) begins_first: bool,
}

impl Table {
    /// What the table says of itself: the oldest transaction underway, the next one, the least number, and the last one given.
    fn extent_sql(&self) -> String {
        let Self { quoted, id, .. } = self;
        // The name of the sequence is asked for with the names as text, as its function wants them.
        let [table, column] = [literal(quoted), literal(&unquoted(id))];
        format!(
            "SELECT pg_snapshot_xmin(pg_current_snapshot())::text, pg_snapshot_xmax(pg_current_snapshot())::text, \
             (SELECT min({id})::text FROM {quoted}), \
             (SELECT CASE WHEN has_sequence_privilege(name, 'SELECT') THEN pg_sequence_last_value(name::regclass) END \
             FROM pg_get_serial_sequence({table}, {column}) AS name)::text"
        )
    }

    /// The next rows behind a place, each as its transaction, its number and itself as an object.
    fn rows_sql(&self) -> String {
        let Self { quoted, id, transaction, .. } = self;
        // Columns are named with their table: those of the inner query are texts, and would be put in order as such. Of many large rows no more are sent than there is room for.
        let (tx, id) = (format!("outbox.{transaction}"), format!("outbox.{id}"));
        let size = format!("least(octet_length(whole), {OUTBOX_ROW_BYTES_MAX})");
        format!(
            "SELECT row_tx, row_id, CASE WHEN octet_length(whole) <= {OUTBOX_ROW_BYTES_MAX} THEN whole END FROM \
             (SELECT *, sum({size}) OVER (ORDER BY number) - {size} AS before FROM \
             (SELECT row_number() OVER (ORDER BY {tx}, {id}) AS number, {tx}::text AS row_tx, {id}::text AS row_id, \
             row_to_json(outbox)::text AS whole FROM {quoted} AS outbox \
             WHERE ({tx}, {id}) > ($1::text::xid8, $2::text::bigint) AND {tx} < pg_snapshot_xmin(pg_current_snapshot()) \
             ORDER BY {tx}, {id} LIMIT {SOURCE_BATCH_MESSAGES_MAX}) AS next) AS weighed \
             WHERE before < {SOURCE_BATCH_BYTES_MAX} ORDER BY number"
        )
    }
}

pub(super) struct Outbox {
    address: Address,
    table: Table,
    rows_sql: String,
    clock: Clock,
    follower: Option<RowFollower>,
    place: Place,
    is_new: bool,
    /// When it is looked for rows again, and how long is waited after that if there are none.
    due: Deadline,
    wait_ms: u64,
    name: Name,
}

impl Outbox {
    pub(super) fn new(address: Address, table: Table, clock: Clock) -> Self {
        Self {
            address,
            rows_sql: table.rows_sql(),
            wait_ms: table.poll_ms,
            table,
            clock,
            follower: None,
            place: Place::default(),
            is_new: true,
            due: Deadline::new(clock, Duration::ZERO),
            name: Name::default(),
        }
    }

    fn extent(&self, follower: &mut RowFollower) -> Result<Extent, Fault> {
        let mut found = None;
        let columns = follower.rows(&self.table.extent_sql(), &[], |row| {
            found = Some(row);
        });
        columns.map_err(|error| self.fault(&error))?;
        let row = found.unwrap_or_default();
        let transaction = |index: usize| row.get(index).and_then(number::<u64>);
        let id = |index: usize| row.get(index).and_then(number::<i64>);
        let (Some(oldest_open), Some(next)) = (transaction(0), transaction(1)) else {
            return Err(garbled("it does not say which transactions are underway"));
        };
        Ok(Extent { oldest_open, next, least: id(2), given: id(3) })
    }

    fn fault(&self, error: &FollowError) -> Fault {
        let kind = match error {
            FollowError::Unreachable(_) => FaultKind::Unreachable,
            FollowError::Lost(_) => FaultKind::Lost,
            FollowError::Denied(_) => FaultKind::Denied,
            FollowError::Wrong(_) => FaultKind::Wrong,
            FollowError::Garbled(_) => FaultKind::Protocol,
        };
        Fault::new(kind, format_args!("{}: {error}", self.address.shown()))
    }

    /// Reads the next rows; how many there were.
    fn read(&mut self, batch: &mut Batch) -> Result<usize, Fault> {
        let Some(mut follower) = self.follower.take() else {
            return Err(Fault::new(FaultKind::Lost, "there is no connection"));
        };
        let (transaction, id) = (self.place.transaction.to_string(), self.place.id.to_string());
        let (mut count, mut is_wrong) = (0, false);
        let subject = self.name.of(self.table.name.as_bytes());
        let place = &mut self.place;
        let read = follower.rows(&self.rows_sql, &[&transaction, &id], |row| {
            let numbers = || Some((number(row.first()?)?, number(row.get(1)?)?));
            let (Some((transaction, id)), Some(whole), false) = (numbers(), row.get(2), is_wrong)
            else {
                is_wrong = true;
                return;
            };
            place.pass(transaction, id);
            count += 1;
            match whole {
                Some(payload) => batch.push(Message {
                    subject: Some(Arc::clone(&subject)),
                    payload: payload.clone(),
                    id: Some(place.id()),
                    ..Message::default()
                }),
                None => {
                    let why = format!("it has more than {OUTBOX_ROW_BYTES_MAX} bytes");
                    batch.push_unusable(format!("row {id}"), why);
                }
            }
        });
        self.follower = Some(follower);
        read.map_err(|error| self.fault(&error))?;
        if is_wrong { Err(garbled("a row does not say which one it is")) } else { Ok(count) }
    }

    /// When it is looked again: at once where there was something, soon where somebody has said that there is, and every so often.
    fn look_again(&mut self, found: usize) {
        let wait_ms = if found > 0 { 0 } else { self.wait_ms };
        self.due = Deadline::new(self.clock, Duration::from_millis(wait_ms));
        self.wait_ms = match found {
            0 => (self.wait_ms * 2).min(self.table.poll_ms),
            _ => self.table.poll_ms,
        };
    }
}

impl Connector for Outbox {
    fn connect(&mut self, from: Option<&Resume>, _within: Duration) -> Result<Connected, Fault> {
        self.follower = None;
        let place = match from {
            None => None,
            Some(resume) => Some(Place::read(resume).ok_or_else(|| {
                Fault::new(
                    FaultKind::Wrong,
                    "where it was is no place in an outbox: is its `kind` another than before?",
                )
            })?),
        };
        let mut follower = RowFollower::open(&self.address, self.clock, OUTBOX_STATEMENT_MS_MAX)
            .map_err(|error| self.fault(&error))?;
        if !self.table.channel.is_empty() {
            follower.listen(&self.table.channel).map_err(|error| self.fault(&error))?;
        }
        let extent = self.extent(&mut follower)?;
        let (place, gap) = match place {
            Some(at) => extent.go_on(at),
            None if self.table.begins_first => (Place::default(), None),
            None => (extent.end(), None),
        };
        (self.place, self.follower, self.is_new) = (place, Some(follower), true);
        self.due = Deadline::new(self.clock, Duration::ZERO);
        Ok(Connected { gap })
    }

    fn fetch(&mut self, batch: &mut Batch, within: Duration) -> Result<(), Fault> {
        let until = Deadline::new(self.clock, within);
        if std::mem::take(&mut self.is_new) {
            batch.goes_on_from(self.place.write());
        }
        loop {
            if self.due.is_over() {
                let found = self.read(batch);
                if batch.resume().is_some() || !batch.is_empty() {
                    batch.goes_on_from(self.place.write());
                }
                let found = found?;
                self.look_again(found);
                if found > 0 {
                    return Ok(());
                }
            }
            if until.is_over() {
                return Ok(());
            }
            let Some(follower) = &mut self.follower else {
                return Err(Fault::new(FaultKind::Lost, "there is no connection"));
            };
            let wait = until.left().min(self.due.left());
            if follower.is_notified(wait).map_err(|error| self.fault(&error))? {
                // Should one that is still underway hold it up, it is looked for soon again.
                self.wait_ms = OUTBOX_RETRY_MS_MIN;
                self.due = Deadline::new(self.clock, Duration::ZERO);
            }
        }
    }

    fn stored(&mut self, _within: Duration) -> Result<(), Fault> {
        Ok(())
    }

    fn lag(&self) -> Option<u64> {
        None
    }

    fn close(&mut self, _within: Duration) {
        self.follower = None;
    }
}

fn number<N: std::str::FromStr>(column: &Column) -> Option<N> {
    std::str::from_utf8(column.as_deref()?).ok()?.parse().ok()
}

/// A text as it stands in SQL.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name without its quotes.
fn unquoted(name: &str) -> String {
    let inner = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
    inner.replace("\"\"", "\"")
}
