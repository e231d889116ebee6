//! Messages of PostgreSQL's protocol, version 3: those that are sent, and the frames of those that come.
//!
//! Everything a value is, it is as text: what PostgreSQL writes of one can be read by whoever knows its column's type. Invariants: what is asked for is written whole or not at all; a message that says it is
//! longer than `POSTGRES_MESSAGE_BYTES_MAX`, or shorter than itself, is an error. Never does I/O.

use bytes::Buf;
use bytes::Bytes;
use bytes::BytesMut;

use crate::limits::POSTGRES_MESSAGE_BYTES_MAX;

/// What asks for encryption, instead of a first message.
const SSL_REQUEST: i32 = 80_877_103;
/// What asks for a query to be ended, instead of a first message.
const CANCEL_REQUEST: i32 = 80_877_102;
/// Version 3.0.
const PROTOCOL: i32 = 196_608;

/// What a message that came is about, by its first byte.
pub(super) mod tag {
    pub(crate) const AUTHENTICATION: u8 = b'R';
    pub(crate) const BACKEND_KEY: u8 = b'K';
    pub(crate) const COMMAND_COMPLETE: u8 = b'C';
    pub(crate) const DATA_ROW: u8 = b'D';
    pub(crate) const EMPTY_QUERY: u8 = b'I';
    pub(crate) const ERROR: u8 = b'E';
    pub(crate) const NEGOTIATE: u8 = b'v';
    pub(crate) const NOTICE: u8 = b'N';
    pub(crate) const NOTIFICATION: u8 = b'A';
    pub(crate) const PARAMETER: u8 = b'S';
    pub(crate) const PORTAL_SUSPENDED: u8 = b's';
    pub(crate) const READY: u8 = b'Z';
}

/// Messages that are to be sent.
#[derive(Debug, Default)]
pub(super) struct Outgoing(Vec<u8>);

impl Outgoing {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Asks for encryption: answered with one byte, `S` or `N`.
    pub(super) fn ssl_request(&mut self) {
        self.0.extend(8_i32.to_be_bytes());
        self.0.extend(SSL_REQUEST.to_be_bytes());
    }

    /// Asks for what another connection does to be ended.
    pub(super) fn cancel_request(&mut self, key: &[u8]) {
        let length = i32::try_from(8 + key.len()).expect("a key has 12 or 260 bytes at most");
        self.0.extend(length.to_be_bytes());
        self.0.extend(CANCEL_REQUEST.to_be_bytes());
        self.0.extend(key);
    }

    /// Begins: parameters by name.
    pub(super) fn startup<'a>(&mut self, params: impl IntoIterator<Item = (&'a str, &'a str)>) {
        self.framed(None, |out| {
            out.extend(PROTOCOL.to_be_bytes());
            for (name, value) in params {
                put_text(name, out);
                put_text(value, out);
            }
            out.push(0);
        });
    }

    /// An answer to a demand for a password.
    pub(super) fn password(&mut self, password: &str) {
        self.framed(Some(b'p'), |out| put_text(password, out));
    }

    /// The first words of a login by challenge.
    pub(super) fn sasl_first(&mut self, mechanism: &str, words: &str) {
        self.framed(Some(b'p'), |out| {
            put_text(mechanism, out);
            out.extend(count32(words.len()).to_be_bytes());
            out.extend(words.as_bytes());
        });
    }

    /// The last words of a login by challenge.
    pub(super) fn sasl_last(&mut self, words: &str) {
        self.framed(Some(b'p'), |out| out.extend(words.as_bytes()));
    }

    /// Prepares a statement under a name; its parameters' types are said in its text.
    pub(super) fn parse(&mut self, name: &str, sql: &str) {
        self.framed(Some(b'P'), |out| {
            put_text(name, out);
            put_text(sql, out);
            out.extend(0_i16.to_be_bytes());
        });
    }

    /// Binds parameters; `put` appends each one's text, or says that it is null with `false`.
    pub(super) fn bind<T>(
        &mut self,
        (portal, statement): (&str, &str),
        params: &[T],
        put: impl Fn(&T, &mut Vec<u8>) -> bool,
    ) {
        self.framed(Some(b'B'), |out| {
            put_text(portal, out);
            put_text(statement, out);
            // All parameters are texts…
            out.extend(0_i16.to_be_bytes());
            let count =
                u16::try_from(params.len()).expect("a filter's and a row's values are fewer");
            out.extend(count.to_be_bytes());
            for param in params {
                let at = out.len();
                out.extend([0; 4]);
                let is_there = put(param, out);
                let length = if is_there { count32(out.len() - at - 4) } else { -1 };
                if let Some(place) = out.get_mut(at..at + 4) {
                    place.copy_from_slice(&length.to_be_bytes());
                }
            }
            // … and so are all columns.
            out.extend(0_i16.to_be_bytes());
        });
    }

    /// Carries out what was bound: so many rows, or all with 0.
    pub(super) fn execute(&mut self, portal: &str, rows_max: usize) {
        self.framed(Some(b'E'), |out| {
            put_text(portal, out);
            out.extend(count32(rows_max).to_be_bytes());
        });
    }

    /// Forgets a statement.
    pub(super) fn close_statement(&mut self, name: &str) {
        self.framed(Some(b'C'), |out| {
            out.push(b'S');
            put_text(name, out);
        });
    }

    /// Forgets what was bound.
    pub(super) fn close_portal(&mut self, name: &str) {
        self.framed(Some(b'C'), |out| {
            out.push(b'P');
            put_text(name, out);
        });
    }

    /// Ends what belongs together: answered with `READY`, whatever went wrong before.
    pub(super) fn sync(&mut self) {
        self.framed(Some(b'S'), |_| {});
    }

    /// Wants to be answered now.
    pub(super) fn flush(&mut self) {
        self.framed(Some(b'H'), |_| {});
    }

    /// Says goodbye.
    pub(super) fn terminate(&mut self) {
        self.framed(Some(b'X'), |_| {});
    }

    fn framed(&mut self, tag: Option<u8>, put: impl FnOnce(&mut Vec<u8>)) {
        self.0.extend(tag);
        let at = self.0.len();
        self.0.extend([0; 4]);
        put(&mut self.0);
        let length = count32(self.0.len() - at);
        if let Some(place) = self.0.get_mut(at..at + 4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }
}

fn count32(count: usize) -> i32 {
    i32::try_from(count).expect("what is sent is bounded by what a client may send")
}

/// A text as the protocol ends it. It holds no U+0000: names and statements are ours, and what an operator wrote was looked at.
fn put_text(text: &str, out: &mut Vec<u8>) {
    debug_assert!(!text.contains('\0'), "it would end there");
    out.extend(text.as_bytes());
    out.push(0);
}

/// One message that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) tag: u8,
    pub(super) body: Bytes,
}

/// What has come is no message of this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Garbled;

/// Why there is no next message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    Garbled,
    /// The message has more than `POSTGRES_MESSAGE_BYTES_MAX`.
    TooLong,
}

/// The next whole message; `None`: more must come first.
pub(super) fn next_message(inbox: &mut BytesMut) -> Result<Option<Message>, Unread> {
    let [tag, a, b, c, d, ..] = inbox[..] else { return Ok(None) };
    let length = usize::try_from(i32::from_be_bytes([a, b, c, d])).map_err(|_| Unread::Garbled)?;
    if length < 4 {
        return Err(Unread::Garbled);
    }
    if length > POSTGRES_MESSAGE_BYTES_MAX {
        return Err(Unread::TooLong);
    }
    if inbox.len() < 1 + length {
        return Ok(None);
    }
    inbox.advance(5);
    Ok(Some(Message { tag, body: inbox.split_to(length - 4).freeze() }))
}

/// The next text of a body that ends in U+0000.
pub(super) fn take_text(body: &mut Bytes) -> Result<String, Garbled> {
    let end = body.iter().position(|byte| *byte == 0).ok_or(Garbled)?;
    let text = body.split_to(end);
    body.advance(1);
    // Errors that come before the client's encoding is agreed on may be in any.
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The next number of a body.
pub(super) fn take_i32(body: &mut Bytes) -> Result<i32, Garbled> {
    body.try_get_i32().map_err(|_| Garbled)
}

/// The columns of a row, as texts; `None`: null.
pub(super) fn columns(mut body: Bytes) -> Result<Vec<Option<Bytes>>, Garbled> {
    let count = body.try_get_u16().map_err(|_| Garbled)?;
    let mut columns = Vec::with_capacity(usize::from(count).min(body.len()));
    for _ in 0..count {
        let length = take_i32(&mut body)?;
        columns.push(match usize::try_from(length) {
            Err(_) => None,
            Ok(length) if length <= body.len() => Some(body.split_to(length)),
            Ok(_) => return Err(Garbled),
        });
    }
    Ok(columns)
}

/// What a server says of an error, or of anything else that it thinks should be known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Five letters and digits that name it.
    pub(super) state: String,
    pub(super) message: String,
    pub(super) detail: String,
    /// The column that it is about.
    pub(super) column: String,
}

impl Said {
    pub(super) fn read(mut body: Bytes) -> Result<Self, Garbled> {
        let mut said = Self::default();
        while body.has_remaining() {
            let field = body.get_u8();
            if field == 0 {
                break;
            }
            let text = take_text(&mut body)?;
            match field {
                b'C' => said.state = text,
                b'M' => said.message = text,
                b'D' => said.detail = text,
                b'c' => said.column = text,
                _ => {}
            }
        }
        Ok(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_there_when_all_of_it_is() {
        let whole = [b'D', 0, 0, 0, 14, 0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
        for count in 0..whole.len() {
            let mut inbox = BytesMut::from(whole.get(..count).unwrap());
            assert_eq!(next_message(&mut inbox), Ok(None), "{count}");
            assert_eq!(inbox.len(), count);
        }
        let mut inbox = BytesMut::from(&whole[..]);
        let message = next_message(&mut inbox).unwrap().unwrap();
        assert_eq!((message.tag, inbox.len()), (b'D', 0));
        assert_eq!(columns(message.body), Ok(vec![None, Some(Bytes::new())]));
    }

    #[test]
    fn what_is_no_message_is_an_error_and_nothing_worse() {
        for (length, error) in [
            (-1, Unread::Garbled),
            (0, Unread::Garbled),
            (3, Unread::Garbled),
            (i32::MAX, Unread::TooLong),
        ] {
            let mut bytes = vec![b'D'];
            bytes.extend(length.to_be_bytes());
            bytes.extend([0; 20]);
            assert_eq!(next_message(&mut BytesMut::from(&bytes[..])), Err(error), "{length}");
        }
        for body in [&[][..], &[0], &[0, 1], &[0, 1, 0, 0, 0, 9, 1], &[0xff, 0xff, 0, 0]] {
            assert_eq!(columns(Bytes::copy_from_slice(body)), Err(Garbled), "{body:?}");
        }
        assert_eq!(take_text(&mut Bytes::from_static(b"abc")), Err(Garbled));
        assert_eq!(Said::read(Bytes::from_static(b"Mabc")), Err(Garbled));
        assert_eq!(take_i32(&mut Bytes::from_static(b"abc")), Err(Garbled));
    }

    #[test]
    fn an_error_is_read_by_its_fields() {
        let body = Bytes::from_static(b"SERROR\0VERROR\0C23505\0Mtwice\0Dkey (1)\0cid\0Fx.c\0\0");
        let said = Said::read(body).unwrap();
        assert_eq!((&*said.state, &*said.message), ("23505", "twice"));
        assert_eq!((&*said.detail, &*said.column), ("key (1)", "id"));
    }

    #[test]
    fn what_is_sent_says_how_long_it_is() {
        let mut out = Outgoing::default();
        out.startup([("user", "ada")]);
        out.bind(("", "s1"), &[Some("x"), None], |text, out| {
            text.is_some_and(|text| {
                out.extend(text.as_bytes());
                true
            })
        });
        out.sync();
        let mut expected = vec![0, 0, 0, 18, 0, 3, 0, 0];
        expected.extend(b"user\0ada\0\0");
        expected.extend(b"B\0\0\0\x17\0s1\0\0\0\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\0");
        expected.extend(b"S\0\0\0\x04");
        assert_eq!(out.bytes(), expected);
    }
}
