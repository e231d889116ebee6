//! Kafka's protocol: numbers, strings and lists, as requests are written and answers read.
//!
//! Pure. Invariants: what an answer lacks is [`Garbled`], never a guess; a count is believed only as far as there are bytes for it.

use bytes::Buf as _;
use bytes::Bytes;

/// What cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Garbled;

/// What is asked (Kafka's *API keys*), and the version in which it is asked. Each is one that brokers from 2.1 to 4 speak, but for [`Api::MetadataById`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Fetch,
    ListOffsets,
    Metadata,
    /// With the topics' ids, which brokers from 2.8 on give.
    MetadataById,
    SaslHandshake,
    ApiVersions,
    SaslAuthenticate,
}

impl Api {
    /// Its key and version.
    pub(super) const fn number(self) -> (i16, i16) {
        match self {
            Self::Fetch => (1, 10),
            Self::ListOffsets => (2, 2),
            Self::Metadata => (3, 5),
            Self::MetadataById => (3, 12),
            Self::SaslHandshake => (17, 1),
            Self::ApiVersions => (18, 0),
            Self::SaslAuthenticate => (36, 0),
        }
    }

    /// Whether its lists and strings are *compact*, and tags stand behind its parts (KIP-482).
    pub(super) const fn is_flexible(self) -> bool {
        matches!(self, Self::MetadataById)
    }
}

/// A request that is written.
#[derive(Debug)]
pub(super) struct Request {
    bytes: Vec<u8>,
    is_flexible: bool,
}

impl Request {
    pub(super) fn new(api: Api, number: i32, client: &str) -> Self {
        let (key, version) = api.number();
        // Its length stands in front of it, once it is known.
        let mut request = Self { bytes: vec![0; 4], is_flexible: false };
        request.i16(key);
        request.i16(version);
        request.i32(number);
        // The one string that is never compact.
        request.text(client);
        request.is_flexible = api.is_flexible();
        request.tags();
        request
    }

    pub(super) fn i8(&mut self, number: i8) {
        self.bytes.extend(number.to_be_bytes());
    }

    pub(super) fn i16(&mut self, number: i16) {
        self.bytes.extend(number.to_be_bytes());
    }

    pub(super) fn i32(&mut self, number: i32) {
        self.bytes.extend(number.to_be_bytes());
    }

    pub(super) fn i64(&mut self, number: i64) {
        self.bytes.extend(number.to_be_bytes());
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// How many parts a list has that follow.
    pub(super) fn count(&mut self, count: usize) {
        match self.is_flexible {
            true => self.varint(count + 1),
            false => self.i32(i32::try_from(count).unwrap_or(i32::MAX)),
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        match self.is_flexible {
            true => self.varint(text.len() + 1),
            false => self.i16(i16::try_from(text.len()).unwrap_or(i16::MAX)),
        }
        self.bytes.extend(text.as_bytes());
    }

    pub(super) fn data(&mut self, data: &[u8]) {
        self.i32(i32::try_from(data.len()).unwrap_or(i32::MAX));
        self.bytes.extend(data);
    }

    /// What nobody says.
    pub(super) fn tags(&mut self) {
        if self.is_flexible {
            self.bytes.push(0);
        }
    }

    fn varint(&mut self, mut number: usize) {
        while number >= 0x80 {
            self.bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    /// As it is sent.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let length = i32::try_from(self.bytes.len() - 4).unwrap_or(i32::MAX);
        for (to, byte) in self.bytes.iter_mut().zip(length.to_be_bytes()) {
            *to = byte;
        }
        self.bytes
    }
}

/// An answer, or records, that are read.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    bytes: Bytes,
    is_flexible: bool,
}

impl Reader {
    pub(super) const fn new(bytes: Bytes, is_flexible: bool) -> Self {
        Self { bytes, is_flexible }
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn u8(&mut self) -> Result<u8, Garbled> {
        self.bytes.try_get_u8().map_err(|_| Garbled)
    }

    pub(super) fn i16(&mut self) -> Result<i16, Garbled> {
        self.bytes.try_get_i16().map_err(|_| Garbled)
    }

    pub(super) fn i32(&mut self) -> Result<i32, Garbled> {
        self.bytes.try_get_i32().map_err(|_| Garbled)
    }

    pub(super) fn i64(&mut self) -> Result<i64, Garbled> {
        self.bytes.try_get_i64().map_err(|_| Garbled)
    }

    /// So many bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<Bytes, Garbled> {
        if count > self.bytes.len() {
            return Err(Garbled);
        }
        Ok(self.bytes.split_to(count))
    }

    /// How many parts a list has; a list that is null has none.
    pub(super) fn count(&mut self) -> Result<usize, Garbled> {
        let count = match self.is_flexible {
            true => self.varint()?.saturating_sub(1),
            false => usize::try_from(self.i32()?.max(0)).map_err(|_| Garbled)?,
        };
        // Each part has at least a byte.
        if count > self.bytes.len() { Err(Garbled) } else { Ok(count) }
    }

    /// A string; `None`: null.
    pub(super) fn text(&mut self) -> Result<Option<Bytes>, Garbled> {
        let size = match self.is_flexible {
            true => self.varint()?.checked_sub(1),
            false => usize::try_from(self.i16()?).ok(),
        };
        size.map(|size| self.take(size)).transpose()
    }

    /// Data with its length in front; `None`: null.
    pub(super) fn data(&mut self) -> Result<Option<Bytes>, Garbled> {
        usize::try_from(self.i32()?).ok().map(|size| self.take(size)).transpose()
    }

    /// Passes over tags.
    pub(super) fn tags(&mut self) -> Result<(), Garbled> {
        if self.is_flexible {
            for _ in 0..self.varint()? {
                self.varint()?;
                let size = self.varint()?;
                self.take(size)?;
            }
        }
        Ok(())
    }

    /// A number without a sign, seven bits a byte, of 32 bits at most.
    fn varint(&mut self) -> Result<usize, Garbled> {
        usize::try_from(self.bits(5)?).map_err(|_| Garbled)
    }

    /// A number with a sign, seven bits a byte, zigzag.
    pub(super) fn signed(&mut self) -> Result<i64, Garbled> {
        let bits = self.bits(10)?;
        Ok((bits >> 1).cast_signed() ^ -((bits & 1).cast_signed()))
    }

    fn bits(&mut self, most: u32) -> Result<u64, Garbled> {
        let mut bits = 0;
        for index in 0..most {
            let byte = self.u8()?;
            bits |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return Ok(bits);
            }
        }
        Err(Garbled)
    }

    /// Data whose length stands in front as a number with a sign; `None`: null.
    pub(super) fn record_data(&mut self) -> Result<Option<Bytes>, Garbled> {
        usize::try_from(self.signed()?).ok().map(|size| self.take(size)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        for api in [Api::Metadata, Api::MetadataById] {
            let mut request = Request::new(api, 7, "me");
            request.count(1);
            request.text("topic");
            request.tags();
            request.i64(-2);
            request.data(b"xyz");
            let bytes = Bytes::from(request.finish());
            let mut reader = Reader::new(bytes.clone(), false);
            assert_eq!(reader.i32(), Ok(i32::try_from(bytes.len() - 4).unwrap()));
            let (key, version) = api.number();
            assert_eq!((reader.i16(), reader.i16(), reader.i32()), (Ok(key), Ok(version), Ok(7)));
            assert_eq!(reader.text(), Ok(Some(Bytes::from_static(b"me"))));
            reader.is_flexible = api.is_flexible();
            assert_eq!(reader.tags(), Ok(()));
            assert_eq!(reader.count(), Ok(1));
            assert_eq!(reader.text(), Ok(Some(Bytes::from_static(b"topic"))));
            assert_eq!(reader.tags(), Ok(()));
            assert_eq!((reader.i64(), reader.data()), (Ok(-2), Ok(Some(Bytes::from_static(b"xyz")))));
            assert_eq!(reader.left(), 0);
        }
    }

    #[test]
    fn numbers_with_a_sign_are_read() {
        for (bytes, number) in [
            (&[0][..], 0),
            (&[1], -1),
            (&[2], 1),
            (&[0x80, 1], 64),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], i64::MIN),
        ] {
            let mut reader = Reader::new(Bytes::copy_from_slice(bytes), false);
            assert_eq!(reader.signed(), Ok(number), "{bytes:?}");
        }
        let mut endless = Reader::new(Bytes::from_static(&[0xff; 20]), false);
        assert_eq!(endless.signed(), Err(Garbled));
    }

    #[test]
    fn a_count_is_believed_as_far_as_there_are_bytes() {
        let reader = |bytes: &'static [u8], is_flexible| Reader::new(Bytes::from_static(bytes), is_flexible);
        assert_eq!(reader(&[0x7f, 0xff, 0xff, 0xff], false).count(), Err(Garbled));
        assert_eq!(reader(&[0xff, 0xff, 0xff, 0xff], false).count(), Ok(0));
        assert_eq!(reader(&[0xff, 0xff, 0xff, 0xff, 0x0f], true).count(), Err(Garbled));
        assert_eq!(reader(&[0, 9, 1], false).text(), Err(Garbled));
        assert_eq!(reader(&[0xff, 0xff], false).text(), Ok(None));
        assert_eq!(reader(&[0], true).text(), Ok(None));
        assert_eq!(reader(&[2, 0, 0xff, 1], true).tags(), Err(Garbled));
    }
}
