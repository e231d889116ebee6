//! Batches of records, as they lie in a log of Kafka (*format 2*, since 0.11): their head, what is compressed in them, and records one by one.
//!
//! Pure. Invariants: a batch is believed once its checksum is right; what it holds once it is inflated is bounded; a batch that is cut off at the end of an answer is none.

use bytes::Bytes;

use super::inflate;
use super::wire::Garbled;
use super::wire::Reader;

/// Bytes up to what the length in a batch counts.
const BEFORE_LENGTH: usize = 8 + 4;
/// Bytes of what the length counts and the checksum does not: the leader's epoch, the format, the checksum.
const BEFORE_CHECKED: usize = 4 + 1 + 4;

/// A batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecordBatch {
    pub(super) first_offset: i64,
    /// The offset behind its last one.
    pub(super) next_offset: i64,
    /// Who has written it, in a transaction; `None`: in none.
    pub(super) transaction_of: Option<i64>,
    /// It holds marks of transactions, and no records.
    pub(super) is_control: bool,
    pub(super) count: usize,
    first_ms: i64,
    appended_ms: Option<i64>,
    compression: u8,
    records: Bytes,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) offset: i64,
    /// Milliseconds since 1970.
    pub(super) time_ms: i64,
    pub(super) key: Option<Bytes>,
    /// `None`: a *tombstone*: the key is deleted.
    pub(super) value: Option<Bytes>,
    pub(super) headers: Vec<(Bytes, Bytes)>,
}

/// Why a batch's records cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unreadable(pub(super) String);

/// What stands at the beginning of a partition's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A batch, and what is behind it.
    Batch(RecordBatch, Bytes),
    /// A batch whose records cannot be read, from this offset to before that one.
    Broken(i64, i64, &'static str, Bytes),
    /// Nothing, or a batch that is cut off.
    End,
}

/// The next batch.
pub(super) fn next_batch(data: &Bytes) -> Result<Next, Garbled> {
    let mut reader = Reader::new(data.clone(), false);
    if reader.left() < BEFORE_LENGTH + BEFORE_CHECKED {
        return Ok(Next::End);
    }
    let first_offset = reader.i64()?;
    let length = usize::try_from(reader.i32()?).map_err(|_| Garbled)?;
    if length < BEFORE_CHECKED {
        return Err(Garbled);
    }
    if reader.left() < length {
        return Ok(Next::End);
    }
    let mut batch = Reader::new(reader.take(length)?, false);
    let rest = data.slice(BEFORE_LENGTH + length..);
    batch.i32()?;
    let format = batch.u8()?;
    let checksum = batch.i32()?;
    if format != 2 {
        // What older clients have written, and nobody has rewritten since: one message, or several in one that is compressed.
        let why = "its format is older than Kafka 0.11";
        return Ok(Next::Broken(first_offset, first_offset.saturating_add(1), why, rest));
    }
    let checked = batch.take(length - BEFORE_CHECKED)?;
    let is_right = crc32c::crc32c(&checked) == checksum.cast_unsigned();
    let mut batch = Reader::new(checked, false);
    let attributes = batch.i16()?;
    let last = i64::from(batch.i32()?.max(0));
    let next_offset = first_offset.checked_add(last + 1).ok_or(Garbled)?;
    if !is_right {
        return Ok(Next::Broken(first_offset, next_offset, "its checksum is wrong", rest));
    }
    let (first_ms, greatest_ms) = (batch.i64()?, batch.i64()?);
    let producer = batch.i64()?;
    batch.i16()?;
    batch.i32()?;
    let count = usize::try_from(batch.i32()?).map_err(|_| Garbled)?;
    let records = batch.take(batch.left())?;
    let has = |bit: i16| attributes & (1 << bit) != 0;
    let batch = RecordBatch {
        first_offset,
        next_offset,
        transaction_of: has(4).then_some(producer),
        is_control: has(5),
        count,
        first_ms,
        appended_ms: has(3).then_some(greatest_ms),
        compression: (attributes & 0b111) as u8,
        records,
    };
    Ok(Next::Batch(batch, rest))
}

impl RecordBatch {
    /// Whether a mark of a transaction says that it was aborted.
    pub(super) fn is_abort(&self) -> Result<bool, Unreadable> {
        let records = self.records()?;
        // Version and type: 0 is an abort.
        let key = records.first().and_then(|record| record.key.clone());
        Ok(key.is_some_and(|key| key.get(2..4) == Some(&[0, 0])))
    }

    /// Its records, from the first to the last.
    pub(super) fn records(&self) -> Result<Vec<Record>, Unreadable> {
        let bytes = inflate::inflated(self.compression, &self.records).map_err(Unreadable)?;
        // A record has at least seven bytes.
        if self.count > bytes.len() / 7 {
            return Err(Unreadable("it has fewer records than it says".to_owned()));
        }
        let mut reader = Reader::new(bytes, false);
        let mut records = Vec::with_capacity(self.count);
        for _ in 0..self.count {
            let record = self.record(&mut reader);
            records.push(record.map_err(|Garbled| Unreadable("a record is cut off".to_owned()))?);
        }
        Ok(records)
    }

    fn record(&self, reader: &mut Reader) -> Result<Record, Garbled> {
        let whole = reader.record_data()?.ok_or(Garbled)?;
        let mut reader = Reader::new(whole, false);
        reader.u8()?;
        let time_ms = self.first_ms.wrapping_add(reader.signed()?);
        let offset = self.first_offset.checked_add(reader.signed()?).ok_or(Garbled)?;
        if !(self.first_offset..self.next_offset).contains(&offset) {
            return Err(Garbled);
        }
        let (key, value) = (reader.record_data()?, reader.record_data()?);
        let count = usize::try_from(reader.signed()?).map_err(|_| Garbled)?;
        if count > reader.left() {
            return Err(Garbled);
        }
        let mut headers = Vec::with_capacity(count);
        for _ in 0..count {
            let name = reader.record_data()?.ok_or(Garbled)?;
            headers.push((name, reader.record_data()?.unwrap_or_default()));
        }
        Ok(Record { offset, time_ms: self.appended_ms.unwrap_or(time_ms), key, value, headers })
    }
}
