//! What a filter costs, known when it is made: the steps that it takes for an event in which every field that it reads is a text of 1 KiB.
//!
//! Invariant: a filter that is made costs at most `FILTER_COST_MAX`. What an event really takes is counted when it is matched: less,
//! where a test is decided early, or more, where texts are longer or fields are arrays.

use crate::limits::FILTER_COST_MAX;
use crate::limits::FILTER_REGEXES_MAX;
use crate::limits::FILTER_TERMS_MAX;
use crate::limits::REGEX_SIZE_MAX;
use crate::matcher::filter::FilterProblem;
use crate::matcher::filter::Predicate;
use crate::matcher::filter::Range;
use crate::matcher::filter::Regex;
use crate::matcher::filter::Rule;
use crate::matcher::filter::Scalar;
use crate::matcher::filter::Term;
use crate::matcher::filter::Test;

/// Bytes of the text that costs are told for.
const TEXT_BYTES: usize = 1024;

/// Steps that reading and ordering a test takes.
const MAKING_STEPS_PER_TERM: u64 = 1000;
/// Steps that compiling takes for each unit of an expression's size.
const MAKING_STEPS_PER_SIZE: u64 = 250;

/// What the tests of a filter come to, summed up one by one, so that the one that is too much is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    terms: usize,
    regexes: usize,
    regexes_size: u64,
    steps: u64,
}

impl Cost {
    /// Adds a test.
    ///
    /// # Errors
    /// If it is one test too many, or costs too much with those before it.
    pub(super) fn add(&mut self, term: &Term) -> Result<(), FilterProblem> {
        self.terms += 1;
        if self.terms > FILTER_TERMS_MAX {
            return Err(FilterProblem::TooManyTerms { count: self.terms });
        }
        if let Test::Regex(regex) = &term.test {
            self.add_regex()?;
            self.regexes_size = self.regexes_size.saturating_add(regex.size());
            if self.regexes_size > REGEX_SIZE_MAX {
                return Err(FilterProblem::RegexTooLarge { size: Some(self.regexes_size) });
            }
        }
        self.steps += of_term(term);
        if self.steps > FILTER_COST_MAX {
            return Err(FilterProblem::TooCostly { cost: self.steps });
        }
        Ok(())
    }

    /// Counts a regular expression.
    fn add_regex(&mut self) -> Result<(), FilterProblem> {
        self.regexes += 1;
        if self.regexes > FILTER_REGEXES_MAX {
            return Err(FilterProblem::TooManyRegexes { count: self.regexes });
        }
        Ok(())
    }

    /// Compiles one regular expression more, if it is allowed.
    pub(super) fn regex(mut self, text: &str) -> Result<Regex, FilterProblem> {
        self.add_regex()?;
        Regex::beside(text, self.regexes_size)
    }

    /// Adds all tests of a predicate.
    pub(super) fn add_all(&mut self, predicate: &Predicate) -> Result<(), FilterProblem> {
        match predicate {
            Predicate::Test(term) => self.add(term),
            Predicate::And(members) | Predicate::Or(members) => {
                members.iter().try_for_each(|member| self.add_all(member))
            }
            Predicate::Not(inner) => self.add_all(inner),
        }
    }

    /// Steps that making the filter took: compiling, above all.
    pub(super) const fn making_steps(&self) -> u64 {
        self.terms as u64 * MAKING_STEPS_PER_TERM + self.regexes_size * MAKING_STEPS_PER_SIZE
    }

    /// The steps so far.
    pub(super) const fn steps(&self) -> u64 {
        self.steps
    }
}

/// The steps of one test of one text.
fn of_term(term: &Term) -> u64 {
    let steps = match (&term.test, term.rule) {
        (Test::Like(pattern), Rule::Typed) => 2 * pattern.steps(TEXT_BYTES) + TEXT_BYTES as u64,
        (Test::Like(pattern), _) => pattern.steps(TEXT_BYTES),
        (Test::Regex(regex), _) => regex.steps(TEXT_BYTES),
        (Test::In(list) | Test::NotIn(list), rule) => {
            (list_steps(rule, list) + text_steps(rule, TEXT_BYTES)) as u64
        }
        (Test::Range(range), rule) => {
            (range_steps(rule, range) + text_steps(rule, TEXT_BYTES)) as u64
        }
        (Test::Within { area, .. }, _) => area.steps() as u64,
        (Test::Exists | Test::Null, _) => 0,
    };
    1 + steps
}

/// The steps of comparing one value with each of a list. By our own rule it is looked up; other rules look at each, and may read the number
/// that its text writes.
pub(super) fn list_steps(rule: Rule, list: &[Scalar]) -> usize {
    match rule {
        Rule::Native | Rule::JsonStrict => 1 + list.len().max(1).ilog2() as usize,
        _ => list.iter().map(scalar_steps).sum(),
    }
}

/// The steps of comparing one value with the ends of a range.
pub(super) fn range_steps(rule: Rule, range: &Range) -> usize {
    let edges = range.low.iter().chain(&range.high);
    match rule {
        Rule::Native | Rule::JsonStrict => 1,
        _ => edges.map(|edge| scalar_steps(&edge.value)).sum(),
    }
}

/// The steps of reading a text of so many bytes before it is compared.
pub(super) const fn text_steps(rule: Rule, text_bytes: usize) -> usize {
    match rule {
        Rule::Loose => 4 * text_bytes,
        _ => 0,
    }
}

fn scalar_steps(scalar: &Scalar) -> usize {
    1 + if let Scalar::Text(text) = scalar { text.len() } else { 0 }
}
