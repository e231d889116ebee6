//! From the configuration to where tables' rows are: a database that is opened, or compared with what is declared.
//!
//! Invariant: what is wrong stops the start, with the key that says it; a database that this program was built without is said to be lacking.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use std::fmt::Display;
#[cfg(feature = "sqlite")]
use std::fs;
#[cfg(feature = "sqlite")]
use std::path::Path;
#[cfg(feature = "sqlite")]
use std::path::PathBuf;
use std::sync::Arc;

use super::error::StartError;
#[cfg(feature = "postgres")]
use super::written;
use super::written::unusable;
use crate::backend::Backend;
use crate::backend::FoundTable;
use crate::backend::NamePattern;
#[cfg(feature = "postgres")]
use crate::backend::postgres;
#[cfg(feature = "postgres")]
use crate::backend::postgres::Address;
#[cfg(feature = "postgres")]
use crate::backend::postgres::Postgres;
#[cfg(feature = "sqlite")]
use crate::backend::sqlite;
#[cfg(feature = "sqlite")]
use crate::backend::sqlite::Sqlite;
use crate::clock::Clock;
use crate::config::BackendChoice;
use crate::config::Config;
use crate::config::ConfigError;
use crate::conn::Doorbell;
use crate::tables::Schema;
use crate::tables::keeper::Keeper;

/// Where the rows are.
pub(super) fn backend(
    config: &Config,
    schema: Schema,
    bell: (Arc<Doorbell>, Clock),
) -> Result<Backend, StartError> {
    match config.tables.backend {
        BackendChoice::Memory => {
            let bytes = usize::try_from(config.tables.memory_bytes_max).unwrap_or(usize::MAX);
            Ok(Backend::Memory(Box::new(Keeper::new(schema, bytes))))
        }
        BackendChoice::Sqlite => Ok(of_sqlite(config, schema, bell)?),
        BackendChoice::Postgres => Ok(of_postgres(config, schema, bell)?),
    }
}

#[cfg(feature = "sqlite")]
fn of_sqlite(
    config: &Config,
    schema: Schema,
    bell: (Arc<Doorbell>, Clock),
) -> Result<Backend, ConfigError> {
    let set = &config.tables;
    let (key, path) = file(config);
    let wrong =
        |error: &dyn Display| unusable(config, key, format_args!("{}: {error}", path.display()));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| wrong(&error))?;
    }
    let how =
        sqlite::Use { readers: set.readers, query_us_max: set.query_ms_max.saturating_mul(1000) };
    let sqlite = Sqlite::open(&path, schema, how, bell).map_err(|error| wrong(&error))?;
    Ok(Backend::Sqlite(Box::new(sqlite)))
}

#[cfg(not(feature = "sqlite"))]
fn of_sqlite(
    config: &Config,
    _: Schema,
    _: (Arc<Doorbell>, Clock),
) -> Result<Backend, ConfigError> {
    Err(lacking(config, "sqlite"))
}

#[cfg(feature = "postgres")]
fn of_postgres(
    config: &Config,
    schema: Schema,
    bell: (Arc<Doorbell>, Clock),
) -> Result<Backend, ConfigError> {
    let set = &config.tables;
    let address = address(config)?;
    let how =
        postgres::Use { readers: set.readers, query_us_max: set.query_ms_max.saturating_mul(1000) };
    let opened = Postgres::open(&address, schema, how, bell);
    let postgres = opened.map_err(|error| of_place(config, &address, &error))?;
    Ok(Backend::Postgres(Box::new(postgres)))
}

#[cfg(not(feature = "postgres"))]
fn of_postgres(
    config: &Config,
    _: Schema,
    _: (Arc<Doorbell>, Clock),
) -> Result<Backend, ConfigError> {
    Err(lacking(config, "postgres"))
}

/// This program was built without a backend.
#[cfg(not(all(feature = "sqlite", feature = "postgres")))]
fn lacking(config: &Config, feature: &str) -> ConfigError {
    let reason = format_args!("this program is built without the feature `{feature}`");
    unusable(config, "tables.backend", reason)
}

/// The database of PostgreSQL, and who logs in to it.
#[cfg(feature = "postgres")]
fn address(config: &Config) -> Result<Address, ConfigError> {
    let set = &config.tables;
    let address = Address::parse(&set.url);
    let mut address = address.map_err(|error| unusable(config, "tables.url", error))?;
    if !set.password_file.is_empty() {
        let key = "tables.password_file";
        let bytes = written::file(config, key, &set.password_file)?;
        let text = str::from_utf8(&bytes).ok().map(|text| text.trim_end_matches(['\r', '\n']));
        let password = text.filter(|text| !text.is_empty() && !text.contains('\0'));
        let none = || unusable(config, key, "the file holds no password");
        password.ok_or_else(none)?.clone_into(&mut address.password);
    }
    Ok(address)
}

/// What is wrong with a database, and where it is.
#[cfg(feature = "postgres")]
fn of_place(config: &Config, address: &Address, error: &dyn Display) -> ConfigError {
    unusable(config, "tables.url", format_args!("{}: {error}", address.shown()))
}

/// What the database's tables lack of what is declared, or have otherwise; nothing: they can be used.
///
/// # Errors
/// If the database cannot be read.
pub(super) fn differences(config: &Config, schema: &Schema) -> Result<Vec<String>, ConfigError> {
    match config.tables.backend {
        BackendChoice::Memory => Ok(Vec::new()),
        BackendChoice::Sqlite => differences_of_sqlite(config, schema),
        BackendChoice::Postgres => differences_of_postgres(config, schema),
    }
}

#[cfg(feature = "sqlite")]
fn differences_of_sqlite(config: &Config, schema: &Schema) -> Result<Vec<String>, ConfigError> {
    let (key, path) = file(config);
    sqlite::check(&path, schema)
        .map_err(|error| unusable(config, key, format_args!("{}: {error}", path.display())))
}

#[cfg(not(feature = "sqlite"))]
fn differences_of_sqlite(config: &Config, _: &Schema) -> Result<Vec<String>, ConfigError> {
    Err(lacking(config, "sqlite"))
}

#[cfg(feature = "postgres")]
fn differences_of_postgres(config: &Config, schema: &Schema) -> Result<Vec<String>, ConfigError> {
    let address = address(config)?;
    postgres::check(&address, schema, Clock::start())
        .map_err(|error| of_place(config, &address, &error))
}

#[cfg(not(feature = "postgres"))]
fn differences_of_postgres(config: &Config, _: &Schema) -> Result<Vec<String>, ConfigError> {
    Err(lacking(config, "postgres"))
}

/// The tables of the database that each of these patterns names.
///
/// # Errors
/// If the database cannot be read, or there is none.
pub(super) fn find(
    config: &Config,
    patterns: &[NamePattern],
) -> Result<Vec<Vec<FoundTable>>, ConfigError> {
    match config.tables.backend {
        BackendChoice::Memory => {
            let reason = "tables in memory are there only if their columns are declared";
            Err(unusable(config, "tables.backend", reason))
        }
        BackendChoice::Sqlite => find_in_sqlite(config, patterns),
        BackendChoice::Postgres => find_in_postgres(config, patterns),
    }
}

#[cfg(feature = "sqlite")]
fn find_in_sqlite(
    config: &Config,
    patterns: &[NamePattern],
) -> Result<Vec<Vec<FoundTable>>, ConfigError> {
    let (key, path) = file(config);
    sqlite::find(&path, patterns)
        .map_err(|error| unusable(config, key, format_args!("{}: {error}", path.display())))
}

#[cfg(not(feature = "sqlite"))]
fn find_in_sqlite(config: &Config, _: &[NamePattern]) -> Result<Vec<Vec<FoundTable>>, ConfigError> {
    Err(lacking(config, "sqlite"))
}

#[cfg(feature = "postgres")]
fn find_in_postgres(
    config: &Config,
    patterns: &[NamePattern],
) -> Result<Vec<Vec<FoundTable>>, ConfigError> {
    let address = address(config)?;
    postgres::find(&address, patterns, Clock::start())
        .map_err(|error| of_place(config, &address, &error))
}

#[cfg(not(feature = "postgres"))]
fn find_in_postgres(
    config: &Config,
    _: &[NamePattern],
) -> Result<Vec<Vec<FoundTable>>, ConfigError> {
    Err(lacking(config, "postgres"))
}

/// The file of SQLite, and the key that says so.
#[cfg(feature = "sqlite")]
fn file(config: &Config) -> (&'static str, PathBuf) {
    match config.tables.file.as_str() {
        "" => ("data_dir", Path::new(&config.data_dir).join("tables.sqlite")),
        file => ("tables.file", PathBuf::from(file)),
    }
}
