//! Tables: the newest row of each key, what is asked of them, and what is written to them. Pure: whoever has the rows is a party.
//!
//! A dialect's conversation finds the schema in its `Context`, makes a [`Query`] or a [`Write`] of what its client says, and asks (`Request::Query`, `Request::Write`). It is answered with
//! pages (`Answer::Rows`), with what became of the write (`Answer::Written`) or with a [`TableError`] (`Answer::TableFailed`):
//!
//! ```
//! use fanwire::tables::{Column, Filter, Query, Row, Schema, Sort, Table, Type, Unknown, Write, Change};
//!
//! let columns = vec![Column::key("id", Type::Int), Column::new("name", Type::Text)];
//! let schema = Schema::new(vec![Table::new("public.users", columns)?])?;
//! let id = schema.find("public.users").unwrap();
//! let users = schema.table(id);
//! let name = users.find_column("name").unwrap();
//!
//! // What a client asks for, in terms of the schema…
//! let query = Query {
//!     filter: Filter::like(name, "A%", true),
//!     sort: vec![Sort { column: name, descending: true }],
//!     limit: Some(20),
//!     ..Query::all(id)
//! };
//! query.check(&schema)?;
//!
//! // … what it wants written …
//! let values = users.read_object(r#"{"id":7,"name":"Ada"}"#, Unknown::Refused)?;
//! let write = Write::new(id, Change::Create(values));
//! write.check(&schema)?;
//!
//! // … and an answer's row as JSON.
//! let row = Row::new([users.read_value(users.key[0], "7")?, users.read_value(name, "\"Ada\"")?].into());
//! let mut json = String::new();
//! row.put_json(&schema, users, (&query.columns_of(users), &query.preload), &mut json);
//! assert_eq!(json, r#"{"id":7,"name":"Ada"}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A table's changes are events of its topic (`tables/` and its name, unless it is configured otherwise): `Op::Create`, `Op::Upsert` or `Op::Delete`, the key as [`event_key_of`] writes
//! it, the whole row as payload, or of a delete its key's columns. So whoever subscribes to the topic, in any dialect, hears every write.
//!
//! Invariants: nothing that a client says is ever text of a statement; whatever the backend, the same query has the same answer ([`Memory`] says which). Never does I/O.

pub mod asks;

mod answer;

mod cache_figures;

pub mod carry;

mod decimal;

mod error;

mod filter;

pub mod gather;

pub mod keeper;

pub mod like;

mod memory;

mod query;

mod read;

mod schema;

pub mod sql;

#[cfg(test)]
mod tests;

mod value;

pub use answer::End;
pub use answer::Page;
pub use answer::Row;
pub use answer::What;
pub use answer::Written;
pub use answer::event_key_of;
pub use answer::payload_of;
pub use answer::payload_of_key;
pub use cache_figures::CacheFigures;
pub use decimal::Decimal;
pub use error::DatabaseSaid;
pub use error::ErrorCode;
pub use error::TableError;
pub use filter::Comparison;
pub use filter::Filter;
pub use filter::Test;
pub use memory::Found;
pub use memory::Memory;
pub use memory::key_values;
pub use memory::order;
pub use query::Assigned;
pub use query::Change;
pub use query::Preload;
pub use query::Query;
pub use query::Sort;
pub use query::Write;
pub use query::key_of;
pub use read::Operator;
pub use read::Unknown;
pub use schema::Column;
pub use schema::ColumnId;
pub use schema::Ranking;
pub use schema::Relation;
pub use schema::RelationId;
pub use schema::Schema;
pub use schema::SchemaError;
pub use schema::SchemaProblem;
pub use schema::TOPIC_PREFIX;
pub use schema::Table;
pub use schema::TableId;
pub use schema::Writes;
pub use value::Float;
pub use value::Time;
pub use value::Type;
pub use value::Value;
pub use value::ValueProblem;
