//! Whoever has tables in memory, without its thread: hears what is asked, answers page by page, and tells of every row that changes.
//!
//! Invariants: writes are carried out and told in the order in which they are heard; of an answer that waits for its asker no more is held than
//! `TABLE_ANSWERS_BYTES_MAX` allows all of them together, and a query that finds no room is answered `busy`. Never waits.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::answer::End;
use super::answer::Page;
use super::answer::Row;
use super::answer::What;
use super::answer::Written;
use super::answer::event_key_of;
use super::answer::payload_of;
use super::answer::payload_of_key;
use super::asks::Answer;
use super::asks::Ask;
use super::asks::Asker;
use super::asks::Told;
use super::effort::Effort;
use super::error::ErrorCode;
use super::error::TableError;
use super::gather::columns_read;
use super::gather::gather;
use super::memory::Memory;
use super::memory::key_values;
use super::query::Change;
use super::query::Query;
use super::query::Write;
use super::query::key_of;
use super::read::Unknown;
use super::schema::Schema;
use super::schema::Table;
use super::schema::TableId;
use crate::event::Ack;
use crate::event::Draft;
use crate::event::Event;
use crate::event::Fields;
use crate::event::Op;
use crate::limits::KEY_BYTES_MAX;
use crate::limits::TABLE_ANSWERS_BYTES_MAX;
use crate::limits::TABLE_MEMORY_STEPS_MAX;
use crate::limits::TABLE_PAGE_BYTES;
use crate::limits::TABLE_PAGE_ROWS_MAX;

/// What is to be said, and to whom.
#[derive(Debug)]
pub enum Outcome {
    /// To the shard of whoever asked.
    Answer(Asker, Answer),
    /// To the home of the draft's topic.
    Told(Told),
}

/// Tables in memory, and the answers that are on their way.
#[derive(Debug)]
pub struct Keeper {
    schema: Schema,
    memory: Memory,
    /// Answers of which some pages wait until their askers have room.
    waiting: HashMap<Asker, Waiting, foldhash::fast::RandomState>,
    waiting_bytes: usize,
}

/// Rows that have been read and not handed out.
#[derive(Debug)]
pub struct Waiting {
    rows: VecDeque<Row>,
    bytes: usize,
    end: End,
}

impl Waiting {
    /// All rows of an answer.
    #[must_use]
    pub fn new(rows: Vec<Row>, end: End) -> Self {
        let bytes = rows.iter().map(Row::weight_bytes).sum();
        Self { rows: rows.into(), bytes, end }
    }

    /// Bytes that it keeps alive, about.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The next page.
    pub fn next_page(&mut self) -> Page {
        let mut rows = Vec::new();
        let mut bytes = 0;
        while let Some(row) = self.rows.front() {
            bytes += row.weight_bytes();
            let is_full = rows.len() >= TABLE_PAGE_ROWS_MAX || bytes > TABLE_PAGE_BYTES;
            if is_full && !rows.is_empty() {
                break;
            }
            self.bytes = self.bytes.saturating_sub(row.weight_bytes());
            rows.extend(self.rows.pop_front());
        }
        Page { rows: rows.into(), end: self.rows.is_empty().then_some(self.end) }
    }
}

impl Keeper {
    /// Empty tables, which may take so many bytes together.
    #[must_use]
    pub fn new(schema: Schema, bytes_max: usize) -> Self {
        let memory = Memory::new(schema.clone(), bytes_max);
        Self { schema, memory, waiting: HashMap::default(), waiting_bytes: 0 }
    }

    /// Bytes that rows and answers take, about.
    #[must_use]
    pub const fn held_bytes(&self) -> usize {
        self.memory.bytes() + self.waiting_bytes
    }

    /// Hears one thing; appends what is to be said.
    pub fn hear(&mut self, ask: Ask, out: &mut Vec<Outcome>) {
        match ask {
            Ask::Query { asker, query } => {
                let answer = self.query(asker, &query).unwrap_or_else(Answer::Failed);
                out.push(Outcome::Answer(asker, answer));
            }
            Ask::More { asker } => {
                if let Some(waiting) = self.waiting.remove(&asker) {
                    self.waiting_bytes -= waiting.bytes();
                    out.push(Outcome::Answer(asker, self.hand_out(asker, waiting)));
                }
            }
            Ask::Leave { asker } => {
                if let Some(waiting) = self.waiting.remove(&asker) {
                    self.waiting_bytes -= waiting.bytes();
                }
            }
            Ask::Write { asker, write } => match self.write(&write) {
                Ok(written) => out.push(told(&self.schema, &write, asker, written)),
                Err(error) => out.push(Outcome::Answer(asker, Answer::Failed(error))),
            },
            Ask::Rows { rows } => {
                for (table, event) in rows {
                    let write = write_of_event(&self.schema, table, &event);
                    match write.and_then(|write| Ok((self.write(&write)?, write))) {
                        Ok((written, write)) => {
                            out.extend(
                                told_to_all(&self.schema, &write, &written).map(Outcome::Told),
                            );
                        }
                        Err(error) => tracing::debug!(%error, "an event makes no row"),
                    }
                }
            }
        }
    }

    fn query(&mut self, asker: Asker, query: &Query) -> Result<Answer, TableError> {
        let table = self.schema.table(query.table);
        let read = Query {
            columns: columns_read(table, &query.columns, &query.preload),
            preload: Vec::new(),
            ..query.clone()
        };
        // For all that is preloaded, too.
        let effort = Effort::of(TABLE_MEMORY_STEPS_MAX);
        let found = self.memory.query(&read, &effort)?;
        if query.number_of.is_some() && found.end.number.is_none() {
            return Err(TableError::new(ErrorCode::NotFound, "there is no such row"));
        }
        let asked = (&query.columns[..], &query.preload[..]);
        let mut answers = |query: &Query| Ok(self.memory.query(query, &effort)?.rows);
        let rows = gather(&self.schema, table, asked, found.rows, &mut answers)?;
        let waiting = Waiting::new(rows, found.end);
        if self.waiting_bytes + waiting.bytes() > TABLE_ANSWERS_BYTES_MAX {
            return Err(TableError::new(
                ErrorCode::Busy,
                "too much is being answered just now; ask for fewer rows, or again",
            ));
        }
        Ok(self.hand_out(asker, waiting))
    }

    fn hand_out(&mut self, asker: Asker, mut waiting: Waiting) -> Answer {
        let page = waiting.next_page();
        if page.end.is_none() {
            self.waiting_bytes += waiting.bytes();
            self.waiting.insert(asker, waiting);
        }
        Answer::Page(page)
    }

    fn write(&mut self, write: &Write) -> Result<Written, TableError> {
        check_event(&self.schema, write)?;
        self.memory.write(write)
    }
}

/// A row whose key is too long for an event cannot be told of, and so it cannot be written.
///
/// # Errors
/// If it is.
pub fn check_event(schema: &Schema, write: &Write) -> Result<(), TableError> {
    let table = schema.table(write.table);
    let key = match &write.change {
        Change::Create(row) | Change::Upsert(row) => key_of(table, row),
        Change::Update { key, .. } | Change::Delete { key } => key.clone(),
    };
    if event_key_of(&key).len() > KEY_BYTES_MAX {
        let message = format!("a key has at most {KEY_BYTES_MAX} bytes");
        return Err(TableError::new(ErrorCode::TooLarge, message).at(&table.name));
    }
    Ok(())
}

/// What is said of a write: whoever waits for it is answered, and if a row has changed everybody is told.
#[must_use]
pub fn told(schema: &Schema, write: &Write, asker: Asker, written: Written) -> Outcome {
    match told_to_all(schema, write, &written) {
        Some(told) => Outcome::Told(Told { answer: Some((asker, written)), ..told }),
        None => Outcome::Answer(asker, Answer::Written(written)),
    }
}

/// What everybody is told of a write, if a row has changed.
#[must_use]
pub fn told_to_all(schema: &Schema, write: &Write, written: &Written) -> Option<Told> {
    let table = schema.table(write.table);
    let row = written.row.as_deref()?;
    let key = key_values(table, row);
    let (op, payload) = match written.what {
        What::Created => (Op::Create, payload_of(table, row)),
        What::Updated => (Op::Upsert, payload_of(table, row)),
        What::Deleted => (Op::Delete, payload_of_key(table, &key)),
        What::NotThere => return None,
    };
    let draft = Draft {
        topic: table.topic.clone(),
        key: event_key_of(&key).into(),
        op,
        payload: Bytes::from(payload),
        fields: Fields::default(),
        ack: Ack::default(),
        meta: None,
    };
    Some(Told { answer: None, draft })
}

/// The write that an event means for a table whose rows come from its topic.
///
/// # Errors
/// If it means none: what is missing or wrong.
pub fn write_of_event(
    schema: &Schema,
    id: TableId,
    event: &Arc<Event>,
) -> Result<Write, TableError> {
    let table = schema.table(id);
    let payload = std::str::from_utf8(&event.payload);
    let payload = payload.map_err(|_| TableError::new(ErrorCode::BadValue, "it is no text"))?;
    let values = table.read_object(payload, Unknown::Ignored)?;
    let change = match event.op {
        Op::Delete => Change::Delete { key: key_of_event(table, &key_of(table, &values), event)? },
        _ => Change::Upsert(values),
    };
    let write = Write::new(id, change);
    write.check_from_source(schema)?;
    Ok(write)
}

/// The key in a delete's payload; else its event's key.
fn key_of_event(
    table: &Table,
    key: &[super::value::Value],
    event: &Event,
) -> Result<Box<[super::value::Value]>, TableError> {
    if key.iter().any(super::value::Value::is_null) {
        return table.read_key(&event.key);
    }
    Ok(key.into())
}
