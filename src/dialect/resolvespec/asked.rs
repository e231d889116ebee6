//! What a client asked and is not answered yet, and how a request becomes a query or a write.
//!
//! Invariants: a request that cannot be carried out is refused with its code, before anybody is asked; what is asked holds all that it takes to answer, and says how many bytes
//! that is.

use super::hooked::Underway;
use super::message::Message;
use super::query;
use crate::dialect::hook::Call;
use crate::tables::Change;
use crate::tables::ColumnId;
use crate::tables::ErrorCode;
use crate::tables::Query;
use crate::tables::Schema;
use crate::tables::Table;
use crate::tables::TableError;
use crate::tables::TableId;
use crate::tables::Unknown;
use crate::tables::Write;

/// What is not answered yet.
#[derive(Debug)]
pub(super) struct RequestAwaited {
    /// The request's.
    pub(super) id: String,
    pub(super) what: AskedFor,
    /// The hook that is asked once it is done, if any is.
    pub(super) behind: Option<Box<Call>>,
}

#[derive(Debug)]
pub(super) enum AskedFor {
    List {
        query: Box<Query>,
        rows: String,
        count: u64,
    },
    One {
        query: Box<Query>,
        row: Option<String>,
    },
    /// What is said of the table, if its client may read it.
    Meta {
        about: String,
    },
    Write {
        table: TableId,
        operation: Operation,
        /// Columns that its client is not told.
        masked: Vec<ColumnId>,
    },
    Subscribe {
        about: String,
    },
    /// Whether, and how, a request goes on.
    Before(Box<Underway>),
    /// Whether its client is answered so.
    After(Box<Behind>),
    /// Whether a client may come in; `first`: what it said first, where it connects with that.
    Connect {
        first: Option<Box<str>>,
    },
    /// The same, as whom.
    Admit,
    /// The client is in, and is told so.
    Connected {
        first: Option<Box<str>>,
    },
    /// What is answered changes nothing.
    Nothing,
}

impl RequestAwaited {
    /// Bytes of what was asked, and of what has been read for it.
    pub(super) fn held_bytes(&self) -> usize {
        let first_bytes = |first: &Option<Box<str>>| first.as_ref().map_or(0, |first| first.len());
        let of_kind = match &self.what {
            AskedFor::List { query, rows, .. } => query.weight_bytes() + rows.capacity(),
            AskedFor::One { query, row } => {
                query.weight_bytes() + row.as_ref().map_or(0, String::capacity)
            }
            AskedFor::Meta { about } | AskedFor::Subscribe { about } => about.capacity(),
            AskedFor::Write { masked, .. } => size_of_val(&**masked),
            AskedFor::Before(underway) => underway.held_bytes(),
            AskedFor::After(behind) => behind.held_bytes(),
            AskedFor::Connect { first } | AskedFor::Connected { first } => first_bytes(first),
            AskedFor::Admit | AskedFor::Nothing => 0,
        };
        let behind = self.behind.as_ref().map_or(0, |call| call.weight_bytes());
        self.id.capacity() + of_kind + behind
    }
}

/// What a client is answered if the hook behind it agrees.
#[derive(Debug)]
pub(super) struct Behind {
    pub(super) hook: crate::dialect::Hook,
    pub(super) data: String,
    pub(super) metadata: Option<String>,
}

impl Behind {
    fn held_bytes(&self) -> usize {
        let metadata = self.metadata.as_ref().map_or(0, String::capacity);
        size_of::<Self>() + self.data.capacity() + metadata
    }
}

/// What is done to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Update,
    Delete,
}

impl Operation {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// Why a request is not carried out.
pub(super) struct Refused {
    pub(super) code: &'static str,
    pub(super) message: String,
    /// Steps that finding it out took, if they count.
    pub(super) steps: u64,
}

impl Refused {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), steps: 0 }
    }

    /// As it is said of what tables do not do, for `read`, `create` and so on.
    pub(super) fn of_table(verb: &str, error: &TableError) -> Self {
        let code = match verb {
            "create" => "create_error",
            "update" => "update_error",
            "delete" => "delete_error",
            _ => "read_error",
        };
        Self::new(code, table_message(verb, error))
    }
}

//= resolvespec#3A.4
//# Read by a missing id: Bun → `read_error` (`failed to read record: sql: no rows in result set`)
pub(super) fn table_message(verb: &str, error: &TableError) -> String {
    match error.code {
        ErrorCode::NotFound => format!("failed to {verb} record: sql: no rows in result set"),
        _ => format!("failed to {verb} record: {error}"),
    }
}

/// What is read, and whether it is a list: else it is a row, or a row and its number.
pub(super) fn read(
    message: &Message<'_>,
    tables: &Schema,
    table: TableId,
) -> Result<(Query, bool), TableError> {
    let options = &message.options;
    let is_list = message.record_id.is_empty() && options.fetch_row_number.is_empty();
    let query = match &*message.record_id {
        "" => query::list(tables, table, options)?,
        record_id => query::one(tables, table, (record_id, options))?,
    };
    Ok((query, is_list))
}

/// What is written.
pub(super) fn write(
    message: &Message<'_>,
    (id, table): (TableId, &Table),
    operation: Operation,
) -> Result<Write, TableError> {
    let missing = |what: &str| TableError::new(ErrorCode::BadValue, what);
    let key = || match &*message.record_id {
        "" => Err(missing("record_id is required")),
        record_id => table.read_key(record_id),
    };
    let values = || {
        let data = message.data.filter(|data| data.get().starts_with('{'));
        let data = data.ok_or_else(|| missing("data must be an object"))?;
        table.read_object(data.get(), Unknown::Ignored)
    };
    let change = match operation {
        Operation::Create => Change::Create(values()?),
        Operation::Update => Change::Update { key: key()?, set: values()? },
        Operation::Delete => Change::Delete { key: key()? },
    };
    Ok(Write::new(id, change))
}
