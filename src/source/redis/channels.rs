//! What is said on channels of Redis while we listen.
//!
//! Nothing is kept there for whoever is away, and whoever reads too slowly is cut off: each time that we come back is a gap of which nobody knows how many messages it has. Invariant: what came first is handed on first.

use std::time::Duration;

use super::connection::Connection;
use super::connection::Server;
use super::connection::refused;
use super::wire::Value;
use crate::limits::SOURCE_BATCH_MESSAGES_MAX;
use crate::source::Batch;
use crate::source::Connected;
use crate::source::Connector;
use crate::source::Fault;
use crate::source::FaultKind;
use crate::source::Gap;
use crate::source::Message;
use crate::source::Resume;
use crate::source::broker::Deadline;
use crate::source::broker::Name;
use crate::source::broker::garbled;

/// The only thing that can be said of where to go on: that something was heard before.
const HEARD: &[u8] = b"1";

pub(super) struct Channels {
    server: Server,
    channels: Vec<String>,
    patterns: Vec<String>,
    connection: Option<Connection>,
    was_connected: bool,
    is_new: bool,
    /// What was said before the server had confirmed everything.
    early: Vec<Message>,
    name: Name,
}

impl Channels {
    pub(super) fn new(server: Server, channels: Vec<String>, patterns: Vec<String>) -> Self {
        let (connection, was_connected, is_new) = (None, false, true);
        let (early, name) = (Vec::new(), Name::default());
        Self { server, channels, patterns, connection, was_connected, is_new, early, name }
    }

    fn deadline(&self, within: Duration) -> Deadline {
        Deadline::new(self.server.target.clock, within)
    }

    /// Asks for everything at once, and waits until the server says that it listens; what is said meanwhile is kept, as far as a batch has room for it.
    fn listen(&mut self, connection: &mut Connection, until: &Deadline) -> Result<(), Fault> {
        for (command, names) in [("SUBSCRIBE", &self.channels), ("PSUBSCRIBE", &self.patterns)] {
            for name in names {
                connection.say(&[command.as_bytes(), name.as_bytes()])?;
            }
        }
        let mut waits = self.channels.len() + self.patterns.len();
        while waits > 0 && self.early.len() < SOURCE_BATCH_MESSAGES_MAX {
            let Some(said) = connection.next(until)? else {
                return Err(Fault::new(
                    FaultKind::Unreachable,
                    "it takes too long until it listens",
                ));
            };
            match heard(&said, &mut self.name)? {
                Some(message) => self.early.push(message),
                None => waits -= 1,
            }
        }
        Ok(())
    }
}

impl Connector for Channels {
    fn connect(&mut self, from: Option<&Resume>, within: Duration) -> Result<Connected, Fault> {
        self.connection = None;
        let until = self.deadline(within);
        let mut connection = Connection::open(&mut self.server, &until)?;
        self.early.clear();
        self.listen(&mut connection, &until)?;
        self.connection = Some(connection);
        let was_away = from.is_some() || std::mem::replace(&mut self.was_connected, true);
        self.is_new = from.is_none();
        let why = "Redis keeps nothing for whoever is away: what was said meanwhile is not known";
        Ok(Connected { gap: was_away.then(|| Gap { messages: 0, why: why.into() }) })
    }

    fn fetch(&mut self, batch: &mut Batch, within: Duration) -> Result<(), Fault> {
        let until = self.deadline(within);
        let Some(connection) = &mut self.connection else { return Err(super::not_connected()) };
        if std::mem::take(&mut self.is_new) {
            batch.goes_on_from(Resume(HEARD.into()));
        }
        if !self.early.is_empty() {
            self.early.drain(..).for_each(|message| batch.push(message));
            return Ok(());
        }
        let mut said = connection.next(&until)?;
        if said.is_none() {
            connection.look_for_life()?;
        }
        while let Some(one) = said {
            if let Some(message) = heard(&one, &mut self.name)? {
                batch.push(message);
            }
            said = if batch.has_room() { connection.next_ready()? } else { None };
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

/// What is said: a message, or that a channel is listened to.
fn heard(said: &Value, name: &mut Name) -> Result<Option<Message>, Fault> {
    let parts = match said {
        Value::List(parts) => parts.as_slice(),
        Value::Error(why) => return Err(refused(why)),
        _ => &[],
    };
    let texts: Vec<_> = parts.iter().take(4).map(Value::text).collect();
    let (channel, payload) = match texts.as_slice() {
        [Some(word), Some(channel), Some(payload)] if word.as_ref() == b"message" => {
            (channel, payload)
        }
        [Some(word), Some(_), Some(channel), Some(payload)] if word.as_ref() == b"pmessage" => {
            (channel, payload)
        }
        [Some(word), ..]
            if [&b"subscribe"[..], b"psubscribe", b"pong"].contains(&word.as_ref()) =>
        {
            return Ok(None);
        }
        _ => return Err(garbled("it says something that is no message of a channel")),
    };
    let subject = Some(name.of(channel));
    Ok(Some(Message { subject, payload: (*payload).clone(), ..Message::default() }))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn said(words: &[&'static str]) -> Value {
        let texts = words.iter().map(|word| Value::Text(Bytes::from_static(word.as_bytes())));
        Value::List(texts.collect())
    }

    #[test]
    fn messages_are_told_from_what_is_said_besides() {
        let mut name = Name::default();
        let mut of = |words: &[&'static str]| heard(&said(words), &mut name);
        let message = of(&["message", "a", "x"]).unwrap().unwrap();
        assert_eq!((message.subject.as_deref(), &message.payload[..]), (Some("a"), &b"x"[..]));
        let message = of(&["pmessage", "a*", "ab", "y"]).unwrap().unwrap();
        assert_eq!((message.subject.as_deref(), &message.payload[..]), (Some("ab"), &b"y"[..]));
        assert_eq!(of(&["pong", ""]), Ok(None));
        assert!(of(&["message", "a"]).is_err());
        assert!(of(&["smessage", "a", "x"]).is_err());
        assert!(heard(&Value::Number(1), &mut Name::default()).is_err());
        assert!(
            heard(&Value::Error(Bytes::from_static(b"NOPERM no")), &mut Name::default()).is_err()
        );
    }
}
