//! From the configuration to the tables: what is declared becomes a schema, and a thread has the rows.
//!
//! Invariant: what is wrong with a table stops the start, with the key that says it.

use std::fmt::Display;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::caching;
use super::databases;
use super::error::StartError;
use super::taking;
use super::taking::Taken;
use super::taking::Taking;
use super::written::unusable;
use crate::admin::Board;
use crate::backend::Cached;
use crate::backend::TablesParty;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::TableConfig;
use crate::conn::Doorbell;
use crate::conn::Party;
use crate::event::Homes;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::shard::Mesh;
use crate::tables::CacheFigures;
use crate::tables::Column;
use crate::tables::ColumnId;
use crate::tables::Ranking;
use crate::tables::Relation;
use crate::tables::Schema;
use crate::tables::Table;
use crate::tables::Type;
use crate::tables::Writes;

/// The tables that there are.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) schema: Schema,
    /// Of each of them, whether whole answers are kept.
    pub(super) cached: Vec<bool>,
    /// What was taken of the database's own tables, and what was not, in words.
    pub(super) taken: Vec<String>,
}

/// What is said of the tables of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TablesChecked {
    /// What is taken as the database has it, and what is left out.
    pub taken: Vec<String>,
    /// What is otherwise than it is declared; nothing: the tables can be used.
    pub differences: Vec<String>,
}

/// The tables whose columns are declared. Relations to tables that only the database knows are left out.
pub(super) fn schema(config: &Config) -> Result<Schema, ConfigError> {
    let (mut tables, of) = tables(config, Vec::new())?;
    if config.tables.declared.iter().any(|said| said.columns.is_empty()) {
        let names: Vec<Arc<str>> = tables.iter().map(|table| Arc::clone(&table.name)).collect();
        for table in &mut tables {
            table.relations.retain(|relation| names.contains(&relation.table));
        }
    }
    checked_schema(config, tables, &of)
}

/// All tables: those that are declared, and those that are taken from the database, which is read for that.
pub(super) fn declared(config: &Config) -> Result<Declared, ConfigError> {
    let declared = with_taken(config, taking::taken(config)?)?;
    for line in &declared.taken {
        tracing::info!("{line}");
    }
    Ok(declared)
}

fn with_taken(config: &Config, taking: Taking) -> Result<Declared, ConfigError> {
    let (tables, of) = tables(config, taking.tables)?;
    let schema = checked_schema(config, tables, &of)?;
    let all = &config.tables.declared;
    let cached = of.iter().map(|index| all.get(*index).is_some_and(|said| said.cached)).collect();
    Ok(Declared { schema, cached, taken: taking.said })
}

/// The tables that are declared, and these that are taken; and by which entry of the configuration each is.
fn tables(config: &Config, taken: Vec<Taken>) -> Result<(Vec<Table>, Vec<usize>), ConfigError> {
    let (mut tables, mut of) = (Vec::new(), Vec::new());
    let mut taken = taken.into_iter().peekable();
    for (index, said) in config.tables.declared.iter().enumerate() {
        if !said.columns.is_empty() {
            let (columns, key) = columns(config, index, said)?;
            tables.push(table(config, index, (&said.name, columns, key))?);
            of.push(index);
        }
        while let Some(one) = taken.next_if(|one| one.index == index) {
            tables.push(table(config, index, (&one.name, one.columns, one.key))?);
            of.push(index);
        }
    }
    Ok((tables, of))
}

fn checked_schema(
    config: &Config,
    tables: Vec<Table>,
    of: &[usize],
) -> Result<Schema, ConfigError> {
    let names: Vec<Arc<str>> = tables.iter().map(|table| Arc::clone(&table.name)).collect();
    Schema::new(tables).map_err(|error| {
        let place = names.iter().position(|name| *name == error.table);
        let index = place.and_then(|place| of.get(place)).copied().unwrap_or_default();
        unusable(config, &format!("table[{index}]"), error.problem)
    })
}

/// The columns that are declared of a table, and its key.
fn columns(
    config: &Config,
    index: usize,
    said: &TableConfig,
) -> Result<(Vec<Column>, Vec<ColumnId>), ConfigError> {
    let mut key = Vec::new();
    let mut columns = Vec::new();
    for (at, words) in (0..).map(ColumnId).zip(&said.columns) {
        let (column, is_key) = column(words)
            .map_err(|reason| unusable(config, &format!("table[{index}].columns"), reason))?;
        key.extend(is_key.then_some(at));
        columns.push(column);
    }
    Ok((columns, key))
}

/// A table with these columns, and what else is said of it.
fn table(
    config: &Config,
    index: usize,
    (name, columns, key): (&str, Vec<Column>, Vec<ColumnId>),
) -> Result<Table, ConfigError> {
    let said = &config.tables.declared[index];
    let wrong = |member: &str, reason: &dyn Display| {
        unusable(config, &format!("table[{index}].{member}"), reason)
    };
    let usual = Table::new(name, columns).map_err(|error| wrong("name", &error))?;
    let relation =
        |words: &String| relation(words, &usual).map_err(|reason| wrong("relations", &reason));
    let pattern = |text: &String| {
        TopicPattern::new(text).map_err(|error| wrong("from", &format!("`{text}`: {error}")))
    };
    let topic = match said.topic.as_str() {
        "" => usual.topic.clone(),
        topic => TopicName::new(topic).map_err(|error| wrong("topic", &error))?,
    };
    let ranked = |name: &String| {
        let found = usual.find_column(name);
        found.ok_or_else(|| wrong("ranked_by", &format!("there is no column `{name}`")))
    };
    let ranked: Vec<ColumnId> = said.ranked_by.iter().map(ranked).collect::<Result<_, _>>()?;
    let ranking = ranked
        .split_first()
        .map(|(score, within)| Ranking { score: *score, within: within.to_vec() });
    Ok(Table {
        key,
        ranking,
        relations: said.relations.iter().map(relation).collect::<Result<_, _>>()?,
        from: said.from.iter().map(pattern).collect::<Result<_, _>>()?,
        topic,
        writes: if said.writes { Writes::Clients } else { Writes::Nobody },
        replay_rows_max: (said.replay_rows_max > 0).then_some(said.replay_rows_max),
        ..usual
    })
}

/// A column, and whether it is one of its table's key.
fn column(words: &str) -> Result<(Column, bool), String> {
    let mut said = words.split_whitespace();
    let (Some(name), Some(kind)) = (said.next(), said.next()) else {
        return Err(format!("`{words}` must be a name and a type"));
    };
    let kind = Type::from_name(kind).ok_or_else(|| {
        let all: Vec<&str> = Type::ALL.into_iter().map(Type::name).collect();
        format!("`{words}`: `{kind}` is no type; they are {}", all.join(", "))
    })?;
    let mut column = Column::new(name, kind);
    let mut is_key = false;
    for word in said {
        match word {
            "key" => is_key = true,
            "required" => column.nullable = false,
            "generated" if kind == Type::Int => column.generated = true,
            "generated" => return Err(format!("`{words}`: only an int can be generated")),
            "indexed" => column.indexed = true,
            "sorted" => column.sorted = true,
            "live" => column.live_only = true,
            _ => {
                let number = word.strip_prefix("cardinality=").and_then(|text| text.parse().ok());
                let number = number.ok_or_else(|| {
                    format!("`{words}`: `{word}` is not one of key, required, generated, indexed, sorted, live, cardinality=N")
                })?;
                column.cardinality = Some(number);
            }
        }
    }
    column.nullable &= !is_key;
    column.indexed |= is_key;
    Ok((column, is_key))
}

fn relation(words: &str, table: &Table) -> Result<Relation, String> {
    let said: Vec<&str> = words.split_whitespace().collect();
    let [name, many, other, there, here] = said[..] else {
        return Err(format!(
            "`{words}` must be a name, `one` or `many`, a table, a column there and a column here"
        ));
    };
    let is_many = match many {
        "one" => false,
        "many" => true,
        _ => return Err(format!("`{words}`: `{many}` must be `one` or `many`")),
    };
    let found = table.find_column(here);
    let here = found.ok_or_else(|| format!("`{words}`: there is no column `{here}`"))?;
    Ok(Relation { name: name.into(), table: other.into(), here, there: there.into(), is_many })
}

/// What is taken of the database's tables, and what they lack of what is declared, or have otherwise.
///
/// # Errors
/// If the configuration is at fault, or the database cannot be read.
pub(super) fn checked(config: &Config) -> Result<TablesChecked, ConfigError> {
    let Declared { schema, taken, .. } = with_taken(config, taking::taken(config)?)?;
    let differences = match schema.is_empty() {
        true => Vec::new(),
        false => databases::differences(config, &schema)?,
    };
    Ok(TablesChecked { taken, differences })
}

/// The tables' thread. Stops when dropped.
#[derive(Debug)]
pub(super) struct Tabling {
    doorbell: Arc<Doorbell>,
    thread: Option<JoinHandle<()>>,
}

impl Tabling {
    /// Begins; `cached`: of each table, whether whole answers are kept.
    pub(super) fn start(
        config: &Config,
        (schema, cached): (&Schema, Vec<bool>),
        (party, homes): (Party<Mesh>, Homes),
        (board, clock): (&Arc<Board>, Clock),
    ) -> Result<Self, StartError> {
        let bell = || (party.doorbell(), clock);
        let backend = databases::backend(config, schema.clone(), bell())?;
        let cached = match caching::cache(config, cached)? {
            None => Cached::without(backend),
            Some(how) => {
                let board = Arc::clone(board);
                let watch = move |figures: &CacheFigures| board.note_cache(figures);
                Cached::new(backend, schema, &how, bell(), watch).map_err(StartError::Thread)?
            }
        };
        let party = TablesParty::new(party, cached, homes, clock);
        board.note_tables(party.figures());
        let doorbell = party.doorbell();
        let thread = std::thread::Builder::new().name("tables".to_owned());
        let thread = thread.spawn(move || party.run()).map_err(StartError::Thread)?;
        Ok(Self { doorbell, thread: Some(thread) })
    }
}

impl Drop for Tabling {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.doorbell.ring_to_stop();
        if thread.join().is_err() {
            tracing::error!("the thread of the tables has panicked");
        }
    }
}
