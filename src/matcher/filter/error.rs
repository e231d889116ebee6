//! Why a filter is refused: what is wrong, and at which byte of what was written.

use std::fmt;

use crate::event::interest::PathError;
use crate::event::json::JsonError;
use crate::event::json::JsonProblem;
use crate::limits::FILTER_BYTES_MAX;
use crate::limits::FILTER_COST_MAX;
use crate::limits::FILTER_DEPTH_MAX;
use crate::limits::FILTER_FIRST_MAX;
use crate::limits::FILTER_LIST_MAX;
use crate::limits::FILTER_PATHS_MAX;
use crate::limits::FILTER_REGEXES_MAX;
use crate::limits::FILTER_TERMS_MAX;
use crate::limits::PATTERN_CHARS_MAX;
use crate::limits::REGEX_BYTES_MAX;
use crate::limits::REGEX_SIZE_MAX;
use crate::limits::REGEX_TEXT_BYTES_MAX;
use crate::matcher::filter::AreaError;

/// What is wrong, and at which byte, counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    pub at: usize,
    pub problem: FilterProblem,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}, counted from 0", self.problem, self.at)
    }
}

impl std::error::Error for FilterError {}

impl From<JsonError> for FilterError {
    fn from(error: JsonError) -> Self {
        Self { at: error.at, problem: FilterProblem::Json(error.problem) }
    }
}

/// What is wrong with a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterProblem {
    TooLong {
        bytes: usize,
    },
    TooDeep,
    TooManyTerms {
        count: usize,
    },
    ListTooLong {
        count: usize,
    },
    TooManyRegexes {
        count: usize,
    },
    TooManyPaths {
        count: usize,
    },
    /// Something else should stand here.
    Expected(&'static str),
    UnknownOperator,
    UnknownSource,
    UnknownUnit,
    /// A quoted text or name that does not end.
    Unclosed,
    /// A backslash and something that it does not go with.
    Escape,
    Number,
    /// A comparison with null, which no value passes.
    Null,
    /// The same in the JSON notation.
    NullInJson,
    /// A word where a value should stand.
    Unquoted(Box<str>),
    /// More alternatives in a `first(…)` than are allowed.
    FirstTooLong,
    /// An edge of a range that is neither a number nor a text, or two edges of different types.
    Edge,
    Path(PathError),
    PatternTooLong,
    Regex {
        within: usize,
        reason: Box<str>,
    },
    RegexTooLong {
        bytes: usize,
    },
    /// A regular expression is too large; its size, where that is known before it is compiled.
    RegexTooLarge {
        size: Option<u64>,
    },
    TooCostly {
        cost: u64,
    },
    Area(AreaError),
    Json(JsonProblem),
}

impl fmt::Display for FilterProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes } => {
                write!(f, "filter has {bytes} bytes; at most {FILTER_BYTES_MAX} are allowed")
            }
            Self::TooDeep => write!(f, "filter is nested deeper than {FILTER_DEPTH_MAX} levels"),
            Self::TooManyTerms { count } => {
                write!(f, "filter has {count} tests; at most {FILTER_TERMS_MAX} are allowed")
            }
            Self::ListTooLong { count } => {
                write!(f, "list has {count} values; at most {FILTER_LIST_MAX} are allowed")
            }
            Self::TooManyRegexes { count } => {
                write!(
                    f,
                    "filter has {count} regular expressions; at most {FILTER_REGEXES_MAX} are allowed"
                )
            }
            Self::TooManyPaths { count } => {
                write!(f, "filter reads {count} fields; at most {FILTER_PATHS_MAX} are allowed")
            }
            Self::Expected(what) => write!(f, "{what} is expected"),
            Self::UnknownOperator => write!(f, "no such operator"),
            Self::UnknownSource => {
                write!(f, "after `$` only `topic`, `key` and `op` have a meaning")
            }
            Self::UnknownUnit => write!(f, "no such unit of length; use m, km, mi or nm"),
            Self::Unclosed => write!(f, "a quote is not closed"),
            Self::Escape => write!(f, "a backslash escape that does not exist"),
            Self::Number => write!(f, "not a number"),
            Self::Null => write!(f, "nothing compares with null; use `is null`"),
            Self::NullInJson => {
                write!(f, "nothing compares with null; use {{\"null\":\"<field>\"}}")
            }
            Self::Unquoted(word) => {
                write!(f, "a value is expected; a text stands in quotes: \"{word}\"")
            }
            Self::FirstTooLong => {
                write!(f, "`first` has more than {FILTER_FIRST_MAX} alternatives")
            }
            Self::Edge => write!(f, "a range is between two numbers or two texts"),
            Self::Path(error) => write!(f, "{error}"),
            Self::PatternTooLong => {
                write!(f, "pattern has more than {PATTERN_CHARS_MAX} characters")
            }
            Self::Regex { within, reason } => {
                write!(f, "regular expression: {reason} (at its byte {within})")
            }
            Self::RegexTooLong { bytes } => write!(
                f,
                "regular expression has {bytes} bytes; at most {REGEX_TEXT_BYTES_MAX} are allowed"
            ),
            Self::RegexTooLarge { size: Some(size) } => write!(
                f,
                "regular expression comes to a size of {size}; at most {REGEX_SIZE_MAX} is allowed: count fewer repetitions, or use smaller classes"
            ),
            Self::RegexTooLarge { size: None } => write!(
                f,
                "regular expression takes more than {REGEX_BYTES_MAX} bytes when compiled"
            ),
            Self::TooCostly { cost } => write!(
                f,
                "filter costs {cost} steps up to here; at most {FILTER_COST_MAX} are allowed for texts of 1 KiB"
            ),
            Self::Area(error) => write!(f, "{error}"),
            Self::Json(problem) => write!(f, "{problem}"),
        }
    }
}

impl std::error::Error for FilterProblem {}

impl From<PathError> for FilterProblem {
    fn from(error: PathError) -> Self {
        Self::Path(error)
    }
}

impl From<AreaError> for FilterProblem {
    fn from(error: AreaError) -> Self {
        Self::Area(error)
    }
}

impl From<crate::matcher::filter::PatternTooLong> for FilterProblem {
    fn from(_: crate::matcher::filter::PatternTooLong) -> Self {
        Self::PatternTooLong
    }
}
