//! A connection to Redis, or to what speaks like it, that is logged in.
//!
//! Invariants: commands are answered in their order; what the server refuses is a fault that says why, without what was sent.

use std::time::Duration;

use super::wire;
use super::wire::Unread;
use super::wire::Value;
use crate::limits::BROKER_SILENCE_MS_MAX;
use crate::source::Fault;
use crate::source::FaultKind;
use crate::source::broker::Deadline;
use crate::source::broker::Pipe;
use crate::source::broker::Target;
use crate::source::broker::garbled;
use crate::source::broker::lost;

const SILENCE: Duration = Duration::from_millis(BROKER_SILENCE_MS_MAX);

/// Which server, and as whom.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) target: Target,
    pub(super) name: String,
    /// Which host is tried first.
    pub(super) first: usize,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) pipe: Pipe,
    /// How many bytes the next answer needs at least.
    pub(super) least: usize,
    is_asked: bool,
}

impl Connection {
    pub(super) fn open(server: &mut Server, until: &Deadline) -> Result<Self, Fault> {
        let target = &server.target;
        let pipe = Pipe::open(target, (&mut server.first, target.address.is_encrypted), until)?;
        let mut connection = Self { pipe, least: 0, is_asked: false };
        if let Some(secret) = &target.secret {
            target.may_say_secret(connection.pipe.is_encrypted)?;
            let mut words = vec![b"AUTH".as_slice()];
            if !target.address.user.is_empty() {
                words.push(target.address.user.as_bytes());
            }
            words.push(secret.as_bytes());
            connection.ask(&words, until)?;
        }
        if !target.address.path.is_empty() {
            connection.ask(&[b"SELECT", target.address.path.as_bytes()], until)?;
        }
        // Older servers, and proxies, know no names: what they say of it is of no matter.
        match connection.ask(&[b"CLIENT", b"SETNAME", server.name.as_bytes()], until) {
            Err(fault) if fault.kind == FaultKind::Wrong => {}
            named => drop(named?),
        }
        Ok(connection)
    }

    /// Says something that is answered later.
    pub(super) fn say(&mut self, words: &[&[u8]]) -> Result<(), Fault> {
        let mut out = Vec::new();
        wire::put(words, &mut out);
        self.pipe.send(&out)
    }

    /// Says something, and waits for the answer.
    pub(super) fn ask(&mut self, words: &[&[u8]], until: &Deadline) -> Result<Value, Fault> {
        self.say(words)?;
        match self.next(until)? {
            Some(Value::Error(why)) => Err(refused(&why)),
            Some(answer) => Ok(answer),
            None => Err(Fault::new(FaultKind::Unreachable, "it takes too long to answer")),
        }
    }

    /// The next answer, or what is said without being asked for; `None`: nothing in time.
    pub(super) fn next(&mut self, until: &Deadline) -> Result<Option<Value>, Fault> {
        loop {
            if let Some(value) = self.held()? {
                return Ok(Some(value));
            }
            if !self.fill(until)? {
                return Ok(None);
            }
        }
    }

    /// The next of what is there already.
    pub(super) fn next_ready(&mut self) -> Result<Option<Value>, Fault> {
        loop {
            if let Some(value) = self.held()? {
                return Ok(Some(value));
            }
            if !self.pipe.fill_ready()? {
                return Ok(None);
            }
        }
    }

    /// The next of what was read.
    pub(super) fn held(&mut self) -> Result<Option<Value>, Fault> {
        wire::next_value(&mut self.pipe.inbox, &mut self.least).map_err(unread)
    }

    /// Reads more; whether anything came. Whoever has said nothing for too long is gone.
    pub(super) fn fill(&mut self, until: &Deadline) -> Result<bool, Fault> {
        let has_come = self.pipe.fill(until)?;
        self.is_asked &= !has_come;
        let silence = self.pipe.silence();
        if silence > SILENCE {
            return Err(lost(&format_args!("it has said nothing for {} s", silence.as_secs())));
        }
        Ok(has_come)
    }

    /// Asks for a sign of life, once, if nothing has come for half of the time that is left for it.
    pub(super) fn look_for_life(&mut self) -> Result<(), Fault> {
        if self.pipe.silence() > SILENCE / 2 && !self.is_asked {
            self.is_asked = true;
            self.say(&[b"PING"])?;
        }
        Ok(())
    }
}

/// Why nothing can be read.
pub(super) fn unread(why: Unread) -> Fault {
    match why {
        Unread::Garbled(shown) => {
            garbled(format_args!("it does not speak as Redis does: `{shown}`"))
        }
        Unread::TooLong => garbled("it says more at once than is taken"),
    }
}

/// What a server's error means.
pub(super) fn refused(why: &[u8]) -> Fault {
    let why = String::from_utf8_lossy(why);
    let kind = match why.split(' ').next().unwrap_or_default() {
        "NOAUTH" | "WRONGPASS" | "NOPERM" => FaultKind::Denied,
        "ERR" if why.contains("max number of clients") => FaultKind::Unreachable,
        "ERR" if why.contains("AUTH") || why.contains("password") => FaultKind::Denied,
        "ERR" | "WRONGTYPE" | "MOVED" | "ASK" | "CROSSSLOT" => FaultKind::Wrong,
        // It starts, copies, follows a server that is gone, or is full.
        _ => FaultKind::Unreachable,
    };
    Fault::new(kind, format_args!("it says: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_somebodys_to_mend_or_passes() {
        for (why, kind) in [
            ("NOAUTH Authentication required.", FaultKind::Denied),
            ("WRONGPASS invalid username-password pair or user is disabled.", FaultKind::Denied),
            ("ERR AUTH <password> called without any password configured", FaultKind::Denied),
            ("WRONGTYPE Operation against a key", FaultKind::Wrong),
            ("ERR unknown command", FaultKind::Wrong),
            ("ERR max number of clients reached", FaultKind::Unreachable),
            ("LOADING Redis is loading the dataset in memory", FaultKind::Unreachable),
        ] {
            assert_eq!(refused(why.as_bytes()).kind, kind, "{why}");
        }
    }
}
