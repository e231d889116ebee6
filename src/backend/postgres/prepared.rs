//! Which statements a connection has prepared, and by which names.
//!
//! Invariants: a name is never given twice; a statement counts as prepared only if the server has said so; one that is forgotten here is forgotten by the server with what is asked of it next.

use std::collections::HashMap;
use std::collections::VecDeque;

use super::wire::Outgoing;
use crate::limits::POSTGRES_PREPARED_PARAMS_MAX;
use crate::limits::POSTGRES_STATEMENTS_MAX;
use crate::tables::sql::Statement;

/// What a server says of a statement that it has prepared.
const PARSE_COMPLETE: u8 = b'1';

/// The statements of one connection.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    names: HashMap<String, String, foldhash::fast::RandomState>,
    /// The oldest first.
    order: VecDeque<String>,
    /// Names of statements that the server has not said anything of, in order; `None`: one without a name.
    unheard: VecDeque<Option<String>>,
    /// Names that the server is to forget.
    gone: Vec<String>,
    given: u64,
}

impl Prepared {
    /// The name of a statement, which is prepared by what is appended unless it is already.
    pub(super) fn name_of(&mut self, statement: &Statement, out: &mut Outgoing) -> String {
        if let Some(name) = self.names.get(&statement.sql) {
            return name.clone();
        }
        if statement.params.len() > POSTGRES_PREPARED_PARAMS_MAX {
            out.parse("", &statement.sql);
            self.unheard.push_back(None);
            return String::new();
        }
        for name in self.gone.drain(..) {
            out.close_statement(&name);
        }
        if self.order.len() >= POSTGRES_STATEMENTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.gone.extend(self.names.remove(&oldest));
        }
        self.given += 1;
        let name = format!("s{}", self.given);
        out.parse(&name, &statement.sql);
        self.unheard.push_back(Some(statement.sql.clone()));
        self.order.push_back(statement.sql.clone());
        self.names.insert(statement.sql.clone(), name.clone());
        name
    }

    /// Hears what the server says that is no row.
    pub(super) fn hear(&mut self, tag: u8) {
        if tag == PARSE_COMPLETE {
            self.unheard.pop_front();
        }
    }

    /// The server has refused something, and passes over all behind it.
    pub(super) fn forget_unheard(&mut self) {
        for sql in self.unheard.drain(..).flatten() {
            self.names.remove(&sql);
            self.order.retain(|other| *other != sql);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(sql: &str, params: usize) -> Statement {
        Statement { sql: sql.to_owned(), params: vec![crate::tables::Value::Null; params] }
    }

    fn name_of(prepared: &mut Prepared, statement: &Statement) -> (String, bool) {
        let mut out = Outgoing::default();
        let name = prepared.name_of(statement, &mut out);
        (name, !out.bytes().is_empty())
    }

    #[test]
    fn a_statement_is_prepared_once() {
        let mut prepared = Prepared::default();
        assert_eq!(name_of(&mut prepared, &statement("a", 1)), ("s1".to_owned(), true));
        assert_eq!(name_of(&mut prepared, &statement("a", 2)), ("s1".to_owned(), false));
        prepared.hear(PARSE_COMPLETE);
        let many = statement("b", POSTGRES_PREPARED_PARAMS_MAX + 1);
        for _ in 0..2 {
            assert_eq!(name_of(&mut prepared, &many), (String::new(), true));
        }
    }

    #[test]
    fn what_was_refused_is_prepared_again_and_what_was_not_is_not() {
        let mut prepared = Prepared::default();
        for sql in ["a", "b"] {
            name_of(&mut prepared, &statement(sql, 0));
        }
        prepared.hear(PARSE_COMPLETE);
        prepared.forget_unheard();
        assert_eq!(name_of(&mut prepared, &statement("a", 0)), ("s1".to_owned(), false));
        assert_eq!(name_of(&mut prepared, &statement("b", 0)), ("s3".to_owned(), true));
    }

    #[test]
    fn the_oldest_is_forgotten_by_both_sides() {
        let mut prepared = Prepared::default();
        for number in 0..=POSTGRES_STATEMENTS_MAX {
            name_of(&mut prepared, &statement(&number.to_string(), 0));
        }
        assert_eq!(prepared.names.len(), POSTGRES_STATEMENTS_MAX);
        assert_eq!(prepared.gone, ["s1"]);
        let mut out = Outgoing::default();
        prepared.name_of(&statement("0", 0), &mut out);
        assert!(out.bytes().starts_with(b"C\0\0\0\x08Ss1\0P"), "{out:?}");
    }
}
