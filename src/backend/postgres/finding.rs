//! Which tables a database has, and what they are like, for those that are taken by their names.
//!
//! Never changes anything.

use std::sync::Arc;

use bytes::Bytes;

use super::catalogue;
use super::catalogue::Real;
use super::connection::Connection;
use super::connection::RawRow;
use super::connection::Target;
use super::failure::Failure;
use crate::backend::purpose::Purpose;
use crate::backend::taking::FoundColumn;
use crate::backend::taking::FoundTable;
use crate::backend::taking::NamePattern;
use crate::limits::POSTGRES_CONNECT_MS_MAX;
use crate::limits::TABLES_LISTED_MAX;
use crate::tables::Type;
use crate::tables::Value;
use crate::tables::sql::Statement;

/// Tables that may be read, the database's own left out, and parts of those that are stored in parts: their schema, their name, and whether the schema need not be said.
const TABLES: &str = "SELECT n.nspname::text, c.relname::text, pg_table_is_visible(c.oid) \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition \
     AND n.nspname <> 'information_schema' AND left(n.nspname, 3) <> 'pg_' \
     AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') \
     ORDER BY 1, 2 LIMIT $1::int8";

/// A table as it is listed.
struct Listed {
    whole: String,
    /// Without its schema, if it is found without.
    bare: Option<String>,
}

impl Listed {
    fn read(found: &RawRow) -> Option<Self> {
        let text = |index: usize| {
            let bytes: &Bytes = found.get(index)?.as_ref()?;
            std::str::from_utf8(bytes).ok()
        };
        let (schema, name, is_visible) = (text(0)?, text(1)?, text(2)? == "t");
        // A full stop is what stands between a schema and a table.
        let bare = (is_visible && !name.contains('.')).then(|| name.to_owned());
        Some(Self { whole: format!("{schema}.{name}"), bare })
    }

    /// The table as a pattern calls it, and what else it may be called.
    fn named(&self, pattern: &NamePattern) -> Option<(String, Option<String>)> {
        let (name, alias) = match pattern.as_str().contains('.') {
            true => (self.whole.clone(), self.bare.clone()),
            false => (self.bare.clone()?, Some(self.whole.clone())),
        };
        pattern.takes(&name).then_some((name, alias))
    }
}

/// The tables that each pattern names; `None`: the database has too many to be looked through.
pub(super) fn find(
    target: &Arc<Target>,
    patterns: &[NamePattern],
) -> Result<Option<Vec<Vec<FoundTable>>>, Failure> {
    let mut connection = Connection::open(target, Purpose::Read)?;
    let until = target.within_ms(POSTGRES_CONNECT_MS_MAX);
    let most = i64::try_from(TABLES_LISTED_MAX).unwrap_or(i64::MAX);
    let params = vec![Value::Int(most.saturating_add(1))];
    let list = Statement { sql: TABLES.to_owned(), params };
    let rows = connection.batch(&[list], &until)?;
    let rows = rows.first().map(Vec::as_slice).unwrap_or_default();
    let all: Vec<Listed> =
        rows.iter().map(Listed::read).collect::<Option<_>>().ok_or(Failure::Garbled)?;
    if all.len() > TABLES_LISTED_MAX {
        return Ok(None);
    }
    let mut found = Vec::with_capacity(patterns.len());
    for pattern in patterns {
        let named: Vec<_> = all.iter().filter_map(|listed| listed.named(pattern)).collect();
        let names = named.iter().map(|(name, _)| name.as_str());
        let columns = catalogue::columns(&mut connection, names, &until)?;
        let of_table = |((name, alias), columns): ((String, Option<String>), Vec<Real>)| {
            let columns = columns.into_iter().map(of_column).collect();
            FoundTable { name, alias, columns }
        };
        found.push(named.into_iter().zip(columns).map(of_table).collect());
    }
    Ok(Some(found))
}

fn of_column(real: Real) -> FoundColumn {
    FoundColumn {
        kind: Some(real.kind()),
        is_key: real.key_place.is_some(),
        is_required: real.is_required && !real.has_default,
        // Of another type, or in a longer key, it is the database's own affair.
        is_generated: real.is_generated && real.kind() == Type::Int,
        is_indexed: real.is_indexed,
        name: real.name,
        declared: real.base,
    }
}
