//! Which tables there are: their columns, keys and relations, as they were declared or found.
//!
//! Invariants: a schema does not change while the server runs; every table has a key; an id names something of the schema that it came from. The names that stand in SQL are
//! from here and nowhere else. Never knows a row.

use std::fmt;
use std::sync::Arc;

use super::value::Type;
use crate::event::TopicError;
use crate::event::TopicName;
use crate::event::TopicPattern;

/// A table of a schema: its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u16);

impl TableId {
    /// The table's place in the list of all tables.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A column of a table: its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnId(pub u16);

impl ColumnId {
    /// The column's place in the list of the table's columns.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A relation of a table: its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelationId(pub u16);

impl RelationId {
    /// The relation's place in the list of the table's relations.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// All tables there are. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Schema(Arc<[Table]>);

impl Schema {
    /// These tables.
    ///
    /// # Errors
    /// What is wrong with one of them.
    pub fn new(tables: Vec<Table>) -> Result<Self, SchemaError> {
        for (index, table) in tables.iter().enumerate() {
            let wrong = |problem| SchemaError { table: table.name.clone(), problem };
            table.check(&tables).map_err(wrong)?;
            let before = tables.get(..index).unwrap_or_default();
            if before.iter().any(|other| other.name == table.name) {
                return Err(wrong(SchemaProblem::NamedTwice));
            }
            if let Some(other) = before.iter().find(|other| other.topic == table.topic) {
                return Err(wrong(SchemaProblem::TopicTaken { by: other.name.clone() }));
            }
        }
        Ok(Self(tables.into()))
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All tables, in the order of their ids.
    pub fn tables(&self) -> impl Iterator<Item = (TableId, &Table)> {
        (0..).map(TableId).zip(self.0.iter())
    }

    /// A table of this schema.
    ///
    /// # Panics
    /// If the id came from another schema.
    #[must_use]
    pub fn table(&self, id: TableId) -> &Table {
        &self.0[id.index()]
    }

    /// The table of that name, exactly: `public.users`, or `users` of a table that was declared without a schema's name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<TableId> {
        self.tables().find(|(_, table)| &*table.name == name).map(|(id, _)| id)
    }

    /// The tables whose rows come from events of this topic.
    pub fn fed_by(&self, topic: &TopicName) -> impl Iterator<Item = TableId> {
        // What a table tells feeds none, or two of them could feed each other for ever.
        let is_told = self.is_fed() && self.of_topic(topic).is_some();
        let is_fed = |table: &Table| table.from.iter().any(|pattern| pattern.matches(topic));
        self.tables().filter(move |(_, table)| !is_told && is_fed(table)).map(|(id, _)| id)
    }

    /// Whether rows of any table come from events.
    #[must_use]
    pub fn is_fed(&self) -> bool {
        self.0.iter().any(|table| !table.from.is_empty())
    }

    /// The table whose changes are told as events of this topic.
    #[must_use]
    pub fn of_topic(&self, topic: &TopicName) -> Option<TableId> {
        self.tables().find(|(_, table)| table.topic == *topic).map(|(id, _)| id)
    }
}

/// What stands before a table's name in the topic of its changes, unless another topic is configured.
pub const TOPIC_PREFIX: &str = "tables/";

/// One table.
#[derive(Clone, Debug)]
pub struct Table {
    /// As clients say it: `users`, or with a schema's name in front, `public.users`.
    pub name: Arc<str>,
    /// The event of a changed row has this topic.
    pub topic: TopicName,
    pub columns: Vec<Column>,
    /// The key's columns, in order; never empty.
    pub key: Vec<ColumnId>,
    pub relations: Vec<Relation>,
    pub writes: Writes,
    /// Events of these topics become rows, by their members of the columns' names.
    pub from: Vec<TopicPattern>,
    /// Most rows that a replay may ask for; `None`: any number.
    pub replay_rows_max: Option<u64>,
    /// `Some`: its rows have places in an order of their scores, which are counted as they are read.
    pub ranking: Option<Ranking>,
}

/// By what rows have places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranking {
    /// The highest comes first; of one score rows are in the order of their key.
    pub score: ColumnId,
    /// Rows with the same values of these have places among each other.
    pub within: Vec<ColumnId>,
}

/// Who changes a table's rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Writes {
    /// Clients, by every dialect that writes.
    #[default]
    Clients,
    /// Nobody here: it is somebody else's, and only read.
    Nobody,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: Arc<str>,
    pub kind: Type,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether it is found by quickly.
    pub indexed: bool,
    /// A replay's rows are sorted by it, the highest first.
    pub sorted: bool,
    /// How many rows one value has, about; `None`: nobody knows.
    pub cardinality: Option<u64>,
    /// Whether the backend gives a value to a row that comes without one.
    pub generated: bool,
    /// Whether it says something of a change only, and nothing of the row as it stays: it is told live, and is no part of a replay.
    pub live_only: bool,
}

impl Column {
    /// A column that may be null and is nothing else.
    #[must_use]
    pub fn new(name: &str, kind: Type) -> Self {
        Self {
            name: name.into(),
            kind,
            nullable: true,
            indexed: false,
            sorted: false,
            cardinality: None,
            generated: false,
            live_only: false,
        }
    }

    /// A column of a key: it is not null, and found by quickly.
    #[must_use]
    pub fn key(name: &str, kind: Type) -> Self {
        Self { nullable: false, indexed: true, ..Self::new(name, kind) }
    }
}

/// Rows of another table that belong to a row of this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// As clients say it.
    pub name: Arc<str>,
    /// The other table's name.
    pub table: Arc<str>,
    /// The column here whose value…
    pub here: ColumnId,
    /// … the other table's column of this name has, too.
    pub there: Arc<str>,
    /// Whether there may be several; else there is one or none.
    pub is_many: bool,
}

impl Table {
    /// A table whose key is its first column, told on the usual topic, without relations, that clients write.
    ///
    /// # Errors
    /// If its name does not fit a topic.
    pub fn new(name: &str, columns: Vec<Column>) -> Result<Self, TopicError> {
        Ok(Self {
            name: name.into(),
            topic: TopicName::new(&format!("{TOPIC_PREFIX}{name}"))?,
            columns,
            key: vec![ColumnId(0)],
            relations: Vec::new(),
            writes: Writes::Clients,
            from: Vec::new(),
            replay_rows_max: None,
            ranking: None,
        })
    }

    /// A column of this table.
    ///
    /// # Panics
    /// If the id came from another table.
    #[must_use]
    pub fn column(&self, id: ColumnId) -> &Column {
        &self.columns[id.index()]
    }

    /// All columns, in the order of their ids.
    pub fn ids(&self) -> impl Iterator<Item = ColumnId> + use<> {
        let count = u16::try_from(self.columns.len()).unwrap_or(u16::MAX);
        (0..count).map(ColumnId)
    }

    /// The column of that name.
    #[must_use]
    pub fn find_column(&self, name: &str) -> Option<ColumnId> {
        self.ids().zip(&self.columns).find(|(_, column)| &*column.name == name).map(|(id, _)| id)
    }

    /// The relation of that name.
    #[must_use]
    pub fn find_relation(&self, name: &str) -> Option<RelationId> {
        let mut found = (0..).map(RelationId).zip(&self.relations);
        found.find(|(_, relation)| &*relation.name == name).map(|(id, _)| id)
    }

    #[must_use]
    pub fn is_key(&self, id: ColumnId) -> bool {
        self.key.contains(&id)
    }

    /// What is wrong with it.
    fn check(&self, all: &[Self]) -> Result<(), SchemaProblem> {
        if self.columns.is_empty() || self.columns.len() > usize::from(u16::MAX) {
            return Err(SchemaProblem::NoColumns);
        }
        for (index, column) in self.columns.iter().enumerate() {
            check_name(&column.name)?;
            let before = self.columns.get(..index).unwrap_or_default();
            if before.iter().any(|other| other.name == column.name) {
                return Err(SchemaProblem::ColumnTwice { column: column.name.clone() });
            }
        }
        self.name.split('.').try_for_each(check_name)?;
        if self.name.split('.').count() > 2 {
            return Err(SchemaProblem::BadName { name: self.name.clone() });
        }
        if self.key.is_empty() {
            return Err(SchemaProblem::NoKey);
        }
        let is_whole_key = |column: &Column| match *self.key {
            [only] => self.column(only) == column && column.kind == Type::Int,
            _ => false,
        };
        if let Some(column) = self.columns.iter().find(|one| one.generated && !is_whole_key(one)) {
            return Err(SchemaProblem::BadGenerated { column: column.name.clone() });
        }
        for key in &self.key {
            let column = self.column(*key);
            if matches!(column.kind, Type::Json | Type::Float | Type::Bytes) {
                return Err(SchemaProblem::BadKey {
                    column: column.name.clone(),
                    kind: column.kind,
                });
            }
        }
        let is_told = |pattern: &TopicPattern| match pattern {
            TopicPattern::Exact(topic) => all.iter().any(|table| table.topic == *topic),
            TopicPattern::Wild(_) => false,
        };
        if self.from.iter().any(is_told) {
            return Err(SchemaProblem::FromTable);
        }
        self.relations.iter().try_for_each(|relation| relation.check(self, all))
    }
}

impl Relation {
    fn check(&self, table: &Table, all: &[Table]) -> Result<(), SchemaProblem> {
        let name = || self.name.clone();
        let Some(other) = all.iter().find(|other| other.name == self.table) else {
            return Err(SchemaProblem::NoSuchTable { relation: name(), table: self.table.clone() });
        };
        let Some(there) = other.find_column(&self.there) else {
            return Err(SchemaProblem::NoSuchColumn {
                relation: name(),
                column: self.there.clone(),
            });
        };
        if other.column(there).kind != table.column(self.here).kind {
            return Err(SchemaProblem::TypesDiffer { relation: name() });
        }
        Ok(())
    }
}

/// A name that may stand in SQL, in quotes.
fn check_name(name: &str) -> Result<(), SchemaProblem> {
    let is_name = !name.is_empty()
        && name.len() <= crate::limits::TABLE_NAME_BYTES_MAX
        && name.chars().all(|c| c == '_' || c == '-' || c == ' ' || c.is_alphanumeric());
    if is_name { Ok(()) } else { Err(SchemaProblem::BadName { name: name.into() }) }
}

/// What is wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaError {
    pub table: Arc<str>,
    pub problem: SchemaProblem,
}

/// What is wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaProblem {
    NamedTwice,
    TopicTaken { by: Arc<str> },
    NoColumns,
    NoKey,
    BadName { name: Arc<str> },
    ColumnTwice { column: Arc<str> },
    BadKey { column: Arc<str>, kind: Type },
    BadGenerated { column: Arc<str> },
    FromTable,
    NoSuchTable { relation: Arc<str>, table: Arc<str> },
    NoSuchColumn { relation: Arc<str>, column: Arc<str> },
    TypesDiffer { relation: Arc<str> },
}

impl fmt::Display for SchemaProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NamedTwice => f.write_str("a table before it has the same name"),
            Self::TopicTaken { by } => write!(f, "the table `{by}` has the same topic"),
            Self::NoColumns => f.write_str("it has no columns, or too many"),
            Self::NoKey => f.write_str("none of its columns is its key"),
            Self::BadName { name } => write!(
                f,
                "`{name}` is no name: names are letters, digits, `_`, `-` and blanks, and have 63 bytes at most"
            ),
            Self::ColumnTwice { column } => write!(f, "it has two columns `{column}`"),
            Self::BadKey { column, kind } => {
                write!(f, "`{column}` is {}, and no key may be", kind.name())
            }
            Self::BadGenerated { column } => {
                write!(f, "`{column}` cannot be generated: only an int that is the whole key can")
            }
            Self::FromTable => {
                f.write_str("its rows cannot come from a topic on which a table's rows are told")
            }
            Self::NoSuchTable { relation, table } => {
                write!(f, "its relation `{relation}` names the table `{table}`, and there is none")
            }
            Self::NoSuchColumn { relation, column } => {
                write!(
                    f,
                    "its relation `{relation}` names the column `{column}`, and there is none"
                )
            }
            Self::TypesDiffer { relation } => {
                write!(f, "the two columns of its relation `{relation}` have different types")
            }
        }
    }
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table `{}`: {}", self.table, self.problem)
    }
}

impl std::error::Error for SchemaError {}
