//! Tables in a database of PostgreSQL, 13 or later: one connection writes, several read beside it.
//!
//! Invariants: nothing here waits for the database but the threads of the connections; writes are carried out in the order in which they came, in transactions that they share, and told after they are committed.
//! While the database is lost, what is asked is answered with `Unavailable` at once, and rows of events wait. What others write into the database is read, and not told.

mod address;
mod catalogue;
mod connection;
mod direct;
mod failure;
mod finding;
mod follower;
mod login;
mod md5;
mod prepared;
mod reads;
mod rows;
mod scram;
mod stream;
mod values;
mod wire;
mod writer;
mod writing;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use flume::Receiver;
use flume::Sender;

pub use address::Address;
pub use address::AddressError;
pub use address::Place;
pub use address::Proof;
use connection::Connection;
use connection::Target;
use failure::Failure;
use failure::unavailable;
pub use follower::FollowError;
pub use follower::RowFollower;
use reads::PostgresReads;
use writer::Report;
use writer::Writer;

use super::group;
use super::group::Waiting;
use super::link::Link;
use super::purpose::Purpose;
use super::reading::Readings;
pub use super::reading::Use;
use super::taking::FoundTable;
use super::taking::NamePattern;
use crate::clock::Clock;
use crate::conn::Doorbell;
use crate::limits::POSTGRES_CONNECT_MS_MAX;
use crate::limits::TABLE_GROUP_BYTES_MAX;
use crate::limits::TABLE_GROUP_WRITES_MAX;
use crate::limits::TABLE_WRITES_WAITING_BYTES_MAX;
use crate::limits::TABLE_WRITES_WAITING_MAX;
use crate::limits::TABLES_LISTED_MAX;
use crate::limits::TABLES_STOP_MS_MAX;
use crate::tables::ErrorCode;
use crate::tables::Schema;
use crate::tables::TableError;
use crate::tables::asks::Answer;
use crate::tables::asks::Ask;
use crate::tables::keeper::Outcome;

/// How often a writer reports at most before the party has heard it.
const REPORTS_MAX: usize = 1024;
/// How often the party looks for a report when it stops.
const LOOK: Duration = Duration::from_millis(10);

/// Why a database cannot be used.
#[derive(Debug)]
pub enum PostgresOpenError {
    /// The database is there, and says no; or what is to prove who it is is not there.
    Refused(String),
    Thread(io::Error),
    /// What its tables lack that was declared.
    Differs(Vec<String>),
    /// The database has more tables than are looked through.
    TooMany,
}

impl fmt::Display for PostgresOpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => f.write_str(why),
            Self::Thread(error) => write!(f, "{error}"),
            Self::Differs(differences) => f.write_str(&differences.join("; ")),
            Self::TooMany => {
                write!(
                    f,
                    "it has more than {TABLES_LISTED_MAX} tables, too many to find some by name"
                )
            }
        }
    }
}

impl std::error::Error for PostgresOpenError {}

fn target(address: &Address, how: Use, clock: Clock) -> Result<Arc<Target>, PostgresOpenError> {
    let tls = stream::encryption(&address.proof);
    let tls = tls.map_err(|error| PostgresOpenError::Refused(error.to_string()))?;
    let address = address.clone();
    Ok(Arc::new(Target { address, tls, clock, query_us_max: how.query_us_max }))
}

/// What the tables of a database lack of what is declared, or have otherwise; the database is only read.
///
/// # Errors
/// If it cannot be.
pub fn check(
    address: &Address,
    schema: &Schema,
    clock: Clock,
) -> Result<Vec<String>, PostgresOpenError> {
    let how = Use { readers: 1, query_us_max: POSTGRES_CONNECT_MS_MAX * 1000 };
    let target = target(address, how, clock)?;
    let compared = Connection::open(&target, Purpose::Read).and_then(|mut connection| {
        let until = target.within_ms(POSTGRES_CONNECT_MS_MAX);
        catalogue::compare(&mut connection, schema, &until)
    });
    let refused = |failure: Failure| PostgresOpenError::Refused(failure.to_string());
    compared.map(|compared| compared.differences).map_err(refused)
}

/// The tables of a database that each of these patterns names; the database is only read.
///
/// # Errors
/// If it cannot be, or has too many.
pub fn find(
    address: &Address,
    patterns: &[NamePattern],
    clock: Clock,
) -> Result<Vec<Vec<FoundTable>>, PostgresOpenError> {
    let how = Use { readers: 1, query_us_max: POSTGRES_CONNECT_MS_MAX * 1000 };
    let target = target(address, how, clock)?;
    let found = finding::find(&target, patterns);
    found
        .map_err(|failure| PostgresOpenError::Refused(failure.to_string()))?
        .ok_or(PostgresOpenError::TooMany)
}

/// The database, and everything that is asked of it.
pub struct Postgres {
    schema: Schema,
    link: Arc<Link>,
    /// Writes of the next transactions.
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    groups: Option<Sender<Vec<Waiting>>>,
    reports: Receiver<Report>,
    is_idle: bool,
    writer: Option<JoinHandle<()>>,
    readings: Readings,
    clock: Clock,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("link", &self.link)
            .field("readings", &self.readings)
            .finish_non_exhaustive()
    }
}

impl Postgres {
    /// Connects, and makes the tables that are not there. A database that is not there just now is looked for until it is. `doorbell`: is rung when something can be handed out.
    ///
    /// # Errors
    /// If the database is there and lets nobody in, or its tables are others than those that were declared.
    pub fn open(
        address: &Address,
        schema: Schema,
        how: Use,
        (doorbell, clock): (Arc<Doorbell>, Clock),
    ) -> Result<Self, PostgresOpenError> {
        let target = target(address, how, clock)?;
        let link = Arc::new(Link::default());
        let connected = match writer::prepare(&target, &schema) {
            Ok((connection, stored, differences)) if differences.is_empty() => {
                link.set_up(true);
                Some((connection, stored))
            }
            Ok((.., differences)) => return Err(PostgresOpenError::Differs(differences)),
            Err(failure) if failure.is_passing() => {
                let place = address.shown();
                tracing::warn!(%failure, place, "the tables' database is not there yet");
                None
            }
            Err(failure) => return Err(PostgresOpenError::Refused(failure.to_string())),
        };
        let database = |_| PostgresReads::new(&target, &schema, &link);
        let databases = (0..how.readers).map(database).collect();
        let bell = (Arc::clone(&doorbell), clock);
        let readings = Readings::start(databases, &schema, how.query_us_max, bell);
        let readings = readings.map_err(PostgresOpenError::Thread)?;
        let (groups, to_do) = flume::bounded(1);
        let (said, reports) = flume::bounded(REPORTS_MAX);
        let writer = Writer {
            target,
            schema: schema.clone(),
            link: Arc::clone(&link),
            groups: to_do,
            reports: said,
            doorbell,
            held: Vec::new(),
            doubt: None,
            was_lost: false,
        };
        let writer = Some(writer.start(connected).map_err(PostgresOpenError::Thread)?);
        Ok(Self {
            schema,
            link,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            groups: Some(groups),
            reports,
            is_idle: false,
            writer,
            readings,
            clock,
        })
    }

    /// Whether the database is there.
    pub(super) fn link(&self) -> Arc<Link> {
        Arc::clone(&self.link)
    }

    /// Hears one thing; what is to be said at once is appended.
    pub(super) fn hear(&mut self, ask: Ask, out: &mut Vec<Outcome>) {
        let fail = |asker, error| Outcome::Answer(asker, Answer::Failed(error));
        match ask {
            Ask::Query { asker, .. } | Ask::Write { asker, .. } if !self.link.is_up() => {
                out.push(fail(asker, unavailable()));
            }
            Ask::Query { asker, query } => {
                if let Err(error) = self.readings.ask(asker, query) {
                    out.push(fail(asker, error));
                }
            }
            Ask::More { asker } => self.readings.more(asker, out),
            Ask::Leave { asker } => self.readings.leave(asker),
            Ask::Write { asker, .. } if !self.has_room() => {
                let message = "more is written to tables just now than the database takes";
                out.push(fail(asker, TableError::new(ErrorCode::Busy, message)));
            }
            Ask::Write { asker, write } => {
                let waiting = group::of_client(&self.schema, asker, *write, out);
                waiting.into_iter().for_each(|waiting| self.wait(waiting));
            }
            Ask::Rows { rows } => {
                for waiting in group::of_events(&self.schema, rows) {
                    if self.is_full() && !self.link.is_up() {
                        self.link.drop_row();
                    } else {
                        self.wait(waiting);
                    }
                }
            }
        }
        if self.waiting.len() >= TABLE_GROUP_WRITES_MAX {
            self.settle(out);
        }
    }

    /// Whether more may be written. While the database is lost, nobody is to wait for it.
    pub(super) fn has_room(&self) -> bool {
        !self.is_full() || !self.link.is_up()
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= TABLE_WRITES_WAITING_MAX
            || self.waiting_bytes >= TABLE_WRITES_WAITING_BYTES_MAX
    }

    fn wait(&mut self, waiting: Waiting) {
        self.waiting_bytes += waiting.write.weight_bytes();
        self.waiting.push_back(waiting);
    }

    /// The writes of the next transaction.
    fn next_group(&mut self) -> Vec<Waiting> {
        let (mut group, mut bytes) = (Vec::new(), 0);
        while let Some(waiting) = self.waiting.front() {
            bytes += waiting.write.weight_bytes();
            let is_full = group.len() >= TABLE_GROUP_WRITES_MAX || bytes > TABLE_GROUP_BYTES_MAX;
            if is_full && group.last().is_some_and(|last: &Waiting| last.is_last) {
                break;
            }
            self.waiting_bytes -= waiting.write.weight_bytes();
            group.extend(self.waiting.pop_front());
        }
        group
    }

    /// Hears what became of writes, and hands on those that wait; appends what is to be said.
    pub(super) fn settle(&mut self, out: &mut Vec<Outcome>) {
        for _ in 0..self.reports.len() {
            let Ok(report) = self.reports.try_recv() else { break };
            self.hear_report(report, out);
        }
        if !self.link.is_up() {
            let bytes = &mut self.waiting_bytes;
            self.waiting.retain(|waiting| {
                let Some(asker) = waiting.asker else { return true };
                *bytes -= waiting.write.weight_bytes();
                out.push(Outcome::Answer(asker, Answer::Failed(unavailable())));
                false
            });
        }
        if self.is_idle && !self.waiting.is_empty() {
            let group = self.next_group();
            let groups = self.groups.as_ref().expect("it has a writer until it ends");
            // It is idle: its inbox is empty.
            if groups.try_send(group).is_err() {
                tracing::error!("the tables' writer has ended");
            }
            self.is_idle = false;
        }
    }

    fn hear_report(&mut self, report: Report, out: &mut Vec<Outcome>) {
        self.is_idle = report.is_idle;
        for (waiting, result) in report.done {
            group::say(&self.schema, &waiting, result, out);
        }
    }

    /// Whether something can be said, or handed on.
    pub(super) fn is_ready(&self) -> bool {
        self.readings.is_ready() || !self.reports.is_empty()
    }

    /// Appends the pages that are there and wanted.
    pub(super) fn hand_out_ready(&mut self, out: &mut Vec<Outcome>) {
        self.readings.hand_out_ready(out);
    }

    /// Nothing more comes: what was taken in is written, if that does not take too long.
    pub(super) fn finish(&mut self, out: &mut Vec<Outcome>) {
        let until_us = self.clock.mono_us() + TABLES_STOP_MS_MAX * 1000;
        loop {
            self.settle(out);
            let is_done = self.is_idle && self.waiting.is_empty();
            if is_done || !self.link.is_up() || self.clock.mono_us() >= until_us {
                break;
            }
            if let Ok(report) = self.reports.recv_timeout(LOOK) {
                self.hear_report(report, out);
            }
        }
        if !self.waiting.is_empty() {
            tracing::warn!(rows = self.waiting.len(), "rows are not written before the stop");
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.groups = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the tables' writer has panicked");
        }
    }
}
