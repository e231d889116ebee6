//! A connection for whoever follows a table: rows by a statement of their own, and notifications between two of them.
//!
//! Invariants: a statement's rows are handed on as they come; of notifications nothing is kept but that there were some. Never writes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::address::Address;
use super::connection::Connection;
use super::connection::RawRow;
use super::connection::Target;
use super::failure::Failure;
use super::stream;
use crate::backend::purpose::Purpose;
use crate::clock::Clock;
use crate::tables::Value;
use crate::tables::sql::Statement;

/// Why a table cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FollowError {
    /// Nobody answers, or not in time, or it starts, stops or is full.
    Unreachable(String),
    /// The connection is gone.
    Lost(String),
    /// Nobody may log in so, or see what is asked for.
    Denied(String),
    /// What is asked for is not there.
    Wrong(String),
    /// What it says is not PostgreSQL's protocol.
    Garbled(String),
}

impl fmt::Display for FollowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why)
            | Self::Lost(why)
            | Self::Denied(why)
            | Self::Wrong(why)
            | Self::Garbled(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for FollowError {}

impl FollowError {
    fn of(failure: &Failure, is_connecting: bool) -> Self {
        let why = failure.to_string();
        match failure {
            Failure::Login(_) => Self::Denied(why),
            Failure::Lost(error) if error.kind() == std::io::ErrorKind::Other => Self::Denied(why),
            Failure::Lost(_) if is_connecting => Self::Unreachable(why),
            Failure::Lost(_) => Self::Lost(why),
            Failure::Garbled | Failure::TooLong => Self::Garbled(why),
            _ if failure.is_passing() => Self::Unreachable(why),
            // Class 28 and 42501: who we are is not let in, or not to that.
            Failure::Said(said) if said.state.starts_with("28") || said.state == "42501" => {
                Self::Denied(why)
            }
            Failure::Said(_) | Failure::Over | Failure::Taken(_) => Self::Wrong(why),
        }
    }
}

/// A connection that follows a table.
#[derive(Debug)]
pub struct RowFollower {
    connection: Connection,
    target: Arc<Target>,
}

impl RowFollower {
    /// Connects and logs in; a statement takes so many milliseconds at most.
    ///
    /// # Errors
    /// If nobody answers, or does not let us in.
    pub fn open(
        address: &Address,
        clock: Clock,
        statement_ms_max: u64,
    ) -> Result<Self, FollowError> {
        let tls = stream::encryption(&address.proof);
        let tls = tls.map_err(|error| FollowError::Denied(error.to_string()))?;
        let query_us_max = statement_ms_max.saturating_mul(1000);
        let target = Arc::new(Target { address: address.clone(), tls, clock, query_us_max });
        let connection = Connection::open(&target, Purpose::Read);
        let connection = connection.map_err(|failure| FollowError::of(&failure, true))?;
        Ok(Self { connection, target })
    }

    /// Wants notifications of a channel.
    ///
    /// # Errors
    /// If the connection is lost.
    pub fn listen(&mut self, channel: &str) -> Result<(), FollowError> {
        let sql = format!("LISTEN {}", crate::tables::sql::quoted(channel));
        self.rows(&sql, &[], drop)
    }

    /// Carries a statement out, and hands on its rows as they come, each column as text. A statement says itself how many rows it has at most: all of them come.
    ///
    /// # Errors
    /// If it is refused, or the connection is lost; rows that were handed on count all the same.
    pub fn rows(
        &mut self,
        sql: &str,
        params: &[&str],
        mut take: impl FnMut(RawRow),
    ) -> Result<(), FollowError> {
        let params = params.iter().map(|text| Value::Text((*text).into())).collect();
        let statement = Statement { sql: sql.to_owned(), params };
        let until = self.target.within_us(self.target.query_us_max.saturating_mul(2));
        let carried_out = self.connection.each_row(&statement, &until, &mut |row| {
            take(row);
            Ok(())
        });
        carried_out.map_err(|failure| FollowError::of(&failure, false))
    }

    /// Whether notifications have come, now or within this time.
    ///
    /// # Errors
    /// If the connection is lost.
    pub fn is_notified(&mut self, within: Duration) -> Result<bool, FollowError> {
        let within_us = u64::try_from(within.as_micros()).unwrap_or(u64::MAX);
        let until = self.target.within_us(within_us);
        let notified = self.connection.wait_for_notice(&until);
        notified.map_err(|failure| FollowError::of(&failure, false))
    }
}
