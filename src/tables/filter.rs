//! Which rows are meant: a tree of tests, made from the schema's columns and values of their types.
//!
//! Invariants: a filter passes a row or does not, there is no third answer: a comparison with null, on either side, passes nothing, and [`Filter::Not`] passes
//! what its inner filter does not, null or not. Every backend gives the same answer. A filter that was checked has bounded size and depth.

use std::sync::Arc;

use super::effort::Effort;
use super::error::ErrorCode;
use super::error::TableError;
use super::like;
use super::schema::ColumnId;
use super::schema::Table;
use super::value::Type;
use super::value::Value;
use crate::limits::TABLE_FILTER_DEPTH_MAX;
use crate::limits::TABLE_FILTER_TESTS_MAX;
use crate::limits::TABLE_FILTER_VALUES_MAX;
use crate::limits::TABLE_PATTERN_BYTES_MAX;

/// A condition on rows of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All of them; of none: every row.
    And(Vec<Self>),
    /// At least one of them; of none: no row.
    Or(Vec<Self>),
    /// What the inner one does not pass.
    Not(Box<Self>),
    Test {
        column: ColumnId,
        test: Test,
    },
}

/// One test of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    Compare(Comparison, Value),
    /// The value equals one of these.
    In(Vec<Value>),
    /// The value's text matches a pattern ([`like`]).
    Like {
        pattern: Arc<str>,
        ignore_case: bool,
    },
    Null,
    NotNull,
}

/// How a column's value stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Filter {
    /// Every row.
    #[must_use]
    pub const fn all() -> Self {
        Self::And(Vec::new())
    }

    /// No row.
    #[must_use]
    pub const fn none() -> Self {
        Self::Or(Vec::new())
    }

    /// A comparison.
    #[must_use]
    pub const fn compare(column: ColumnId, comparison: Comparison, value: Value) -> Self {
        Self::Test { column, test: Test::Compare(comparison, value) }
    }

    /// Equality.
    #[must_use]
    pub const fn equal(column: ColumnId, value: Value) -> Self {
        Self::compare(column, Comparison::Equal, value)
    }

    /// One of these.
    #[must_use]
    pub const fn one_of(column: ColumnId, values: Vec<Value>) -> Self {
        Self::Test { column, test: Test::In(values) }
    }

    /// A pattern with `%` and `_`.
    #[must_use]
    pub fn like(column: ColumnId, pattern: &str, ignore_case: bool) -> Self {
        Self::Test { column, test: Test::Like { pattern: pattern.into(), ignore_case } }
    }

    /// A text as it is, with anything before it and behind it as is said.
    #[must_use]
    pub fn around(
        column: ColumnId,
        text: &str,
        (before, behind): (bool, bool),
        ignore_case: bool,
    ) -> Self {
        let mut pattern = String::from(if before { "%" } else { "" });
        like::put_literal(text, &mut pattern);
        pattern.push_str(if behind { "%" } else { "" });
        Self::like(column, &pattern, ignore_case)
    }

    /// Null.
    #[must_use]
    pub const fn null(column: ColumnId) -> Self {
        Self::Test { column, test: Test::Null }
    }

    /// Not null.
    #[must_use]
    pub const fn not_null(column: ColumnId) -> Self {
        Self::Test { column, test: Test::NotNull }
    }

    /// Whether this key is meant, and no other row.
    #[must_use]
    pub fn of_key(table: &Table, key: &[Value]) -> Self {
        let columns = table.key.iter().zip(key);
        Self::And(columns.map(|(column, value)| Self::equal(*column, value.clone())).collect())
    }

    /// Both this and another one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::And(mut ones), Self::And(others)) => {
                ones.extend(others);
                Self::And(ones)
            }
            (Self::And(mut ones), other) => {
                ones.push(other);
                Self::And(ones)
            }
            (one, other) => Self::And(vec![one, other]),
        }
    }

    /// Whether every row passes, as it is written.
    #[must_use]
    pub fn is_all(&self) -> bool {
        matches!(self, Self::And(all) if all.is_empty())
    }

    /// Whether a row passes; its values stand in the order of the table's columns.
    #[must_use]
    pub fn passes(&self, row: &[Value]) -> bool {
        self.passes_within(row, &Effort::endless())
    }

    /// The same, and what it takes.
    pub(super) fn passes_within(&self, row: &[Value], effort: &Effort) -> bool {
        match self {
            Self::And(all) => all.iter().all(|filter| filter.passes_within(row, effort)),
            Self::Or(any) => any.iter().any(|filter| filter.passes_within(row, effort)),
            Self::Not(inner) => !inner.passes_within(row, effort),
            Self::Test { column, test } => {
                row.get(column.index()).is_some_and(|value| test.passes_within(value, effort))
            }
        }
    }

    /// Bytes that it keeps alive, about.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let values = |value: &Value| size_of::<Value>() + value.weight_bytes();
        let inner = match self {
            Self::And(all) | Self::Or(all) => all.iter().map(Self::weight_bytes).sum(),
            Self::Not(inner) => inner.weight_bytes(),
            Self::Test { test: Test::Compare(_, value), .. } => values(value),
            Self::Test { test: Test::In(list), .. } => list.iter().map(values).sum(),
            Self::Test { test: Test::Like { pattern, .. }, .. } => pattern.len(),
            Self::Test { .. } => 0,
        };
        size_of::<Self>() + inner
    }

    /// Looks whether it is one of this table, and not larger than a filter may be.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, table: &Table) -> Result<(), TableError> {
        let mut size = Size::default();
        self.check_within(table, &mut size, 0)
    }

    fn check_within(&self, table: &Table, size: &mut Size, depth: usize) -> Result<(), TableError> {
        if depth > TABLE_FILTER_DEPTH_MAX {
            return Err(TableError::new(
                ErrorCode::TooLarge,
                format!("a filter is nested deeper than {TABLE_FILTER_DEPTH_MAX} levels"),
            ));
        }
        match self {
            Self::And(all) | Self::Or(all) => {
                all.iter().try_for_each(|filter| filter.check_within(table, size, depth + 1))
            }
            Self::Not(inner) => inner.check_within(table, size, depth + 1),
            Self::Test { column, test } => {
                let Some(column) = table.columns.get(column.index()) else {
                    return Err(TableError::new(
                        ErrorCode::UnknownColumn,
                        "there is no such column",
                    ));
                };
                size.count(test)?;
                test.check(column.kind).map_err(|problem| {
                    TableError::new(ErrorCode::CannotFilter, problem).at(&column.name)
                })
            }
        }
    }
}

#[derive(Default)]
struct Size {
    tests: usize,
    values: usize,
}

impl Size {
    fn count(&mut self, test: &Test) -> Result<(), TableError> {
        self.tests += 1;
        self.values += match test {
            Test::In(values) => values.len(),
            _ => 1,
        };
        if self.tests > TABLE_FILTER_TESTS_MAX || self.values > TABLE_FILTER_VALUES_MAX {
            return Err(TableError::new(
                ErrorCode::TooLarge,
                format!(
                    "a filter has at most {TABLE_FILTER_TESTS_MAX} tests and {TABLE_FILTER_VALUES_MAX} values"
                ),
            ));
        }
        if matches!(test, Test::Like { pattern, .. } if pattern.len() > TABLE_PATTERN_BYTES_MAX) {
            let message = format!("a pattern has at most {TABLE_PATTERN_BYTES_MAX} bytes");
            return Err(TableError::new(ErrorCode::TooLarge, message));
        }
        Ok(())
    }
}

impl Test {
    /// Whether a value passes.
    #[must_use]
    pub fn passes(&self, value: &Value) -> bool {
        self.passes_within(value, &Effort::endless())
    }

    fn passes_within(&self, value: &Value, effort: &Effort) -> bool {
        effort.take(match self {
            Self::In(values) => values.len() as u64,
            _ => 1,
        });
        match self {
            Self::Null => value.is_null(),
            Self::NotNull => !value.is_null(),
            _ if value.is_null() => false,
            Self::Compare(_, Value::Null) => false,
            Self::Compare(comparison, other) => comparison.holds(value.cmp(other)),
            Self::In(values) => values.contains(value),
            Self::Like { pattern, ignore_case } => {
                let text = value.to_text();
                text.is_some_and(|text| like::is_like_within(pattern, &text, *ignore_case, effort))
            }
        }
    }

    fn check(&self, kind: Type) -> Result<(), String> {
        let is_of = |value: &Value| value.is_of(kind);
        let (is_right, values_right) = match self {
            Self::Null | Self::NotNull => (true, true),
            Self::Like { .. } => (kind.has_text(), true),
            Self::Compare(_, value) => (kind.is_ordered(), is_of(value)),
            Self::In(values) => (kind.is_ordered(), values.iter().all(is_of)),
        };
        if !is_right {
            return Err(format!("a column of the type {} cannot be tested so", kind.name()));
        }
        if !values_right {
            return Err(format!("it is compared with something that is not {kind}"));
        }
        Ok(())
    }
}

impl Comparison {
    const fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}
