//! What a database's tables are like: which of the declared ones it has, what its columns' types are, and what differs.
//!
//! Never changes anything.

use std::sync::Arc;

use bytes::Bytes;

use super::connection::Connection;
use super::connection::RawRow;
use super::failure::Failure;
use crate::backend::reader::Until;
use crate::tables::Column;
use crate::tables::Schema;
use crate::tables::Table;
use crate::tables::Type;
use crate::tables::Value;
use crate::tables::sql::Statement;
use crate::tables::sql::Stored;
use crate::tables::sql::quoted;
use crate::tables::sql::usual;

/// The columns of a relation, in their order.
const COLUMNS: &str = "SELECT a.attname::text, format('%I.%I', n.nspname, t.typname), coalesce(b.typname, t.typname)::text, \
     a.attnotnull, d.adbin IS NOT NULL OR a.attidentity <> '', \
     a.attidentity <> '' OR coalesce(pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%', false), \
     coalesce(array_position(k.indkey::int2[], a.attnum), -1), c.relkind IN ('r', 'p'), \
     EXISTS (SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indkey[0] = a.attnum AND i.indpred IS NULL) \
     FROM pg_catalog.pg_attribute a \
     JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
     JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
     JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
     LEFT JOIN pg_catalog.pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype \
     LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
     LEFT JOIN pg_catalog.pg_index k ON k.indrelid = a.attrelid AND k.indisprimary \
     WHERE a.attrelid = to_regclass($1::text) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

/// Tables that are asked for in one go.
const TABLES_AT_ONCE: usize = 64;

/// A column as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Real {
    pub(super) name: String,
    /// The column's type, quoted.
    pub(super) stored: String,
    /// The column's type, or what that type is made of.
    pub(super) base: String,
    pub(super) is_required: bool,
    /// A row that comes without it is given a value.
    pub(super) has_default: bool,
    /// The value that the column has by itself is the next number.
    pub(super) is_generated: bool,
    /// The column's place in the primary key.
    pub(super) key_place: Option<i64>,
    /// Whether it is one of a table, and not of a view or anything else that has no key.
    pub(super) is_of_table: bool,
    pub(super) is_indexed: bool,
}

impl Real {
    fn read(found: &RawRow) -> Option<Self> {
        let text = |index: usize| {
            let bytes: &Bytes = found.get(index)?.as_ref()?;
            std::str::from_utf8(bytes).ok()
        };
        let is = |index| Some(text(index)? == "t");
        let place: i64 = text(6)?.parse().ok()?;
        Some(Self {
            name: text(0)?.to_owned(),
            stored: text(1)?.to_owned(),
            base: text(2)?.to_owned(),
            is_required: is(3)?,
            has_default: is(4)?,
            is_generated: is(5)?,
            key_place: (place >= 0).then_some(place),
            is_of_table: is(7)?,
            is_indexed: is(8)?,
        })
    }

    /// The type of ours that its values are.
    pub(super) fn kind(&self) -> Type {
        match self.base.as_str() {
            "bool" => Type::Bool,
            "int2" | "int4" | "int8" => Type::Int,
            "numeric" => Type::Decimal,
            "float4" | "float8" => Type::Float,
            "timestamptz" | "timestamp" => Type::Time,
            "bytea" => Type::Bytes,
            "json" | "jsonb" => Type::Json,
            _ => Type::Text,
        }
    }

    /// Whether it can hold values of a type, and compares them as it must.
    fn holds(&self, kind: Type) -> bool {
        match kind {
            Type::Decimal => matches!(self.kind(), Type::Decimal | Type::Int),
            Type::Time => self.kind() == Type::Time || self.base == "date",
            kind => self.kind() == kind,
        }
    }
}

/// A table's name, as PostgreSQL looks for it.
fn regclass(table: &str) -> String {
    let names: Vec<String> = table.splitn(2, '.').map(quoted).collect();
    names.join(".")
}

/// The columns of tables, by their names; of one that is not there none.
pub(super) fn columns<'a>(
    connection: &mut Connection,
    tables: impl Iterator<Item = &'a str>,
    until: &Until,
) -> Result<Vec<Vec<Real>>, Failure> {
    let statement = |table: &str| Statement {
        sql: COLUMNS.to_owned(),
        params: vec![Value::Text(regclass(table).into())],
    };
    let asked: Vec<Statement> = tables.map(statement).collect();
    let mut found = Vec::with_capacity(asked.len());
    // So many fit on the way.
    for some in asked.chunks(TABLES_AT_ONCE) {
        found.extend(connection.batch(some, until)?);
    }
    let read = |rows: &Vec<RawRow>| rows.iter().map(Real::read).collect::<Option<Vec<_>>>();
    found.iter().map(read).collect::<Option<Vec<_>>>().ok_or(Failure::Garbled)
}

/// A schema as a database has it.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// How its columns are stored.
    pub(super) stored: Stored,
    /// What it lacks or has otherwise, in words; nothing: it can be used.
    pub(super) differences: Vec<String>,
    /// The tables that it does not have.
    pub(super) missing: Vec<Table>,
}

/// Compares a schema with what a database has.
///
/// # Errors
/// If it cannot be asked.
pub(super) fn compare(
    connection: &mut Connection,
    schema: &Schema,
    until: &Until,
) -> Result<Compared, Failure> {
    let names = schema.tables().map(|(_, table)| &*table.name);
    let real = columns(connection, names, until)?;
    let mut compared = Compared::default();
    for ((_, table), real) in schema.tables().zip(&real) {
        if real.is_empty() {
            compared.differences.push(format!("the database has no table `{}`", table.name));
            compared.missing.push(table.clone());
            continue;
        }
        compare_table(table, real, &mut compared);
    }
    Ok(compared)
}

fn compare_table(table: &Table, real: &[Real], compared: &mut Compared) {
    let mut stored = Vec::with_capacity(table.columns.len());
    for (id, column) in table.ids().zip(&table.columns) {
        let Some(found) = real.iter().find(|real| real.name == *column.name) else {
            let lacks = format!("table `{}` has no column `{}`", table.name, column.name);
            compared.differences.push(lacks);
            continue;
        };
        stored.push(stored_as(column, found));
        if !found.holds(column.kind) {
            compared.differences.push(format!(
                "column `{}` of table `{}` is {}, which holds no {}",
                column.name,
                table.name,
                found.base,
                column.kind.name()
            ));
        }
        if found.is_of_table && table.is_key(id) != found.key_place.is_some() {
            let is = if table.is_key(id) { "no part" } else { "part" };
            compared.differences.push(format!(
                "column `{}` of table `{}` is {is} of its primary key",
                column.name, table.name
            ));
        }
        if column.generated && !found.is_generated {
            compared.differences.push(format!(
                "column `{}` of table `{}` is not generated",
                column.name, table.name
            ));
        }
    }
    compared.stored.set(table, stored);
}

/// What a column's values are made for it, if not what they usually are.
fn stored_as(column: &Column, real: &Real) -> Option<Arc<str>> {
    let usual = format!("pg_catalog.{}", usual(column.kind));
    (real.stored != usual).then(|| real.stored.as_str().into())
}
