//! The thread that writes, and that knows whether the database is there.
//!
//! Invariants: writes are carried out in the order in which they came; a client is told at once that the database is lost, and rows of events wait for it; whether a transaction was committed whose
//! end was not heard is asked before anything else is written. A lost database is looked for again after ever longer waits, by chance a little less.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use flume::Receiver;
use flume::RecvTimeoutError;
use flume::Sender;

use super::catalogue;
use super::connection::Connection;
use super::connection::Target;
use super::failure::Failure;
use super::failure::unavailable;
use super::rows::plain;
use super::writing::Results;
use super::writing::Undone;
use super::writing::write_all;
use crate::backend::group::Waiting;
use crate::backend::link::Link;
use crate::backend::purpose::Purpose;
use crate::conn::Doorbell;
use crate::limits::POSTGRES_CONNECT_MS_MAX;
use crate::limits::POSTGRES_HEARTBEAT_MS;
use crate::limits::POSTGRES_PULSE_MS_MAX;
use crate::limits::TABLES_BACKOFF_MS_MAX;
use crate::limits::TABLES_BACKOFF_MS_MIN;
use crate::outbound::Backoff;
use crate::outbound::chance;
use crate::tables::ErrorCode;
use crate::tables::Schema;
use crate::tables::TableError;
use crate::tables::Value;
use crate::tables::Written;
use crate::tables::sql::Engine;
use crate::tables::sql::Statement;
use crate::tables::sql::Stored;

/// How long a statement may wait for somebody else's transaction.
const LOCK_TIMEOUT: &str = "SET lock_timeout = 1000";

/// What became of writes.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) done: Vec<(Waiting, Result<Written, TableError>)>,
    /// Another group is wanted.
    pub(super) is_idle: bool,
}

/// Connects for writing, makes the tables that are not there, and looks whether all are as they are declared: how they are stored, and what differs.
pub(super) fn prepare(
    target: &Arc<Target>,
    schema: &Schema,
) -> Result<(Connection, Stored, Vec<String>), Failure> {
    let mut connection = Connection::open(target, Purpose::Write)?;
    let until = target.within_ms(POSTGRES_CONNECT_MS_MAX);
    connection.batch(&[plain(LOCK_TIMEOUT)], &until)?;
    let mut compared = catalogue::compare(&mut connection, schema, &until)?;
    if !compared.missing.is_empty() {
        let stored = Stored::default();
        let create = |table| Statement::creating(Engine::Postgres(&stored), table);
        let all: Vec<Statement> =
            compared.missing.iter().flat_map(create).map(|sql| plain(&sql)).collect();
        // In one go they are one transaction.
        connection.batch(&all, &until)?;
        compared = catalogue::compare(&mut connection, schema, &until)?;
    }
    Ok((connection, compared.stored, compared.differences))
}

/// What the thread has.
pub(super) struct Writer {
    pub(super) target: Arc<Target>,
    pub(super) schema: Schema,
    pub(super) link: Arc<Link>,
    pub(super) groups: Receiver<Vec<Waiting>>,
    pub(super) reports: Sender<Report>,
    pub(super) doorbell: Arc<Doorbell>,
    /// Rows of events that are to be written before anything else.
    pub(super) held: Vec<Waiting>,
    /// A transaction of which it is not known whether it was committed.
    pub(super) doubt: Option<Doubt>,
    pub(super) was_lost: bool,
}

/// A transaction whose end was not heard.
#[derive(Debug)]
pub(super) struct Doubt {
    number: String,
    group: Vec<Waiting>,
    results: Results,
}

/// Nobody wants anything written any more.
struct End;

impl Writer {
    /// Begins, connected or not.
    pub(super) fn start(
        self,
        connected: Option<(Connection, Stored)>,
    ) -> std::io::Result<JoinHandle<()>> {
        let thread = std::thread::Builder::new().name("tables-writer".to_owned());
        thread.spawn(move || match self.run(connected) {
            End => tracing::debug!("the tables' writer has ended"),
        })
    }

    fn run(mut self, mut connected: Option<(Connection, Stored)>) -> End {
        let mut backoff = Backoff::new(TABLES_BACKOFF_MS_MIN, TABLES_BACKOFF_MS_MAX);
        loop {
            let found = connected.take().map_or_else(|| self.connect(), Ok);
            let failure = match found.and_then(|connected| self.clear_up(connected)) {
                Ok((mut connection, stored)) => {
                    backoff = Backoff::new(TABLES_BACKOFF_MS_MIN, TABLES_BACKOFF_MS_MAX);
                    self.set_up(true);
                    match self.serve(&mut connection, &stored) {
                        Ok(End) => return End,
                        Err(failure) => failure,
                    }
                }
                Err(failure) => failure,
            };
            if self.link.is_up() {
                let place = self.target.address.shown();
                tracing::warn!(%failure, place, "the tables' database is lost");
            } else {
                tracing::debug!(%failure, "the tables' database is still lost");
            }
            self.set_up(false);
            self.was_lost = true;
            if let Some(End) = self.pause(backoff.wait(chance())) {
                return End;
            }
        }
    }

    fn set_up(&self, is_up: bool) {
        if is_up && !self.link.is_up() {
            if self.was_lost {
                self.link.count_return();
            }
            tracing::info!(place = self.target.address.shown(), "the tables' database is there");
        }
        self.link.set_up(is_up);
        self.doorbell.ring();
    }

    fn connect(&self) -> Result<(Connection, Stored), Failure> {
        let (connection, stored, differences) = prepare(&self.target, &self.schema)?;
        if differences.is_empty() {
            return Ok((connection, stored));
        }
        Err(Failure::Login(differences.join("; ").into()))
    }

    /// Asks what became of the transaction whose end was not heard.
    fn clear_up(
        &mut self,
        (mut connection, stored): (Connection, Stored),
    ) -> Result<(Connection, Stored), Failure> {
        let Some(doubt) = &self.doubt else { return Ok((connection, stored)) };
        let statement = Statement {
            sql: "SELECT pg_xact_status($1::text::xid8)".to_owned(),
            params: vec![Value::Text(doubt.number.as_str().into())],
        };
        let until = self.target.within_ms(POSTGRES_CONNECT_MS_MAX);
        let found = connection.batch(&[statement], &until)?;
        let status = found.first().and_then(|rows| rows.first()?.first()?.as_deref());
        match status {
            Some(b"in progress") => {
                return Err(Failure::Login("it has not ended a transaction of before".into()));
            }
            Some(b"committed") => {
                let Some(Doubt { group, results, .. }) = self.doubt.take() else {
                    return Ok((connection, stored));
                };
                // Whoever waited was told that nobody knows.
                let group = group.into_iter().map(|waiting| Waiting { asker: None, ..waiting });
                let done = group.zip(results).filter(|(_, result)| result.is_ok()).collect();
                self.report(done);
            }
            // Aborted, or so long ago that the database does not remember; what it does not remember it has not seen since it was lost.
            _ => {
                let doubt = self.doubt.take();
                let group = doubt.into_iter().flat_map(|doubt| doubt.group);
                self.held.extend(group.filter(|waiting| waiting.asker.is_none()));
            }
        }
        Ok((connection, stored))
    }

    /// Carries out what comes, until the connection is lost.
    fn serve(&mut self, connection: &mut Connection, stored: &Stored) -> Result<End, Failure> {
        self.report(Vec::new());
        loop {
            let group = match std::mem::take(&mut self.held) {
                held if !held.is_empty() => held,
                _ => match self.groups.recv_timeout(Duration::from_millis(POSTGRES_HEARTBEAT_MS)) {
                    Ok(group) => group,
                    Err(RecvTimeoutError::Disconnected) => return Ok(End),
                    Err(RecvTimeoutError::Timeout) => {
                        let until = self.target.within_ms(POSTGRES_PULSE_MS_MAX);
                        connection.batch(&[], &until)?;
                        continue;
                    }
                },
            };
            self.carry_out((&mut *connection, stored), group)?;
        }
    }

    /// Carries out a group, and says what became of it.
    fn carry_out(
        &mut self,
        (connection, stored): (&mut Connection, &Stored),
        group: Vec<Waiting>,
    ) -> Result<(), Failure> {
        // The server ends what takes too long, and is given a little longer to say so.
        let most_us = self.target.query_us_max.saturating_add(POSTGRES_PULSE_MS_MAX * 1000);
        let until = self.target.within_us(most_us);
        match write_all((&mut *connection, stored), &self.schema, &group, until) {
            Ok(results) => {
                self.report(group.into_iter().zip(results).collect());
                Ok(())
            }
            Err(Undone::Refused(error)) => {
                let [_, _, ..] = group[..] else {
                    let failed = |waiting| (waiting, Err(error.clone()));
                    self.report(group.into_iter().map(failed).collect());
                    return Ok(());
                };
                // One of them is to blame, and the others are not to bear it.
                let mut group = group.into_iter();
                while let Some(waiting) = group.next() {
                    if let Err(failure) = self.carry_out((&mut *connection, stored), vec![waiting])
                    {
                        self.lose(group.collect(), None);
                        return Err(failure);
                    }
                }
                Ok(())
            }
            Err(Undone::Lost(failure, to_blame)) => {
                let mut group = group;
                if let Some(index) = to_blame {
                    // Done again it would end the same way.
                    let error = failure.to_table_error("");
                    self.report(vec![(group.remove(index), Err(error))]);
                }
                self.lose(group, None);
                Err(failure)
            }
            Err(Undone::InDoubt(failure, ended)) => {
                self.lose(group, Some(*ended));
                Err(failure)
            }
        }
    }

    /// The database is lost, and with it these writes, or perhaps not.
    fn lose(&mut self, group: Vec<Waiting>, doubt: Option<(String, Results)>) {
        self.link.set_up(false);
        let error = match doubt {
            None => unavailable(),
            Some(_) => TableError::new(
                ErrorCode::Unavailable,
                "the database was lost while it wrote; whether it has is known, and told, when it is there again",
            ),
        };
        let clients = group.iter().filter(|waiting| waiting.asker.is_some());
        let done = clients.map(|waiting| (waiting.clone(), Err(error.clone()))).collect();
        match doubt {
            None => {
                let rows = group.into_iter().filter(|waiting| waiting.asker.is_none());
                self.held.extend(rows);
            }
            Some((number, results)) => self.doubt = Some(Doubt { number, group, results }),
        }
        self.report(done);
    }

    /// Waits, and says meanwhile to whoever wants something written that it cannot be.
    fn pause(&mut self, wait: Duration) -> Option<End> {
        let until = self.target.within_us(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX));
        while !until.is_over() {
            let left_us = until.mono_us.saturating_sub(self.target.clock.mono_us());
            match self.groups.recv_timeout(Duration::from_micros(left_us)) {
                Ok(group) => self.lose(group, None),
                Err(RecvTimeoutError::Disconnected) => return Some(End),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        None
    }

    fn report(&self, done: Vec<(Waiting, Result<Written, TableError>)>) {
        let is_idle = self.held.is_empty() && self.doubt.is_none();
        // Whoever does not hear it any more does not need to.
        if self.reports.send(Report { done, is_idle }).is_ok() {
            self.doorbell.ring();
        }
    }
}
