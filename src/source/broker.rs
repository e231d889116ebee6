//! What connections to brokers have in common: bytes that are read within a time, silence that is noticed, and settings by which they are reached.
//!
//! Invariants: at most one read beyond what a message needs is held; time in which nobody wanted to read is no silence of the broker's. Never knows what is said.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rustls::ClientConfig;

use super::Fault;
use super::FaultKind;
use super::Setting;
use super::Takes;
use super::Unfit;
use super::Values;
use crate::clock::Clock;
use crate::limits::BROKER_READ_BYTES;
use crate::outbound::BrokerAddress;
use crate::outbound::Line;
use crate::outbound::Scheme;

/// Until when something may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    clock: Clock,
    due_us: u64,
}

impl Deadline {
    pub(super) fn new(clock: Clock, within: Duration) -> Self {
        let within_us = u64::try_from(within.as_micros()).unwrap_or(u64::MAX);
        Self { clock, due_us: clock.mono_us().saturating_add(within_us) }
    }

    pub(super) fn is_over(&self) -> bool {
        self.clock.mono_us() >= self.due_us
    }

    pub(super) fn left(&self) -> Duration {
        Duration::from_micros(self.due_us.saturating_sub(self.clock.mono_us()))
    }
}

/// Who is reached, and how.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) address: BrokerAddress,
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// A password, or whatever else proves who we are.
    pub(super) secret: Option<String>,
    pub(super) clock: Clock,
}

/// The setting of an address, with its meaning.
pub(super) const fn address_setting(doc: &'static str) -> Setting {
    Setting { name: "address", takes: Takes::Required, doc }
}

/// The setting of a file with a secret, with its meaning.
pub(super) const fn secret_setting(doc: &'static str) -> Setting {
    Setting { name: "secret_file", takes: Takes::Text { default: "" }, doc }
}

impl Target {
    /// Of the settings `address` and `secret_file`.
    pub(super) fn of(values: &Values, scheme: Scheme) -> Result<Self, Unfit> {
        let unfit = |error: &dyn fmt::Display| Unfit::new("address", error);
        let address = BrokerAddress::parse(values.text("address"), scheme);
        let address = address.map_err(|error| unfit(&error))?;
        let tls = address.encryption().map_err(|error| unfit(&error))?;
        let secret = values.secret("secret_file")?.filter(|secret| !secret.is_empty());
        Ok(Self { address, tls, secret, clock: Clock::start() })
    }

    /// Whether the secret may be said on a connection.
    pub(super) fn may_say_secret(&self, is_encrypted: bool) -> Result<(), Fault> {
        if self.address.may_hear_secrets(is_encrypted) {
            return Ok(());
        }
        let why = "a password would go to another machine in the clear: encrypt, or say `?tls=off` in the address";
        Err(Fault::new(FaultKind::Denied, why))
    }
}

/// A connection of which bytes are read.
#[derive(Debug)]
pub(super) struct Pipe {
    line: Line,
    pub(super) inbox: BytesMut,
    buffer: Box<[u8]>,
    clock: Clock,
    /// How long nothing has come while something was waited for, in microseconds.
    silent_us: u64,
    /// The name that whoever is there must prove to have.
    host: String,
    pub(super) is_encrypted: bool,
}

impl Pipe {
    /// Connects to one of a broker's hosts, beginning with this one, which is then set to the one that answered; encrypts at once if `is_encrypted`.
    pub(super) fn open(
        target: &Target,
        (first, is_encrypted): (&mut usize, bool),
        until: &Deadline,
    ) -> Result<Self, Fault> {
        let unreachable = |error: io::Error| {
            Fault::new(FaultKind::Unreachable, format_args!("{}: {error}", target.address))
        };
        let connected = target.address.connect(*first, until.left().max(Duration::from_millis(1)));
        let (line, index) = connected.map_err(unreachable)?;
        // The next attempt begins with another one.
        *first = index.wrapping_add(1);
        let pipe = Self {
            line,
            inbox: BytesMut::new(),
            buffer: vec![0; BROKER_READ_BYTES].into(),
            clock: target.clock,
            silent_us: 0,
            host: target.address.host(index).to_owned(),
            is_encrypted: false,
        };
        if is_encrypted { pipe.encrypt(target) } else { Ok(pipe) }
    }

    /// Encrypts what is said from now on.
    pub(super) fn encrypt(mut self, target: &Target) -> Result<Self, Fault> {
        let denied = |why: &dyn fmt::Display| Fault::new(FaultKind::Denied, why);
        let Some(tls) = &target.tls else {
            return Err(denied(&"it wants to be encrypted, and the address says otherwise"));
        };
        if !self.inbox.is_empty() {
            return Err(garbled("it says something before it encrypts"));
        }
        self.line = self.line.encrypt(tls, &self.host).map_err(|error| match error.kind() {
            io::ErrorKind::Other => denied(&error),
            _ => lost(&error),
        })?;
        self.is_encrypted = true;
        Ok(self)
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.line.send(bytes).map_err(|error| lost(&error))
    }

    /// Reads more into `inbox`, within the time; whether anything came.
    pub(super) fn fill(&mut self, until: &Deadline) -> Result<bool, Fault> {
        let since_us = self.clock.mono_us();
        loop {
            if let Some(count) =
                self.line.receive(&mut self.buffer).map_err(|error| lost(&error))?
            {
                self.silent_us = 0;
                self.inbox.extend_from_slice(self.buffer.get(..count).unwrap_or_default());
                return Ok(true);
            }
            if until.is_over() {
                self.silent_us += self.clock.mono_us().saturating_sub(since_us);
                return Ok(false);
            }
        }
    }

    /// Reads what is there already; whether that is anything.
    pub(super) fn fill_ready(&mut self) -> Result<bool, Fault> {
        if self.line.is_quiet() {
            return Ok(false);
        }
        self.fill(&Deadline::new(self.clock, Duration::ZERO))
    }

    /// How long it has said nothing while it was waited for.
    pub(super) const fn silence(&self) -> Duration {
        Duration::from_micros(self.silent_us)
    }
}

/// A connection that is gone.
pub(super) fn lost(why: &dyn fmt::Display) -> Fault {
    Fault::new(FaultKind::Lost, why)
}

/// Something that the broker's protocol does not have.
pub(super) fn garbled(why: impl fmt::Display) -> Fault {
    Fault::new(FaultKind::Protocol, why)
}

/// Names that come again and again, each held once for as long as it comes in a row.
#[derive(Debug)]
pub(super) struct Name(Arc<str>);

impl Default for Name {
    fn default() -> Self {
        Self("".into())
    }
}

impl Name {
    /// A name, as it comes.
    pub(super) fn of(&mut self, name: &[u8]) -> Arc<str> {
        if self.0.as_bytes() != name {
            self.0 = String::from_utf8_lossy(name).into();
        }
        Arc::clone(&self.0)
    }
}
