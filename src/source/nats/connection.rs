//! A connection to a NATS server that knows who we are, and hears what it says.
//!
//! Invariants: the server's pings are answered; it is asked for a sign of life once nothing has come for a while, and lost if none comes; a message that is too large is left out and told of, and what is behind it is read.

use std::time::Duration;

use serde_json::json;

use super::key::Proof;
use super::wire;
use super::wire::Garbled;
use super::wire::Message;
use super::wire::Outgoing;
use super::wire::Said;
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
    pub(super) proof: Proof,
    /// What the connection is called there.
    pub(super) name: String,
    /// Which host is tried first.
    pub(super) first: usize,
}

/// What has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Message(Message),
    /// A message without its payload, which has so many bytes.
    Oversized(Message, usize),
}

#[derive(Debug)]
pub(super) struct Connection {
    pipe: Pipe,
    out: Outgoing,
    /// Bytes of a message that is too large, still to come.
    left_out: usize,
    is_asked: bool,
    /// What a word of the server's own must begin with to be an answer to us.
    pub(super) inbox: String,
    questions: u64,
}

impl Connection {
    /// Connects and says who we are.
    pub(super) fn open(server: &mut Server, until: &Deadline) -> Result<Self, Fault> {
        let target = &server.target;
        let mut pipe = Pipe::open(target, (&mut server.first, false), until)?;
        let info = loop {
            match wire::next_said(&mut pipe.inbox).map_err(|found| not_nats(&found))? {
                Some(Said::Info(info)) => break info,
                Some(Said::Error(why)) => return Err(refused(&why)),
                Some(_) => return Err(garbled("it does not begin by saying who it is")),
                None if pipe.fill(until)? => {}
                None => return Err(late("says who it is")),
            }
        };
        if target.address.is_encrypted || info.tls_required {
            pipe = pipe.encrypt(target)?;
        }
        if server.proof.is_secret_said() {
            target.may_say_secret(pipe.is_encrypted)?;
        }
        if !info.headers {
            return Err(Fault::new(
                FaultKind::Wrong,
                "it knows no headers: it is older than NATS 2.2",
            ));
        }
        let mut said = json!({
            "verbose": false, "pedantic": false, "echo": false, "headers": true, "no_responders": true,
            "protocol": 1, "lang": "rust", "version": env!("CARGO_PKG_VERSION"), "name": server.name,
        });
        if let Some(said) = said.as_object_mut() {
            let proved = server.proof.say((&target.address.user, &info.nonce), said);
            proved.map_err(|why| Fault::new(FaultKind::Denied, why))?;
        }
        let mut random = [0; 12];
        aws_lc_rs::rand::fill(&mut random)
            .map_err(|_| lost(&"the system gives no random bytes"))?;
        let inbox =
            random.iter().fold(String::from("_INBOX."), |text, byte| format!("{text}{byte:02x}"));
        let (out, questions) = (Outgoing::default(), 0);
        let mut connection = Self { pipe, out, left_out: 0, is_asked: false, inbox, questions };
        connection.out.connect(&said);
        connection.out.ping();
        connection.flush()?;
        connection.greeted(until)?;
        Ok(connection)
    }

    /// Waits for the answer to the first ping: an error comes before it.
    fn greeted(&mut self, until: &Deadline) -> Result<(), Fault> {
        loop {
            match wire::next_said(&mut self.pipe.inbox).map_err(|found| not_nats(&found))? {
                Some(Said::Pong) => return Ok(()),
                Some(Said::Error(why)) => return Err(refused(&why)),
                Some(Said::Ping) => self.out.pong(),
                Some(Said::Ok | Said::Info(_)) => {}
                Some(_) => return Err(garbled("it says something nobody asked for")),
                None if self.pipe.fill(until)? => {}
                None => return Err(late("lets us in")),
            }
        }
    }

    pub(super) fn subscribe(&mut self, subject: &str, sid: u64) -> Result<(), Fault> {
        self.out.subscribe(subject, sid);
        self.flush()
    }

    pub(super) fn publish(&mut self, to: (&str, &str), payload: &[u8]) -> Result<(), Fault> {
        self.out.publish(to.0, to.1, payload);
        self.flush()
    }

    /// Asks and waits for the answer, which comes on the number 0; messages that come meanwhile are handed to `meanwhile`.
    ///
    /// # Errors
    /// If nobody answers questions on that subject, or not in time.
    pub(super) fn ask(
        &mut self,
        (subject, payload): (&str, &[u8]),
        until: &Deadline,
        mut meanwhile: impl FnMut(Heard),
    ) -> Result<Message, Fault> {
        self.questions += 1;
        let reply = format!("{}.q{}", self.inbox, self.questions);
        self.publish((subject, &reply), payload)?;
        loop {
            match self.next(until)? {
                None => return Err(late(&format!("answers `{subject}`"))),
                Some(Heard::Message(answer)) if answer.subject == reply.as_bytes() => {
                    return match answer.status() {
                        Some((503, _)) => {
                            let why = format!("nobody answers `{subject}`: is JetStream on?");
                            Err(Fault::new(FaultKind::Wrong, why))
                        }
                        _ => Ok(answer),
                    };
                }
                Some(heard) => meanwhile(heard),
            }
        }
    }

    /// The next message; `None`: none came in time.
    pub(super) fn next(&mut self, until: &Deadline) -> Result<Option<Heard>, Fault> {
        loop {
            if let Some(heard) = self.held()? {
                return Ok(Some(heard));
            }
            if !self.pipe.fill(until)? {
                return self.look_for_life().map(|()| None);
            }
            self.is_asked = false;
        }
    }

    /// The next message of those that are there already.
    pub(super) fn next_ready(&mut self) -> Result<Option<Heard>, Fault> {
        loop {
            if let Some(heard) = self.held()? {
                return Ok(Some(heard));
            }
            if !self.pipe.fill_ready()? {
                return Ok(None);
            }
            self.is_asked = false;
        }
    }

    /// The next message of what was read; the server's questions in front of it are answered.
    fn held(&mut self) -> Result<Option<Heard>, Fault> {
        loop {
            if self.left_out > 0 && !wire::leave_out(&mut self.pipe.inbox, &mut self.left_out) {
                return Ok(None);
            }
            match wire::next_said(&mut self.pipe.inbox).map_err(|found| not_nats(&found))? {
                None => return Ok(None),
                Some(Said::Message(message)) => return Ok(Some(Heard::Message(message))),
                Some(Said::Oversized(message, bytes)) => {
                    self.left_out = bytes;
                    return Ok(Some(Heard::Oversized(message, bytes)));
                }
                Some(Said::Ping) => {
                    self.out.pong();
                    self.flush()?;
                }
                Some(Said::Error(why)) => return Err(refused(&why)),
                Some(Said::Pong | Said::Ok | Said::Info(_)) => {}
            }
        }
    }

    /// Whoever says nothing for half of the time that is left to them is asked, once; after all of it they are gone.
    fn look_for_life(&mut self) -> Result<(), Fault> {
        let silence = self.pipe.silence();
        if silence > SILENCE {
            return Err(lost(&format_args!("it has said nothing for {} s", silence.as_secs())));
        }
        if silence > SILENCE / 2 && !self.is_asked {
            self.is_asked = true;
            self.out.ping();
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Fault> {
        let sent = self.pipe.send(self.out.bytes());
        self.out.clear();
        sent
    }
}

fn not_nats(found: &Garbled) -> Fault {
    garbled(format_args!("it does not speak NATS: `{}`", found.0))
}

fn late(does: &str) -> Fault {
    Fault::new(FaultKind::Unreachable, format_args!("it takes too long until it {does}"))
}

/// What a server's error means.
fn refused(why: &str) -> Fault {
    let lower = why.to_ascii_lowercase();
    let is_denied = ["authorization", "authentication", "permissions", "account"];
    let kind = match () {
        () if is_denied.iter().any(|word| lower.contains(word)) => FaultKind::Denied,
        () if lower.contains("invalid subject") => FaultKind::Wrong,
        () => FaultKind::Lost,
    };
    Fault::new(kind, format_args!("it says: {why}"))
}
