//! One connection: statements are prepared once, bound, carried out, and their rows come as texts.
//!
//! Invariants: what is asked is answered in order; a connection of which something is still to come is not used again; statements beyond `POSTGRES_STATEMENTS_MAX` are forgotten by both sides.
//! Whoever waits for an answer looks every few milliseconds whether it still wants it.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use bytes::BytesMut;
use rustls::ClientConfig;

use super::address::Address;
use super::failure::Failure;
use super::login;
use super::prepared::Prepared;
use super::stream;
use super::values;
use super::wire;
use super::wire::Message;
use super::wire::Outgoing;
use super::wire::Said;
use super::wire::tag;
use crate::backend::purpose::Purpose;
use crate::backend::reader::Until;
use crate::clock::Clock;
use crate::limits::POSTGRES_CONNECT_MS_MAX;
use crate::limits::POSTGRES_READ_BYTES;
use crate::outbound::Line;
use crate::tables::TableError;
use crate::tables::sql::Statement;

/// A row as it comes; `None`: null.
pub(super) type RawRow = Vec<Option<Bytes>>;

/// Which database, and how it is used.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) address: Address,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) clock: Clock,
    /// How long a query may take, in microseconds.
    pub(super) query_us_max: u64,
}

impl Target {
    /// So long from now, in milliseconds.
    pub(super) fn within_ms(&self, ms: u64) -> Until {
        self.within_us(ms.saturating_mul(1000))
    }

    pub(super) fn within_us(&self, us: u64) -> Until {
        let mono_us = self.clock.mono_us().saturating_add(us);
        Until { clock: self.clock, mono_us, is_left: Arc::default() }
    }
}

/// A connection that is logged in.
#[derive(Debug)]
pub(super) struct Connection {
    target: Arc<Target>,
    stream: Line,
    inbox: BytesMut,
    /// Where bytes are read to.
    buffer: Box<[u8]>,
    outgoing: Outgoing,
    prepared: Prepared,
    /// What ends a query of this connection.
    key: Bytes,
    /// Answers to a sync that are still to come.
    syncs: u32,
    /// Something was asked behind which no sync stands yet.
    is_begun: bool,
    /// What the server has said of the last statement that it carried out: `COMMIT`, `INSERT 0 1`.
    last_done: Bytes,
    /// Statements of the last batch that the server has carried out.
    done: usize,
    /// A notification has come that nobody has asked for yet.
    is_notified: bool,
}

impl Connection {
    /// Connects and logs in.
    ///
    /// # Errors
    /// If nobody answers, or does not let us in.
    pub(super) fn open(target: &Arc<Target>, purpose: Purpose) -> Result<Self, Failure> {
        let stream = stream::open(&target.address, target.tls.as_ref())?;
        let mut connection = Self {
            target: Arc::clone(target),
            stream,
            inbox: BytesMut::new(),
            buffer: vec![0; POSTGRES_READ_BYTES].into(),
            outgoing: Outgoing::default(),
            prepared: Prepared::default(),
            key: Bytes::new(),
            syncs: 0,
            is_begun: false,
            last_done: Bytes::new(),
            done: 0,
            is_notified: false,
        };
        let until = target.within_ms(POSTGRES_CONNECT_MS_MAX);
        match connection.log_in(purpose, &until) {
            Err(Failure::Over) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            Err(failure) => Err(failure),
            Ok(()) => Ok(connection),
        }
    }

    fn log_in(&mut self, purpose: Purpose, until: &Until) -> Result<(), Failure> {
        let target = Arc::clone(&self.target);
        let timeout = (target.query_us_max / 1000).max(1).to_string();
        let mut params = vec![
            ("user", &*target.address.user),
            ("database", &*target.address.database),
            ("application_name", &*target.address.application),
            ("client_encoding", "UTF8"),
            ("DateStyle", "ISO"),
            ("TimeZone", "UTC"),
            ("bytea_output", "hex"),
            ("extra_float_digits", "1"),
            ("statement_timeout", &*timeout),
        ];
        if purpose == Purpose::Read {
            // What belongs to one answer is of one moment, whoever writes meanwhile.
            params.push(("default_transaction_isolation", "repeatable read"));
            params.push(("default_transaction_read_only", "on"));
        }
        self.outgoing.startup(params);
        self.send()?;
        let mut login = login::Login::new(&target.address);
        self.syncs = 1;
        while self.syncs > 0 {
            let mut message = self.receive(until)?;
            match message.tag {
                tag::AUTHENTICATION => {
                    if login.answer(message.body, &mut self.outgoing)? {
                        self.send()?;
                    }
                }
                tag::BACKEND_KEY => self.key = message.body,
                tag::PARAMETER if wire::take_text(&mut message.body)? == "server_encoding" => {
                    let encoding = wire::take_text(&mut message.body)?;
                    if encoding != "UTF8" {
                        let why =
                            format!("the database's encoding must be UTF8, and is {encoding}");
                        return Err(Failure::Login(why.into()));
                    }
                }
                tag::ERROR => return Err(Failure::Said(Box::new(Said::read(message.body)?))),
                tag::READY => self.syncs -= 1,
                tag::PARAMETER | tag::NEGOTIATE => {}
                _ => return Err(Failure::Garbled),
            }
        }
        Ok(())
    }

    /// Whether nothing is still to come, and nobody has hung up.
    pub(super) fn is_clean(&self) -> bool {
        self.syncs == 0 && !self.is_begun && self.inbox.is_empty() && self.stream.is_quiet()
    }

    /// Whether something was begun that is to be ended.
    pub(super) const fn is_begun(&self) -> bool {
        self.is_begun
    }

    /// Whether what was carried out last is what this word says.
    pub(super) fn has_done(&self, word: &str) -> bool {
        self.last_done.starts_with(word.as_bytes())
    }

    /// Carries out statements one after the other, in one go; the rows of each. If one fails, those behind it are not carried out. All of them are sent before any answer is read, so they must not be
    /// more than fits on the way: the server says no more until it is heard.
    ///
    /// # Errors
    /// Why the first one failed.
    pub(super) fn batch(
        &mut self,
        statements: &[Statement],
        until: &Until,
    ) -> Result<Vec<Vec<RawRow>>, Failure> {
        self.done = 0;
        for statement in statements {
            self.put_bound("", statement);
            self.outgoing.execute("", 0);
        }
        self.put_sync();
        self.send()?;
        let mut all = Vec::with_capacity(statements.len());
        let mut rows = Vec::new();
        let ended = self.until_ready(until, |answer| {
            match answer {
                Some(found) => rows.push(found),
                None => all.push(std::mem::take(&mut rows)),
            }
            Ok(())
        });
        self.done = all.len();
        ended.map(|()| all)
    }

    /// How many statements of the last batch were carried out.
    pub(super) const fn done(&self) -> usize {
        self.done
    }

    /// Carries out one statement whose rows are taken as they come.
    ///
    /// # Errors
    /// If it fails, or `take` does: then more is still to come.
    pub(super) fn each_row(
        &mut self,
        statement: &Statement,
        until: &Until,
        take: &mut dyn FnMut(RawRow) -> Result<(), TableError>,
    ) -> Result<(), Failure> {
        self.put_bound("", statement);
        self.outgoing.execute("", 0);
        self.put_sync();
        self.send()?;
        self.until_ready(until, |answer| answer.map_or(Ok(()), &mut *take))
    }

    /// Begins a statement whose rows are fetched a few at a time, by this name.
    pub(super) fn begin(&mut self, portal: &str, statement: &Statement) {
        self.put_bound(portal, statement);
        self.is_begun = true;
    }

    /// The next rows of a statement that was begun, and whether more may come.
    ///
    /// # Errors
    /// If it fails: then all that were begun are gone.
    pub(super) fn fetch(
        &mut self,
        portal: &str,
        rows_max: usize,
        until: &Until,
    ) -> Result<(Vec<RawRow>, bool), Failure> {
        self.is_begun = true;
        self.outgoing.execute(portal, rows_max);
        self.outgoing.flush();
        self.send()?;
        let mut rows = Vec::new();
        loop {
            let message = self.receive(until)?;
            match message.tag {
                tag::DATA_ROW => rows.push(wire::columns(message.body)?),
                tag::COMMAND_COMPLETE | tag::EMPTY_QUERY => return Ok((rows, false)),
                tag::PORTAL_SUSPENDED => return Ok((rows, true)),
                tag::ERROR => {
                    let said = Said::read(message.body)?;
                    self.prepared.forget_unheard();
                    self.end(until)?;
                    return Err(Failure::Said(Box::new(said)));
                }
                _ => self.prepared.hear(message.tag),
            }
        }
    }

    /// Nothing more is fetched of a statement; the server is told with what is asked of it next.
    pub(super) fn close(&mut self, portal: &str) {
        self.outgoing.close_portal(portal);
    }

    /// Ends what was begun.
    ///
    /// # Errors
    /// If the connection is lost.
    pub(super) fn end(&mut self, until: &Until) -> Result<(), Failure> {
        self.put_sync();
        self.send()?;
        self.until_ready(until, |_| Ok(()))
    }

    /// Asks the server to end what this connection does. It is not to be used any more.
    pub(super) fn cancel(&self) {
        let ask = || -> io::Result<()> {
            let mut stream = stream::open(&self.target.address, self.target.tls.as_ref())?;
            let mut request = Outgoing::default();
            request.cancel_request(&self.key);
            stream.send(request.bytes())?;
            // The server hangs up once it has passed it on.
            let until = self.target.within_ms(POSTGRES_CONNECT_MS_MAX);
            while !until.is_over() && stream.receive(&mut [0; 1])?.is_none() {}
            Ok(())
        };
        match ask() {
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                tracing::debug!(%error, "a query that takes too long cannot be ended");
            }
            _ => {}
        }
    }

    /// Binds a statement, which is prepared unless it is already.
    fn put_bound(&mut self, portal: &str, statement: &Statement) {
        let name = self.prepared.name_of(statement, &mut self.outgoing);
        self.outgoing.bind((portal, &name), &statement.params, values::put);
    }

    fn put_sync(&mut self) {
        self.outgoing.sync();
        self.syncs += 1;
        self.is_begun = false;
    }

    fn send(&mut self) -> Result<(), Failure> {
        let sent = self.stream.send(self.outgoing.bytes());
        self.outgoing.clear();
        Ok(sent?)
    }

    /// Hears everything up to the answer to the last sync: `take` is told of rows, and of the end of each statement.
    fn until_ready(
        &mut self,
        until: &Until,
        mut take: impl FnMut(Option<RawRow>) -> Result<(), TableError>,
    ) -> Result<(), Failure> {
        let mut failed = None;
        while self.syncs > 0 {
            let message = self.receive(until)?;
            match message.tag {
                tag::DATA_ROW => {
                    take(Some(wire::columns(message.body)?)).map_err(Failure::taken)?;
                }
                tag::COMMAND_COMPLETE | tag::EMPTY_QUERY => {
                    self.last_done = message.body;
                    take(None).map_err(Failure::taken)?;
                }
                tag::ERROR => {
                    self.prepared.forget_unheard();
                    failed.get_or_insert(Failure::Said(Box::new(Said::read(message.body)?)));
                }
                tag::READY => self.syncs -= 1,
                _ => self.prepared.hear(message.tag),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Whether a notification has come since this was asked last, now or until then. Nothing may be still to come.
    ///
    /// # Errors
    /// If the connection is lost.
    pub(super) fn wait_for_notice(&mut self, until: &Until) -> Result<bool, Failure> {
        loop {
            while let Some(message) = self.next_answer()? {
                match message.tag {
                    tag::ERROR => return Err(Failure::Said(Box::new(Said::read(message.body)?))),
                    tag::PARAMETER => {}
                    _ => return Err(Failure::Garbled),
                }
            }
            if std::mem::take(&mut self.is_notified) {
                return Ok(true);
            }
            if !self.fill()? && until.is_over() {
                return Ok(false);
            }
        }
    }

    /// The next message that answers something.
    fn receive(&mut self, until: &Until) -> Result<Message, Failure> {
        loop {
            if let Some(message) = self.next_answer()? {
                return Ok(message);
            }
            if !self.fill()? && until.is_over() {
                return Err(Failure::Over);
            }
        }
    }

    /// The next of what was read, but for what is only said; of a notification it is noted that it was there.
    fn next_answer(&mut self) -> Result<Option<Message>, Failure> {
        while let Some(message) = wire::next_message(&mut self.inbox)? {
            match message.tag {
                tag::NOTICE => {}
                tag::NOTIFICATION => self.is_notified = true,
                _ => return Ok(Some(message)),
            }
        }
        Ok(None)
    }

    /// Reads what has come; whether anything has.
    fn fill(&mut self) -> Result<bool, Failure> {
        let count = self.stream.receive(&mut self.buffer)?;
        self.inbox.extend_from_slice(self.buffer.get(..count.unwrap_or(0)).unwrap_or_default());
        Ok(count.is_some())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.is_clean() {
            self.outgoing.terminate();
            if let Err(failure) = self.send() {
                tracing::debug!(%failure, "a connection has ended by itself");
            }
        }
    }
}
