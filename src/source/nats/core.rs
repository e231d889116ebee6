//! NATS as it is without JetStream: what is said on some subjects while we listen.
//!
//! Nothing is kept there for whoever is away, and whoever reads too slowly is cut off: each time that we come back is a gap of which nobody knows how many messages it has. Invariant: what came first is handed on first.

use std::time::Duration;

use super::connection::Connection;
use super::connection::Heard;
use super::connection::Server;
use super::message_of;
use crate::source::Batch;
use crate::source::Connected;
use crate::source::Connector;
use crate::source::Fault;
use crate::source::Gap;
use crate::source::Resume;
use crate::source::broker::Deadline;
use crate::source::broker::Name;

/// The only thing that can be said of where to go on: that something was heard before.
const HEARD: &[u8] = b"1";

pub(super) struct Core {
    server: Server,
    subjects: Vec<String>,
    connection: Option<Connection>,
    was_connected: bool,
    is_new: bool,
    name: Name,
}

impl Core {
    pub(super) fn new(server: Server, subjects: Vec<String>) -> Self {
        let (connection, was_connected, is_new) = (None, false, true);
        Self { server, subjects, connection, was_connected, is_new, name: Name::default() }
    }

    fn deadline(&self, within: Duration) -> Deadline {
        Deadline::new(self.server.target.clock, within)
    }
}

impl Connector for Core {
    fn connect(&mut self, from: Option<&Resume>, within: Duration) -> Result<Connected, Fault> {
        self.connection = None;
        let until = self.deadline(within);
        let mut connection = Connection::open(&mut self.server, &until)?;
        for (sid, subject) in (1..).zip(&self.subjects) {
            connection.subscribe(subject, sid)?;
        }
        self.connection = Some(connection);
        let was_away = from.is_some() || std::mem::replace(&mut self.was_connected, true);
        self.is_new = from.is_none();
        let why = "NATS keeps nothing for whoever is away: what was said meanwhile is not known";
        Ok(Connected { gap: was_away.then(|| Gap { messages: 0, why: why.into() }) })
    }

    fn fetch(&mut self, batch: &mut Batch, within: Duration) -> Result<(), Fault> {
        let until = self.deadline(within);
        let Some(connection) = &mut self.connection else { return Err(super::not_connected()) };
        if std::mem::take(&mut self.is_new) {
            batch.goes_on_from(Resume(HEARD.into()));
        }
        let mut heard = connection.next(&until)?;
        while let Some(one) = heard {
            match one {
                Heard::Message(message) => batch.push(message_of(&message, &mut self.name)),
                Heard::Oversized(message, bytes) => {
                    let at = String::from_utf8_lossy(&message.subject).into_owned();
                    batch.push_unusable(at, super::too_large(bytes));
                }
            }
            heard = if batch.has_room() { connection.next_ready()? } else { None };
        }
        Ok(())
    }

    fn stored(&mut self, _within: Duration) -> Result<(), Fault> {
        Ok(())
    }

    fn lag(&self) -> Option<u64> {
        None
    }

    fn close(&mut self, _within: Duration) {
        self.connection = None;
    }
}
