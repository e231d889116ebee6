//! Rankings: rows that are kept with their scores are given their places as they are replayed.
//!
//! A live update of a ranking says where one row went; all rows that it passed over have other places from then on, and nobody says so. So places are not kept, but counted: highest score first,
//! rows of one score in the order of their key. Invariants: what a replay tells is the ranking as it was after the update whose `seq_num` is the highest one told, with all updates up to it and
//! none behind it; rows that left it are known by their `row_number`, which is null, and count for that only.

use super::filters;
use super::filters::Branches;
use super::filters::Fields;
use super::message::Branch;
use crate::limits::RTBDP_RANKED_ROWS_MAX;
use crate::tables::ColumnId;
use crate::tables::Filter;
use crate::tables::Query;
use crate::tables::Ranking;
use crate::tables::Sort;
use crate::tables::Table;
use crate::tables::TableId;
use crate::tables::Value;

/// The columns whose values are counted. The words are the protocol's.
const ROW_NUMBER: &str = "row_number";
const RANK: &str = "rank";
const SEQ_NUM: &str = "seq_num";

/// The rows of a ranking that are kept, as they come.
#[derive(Debug)]
pub(super) struct Numbering {
    ranking: Ranking,
    row_number: Option<ColumnId>,
    rank: Option<ColumnId>,
    seq_num: Option<ColumnId>,
    /// Which rows are told, once they have their places.
    filter: Filter,
    /// How many more are told; `None`: any number.
    left: Option<u64>,
    /// Whose rows are being counted: the values of the columns within which places are.
    partition: Vec<Value>,
    next_number: i64,
    rank_now: i64,
    score: Value,
    seq_num_max: i64,
    rows: u64,
    /// The last row, which is told when it is known which update was the last one.
    held: Option<Box<[Value]>>,
}

/// There are more rows than are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Numbering {
    /// Counts the rows of a ranking; these are told. `None`: the filters are none of this table.
    pub(super) fn new(
        table: &Table,
        ranking: &Ranking,
        branches: Option<&Branches>,
        limit: Option<u64>,
    ) -> Option<Self> {
        Some(Self {
            ranking: ranking.clone(),
            row_number: table.find_column(ROW_NUMBER),
            rank: table.find_column(RANK),
            seq_num: table.find_column(SEQ_NUM),
            filter: filters::kept(table, branches)?,
            left: limit,
            partition: Vec::new(),
            next_number: 0,
            rank_now: 0,
            score: Value::Null,
            seq_num_max: i64::MIN,
            rows: 0,
            held: None,
        })
    }

    /// Bytes that it holds besides itself.
    pub(super) fn held_bytes(&self) -> usize {
        let value = |value: &Value| size_of::<Value>() + value.weight_bytes();
        let held: usize = self.held.iter().flatten().map(value).sum();
        self.filter.weight_bytes() + self.partition.iter().map(value).sum::<usize>() + held
    }

    /// What has to be read: all rows of every ranking of which one may be told, with all columns.
    pub(super) fn query(&self, id: TableId, table: &Table, branches: Option<&Branches>) -> Query {
        let within = |branch: &Branch| {
            let fields = filters::asked(table, branch, Fields::Found).unwrap_or_default();
            let fields = fields.iter().filter(|asked| self.ranking.within.contains(&asked.id));
            Filter::And(fields.filter_map(filters::kept_field).flatten().collect())
        };
        let filter =
            branches.map_or_else(Filter::all, |all| Filter::Or(all.iter().map(within).collect()));
        let within = self.ranking.within.iter();
        let mut sort: Vec<Sort> =
            within.map(|column| Sort { column: *column, descending: false }).collect();
        sort.push(Sort { column: self.ranking.score, descending: true });
        Query { filter, sort, limit: Some(RTBDP_RANKED_ROWS_MAX + 1), ..Query::all(id) }
    }

    /// The next row that is read. What is returned is told.
    ///
    /// # Errors
    /// If there are too many.
    pub(super) fn next(&mut self, mut row: Box<[Value]>) -> Result<Option<Box<[Value]>>, TooLong> {
        self.rows += 1;
        if self.rows > RTBDP_RANKED_ROWS_MAX {
            return Err(TooLong);
        }
        let at = |column: Option<ColumnId>| column.and_then(|column| row.get(column.index()));
        if let Some(Value::Int(seq_num)) = at(self.seq_num) {
            self.seq_num_max = self.seq_num_max.max(*seq_num);
        }
        let score = at(Some(self.ranking.score)).cloned().unwrap_or(Value::Null);
        if at(self.row_number).is_some_and(Value::is_null) || score.is_null() {
            return Ok(None);
        }
        let within = self.ranking.within.iter();
        let partition: Vec<Value> =
            within.filter_map(|column| row.get(column.index())).cloned().collect();
        if partition != self.partition || self.next_number == 0 {
            (self.partition, self.next_number, self.rank_now) = (partition, 0, 0);
        } else if score != self.score {
            self.rank_now = self.next_number;
        }
        self.score = score;
        for (column, value) in [(self.row_number, self.next_number), (self.rank, self.rank_now)] {
            set(&mut row, column, value);
        }
        self.next_number += 1;
        if !self.filter.passes(&row) || self.left == Some(0) {
            return Ok(None);
        }
        self.left = self.left.map(|left| left - 1);
        Ok(self.held.replace(row).map(|row| self.with_seq_num(row)))
    }

    /// All rows were read. What is returned is told.
    pub(super) fn end(&mut self) -> Option<Box<[Value]>> {
        self.held.take().map(|row| self.with_seq_num(row))
    }

    fn with_seq_num(&self, mut row: Box<[Value]>) -> Box<[Value]> {
        set(&mut row, self.seq_num.filter(|_| self.seq_num_max > i64::MIN), self.seq_num_max);
        row
    }
}

fn set(row: &mut [Value], column: Option<ColumnId>, value: i64) {
    if let Some(place) = column.and_then(|column| row.get_mut(column.index())) {
        *place = Value::Int(value);
    }
}
