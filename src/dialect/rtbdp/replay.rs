//! Replays: what a client asks for of rows that are kept, and the messages that it is answered with.
//!
//! Invariants: a replay that is not answered whole is not ended by `replayed`; its rows have the columns that are kept, and no others.

use super::admission;
use super::message::Entry;
use super::ranking::Numbering;
use super::ranking::TooLong;
use crate::dialect::json;
use crate::tables::ColumnId;
use crate::tables::Page;
use crate::tables::Query;
use crate::tables::Row;
use crate::tables::Sort;
use crate::tables::Table;
use crate::tables::TableId;
use crate::tables::Value;

/// A replay that was asked for.
#[derive(Debug)]
pub(super) struct Replay {
    id: i64,
    /// As clients call it.
    table: Box<str>,
    /// The columns that are told, with their names.
    columns: Vec<(ColumnId, Box<str>)>,
    /// `Some`: rows come with all columns of the table, and have to be given their places.
    numbering: Option<Numbering>,
    /// The replay cannot be answered: what is still read for it is not told.
    has_failed: bool,
}

impl Replay {
    /// A replay and what has to be read for it. `None`: it is not answered.
    pub(super) fn new(
        entry: &Entry,
        (id, table): (TableId, &Table),
        name: &str,
    ) -> Option<(Self, Query)> {
        //= rtbdp#4.6
        //# Negative limit → SQL error → no
        //# `replayed`.
        let limit = entry.limit.map(u64::try_from).transpose().ok()?;
        if !admission::admits(table, entry) {
            return None;
        }
        let branches = entry.filters.as_deref();
        let told: Vec<ColumnId> =
            table.ids().filter(|column| !table.column(*column).live_only).collect();
        let numbering = match &table.ranking {
            Some(ranking) => Some(Numbering::new(table, ranking, branches, limit)?),
            None => None,
        };
        let query = match &numbering {
            Some(numbering) => numbering.query(id, table, branches),
            None => Query {
                columns: told.clone(),
                filter: super::filters::kept(table, branches)?,
                sort: limit.map_or_else(Vec::new, |_| newest_first(table)),
                limit,
                ..Query::all(id)
            },
        };
        let named = |column| (column, table.column(column).name.as_ref().into());
        let columns = told.into_iter().map(named).collect();
        Some((
            Self { id: entry.id, table: name.into(), columns, numbering, has_failed: false },
            query,
        ))
    }

    /// Bytes that it holds until it is answered.
    pub(super) fn held_bytes(&self) -> usize {
        let columns = self.columns.iter().map(|(_, name)| name.len());
        let columns = columns.sum::<usize>() + size_of_val(&*self.columns);
        let numbering = self.numbering.as_ref().map_or(0, Numbering::held_bytes);
        size_of::<Self>() + self.table.len() + columns + numbering
    }

    /// The message of a page's rows, if any are told.
    pub(super) fn message(&mut self, page: &Page) -> Option<Vec<u8>> {
        if self.has_failed {
            return None;
        }
        let message = self.rows_of(page);
        self.has_failed = message.is_err();
        message.unwrap_or_default()
    }

    fn rows_of(&mut self, page: &Page) -> Result<Option<Vec<u8>>, TooLong> {
        let rows = match &mut self.numbering {
            None => page.rows.iter().map(|row: &Row| row.values.clone()).collect(),
            Some(numbering) => {
                let mut rows = Vec::new();
                for row in page.rows.iter() {
                    rows.extend(numbering.next(row.values.clone())?);
                }
                rows.extend(page.end.and_then(|_| numbering.end()));
                rows
            }
        };
        Ok((!rows.is_empty()).then(|| self.put_rows(&rows)))
    }

    fn put_rows(&self, rows: &[Box<[Value]>]) -> Vec<u8> {
        let mut out = br#"{"table":"#.to_vec();
        json::string(&self.table, &mut out);
        let is_one = rows.len() == 1;
        out.extend_from_slice(if is_one { br#","row":{"# } else { br#","rows":{"# });
        let mut value = String::new();
        for (at, (column, name)) in self.columns.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            json::string(name, &mut out);
            out.extend_from_slice(if is_one { b":" } else { b":[" });
            // Of a ranking all columns were read.
            let place = if self.numbering.is_some() { column.index() } else { at };
            for (index, row) in rows.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                value.clear();
                row.get(place).unwrap_or(&Value::Null).put_json(&mut value);
                out.extend_from_slice(value.as_bytes());
            }
            if !is_one {
                out.push(b']');
            }
        }
        out.extend_from_slice(b"}}");
        out
    }

    //= rtbdp#4.3
    //# `replayed` carries the **replay id** (the document's example value 100 suggests a count; it is the id).
    /// What says that all of it was told, if it was.
    pub(super) fn end(&self) -> Option<Vec<u8>> {
        (!self.has_failed).then(|| format!(r#"{{"replayed":{}}}"#, self.id).into_bytes())
    }
}

//= rtbdp#4.6
//# With `limit`: `ORDER BY` sorted keys DESC (declaration order) `LIMIT n`; without: no order.
fn newest_first(table: &Table) -> Vec<Sort> {
    let sorted = table.ids().filter(|column| table.column(*column).sorted);
    sorted.map(|column| Sort { column, descending: true }).collect()
}
