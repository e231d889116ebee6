//! What of a query the cache may have: the whole answer, if all of its tables are kept so; else the number of rows that pass.
//!
//! Invariant: an answer depends on the tables that are named here, and on no others.

use std::sync::Arc;

use super::generations::Generations;
use super::key::Key;
use super::key::Keys;
use crate::tables::Preload;
use crate::tables::Query;
use crate::tables::Schema;
use crate::tables::Table;
use crate::tables::TableId;

/// What is kept of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Answer,
    Total,
}

/// Something that may be kept, and is looked for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) part: Part,
    pub(super) key: Key,
    /// The tables that it depends on.
    pub(super) tables: Arc<[TableId]>,
    /// How often each of them had been written when it was asked for.
    pub(super) written: Box<[u64]>,
}

impl Wanted {
    /// Whether none of its tables has been written since.
    pub(super) fn is_current(&self, generations: &Generations) -> bool {
        generations.of_all(&self.tables) == self.written
    }
}

/// Which tables' answers are kept as a whole, and how what is kept is called.
#[derive(Debug)]
pub(super) struct Plan {
    schema: Schema,
    pub(super) keys: Arc<Keys>,
    /// Of each table whether whole answers are kept.
    whole: Vec<bool>,
}

impl Plan {
    pub(super) fn new(schema: &Schema, whole: Vec<bool>) -> Self {
        Self { schema: schema.clone(), keys: Arc::new(Keys::new(schema)), whole }
    }

    /// What may be kept of a query; `None`: nothing.
    pub(super) fn wanted(&self, query: &Query, generations: &Generations) -> Option<Wanted> {
        let mut tables = vec![query.table];
        self.add_related(query.table, &query.preload, &mut tables);
        let is_whole = |table: &TableId| self.whole.get(table.index()).copied().unwrap_or(false);
        let (part, key) = if tables.iter().all(is_whole) {
            (Part::Answer, self.keys.of_answer(query))
        } else if query.wants_total && !is_counted(query) {
            tables.truncate(1);
            (Part::Total, self.keys.of_total(query))
        } else {
            return None;
        };
        let written = generations.of_all(&tables);
        Some(Wanted { part, key, tables: tables.into(), written })
    }

    fn add_related(&self, table: TableId, preloads: &[Preload], tables: &mut Vec<TableId>) {
        let table: &Table = self.schema.table(table);
        for preload in preloads {
            let relation = table.relations.get(preload.relation.index());
            let Some(related) = relation.and_then(|relation| self.schema.find(&relation.table))
            else {
                continue;
            };
            if !tables.contains(&related) {
                tables.push(related);
            }
            self.add_related(related, &preload.preload, tables);
        }
    }
}

/// Whether the number of rows that pass is that of the rows that are answered: none is left out.
pub(super) const fn is_counted(query: &Query) -> bool {
    query.wants_total && query.limit.is_none() && query.offset == 0 && query.number_of.is_none()
}
